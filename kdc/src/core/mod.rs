//! The mind of the KDC: bytes, store, policy, time and randomness in; a reply and an event out.
//!
//! Imports libkrb's rooms 1 to 3 only: no tokio, files, sockets, clock or environment. A request is
//! gathered (opened, looked up), checked (which yields a [`grant::Grant`]) and issued (sealed); only
//! the checks make a grant and only [`issue`] takes one.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod abroad;
mod anonymous;
mod as_req;
mod asked;
pub mod attempts;
pub mod claims;
mod cookie;
pub mod delegation;
pub mod entry;
mod etypes;
pub mod event;
mod fast;
mod fetch;
mod grant;
mod identify;
mod issue;
mod limits;
mod pac;
pub mod password_policy;
pub mod policy;
mod preauth;
mod referral;
mod refuse;
mod reply_key;
pub mod second;
pub mod store;
mod tgs_req;

use std::net::IpAddr;
use std::sync::Arc;

use libkrb::ErrorCode;
use libkrb::crypto::Random;
use libkrb::replay::ReplayCache;
use libkrb::time::Instant;
use libkrb::wire::{self, KdcReq};

pub use abroad::{Abroad, Referrals, Trust};
pub use asked::{Asked, Cost};
pub use attempts::{Attempts, Ledger};
pub use entry::{Attributes, Entry, KeySet, LongTermKey};
pub use event::{Event, Exchange, Issued};
pub use password_policy::PasswordPolicy;
pub use policy::Policy;
pub use preauth::pkinit::{Pkinit, SpiffeRule};
pub use preauth::spake::Rules as SpakeRules;
pub use refuse::{Refusal, busy, field_too_long, limited, too_big};
pub use store::{Change, Size, Store, StoreError};
pub use tgs_req::KnownTgts;

/// What a realm answers with.
#[derive(Clone, Copy)]
pub struct Kdc<'a> {
    /// Its rules.
    pub policy: &'a Policy,
    /// Its principals.
    pub store: &'a dyn Store,
    /// The authenticators that it has seen.
    pub replays: &'a dyn ReplayCache,
    /// Where failed proofs are counted.
    pub attempts: &'a dyn Attempts,
    /// The ticket-granting tickets that it has opened. They belong to the rules: others begin with none.
    pub tickets: &'a KnownTgts,
}

impl Kdc<'_> {
    /// The ticket-granting service, with whose keys the KDC vouches to itself for what it says.
    fn tgs(&self) -> Result<Arc<Entry>, Refusal> {
        let tgs = self.store.lookup(&self.policy.tgs)?;
        tgs.ok_or(Refusal::new(ErrorCode::SVC_UNAVAILABLE, "the realm has no ticket-granting service"))
    }
}

/// What a request arrives with besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The KDC's clock.
    pub now: Instant,
    /// Where it came from, if that is an IP address.
    pub from: Option<IpAddr>,
}

/// Who is asked before work is done for a request.
pub type Admit<'a> = &'a mut dyn FnMut(&Asked<'_>) -> bool;

/// What is said to a request.
#[derive(Debug)]
pub enum Answer {
    /// This.
    Reply(Vec<u8>),
    /// Nothing, for it deserves none.
    Silence,
    /// Nothing yet: it was not let in.
    NotAdmitted,
}

/// What became of a request.
#[derive(Debug)]
pub struct Outcome {
    /// The answer; none for what must not be answered, such as other KDCs' replies.
    pub reply: Option<Vec<u8>>,
    /// What happened.
    pub event: Event,
}

/// Whether bytes begin as the messages that a KDC answers: AS-REQ, TGS-REQ and, of those who fetch their keys,
/// AP-REQ. Anything else deserves no datagram (RFC 4120 5.1.4).
pub fn is_request(bytes: &[u8]) -> bool {
    matches!(wire::application_tag(bytes), Some(10 | 12 | 14))
}

/// Answers one request, whoever sends it.
pub fn handle(kdc: &Kdc<'_>, arrival: Arrival, random: &mut dyn Random, bytes: &[u8]) -> Outcome {
    let mut event = Event::default();
    let reply = match handle_if(kdc, arrival, random, (bytes, &mut |_| true), &mut event) {
        Answer::Reply(reply) => Some(reply),
        Answer::Silence | Answer::NotAdmitted => None,
    };
    Outcome { reply, event }
}

/// Answers one request if `admit` lets it in, who is asked before any work is done for it. `event`, empty before, learns
/// what happened.
pub fn handle_if(
    kdc: &Kdc<'_>,
    arrival: Arrival,
    random: &mut dyn Random,
    (bytes, admit): (&[u8], Admit<'_>),
    event: &mut Event,
) -> Answer {
    // Answering replies and errors would let two KDCs talk to each other for ever.
    if matches!(wire::application_tag(bytes), Some(11 | 13 | 15 | 30)) {
        event.refusal = Some((ErrorCode::MSG_TYPE, "a reply was sent as a request"));
        return Answer::Silence;
    }
    if wire::application_tag(bytes) == Some(14) {
        let asked = Asked { exchange: Exchange::Fetch, client: None, cost: Cost::Light };
        if !admit(&asked) {
            return Answer::NotAdmitted;
        }
        let answer = fetch::answer(kdc, arrival, random, bytes, event);
        return answer.map_or_else(|refusal| refused(kdc, arrival, None, &refusal, event), Answer::Reply);
    }
    let decoded = wire::decode::<KdcReq<'_>>(bytes);
    let Ok(request) = &decoded else {
        // RFC 4120 5.1.4
        let refusal = match is_request(bytes) {
            true => Refusal::new(ErrorCode::GENERIC, "malformed request"),
            false => Refusal::new(ErrorCode::MSG_TYPE, "no message that a KDC answers"),
        };
        return refused(kdc, arrival, None, &refusal, event);
    };
    let asked = Asked::of(kdc.policy, request);
    event.exchange = asked.exchange;
    if !admit(&asked) {
        return Answer::NotAdmitted;
    }
    let answer = if request.kind == libkrb::codes::MessageType::AS_REQ {
        match as_req::answer(kdc, arrival, random, (bytes, request, admit), event) {
            Some(answer) => answer,
            None => return Answer::NotAdmitted,
        }
    } else {
        tgs_req::answer(kdc, arrival, random, (bytes, request), event)
    };
    answer.map_or_else(|refusal| refused(kdc, arrival, Some(request), &refusal, event), Answer::Reply)
}

fn refused(kdc: &Kdc<'_>, at: Arrival, request: Option<&KdcReq<'_>>, refusal: &Refusal, event: &mut Event) -> Answer {
    event.refusal = Some((refusal.code, refusal.cause));
    let names = request.map(refuse::Names::of).unwrap_or_default();
    Answer::Reply(refuse::reply(kdc.policy, at.now, &names, refusal))
}

#[cfg(test)]
mod tests;
