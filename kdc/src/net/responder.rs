//! From bytes to bytes: what every transport does with a request. Reads the clock, looks aside, asks
//! the core and reports what happened. Not here: sockets.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use libkrb::Time;
use libkrb::crypto::{OsRandom, Random};
use libkrb::replay::{ReplayCache, ReplayKey, Verdict};
use libkrb::time::Instant as Moment;

use super::guard::{self, Guard, Rule, Watch};
use super::lookaside::{Answer, Claim, Found, Lookaside};
use super::{Limits, canonical};
use crate::core::{self, Arrival, Asked, Attempts, Exchange, Kdc, Outcome, Policy, Store};
use crate::observe::{Observer, Seen, Transport};

/// A realm that answers.
pub struct Responder {
    rules: ArcSwap<Rules>,
    store: Arc<dyn Store>,
    replays: Arc<dyn ReplayCache>,
    attempts: Arc<dyn Attempts>,
    observer: Arc<Observer>,
    lookaside: Lookaside,
}

/// What may become other while a realm is served. A request is answered by the rules that were in
/// force when it was begun.
struct Rules {
    policy: Policy,
    guard: Arc<Guard>,
    max_udp_reply: usize,
}

/// What came of asking the core.
struct Decided {
    answer: Option<Answer>,
    exchange: Exchange,
}

/// What a responder answers from.
pub struct Memories {
    /// The principals.
    pub store: Arc<dyn Store>,
    /// The authenticators that were seen.
    pub replays: Arc<dyn ReplayCache>,
    /// The proofs that failed.
    pub attempts: Arc<dyn Attempts>,
}

impl Responder {
    /// Answers by these rules from these memories, and reports to `observer`. Limits nobody's rate.
    pub fn new(policy: Policy, memories: Memories, observer: Arc<Observer>, limits: &Limits) -> Self {
        let Memories { store, replays, attempts } = memories;
        let lookaside = Lookaside::new(limits.lookaside_memory);
        let guard = Arc::new(Guard::new(guard::Rates::default(), Arc::default()));
        let rules = ArcSwap::from_pointee(Rules { policy, guard, max_udp_reply: limits.max_udp_reply });
        Responder { rules, store, replays, attempts, observer, lookaside }
    }

    /// Answers what is asked from now on by other rules. Where the rates stay as they are, so does
    /// who is limited.
    pub fn govern(&self, policy: Policy, rates: guard::Rates, limits: &Limits) {
        let old = Arc::clone(&self.rules.load().guard);
        let guard = if *old.rates() == rates { old } else { Arc::new(Guard::new(rates, Arc::clone(old.turned()))) };
        self.rules.store(Arc::new(Rules { policy, guard, max_udp_reply: limits.max_udp_reply }));
    }

    /// How many answers are remembered, in how many bytes, and how many of these there may be.
    pub fn remembered(&self) -> (usize, usize, usize) {
        self.lookaside.fill()
    }

