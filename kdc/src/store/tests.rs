pub(super) mod battery;
mod bulk;
mod crash;
mod damage;
mod ledger;
mod rolling;
mod sealing;

use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, OsRandom};
use libkrb::{Principal, Time};

use super::*;
use crate::core::{Entry, KeySet, LongTermKey};

pub(super) fn name(text: &str) -> Principal {
    Principal::parse(text, Some("R")).expect(text)
}

/// An entry with a password key and a random key.
pub(super) fn entry(text: &str) -> Entry {
    let key = |etype| Key::random(etype, &mut OsRandom::new()).expect("supported");
    let keys = vec![
        LongTermKey::new(key(EncryptionType::AES256_SHA1), Some(name(text).salt())),
        LongTermKey::new(key(EncryptionType::AES128_SHA256), None),
    ];
    Entry { keys: vec![KeySet::new(1, keys)], ..Entry::new(name(text), [7; 16], Time(1000), "root/admin@R") }
}

pub(super) fn with_aliases(text: &str, aliases: &[&str]) -> Entry {
    Entry { aliases: aliases.iter().map(|alias| name(alias)).collect(), ..entry(text) }
}

const KEPT: Kept = Kept { entries: 10, records: 1 << 20 };

/// A store in a folder of its own, gone with the folder.
fn redb() -> (tempfile::TempDir, Redb) {
    redb_in(tempfile::tempdir().expect("a folder"))
}

fn redb_in(dir: tempfile::TempDir) -> (tempfile::TempDir, Redb) {
    let master = MasterKey::create(&dir.path().join("master.key")).expect("a master key");
    let store = Redb::create(&dir.path().join("store"), "R", master).expect("a store");
    (dir, store.keeping(KEPT.records))
}

fn reopen(dir: &tempfile::TempDir) -> Result<Redb, StoreError> {
    Redb::open(&dir.path().join("store"), MasterKey::load(&dir.path().join("master.key"))?)
}

#[test]
fn what_is_served_from_is_kept_in_memory_as_far_as_is_said() {
    let (dir, store) = redb();
    drop(store);
    for (records, expected) in [(KEPT.records, Ahead::Whole), (0, Ahead::TooMany)] {
        let kept = Kept { records, ..KEPT };
        let store = open(&dir.path().join("store"), &dir.path().join("master.key"), kept).expect("opens");
        store.commit(&[crate::core::Change::Create(entry(&format!("user{records}")))]).expect("committed");
        assert_eq!(store.read_ahead(None).expect("read"), expected, "{records}");
    }
}
