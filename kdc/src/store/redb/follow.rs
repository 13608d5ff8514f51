//! The file as a copy of what is kept elsewhere: it takes over what was changed there, and knows how
//! far it has come. Not here: where that is, and how it is heard of.

use std::collections::{BTreeSet, HashSet};

use prost::Message;
use redb::{Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, WriteTransaction};
use sha2::{Digest, Sha256};

use super::tables::Tables;
use super::{Changed, META, NAMES, POLICIES, POSITION, PRINCIPALS, Redb, begin, damaged, failed, opens_check};
use crate::core::StoreError;
use crate::store::plan::{Base, folded};
use crate::store::{policy_record, record};

/// The fields of records in which their revision stands.
pub const REVISION_OF_A_PRINCIPAL: u32 = record::REVISION;
/// The same, of password policies.
pub const REVISION_OF_A_POLICY: u32 = policy_record::REVISION;

/// How far a copy has come. Fields are only ever added.
#[derive(Clone, PartialEq, Message)]
pub struct Position {
    /// Which history it follows.
    #[prost(uint64, tag = "1")]
    pub cluster: u64,
    /// Up to where.
    #[prost(int64, tag = "2")]
    pub revision: i64,
    /// The last commit of the realm by then.
    #[prost(bytes = "vec", tag = "3")]
    pub head: Vec<u8>,
    /// The epoch of what it follows.
    #[prost(uint64, tag = "4")]
    pub epoch: u64,
}

/// What a row is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A principal, by the text of its name.
    Principal(String),
    /// A password policy, by its name.
    Policy(String),
}

impl Row {
    fn principal(&self) -> Option<String> {
        match self {
            Row::Principal(name) => Some(name.clone()),
            Row::Policy(_) => None,
        }
    }
}

/// A row as it is now: its record, `None` if it is gone.
pub type Followed = (Row, Option<Vec<u8>>);

/// What a refill is made of, in any order; `None` at the end.
pub type Pages<'a> = &'a mut dyn FnMut() -> Result<Option<Vec<(Row, Vec<u8>)>>, StoreError>;

impl Redb {
    /// How far it has come; `None` for a store that is no copy.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn position(&self) -> Result<Option<Position>, StoreError> {
        self.read(|store, database| {
            let meta = store.sound(store.sound(database.begin_read())?.open_table(META))?;
            store.position_in(&meta)
        })
    }

    fn position_in(
        &self,
        meta: &impl ReadableTable<&'static str, &'static [u8]>,
    ) -> Result<Option<Position>, StoreError> {
        let Some(bytes) = self.sound(meta.get(POSITION))? else { return Ok(None) };
        let position = Position::decode(bytes.value()).map_err(|_| damaged(&self.file, "its position is none"))?;
        Ok(Some(position))
    }

    /// What tells the master key that its keys are sealed under.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn master_check(&self) -> Result<Vec<u8>, StoreError> {
        self.read(|store, database| {
            let meta = store.sound(store.sound(database.begin_read())?.open_table(META))?;
            let value = store.sound(meta.get("master"))?.ok_or_else(|| damaged(&store.file, "no master key"))?;
            Ok(value.value().to_vec())
        })
    }

    /// Takes over what tells the master key from where the realm is kept.
    ///
    /// # Errors
    /// When the key here does not open it, or it can't be written.
    pub(in crate::store) fn sealed_as(&self, check: &[u8]) -> Result<(), StoreError> {
        if !opens_check(&self.master.load(), check) {
            return Err(self.wrong_master_key());
        }
        self.committing(|store, database| {
            let transaction = begin(database).map_err(|error| failed(&store.file, error))?;
            {
                let mut filling = Filling::of(store, &transaction)?;
                store.sound(filling.meta.insert("master", check))?;
            }
            store.sound(transaction.commit())?;
            Ok(Changed::Nothing)
        })
    }

    /// Makes the store a copy, of which it is not known yet how far it has come, or, with `false`, a store
    /// of its own again.
    ///
    /// # Errors
    /// When that can't be written.
    pub fn become_copy(&self, copy: bool) -> Result<(), StoreError> {
        self.committing(|store, database| {
            let transaction = begin(database).map_err(|error| failed(&store.file, error))?;
            {
                let mut filling = Filling::of(store, &transaction)?;
                match copy {
                    true => drop(store.sound(filling.meta.insert(POSITION, &[][..]))?),
                    false => drop(store.sound(filling.meta.remove(POSITION))?),
                }
            }
            store.sound(transaction.commit())?;
            Ok(Changed::Nothing)
        })
    }

    /// Looks at a copy as a commit would find it, all of one moment.
    pub(in crate::store) fn examine<T>(
        &self,
        look: impl FnOnce(&dyn Base, Position) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            let position = store.position_in(&store.sound(transaction.open_table(META))?)?;
            let position = position.ok_or_else(|| damaged(&store.file, "no position"))?;
            let principals = store.sound(transaction.open_table(PRINCIPALS))?;
            let names = store.sound(transaction.open_table(NAMES))?;
            let policies: ReadOnlyTable<_, _> = store.sound(transaction.open_table(POLICIES))?;
            look(&Tables { store, principals: &principals, names: &names, policies: &policies }, position)
        })
    }

    /// Takes over rows that were changed between two positions. Unless `durable`, a crash may take the copy
    /// back to an earlier one, from which it goes on.
    ///
    /// # Errors
    /// When they can't be written, or the copy is not at `from`, as after a disk that was full.
    pub fn follow(&self, rows: &[Followed], from: &Position, to: &Position, durable: bool) -> Result<(), StoreError> {
        self.committing(|store, database| {
            let transaction = match durable {
                true => begin(database),
                false => store.hasty(database),
            };
            let transaction = transaction.map_err(|error| failed(&store.file, error))?;
            {
                let mut filling = Filling::of(store, &transaction)?;
                if store.position_in(&filling.meta)?.as_ref() != Some(from) {
                    return Err(damaged(&store.file, "it is not where it was"));
                }
                for (row, record) in rows {
                    filling.set(row, record.as_deref())?;
                }
                filling.arrived(to)?;
            }
            store.sound(transaction.commit())?;
            Ok(Changed::These(rows.iter().filter_map(|(row, _)| row.principal()).collect()))
        })
    }

    fn hasty(&self, database: &redb::Database) -> Result<WriteTransaction, redb::Error> {
        let mut transaction = database.begin_write()?;
        let set = transaction.set_durability(Durability::None);
        debug_assert!(set.is_ok(), "no savepoint, one process");
        Ok(transaction)
    }

    /// Makes the copy what these pages are, whatever it was, in one step for who reads meanwhile. What
    /// is remembered of logins stays.
    ///
    /// # Errors
    /// When they can't be read or written; then the copy is as it was.
    pub fn refill(&self, pages: Pages<'_>, position: &Position) -> Result<(), StoreError> {
        self.committing(|store, database| {
            let transaction = begin(database).map_err(|error| failed(&store.file, error))?;
            {
                let mut filling = Filling::of(store, &transaction)?;
                let mut seen = HashSet::new();
                while let Some(rows) = pages()? {
                    for (row, record) in rows {
                        filling.set(&row, Some(&record))?;
                        seen.insert(mark(&row));
                    }
                }
                filling.clear_all_but(&seen)?;
                filling.arrived(position)?;
            }
            store.sound(transaction.commit())?;
            Ok(Changed::Any)
        })
    }
}

