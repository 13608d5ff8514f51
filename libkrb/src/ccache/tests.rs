use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::codes::{AddressType, AuthDataType, EncryptionType, NameType};
use crate::flags::TicketFlags;
use crate::storage::vectors::{self, check_name, hex, list, number, text};

fn name(text: &str) -> Principal {
    Principal::parse(text, Some("R")).expect("a name")
}

pub(super) fn ticket(server: &str, end_time: i64) -> Credential {
    Credential {
        key: RawKey::new(EncryptionType::AES256_SHA1, [7; 32]),
        auth_time: Time(1),
        end_time: Time(end_time),
        ..Credential::config(&name("alice"), "", None, b"ticket")
    }
    .for_server(name(server))
}

impl Credential {
    fn for_server(mut self, server: Principal) -> Self {
        self.server = server;
        self
    }
}

fn check_credential(credential: &Credential, expected: &Value) {
    check_name(&credential.client, &expected["client"]);
    check_name(&credential.server, &expected["server"]);
    assert_eq!(i64::from(credential.key.etype.0), number(&expected["key"]["enctype"]));
    assert_eq!(*credential.key.bytes, hex(&expected["key"]["value"]));
    assert_eq!(credential.auth_time.seconds(), number(&expected["authtime"]));
    assert_eq!(credential.start_time.seconds(), number(&expected["starttime"]));
    assert_eq!(credential.end_time.seconds(), number(&expected["endtime"]));
    assert_eq!(credential.renew_till.seconds(), number(&expected["renew_till"]));
    assert_eq!(i64::from(credential.is_skey), number(&expected["is_skey"]));
    assert_eq!(format!("{:#010x}", credential.flags.0), text(&expected["ticket_flags"]));
    let addresses: Vec<(i64, Vec<u8>)> =
        credential.addresses.iter().map(|a| (a.kind.0.into(), a.bytes.clone())).collect();
    let authdata: Vec<(i64, Vec<u8>)> =
        credential.authdata.iter().map(|a| (a.kind.0.into(), a.bytes.clone())).collect();
    let pairs =
        |value: &Value| list(value).iter().map(|pair| (number(&pair["type"]), hex(&pair["value"]))).collect::<Vec<_>>();
    assert_eq!(addresses, pairs(&expected["addresses"]));
    assert_eq!(authdata, pairs(&expected["authdata"]));
    assert_eq!(credential.ticket, hex(&expected["ticket"]));
    assert_eq!(credential.second_ticket, hex(&expected["second_ticket"]));
    let entry = &expected["config_entry"];
    assert_eq!(credential.is_config(), entry.is_object());
    assert_eq!(credential.config_key(), entry["key"].as_str());
    assert_eq!(credential.config_principal(), entry["principal"].as_str());
}

#[test]
fn every_reference_cache_reads_as_its_writer_meant_it() {
    for (vector, bytes, expected) in vectors::named("ccache.json") {
        let cache = Ccache::parse(&bytes).unwrap_or_else(|error| panic!("{vector}: {error}"));
        check_name(&cache.principal, &expected["default_principal"]);
        let offset = expected["header_fields"][0]["kdc_offset_sec"].as_i64();
        assert_eq!(cache.kdc_offset.map(|(seconds, _)| i64::from(seconds)), offset, "{vector}");
        assert_eq!(cache.credentials.len(), list(&expected["credentials"]).len(), "{vector}");
        for (credential, expected) in cache.credentials.iter().zip(list(&expected["credentials"])) {
            check_credential(credential, expected);
        }
    }
}

#[test]
fn a_version_4_cache_is_written_back_byte_for_byte() {
    let mut caches: Vec<Vec<u8>> = vectors::named("ccache.json").into_iter().map(|(_, bytes, _)| bytes).collect();
    caches.extend(recorded().into_iter().map(|(bytes, _)| bytes));
    for bytes in caches.iter().filter(|bytes| bytes[1] == 4) {
        assert_eq!(*Ccache::parse(bytes).expect("parses").encode(), *bytes);
    }
}

/// The caches that MIT's and Heimdal's programs left behind, and what is in them.
fn recorded() -> Vec<(Vec<u8>, Vec<String>)> {
    let files = ["transcripts_mit.json", "transcripts_heimdal.json"].into_iter().flat_map(vectors::load);
    let runs = files.flat_map(|file| list(&file["runs"]).to_vec()).filter(|run| run["ccache_after"].is_string());
    runs.map(|run| (hex(&run["ccache_after"]), list(&run["ccache_summary"]).iter().map(text).collect())).collect()
}

