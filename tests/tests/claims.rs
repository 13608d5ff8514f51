//! What a KDC vouches for in tickets: indicators (RFC 8129) and roles within AD-CAMMAC (RFC 7751). KDC,
//! client and service joined in memory.

use std::sync::Arc;

use kdc::core::Attributes;
use libkrb::authz::{cammac, indicators, roles};
use libkrb::ccache;
use libkrb::client::{ApExchange, ApRequest};
use libkrb::codes::{AuthDataType, EncryptionType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::KdcOptions as O;
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Accepted, Acceptor, Options};
use libkrb::wire::{self, AuthData, List};
use libkrb::{ErrorCode, Principal};
use tests::joined::{Asking, Credential, Joined, NOW, REALM, Sequence, besides_pac, name};

const HOST: &str = "host/a.example.org";
const OTHER: &str = "host/b.example.org";
const TGS: &str = "krbtgt/EXAMPLE.ORG";

/// A realm whose tickets say "pw" of a login with an encrypted timestamp.
fn realm() -> Joined {
    let mut realm = Joined::new();
    realm.policy.indicators.of_proof.insert("encrypted-timestamp".into(), vec!["pw".into()]);
    realm
}

fn login(realm: &mut Joined) -> Credential {
    realm.login(&Asking::login("alice").with(O::RENEWABLE | O::FORWARDABLE)).expect("a TGT")
}

fn set(realm: &Joined, who: &str, key: &str, value: &str) {
    realm.change(who, |entry| drop(entry.strings.insert(key.into(), value.into())));
}

/// What the service reads in a ticket.
fn accepted(realm: &mut Joined, ticket: &Credential) -> Accepted {
    let service = ticket.server.to_string();
    let replay = Arc::new(MemoryReplayCache::new(300, 10));
    let acceptor = Acceptor::new(&realm.keytab(&[&service]), Options::default(), replay).expect("a keytab");
    accepted_by(realm, &acceptor, &ticket.cached())
}

fn accepted_by(realm: &mut Joined, acceptor: &Acceptor, ticket: &ccache::Credential) -> Accepted {
    realm.tick();
    let request = ApRequest::default();
    let (_, bytes) = ApExchange::new(ticket, &request, realm.now, &mut Sequence(5)).expect("an AP-REQ");
    acceptor.accept(realm.now, &mut Sequence(6), &bytes, None).expect("an honest client")
}

fn service(realm: &mut Joined, tgt: &Credential, service: &str) -> Accepted {
    let ticket = realm.tgs(tgt, &Asking::service(service)).expect("a ticket");
    accepted(realm, &ticket)
}

#[test]
fn s8129_how_the_client_proved_itself_reaches_the_service() {
    let mut realm = realm();
    let tgt = login(&mut realm);
    let seen = service(&mut realm, &tgt, HOST);
    assert_eq!((seen.indicators(), seen.roles()), (&["pw".to_owned()][..], &[][..]));
    let direct = realm.login(&Asking { server: Some(name(HOST)), ..Asking::login("alice") }).expect("a ticket");
    assert_eq!(accepted(&mut realm, &direct).indicators(), ["pw"], "also straight from the AS");
    let mut plain = Joined::new();
    let tgt = login(&mut plain);
    let ticket = plain.tgs(&tgt, &Asking::service(HOST)).expect("a ticket");
    plain.open(&ticket.ticket, |part| assert!(besides_pac(part).is_empty(), "nothing to say takes no room"));
}

