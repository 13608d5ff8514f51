//! Token buckets in a memory that never grows: who has used up what, and since when.
//!
//! A bucket is one number, the moment at which it will be full again; a full bucket is the same as
//! none, so nothing has to be cleaned up. A key has eight places where it may stand, which a hash
//! under a random key chooses. When all are taken, the fullest bucket gives way, whose holder has
//! done least; a bucket that is used up never does. So who would have a limit forgotten must use up
//! every bucket beside it and keep doing so, without knowing which those are. When that happens all
//! the same, newcomers go unlimited and are counted as such.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Places for a key.
const WAYS: usize = 8;

/// So many at once, and so many again with every period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least one.
    pub count: u32,
    /// In how long.
    pub period: Duration,
}

/// Buckets of one rate.
pub struct Table {
    rate: Rate,
    /// What one token takes to come back, in microseconds.
    token: u64,
    started: Instant,
    hasher: RandomState,
    /// When all buckets will be full again, in microseconds after the start: from then on there is nothing to look for.
    busy_until: AtomicU64,
    sets: Box<[Mutex<Set>]>,
}

type Set = [Bucket; WAYS];

#[derive(Clone, Copy, Default)]
struct Bucket {
    key: u64,
    /// When it will be full again, in microseconds after the start.
    full: u64,
}

/// What came of using tokens up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// There are more.
    Left,
    /// That was the last.
    Last,
    /// There was none left before.
    Over,
    /// Nothing could be noted, since every place is taken by a bucket that is used up.
    Crowded,
}

impl Table {
    /// Full buckets, in at most `memory` bytes.
    pub fn new(rate: Rate, memory: usize) -> Self {
        let sets = (memory / size_of::<Mutex<Set>>()).max(1);
        let period = u64::try_from(rate.period.as_micros()).unwrap_or(u64::MAX / 4);
        Table {
            rate,
            token: (period / u64::from(rate.count.max(1))).max(1),
            started: Instant::now(),
            hasher: RandomState::new(),
            busy_until: AtomicU64::new(0),
            sets: (0..sets).map(|_| Mutex::default()).collect(),
        }
    }

    /// Whether this key has a token left.
    pub fn allows(&self, key: &impl Hash, now: Instant) -> bool {
        let now = self.at(now);
        if self.busy_until.load(Ordering::Relaxed) <= now {
            return true;
        }
        let key = self.hasher.hash_one(key);
        let set = self.set(key);
        set.iter().find(|bucket| bucket.key == key).is_none_or(|bucket| self.left(*bucket, now))
    }

    /// Uses up one token of this key's, if there is one.
    pub fn charge(&self, key: &impl Hash, now: Instant) -> Charged {
        let (key, now) = (self.hasher.hash_one(key), self.at(now));
        let mut set = self.set(key);
        let place = match set.iter().position(|bucket| bucket.key == key) {
            Some(place) => place,
            None => {
                let fullest = set.iter().enumerate().min_by_key(|(_, bucket)| bucket.full);
                let Some((place, _)) = fullest.filter(|(_, bucket)| self.left(**bucket, now)) else {
                    return Charged::Crowded;
                };
                set[place] = Bucket { key, full: now };
                place
            }
        };
        let bucket = &mut set[place];
        if !self.left(*bucket, now) {
            return Charged::Over;
        }
        bucket.full = bucket.full.max(now).saturating_add(self.token);
        self.busy_until.fetch_max(bucket.full, Ordering::Relaxed);
        if self.left(*bucket, now) { Charged::Left } else { Charged::Last }
    }

    /// How many buckets are not full.
    pub fn tracked(&self, now: Instant) -> usize {
        let now = self.at(now);
        let open = |set: &Mutex<Set>| lock(set).iter().filter(|bucket| bucket.full > now).count();
        self.sets.iter().map(open).sum()
    }

