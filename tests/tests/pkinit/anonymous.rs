//! Nobody in particular (RFC 8062): a ticket without a name, and what it is good for.

use libkrb::client::{AsExchange, AsRequest, Exchange, Secret, Step, TgsExchange, TgsRequest};
use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::preauth::pkinit::{Group, PkinitMeans};
use libkrb::{ErrorCode as E, Principal, Result};
use tests::joined::{Asking, Joined, REALM, Sequence, as_error, name};

use crate::place::{exchange, login, means, pkinit, realm, realm_with, run};

fn nobody(realm: &mut Joined) -> libkrb::ccache::Credential {
    let client = Principal::anonymous().in_realm(REALM);
    let course = run(realm, exchange(&client, means(None)), &mut |_| {});
    course.outcome.expect("a ticket").credential
}

fn service(realm: &mut Joined, tgt: &libkrb::ccache::Credential) -> Result<libkrb::ccache::Credential> {
    let mut exchange = TgsExchange::new(TgsRequest::new(tgt.clone(), name("host/a.example.org")))?;
    let (mut random, mut reply) = (Sequence(3), None);
    loop {
        realm.tick();
        match exchange.step(realm.now, &mut random, reply.as_deref())? {
            Step::Done(outcome) => return Ok(outcome.credential),
            Step::Send { message, .. } => reply = realm.send(&message).reply,
        }
    }
}

#[test]
fn whoever_asks_for_no_name_gets_a_ticket_without_one() {
    let mut realm = realm();
    let tgt = nobody(&mut realm);
    assert_eq!(tgt.client, *Principal::anonymous());
    assert!(tgt.flags.has(TicketFlags::ANONYMOUS | TicketFlags::INITIAL), "{:?}", tgt.flags);
    let ticket = service(&mut realm, &tgt).expect("a service ticket");
    assert_eq!(ticket.client, *Principal::anonymous());
    assert!(ticket.flags.has(TicketFlags::ANONYMOUS));
    let (client, flags) = realm.open(&ticket.ticket, |part| (part.client_realm.to_owned(), part.flags));
    assert_eq!(client, "WELLKNOWN:ANONYMOUS");
    assert!(flags.has(TicketFlags::ANONYMOUS));
}

#[test]
fn a_realm_may_keep_those_without_a_name_from_its_services() {
    let mut realm = realm();
    realm.policy.restrict_anonymous_to_tgt = true;
    let tgt = nobody(&mut realm);
    assert_eq!(service(&mut realm, &tgt).expect_err("refused").wire_code(), E::POLICY);
    let client = Principal::anonymous().in_realm(REALM);
    let asking = Asking { client, server: Some(name("host/a.example.org")), ..Asking::login("alice") };
    let request = realm.as_req(&asking.with(KdcOptions::REQUEST_ANONYMOUS), None);
    assert_eq!(as_error(&realm.send(&request).reply.expect("a reply")), Some(E::POLICY));
    login(&mut realm, "alice", "alice").expect("somebody is not nobody");
}

#[test]
fn nobody_makes_the_kdc_compute_in_a_dear_group_unless_the_realm_wants_it() {
    let client = Principal::anonymous().in_realm(REALM);
    let with = |least_group| PkinitMeans { least_group, ..means(None) };
    for (least, does) in [
        (Group::Modp2048, true),
        (Group::P256, true),
        (Group::Modp4096, false),
        (Group::P384, false),
        (Group::P521, false),
    ] {
        let course = run(&mut realm(), exchange(&client, with(least)), &mut |_| {});
        assert_eq!(course.outcome.is_ok(), does, "{least:?}");
        assert_eq!(course.refusals.contains(&E::DH_KEY_PARAMETERS_NOT_ACCEPTED), !does, "{least:?}");
    }
    for least in [Group::Modp4096, Group::P384] {
        let mut strict = realm_with(kdc::core::Pkinit { least_group: least, ..pkinit() });
        let course = run(&mut strict, exchange(&client, with(Group::Modp2048)), &mut |_| {});
        assert!(course.outcome.is_ok(), "the realm's own: {:?}", course.outcome);
        let course = run(&mut strict, exchange(&client, with(Group::P521)), &mut |_| {});
        assert!(course.outcome.is_err(), "and none beyond");
    }
}

#[test]
fn a_login_in_nobodys_armor_is_seen_as_that() {
    let mut realm = realm();
    let request = AsRequest::new(name("alice")).armored(nobody(&mut realm));
    let mut exchange = AsExchange::new(request, Secret::password("secret"));
    realm.tick();
    let Ok(Step::Send { message, .. }) = exchange.step(realm.now, &mut Sequence(5), None) else { panic!("no message") };
    assert_eq!(realm.send(&message).event.armor, "anonymous");
}

#[test]
fn name_and_option_go_together() {
    let mut realm = realm();
    let client = Principal::anonymous().in_realm(REALM);
    for asking in [
        Asking { client: client.clone(), ..Asking::login("alice") },
        Asking::login("alice").with(KdcOptions::REQUEST_ANONYMOUS),
    ] {
        let request = realm.as_req(&asking, None);
        assert_eq!(as_error(&realm.send(&request).reply.expect("a reply")), Some(E::BADOPTION));
    }
    let tgt = realm.login(&Asking::login("alice")).expect("a ticket");
    let request = realm.tgs_req(&tgt, &Asking::service("host/a.example.org").with(KdcOptions::REQUEST_ANONYMOUS));
    assert_eq!(as_error(&realm.send(&request).reply.expect("a reply")), Some(E::BADOPTION));
}

#[test]
fn a_realm_without_pkinit_or_without_the_principal_gives_no_such_tickets() {
    let asking = || {
        let client = Principal::anonymous().in_realm(REALM);
        Asking { client, ..Asking::login("alice") }.with(KdcOptions::REQUEST_ANONYMOUS)
    };
    let mut bare = Joined::new();
    let request = bare.as_req(&asking(), None);
    assert_eq!(as_error(&bare.send(&request).reply.expect("a reply")), Some(E::C_PRINCIPAL_UNKNOWN));
    bare.add(Principal::anonymous().in_realm(REALM), |_| {});
    let request = bare.as_req(&asking(), None);
    assert_eq!(as_error(&bare.send(&request).reply.expect("a reply")), Some(E::NULL_KEY));
}

#[test]
fn somebody_with_a_certificate_is_not_nobody() {
    let mut realm = realm();
    let client = Principal::anonymous().in_realm(REALM);
    // Its own exchange leaves the certificate out, so that it stays without a name.
    let course = run(&mut realm, exchange(&client, means(Some("alice"))), &mut |_| {});
    assert_eq!(course.outcome.expect("a ticket").credential.client, *Principal::anonymous());
}
