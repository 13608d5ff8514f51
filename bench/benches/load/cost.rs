//! What a request costs: against the peers, against the floor, and with audit.

use std::hint::black_box;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use bench::quiet::{Quiet, Wishes};
use bench::rows::Goal;
use bench::{Load, load, load_from, thread_nanos};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, OsRandom};
use libkrb::wire::{self, KdcRep};
use tests::{AES256_SHA1, AES256_SHA2, Etype, Family};
use udp_batch::{Inbox, Outgoing};

use crate::{Extent, Report};

/// Logins, and tickets for a service.
pub fn exchanges(quiet: &mut Quiet, requests: usize) -> [Load; 2] {
    // The first requests find nothing in any cache, and the memory of answers given has yet to grow up to its bound: what
    // is measured is how it goes on.
    for _ in 0..5 {
        let first = quiet.logins(requests / 2);
        load(quiet.address(), quiet.pid(), &first, 0x6b);
    }
    let logins = quiet.logins(requests);
    let logins = load(quiet.address(), quiet.pid(), &logins, 0x6b);
    let services = quiet.services(requests);
    [logins, load(quiet.address(), quiet.pid(), &services, 0x6d)]
}

fn measured(family: Family, etype: Etype, requests: usize, wishes: Wishes) -> [Load; 2] {
    let mut quiet = Quiet::start(family, etype, wishes);
    let loads = exchanges(&mut quiet, requests);
    for (load, what) in loads.iter().zip(["AS", "TGS"]) {
        let failed = if load.failed == 0 { String::new() } else { format!(", {} FAILED", load.failed) };
        println!(
            "  {:<9} {what:<4} {:>7.1} us, {:>7.0} in a second{failed}",
            family.name(),
            load.cpu_micros,
            load.per_second
        );
    }
    loads
}

/// Server CPU of an exchange against Debian's krb5kdc and Heimdal's.
pub fn peers(report: &mut Report, extent: Extent) {
    for (etype, number, goals) in [(AES256_SHA1, 18, [12.0, 14.0]), (AES256_SHA2, 20, [5.0, 5.0])] {
        let ours = measured(Family::Ours, etype, extent.requests, Wishes::default());
        note(report, "libkrb", number, &ours);
        if Family::Mit.present() {
            let mit = measured(Family::Mit, etype, extent.requests, Wishes::default());
            note(report, "MIT", number, &mit);
            for (place, what) in ["AS", "TGS"].iter().enumerate() {
                let (ours, theirs) = (ours[place].cpu_micros, mit[place].cpu_micros);
                let what = format!("{what}, etype {number}: less CPU than MIT krb5kdc");
                report.rows.add(
                    &what,
                    Goal::AtLeast(goals[place]),
                    theirs / ours,
                    " times",
                    format!("{ours:.1} us against {theirs:.1} us"),
                );
            }
        }
        // Heimdal makes passwords to keys of RFC 8009 with parameters of its own.
        if number == 18 && Family::Heimdal.present() {
            let heimdal = measured(Family::Heimdal, etype, extent.requests, Wishes::default());
            note(report, "Heimdal", number, &heimdal);
        }
    }
}

fn note(report: &mut Report, name: &str, etype: i32, loads: &[Load; 2]) {
    for (load, what) in loads.iter().zip(["AS", "TGS"]) {
        report.costs.push((format!("{name}, {what}, etype {etype}"), load.cpu_micros));
    }
}

/// Against an echo with the same sizes and batch calls, plus the cryptography that no KDC can leave out.
pub fn floor(report: &mut Report, extent: Extent) {
    let mut quiet = Quiet::start(Family::Ours, AES256_SHA1, Wishes::default());
    let loads = exchanges(&mut quiet, extent.requests);
    let logins = quiet.logins(extent.requests);
    let services = quiet.services(extent.requests);
    for (place, (what, requests)) in [("AS", &logins), ("TGS", &services)].into_iter().enumerate() {
        let reply = quiet.ask(&requests[0]);
        let echo = echo(requests, &reply);
        let crypto = composite(&requests[0], &reply, place == 1);
        let ours = loads[place].cpu_micros;
        let detail = format!("{ours:.1} us against {echo:.1} us of echo and {crypto:.1} us of cryptography");
        let what = format!("{what}, etype 18: against the floor");
        report.rows.add(&what, Goal::AtMost(1.7), ours / (echo + crypto), " times", detail);
    }
}

/// CPU of a thread that answers every request with the same reply.
fn echo(requests: &[Vec<u8>], reply: &[u8]) -> f64 {
    let ask = |address| load_from(1, address, || 0, requests, &reply[..1]);
    echoing(reply, ask).1 as f64 / 1000.0 / requests.len() as f64
}

