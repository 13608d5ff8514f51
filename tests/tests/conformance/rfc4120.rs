//! The KDC against RFC 4120, section by section, joined in memory.

use kdc::core::Attributes;
use libkrb::codes::{AddressType, AuthDataType, EncryptionType};
use libkrb::flags::{KdcOptions as O, TicketFlags as F};
use libkrb::{ErrorCode, Principal, Time};
use tests::joined::{Asking, Joined, NOW, REALM, besides_pac, name};

const DAY: i64 = 24 * 3600;

fn tgt(realm: &mut Joined, options: O) -> tests::joined::Credential {
    realm.login(&Asking::login("alice").with(options)).expect("a TGT")
}

#[test]
fn s3_1_a_login_gives_an_initial_preauthenticated_ticket() {
    let mut realm = Joined::new();
    let ticket = tgt(&mut realm, O::NONE);
    assert!(ticket.flags.has(F::INITIAL | F::PRE_AUTHENT));
    assert_eq!((ticket.nonce, ticket.server), (4711, Principal::tgs(REALM)));
    assert_eq!(ticket.end_time, NOW + DAY);
    realm.open(&ticket.ticket, |part| {
        assert!(part.client.names(&name("alice")));
        assert_eq!(part.key.value, ticket.key.expose());
        assert_eq!(part.flags, ticket.flags);
    });
}

#[test]
fn s3_1_2_a_client_that_must_prove_itself_is_told_how() {
    let mut realm = Joined::new();
    let request = realm.as_req(&Asking::login("alice"), None);
    let reply = realm.send(&request).reply.expect("an answer");
    let error = libkrb::wire::decode::<libkrb::wire::KrbError<'_>>(&reply).expect("KRB-ERROR");
    assert_eq!(error.code, ErrorCode::PREAUTH_REQUIRED);
    let hints = libkrb::wire::decode::<libkrb::wire::MethodData<'_>>(error.data.expect("e-data")).expect("METHOD-DATA");
    assert_eq!(hints.iter().map(|hint| hint.kind.0).collect::<Vec<_>>(), [136, 19, 151, 2, 133]);
}

#[test]
fn s3_1_3_lifetimes_are_clipped_by_client_service_and_realm() {
    let mut realm = Joined::new();
    realm.change("alice", |entry| entry.max_life = Some(5 * 3600));
    assert_eq!(tgt(&mut realm, O::NONE).end_time, NOW + 5 * 3600);
    realm.change("krbtgt/EXAMPLE.ORG", |entry| entry.max_life = Some(3600));
    assert_eq!(tgt(&mut realm, O::NONE).end_time, NOW + 3600);
    realm.policy.max_life = 60;
    assert_eq!(tgt(&mut realm, O::NONE).end_time, NOW + 60);
    let early = Asking { till: NOW - 1, ..Asking::login("alice") };
    assert_eq!(realm.login(&early).expect_err("ends before it starts"), ErrorCode::NEVER_VALID);
}

#[test]
fn s2_3_a_renewable_ticket_is_renewed_until_its_renewable_life_is_over() {
    let mut realm = Joined::new();
    let asking = Asking { till: NOW + 3600, renew_till: Some(NOW + 2 * 3600), ..Asking::login("alice") };
    let ticket = realm.login(&asking.with(O::RENEWABLE)).expect("a TGT");
    assert!(ticket.flags.has(F::RENEWABLE));
    realm.wait(3000);
    let renew = Asking::login("alice").with(O::RENEW);
    let again = realm.tgs(&ticket, &renew).expect("a renewed TGT");
    assert_eq!((again.start_time, again.end_time), (NOW + 3000, NOW + 6600));
    assert!(!again.flags.has(F::INITIAL));
    realm.wait(3000);
    assert_eq!(realm.tgs(&again, &renew).expect("renewed").end_time, NOW + 7200);
    realm.wait(700);
    assert_eq!(realm.tgs(&again, &renew).expect_err("expired"), ErrorCode::TKT_EXPIRED);
}

#[test]
fn s3_3_3_only_the_presented_ticket_itself_can_be_renewed() {
    let mut realm = Joined::new();
    let asking = Asking { till: NOW + 3600, renew_till: Some(NOW + 7200), ..Asking::login("alice") };
    let ticket = realm.login(&asking.with(O::RENEWABLE)).expect("a TGT");
    let other = Asking::service("host/a.example.org").with(O::RENEW);
    assert_eq!(realm.tgs(&ticket, &other).expect_err("another server"), ErrorCode::SERVER_NOMATCH);
}

