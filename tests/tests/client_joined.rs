//! The library's client and the KDC, joined in memory with the clock in hand: every exchange of
//! RFC 4120 from a password to a message for a service. Not here: bent messages (attacks) and the
//! KDC's own rules (conformance).

use libkrb::ccache::{Address, Credential};
use libkrb::client::{AsExchange, AsRequest, Exchange, Outcome, Secret, Step, TgsExchange, TgsRequest};
use libkrb::codes::{AddressType, EncryptionType, NameType};
use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::preauth::KeyHint;
use libkrb::time::Instant;
use libkrb::{Error, ErrorCode, Principal, Result, Time};
use tests::joined::{Joined, NOW, PASSWORD, REALM, Sequence, name};

/// Runs an exchange whose client's clock is `ahead` seconds before the KDC's.
fn run_with_clock(kdc: &mut Joined, exchange: &mut dyn Exchange, ahead: i64) -> Result<Outcome> {
    let mut random = Sequence(7);
    let mut reply: Option<Vec<u8>> = None;
    for _ in 0..10 {
        kdc.tick();
        let ours = Instant { time: kdc.now.time + ahead, ..kdc.now };
        match exchange.step(ours, &mut random, reply.as_deref())? {
            Step::Done(outcome) => return Ok(*outcome),
            Step::Send { realm, message } => {
                assert_eq!(realm, REALM);
                reply = Some(kdc.send(&message).reply.expect("a reply"));
            }
        }
    }
    panic!("the exchange does not end");
}

fn run(kdc: &mut Joined, exchange: &mut dyn Exchange) -> Result<Outcome> {
    run_with_clock(kdc, exchange, 0)
}

fn password() -> Secret {
    Secret::password(std::str::from_utf8(PASSWORD).expect("text"))
}

fn login(kdc: &mut Joined, change: impl FnOnce(&mut AsRequest)) -> Result<Outcome> {
    let mut request = AsRequest::new(name("alice"));
    change(&mut request);
    run(kdc, &mut AsExchange::new(request, password()))
}

fn tgt(kdc: &mut Joined, change: impl FnOnce(&mut AsRequest)) -> Credential {
    login(kdc, change).expect("a ticket-granting ticket").credential
}

fn tgs(kdc: &mut Joined, request: TgsRequest) -> Result<Credential> {
    run(kdc, &mut TgsExchange::new(request)?).map(|outcome| outcome.credential)
}

fn service() -> Principal {
    name("host/a.example.org")
}

#[test]
fn a_password_gets_a_ticket_and_that_one_gets_others() {
    let mut kdc = Joined::new();
    let outcome = login(&mut kdc, |_| ()).expect("a login");
    assert!(outcome.preauth.is_some());
    let ticket = tgs(&mut kdc, TgsRequest::new(outcome.credential, service())).expect("a service ticket");
    assert_eq!((ticket.client, ticket.server), (name("alice"), service()));
}

#[test]
fn a_key_of_a_keytab_gets_a_ticket() {
    let mut kdc = Joined::new();
    let key = kdc.key("host/b.example.org", EncryptionType::AES128_SHA1);
    let request = AsRequest::new(name("host/b.example.org"));
    let outcome = run(&mut kdc, &mut AsExchange::new(request, Secret::Keys(vec![(1, key)])));
    assert_eq!(outcome.expect("a login").credential.client, name("host/b.example.org"));
}

#[test]
fn a_wrong_password_is_told_as_such() {
    let mut kdc = Joined::new();
    let request = AsRequest::new(name("alice"));
    let outcome = run(&mut kdc, &mut AsExchange::new(request, Secret::password("incorrect donkey")));
    assert_eq!(outcome.expect_err("no login"), Error::PasswordIncorrect);
}

#[test]
fn what_is_known_from_before_saves_a_round() {
    let mut kdc = Joined::new();
    let hint = KeyHint::plain(EncryptionType::AES256_SHA1);
    let mut exchange = AsExchange::new(AsRequest { key_hint: Some(hint), ..AsRequest::new(name("alice")) }, password());
    let Ok(Step::Send { message, .. }) = exchange.step(kdc.now, &mut Sequence(7), None) else { panic!("no message") };
    let reply = kdc.send(&message).reply.expect("a reply");
    assert!(matches!(exchange.step(kdc.now, &mut Sequence(8), Some(&reply)), Ok(Step::Done(_))));
}

#[test]
fn a_client_whose_clock_is_wrong_follows_the_kdcs() {
    for ahead in [-100_000, 4000] {
        let mut kdc = Joined::new();
        let hint = KeyHint::plain(EncryptionType::AES256_SHA1);
        for key_hint in [None, Some(hint)] {
            let request = AsRequest { key_hint, ..AsRequest::new(name("alice")) };
            let mut exchange = AsExchange::new(request, password());
            let tgt = run_with_clock(&mut kdc, &mut exchange, ahead).expect("a login").credential;
            let (seconds, _) = exchange.clock_offset().and_then(|offset| offset.parts()).expect("an offset");
            assert_eq!(i64::from(seconds), -ahead);
            // A ticket that was got with another clock in hand, on a machine whose clock is off by less
            // than the ticket's life.
            if ahead < 0 {
                let mut exchange = TgsExchange::new(TgsRequest::new(tgt, service())).expect("a TGT");
                assert!(run_with_clock(&mut kdc, &mut exchange, ahead).is_ok());
            }
        }
    }
}

