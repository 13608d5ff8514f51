//! Keys at rest, and the file of the key over them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::record::{decode, encode};
use super::super::seal::key_context;
use super::*;
use crate::core::{Change, Store};

#[test]
fn no_key_stands_in_the_file() {
    let (dir, store) = redb();
    let alice = entry("alice");
    store.commit(&[Change::Create(alice.clone())]).expect("committed");
    drop(store);
    let bytes = fs::read(dir.path().join("store")).expect("there");
    let contains = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(contains(b"alice@R"));
    for key in &alice.keys[0].keys {
        assert!(!contains(key.key.expose()));
    }
}

#[test]
fn a_wrong_master_key_is_told_when_opening() {
    let (dir, store) = redb();
    drop(store);
    let master = dir.path().join("master.key");
    fs::remove_file(&master).expect("removed");
    MasterKey::create(&master).expect("another");
    let error = reopen(&dir).map(|_| ()).expect_err("refused").to_string();
    assert!(error.starts_with("wrong master key: "), "{error}");
    assert!(error.contains("master.key is not the key") && error.contains("restore that key file"), "{error}");
}

#[test]
fn a_sealed_key_opens_for_its_principal_version_and_enctype_only() {
    let master = MasterKey::ephemeral().expect("random");
    let context = key_context("alice@R", 1, 18);
    let (version, sealed) = master.seal(b"key", &context).expect("sealed");
    assert_eq!(master.open(version, &sealed, &context).expect("opens").as_slice(), b"key");
    for other in [("alic@R", 1, 18), ("bob@R", 1, 18), ("alice@R", 2, 18), ("alice@R", 1, 17)] {
        assert!(master.open(version, &sealed, &key_context(other.0, other.1, other.2)).is_none());
    }
    assert!(master.open(version + 1, &sealed, &context).is_none());
    assert!(master.open(version, &sealed[..11], &context).is_none());
    assert!(MasterKey::ephemeral().expect("random").open(version, &sealed, &context).is_none());
}

#[test]
fn two_sealings_of_a_key_have_nothing_in_common() {
    let master = MasterKey::ephemeral().expect("random");
    let (_, first) = master.seal(&[7; 32], b"").expect("sealed");
    let (_, second) = master.seal(&[7; 32], b"").expect("sealed");
    assert_ne!(first[..12], second[..12]);
    assert_ne!(first[12..], second[12..]);
}

#[test]
fn a_record_under_another_name_is_refused() {
    let master = MasterKey::ephemeral().expect("random");
    let bytes = encode(&entry("alice"), 1, &master).expect("encoded");
    assert!(decode("alice@R", &bytes, &master).is_ok());
    let error = decode("admin@R", &bytes, &master).expect_err("refused").to_string();
    assert_eq!(error, "record of admin@R: damaged (it is another principal's); restore the store");
}

#[test]
fn a_record_of_a_newer_version_says_so() {
    let master = MasterKey::ephemeral().expect("random");
    let mut bytes = encode(&entry("alice"), 1, &master).expect("encoded");
    assert_eq!(bytes[..2], [8, 1]);
    bytes[1] = 2;
    let error = decode("alice@R", &bytes, &master).expect_err("refused").to_string();
    assert!(error.contains("by a newer kdc"), "{error}");
}

#[test]
fn no_bytes_make_the_record_reader_panic() {
    let master = MasterKey::ephemeral().expect("random");
    let bytes = encode(&entry("alice"), 1, &master).expect("encoded");
    for at in 0..bytes.len() {
        let _ = decode("alice@R", &bytes[..at], &master);
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let _ = decode("alice@R", &flipped, &master);
        }
    }
}

#[test]
fn a_master_key_file_opens_what_it_sealed_in_any_version() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("master.key");
    let old = MasterKey::create(&path).expect("created");
    let (version, sealed) = old.seal(b"key", b"x").expect("sealed");
    let text = fs::read_to_string(&path).expect("there");
    fs::write(&path, format!("{text}2 {}\n", "ab".repeat(32))).expect("written");
    let both = MasterKey::load(&path).expect("loads");
    assert_eq!((both.version(), both.seal(b"key", b"x").expect("sealed").0), (2, 2));
    assert_eq!(both.open(version, &sealed, b"x").expect("opens").as_slice(), b"key");
}

#[test]
fn a_master_key_file_that_is_wrong_says_where() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("master.key");
    let row = format!("1 {}", "0f".repeat(32));
    for (text, expected) in [
        (String::new(), "it is empty; restore it"),
        ("junk".into(), "not a master key file: it must begin with \"kdc-master-key 1\""),
        ("kdc-master-key 1\n# only words\n".into(), "no key in it"),
        ("kdc-master-key 1\n1 abcd\n".into(), "line 2: expected a version number and 64 hex digits"),
        (format!("kdc-master-key 1\n\n{}\n", row.replace("0f", "0g")), "line 3: expected"),
        (format!("kdc-master-key 1\nx{row}\n"), "line 2: expected"),
        (format!("kdc-master-key 1\n{row}\n{row}\n"), "line 3: version 1 stands here twice"),
    ] {
        fs::write(&path, &text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        let error = MasterKey::load(&path).expect_err("wrong").to_string();
        assert!(error.contains("master.key: ") && error.contains(expected), "{error}");
        assert!(!error.contains("abcd") && !error.contains("0f0f"), "{error}");
    }
}

#[test]
fn a_master_key_that_everybody_can_read_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("master.key");
    MasterKey::create(&path).expect("created");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
    let error = MasterKey::load(&path).expect_err("refused").to_string();
    assert!(error.contains("chmod 600"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    MasterKey::load(&path).expect("its group may be the service's own");
    assert!(MasterKey::create(&path).is_err(), "overwritten");
}

#[test]
fn no_debug_output_shows_a_key() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("master.key");
    let master = MasterKey::create(&path).expect("created");
    let text = fs::read_to_string(&path).expect("there");
    let key = text.lines().last().and_then(|line| line.split_once(' ')).expect("a row").1;
    assert!(!format!("{master:?}").contains(key));
}
