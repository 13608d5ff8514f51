//! Keytabs in the memory of this process, by name.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Keytab;

static KEYTABS: Mutex<BTreeMap<String, Keytab>> = Mutex::new(BTreeMap::new());

fn keytabs() -> MutexGuard<'static, BTreeMap<String, Keytab>> {
    KEYTABS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The keytab of this name; one that nobody has filled is empty, as in MIT krb5.
pub(super) fn load(name: &str) -> Keytab {
    keytabs().get(name).cloned().unwrap_or_default()
}

pub(super) fn change<T>(name: &str, change: impl FnOnce(&mut Keytab) -> T) -> T {
    change(keytabs().entry(name.to_owned()).or_default())
}
