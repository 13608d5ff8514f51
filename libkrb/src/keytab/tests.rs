use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::codes::{EncryptionType, NameType};
use crate::error::Error;
use crate::storage::vectors::{self, check_name, hex, list, number, text};

pub(super) fn entry(name: &str, kvno: u32, timestamp: i64) -> KeytabEntry {
    KeytabEntry {
        principal: Principal::parse(name, Some("R")).expect("a name"),
        timestamp: Time(timestamp),
        kvno,
        key: RawKey::new(EncryptionType::AES128_SHA1, [7; 16]),
    }
}

fn check_entry(entry: &KeytabEntry, expected: &Value) {
    check_name(&entry.principal, expected);
    assert_eq!(entry.timestamp.seconds(), number(&expected["timestamp"]));
    assert_eq!(i64::from(entry.kvno), number(&expected["kvno"]));
    assert_eq!(i64::from(entry.key.etype.0), number(&expected["enctype"]));
    assert_eq!(*entry.key.bytes, hex(&expected["key"]));
}

#[test]
fn every_reference_keytab_reads_as_its_writer_meant_it() {
    for (vector, bytes, expected) in vectors::named("keytab.json") {
        let parsed = format::parse(&bytes).unwrap_or_else(|error| panic!("{vector}: {error}"));
        let records = list(&expected["entries"]);
        assert_eq!(parsed.records.len(), records.len(), "{vector}");
        for (record, expected) in parsed.records.iter().zip(records) {
            assert_eq!(record.at as i64, number(&expected["offset"]));
            assert_eq!(record.length as i64, number(&expected["length"]).abs());
            match &record.entry {
                Some(entry) => check_entry(entry, expected),
                None => assert_eq!(expected["hole"], Value::Bool(true)),
            }
        }
        let entries: Vec<_> = parsed.into_entries().collect();
        assert_eq!(Keytab::parse(&bytes).expect("parses").entries, entries);
    }
}

#[test]
fn a_keytab_that_mit_wrote_is_written_back_byte_for_byte() {
    for file in vectors::load("transcripts_mit.json") {
        let bytes = hex(&file["keytab_hex"]);
        let keytab = Keytab::parse(&bytes).expect("parses");
        assert!(keytab.entries.len() > 10);
        assert_eq!(*keytab.encode().expect("fits"), bytes);
    }
}

#[test]
fn what_heimdal_puts_after_the_key_version_number_is_ignored() {
    for file in vectors::load("transcripts_heimdal.json") {
        let keytab = Keytab::parse(&hex(&file["keytab_hex"])).expect("parses");
        assert!(keytab.entries.len() > 10);
        assert!(keytab.entries.iter().all(|entry| entry.kvno == 1));
    }
}

#[test]
fn malformed_keytabs_say_where_and_what() {
    for (bytes, expected) in [
        (&b""[..], "Unsupported key table format version number: the file is empty"),
        (b"\x04\x02", "Unsupported key table format version number: byte 0: expected 5, this is no keytab"),
        (b"\x05\x03", "Unsupported key table format version number: version 3, 1 and 2 can be read"),
        (b"\x05\x02\0\0", "Bad format in keytab: byte 2: expected 4 bytes of record length, 2 are left"),
        (b"\x05\x02\0\0\0\x09ab", "Bad format in keytab: byte 6: expected 9 bytes of entry, 2 are left"),
        (b"\x05\x02\x80\0\0\0", "Bad format in keytab: byte 6: expected 2147483648 bytes of hole, 0 are left"),
        (b"\x05\x02\0\0\0\x02\0\0", "Bad format in keytab: byte 6: expected 1 to 64 name components"),
        (b"\x05\x02\0\0\0\x06\0\x01\0\x02R\xe4", "Bad format in keytab: byte 11: realm is not UTF-8"),
    ] {
        assert_eq!(Keytab::parse(bytes).expect_err("malformed").to_string(), expected);
    }
    for vector in vectors::load("keytab.json").iter().flat_map(|file| list(&file["malformed"]).to_vec()) {
        assert!(Keytab::parse(&hex(&vector["hex"])).is_err(), "{}", text(&vector["name"]));
    }
}

/// Attack D6: lengths that overrun the file or their record.
#[test]
fn no_broken_keytab_makes_the_parser_panic_or_believe_a_length() {
    for (_, bytes, _) in vectors::named("keytab.json") {
        for broken in vectors::broken(&bytes) {
            if let Ok(keytab) = Keytab::parse(&broken) {
                // What was believed is no more than what was there, but for the 32-bit kvno we add.
                let written = keytab.encode().expect("fits").len();
                assert!(written <= broken.len() + 8 * keytab.entries.len());
            }
        }
    }
}

#[test]
fn a_length_inside_an_entry_does_not_reach_into_the_next() {
    let keytab = Keytab { entries: vec![entry("a", 1, 1), entry("b", 1, 1)] };
    let mut bytes = keytab.encode().expect("fits").to_vec();
    let key_length = 6 + 2 + 3 + 3 + 4 + 4 + 1 + 2;
    assert_eq!(bytes[key_length..key_length + 2], [0, 16]);
    bytes[key_length + 1] = 40;
    let error = Keytab::parse(&bytes).expect_err("overrun").to_string();
    assert_eq!(error, "Bad format in keytab: byte 27: expected 40 bytes of key, 20 are left");
}

