//! Entries that a thread is asked for again and again, in copies of its own. Who holds an entry is counted beside it, and
//! so is who looks into the cache: processors that do so for one name at the same time, as for the ticket-granting
//! service's with every request, take that memory from each other. Not here: what is true of an entry (`cache`).

use std::cell::RefCell;
use std::sync::Arc;

use libkrb::Principal;

use crate::core::Entry;

/// A thread has no more copies, which bounds how many keys there are beside those in the cache.
const PLACES: usize = 64;
/// So often a name is asked for before a copy is made, whose keys are to be prepared anew.
const OFTEN: u32 = 32;
/// So many names of the same place may come between before a copy gives way.
const PATIENCE: u32 = 256;

/// What stands where the remainder of a hash points to.
#[derive(Default)]
struct Place {
    edition: u64,
    hash: u64,
    /// How often it was asked for, less how often others of this place were.
    times: u32,
    copy: Option<(Principal, Arc<Entry>)>,
}

thread_local!(static OWN: RefCell<[Place; PLACES]> = RefCell::new(std::array::from_fn(|_| Place::default())));

/// This thread's copy of the entry that a name stands for in an edition of a store.
pub fn find(edition: u64, hash: u64, name: &Principal) -> Option<Arc<Entry>> {
    at(hash, |place| {
        let (_, entry) = place.copy.as_ref().filter(|(known, _)| place.edition == edition && known == name)?;
        place.times = (place.times + 1).min(PATIENCE);
        Some(Arc::clone(entry))
    })
}

/// Counts that a name was asked for, and what it stands for in an edition; makes a copy of what is asked for often.
pub fn count(edition: u64, hash: u64, name: &Principal, entry: &Entry) {
    at(hash, |place| {
        if (place.edition, place.hash) != (edition, hash) {
            place.times = if place.edition == edition { place.times.saturating_sub(1) } else { 0 };
            if place.times == 0 {
                *place = Place { edition, hash, times: 1, copy: None };
            }
            return None;
        }
        place.times += 1;
        if place.times >= OFTEN && place.copy.is_none() {
            place.copy =
                Some((unshared(name), Arc::new(Entry { principal: unshared(&entry.principal), ..entry.clone() })));
        }
        None
    });
}

fn at(hash: u64, look: impl FnOnce(&mut Place) -> Option<Arc<Entry>>) -> Option<Arc<Entry>> {
    // A thread that ends has none any more.
    let own = |own: &RefCell<[Place; PLACES]>| look(own.borrow_mut().get_mut(hash as usize % PLACES)?);
    OWN.try_with(own).ok().flatten()
}

/// A name that shares nothing with those of other threads.
fn unshared(name: &Principal) -> Principal {
    Principal::new(name.kind(), name.realm(), name.components()).unwrap_or_else(|_| name.clone())
}

#[cfg(test)]
mod tests {
    use libkrb::Time;

    use super::*;
    use crate::core::{Change, Store};
    use crate::store::{Cached, Memory};

    fn name(number: u32) -> Principal {
        Principal::parse(&format!("user{number}"), Some("R")).expect("a name")
    }

    fn store() -> Cached<Memory> {
        let store = Cached::new(Memory::new(), 1000);
        let entries = (0..10).map(|number| Change::Create(Entry::new(name(number), [0; 16], Time(1), "")));
        store.commit(&entries.collect::<Vec<_>>()).expect("committed");
        store
    }

    fn looked_up(store: &Cached<Memory>, number: u32) -> Arc<Entry> {
        store.lookup(&name(number)).expect("readable").expect("there")
    }

    /// What a thread gets in the end that asks again and again.
    fn often(store: &Cached<Memory>, number: u32) -> Arc<Entry> {
        (0..3 * OFTEN).for_each(|_| drop(looked_up(store, number)));
        looked_up(store, number)
    }

    #[test]
    fn threads_that_ask_for_a_name_again_and_again_have_copies_of_their_own() {
        let store = store();
        let (own, other) = (often(&store, 0), std::thread::scope(|scope| scope.spawn(|| often(&store, 0)).join()));
        let other = other.expect("an end");
        assert!(!Arc::ptr_eq(&own, &other));
        assert!(Arc::ptr_eq(&own, &looked_up(&store, 0)), "and keep them");
        assert_eq!((&own.principal, own.id, own.revision), (&other.principal, other.id, other.revision));
    }

    #[test]
    fn a_change_is_seen_by_every_thread_that_has_a_copy() {
        let store = store();
        let barrier = std::sync::Barrier::new(3);
        let see = || {
            let before = often(&store, 0).revision;
            barrier.wait();
            barrier.wait();
            assert_ne!(looked_up(&store, 0).revision, before);
            drop(often(&store, 1));
            barrier.wait();
            barrier.wait();
            assert!(store.lookup(&name(1)).expect("readable").is_none());
        };
        std::thread::scope(|scope| {
            scope.spawn(see);
            scope.spawn(see);
            barrier.wait();
            store.commit(&[Change::Replace(Entry::new(name(0), [0; 16], Time(2), ""))]).expect("committed");
            barrier.wait();
            barrier.wait();
            store.commit(&[Change::Delete(name(1))]).expect("committed");
            barrier.wait();
        });
    }

    #[test]
    fn a_copy_is_of_the_store_that_is_asked() {
        let stores = [store(), store()];
        let change = Change::Replace(Entry::new(name(0), [7; 16], Time(2), ""));
        stores[1].commit(&[change]).expect("committed");
        for _ in 0..3 * OFTEN {
            assert_eq!(stores.each_ref().map(|store| looked_up(store, 0).id), [[0; 16], [7; 16]]);
        }
    }

    #[test]
    fn those_who_are_asked_for_now_and_then_displace_nobody_who_always_is() {
        let (edition, entry) = (u64::MAX, Entry::new(name(0), [0; 16], Time(1), ""));
        (0..OFTEN).for_each(|_| count(edition, 5, &name(0), &entry));
        for other in 1..1000 {
            assert!(find(edition, 5, &name(0)).is_some(), "{other}");
            count(edition, 5 + u64::from(other) * PLACES as u64, &name(other), &entry);
        }
        // Until he is not any more.
        (1..=PATIENCE).for_each(|other| count(edition, 5 + u64::from(other) * PLACES as u64, &name(other), &entry));
        assert!(find(edition, 5, &name(0)).is_none());
    }
}
