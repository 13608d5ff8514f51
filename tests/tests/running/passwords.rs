//! The port for passwords, beside the KDC's: one guard for both doors.

use std::net::{SocketAddr, TcpStream};

use crate::place::*;

/// The port as far above the KDC's as 464 is above 88.
fn beside(address: SocketAddr) -> SocketAddr {
    (address.ip(), address.port() + 464 - 88).into()
}

#[test]
fn who_fails_too_often_at_the_port_for_passwords_is_turned_away_at_both_doors() {
    let place = Place::new();
    place.set("limits.rate = { source_failures = '2/1h', exempt = [] }");
    let text = std::fs::read_to_string(&place.files.config).expect("settings");
    std::fs::write(&place.files.config, text.replace("[limits.rate]", "").replace("[limits]", "")).expect("settings");
    let daemon = place.start();
    place.add("alice");
    let ask = || {
        let mut stream = TcpStream::connect(beside(place.port.address())).expect("connected");
        Tcp::ask_over(&mut stream, b"no request at all").expect("an answer")
    };
    let (first, second, third) = (ask(), ask(), ask());
    assert_eq!(first.len(), second.len());
    let words = |answer: &[u8]| String::from_utf8_lossy(answer).into_owned();
    assert!(words(&first).contains("lengths are wrong"), "{first:?}");
    assert!(words(&third).contains("try again later"), "{third:?}");
    daemon.says("limited from now on");
    let refused = log_in("alice", &mut place.tcp()).expect_err("turned away here too");
    assert!(refused.contains("policy") || refused.contains("POLICY"), "{refused}");
}
