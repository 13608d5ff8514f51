//! How often what happened, since the start. Most threads count in a shard of their own, with plain additions, and those
//! beyond share a few, so that two cores do not wait for each other's cache lines; who reads adds the shards up. No lock
//! is taken for a request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use libkrb::ErrorCode;
use libkrb::codes::EncryptionType;

use super::facts::{CallCount, EtypeCount, Latency, Named, OutcomeCount, Traffic};
use super::histogram::{BOUNDED, Histogram};
use super::record::{done, exchange};
use super::slots::Slots;
use super::{Seen, Transport, seats};
use crate::core::Exchange;

/// Codes up to this one are counted apart; RFC 4120 and its successors use up to 100.
const CODES: usize = 128;
/// Constant words of refusals, and of what is turned away before it is a request.
const CAUSES: usize = 256;
/// Ways to prove oneself.
const PROOFS: usize = 16;
/// Kinds of armor.
const ARMORS: usize = 8;
/// Shards of those threads that have none of their own.
const SHARED: usize = 8;

const EXCHANGES: [Exchange; 5] = [Exchange::As, Exchange::Tgs, Exchange::Kpasswd, Exchange::Fetch, Exchange::Other];
/// Those that a ticket can have; any other is counted after them.
const ETYPES: [EncryptionType; 7] = [
    EncryptionType::AES256_SHA1,
    EncryptionType::AES128_SHA1,
    EncryptionType::AES256_SHA384,
    EncryptionType::AES128_SHA256,
    EncryptionType::CAMELLIA256,
    EncryptionType::CAMELLIA128,
    EncryptionType::RC4_HMAC,
];
/// Indicators that are counted by their names, at most.
const INDICATORS: usize = 64;
/// What an enctype of a reply is used for.
const USES: [&str; 3] = ["ticket", "session", "reply"];

/// Counts by exchange and outcome, and by all else that is told of requests.
#[derive(Debug)]
pub struct Counters {
    /// The first have one thread each, by its number; the last [`SHARED`] any.
    shards: Box<[Shard]>,
    causes: Slots<CAUSES>,
    proofs: Slots<PROOFS>,
    armors: Slots<ARMORS>,
    drops: Slots<PROOFS>,
    dropped: [AtomicU64; PROOFS],
    /// Administrators' calls by operation and outcome: of neither is there an endless number.
    calls: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// Logins by indicator. The realm's settings and its methods make them, so there are few.
    indicators: Mutex<BTreeMap<String, u64>>,
}

/// One part of the counts, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    /// Outcome 0 is an issued ticket or a changed password; what has no place of its own counts as GENERIC.
    outcomes: [[AtomicU64; CODES]; EXCHANGES.len()],
    causes: [AtomicU64; CAUSES],
    proofs: [AtomicU64; PROOFS],
    armors: [AtomicU64; ARMORS],
    etypes: [[AtomicU64; ETYPES.len() + 1]; 3],
    latency: [Histogram; EXCHANGES.len()],
    transports: [AtomicU64; Transport::ALL.len()],
    repeated: AtomicU64,
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

/// Where a thread counts.
struct Own<'a> {
    shard: &'a Shard,
    /// Nobody else counts there.
    alone: bool,
}

impl Default for Counters {
    fn default() -> Self {
        // For each core one that answers datagrams and one that serves connections, and some besides.
        let own = 2 * thread::available_parallelism().map_or(1, usize::from) + 4;
        Counters {
            shards: (0..own + SHARED).map(|_| Shard::default()).collect(),
            causes: Slots::new(),
            proofs: Slots::new(),
            armors: Slots::new(),
            drops: Slots::new(),
            dropped: zeros(),
            calls: Mutex::default(),
            indicators: Mutex::default(),
        }
    }
}

