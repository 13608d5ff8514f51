//! RFC 4120 1.2, 2.7, 3.3.3.2: who comes from another realm, and through which.

use kdc::core::{Attributes, Trust};
use libkrb::access::Glob;
use libkrb::codes::{AuthDataType, EncryptionType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{KdcOptions as O, TicketFlags as F};
use libkrb::wire::{self, AuthData, List};
use libkrb::{ErrorCode, Principal};
use tests::joined::{Asking, Joined, NOW, REALM, name};

use crate::visit::{SERVICE, bent, trusting, visit, visitor};

#[test]
fn s3_3_3_2_a_client_of_a_trusted_realm_gets_tickets_here_and_has_no_entry() {
    let mut realm = trusting(&["OTHER.ORG"]);
    let tgt = visitor(&mut realm, "alice@OTHER.ORG", "OTHER.ORG", "");
    assert_eq!(visit(&mut realm, &tgt), Ok((String::new(), true)), "one hop is no transit");
    realm.change("alice", |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX);
    assert!(visit(&mut realm, &tgt).is_ok(), "our own alice is somebody else");
    let mut stranger = Joined::new();
    stranger.add(Principal::cross_tgs("OTHER.ORG", REALM), |_| {});
    assert_eq!(visit(&mut stranger, &tgt), Err(ErrorCode::NOT_US), "a trust of the other direction is none");
}

#[test]
fn s3_3_3_2_the_previous_realm_is_added_and_neither_the_clients_nor_ours() {
    let mut realm = trusting(&["ORG", "OTHER.ORG"]);
    realm.policy.abroad.paths.set("A.NET", REALM, vec!["B.NET".into(), "ORG".into()]);
    let through = |realm: &mut Joined, client: &str, transited| {
        let tgt = visitor(realm, client, "ORG", transited);
        visit(realm, &tgt)
    };
    assert_eq!(through(&mut realm, "bob@OTHER.ORG", ""), Ok(("ORG".into(), true)));
    assert_eq!(through(&mut realm, "bob@OTHER.ORG", "ORG"), Ok(("ORG".into(), true)), "it is a set");
    assert_eq!(through(&mut realm, "bob@X.OTHER.ORG", "OTHER.ORG"), Ok(("OTHER.ORG,ORG".into(), true)));
    assert_eq!(through(&mut realm, "bob@X.OTHER.ORG", ","), Ok(("OTHER.ORG,ORG".into(), true)));
    assert_eq!(through(&mut realm, "bob@A.NET", "B.NET"), Ok(("B.NET,ORG".into(), true)));
}

#[test]
fn s1_2_only_realms_of_the_hierarchy_or_of_capaths_may_lie_between() {
    let mut realm = trusting(&["MIDDLE.NET"]);
    let tgt = visitor(&mut realm, "bob@OTHER.ORG", "MIDDLE.NET", "");
    assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::PATH_NOT_ACCEPTED));
    realm.policy.abroad.paths.set("OTHER.ORG", REALM, vec!["MIDDLE.NET".into()]);
    assert_eq!(visit(&mut realm, &tgt), Ok(("MIDDLE.NET".into(), true)));
    let more = visitor(&mut realm, "bob@OTHER.ORG", "MIDDLE.NET", "EVIL.NET");
    assert_eq!(visit(&mut realm, &more), Err(ErrorCode::PATH_NOT_ACCEPTED));
    realm.policy.abroad.paths.set("OTHER.ORG", REALM, vec![]);
    assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::PATH_NOT_ACCEPTED), "they share a key");
}

#[test]
fn s2_7_a_path_that_is_not_accepted_can_be_left_to_the_services() {
    let mut realm = trusting(&["MIDDLE.NET"]);
    realm.policy.abroad.reject_bad_transit = false;
    let tgt = visitor(&mut realm, "bob@OTHER.ORG", "MIDDLE.NET", "");
    assert_eq!(visit(&mut realm, &tgt), Ok(("MIDDLE.NET".into(), false)), "the flag says that nobody has looked");
}

#[test]
fn s3_3_3_a_transited_field_of_another_type_can_not_be_updated() {
    let mut realm = trusting(&["ORG"]);
    let other = |part: &mut wire::EncTicketPart<'_>| {
        part.transited = wire::TransitedEncoding { kind: libkrb::codes::TransitedType(9), contents: b"?" };
    };
    let tgt = bent(&mut realm, "bob@OTHER.ORG", "ORG", other);
    assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::TRTYPE_NOSUPP));
}

#[test]
fn s3_3_3_2_a_trust_that_is_locked_or_has_expired_or_changed_its_key_is_none() {
    let mut realm = trusting(&["OTHER.ORG"]);
    let trust = Principal::cross_tgs(REALM, "OTHER.ORG").to_string();
    let tgt = visitor(&mut realm, "bob@OTHER.ORG", "OTHER.ORG", "");
    realm.change(&trust, |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX);
    assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::NOT_US));
    realm.change(&trust, |entry| (entry.attributes, entry.expires) = (Attributes::default(), Some(NOW)));
    assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::NOT_US));
    realm.change(&trust, |entry| (entry.expires, entry.keys[0].kvno) = (None, 2));
    assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::BADKEYVER));
}

