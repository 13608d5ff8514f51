//! A copy of the store as it is at one moment, taken while others read and write. Not here: the
//! file that it becomes (`moving::dump`).

use redb::{Key, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTableMetadata, TableDefinition, TableError};

use super::ledger::ATTEMPTS;
use super::{META, POLICIES, PRINCIPALS, Redb, failed, foreign, guarded, number};
use crate::core::StoreError;
use crate::core::store::{Export, ExportHead, Exported, Kind};
use crate::store::seal::MasterKey;

type Rows<K> = ReadOnlyTable<K, &'static [u8]>;
type Records = Box<dyn Iterator<Item = Result<Exported, StoreError>> + Send>;

impl Redb {
    /// What [`crate::core::Store::export`] is for a file.
    pub(super) fn snapshot(&self) -> Result<Export, StoreError> {
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            let meta = store.sound(transaction.open_table(META))?;
            let value = |name: &str| {
                let value = store.sound(meta.get(name))?.ok_or_else(|| foreign(&store.file))?;
                Ok::<_, StoreError>(value.value().to_vec())
            };
            let policies = store.perhaps(&transaction, POLICIES)?;
            let attempts = store.perhaps(&transaction, ATTEMPTS)?;
            let principals = store.sound(transaction.open_table(PRINCIPALS))?;
            let head = ExportHead {
                realm: store.realm.clone(),
                revision: number(&value("generation")?).ok_or_else(|| foreign(&store.file))?,
                master_key: value("master")?,
                policies: policies.as_ref().map_or(Ok(0), |table| store.sound(table.len()))?,
                principals: store.sound(principals.len())?,
                attempts: attempts.as_ref().map_or(Ok(0), |table| store.sound(table.len()))?,
            };
            let text = |name: &str| name.to_owned();
            let policies = store.rows(policies, move |name, record| (Kind::Policy, text(name), record))?;
            let principals = store.rows(Some(principals), move |name, record| (Kind::Principal, text(name), record))?;
            let attempts = store.rows(attempts, |who: &[u8], record| {
                (Kind::Attempts, who.iter().map(|octet| format!("{octet:02x}")).collect(), record)
            })?;
            Ok(Export { head, records: Box::new(policies.chain(principals).chain(attempts)) })
        })
    }

    /// A table that older stores have not.
    fn perhaps<K: Key + 'static>(
        &self,
        transaction: &ReadTransaction,
        table: TableDefinition<'static, K, &'static [u8]>,
    ) -> Result<Option<Rows<K>>, StoreError> {
        match transaction.open_table(table) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(failed(&self.file, error.into())),
        }
    }

    fn rows<K: Key + Send + 'static>(
        &self,
        table: Option<Rows<K>>,
        exported: impl Fn(K::SelfType<'_>, Vec<u8>) -> (Kind, String, Vec<u8>) + Send + 'static,
    ) -> Result<Records, StoreError> {
        let Some(table) = table else { return Ok(Box::new(std::iter::empty())) };
        let mut rows = self.sound(table.range::<K::SelfType<'static>>(..))?;
        let file = self.file.clone();
        // A panic, which only damage brings about, is an error too.
        Ok(Box::new(std::iter::from_fn(move || {
            let next = guarded(&file, || match rows.next() {
                None => Ok(None),
                Some(Ok((key, record))) => {
                    let (kind, name, record) = exported(key.value(), record.value().to_vec());
                    Ok(Some(Exported { kind, name, record }))
                }
                Some(Err(error)) => Err(failed(&file, error.into())),
            });
            next.transpose()
        })))
    }

    /// Whether an exported store was sealed under this one's master key.
    pub fn has_master_key_of(&self, head: &ExportHead) -> bool {
        is_own(&self.master.load(), &head.master_key)
    }
}

fn is_own(master: &MasterKey, check: &[u8]) -> bool {
    let opened = check
        .split_first_chunk()
        .and_then(|(version, sealed)| master.open(u32::from_be_bytes(*version), sealed, super::CHECK));
    opened.is_some_and(|plain| *plain == super::CHECK)
}