#[test]
fn s7751_a_renewed_a_forwarded_and_a_user_to_user_ticket_still_say_it() {
    let mut realm = realm();
    let tgt = login(&mut realm);
    for options in [O::RENEW, O::FORWARDED] {
        let again = realm.tgs(&tgt, &Asking::login("alice").with(options)).expect("a TGT");
        assert_eq!(service(&mut realm, &again, HOST).indicators(), ["pw"], "{options}");
    }
    let bob = realm.login(&Asking::login("bob")).expect("bob's TGT");
    let asking = Asking { additional: vec![bob.ticket.clone()], ..Asking::service("bob") };
    let ticket = realm.tgs(&tgt, &asking.with(O::ENC_TKT_IN_SKEY)).expect("a ticket");
    let replay = Arc::new(MemoryReplayCache::new(300, 10));
    let keys = Acceptor::user_to_user(name("bob"), &bob.key, Options::default(), replay);
    let ticket = ccache::Credential { is_skey: true, ..ticket.cached() };
    assert_eq!(accepted_by(&mut realm, &keys, &ticket).indicators(), ["pw"]);
}

#[test]
fn s7751_the_verifier_says_with_which_of_the_realms_keys_it_was_made() {
    let mut realm = realm();
    let tgt = login(&mut realm);
    realm.announce(TGS, 0, 3600);
    realm.wait(1);
    let seen = service(&mut realm, &tgt, HOST);
    assert_eq!(seen.indicators(), ["pw"], "an old ticket-granting ticket, verified with the old key");
    let old = realm.tgs(&tgt, &Asking::service(HOST)).expect("a ticket");
    realm.open(&old.ticket, |part| {
        let container = cammac::find(part.authorization_data.as_ref())[0];
        assert_eq!(container.kdc_verifier.expect("for the KDC").kvno, Some(2), "signed anew with the new one");
        assert!(container.service_verifier.is_some());
    });
}

/// AD-IF-RELEVANT around AD-CAMMAC, sealed with a service's key for both verifiers.
fn forged(realm: &mut Joined, ticket: &Credential, key: &Key) -> (AuthDataType, Vec<u8>) {
    let said = indicators::encode(&["otp".to_owned()]);
    let role = roles::encode(&["admin".to_owned()]);
    let elements = [
        AuthData { kind: AuthDataType::AUTH_INDICATOR, data: &said },
        AuthData { kind: AuthDataType::ROLES, data: &role },
    ];
    let signer = cammac::Signer { key: &key.prepare_checksum(KeyUsage::CAMMAC), kvno: Some(1) };
    realm.open(&ticket.ticket, |part| cammac::seal(&elements, &part.fields(), signer, Some(signer)))
}

#[test]
fn b18_a_service_that_forges_a_cammac_gets_nothing_out_of_the_kdc() {
    let mut realm = realm();
    let tgt = login(&mut realm);
    let ticket = realm.tgs(&tgt, &Asking::service(HOST).with(O::RENEWABLE)).expect("a ticket");
    let key = realm.key(HOST, EncryptionType::AES256_SHA1);
    let (kind, data) = forged(&mut realm, &ticket, &key);
    let elements = [AuthData { kind, data: &data }];
    let forged = realm.forge(&ticket, HOST, |part| part.authorization_data = Some(List::Items(&elements)));
    let seen = accepted(&mut realm, &forged);
    assert_eq!((seen.indicators(), seen.roles()), (&["otp".into()][..], &["admin".into()][..]), "it may fool itself");
    let renewed = realm.tgs(&forged, &Asking::service(HOST).with(O::RENEW)).expect("a renewed ticket");
    let seen = accepted(&mut realm, &renewed);
    assert_eq!((seen.indicators(), seen.roles()), (&[][..], &[][..]), "the KDC believes its own checksum alone");
    realm.open(&renewed.ticket, |part| assert!(besides_pac(part).is_empty(), "and passes nothing on"));
    // The KDC's own container, moved into a ticket with other flags.
    let own = realm.open(&ticket.ticket, besides_pac);
    let own: Vec<_> = own.iter().map(|(kind, data)| AuthData { kind: *kind, data }).collect();
    let moved = realm.forge(&ticket, HOST, |part| {
        part.flags |= libkrb::flags::TicketFlags::HW_AUTHENT;
        part.authorization_data = Some(List::Items(&own));
    });
    let renewed = realm.tgs(&moved, &Asking::service(HOST).with(O::RENEW)).expect("a renewed ticket");
    assert_eq!(accepted(&mut realm, &renewed).indicators(), [""; 0], "bound to the ticket it was made for");
}

