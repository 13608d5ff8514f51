//! A replay cache in this process's memory. Not here: one that others share or that survives.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::scatter::Scatter;
use super::table::Table;
use super::{ReplayCache, ReplayKey, Verdict};
use crate::time::{Seconds, Time};

/// How many entries a shard is made for. Its tables grow under its lock: who waits for that waits
/// for the moving of a part of so many entries, some 200 microseconds at worst. Fewer entries in more
/// shards would shorten that, but each insert would miss the processor's caches more often.
const SHARD: usize = 16_384;

/// A shard takes no more places at once.
const PLACES: usize = 64;

/// How many shards there may be, always a power of two.
const FEWEST: usize = 64;
const MOST: usize = 4096;

/// A replay cache in this process's memory.
///
/// Entries are digests of 128 bits, and nothing shorter: an authenticator that was never seen is
/// taken for a replay once in 2^128 / [`len`](Self::len) times, and one that was seen is never
/// taken for fresh. They live in generations, one for each window of authenticator times; a whole
/// old one is dropped at once. One generation more is kept than needed, so that a clock set back by
/// up to a window brings nothing back. When it is full it refuses; it never forgets an entry that
/// lives.
pub struct MemoryReplayCache {
    window: Seconds,
    max: usize,
    since: Time,
    /// Entries, and places that shards have taken for more.
    taken: AtomicUsize,
    sweep: Mutex<Sweep>,
    /// Random, so that strangers can aim neither at a shard nor at a slot.
    scatter: Scatter,
    shards: Box<[Mutex<Shard>]>,
}

/// A part of the entries, which a digest falls into.
#[derive(Default)]
struct Shard {
    /// With the window each is of.
    generations: Vec<(i64, Table)>,
    /// Places that are counted as taken and still free: threads that count each entry by itself would take the count's
    /// memory from each other each time.
    free: usize,
}

/// How far the search for stale generations in all shards has come.
struct Sweep {
    /// The window before which they are stale.
    oldest: i64,
    /// The next shard to look into.
    next: usize,
}

impl MemoryReplayCache {
    /// A cache for authenticators that are accepted up to `window` seconds after their time (the
    /// allowed clock skew), and for `max_entries` of them; each takes 23 to 35 octets.
    pub fn new(window: Seconds, max_entries: usize) -> Self {
        let random = RandomState::new();
        let shards = max_entries.div_ceil(SHARD).clamp(FEWEST, MOST).next_power_of_two();
        MemoryReplayCache {
            window: window.max(1),
            max: max_entries,
            since: Time(i64::MIN),
            taken: AtomicUsize::new(0),
            sweep: Mutex::new(Sweep { oldest: i64::MIN, next: 0 }),
            scatter: Scatter::new([random.hash_one(0), random.hash_one(1)]),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
        }
    }

    /// The same, refusing authenticators that were made before a time: those that an earlier process
    /// of this service may have accepted, of which nothing is known here. RFC 4120 3.2.3 asks for it
    /// where the earlier process could still have been at work within the last `window` seconds; to
    /// the letter, `since` is the start of this process plus the window, as clocks may be ahead.
    #[must_use]
    pub fn refusing_before(self, since: Time) -> Self {
        MemoryReplayCache { since, ..self }
    }

    /// How many authenticators are remembered, stale ones that were not dropped yet among them.
    pub fn len(&self) -> usize {
        let free: usize = self.shards.iter().map(|shard| lock(shard).free).sum();
        self.taken().saturating_sub(free)
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a place in the bounded memory.
    fn reserve(&self, shard: &mut Shard) -> bool {
        if shard.free == 0 {
            // As many as still leave others theirs; the last are taken one by one.
            let taking = |taken: usize| {
                let left = self.max.saturating_sub(taken);
                (left / self.shards.len() / 2).clamp(1, PLACES).min(left)
            };
            let more = |taken| Some(taken + taking(taken)).filter(|all| *all > taken);
            let before = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
            shard.free = before.map_or(0, taking);
        }
        let taken = shard.free > 0;
        shard.free = shard.free.saturating_sub(1);
        taken
    }

    /// The oldest window that may not be dropped yet.
    fn oldest(&self, now: Time) -> i64 {
        (now - self.window).seconds().div_euclid(self.window).saturating_sub(1)
    }

    fn drop_stale(&self, shard: &mut Shard, now: Time) {
        let oldest = self.oldest(now);
        shard.generations.retain(|(window, entries)| {
            let lives = *window >= oldest;
            if !lives {
                self.taken.fetch_sub(entries.len(), Ordering::Relaxed);
            }
            lives
        });
    }

    /// Drops stale generations of shards that nobody uses, and gives back the places that they have taken and not used,
    /// until there is room again; whether there is. Each shard is looked into once a window: nothing in it turns stale
    /// sooner, and who takes places when there are few takes one.
    fn make_room(&self, now: Time) -> bool {
        let oldest = self.oldest(now);
        let mut sweep = lock(&self.sweep);
        if sweep.oldest < oldest {
            *sweep = Sweep { oldest, next: 0 };
        }
        while self.taken() >= self.max {
            let Some(shard) = self.shards.get(sweep.next) else { return false };
            let mut shard = lock(shard);
            self.drop_stale(&mut shard, now);
            self.taken.fetch_sub(mem::take(&mut shard.free), Ordering::Relaxed);
            sweep.next += 1;
        }
        true
    }

    /// How many entries a new generation of a shard is made for: as many as the greatest has, so that
    /// under a steady load nothing ever grows; and, as a load may end, no more than its share of what
    /// is left, so that memory stays in bounds.
    fn expected(&self, shard: &Shard) -> usize {
        let greatest = shard.generations.iter().map(|(_, table)| table.len()).max().unwrap_or(0);
        greatest.min(self.max.saturating_sub(self.taken()) / self.shards.len() / 3)
    }

    fn try_insert(&self, key: ReplayKey, time: Time, now: Time) -> Verdict {
        let index = self.scatter.of(key.number()) as usize & (self.shards.len() - 1);
        let Some(shard) = self.shards.get(index) else { return Verdict::Full };
        let mut shard = lock(shard);
        self.drop_stale(&mut shard, now);
        let window = time.seconds().div_euclid(self.window);
        let place = shard.generations.iter().position(|(of, _)| *of == window);
        if place
            .and_then(|place| shard.generations.get(place))
            .is_some_and(|(_, table)| table.contains(self.scatter, key))
        {
            return Verdict::Replay;
        }
        if !self.reserve(&mut shard) {
            return Verdict::Full;
        }
        if place.is_none() {
            let expected = self.expected(&shard);
            shard.generations.push((window, Table::sized_for(expected)));
        }
        let place = place.unwrap_or(shard.generations.len() - 1);
        if let Some((_, table)) = shard.generations.get_mut(place) {
            table.add(self.scatter, key);
        }
        Verdict::Fresh
    }
}

/// A thread that panicked while it held the lock left a table that is whole.
fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReplayCache for MemoryReplayCache {
    fn insert(&self, key: ReplayKey, time: Time, now: Time) -> Verdict {
        if time + self.window < now || time < self.since {
            return Verdict::Replay;
        }
        loop {
            match self.try_insert(key, time, now) {
                // What was made may be another's by then.
                Verdict::Full if self.make_room(now) => {}
                verdict => return verdict,
            }
        }
    }
}

impl fmt::Debug for MemoryReplayCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryReplayCache({} of {})", self.len(), self.max)
    }
}
