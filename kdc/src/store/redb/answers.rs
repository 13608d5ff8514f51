//! What was answered to requests that may come again, each in the commit that it is of. Not here: what such
//! an answer is (`admin`).

use libkrb::Time;
use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};
use zeroize::Zeroizing;

use super::Redb;
use crate::core::StoreError;
use crate::core::store::Answered;
use crate::store::seal::{MasterKey, answer_context, answer_is_shut};

/// By request: when it was answered, the version of the master key, and the answer sealed under it. Stores in
/// which nobody asked for it have no such table.
const ANSWERS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("answers");
/// The row that says when all were looked through for old ones.
const LOOKED: &[u8] = b"looked through";
/// Seconds for which a request that comes again is answered.
const KEPT: i64 = 600;
/// Seconds between two looks for what is older.
const BETWEEN: i64 = 300;

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
        let looked = self.sound(table.get(LOOKED))?.and_then(|value| value.value().try_into().ok());
        let looked = looked.map(|octets| Time(i64::from_be_bytes(octets)));
        if looked.is_none_or(|looked| looked.distance(newest.at) >= BETWEEN) {
            // That row has no parts, and goes too.
            self.sound(table.retain(|_, value| parts(value).is_some_and(|(at, ..)| is_kept(at, newest.at))))?;
            self.sound(table.insert(LOOKED, &newest.at.seconds().to_be_bytes()[..]))?;
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
            let kept = parts(value.value()).filter(|(at, ..)| is_kept(*at, crate::admin::now()));
            let Some((_, version, sealed)) = kept else { return Ok(None) };
            let opened = store.master.load().open(version, sealed, &answer_context(request));
            opened.map(Some).ok_or_else(answer_is_shut)
        })
    }
}

/// Whether a request that was answered then is answered the same now.
fn is_kept(at: Time, now: Time) -> bool {
    at + KEPT > now
}

fn parts(value: &[u8]) -> Option<(Time, u32, &[u8])> {
    let (at, rest) = value.split_first_chunk()?;
    let (version, sealed) = rest.split_first_chunk()?;
    Some((Time(i64::from_be_bytes(*at)), u32::from_be_bytes(*version), sealed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::now;
    use crate::core::{Change, Entry, Store};
    use crate::store::tests::name;

    #[test]
    fn an_answer_is_forgotten_after_its_time_and_leaves_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let master = MasterKey::ephemeral().expect("random");
        let store = Redb::create(&folder.path().join("store"), "R", master).expect("a store");
        let answer = |request: u8, at: Time| {
            let octets = Zeroizing::new(b"the keys".to_vec());
            let user = Entry::new(name(&format!("user{request}")), [0; 16], Time(1), "");
            let answered = Change::Answered(Answered { request: [request; 32], at, octets });
            store.commit(&[Change::Create(user), answered]).expect("made");
        };
        let known = |request: u8| store.answered(&[request; 32]).expect("readable").is_some();
        let rows = || {
            store.read(|store, database| {
                let table = store.sound(store.sound(database.begin_read())?.open_table(ANSWERS))?;
                Ok(store.sound(table.iter())?.count())
            })
        };
        let long_ago = now() - KEPT;
        answer(1, long_ago);
        answer(2, long_ago + BETWEEN);
        assert_eq!((known(1), known(2), rows()), (false, true, Ok(3)));
        answer(3, now());
        assert_eq!(
            (known(2), known(3), rows()),
            (true, true, Ok(3)),
            "the first is gone, the row of the look is there"
        );
        // Rather an error than a change that is made twice.
        store.master.store(std::sync::Arc::new(MasterKey::ephemeral().expect("random")));
        assert!(store.answered(&[3; 32]).is_err());
    }
}
