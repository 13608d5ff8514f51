use std::future::pending;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::super::testing::{ANSWER, Kdc, Table, refusal};
use super::super::trace::testing::{Lines, kept};
use super::*;

/// Moves on soon, repeats late.
const QUICK: Pace =
    Pace { next: Duration::from_millis(10), repeat: Duration::from_secs(60), whole: Duration::from_secs(60) };
/// Moves on only when something fails.
const PATIENT: Pace =
    Pace { next: Duration::from_secs(60), repeat: Duration::from_secs(60), whole: Duration::from_secs(60) };

/// A transport to these servers, in this order.
fn transport(pace: Pace, kdcs: &[String]) -> (Transport, Arc<Lines>) {
    let lines: String = kdcs.iter().map(|kdc| format!("kdc = {kdc}\n")).collect();
    let text = format!("[libdefaults]\ndns_lookup_kdc = false\n[realms]\nR = {{\n{lines}}}\n");
    let (trace, lines) = kept();
    let config = Arc::new(Config::parse("krb5.conf", &text).unwrap());
    let table = Arc::new(Table::default());
    (Transport::new(config).with_resolver(table).with_trace(trace).with_pace(pace), lines)
}

fn to(kdcs: &[&Kdc]) -> Vec<String> {
    kdcs.iter().map(|kdc| kdc.address.to_string()).collect()
}

/// An address of loopback where nobody listens.
fn closed() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

#[tokio::test]
async fn a_small_request_goes_by_udp_and_a_large_one_by_tcp() {
    let kdc = Kdc::new().await;
    let (transport, lines) = transport(PATIENT, &to(&[&kdc]));
    let (answer, (request, _)) = tokio::join!(transport.send("R", b"small"), async {
        let (request, from) = kdc.datagram().await;
        kdc.udp.send_to(ANSWER, from).await.unwrap();
        (request, from)
    });
    assert_eq!((answer.unwrap(), request), (ANSWER.to_vec(), b"small".to_vec()));
    assert!(!lines.contains("TCP"));
    assert_eq!(lines.all()[0], "Sending request (5 bytes) to R");
    assert!(lines.contains(&format!("Sending initial UDP request to dgram {}", kdc.address)));
    assert!(lines.contains(&format!("Received answer (5 bytes) from dgram {}", kdc.address)));

    let large = vec![7; 2000];
    let (answer, (request, _)) = tokio::join!(transport.send("R", &large), async {
        let (request, mut stream) = kdc.connection().await;
        stream.write_all(b"\0\0\0\x05\x6b\x03").await.unwrap();
        stream.write_all(b"yes").await.unwrap();
        (request, stream)
    });
    assert_eq!((answer.unwrap(), request), (ANSWER.to_vec(), large));
    assert!(lines.contains(&format!("Sending TCP request to stream {}", kdc.address)));
}

#[tokio::test]
async fn an_answer_too_big_for_udp_is_fetched_by_tcp_from_the_same_kdc() {
    let (dead, kdc) = (Kdc::new().await, Kdc::new().await);
    let (transport, lines) = transport(QUICK, &to(&[&dead, &kdc]));
    let big = [b"\x6b\x82", &[b'x'; 100_000][..]].concat();
    let (answer, ()) = tokio::join!(transport.send("R", b"small"), async {
        kdc.answer_udp(&refusal(ErrorCode::RESPONSE_TOO_BIG)).await;
        kdc.answer_tcp(&big).await;
    });
    assert_eq!(answer.unwrap(), big);
    assert!(lines.contains("Received error from KDC: -1765328332/Response too big for UDP, retry with TCP"));
    let decided = lines.all().iter().position(|line| line.contains("retrying with TCP")).unwrap();
    assert_eq!(lines.all()[decided + 1], format!("Initiating TCP connection to stream {}", kdc.address));
}

