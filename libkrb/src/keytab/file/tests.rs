use std::os::unix::fs::PermissionsExt;

use super::super::tests::entry;
use super::*;
use crate::storage::vectors;

fn place() -> (tempfile::TempDir, KeytabName) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let name = KeytabName::File(directory.path().join("keytab"));
    (directory, name)
}

fn path(name: &KeytabName) -> &Path {
    match name {
        KeytabName::File(path) => path,
        _ => panic!("a file"),
    }
}

fn bytes(name: &KeytabName) -> Vec<u8> {
    std::fs::read(path(name)).expect("read")
}

fn names(keytab: &KeytabName) -> Vec<String> {
    let keytab = keytab.load().expect("loads");
    keytab.entries.iter().map(|entry| format!("{} {}", entry.principal.without_realm(), entry.kvno)).collect()
}

fn remove(keytab: &KeytabName, entry: &KeytabEntry) -> Result<()> {
    keytab.remove(&entry.principal, entry.kvno, entry.key.etype)
}

#[test]
fn a_keytab_that_is_not_there_says_so_in_the_words_that_scripts_know() {
    let error = KeytabName::parse("/nowhere/krb5.keytab").expect("a name").load().expect_err("not there");
    assert_eq!(error.to_string(), "Key table file '/nowhere/krb5.keytab' not found");
}

