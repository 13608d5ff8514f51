//! What the sockets hold at the moment, for whoever watches. Not here: what the system holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Responder;
use super::guard::Rule;
use super::tcp::Held;
use crate::observe::facts::{Named, Net};

/// A look at a server from outside.
#[derive(Clone)]
pub struct Gauges {
    pub(super) serving: Arc<Serving>,
    pub(super) tcp: Held,
}

impl Gauges {
    /// How many threads and tasks serve, and how many of them have ended by a bug.
    pub fn serving(&self) -> (u64, u64) {
        (self.serving.now.load(Ordering::Relaxed), self.serving.fallen.load(Ordering::Relaxed))
    }

    /// How much there is of what the server holds.
    pub fn net(&self) -> Net {
        let (connections, connections_limit) = self.tcp.connections();
        let (request_memory, request_memory_limit) = self.tcp.memory();
        let (serving, fallen) = self.serving();
        Net {
            serving,
            fallen,
            connections: connections as u64,
            connections_limit: connections_limit as u64,
            request_memory: request_memory as u64,
            request_memory_limit: request_memory_limit as u64,
            ..Net::default()
        }
    }
}

impl Responder {
    /// How often which limit has turned somebody away, and how often one could not be noted for want of room.
    pub fn dropped(&self) -> Vec<Named> {
        let guard = self.guard();
        let turned = guard.turned();
        let rules = Rule::ALL.into_iter().map(|rule| (rule.name(), turned.away(rule)));
        let others =
            [("not_limited_for_want_of_room", turned.unnoted()), ("too_many_costly_requests", self.waiting().refused)];
        let all = rules.chain(others);
        all.filter(|(_, count)| *count > 0).map(|(name, count)| Named { name: name.to_owned(), count }).collect()
    }
}

/// How many threads and tasks serve sockets.
#[derive(Debug, Default)]
pub(super) struct Serving {
    now: AtomicU64,
    fallen: AtomicU64,
}

/// That one more serves, until it is dropped.
pub(super) struct Serves(Arc<Serving>);

impl Serving {
    pub fn begin(self: &Arc<Self>) -> Serves {
        self.now.fetch_add(1, Ordering::Relaxed);
        Serves(Arc::clone(self))
    }
}

impl Drop for Serves {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
        if std::thread::panicking() {
            self.0.fallen.fetch_add(1, Ordering::Relaxed);
        }
    }
}