#[test]
fn s2_4_a_postdated_ticket_must_be_validated_after_its_start() {
    let mut realm = Joined::new();
    let asking = Asking { from: Some(NOW + 600), till: NOW + 4000, ..Asking::login("alice") };
    assert_eq!(realm.login(&asking).expect_err("no option"), ErrorCode::CANNOT_POSTDATE);
    let ticket = realm.login(&asking.with(O::POSTDATED)).expect("a postdated TGT");
    assert!(ticket.flags.has(F::POSTDATED | F::INVALID));
    let validate = Asking::login("alice").with(O::VALIDATE);
    assert_eq!(realm.tgs(&ticket, &validate).expect_err("too early"), ErrorCode::TKT_NYV);
    realm.wait(601);
    assert_eq!(realm.tgs(&ticket, &Asking::service("host/a.example.org")).expect_err("invalid"), ErrorCode::TKT_NYV);
    let valid = realm.tgs(&ticket, &validate).expect("validated");
    assert!(!valid.flags.has(F::INVALID));
    assert_eq!((valid.start_time, valid.end_time), (NOW + 600, NOW + 4000));
    realm.tgs(&valid, &Asking::service("host/a.example.org")).expect("a service ticket");
}

#[test]
fn s2_4_a_postdated_ticket_granting_ticket_comes_only_from_a_login() {
    let mut realm = Joined::new();
    let able = tgt(&mut realm, O::ALLOW_POSTDATE);
    let later = |asking: Asking| Asking { from: Some(NOW + 600), ..asking }.with(O::POSTDATED);
    let refused = realm.tgs(&able, &later(Asking::login("alice"))).expect_err("a TGT");
    assert_eq!(refused, ErrorCode::CANNOT_POSTDATE);
    let ticket = realm.tgs(&able, &later(Asking::service("host/a.example.org"))).expect("a postdated service ticket");
    assert!(ticket.flags.has(F::POSTDATED | F::INVALID));
}

#[test]
fn s3_3_3_an_invalid_ticket_is_validated_before_it_is_renewed() {
    let mut realm = Joined::new();
    let asking =
        Asking { from: Some(NOW + 60), till: NOW + 4000, renew_till: Some(NOW + 9000), ..Asking::login("alice") };
    let ticket = realm.login(&asking.with(O::POSTDATED | O::RENEWABLE)).expect("a postdated TGT");
    realm.wait(61);
    let both = Asking::login("alice").with(O::VALIDATE | O::RENEW);
    assert_eq!(realm.tgs(&ticket, &both).expect_err("at once"), ErrorCode::TKT_NYV);
    let valid = realm.tgs(&ticket, &Asking::login("alice").with(O::VALIDATE)).expect("validated");
    realm.tgs(&valid, &Asking::login("alice").with(O::RENEW)).expect("renewed");
}

#[test]
fn s2_3_a_renewal_changes_no_addresses() {
    let mut realm = Joined::new();
    let here = vec![(AddressType::IPV4, vec![10, 0, 0, 1])];
    let asking = Asking { renew_till: Some(NOW + 9 * DAY), addresses: here.clone(), ..Asking::login("alice") };
    let ticket = realm.login(&asking.with(O::RENEWABLE | O::FORWARDABLE | O::PROXIABLE)).expect("a TGT");
    for addresses in [vec![], vec![(AddressType::IPV4, vec![10, 0, 0, 2])]] {
        let asking = Asking { addresses, ..Asking::login("alice") }.with(O::RENEW | O::FORWARDED);
        let renewed = realm.tgs(&ticket, &asking).expect("renewed");
        realm.open(&renewed.ticket, |part| {
            let addresses = part.addresses.expect("addresses").iter().map(|host| (host.kind, host.address.to_vec()));
            assert_eq!(addresses.collect::<Vec<_>>(), here);
        });
    }
}

#[test]
fn s2_5_and_s2_6_proxies_and_forwarding_need_the_flags_of_the_tgt() {
    let mut realm = Joined::new();
    let elsewhere = |asking: Asking| Asking { addresses: vec![(AddressType::IPV4, vec![10, 0, 0, 1])], ..asking };
    let plain = tgt(&mut realm, O::NONE);
    for (asking, option) in [
        (Asking::login("alice"), O::FORWARDED),
        (Asking::service("host/a.example.org"), O::PROXY),
        (Asking::service("host/a.example.org"), O::FORWARDABLE),
        (Asking::service("host/a.example.org"), O::PROXIABLE),
        (Asking::service("host/a.example.org"), O::ALLOW_POSTDATE),
        (Asking::service("host/a.example.org"), O::RENEWABLE),
    ] {
        let asking = asking.with(option);
        assert_eq!(realm.tgs(&plain, &asking).expect_err("flag missing"), ErrorCode::BADOPTION, "{option}");
    }
    let able = tgt(&mut realm, O::FORWARDABLE | O::PROXIABLE);
    let forwarded = realm.tgs(&able, &elsewhere(Asking::login("alice").with(O::FORWARDED))).expect("forwarded");
    assert!(forwarded.flags.has(F::FORWARDED));
    realm.open(&forwarded.ticket, |part| assert_eq!(part.addresses.expect("addresses").iter().count(), 1));
    let derived = realm.tgs(&forwarded, &Asking::service("host/a.example.org")).expect("a service ticket");
    assert!(derived.flags.has(F::FORWARDED));
    let proxy = realm.tgs(&able, &elsewhere(Asking::service("host/a.example.org").with(O::PROXY))).expect("a proxy");
    assert!(proxy.flags.has(F::PROXY));
    let tgt_proxy = Asking::login("alice").with(O::PROXY);
    assert_eq!(realm.tgs(&able, &tgt_proxy).expect_err("a TGT"), ErrorCode::BADOPTION);
}

