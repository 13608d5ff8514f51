//! The store in one file: redb, a commit durable before it is acknowledged. Not here: what a
//! commit comes to (`plan`), the bytes of an entry (`record`), the sealing of keys (`seal`).
//!
//! redb promises errors for what a crash leaves and may panic on files that something else
//! altered: every use of it is guarded, and a small file is verified whole when it is opened.

mod ahead;
mod answers;
mod bulk;
mod export;
#[cfg(feature = "etcd")]
mod follow;
mod ledger;
mod open;
mod shelf;
mod tables;
mod trouble;
mod view;

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arc_swap::ArcSwap;
use libkrb::{Principal, Time};
use redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableError,
};
use zeroize::Zeroizing;

pub use ahead::Ahead;
pub use bulk::{Bulk, Existing, Put, Sealed};
#[cfg(feature = "etcd")]
pub use follow::{Followed, Position, REVISION_OF_A_POLICY, REVISION_OF_A_PRINCIPAL, Row};

pub(super) use self::shelf::Changed;
use self::shelf::Shelf;
use self::tables::Tables;
pub(super) use self::trouble::failed;
use self::trouble::{damaged, foreign, guarded, opening};
use self::view::{Newest, View};
use super::plan::{Plan, folded, key, normal, text};
use super::seal::MasterKey;
use super::{policy_record, record};
use crate::core::store::{Export, is_of_service};
use crate::core::{Change, Entry, PasswordPolicy, Size, Store, StoreError};

/// Records by the text of their principal.
pub(super) const PRINCIPALS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("principals");
/// Every name and alias, folded and exact: whose it is.
const NAMES: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("names");
/// Password policies by name; stores made before there were any have no such table.
const POLICIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("policies");
/// What the store says of itself.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// The row of META that makes a store a copy.
const POSITION: &str = "position";
/// The layout of the tables.
const SCHEMA: u64 = 1;
/// What the master key must open to be the right one.
pub(super) const CHECK: &[u8] = b"this is the master key of the store";

/// Entries in a file.
pub struct Redb {
    pub(super) file: PathBuf,
    realm: String,
    /// Octets.
    pages: usize,
    /// Swapped while it is rolled over: a change that has begun goes on with the one it began with.
    pub(super) master: ArcSwap<MasterKey>,
    /// Some until dropped, or while it can't be opened anew.
    database: RwLock<Option<Database>>,
    newest: Newest,
    shelf: Shelf,
    /// redb failed in the midst of a commit: what it holds in memory may not be what is on disk.
    torn: AtomicBool,
    /// Whoever rolls the master key over.
    pub(super) rolling: Mutex<()>,
}