#[test]
fn a_fault_in_the_file_names_the_file() {
    let (_directory, keytab) = place();
    std::fs::write(path(&keytab), b"\x05\x02\0\0\0\x02\0\0").expect("written");
    let error = keytab.load().expect_err("malformed").to_string();
    let expected = format!("Bad format in keytab (filename: {}): byte 6: expected", path(&keytab).display());
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn the_first_entry_makes_the_file_for_its_owner_only() {
    let (_directory, keytab) = place();
    keytab.add(&[entry("host/a", 300, 1)]).expect("added");
    assert_eq!(std::fs::metadata(path(&keytab)).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(bytes(&keytab), **Keytab { entries: vec![entry("host/a", 300, 1)] }.encode().expect("fits"));
}

#[test]
fn every_kind_of_keytab_adds_removes_and_is_replaced() {
    let (_directory, file) = place();
    for keytab in [file, KeytabName::Memory("battery".into())] {
        keytab.add(&[entry("a", 1, 1), entry("b", 1, 1)]).expect("added");
        keytab.add(&[entry("c", 1, 1)]).expect("added");
        remove(&keytab, &entry("b", 1, 1)).expect("removed");
        assert_eq!(names(&keytab), ["a 1", "c 1"]);
        let error = remove(&keytab, &entry("b", 1, 1)).expect_err("gone");
        assert_eq!(error.to_string(), "Key table entry not found");
        keytab.replace(&Keytab { entries: vec![entry("d", 2, 1)] }).expect("replaced");
        assert_eq!(names(&keytab), ["d 2"]);
    }
}

#[test]
fn a_removed_key_leaves_a_hole_of_zeros() {
    let (_directory, keytab) = place();
    keytab.add(&[entry("a", 1, 1), entry("b", 1, 1)]).expect("added");
    let before = bytes(&keytab);
    remove(&keytab, &entry("a", 1, 1)).expect("removed");
    let after = bytes(&keytab);
    assert_eq!(before.len(), after.len());
    let size = i32::from_be_bytes(before[2..6].try_into().expect("four bytes"));
    assert_eq!(after[2..6], (-size).to_be_bytes());
    let end = 6 + size as usize;
    assert!(after[6..end].iter().all(|byte| *byte == 0));
    assert_eq!(before[end..], after[end..]);
}

#[test]
fn the_first_hole_that_is_big_enough_is_used() {
    let (_directory, keytab) = place();
    keytab
        .add(&[entry("a", 1, 1), entry("b/long/name", 1, 1), entry("c/longer/name", 1, 1), entry("d", 1, 1)])
        .expect("added");
    let before = bytes(&keytab).len();
    for gone in ["a", "b/long/name", "c/longer/name"] {
        remove(&keytab, &entry(gone, 1, 1)).expect("removed");
    }
    keytab.add(&[entry("e/f", 300, 1), entry("g/h", 2, 1), entry("i/j", 3, 1), entry("k", 4, 1)]).expect("added");
    assert_eq!(names(&keytab), ["k 4", "e/f 300", "g/h 2", "d 1", "i/j 3"]);
    let added = 4 + format::encode_entry(&entry("i/j", 3, 1)).expect("fits").len();
    assert_eq!(bytes(&keytab).len(), before + added, "only the one without a hole is at the end");
}

#[test]
fn a_hole_with_old_bytes_in_it_keeps_none_of_them() {
    let (_directory, keytab) = place();
    std::fs::write(path(&keytab), [&b"\x05\x02\xff\xff\xff\x80"[..], &[0x5e; 128]].concat()).expect("written");
    keytab.add(&[entry("a", 1, 1)]).expect("added");
    assert_eq!(names(&keytab), ["a 1"]);
    assert!(!bytes(&keytab).contains(&0x5e));
}

#[test]
fn what_was_never_finished_is_written_over() {
    let (_directory, keytab) = place();
    keytab.add(&[entry("a", 1, 1)]).expect("added");
    let mut torn = bytes(&keytab);
    torn.extend([&[0; 4][..], &[0x77; 200]].concat());
    std::fs::write(path(&keytab), torn).expect("written");
    keytab.add(&[entry("b", 1, 1), entry("c", 1, 1)]).expect("added");
    assert_eq!(names(&keytab), ["a 1", "b 1", "c 1"]);
}

#[test]
fn a_writer_that_dies_before_the_length_leaves_the_keytab_as_it_was() {
    let (_directory, keytab) = place();
    keytab.add(&[entry("a", 1, 1)]).expect("added");
    let body = format::encode_entry(&entry("b", 1, 1)).expect("fits");
    let unfinished = format::parse(&bytes(&keytab)).expect("parses").place(&body).expect("fits");
    let mut file = bytes(&keytab);
    file.resize(unfinished.at + 4, 0);
    file.extend(&*unfinished.body);
    std::fs::write(path(&keytab), file).expect("written");
    assert_eq!(names(&keytab), ["a 1"]);
}

#[test]
fn a_keytab_of_version_1_becomes_one_of_version_2_when_it_is_changed() {
    let (_, old, _) = vectors::named("keytab.json").into_iter().find(|(_, bytes, _)| bytes[1] == 1).expect("a vector");
    let (_directory, keytab) = place();
    std::fs::write(path(&keytab), &old).expect("written");
    keytab.add(&[entry("a", 1, 1)]).expect("added");
    assert_eq!(names(&keytab), ["host/a.krbtest.com 3", "a 1"]);
    std::fs::write(path(&keytab), &old).expect("written");
    let found = keytab.load().expect("loads").entries.remove(0);
    remove(&keytab, &found).expect("removed");
    assert_eq!(bytes(&keytab), [5, 2]);
}

#[test]
fn threads_that_add_and_remove_at_once_lose_nothing() {
    let (_directory, keytab) = place();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let keytab = &keytab;
            scope.spawn(move || {
                for number in 0..10 {
                    let kept = entry(&format!("kept/{thread}"), number, 1);
                    let gone = entry(&format!("gone/{thread}/{number}"), number, 1);
                    keytab.add(&[gone.clone(), kept]).expect("added");
                    remove(keytab, &gone).expect("removed");
                    keytab.load().expect("whole at every moment");
                }
            });
        }
    });
    let mut seen = names(&keytab);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 60);
}

#[test]
fn a_keytab_that_others_may_read_stays_so_when_it_is_added_to() {
    let (_directory, keytab) = place();
    keytab.add(&[entry("a", 1, 1)]).expect("added");
    std::fs::set_permissions(path(&keytab), PermissionsExt::from_mode(0o640)).expect("set");
    keytab.add(&[entry("b", 1, 1)]).expect("added");
    assert_eq!(std::fs::metadata(path(&keytab)).expect("there").permissions().mode() & 0o777, 0o640);
}
