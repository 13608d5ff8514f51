//! Who fails too often is turned away, and nobody else is.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::time::Duration;

use kdc::core::Policy;
use kdc::net::Limits;
use kdc::net::guard::{Answer, Rate, Rates, Rule};
use libkrb::ErrorCode;
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, OsRandom};
use tests::joined::{Asking, REALM, as_error};

use crate::served::*;

/// Failures that are allowed within an hour, which no test takes.
fn limited(rule: Rule, count: u32, answer: Answer) -> Rates {
    let rate = Rate { count, period: Duration::from_secs(3600) };
    Rates { rates: Rule::ALL.map(|each| (each == rule).then_some(rate)), answer, memory: 1 << 20, ..Rates::default() }
}

fn served_guarded(rates: Rates) -> Served {
    let served = served();
    served.responder.govern(Policy::new(REALM), rates, &Limits::default());
    served
}

fn guess(served: &mut Served, client: &str) -> Vec<u8> {
    let _ = served.login();
    let wrong = Key::random(EncryptionType::AES256_SHA1, &mut OsRandom::new()).expect("a key");
    served.client.as_req(&Asking::login(client), Some(&wrong))
}

#[test]
fn a_source_that_guesses_over_udp_is_sent_to_tcp_where_its_address_is_its_own() {
    let mut served = served_guarded(limited(Rule::SourceFailures, 3, Answer::Error));
    for _ in 0..3 {
        let request = guess(&mut served, "alice");
        assert_error(&served.ask(&request), ErrorCode::PREAUTH_FAILED);
    }
    let request = served.login();
    assert_error(&served.ask(&request), ErrorCode::RESPONSE_TOO_BIG);
    let reply = exchange(&mut served.connection(), &request).expect("a reply over TCP");
    served.open(&reply).expect("a ticket");
    // Another address is another source.
    let socket = UdpSocket::bind("127.0.0.2:0").expect("a socket");
    socket.connect(served.address()).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = served.login();
    socket.send(&request).expect("a sent datagram");
    served.open(&receive(&socket)).expect("a ticket");
    assert_eq!(served.responder.guard().turned().away(Rule::SourceFailures), 1);
}

#[test]
fn a_source_that_guesses_over_tcp_is_told_to_wait_or_hears_nothing() {
    for answer in [Answer::Error, Answer::Drop] {
        let mut served = served_guarded(limited(Rule::SourceFailures, 2, answer));
        for _ in 0..2 {
            let request = guess(&mut served, "alice");
            let reply = exchange(&mut served.connection(), &request).expect("a reply");
            assert_error(&reply, ErrorCode::PREAUTH_FAILED);
        }
        let request = served.login();
        let mut stream = served.connection();
        stream.write_all(&frame(&request)).expect("a sent request");
        if answer == Answer::Error {
            assert_error(&message(&mut stream).expect("a reply"), ErrorCode::POLICY);
        } else {
            assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "closed");
        }
        let reply = served.ask(&request);
        served.open(&reply).expect("a ticket over UDP, which nobody has misused");
    }
}

#[test]
fn with_names_hidden_a_limit_tells_no_more_of_a_name_than_without_one() {
    for rule in [Rule::SourceFailures, Rule::PrincipalFailures] {
        let answers = ["alice", "nobody"].map(|client| {
            let mut served = served();
            let policy = Policy { hide_unknown_clients: true, ..Policy::new(REALM) };
            served.responder.govern(policy, limited(rule, 2, Answer::Error), &Limits::default());
            let requests = [(); 5].map(|()| guess(&mut served, client));
            requests.map(|request| exchange(&mut served.connection(), &request).as_deref().and_then(as_error))
        });
        let [failed, policy] = [ErrorCode::PREAUTH_FAILED, ErrorCode::POLICY].map(Some);
        assert_eq!(answers, [[failed, failed, policy, policy, policy]; 2], "{rule:?}");
    }
}

#[test]
fn a_change_of_the_rules_keeps_who_is_limited_and_forgets_it_with_the_limit() {
    let rates = limited(Rule::SourceFailures, 1, Answer::Error);
    let mut served = served_guarded(rates.clone());
    let request = guess(&mut served, "alice");
    assert_error(&served.ask(&request), ErrorCode::PREAUTH_FAILED);
    let govern = |served: &Served, rates| served.responder.govern(Policy::new(REALM), rates, &Limits::default());
    govern(&served, rates);
    let request = served.login();
    assert_error(&served.ask(&request), ErrorCode::RESPONSE_TOO_BIG);
    govern(&served, Rates::default());
    let reply = served.ask(&request);
    served.open(&reply).expect("a ticket");
    assert_eq!(served.responder.guard().turned().away(Rule::SourceFailures), 1, "counted on");
}