    /// How many buckets there is room for.
    pub fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }

    fn left(&self, bucket: Bucket, now: u64) -> bool {
        let used = bucket.full.saturating_sub(now).saturating_add(self.token);
        used <= self.token.saturating_mul(u64::from(self.rate.count))
    }

    fn set(&self, key: u64) -> MutexGuard<'_, Set> {
        lock(&self.sets[(key % self.sets.len() as u64) as usize])
    }

    fn at(&self, now: Instant) -> u64 {
        // One more than nothing: a place that was never used is full.
        let passed = now.saturating_duration_since(self.started).as_micros();
        u64::try_from(passed).unwrap_or(u64::MAX / 2).saturating_add(1)
    }
}

/// Whoever panicked while holding the lock left whole numbers.
fn lock(set: &Mutex<Set>) -> MutexGuard<'_, Set> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const RATE: Rate = Rate { count: 3, period: MINUTE };

    #[test]
    fn so_many_are_allowed_at_once_and_more_as_time_passes() {
        let (table, now) = (Table::new(RATE, 1 << 16), Instant::now());
        let charges = [(); 5].map(|()| table.charge(&"alice", now));
        assert_eq!(charges, [Charged::Left, Charged::Left, Charged::Last, Charged::Over, Charged::Over]);
        assert!(!table.allows(&"alice", now) && table.allows(&"bob", now));
        let third = now + MINUTE / 3;
        assert!(!table.allows(&"alice", third - Duration::from_millis(1)));
        assert!(table.allows(&"alice", third));
        assert_eq!(table.charge(&"alice", third), Charged::Last);
        let [first, second, last, over] = [(); 4].map(|()| table.charge(&"alice", now + 3 * MINUTE));
        assert_eq!([first, second, last, over], [Charged::Left, Charged::Left, Charged::Last, Charged::Over]);
    }

    #[test]
    fn going_on_at_a_closed_door_keeps_it_closed_for_no_longer() {
        let (table, now) = (Table::new(RATE, 1 << 16), Instant::now());
        (0..1000).for_each(|_| assert_ne!(table.charge(&"alice", now), Charged::Crowded));
        assert!(table.allows(&"alice", now + MINUTE / 3));
    }

    #[test]
    fn a_flood_of_strangers_neither_grows_the_memory_nor_has_a_limit_forgotten() {
        let (table, now) = (Table::new(RATE, 64 * size_of::<Mutex<Set>>()), Instant::now());
        (0..3).for_each(|_| assert_ne!(table.charge(&"guesser", now), Charged::Crowded));
        for stranger in 0..100_000 {
            // Each of them is fuller than the one who is limited.
            let _ = table.charge(&stranger, now);
        }
        assert!(!table.allows(&"guesser", now));
        assert_eq!((table.capacity(), table.tracked(now)), (512, 512));
        assert_eq!(table.tracked(now + MINUTE), 0, "and all of it is forgotten in time");
    }

    #[test]
    fn where_every_bucket_is_used_up_newcomers_go_unlimited_and_it_can_be_seen() {
        let (table, now) = (Table::new(Rate { count: 1, period: MINUTE }, 0), Instant::now());
        let charged: Vec<_> = (0..10).map(|stranger| table.charge(&stranger, now)).collect();
        assert_eq!(charged, [[Charged::Last; 8].as_slice(), &[Charged::Crowded; 2]].concat());
        assert!((0..8).all(|stranger| !table.allows(&stranger, now)), "and no limit is forgotten");
        assert_eq!(table.charge(&8, now + MINUTE), Charged::Last);
    }

    #[test]
    fn of_many_at_once_no_more_are_let_in_than_there_are_tokens() {
        let (table, now) = (Table::new(Rate { count: 100, period: MINUTE }, 1 << 16), Instant::now());
        let charge = || (0..50).filter(|_| matches!(table.charge(&"all", now), Charged::Left | Charged::Last)).count();
        let let_in: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(charge)).collect();
            threads.into_iter().map(|thread| thread.join().expect("an end")).sum()
        });
        assert_eq!(let_in, 100);
    }
}
