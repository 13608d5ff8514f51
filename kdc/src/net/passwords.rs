//! The sockets' side of changing passwords: reads the clock, looks aside, asks the service and
//! reports what happened. A change is a thousand times the work of a ticket, so there is one thread
//! for datagrams, and connections take turns; the KDC beside it goes on meanwhile.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use libkrb::crypto::{OsRandom, Random};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

use super::answers::{Answers, Ends, Hands, Post};
use super::desk::now;
use super::guard;
use super::lookaside::{Answer, Claim, Found, Lookaside};
use super::{Limits, Responder, canonical};
use crate::core::{Outcome, Policy};
use crate::kpasswd::{Arrival, Kpasswd};
use crate::observe::{Observer, Seen, Transport};

/// Changes that are made over connections at a time.
const TURNS: usize = 1;

/// A service for changing passwords that answers.
pub struct Passwords {
    service: Kpasswd,
    /// Whose door has the guard of both.
    kdc: Arc<Responder>,
    observer: Arc<Observer>,
    lookaside: Lookaside,
    turns: Semaphore,
}

/// What came of asking the service.
struct Decided {
    answer: Option<Answer>,
    /// Whether the client has proven itself.
    proven: bool,
}

impl Passwords {
    /// Answers for `service` and reports to `observer`. Who is turned away at the door of `kdc` is so here.
    pub fn new(service: Kpasswd, kdc: Arc<Responder>, observer: Arc<Observer>, limits: &Limits) -> Passwords {
        let lookaside = Lookaside::new(limits.lookaside_memory);
        Passwords { service, kdc, observer, lookaside, turns: Semaphore::new(TURNS) }
    }

    /// Answers by other rules from now on.
    pub fn govern(&self, policy: Policy) {
        self.service.govern(policy);
    }

    /// What of the KDC's limits is enough for changes: nobody makes many.
    pub fn limits(of_kdc: &Limits) -> Limits {
        Limits {
            connections: of_kdc.connections.min(256),
            connections_per_peer: of_kdc.connections_per_peer.min(64),
            max_request: 1 << 16,
            request_memory: 4 << 20,
            lookaside_memory: of_kdc.lookaside_memory.min(1 << 20),
            ..of_kdc.clone()
        }
    }

    fn decide(&self, claim: Claim<'_>, ends: Ends, bytes: &[u8], random: &mut dyn Random) -> Decided {
        let (at, started) = (now(), Instant::now());
        let guard = self.kdc.guard();
        let watch = guard.watch(ends.from.ip(), ends.via, started);
        // What is asked here is much work if it is granted, and who asks is not known before.
        let turned = watch.as_ref().and_then(|watch| watch.turns_away().or_else(|| watch.works()));
        if turned.is_some() {
            return Decided { answer: self.turned_away(guard.rates().answer, ends.via), proven: false };
        }
        let arrival = Arrival { now: at, from: ends.from, to: ends.to };
        // A bug that one request can trigger must not cost the others their service.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.service.handle(&arrival, random, bytes)));
        let Ok(Outcome { reply, event }) = outcome else {
            self.observer.panicked(ends.from, ends.via);
            return Decided { answer: None, proven: false };
        };
        let answer = reply;
        let proven = event.client.is_some();
        // A password that breaks a rule is no guess.
        if let Some(rule) = watch.filter(|_| !proven).and_then(|watch| watch.ended(&event)) {
            let (from, rule) = (ends.from, rule.name());
            tracing::warn!(target: "kdc", %from, rule, "too many failures at the port for passwords: limited from now on");
        }
        // Its authenticator is remembered: the same bytes would be a replay from now on.
        if let Some(answer) = answer.as_ref().filter(|_| proven) {
            claim.settle(answer);
        }
        let Ends { from, via: transport, .. } = ends;
        self.observer.observe(&Seen { event: &event, from, transport, at, took: started.elapsed() });
        Decided { answer, proven }
    }

    /// What one hears who is over a limit: over UDP nothing, since clients that hear nothing come over
    /// TCP, where their address is their own.
    fn turned_away(&self, answer: guard::Answer, via: Transport) -> Option<Answer> {
        let heard = answer == guard::Answer::Error && via != Transport::Udp;
        heard.then(|| self.service.limited(now()))
    }
}

impl Answers for Passwords {
    const AT_ONCE: usize = 1;

    fn datagram(&self, ends: Ends, bytes: &[u8], hands: &mut Hands, _post: &dyn Fn() -> Post) -> Option<Answer> {
        let ends = Ends { from: canonical(ends.from), ..ends };
        match self.lookaside.find(bytes, Instant::now()) {
            Found::Answered(answer) => {
                self.observer.repeated(ends.from, ends.via);
                Some(answer)
            }
            Found::Claimed => None,
            Found::New(claim) => {
                let Decided { answer, proven } = self.decide(claim, ends, bytes, &mut hands.random);
                // Nobody shall gain by sending us junk in somebody else's name.
                answer.filter(|answer| proven || answer.len() <= bytes.len())
            }
        }
    }

    /// No reply of this service is big.
    fn too_big(&self, _request: &[u8]) -> Option<Answer> {
        None
    }

    async fn message(&self, ends: Ends, bytes: &[u8]) -> Option<Answer> {
        let ends = Ends { from: canonical(ends.from), ..ends };
        let _turn = self.turns.acquire().await.ok()?;
        match self.lookaside.settled(bytes).await {
            Found::Answered(answer) => {
                self.observer.repeated(ends.from, ends.via);
                Some(answer)
            }
            Found::New(claim) => {
                let work = || self.decide(claim, ends, bytes, &mut OsRandom::new()).answer;
                // The other connections of this thread, the KDC's among them, must not wait for it.
                match Handle::current().runtime_flavor() {
                    RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
                    _ => work(),
                }
            }
            Found::Claimed => None,
        }
    }

    fn too_long(&self, from: SocketAddr) -> Answer {
        self.observer.too_long(canonical(from));
        self.service.too_long(now())
    }
}
