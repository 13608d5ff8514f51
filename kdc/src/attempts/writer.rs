//! Records on their way to where they outlive the process. Not here: the place ([`Ledger`]).
//!
//! [`Ledger`]: crate::core::attempts::Ledger

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::{Counted, State};
use crate::core::StoreError;
use crate::core::attempts::Record;

/// How often records are written down; what a crash may forget.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// The shortest time between two writes: locks that strangers bring about are at most so many.
const PAUSE: Duration = Duration::from_millis(50);

impl Counted {
    /// Writes down every record that changed since it was last written.
    ///
    /// # Errors
    /// [`StoreError`] when they can't be written: nothing is lost, the next time will do.
    pub fn flush(&self) -> Result<(), StoreError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let locks = self.locks.swap(0, Ordering::Relaxed);
        let batch = self.leaving();
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

    /// The records that changed, from now on in the state of leaving.
    fn leaving(&self) -> Vec<([u8; 16], Option<Record>)> {
        let mut batch = vec![];
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for who in std::mem::take(&mut shard.changed) {
                // Forgotten meanwhile: nothing to write.
                if let Some(slot) = shard.slots.get_mut(&who) {
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
        loop {
            let _ = tokio::time::timeout(INTERVAL, self.urgent.notified()).await;
            let counted = Arc::clone(&self);
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || counted.flush()).await {
                tracing::error!(%error, "failed logins can't be written down; they count on, but would not outlive the KDC");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Records being written down, and once more when this is dropped.
pub struct WrittenDown {
    counted: Arc<Counted>,
    writer: AbortHandle,
}

impl Drop for WrittenDown {
    fn drop(&mut self) {
        self.writer.abort();
        if let Err(error) = self.counted.flush() {
            tracing::error!(%error, "the last failed logins can't be written down and are forgotten");
        }
    }
}
