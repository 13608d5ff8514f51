//! The master key of a store and its roll-over, while the store is used: the next version goes into the
//! key's file first, then every change is sealed under it; page by page what is older is sealed anew;
//! when nothing is, the old versions leave the file. Each step can be cut short and repeated: how far it
//! has come stands in the records themselves, each of which names the version that it is sealed under.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError};

use libkrb::Principal;
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::plan::key;
use super::record;
use super::redb::{CHECK, Changed, META, PRINCIPALS, Redb, begin, failed, opens_check};
use super::seal::MasterKey;
use super::{Cached, StoreError};
use crate::core::Store;

/// How many records are looked at in one step: some milliseconds, for which other changes wait.
const PAGE: usize = 500;

/// A store whose keys are sealed.
pub trait Vault: Send + Sync {
    /// Where its master key is from, and how many records each version of it seals.
    ///
    /// # Errors
    /// [`StoreError`] when the records can't be read.
    fn master_key(&self) -> Result<(String, BTreeMap<u32, u64>), StoreError>;

    /// A step of the roll-over: the records after `after`. Without one it begins, or goes on with what
    /// was begun.
    ///
    /// # Errors
    /// [`StoreError`] when the key can't be extended, or records can't be read or written.
    fn reseal(&self, after: Option<&Principal>) -> Result<Resealed, StoreError>;

    /// Whether a master key is the one of this store, as somebody would find who opened it with that.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    fn opens_with(&self, master: &MasterKey) -> Result<bool, StoreError>;
}

/// What a step of a roll-over came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// The version that seals now.
    pub version: u32,
    /// How many records were looked at.
    pub seen: u64,
    /// How many there are.
    pub total: u64,
    /// The last that was looked at; `None`: that was all.
    pub next: Option<Principal>,
    /// At the end: old versions that nothing needs any more and that are not with the KDC any more.
    pub removed: Vec<u32>,
    /// At the end: old versions that nothing needs any more and that stand where the KDC can't write.
    pub left: Vec<u32>,
}

impl Vault for Redb {
    fn master_key(&self) -> Result<(String, BTreeMap<u32, u64>), StoreError> {
        let master = self.master.load_full();
        let mut counts: BTreeMap<u32, u64> = master.versions().into_iter().map(|version| (version, 0)).collect();
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            for row in store.sound(store.sound(transaction.open_table(PRINCIPALS))?.iter())? {
                let (owner, bytes) = store.sound(row)?;
                for version in record::sealed_under(owner.value(), bytes.value())? {
                    *counts.entry(version).or_default() += 1;
                }
            }
            Ok(())
        })?;
        Ok((master.file().display().to_string(), counts))
    }

    fn opens_with(&self, master: &MasterKey) -> Result<bool, StoreError> {
        self.read(|store, database| {
            let meta = store.sound(store.sound(database.begin_read())?.open_table(META))?;
            let sealed = store.sound(meta.get("master"))?;
            Ok(sealed.is_some_and(|sealed| opens_check(master, sealed.value())))
        })
    }

    fn reseal(&self, after: Option<&Principal>) -> Result<Resealed, StoreError> {
        let _alone = self.rolling.lock().unwrap_or_else(PoisonError::into_inner);
        if after.is_none() && self.master.load().versions().len() == 1 {
            self.master.store(Arc::new(self.master.load().with_next()?));
        }
        let mut step = self.page(after.map(key).as_deref())?;
        if step.next.is_none() {
            (step.removed, step.left) = self.finish()?;
        }
        Ok(step)
    }
}

