//! Credential caches: a principal's tickets with their session keys, as MIT and Heimdal keep them.
//!
//! [`Ccache`] is the content, parsed from bytes and written to bytes; [`CacheName`] says where it lies
//! and opens the doors: a file, a directory of files, the memory of this process, a daemon ([`kcm`]), the kernel's keyrings
//! (`keyring`, a feature). There is no RFC:
//! the layout is that of MIT's "credential cache file format", versions 1 to 4; only 4 is written.
//! Not here: which name is the default ([`crate::config`]), how tickets are got ([`crate::client`]).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod cache;
mod credential;
mod file;
mod format;
pub mod kcm;
#[cfg(feature = "keyring")]
pub mod keyring;
mod memory;
mod name;

use zeroize::Zeroizing;

use crate::error::Result;
use crate::name::Principal;
use crate::time::Time;

pub use crate::storage::RawKey;
pub use credential::{Address, AuthData, Credential};
pub use name::{CacheName, default_cache};

/// The content of a credential cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ccache {
    /// Whose cache it is.
    pub principal: Principal,
    /// How far the KDC's clock is ahead of ours, in seconds and microseconds, if that is known.
    pub kdc_offset: Option<(i32, i32)>,
    /// Tickets and configuration entries, oldest first. What was removed from the file is not here.
    pub credentials: Vec<Credential>,
}

impl Ccache {
    /// An empty cache of `principal`.
    pub fn new(principal: Principal) -> Self {
        Ccache { principal, kdc_offset: None, credentials: vec![] }
    }

    /// Reads the bytes of a cache file of any version.
    ///
    /// # Errors
    /// [`crate::Error::Storage`] saying at which byte something else was expected.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        format::parse(bytes).map(format::Parsed::into_ccache)
    }

    /// The bytes of a cache file of version 4.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        format::encode(self)
    }

    /// The tickets, without the configuration entries.
    pub fn tickets(&self) -> impl Iterator<Item = &Credential> {
        self.credentials.iter().filter(|credential| !credential.is_config())
    }

    /// The cache's owner's ticket for `server` that is good at `now` and will be for the longest; never
    /// one that is encrypted in a session key (RFC 4120 3.7), which only the peer of one conversation can
    /// read, nor one in another's name.
    pub fn find(&self, server: &Principal, now: Time) -> Option<&Credential> {
        self.find_of(&self.principal, server, now)
    }

    /// The same of a ticket in somebody's name, which a service may have got (MS-SFU).
    pub fn find_of(&self, client: &Principal, server: &Principal, now: Time) -> Option<&Credential> {
        self.tickets()
            .filter(|ticket| ticket.client == *client && ticket.server == *server)
            .filter(|ticket| !ticket.is_skey && ticket.end_time > now)
            .max_by_key(|ticket| ticket.end_time)
    }

    /// The ticket-granting ticket to begin with, if it is good at `now`: that of the realm which
    /// `start_realm` names, else that of the principal's realm.
    pub fn tgt(&self, now: Time) -> Option<&Credential> {
        let start = self.config("start_realm", None).and_then(|realm| std::str::from_utf8(realm).ok());
        self.find(&Principal::tgs(start.unwrap_or(self.principal.realm())), now)
    }

    /// The value of a configuration entry. What is asked for a principal and stands there for none
    /// counts: MIT documents `fast_avail` so, and writes it otherwise.
    pub fn config(&self, key: &str, principal: Option<&Principal>) -> Option<&[u8]> {
        let principal = principal.map(Principal::to_string);
        let tied_to = |name: Option<&str>| {
            let same = |entry: &&Credential| entry.config_key() == Some(key) && entry.config_principal() == name;
            self.credentials.iter().rev().find(same).map(|entry| &*entry.ticket)
        };
        tied_to(principal.as_deref()).or_else(|| tied_to(None))
    }

    /// Whether the KDC that issued a ticket-granting ticket said that it knows FAST (`fast_avail`).
    pub fn fast_known(&self, tgt: &Credential) -> bool {
        self.config("fast_avail", Some(&tgt.server)) == Some(b"yes")
    }

    /// Sets a configuration entry, in the place of the one of the same key and principal.
    pub fn set_config(&mut self, key: &str, principal: Option<&Principal>, value: &[u8]) {
        let entry = Credential::config(&self.principal, key, principal, value);
        self.credentials.retain(|old| !old.is_config() || old.server != entry.server);
        self.credentials.push(entry);
    }
}

#[cfg(test)]
mod tests;
