//! Records of attempts in a table of their own: not part of any principal, so that a login changes
//! none and the order of revisions is that of administration.

use libkrb::Time;
use prost::Message;
use redb::TableDefinition;

use super::{Changed, Redb, begin, damaged, failed};
use crate::core::StoreError;
use crate::core::attempts::{AccountId, Ledger, Record};

/// Records by account; stores made before there were any have no such table.
pub(super) const ATTEMPTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("attempts");

/// The bytes of a record. Fields are only ever added.
#[derive(Clone, PartialEq, Message)]
struct Bytes {
    #[prost(uint32, tag = "1")]
    failures: u32,
    #[prost(sint64, optional, tag = "2")]
    last_failure: Option<i64>,
    #[prost(sint64, optional, tag = "3")]
    last_success: Option<i64>,
}

/// The bytes of a record.
pub(super) fn encode(record: &Record) -> Vec<u8> {
    let Record { failures, last_failure, last_success } = *record;
    let [last_failure, last_success] = [last_failure, last_success].map(|time| time.map(Time::seconds));
    Bytes { failures, last_failure, last_success }.encode_to_vec()
}

/// Whether these are the bytes of a record.
pub(super) fn is_record(bytes: &[u8]) -> bool {
    Bytes::decode(bytes).is_ok()
}

impl Ledger for Redb {
    fn record(&self, who: &AccountId) -> Result<Option<Record>, StoreError> {
        self.look(|store, view| {
            let Some(table) = &view.attempts else { return Ok(None) };
            let Some(bytes) = store.sound(table.get(&who[..]))? else { return Ok(None) };
            let bytes =
                Bytes::decode(bytes.value()).map_err(|_| damaged(&store.file, "a record of attempts is none"))?;
            Ok(Some(Record {
                failures: bytes.failures,
                last_failure: bytes.last_failure.map(Time),
                last_success: bytes.last_success.map(Time),
            }))
        })
    }

    fn write_down(&self, records: &[(AccountId, Option<Record>)]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        self.committing(|store, database| {
            let transaction = begin(database).map_err(|error| failed(&store.file, error))?;
            {
                let mut table = store.sound(transaction.open_table(ATTEMPTS))?;
                for (who, record) in records {
                    match record {
                        Some(record) => {
                            store.sound(table.insert(&who[..], &*encode(record)))?;
                        }
                        None => drop(store.sound(table.remove(&who[..]))?),
                    }
                }
            }
            store.sound(transaction.commit())?;
            Ok(Changed::Nothing)
        })
    }
}
