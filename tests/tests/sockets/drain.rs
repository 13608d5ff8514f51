//! The end: what has arrived is answered, then nobody listens any more.

use std::io::Write;

use kdc::net::Listener;

use crate::served::*;

#[test]
fn requests_that_have_arrived_are_answered_before_the_end() {
    let mut served = served();
    let (over_udp, over_tcp) = (served.login(), served.login());
    served.gate.close();
    let socket = served.datagrams();
    socket.send(&over_udp).expect("a sent datagram");
    let mut stream = served.connection();
    stream.write_all(&frame(&over_tcp)).expect("a sent request");
    served.gate.await_readers(2);
    // Nobody has read these yet.
    let waiting = served.login();
    socket.send(&waiting).expect("a sent datagram");
    let draining = served.drain();
    served.gate.open();
    served.wait_for(draining);
    served.open(&receive(&socket)).expect("a ticket over UDP");
    served.open(&receive(&socket)).expect("a ticket over UDP");
    served.open(&message(&mut stream).expect("a reply")).expect("a ticket over TCP");
    assert!(is_closed(&mut stream));
}

#[test]
fn a_request_that_is_half_there_may_come_to_its_end() {
    let mut served = served();
    let request = frame(&served.login());
    let mut stream = served.connection();
    // An answer shows that the connection is being served and not just waiting to be accepted.
    let before = served.login();
    served.open(&exchange(&mut stream, &before).expect("a reply")).expect("a ticket");
    stream.write_all(&request[..50]).expect("half a request");
    let draining = served.drain();
    // Nobody listens any more when somebody else can.
    while Listener::bind(served.address()).is_err() {
        std::thread::yield_now();
    }
    stream.write_all(&request[50..]).expect("the other half");
    served.open(&message(&mut stream).expect("a reply")).expect("a ticket");
    assert!(is_closed(&mut stream));
    served.wait_for(draining);
}

#[test]
fn idle_connections_do_not_delay_the_end_and_the_port_is_free_after_it() {
    let mut served = served();
    let mut stream = served.connection();
    let request = served.login();
    served.open(&exchange(&mut stream, &request).expect("a reply")).expect("a ticket");
    let draining = served.drain();
    served.wait_for(draining);
    assert!(is_closed(&mut stream));
    Listener::bind(served.address()).expect("the port is free");
}
