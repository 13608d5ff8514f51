//! The same bytes get the same answer, whenever and however they come again.

use std::thread;

use libkrb::ErrorCode;

use crate::served::*;

#[test]
fn a_request_that_comes_again_gets_the_same_answer_over_udp_and_over_tcp() {
    let mut served = served();
    let request = served.login();
    let first = served.ask(&request);
    served.open(&first).expect("a ticket");
    assert_eq!(served.ask(&request), first);
    assert_eq!(exchange(&mut served.connection(), &request).expect("a reply"), first);
    assert_eq!(served.observer.counters().answered_again(), 2);
}

#[test]
fn the_same_proof_in_other_bytes_is_a_replay() {
    let mut served = served();
    let request = served.login();
    served.open(&served.ask(&request)).expect("a ticket");
    let (old, new) = (4711_u32.to_be_bytes(), 4712_u32.to_be_bytes());
    let place = request.windows(2).rposition(|bytes| bytes == &old[2..]).expect("the nonce");
    let mut other = request.clone();
    other[place..place + 2].copy_from_slice(&new[2..]);
    assert_error(&served.ask(&other), ErrorCode::REPEAT);
}

#[test]
fn a_refusal_after_the_proof_was_used_up_is_repeated_and_no_replay() {
    let mut served = served();
    let request = served.login();
    let tgt = served.open(&served.ask(&request)).expect("a ticket");
    let request = served.tgs(&tgt, "host/nowhere");
    let first = served.ask(&request);
    assert_error(&first, ErrorCode::S_PRINCIPAL_UNKNOWN);
    assert_eq!(served.ask(&request), first);
}

#[test]
fn what_leaves_no_trace_is_decided_anew() {
    let mut served = served();
    let request = served.client.as_req(&tests::joined::Asking::login("alice"), None);
    for _ in 0..2 {
        assert_error(&served.ask(&request), ErrorCode::PREAUTH_REQUIRED);
    }
    assert_eq!(served.observer.counters().answered_again(), 0);
}

#[test]
fn a_copy_over_tcp_waits_for_the_answer_to_the_first() {
    let mut served = served();
    let request = served.login();
    served.gate.close();
    let socket = served.datagrams();
    socket.send(&request).expect("a sent datagram");
    served.gate.await_readers(1);
    let mut stream = served.connection();
    let copy = request.clone();
    let second = thread::spawn(move || exchange(&mut stream, &copy).expect("a reply"));
    // Another request on the same way shows that the copy does not hold up the others.
    let other = served.client.as_req(&tests::joined::Asking::login("nobody"), None);
    let mut others = served.connection();
    let other = thread::spawn(move || exchange(&mut others, &other).expect("a reply"));
    served.gate.await_readers(2);
    served.gate.open();
    let first = receive(&socket);
    served.open(&first).expect("a ticket");
    assert_eq!(second.join().expect("a reply"), first);
    assert_error(&other.join().expect("a reply"), ErrorCode::C_PRINCIPAL_UNKNOWN);
}

#[test]
fn of_many_copies_at_once_none_is_called_a_replay() {
    let mut served = served();
    for _ in 0..50 {
        let request = served.login();
        let address = served.address();
        let ask = |over_tcp: bool| {
            let request = request.clone();
            thread::spawn(move || {
                let socket = datagrams(address);
                socket.send(&request).expect("a sent datagram");
                over_tcp.then(|| exchange(&mut connection(address), &request).expect("a reply"))
            })
        };
        let copies = [true, false, true, false, true, false].map(ask);
        let mut answers = copies.into_iter().filter_map(|copy| copy.join().expect("no panic")).collect::<Vec<_>>();
        answers.push(served.ask(&request));
        served.open(&answers[0]).expect("a ticket");
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
}
