use serde_json::Value;

use super::*;
use crate::codes::{AuthDataType, ChecksumType, EncryptionType};
use crate::crypto::{Key, KeyUsage, PreparedChecksum};
use crate::storage::vectors::{broken, hex, list, number, outside, text};
use crate::wire::{self, AuthData, EncTicketPart, List};
use crate::{Principal, Time};

fn vectors() -> Option<Value> {
    outside("pac.json")
}

fn key(etype: EncryptionType, bytes: &[u8]) -> PreparedChecksum {
    Key::new(etype, bytes).expect("a key").prepare_checksum(KeyUsage::NON_KERB_CHECKSUM)
}

fn some_key(byte: u8) -> PreparedChecksum {
    key(EncryptionType::AES256_SHA1, &[byte; 32])
}

#[test]
fn buffers_and_signatures_are_those_of_the_vectors() {
    let Some(vectors) = vectors() else { return };
    let mut checked = 0;
    for vector in list(&vectors["vectors"]) {
        let bytes = hex(&vector["pac_hex"]);
        let pac = Pac::parse(&bytes).expect("a PAC");
        let parsed = list(&vector["parsed"]["buffers"]);
        assert_eq!(pac.buffers().count(), parsed.len());
        for (buffer, (kind, contents)) in parsed.iter().zip(pac.buffers()) {
            assert_eq!((number(&buffer["type"]), number(&buffer["size"])), (i64::from(kind.0), contents.len() as i64));
            if kind == PacType::CLIENT_INFO {
                let info = pac.client_info().expect("client info");
                assert_eq!(info.name, text(&buffer["name_utf16"]));
                assert_eq!(info.auth_time.seconds(), number(&buffer["client_id_unix"]));
            }
            if let Some(signature) = buffer.get("signature") {
                let found = pac.signature(kind).expect("a signature");
                assert_eq!((i64::from(found.kind.0), found.mac), (number(&buffer["cksumtype"]), &*hex(signature)));
            }
        }
        checked += signatures_hold(vector, &pac);
    }
    let most = if cfg!(feature = "danger-rc4") { 13 } else { 9 };
    assert!(checked >= most - 4, "{checked} signatures");
}

/// Verifies what the vector has keys for.
fn signatures_hold(vector: &Value, pac: &Pac<'_>) -> usize {
    let Some(server) = vector.get("server_key") else { return 0 };
    let etype = EncryptionType(vector["enctype"].as_i64().unwrap_or(18) as i32);
    let Ok(server) = Key::new(etype, &hex(server)) else { return 0 };
    let server = server.prepare_checksum(KeyUsage::NON_KERB_CHECKSUM);
    pac.verify_server(&server).expect("the service's signature");
    assert!(pac.verify_server(&key(EncryptionType::AES256_SHA1, &[7; 32])).is_err());
    let Some(kdc) = vector.get("kdc_key") else { return 1 };
    let kdc = key(etype, &hex(kdc));
    pac.verify_kdc(&kdc).expect("the KDC's signature");
    let Some(part) = vector.get("enc_ticket_part_der") else { return 2 };
    pac.verify_full(&kdc).expect("the full signature");
    let der = hex(part);
    let part = wire::decode::<EncTicketPart<'_>>(&der).expect("a ticket");
    let signed = signed_part(&part);
    assert_eq!(*signed, hex(&vector["ticket_checksum_input_hex"]));
    pac.verify_ticket(&kdc, &signed).expect("the ticket's signature");
    assert_eq!(find(&part).expect("one PAC").expect("a PAC"), hex(&vector["pac_hex"]));
    4
}

#[test]
fn malformed_pacs_and_delegation_infos_of_the_vectors_are_refused() {
    let Some(vectors) = vectors() else { return };
    for vector in list(&vectors["malformed"]) {
        assert!(Pac::parse(&hex(&vector["hex"])).is_err(), "{}", vector["name"]);
    }
    for vector in list(&vectors["s4u_delegation_info"]) {
        let bytes = hex(&vector["hex"]);
        let parsed = DelegationInfo::parse(&bytes);
        let Some(expected) = vector["expected"].as_object() else {
            assert!(parsed.is_err(), "{}", vector["name"]);
            continue;
        };
        let parsed = parsed.expect("delegation info");
        assert_eq!(parsed.target, text(&expected["proxy_target"]));
        assert_eq!(parsed.transited, list(&expected["transited_services"]).iter().map(text).collect::<Vec<_>>());
        assert_eq!(parsed.encode().expect("NDR"), bytes, "{}", vector["name"]);
    }
}

