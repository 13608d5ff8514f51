//! Keytabs: the long-term keys of services, and of users who cannot type.
//!
//! [`Keytab`] is the content, parsed from bytes and written to bytes; [`KeytabName`] says where it
//! lies and opens the doors: a file, or the memory of this process. There is no RFC: the layout is
//! that of MIT's "keytab file format", versions 1 and 2; only 2 is written. Not here: which name is
//! the default ([`crate::config`]), what the keys open ([`crate::service`]).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod file;
mod format;
mod lookup;
mod memory;
mod name;

use zeroize::Zeroizing;

use crate::error::Result;
use crate::name::Principal;
use crate::time::Time;

pub use crate::storage::RawKey;
pub use name::KeytabName;

/// The content of a keytab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keytab {
    /// The keys, in the order of the file.
    pub entries: Vec<KeytabEntry>,
}

/// One key of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeytabEntry {
    /// Whose key it is.
    pub principal: Principal,
    /// When the key was put here.
    pub timestamp: Time,
    /// Its version number; 0 counts as any.
    pub kvno: u32,
    /// The key.
    pub key: RawKey,
}

impl Keytab {
    /// Reads the bytes of a keytab file of either version.
    ///
    /// # Errors
    /// [`crate::Error::Storage`] saying at which byte something else was expected.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Ok(Keytab { entries: format::parse(bytes)?.into_entries().collect() })
    }

    /// Whose keys these are, each once, in the order of the file.
    pub fn principals(&self) -> Vec<Principal> {
        let mut principals = vec![];
        for entry in &self.entries {
            if !principals.contains(&entry.principal) {
                principals.push(entry.principal.clone());
            }
        }
        principals
    }

    /// The bytes of a keytab file of version 2.
    ///
    /// # Errors
    /// [`crate::Error::Storage`] for a name or key that is longer than the file can say.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>> {
        format::encode(&self.entries)
    }
}

#[cfg(test)]
mod tests;
