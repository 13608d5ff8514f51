//! Our own door for HTTPS, and strangers at it: C3 of the list of attacks (CVE-2025-59088, CVE-2025-59089), requests that
//! are none, certificates that change, and a KDC that gives way to another.

use std::io::Write;
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use libkrb::Principal;
use libkrb::client::{AsExchange, AsRequest, Exchange, Secret, Step};
use libkrb::crypto::OsRandom;
use libkrb::time::Instant;
use libkrb::wire::KdcProxyMessage;
use tests::{Family, Tool};

use crate::place::{Place, answer};

const POST: &str = "POST /KdcProxy HTTP/1.1";

fn wrapped(message: &[u8]) -> Vec<u8> {
    KdcProxyMessage::wrap(message, Some("EXAMPLE.ORG")).expect("short")
}

/// Logs alice in, each message sent by `ask`; the last one, and its answer.
fn log_in(mut ask: impl FnMut(&[u8]) -> Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let alice = Principal::parse("alice@EXAMPLE.ORG", None).expect("a name");
    let mut exchange = AsExchange::new(AsRequest::new(alice), Secret::password("secret"));
    let (mut random, mut last) = (OsRandom::new(), None);
    loop {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let now = Instant::from_micros(since.as_micros() as i64);
        let reply = last.as_ref().map(|(_, reply): &(Vec<u8>, Vec<u8>)| &**reply);
        match exchange.step(now, &mut random, reply).expect("a login that goes on") {
            Step::Send { message, .. } => last = Some((message.to_vec(), ask(&message))),
            Step::Done(_) => return last.expect("at least one message"),
        }
    }
}

/// The message of an answer.
fn unwrapped((status, body): (u16, Vec<u8>)) -> Vec<u8> {
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    KdcProxyMessage::read(&body).and_then(|message| message.message()).expect("a message").to_vec()
}

fn over_https(place: &Place) -> impl FnMut(&[u8]) -> Vec<u8> + '_ {
    |message| unwrapped(place.post(POST, "", &wrapped(message)))
}

fn over_tcp(place: &Place, message: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(place.realm.address()).expect("a connection");
    stream.write_all(&[&(message.len() as u32).to_be_bytes(), message].concat()).expect("sent");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut reply = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut reply).expect("a reply");
    reply
}

#[test]
fn c3_the_realm_in_a_message_chooses_no_host() {
    let place = Place::ours();
    let victim = TcpListener::bind("127.0.0.1:0").expect("a socket");
    victim.set_nonblocking(true).expect("a socket that does not wait");
    let address = victim.local_addr().expect("an address");
    for realm in [
        format!("{address}"),
        format!("_kerberos._tcp.{address}"),
        "127.0.0.1".to_owned(),
        "OTHER.ORG".to_owned(),
        "EXAMPLE.ORG.".to_owned(),
        "EXAMPLE.ORG\0.EVIL.ORG".to_owned(),
        String::new(),
    ] {
        let body = KdcProxyMessage::wrap(b"\x6a\x03abc", Some(&realm)).expect("short");
        let (status, said) = place.post(POST, "", &body);
        assert_eq!(status, 403, "{realm:?}");
        assert_eq!(said, b"this KDC answers for its own realm only\n", "nothing of the request comes back");
    }
    assert!(victim.accept().is_err(), "somebody was connected to");
    // The realm of the message itself is the KDC's to judge; the case of the one around it is nobody's.
    let body = KdcProxyMessage::wrap(b"\x6a\x03abc", Some("example.org")).expect("short");
    assert_eq!(unwrapped(place.post(POST, "", &body))[0], 0x7e, "a KRB-ERROR");
    log_in(over_https(&place));
}

#[test]
fn c3_nobody_is_read_from_without_bound() {
    let place = Place::ours();
    // A length beyond all bounds is refused before anything of it is read.
    for length in ["133000", "4294967296", "99999999999999999999"] {
        let mut stream = place.connect();
        write!(stream, "{POST}\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n").expect("sent");
        let status = answer(&mut stream).0;
        assert!(status == 413 || status == 400, "{length}: {status}");
    }
    // One that is not said could be any.
    let mut stream = place.connect();
    write!(stream, "{POST}\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n").expect("sent");
    assert_eq!(answer(&mut stream).0, 411);
    // Heads have a bound too.
    let mut stream = place.connect();
    let many = "X-Header: 1\r\n".repeat(65);
    write!(stream, "{POST}\r\nHost: localhost\r\n{many}Content-Length: 0\r\n\r\n").expect("sent");
    assert_eq!(answer(&mut stream).0, 431);
    // The longest request that TCP takes is taken here: it is none, and the KDC says so.
    let longest = place.post(POST, "", &wrapped(&vec![0x6a; 128 << 10]));
    assert_eq!(unwrapped(longest)[0], 0x7e);
    log_in(over_https(&place));
}

