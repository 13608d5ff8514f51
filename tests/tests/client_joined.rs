//! The library's client and the KDC, joined in memory with the clock in hand: every exchange of
//! RFC 4120 from a password to a message for a service. Not here: bent messages (attacks) and the
//! KDC's own rules (conformance).

use std::sync::Arc;

use kdc::core::Attributes;
use libkrb::ccache::{Address, Credential};
use libkrb::client::{
    ApExchange, ApRequest, AsExchange, AsRequest, Exchange, Outcome, Secret, Step, TgsExchange, TgsRequest, User,
};
use libkrb::codes::{AddressType, EncryptionType, NameType, PaType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::preauth::enc_challenge::{self, Speaker};
use libkrb::preauth::{KeyHint, Means, fast};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::time::Instant;
use libkrb::{Error, ErrorCode, Principal, Result, Time, wire};
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

/// A host's ticket, for armor.
fn armor(kdc: &mut Joined) -> Credential {
    let key = kdc.key("host/b.example.org", EncryptionType::AES256_SHA1);
    let request = AsRequest::new(name("host/b.example.org"));
    run(kdc, &mut AsExchange::new(request, Secret::Keys(vec![(1, key)]))).expect("a host's ticket").credential
}

fn armored(kdc: &mut Joined, request: AsRequest, secret: Secret) -> Result<Outcome> {
    let ticket = armor(kdc);
    run(kdc, &mut AsExchange::new(request.armored(ticket), secret))
}

#[test]
fn a_login_in_fast_is_by_encrypted_challenge_and_hides_what_it_is_told_to() {
    for hide_client in [false, true] {
        let mut kdc = Joined::new();
        let request = AsRequest { hide_client, ..AsRequest::new(name("alice")) };
        let outcome = armored(&mut kdc, request, password()).expect("a login");
        assert_eq!(outcome.preauth, Some(PaType::ENCRYPTED_CHALLENGE));
        assert_eq!(outcome.credential.client, name("alice"));
        assert!(outcome.fast_available);
    }
}

#[test]
fn a_login_is_by_spake_and_in_fast_too_where_that_is_preferred() {
    let mut kdc = Joined::new();
    assert_eq!(login(&mut kdc, |_| ()).expect("a login").preauth, Some(PaType::SPAKE));
    let means = Means { preferred: vec![PaType::SPAKE], ..Means::default() };
    let exchange = AsExchange::with_means(AsRequest::new(name("alice")), password(), means);
    let ticket = armor(&mut kdc);
    let outcome = run(&mut kdc, &mut exchange.armored(ticket).expect("armor")).expect("a login in FAST");
    assert_eq!(outcome.preauth, Some(PaType::SPAKE));
}

#[test]
fn nothing_of_a_client_that_hides_is_to_be_seen() {
    let mut kdc = Joined::new();
    let ticket = armor(&mut kdc);
    let request = AsRequest { hide_client: true, ..AsRequest::new(name("alice")) };
    let mut exchange = AsExchange::new(request.armored(ticket), password());
    let mut reply: Option<Vec<u8>> = None;
    loop {
        kdc.tick();
        match exchange.step(kdc.now, &mut Sequence(7), reply.as_deref()).expect("a step") {
            Step::Done(_) => break,
            Step::Send { message, .. } => {
                let answer = kdc.send(&message).reply.expect("a reply");
                for bytes in [&message, &answer] {
                    assert!(!bytes.windows(5).any(|part| part == b"alice"));
                }
                reply = Some(answer);
            }
        }
    }
}

#[test]
fn a_wrong_password_is_told_as_such_in_fast_too() {
    let mut kdc = Joined::new();
    let outcome = armored(&mut kdc, AsRequest::new(name("alice")), Secret::password("incorrect donkey"));
    assert_eq!(outcome.expect_err("no login"), Error::PasswordIncorrect);
}

#[test]
fn a_salt_that_is_known_from_before_saves_a_round_in_fast() {
    let mut kdc = Joined::new();
    let ticket = armor(&mut kdc);
    let hint = KeyHint::plain(EncryptionType::AES256_SHA1);
    let request = AsRequest { key_hint: Some(hint), ..AsRequest::new(name("alice")) };
    let mut exchange = AsExchange::new(request.armored(ticket), password());
    let Ok(Step::Send { message, .. }) = exchange.step(kdc.now, &mut Sequence(7), None) else { panic!("no message") };
    let reply = kdc.send(&message).reply.expect("a reply");
    assert!(matches!(exchange.step(kdc.now, &mut Sequence(8), Some(&reply)), Ok(Step::Done(_))));
}

#[test]
fn a_client_whose_clock_is_wrong_follows_the_kdcs_in_fast() {
    let mut kdc = Joined::new();
    let ticket = armor(&mut kdc);
    for ahead in [-4000, 4000] {
        let request = AsRequest::new(name("alice"));
        let mut exchange = AsExchange::new(request.armored(ticket.clone()), password());
        assert!(run_with_clock(&mut kdc, &mut exchange, ahead).is_ok(), "{ahead}");
    }
}

#[test]
fn only_a_ticket_granting_ticket_of_the_clients_realm_is_armor() {
    let mut kdc = Joined::new();
    let mut other = armor(&mut kdc);
    let service = tgs(&mut kdc, TgsRequest::new(other.clone(), service())).expect("a ticket");
    let mut tried = |armor| {
        let request = AsRequest::new(name("alice")).armored(armor);
        run(&mut kdc, &mut AsExchange::new(request, password()))
    };
    assert!(matches!(tried(service), Err(Error::Protocol { code: ErrorCode::NO_TGT, .. })));
    other.server = Principal::tgs("ELSEWHERE");
    assert!(matches!(tried(other), Err(Error::NoArmor(realm)) if realm == REALM));
}

/// What becomes of an armored login when somebody bends each answer.
fn bent(bend: impl Fn(&mut Joined, &[u8], Vec<u8>) -> Vec<u8>) -> Error {
    let mut kdc = Joined::new();
    let ticket = armor(&mut kdc);
    let mut exchange = AsExchange::new(AsRequest::new(name("alice")).armored(ticket), password());
    let mut random = Sequence(7);
    let mut reply: Option<Vec<u8>> = None;
    for _ in 0..10 {
        kdc.tick();
        match exchange.step(kdc.now, &mut random, reply.as_deref()) {
            Err(error) => return error,
            Ok(Step::Done(_)) => panic!("the login should fail"),
            Ok(Step::Send { message, .. }) => {
                let answer = kdc.send(&message).reply.expect("a reply");
                reply = Some(bend(&mut kdc, &message, answer));
            }
        }
    }
    panic!("the exchange does not end");
}

#[test]
fn a_client_in_fast_takes_no_answer_outside_of_it() {
    // Somebody who does not know the armor key answers for the KDC.
    let wanted = wire::encode(&wire::List::Items(&[wire::PaData { kind: PaType::ENC_TIMESTAMP, value: &[] }]));
    let downgrade = bent(|_, _, answer| match wire::decode::<wire::KrbError<'_>>(&answer) {
        Ok(error) => wire::encode(&wire::KrbError { data: Some(&wanted), ..error }),
        Err(_) => answer,
    });
    assert!(matches!(downgrade, Error::Protocol { code: ErrorCode::PREAUTH_REQUIRED, .. }), "{downgrade:?}");
    let stripped = bent(|_, _, answer| match wire::decode::<wire::KdcRep<'_>>(&answer) {
        Ok(rep) => wire::encode(&wire::KdcRep { padata: wire::List::default(), ..rep }),
        Err(_) => answer,
    });
    assert_eq!(stripped, Error::ReplyMismatch("an answer outside of FAST to a request in it"));
}

