//! RFC 6806, and the ways to other realms of RFC 4120 3.3.3.

use libkrb::codes::NameType;
use libkrb::flags::KdcOptions as O;
use libkrb::wire::{self, KrbError};
use libkrb::{ErrorCode, Principal};
use tests::joined::{Asking, Joined, REALM, name};

/// Our realm, with ways to ORG and OTHER.ORG and hosts in both.
fn referring() -> Joined {
    let mut realm = Joined::new();
    for target in ["ORG", "OTHER.ORG"] {
        realm.add(Principal::cross_tgs(target, REALM), |_| {});
    }
    let referrals = &mut realm.policy.abroad.referrals;
    for (host, target) in [(".other.org", "OTHER.ORG"), ("web.far.net", "FAR.ORG"), (".example.org", REALM)] {
        referrals.hosts.insert(host.into(), target.into());
    }
    realm
}

/// The realm that is referred to, for a server of this name type.
fn referred(realm: &mut Joined, kind: NameType, server: &str, options: O) -> Result<String, ErrorCode> {
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let server = Some(name(server).with_kind(kind));
    let ticket = realm.tgs(&tgt, &Asking { server, ..Asking::login("alice") }.with(options))?;
    Ok(ticket.server.tgs_target().expect("a way to a realm").to_owned())
}

#[test]
fn s8_a_host_based_service_of_another_realm_is_referred_to_it() {
    let mut realm = referring();
    for kind in [NameType::SRV_HST, NameType::SRV_INST] {
        let web = "HTTP/web.other.org";
        assert_eq!(referred(&mut realm, kind, web, O::CANONICALIZE).as_deref(), Ok("OTHER.ORG"));
        assert_eq!(referred(&mut realm, kind, "HTTP/WEB.Other.org", O::CANONICALIZE).as_deref(), Ok("OTHER.ORG"));
        assert_eq!(referred(&mut realm, kind, "HTTP/web.far.net", O::CANONICALIZE).as_deref(), Ok("ORG"), "nearest");
    }
    assert_eq!(
        referred(&mut realm, NameType::SRV_HST, "HTTP/web.other.org", O::NONE),
        Err(ErrorCode::S_PRINCIPAL_UNKNOWN),
        "s3: only who asks for it"
    );
}

#[test]
fn s8_what_is_here_or_nowhere_is_not_referred() {
    let mut realm = referring();
    realm.add(name("HTTP/here.other.org"), |_| {});
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let here = Asking { server: Some(name("HTTP/here.other.org")), ..Asking::login("alice") }.with(O::CANONICALIZE);
    assert_eq!(realm.tgs(&tgt, &here).expect("a ticket").server, name("HTTP/here.other.org"));
    for nowhere in ["HTTP/x.example.org", "HTTP/web", "HTTP/10.0.0.1", "HTTP/x.net", "web.other.org", "a/b.other.org/c"]
    {
        let outcome = referred(&mut realm, NameType::SRV_HST, nowhere, O::CANONICALIZE);
        assert_eq!(outcome, Err(ErrorCode::S_PRINCIPAL_UNKNOWN), "{nowhere}");
    }
}

#[test]
fn s8_names_that_do_not_say_what_they_are_follow_the_lists() {
    let mut realm = referring();
    let web = "HTTP/web.other.org";
    let outcome = |realm: &mut Joined, kind| referred(realm, kind, web, O::CANONICALIZE).is_ok();
    assert!(!outcome(&mut realm, NameType::UNKNOWN) && !outcome(&mut realm, NameType::PRINCIPAL));
    realm.policy.abroad.referrals.host_based_services.insert("HTTP".into());
    assert!(outcome(&mut realm, NameType::UNKNOWN) && !outcome(&mut realm, NameType::PRINCIPAL));
    realm.policy.abroad.referrals.no_host_referral.insert("*".into());
    assert!(!outcome(&mut realm, NameType::UNKNOWN) && !outcome(&mut realm, NameType::SRV_HST));
}

#[test]
fn s8_a_request_for_exactly_this_server_is_not_referred() {
    let mut realm = referring();
    let asked = realm.login(&Asking::login("alice").with(O::FORWARDABLE | O::PROXIABLE)).expect("a TGT");
    for option in [O::FORWARDED, O::PROXY, O::ENC_TKT_IN_SKEY, O::RENEW, O::VALIDATE] {
        let server = Some(Principal::service("HTTP", "web.other.org", REALM));
        let asking = Asking { server, additional: vec![asked.ticket.clone()], ..Asking::login("alice") };
        let outcome = realm.tgs(&asked, &asking.with(O::CANONICALIZE | option));
        assert_eq!(outcome.expect_err("not here"), ErrorCode::S_PRINCIPAL_UNKNOWN, "{option:?}");
    }
}