#[test]
fn a_visitors_tgt_is_renewed_by_who_issued_it_and_proxies_nothing_but_services() {
    let mut realm = trusting(&["OTHER.ORG"]);
    let tgt = bent(&mut realm, "bob@OTHER.ORG", "OTHER.ORG", |part| part.flags |= F::RENEWABLE);
    let mut renew = Asking::login("alice").with(O::RENEW);
    assert_eq!(realm.tgs(&tgt, &renew).expect_err("our own TGT"), ErrorCode::SERVER_NOMATCH);
    (renew.realm, renew.server) = ("OTHER.ORG".into(), Some(tgt.server.clone()));
    assert_eq!(realm.tgs(&tgt, &renew).expect_err("the other realm's"), ErrorCode::S_PRINCIPAL_UNKNOWN);
    let addresses = vec![(libkrb::codes::AddressType::IPV4, vec![192, 0, 2, 1])];
    let proxy = Asking { addresses, ..Asking::service(SERVICE) }.with(O::PROXY);
    assert!(realm.tgs(&tgt, &proxy).expect("a proxy").flags.has(F::PROXY));
}

#[test]
fn s3_3_3_2_what_a_visitor_gets_here_it_can_use_to_get_more_under_the_same_rules() {
    let mut realm = trusting(&["ORG"]);
    let tgt = visitor(&mut realm, "bob@OTHER.ORG", "ORG", "");
    let own = realm.tgs(&tgt, &Asking::login("alice")).expect("a TGT of ours");
    assert_eq!(visit(&mut realm, &own), Ok(("ORG".into(), true)));
    realm.policy.abroad.trusts = vec![Trust { services: Some(vec![]), ..trust("ORG") }];
    assert_eq!(visit(&mut realm, &own), Err(ErrorCode::POLICY), "it came through that realm");
}

fn trust(realm: &str) -> Trust {
    Trust { realm: realm.into(), clients: None, services: None, max_life: None, indicators: Default::default() }
}

fn globs(texts: &[&str]) -> Option<Vec<Glob>> {
    Some(texts.iter().map(|text| Glob::parse(text).expect("a pattern")).collect())
}

#[test]
fn a_rule_says_which_clients_of_a_realm_get_which_services() {
    let mut realm = trusting(&["ORG", "OTHER.ORG"]);
    realm.change(SERVICE, |entry| entry.aliases.push(name("host/alias.example.org")));
    realm.policy.abroad.trusts = vec![
        Trust { clients: globs(&["*@OTHER.ORG"]), ..trust("OTHER.ORG") },
        Trust { services: globs(&["host/a.*@EXAMPLE.ORG"]), ..trust("OTHER.ORG") },
    ];
    let mut outcome = |client: &str, issuer: &str, service: &str| {
        let tgt = visitor(&mut realm, client, issuer, "");
        realm.tgs(&tgt, &Asking::service(service)).map(|_| ())
    };
    for issuer in ["OTHER.ORG", "ORG"] {
        assert_eq!(outcome("bob@OTHER.ORG", issuer, SERVICE), Ok(()));
        assert_eq!(outcome("bob@OTHER.ORG", issuer, "host/alias.example.org"), Ok(()), "it is the same service");
        assert_eq!(outcome("bob@OTHER.ORG", issuer, "host/b.example.org"), Err(ErrorCode::POLICY));
        assert_eq!(outcome("bob/admin@OTHER.ORG", issuer, SERVICE), Err(ErrorCode::POLICY));
        assert_eq!(outcome("WELLKNOWN/ANONYMOUS@OTHER.ORG", issuer, SERVICE), Err(ErrorCode::POLICY));
    }
    assert_eq!(outcome("bob@X.ORG", "ORG", "host/b.example.org"), Ok(()), "no rule is about that realm");
}

#[test]
fn a_rule_bounds_the_life_of_visitors_tickets() {
    let mut realm = trusting(&["OTHER.ORG"]);
    realm.policy.abroad.trusts = vec![Trust { max_life: Some(600), ..trust("OTHER.ORG") }];
    let tgt = bent(&mut realm, "bob@OTHER.ORG", "OTHER.ORG", |part| {
        part.flags |= F::RENEWABLE;
        part.renew_till = Some(part.end_time + 86_400);
    });
    let ticket = realm.tgs(&tgt, &Asking::service(SERVICE).with(O::RENEWABLE)).expect("a ticket");
    assert_eq!((ticket.end_time - ticket.start_time, ticket.renew_till), (600, None), "renewed it would live on");
    assert!(!ticket.flags.has(F::RENEWABLE));
}

