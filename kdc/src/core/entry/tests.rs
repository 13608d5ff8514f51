//! Which keys seal, which prove, and which are over.

use libkrb::Principal;
use libkrb::crypto::{Pepper, Random};
use libkrb::preauth::spake::kdc;

use super::*;

const NOW: Time = Time(1000);

/// An entry with keys of these versions, newest first: version, in use from, good until.
fn entry(sets: &[(u32, i64, Option<i64>)]) -> Entry {
    let mut entry = Entry::new(Principal::tgs("R"), [0; 16], NOW, "");
    let set = |&(kvno, from, until): &(u32, i64, Option<i64>)| KeySet {
        from: Time(from),
        until: until.map(Time),
        ..KeySet::new(kvno, vec![])
    };
    entry.keys = sets.iter().map(set).collect();
    entry
}

fn kvnos<'a>(sets: impl Iterator<Item = &'a KeySet>) -> Vec<u32> {
    sets.map(|set| set.kvno).collect()
}

#[test]
fn announced_keys_do_not_seal_before_their_time_and_then_do() {
    let entry = entry(&[(3, 1001, None), (2, 0, Some(2000)), (1, 0, Some(1500))]);
    let current = |now| entry.current(Time(now)).map(|set| set.kvno);
    assert_eq!((current(1000), current(1001)), (Some(2), Some(3)));
    assert_eq!(entry.newest().map(|set| set.kvno), Some(3));
}

#[test]
fn keys_whose_time_is_over_are_good_for_nothing() {
    let entry = entry(&[(3, 900, None), (2, 0, Some(1001)), (1, 0, Some(1000))]);
    assert_eq!(kvnos(entry.living(NOW)), [3, 2]);
    assert_eq!(kvnos(entry.living(Time(1001))), [3]);
}

#[test]
fn where_all_keys_are_announced_the_oldest_seal() {
    assert_eq!(entry(&[(2, 3000, None), (1, 2000, None)]).current(NOW).map(|set| set.kvno), Some(1));
    assert!(entry(&[]).current(NOW).is_none());
    assert!(entry(&[(1, 0, Some(999))]).current(NOW).is_none());
}

#[test]
fn a_login_may_use_keys_that_were_turned_over_by_the_clock_and_none_from_before_a_change_at_once() {
    // 4 is announced, 3 was, 2 was put in use at once: whoever did so did not trust 1.
    let turned = entry(&[(4, 2000, None), (3, 900, None), (2, 0, None), (1, 0, None)]);
    assert_eq!(kvnos(turned.proving(NOW)), [4, 3, 2]);
    assert_eq!(kvnos(entry(&[(2, 0, None), (1, 0, None)]).proving(NOW)), [2]);
    let over = entry(&[(3, 900, None), (2, 0, Some(1000)), (1, 0, None)]);
    assert_eq!(kvnos(over.proving(NOW)), [3], "2 is over, and 1 was not trusted before");
}

#[test]
fn when_keys_were_replaced_is_told_by_those_that_came_after() {
    let mut entry = entry(&[(4, 2000, None), (3, 0, None), (2, 0, None), (1, 0, None)]);
    assert_eq!(entry.replaced(0), None);
    assert_eq!(entry.replaced(1), Some(Time(2000)));
    entry.keys[2].created = Time(500);
    assert_eq!((entry.replaced(2), entry.replaced(3)), (Some(Time(2000)), Some(Time(500))));
    entry.keys.remove(0);
    // Of the newest, an older KDC wrote down when the keys were changed last.
    assert_eq!(entry.replaced(1), None);
    entry.password_changed = Some(Time(700));
    assert_eq!(entry.replaced(1), Some(Time(700)));
    assert_eq!(entry.replaced(0), None);
}

/// Nothing is left to chance, so that what differs is of another key.
struct Zeros;

impl Random for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

#[test]
fn a_changed_copy_of_a_key_has_nothing_of_what_was_prepared_before() {
    let key = |octet| Key::new(EncryptionType::AES256_SHA1, &[octet; 32]).expect("a key");
    let uses = |key: &LongTermKey| {
        let sealed = [key.timestamp(), key.ticket(), key.reply()].map(|key| key.encrypt(&mut Zeros, b"plain"));
        let mut stream = [0; 16];
        key.prf().prf_plus(&Pepper::new(b"pepper"), &mut stream).expect("a stream");
        let challenge = kdc::challenge(key.spake(&GROUPS[0]).expect("a group"), None, &mut Zeros).expect("a challenge");
        [&sealed[..], &[key.pac().checksum(b"data"), key.cammac().checksum(b"data"), stream.into(), challenge.0]]
            .concat()
    };
    let old = LongTermKey::new(key(1), Some("salt".into()));
    let (before, _) = (uses(&old), old.info(|| b"old".to_vec()));
    let mut new = old.clone();
    new.key = key(2);
    let after = uses(&new);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    assert_eq!(new.info(|| b"new".to_vec()), b"new");
    assert_eq!(uses(&old), before);
    assert_eq!(old.info(|| b"other".to_vec()), b"old", "kept as long as the entry is");
    let other = old.salted("other".into());
    assert_eq!((uses(&other), other.info(|| b"other".to_vec())), (before, &b"other"[..]));
}
