//! One door for tickets and for passwords, where there is no port to tell them apart. Not here: the doors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libkrb::wire::is_for_kdc;

use super::answers::{Answers, Ends, Hands, Post};
use super::lookaside::Answer;
use super::{Passwords, Responder};

/// A KDC and the service for changing passwords beside it.
pub struct Both {
    kdc: Arc<Responder>,
    passwords: Arc<Passwords>,
    changing: AtomicBool,
}

impl Both {
    /// Answers for both; for the second only if passwords are `changing` over the network.
    pub fn new(kdc: Arc<Responder>, passwords: Arc<Passwords>, changing: bool) -> Both {
        Both { kdc, passwords, changing: changing.into() }
    }

    /// Whether passwords can be changed from now on.
    pub fn change_passwords(&self, changing: bool) {
        self.changing.store(changing, Ordering::Relaxed);
    }
}

impl Answers for Both {
    /// These doors have connections only.
    fn datagram(&self, _: Ends, _: &[u8], _: &mut Hands, _: &dyn Fn() -> Post) -> Option<Answer> {
        None
    }

    fn too_big(&self, _request: &[u8]) -> Option<Answer> {
        None
    }

    async fn message(&self, ends: Ends, bytes: &[u8]) -> Option<Answer> {
        match is_for_kdc(bytes) {
            true => Answers::message(&*self.kdc, ends, bytes).await,
            false if self.changing.load(Ordering::Relaxed) => Answers::message(&*self.passwords, ends, bytes).await,
            false => None,
        }
    }

    fn too_long(&self, from: SocketAddr) -> Answer {
        Answers::too_long(&*self.kdc, from)
    }
}
