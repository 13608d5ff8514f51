//! The keytab or the credential cache that credentials are from: looked at now and then, taken over
//! when it has changed and is whole. What cannot be read changes nothing but the [`State`].
//!
//! [`State`]: super::State

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::board::Board;
use super::explain;
use super::fingerprint::Fingerprint;
use super::keys::{Keys, usable};
use super::state::Failure;
use crate::ccache::{CacheName, Ccache};
use crate::error::{Error, Result};
use crate::keytab::{Keytab, KeytabName};
use crate::net::{Client, blocking};
use crate::service::Acceptor;
use crate::time::Time;

/// Where credentials are from.
pub(super) enum Backing {
    Keytab(Arc<KeytabOrigin>),
    Cache(CacheOrigin),
    /// Nowhere on disk.
    Given,
}

/// What a look at a file needs to know and to tell.
pub(super) struct Looker<'a> {
    pub(super) client: &'a Client,
    pub(super) board: &'a Board,
}

impl Looker<'_> {
    fn now(&self) -> Time {
        self.client.transport().now().time
    }

    /// Writes down that the content stays what it was, and why.
    fn broken(&self, error: Error) {
        let at = self.now();
        self.client.transport().trace().line(format_args!("The old keys or tickets are kept: {error}"));
        // The time is that of the first look that failed so.
        self.board.origin(|origin| match &origin.problem {
            Some(known) if known.error == error => {}
            _ => origin.problem = Some(Failure { at, error }),
        });
    }
}

/// A keytab, and the acceptors that follow it.
pub(super) struct KeytabOrigin {
    name: KeytabName,
    keys: Mutex<Keys>,
    seen: Mutex<Option<Fingerprint>>,
    acceptors: Mutex<Vec<Weak<Acceptor>>>,
    /// Asks for a look at once: somebody has seen a ticket under a key that we do not know.
    pub(super) look: Notify,
}

impl KeytabOrigin {
    pub(super) fn new(name: KeytabName, seen: Option<Fingerprint>, keys: Keys) -> KeytabOrigin {
        let (keys, seen, acceptors) = (Mutex::new(keys), Mutex::new(seen), Mutex::default());
        KeytabOrigin { name, keys, seen, acceptors, look: Notify::new() }
    }

    /// The keytab and what it looked like before it was read.
    pub(super) async fn read(name: KeytabName) -> Result<(Option<Fingerprint>, Keytab)> {
        let read = move || {
            let path = keytab_path(&name);
            let seen = path.as_deref().and_then(Fingerprint::of);
            let keytab = name.load().map_err(|error| explain::unreadable(path.as_deref(), error))?;
            Ok((seen, keytab))
        };
        blocking(read).await
    }

    /// Where it lies.
    pub(super) fn name(&self) -> &KeytabName {
        &self.name
    }

    pub(super) fn keys(&self) -> MutexGuard<'_, Keys> {
        lock(&self.keys)
    }

    /// From now on this acceptor follows the keytab.
    pub(super) fn follow(&self, acceptor: &Arc<Acceptor>) {
        let mut acceptors = lock(&self.acceptors);
        acceptors.retain(|known| known.strong_count() > 0);
        acceptors.push(Arc::downgrade(acceptor));
    }

    /// Looks whether the keytab has changed, and takes it over if so. `closely`: reads it, whatever it
    /// looks like from outside.
    async fn look(&self, looker: &Looker<'_>, closely: bool) {
        let (name, seen) = (self.name.clone(), *lock(&self.seen));
        let path = keytab_path(&name);
        let same = path.is_some_and(|path| seen.is_some() && Fingerprint::of(&path) == seen);
        if same && !closely {
            return self.expire(looker);
        }
        match KeytabOrigin::read(name).await {
            Ok((seen, keytab)) => {
                *lock(&self.seen) = seen;
                self.take(looker, keytab);
            }
            Err(error) => {
                *lock(&self.seen) = None;
                looker.broken(error);
            }
        }
        self.expire(looker);
    }

    /// Takes over another content, or refuses to.
    fn take(&self, looker: &Looker<'_>, keytab: Keytab) {
        let principal = looker.client.principal();
        if **self.keys().current() == keytab {
            return looker.board.origin(|origin| origin.problem = None);
        }
        if !usable(&keytab, principal) {
            return looker.broken(Error::NoKey(format!("{}: no key of {principal} that can be used", self.name)));
        }
        let now = looker.now();
        self.keys().replace(keytab, now);
        self.reload(looker);
        // What the KDC refused it did so with the old keys.
        looker.client.forgive();
        let kvnos = self.keys().kvnos(principal);
        looker.client.transport().trace().line(format_args!("Read {} again, key versions {kvnos:?}", self.name));
        looker.board.origin(|origin| {
            origin.read = Some(now);
            origin.reloads = origin.reloads.saturating_add(1);
            origin.problem = None;
            origin.kvnos = kvnos;
        });
        if looker.board.state().attempts > 0 {
            looker.board.hurry();
        }
    }

    /// Drops keys that were kept for long enough.
    fn expire(&self, looker: &Looker<'_>) {
        let dropped = self.keys().expire(looker.now());
        if dropped {
            self.reload(looker);
        }
    }

    /// Gives all keys to the acceptors.
    fn reload(&self, looker: &Looker<'_>) {
        let (all, kept) = {
            let keys = self.keys();
            (keys.all(), keys.kept())
        };
        let acceptors: Vec<_> = lock(&self.acceptors).iter().filter_map(Weak::upgrade).collect();
        for acceptor in acceptors {
            // It has had a key, which is kept: only one whose service is gone for long ends here.
            if let Err(error) = acceptor.reload(&all) {
                looker.broken(error);
            }
        }
        looker.board.origin(|origin| origin.kept_keys = kept);
    }
}

