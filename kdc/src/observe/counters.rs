//! How often what happened, since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use libkrb::ErrorCode;

use crate::core::Exchange;

/// Codes up to this one are counted apart; RFC 4120 and its successors use up to 100.
const CODES: usize = 128;

/// Counts by exchange and outcome.
#[derive(Debug)]
pub struct Counters {
    /// Outcome 0 is an issued ticket; what has no place of its own counts as GENERIC.
    outcomes: [[AtomicU64; CODES]; 3],
    repeated: AtomicU64,
    /// Administrators' calls by operation and outcome: of neither is there an endless number.
    calls: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

/// One line of the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The kind of request.
    pub exchange: Exchange,
    /// What it was refused with; `None`: issued.
    pub refusal: Option<ErrorCode>,
    /// How often.
    pub count: u64,
}

impl Default for Counters {
    fn default() -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Counters { outcomes: [zeros(), zeros(), zeros()], repeated: AtomicU64::new(0), calls: Mutex::default() }
    }
}

impl Counters {
    pub(super) fn add(&self, exchange: Exchange, refusal: Option<ErrorCode>) {
        let outcomes = &self.outcomes[exchange as usize];
        let code = refusal.map_or(0, |code| usize::try_from(code.0).ok().filter(|code| *code != 0).unwrap_or(CODES));
        let place = outcomes.get(code).unwrap_or(&outcomes[ErrorCode::GENERIC.0 as usize]);
        place.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn called(&self, operation: &'static str, outcome: &'static str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry((operation, outcome)).or_default() += 1;
    }

    pub(super) fn repeated(&self) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything that happened at least once.
    pub fn counts(&self) -> Vec<Count> {
        let exchanges = [Exchange::As, Exchange::Tgs, Exchange::Other];
        let counts = exchanges.into_iter().flat_map(|exchange| {
            self.outcomes[exchange as usize].iter().enumerate().map(move |(code, count)| Count {
                exchange,
                refusal: (code != 0).then_some(ErrorCode(code as i32)),
                count: count.load(Ordering::Relaxed),
            })
        });
        counts.filter(|count| count.count > 0).collect()
    }

    /// Requests that came again and got the same answer again.
    pub fn answered_again(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }
}
