//! How a client proves itself in an AS exchange: a table of methods, one row each (RFC 4120 5.2.7).

use libkrb::codes::PaType;
use libkrb::replay::{ReplayKey, Verdict};
use libkrb::wire::{self, EncryptedData, EtypeInfo2Entry, KdcReq, List, PaData, PaEncTsEnc};
use libkrb::{Error, ErrorCode, Time};

use super::as_req::Gathered;
use super::asked::Cost;
use super::attempts::{Lockout, Proven, Tried};
use super::entry::LongTermKey;
use super::refuse::Refusal;
use super::{Arrival, Kdc};

/// That a client has proven itself, and how.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Proof {
    /// The method, for the event.
    pub name: &'static str,
    /// The version of the keys that it was made with.
    pub kvno: u32,
}

type Verify = fn(&Kdc<'_>, Arrival, &Gathered<'_>, &PaData<'_>) -> Result<Proof, Refusal>;

/// One way to prove oneself.
struct Method {
    kind: PaType,
    cost: Cost,
    verify: Verify,
}

const METHODS: &[Method] = &[Method { kind: PaType::ENC_TIMESTAMP, cost: Cost::Light, verify: encrypted_timestamp }];

/// Whether the request tries to prove anything.
pub fn attempted(gathered: &Gathered<'_>) -> bool {
    gathered.request.padata.iter().any(|padata| METHODS.iter().any(|method| method.kind == padata.kind))
}

/// How much work the proofs are that a request carries.
pub fn cost(request: &KdcReq<'_>) -> Cost {
    let row = |kind| METHODS.iter().find(|method| method.kind == kind);
    request.padata.iter().filter_map(|padata| row(padata.kind)).map(|method| method.cost).max().unwrap_or_default()
}

/// Tries the proofs that the request carries; one is enough. `None`: there is none to try.
///
/// # Errors
/// That of the last proof that failed, with the hints for another try; CLIENT_REVOKED when too many
/// failed before.
pub fn verify(kdc: &Kdc<'_>, at: Arrival, gathered: &Gathered<'_>) -> Result<Option<Proof>, Refusal> {
    if !attempted(gathered) {
        return Ok(None);
    }
    if gathered.decoy {
        return try_all(kdc, at, gathered, MOST_GUESSES).0.map(Some);
    }
    let lockout = gathered.client_policy.as_deref().and_then(Lockout::of);
    let mut outcome = Err(LOCKED);
    let tried = kdc.attempts.attempt(&gathered.client.id, lockout.as_ref(), at.now.time, &mut |left| {
        let proven;
        (outcome, proven) = try_all(kdc, at, gathered, left.min(MOST_GUESSES));
        proven
    });
    if tried == Tried::Locked && kdc.policy.hide_unknown_clients {
        // A lock is nobody's business who can't tell whether there is such a client.
        outcome = try_all(kdc, at, gathered, 0).0;
    }
    outcome.map(Some)
}

/// Some clients send one timestamp for each enctype and salt they can think of. Each is a guess.
const MOST_GUESSES: u32 = 16;

/// Tries proofs until one holds, or `most` have failed. Where unknown clients are hidden the others are
/// tried too, on a key that is nobody's: the same work and words as for a client that does not exist,
/// however many guesses are left, and nothing to be learned from them.
fn try_all(kdc: &Kdc<'_>, at: Arrival, gathered: &Gathered<'_>, most: u32) -> (Result<Proof, Refusal>, Proven) {
    let mut failed = Refusal::new(ErrorCode::PREAUTH_FAILED, "no proof");
    let mut guesses = 0;
    let mut stand_in = None;
    for padata in gathered.request.padata.iter().take(MOST_GUESSES as usize) {
        let Some(method) = METHODS.iter().find(|method| method.kind == padata.kind) else { continue };
        let spent = guesses >= most;
        if spent && !kdc.policy.hide_unknown_clients {
            break;
        }
        let who = if spent { &*stand_in.get_or_insert_with(|| gathered.stand_in(kdc.policy)) } else { gathered };
        match (method.verify)(kdc, at, who, &padata) {
            Ok(proof) => return (Ok(proof), Proven::Yes),
            Err(refusal) => failed = refusal,
        }
        guesses += u32::from(!spent && failed.code == ErrorCode::PREAUTH_FAILED);
    }
    let proven = if guesses > 0 { Proven::No(guesses) } else { Proven::Unclear };
    if failed.code == ErrorCode::PREAUTH_FAILED {
        failed.data = Some(hints(gathered, at.now.time));
    }
    (Err(failed), proven)
}

const UNOPENED: &str = "the encrypted timestamp does not open with the client's key";
const LOCKED: Refusal =
    Refusal { code: ErrorCode::CLIENT_REVOKED, cause: "the client is locked after too many failures", data: None };

/// Refuses a client that is locked, before it is asked for a proof.
pub fn not_locked(kdc: &Kdc<'_>, now: Time, gathered: &Gathered<'_>) -> Result<(), Refusal> {
    let lockout = gathered.client_policy.as_deref().and_then(Lockout::of);
    match lockout {
        Some(rule) if rule.locks(&kdc.attempts.record(&gathered.client.id), now) => Err(LOCKED),
        _ => Ok(()),
    }
}

/// "Prove yourself first", with METHOD-DATA that says how (RFC 4120 5.9.1).
pub fn required(gathered: &Gathered<'_>, now: Time) -> Refusal {
    let refusal = Refusal::new(ErrorCode::PREAUTH_REQUIRED, "pre-authentication required");
    Refusal { data: Some(hints(gathered, now)), ..refusal }
}

fn hints(gathered: &Gathered<'_>, now: Time) -> Vec<u8> {
    let info = etype_info2(gathered, gathered.offered.iter().filter_map(|etype| gathered.client.key(*etype, now)));
    let hints = [PaData { kind: PaType::ETYPE_INFO2, value: &info }]
        .into_iter()
        .chain(METHODS.iter().map(|method| PaData { kind: method.kind, value: &[] }))
        .collect::<Vec<_>>();
    wire::encode(&List::Items(&hints))
}

/// ETYPE-INFO2: how to make keys from the password (RFC 4120 5.2.7.5).
pub fn etype_info2<'a>(gathered: &Gathered<'_>, keys: impl Iterator<Item = &'a LongTermKey>) -> Vec<u8> {
    let default_salt = gathered.client.principal.salt();
    let keys = keys.map(|key| (key, key.iterations.map(u32::to_be_bytes))).collect::<Vec<_>>();
    let entries = keys.iter().map(|(key, s2kparams)| EtypeInfo2Entry {
        etype: key.etype(),
        salt: Some(key.salt.as_deref().unwrap_or(&default_salt)),
        s2kparams: s2kparams.as_ref().map(|params| params.as_slice()),
    });
    wire::encode(&List::Items(&entries.collect::<Vec<_>>()))
}

