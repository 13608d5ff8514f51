//! Whose certificate opens which account, and what the ticket then is (RFC 4556 3.2.2, 3.2.3).

use libkrb::ErrorCode as E;
use libkrb::codes::PaType;
use libkrb::flags::TicketFlags;
use libkrb::preauth::pkinit::{Group, Purpose, Trust};
use libkrb::wire::{self, KrbError, List, TypedData};
use tests::joined::{Asking, name};

use crate::place::{exchange, file, identity, login, means, pkinit, realm, realm_with, run};

#[test]
fn a_certificate_gets_a_ticket_that_says_so() {
    let mut realm = realm();
    let outcome = login(&mut realm, "alice", "alice").expect("a ticket");
    assert_eq!(outcome.preauth, Some(PaType::PK_AS_REQ));
    let flags = outcome.credential.flags;
    assert!(flags.has(TicketFlags::INITIAL | TicketFlags::PRE_AUTHENT), "{flags:?}");
    assert!(!flags.any(TicketFlags::ANONYMOUS | TicketFlags::HW_AUTHENT), "{flags:?}");
    assert_eq!(outcome.credential.client, name("alice"));
}

#[test]
fn every_kind_of_key_and_every_group_does() {
    for (who, least) in [
        ("alice", Group::Modp2048),
        ("alice-p256", Group::P256),
        ("alice-p384", Group::P384),
        ("alice-p521", Group::P521),
        ("alice-chain", Group::Modp4096),
        ("alice-smartcard", Group::Modp2048),
    ] {
        let mut realm = realm();
        let means = libkrb::preauth::pkinit::PkinitMeans { least_group: least, ..means(Some(who)) };
        let course = run(&mut realm, exchange(&name("alice"), means), &mut |_| {});
        assert!(course.outcome.is_ok(), "{who}: {:?}", course.outcome);
    }
}

#[test]
fn a_client_takes_the_group_that_the_kdc_has() {
    let mut realm = realm_with(kdc::core::Pkinit { least_group: Group::P384, ..pkinit() });
    let course = run(&mut realm, exchange(&name("alice"), means(Some("alice"))), &mut |_| {});
    assert!(course.outcome.is_ok(), "{:?}", course.outcome);
    assert_eq!(course.refusals, [E::PREAUTH_REQUIRED, E::DH_KEY_PARAMETERS_NOT_ACCEPTED]);
}

#[test]
fn another_certificate_is_refused_with_its_code_and_the_right_one_after_it_is_not() {
    let mut realm = realm();
    for (who, code) in [
        ("bob", E::CLIENT_NAME_MISMATCH),
        ("alice-elsewhere", E::CLIENT_NAME_MISMATCH),
        ("alice-nameless", E::CLIENT_NAME_MISMATCH),
        ("alice-upn", E::CLIENT_NAME_MISMATCH),
        ("alice-expired", E::INVALID_CERTIFICATE),
        ("alice-future", E::INVALID_CERTIFICATE),
        ("alice-other-ca", E::INVALID_CERTIFICATE),
        ("alice-unknown-ca", E::CANT_VERIFY_CERTIFICATE),
        ("alice-chainless", E::CANT_VERIFY_CERTIFICATE),
        ("alice-revoked", E::REVOKED_CERTIFICATE),
        ("alice-tls", E::INCONSISTENT_KEY_PURPOSE),
        ("alice-no-purpose", E::INCONSISTENT_KEY_PURPOSE),
        ("alice-encipher", E::INCONSISTENT_KEY_PURPOSE),
        ("alice-sha1", E::DIGEST_IN_CERT_NOT_ACCEPTED),
        ("kdc", E::INCONSISTENT_KEY_PURPOSE),
    ] {
        assert_eq!(login(&mut realm, "alice", who).expect_err(who), code, "{who}");
    }
    login(&mut realm, "alice", "alice").expect("not locked out");
}

#[test]
fn a_refusal_says_whom_the_realm_believes_or_which_certificate_is_no_good() {
    let mut realm = realm();
    for (who, kind) in [("alice-unknown-ca", 104), ("alice-expired", 105), ("alice-revoked", 105), ("alice-sha1", 112)]
    {
        let mut told = None;
        run(&mut realm, exchange(&name("alice"), means(Some(who))), &mut |reply| {
            let error: KrbError<'_> = wire::decode(reply).expect("a refusal");
            let data: Option<List<'_, TypedData<'_>>> = error.data.and_then(|data| wire::decode(data).ok());
            let first = data.and_then(|data| data.iter().next());
            told = first.map(|first| (first.kind, first.value.is_some_and(|value| !value.is_empty())));
        });
        assert_eq!(told, Some((kind, true)), "{who}");
    }
}

