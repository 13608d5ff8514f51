//! What a request costs: against the peers, against the floor, and with audit.

use std::hint::black_box;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::thread;

use bench::quiet::{Quiet, Wishes, shipped};
use bench::rows::Goal;
use bench::{Load, MANY_TURNS, TURNS, load, load_from, median, thread_nanos};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, OsRandom};
use libkrb::wire::{self, KdcRep};
use tests::{AES256_SHA1, AES256_SHA2, Family};
use udp_batch::{Inbox, Outgoing};

use crate::{Extent, Report};

pub const EXCHANGES: [&str; 2] = ["AS", "TGS"];

/// The first requests find nothing in any cache, and the memory of answers given has yet to grow up to its bound: what is
/// measured is how it goes on.
fn warm(quiet: &mut Quiet, requests: usize) {
    for _ in 0..5 {
        let first = quiet.logins(requests / 2);
        load(quiet.address(), quiet.pid(), &first, 0x6b);
    }
}

/// Logins, and tickets for a service.
fn turn(quiet: &mut Quiet, requests: usize) -> [Load; 2] {
    let logins = quiet.logins(requests);
    let logins = load(quiet.address(), quiet.pid(), &logins, 0x6b);
    let services = quiet.services(requests);
    [logins, load(quiet.address(), quiet.pid(), &services, 0x6d)]
}

/// What each of several KDCs took in each of its turns.
fn in_turns(quiets: &mut [Quiet], turns: usize, requests: usize) -> Vec<Vec<[Load; 2]>> {
    quiets.iter_mut().for_each(|quiet| warm(quiet, requests));
    let mut all = vec![vec![]; quiets.len()];
    for _ in 0..turns {
        for (quiet, all) in quiets.iter_mut().zip(&mut all) {
            all.push(turn(quiet, requests / TURNS));
        }
    }
    all
}

/// CPU of an exchange, in microseconds.
pub fn cost(turns: &[[Load; 2]], place: usize) -> f64 {
    median(turns.iter().map(|turn| turn[place].cpu_micros))
}

/// By how much more one costs than another, turn by turn.
pub fn times(more: &[[Load; 2]], less: &[[Load; 2]], place: usize) -> f64 {
    median(more.iter().zip(less).map(|(more, less)| more[place].cpu_micros / less[place].cpu_micros))
}

fn tell(name: &str, turns: &[[Load; 2]]) {
    for (place, what) in EXCHANGES.iter().enumerate() {
        let failed: usize = turns.iter().map(|turn| turn[place].failed).sum();
        let failed = if failed == 0 { String::new() } else { format!(", {failed} FAILED") };
        let rate = median(turns.iter().map(|turn| turn[place].per_second));
        println!("  {name:<9} {what:<4} {:>7.1} us, {rate:>7.0} in a second{failed}", cost(turns, place));
    }
}

/// Server CPU of an exchange against Debian's krb5kdc and Heimdal's.
pub fn peers(report: &mut Report, extent: Extent) {
    for (etype, number, goals) in [(AES256_SHA1, 18, [12.0, 14.0]), (AES256_SHA2, 20, [5.0, 5.0])] {
        // Heimdal makes passwords to keys of RFC 8009 with parameters of its own.
        let takes_part = |family: &Family| match family {
            Family::Ours => true,
            Family::Mit => family.present(),
            Family::Heimdal => number == 18 && family.present(),
        };
        let families: Vec<_> = [Family::Ours, Family::Mit, Family::Heimdal].into_iter().filter(takes_part).collect();
        let start = |family: &Family| Quiet::start(*family, etype, Wishes::default());
        let mut quiets: Vec<_> = families.iter().map(start).collect();
        let all = in_turns(&mut quiets, MANY_TURNS, extent.requests);
        for (family, turns) in families.iter().zip(&all) {
            tell(family.name(), turns);
            let name = match family {
                Family::Ours => "libkrb",
                Family::Mit => "MIT",
                Family::Heimdal => "Heimdal",
            };
            for (place, what) in EXCHANGES.iter().enumerate() {
                report.costs.push((format!("{name}, {what}, etype {number}"), cost(turns, place)));
            }
        }
        let Some(mit) = families.iter().position(|family| *family == Family::Mit) else { continue };
        for (place, what) in EXCHANGES.iter().enumerate() {
            let (ours, theirs) = (cost(&all[0], place), cost(&all[mit], place));
            let what = format!("{what}, etype {number}: less CPU than MIT krb5kdc");
            let detail = format!("{ours:.1} us against {theirs:.1} us, medians of {MANY_TURNS} turns");
            report.rows.add(&what, Goal::AtLeast(goals[place]), times(&all[mit], &all[0], place), " times", detail);
        }
    }
}

/// What is shipped against what cargo leaves, from which it is made.
pub fn layout(report: &mut Report, extent: Extent) {
    if shipped().is_none() {
        return;
    }
    let cargos = Some(Family::Ours.program("kdc").path);
    let start = |build| Quiet::start(Family::Ours, AES256_SHA1, Wishes { build, ..Wishes::default() });
    let mut quiets = [None, cargos].map(start);
    let all = in_turns(&mut quiets, MANY_TURNS, extent.requests);
    for (place, what) in EXCHANGES.iter().enumerate() {
        let detail = format!("{:.1} us against {:.1} us", cost(&all[1], place), cost(&all[0], place));
        report.rows.add(
            &format!("{what}: cargo's own build"),
            Goal::Stated,
            times(&all[1], &all[0], place),
            " times",
            detail,
        );
    }
}

