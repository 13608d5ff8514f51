//! Caches in the memory of this process, by name.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{CacheName, Ccache};
use crate::error::{Error, Result};

type Registry = BTreeMap<String, Ccache>;

static CACHES: Mutex<Registry> = Mutex::new(Registry::new());

fn caches() -> MutexGuard<'static, Registry> {
    CACHES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing(name: &str) -> Error {
    Error::NoCache(CacheName::Memory(name.to_owned()).to_string())
}

pub(super) fn load(name: &str) -> Result<Ccache> {
    caches().get(name).cloned().ok_or_else(|| missing(name))
}

pub(super) fn replace(name: &str, cache: Ccache) {
    caches().insert(name.to_owned(), cache);
}

pub(super) fn change<T>(name: &str, change: impl FnOnce(&mut Ccache) -> T) -> Result<T> {
    caches().get_mut(name).map(change).ok_or_else(|| missing(name))
}

pub(super) fn destroy(name: &str) -> Result<()> {
    caches().remove(name).map(drop).ok_or_else(|| missing(name))
}

pub(super) fn names() -> Vec<CacheName> {
    caches().keys().cloned().map(CacheName::Memory).collect()
}

/// A name that no cache has.
pub(super) fn unused_name() -> CacheName {
    let caches = caches();
    let name = (0u64..).map(|number| format!("unique{number}")).find(|name| !caches.contains_key(name));
    CacheName::Memory(name.unwrap_or_default())
}