#[test]
fn b18_what_a_client_adds_is_no_indicator_and_no_role() {
    let mut realm = Joined::new();
    let tgt = login(&mut realm);
    let host = realm.tgs(&tgt, &Asking::service(HOST)).expect("a ticket");
    let (_, container) = forged(&mut realm, &host, &tgt.key);
    let inner = wire::decode::<wire::AuthorizationData<'_>>(&container).expect("AD-IF-RELEVANT");
    let bare = inner.iter().next().expect("AD-CAMMAC").data.to_vec();
    let said = indicators::encode(&["otp".to_owned()]);
    let elements = [
        (AuthDataType::IF_RELEVANT, container.clone()),
        (AuthDataType::CAMMAC, bare),
        (AuthDataType::AUTH_INDICATOR, said.clone()),
        (AuthDataType::ROLES, said.clone()),
        (AuthDataType::IF_RELEVANT, wire::encode(&List::Items(&[AuthData { kind: AuthDataType::ROLES, data: &said }]))),
    ];
    set(&realm, OTHER, "require_auth", "otp");
    let asking = |service| Asking { authorization_data: Some(elements.to_vec()), ..Asking::service(service) };
    let ticket = realm.tgs(&tgt, &asking(HOST)).expect("a ticket");
    realm.open(&ticket.ticket, |part| assert!(besides_pac(part).is_empty(), "dropped by the KDC"));
    assert_eq!(realm.tgs(&tgt, &asking(OTHER)).expect_err("no proof"), ErrorCode::POLICY);
    // One that a KDC has let through all the same is nothing to the service.
    let bare = wire::encode(&List::Items(&[AuthData { kind: AuthDataType::AUTH_INDICATOR, data: &said }]));
    let relevant = |data| AuthData { kind: AuthDataType::IF_RELEVANT, data };
    let elements = [relevant(&container), relevant(&bare)];
    let passed = realm.forge(&host, HOST, |part| part.authorization_data = Some(List::Items(&elements)));
    let seen = accepted(&mut realm, &passed);
    assert_eq!((seen.indicators(), seen.roles()), (&[][..], &[][..]));
}

#[test]
fn a_server_that_asks_for_a_proof_gets_clients_with_one_of_them_alone() {
    let mut realm = realm();
    let tgt = login(&mut realm);
    set(&realm, HOST, "require_auth", "otp pkinit");
    let direct = Asking { server: Some(name(HOST)), ..Asking::login("alice") };
    assert_eq!(realm.tgs(&tgt, &Asking::service(HOST)).expect_err("another proof"), ErrorCode::POLICY);
    assert_eq!(realm.login(&direct).expect_err("another proof"), ErrorCode::POLICY);
    set(&realm, HOST, "require_auth", "otp pw");
    assert!(realm.tgs(&tgt, &Asking::service(HOST)).is_ok(), "any one is enough");
    assert!(realm.login(&direct).is_ok());
    set(&realm, TGS, "require_auth", "otp");
    assert_eq!(realm.login(&Asking::login("alice")).expect_err("another proof"), ErrorCode::POLICY, "logins too");
}

#[test]
fn an_indicator_bounds_the_life_of_tickets() {
    let mut realm = realm();
    realm.policy.indicators.max_life.insert("pw".into(), 600);
    realm.policy.indicators.max_life.insert("otp".into(), 60);
    let tgt = login(&mut realm);
    assert_eq!(tgt.end_time, tgt.start_time + 600);
    realm.policy.indicators.max_life.insert("pw".into(), 300);
    let ticket = realm.tgs(&tgt, &Asking::service(HOST)).expect("a ticket");
    assert_eq!(ticket.end_time, ticket.start_time + 300);
}

