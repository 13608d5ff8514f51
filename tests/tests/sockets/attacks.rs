//! Strangers who mean no good: A6 and B19 of the list of attacks, and junk.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use kdc::net::Limits;
use libkrb::ErrorCode;

use crate::served::*;

fn tight() -> Limits {
    Limits {
        idle_timeout: Duration::from_millis(300),
        request_timeout: Duration::from_millis(300),
        ..Limits::default()
    }
}

#[test]
fn a6_an_announced_length_beyond_all_bounds_is_refused_and_the_connection_closed() {
    let mut served = served();
    let too_long = Limits::default().max_request as u32 + 1;
    for length in [u32::MAX, 0x8000_0000, 0x8000_0001, 0x7fff_ffff, too_long] {
        let mut stream = served.connection();
        stream.write_all(&length.to_be_bytes()).expect("a sent length");
        assert_error(&message(&mut stream).expect("a refusal"), ErrorCode::FIELD_TOOLONG);
        assert!(is_closed(&mut stream), "{length:#x}");
    }
    served.assert_serves();
}

#[test]
fn a6_the_refusal_arrives_although_more_was_on_its_way() {
    let served = served();
    let mut stream = served.connection();
    stream.write_all(&[0xff; 100_000]).expect("sent bytes");
    assert_error(&message(&mut stream).expect("a refusal"), ErrorCode::FIELD_TOOLONG);
    assert!(is_closed(&mut stream));
}

#[test]
fn a6_who_dribbles_bytes_loses_the_connection_and_nobody_waits_for_him() {
    let mut served = served_with(&["127.0.0.1:0"], tight());
    let mut dribbling = served.connection();
    dribbling.write_all(&[0, 0, 1]).expect("sent bytes");
    served.assert_serves();
    let mut half = served.connection();
    half.write_all(&frame(&[0x6a; 200])[..100]).expect("sent bytes");
    served.assert_serves();
    assert!(is_closed(&mut dribbling) && is_closed(&mut half));
}

#[test]
fn a6_a_silent_connection_is_closed_in_time() {
    let served = served_with(&["127.0.0.1:0"], tight());
    assert!(is_closed(&mut served.connection()));
}

#[test]
fn a6_a_long_request_is_answered_when_it_arrives_in_time() {
    let mut served = served();
    let mut stream = served.connection();
    let junk = frame(&vec![0; Limits::default().max_request]);
    for piece in junk.chunks(50_000) {
        stream.write_all(piece).expect("sent bytes");
    }
    assert_error(&message(&mut stream).expect("a refusal"), ErrorCode::MSG_TYPE);
    let request = served.login();
    served.open(&exchange(&mut stream, &request).expect("a reply")).expect("a ticket");
}

