//! A set of digests that takes little room and, mostly, one look at memory. Not here: when its
//! entries are forgotten.

use std::num::NonZeroU128;

use super::ReplayKey;
use super::scatter::{Scatter, place};

/// Slots that are filled one after the other from where the digest points to (linear probing).
///
/// At most 11/16 of them are taken: beyond that the rows of taken slots get long, and a look at one
/// takes several at memory. A table that is full to that degree grows by half, so 7/16 are taken
/// at least: an entry has 16 octets and takes 23 to 35.
pub(super) struct Table {
    slots: Vec<Option<NonZeroU128>>,
    used: usize,
}

const SMALLEST: usize = 8;

impl Table {
    /// A table that does not grow before it has more than so many entries.
    pub(super) fn sized_for(entries: usize) -> Table {
        let slots = entries.saturating_mul(16).div_ceil(11).max(SMALLEST);
        Table { slots: vec![None; slots], used: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Where a digest stands, or else should stand.
    fn find(&self, scatter: Scatter, entry: NonZeroU128) -> Option<usize> {
        let start = place(scatter.of(entry.get()), self.slots.len());
        let (before, after) = self.slots.split_at_checked(start)?;
        let hit = |slot: &Option<NonZeroU128>| slot.is_none_or(|taken| taken == entry);
        match after.iter().position(hit) {
            Some(steps) => Some(start + steps),
            None => before.iter().position(hit),
        }
    }

    pub(super) fn contains(&self, scatter: Scatter, key: ReplayKey) -> bool {
        let found = self.find(scatter, entry(key)).and_then(|place| self.slots.get(place));
        found.is_some_and(Option::is_some)
    }

    /// Adds a digest that it does not contain.
    pub(super) fn add(&mut self, scatter: Scatter, key: ReplayKey) {
        if (self.used + 1) * 16 > self.slots.len() * 11 {
            self.grow(scatter);
        }
        self.put(scatter, entry(key));
        self.used += 1;
    }

    fn put(&mut self, scatter: Scatter, entry: NonZeroU128) {
        if let Some(slot) = self.find(scatter, entry).and_then(|place| self.slots.get_mut(place)) {
            *slot = Some(entry);
        }
    }

    fn grow(&mut self, scatter: Scatter) {
        let size = (self.slots.len() + self.slots.len() / 2).max(SMALLEST);
        let old = std::mem::replace(&mut self.slots, vec![None; size]);
        old.into_iter().flatten().for_each(|entry| self.put(scatter, entry));
    }
}

/// A digest of zeros, which nobody will see, is taken for its neighbour.
fn entry(key: ReplayKey) -> NonZeroU128 {
    NonZeroU128::new(key.number()).unwrap_or(NonZeroU128::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCATTER: Scatter = Scatter::new([1, 2]);

    fn key(number: usize) -> ReplayKey {
        ReplayKey::new([number.to_be_bytes().as_slice()])
    }

    #[test]
    fn a_table_contains_what_was_added_and_nothing_else() {
        let mut table = Table::sized_for(0);
        for number in 0..10_000 {
            assert!(!table.contains(SCATTER, key(number)), "{number}");
            table.add(SCATTER, key(number));
            assert!(table.contains(SCATTER, key(number)), "{number}");
        }
        assert!((0..10_000).all(|number| table.contains(SCATTER, key(number))), "after the last growth");
        assert_eq!(table.len(), 10_000);
    }

    #[test]
    fn digests_for_the_same_slot_are_told_apart() {
        // Of these only the upper half differs, which a secret of zeros multiplies away.
        let scatter = Scatter::new([0, 0]);
        let keys: Vec<_> = (0..100u128).map(|number| ReplayKey((number << 64).to_le_bytes())).collect();
        let mut table = Table::sized_for(keys.len());
        for (added, key) in keys.iter().enumerate() {
            assert_eq!(scatter.of(key.number()), 0);
            assert!(!table.contains(scatter, *key), "{added}");
            table.add(scatter, *key);
        }
        assert!(keys.iter().all(|key| table.contains(scatter, *key)));
    }

    #[test]
    fn an_entry_takes_35_octets_at_most_once_there_are_some() {
        let mut table = Table::sized_for(0);
        for number in 0..10_000 {
            table.add(SCATTER, key(number));
            let octets = size_of_val(table.slots.as_slice());
            assert!(number < 20 || octets <= 36 * table.len(), "{octets} for {}", table.len());
        }
    }

    #[test]
    fn a_table_does_not_grow_before_it_has_what_it_was_made_for() {
        let mut table = Table::sized_for(1000);
        let slots = table.slots.len();
        (0..1000).for_each(|number| table.add(SCATTER, key(number)));
        assert_eq!(table.slots.len(), slots);
    }
}
