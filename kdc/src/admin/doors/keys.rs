//! The keys of the principal that the API is called as, taken from the realm's own store: no keytab
//! lies beside it, and new keys are used at once. Not here: what a token says.

use std::sync::{Arc, Mutex, PoisonError};

use libkrb::codes::EncryptionType;
use libkrb::keytab::{Keytab, KeytabEntry, RawKey};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::{Error, Principal, Result};

use crate::admin::{now, random_keys};
use crate::core::{Store, StoreError};

/// Authenticators that are remembered.
const REPLAYS: usize = 100_000;

/// The service's keys.
pub(super) struct ServiceKeys {
    store: Arc<dyn Store>,
    services: Vec<Principal>,
    acceptor: Arc<Acceptor>,
    /// Of the entries whose keys the acceptor has.
    revisions: Mutex<Vec<(u64, usize)>>,
}

impl ServiceKeys {
    /// The keys of `services`. Without them nobody is known at this door until they are there, and tickets
    /// are given all the same.
    ///
    /// # Errors
    /// [`Error::Random`] when the system gives no random bytes.
    pub(super) fn of(store: Arc<dyn Store>, services: Vec<Principal>, clock_skew: i64) -> Result<Self> {
        let (keytab, revisions) = read(&*store, &services).or_else(|error| {
            tracing::error!(%error, "nobody can use the admin API over TLS");
            nobody(&services)
        })?;
        let options = Options { clock_skew, ..Options::default() };
        let acceptor = Acceptor::new(&keytab, options, Arc::new(MemoryReplayCache::new(clock_skew, REPLAYS)))?;
        Ok(ServiceKeys { store, services, acceptor: Arc::new(acceptor), revisions: Mutex::new(revisions) })
    }

    /// Opens tickets for the services.
    pub(super) fn acceptor(&self) -> Arc<Acceptor> {
        Arc::clone(&self.acceptor)
    }

    /// Takes over what was changed since.
    ///
    /// # Errors
    /// [`Error::NoKey`] when one of the services is not there or has no key.
    pub(super) fn refresh(&self) -> Result<()> {
        let (keytab, now) = read(&*self.store, &self.services)?;
        let mut known = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != now {
            self.acceptor.reload(&keytab)?;
            *known = now;
        }
        Ok(())
    }
}

/// Keys that nobody has, under which no ticket opens.
fn nobody(services: &[Principal]) -> Result<(Keytab, Vec<(u64, usize)>)> {
    let mut keytab = Keytab::default();
    for (service, made) in services.iter().zip(random_keys([EncryptionType::AES256_SHA1])?) {
        let key = RawKey::new(made.etype(), made.key.expose().to_vec());
        keytab.entries.push(KeytabEntry { principal: service.clone(), timestamp: now(), kvno: 0, key });
    }
    Ok((keytab, vec![]))
}

fn read(store: &dyn Store, services: &[Principal]) -> Result<(Keytab, Vec<(u64, usize)>)> {
    let mut keytab = Keytab::default();
    let mut revisions = vec![];
    for service in services {
        let unreadable = |error: StoreError| Error::NoKey(error.to_string());
        let missing = || {
            let way = format!("make it (kadmin: addprinc -randkey {service}) or name another in [admin] services");
            Error::NoKey(format!("{service}, as which the admin API is called, has no key: {way}"))
        };
        let entry = store.lookup(service).map_err(unreadable)?.filter(|entry| !entry.keys.is_empty());
        let entry = entry.ok_or_else(missing)?;
        let living: Vec<_> = entry.living(now()).collect();
        // Keys end without a change of the entry.
        revisions.push((entry.revision, living.len()));
        for (set, key) in living.into_iter().flat_map(|set| set.keys.iter().map(move |key| (set, key))) {
            let key = RawKey::new(key.etype(), key.key.expose().to_vec());
            let (principal, timestamp) = (service.clone(), entry.modified);
            keytab.entries.push(KeytabEntry { principal, timestamp, kvno: set.kvno, key });
        }
    }
    Ok((keytab, revisions))
}
