//! Failed proofs and last logins, counted in memory and written down in batches. Not here: what they
//! mean ([`crate::core::attempts`]).
//!
//! A login costs no durable write. Failures are written down every [`INTERVAL`], all in one transaction;
//! successes with them once in [`PATIENCE`], or when there are many, for then they lie close together;
//! everything at the end of the KDC; a lock at once. A crash therefore forgets the failures of the last
//! [`INTERVAL`], the successes of the last [`PATIENCE`], and no lock but one of that very moment.

mod together;
mod writer;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use libkrb::Time;
use tokio::sync::Notify;

use crate::core::StoreError;
use crate::core::attempts::{AccountId, Attempts, Ledger, Lockout, Proven, Record, Tried};

pub use together::{Due, Tally, Together};
pub use writer::{INTERVAL, PATIENCE, WrittenDown};

/// How many parts are locked apart from each other.
const SHARDS: usize = 256;
/// How many records a part keeps that are written down: a quarter of a million in all, some 20 MiB.
/// Those that are not yet are kept besides, which is no more than accounts that failed within
/// [`INTERVAL`] and [`MOST_SUCCESSES`].
const KEPT: usize = 1024;
/// So many accounts that succeeded are written down without waiting longer; some 6 MiB.
const MOST_SUCCESSES: usize = 65_536;

/// What stands for a record that can't be read: more failures than any rule allows, which no time
/// heals. Where failures lock, such an account is locked until an administrator opens it, which puts a
/// sound record in the place of the other; else whoever damages a record could guess on.
const UNREADABLE: Record = Record { failures: u32::MAX, last_failure: None, last_success: None };

/// By account, whose ids are random: nobody can choose one that falls where another is.
type Accounts<V> = HashMap<AccountId, V, RandomState>;

/// Attempts counted in this process.
pub struct Counted {
    shards: Box<[Mutex<Shard>]>,
    /// Where they outlive it, if anywhere.
    ledger: Option<Arc<dyn Ledger>>,
    /// What other KDCs count, if there may be others. Only of accounts that failures lock: of all others each
    /// counts for itself.
    together: Option<Arc<Together>>,
    /// Held while writing down, so that no older record overtakes a newer one.
    writing: Mutex<()>,
    /// Something should be written down at once.
    urgent: Notify,
    /// Accounts that were locked since records were last written down.
    locks: AtomicUsize,
    /// Accounts of which nothing is to be written down but that they succeeded.
    successes: AtomicUsize,
    /// Nobody wants to know when accounts succeeded last.
    without_successes: AtomicBool,
}

#[derive(Default)]
struct Shard {
    slots: Accounts<Slot>,
    /// Whose records changed since they were last written down.
    changed: Vec<AccountId>,
    /// Those of which nothing changed but the time of the last success.
    succeeded: Vec<AccountId>,
}

#[derive(Clone, Copy)]
struct Slot {
    record: Record,
    state: State,
    /// Nobody has needed yet what is written down of it: the record knows a success and no more.
    partial: bool,
    /// Its failures are the realm's, as they were once.
    shared: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// As it is written down; may be forgotten.
    Written,
    /// Being written down.
    Leaving,
    /// Not written down yet.
    Changed,
    /// Nor is the time of its last success, which can wait.
    Succeeded,
}

impl Default for Counted {
    /// Counts in memory only.
    fn default() -> Self {
        Counted {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            ledger: None,
            together: None,
            writing: Mutex::default(),
            urgent: Notify::new(),
            locks: AtomicUsize::new(0),
            successes: AtomicUsize::new(0),
            without_successes: AtomicBool::new(false),
        }
    }
}

impl Counted {
    /// Counts on from what is written down in `ledger`.
    pub fn over(ledger: Arc<dyn Ledger>) -> Self {
        Counted { ledger: Some(ledger), ..Counted::default() }
    }

    /// Counts together with the other KDCs of the realm.
    #[must_use]
    pub fn together(self, together: Option<Arc<Together>>) -> Self {
        Counted { together, ..self }
    }

    /// Whether the times of last successes are not to be noted from now on; those that are known stay.
    pub fn disable_last_success(&self, disable: bool) {
        self.without_successes.store(disable, Ordering::Relaxed);
    }

    /// What is known after a proof of what is to be known.
    fn after(&self, record: Record, proven: Proven, lockout: Option<&Lockout>, now: Time) -> Record {
        let after = record.after(proven, lockout, now);
        match self.without_successes.load(Ordering::Relaxed) {
            true => Record { last_success: record.last_success, ..after },
            false => after,
        }
    }