    /// Who guards its door.
    pub fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.rules.load().guard)
    }

    /// The reply to a datagram; none for what deserves none, and for a copy of a request that is
    /// being answered.
    pub(super) fn datagram(&self, from: SocketAddr, bytes: &[u8], random: &mut dyn Random) -> Option<Answer> {
        let from = canonical(from);
        let answer = match self.lookaside.find(bytes, Instant::now()) {
            Found::Answered(answer) => {
                self.observer.repeated(from, Transport::Udp);
                answer
            }
            Found::Claimed => return None,
            Found::New(claim) => {
                let Decided { answer, exchange } = self.decide(claim, from, Transport::Udp, bytes, random);
                // Nobody shall gain by sending us junk in somebody else's name.
                answer.filter(|answer| exchange != Exchange::Other || answer.len() <= bytes.len())?
            }
        };
        if answer.len() <= self.rules.load().max_udp_reply { Some(answer) } else { self.too_big(bytes) }
    }

    /// The reply that sends a client to TCP, if it is no longer than its request.
    pub(super) fn too_big(&self, request: &[u8]) -> Option<Answer> {
        let answer = core::too_big(&self.rules.load().policy, now());
        (answer.len() <= request.len()).then(|| answer.into())
    }

    /// The reply to a request that came over a connection.
    pub(super) async fn message(&self, from: SocketAddr, bytes: &[u8]) -> Option<Answer> {
        let from = canonical(from);
        match self.lookaside.settled(bytes).await {
            Found::Answered(answer) => {
                self.observer.repeated(from, Transport::Tcp);
                Some(answer)
            }
            Found::New(claim) => self.decide(claim, from, Transport::Tcp, bytes, &mut OsRandom::new()).answer,
            Found::Claimed => None,
        }
    }

    /// The reply to a message that is longer than any request may be.
    pub(super) fn too_long(&self, from: SocketAddr) -> Answer {
        self.observer.too_long(canonical(from));
        core::field_too_long(&self.rules.load().policy, now()).into()
    }

    /// What one hears who is over a limit. Only counted: a line in the log for each would be more
    /// work than the answers that are saved.
    fn turned_away(&self, rules: &Rules, rule: Rule, transport: Transport, bytes: &[u8]) -> Decided {
        let answer = match (rules.guard.rates().answer, transport) {
            (guard::Answer::Drop, _) => None,
            // Over TCP its address is its own.
            (guard::Answer::Error, Transport::Udp) if rule.of_source() => self.too_big(bytes),
            (guard::Answer::Error, _) => Some(core::limited(&rules.policy, now()).into()),
        };
        Decided { answer, exchange: Exchange::Other }
    }

    fn decide(
        &self,
        claim: Claim<'_>,
        from: SocketAddr,
        transport: Transport,
        bytes: &[u8],
        random: &mut dyn Random,
    ) -> Decided {
        let (at, started) = (now(), Instant::now());
        let rules = self.rules.load();
        let mut watch = rules.guard.watch(from.ip(), transport, started);
        if let Some(rule) = watch.as_ref().and_then(Watch::turns_away) {
            return self.turned_away(&rules, rule, transport, bytes);
        }
        let replays = Noted { cache: &*self.replays, left_a_trace: AtomicBool::new(false) };
        let kdc = Kdc { policy: &rules.policy, store: &*self.store, replays: &replays, attempts: &*self.attempts };
        let arrival = Arrival { now: at, from: Some(from.ip()) };
        // A bug that one request can trigger must not cost the others their KDC.
        let mut refused = None;
        let mut admit = |asked: &Asked<'_>| {
            refused = watch.as_mut().and_then(|watch| watch.refuses(asked));
            refused.is_none()
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| core::handle_if(&kdc, arrival, random, bytes, &mut admit)));
        let Outcome { reply, event } = match (outcome, refused) {
            (Ok(Some(outcome)), _) => outcome,
            (Ok(None), Some(rule)) => return self.turned_away(&rules, rule, transport, bytes),
            _ => {
                self.observer.panicked(from, transport);
                return Decided { answer: None, exchange: Exchange::Other };
            }
        };
        if let Some(rule) = watch.and_then(|watch| watch.ended(&event)) {
            let (rule, client) = (rule.name(), event.client.as_ref().map(ToString::to_string));
            tracing::warn!(target: "kdc", %from, client, rule, "too many failures: limited from now on");
        }
        let answer = reply.map(Answer::from);
        if let Some(answer) = answer.as_ref().filter(|_| replays.left_a_trace.into_inner()) {
            claim.settle(Arc::clone(answer));
        }
        let exchange = event.exchange;
        self.observer.observe(&Seen { event: &event, from, transport, at, took: started.elapsed() });
        Decided { answer, exchange }
    }
}

/// The clock of the KDC.
pub(super) fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment::from_micros(i64::try_from(since.as_micros()).unwrap_or_default())
}

/// A replay cache that notes whether it will refuse the same request when it comes again. Exactly
/// then the answer must be remembered.
struct Noted<'a> {
    cache: &'a dyn ReplayCache,
    left_a_trace: AtomicBool,
}

impl ReplayCache for Noted<'_> {
    fn insert(&self, key: ReplayKey, time: Time, now: Time) -> Verdict {
        let verdict = self.cache.insert(key, time, now);
        if verdict == Verdict::Fresh {
            self.left_a_trace.store(true, Ordering::Relaxed);
        }
        verdict
    }
}
