//! The bulk door: many principals in one transaction, each sealed beforehand by whichever thread
//! has time. For store files that nobody serves yet; a change of a served one is a commit.

use std::sync::PoisonError;

use redb::{ReadableTable, Table, WriteTransaction};

use super::ledger::{ATTEMPTS, encode, is_record};
use super::{Changed, META, NAMES, POLICIES, PRINCIPALS, Redb, begin, damaged, failed, guarded, number};
use crate::core::attempts::{AccountId, Record};
use crate::core::{Entry, PasswordPolicy, StoreError};
use crate::store::plan::{Stored, clash, folded, key, storable};
use crate::store::{policy_record, record};

/// An entry as it is kept, its keys sealed.
pub struct Sealed {
    owner: String,
    /// Canonical name and aliases.
    names: Vec<String>,
    bytes: Vec<u8>,
}

/// What is done about a principal or policy that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is an error.
    Refuse,
    /// It stays.
    Keep,
    /// It gives way.
    Replace,
}

/// What became of what was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// There was none of this name.
    Added,
    /// The one that was there stayed.
    Kept,
    /// The one that was there is gone.
    Replaced,
}

/// A transaction being filled.
pub struct Bulk<'t> {
    store: &'t Redb,
    principals: Table<'t, &'static str, &'static [u8]>,
    names: Table<'t, (&'static str, &'static str), &'static str>,
    policies: Table<'t, &'static str, &'static [u8]>,
    attempts: Table<'t, &'static [u8], &'static [u8]>,
    revision: u64,
}

impl Redb {
    /// The revision that the next commit gives to what it writes.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn next_revision(&self) -> Result<u64, StoreError> {
        self.read(|store, database| {
            let transaction = store.sound(redb::ReadableDatabase::begin_read(database))?;
            let meta = store.sound(transaction.open_table(META))?;
            let generation = store.sound(meta.get("generation"))?.and_then(|value| number(value.value()));
            Ok(generation.ok_or_else(|| damaged(&store.file, "no generation"))?.saturating_add(1))
        })
    }

    /// Seals an entry for [`Bulk::put`], as one of this revision.
    ///
    /// # Errors
    /// For a name that can't be kept, or when nothing can be sealed.
    pub fn seal(&self, entry: &Entry, revision: u64) -> Result<Sealed, StoreError> {
        for name in std::iter::once(&entry.principal).chain(&entry.aliases) {
            storable(name)?;
        }
        let bytes = record::encode(entry, revision, &self.master.load())?;
        Ok(Sealed { owner: key(&entry.principal), names: Stored::of(entry).names, bytes })
    }

    /// Takes a record as it was kept in another file of this realm, under the same master key. It is
    /// opened whole, every key in it.
    ///
    /// # Errors
    /// [`StoreError::Record`] for what is not the record of `owner`, or does not open.
    pub fn adopt(&self, owner: &str, bytes: Vec<u8>) -> Result<Sealed, StoreError> {
        let entry = record::decode(owner, &bytes, &self.master.load())?;
        for name in std::iter::once(&entry.principal).chain(&entry.aliases) {
            storable(name)?;
        }
        Ok(Sealed { owner: owner.to_owned(), names: Stored::of(&entry).names, bytes })
    }

    /// Fills the store in one transaction, whose revision is `revision`: all of what `fill` puts, or,
    /// if it fails, nothing.
    ///
    /// # Errors
    /// Those of `fill`, and of the storage below.
    pub fn bulk<T, E: From<StoreError>>(
        &self,
        revision: u64,
        fill: impl FnOnce(&mut Bulk<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let opened = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = opened.as_ref().ok_or_else(|| damaged(&self.file, "closed"))?;
        let transaction = begin(database).map_err(|error| failed(&self.file, error))?;
        let filled = fill(&mut self.open_bulk(&transaction, revision)?)?;
        let committed = guarded(&self.file, || self.sound(transaction.commit()));
        self.passed(&Changed::Any);
        committed?;
        Ok(filled)
    }

    fn open_bulk<'t>(&'t self, transaction: &'t WriteTransaction, revision: u64) -> Result<Bulk<'t>, StoreError> {
        let mut meta = self.sound(transaction.open_table(META))?;
        self.is_no_copy(&meta)?;
        self.sound(meta.insert("generation", &revision.to_be_bytes()[..]))?;
        Ok(Bulk {
            store: self,
            principals: self.sound(transaction.open_table(PRINCIPALS))?,
            names: self.sound(transaction.open_table(NAMES))?,
            policies: self.sound(transaction.open_table(POLICIES))?,
            attempts: self.sound(transaction.open_table(ATTEMPTS))?,
            revision,
        })
    }
}

