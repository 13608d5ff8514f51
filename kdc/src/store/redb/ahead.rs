//! What is read before anybody asks for it. Not here: where it is kept ([`super::shelf`]).

use std::ops::Bound;

use super::Redb;
use super::shelf::Shelf;
use super::view::View;
use crate::core::StoreError;

/// How many records are read at a time.
const PAGE: usize = 500;

impl Redb {
    /// The same, keeping up to so many octets of records in memory as they are on disk, which are found there sooner.
    #[must_use]
    pub fn keeping(mut self, octets: usize) -> Self {
        self.shelf = Shelf::new(octets);
        self
    }

    /// Reads on after `after` what is to be kept in memory. The last that was read; `None`: that was all, or there is no
    /// more room.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn read_ahead(&self, after: Option<&str>) -> Result<Option<String>, StoreError> {
        let epoch = self.shelf.epoch();
        self.look(|store, View { principals, .. }| {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let (mut last, mut seen) = (None, 0);
            for row in store.sound(principals.range::<&str>((start, Bound::Unbounded)))?.take(PAGE) {
                let (owner, record) = store.sound(row)?;
                if !store.shelf.put(epoch, owner.value(), record.value()) {
                    return Ok(None);
                }
                last = Some(owner.value().to_owned());
                seen += 1;
            }
            Ok(last.filter(|_| seen == PAGE))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use libkrb::{Principal, Time};

    use super::*;
    use crate::core::{Change, Entry, Store};
    use crate::store::{MasterKey, Vault};

    fn name(number: usize) -> Principal {
        Principal::parse(&format!("user{number}"), Some("R")).expect("a name")
    }

    #[test]
    fn what_was_read_ahead_is_at_hand_until_it_is_changed() {
        const COUNT: usize = 2 * PAGE + 1;
        let folder = tempfile::tempdir().expect("a folder");
        let master = MasterKey::create(&folder.path().join("master.key")).expect("a master key");
        let store = Redb::create(&folder.path().join("store"), "R", master).expect("a store").keeping(1 << 20);
        let new = |number| Change::Create(Entry::new(name(number), [0; 16], Time(1), ""));
        store.commit(&(0..COUNT).map(new).collect::<Vec<_>>()).expect("committed");
        let at_hand = |number| store.shelf.look(&name(number).to_string(), |_| Some(())).is_some();
        let count = || (0..COUNT).filter(|number| at_hand(*number)).count();
        assert_eq!(count(), 0);

        let (mut after, mut pages) = (None, 0);
        while let Some(last) = store.read_ahead(after.as_deref()).expect("read") {
            (after, pages) = (Some(last), pages + 1);
        }
        assert_eq!((pages, count()), (2, COUNT));

        let found = |number| store.lookup(&name(number)).expect("readable");
        let replaced = Arc::unwrap_or_clone(found(1).expect("there"));
        let before = replaced.revision;
        store.commit(&[Change::Replace(replaced), Change::Delete(name(2))]).expect("committed");
        assert_eq!((at_hand(1), at_hand(2), count()), (false, false, COUNT - 2));
        assert!(found(1).is_some_and(|entry| entry.revision > before) && found(2).is_none());
        assert!(at_hand(1), "again, since it was asked for");

        // A roll-over of the master key goes page by page.
        store.reseal(None).expect("resealed");
        assert!((0..COUNT).filter(|number| found(*number).is_some()).count() == COUNT - 1);
    }
}