#[test]
fn a_service_sees_the_roles_that_are_released_to_it_and_no_others() {
    let mut realm = Joined::new();
    set(&realm, "alice", "role:host/a.example.org", "seller, buyer");
    set(&realm, "alice", "role:host/b.*@EXAMPLE.ORG", "admin");
    set(&realm, "alice", "role:HTTP/*", "other");
    let tgt = login(&mut realm);
    assert_eq!(service(&mut realm, &tgt, HOST).roles(), ["buyer", "seller"]);
    assert_eq!(service(&mut realm, &tgt, OTHER).roles(), ["admin"]);
    let bob = realm.login(&Asking::login("bob")).expect("a TGT");
    let ticket = realm.tgs(&bob, &Asking { client: name("bob"), ..Asking::service(HOST) }).expect("a ticket");
    assert_eq!(accepted(&mut realm, &ticket).roles(), [""; 0]);
    realm.change(HOST, |entry| entry.attributes = Attributes::NO_AUTH_DATA_REQUIRED);
    assert_eq!(service(&mut realm, &tgt, HOST).roles(), [""; 0], "where no authorization data is wanted");
}

#[test]
fn a_role_that_is_given_or_taken_counts_from_the_next_ticket_on() {
    let mut realm = Joined::new();
    let tgt = login(&mut realm);
    assert_eq!(service(&mut realm, &tgt, HOST).roles(), [""; 0]);
    set(&realm, "alice", "role:host/*", "seller");
    assert_eq!(service(&mut realm, &tgt, HOST).roles(), ["seller"], "without another login");
    let ticket = realm.tgs(&tgt, &Asking::service(HOST).with(O::RENEWABLE)).expect("a ticket");
    realm.change("alice", |entry| entry.strings.clear());
    let renewed = realm.tgs(&ticket, &Asking::service(HOST).with(O::RENEW)).expect("a renewed ticket");
    assert_eq!(accepted(&mut realm, &renewed).roles(), [""; 0], "a renewal asks again");
}

#[test]
fn members_of_a_group_have_its_roles_while_it_is_open() {
    let mut realm = Joined::new();
    realm.add(name("group/sellers"), |entry| {
        entry.keys.clear();
        entry.strings.insert("role:host/a.*".into(), "seller".into());
        entry.strings.insert("memberof".into(), "owners".into());
    });
    realm.add(name("group/owners"), |entry| drop(entry.strings.insert("role:host/*".into(), "owner".into())));
    set(&realm, "alice", "memberof", "sellers nobody");
    set(&realm, "alice", "role:host/*", "own");
    let tgt = login(&mut realm);
    assert_eq!(service(&mut realm, &tgt, HOST).roles(), ["own", "seller"], "groups of groups are none of hers");
    assert_eq!(service(&mut realm, &tgt, OTHER).roles(), ["own"]);
    realm.change("group/sellers", |entry| entry.expires = Some(NOW));
    assert_eq!(service(&mut realm, &tgt, HOST).roles(), ["own"]);
    realm.change("group/sellers", |entry| {
        entry.expires = None;
        entry.attributes = Attributes::DISALLOW_ALL_TIX;
    });
    assert_eq!(service(&mut realm, &tgt, HOST).roles(), ["own"]);
}

#[test]
fn roles_never_stand_in_a_ticket_granting_ticket_and_are_bounded() {
    let mut realm = Joined::new();
    set(&realm, "alice", "role:*/*", "everything");
    let many: Vec<_> = (0..100).map(|number| format!("role{number:02}")).collect();
    set(&realm, "alice", "role:host/a.*", &many.join(","));
    let tgt = login(&mut realm);
    realm.open(&tgt.ticket, |part| assert!(besides_pac(part).is_empty()));
    assert_eq!(service(&mut realm, &tgt, HOST).roles().len(), roles::MOST);
    assert_eq!(Principal::tgs(REALM), tgt.server);
}
