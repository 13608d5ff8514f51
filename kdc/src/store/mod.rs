//! Where principals are kept: the houses of [`crate::core::Store`]. [`Redb`] is one file, crash-safe, every
//! key in it sealed under the realm's master key; [`Memory`] is for tests and shows; [`Cached`]
//! keeps opened entries in front of either. Not here: what an entry means (the core) and who may
//! change it (`admin`).

mod cache;
mod dump;
#[cfg(feature = "etcd")]
pub mod etcd;
mod memory;
mod plan;
mod policy_record;
mod record;
mod redb;
mod seal;
mod vault;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

pub use cache::Cached;
pub use dump::{Line as DumpLine, Trailer, lines as dump_lines, read as read_dump_line, trailer as dump_trailer};
pub use memory::Memory;
pub use plan::normal;
#[doc(hidden)] // for tests that bend records
pub use record::{decode as decode_record, encode as encode_record};
pub use redb::{Ahead, Bulk, Existing, Put, Redb, Sealed};
pub use seal::{MasterKey, open_under, seal_under};
pub use vault::{Resealed, Vault, remind};

use crate::attempts::Together;
use crate::core::{Ledger, Store, StoreError};
use crate::source::Source;

/// How much of a store is kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// At most so many opened entries.
    pub entries: usize,
    /// At most so many octets of records as they are on disk.
    pub records: usize,
}

/// Whatever a KDC serves from.
pub trait House: Store + Ledger + Vault {
    /// The KDC issues tickets and changes passwords here: for those who want to know which KDCs live.
    fn serves(&self, _tickets: Vec<SocketAddr>, _passwords: Vec<SocketAddr>) {}

    /// What other KDCs of the realm count of failed logins, from now on; `None` where there are no others.
    fn together(&self) -> Option<Arc<Together>> {
        None
    }

    /// Reads on after `after` what is to be kept in memory.
    ///
    /// # Errors
    /// When the store can't be read.
    fn read_ahead(&self, after: Option<&str>) -> Result<Ahead, StoreError>;

    /// Whether, since this was asked last, what was read ahead was forgotten. At first it was.
    fn forgot(&self) -> bool;
}

impl House for Redb {
    fn read_ahead(&self, after: Option<&str>) -> Result<Ahead, StoreError> {
        Redb::read_ahead(self, after)
    }

    fn forgot(&self) -> bool {
        Redb::forgot(self)
    }
}

impl House for Cached<Redb> {
    fn read_ahead(&self, after: Option<&str>) -> Result<Ahead, StoreError> {
        self.inner().read_ahead(after)
    }

    fn forgot(&self) -> bool {
        self.inner().forgot()
    }
}

/// Opens the store that a daemon serves from: `file`, its keys sealed under the master key from
/// `master_key`.
///
/// # Errors
/// [`StoreError::InUse`] when another process has it open; [`StoreError::Storage`] says what is
/// wrong with either file and what to do.
pub fn open(file: &Path, master_key: impl Into<Source>, kept: Kept) -> Result<Cached<Redb>, StoreError> {
    let master = MasterKey::load(master_key)?;
    remind(&master);
    Ok(Cached::new(Redb::open_served(file, master, kept.records)?, kept.entries))
}