/// A credential cache that somebody else writes.
pub(super) struct CacheOrigin {
    pub(super) name: CacheName,
    pub(super) seen: Mutex<Option<Fingerprint>>,
    /// The ticket-granting ticket that was taken over last: another one is another login.
    pub(super) login: Mutex<Option<Vec<u8>>>,
    /// Asks for a look at once: the tickets that are held do not do.
    pub(super) look: Notify,
}

impl CacheOrigin {
    pub(super) fn new(name: CacheName) -> CacheOrigin {
        CacheOrigin { name, seen: Mutex::default(), login: Mutex::default(), look: Notify::new() }
    }

    /// The cache and what it looked like before it was read.
    pub(super) async fn read(name: CacheName) -> Result<(Option<Fingerprint>, Ccache)> {
        let read = move || {
            let path = cache_path(&name);
            let seen = path.as_deref().and_then(Fingerprint::of);
            let cache = name.load().map_err(|error| explain::unreadable(path.as_deref(), error))?;
            Ok((seen, cache))
        };
        blocking(read).await
    }

    /// Takes over the cache if it holds another login.
    pub(super) async fn look(&self, looker: &Looker<'_>, closely: bool) {
        let (name, seen) = (self.name.clone(), *lock(&self.seen));
        let same = cache_path(&name).is_some_and(|path| seen.is_some() && Fingerprint::of(&path) == seen);
        if same && !closely {
            return;
        }
        match CacheOrigin::read(name).await {
            Ok((seen, cache)) => {
                *lock(&self.seen) = seen;
                self.take(looker, &cache);
            }
            Err(error) => {
                *lock(&self.seen) = None;
                looker.broken(error);
            }
        }
    }

    fn take(&self, looker: &Looker<'_>, cache: &Ccache) {
        let (client, theirs) = (looker.client, &cache.principal);
        if theirs != client.principal() {
            let ours = client.principal();
            let text = format!("{} is of {theirs} now; what began as {ours} goes on as {ours}", self.name);
            return looker.broken(Error::Setting(text));
        }
        if cache.tickets().next().is_none() {
            // So kinit leaves it for a moment: first it makes the cache, then it stores the ticket.
            let text = format!("{} holds no ticket; the old ones are used until there is one", self.name);
            return looker.broken(Error::Setting(text));
        }
        let tgt = cache.tgt(Time::EPOCH);
        let login = tgt.map(|tgt| tgt.ticket.clone());
        let anew = login.is_none() || *lock(&self.login) != login;
        if !anew {
            return looker.board.origin(|origin| origin.problem = None);
        }
        client.adopt(cache);
        if let Some(tgt) = tgt {
            looker.board.succeeded(tgt, client.kdc_clock());
        }
        let again = std::mem::replace(&mut *lock(&self.login), login).is_some();
        let now = looker.now();
        looker.board.origin(|origin| {
            origin.read = Some(now);
            origin.reloads = origin.reloads.saturating_add(again.into());
            origin.problem = None;
        });
    }
}

impl Backing {
    /// Looks whether the file has changed.
    pub(super) async fn look(&self, looker: &Looker<'_>, closely: bool) {
        match self {
            Backing::Keytab(keytab) => keytab.look(looker, closely).await,
            Backing::Cache(cache) => cache.look(looker, closely).await,
            Backing::Given => {}
        }
    }

    /// What asks for a look at once.
    pub(super) fn wish(&self) -> Option<&Notify> {
        match self {
            Backing::Keytab(keytab) => Some(&keytab.look),
            Backing::Cache(cache) => Some(&cache.look),
            Backing::Given => None,
        }
    }
}

fn keytab_path(name: &KeytabName) -> Option<PathBuf> {
    match name {
        KeytabName::File(path) | KeytabName::WritableFile(path) => Some(path.clone()),
        KeytabName::Memory(_) => None,
    }
}

fn cache_path(name: &CacheName) -> Option<PathBuf> {
    match name.resolve() {
        Ok(CacheName::File(path) | CacheName::Member(path)) => Some(path),
        _ => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
