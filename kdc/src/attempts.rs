//! Failed proofs and last logins, counted in memory. Not here: what they mean ([`crate::core::attempts`]).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libkrb::Time;

use crate::core::attempts::{AccountId, Attempts, Lockout, Proven, Record, Tried};

/// How many parts are locked apart from each other.
const SHARDS: usize = 256;

/// Attempts counted in this process.
pub struct Counted {
    shards: Box<[Mutex<HashMap<AccountId, Record>>]>,
}

impl Default for Counted {
    fn default() -> Self {
        Counted { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Counted {
    /// Account ids are random, so their first octet spreads them.
    fn shard(&self, who: &AccountId) -> MutexGuard<'_, HashMap<AccountId, Record>> {
        self.shards[usize::from(who[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempts for Counted {
    fn attempt(
        &self,
        who: &AccountId,
        lockout: Option<&Lockout>,
        now: Time,
        try_it: &mut dyn FnMut(u32) -> Proven,
    ) -> Tried {
        if lockout.is_none() {
            let proven = try_it(u32::MAX);
            let mut shard = self.shard(who);
            let record = shard.entry(*who).or_default();
            *record = record.after(proven, None, now);
            return Tried::Made;
        }
        // Held while trying, which takes microseconds: so no two guesses at one account are made at once.
        let mut shard = self.shard(who);
        let record = shard.entry(*who).or_default();
        let left = record.guesses(lockout, now);
        if left == 0 {
            return Tried::Locked;
        }
        *record = record.after(try_it(left), lockout, now);
        Tried::Made
    }

    fn record(&self, who: &AccountId) -> Record {
        self.shard(who).get(who).copied().unwrap_or_default()
    }

    fn unlock(&self, who: &AccountId) {
        if let Some(record) = self.shard(who).get_mut(who) {
            *record = Record { failures: 0, ..*record };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const NOW: Time = Time(1_800_000_000);
    const RULE: Lockout = Lockout { max_failures: 5, interval: 0, duration: 0 };

    #[test]
    fn of_many_guesses_at_once_no_more_are_made_than_the_rule_allows() {
        let counted = Counted::default();
        let guesses = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let _ = counted.attempt(&[7; 16], Some(&RULE), NOW, &mut |left| {
                            let made = left.min(2);
                            guesses.fetch_add(made, Ordering::Relaxed);
                            Proven::No(made)
                        });
                    }
                });
            }
        });
        assert_eq!(guesses.into_inner(), 5);
    }

    #[test]
    fn an_unlocked_account_may_be_tried_again() {
        let counted = Counted::default();
        let mut fail = |_| Proven::No(5);
        assert_eq!(counted.attempt(&[7; 16], Some(&RULE), NOW, &mut fail), Tried::Made);
        assert_eq!(counted.attempt(&[7; 16], Some(&RULE), NOW, &mut fail), Tried::Locked);
        counted.unlock(&[7; 16]);
        assert_eq!(counted.attempt(&[7; 16], Some(&RULE), NOW, &mut |_| Proven::Yes), Tried::Made);
        assert_eq!(counted.record(&[7; 16]), Record { failures: 0, last_failure: Some(NOW), last_success: Some(NOW) });
    }
}