#[test]
fn every_recorded_cache_holds_what_was_recorded() {
    assert!(recorded().len() > 40);
    for (bytes, summary) in recorded() {
        let cache = Ccache::parse(&bytes).expect("parses");
        let seen: Vec<String> = cache
            .credentials
            .iter()
            .map(|credential| match credential.config_key() {
                Some(key) => format!("config:{key}"),
                None => credential.server.without_realm().to_string(),
            })
            .collect();
        assert_eq!(seen, summary);
        assert!(cache.tgt(Time(1_795_298_400)).is_some(), "a kinit leaves a ticket-granting ticket");
    }
}

/// Attack D6: lengths that overrun the file.
#[test]
fn no_broken_cache_makes_the_parser_panic_or_believe_a_length() {
    for (_, bytes, _) in vectors::named("ccache.json") {
        for broken in vectors::broken(&bytes) {
            if let Ok(cache) = Ccache::parse(&broken) {
                // What was believed is no more than what was there.
                assert!(cache.encode().len() <= broken.len() + 64 * (cache.credentials.len() + 1));
            }
        }
    }
    for (bytes, _) in recorded() {
        for length in 0..bytes.len() {
            let _ = Ccache::parse(&bytes[..length]);
        }
    }
}

#[test]
fn both_byte_orders_of_the_old_versions_are_read() {
    for (version, little) in [(1, false), (1, true), (2, false), (2, true)] {
        let mut bytes = vec![5, version];
        let mut number = |n: u32| bytes.extend(if little { n.to_le_bytes() } else { n.to_be_bytes() });
        if version == 2 {
            number(1);
        }
        number(if version == 1 { 2 } else { 1 });
        number(1);
        bytes.push(b'R');
        bytes.extend(if little { 5u32.to_le_bytes() } else { 5u32.to_be_bytes() });
        bytes.extend(b"alice");
        assert_eq!(Ccache::parse(&bytes).expect("parses").principal, name("alice"));
    }
}

#[test]
fn unknown_header_fields_are_skipped() {
    let whole = [
        &[5, 4, 0, 18, 0, 9, 0, 2, 1, 2, 0, 1, 0, 8][..],
        &[0, 0, 0, 5, 0, 0, 0, 6],
        &Ccache::new(name("alice")).encode()[4..],
    ];
    let cache = Ccache::parse(&whole.concat()).expect("parses");
    assert_eq!((cache.kdc_offset, cache.principal), (Some((5, 6)), name("alice")));
}

#[test]
fn faults_say_where_and_what() {
    let whole = Ccache { credentials: vec![ticket("host/a", 9)], ..Ccache::new(name("alice")) }.encode();
    for (bytes, expected) in [
        (&b""[..], "Bad format in credentials cache: byte 0: expected 2 bytes of format version, 0 are left"),
        (b"\x05\x09", "Unsupported credentials cache format version number: version 9, 1 to 4 can be read"),
        (
            b"\x04\x04",
            "Unsupported credentials cache format version number: byte 0: expected 5, this is no credential cache",
        ),
        (
            b"\x05\x04\0\0\0\0\0\x01\0\0\x01\0",
            "Bad format in credentials cache: byte 8: expected 0 to 64 name components",
        ),
        (
            b"\x05\x04\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x02R\xe4\0\0\0\0",
            "Bad format in credentials cache: byte 17: realm is not UTF-8",
        ),
        (
            &whole[..whole.len() - 5],
            "Bad format in credentials cache: byte 145: expected 6 bytes of ticket, 5 are left",
        ),
    ] {
        assert_eq!(Ccache::parse(bytes).expect_err("faulty").to_string(), expected);
    }
}

#[test]
fn removed_entries_are_not_seen() {
    let kept = ticket("host/kept", 9);
    let config = Credential::config(&name("alice"), "fast_avail", None, b"yes");
    let removed = [ticket("host/gone", 9).removed(), config.clone().removed()];
    assert!(removed.iter().all(Credential::is_removed) && !config.is_removed());
    let credentials = removed.into_iter().chain([kept.clone(), config.clone()]).collect();
    let bytes = Ccache { credentials, ..Ccache::new(name("alice")) }.encode();
    assert_eq!(Ccache::parse(&bytes).expect("parses").credentials, [kept, config]);
}

#[test]
fn a_removal_keeps_the_length_and_no_secret() {
    for credential in [ticket("host/a", 9), Credential::config(&name("alice"), "pa_type", Some(&name("bob")), b"2")] {
        let before = format::encode_credential(&credential);
        let after = format::encode_credential(&credential.clone().removed());
        assert_eq!(before.len(), after.len());
        assert!(!after.windows(6).any(|window| window == b"ticket" || window == [7; 6]));
    }
}