impl Redb {
    /// The realm it was made for.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Its file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads everything there is: every page, every record, every key. How many principals it found.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&mut self) -> Result<usize, StoreError> {
        let file = self.file.clone();
        self.newest.pass();
        if let Some(database) = self.database.get_mut().unwrap_or_else(PoisonError::into_inner) {
            guarded(&file, || database.check_integrity().map_err(|error| opening(&file, error)))?;
        }
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            let table = store.sound(transaction.open_table(PRINCIPALS))?;
            let mut count = 0;
            for row in store.sound(table.iter())? {
                let (owner, bytes) = store.sound(row)?;
                record::decode(owner.value(), bytes.value(), &store.master.load())?;
                count += 1;
            }
            Ok(count)
        })
    }

    /// Checks that the store is one of ours and the master key its own; tells its realm.
    fn introduce(&self) -> Result<String, StoreError> {
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            let meta = transaction.open_table(META).map_err(|_| foreign(&store.file))?;
            let value = |name: &str| {
                let value = store.sound(meta.get(name))?.ok_or_else(|| foreign(&store.file))?;
                Ok::<_, StoreError>(value.value().to_vec())
            };
            if number(&value("schema")?) != Some(SCHEMA) {
                let next = "it was written by another version of kdc; use that version";
                return Err(StoreError::Storage(format!("{}: {next}", store.file.display())));
            }
            if !opens_check(&store.master.load(), &value("master")?) {
                return Err(store.wrong_master_key());
            }
            String::from_utf8(value("realm")?).map_err(|_| damaged(&store.file, "its realm is no text"))
        })
    }

    fn wrong_master_key(&self) -> StoreError {
        let (file, master) = (self.file.display(), self.master.load().file().display().to_string());
        StoreError::Storage(format!(
            "wrong master key: {master} is not the key that {file} was sealed with; restore that key file from its copy, \
             or, to load a backup that was taken under it, move {file} away first"
        ))
    }

    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&Self, &Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut opened = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if opened.is_none() {
            drop(opened);
            self.reopen()?;
            opened = self.database.read().unwrap_or_else(PoisonError::into_inner);
        }
        let database = opened.as_ref().ok_or_else(|| damaged(&self.file, "closed"))?;
        guarded(&self.file, || look(self, database))
    }

    /// Begins again from what is on disk. After a write that failed, as on a full disk, redb refuses
    /// to read too; but what was committed is there and has to be served.
    fn reopen(&self) -> Result<(), StoreError> {
        let mut place = self.database.write().unwrap_or_else(PoisonError::into_inner);
        self.passed(&Changed::Any);
        let old = place.take();
        guarded(&self.file, || {
            drop(old);
            *place = Some(open::builder(self.pages).open(&self.file).map_err(|error| opening(&self.file, error))?);
            Ok(())
        })
    }

    /// Looks into the password policies, of which an older store has no table.
    fn policies_table<T: Default>(
        &self,
        look: impl FnOnce(&Self, &ReadOnlyTable<&'static str, &'static [u8]>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            match transaction.open_table(POLICIES) {
                Ok(table) => look(store, &table),
                Err(TableError::TableDoesNotExist(_)) => Ok(T::default()),
                Err(error) => Err(failed(&store.file, error.into())),
            }
        })
    }

    /// A result of redb's as ours.
    pub(super) fn sound<T, E: Into<redb::Error>>(&self, result: Result<T, E>) -> Result<T, StoreError> {
        result.map_err(|error| failed(&self.file, error.into()))
    }

    /// Runs a commit, which tells what it changed; after one that panicked midway there is no other.
    pub(super) fn committing(
        &self,
        write: impl FnOnce(&Self, &Database) -> Result<Changed, StoreError>,
    ) -> Result<(), StoreError> {
        if self.torn.load(Ordering::Acquire) {
            return Err(damaged(&self.file, "an earlier commit failed midway; restart first"));
        }
        let (mut begun, mut finished) = (false, false);
        let done = self.read(|store, database| {
            begun = true;
            let done = write(store, database);
            finished = true;
            done
        });
        self.passed(match &done {
            Ok(changed) => changed,
            Err(StoreError::Storage(_)) => &Changed::Any,
            // Refused: nothing was committed.
            Err(_) => &Changed::Nothing,
        });
        if begun && !finished {
            self.torn.store(true, Ordering::Release);
        } else if begun && matches!(done, Err(StoreError::Storage(_))) {
            // Should it fail, whoever reads next tries again.
            let _ = self.reopen();
        }
        done.map(drop)
    }

    /// There was a commit: first all see it, then what they had before is taken from them.
    fn passed(&self, changed: &Changed) {
        self.newest.pass();
        self.shelf.passed(changed);
    }

    fn find(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        let name = normal(name);
        let key = text(&name);
        let open = |record: &[u8]| record::decode_named(&name, &key, record, &self.master.load());
        // Of what is wrong with a record the tree knows whether it is true.
        if let Some(entry) = guarded(&self.file, || Ok(self.shelf.look(&key, |record| open(record).ok())))? {
            return Ok(Some(Arc::new(entry)));
        }
        let epoch = self.shelf.epoch();
        self.look(|store, View { principals, names, .. }| {
            if let Some(bytes) = store.sound(principals.get(&*key))? {
                let entry = open(bytes.value())?;
                store.shelf.put(epoch, &key, bytes.value());
                return Ok(Some(Arc::new(entry)));
            }
            let Some(owner) = store.sound(names.get((&*folded(&key), &*key)))? else { return Ok(None) };
            match store.sound(principals.get(owner.value()))? {
                Some(bytes) => Ok(Some(Arc::new(record::decode(owner.value(), bytes.value(), &store.master.load())?))),
                None => Err(damaged(&store.file, "a name without its principal")),
            }
        })
    }

    /// Refuses what would make a copy differ from what it is one of.
    fn is_no_copy(&self, meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<(), StoreError> {
        if self.sound(meta.get(POSITION))?.is_none() {
            return Ok(());
        }
        let next = "a copy of the realm in etcd; change that through a KDC whose kdc.toml has [store] kind = \"etcd\"";
        Err(StoreError::Storage(format!("{}: {next}", self.file.display())))
    }

    fn write(&self, database: &Database, changes: &[Change]) -> Result<Changed, StoreError> {
        let transaction = begin(database).map_err(|error| failed(&self.file, error))?;
        // Not before, lest it is sealed under one that a roll-over has left behind meanwhile.
        let master = self.master.load_full();
        let (answers, mut changed);
        {
            let mut principals = self.sound(transaction.open_table(PRINCIPALS))?;
            let mut names = self.sound(transaction.open_table(NAMES))?;
            let mut meta = self.sound(transaction.open_table(META))?;
            let mut policies = self.sound(transaction.open_table(POLICIES))?;
            self.is_no_copy(&meta)?;
            let tables = Tables { store: self, principals: &principals, names: &names, policies: &policies };
            let plan = Plan::new(&tables, changes)?;
            answers = plan.answers;
            let generation = self.sound(meta.get("generation"))?.and_then(|value| number(value.value()));
            let generation = generation.ok_or_else(|| damaged(&self.file, "no generation"))?.saturating_add(1);
            self.sound(meta.insert("generation", &generation.to_be_bytes()[..]))?;
            changed = Vec::with_capacity(plan.entries.len());
            for (key, entry) in plan.entries {
                match entry {
                    Some(entry) => {
                        let bytes = record::encode(entry, generation, &master)?;
                        self.sound(principals.insert(&*key, &*bytes))?;
                    }
                    None => drop(self.sound(principals.remove(&*key))?),
                };
                changed.push(key);
            }
            for ((folded, key), owner) in &plan.names {
                match owner {
                    Some(owner) => drop(self.sound(names.insert((&**folded, &**key), &**owner))?),
                    None => drop(self.sound(names.remove((&**folded, &**key)))?),
                }
            }
            for (name, policy) in &plan.policies {
                match policy {
                    Some(policy) => {
                        let bytes = policy_record::encode(policy, generation);
                        drop(self.sound(policies.insert(&**name, &*bytes))?);
                    }
                    None => drop(self.sound(policies.remove(&**name))?),
                }
            }
        }
        self.remember(&transaction, &answers, &master)?;
        self.sound(transaction.commit())?;
        Ok(Changed::These(changed))
    }
}