/// A copy being brought up to date.
struct Filling<'t> {
    store: &'t Redb,
    principals: Table<'t, &'static str, &'static [u8]>,
    names: Table<'t, (&'static str, &'static str), &'static str>,
    policies: Table<'t, &'static str, &'static [u8]>,
    meta: Table<'t, &'static str, &'static [u8]>,
}

impl<'t> Filling<'t> {
    fn of(store: &'t Redb, transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Filling {
            store,
            principals: store.sound(transaction.open_table(PRINCIPALS))?,
            names: store.sound(transaction.open_table(NAMES))?,
            policies: store.sound(transaction.open_table(POLICIES))?,
            meta: store.sound(transaction.open_table(META))?,
        })
    }

    fn set(&mut self, row: &Row, record: Option<&[u8]>) -> Result<(), StoreError> {
        match row {
            Row::Principal(owner) => self.principal(owner, record),
            Row::Policy(name) => {
                match record {
                    Some(record) => drop(self.store.sound(self.policies.insert(&**name, record))?),
                    None => drop(self.store.sound(self.policies.remove(&**name))?),
                }
                Ok(())
            }
        }
    }

    fn principal(&mut self, owner: &str, new: Option<&[u8]>) -> Result<(), StoreError> {
        let old = self.store.sound(self.principals.get(owner))?.map(|bytes| bytes.value().to_vec());
        if old.as_deref() == new {
            return Ok(());
        }
        // A record that can't be read has its own name at least, at which it is found and complained of.
        let names = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => record::stored(owner, bytes).map_or_else(|_| vec![owner.to_owned()], |stored| stored.names),
            None => vec![],
        };
        let before: BTreeSet<_> = names(old.as_deref()).into_iter().collect();
        let after: BTreeSet<_> = names(new).into_iter().collect();
        for name in before.difference(&after) {
            let key = (&*folded(name), &**name);
            // A name that has moved on is another's by now.
            let own = self.store.sound(self.names.get(key))?.is_some_and(|taken| taken.value() == owner);
            if own {
                self.store.sound(self.names.remove(key))?;
            }
        }
        // All of them: one of the same name may have been another's just before.
        for name in &after {
            self.store.sound(self.names.insert((&*folded(name), &**name), owner))?;
        }
        match new {
            Some(bytes) => drop(self.store.sound(self.principals.insert(owner, bytes))?),
            None => drop(self.store.sound(self.principals.remove(owner))?),
        }
        Ok(())
    }

    /// Removes what was not seen.
    fn clear_all_but(&mut self, seen: &HashSet<Mark>) -> Result<(), StoreError> {
        let principals = rows(self.store, &self.principals, Row::Principal, seen)?;
        for row in principals.into_iter().chain(rows(self.store, &self.policies, Row::Policy, seen)?) {
            self.set(&row, None)?;
        }
        Ok(())
    }

    fn arrived(&mut self, position: &Position) -> Result<(), StoreError> {
        let generation = u64::try_from(position.revision).unwrap_or_default();
        self.store.sound(self.meta.insert("generation", &generation.to_be_bytes()[..]))?;
        self.store.sound(self.meta.insert(POSITION, &*position.encode_to_vec()))?;
        Ok(())
    }
}

/// What tells a row, in less room than its name: a realm may have millions.
type Mark = [u8; 16];

fn mark(row: &Row) -> Mark {
    let (kind, name) = match row {
        Row::Principal(name) => (b"p", name),
        Row::Policy(name) => (b"o", name),
    };
    let digest = Sha256::new().chain_update(kind).chain_update(name).finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

/// The rows of a table that were not seen.
fn rows(
    store: &Redb,
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    row: impl Fn(String) -> Row,
    seen: &HashSet<Mark>,
) -> Result<Vec<Row>, StoreError> {
    let mut unseen = vec![];
    for each in store.sound(table.iter())? {
        let row = row(store.sound(each)?.0.value().to_owned());
        if !seen.contains(&mark(&row)) {
            unseen.push(row);
        }
    }
    Ok(unseen)
}
