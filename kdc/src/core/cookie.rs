//! PA-FX-COOKIE (RFC 6113 5.2): what a KDC must remember between two messages of a proof, carried by the
//! client and sealed under the realm's own key, so that any KDC of the realm can go on with it. Bound
//! to the client and to the time.

use libkrb::codes::PaType;
use libkrb::crypto::{Key, KeyUsage, Random};
use libkrb::wire::{self, List, MethodData, PaData};
use libkrb::{ErrorCode, Principal, Time};

use super::entry::LongTermKey;
use super::refuse::{Refusal, because};
use super::{Arrival, Kdc};

/// How long a client may take for its next message, in seconds: a password has to be typed.
pub const LIFE: i64 = 600;

/// The longest cookie that is looked at, in bytes; our own are shorter.
pub const LONGEST: usize = 8192;

/// For us alone, so the number only has to differ from those of the RFCs.
const USAGE: KeyUsage = KeyUsage(513);
/// Names the format; the version of the realm's key and the enctype follow, four bytes each.
const MAGIC: &[u8; 4] = b"KRB1";

/// The cookie of a conversation in which nothing has to be remembered.
const NOTHING: &[u8] = b"KRB0";

/// Seals a state; `None` if the realm has no key.
pub fn seal(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    client: &Principal,
    state: &[(PaType, Vec<u8>)],
) -> Option<Vec<u8>> {
    if state.is_empty() {
        return Some(NOTHING.to_vec());
    }
    let realm = kdc.store.lookup(&kdc.policy.tgs).ok()??;
    let set = realm.current(at.now.time)?;
    let key = set.keys.first()?;
    let state = state.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect::<Vec<_>>();
    let mut plain = zeroize::Zeroizing::new(at.now.time.seconds().to_be_bytes().to_vec());
    plain.extend(wire::encode(&List::Items(&state)));
    let mut cookie = MAGIC.to_vec();
    cookie.extend(set.kvno.to_be_bytes());
    cookie.extend(key.etype().0.to_be_bytes());
    cookie.extend(bound(key, client)?.encrypt(USAGE, random, &plain));
    Some(cookie)
}

/// Opens a cookie that this realm sealed for this client not long ago.
///
/// # Errors
/// PREAUTH_FAILED for what is none; PREAUTH_EXPIRED for one that is too old or from the future.
pub fn open(kdc: &Kdc<'_>, now: Time, client: &Principal, cookie: &[u8]) -> Result<Vec<(PaType, Vec<u8>)>, Refusal> {
    let failed = || Refusal::new(ErrorCode::PREAUTH_FAILED, "the cookie is not one of this realm for this client");
    Refusal::unless(cookie.len() <= LONGEST, ErrorCode::PREAUTH_FAILED, "the cookie is longer than any of ours")?;
    // Ours that holds nothing, or another KDC's, which holds nothing for us.
    let Some(rest) = cookie.strip_prefix(MAGIC) else { return Ok(vec![]) };
    let (kvno, rest) = number(rest).ok_or_else(failed)?;
    let (etype, sealed) = number(rest).ok_or_else(failed)?;
    let realm = kdc.store.lookup(&kdc.policy.tgs)?.ok_or_else(failed)?;
    let mut keys = realm.living(now).filter(|set| set.kvno == kvno).flat_map(|set| &set.keys);
    let key = keys.find(|key| key.etype().0.cast_unsigned() == etype).ok_or_else(failed)?;
    let key = bound(key, client).ok_or_else(failed)?;
    let plain = key.decrypt(USAGE, sealed).map_err(because(ErrorCode::PREAUTH_FAILED, failed().cause))?;
    let (time, state) = plain.split_first_chunk::<8>().ok_or_else(failed)?;
    let age = now.seconds().checked_sub(i64::from_be_bytes(*time));
    let fresh = age.is_some_and(|age| (-kdc.policy.clock_skew..=LIFE).contains(&age));
    Refusal::unless(fresh, ErrorCode::PREAUTH_EXPIRED, "the cookie is too old: begin again")?;
    let state = wire::decode::<MethodData<'_>>(state).map_err(|_| failed())?;
    Ok(state.iter().map(|element| (element.kind, element.value.to_vec())).collect())
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// The key of one client's cookies.
fn bound(key: &LongTermKey, client: &Principal) -> Option<Key> {
    let length = libkrb::crypto::key_len(key.etype()).ok()?;
    let input = [b"cookie ".as_slice(), client.to_string().as_bytes()].concat();
    let seed = zeroize::Zeroizing::new(key.key.prf_plus(&input, length).ok()?);
    Key::random_to_key(key.etype(), &seed).ok()
}

#[cfg(test)]
mod tests;