impl Store for Redb {
    fn lookup(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        self.find(name).or_else(|error| match error {
            // Read before a roll-over of the master key ended, and opened after it.
            StoreError::Record { .. } => self.find(name),
            error => Err(error),
        })
    }

    fn list(&self, after: Option<&Principal>, limit: usize) -> Result<Vec<Principal>, StoreError> {
        let after = after.map(key);
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            let principals = store.sound(transaction.open_table(PRINCIPALS))?;
            let start = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let rows = store.sound(principals.range::<&str>((start, Bound::Unbounded)))?;
            let name = |text: &str| Principal::parse(text, None).map_err(|_| damaged(&store.file, "a name is none"));
            rows.take(limit).map(|row| name(store.sound(row)?.0.value())).collect()
        })
    }

    fn policy(&self, name: &str) -> Result<Option<Arc<PasswordPolicy>>, StoreError> {
        self.policies_table(|store, table| {
            let bytes = store.sound(table.get(name))?;
            bytes.map(|bytes| policy_record::decode(name, bytes.value()).map(Arc::new)).transpose()
        })
    }

    fn policies(&self) -> Result<Vec<String>, StoreError> {
        self.policies_table(|store, table| {
            store.sound(table.iter())?.map(|row| Ok(store.sound(row)?.0.value().to_owned())).collect()
        })
    }

    fn policy_user(&self, name: &str) -> Result<Option<Principal>, StoreError> {
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            let principals = store.sound(transaction.open_table(PRINCIPALS))?;
            for row in store.sound(principals.iter())? {
                let (owner, bytes) = store.sound(row)?;
                if record::policy(owner.value(), bytes.value())?.as_deref() == Some(name) {
                    let principal = Principal::parse(owner.value(), None);
                    return Ok(Some(principal.map_err(|_| damaged(&store.file, "a name is none"))?));
                }
            }
            Ok(None)
        })
    }

    fn oldest_service(&self, now: Time) -> Result<Option<(Principal, Time)>, StoreError> {
        let mut oldest: Option<(Principal, Time)> = None;
        // One read of its own, which may take a second.
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            for row in store.sound(store.sound(transaction.open_table(PRINCIPALS))?.iter())? {
                let (owner, bytes) = store.sound(row)?;
                let (owner, bytes) = (owner.value(), bytes.value());
                // Most of them: users.
                if !owner.contains('/') {
                    continue;
                }
                // What can't be read does not hide the others.
                let Ok(Some(made)) = record::service_keys_made(owner, bytes, now) else { continue };
                if oldest.as_ref().is_none_or(|(_, oldest)| made < *oldest) {
                    let name = Principal::parse(owner, None).map_err(|_| damaged(&store.file, "a name is none"))?;
                    oldest = Some((name, made)).filter(|(name, _)| is_of_service(name)).or(oldest.take());
                }
            }
            Ok(())
        })?;
        Ok(oldest)
    }

    fn size(&self) -> Result<Size, StoreError> {
        let bytes = std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len());
        let policies = self.policies_table(|store, table| store.sound(table.len()))?;
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            let principals = store.sound(store.sound(transaction.open_table(PRINCIPALS))?.len())?;
            let meta = store.sound(transaction.open_table(META))?;
            let changes = store.sound(meta.get("generation"))?.and_then(|value| number(value.value())).unwrap_or(0);
            Ok(Size { principals, policies, bytes, changes })
        })
    }

    fn export(&self) -> Result<Export, StoreError> {
        self.snapshot()
    }

    fn answered(&self, request: &[u8; 32]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.remembered(request)
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let done = self.committing(|store, database| store.write(database, changes));
        if done.is_err() {
            // What it was refused for may be a commit that others do not see yet.
            self.shelf.passed(&Changed::These(changes.iter().filter_map(Change::principal).map(key).collect()));
        }
        done
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        self.newest.pass();
        let database = self.database.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Closing writes, and may find damage like any other use. Nobody is left to be told.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

/// Whether a master key is the one that sealed this.
pub(super) fn opens_check(master: &MasterKey, sealed: &[u8]) -> bool {
    let opened = sealed
        .split_first_chunk()
        .and_then(|(version, sealed)| master.open(u32::from_be_bytes(*version), sealed, CHECK));
    opened.is_some_and(|plain| *plain == CHECK)
}

/// A transaction after whose commit a crash costs no repair.
pub(super) fn begin(database: &Database) -> Result<redb::WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}