#[test]
fn a_ticket_is_renewed() {
    let mut kdc = Joined::new();
    let first = tgt(&mut kdc, |r| (r.lifetime, r.renewable_for) = (Some(3600), Some(36_000)));
    kdc.wait(1800);
    let second = tgs(&mut kdc, TgsRequest::renew(first.clone())).expect("a renewal");
    assert_eq!(second.server, first.server);
    assert!(second.end_time >= first.end_time + 1800 && second.renew_till == first.renew_till);
}

#[test]
fn a_postdated_ticket_is_validated_when_its_time_has_come() {
    let mut kdc = Joined::new();
    let postdated = tgt(&mut kdc, |r| r.start_in = Some(3600));
    assert!(postdated.flags.has(TicketFlags::INVALID | TicketFlags::POSTDATED));
    let early = tgs(&mut kdc, TgsRequest::validate(postdated.clone()));
    assert_eq!(early.expect_err("too early").wire_code(), ErrorCode::TKT_NYV);
    kdc.wait(3700);
    let valid = tgs(&mut kdc, TgsRequest::validate(postdated)).expect("a validation");
    assert!(!valid.flags.has(TicketFlags::INVALID));
    assert!(tgs(&mut kdc, TgsRequest::new(valid, service())).is_ok());
}

#[test]
fn tickets_are_forwarded_and_made_proxies_for_other_addresses() {
    let mut kdc = Joined::new();
    let elsewhere = || vec![Address { kind: AddressType::IPV4, bytes: vec![192, 0, 2, 1] }];
    let tgt = tgt(&mut kdc, |r| r.options |= KdcOptions::FORWARDABLE | KdcOptions::PROXIABLE);
    let forwarded = tgs(&mut kdc, TgsRequest::forward(tgt.clone(), elsewhere())).expect("a forwarded ticket");
    assert!(forwarded.flags.has(TicketFlags::FORWARDED | TicketFlags::FORWARDABLE));
    assert_eq!(forwarded.addresses, elsewhere());
    let proxy = tgs(&mut kdc, TgsRequest::proxy(tgt, service(), elsewhere())).expect("a proxy");
    assert!(proxy.flags.has(TicketFlags::PROXY));
    assert_eq!(proxy.addresses, elsewhere());
}

#[test]
fn a_user_can_be_a_service_for_another_one() {
    let mut kdc = Joined::new();
    let mine = tgt(&mut kdc, |_| ());
    let theirs = run(&mut kdc, &mut AsExchange::new(AsRequest::new(name("bob")), password())).expect("a login");
    let ticket = tgs(&mut kdc, TgsRequest::user_to_user(mine, name("bob"), theirs.credential.ticket));
    assert!(ticket.expect("a user-to-user ticket").is_skey);
}

#[test]
fn refusals_arrive_with_their_code() {
    let mut kdc = Joined::new();
    let unknown = run(&mut kdc, &mut AsExchange::new(AsRequest::new(name("nobody")), password()));
    assert_eq!(unknown.expect_err("nobody"), Error::code(ErrorCode::C_PRINCIPAL_UNKNOWN));
    let tgt = tgt(&mut kdc, |_| ());
    let nowhere = tgs(&mut kdc, TgsRequest::new(tgt.clone(), name("host/nowhere")));
    assert_eq!(nowhere.expect_err("nowhere"), Error::code(ErrorCode::S_PRINCIPAL_UNKNOWN));
    let not_renewable = tgs(&mut kdc, TgsRequest::renew(tgt));
    assert_eq!(not_renewable.expect_err("not renewable").wire_code(), ErrorCode::BADOPTION);
    kdc.change("alice", |entry| entry.password_expires = Some(Time(NOW.seconds() - 1)));
    assert_eq!(login(&mut kdc, |_| ()).expect_err("expired"), Error::code(ErrorCode::KEY_EXPIRED));
    let change = login(&mut kdc, |r| r.server = Some(Principal::changepw(REALM)));
    assert_eq!(change.expect("a ticket to change it").credential.server, Principal::changepw(REALM));
}

#[test]
fn an_enterprise_name_is_asked_for_as_one() {
    let mut kdc = Joined::new();
    let enterprise = Principal::parse_enterprise("alice@mail.example", Some(REALM)).expect("a name");
    assert_eq!(enterprise.kind(), NameType::ENTERPRISE);
    let outcome = run(&mut kdc, &mut AsExchange::new(AsRequest::new(enterprise), password()));
    assert_eq!(outcome.expect_err("no such alias"), Error::code(ErrorCode::C_PRINCIPAL_UNKNOWN));
}