    /// Account ids are random, so their first octet spreads them.
    fn shard(&self, who: &AccountId) -> MutexGuard<'_, Shard> {
        self.shards[usize::from(who[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of an account, from memory or from where it is written down, with what others counted.
    fn known(&self, shard: &mut Shard, who: &AccountId) -> Result<Record, StoreError> {
        let slot = self.slot(shard, who)?;
        Ok(self.together.as_ref().map_or(slot.record, |together| together.over(who, slot.record, slot.shared)))
    }

    fn slot(&self, shard: &mut Shard, who: &AccountId) -> Result<Slot, StoreError> {
        let partial = match shard.slots.get(who) {
            Some(slot) if !slot.partial => return Ok(*slot),
            slot => slot.copied(),
        };
        let fresh = Slot { record: Record::default(), state: State::Written, partial: false, shared: false };
        let Some(ledger) = &self.ledger else { return Ok(partial.unwrap_or(fresh)) };
        let record = ledger.record(who).inspect_err(|error| {
            tracing::error!(%error, "what is known of failed logins can't be read: the account counts as locked");
        });
        let record = record?.unwrap_or_default();
        let slot = match partial {
            Some(slot) => Slot { record: success_over(slot.record, record), partial: false, ..slot },
            // Whose count it was is not written down.
            None => Slot { record, shared: self.together.is_some(), ..fresh },
        };
        shard.keep(who, slot);
        Ok(slot)
    }

    fn remember(&self, shard: &mut Shard, who: &AccountId, record: Record, shared: bool) {
        let shared = shared && self.together.is_some();
        let before = shard.slots.insert(*who, Slot { record, state: State::Changed, partial: false, shared });
        if before.is_none_or(|slot| slot.state != State::Changed) && self.ledger.is_some() {
            shard.changed.push(*who);
        }
    }

    /// Remembers a success that no rule counts failures for. What is written down of the account is not
    /// read for that.
    fn succeeded(&self, shard: &mut Shard, who: &AccountId, now: Time) {
        if self.without_successes.load(Ordering::Relaxed) {
            // It still ends the failures that are known or written down. What can't be read stays as it is.
            if let Some(slot) = self.slot(shard, who).ok().filter(|slot| slot.record.failures > 0) {
                self.remember(shard, who, self.after(slot.record, Proven::Yes, None, now), slot.shared);
            }
            return;
        }
        match shard.slots.get_mut(who) {
            Some(slot) if slot.record.failures > 0 => {
                let (record, shared) = (slot.record.after(Proven::Yes, None, now), slot.shared);
                return self.remember(shard, who, record, shared);
            }
            Some(slot) => {
                slot.record.last_success = Some(now);
                if matches!(slot.state, State::Changed | State::Succeeded) {
                    return;
                }
                slot.state = State::Succeeded;
            }
            None => {
                let record = Record { last_success: Some(now), ..Record::default() };
                let partial = self.ledger.is_some();
                shard.keep(who, Slot { record, state: State::Succeeded, partial, shared: false });
            }
        }
        if self.ledger.is_some() {
            shard.succeeded.push(*who);
            if self.successes.fetch_add(1, Ordering::Relaxed) + 1 == MOST_SUCCESSES {
                self.urgent.notify_one();
            }
        }
    }
}

impl Counted {
    /// Remembers what a proof came to of an account that failures don't lock, or that they did not lock when
    /// a proof was begun that takes its time.
    fn without_a_rule(&self, who: &AccountId, proven: Proven, now: Time) {
        if let Some(together) = self.together.as_ref().filter(|_| matches!(proven, Proven::Yes | Proven::Withdrawn)) {
            together.add(who, proven, false, now);
        }
        if proven == Proven::Yes {
            return self.succeeded(&mut self.shard(who), who, now);
        }
        if proven != Proven::Unclear {
            let mut shard = self.shard(who);
            // One that can't be read stays as it is.
            if let Ok(Slot { record, shared, .. }) = self.slot(&mut shard, who) {
                self.remember(&mut shard, who, self.after(record, proven, None, now), shared);
            }
        }
    }
}

/// What is known of an account by a success after what is written down of it.
fn success_over(success: Record, earlier: Record) -> Record {
    Record { failures: 0, last_success: success.last_success, ..earlier }
}

impl Shard {
    fn keep(&mut self, who: &AccountId, slot: Slot) {
        // All that are written down give way at once, when there are too many: few are asked for again.
        if self.slots.len() >= KEPT && self.changed.len() + self.succeeded.len() < self.slots.len() {
            self.slots.retain(|_, slot| slot.state != State::Written);
        }
        self.slots.insert(*who, slot);
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
        let Some(rule) = lockout else {
            let proven = try_it(u32::MAX);
            self.without_a_rule(who, proven, now);
            return Tried::Made;
        };
        // Held while trying, which takes microseconds: so no two guesses at one account are made at once.
        let mut shard = self.shard(who);
        let Ok(record) = self.known(&mut shard, who) else { return Tried::Locked };
        let mut left = record.guesses(lockout, now);
        if left == 0 {
            return Tried::Locked;
        }
        if let Some(together) = self.together.as_ref().filter(|together| together.is_reached()) {
            if together.is_to_wait(who) {
                return Tried::Busy;
            }
            left = 1;
        }
        let proven = try_it(left);
        if proven != Proven::Unclear {
            let anew = record.failures > 0 && record.counting(lockout, now) == 0;
            let record = self.after(record, proven, lockout, now);
            if shard.slots.get(who).is_none_or(|slot| slot.record != record) {
                self.remember(&mut shard, who, record, true);
            }
            if let Some(together) = &self.together {
                together.add(who, proven, anew, now);
            }
            if rule.locks(&record, now) {
                self.locks.fetch_add(1, Ordering::Relaxed);
                self.urgent.notify_one();
            }
        }
        Tried::Made
    }

    fn record(&self, who: &AccountId) -> Record {
        self.known(&mut self.shard(who), who).unwrap_or(UNREADABLE)
    }

    fn unlock(&self, who: &AccountId) -> Result<(), StoreError> {
        {
            let mut shard = self.shard(who);
            let record = self.known(&mut shard, who).unwrap_or(UNREADABLE);
            if record.failures == 0 {
                return Ok(());
            }
            self.remember(&mut shard, who, Record { failures: 0, ..record }, true);
        }
        let open_here = self.flush();
        self.together.as_ref().map_or(Ok(()), |together| together.open(who)).and(open_here)
    }

    fn forget(&self, who: &AccountId) {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.shard(who).slots.remove(who);
        if let Some(together) = &self.together {
            together.add(who, Proven::Yes, false, Time::EPOCH);
        }
        if let Some(Err(error)) = self.ledger.as_ref().map(|ledger| ledger.write_down(&[(*who, None)])) {
            // A few octets too many, which nobody will ask for.
            tracing::warn!(%error, "the record of an account that is gone can't be taken out");
        }
    }
}

#[cfg(test)]
mod tests;
