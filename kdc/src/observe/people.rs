//! Who asks most, who fails most, and the last refusals: for whoever wants to know what goes on now.
//!
//! All of it is bounded, whatever names strangers make up: a table of a fixed number of names, where a newcomer takes
//! the place of the one with the lowest count and takes that count over ("space-saving"). Whoever has more than
//! its share of the requests, one in as many as the table has rows, is in it for sure; a count may be too high
//! by the lowest one, never too low. A thread has tables that it shares with few others, and never waits for
//! them: when another is at work in them, this one request goes uncounted here.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;
use libkrb::time::Instant;
use libkrb::{ErrorCode, Principal};

use super::facts::{Asker, Refused};
use super::record::{clipped, exchange};
use super::{Seen, seats};
use crate::core::Exchange;

/// Names in a table.
const ROWS: usize = 64;
/// Refusals that a shard remembers.
const REFUSALS: usize = 16;
const SHARDS: usize = 16;
/// Seconds after which counts of askers are put aside, and after twice as many forgotten.
const WINDOW: i64 = 60;

/// What is remembered of people.
#[derive(Debug, Default)]
pub struct People {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    window: i64,
    askers: Heavy,
    askers_before: Heavy,
    failing: Heavy,
    refused: VecDeque<Refusal>,
}

/// A refusal as it is noted; what is told of it is made when somebody asks.
#[derive(Clone, Debug)]
struct Refusal {
    at: Instant,
    exchange: Exchange,
    client: Principal,
    server: Option<Principal>,
    from: SocketAddr,
    code: ErrorCode,
    cause: &'static str,
}

/// The names with the highest counts.
#[derive(Debug, Default)]
pub struct Heavy {
    hashes: Vec<u64>,
    rows: Vec<Row>,
}

/// A name and what is counted of it.
#[derive(Clone, Debug)]
struct Row {
    name: Principal,
    count: u64,
    refused: u64,
}

impl Heavy {
    /// Counts a name once more.
    pub fn add(&mut self, hash: u64, name: &Principal, refused: bool) {
        let place = self.hashes.iter().position(|known| *known == hash).unwrap_or_else(|| self.place(hash, name));
        if let Some(row) = self.rows.get_mut(place) {
            row.count = row.count.saturating_add(1);
            row.refused = row.refused.saturating_add(u64::from(refused));
        }
    }

    /// A row for a new name: a free one, or that of the lowest count.
    fn place(&mut self, hash: u64, name: &Principal) -> usize {
        if self.rows.len() < ROWS {
            self.rows.push(Row { name: name.clone(), count: 0, refused: 0 });
            self.hashes.push(hash);
            return self.rows.len() - 1;
        }
        let lowest = self.rows.iter().enumerate().min_by_key(|(_, row)| row.count).map_or(0, |(place, _)| place);
        if let (Some(row), Some(known)) = (self.rows.get_mut(lowest), self.hashes.get_mut(lowest)) {
            *row = Row { name: name.clone(), count: row.count, refused: 0 };
            *known = hash;
        }
        lowest
    }
}

impl People {
    /// Notes a request.
    pub(super) fn note(&self, seen: &Seen<'_>) {
        let event = seen.event;
        let Some(client) = &event.client else { return };
        let Some(number) = seats::of_this_thread() else { return };
        let Some(Ok(mut shard)) = self.shards.get(number % SHARDS).map(Mutex::try_lock) else { return };
        // "Prove yourself first" is how every login begins.
        let refusal = event.refusal.filter(|(code, _)| *code != ErrorCode::PREAUTH_REQUIRED);
        let hash = self.hasher.hash_one(client);
        shard.turn(seen.at.time.seconds());
        shard.askers.add(hash, client, refusal.is_some());
        let Some((code, cause)) = refusal else { return };
        if event.exchange == Exchange::As && matches!(code, ErrorCode::PREAUTH_FAILED | ErrorCode::CLIENT_REVOKED) {
            shard.failing.add(hash, client, true);
        }
        if shard.refused.len() >= REFUSALS {
            shard.refused.pop_front();
        }
        let (client, server) = (client.clone(), event.server.clone());
        shard.refused.push_back(Refusal {
            at: seen.at,
            exchange: event.exchange,
            client,
            server,
            from: seen.from,
            code,
            cause,
        });
    }