#[test]
fn a_client_in_fast_takes_no_other_ticket_than_the_envelope_vouches_for() {
    let other = bent(|kdc, _, answer| {
        let other = armor(kdc);
        match wire::decode::<wire::KdcRep<'_>>(&answer) {
            Ok(rep) => {
                let ticket = wire::Raw::parse(&other.ticket).expect("a ticket");
                wire::encode(&wire::KdcRep { ticket, ..rep })
            }
            Err(_) => answer,
        }
    });
    assert_eq!(other, Error::ReplyMismatch("another ticket than the envelope vouches for"));
}

#[test]
fn an_answer_to_an_earlier_message_of_the_conversation_is_none() {
    let earlier = std::cell::RefCell::new(None::<Vec<u8>>);
    let replayed = bent(|_, _, answer| earlier.borrow_mut().get_or_insert(answer).clone());
    assert_eq!(replayed, Error::ReplyMismatch("another nonce in the envelope"));
}

#[test]
fn tickets_are_got_in_fast_and_answers_outside_of_it_are_those_of_an_old_kdc() {
    let mut kdc = Joined::new();
    let first = tgt(&mut kdc, |_| ());
    let request = TgsRequest { armored: true, ..TgsRequest::new(first.clone(), service()) };
    let ticket = tgs(&mut kdc, request.clone()).expect("a ticket");
    assert_eq!((ticket.client, ticket.server), (name("alice"), service()));
    let unknown = TgsRequest { armored: true, ..TgsRequest::new(first, name("host/nowhere.example.org")) };
    let refused = tgs(&mut kdc, unknown).expect_err("no ticket");
    assert!(matches!(refused, Error::Protocol { code: ErrorCode::S_PRINCIPAL_UNKNOWN, .. }), "{refused:?}");
    // Who takes the envelope away meets a KDC that misses it.
    let mut exchange = TgsExchange::new(request).expect("a TGT");
    let Ok(Step::Send { message, .. }) = exchange.step(kdc.now, &mut Sequence(7), None) else { panic!("no message") };
    let sent: wire::KdcReq<'_> = wire::decode(&message).expect("a request");
    let header: Vec<_> = sent.padata.iter().filter(|element| element.kind == PaType::TGS_REQ).collect();
    let bare = wire::encode(&wire::KdcReq { padata: wire::List::Items(&header).into(), ..sent });
    let reply = kdc.send(&bare).reply.expect("a reply");
    assert_eq!(tests::joined::as_error(&reply), Some(ErrorCode::MODIFIED));
}