#[test]
fn s3_3_3_user_to_user_tickets_are_sealed_in_the_session_key_of_the_servers_tgt() {
    let mut realm = Joined::new();
    let alice = tgt(&mut realm, O::NONE);
    let bob = realm.login(&Asking::login("bob")).expect("bob's TGT");
    assert_eq!(realm.tgs(&alice, &Asking::service("bob")).expect_err("no service"), ErrorCode::MUST_USE_USER2USER);
    let asking = Asking { additional: vec![bob.ticket.clone()], ..Asking::service("bob") }.with(O::ENC_TKT_IN_SKEY);
    let ticket = realm.tgs(&alice, &asking).expect("a user-to-user ticket");
    let sealed = libkrb::wire::decode::<libkrb::wire::Ticket<'_>>(&ticket.ticket).expect("a ticket").enc_part;
    assert_eq!(sealed.kvno, None);
    assert!(bob.key.decrypt(libkrb::crypto::KeyUsage::TICKET, sealed.cipher).is_ok());
}

#[test]
fn s3_3_3_authorization_data_is_carried_on_and_added_to() {
    let mut realm = Joined::new();
    let alice = tgt(&mut realm, O::NONE);
    let data = vec![(AuthDataType(-9), b"mine".to_vec()), (AuthDataType::WIN2K_PAC, b"forged".to_vec())];
    let asking = Asking { authorization_data: Some(data), ..Asking::login("alice") };
    let restricted = realm.tgs(&alice, &asking).expect("a restricted TGT");
    let ticket = realm.tgs(&restricted, &Asking::service("host/a.example.org")).expect("a service ticket");
    realm.open(&ticket.ticket, |part| {
        let kinds = besides_pac(part).into_iter().map(|(kind, _)| kind.0).collect::<Vec<_>>();
        assert_eq!(kinds, [-9]);
    });
}

#[test]
fn s5_2_7_the_first_wanted_enctype_that_both_have_is_used() {
    let mut realm = Joined::new();
    let both = vec![EncryptionType::AES128_SHA1, EncryptionType::AES256_SHA1];
    let ticket = realm.login(&Asking { etypes: both, ..Asking::login("alice") }).expect("a TGT");
    assert_eq!(ticket.key.etype(), EncryptionType::AES128_SHA1);
    realm.change("krbtgt/EXAMPLE.ORG", |entry| {
        entry.strings.insert("session_enctypes".into(), "aes256-cts".into());
    });
    let both = vec![EncryptionType::AES128_SHA1, EncryptionType::AES256_SHA1];
    let ticket = realm.login(&Asking { etypes: both, ..Asking::login("alice") }).expect("a TGT");
    assert_eq!(ticket.key.etype(), EncryptionType::AES256_SHA1);
}

#[test]
fn s3_1_3_no_session_key_is_of_a_kind_that_the_server_does_not_know() {
    let mut realm = Joined::new();
    let asking = |etype| Asking { etypes: vec![etype], ..Asking::service("host/a.example.org") };
    let alice = tgt(&mut realm, O::NONE);
    for etype in [EncryptionType::AES128_SHA1, EncryptionType::AES256_SHA1] {
        assert_eq!(realm.tgs(&alice, &asking(etype)).expect("of its keys").key.etype(), etype);
    }
    let other = asking(EncryptionType::CAMELLIA256);
    assert_eq!(realm.tgs(&alice, &other).expect_err("no such key"), ErrorCode::ETYPE_NOSUPP);
    // Everybody who speaks Kerberos has AES256 with SHA-1, says RFC 4120 8.1; but a statement counts.
    realm.change("host/a.example.org", |entry| {
        entry.keys[0].keys.retain(|key| key.etype() == EncryptionType::AES128_SHA1)
    });
    realm.tgs(&alice, &asking(EncryptionType::AES256_SHA1)).expect("presumed");
    realm.change("host/a.example.org", |entry| {
        entry.strings.insert("session_enctypes".into(), "aes128-cts".into());
    });
    let stated = realm.tgs(&alice, &asking(EncryptionType::AES256_SHA1));
    assert_eq!(stated.expect_err("not stated"), ErrorCode::ETYPE_NOSUPP);
    realm.change("host/a.example.org", |entry| {
        entry.strings.insert("session_enctypes".into(), "camellia256-cts".into());
    });
    assert_eq!(realm.tgs(&alice, &other).expect("stated").key.etype(), EncryptionType::CAMELLIA256);
}