#[test]
fn what_is_no_request_gets_an_answer_that_no_client_takes_for_one() {
    let place = Place::ours();
    let good = wrapped(b"\x6a\x03abc");
    let with = |framed: &[u8], realm| libkrb::wire::encode(&KdcProxyMessage { framed, realm, locator_hint: None });
    for (first, body, expected) in [
        ("GET /KdcProxy HTTP/1.1", &b""[..], 405),
        ("PUT /KdcProxy HTTP/1.1", &good, 405),
        ("POST / HTTP/1.1", &good, 404),
        ("POST /KdcProxy/../admin HTTP/1.1", &good, 404),
        (POST, b"", 400),
        (POST, b"\x6a\x03abc", 400),
        (POST, &good[..good.len() - 1], 400),
        (POST, &[&good[..], b"\0"].concat(), 400),
        (POST, &with(b"\0\0\0\x05\x6a\x03abc", None), 400),
        (POST, &with(b"\0\0\0\x06\x6a\x03abc", Some("EXAMPLE.ORG")), 400),
        (POST, &with(b"\xff\xff\xff\xff\x6a\x03abc", Some("EXAMPLE.ORG")), 400),
        (POST, &with(b"", Some("EXAMPLE.ORG")), 400),
    ] {
        let (status, said) = place.post(first, "", body);
        assert_eq!(status, expected, "{first} {body:?}: {}", String::from_utf8_lossy(&said));
        assert!(KdcProxyMessage::read(&said).is_err());
    }
    log_in(over_https(&place));
    // As Windows and MIT ask: without regard to case, and in HTTP/1.0.
    unwrapped(place.post("POST /kdcproxy/ HTTP/1.0", "", &good));
}

#[test]
fn who_asks_is_whoever_the_connection_comes_from_whatever_headers_say() {
    let place = Place::ours();
    let lies = "X-Forwarded-For: 10.9.9.9\r\nX-Real-IP: 10.9.9.9\r\nForwarded: for=10.9.9.9\r\n";
    log_in(|message| unwrapped(place.post(POST, lies, &wrapped(message))));
    place.realm.says("via=\"https\"");
    let log = place.realm.log();
    assert!(log.contains("from=127.0.0.1:") && !log.contains("10.9.9.9"), "{log}");
}

#[test]
fn the_same_bytes_get_the_same_answer_over_https_as_over_tcp() {
    let place = Place::ours();
    let (request, reply) = log_in(over_https(&place));
    assert_eq!(reply[0], 0x6b, "an AS-REP");
    assert_eq!(over_tcp(&place, &request), reply);
    let (request, reply) = log_in(|message| over_tcp(&place, message));
    assert_eq!(over_https(&place)(&request), reply);
}

#[test]
fn silent_connections_keep_nobody_waiting_and_give_way_to_newer_ones() {
    let place = Place::ours();
    let silent: Vec<_> = (0..300).map(|_| std::net::TcpStream::connect(place.port.address()).expect("open")).collect();
    log_in(over_https(&place));
    drop(silent);
}

fn kdc(place: &Place, command: &str) -> Tool {
    Tool::new(Family::Ours.program("kdc")).args([command, "--config"]).args([place.file("kdc.toml")])
}

#[test]
fn a_reload_takes_a_new_certificate_and_a_restart_loses_nobody() {
    let place = Place::ours();
    let seat = place.seat(Family::Ours);
    // Whoever was certified for another host is not believed from now on.
    place.certify("elsewhere.example.org");
    seat.kinit(&["alice"], "secret").succeeds();
    kdc(&place, "reload").run().succeeds();
    seat.kinit(&["alice"], "secret").fails();
    // What is no certificate changes nothing.
    place.certify("localhost");
    let whole = std::fs::read(place.file("own.pem")).expect("a certificate");
    std::fs::write(place.file("own.pem"), "nothing").expect("written");
    kdc(&place, "reload").run().fails_with(1).saying("own.pem");
    kdc(&place, "restart").run().fails_with(1).saying("own.pem");
    std::fs::write(place.file("own.pem"), whole).expect("written");
    kdc(&place, "restart").run().succeeds();
    seat.kinit(&["alice"], "secret").succeeds();
    let socket = place.realm.seat(Family::Ours);
    let path = place.file("kdc.sock").display().to_string();
    socket.reach(&path, &path, "");
    socket.kinit(&["alice"], "secret").succeeds();
    // Places come and go.
    let settings = std::fs::read_to_string(place.file("kdc.toml")).expect("settings");
    let address = format!("\"{}\"", place.port.address());
    std::fs::write(place.file("kdc.toml"), settings.replace(&address, "").replace("'kdc.sock'", "")).expect("written");
    kdc(&place, "reload").run().succeeds();
    seat.kinit(&["alice"], "secret").fails();
    assert!(!place.file("kdc.sock").exists());
    std::fs::write(place.file("kdc.toml"), settings).expect("written");
    kdc(&place, "reload").run().succeeds();
    seat.kinit(&["alice"], "secret").succeeds();
    socket.kinit(&["alice"], "secret").succeeds();
}
