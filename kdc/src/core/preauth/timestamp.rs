//! PA-ENC-TIMESTAMP (RFC 4120 5.2.7.2): the client's clock under its long-term key.

use libkrb::codes::PaType;
use libkrb::replay::{ReplayKey, Verdict};
use libkrb::wire::{self, EncryptedData, PaData, PaEncTsEnc};
use libkrb::{Error, ErrorCode};

use super::{Gathered, Hints, Proof, Refusal, Step, Try};

/// Its name in events.
pub const NAME: &str = "encrypted-timestamp";

const UNOPENED: &str = "the encrypted timestamp does not open with the client's key";

/// In FAST there is better; what Heimdal sends there all the same is looked at.
pub fn offer(_: &mut Try<'_>, who: &Gathered<'_>, hints: &mut Hints) {
    if who.armor.is_none() {
        hints.offer(PaType::ENC_TIMESTAMP, vec![]);
    }
}

pub fn verify(work: &mut Try<'_>, who: &Gathered<'_>, padata: &PaData<'_>) -> Result<Step, Refusal> {
    let (policy, now) = (work.kdc.policy, work.at.now.time);
    let failed = || Refusal::new(ErrorCode::PREAUTH_FAILED, UNOPENED);
    let malformed = |_: Error| Refusal::new(ErrorCode::PREAUTH_FAILED, "malformed encrypted timestamp");
    let sealed = wire::decode::<EncryptedData<'_>>(padata.value).map_err(malformed)?;
    let allowed = policy.etypes.contains(&sealed.etype);
    let mut opened = who.client.proving(now).filter(|_| allowed).filter_map(|set| {
        let plain = set.key(sealed.etype)?.timestamp().open(sealed.cipher).ok()?;
        Some((plain, set.kvno))
    });
    let (plain, kvno) = opened.next().ok_or_else(failed)?;
    // Nobody has a decoy's key; what opened with it was made by a guesser of our constants.
    Refusal::unless(!who.decoy, ErrorCode::PREAUTH_FAILED, failed().cause)?;
    let stamp = wire::decode::<PaEncTsEnc>(&plain).map_err(malformed)?;
    let near = stamp.time.distance(now) <= policy.clock_skew;
    Refusal::unless(near, ErrorCode::SKEW, "the client's clock differs too much from the KDC's")?;
    let seen = ReplayKey::of_opened(&sealed);
    match work.kdc.replays.insert(seen, stamp.time, now) {
        // Full: as for authenticators, refusing everybody would be worse than a reply that can't be read.
        Verdict::Fresh | Verdict::Full | Verdict::Unavailable => Ok(Step::Proven(Proof::by_key(NAME, kvno))),
        Verdict::Replay => Err(Refusal::new(ErrorCode::REPEAT, "this encrypted timestamp was used before")),
    }
}