    /// Those who asked most since a minute or two before `now`, in seconds since 1970.
    pub fn busiest(&self, now: i64, most: usize) -> Vec<Asker> {
        let rows = self.collect(|shard| {
            shard.turn(now);
            shard.askers.rows.iter().chain(&shard.askers_before.rows).cloned().collect()
        });
        let asker =
            |row: Row| Asker { principal: clipped(row.name.to_string()), requests: row.count, refused: row.refused };
        rows.into_iter().take(most).map(asker).collect()
    }

    /// Those whose proofs failed most often since the start: whoever is locked is likely to be among them.
    pub fn failing(&self) -> Vec<Principal> {
        self.collect(|shard| shard.failing.rows.clone()).into_iter().map(|row| row.name).collect()
    }

    /// The last refusals, the newest first.
    pub fn refused(&self, most: usize) -> Vec<Refused> {
        let mut refused = vec![];
        for shard in &self.shards {
            refused.extend(shard.lock().unwrap_or_else(PoisonError::into_inner).refused.iter().cloned());
        }
        refused.sort_by_key(|refused| std::cmp::Reverse(refused.at));
        refused.iter().take(most).map(Refusal::told).collect()
    }

    /// Rows of all shards, those of one name made one, the highest count first.
    fn collect(&self, of: impl Fn(&mut Shard) -> Vec<Row>) -> Vec<Row> {
        let mut all = HashMap::<Principal, Row>::new();
        for shard in &self.shards {
            for row in of(&mut shard.lock().unwrap_or_else(PoisonError::into_inner)) {
                let sum = all.entry(row.name.clone()).or_insert(Row { name: row.name, count: 0, refused: 0 });
                sum.count = sum.count.saturating_add(row.count);
                sum.refused = sum.refused.saturating_add(row.refused);
            }
        }
        let mut rows = all.into_values().collect::<Vec<_>>();
        rows.sort_by(|one, other| {
            other.count.cmp(&one.count).then_with(|| one.name.to_string().cmp(&other.name.to_string()))
        });
        rows
    }
}

impl Refusal {
    fn told(&self) -> Refused {
        Refused {
            at: self.at.as_micros(),
            exchange: exchange(self.exchange).to_owned(),
            client: Some(clipped(self.client.to_string())),
            server: self.server.as_ref().map(|server| clipped(server.to_string())),
            from: self.from.to_string(),
            outcome: self.code.name().to_owned(),
            cause: self.cause.to_owned(),
        }
    }
}

impl Shard {
    fn turn(&mut self, now: i64) {
        let window = now.div_euclid(WINDOW);
        if window == self.window {
            return;
        }
        let last = std::mem::take(&mut self.askers);
        self.askers_before = if window == self.window.saturating_add(1) { last } else { Heavy::default() };
        self.window = window;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Principal {
        Principal::new(Default::default(), "R", [format!("user{number}")]).expect("a name")
    }

    #[test]
    fn whoever_asks_more_than_his_share_is_seen_among_any_number_of_strangers() {
        let mut heavy = Heavy::default();
        let often = name(0);
        for number in 1..10_000 {
            heavy.add(number as u64, &name(number), true);
            if number % 20 == 0 {
                heavy.add(0, &often, false);
            }
        }
        assert_eq!(heavy.rows.len(), ROWS);
        let row = heavy.rows.iter().find(|row| row.name == often).expect("seen");
        assert!(row.count >= 499, "{row:?}");
    }
}