#[test]
fn both_byte_orders_of_version_1_are_read() {
    for little in [false, true] {
        let mut bytes = vec![5, 1];
        let body = 2i32 + 3 + 7 + 4 + 1 + 2 + 6;
        bytes.extend(if little { body.to_le_bytes() } else { body.to_be_bytes() });
        let mut short = |n: u16, rest: &[u8]| {
            bytes.extend(if little { n.to_le_bytes() } else { n.to_be_bytes() });
            bytes.extend(rest);
        };
        short(2, b"");
        short(1, b"R");
        short(5, b"alice");
        short(0, b"\0\0\x03");
        short(17, b"");
        short(4, b"keys");
        let keytab = Keytab::parse(&bytes).expect("parses");
        let [entry] = &keytab.entries[..] else { panic!("one entry") };
        assert_eq!(
            (entry.principal.to_string().as_str(), entry.kvno, &**entry.key.bytes),
            ("alice@R", 3, &b"keys"[..])
        );
    }
}

#[test]
fn a_zero_length_ends_the_keytab() {
    let mut bytes = Keytab { entries: vec![entry("a", 1, 1)] }.encode().expect("fits").to_vec();
    bytes.extend(b"\0\0\0\0what was never finished");
    assert_eq!(Keytab::parse(&bytes).expect("parses").entries.len(), 1);
}

#[test]
fn what_is_too_long_for_the_file_is_refused() {
    let long = "x".repeat(70_000);
    assert!(Keytab { entries: vec![entry(&long, 1, 1)] }.encode().is_err());
}

fn found(keytab: &Keytab, kvno: Option<u32>) -> (u32, i64) {
    let name = Principal::parse("host/a", Some("R")).expect("a name");
    let entry = keytab.lookup(&name, kvno, Some(EncryptionType::AES128_SHA1)).expect("found");
    (entry.kvno, entry.timestamp.seconds())
}

#[test]
fn without_a_number_the_newest_key_is_found() {
    let keytab = |versions: &[(u32, i64)]| Keytab {
        entries: versions.iter().map(|(kvno, timestamp)| entry("host/a", *kvno, *timestamp)).collect(),
    };
    assert_eq!(found(&keytab(&[(2, 9), (5, 1), (3, 9)]), None), (5, 1));
    assert_eq!(found(&keytab(&[(255, 5), (1, 6)]), None), (1, 6), "an 8-bit number comes round");
    assert_eq!(found(&keytab(&[(1, 6), (255, 5)]), None), (1, 6), "whatever the order");
    assert_eq!(found(&keytab(&[(255, 7), (1, 6)]), None), (255, 7), "but not one that was there before");
    assert_eq!(found(&keytab(&[(200, 5), (1, 6)]), None), (200, 5));
}

#[test]
fn a_number_above_255_matches_what_old_writers_left_of_it() {
    let keytab = Keytab { entries: vec![entry("host/a", 44, 1), entry("host/a", 299, 1)] };
    assert_eq!(found(&keytab, Some(300)).0, 44);
    assert_eq!(found(&keytab, Some(299)).0, 299);
    let both = Keytab { entries: vec![entry("host/a", 44, 1), entry("host/a", 300, 1)] };
    assert_eq!(found(&both, Some(300)).0, 300, "the whole number is better");
}

#[test]
fn an_entry_of_number_zero_fits_always() {
    assert_eq!(found(&Keytab { entries: vec![entry("host/a", 0, 1)] }, Some(3)).0, 0);
}

#[test]
fn what_is_not_found_says_whether_name_or_number_is_missing() {
    let keytab = Keytab { entries: vec![entry("host/a", 3, 1)] };
    let lookup = |name: &str, kvno, etype| {
        let name = Principal::parse(name, Some("R")).expect("a name");
        keytab.lookup(&name, kvno, etype).map(|entry| entry.kvno).map_err(|error| error.to_string())
    };
    assert_eq!(lookup("host/b", None, None), Err("No key table entry found for host/b@R".to_owned()));
    assert_eq!(
        lookup("host/a", Some(4), None),
        Err("Key version number for principal in key table is incorrect".into())
    );
    assert_eq!(
        lookup("host/a", None, Some(EncryptionType::AES256_SHA1)),
        Err("No key table entry found for host/a@R".into())
    );
    assert_eq!(lookup("host/a", None, None), Ok(3));
    let wire = keytab.lookup(&entry("x", 1, 1).principal, None, None).map_err(|error: Error| error.wire_code());
    assert_eq!(wire.err(), Some(crate::ErrorCode::NOKEY));
}

prop_compose! {
    fn entries()(
        kind in any::<i32>(),
        realm in "\\PC{0,9}",
        parts in prop::collection::vec("\\PC{0,9}", 1..5),
        (timestamp, kvno, etype) in (any::<u32>(), any::<u32>(), any::<i16>()),
        key in prop::collection::vec(any::<u8>(), 0..40),
    ) -> KeytabEntry {
        KeytabEntry {
            principal: Principal::new(NameType(kind), &realm, parts).expect("a name"),
            timestamp: Time(timestamp.into()),
            kvno,
            key: RawKey::new(EncryptionType(etype.into()), key),
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_written_reads_back(entries in prop::collection::vec(entries(), 0..4)) {
        let keytab = Keytab { entries };
        let bytes = keytab.encode().expect("fits");
        let read = Keytab::parse(&bytes).expect("parses");
        prop_assert_eq!(&*read.encode().expect("fits"), &*bytes);
        prop_assert_eq!(read, keytab);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(version in 1u8..3, mut rest in prop::collection::vec(any::<u8>(), 0..200)) {
        rest.splice(0..0, [5, version]);
        let _ = Keytab::parse(&rest);
    }
}
