//! What happened, told to those who run the realm: a log line and, when wanted, an audit record for
//! each request and each call of administration; counters, and who asks most. Reads the core's events; decides nothing.

mod audit;
mod change;
mod counters;
pub mod facts;
mod histogram;
mod line;
mod log;
pub mod metrics;
#[cfg(feature = "otel")]
mod otel;
mod people;
mod record;
mod seats;
mod slots;
mod text;

use std::net::SocketAddr;
use std::time::Duration;

use libkrb::ErrorCode;
use libkrb::time::Instant;

pub use audit::{Audit, Broken, ChainKey, Fault, Head, Lines, Plan, Rotation, Sync, Verified, usable, verify};
pub use change::{Called, Changed};
pub use counters::{Count, Counters};
pub use histogram::{BOUNDS, percentile};
pub use log::start_log;
#[cfg(feature = "otel")]
pub use otel::Traces;
pub use people::People;
pub use record::clipped;

use crate::core::{Event, Exchange};
use change::CallRecord;

/// What a request came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
    /// A POST (MS-KKDCP).
    Https,
    /// A connection to a socket in the file system.
    Unix,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 4] = [Transport::Udp, Transport::Tcp, Transport::Https, Transport::Unix];

    /// Its name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Https => "https",
            Transport::Unix => "unix",
        }
    }
}

/// A request that was answered, and what is known of it besides what the core says.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What the core says.
    pub event: &'a Event,
    /// Who sent it.
    pub from: SocketAddr,
    /// What it came over.
    pub transport: Transport,
    /// When it was decided.
    pub at: Instant,
    /// How long that took.
    pub took: Duration,
}

/// Where events go.
#[derive(Debug, Default)]
pub struct Observer {
    counters: Counters,
    people: People,
    audit: Option<Audit>,
    #[cfg(feature = "otel")]
    traces: Option<Traces>,
}

impl Observer {
    /// Logs, counts and, with `audit`, records.
    pub fn new(audit: Option<Audit>) -> Self {
        Observer { audit, ..Observer::default() }
    }

    /// Tells of every request also there.
    #[cfg(feature = "otel")]
    pub fn trace(&mut self, traces: Traces) {
        self.traces = Some(traces);
    }

    /// How often what happened.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Who asks, and who is refused.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// The audit, if there is one.
    pub fn audit(&self) -> Option<&Audit> {
        self.audit.as_ref()
    }

    /// A request was decided.
    pub fn observe(&self, seen: &Seen<'_>) {
        let mut lines = Lines::default();
        self.note(seen, &mut lines);
        self.commit(&mut lines);
    }

    /// Has what was noted of requests written down. Before that none of them is answered.
    pub fn commit(&self, lines: &mut Lines) {
        if let Some(audit) = &self.audit {
            audit.commit(lines);
        }
    }

    /// A request was decided; the audit has it with the next [`Observer::commit`] of these lines.
    pub fn note(&self, seen: &Seen<'_>, lines: &mut Lines) {
        let event = seen.event;
        self.counters.request(seen);
        self.people.note(seen);
        #[cfg(feature = "otel")]
        if let Some(traces) = &self.traces {
            traces.note(seen);
        }
        let level = log::level(event);
        if log::wants(level) {
            log::write(level, seen);
        }
        if self.audit.is_some() {
            lines.tell(seen);
        }
    }

    /// An administrator's call was answered.
    pub fn changed(&self, called: &Called<'_>) {
        let outcome = called.outcome();
        self.counters.called(called.operation, outcome);
        let Called { operation, from, .. } = called;
        let (by, subject, cause) = (clipped(called.by.to_owned()), called.told_subject().0, called.told_cause());
        tracing::info!(target: log::TARGET, operation, subject, by, from, outcome, cause, "administration");
        if let Some(audit) = &self.audit {
            let record = CallRecord::new(called);
            if called.is_change() {
                audit.append_change(&record);
            } else {
                audit.append(&record);
            }
        }
    }

    /// The same request came again and got the same answer.
    pub fn repeated(&self, from: SocketAddr, transport: Transport) {
        self.counters.repeated(transport);
        tracing::debug!(target: log::TARGET, %from, via = transport.name(), "answered again");
    }

    /// Something was turned away before anybody looked at what it asks.
    pub fn dropped(&self, why: &'static str) {
        self.counters.dropped(why);
    }

    /// A message was longer than any request.
    pub fn too_long(&self, from: SocketAddr) {
        self.counters.add(Exchange::Other, Some(ErrorCode::FIELD_TOOLONG));
        tracing::debug!(target: log::TARGET, %from, via = Transport::Tcp.name(), "message too long");
    }

    /// A request met a bug of ours.
    pub fn panicked(&self, from: SocketAddr, transport: Transport) {
        self.counters.add(Exchange::Other, Some(ErrorCode::GENERIC));
        tracing::error!(target: log::TARGET, %from, via = transport.name(), "a request was dropped because of a bug in the KDC; please report it");
    }
}

#[cfg(test)]
mod tests;
