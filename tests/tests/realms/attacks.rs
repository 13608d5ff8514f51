//! What other realms' KDCs and clients may try (B11, B16 of the attack cases), joined in memory.

use kdc::core::Attributes;
use libkrb::codes::NameType;
use libkrb::flags::KdcOptions as O;
use libkrb::{ErrorCode, Principal};
use tests::joined::{Asking, REALM, name};

use crate::visit::{SERVICE, bent, trusting, visit, visitor};

#[test]
fn b16_a_realm_that_leaves_its_name_out_is_named_by_us() {
    let mut realm = trusting(&["EVIL.NET"]);
    let tgt = visitor(&mut realm, "bob@OTHER.ORG", "EVIL.NET", "");
    assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::PATH_NOT_ACCEPTED));
    realm.policy.abroad.reject_bad_transit = false;
    assert_eq!(visit(&mut realm, &tgt), Ok(("EVIL.NET".into(), false)));
}

#[test]
fn b16_a_client_can_not_ask_the_check_of_its_path_away() {
    let mut realm = trusting(&["EVIL.NET"]);
    let tgt = visitor(&mut realm, "bob@OTHER.ORG", "EVIL.NET", "");
    let asking = || Asking::service(SERVICE).with(O::DISABLE_TRANSITED_CHECK);
    assert_eq!(realm.tgs(&tgt, &asking()).expect_err("checked"), ErrorCode::PATH_NOT_ACCEPTED);
    realm.policy.allow_disable_transited_check = true;
    let ticket = realm.tgs(&tgt, &asking()).expect("where the realm allows it");
    assert!(!ticket.flags.has(libkrb::flags::TicketFlags::TRANSITED_POLICY_CHECKED), "and then services look");
}

#[test]
fn b16_another_realm_vouches_for_no_client_of_ours() {
    let mut realm = trusting(&["OTHER.ORG"]);
    for client in ["alice", "nobody", "alice/admin", "krbtgt/EXAMPLE.ORG", "WELLKNOWN/ANONYMOUS"] {
        let tgt = visitor(&mut realm, &name(client).to_string(), "OTHER.ORG", "");
        assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::ILL_CR_TKT), "{client}");
        let tgt = visitor(&mut realm, &name(client).to_string(), "OTHER.ORG", "ORG");
        assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::ILL_CR_TKT), "{client}");
    }
    let anonymous = visitor(&mut realm, &Principal::anonymous().to_string(), "OTHER.ORG", "");
    assert_eq!(visit(&mut realm, &anonymous), Err(ErrorCode::PATH_NOT_ACCEPTED), "it is anonymous there, not here");
}

#[test]
fn b16_a_visitor_is_nobody_here_whatever_its_name_is_called_by() {
    let mut realm = trusting(&["OTHER.ORG"]);
    let spelled = Principal::new(NameType::PRINCIPAL, "OTHER.ORG", ["alice@EXAMPLE.ORG"]).expect("a name");
    realm.change("alice", |entry| {
        entry.max_life = Some(60);
        entry.aliases = vec![Principal::parse("bob@OTHER.ORG", None).expect("a name"), spelled.clone()];
    });
    // The key of a trust is no client either.
    for client in ["bob@OTHER.ORG".to_owned(), spelled.to_string(), "krbtgt/EXAMPLE.ORG@OTHER.ORG".to_owned()] {
        let tgt = visitor(&mut realm, &client, "OTHER.ORG", "");
        let ticket = realm.tgs(&tgt, &Asking::service(SERVICE)).expect("a ticket");
        assert_eq!(ticket.client.to_string(), client);
        assert_eq!(ticket.end_time, tgt.end_time.min(ticket.start_time + realm.policy.max_life), "{client}");
    }
}

#[test]
fn b16_a_realm_on_the_way_can_not_claim_ours_or_write_what_can_not_be_read() {
    let mut realm = trusting(&["ORG"]);
    for transited in [REALM, "ORG,EXAMPLE.", "A\\", "/x,", ",EVIL.NET,", "ORG,EVIL."] {
        let tgt = visitor(&mut realm, "bob@OTHER.ORG", "ORG", transited);
        assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::PATH_NOT_ACCEPTED), "{transited}");
    }
    let tgt = bent(&mut realm, "bob@OTHER.ORG", "ORG", |part| part.transited.contents = b"\xff");
    assert_eq!(visit(&mut realm, &tgt), Err(ErrorCode::PATH_NOT_ACCEPTED));
}