#[test]
fn s3_1_3_expired_locked_and_disabled_principals_get_nothing() {
    type Change = fn(&mut kdc::core::Entry);
    let cases: [(&str, Change, ErrorCode); 6] = [
        ("alice", |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX, ErrorCode::CLIENT_REVOKED),
        ("alice", |entry| entry.expires = Some(NOW), ErrorCode::NAME_EXP),
        ("alice", |entry| entry.password_expires = Some(NOW), ErrorCode::KEY_EXPIRED),
        ("alice", |entry| entry.attributes = Attributes::REQUIRES_PWCHANGE, ErrorCode::KEY_EXPIRED),
        ("krbtgt/EXAMPLE.ORG", |entry| entry.expires = Some(NOW), ErrorCode::SERVICE_EXP),
        ("krbtgt/EXAMPLE.ORG", |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX, ErrorCode::SERVICE_REVOKED),
    ];
    for (who, change, code) in cases {
        let mut realm = Joined::new();
        realm.change(who, change);
        assert_eq!(realm.login(&Asking::login("alice")).expect_err("refused"), code, "{who}");
    }
}

#[test]
fn a_password_that_must_be_changed_still_gets_a_ticket_for_the_changing_service() {
    let mut realm = Joined::new();
    realm.change("alice", |entry| entry.password_expires = Some(Time(1)));
    let asking = Asking { server: Some(Principal::changepw(REALM)), ..Asking::login("alice") };
    let ticket = realm.login(&asking).expect("a ticket for kadmin/changepw");
    assert!(ticket.flags.has(F::INITIAL));
}

#[test]
fn a_client_that_was_locked_or_deleted_gets_no_further_tickets() {
    let mut realm = Joined::new();
    let alice = tgt(&mut realm, O::NONE);
    let asking = Asking::service("host/a.example.org");
    realm.tgs(&alice, &asking).expect("a service ticket");
    realm.change("alice", |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX);
    assert_eq!(realm.tgs(&alice, &asking).expect_err("locked"), ErrorCode::CLIENT_REVOKED);
    use kdc::core::{Change, Store};
    realm.store.commit(&[Change::Delete(name("alice"))]).expect("deleted");
    assert_eq!(realm.tgs(&alice, &asking).expect_err("gone"), ErrorCode::TGT_REVOKED);
}

#[test]
fn old_key_versions_open_tickets_and_new_ones_seal_them() {
    let mut realm = Joined::new();
    let old = tgt(&mut realm, O::NONE);
    realm.change("krbtgt/EXAMPLE.ORG", |entry| {
        let mut set = entry.keys[0].clone();
        set.kvno = 2;
        for key in &mut set.keys {
            *key = kdc::core::LongTermKey::new(
                libkrb::crypto::Key::random(key.etype(), &mut tests::joined::Sequence(77)).expect("a key"),
                None,
            );
        }
        entry.keys.insert(0, set);
    });
    realm.tgs(&old, &Asking::service("host/a.example.org")).expect("by the old key");
    let new = tgt(&mut realm, O::NONE);
    let ticket = libkrb::wire::decode::<libkrb::wire::Ticket<'_>>(&new.ticket).expect("a ticket");
    assert_eq!(ticket.enc_part.kvno, Some(2));
    realm.change("krbtgt/EXAMPLE.ORG", |entry| entry.keys.truncate(1));
    assert_eq!(realm.tgs(&old, &Asking::service("host/a.example.org")).expect_err("gone"), ErrorCode::BADKEYVER);
}

#[test]
fn tickets_with_addresses_are_checked_when_the_realm_says_so() {
    let mut realm = Joined::new();
    let asking = Asking { addresses: vec![(AddressType::IPV4, vec![10, 0, 0, 1])], ..Asking::login("alice") };
    let ticket = realm.login(&asking).expect("a TGT");
    realm.from = Some([10, 0, 0, 1].into());
    realm.tgs(&ticket, &Asking::service("host/a.example.org")).expect("from there");
    realm.from = Some([10, 0, 0, 2].into());
    assert_eq!(realm.tgs(&ticket, &Asking::service("host/a.example.org")).expect_err("elsewhere"), ErrorCode::BADADDR);
}