fn made(ticket: Option<&[u8]>) -> Vec<u8> {
    let alice = Principal::parse("alice@EXAMPLE.ORG", None).expect("a name");
    let client = ClientInfo::encode(&alice, Time(1_800_000_000)).expect("a short name");
    let way = DelegationInfo { target: "HTTP/b".into(), transited: vec!["HTTP/a@EXAMPLE.ORG".into()] };
    let way = way.encode().expect("NDR");
    let requestor = Requestor::of_account(b"sixteen octets!!");
    let attributes = Attributes::of_wish(None).encode();
    let buffers = [
        (PacType::CLIENT_INFO, &*client),
        (PacType::DELEGATION_INFO, &*way),
        (PacType::REQUESTOR, &requestor[..]),
        (PacType::ATTRIBUTES, &attributes[..]),
    ];
    sign(&buffers, Signatures { server: &some_key(1), kdc: &some_key(2), ticket }).expect("a PAC")
}

#[test]
fn what_was_made_is_read_and_verified() {
    let bytes = made(Some(b"the ticket"));
    let pac = Pac::parse(&bytes).expect("a PAC");
    pac.verify_server(&some_key(1)).expect("the service's signature");
    pac.verify_kdc(&some_key(2)).expect("the KDC's");
    pac.verify_full(&some_key(2)).expect("the full one");
    pac.verify_ticket(&some_key(2), b"the ticket").expect("the ticket's");
    assert!(pac.verify_ticket(&some_key(2), b"another ticket").is_err());
    let alice = Principal::parse("alice@EXAMPLE.ORG", None).expect("a name");
    assert_eq!(pac.client_info().expect("client info").name, "alice");
    pac.verify_client(&alice, Time(1_800_000_000)).expect("the same login");
    assert!(pac.verify_client(&alice, Time(1_800_000_001)).is_err());
    let bob = Principal::parse("bob@EXAMPLE.ORG", None).expect("a name");
    assert!(pac.verify_client(&bob, Time(1_800_000_000)).is_err());
    assert!(pac.requestor().expect("an id").expect("an id").is_account(b"sixteen octets!!"));
    assert!(!pac.requestor().expect("an id").expect("an id").is_account(b"another account!"));
    assert_eq!(pac.attributes().expect("flags"), Some(Attributes::IMPLICIT));
    assert_eq!(pac.delegation_info().expect("NDR").expect("a way").target, "HTTP/b");
}

#[test]
fn a_ticket_granting_tickets_pac_has_neither_ticket_nor_full_signature() {
    let bytes = made(None);
    let pac = Pac::parse(&bytes).expect("a PAC");
    assert!(pac.buffer(PacType::TICKET_CHECKSUM).is_none() && pac.buffer(PacType::FULL_CHECKSUM).is_none());
    pac.verify_server(&some_key(1)).expect("the service's signature");
    pac.verify_kdc(&some_key(2)).expect("the KDC's");
}

#[test]
fn every_octet_of_a_pac_is_signed_or_refused() {
    let bytes = made(Some(b"the ticket"));
    for at in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] ^= 0x55;
        let Ok(pac) = Pac::parse(&bent) else { continue };
        let all = [
            pac.verify_server(&some_key(1)),
            pac.verify_kdc(&some_key(2)),
            pac.verify_full(&some_key(2)),
            pac.verify_ticket(&some_key(2), b"the ticket"),
        ];
        assert!(all.iter().any(Result::is_err), "octet {at}");
    }
}