#[test]
fn what_the_realm_wrote_beside_a_principal_comes_before_the_names_in_a_certificate() {
    let mut realm = realm();
    let set = |realm: &mut tests::joined::Joined, key: &str, value: &str| {
        realm.change("alice", |entry| {
            entry.strings.clear();
            entry.strings.insert(key.to_owned(), value.to_owned());
        });
    };
    let fingerprint = |who: &str| {
        let identity = identity(who);
        let digest = libkrb::preauth::pkinit::sha256(identity.certificate().expect("one").der);
        digest.iter().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join(":")
    };
    set(&mut realm, "pkinit_cert", &format!("sha256:{}, key-sha256:00", fingerprint("bob")));
    assert!(login(&mut realm, "alice", "bob").is_ok());
    assert_eq!(login(&mut realm, "alice", "alice").expect_err("not listed"), E::CLIENT_NAME_MISMATCH);
    set(&mut realm, "pkinit_cert_match", "<SUBJECT>CN=alice-nameless,<EKU>pkinit");
    assert!(login(&mut realm, "alice", "alice-nameless").is_ok());
    assert_eq!(login(&mut realm, "alice", "alice").expect_err("no match"), E::CLIENT_NAME_MISMATCH);
    set(&mut realm, "pkinit_cert_match", "<SUBJECT>(");
    assert_eq!(login(&mut realm, "alice", "alice").expect_err("no rule"), E::CLIENT_NAME_MISMATCH);
}

#[test]
fn names_of_windows_and_of_a_service_mesh_count_where_the_settings_say_so() {
    let mut realm = realm_with(kdc::core::Pkinit {
        allow_upn: true,
        purposes: vec![Purpose::ClientAuth, Purpose::SmartcardLogon],
        ..pkinit()
    });
    assert!(login(&mut realm, "alice", "alice-upn").is_ok());
    assert_eq!(login(&mut realm, "bob", "alice-upn").expect_err("another"), E::CLIENT_NAME_MISMATCH);
    let ticket = login(&mut realm, "orders/shop", "svid").expect("a ticket");
    assert_eq!(ticket.credential.client, name("orders/shop"));
    assert_eq!(login(&mut realm, "alice", "svid").expect_err("another"), E::CLIENT_NAME_MISMATCH);
}

#[test]
fn no_ticket_outlives_the_certificate() {
    let mut realm = realm();
    let ends = identity("alice-soon").not_after();
    let tgt = login(&mut realm, "alice", "alice-soon").expect("a ticket").credential;
    assert_eq!(tgt.end_time, ends);
    assert!(tgt.renew_till <= ends);
    realm.wait(7200);
    assert_eq!(login(&mut realm, "alice", "alice-soon").expect_err("expired"), E::INVALID_CERTIFICATE);
}

#[test]
fn a_client_without_any_key_can_log_in_and_a_password_still_opens_what_it_opened() {
    let mut realm = realm();
    realm.change("bob", |entry| entry.keys.clear());
    login(&mut realm, "bob", "bob").expect("a ticket");
    realm.login(&Asking::login("alice")).expect("a ticket by password");
}

#[test]
fn a_locked_or_expired_account_is_that_with_a_certificate_too() {
    let mut realm = realm();
    realm.change("alice", |entry| {
        entry.attributes = entry.attributes.with(kdc::core::Attributes::DISALLOW_ALL_TIX, true);
    });
    assert_eq!(login(&mut realm, "alice", "alice").expect_err("locked"), E::CLIENT_REVOKED);
    realm.policy.hide_unknown_clients = true;
    assert_eq!(login(&mut realm, "alice", "alice").expect_err("locked"), E::CLIENT_REVOKED);
    assert_eq!(login(&mut realm, "alice", "bob").expect_err("another"), E::CLIENT_NAME_MISMATCH);
    assert_eq!(login(&mut realm, "nobody", "bob").expect_err("unknown"), E::CLIENT_NAME_MISMATCH);
}

#[test]
fn without_a_current_list_of_what_was_revoked_a_strict_realm_believes_nobody() {
    let stale = Trust::from_pem(&file("ca.crt"), b"", &file("ca-old.crl")).expect("an authority");
    let none = Trust::from_pem(&file("ca.crt"), b"", b"").expect("an authority").requiring_revocation(true);
    for trust in [stale, none] {
        let mut realm = realm_with(kdc::core::Pkinit { trust, ..pkinit() });
        assert_eq!(login(&mut realm, "alice", "alice").expect_err("unknown"), E::REVOCATION_STATUS_UNKNOWN);
    }
}

#[test]
fn a_client_that_can_not_be_shown_a_certificate_of_the_realm_gets_no_ticket() {
    for kdc in ["kdc-of-other-realm", "kdc-by-host", "alice"] {
        let mut realm = realm_with(kdc::core::Pkinit { identity: identity(kdc), ..pkinit() });
        assert_eq!(login(&mut realm, "alice", "alice").expect_err(kdc), E::KDC_NOT_TRUSTED, "{kdc}");
    }
}
