//! What was answered to requests that may come again, each in the commit that it is of. Not here: what such
//! an answer is (`admin`).

use libkrb::Time;
use redb::{ReadableDatabase, ReadableTableMetadata, TableDefinition, TableError, WriteTransaction};
use zeroize::Zeroizing;

use super::Redb;
use crate::core::StoreError;
use crate::core::store::Answered;
use crate::store::seal::{MasterKey, answer_context};

/// By request: when it was answered, the version of the master key, and the answer sealed under it. Stores in
/// which nobody asked for it have no such table.
const ANSWERS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("answers");
/// Seconds for which an answer is kept, where there are many.
const KEPT: i64 = 600;
/// So many.
const MANY: u64 = 10_000;

impl Redb {
    /// Remembers answers, in the transaction that they are of.
    pub(super) fn remember(
        &self,
        transaction: &WriteTransaction,
        answers: &[&Answered],
        master: &MasterKey,
    ) -> Result<(), StoreError> {
        let Some(newest) = answers.last() else { return Ok(()) };
        let mut table = self.sound(transaction.open_table(ANSWERS))?;
        if self.sound(table.len())? >= MANY {
            let old = newest.at - KEPT;
            self.sound(table.retain(|_, value| parts(value).is_some_and(|(at, ..)| at > old)))?;
        }
        for Answered { request, at, octets } in answers {
            let (version, sealed) = master.seal(octets, &answer_context(request))?;
            let value = [&at.seconds().to_be_bytes()[..], &version.to_be_bytes(), &sealed].concat();
            self.sound(table.insert(&request[..], &*value))?;
        }
        Ok(())
    }

    /// What was answered to a request.
    pub(super) fn remembered(&self, request: &[u8; 32]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.read(|store, database| {
            let transaction = store.sound(database.begin_read())?;
            let table = match transaction.open_table(ANSWERS) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                table => store.sound(table)?,
            };
            let Some(value) = store.sound(table.get(&request[..]))? else { return Ok(None) };
            // One that does not open is of a master key that is gone: of long ago.
            let opened = parts(value.value())
                .and_then(|(_, version, sealed)| store.master.load().open(version, sealed, &answer_context(request)));
            Ok(opened)
        })
    }
}

fn parts(value: &[u8]) -> Option<(Time, u32, &[u8])> {
    let (at, rest) = value.split_first_chunk()?;
    let (version, sealed) = rest.split_first_chunk()?;
    Some((Time(i64::from_be_bytes(*at)), u32::from_be_bytes(*version), sealed))
}