/// This build of the KDC against the others in `KRB_BENCH_BUILDS`, paths with colons between them: only those that take
/// turns can be compared.
pub fn builds(_: &mut Report, extent: Extent) {
    let Some(others) = std::env::var_os("KRB_BENCH_BUILDS") else { return };
    let builds: Vec<_> = std::iter::once(None).chain(std::env::split_paths(&others).map(Some)).collect();
    let start = |build: &Option<PathBuf>| {
        Quiet::start(Family::Ours, AES256_SHA1, Wishes { build: build.clone(), ..Wishes::default() })
    };
    let mut quiets: Vec<_> = builds.iter().map(start).collect();
    let all = in_turns(&mut quiets, 2 * MANY_TURNS, extent.requests);
    for (build, turns) in builds.iter().zip(&all) {
        println!("{}", build.as_ref().map_or("this build".into(), |build| build.display().to_string()));
        tell("", turns);
        let [login, ticket] = [0, 1].map(|place| times(turns, &all[0], place));
        println!("  times this build: {login:.3}, {ticket:.3}");
    }
}

/// Against an echo with the same sizes and batch calls, plus the cryptography that no KDC can leave out: with a PAC that is
/// its signatures, too.
pub fn floor(report: &mut Report, extent: Extent) {
    let bare = Wishes { settings: vec![("policy", "disable_pac = true".to_owned())], ..Wishes::default() };
    let mut without = [usize::MAX; 2];
    for (with, wishes) in [("without a PAC", bare), ("with a PAC", Wishes::default())] {
        let mut quiet = Quiet::start(Family::Ours, AES256_SHA1, wishes);
        warm(&mut quiet, extent.requests);
        let made = [quiet.logins(extent.requests / TURNS), quiet.services(extent.requests / TURNS)];
        let replies = [0, 1].map(|place| quiet.ask(&made[place][0]));
        let tickets = [0, 1].map(|place| ticket_octets(&replies[place]));
        // But for the elements that it stands in.
        let pacs = [0, 1].map(|place| tickets[place].saturating_sub(without[place].saturating_add(40)));
        without = tickets;
        let turns: Vec<_> = (0..MANY_TURNS)
            .map(|_| {
                let ours = turn(&mut quiet, extent.requests / TURNS);
                [0, 1].map(|place| {
                    let echo = echo(&made[place], &replies[place]);
                    let crypto = composite(&made[place][0], &replies[place], place == 1, pacs[place]);
                    [ours[place].cpu_micros, echo, crypto]
                })
            })
            .collect();
        for (place, what) in EXCHANGES.iter().enumerate() {
            let of = |part: usize| median(turns.iter().map(|turn| turn[place][part]));
            let (ours, echo, crypto) = (of(0), of(1), of(2));
            let ratio = median(turns.iter().map(|turn| turn[place][0] / (turn[place][1] + turn[place][2])));
            let detail = format!("{ours:.1} us against {echo:.1} us of echo and {crypto:.1} us of cryptography");
            let what = format!("{what}, etype 18, {with}: against the floor");
            report.rows.add(&what, Goal::AtMost(1.7), ratio, " times", detail);
        }
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

/// How long the cipher of a reply's ticket is.
fn ticket_octets(reply: &[u8]) -> usize {
    wire::decode::<KdcRep<'_>>(reply).expect("a reply").ticket.value.enc_part.cipher.len()
}

/// CPU of what is decrypted, verified, signed and encrypted for one request, with the lengths of these messages. Keys of
/// the store are prepared, those that come with the request are not.
fn composite(request: &[u8], reply: &[u8], ticket_in: bool, pac: usize) -> f64 {
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
    // The server's signature and the KDC's over that; for a service also of the ticket and of the whole (MS-PAC 2.8).
    let signer = Key::random(etype, &mut random).expect("a key").prepare_checksum(KeyUsage::NON_KERB_CHECKSUM);
    let bare = vec![7; ticket.len().saturating_sub(pac)];
    let signed = [vec![7; pac], vec![7; 12], bare, vec![7; pac]];
    let signed = signed
        .get(
            ..if pac == 0 {
                0
            } else if ticket_in {
                4
            } else {
                2
            },
        )
        .unwrap_or_default();
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
        for octets in signed {
            let mut sum = [0; 12];
            signer.checksum_into(octets, &mut sum);
            black_box(sum);
        }
        black_box(stored.encrypt(&mut random, &ticket));
    }
    (thread_nanos() - start) as f64 / 1000.0 / ROUNDS as f64
}

/// With audit to a file and metrics that are asked for.
pub fn observed(report: &mut Report, extent: Extent) {
    let audit = ("audit", "file = \"audit.jsonl\"".to_owned());
    let metrics = ("management", "listen = [\"127.0.0.1:0\"]".to_owned());
    let wishes = [Wishes::default(), Wishes { settings: vec![audit, metrics], ..Wishes::default() }];
    let mut quiets = wishes.map(|wishes| Quiet::start(Family::Ours, AES256_SHA1, wishes));
    // What is told of is a tenth, which many turns tell from what a machine does besides.
    let all = in_turns(&mut quiets, 3 * MANY_TURNS, extent.requests);
    let names = ["bare", "watched"];
    names.iter().zip(&all).for_each(|(name, turns)| tell(name, turns));
    for (place, what) in EXCHANGES.iter().enumerate() {
        let what = format!("{what}: with audit to a file and metrics");
        let detail = format!("{:.1} us against {:.1} us", cost(&all[1], place), cost(&all[0], place));
        let more = (times(&all[1], &all[0], place) - 1.0) * 100.0;
        report.rows.add(&what, Goal::AtMost(10.0), more, " % more", detail);
    }
}