#[tokio::test]
async fn another_error_is_an_answer() {
    let kdc = Kdc::new().await;
    let (transport, lines) = transport(PATIENT, &to(&[&kdc]));
    let refusal = refusal(ErrorCode::PREAUTH_REQUIRED);
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), kdc.answer_udp(&refusal));
    assert_eq!(answer.unwrap(), refusal);
    assert!(lines.contains("Received error from KDC: -1765328359/Additional pre-authentication required"));
}

#[tokio::test]
async fn a_silent_kdc_is_left_for_the_next_one() {
    let (silent, kdc) = (Kdc::new().await, Kdc::new().await);
    let (transport, _) = transport(QUICK, &to(&[&silent, &kdc]));
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), kdc.answer_udp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
    assert_eq!(silent.datagram().await.0, b"x");
}

#[tokio::test]
async fn a_slow_kdc_is_still_listened_to_while_the_next_one_is_asked() {
    let (slow, silent) = (Kdc::new().await, Kdc::new().await);
    let (transport, _) = transport(QUICK, &to(&[&slow, &silent]));
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), async {
        let (_, from) = slow.datagram().await;
        silent.datagram().await;
        slow.udp.send_to(ANSWER, from).await.unwrap();
    });
    assert_eq!(answer.unwrap(), ANSWER);
}

#[tokio::test]
async fn a_kdc_that_accepts_and_says_nothing_does_not_hold_up_the_search() {
    let (stuck, kdc) = (Kdc::new().await, Kdc::new().await);
    let (transport, _) = transport(QUICK, &to(&[&stuck, &kdc]));
    let held = async {
        let _connection = stuck.connection().await;
        pending::<()>().await;
    };
    tokio::select! {
        () = held => {}
        (answer, ()) = async { tokio::join!(transport.send("R", &[0; 2000]), kdc.answer_tcp(ANSWER)) } => {
            assert_eq!(answer.unwrap(), ANSWER);
        }
    }
}

#[tokio::test]
async fn a_refused_connection_moves_on_at_once() {
    let kdc = Kdc::new().await;
    let (transport, lines) = transport(PATIENT, &[closed().to_string(), kdc.address.to_string()]);
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), kdc.answer_udp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
    assert!(lines.contains("UDP error with dgram"));
    let (answer, ()) = tokio::join!(transport.send("R", &[0; 2000]), kdc.answer_tcp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
    assert!(lines.contains("TCP error with stream"));
}

#[tokio::test]
async fn a_kdc_without_udp_is_reached_by_tcp() {
    let Kdc { udp, tcp, address } = Kdc::new().await;
    drop(udp);
    let (transport, _) = transport(PATIENT, &[address.to_string()]);
    let serve = async {
        let (mut stream, _) = tcp.accept().await.unwrap();
        let mut request = [0; 5];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(b"\0\0\0\x05\x6b\x03yes").await.unwrap();
    };
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), serve);
    assert_eq!(answer.unwrap(), ANSWER);
}

#[tokio::test]
async fn an_unavailable_kdc_is_left_for_the_next_one() {
    let (busy, kdc) = (Kdc::new().await, Kdc::new().await);
    let unavailable = refusal(ErrorCode::SVC_UNAVAILABLE);
    let (two, lines) = transport(PATIENT, &to(&[&busy, &kdc]));
    let (answer, (), ()) = tokio::join!(two.send("R", b"x"), busy.answer_udp(&unavailable), kdc.answer_udp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
    assert!(lines.contains("is unavailable; trying the next KDC"));

    let (alone, _) = transport(PATIENT, &to(&[&busy]));
    let (answer, (), ()) =
        tokio::join!(alone.send("R", b"x"), busy.answer_udp(&unavailable), busy.answer_tcp(&unavailable));
    assert_eq!(answer, Err(Error::code(ErrorCode::SVC_UNAVAILABLE)));
}

#[tokio::test]
async fn datagrams_that_are_no_answer_are_ignored() {
    let kdc = Kdc::new().await;
    let (transport, lines) = transport(PATIENT, &to(&[&kdc]));
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), async {
        let (_, from) = kdc.datagram().await;
        for datagram in [&b""[..], b"junk", b"\x6a\x03no!", ANSWER] {
            kdc.udp.send_to(datagram, from).await.unwrap();
        }
    });
    assert_eq!(answer.unwrap(), ANSWER);
    assert!(lines.contains("Ignoring 4 bytes"));
}

