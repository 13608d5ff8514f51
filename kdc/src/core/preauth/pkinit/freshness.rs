//! Freshness tokens (RFC 8070): a moment of the realm's clock under the realm's own key, which a client
//! signs, so that nobody can have made a request beforehand with a key that he had for an hour. MIT's
//! format, so that KDCs of both kinds can serve one realm: time, version of the realm's key,
//! checksum.

use libkrb::codes::PaType;
use libkrb::crypto::KeyUsage;
use libkrb::{ErrorCode, Time};

use super::super::hints;
use super::{Gathered, Pkinit, Refusal, Try};
use crate::core::Kdc;

/// For us and MIT alone, so the number only has to differ from those of the RFCs.
const USAGE: KeyUsage = KeyUsage(514);
/// The longest token that is looked at; the longest checksum has 24 octets.
const LONGEST: usize = 64;

/// A token of this moment; `None` if the realm has no key.
pub fn token(kdc: &Kdc<'_>, now: Time) -> Option<Vec<u8>> {
    let realm = kdc.store.lookup(&kdc.policy.tgs).ok()??;
    let set = realm.current(now)?;
    let time = seconds(now).to_be_bytes();
    let checksum = set.keys.first()?.key.checksum(USAGE, &time);
    Some([&time, set.kvno.to_be_bytes().as_slice(), &checksum].concat())
}

/// The clock in 32 bits, as the token has it.
fn seconds(now: Time) -> u32 {
    (now.seconds() & i64::from(u32::MAX)) as u32
}

/// Refuses a request without a token where one is required, and every token that is not one of this
/// realm from this moment.
pub fn check(work: &mut Try<'_>, who: &Gathered<'_>, pkinit: &Pkinit, token: Option<&[u8]>) -> Result<(), Refusal> {
    // Only whose certificate was checked proves anything by a token (RFC 8062 4.1.1).
    let required = pkinit.require_freshness && !who.client_name.is_anonymous();
    let (code, cause) = match token {
        None if !required => return Ok(()),
        None => (ErrorCode::PREAUTH_FAILED, "this realm asks for a freshness token in the request"),
        Some(token) if ours(work.kdc, work.at.now.time, token) => return Ok(()),
        Some(_) => (ErrorCode::PREAUTH_EXPIRED, "the freshness token is old, or not one of this realm"),
    };
    let mut hints = hints(work, who);
    if who.request.padata(PaType::AS_FRESHNESS).is_none() {
        hints.tell_all(self::token(work.kdc, work.at.now.time).map(|token| (PaType::AS_FRESHNESS, token)));
    }
    Err(Refusal { data: Some(hints.encode(work, who)), ..Refusal::new(code, cause) })
}

fn ours(kdc: &Kdc<'_>, now: Time, token: &[u8]) -> bool {
    let parts = || {
        let (time, rest) = token.split_first_chunk::<4>().filter(|_| token.len() <= LONGEST)?;
        let (kvno, checksum) = rest.split_first_chunk::<4>()?;
        let realm = kdc.store.lookup(&kdc.policy.tgs).ok()??;
        let kvno = u32::from_be_bytes(*kvno);
        let key = &realm.living(now).find(|set| set.kvno == kvno)?.keys.first()?.key;
        key.verify_checksum(USAGE, key.checksum_type(), time, checksum).ok()?;
        Some(u32::from_be_bytes(*time))
    };
    // The difference as a signed number is right on both sides of the year 2106.
    parts().is_some_and(|time| {
        let age = i64::from(seconds(now).wrapping_sub(time).cast_signed());
        (-kdc.policy.clock_skew..=kdc.policy.clock_skew).contains(&age)
    })
}