impl Default for Shard {
    fn default() -> Self {
        Shard {
            outcomes: std::array::from_fn(|_| zeros()),
            causes: zeros(),
            proofs: zeros(),
            armors: zeros(),
            etypes: std::array::from_fn(|_| zeros()),
            latency: Default::default(),
            transports: zeros(),
            repeated: AtomicU64::new(0),
        }
    }
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

/// One more, or so many: `alone`: nobody else adds to this count, so that it needs no lock of its cache line.
pub(super) fn add(count: &AtomicU64, more: u64, alone: bool) {
    if alone {
        count.store(count.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    } else {
        count.fetch_add(more, Ordering::Relaxed);
    }
}

impl Counters {
    fn own(&self) -> Own<'_> {
        let own = self.shards.len() - SHARED;
        let number = seats::of_this_thread().unwrap_or(own);
        let (place, alone) = if number < own { (number, true) } else { (own + number % SHARED, false) };
        Own { shard: &self.shards[place], alone }
    }

    /// A request was decided.
    pub(super) fn request(&self, seen: &Seen<'_>) {
        let (event, own) = (seen.event, self.own());
        let shard = own.shard;
        own.outcome(event.exchange, event.refusal.map(|(code, _)| code));
        own.bump(shard.transports.get(seen.transport as usize));
        if let Some(latency) = shard.latency.get(event.exchange as usize) {
            latency.add(seen.took, own.alone);
        }
        if let Some((_, cause)) = event.refusal {
            own.bump(shard.causes.get(self.causes.place(cause)));
        }
        if matches!(event.exchange, Exchange::As | Exchange::Tgs) {
            let armor = if event.armor.is_empty() { "none" } else { event.armor };
            own.bump(shard.armors.get(self.armors.place(armor)));
        }
        let Some(issued) = &event.issued else { return };
        if event.exchange == Exchange::As {
            let proof = if event.proof.is_empty() { "none" } else { event.proof };
            own.bump(shard.proofs.get(self.proofs.place(proof)));
            self.proven(&event.indicators);
        }
        let etypes = [issued.ticket_etype, issued.session_etype, issued.reply_etype];
        for (counts, etype) in shard.etypes.iter().zip(etypes) {
            let place = ETYPES.iter().position(|known| *known == etype).unwrap_or(ETYPES.len());
            own.bump(counts.get(place));
        }
    }

    fn proven(&self, indicators: &[String]) {
        if indicators.is_empty() {
            return;
        }
        let mut counts = self.indicators.lock().unwrap_or_else(PoisonError::into_inner);
        for indicator in indicators {
            let known = counts.len() < INDICATORS || counts.contains_key(indicator);
            *counts.entry(if known { indicator.clone() } else { "other".to_owned() }).or_default() += 1;
        }
    }

    pub(super) fn add(&self, exchange: Exchange, refusal: Option<ErrorCode>) {
        self.own().outcome(exchange, refusal);
    }

    pub(super) fn called(&self, operation: &'static str, outcome: &'static str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry((operation, outcome)).or_default() += 1;
    }

    pub(super) fn repeated(&self, transport: Transport) {
        let own = self.own();
        own.bump(own.shard.transports.get(transport as usize));
        own.bump(Some(&own.shard.repeated));
    }

    pub(super) fn dropped(&self, why: &'static str) {
        if let Some(count) = self.dropped.get(self.drops.place(why)) {
            add(count, 1, false);
        }
    }

    /// Every outcome that came at least once.
    pub fn counts(&self) -> Vec<Count> {
        let each = EXCHANGES.into_iter().flat_map(|exchange| (0..CODES).map(move |code| (exchange, code)));
        let counts = each.map(|(exchange, code)| Count {
            exchange,
            refusal: (code != 0).then_some(ErrorCode(code as i32)),
            count: self.sum(|shard| shard.outcomes.get(exchange as usize)?.get(code)),
        });
        counts.filter(|count| count.count > 0).collect()
    }

    /// Requests that came again and got the same answer again.
    pub fn answered_again(&self) -> u64 {
        self.sum(|shard| Some(&shard.repeated))
    }

    /// All counts.
    pub fn traffic(&self) -> Traffic {
        let named = |name: &str, count| Named { name: name.to_owned(), count };
        Traffic {
            requests: self.counts().iter().map(outcome).collect(),
            transports: Transport::ALL
                .map(|it| named(it.name(), self.sum(|shard| shard.transports.get(it as usize))))
                .to_vec(),
            answered_again: self.answered_again(),
            refusals: self.by_name(&self.causes, |shard| &shard.causes),
            proofs: self.by_name(&self.proofs, |shard| &shard.proofs),
            armors: self.by_name(&self.armors, |shard| &shard.armors),
            etypes: self.etypes(),
            latency: EXCHANGES.map(|exchange| self.latency(exchange)).to_vec(),
            dropped: present(self.drops.names().map(|(place, name)| {
                named(name, self.dropped.get(place).map_or(0, |count| count.load(Ordering::Relaxed)))
            })),
            calls: self.calls(),
            indicators: self.indicators(),
        }
    }

    fn indicators(&self) -> Vec<Named> {
        let counts = self.indicators.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(name, count)| Named { name: name.clone(), count: *count }).collect()
    }

