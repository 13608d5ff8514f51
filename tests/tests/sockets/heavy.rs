//! Requests that are much work wait for each other, and nobody else waits for them.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use kdc::core::Policy;
use kdc::net::guard::{Answer, Rate, Rates, Rule};
use kdc::net::{Fill, Limits};
use libkrb::ErrorCode;
use libkrb::codes::PaType;
use libkrb::crypto::KeyUsage;
use libkrb::preauth::spake::{GROUPS, client};
use tests::joined::{Asking, Credential, REALM};
use tests::spake::{Talk, Told};

use crate::served::*;

/// A realm with one thread for costly requests and four places to wait, which does none of them yet.
fn busy(answer: Answer) -> (Served, UdpSocket) {
    let limits = Limits { heavy_threads: 1, heavy_queue: 4, ..Limits::default() };
    let mut served = served_with(&["127.0.0.1:0"], limits.clone());
    served.responder.govern(Policy::new(REALM), Rates { answer, ..Rates::default() }, &limits);
    served.gate.close_to("heavy-");
    let socket = served.datagrams();
    let request = challenge_wanted(&mut served);
    socket.send(&request).expect("a sent datagram");
    served.gate.await_readers(1);
    (served, socket)
}

/// A request for a SPAKE challenge; another one each time.
fn challenge_wanted(served: &mut Served) -> Vec<u8> {
    let nonce = served.client.now.micros;
    let padata = vec![(PaType::SPAKE, client::support(&[&GROUPS[0]]))];
    served.client.as_req(&Asking { padata, nonce, ..Asking::login("alice") }, None)
}

/// Sends as many as there is room for, and waits until they wait.
fn fill(served: &mut Served, socket: &UdpSocket) -> Vec<TcpStream> {
    for _ in 0..2 {
        let request = challenge_wanted(served);
        socket.send(&request).expect("a sent datagram");
    }
    await_waiting(served, 2);
    let streams = (0..2).map(|_| {
        let (mut stream, request) = (served.connection(), challenge_wanted(served));
        stream.write_all(&frame(&request)).expect("a sent request");
        stream
    });
    let streams = streams.collect();
    await_waiting(served, 4);
    streams
}

fn await_waiting(served: &Served, count: usize) {
    let start = std::time::Instant::now();
    while served.responder.waiting().waiting != count {
        assert!(start.elapsed() < PATIENCE, "{:?}", served.responder.waiting());
        std::thread::yield_now();
    }
}

fn is_challenge(reply: &[u8]) {
    assert_error(reply, ErrorCode::MORE_PREAUTH_DATA_REQUIRED);
}

#[test]
fn a_login_by_spake_goes_over_both_transports() {
    let mut served = served();
    let key = served.alices_key();
    for over_tcp in [false, true] {
        let send = |served: &mut Served, request: &[u8]| match over_tcp {
            false => served.ask(request),
            true => exchange(&mut served.connection(), request).expect("a reply"),
        };
        let _ = served.login();
        let request = challenge_wanted(&mut served);
        let told = Told::read(&send(&mut served, &request));
        assert_eq!(told.code, ErrorCode::MORE_PREAUTH_DATA_REQUIRED);
        let nonce = 4711;
        let asking = Asking { nonce, ..Asking::login("alice") };
        let talk = Talk::from(&asking, Some(client::support(&[&GROUPS[0]])), &told);
        let (response, reply_key) = talk.respond(&mut served.client, &key);
        let request = talk.request(&mut served.client, &response);
        let reply = send(&mut served, &request);
        Credential::open(&reply, &reply_key, KeyUsage::AS_REP_ENC_PART).expect("a ticket");
        // The same request again is no replay, but a client that did not hear the answer.
        assert_eq!(send(&mut served, &request), reply);
    }
}

#[test]
fn what_is_much_work_keeps_nobody_else_waiting_and_is_done_in_the_end() {
    let (mut served, socket) = busy(Answer::Error);
    let mut streams = fill(&mut served, &socket);
    served.assert_serves();
    served.gate.open();
    for _ in 0..3 {
        is_challenge(&receive(&socket));
    }
    for stream in &mut streams {
        is_challenge(&message(stream).expect("a reply"));
    }
    assert_eq!(served.responder.waiting(), Fill { waiting: 0, room: 4, refused: 0 });
}

#[test]
fn for_whom_there_is_no_room_is_sent_to_tcp_and_there_to_another_kdc() {
    let (mut served, socket) = busy(Answer::Error);
    for _ in 0..2 {
        let request = challenge_wanted(&mut served);
        socket.send(&request).expect("a sent datagram");
    }
    await_waiting(&served, 2);
    let request = challenge_wanted(&mut served);
    assert_error(&served.ask(&request), ErrorCode::RESPONSE_TOO_BIG);
    let mut streams = [served.connection(), served.connection()];
    for stream in &mut streams {
        let request = challenge_wanted(&mut served);
        stream.write_all(&frame(&request)).expect("a sent request");
    }
    await_waiting(&served, 4);
    let request = challenge_wanted(&mut served);
    assert_error(&exchange(&mut served.connection(), &request).expect("a reply"), ErrorCode::SVC_UNAVAILABLE);
    assert_eq!(served.responder.waiting(), Fill { waiting: 4, room: 4, refused: 2 });
    let dropped = served.responder.dropped();
    assert!(dropped.iter().any(|it| it.name == "too_many_costly_requests" && it.count == 2), "{dropped:?}");
    served.gate.open();
}

#[test]
fn for_whom_there_is_no_room_hears_nothing_where_that_is_wished_for() {
    let (mut served, socket) = busy(Answer::Drop);
    let _streams = fill(&mut served, &socket);
    let other = served.datagrams();
    let (costly, plain) = (challenge_wanted(&mut served), served.login());
    other.send(&costly).expect("a sent datagram");
    other.send(&plain).expect("a sent datagram");
    served.open(&receive(&other)).expect("the answer to the second");
    let mut stream = served.connection();
    stream.write_all(&frame(&costly)).expect("a sent request");
    assert!(is_closed(&mut stream));
    served.gate.open();
}

#[test]
fn what_waits_is_answered_before_the_end() {
    let (mut served, socket) = busy(Answer::Error);
    let mut streams = fill(&mut served, &socket);
    let draining = served.drain();
    served.gate.open();
    for stream in &mut streams {
        is_challenge(&message(stream).expect("a reply"));
    }
    served.wait_for(draining);
    for _ in 0..3 {
        is_challenge(&receive(&socket));
    }
}

#[test]
fn much_work_is_charged_once() {
    let mut served = served();
    let rate = Rate { count: 2, period: Duration::from_secs(3600) };
    let rates = Rule::ALL.map(|rule| (rule == Rule::SourceWork).then_some(rate));
    served.responder.govern(
        Policy::new(REALM),
        Rates { rates, memory: 1 << 20, ..Rates::default() },
        &Limits::default(),
    );
    for code in
        [ErrorCode::MORE_PREAUTH_DATA_REQUIRED, ErrorCode::MORE_PREAUTH_DATA_REQUIRED, ErrorCode::RESPONSE_TOO_BIG]
    {
        let request = challenge_wanted(&mut served);
        assert_error(&served.ask(&request), code);
    }
}