/// What the ticket of a visitor carries who came with these elements of authorization data.
fn carried(realm: &mut Joined, elements: &[(AuthDataType, &[u8])], service: &str) -> Result<Vec<Element>, ErrorCode> {
    let own = realm.login(&Asking::login("alice")).expect("a TGT");
    let client = Principal::parse("bob@OTHER.ORG", None).expect("a name");
    let there = tests::joined::Credential { client, ..own };
    let data = elements.iter().map(|(kind, data)| AuthData { kind: *kind, data }).collect::<Vec<_>>();
    let trust = Principal::cross_tgs(REALM, "OTHER.ORG").to_string();
    let tgt = realm.forge(&there, &trust, |part| part.authorization_data = Some(List::Items(&data)));
    let ticket = realm.tgs(&tgt, &Asking::service(service))?;
    Ok(realm.open(&ticket.ticket, |part| {
        let data = part.authorization_data.into_iter().flat_map(|data| data.iter().collect::<Vec<_>>());
        data.map(|element| (element.kind, element.data.to_vec())).collect()
    }))
}

type Element = (AuthDataType, Vec<u8>);

#[test]
fn of_a_visitors_authorization_data_restrictions_stay_and_what_only_kdcs_issue_goes() {
    use AuthDataType as A;
    let signed = wire::encode(&List::Items(&[AuthData { kind: A(512), data: b"a signature of a KDC" }]));
    let elements: [(A, &[u8]); 5] = [
        (A::IF_RELEVANT, &signed),
        (A::CAMMAC, b"a CAMMAC"),
        (A(-7), b"a restriction"),
        (A::AUTH_INDICATOR, b"x"),
        (A::KDC_ISSUED, b"an alias"),
    ];
    let mut realm = trusting(&["OTHER.ORG"]);
    let kept = carried(&mut realm, &elements, SERVICE).expect("a ticket");
    let theirs = elements.map(|(kind, data)| (kind, data.to_vec())).into_iter().filter(|one| kept.contains(one));
    assert_eq!(theirs.collect::<Vec<_>>(), [(A(-7), b"a restriction".to_vec())]);
    let mandatory = carried(&mut realm, &[(A::MANDATORY_FOR_KDC, b"?")], SERVICE);
    assert_eq!(mandatory, Err(ErrorCode::POLICY));
}

/// AD-CAMMAC with these indicators, whose verifier for the service this key made.
fn vouching(indicators: &[&str], key: Option<&Key>) -> Vec<u8> {
    let said = indicators.iter().map(ToString::to_string).collect::<Vec<_>>();
    let said = libkrb::authz::indicators::encode(&said);
    let said = wire::encode(&List::Items(&[AuthData { kind: AuthDataType::AUTH_INDICATOR, data: &said }]));
    let mac = key.map(|key| (key, key.checksum(KeyUsage::CAMMAC, &said)));
    let verifier = mac.as_ref().map(|(key, mac)| wire::VerifierMac {
        identifier: None,
        kvno: None,
        etype: Some(key.etype()),
        mac: wire::Checksum { kind: key.checksum_type(), checksum: mac },
    });
    wire::encode(&wire::AdCammac {
        elements: wire::Raw::parse(&said).expect("elements"),
        kdc_verifier: None,
        service_verifier: verifier,
        other_verifiers: None,
    })
}

#[test]
fn what_a_realm_says_of_its_clients_proofs_counts_where_a_rule_says_so() {
    let mut realm = trusting(&["OTHER.ORG"]);
    realm.change(SERVICE, |entry| drop(entry.strings.insert("require_auth".into(), "pkinit".into())));
    let trusted = realm.key(&Principal::cross_tgs(REALM, "OTHER.ORG").to_string(), EncryptionType::AES256_SHA1);
    let cammac = vouching(&["pkinit", "otp"], Some(&trusted));
    let taken = |indicators: &[&str]| {
        let indicators = indicators.iter().map(ToString::to_string).collect();
        Trust { indicators, ..trust("OTHER.ORG") }
    };
    let rules: [(&[Trust], bool); 4] = [
        (&[], false),
        (&[taken(&["otp"])], false),
        (&[taken(&["otp", "pkinit"])], true),
        (&[taken(&["pkinit"]), trust("OTHER.ORG")], false),
    ];
    for (rules, good) in rules {
        realm.policy.abroad.trusts = rules.to_vec();
        let outcome = carried(&mut realm, &[(AuthDataType::CAMMAC, &cammac)], SERVICE);
        assert_eq!(outcome.is_ok(), good, "{rules:?}");
        assert!(good || outcome == Err(ErrorCode::POLICY));
    }
    // What a client there added, and its KDC has not looked at.
    realm.policy.abroad.trusts = vec![taken(&["pkinit"])];
    let other = realm.key(SERVICE, EncryptionType::AES256_SHA1);
    for key in [None, Some(&other)] {
        let added = vouching(&["pkinit"], key);
        assert_eq!(carried(&mut realm, &[(AuthDataType::CAMMAC, &added)], SERVICE), Err(ErrorCode::POLICY));
    }
}
