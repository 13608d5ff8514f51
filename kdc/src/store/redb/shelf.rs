//! Records in memory as they are on disk, their keys sealed: found at one glance, where a tree takes
//! several. Not here: what is read from them, and the entries that are kept opened ([`crate::store::Cached`]).
//!
//! No stale record is found after a commit. Whoever puts one in names the epoch in which he began to look for it; a
//! commit that changes any, once others see it, begins the next one and then takes away what it changed.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use foldhash::fast::RandomState;

/// Each has its own lock, and grows by itself.
const SHARDS: usize = 64;
/// Memory is taken so many octets at a time, and nothing in it moves as it grows: what grows by being copied
/// leaves holes.
const SEGMENT: usize = 1 << 16;
/// No longer record is kept.
const LONGEST: usize = 4096;
/// What a place takes for which there is room, and twice as much just after the table of places has grown.
const PLACE: usize = 11;

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
    /// Octets that a shard may take.
    room: usize,
    /// All was taken away, also what was as it is on disk.
    forgot: AtomicBool,
    hasher: RandomState,
    shards: Box<[RwLock<Shard>]>,
}

#[derive(Default)]
struct Shard {
    /// Where each record is, by a part of its name's hash: its segment, and where in that it begins, 16 bits each. Of two
    /// that share the hash one is kept.
    places: HashMap<u32, u32, RandomState>,
    /// Records, each after its length.
    segments: Vec<Vec<u8>>,
    /// Octets of all segments.
    taken: usize,
    /// How many of these are of records that are none any more.
    waste: usize,
}