#[test]
fn a6_thousands_of_idle_connections_keep_nobody_from_being_served() {
    let limits = Limits { connections: 2_000, connections_per_peer: 1_900, ..Limits::default() };
    let mut served = served_with(&["127.0.0.1:0"], limits);
    let mut idle = vec![];
    for number in 0..3_000 {
        let mut stream = served.connection();
        // Some are silent, some have begun something.
        let begun = &frame(&[0x6a; 100])[..number % 60];
        match stream.write_all(begun) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe || error.kind() == ErrorKind::ConnectionReset => {}
            sent => sent.expect("sent bytes"),
        }
        idle.push(stream);
        if number % 500 == 0 {
            served.assert_serves();
        }
    }
    served.assert_serves();
    let closed = |stream: &mut TcpStream| {
        stream.set_nonblocking(true).expect("a socket");
        !matches!(std::io::Read::read(stream, &mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    };
    assert!(is_closed(&mut idle[0]), "the longest idle make room");
    assert!(!closed(&mut idle[2_999]) && !closed(&mut idle[2_500]), "the others stay");
}

#[test]
fn a6_a_connection_in_use_outlives_the_idle_ones() {
    let limits = Limits { connections: 3, connections_per_peer: 3, ..Limits::default() };
    let mut served = served_with(&["127.0.0.1:0"], limits);
    let mut used = served.connection();
    let mut idle = vec![];
    for _ in 0..10 {
        let mut stream = served.connection();
        // An answer shows that the connection has its place.
        assert_error(&exchange(&mut stream, &[0]).expect("an error"), ErrorCode::MSG_TYPE);
        idle.push(stream);
        let request = served.login();
        served.open(&exchange(&mut used, &request).expect("a reply")).expect("a ticket");
    }
    assert!(idle.iter_mut().take(8).all(is_closed));
}

#[test]
fn a6_whoever_announces_much_and_sends_nothing_delays_only_long_requests() {
    let limits = Limits { request_memory: 256 << 10, ..Limits::default() };
    let mut served = served_with(&["127.0.0.1:0"], limits);
    let greedy = (0..20).map(|_| {
        let mut stream = served.connection();
        stream.write_all(&(128_u32 << 10).to_be_bytes()).expect("a sent length");
        stream
    });
    let _greedy = greedy.collect::<Vec<_>>();
    served.assert_serves();
}

#[test]
fn b19_junk_is_answered_with_nothing_longer_than_itself_and_stops_nothing() {
    let mut served = served();
    let socket = served.datagrams();
    let mut state = 1_u64;
    let mut junk = |length: usize| {
        let bytes = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        bytes.take(length).collect::<Vec<_>>()
    };
    let login = served.login();
    let mut sent = vec![vec![], vec![0x6a], vec![0x6a, 0xff], vec![0x6c, 0x80], vec![0x30; 60_000]];
    sent.extend((0..200).map(|length| junk(length * 3)));
    sent.extend((0..login.len()).step_by(7).map(|end| login[..end].to_vec()));
    // Replies and errors of other KDCs are no requests.
    sent.extend([0x6b, 0x6d, 0x7e].map(|tag| [&[tag], &login[1..]].concat()));
    for bytes in &sent {
        socket.send(bytes).expect("a sent datagram");
    }
    // The last question and its answer show that all before were dealt with by the same thread.
    let last = served.login();
    socket.send(&last).expect("a sent datagram");
    let longest = sent.iter().map(Vec::len).max().expect("junk");
    loop {
        let reply = receive(&socket);
        if served.open(&reply).is_ok() {
            break;
        }
        assert_error(&reply, ErrorCode::GENERIC);
        assert!(reply.len() <= longest);
    }
    served.assert_serves();
}

#[test]
fn b19_a_short_piece_of_junk_gets_no_answer_and_a_long_one_none_without_a_requests_tag() {
    let mut served = served();
    let socket = served.datagrams();
    for length in 0..60 {
        socket.send(&vec![0x6a; length]).expect("a sent datagram");
    }
    // Nor does a long one that is no request, over UDP.
    for tag in [0x00, 0x30, 0x4a, 0x61, 0x70, 0x7f] {
        socket.send(&vec![tag; 10_000]).expect("a sent datagram");
    }
    let last = served.login();
    socket.send(&last).expect("a sent datagram");
    served.open(&receive(&socket)).expect("the answer to the only question");
}

#[test]
fn junk_over_tcp_gets_an_error_and_the_connection_lives() {
    let mut served = served();
    let mut stream = served.connection();
    for junk in [&[0x6a, 0x80][..], &[0x6c; 500]] {
        assert_error(&exchange(&mut stream, junk).expect("an error"), ErrorCode::GENERIC);
    }
    // Another tag, a tag above 30, and what is no message at all (RFC 4120 5.1.4, 5.1.5).
    for junk in [&[][..], &[0], &[0x30; 500], &[0x70, 0], &[0x7f, 0x1f, 0], &[0x4a, 0]] {
        assert_error(&exchange(&mut stream, junk).expect("an error"), ErrorCode::MSG_TYPE);
    }
    let request = served.login();
    served.open(&exchange(&mut stream, &request).expect("a reply")).expect("a ticket");
    // A KDC does not talk with a KDC.
    assert!(exchange(&mut stream, &[0x7e, 0x00]).is_none());
}

#[test]
fn a6_a_datagram_longer_than_any_request_wakes_nobody_and_gets_no_answer() {
    let mut served = served();
    let socket = served.datagrams();
    for length in [16_385, 20_000, 60_000] {
        socket.send(&vec![0x6a; length]).expect("a sent datagram");
    }
    socket.send(&vec![0x6a; 16_384]).expect("a sent datagram");
    let last = served.login();
    socket.send(&last).expect("a sent datagram");
    assert_error(&receive(&socket), ErrorCode::GENERIC);
    served.open(&receive(&socket)).expect("a ticket: the second of two answers");
    served.assert_serves();
}
