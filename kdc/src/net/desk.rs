//! One request answered, wherever that is done: reads the clock, looks aside, asks the core and reports
//! what happened. Not here: sockets, and which requests wait for others (`responder`).

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use libkrb::Time;
use libkrb::replay::{ReplayCache, ReplayKey, Verdict};
use libkrb::time::Instant as Moment;

use super::answers::Hands;
use super::guard::{self, Guard, Rule, Watch};
use super::lookaside::{Answer, Claim, Lookaside};
use crate::core::{self, Arrival, Asked, Attempts, Cost, Event, Exchange, Kdc, KnownTgts, Policy, Store};
use crate::observe::{Observer, Seen, Transport};

/// What answers requests.
pub struct Desk {
    pub rules: ArcSwap<Rules>,
    pub store: Arc<dyn Store>,
    pub replays: Arc<dyn ReplayCache>,
    pub attempts: Arc<dyn Attempts>,
    pub observer: Arc<Observer>,
    pub lookaside: Lookaside,
}

/// What may become other while a realm is served. A request is answered by the rules that were in
/// force when it was begun.
pub struct Rules {
    pub policy: Policy,
    pub tickets: KnownTgts,
    pub guard: Arc<Guard>,
    pub max_udp_reply: usize,
}

/// What came of asking the core.
pub struct Decided {
    pub answer: Option<Answer>,
    exchange: Exchange,
    /// No longer reply goes as a datagram.
    longest: usize,
    /// Whether the same request would be refused when it comes again: then the answer is remembered.
    left_a_trace: bool,
}

/// A message as it came.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub from: SocketAddr,
    pub transport: Transport,
    pub bytes: &'a [u8],
    /// When it was taken up.
    pub begun: Instant,
}

/// Where a request is being looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where it arrived: there it is let in or turned away, and answered if it is little work.
    Door,
    /// Where those are answered that are much work, and were let in.
    Pool,
}

impl Decided {
    fn unheard(answer: Option<Answer>) -> Decided {
        Decided { answer, exchange: Exchange::Other, longest: usize::MAX, left_a_trace: false }
    }

    /// Remembers the answer if need be, for all who bring the same bytes from now on.
    pub fn settle(&self, claim: Claim<'_>) {
        if let Some(answer) = self.answer.as_ref().filter(|_| self.left_a_trace) {
            claim.settle(answer);
        }
    }

    /// The answer as a datagram, and how long it may be: nobody shall gain by sending us junk in somebody else's name.
    pub fn datagram(self, request: &[u8]) -> (Option<Answer>, usize) {
        let gains = |answer: &Answer| self.exchange == Exchange::Other && answer.len() > request.len();
        (self.answer.filter(|answer| core::is_request(request) && !gains(answer)), self.longest)
    }
}

impl Desk {
    /// The reply that sends a client to TCP, if it is no longer than its request.
    pub fn too_big(&self, request: &[u8]) -> Option<Answer> {
        let answer = core::too_big(&self.rules.load().policy, now());
        (answer.len() <= request.len()).then_some(answer)
    }

    /// The same answer, unless it is too long for a datagram.
    pub fn fit(&self, answer: Answer, longest: usize, request: &[u8]) -> Option<Answer> {
        if answer.len() <= longest { Some(answer) } else { self.too_big(request) }
    }

    /// Writes down what was noted. Before that no reply is sent.
    pub fn commit(&self, hands: &mut Hands) {
        self.observer.commit(&mut hands.lines);
        hands.ended = None;
    }

    /// What one hears for whom there was no room among those who wait for much work. A datagram is sent
    /// to TCP, where others' datagrams take no room away.
    pub fn busy(&self, message: Message<'_>) -> Option<Answer> {
        let rules = self.rules.load();
        match (rules.guard.rates().answer, message.transport) {
            (guard::Answer::Drop, _) => None,
            (guard::Answer::Error, Transport::Udp) => self.too_big(message.bytes),
            (guard::Answer::Error, _) => Some(core::busy(&rules.policy, now())),
        }
    }

    /// What one hears who is over a limit. Only counted: a line in the log for each would be more
    /// work than the answers that are saved.
    fn turned_away(&self, rules: &Rules, rule: Rule, message: Message<'_>) -> Decided {
        Decided::unheard(match (rules.guard.rates().answer, message.transport) {
            (guard::Answer::Drop, _) => None,
            // Over TCP its address is its own.
            (guard::Answer::Error, Transport::Udp) if rule.of_source() => self.too_big(message.bytes),
            (guard::Answer::Error, _) => Some(core::limited(&rules.policy, now())),
        })
    }

    /// Decides a request. `None`: it is much work, and to be decided in the pool. Before the answer is sent, what was
    /// noted of it is to be committed.
    pub fn decide(&self, message: Message<'_>, place: Place, hands: &mut Hands) -> Option<Decided> {
        let Hands { random, lines, ended } = hands;
        let Message { from, transport, bytes, begun } = message;
        let (at, rules) = (now(), self.rules.load());
        let mut watch = rules.guard.watch(from.ip(), transport, begun);
        if let Some(rule) = watch.as_ref().filter(|_| place == Place::Door).and_then(Watch::turns_away) {
            return Some(self.turned_away(&rules, rule, message));
        }
        let replays = Noted { cache: &*self.replays, left_a_trace: AtomicBool::new(false) };
        let Rules { policy, tickets, .. } = &**rules;
        let kdc = Kdc { policy, store: &*self.store, replays: &replays, attempts: &*self.attempts, tickets };
        let arrival = Arrival { now: at, from: Some(from.ip()) };
        let (mut event, mut refused) = (Event::default(), None);
        let mut admit = |asked: &Asked<'_>| {
            if place == Place::Pool {
                watch.iter_mut().for_each(|watch| watch.sees(asked));
                return true;
            }
            refused = watch.as_mut().and_then(|watch| watch.refuses(asked));
            refused.is_none() && asked.cost == Cost::Light
        };
        // A bug that one request can trigger must not cost the others their KDC.
        let asked = (bytes, &mut admit as _);
        let answer = catch_unwind(AssertUnwindSafe(|| core::handle_if(&kdc, arrival, random, asked, &mut event)));
        let reply = match (answer, refused) {
            (Ok(core::Answer::Reply(reply)), _) => Some(reply),
            (Ok(core::Answer::Silence), _) => None,
            (Ok(core::Answer::NotAdmitted), Some(rule)) => return Some(self.turned_away(&rules, rule, message)),
            (Ok(core::Answer::NotAdmitted), None) => return None,
            (Err(_), _) => {
                self.observer.panicked(from, transport);
                return Some(Decided::unheard(None));
            }
        };
        if let Some(rule) = watch.and_then(|watch| watch.ended(&event)) {
            let (rule, client) = (rule.name(), event.client.as_ref().map(ToString::to_string));
            tracing::warn!(target: "kdc", %from, client, rule, "too many failures: limited from now on");
        }
        let took = ended.insert(Instant::now()).saturating_duration_since(begun);
        self.observer.note(&Seen { event: &event, from, transport, at, took }, lines);
        let (longest, left_a_trace) = (rules.max_udp_reply, replays.left_a_trace.into_inner());
        Some(Decided { answer: reply, exchange: event.exchange, longest, left_a_trace })
    }
}

/// The clock of the KDC.
pub fn now() -> Moment {
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