#[test]
fn the_ticket_found_is_the_one_that_lasts_longest() {
    let mut of_session = ticket("host/a", 30);
    of_session.is_skey = true;
    let mut cache = Ccache::new(name("alice"));
    cache.credentials = vec![ticket("host/a", 10), ticket("host/a", 20), ticket("host/a", 15), of_session];
    assert_eq!(cache.find(&name("host/a"), Time(9)).map(|found| found.end_time), Some(Time(20)));
    assert_eq!(cache.find(&name("host/a"), Time(20)), None);
    assert_eq!(cache.find(&name("host/b"), Time(0)), None);
}

#[test]
fn the_ticket_granting_ticket_is_that_of_the_start_realm() {
    let mut cache = Ccache::new(name("alice@R"));
    cache.credentials = vec![ticket("krbtgt/R@R", 10), ticket("krbtgt/S@S", 10), ticket("krbtgt/S@R", 10)];
    assert_eq!(cache.tgt(Time(0)).map(|found| found.server.to_string()).as_deref(), Some("krbtgt/R@R"));
    cache.set_config("start_realm", None, b"S");
    assert_eq!(cache.tgt(Time(0)).map(|found| found.server.to_string()).as_deref(), Some("krbtgt/S@S"));
}

#[test]
fn configuration_is_set_once_and_looked_up_by_key_and_principal() {
    let mut cache = Ccache::new(name("alice"));
    let tgs = name("krbtgt/R");
    cache.set_config("pa_type", Some(&tgs), b"2");
    cache.set_config("pa_type", Some(&tgs), b"151");
    cache.set_config("fast_avail", None, b"yes");
    assert_eq!(cache.credentials.len(), 2);
    assert_eq!(cache.config("pa_type", Some(&tgs)), Some(&b"151"[..]));
    assert_eq!(cache.config("pa_type", None), None);
    assert_eq!(cache.config("pa_type", Some(&name("krbtgt/S"))), None);
    assert_eq!(cache.config("fast_avail", Some(&tgs)), Some(&b"yes"[..]));
    assert_eq!(cache.tickets().count(), 0);
}

#[test]
fn keys_of_foreign_encryption_types_survive() {
    let mut foreign = ticket("host/a", 9);
    foreign.key = RawKey::new(EncryptionType(-7777), [1, 2, 3]);
    let cache = Ccache { credentials: vec![foreign], ..Ccache::new(name("alice")) };
    assert_eq!(Ccache::parse(&cache.encode()).expect("parses"), cache);
}

fn names() -> impl Strategy<Value = Principal> {
    (any::<i32>(), "\\PC{0,9}", prop::collection::vec("\\PC{0,9}", 1..5))
        .prop_map(|(kind, realm, parts)| Principal::new(NameType(kind), &realm, parts).expect("a name"))
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

prop_compose! {
    fn credentials()(
        (client, server) in (names(), names()),
        (etype, key) in (any::<i16>(), bytes()),
        (auth, start, end, renew) in (any::<u32>(), any::<u32>(), 1..u32::MAX, any::<u32>()),
        (is_skey, flags) in (any::<bool>(), any::<u32>()),
        addresses in prop::collection::vec((any::<u16>(), bytes()), 0..3),
        authdata in prop::collection::vec((any::<i16>(), bytes()), 0..3),
        (ticket, second_ticket) in (bytes(), bytes()),
    ) -> Credential {
        let time = |seconds: u32| Time(seconds.into());
        Credential {
            client,
            server,
            key: RawKey::new(EncryptionType(etype.into()), key),
            auth_time: time(auth),
            start_time: time(start),
            end_time: time(end),
            renew_till: time(renew),
            is_skey,
            flags: TicketFlags(flags),
            addresses: addresses.into_iter().map(|(kind, bytes)| Address { kind: AddressType(kind.into()), bytes }).collect(),
            authdata: authdata.into_iter().map(|(kind, bytes)| AuthData { kind: AuthDataType(kind.into()), bytes }).collect(),
            ticket,
            second_ticket,
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_written_reads_back(
        principal in names(),
        kdc_offset in any::<Option<(i32, i32)>>(),
        credentials in prop::collection::vec(credentials(), 0..4),
    ) {
        let cache = Ccache { principal, kdc_offset, credentials };
        let bytes = cache.encode();
        let read = Ccache::parse(&bytes).expect("parses");
        prop_assert_eq!(&*read.encode(), &*bytes);
        prop_assert_eq!(read.principal.kind(), cache.principal.kind());
        prop_assert_eq!(read, cache);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(version in 1u8..5, mut rest in prop::collection::vec(any::<u8>(), 0..200)) {
        rest.splice(0..0, [5, version]);
        let _ = Ccache::parse(&rest);
    }
}
