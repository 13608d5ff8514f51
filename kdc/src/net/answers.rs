//! What stands behind the sockets: a KDC, or a service beside it that is asked in the same way.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use libkrb::crypto::KeptRandom;

use super::Responder;
use super::lookaside::Answer;
use crate::observe::{Lines, Transport};

/// The ends of a message's way.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Who sent it.
    pub from: SocketAddr,
    /// Our address that it was sent to, where the system tells.
    pub to: Option<IpAddr>,
    /// What it came over.
    pub via: Transport,
}

/// What a thread that answers has for itself.
#[derive(Debug)]
pub struct Hands {
    /// Where its unpredictable bytes come from.
    pub random: KeptRandom,
    /// What is to be written down before its replies are sent.
    pub lines: Lines,
    /// When it was done with a request, where the next one was there already: then that was begun.
    pub(super) ended: Option<Instant>,
}

impl Default for Hands {
    fn default() -> Self {
        Hands { random: KeptRandom::take(), lines: Lines::default(), ended: None }
    }
}

/// Sends a reply to who sent a datagram, some time later.
pub type Post = Box<dyn Fn(&[u8]) -> io::Result<()> + Send>;

/// Answers messages of strangers.
pub trait Answers: Send + Sync + 'static {
    /// How many datagrams are received at once, and their replies sent at once when all are made: what is much
    /// work is not kept waiting for more of it.
    const AT_ONCE: usize = udp_batch::BATCH;

    /// The reply to a datagram; none for what deserves none, and where it is posted later.
    fn datagram(&self, ends: Ends, bytes: &[u8], hands: &mut Hands, post: &dyn Fn() -> Post) -> Option<Answer>;
    /// Writes down what was answered. No reply is sent before.
    fn commit(&self, _hands: &mut Hands) {}
    /// Whether that is work, and less for many at once.
    fn gathers(&self) -> bool {
        false
    }
    /// The reply that sends a client to TCP, if it is no longer than its request.
    fn too_big(&self, request: &[u8]) -> Option<Answer>;
    /// The reply to a message that came over a connection; without one the connection ends.
    fn message(&self, ends: Ends, bytes: &[u8]) -> impl Future<Output = Option<Answer>> + Send;
    /// The reply to a message that is longer than any request may be.
    fn too_long(&self, from: SocketAddr) -> Answer;
    /// Waits until every reply is posted that is to be; for a while.
    fn finish(&self) {}
}

impl Answers for Responder {
    fn datagram(&self, ends: Ends, bytes: &[u8], hands: &mut Hands, post: &dyn Fn() -> Post) -> Option<Answer> {
        self.datagram(ends.from, bytes, hands, post)
    }

    fn commit(&self, hands: &mut Hands) {
        self.commit(hands);
    }

    fn gathers(&self) -> bool {
        self.gathers()
    }

    fn too_big(&self, request: &[u8]) -> Option<Answer> {
        self.too_big(request)
    }

    async fn message(&self, ends: Ends, bytes: &[u8]) -> Option<Answer> {
        self.message(ends, bytes).await
    }

    fn too_long(&self, from: SocketAddr) -> Answer {
        self.too_long(from)
    }

    fn finish(&self) {
        self.finish();
    }
}
