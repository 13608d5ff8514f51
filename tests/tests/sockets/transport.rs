//! UDP and TCP as honest clients use them.

use std::io::Write;
use std::net::Shutdown;

use kdc::net::{Limits, Listener};
use libkrb::ErrorCode;
use tests::joined::Asking;

use crate::served::*;

#[test]
fn udp_and_tcp_answer_on_the_same_port_over_ipv4_and_ipv6() {
    let mut served = served_with(&["127.0.0.1:0", "[::1]:0"], Limits::default());
    for address in served.addresses.clone() {
        let request = served.login();
        let socket = datagrams(address);
        socket.send(&request).expect("a sent datagram");
        served.open(&receive(&socket)).expect("a ticket over UDP");
        let request = served.login();
        let reply = exchange(&mut connection(address), &request).expect("a reply");
        served.open(&reply).expect("a ticket over TCP");
    }
}

#[test]
fn a_wildcard_listener_replies_from_the_address_that_was_asked() {
    let mut served = served_with(&["0.0.0.0:0"], Limits::default());
    let mut address = served.address();
    for last in [1, 2, 77] {
        address.set_ip([127, 0, 0, last].into());
        let socket = datagrams(address);
        socket.send(&served.login()).expect("a sent datagram");
        served.open(&receive(&socket)).expect("a ticket");
    }
}

#[test]
fn the_wildcards_of_both_families_share_a_port() {
    let v4 = Listener::bind("0.0.0.0:0".parse().expect("an address")).expect("sockets");
    let port = v4.address().port();
    drop(v4);
    let mut served = served_with(&[&format!("0.0.0.0:{port}"), &format!("[::]:{port}")], Limits::default());
    for address in ["127.0.0.1", "::1"] {
        let socket = datagrams((address.parse::<std::net::IpAddr>().expect("an address"), port).into());
        socket.send(&served.login()).expect("a sent datagram");
        served.open(&receive(&socket)).expect("a ticket");
    }
}

#[test]
fn a_connection_takes_many_requests_one_after_the_other() {
    let mut served = served();
    let mut stream = served.connection();
    for _ in 0..20 {
        let request = served.login();
        let reply = exchange(&mut stream, &request).expect("a reply");
        served.open(&reply).expect("a ticket");
    }
}

#[test]
fn requests_that_are_sent_together_are_answered_in_order() {
    let mut served = served();
    let asking = |nonce| Asking { nonce, ..Asking::login("alice") };
    let requests = (1..=20).map(|nonce| frame(&served.login_asking(&asking(nonce)))).collect::<Vec<_>>();
    let mut stream = served.connection();
    stream.write_all(&requests.concat()).expect("sent requests");
    for nonce in 1..=20 {
        let reply = message(&mut stream).expect("a reply");
        assert_eq!(served.open(&reply).expect("a ticket").nonce, nonce);
    }
}

#[test]
fn a_client_that_ends_its_sending_side_still_gets_its_answer() {
    let mut served = served();
    let mut stream = served.connection();
    stream.write_all(&frame(&served.login())).expect("a sent request");
    stream.shutdown(Shutdown::Write).expect("an end");
    let reply = message(&mut stream).expect("a reply");
    served.open(&reply).expect("a ticket");
    assert!(is_closed(&mut stream));
}

#[test]
fn an_answer_too_big_for_udp_sends_the_client_to_tcp_where_it_gets_it() {
    let limits = Limits { max_udp_reply: 300, ..Limits::default() };
    let mut served = served_with(&["127.0.0.1:0"], limits);
    let request = served.login();
    let refusal = served.ask(&request);
    assert_error(&refusal, ErrorCode::RESPONSE_TOO_BIG);
    assert!(refusal.len() <= request.len());
    let reply = exchange(&mut served.connection(), &request).expect("a reply");
    served.open(&reply).expect("a ticket for the same request, not a replay");
}

#[test]
fn a_port_that_is_taken_is_said_to_be() {
    let first = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("sockets");
    let error = Listener::bind(first.address()).expect_err("taken").to_string();
    let expected = format!("cannot listen on {} (TCP): the port is in use; end the program", first.address());
    assert!(error.starts_with(&expected), "{error}");
    // The same number may be taken for TCP by another test: then once more.
    let of_udp = std::iter::repeat_with(|| {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        Listener::bind(udp.local_addr().expect("an address")).expect_err("taken").to_string()
    });
    assert!(of_udp.take(100).any(|error| error.contains("(UDP): the port is in use")));
    let error = Listener::bind("192.0.2.1:0".parse().expect("an address")).expect_err("not ours").to_string();
    assert!(error.contains("no interface of this machine has this address"), "{error}");
}

#[test]
fn of_many_datagrams_at_once_each_client_gets_its_own_answer() {
    let mut served = served();
    // Nothing is answered until all of them wait, so they come in batches.
    served.gate.close_to("udp-");
    let sent: Vec<_> = (1..=100)
        .map(|nonce| {
            let (socket, request) =
                (served.datagrams(), served.login_asking(&Asking { nonce, ..Asking::login("alice") }));
            socket.send(&request).expect("a sent datagram");
            (socket, nonce)
        })
        .collect();
    served.gate.open();
    for (socket, nonce) in sent {
        let tgt = served.open(&receive(&socket)).expect("a TGT");
        assert_eq!(tgt.nonce, nonce);
    }
}

#[test]
fn the_audit_has_a_request_before_its_client_hears_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit");
    let audit = kdc::observe::Audit::open(&path).expect("an audit");
    let observer = kdc::observe::Observer::new(Some(audit));
    let mut served = served_watched(&["127.0.0.1:0"], Limits::default(), observer);
    let issued = || std::fs::read_to_string(&path).expect("lines").matches("\"issued\"").count();
    for answered in 1..=20 {
        let request = served.login();
        let reply = match answered % 2 {
            0 => served.ask(&request),
            _ => exchange(&mut served.connection(), &request).expect("a reply"),
        };
        assert!(served.open(&reply).is_ok());
        assert_eq!(issued(), answered);
    }
}
