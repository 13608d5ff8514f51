//! What is read before anybody asks for it. Not here: where it is kept ([`super::shelf`]).

use std::ops::Bound;

use redb::ReadableTableMetadata;

use super::Redb;
use super::shelf::Shelf;
use super::view::View;
use crate::core::StoreError;

/// How many records are read at a time.
const PAGE: usize = 1000;
/// How often they are read, where commits come meanwhile.
const TRIES: usize = 3;

/// How far the reading ahead has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// To this record, and there are more.
    At(String),
    /// To the end: what is not in memory is too long for it, or was changed meanwhile.
    Whole,
    /// Nowhere: there are more than there is room for, which those get who are asked for.
    TooMany,
}

impl Redb {
    /// The same, keeping up to so many octets of records in memory as they are on disk, which are found there sooner.
    #[must_use]
    pub fn keeping(mut self, octets: usize) -> Self {
        self.shelf = Shelf::new(octets);
        self
    }

    /// Reads on after `after` what is to be kept in memory.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn read_ahead(&self, after: Option<&str>) -> Result<Ahead, StoreError> {
        let mut ahead = Ahead::Whole;
        for _ in 0..TRIES {
            let epoch = self.shelf.epoch();
            ahead = self.read_page(epoch, after)?;
            if self.shelf.epoch() == epoch {
                break;
            }
        }
        Ok(ahead)
    }

    fn read_page(&self, epoch: u64, after: Option<&str>) -> Result<Ahead, StoreError> {
        self.look(|store, View { principals, .. }| {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let (mut page, mut octets) = (vec![], 0);
            for row in store.sound(principals.range::<&str>((start, Bound::Unbounded)))?.take(PAGE) {
                let row = store.sound(row)?;
                octets += row.1.value().len();
                page.push(row);
            }
            let each = octets.div_ceil(page.len().max(1)) as u64;
            if after.is_none() && !store.shelf.fits(store.sound(principals.len())?, each) {
                return Ok(Ahead::TooMany);
            }
            // That they would fit was a guess from the first of them.
            if !page.iter().all(|(owner, record)| store.shelf.put(epoch, owner.value(), record.value())) {
                return Ok(Ahead::TooMany);
            }
            let last = page.last().filter(|_| page.len() == PAGE);
            Ok(last.map_or(Ahead::Whole, |(owner, _)| Ahead::At(owner.value().to_owned())))
        })
    }

    /// How many records are in memory.
    #[cfg(test)]
    pub fn records_in_memory(&self) -> usize {
        self.shelf.len()
    }

    /// Whether, since this was asked last, what was read ahead was forgotten. At first it was.
    pub fn forgot(&self) -> bool {
        self.shelf.forgot()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use libkrb::codes::EncryptionType;
    use libkrb::crypto::Key;
    use libkrb::{Principal, Time};

    use super::*;
    use crate::core::{Change, Entry, KeySet, LongTermKey, Store};
    use crate::store::{Existing, MasterKey, Vault};

    fn name(number: usize) -> Principal {
        Principal::parse(&format!("user{number}"), Some("R")).expect("a name")
    }

    fn entry(number: usize) -> Entry {
        let key = Key::new(EncryptionType::AES128_SHA1, &[7; 16]).expect("a key");
        let keys = vec![KeySet::new(1, vec![LongTermKey::new(key, None)])];
        Entry { keys, ..Entry::new(name(number), [0; 16], Time(1), "") }
    }

    /// A store of so many, all read ahead, and the pages that it took.
    fn ahead(count: usize) -> (tempfile::TempDir, Redb, usize) {
        let folder = tempfile::tempdir().expect("a folder");
        let master = MasterKey::create(&folder.path().join("master.key")).expect("a master key");
        let store = Redb::create(&folder.path().join("store"), "R", master).expect("a store").keeping(1 << 20);
        store.commit(&(0..count).map(|number| Change::Create(entry(number))).collect::<Vec<_>>()).expect("committed");
        let (mut after, mut pages) = (None, 1);
        while let Ahead::At(last) = store.read_ahead(after.as_deref()).expect("read") {
            (after, pages) = (Some(last), pages + 1);
        }
        assert!(store.forgot() && !store.forgot(), "at first");
        (folder, store, pages)
    }

    fn at_hand(store: &Redb, number: usize) -> bool {
        store.shelf.look(&name(number).to_string(), |_| Some(())).is_some()
    }

    fn found(store: &Redb, number: usize) -> Option<Arc<Entry>> {
        store.lookup(&name(number)).expect("readable")
    }

    #[test]
    fn what_was_read_ahead_is_at_hand_until_it_is_changed() {
        const COUNT: usize = 2 * PAGE + 1;
        let (_folder, store, pages) = ahead(COUNT);
        let count = || (0..COUNT).filter(|number| at_hand(&store, *number)).count();
        assert_eq!((pages, count()), (3, COUNT));

        let replaced = Arc::unwrap_or_clone(found(&store, 1).expect("there"));
        let before = replaced.revision;
        store.commit(&[Change::Replace(replaced.clone()), Change::Delete(name(2))]).expect("committed");
        assert_eq!((at_hand(&store, 1), at_hand(&store, 2), count()), (false, false, COUNT - 2));
        assert!(found(&store, 1).is_some_and(|entry| entry.revision > before) && found(&store, 2).is_none());
        assert!(at_hand(&store, 1), "again, since it was asked for");

        // A change that is refused takes away what it was to change, and nothing else.
        let refused = store.commit(&[Change::Replace(replaced), Change::Create(entry(3))]);
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        assert_eq!((at_hand(&store, 1), at_hand(&store, 3), count(), store.forgot()), (false, false, COUNT - 3, false));
    }

    #[test]
    fn a_change_through_whatever_door_is_seen() {
        let (_folder, store, _) = ahead(10);
        let revision = store.next_revision().expect("a revision");
        let sealed = store.seal(&Entry { expires: Some(Time(9)), ..entry(1) }, revision).expect("sealed");
        store.bulk(revision, |bulk| bulk.put(&sealed, Existing::Replace)).expect("filled");
        assert_eq!(found(&store, 1).and_then(|entry| entry.expires), Some(Time(9)));
        assert!(store.forgot(), "whatever was changed is not known");

        (0..10).for_each(|number| drop(found(&store, number)));
        assert!(at_hand(&store, 2));
        // A roll-over of the master key seals all anew.
        store.reseal(None).expect("resealed");
        assert!(!at_hand(&store, 2));
        assert!(found(&store, 2).is_some() && at_hand(&store, 2));
    }

    #[test]
    fn a_realm_for_which_there_is_no_room_is_not_read_ahead() {
        let (_folder, store, _) = ahead(10);
        let store = store.keeping(1000);
        assert_eq!(store.read_ahead(None).expect("read"), Ahead::TooMany);
        assert_eq!(store.keeping(0).read_ahead(None).expect("read"), Ahead::TooMany);
    }
}