/// What comes of asking a thread that answers every request with the same reply, and its CPU.
pub fn echoing<T>(reply: &[u8], ask: impl FnOnce(SocketAddr) -> T) -> (T, u64) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
    let address = socket.local_addr().expect("an address");
    thread::scope(|scope| {
        let echo = scope.spawn(|| answer_all(&socket, reply));
        let came = ask(address);
        let end = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
        end.send_to(&[], address).expect("a sent end");
        (came, echo.join().expect("an end"))
    })
}

/// Until an empty datagram comes.
fn answer_all(socket: &UdpSocket, reply: &[u8]) -> u64 {
    let (mut inbox, start) = (Inbox::new(65_507), thread_nanos());
    loop {
        let count = inbox.receive(socket, udp_batch::BATCH).expect("datagrams");
        let came = || (0..count).filter_map(|place| inbox.get(place));
        if came().any(|datagram| datagram.bytes.is_empty()) {
            return thread_nanos() - start;
        }
        let mut sent = 0;
        while sent < count {
            let outgoing = came().skip(sent).map(|it| Outgoing { to: it.from, from: None, bytes: reply });
            sent += udp_batch::send(socket, outgoing).expect("sent replies");
        }
    }
}

/// CPU of what is decrypted, verified and encrypted for one request, with the lengths of these messages. Keys of the
/// store are prepared, those that come with the request are not.
fn composite(request: &[u8], reply: &[u8], ticket_in: bool) -> f64 {
    const ROUNDS: usize = 20_000;
    const USAGE: KeyUsage = KeyUsage(2);
    let mut random = OsRandom::new();
    let reply: KdcRep<'_> = wire::decode(reply).expect("a reply");
    let (ticket, part) = (reply.ticket.value.enc_part.cipher.len(), reply.enc_part.cipher.len());
    let etype = EncryptionType::AES256_SHA1;
    let stored = Key::random(etype, &mut random).expect("a key").prepare(USAGE);
    let session = Key::random(etype, &mut random).expect("a key");
    // A cipher is longer than its text by a confounder of 16 octets and a checksum of 12.
    let text = |cipher: usize| vec![7; cipher.saturating_sub(28)];
    let (ticket, part) = (text(ticket), text(part));
    let (proof, presented) = (stored.encrypt(&mut random, &[7; 26]), stored.encrypt(&mut random, &ticket));
    let authenticator = session.encrypt(KeyUsage(7), &mut random, &[7; 130]);
    // The body: what is not the ticket and the authenticator of a request, about.
    let body = vec![
        7;
        request.len().saturating_sub(if ticket_in {
            presented.len() + authenticator.len() + 80
        } else {
            proof.len()
        })
    ];
    let sum = session.checksum(KeyUsage(6), &body);
    let start = thread_nanos();
    for _ in 0..ROUNDS {
        black_box(Key::random(etype, &mut random).expect("a session key"));
        if ticket_in {
            let mut presented = presented.clone();
            black_box(stored.decrypt_in_place(&mut presented).expect("its own"));
            let mut authenticator = authenticator.clone();
            black_box(session.decrypt_in_place(KeyUsage(7), &mut authenticator).expect("its own"));
            session.verify_checksum(KeyUsage(6), session.checksum_type(), &body, &sum).expect("its own");
            black_box(session.encrypt(KeyUsage(8), &mut random, &part));
        } else {
            let mut proof = proof.clone();
            black_box(stored.decrypt_in_place(&mut proof).expect("its own"));
            black_box(stored.encrypt(&mut random, &part));
        }
        black_box(stored.encrypt(&mut random, &ticket));
    }
    (thread_nanos() - start) as f64 / 1000.0 / ROUNDS as f64
}

/// With audit to a file and metrics that are asked for.
pub fn observed(report: &mut Report, extent: Extent) {
    let bare = measured(Family::Ours, AES256_SHA1, extent.requests, Wishes::default());
    let audit = ("audit", "file = \"audit.jsonl\"".to_owned());
    let metrics = ("management", "listen = [\"127.0.0.1:0\"]".to_owned());
    let wishes = Wishes { settings: vec![audit, metrics], ..Wishes::default() };
    let watched = measured(Family::Ours, AES256_SHA1, extent.requests, wishes);
    for (place, what) in ["AS", "TGS"].iter().enumerate() {
        let (bare, watched) = (bare[place].cpu_micros, watched[place].cpu_micros);
        let what = format!("{what}: with audit to a file and metrics");
        let detail = format!("{watched:.1} us against {bare:.1} us");
        report.rows.add(&what, Goal::AtMost(10.0), (watched / bare - 1.0) * 100.0, " % more", detail);
    }
}
