//! A bounded table of constant texts, each with a number: so that what is counted by a text (a cause,
//! a method) is counted in an array, without a lock and without a list of all texts somewhere.

use std::sync::OnceLock;

/// Up to `N` texts; what finds no place is counted in the last.
#[derive(Debug)]
pub struct Slots<const N: usize> {
    names: [OnceLock<&'static str>; N],
}

/// What the texts beyond the table are called.
const OTHER: &str = "other";

impl<const N: usize> Slots<N> {
    /// An empty table.
    pub const fn new() -> Self {
        Slots { names: [const { OnceLock::new() }; N] }
    }

    /// The number of a text, always the same.
    pub fn place(&self, name: &'static str) -> usize {
        let last = N.saturating_sub(1);
        let start = scatter(name);
        for step in 0..last {
            let place = (start.wrapping_add(step)) % last.max(1);
            let Some(slot) = self.names.get(place) else { break };
            if *slot.get_or_init(|| name) == name {
                return place;
            }
        }
        last
    }

    /// Every text with its number.
    pub fn names(&self) -> impl Iterator<Item = (usize, &'static str)> + '_ {
        let known = self.names.iter().enumerate().filter_map(|(place, name)| Some((place, *name.get()?)));
        known.chain(std::iter::once((N.saturating_sub(1), OTHER)))
    }
}

/// Where the search begins: the same place for the same text, whichever copy of it comes.
fn scatter(name: &str) -> usize {
    let bytes = name.as_bytes();
    let at = |place: usize| usize::from(bytes.get(place).copied().unwrap_or(0));
    let length = bytes.len();
    length.wrapping_mul(131) ^ at(0).wrapping_mul(31) ^ at(length / 2).wrapping_mul(17) ^ at(length.saturating_sub(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_whichever_copy_of_it_is_asked_for() {
        let slots = Slots::<8>::new();
        let copy: &'static str = String::from("a cause").leak();
        assert_eq!(slots.place("a cause"), slots.place(copy));
        assert_ne!(slots.place("a cause"), slots.place("another"));
    }

    #[test]
    fn texts_beyond_the_table_share_its_last_place() {
        let slots = Slots::<4>::new();
        let places = ["a", "bb", "ccc", "dddd", "eeeee"].map(|name| slots.place(name));
        assert_eq!(places.iter().filter(|place| **place == 3).count(), 2);
        assert_eq!(slots.names().filter(|(_, name)| *name == OTHER).count(), 1);
    }
}
