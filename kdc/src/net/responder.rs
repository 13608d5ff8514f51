//! From bytes to bytes: what every transport does with a request. What is little work is done on the
//! spot, what is much waits for a thread of the pool. Not here: sockets, and the answers (`desk`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use libkrb::replay::ReplayCache;
use tokio::sync::oneshot;

use super::answers::{Ends, Hands};
use super::desk::{Decided, Desk, Message, Place, Rules, now};
use super::guard::{self, Guard};
use super::lookaside::{Answer, Found, Lookaside};
use super::pool::{Fill, Pool};
use super::{Limits, Post, canonical};
use crate::core::{self, Attempts, KnownTgts, Policy, Store};
use crate::observe::{Observer, Transport};

/// How long those wait who are being answered when a socket ends.
const PATIENCE: Duration = Duration::from_secs(2);

/// A realm that answers.
pub struct Responder {
    desk: Arc<Desk>,
    pool: Pool,
}

fn rules(policy: Policy, guard: Arc<Guard>, limits: &Limits) -> Rules {
    let tickets = KnownTgts::new(limits.known_tickets, policy.clock_skew);
    Rules { policy, tickets, guard, max_udp_reply: limits.max_udp_reply }
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
        let rules = ArcSwap::from_pointee(rules(policy, guard, limits));
        let desk = Arc::new(Desk { rules, store, replays, attempts, observer, lookaside });
        Responder { desk, pool: Pool::new(limits.heavy_threads, limits.heavy_queue) }
    }

    /// Answers what is asked from now on by other rules. Where the rates stay as they are, so does
    /// who is limited.
    pub fn govern(&self, policy: Policy, rates: guard::Rates, limits: &Limits) {
        let old = self.guard();
        let guard = if *old.rates() == rates { old } else { Arc::new(Guard::new(rates, Arc::clone(old.turned()))) };
        self.desk.rules.store(Arc::new(rules(policy, guard, limits)));
    }

    /// How many answers are remembered, in how many bytes, and how many of these there may be.
    pub fn remembered(&self) -> (usize, usize, usize) {
        self.desk.lookaside.fill()
    }

    /// How many requests wait that are much work.
    pub fn waiting(&self) -> Fill {
        self.pool.fill()
    }

    /// Who guards its door.
    pub fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.desk.rules.load().guard)
    }

    /// The reply to a datagram; none for what deserves none, for a copy of a request that is being
    /// answered, and for one whose reply is posted later.
    pub(super) fn datagram(
        &self,
        from: SocketAddr,
        bytes: &[u8],
        hands: &mut Hands,
        post: &dyn Fn() -> Post,
    ) -> Option<Answer> {
        // The clock was read when the one before was done.
        let begun = hands.ended.take().unwrap_or_else(Instant::now);
        let message = Message { from: canonical(from), transport: Transport::Udp, bytes, begun };
        if let Some(reply) = datagram(&self.desk, message, Place::Door, hands) {
            return reply;
        }
        let (desk, from, request, post) = (Arc::clone(&self.desk), message.from, bytes.to_vec(), post());
        let job = move |hands: &mut Hands| {
            let message = Message { from, transport: Transport::Udp, bytes: &request, begun: Instant::now() };
            let reply = datagram(&desk, message, Place::Pool, hands).flatten();
            desk.commit(hands);
            match reply.map(|reply| post(&reply)) {
                None | Some(Ok(())) => {}
                Some(Err(error)) if too_long(&error) => {
                    let sent = desk.too_big(&request).map(|reply| post(&reply));
                    tracing::debug!(%from, ?sent, "sending a client to TCP");
                }
                Some(Err(error)) => tracing::debug!(%from, %error, "sending a reply"),
            }
        };
        if self.pool.submit(Transport::Udp, Box::new(job)) { None } else { self.desk.busy(message) }
    }

    /// Writes down what was answered.
    pub(super) fn commit(&self, hands: &mut Hands) {
        self.desk.commit(hands);
    }

    /// Whether anything is written down.
    pub(super) fn gathers(&self) -> bool {
        self.desk.observer.audit().is_some()
    }

    /// The reply that sends a client to TCP, if it is no longer than its request.
    pub(super) fn too_big(&self, request: &[u8]) -> Option<Answer> {
        self.desk.too_big(request)
    }

    /// The reply to a request that came over a connection.
    pub(super) async fn message(&self, ends: Ends, bytes: &[u8]) -> Option<Answer> {
        let message = Message { from: canonical(ends.from), transport: ends.via, bytes, begun: Instant::now() };
        let claim = match self.desk.lookaside.settled(bytes).await {
            Found::Answered(answer) => {
                self.desk.observer.repeated(message.from, message.transport);
                return Some(answer);
            }
            Found::New(claim) => claim,
            Found::Claimed => return None,
        };
        let mut hands = Hands::default();
        let decided = match self.desk.decide(message, Place::Door, &mut hands) {
            Some(decided) => {
                self.desk.commit(&mut hands);
                decided
            }
            None => match self.later(message) {
                Some(decided) => decided.await.ok()?,
                None => return self.desk.busy(message),
            },
        };
        decided.settle(claim);
        decided.answer
    }

    /// What the pool will decide; `None`: there is no room.
    fn later(&self, message: Message<'_>) -> Option<oneshot::Receiver<Decided>> {
        let (tell, told) = oneshot::channel();
        let (desk, request) = (Arc::clone(&self.desk), message.bytes.to_vec());
        let Message { from, transport, .. } = message;
        let job = move |hands: &mut Hands| {
            let message = Message { from, transport, bytes: &request, begun: Instant::now() };
            // Who has hung up meanwhile is done no work for.
            if !tell.is_closed()
                && let Some(decided) = desk.decide(message, Place::Pool, hands)
            {
                desk.commit(hands);
                let _ = tell.send(decided);
            }
        };
        self.pool.submit(transport, Box::new(job)).then_some(told)
    }

    /// The reply to a message that is longer than any request may be.
    pub(super) fn too_long(&self, from: SocketAddr) -> Answer {
        self.desk.observer.too_long(canonical(from));
        core::field_too_long(&self.desk.rules.load().policy, now())
    }

    /// Waits until those are answered who are waiting.
    pub(super) fn finish(&self) {
        self.pool.settle(PATIENCE);
    }
}

/// The reply to a datagram, if it deserves one; `None`: it is to be answered in the pool.
fn datagram(desk: &Desk, message: Message<'_>, place: Place, hands: &mut Hands) -> Option<Option<Answer>> {
    let (answer, longest) = match desk.lookaside.find(message.bytes, message.begun) {
        Found::Answered(answer) => {
            desk.observer.repeated(message.from, Transport::Udp);
            (Some(answer), desk.rules.load().max_udp_reply)
        }
        Found::Claimed => return Some(None),
        Found::New(claim) => {
            let decided = desk.decide(message, place, hands)?;
            decided.settle(claim);
            decided.datagram(message.bytes)
        }
    };
    Some(answer.and_then(|answer| desk.fit(answer, longest, message.bytes)))
}

/// Whether a reply was longer than a datagram may be on its way: IPv6 packets are not fragmented here.
pub(super) fn too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}
