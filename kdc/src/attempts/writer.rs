//! Records on their way to where they outlive the process. Not here: the place ([`Ledger`]).
//!
//! [`Ledger`]: crate::core::attempts::Ledger

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::{Counted, MOST_SUCCESSES, Slot, State, success_over};
use crate::core::StoreError;
use crate::core::attempts::{AccountId, Ledger, Record};

/// How often records are written down; what a crash may forget.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// How long a success may wait: of failures nothing is forgotten with it.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The shortest time between two writes: locks that strangers bring about are at most so many.
const PAUSE: Duration = Duration::from_millis(50);

impl Counted {
    /// Writes down every record that changed since it was last written.
    ///
    /// # Errors
    /// [`StoreError`] when they can't be written: nothing is lost, the next time will do.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.write(true)
    }

    /// Writes down what changed; of what can wait only what is due.
    pub(super) fn write(&self, successes: bool) -> Result<(), StoreError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let locks = self.locks.swap(0, Ordering::Relaxed);
        let batch = self.leaving(&**ledger, successes);
        let done = ledger.write_down(&batch);
        for (who, _) in &batch {
            let mut shard = self.shard(who);
            let Some(slot) = shard.slots.get_mut(who).filter(|slot| slot.state == State::Leaving) else { continue };
            if done.is_ok() {
                slot.state = State::Written;
            } else {
                slot.state = State::Changed;
                shard.changed.push(*who);
            }
        }
        match &done {
            Ok(()) if locks > 0 => tracing::info!(locks, "accounts locked after too many failures are written down"),
            Ok(()) => {}
            Err(_) => drop(self.locks.fetch_add(locks, Ordering::Relaxed)),
        }
        done
    }

    /// The records that changed, from now on in the state of leaving, in the order in which they are kept.
    fn leaving(&self, ledger: &dyn Ledger, successes: bool) -> Vec<(AccountId, Option<Record>)> {
        let mut batch = vec![];
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let mut who = std::mem::take(&mut shard.changed);
            if successes {
                let succeeded = std::mem::take(&mut shard.succeeded);
                self.successes.fetch_sub(succeeded.len(), Ordering::Relaxed);
                who.extend(succeeded);
            }
            // So that what lies together is read and written together.
            who.sort_unstable();
            for who in who {
                // Forgotten meanwhile, or written down with a failure: nothing to write.
                let Some(slot) = shard.slots.get_mut(&who) else { continue };
                if matches!(slot.state, State::Changed | State::Succeeded) && slot.complete(ledger, &who) {
                    slot.state = State::Leaving;
                    batch.push((who, Some(slot.record)));
                }
            }
        }
        batch
    }

    /// From now on writes records down, now and then, and a lock at once. To be called in a tokio runtime.
    pub fn written_down(self: Arc<Self>) -> WrittenDown {
        let writer = tokio::spawn(Arc::clone(&self).keep_writing()).abort_handle();
        WrittenDown { counted: self, writer }
    }

    async fn keep_writing(self: Arc<Self>) {
        let mut waited = Instant::now();
        loop {
            let _ = tokio::time::timeout(INTERVAL, self.urgent.notified()).await;
            let counted = Arc::clone(&self);
            let successes = waited.elapsed() >= PATIENCE || self.successes.load(Ordering::Relaxed) >= MOST_SUCCESSES;
            if successes {
                waited = Instant::now();
            }
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || counted.write(successes)).await {
                tracing::error!(%error, "failed logins can't be written down; they count on, but would not outlive the KDC");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Slot {
    /// Adds what is written down of the account, if nobody has needed it yet. What can't be read stays as
    /// it is.
    fn complete(&mut self, ledger: &dyn Ledger, who: &AccountId) -> bool {
        if !self.partial {
            return true;
        }
        let Ok(earlier) = ledger.record(who) else { return false };
        self.record = success_over(self.record, earlier.unwrap_or_default());
        self.partial = false;
        true
    }
}

/// Records being written down, and once more when this is dropped.
pub struct WrittenDown {
    counted: Arc<Counted>,
    writer: AbortHandle,
}

impl WrittenDown {
    /// As [`Counted::disable_last_success`].
    pub fn disable_last_success(&self, disable: bool) {
        self.counted.disable_last_success(disable);
    }
}

impl Drop for WrittenDown {
    fn drop(&mut self) {
        self.writer.abort();
        if let Err(error) = self.counted.flush() {
            tracing::error!(%error, "the last failed logins can't be written down and are forgotten");
        }
    }
}