#[test]
fn b16_realms_do_not_refer_to_one_another_for_ever() {
    let mut realm = trusting(&["OTHER.ORG", "ORG"]);
    for target in ["OTHER.ORG", "ORG", "X.OTHER.ORG"] {
        realm.add(Principal::cross_tgs(target, REALM), |_| {});
    }
    realm.policy.abroad.referrals.hosts.insert(".other.org".into(), "OTHER.ORG".into());
    let service = Principal::service("HTTP", "web.other.org", REALM);
    let referred = Asking { server: Some(service), ..Asking::login("alice") }.with(O::CANONICALIZE);
    let way = |target: &str| Asking { server: Some(Principal::cross_tgs(target, REALM)), ..Asking::login("alice") };
    let from_there = visitor(&mut realm, "bob@OTHER.ORG", "OTHER.ORG", "");
    assert_eq!(realm.tgs(&from_there, &referred).expect_err("back again"), ErrorCode::S_PRINCIPAL_UNKNOWN);
    let through = visitor(&mut realm, "bob@OTHER.ORG", "ORG", "");
    for back in ["OTHER.ORG", "ORG"] {
        assert_eq!(realm.tgs(&through, &way(back)).expect_err("back again"), ErrorCode::S_PRINCIPAL_UNKNOWN);
    }
    realm.tgs(&through, &way("X.OTHER.ORG")).expect("onward");
}

#[test]
fn b16_a_ticket_that_we_issued_for_another_realm_is_no_tgt_here() {
    let mut realm = trusting(&["OTHER.ORG"]);
    realm.add(Principal::cross_tgs("OTHER.ORG", REALM), |_| {});
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let way = Asking { server: Some(Principal::cross_tgs("OTHER.ORG", REALM)), ..Asking::login("alice") };
    let cross = realm.tgs(&tgt, &way).expect("a ticket for the other realm");
    assert_eq!(visit(&mut realm, &cross), Err(ErrorCode::NOT_US));
    let host = visitor(&mut realm, "bob@OTHER.ORG", "OTHER.ORG", "");
    let service = realm.tgs(&host, &Asking::service(SERVICE)).expect("a service ticket");
    assert_eq!(visit(&mut realm, &service), Err(ErrorCode::NOT_US));
}

#[test]
fn b16_a_trust_that_is_locked_ends_what_its_visitors_have_here_already() {
    let mut realm = trusting(&["OTHER.ORG", "ORG"]);
    let trust = |issuer| Principal::cross_tgs(REALM, issuer).to_string();
    let tgt = visitor(&mut realm, "bob@OTHER.ORG", "OTHER.ORG", "");
    let own = realm.tgs(&tgt, &Asking::login("alice")).expect("a TGT of ours");
    let through = visitor(&mut realm, "bob@X.ORG", "ORG", "");
    let passed = realm.tgs(&through, &Asking::login("alice")).expect("a TGT of ours");
    realm.change(&trust("OTHER.ORG"), |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX);
    assert_eq!(visit(&mut realm, &own), Err(ErrorCode::TGT_REVOKED));
    assert!(visit(&mut realm, &passed).is_ok(), "others' stay");
    realm.change(&trust("ORG"), |entry| entry.expires = Some(tests::joined::NOW));
    assert_eq!(visit(&mut realm, &passed), Err(ErrorCode::TGT_REVOKED));
    realm.change(&trust("OTHER.ORG"), |entry| entry.attributes = Attributes::default());
    assert!(visit(&mut realm, &own).is_ok());
}

#[test]
fn b11_the_tgt_of_another_realm_seals_no_user_to_user_ticket() {
    let mut realm = trusting(&["OTHER.ORG"]);
    let alice = realm.login(&Asking::login("alice")).expect("a TGT");
    let theirs = visitor(&mut realm, "bob@OTHER.ORG", "OTHER.ORG", "");
    for server in ["bob", "bob@OTHER.ORG", "alice"] {
        let asking = Asking { additional: vec![theirs.ticket.clone()], ..Asking::service(server) };
        assert!(realm.tgs(&alice, &asking.clone().with(O::ENC_TKT_IN_SKEY)).is_err(), "{server}");
        assert!(realm.tgs(&theirs, &asking.with(O::ENC_TKT_IN_SKEY)).is_err(), "{server}");
    }
    let mine = Asking { additional: vec![alice.ticket.clone()], ..Asking::service("alice") };
    realm.tgs(&theirs, &mine.with(O::ENC_TKT_IN_SKEY)).expect("a visitor may talk to a user of ours");
}

#[test]
fn s4u_goes_through_no_other_realm() {
    let mut realm = trusting(&["OTHER.ORG"]);
    let theirs = visitor(&mut realm, "bob@OTHER.ORG", "OTHER.ORG", "");
    let evidence = realm.tgs(&theirs, &Asking::service(SERVICE).with(O::FORWARDABLE)).expect("a ticket");
    let proxy = Asking { additional: vec![evidence.ticket], ..Asking::service("host/b.example.org") };
    assert!(realm.tgs(&theirs, &proxy.with(O::CNAME_IN_ADDL_TKT)).is_err());
}