/// A realm in which the one service may act for users at the other, and that service's own ticket.
fn acting(kdc: &mut Joined) -> Credential {
    kdc.change("host/a.example.org", |entry| {
        entry.attributes = Attributes::OK_TO_AUTH_AS_DELEGATE;
        entry.strings.insert("allowed_to_delegate_to".into(), "host/b.example.org".into());
    });
    let key = kdc.key("host/a.example.org", EncryptionType::AES256_SHA1);
    let mut request = AsRequest::new(service());
    request.options |= KdcOptions::FORWARDABLE;
    let secret = Secret::Keys(vec![(1, key)]);
    run(kdc, &mut AsExchange::new(request, secret)).expect("the service's own ticket").credential
}

#[test]
fn a_service_acts_for_a_user_by_each_name_and_with_the_ticket_that_it_was_shown() {
    let mut kdc = Joined::new();
    let own = acting(&mut kdc);
    let enterprise = Principal::parse_enterprise("alice", Some(REALM)).expect("a name");
    let target = name("host/b.example.org");
    let shown = {
        let tgt = tgt(&mut kdc, |request| request.options |= KdcOptions::FORWARDABLE);
        let ticket = tgs(&mut kdc, TgsRequest::new(tgt, service())).expect("alice's ticket");
        let (_, bytes) = ApExchange::new(&ticket, &ApRequest::default(), kdc.now, &mut Sequence(5)).expect("an AP-REQ");
        let options = Options { keep_tickets: true, ..Options::default() };
        let replay = Arc::new(MemoryReplayCache::new(300, 10));
        let acceptor = Acceptor::new(&kdc.keytab(&["host/a.example.org"]), options, replay).expect("a keytab");
        let accepted = acceptor.accept(kdc.now, &mut Sequence(6), &bytes, None).expect("alice");
        accepted.shown().expect("the ticket is kept")
    };
    let mut tickets = vec![shown];
    for user in [name("alice"), enterprise] {
        let ticket = tgs(&mut kdc, TgsRequest::for_user(own.clone(), User::Named(user))).expect("a ticket to itself");
        assert_eq!((&ticket.client, &ticket.server), (&name("alice"), &service()));
        tickets.push(ticket);
    }
    for evidence in tickets {
        let ticket = tgs(&mut kdc, TgsRequest::on_behalf(own.clone(), target.clone(), &evidence)).expect("a ticket");
        assert_eq!((&ticket.client, &ticket.server), (&name("alice"), &target));
        assert!(!ticket.is_skey && ticket.second_ticket.is_empty());
        let away = TgsRequest::on_behalf(own.clone(), service(), &evidence);
        let refused = tgs(&mut kdc, away).expect_err("not on the list");
        assert!(matches!(refused, Error::Protocol { code: ErrorCode::BADOPTION, .. }), "{refused}");
    }
    let elsewhere = TgsRequest::on_behalf(own.clone(), target.in_realm("OTHER.ORG"), &own);
    assert!(TgsExchange::new(elsewhere).is_err(), "in one realm only");
}

