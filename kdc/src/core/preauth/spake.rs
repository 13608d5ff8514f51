//! SPAKE (RFC 9588): the client's password proven, and a reply key made, without anything that a
//! listener could guess at. The computations are libkrb's; here is when they are made, for whom, and
//! what becomes of them.

use libkrb::codes::{EncryptionType, PaType};
use libkrb::preauth::spake::{Group, kdc};
use libkrb::replay::{ReplayKey, Verdict};
use libkrb::wire::{self, PaData, PaSpake, SpakeResponse};
use libkrb::{ErrorCode, Time};
use zeroize::Zeroizing;

use super::super::cookie;
use super::super::entry::LongTermKey;
use super::{Gathered, Hints, Proof, Refusal, Step, Try, etype_info2};
use crate::core::{Policy, etypes};

/// The realm's rules for SPAKE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The groups that a client may choose from; none: SPAKE is not offered.
    pub groups: Vec<&'static Group>,
    /// The group of a challenge that goes out before a client has named its groups: one message less
    /// for those who know it, and the work of a challenge for whoever asks (RFC 9588 4.6).
    pub challenge: Option<&'static Group>,
}

impl Default for Rules {
    /// The group that everybody has to know, which is also the cheapest.
    fn default() -> Self {
        Rules { groups: Group::of(1).into_iter().collect(), challenge: None }
    }
}

const UNOPENED: &str = "the SPAKE response does not open with the client's key";
const MALFORMED: &str = "malformed SPAKE message";

/// The key that SPAKE would prove: the one that would seal the reply, if it was made from a password.
/// Nobody guesses at random keys, and what is cheaper proves them as well.
fn key<'a>(policy: &Policy, who: &'a Gathered<'_>, now: Time) -> Option<(&'a LongTermKey, u32)> {
    if policy.spake.groups.is_empty() {
        return None;
    }
    etypes::reply_key(who.client.current(now), &who.offered).ok().filter(|(key, _)| key.salt.is_some())
}

/// Whether the client is offered SPAKE: then it must be told of one key and no other (RFC 9588 3.1).
pub fn applies(policy: &Policy, who: &Gathered<'_>, now: Time) -> bool {
    key(policy, who, now).is_some()
}

pub fn offer(work: &mut Try<'_>, who: &Gathered<'_>, hints: &mut Hints) {
    let policy = work.kdc.policy;
    let Some((key, kvno)) = key(policy, who, work.at.now.time) else { return };
    match policy.spake.challenge {
        None => hints.offer(PaType::SPAKE, vec![]),
        Some(group) => challenge(work, hints, group, (key, kvno), None),
    }
}

pub fn verify(work: &mut Try<'_>, who: &Gathered<'_>, padata: &PaData<'_>) -> Result<Step, Refusal> {
    match wire::decode(padata.value) {
        Ok(PaSpake::Support(support)) => {
            let policy = work.kdc.policy;
            let Some(chosen) = key(policy, who, work.at.now.time) else {
                return Ok(Step::Inapplicable("SPAKE is not offered to this client"));
            };
            let Some(group) = kdc::choose(support.groups, &policy.spake.groups) else {
                return Ok(Step::Inapplicable("no SPAKE group of the client's is allowed"));
            };
            let mut hints = Hints::default();
            hints.tell(PaType::ETYPE_INFO2, etype_info2(who, [chosen.0].into_iter()));
            challenge(work, &mut hints, group, chosen, Some(padata.value));
            Ok(Step::More(hints))
        }
        Ok(PaSpake::Response(response)) => respond(work, who, &response).map(Step::Proven),
        // No second factor of ours has more to say, and a challenge is not a client's to make.
        _ => Err(Refusal::new(ErrorCode::PREAUTH_FAILED, MALFORMED)),
    }
}

fn challenge(
    work: &mut Try<'_>,
    hints: &mut Hints,
    group: &'static Group,
    (key, kvno): (&LongTermKey, u32),
    support: Option<&[u8]>,
) {
    // It fails for no enctype; if it did, the client would be offered the other methods.
    let made = key.spake(group).and_then(|initial| kdc::challenge(initial, support, work.random).ok());
    if let Some((message, state)) = made {
        let kept = Kept { made: work.at.now.time, etype: key.etype(), kvno, state };
        hints.offer(PaType::SPAKE, message);
        hints.keep(PaType::SPAKE, kept.octets());
    }
}

fn respond(work: &mut Try<'_>, who: &Gathered<'_>, response: &SpakeResponse<'_>) -> Result<Proof, Refusal> {
    let now = work.at.now.time;
    let failed = || Refusal::new(ErrorCode::PREAUTH_FAILED, UNOPENED);
    let octets = Zeroizing::new(who.remembered(PaType::SPAKE)?.to_vec());
    let kept = Kept::parse(&octets).ok_or_else(failed)?;
    let known = who.client.proving(now).find(|set| set.kvno == kept.kvno).and_then(|set| set.key(kept.etype));
    // A client without that key is told so after the same work as one with another password.
    let any = who.client.current(now).and_then(|set| set.keys.first());
    let key = known.or(any).ok_or_else(failed)?;
    let initial = key.spake(kept.state.group()).ok_or_else(failed)?;
    let keys = kept.state.open(initial, response, who.request.body.der).map_err(|_| failed())?;
    Refusal::unless(known.is_some() && !who.decoy, ErrorCode::PREAUTH_FAILED, UNOPENED)?;
    let reply = keys.reply().map_err(|_| failed())?;
    // A challenge is good for one login. Its time is that of its end: as long is it remembered.
    let seen = ReplayKey::new([b"spake".as_slice(), &octets]);
    match work.kdc.replays.insert(seen, kept.made + cookie::LIFE, now) {
        Verdict::Fresh | Verdict::Full | Verdict::Unavailable => {
            Ok(Proof { reply_key: Some(reply), ..Proof::by_key("spake", kept.kvno) })
        }
        Verdict::Replay => Err(Refusal::new(ErrorCode::REPEAT, "this SPAKE challenge was answered before")),
    }
}

/// What is remembered from a challenge to its response.
struct Kept {
    made: Time,
    etype: EncryptionType,
    kvno: u32,
    state: kdc::State,
}

impl Kept {
    fn octets(&self) -> Vec<u8> {
        let head = [&self.made.seconds().to_be_bytes()[..], &self.etype.0.to_be_bytes(), &self.kvno.to_be_bytes()];
        [&head.concat(), &**self.state.octets()].concat()
    }

    fn parse(octets: &[u8]) -> Option<Kept> {
        let (made, rest) = octets.split_first_chunk::<8>()?;
        let (etype, rest) = rest.split_first_chunk::<4>()?;
        let (kvno, rest) = rest.split_first_chunk::<4>()?;
        Some(Kept {
            made: Time(i64::from_be_bytes(*made)),
            etype: EncryptionType(i32::from_be_bytes(*etype)),
            kvno: u32::from_be_bytes(*kvno),
            state: kdc::State::parse(rest).ok()?,
        })
    }
}
