//! A store file, made or opened. Not here: what is in it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, RwLock};

use arc_swap::ArcSwap;
use redb::{Builder, Database};

use super::shelf::Shelf;
use super::trouble::{guarded, opening, sniff};
use super::view::Newest;
use super::{CHECK, META, NAMES, PRINCIPALS, Redb, SCHEMA, begin, failed};
use crate::core::StoreError;
use crate::store::seal::MasterKey;

/// Octets of pages kept by redb itself, where much is read and written through them.
const PAGES: usize = 80 << 20;
/// The same where a realm is served: records are kept besides, and opened entries by [`crate::store::Cached`].
const SERVED_PAGES: usize = 24 << 20;
/// Up to this size a file is verified whole when opened, which costs some 10 ms.
const VERIFIED: u64 = 32 << 20;

impl Redb {
    /// Makes an empty store, readable by its owner only. Never overwrites.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when the file exists or can't be written.
    pub fn create(file: &Path, realm: &str, master: MasterKey) -> Result<Self, StoreError> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .map_err(|error| StoreError::Storage(format!("{}: {error}", file.display())))?;
        let (version, sealed) = master.seal(CHECK, CHECK)?;
        let mut database = builder(PAGES).create(file).map_err(|error| opening(file, error))?;
        let fail = |error: redb::Error| failed(file, error);
        let write = |database: &Database| -> Result<(), redb::Error> {
            let transaction = begin(database)?;
            transaction.open_table(PRINCIPALS)?;
            transaction.open_table(NAMES)?;
            let mut meta = transaction.open_table(META)?;
            meta.insert("schema", &SCHEMA.to_be_bytes()[..])?;
            meta.insert("generation", &0u64.to_be_bytes()[..])?;
            meta.insert("realm", realm.as_bytes())?;
            meta.insert("master", &[&version.to_be_bytes(), &*sealed].concat()[..])?;
            drop(meta);
            Ok(transaction.commit()?)
        };
        write(&mut database).map_err(fail)?;
        let mut store = Redb::of(file, database, master, PAGES);
        store.realm = realm.to_owned();
        Ok(store)
    }

    /// Opens a store for this process alone.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open; [`StoreError::Storage`] when the
    /// file is missing, damaged or no store, or the master key is not its own.
    pub fn open(file: &Path, master: MasterKey) -> Result<Self, StoreError> {
        Redb::opened(file, master, PAGES)
    }

    /// The same for who serves a realm, keeping up to so many octets of records in memory.
    ///
    /// # Errors
    /// As [`Redb::open`].
    pub fn open_served(file: &Path, master: MasterKey, records: usize) -> Result<Self, StoreError> {
        Ok(Redb::opened(file, master, SERVED_PAGES)?.keeping(records))
    }

    fn opened(file: &Path, master: MasterKey, pages: usize) -> Result<Self, StoreError> {
        let size = sniff(file)?;
        guarded(file, || {
            let database = builder(pages)
                .set_check_integrity_on_open(size <= VERIFIED)
                .open(file)
                .map_err(|error| opening(file, error))?;
            let mut store = Redb::of(file, database, master, pages);
            store.realm = store.introduce()?;
            Ok(store)
        })
    }

    /// A store of a realm that is not known yet, which keeps no records in memory.
    fn of(file: &Path, database: Database, master: MasterKey, pages: usize) -> Self {
        Redb {
            file: file.to_owned(),
            realm: String::new(),
            pages,
            master: ArcSwap::from_pointee(master),
            database: RwLock::new(Some(database)),
            newest: Newest::default(),
            shelf: Shelf::new(0),
            torn: AtomicBool::new(false),
            rolling: Mutex::default(),
        }
    }
}

/// Opens with so many octets of pages.
pub(super) fn builder(pages: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(pages);
    builder
}