#[test]
fn b5_unkeyed_zeroed_and_missing_signatures_verify_with_no_key() {
    let bytes = made(Some(b"the ticket"));
    let at = |kind| Pac::parse(&bytes).expect("a PAC").row(kind).expect("a buffer").start;
    for kind in [PacType::SERVER_CHECKSUM, PacType::KDC_CHECKSUM, PacType::FULL_CHECKSUM, PacType::TICKET_CHECKSUM] {
        let verify = |bytes: &[u8]| {
            let pac = Pac::parse(bytes).expect("a PAC");
            match kind {
                PacType::SERVER_CHECKSUM => pac.verify_server(&some_key(1)),
                PacType::KDC_CHECKSUM => pac.verify_kdc(&some_key(2)),
                PacType::FULL_CHECKSUM => pac.verify_full(&some_key(2)),
                _ => pac.verify_ticket(&some_key(2), b"the ticket"),
            }
        };
        assert!(verify(&bytes).is_ok());
        for unkeyed in [ChecksumType::CRC32, ChecksumType::RSA_MD5, ChecksumType::SHA1] {
            let mut bent = bytes.clone();
            bent[at(kind)..at(kind) + 4].copy_from_slice(&unkeyed.0.to_le_bytes());
            assert_eq!(verify(&bent), Err(Error::ChecksumNotSupported(unkeyed)));
        }
        let mut of_another_key = bytes.clone();
        of_another_key[at(kind)..at(kind) + 4].copy_from_slice(&ChecksumType::HMAC_MD5.0.to_le_bytes());
        assert!(verify(&of_another_key).is_err());
        let mut zeroed = bytes.clone();
        zeroed[at(kind) + 4..at(kind) + 16].fill(0);
        assert_eq!(verify(&zeroed), Err(Error::Integrity));
        let row = (0..8).map(|row| HEAD + ROW * row).find(|row| bytes[*row..][..4] == kind.0.to_le_bytes());
        let mut missing = bytes.clone();
        missing[row.expect("a row")] = 99;
        assert_eq!(verify(&missing), Err(Error::Integrity));
    }
}

#[test]
fn b6_counts_lengths_and_offsets_that_overflow_are_refused() {
    let bytes = made(Some(b"the ticket"));
    for bent in broken(&bytes) {
        let Ok(pac) = Pac::parse(&bent) else { continue };
        let _ = (pac.client_info(), pac.delegation_info(), pac.requestor(), pac.attributes());
        let _ = (pac.verify_server(&some_key(1)), pac.verify_full(&some_key(2)));
    }
    let upon_each_other = {
        let mut bent = bytes.clone();
        let second = bent[HEAD + ROW + 8..HEAD + ROW + 16].to_vec();
        bent[HEAD + 8..HEAD + 16].copy_from_slice(&second);
        bent
    };
    assert!(Pac::parse(&upon_each_other).is_err());
    let twice = {
        let mut bent = bytes.clone();
        let first = bent[HEAD..HEAD + 4].to_vec();
        bent[HEAD + ROW..HEAD + ROW + 4].copy_from_slice(&first);
        bent
    };
    assert!(Pac::parse(&twice).is_err());
}

#[test]
fn b6_delegation_info_of_any_octets_is_read_or_refused() {
    let way = DelegationInfo { target: "HTTP/b".into(), transited: vec!["HTTP/a@X".into(), "HTTP/c@X".into()] };
    let bytes = way.encode().expect("NDR");
    assert_eq!(DelegationInfo::parse(&bytes), Ok(way));
    for bent in broken(&bytes) {
        if let Ok(read) = DelegationInfo::parse(&bent) {
            assert!(read.target.len() + read.transited.iter().map(String::len).sum::<usize>() <= bytes.len());
        }
    }
}

#[test]
fn the_placeholder_is_one_zero_in_place_of_the_pac() {
    assert_eq!(wrapped(&[0]).bytes(), placeholder());
    let wrapped = wrapped(b"a pac");
    let element = AuthData { kind: AuthDataType::IF_RELEVANT, data: wrapped.bytes() };
    assert!(holds_pac(&element));
    let nothing = wire::encode(&List::<AuthData<'_>>::Items(&[]));
    assert!(!holds_pac(&AuthData { data: &nothing, ..element }));
}

#[test]
fn names_are_shown_with_nothing_quoted() {
    let name = Principal::parse("host/a.example.org@EXAMPLE.ORG", None).expect("a name");
    assert_eq!(display_name(&name), "host/a.example.org");
    let name = Principal::parse_enterprise("alice@mail.example", Some("EXAMPLE.ORG")).expect("a name");
    assert_eq!(display_name(&name), "alice@mail.example");
}