impl Sealed {
    /// The text of its canonical name.
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

impl Bulk<'_> {
    /// Puts an entry in. One that this very transaction has put is never replaced.
    ///
    /// # Errors
    /// [`StoreError::Exists`] names the name, or alias, that is taken.
    pub fn put(&mut self, sealed: &Sealed, existing: Existing) -> Result<Put, StoreError> {
        let (store, owner) = (self.store, &*sealed.owner);
        guarded(&store.file, || {
            let known = store.sound(self.principals.get(owner))?;
            let known = known.map(|bytes| record::stored(owner, bytes.value())).transpose()?;
            let outcome = match known {
                None => Put::Added,
                Some(old) if old.revision == self.revision => return Err(taken(owner)),
                Some(_) if existing == Existing::Keep => return Ok(Put::Kept),
                Some(old) if existing == Existing::Replace => {
                    for name in &old.names {
                        store.sound(self.names.remove((&*folded(name), &**name)))?;
                    }
                    Put::Replaced
                }
                Some(_) => return Err(taken(owner)),
            };
            for name in &sealed.names {
                self.claim(name, owner)?;
            }
            store.sound(self.principals.insert(owner, &*sealed.bytes))?;
            Ok(outcome)
        })
    }

    fn claim(&mut self, name: &str, owner: &str) -> Result<(), StoreError> {
        let folded = folded(name);
        for row in self.store.sound(self.names.range((&*folded, "")..))? {
            let (other, its_owner) = self.store.sound(row)?;
            let (fold, other) = other.value();
            if fold != folded {
                break;
            }
            if clash(&(other.to_owned(), its_owner.value().to_owned()), (name, owner)) {
                return Err(taken(name));
            }
        }
        self.store.sound(self.names.insert((&*folded, name), owner))?;
        Ok(())
    }

    /// Whether there is a principal of this canonical name.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn has(&self, owner: &str) -> Result<bool, StoreError> {
        guarded(&self.store.file, || Ok(self.store.sound(self.principals.get(owner))?.is_some()))
    }

    /// Puts a password policy in.
    ///
    /// # Errors
    /// [`StoreError::PolicyExists`] when it is there and is not to be.
    pub fn put_policy(&mut self, policy: &PasswordPolicy, existing: Existing) -> Result<Put, StoreError> {
        let (store, name) = (self.store, &*policy.name);
        guarded(&store.file, || {
            let known = store.sound(self.policies.get(name))?;
            let known = known.map(|bytes| policy_record::decode(name, bytes.value())).transpose()?;
            let outcome = match known {
                None => Put::Added,
                Some(old) if old.revision != self.revision && existing == Existing::Keep => return Ok(Put::Kept),
                Some(old) if old.revision != self.revision && existing == Existing::Replace => Put::Replaced,
                Some(_) => return Err(StoreError::PolicyExists(name.to_owned())),
            };
            store.sound(self.policies.insert(name, &*policy_record::encode(policy, self.revision)))?;
            Ok(outcome)
        })
    }

    /// Puts in what is remembered of an account's logins.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn put_attempts(&mut self, who: &AccountId, record: &Record) -> Result<(), StoreError> {
        self.insert_attempts(who, &encode(record))
    }

    /// The same with a record as it was kept in another file.
    ///
    /// # Errors
    /// For what is no such record.
    pub fn restore_attempts(&mut self, who: &AccountId, bytes: &[u8]) -> Result<(), StoreError> {
        match is_record(bytes) {
            true => self.insert_attempts(who, bytes),
            false => Err(damaged(&self.store.file, "a record of attempts is none")),
        }
    }

    fn insert_attempts(&mut self, who: &AccountId, bytes: &[u8]) -> Result<(), StoreError> {
        let store = self.store;
        guarded(&store.file, || store.sound(self.attempts.insert(&who[..], bytes)).map(drop))
    }

    /// Puts in the record of a password policy as it was kept in another file.
    ///
    /// # Errors
    /// For what is no such record, and [`StoreError::PolicyExists`].
    pub fn restore_policy(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        policy_record::decode(name, bytes)?;
        let store = self.store;
        guarded(&store.file, || match store.sound(self.policies.insert(name, bytes))? {
            None => Ok(()),
            Some(_) => Err(StoreError::PolicyExists(name.to_owned())),
        })
    }
}

fn taken(name: &str) -> StoreError {
    match libkrb::Principal::parse(name, None) {
        Ok(name) => StoreError::Exists(name),
        Err(_) => StoreError::Storage("a name that is none".into()),
    }
}
