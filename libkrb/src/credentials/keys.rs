//! The keys of a keytab through time: those that are in it, and those that were when tickets were
//! issued that are still good. Pure.

use std::sync::Arc;
use std::time::Duration;

use crate::keytab::{Keytab, KeytabEntry};
use crate::name::Principal;
use crate::time::{Seconds, Time};

/// No more vanished keys are kept; the oldest go first.
const MAX_KEPT: usize = 1000;

pub(super) struct Keys {
    current: Arc<Keytab>,
    /// Keys that vanished, and when that was seen; oldest first.
    kept: Vec<(Time, KeytabEntry)>,
    keep_for: Seconds,
}

impl Keys {
    pub(super) fn new(keytab: Keytab, keep_for: Duration) -> Keys {
        let keep_for = Seconds::try_from(keep_for.as_secs()).unwrap_or(Seconds::MAX);
        Keys { current: Arc::new(keytab), kept: vec![], keep_for }
    }

    /// What is in the keytab now.
    pub(super) fn current(&self) -> &Arc<Keytab> {
        &self.current
    }

    /// How many keys are kept that are not in it.
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// The present keys first: they are tried first.
    pub(super) fn all(&self) -> Keytab {
        let kept = self.kept.iter().map(|(_, entry)| entry.clone());
        Keytab { entries: self.current.entries.iter().cloned().chain(kept).collect() }
    }

    /// Another content of the keytab. What is not in it any more is kept for its time.
    pub(super) fn replace(&mut self, keytab: Keytab, now: Time) {
        let old = std::mem::replace(&mut self.current, Arc::new(keytab));
        let is_new = |entry: &KeytabEntry| self.current.entries.iter().any(|new| same(new, entry));
        self.kept.retain(|(_, entry)| !is_new(entry));
        let vanished = old.entries.iter().filter(|entry| !is_new(entry));
        self.kept.extend(vanished.map(|entry| (now, entry.clone())));
        let surplus = self.kept.len().saturating_sub(MAX_KEPT);
        self.kept.drain(..surplus);
        self.expire(now);
    }

    /// Drops what was kept for long enough, and says whether there was any.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        let before = self.kept.len();
        self.kept.retain(|(since, _)| now.seconds().saturating_sub(since.seconds()) < self.keep_for);
        self.kept.len() != before
    }

    /// The version numbers of a principal's present keys, newest first.
    pub(super) fn kvnos(&self, principal: &Principal) -> Vec<u32> {
        let ours = self.current.entries.iter().filter(|entry| entry.principal == *principal);
        let mut kvnos: Vec<u32> = ours.map(|entry| entry.kvno).collect();
        kvnos.sort_unstable_by(|one, other| other.cmp(one));
        kvnos.dedup();
        kvnos
    }
}

/// Whether the entries open the same tickets.
fn same(one: &KeytabEntry, other: &KeytabEntry) -> bool {
    one.kvno == other.kvno && one.principal == other.principal && one.key == other.key
}

/// Whether a keytab has a key of this principal that can be used.
pub(super) fn usable(keytab: &Keytab, principal: &Principal) -> bool {
    keytab.entries.iter().any(|entry| entry.principal == *principal && entry.key.key().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::EncryptionType;
    use crate::keytab::RawKey;

    const START: Time = Time(1_800_000_000);

    fn entry(principal: &str, kvno: u32, byte: u8) -> KeytabEntry {
        let principal = Principal::parse(principal, Some("R")).unwrap();
        let key = RawKey::new(EncryptionType::AES128_SHA1, [byte; 16]);
        KeytabEntry { principal, timestamp: START, kvno, key }
    }

    fn keytab(entries: &[(&str, u32, u8)]) -> Keytab {
        Keytab { entries: entries.iter().map(|(name, kvno, byte)| entry(name, *kvno, *byte)).collect() }
    }

    fn kvnos(keys: &Keys) -> Vec<u32> {
        keys.all().entries.iter().map(|entry| entry.kvno).collect()
    }

    #[test]
    fn keys_that_vanish_are_kept_for_their_time() {
        let mut keys = Keys::new(keytab(&[("a", 1, 1), ("a", 2, 2)]), Duration::from_secs(100));
        keys.replace(keytab(&[("a", 2, 2), ("a", 3, 3)]), START);
        assert_eq!((kvnos(&keys), keys.kept()), (vec![2, 3, 1], 1));
        keys.replace(keytab(&[("a", 4, 4)]), START + 50);
        assert_eq!(kvnos(&keys), [4, 1, 2, 3]);
        assert!(!keys.expire(START + 99));
        assert!(keys.expire(START + 100));
        assert_eq!(kvnos(&keys), [4, 2, 3]);
        assert!(keys.expire(START + 150));
        assert_eq!(kvnos(&keys), [4]);
    }

    #[test]
    fn a_key_that_comes_back_is_in_the_keytab_and_not_kept() {
        let mut keys = Keys::new(keytab(&[("a", 1, 1)]), Duration::from_secs(100));
        keys.replace(keytab(&[("a", 2, 2)]), START);
        keys.replace(keytab(&[("a", 1, 1), ("a", 2, 2)]), START + 1);
        assert_eq!((kvnos(&keys), keys.kept()), (vec![1, 2], 0));
    }

    #[test]
    fn another_key_of_the_same_number_stands_beside_the_one_that_vanished() {
        // A realm that was made anew begins at 1 again.
        let mut keys = Keys::new(keytab(&[("a", 1, 1)]), Duration::from_secs(100));
        keys.replace(keytab(&[("a", 1, 9)]), START);
        let all = keys.all();
        assert_eq!(all.entries[0].key.bytes[0], 9, "the present one is tried first");
        assert_eq!(all.entries[1].key.bytes[0], 1);
    }

    #[test]
    fn keys_are_kept_neither_longer_nor_in_greater_number_than_was_said() {
        let mut keys = Keys::new(keytab(&[("a", 1, 1)]), Duration::ZERO);
        keys.replace(keytab(&[("a", 2, 2)]), START);
        assert_eq!(kvnos(&keys), [2], "after a theft");
        let mut keys = Keys::new(keytab(&[("a", 1, 1)]), Duration::MAX);
        for kvno in 2..MAX_KEPT as u32 + 10 {
            keys.replace(keytab(&[("a", kvno, 1)]), START);
        }
        assert_eq!(keys.kept(), MAX_KEPT);
        assert!(!kvnos(&keys).contains(&1), "the oldest go first");
    }

    #[test]
    fn version_numbers_are_those_of_the_principal_newest_first() {
        let keys = Keys::new(keytab(&[("a", 1, 1), ("b", 9, 1), ("a", 3, 1), ("a", 3, 2)]), Duration::ZERO);
        assert_eq!(keys.kvnos(&Principal::parse("a@R", None).unwrap()), [3, 1]);
        assert!(usable(keys.current(), &Principal::parse("b@R", None).unwrap()));
        assert!(!usable(keys.current(), &Principal::parse("c@R", None).unwrap()));
    }
}
