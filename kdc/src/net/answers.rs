//! What stands behind the sockets: a KDC, or a service beside it that is asked in the same way.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};

use libkrb::crypto::Random;

use super::Responder;
use super::lookaside::Answer;
use crate::observe::Transport;

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

/// Sends a reply to who sent a datagram, some time later.
pub type Post = Box<dyn Fn(&[u8]) -> io::Result<()> + Send>;

/// Answers messages of strangers.
pub trait Answers: Send + Sync + 'static {
    /// The reply to a datagram; none for what deserves none, and where it is posted later.
    fn datagram(&self, ends: Ends, bytes: &[u8], random: &mut dyn Random, post: &dyn Fn() -> Post) -> Option<Answer>;
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
    fn datagram(&self, ends: Ends, bytes: &[u8], random: &mut dyn Random, post: &dyn Fn() -> Post) -> Option<Answer> {
        self.datagram(ends.from, bytes, random, post)
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