    fn calls(&self) -> Vec<CallCount> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |((operation, outcome), count): (&(&str, &str), &u64)| CallCount {
            operation: (*operation).to_owned(),
            outcome: (*outcome).to_owned(),
            count: *count,
        };
        calls.iter().map(line).collect()
    }

    fn sum<'a>(&'a self, of: impl Fn(&'a Shard) -> Option<&'a AtomicU64>) -> u64 {
        self.shards.iter().filter_map(of).map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn by_name<const N: usize>(&self, slots: &Slots<N>, of: impl Fn(&Shard) -> &[AtomicU64; N]) -> Vec<Named> {
        let names = slots.names();
        present(
            names.map(|(place, name)| Named { name: name.to_owned(), count: self.sum(|shard| of(shard).get(place)) }),
        )
    }

    fn etypes(&self) -> Vec<EtypeCount> {
        let names = ETYPES.iter().map(ToString::to_string).chain(["other".to_owned()]).enumerate();
        let lines = names.flat_map(|(place, etype)| {
            USES.iter().enumerate().map(move |(row, used_for)| (place, row, *used_for, etype.clone()))
        });
        let lines = lines.map(|(place, row, used_for, etype)| EtypeCount {
            used_for: used_for.to_owned(),
            etype,
            count: self.sum(|shard| shard.etypes.get(row)?.get(place)),
        });
        lines.filter(|line| line.count > 0).collect()
    }

    fn latency(&self, of: Exchange) -> Latency {
        let (mut buckets, mut nanos) = (vec![0; BOUNDED + 1], 0);
        for histogram in self.shards.iter().filter_map(|shard| shard.latency.get(of as usize)) {
            histogram.collect(&mut buckets, &mut nanos);
        }
        Latency { exchange: exchange(of).to_owned(), buckets, nanos }
    }
}

impl Own<'_> {
    fn bump(&self, count: Option<&AtomicU64>) {
        if let Some(count) = count {
            add(count, 1, self.alone);
        }
    }

    fn outcome(&self, exchange: Exchange, refusal: Option<ErrorCode>) {
        let Some(outcomes) = self.shard.outcomes.get(exchange as usize) else { return };
        let code = refusal.map_or(0, |code| usize::try_from(code.0).ok().filter(|code| *code != 0).unwrap_or(CODES));
        self.bump(outcomes.get(code).or_else(|| outcomes.get(ErrorCode::GENERIC.0 as usize)));
    }
}

fn outcome(count: &Count) -> OutcomeCount {
    let outcome = count.refusal.map_or(done(count.exchange), |code| code.name());
    OutcomeCount { exchange: exchange(count.exchange).to_owned(), outcome: outcome.to_owned(), count: count.count }
}

fn present(lines: impl Iterator<Item = Named>) -> Vec<Named> {
    lines.filter(|line| line.count > 0).collect()
}
