//! Caches that a daemon holds (`KCM:`): a name in it, and what can be done with the cache of that name. Not here: the
//! daemon, which says whose caches one sees by the user id of whoever connects.

pub mod protocol;
mod socket;
mod tag;

use std::fmt;
use std::path::{Path, PathBuf};

use super::{CacheName, Ccache, Credential};
use crate::error::{Error, Result};
use crate::name::Principal;
use protocol::{Reply, Request, Status, Tag};
use socket::{Failed, Link};

/// Where the daemon listens unless `kcm_socket` says otherwise.
pub const SOCKET: &str = "/var/run/.heim_org.h5l.kcm-socket";
/// More caches of one user are not listed.
const MAX_CACHES: usize = 4096;

/// A cache of a daemon; without a name, the one that the daemon has as the primary one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KcmName {
    socket: PathBuf,
    name: String,
}

impl KcmName {
    pub(super) fn new(name: &str) -> Self {
        KcmName { socket: SOCKET.into(), name: name.to_owned() }
    }

    pub(super) fn at(self, socket: &Path) -> Self {
        KcmName { socket: socket.to_owned(), ..self }
    }

    /// Whether it stands for all of the user's caches.
    pub(super) fn is_collection(&self) -> bool {
        self.name.is_empty()
    }

    fn link(&self) -> Result<Link> {
        Link::to(&self.socket)
    }

    fn sibling(&self, name: String) -> KcmName {
        KcmName { socket: self.socket.clone(), name }
    }

    /// The error for a request about this cache.
    fn failed(&self, failed: Failed) -> Error {
        match failed {
            Failed::Refused(Status::NO_CACHE | Status::END) => Error::NoCache(self.to_string()),
            Failed::Refused(status) => {
                Error::storage("KCM server refuses", self.to_string(), format!("error {}", status.0))
            }
            Failed::Lost(error) => error,
        }
    }

    pub(super) fn resolve(&self) -> Result<KcmName> {
        if !self.is_collection() {
            return Ok(self.clone());
        }
        match self.link()?.ask(&Request::Primary).map_err(|failed| self.failed(failed))? {
            Reply::Name(name) => Ok(self.sibling(name)),
            _ => Ok(self.clone()),
        }
    }

    pub(super) fn load(&self) -> Result<Ccache> {
        let mut link = self.link()?;
        let owner = self.owner(&mut link)?;
        let credentials = self.credentials(&mut link).map_err(|failed| self.failed(failed))?;
        // A daemon that knows no offset refuses to tell one.
        let offset = match link.ask(&Request::Offset(self.name.clone())) {
            Ok(Reply::Offset(seconds)) if seconds != 0 => Some((seconds, 0)),
            _ => None,
        };
        Ok(Ccache { principal: owner, kdc_offset: offset, credentials })
    }

    fn owner(&self, link: &mut Link) -> Result<Principal> {
        // Heimdal's daemon has names of caches that nobody has filled yet, and answers with no principal.
        match link.ask_or_nothing(&Request::Owner(self.name.clone())).map_err(|failed| self.failed(failed))? {
            Some(Reply::Principal(owner)) => Ok(owner),
            _ => Err(Error::NoCache(self.to_string())),
        }
    }

    fn credentials(&self, link: &mut Link) -> Result<Vec<Credential>, Failed> {
        match link.ask(&Request::Credentials(self.name.clone())) {
            Ok(Reply::Credentials(credentials)) => return Ok(credentials),
            Err(Failed::Lost(error)) => return Err(Failed::Lost(error)),
            // An older daemon gives them one by one.
            _ => {}
        }
        let Reply::Ids(ids) = link.ask(&Request::CredentialIds(self.name.clone()))? else { return Ok(vec![]) };
        let mut credentials = vec![];
        for id in ids {
            match link.ask(&Request::CredentialById(self.name.clone(), id)) {
                Ok(Reply::Credential(credential)) => credentials.push(*credential),
                // Removed meanwhile.
                Ok(_) | Err(Failed::Refused(Status::END | Status::NOT_FOUND)) => {}
                Err(failed) => return Err(failed),
            }
        }
        Ok(credentials)
    }