impl Shelf {
    /// For so many octets of records; of 0 keeps none.
    pub fn new(octets: usize) -> Self {
        Shelf {
            epoch: AtomicU64::default(),
            // Segments are told by 16 bits.
            room: (octets / SHARDS).min(SEGMENT << 15),
            forgot: AtomicBool::new(true),
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
        // Most that can't be kept are told without keeping others from looking.
        let sight = shard.read().unwrap_or_else(PoisonError::into_inner);
        if sight.places.contains_key(&tag) {
            return true;
        }
        if sight.room_for(record.len() + 2, self.room).is_none() {
            return false;
        }
        drop(sight);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        // Before it has the shard a commit has begun its epoch: who comes after that must not bring what was before.
        self.epoch() != epoch || shard.put(tag, record, self.room)
    }

    /// There was a commit, which whoever looks now sees.
    pub fn passed(&self, changed: &Changed) {
        match changed {
            Changed::Nothing => {}
            Changed::These(owners) if owners.is_empty() => {}
            Changed::These(owners) => {
                self.epoch.fetch_add(1, Ordering::SeqCst);
                for (shard, tag) in owners.iter().filter_map(|owner| self.place(owner)) {
                    shard.write().unwrap_or_else(PoisonError::into_inner).remove(tag);
                }
            }
            Changed::Any => {
                self.epoch.fetch_add(1, Ordering::SeqCst);
                for shard in &self.shards {
                    *shard.write().unwrap_or_else(PoisonError::into_inner) = Shard::default();
                }
                self.forgot.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether so many records of so many octets would fit, all together.
    pub fn fits(&self, records: u64, octets: u64) -> bool {
        records.saturating_mul(octets + 2 + 2 * PLACE as u64) <= (self.room * SHARDS) as u64
    }

    /// How many records are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).places.len()).sum()
    }

    /// Whether, since this was asked last, all was taken away. At first it was.
    pub fn forgot(&self) -> bool {
        self.forgot.swap(false, Ordering::Relaxed)
    }

    fn place(&self, owner: &str) -> Option<(&RwLock<Shard>, u32)> {
        let hash = self.hasher.hash_one(owner);
        Some((self.shards.get((hash >> 32) as usize % SHARDS)?, hash as u32))
    }
}

impl Shard {
    fn record(&self, tag: u32) -> Option<&[u8]> {
        let place = *self.places.get(&tag)? as usize;
        let (length, record) = self.segments.get(place / SEGMENT)?.get(place % SEGMENT..)?.split_first_chunk()?;
        record.get(..usize::from(u16::from_le_bytes(*length)))
    }

    fn put(&mut self, tag: u32, record: &[u8], room: usize) -> bool {
        let (Ok(length), octets) = (u16::try_from(record.len()), record.len() + 2) else { return false };
        if self.places.contains_key(&tag) {
            return true;
        }
        match self.room_for(octets, room) {
            None => return false,
            Some(0) => {}
            Some(more) => {
                self.segments.push(Vec::with_capacity(more));
                self.taken += more;
            }
        }
        let number = self.segments.len() - 1;
        let Some(segment) = self.segments.last_mut() else { return false };
        let Ok(place) = u32::try_from(number * SEGMENT + segment.len()) else { return false };
        segment.extend_from_slice(&length.to_le_bytes());
        segment.extend_from_slice(record);
        self.places.insert(tag, place);
        true
    }

    /// The size of the segment that is needed for so many octets more, 0 where there is one; `None`: there is no room.
    fn room_for(&self, octets: usize, room: usize) -> Option<usize> {
        if self.segments.last().is_some_and(|last| last.capacity() - last.len() >= octets) {
            return Some(0);
        }
        let left = room.saturating_sub(self.taken + self.places.capacity() * PLACE);
        Some(SEGMENT.min(left)).filter(|more| *more >= octets)
    }

    /// Forgets a record, and gives its room to others before much is wasted.
    fn remove(&mut self, tag: u32) {
        self.waste += self.record(tag).map_or(0, |record| record.len() + 2);
        self.places.remove(&tag);
        if self.waste > self.taken / 8 {
            let mut left = Shard::default();
            for (tag, record) in self.places.keys().filter_map(|tag| Some((*tag, self.record(*tag)?))) {
                left.put(tag, record, self.taken + self.places.capacity() * PLACE);
            }
            *self = left;
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
        for changed in [these(&["alice"]), Changed::Any] {
            let before = shelf.epoch();
            shelf.passed(&changed);
            assert!(shelf.put(before, "alice", b"old"));
            assert_eq!(found(&shelf, "alice"), None);
        }
        let before = shelf.epoch();
        [Changed::Nothing, these(&[])].iter().for_each(|nothing| shelf.passed(nothing));
        assert_eq!(shelf.epoch(), before);
        assert!(shelf.put(shelf.epoch(), "alice", b"new"));
        assert_eq!(found(&shelf, "alice").as_deref(), Some(b"new".as_slice()));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for_and_what_was_changed_makes_room() {
        let (room, record) = (SHARDS * 4 * SEGMENT, [7; 98]);
        let shelf = Shelf::new(room);
        let names: Vec<_> = (0..200_000).map(|number| format!("user{number}")).collect();
        let kept = |shelf: &Shelf| names.iter().filter(|name| found(shelf, name).is_some()).count();
        let fill = |shelf: &Shelf| names.iter().filter(|name| shelf.put(shelf.epoch(), name, &record)).count();
        let many = room / (record.len() + 2 + 2 * PLACE);
        assert!(!shelf.fits(names.len() as u64, 98) && shelf.fits(many as u64, 98));
        let put = fill(&shelf);
        assert!((many..room / 100).contains(&put), "{put} of {many}");
        assert_eq!(kept(&shelf), put);
        let size = |shard: &Shard| shard.taken + shard.places.capacity() * PLACE;
        let octets: usize = shelf.shards.iter().map(|shard| size(&shard.read().expect("sound"))).sum();
        assert!(octets <= room * 11 / 10, "{octets}");
        assert!(!shelf.fits(many as u64 + 1, 98));
        assert!(shelf.forgot() && !shelf.forgot());
        // All but one in sixteen, which stay.
        let (stay, go): (Vec<_>, Vec<_>) = names.iter().cloned().enumerate().partition(|(place, _)| place % 16 == 0);
        let staying = stay.iter().filter(|(_, name)| found(&shelf, name).is_some()).count();
        shelf.passed(&Changed::These(go.into_iter().map(|(_, name)| name).collect()));
        assert_eq!((kept(&shelf), shelf.len(), shelf.forgot()), (staying, staying, false));
        assert!(staying + fill(&shelf) > many);
        shelf.passed(&Changed::Any);
        assert_eq!((kept(&shelf), shelf.forgot()), (0, true));
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