/// PA-ENC-TIMESTAMP (RFC 4120 5.2.7.2).
fn encrypted_timestamp(kdc: &Kdc<'_>, at: Arrival, who: &Gathered<'_>, padata: &PaData<'_>) -> Result<Proof, Refusal> {
    let failed = || Refusal::new(ErrorCode::PREAUTH_FAILED, UNOPENED);
    let malformed = |_: Error| Refusal::new(ErrorCode::PREAUTH_FAILED, "malformed encrypted timestamp");
    let sealed = wire::decode::<EncryptedData<'_>>(padata.value).map_err(malformed)?;
    let allowed = kdc.policy.etypes.contains(&sealed.etype);
    let mut opened = who.client.proving(at.now.time).filter(|_| allowed).filter_map(|set| {
        let plain = set.key(sealed.etype)?.timestamp().decrypt(sealed.cipher).ok()?;
        Some((plain, set.kvno))
    });
    let (plain, kvno) = opened.next().ok_or_else(failed)?;
    // Nobody has a decoy's key; what opened with it was made by a guesser of our constants.
    Refusal::unless(!who.decoy, ErrorCode::PREAUTH_FAILED, failed().cause)?;
    let stamp = wire::decode::<PaEncTsEnc>(&plain).map_err(malformed)?;
    let near = stamp.time.distance(at.now.time) <= kdc.policy.clock_skew;
    Refusal::unless(near, ErrorCode::SKEW, "the client's clock differs too much from the KDC's")?;
    let seen = ReplayKey::new([b"enc-timestamp".as_slice(), sealed.cipher]);
    match kdc.replays.insert(seen, stamp.time, at.now.time) {
        // Full: as for authenticators, refusing everybody would be worse than a reply that can't be read.
        Verdict::Fresh | Verdict::Full | Verdict::Unavailable => Ok(Proof { name: "encrypted-timestamp", kvno }),
        Verdict::Replay => Err(Refusal::new(ErrorCode::REPEAT, "this encrypted timestamp was used before")),
    }
}
