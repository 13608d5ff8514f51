//! What became of requests, for metrics: the layers tell an observer, once for each request. Not
//! here: the log, which `tracing` has.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Reason;
use crate::http::{Caller, How};

/// What became of a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// Its caller is known; [`Caller::how`] says by what.
    Accepted(&'a Caller),
    /// It brought nothing, where nothing is required.
    Anonymous,
    /// It is not let in.
    Refused(&'a Reason),
}

/// Hears what becomes of requests. It is called on the request's way, so it has to be quick.
pub trait Observer: Send + Sync {
    /// A request was decided on.
    fn observe(&self, outcome: Outcome<'_>);
}

impl<F: Fn(Outcome<'_>) + Send + Sync> Observer for F {
    fn observe(&self, outcome: Outcome<'_>) {
        self(outcome);
    }
}

/// An observer that counts.
#[derive(Default)]
pub struct Counters {
    negotiated: AtomicU64,
    sessions: AtomicU64,
    anonymous: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    /// Requests let in by a ticket.
    pub fn negotiated(&self) -> u64 {
        self.negotiated.load(Ordering::Relaxed)
    }

    /// Requests let in by a session.
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Requests let in without a caller.
    pub fn anonymous(&self) -> u64 {
        self.anonymous.load(Ordering::Relaxed)
    }

    /// Requests not let in, by the code of a refused token (`KRB_AP_ERR_REPEAT`) or else by
    /// [`Reason::name`] (`no-credentials`): constant names, a few dozen at most.
    pub fn refused(&self) -> BTreeMap<&'static str, u64> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Counters {
    fn observe(&self, outcome: Outcome<'_>) {
        let counter = match outcome {
            Outcome::Accepted(caller) if caller.how() == How::Session => &self.sessions,
            Outcome::Accepted(_) => &self.negotiated,
            Outcome::Anonymous => &self.anonymous,
            Outcome::Refused(reason) => {
                let name = reason.code().map_or(reason.name(), |code| code.name());
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
                return;
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters")
            .field("negotiated", &self.negotiated())
            .field("sessions", &self.sessions())
            .field("anonymous", &self.anonymous())
            .field("refused", &self.refused())
            .finish()
    }
}
