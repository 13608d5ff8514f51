//! Records in memory as they are on disk, their keys sealed: found at one glance, where a tree takes
//! several. Not here: what is read from them, and the entries that are kept opened ([`crate::store::Cached`]).
//!
//! No stale record is found after a commit. Whoever puts one in names the epoch in which he began to look for it; a
//! commit, once others see it, begins the next one and then takes away what it changed.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use foldhash::fast::RandomState;

/// Each grows by itself, and is emptied by itself.
const SHARDS: usize = 256;
/// No longer record is kept.
const LONGEST: usize = 4096;

/// What a commit changed of the records.
pub(in crate::store) enum Changed {
    /// None of them.
    Nothing,
    /// Those of these principals, by the text of their names.
    These(Vec<String>),
    /// Nobody knows which.
    Any,
}

/// Records by the text of their principal. When there is no room for another one it is not kept: who is asked for
/// often is kept opened elsewhere, and all others come alike.
pub(super) struct Shelf {
    epoch: AtomicU64,
    /// Octets of a shard's records, at most.
    room: usize,
    hasher: RandomState,
    shards: Box<[RwLock<Shard>]>,
}

#[derive(Default)]
struct Shard {
    /// Where each record begins, by a part of its name's hash. Of two that share it one is kept.
    places: HashMap<u32, u32, RandomState>,
    /// Records, each after its length.
    octets: Vec<u8>,
    /// How many of these are of none any more.
    waste: usize,
}

impl Shelf {
    /// For so many octets of records; of 0 keeps none.
    pub fn new(octets: usize) -> Self {
        Shelf {
            epoch: AtomicU64::default(),
            // Places are of 32 bits.
            room: (octets / SHARDS).min(1 << 31),
            hasher: RandomState::default(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }

    /// To be asked for before a record is looked for that is to be put in.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// What `read` makes of the record that is kept for a name. It may be another's.
    pub fn look<T>(&self, owner: &str, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let (shard, tag) = self.place(owner)?;
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        read(shard.record(tag)?)
    }

    /// Keeps a record that was looked for since `epoch` began; whether there was room.
    pub fn put(&self, epoch: u64, owner: &str, record: &[u8]) -> bool {
        let Some((shard, tag)) = self.place(owner) else { return false };
        if record.len() > LONGEST {
            return true;
        }
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        // Before it has the shard a commit has begun its epoch: who comes after that must not bring what was before.
        self.epoch() != epoch || shard.put(tag, record, self.room)
    }

    /// There was a commit, which whoever looks now sees.
    pub fn passed(&self, changed: &Changed) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        match changed {
            Changed::Nothing => {}
            Changed::These(owners) => {
                for (shard, tag) in owners.iter().filter_map(|owner| self.place(owner)) {
                    shard.write().unwrap_or_else(PoisonError::into_inner).remove(tag);
                }
            }
            Changed::Any => {
                for shard in &self.shards {
                    *shard.write().unwrap_or_else(PoisonError::into_inner) = Shard::default();
                }
            }
        }
    }

    fn place(&self, owner: &str) -> Option<(&RwLock<Shard>, u32)> {
        let hash = self.hasher.hash_one(owner);
        Some((self.shards.get((hash >> 32) as usize % SHARDS)?, hash as u32))
    }
}

impl Shard {
    fn record(&self, tag: u32) -> Option<&[u8]> {
        let (length, record) = self.octets.get(*self.places.get(&tag)? as usize..)?.split_first_chunk()?;
        record.get(..usize::from(u16::from_le_bytes(*length)))
    }

    fn put(&mut self, tag: u32, record: &[u8], room: usize) -> bool {
        let (begin, more) = (self.octets.len(), record.len() + 2);
        let (Ok(length), Ok(place)) = (u16::try_from(record.len()), u32::try_from(begin)) else { return false };
        if begin + more > room {
            return false;
        }
        if self.places.contains_key(&tag) {
            return true;
        }
        if self.octets.capacity() < begin + more {
            // By a half: what is never used is never the system's either, but it is copied each time.
            let size = (begin + begin / 2).max(begin + more).min(room);
            self.octets.reserve_exact(size - begin);
        }
        self.octets.extend_from_slice(&length.to_le_bytes());
        self.octets.extend_from_slice(record);
        self.places.insert(tag, place);
        true
    }

    fn remove(&mut self, tag: u32) {
        self.waste += self.record(tag).map_or(0, |record| record.len() + 2);
        self.places.remove(&tag);
        if self.waste > self.octets.len() / 2 {
            *self = Shard::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(shelf: &Shelf, owner: &str) -> Option<Vec<u8>> {
        shelf.look(owner, |record| Some(record.to_vec()))
    }

    fn these(owners: &[&str]) -> Changed {
        Changed::These(owners.iter().map(|owner| (*owner).to_owned()).collect())
    }

    #[test]
    fn what_was_put_is_found_until_it_is_changed() {
        let shelf = Shelf::new(1 << 20);
        for number in 0..1000 {
            assert!(shelf.put(shelf.epoch(), &format!("user{number}"), format!("record {number}").as_bytes()));
        }
        shelf.passed(&Changed::Nothing);
        shelf.passed(&these(&["user7", "nobody"]));
        for number in 0..1000 {
            let expected = (number != 7).then(|| format!("record {number}").into_bytes());
            assert_eq!(found(&shelf, &format!("user{number}")), expected, "of user{number}");
        }
        shelf.passed(&Changed::Any);
        assert_eq!(found(&shelf, "user8"), None);
    }

    #[test]
    fn what_was_looked_for_before_a_commit_is_not_kept_after_it() {
        let shelf = Shelf::new(1 << 20);
        let before = shelf.epoch();
        shelf.passed(&these(&["alice"]));
        assert!(shelf.put(before, "alice", b"old"));
        assert_eq!(found(&shelf, "alice"), None);
        assert!(shelf.put(shelf.epoch(), "alice", b"new"));
        assert_eq!(found(&shelf, "alice").as_deref(), Some(b"new".as_slice()));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for_and_what_was_changed_makes_room() {
        let (room, record) = (SHARDS * 1000, [7; 98]);
        let shelf = Shelf::new(room);
        let names: Vec<_> = (0..10_000).map(|number| format!("user{number}")).collect();
        let kept = |shelf: &Shelf| names.iter().filter(|name| found(shelf, name).is_some()).count();
        assert!(!names.iter().map(|name| shelf.put(shelf.epoch(), name, &record)).fold(true, |all, one| all & one));
        assert_eq!(kept(&shelf), room / 100);
        let octets: usize = shelf.shards.iter().map(|shard| shard.read().expect("sound").octets.capacity()).sum();
        assert!(octets <= room, "{octets}");
        shelf.passed(&Changed::These(names.clone()));
        assert_eq!(kept(&shelf), 0);
        names.iter().for_each(|name| _ = shelf.put(shelf.epoch(), name, &record));
        assert_eq!(kept(&shelf), room / 100);
    }

    #[test]
    fn a_record_that_is_too_long_leaves_its_room_to_others() {
        let shelf = Shelf::new(SHARDS << 20);
        assert!(shelf.put(0, "alice", &[7; LONGEST + 1]) && shelf.put(0, "bob", &[7; LONGEST]));
        assert_eq!((found(&shelf, "alice"), found(&shelf, "bob").map(|it| it.len())), (None, Some(LONGEST)));
        let none = Shelf::new(0);
        assert!(!none.put(0, "alice", b"record") && found(&none, "alice").is_none());
    }
}