#[test]
fn s9_a_service_in_another_realm_by_name_gets_the_way_there_with_canonicalize_only() {
    let mut realm = referring();
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let asking = |target: &str| {
        let server = Some(Principal::service("HTTP", "x", target));
        Asking { server, realm: target.to_owned(), ..Asking::login("alice") }
    };
    let next = realm.tgs(&tgt, &asking("A.OTHER.ORG").with(O::CANONICALIZE)).expect("the way").server;
    assert_eq!(next, Principal::cross_tgs("OTHER.ORG", REALM));
    let refused = realm.tgs(&tgt, &asking("OTHER.ORG")).expect_err("no leave to change names");
    assert_eq!(refused, ErrorCode::S_PRINCIPAL_UNKNOWN);
    realm.policy.abroad.paths.set(REALM, "FAR.NET", vec![]);
    let refused = realm.tgs(&tgt, &asking("FAR.NET").with(O::CANONICALIZE)).expect_err("no way");
    assert_eq!(refused, ErrorCode::S_PRINCIPAL_UNKNOWN);
}

#[test]
fn rfc4120_s3_3_3_the_realm_closest_to_the_one_that_is_asked_for_is_chosen() {
    let mut realm = referring();
    realm.policy.abroad.paths.set(REALM, "FAR.NET", vec!["OTHER.ORG".into(), "NET".into()]);
    realm.policy.abroad.paths.set(REALM, "A.LOST.NET", vec!["LOST.NET".into()]);
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    for (target, next) in [
        ("OTHER.ORG", Some("OTHER.ORG")),
        ("A.B.OTHER.ORG", Some("OTHER.ORG")),
        ("A.THIRD.ORG", Some("ORG")),
        ("FAR.NET", Some("OTHER.ORG")),
        ("NET", Some("ORG")),
        ("A.LOST.NET", None),
        ("", None),
    ] {
        let asking = Asking { server: Some(Principal::cross_tgs(target, REALM)), ..Asking::login("alice") };
        let ticket = realm.tgs(&tgt, &asking).map(|ticket| ticket.server);
        let wanted = next.map(|next| Principal::cross_tgs(next, REALM)).ok_or(ErrorCode::S_PRINCIPAL_UNKNOWN);
        assert_eq!(ticket, wanted, "{target}");
    }
}

/// The KRB-ERROR to a login by this enterprise name: its code and the client's realm.
fn told(realm: &mut Joined, text: &str, options: O) -> (ErrorCode, Option<String>) {
    let client = Principal::new(NameType::ENTERPRISE, REALM, [text]).expect("a name");
    let request = realm.as_req(&Asking { client, ..Asking::login("alice") }.with(options), None);
    let reply = realm.send(&request).reply.expect("an answer");
    let error = wire::decode::<KrbError<'_>>(&reply).expect("KRB-ERROR");
    (error.code, error.client_realm.map(str::to_owned))
}

#[test]
fn s7_a_client_that_is_elsewhere_is_told_its_realm() {
    let mut realm = referring();
    realm.policy.abroad.referrals.clients.insert("mail.example".into(), "OTHER.ORG".into());
    realm.change("alice", |entry| {
        entry.aliases.push(Principal::new(NameType::ENTERPRISE, REALM, ["boss@mail.example"]).expect("a name"));
    });
    let elsewhere = (ErrorCode::WRONG_REALM, Some("OTHER.ORG".to_owned()));
    assert_eq!(told(&mut realm, "bob@Mail.Example", O::CANONICALIZE), elsewhere);
    realm.policy.hide_unknown_clients = true;
    assert_eq!(told(&mut realm, "bob@mail.example", O::CANONICALIZE), elsewhere);
    realm.policy.hide_unknown_clients = false;
    assert_eq!(told(&mut realm, "boss@mail.example", O::CANONICALIZE).0, ErrorCode::PREAUTH_REQUIRED, "he is here");
    assert_eq!(told(&mut realm, "bob@mail.example", O::NONE), elsewhere, "MIT's kinit -E does not say that it may be");
    assert_eq!(told(&mut realm, "bob@other.example", O::CANONICALIZE).0, ErrorCode::C_PRINCIPAL_UNKNOWN);
    assert_eq!(told(&mut realm, "nobody", O::CANONICALIZE).0, ErrorCode::C_PRINCIPAL_UNKNOWN);
}
