//! A replay cache in this process's memory. Not here: one that others share or that survives.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{ReplayCache, ReplayKey, Verdict};
use crate::time::{Seconds, Time};

/// How many parts are locked apart from each other.
const SHARDS: usize = 64;

/// A replay cache in this process's memory.
///
/// Entries live in generations, one for each window of authenticator times; a whole old one is
/// dropped at once. One generation more is kept than needed, so that a clock set back by up to a
/// window brings nothing back. When it is full it refuses; it never forgets an entry that lives.
pub struct MemoryReplayCache {
    window: Seconds,
    max: usize,
    since: Time,
    count: AtomicUsize,
    /// When stale generations were last looked for in every shard.
    swept: AtomicI64,
    /// A random key of this process chooses the shard: strangers cannot aim at one.
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

/// The generations of one shard with the window each is of.
type Shard = Vec<(i64, HashSet<ReplayKey>)>;

impl MemoryReplayCache {
    /// A cache for authenticators that are accepted up to `window` seconds after their time (the
    /// allowed clock skew), and for `max_entries` of them; each takes 20 to 40 bytes.
    pub fn new(window: Seconds, max_entries: usize) -> Self {
        MemoryReplayCache {
            window: window.max(1),
            max: max_entries,
            since: Time(i64::MIN),
            count: AtomicUsize::new(0),
            swept: AtomicI64::new(i64::MIN),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
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
        self.count.load(Ordering::Relaxed)
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a place in the bounded memory.
    fn reserve(&self) -> bool {
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < self.max).then_some(n + 1)).is_ok()
    }

    /// The oldest window that may not be dropped yet.
    fn oldest(&self, now: Time) -> i64 {
        (now - self.window).seconds().div_euclid(self.window).saturating_sub(1)
    }

    fn drop_stale(&self, shard: &mut Shard, now: Time) {
        let oldest = self.oldest(now);
        shard.retain(|(window, entries)| {
            let lives = *window >= oldest;
            if !lives {
                self.count.fetch_sub(entries.len(), Ordering::Relaxed);
            }
            lives
        });
    }

    /// Drops stale generations everywhere, once for each second at most: shards that nobody uses
    /// keep theirs until then.
    fn sweep(&self, now: Time) {
        if self.swept.swap(now.seconds(), Ordering::Relaxed) != now.seconds() {
            self.shards.iter().for_each(|shard| self.drop_stale(&mut lock(shard), now));
        }
    }

    fn try_insert(&self, key: ReplayKey, time: Time, now: Time) -> Verdict {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        let Some(shard) = self.shards.get(index) else { return Verdict::Full };
        let mut shard = lock(shard);
        self.drop_stale(&mut shard, now);
        let window = time.seconds().div_euclid(self.window);
        let place = shard.iter().position(|(of, _)| *of == window);
        if place.and_then(|place| shard.get(place)).is_some_and(|(_, entries)| entries.contains(&key)) {
            return Verdict::Replay;
        }
        if !self.reserve() {
            return Verdict::Full;
        }
        match place.and_then(|place| shard.get_mut(place)) {
            Some((_, entries)) => drop(entries.insert(key)),
            None => shard.push((window, HashSet::from([key]))),
        }
        Verdict::Fresh
    }
}

/// A thread that panicked while it held the lock left a set that is whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReplayCache for MemoryReplayCache {
    fn insert(&self, key: ReplayKey, time: Time, now: Time) -> Verdict {
        if time + self.window < now || time < self.since {
            return Verdict::Replay;
        }
        match self.try_insert(key, time, now) {
            Verdict::Full => {
                self.sweep(now);
                self.try_insert(key, time, now)
            }
            verdict => verdict,
        }
    }
}

impl fmt::Debug for MemoryReplayCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryReplayCache({} of {})", self.len(), self.max)
    }
}