    pub(super) fn replace(&self, cache: &Ccache) -> Result<()> {
        let (name, mut link) = (&self.name, self.link()?);
        let offset = cache.kdc_offset.map_or(0, |(seconds, _)| seconds);
        let whole = Request::Replace(name.clone(), offset, cache.principal.clone(), cache.credentials.clone());
        match link.ask(&whole) {
            Ok(_) => return Ok(()),
            Err(Failed::Refused(Status::NO_ROOM)) => return Err(self.failed(Failed::Refused(Status::NO_ROOM))),
            Err(Failed::Lost(error)) => return Err(error),
            // An older daemon takes it piece by piece.
            Err(Failed::Refused(_)) => {}
        }
        let mut ask = |request: &Request| link.ask(request).map(drop).map_err(|failed| self.failed(failed));
        ask(&Request::Initialize(name.clone(), cache.principal.clone()))?;
        for credential in &cache.credentials {
            ask(&Request::Store(name.clone(), Box::new(credential.clone())))?;
        }
        if cache.kdc_offset.is_some() {
            ask(&Request::SetOffset(name.clone(), offset))?;
        }
        Ok(())
    }

    pub(super) fn store(&self, credential: &Credential) -> Result<()> {
        self.tell(&Request::Store(self.name.clone(), Box::new(credential.clone())))
    }

    /// Removes what is unwanted, each by itself: what others store or remove meanwhile stays as they have it.
    pub(super) fn remove(&self, unwanted: impl Fn(&Credential) -> bool) -> Result<usize> {
        let mut link = self.link()?;
        self.owner(&mut link)?;
        let mut credentials = self.credentials(&mut link).map_err(|failed| self.failed(failed))?;
        credentials.retain(unwanted);
        let mut removed = 0_usize;
        for credential in &credentials {
            match link.ask(&Request::Remove(self.name.clone(), Tag::of(credential))) {
                Ok(_) => removed = removed.saturating_add(1),
                // Somebody was faster.
                Err(Failed::Refused(Status::NOT_FOUND | Status::END)) => {}
                Err(Failed::Refused(Status::UNSUPPORTED | Status::INTERNAL | Status::IO)) => {
                    drop(link);
                    return self.keep(|credential| !credentials.contains(credential));
                }
                Err(failed) => return Err(self.failed(failed)),
            }
        }
        Ok(removed)
    }

    /// For daemons that remove nothing (sssd's): the cache is made anew without it. Not in one piece: what others store
    /// meanwhile may go with it.
    fn keep(&self, wanted: impl Fn(&Credential) -> bool) -> Result<usize> {
        let mut cache = self.load()?;
        let before = cache.credentials.len();
        cache.credentials.retain(wanted);
        let removed = before.saturating_sub(cache.credentials.len());
        if removed > 0 {
            self.replace(&cache)?;
        }
        Ok(removed)
    }

    pub(super) fn destroy(&self) -> Result<()> {
        self.tell(&Request::Destroy(self.name.clone()))
    }

    pub(super) fn switch(&self) -> Result<()> {
        self.tell(&Request::SetPrimary(self.name.clone()))
    }

    fn tell(&self, request: &Request) -> Result<()> {
        self.link()?.ask(request).map(drop).map_err(|failed| self.failed(failed))
    }

    /// The caches that this name stands for and that somebody has filled, the primary one first.
    pub(super) fn members(&self) -> Result<Vec<CacheName>> {
        let mut link = self.link()?;
        let mut names = vec![];
        if self.is_collection() {
            match link.ask(&Request::Primary) {
                Ok(Reply::Name(primary)) => names.push(primary),
                Err(Failed::Lost(error)) => return Err(error),
                _ => {}
            }
            let Ok(Reply::Ids(ids)) = link.ask(&Request::CacheIds) else { return Ok(vec![]) };
            for id in ids.into_iter().take(MAX_CACHES) {
                match link.ask(&Request::CacheById(id)) {
                    Ok(Reply::Name(name)) if !names.contains(&name) => names.push(name),
                    Err(Failed::Lost(error)) => return Err(error),
                    // Removed meanwhile.
                    _ => {}
                }
            }
        } else {
            names.push(self.name.clone());
        }
        let caches = names.into_iter().map(|name| self.sibling(name));
        Ok(caches.filter(|cache| cache.owner(&mut link).is_ok()).map(CacheName::Kcm).collect())
    }

    pub(super) fn new_unique(&self) -> Result<KcmName> {
        match self.link()?.ask(&Request::NewName).map_err(|failed| self.failed(failed))? {
            Reply::Name(name) => Ok(self.sibling(name)),
            _ => Ok(self.clone()),
        }
    }
}

impl fmt::Display for KcmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KCM:{}", self.name)
    }
}

#[cfg(test)]
mod tests;
