//! The service that changes passwords against RFC 3244, section 2, joined in memory. What it asks of
//! passwords and of whom is in `kpasswd.rs`.

use kdc::core::Attributes;
use libkrb::Error;
use libkrb::client::NewSecret;
use libkrb::codes::KpasswdCode;
use libkrb::wire::{self, ChangePasswdData, KpasswdReply, KpasswdRequest, NewPassword};
use tests::changing::{Changing, Draft, krb_error};
use tests::joined::{Asking, Credential, REALM, name};

const NEW: &str = "a brand new password";

fn number(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

fn kvno(realm: &Changing) -> u32 {
    realm.entry("alice").keys[0].kvno
}

/// An honest request of alice's.
fn request(realm: &mut Changing, ticket: &Credential) -> Vec<u8> {
    realm.request(ticket, &NewSecret { password: NEW, target: None }).1
}

/// Whether a request that was made by hand changed the password.
fn changes(realm: &mut Changing, draft: &Draft<'_>) -> bool {
    let before = kvno(realm);
    realm.realm.tick();
    let reply = realm.send(&draft.request(realm.realm.now)).reply.expect("a reply");
    KpasswdReply::decode(&reply).expect("a reply");
    kvno(realm) > before
}

#[test]
fn s2_a_request_and_its_reply_say_their_length_version_and_the_length_of_their_first_part() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let alice = name("alice");
    let request = realm.request(&ticket, &NewSecret { password: NEW, target: Some(&alice) }).1;
    assert_eq!((number(&request, 0), number(&request, 2)), (request.len(), 0xff80));
    let (exchange, request) = realm.request(&ticket, &NewSecret { password: NEW, target: None });
    assert_eq!((number(&request, 0), number(&request, 2)), (request.len(), 1), "its own as all servers know it");
    let first = number(&request, 4);
    assert_eq!((request[6], request[6 + first]), (0x6e, 0x75), "AP-REQ and KRB-PRIV");
    let reply = realm.send(&request).reply.expect("a reply");
    assert_eq!((number(&reply, 0), number(&reply, 2)), (reply.len(), 1));
    let first = number(&reply, 4);
    assert_eq!((reply[6], reply[6 + first]), (0x6f, 0x75), "AP-REP and KRB-PRIV");
    exchange.finish(realm.realm.now, &reply).expect("changed");
}

#[test]
fn s2_a_frame_that_lies_about_its_lengths_is_malformed_and_changes_nothing() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    for (at, values) in [(0, [0_u16, 6, 7, 0xffff]), (4, [0, 1, 0x7fff, 0xffff])] {
        for value in values {
            let mut bent = request(&mut realm, &ticket);
            bent[at..at + 2].copy_from_slice(&value.to_be_bytes());
            let Some(reply) = realm.send(&bent).reply else { continue };
            let code = krb_error(&reply).0;
            assert!([KpasswdCode::MALFORMED, KpasswdCode::AUTHERROR].contains(&code), "{at} {value}: {code:?}");
            assert!(reply.len() <= bent.len(), "junk is no gain for who sends it");
        }
    }
    let mut longer = request(&mut realm, &ticket);
    longer.push(0);
    assert_eq!(krb_error(&realm.send(&longer).reply.expect("an error")).0, KpasswdCode::MALFORMED);
    assert_eq!(kvno(&realm), 1);
}

#[test]
fn s2_a_version_that_nobody_knows_is_told_as_such() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    for version in [0, 2, 0xff7f, 0xff81, 0xffff] {
        let draft = Draft::new(&ticket, version, NEW.as_bytes());
        realm.realm.tick();
        let reply = realm.send(&draft.request(realm.realm.now)).reply.expect("a reply");
        if let Ok(KpasswdReply::Error(_)) = KpasswdReply::decode(&reply) {
            assert_eq!(krb_error(&reply).0, KpasswdCode::BAD_VERSION, "{version:#x}");
        }
    }
    assert_eq!(kvno(&realm), 1);
}

#[test]
fn s2_without_a_target_or_with_ones_own_name_it_is_ones_own_password() {
    let alice = name("alice");
    for target in [None, Some(&alice)] {
        let mut realm = Changing::new();
        let ticket = realm.ticket("alice");
        realm.set(&ticket, &NewSecret { password: NEW, target }).expect("changed");
        assert_eq!((kvno(&realm), realm.entry("bob").keys[0].kvno), (2, 1));
    }
}

#[test]
fn s2_fields_that_come_after_the_last_known_one_are_passed_over() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let alice = name("alice");
    let data = ChangePasswdData {
        new_password: NewPassword(NEW.as_bytes()),
        target: Some((&alice).into()),
        realm: Some(REALM),
    };
    let mut later = wire::encode(&data);
    later.extend([0xa3, 3, 2, 1, 7]);
    later[1] += 5;
    assert!(changes(&mut realm, &Draft::new(&ticket, KpasswdRequest::SET, &later)));
}

#[test]
fn s2_a_target_is_of_the_clients_realm_unless_it_says_another_and_a_realm_alone_is_none() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let alice = name("alice");
    let mut set = |target, of| {
        let data = ChangePasswdData { new_password: NewPassword(NEW.as_bytes()), target, realm: of };
        changes(&mut realm, &Draft::new(&ticket, KpasswdRequest::SET, &wire::encode(&data)))
    };
    assert!(!set(None, Some(REALM)));
    assert!(!set(Some((&alice).into()), Some("OTHER.ORG")));
    assert!(set(Some((&alice).into()), None));
}

#[test]
fn s2_version_1_has_the_password_bare_and_version_0xff80_in_a_structure() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let data = ChangePasswdData { new_password: NewPassword(NEW.as_bytes()), target: None, realm: None };
    assert!(!changes(&mut realm, &Draft::new(&ticket, KpasswdRequest::SET, NEW.as_bytes())));
    assert!(changes(&mut realm, &Draft::new(&ticket, KpasswdRequest::SET, &wire::encode(&data))));
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    assert!(changes(&mut realm, &Draft::new(&ticket, KpasswdRequest::CHANGE, NEW.as_bytes())));
}

#[test]
fn s2_the_password_of_another_is_set_by_nobody_who_may_not() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let bob = name("bob");
    let refused = realm.set(&ticket, &NewSecret { password: NEW, target: Some(&bob) });
    assert!(matches!(refused, Err(Error::PasswordRefused { code: KpasswdCode::ACCESSDENIED, .. })), "{refused:?}");
    assert_eq!(realm.entry("bob").keys[0].kvno, 1);
}

#[test]
fn s2_a_ticket_for_another_service_changes_nothing() {
    let mut realm = Changing::new();
    realm.realm.change("host/a.example.org", |entry| entry.attributes = Attributes::default());
    let asking = Asking { server: Some(name("host/a.example.org")), ..Asking::login("alice") };
    let ticket = realm.realm.login(&asking).expect("a ticket");
    let request = request(&mut realm, &ticket);
    assert_eq!(krb_error(&realm.send(&request).reply.expect("an error")).0, KpasswdCode::AUTHERROR);
    assert_eq!(kvno(&realm), 1);
}