#[tokio::test]
async fn a_datagram_from_someone_else_is_not_taken() {
    let (kdc, stranger) = (Kdc::new().await, Kdc::new().await);
    let (transport, _) = transport(PATIENT, &to(&[&kdc]));
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), async {
        let (_, from) = kdc.datagram().await;
        stranger.udp.send_to(b"\x6b\x05wrong", from).await.unwrap();
        kdc.udp.send_to(ANSWER, from).await.unwrap();
    });
    assert_eq!(answer.unwrap(), ANSWER);
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let kdc = Kdc::new().await;
    let pace = Pace { repeat: Duration::from_millis(10), ..PATIENT };
    let (transport, lines) = transport(pace, &to(&[&kdc]));
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), async {
        kdc.datagram().await;
        kdc.answer_udp(ANSWER).await;
    });
    assert_eq!(answer.unwrap(), ANSWER);
    assert!(lines.contains("Sending retry UDP request"));
}

#[tokio::test]
async fn streams_that_do_not_keep_to_the_framing_are_left() {
    for bad in [
        &b"\xff\xff\xff\xff"[..],
        b"\x80\0\0\x01x",
        b"\0\x10\0\x01",
        b"\0\0\0\x05\x6b",
        b"\0\0",
        b"",
        b"\0\0\0\0",
        b"\0\0\0\x04junk",
    ] {
        let (broken, kdc) = (Kdc::new().await, Kdc::new().await);
        let (transport, lines) = transport(PATIENT, &to(&[&broken, &kdc]));
        let serve = async {
            let (_, mut stream) = broken.connection().await;
            stream.write_all(bad).await.unwrap();
        };
        let (answer, (), ()) = tokio::join!(transport.send("R", &[0; 2000]), serve, kdc.answer_tcp(ANSWER));
        assert_eq!(answer.unwrap(), ANSWER, "{bad:?}");
        assert!(lines.contains(&format!("TCP error with stream {}", broken.address)), "{bad:?}");
    }
}

#[tokio::test]
async fn a_udp_or_tcp_prefix_is_kept_to() {
    let kdc = Kdc::new().await;
    let (transport_tcp, _) = transport(PATIENT, &[format!("tcp/{}", kdc.address)]);
    let (answer, ()) = tokio::join!(transport_tcp.send("R", b"x"), kdc.answer_tcp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
    let (transport_udp, _) = transport(PATIENT, &[format!("udp/{}", kdc.address)]);
    let (answer, ()) = tokio::join!(transport_udp.send("R", &[0; 2000]), kdc.answer_udp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
}

#[tokio::test]
async fn a_unix_socket_is_asked_over_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kdc");
    let listener = UnixListener::bind(&path).unwrap();
    let (transport, _) = transport(PATIENT, &["/nowhere/kdc".into(), path.display().to_string()]);
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 5];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"\0\0\0\x01x");
        stream.write_all(b"\0\0\0\x05\x6b\x03yes").await.unwrap();
    };
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), serve);
    assert_eq!(answer.unwrap(), ANSWER);
}

#[cfg(not(feature = "kkdcp"))]
#[tokio::test]
async fn an_https_proxy_is_passed_over_and_the_trace_says_so() {
    let kdc = Kdc::new().await;
    let (transport, lines) = transport(PATIENT, &["https://proxy.example/KdcProxy".into(), kdc.address.to_string()]);
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), kdc.answer_udp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
    let skipped = "No address for https://proxy.example:443/KdcProxy: HTTPS proxies take the feature kkdcp of libkrb";
    assert!(lines.contains(skipped));
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let kdc = Kdc::new().await;
    let (base, lines) = transport(PATIENT, &["kdc.test".into()]);
    let addresses = vec![closed(), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 1)), kdc.address];
    let table = Table { addresses: [("kdc.test".into(), addresses)].into(), ..Table::default() };
    let base = base.with_resolver(Arc::new(table));
    let (answer, ()) = tokio::join!(base.send("R", b"x"), kdc.answer_udp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
    assert!(lines.contains("Resolving hostname kdc.test"));
}

