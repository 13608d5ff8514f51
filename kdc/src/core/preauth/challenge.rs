//! PA-ENCRYPTED-CHALLENGE (RFC 6113 5.4.6): the client's clock under a key of armor and long-term key,
//! and the KDC's in answer. In FAST only.

use libkrb::codes::PaType;
use libkrb::preauth::enc_challenge::{self, Speaker};
use libkrb::replay::{ReplayKey, Verdict};
use libkrb::wire::{self, EncryptedData, PaData};
use libkrb::{Error, ErrorCode};

use super::super::entry::KeySet;
use super::{Gathered, Hints, Proof, Refusal, Step, Try};

const UNOPENED: &str = "the encrypted challenge does not open with the client's key";

pub fn offer(_: &mut Try<'_>, _: &Gathered<'_>, hints: &mut Hints) {
    hints.offer(PaType::ENCRYPTED_CHALLENGE, vec![]);
}

pub fn verify(work: &mut Try<'_>, who: &Gathered<'_>, padata: &PaData<'_>) -> Result<Step, Refusal> {
    let (policy, now) = (work.kdc.policy, work.at.now.time);
    let failed = || Refusal::new(ErrorCode::PREAUTH_FAILED, UNOPENED);
    let malformed = |_: Error| Refusal::new(ErrorCode::PREAUTH_FAILED, "malformed encrypted challenge");
    let bare = Refusal::new(ErrorCode::PREAUTH_FAILED, "an encrypted challenge outside of FAST");
    let armor = who.armor.ok_or(bare)?.replying.prf();
    let sealed = wire::decode::<EncryptedData<'_>>(padata.value).map_err(malformed)?;
    // The element does not say which of the client's keys is in it: likely the first that it offers.
    let keys = |set| who.offered.iter().filter_map(move |etype| Some((KeySet::key(set, *etype)?, set.kvno)));
    let mut opened = who.client.proving(now).flat_map(keys).filter_map(|(key, kvno)| {
        let clock = enc_challenge::open(Speaker::Client, armor, key.prf(), &sealed).ok()?;
        Some((clock, key, kvno))
    });
    let (clock, key, kvno) = opened.next().ok_or_else(failed)?;
    // Nobody has a decoy's key; what opened with it was made by a guesser of our constants.
    Refusal::unless(!who.decoy, ErrorCode::PREAUTH_FAILED, UNOPENED)?;
    let near = clock.time.distance(now) <= policy.clock_skew;
    Refusal::unless(near, ErrorCode::SKEW, "the client's clock differs too much from the KDC's")?;
    let seen = ReplayKey::of_opened(&sealed);
    if work.kdc.replays.insert(seen, clock.time, now) == Verdict::Replay {
        return Err(Refusal::new(ErrorCode::REPEAT, "this encrypted challenge was used before"));
    }
    let unable = |_: Error| Refusal::new(ErrorCode::ETYPE_NOSUPP, "no challenge can be made");
    let ours = enc_challenge::make(Speaker::Kdc, armor, key.prf(), work.at.now, work.random).map_err(unable)?;
    let padata = vec![(PaType::ENCRYPTED_CHALLENGE, ours)];
    Ok(Step::Proven(Proof { padata, ..Proof::by_key("encrypted-challenge", kvno) }))
}