impl Redb {
    /// Seals a page of records anew.
    fn page(&self, after: Option<&str>) -> Result<Resealed, StoreError> {
        let mut step = Resealed { version: 0, seen: 0, total: 0, next: None, removed: vec![], left: vec![] };
        self.committing(|store, database| {
            let transaction = begin(database).map_err(|error| failed(&store.file, error))?;
            let master = store.master.load_full();
            step.version = master.version();
            let mut changed = vec![];
            {
                let mut table = store.sound(transaction.open_table(PRINCIPALS))?;
                step.total = store.sound(table.len())?;
                let (mut renewed, mut last) = (vec![], None);
                let start = after.map_or(Bound::Unbounded, Bound::Excluded);
                for row in store.sound(table.range::<&str>((start, Bound::Unbounded)))?.take(PAGE) {
                    let (owner, bytes) = store.sound(row)?;
                    if let Some(bytes) = record::reseal(owner.value(), bytes.value(), &master)? {
                        renewed.push((owner.value().to_owned(), bytes));
                    }
                    last = Some(owner.value().to_owned());
                    step.seen += 1;
                }
                for (owner, bytes) in renewed {
                    store.sound(table.insert(&*owner, &*bytes))?;
                    changed.push(owner);
                }
                // The key of a record is its principal's text.
                let last = last.filter(|_| step.seen == PAGE as u64).map(|name| Principal::parse(&name, None));
                step.next = last.and_then(Result::ok);
            }
            store.sound(transaction.commit())?;
            Ok(Changed::These(changed))
        })?;
        Ok(step)
    }

    /// When nothing is sealed under old versions: takes them away. Which are gone, and which could not
    /// be taken away.
    pub(super) fn finish(&self) -> Result<(Vec<u32>, Vec<u32>), StoreError> {
        let master = self.master.load_full();
        let mut old = master.versions();
        old.retain(|version| *version != master.version());
        if old.iter().any(|version| *version > master.version()) {
            let problem = "its newest version is not in use yet; rotate again";
            return Err(StoreError::Storage(format!("{}: {problem}", master.file().display())));
        }
        let mut needed = false;
        self.committing(|store, database| {
            let transaction = begin(database).map_err(|error| failed(&store.file, error))?;
            {
                let table = store.sound(transaction.open_table(PRINCIPALS))?;
                for row in store.sound(table.iter())? {
                    let (owner, bytes) = store.sound(row)?;
                    let versions = record::sealed_under(owner.value(), bytes.value())?;
                    if versions.iter().any(|version| *version != master.version()) {
                        needed = true;
                        return Ok(Changed::Nothing);
                    }
                }
                let (version, sealed) = master.seal(CHECK, CHECK)?;
                let mut meta = store.sound(transaction.open_table(META))?;
                store.sound(meta.insert("master", &[&version.to_be_bytes(), &*sealed].concat()[..]))?;
            }
            store.sound(transaction.commit())?;
            Ok(Changed::Nothing)
        })?;
        if needed {
            let problem = "something is sealed under an old version of the master key still; rotate again";
            return Err(StoreError::Storage(format!("{}: {problem}", self.file.display())));
        }
        if old.is_empty() {
            return Ok((vec![], vec![]));
        }
        if !master.is_in_a_file() {
            return Ok((vec![], old));
        }
        self.master.store(Arc::new(master.newest_only()?));
        Ok((old, vec![]))
    }
}

impl<S: Store + Vault> Vault for Cached<S> {
    fn master_key(&self) -> Result<(String, BTreeMap<u32, u64>), StoreError> {
        self.inner().master_key()
    }

    fn reseal(&self, after: Option<&Principal>) -> Result<Resealed, StoreError> {
        // What is opened stays as it is: the keys are the same.
        self.inner().reseal(after)
    }

    fn opens_with(&self, master: &MasterKey) -> Result<bool, StoreError> {
        self.inner().opens_with(master)
    }
}

/// Says, at the start of a KDC, what a crash or an impatient administrator left.
pub fn remind(master: &MasterKey) {
    let versions = master.versions();
    if versions.len() > 1 {
        tracing::warn!(?versions, "a roll-over of the master key is not finished; run `kdc master-key rotate`");
    }
}