#[tokio::test]
async fn ipv6_works_like_ipv4() {
    // A machine without IPv6 has nothing to test.
    let Ok(kdc) = Kdc::on("::1").await else { return };
    let (transport, _) = transport(PATIENT, &to(&[&kdc]));
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), kdc.answer_udp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
    let (answer, ()) = tokio::join!(transport.send("R", &[0; 2000]), kdc.answer_tcp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
}

#[tokio::test]
async fn a_name_without_address_is_passed_over() {
    let kdc = Kdc::new().await;
    let (transport, lines) = transport(PATIENT, &["nobody.test".into(), kdc.address.to_string()]);
    let (answer, ()) = tokio::join!(transport.send("R", b"x"), kdc.answer_udp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
    assert!(lines.contains("No address for nobody.test:88: no such host"));
}

#[tokio::test]
async fn when_none_is_known_or_none_answers_the_error_says_which() {
    let (nobody, _) = transport(PATIENT, &[]);
    let error = nobody.send("R", b"x").await.unwrap_err();
    assert_eq!(
        (error.clone(), error.to_string()),
        (Error::NoKdc("R".into()), "Cannot find KDC for realm \"R\"".into())
    );

    let (refused, _) = transport(PATIENT, &[closed().to_string()]);
    let error = refused.send("R", b"x").await.unwrap_err();
    assert_eq!(error.to_string(), "Cannot contact any KDC for realm 'R'");

    let silent = Kdc::new().await;
    let pace = Pace { whole: Duration::from_millis(30), ..PATIENT };
    let (deaf, lines) = transport(pace, &to(&[&silent]));
    assert_eq!(deaf.send("R", b"x").await, Err(Error::Unreachable("R".into())));
    assert!(lines.contains("giving up"));
}

#[tokio::test]
async fn a_wrong_entry_is_an_error_with_its_line() {
    let (transport, _) = transport(PATIENT, &["88".into()]);
    let error = transport.send("R", b"x").await.unwrap_err().to_string();
    assert!(error.starts_with("krb5.conf:5: kdc: found \"88\""), "{error}");
}

#[tokio::test]
async fn the_deadline_follows_the_configuration() {
    let of = |text: &str| Transport::new(Arc::new(Config::parse("x", text).unwrap())).pace.whole;
    assert_eq!(of(""), Duration::from_secs(30));
    assert_eq!(of("[libdefaults]\nrequest_timeout = 2m\n"), Duration::from_secs(120));
}

#[tokio::test]
async fn a_primary_kdc_is_asked_alone() {
    let (replica, primary) = (Kdc::new().await, Kdc::new().await);
    let text = format!("[realms]\nR = {{\nkdc = {}\nprimary_kdc = {}\n}}\n", replica.address, primary.address);
    let (trace, lines) = kept();
    let transport = Transport::new(Arc::new(Config::parse("x", &text).unwrap())).with_trace(trace).with_pace(PATIENT);
    let (answer, ()) = tokio::join!(transport.send_to(Service::PrimaryKdc, "R", b"x"), primary.answer_udp(ANSWER));
    assert_eq!(answer.unwrap(), ANSWER);
    assert_eq!(lines.all()[0], "Sending request (1 bytes) to R (primary)");
}

#[test]
fn the_clock_never_shows_the_same_microsecond_twice() {
    let tasks: Vec<_> =
        (0..4).map(|_| std::thread::spawn(|| (0..10_000).map(|_| system_clock()).collect::<Vec<_>>())).collect();
    let mut seen: Vec<Instant> = tasks.into_iter().flat_map(|task| task.join().unwrap()).collect();
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}