/// Runs an exchange over a network on which requests and replies are bent.
fn run_bent(
    kdc: &mut Joined,
    request: TgsRequest,
    ask: impl Fn(Vec<u8>) -> Vec<u8>,
    tell: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Result<Credential> {
    let mut exchange = TgsExchange::new(request)?;
    let Step::Send { message, .. } = exchange.step(kdc.now, &mut Sequence(7), None)? else { panic!("no message") };
    let reply = tell(kdc.send(&ask(message)).reply.expect("a reply"));
    match exchange.step(kdc.now, &mut Sequence(8), Some(&reply))? {
        Step::Done(outcome) => Ok(outcome.credential),
        Step::Send { .. } => panic!("another message"),
    }
}

#[test]
fn a_reply_in_nobodys_name_or_anothers_is_not_taken_for_the_users() {
    let mut kdc = Joined::new();
    let own = acting(&mut kdc);
    let request = || TgsRequest::for_user(own.clone(), User::Named(name("alice")));
    // An old KDC sees an ordinary request; so does one whose padata somebody took away.
    let plain = |message: Vec<u8>| {
        let request = wire::decode::<wire::KdcReq<'_>>(&message).expect("a request");
        let padata: Vec<_> = request.padata.iter().filter(|padata| padata.kind == PaType::TGS_REQ).collect();
        wire::encode(&wire::KdcReq { padata: wire::List::Items(&padata).into(), ..request })
    };
    let refused = run_bent(&mut kdc, request(), plain, |reply| reply).expect_err("the service's own ticket");
    assert!(matches!(refused, Error::ReplyMismatch(_)), "{refused}");
    kdc.tick();
    let unsigned = |reply: Vec<u8>| {
        let reply = wire::decode::<wire::KdcRep<'_>>(&reply).expect("a reply");
        let padata = reply.padata.iter().find(|padata| padata.kind == PaType::FOR_X509_USER).expect("a signed name");
        let mut value = padata.value.to_vec();
        *value.last_mut().expect("a checksum") ^= 1;
        let padata = [wire::PaData { value: &value, ..padata }];
        wire::encode(&wire::KdcRep { padata: wire::List::Items(&padata), ..reply })
    };
    let refused = run_bent(&mut kdc, request(), |message| message, unsigned).expect_err("an unsigned name");
    assert!(matches!(refused, Error::Integrity), "{refused}");
    kdc.tick();
    let evidence = tgs(&mut kdc, request()).expect("a ticket in alice's name");
    kdc.tick();
    let renamed = |reply: Vec<u8>| {
        let reply = wire::decode::<wire::KdcRep<'_>>(&reply).expect("a reply");
        let bob = name("bob");
        wire::encode(&wire::KdcRep { client: (&bob).into(), ..reply })
    };
    let further = TgsRequest::on_behalf(own.clone(), name("host/b.example.org"), &evidence);
    let refused = run_bent(&mut kdc, further, |message| message, renamed).expect_err("bob's ticket");
    assert!(matches!(refused, Error::ReplyMismatch(_)), "{refused}");
}

/// The armor key of a request, as the KDC gets it.
fn armor_key(kdc: &Joined, message: &[u8]) -> Key {
    let request: wire::KdcReq<'_> = wire::decode(message).expect("a request");
    let element = request.padata(PaType::FX_FAST).expect("FAST");
    let wire::PaFxFastRequest(envelope) = wire::decode(element.value).expect("an envelope");
    let ap_req: wire::ApReq<'_> = wire::decode(envelope.armor.expect("armor").value).expect("an AP-REQ");
    let tgs = kdc.key("krbtgt/EXAMPLE.ORG", ap_req.ticket.enc_part.etype);
    let plain = tgs.decrypt(KeyUsage::TICKET, ap_req.ticket.enc_part.cipher).expect("a ticket");
    let session = wire::decode::<wire::EncTicketPart<'_>>(&plain).expect("a ticket").key.key().expect("a key");
    let plain = session.decrypt(KeyUsage::AP_REQ_AUTHENTICATOR, ap_req.authenticator.cipher).expect("readable");
    let said: wire::Authenticator<'_> = wire::decode(&plain).expect("an authenticator");
    fast::armor_key(&said.subkey.expect("a subkey").key().expect("a key"), &session).expect("a key")
}

#[test]
fn a_kdc_that_does_not_prove_itself_by_its_challenge_is_none() {
    // Whoever knows the host's key can open and make envelopes, and does not know the client's.
    for forge in [None, Some(Key::new(EncryptionType::AES256_SHA1, &[7; 32]).expect("a key"))] {
        let unproven = bent(|kdc, message, answer| {
            let Ok(rep) = wire::decode::<wire::KdcRep<'_>>(&answer) else { return answer };
            let key = armor_key(kdc, message);
            let opened = fast::open_response(&key, rep.padata).expect("ours").expect("an envelope");
            let response = opened.response(sealed_nonce(&key, message)).expect("a response");
            let forged = forge.as_ref().map(|other| {
                enc_challenge::make(Speaker::Kdc, &key.prepare_prf(), &other.prepare_prf(), kdc.now, &mut Sequence(9))
                    .expect("a challenge")
            });
            let forged = forged.iter().map(|value| wire::PaData { kind: PaType::ENCRYPTED_CHALLENGE, value });
            let others = response.padata.iter().filter(|element| element.kind != PaType::ENCRYPTED_CHALLENGE);
            let padata: Vec<_> = others.chain(forged).collect();
            let response = wire::KrbFastResponse { padata: wire::List::Items(&padata), ..response };
            let value = fast::Replying::new(&key).seal(&mut Sequence(8), &response);
            let around = [wire::PaData { kind: PaType::FX_FAST, value: &value }];
            wire::encode(&wire::KdcRep { padata: wire::List::Items(&around), ..rep })
        });
        let words = "the KDC does not prove that it knows the client's key";
        assert_eq!(unproven, Error::ReplyMismatch(words));
    }
}

/// The nonce of the request in an envelope.
fn sealed_nonce(key: &Key, message: &[u8]) -> u32 {
    let request: wire::KdcReq<'_> = wire::decode(message).expect("a request");
    let element = request.padata(PaType::FX_FAST).expect("FAST");
    let wire::PaFxFastRequest(envelope) = wire::decode(element.value).expect("an envelope");
    let inside = fast::open_request(key, &envelope, request.body.der).expect("ours");
    inside.request().expect("a request").body.nonce
}
