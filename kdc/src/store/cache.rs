//! Opened entries kept in memory, in front of any store: a hit costs neither a read nor a
//! decryption, and finds its key schedules ready.
//!
//! No stale entry outlives a commit. A miss loads and inserts under the shared side of a lock; a
//! commit, once durable, takes the exclusive side and drops the entries it changed: a load that
//! began before the commit has inserted by then, one that begins after it sees what was committed.
//! Names that are not there are not remembered: a flood of them must not displace those that are.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use libkrb::Principal;
use quick_cache::sync::Cache;

use super::plan::normal;
use crate::core::{Change, Entry, Store, StoreError};

/// A store with a bounded number of opened entries in front.
pub struct Cached<S> {
    inner: S,
    entries: Cache<Principal, Arc<Entry>>,
    loading: RwLock<()>,
}

impl<S: Store> Cached<S> {
    /// Keeps about `capacity` entries of `inner`.
    pub fn new(inner: S, capacity: usize) -> Self {
        Cached { inner, entries: Cache::new(capacity), loading: RwLock::new(()) }
    }

    /// The store behind.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Store> Store for Cached<S> {
    fn lookup(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        let name = normal(name);
        if let Some(entry) = self.entries.get(&*name) {
            return Ok(Some(entry));
        }
        let _loading = self.loading.read().unwrap_or_else(PoisonError::into_inner);
        let found = self.inner.lookup(&name)?;
        if let Some(entry) = &found {
            self.entries.insert(name.into_owned(), Arc::clone(entry));
        }
        Ok(found)
    }

    fn list(&self, after: Option<&Principal>, limit: usize) -> Result<Vec<Principal>, StoreError> {
        self.inner.list(after, limit)
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let changed: HashSet<_> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Create(_) => None,
                Change::Replace(entry) => Some(normal(&entry.principal)),
                Change::Delete(principal) => Some(normal(principal)),
            })
            .collect();
        let done = self.inner.commit(changes);
        // Also after a failure: whether a commit that failed while being written was made is
        // known only to the store below.
        if !changed.is_empty() {
            let _exclusive = self.loading.write().unwrap_or_else(PoisonError::into_inner);
            self.entries.retain(|_, entry| !changed.contains(&entry.principal));
        }
        done
    }
}
