//! What Debian's MIT does not write: aliases (since 1.22), odd salts, master keys in odd states.

use std::path::Path;

use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, OsRandom};

use super::*;

const ETYPE: EncryptionType = EncryptionType::AES128_SHA1;

fn key(fill: u8) -> Key {
    Key::new(ETYPE, &[fill; 16]).expect("a key")
}

fn hexed(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The fields of a key of this version, sealed, and its salt.
fn sealed(master: &Key, kvno: u32, key: &Key, salt: &str) -> String {
    let cipher = master.encrypt(KeyUsage(0), &mut OsRandom::new(), key.expose());
    let octets = [&16u16.to_le_bytes()[..], &cipher].concat();
    let parts = if salt.is_empty() { 1 } else { 2 };
    format!("{parts}\t{kvno}\t{}\t{}\t{}\t{salt}", key.etype().0, octets.len(), hexed(&octets))
}

/// A line with these tags and keys.
fn line(name: &str, tags: &[(i32, &[u8])], keys: &[String]) -> String {
    let head = format!("princ\t38\t{}\t{}\t{}\t0\t{name}\t0\t0\t0\t0\t0\t0\t0\t0", name.len(), tags.len(), keys.len());
    let tags: String =
        tags.iter().map(|(kind, octets)| format!("\t{kind}\t{}\t{}", octets.len(), hexed(octets))).collect();
    format!("{head}{tags}\t{}-1;", keys.concat())
}

fn found(lines: &[String]) -> Mit {
    let mut found = Found::default();
    lines.iter().for_each(|line| found.note(line, "R").expect("sound"));
    found.mit(Path::new("dump"), "R", &Told::Key(key(7))).expect("opened")
}

fn carried(mit: &Mit, line: &str) -> super::super::item::Carried {
    match mit.item(line) {
        Ok(Item::Principal(carried)) => *carried,
        Ok(_) => panic!("no principal"),
        Err(problem) => panic!("{problem}"),
    }
}

fn master() -> String {
    line("K/M@R", &[], &[sealed(&key(7), 1, &key(7), "")])
}

#[test]
fn aliases_of_aliases_come_to_the_principal_and_those_of_nobody_are_told() {
    let alias = |name, target: &[u8]| line(name, &[(tags::ALIAS, target)], &[]);
    let lines =
        [master(), alias("c@R", b"b@R\0"), alias("b@R", b"a@R\0"), alias("x@R", b"gone@R\0"), alias("l@R", b"l@R\0")];
    let mit = found(&lines);
    let a = carried(&mit, &line("a@R", &[], &[sealed(&key(7), 1, &key(1), "")]));
    assert_eq!(a.entry.aliases.iter().map(ToString::to_string).collect::<Vec<_>>(), ["b@R", "c@R"]);
    assert!(matches!(mit.item(&lines[1]), Ok(Item::Elsewhere)));
    let lost = mit.unclaimed();
    assert_eq!(lost.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["l@R", "x@R"]);
}

#[test]
fn what_of_a_principal_can_not_be_carried_is_told_and_the_rest_is_carried() {
    let mit = found(&[master()]);
    let keys = [
        sealed(&key(7), 2, &key(2), "5\t3\t616263\t"),
        sealed(&key(7), 1, &key(1), "4\t2\tffff\t"),
        "1\t1\t1\t10\t00112233445566778899\t".to_owned(),
        "0\t1\t".to_owned(),
    ];
    let tags: [(i32, &[u8]); 3] = [(0x100, b"pac"), (99, b"?"), (tags::STRINGS, b"k\0v\0\xff\0v\0")];
    let carried = carried(&mit, &line("a@R", &tags, &keys));
    assert_eq!(carried.entry.strings.len(), 1);
    assert!(carried.entry.keys.is_empty());
    let told = [
        "PAC logon information",
        "type 99",
        "not UTF-8",
        "AFS",
        "its salt is not UTF-8",
        "des-cbc-crc",
        "without content",
        "no key is left",
    ];
    for what in told {
        assert!(carried.lost.iter().any(|lost| lost.contains(what)), "{what}: {:?}", carried.lost);
    }
    assert_eq!(carried.lost.len(), told.len(), "{:?}", carried.lost);
}

#[test]
fn a_key_that_does_not_open_is_an_error_and_not_a_loss() {
    let mit = found(&[master()]);
    let foreign = line("a@R", &[], &[sealed(&key(9), 1, &key(1), "")]);
    let error = mit.item(&foreign).err().expect("an error");
    assert!(error.contains("does not open under version 1"), "{error}");
    let missing = line("a@R", &[(tags::MASTER_VERSION, &[5, 0])], &[sealed(&key(7), 1, &key(1), "")]);
    let error = mit.item(&missing).err().expect("an error");
    assert!(error.contains("version 5 of the master key, which K/M lacks"), "{error}");
}

#[test]
fn a_master_key_that_this_build_has_not_is_named_with_the_way_out() {
    let mut found = Found::default();
    let triple = "1\t1\t16\t10\t18001122334455667788\t".to_owned();
    found.note(&line("K/M@R", &[], &[triple]), "R").expect("sound");
    let error = found.mit(Path::new("dump"), "R", &Told::Key(key(7))).err().expect("an error").to_string();
    assert!(error.contains("des3-cbc-sha1") && error.contains("kdb5_util add_mkey"), "{error}");
}
