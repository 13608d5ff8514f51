//! The codec, and the KDC's mind without sockets: bytes in, bytes out. In CPU time, so that a busy
//! machine disturbs little. `cargo bench -p bench --bench core [-- PART_OF_A_NAME]`
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Duration;

use bench::thread_nanos;
use kdc::core::Outcome;
use kdc::observe::{Audit, Lines, Observer, Seen, Transport};
use libkrb::codes::{EncryptionType, PaType};
use libkrb::preauth::spake::{GROUPS, Group, client};
use libkrb::wire::{self, KdcReq};
use tests::armored::{self, Armor, Inside};
use tests::certificates::{logins, realm};
use tests::joined::{Asking, Joined};
use tests::spake::{Talk, Told};

const ROUNDS: usize = 20_000;

fn main() {
    let mut client = Joined::new();
    let key = client.key("alice", EncryptionType::AES256_SHA1);
    let login = Asking::login("alice");
    let request = client.as_req(&login, Some(&key));
    report("decode AS-REQ", &vec![request.clone(); ROUNDS], |request| {
        black_box(wire::decode::<KdcReq<'_>>(request).expect("a request"));
    });
    report("decode and encode AS-REQ", &vec![request; ROUNDS], |request| {
        black_box(wire::encode(&wire::decode::<KdcReq<'_>>(request).expect("a request")));
    });
    for etype in [EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1] {
        let mut client = Joined::new();
        let key = client.key("alice", etype);
        let login = Asking { etypes: vec![etype], ..login.clone() };
        let service = Asking { etypes: vec![etype], ..Asking::service("host/a.example.org") };
        let tgt = client.login(&login).expect("a TGT");
        let mut server = Joined::new();
        answered(&mut server, &format!("core AS with encrypted timestamp, {etype}"), || {
            client.as_req(&login, Some(&key))
        });
        answered(&mut server, &format!("core TGS, {etype}"), || client.tgs_req(&tgt, &service));
        in_fast(&mut client, &mut server, (&login, &service), etype);
    }
    certificates();
    observed(&mut client);
    GROUPS.iter().for_each(spake);
}

/// A login by SPAKE: what the KDC spends on all three of its requests. The client's share is not counted.
fn spake(group: &'static Group) {
    let what = format!("core AS with SPAKE {}: all requests of a login", group.name);
    if !wanted(&what) {
        return;
    }
    const LOGINS: usize = 500;
    let mut server = Joined::new();
    server.policy.spake.groups = vec![group];
    let (asking, key) = (Asking::login("alice"), server.key("alice", EncryptionType::AES256_SHA1));
    let support = client::support(&[group]);
    let bare = server.as_req(&asking, None);
    let asked = Asking { padata: vec![(PaType::SPAKE, support.clone())], ..asking.clone() };
    let named = server.as_req(&asked, None);
    let mut nanos = Vec::new();
    let mut spent = |server: &mut Joined, requests: &[Vec<u8>]| -> Vec<Outcome> {
        let start = thread_nanos();
        let outcomes = requests.iter().map(|request| server.send(request)).collect();
        nanos.push(thread_nanos() - start);
        outcomes
    };
    // What is made once for all logins.
    spent(&mut server, &[bare.clone(), named.clone()]);
    spent(&mut server, &vec![bare; LOGINS]);
    let challenges = spent(&mut server, &vec![named; LOGINS]);
    let responses: Vec<_> = challenges
        .iter()
        .map(|outcome| {
            let told = Told::read(outcome.reply.as_ref().expect("a challenge"));
            let talk = Talk::from(&asking, Some(support.clone()), &told);
            let (response, _) = talk.respond(&mut server, &key);
            talk.request(&mut server, &response)
        })
        .collect();
    let tickets = spent(&mut server, &responses);
    assert!(tickets.iter().all(|outcome| outcome.event.issued.is_some()), "{:?}", tickets[0].event);
    let each: Vec<_> = nanos[1..].iter().map(|nanos| *nanos as f64 / LOGINS as f64 / 1000.0).collect();
    let [hint, challenge, ticket] = each[..] else { panic!("three requests") };
    println!("{what:<60} {:>8.2} us ({hint:.1} + {challenge:.1} + {ticket:.1})", each.iter().sum::<f64>());
}

/// Logins by certificate: what the KDC does for one. A certificate that comes again within minutes is
/// not validated again, its signature is.
fn certificates() {
    for (what, who) in [("ECDSA P-256", "alice-p256"), ("RSA 2048", "alice")] {
        let what = format!("core AS with PKINIT, ECDH P-256, client {what}");
        if !wanted(&what) {
            continue;
        }
        let requests = logins(who, 1000).expect("logins");
        let mut server = realm();
        report(&what, &requests, |request| {
            issued(&mut server, request);
        });
    }
}

/// The same in FAST: at most 3 times an encrypted timestamp, and 1.6 times a plain TGS request.
fn in_fast(client: &mut Joined, server: &mut Joined, (login, service): (&Asking, &Asking), etype: EncryptionType) {
    let host = Asking { etypes: vec![etype], ..Asking::login("host/b.example.org") };
    let ticket = client.login(&host).expect("a host's ticket");
    let (armor, key) = (Armor::new(client, &ticket), client.key("alice", etype));
    answered(server, &format!("core AS with encrypted challenge in FAST, {etype}"), || {
        let inside = Inside::of(vec![armor.challenge(client, &key)]);
        armor.as_req(client, login, &inside)
    });
    let tgt = client.login(login).expect("a TGT");
    answered(server, &format!("core TGS in FAST, {etype}"), || {
        armored::tgs_req(client, &tgt, (service, service), None).0
    });
}

/// What an audit in a file costs, by batches as over UDP.
fn audited(seen: &Seen<'_>, what: &str) {
    const BATCH: usize = udp_batch::BATCH;
    let folder = tempfile::tempdir().expect("a folder");
    for (place, file) in [("a file", folder.path().join("audit.jsonl")), ("no file", "/dev/null".into())] {
        let observer = Observer::new(Some(Audit::open(&file).expect("an audit")));
        let mut lines = Lines::default();
        let mut batch = |_: &[u8]| {
            (0..BATCH).for_each(|_| observer.note(seen, &mut lines));
            observer.commit(&mut lines);
        };
        report(
            &format!("{what}, with an audit to {place}, {BATCH} at once"),
            &vec![vec![]; ROUNDS / BATCH],
            &mut batch,
        );
    }
}

/// What counting costs, without a log and an audit: it comes on top of every request.
fn observed(client: &mut Joined) {
    let key = client.key("alice", EncryptionType::AES256_SHA1);
    let request = client.as_req(&Asking::login("alice"), Some(&key));
    let issued = Joined::new().send(&request).event;
    let refused = Joined::new().send(&client.as_req(&Asking::login("nobody"), Some(&key))).event;
    let observer = Observer::default();
    let from = "192.0.2.7:1088".parse().expect("an address");
    for (what, event) in [("observing a ticket", &issued), ("observing a refusal", &refused)] {
        let seen = Seen { event, from, transport: Transport::Udp, at: client.now, took: Duration::from_micros(7) };
        // Short, so many: the clock of a thread goes on in steps.
        report(what, &vec![vec![]; 100 * ROUNDS], |_| observer.observe(&seen));
        audited(&seen, what);
    }
}

fn issued(server: &mut Joined, request: &[u8]) {
    let outcome = server.send(request);
    assert!(outcome.event.issued.is_some(), "{:?}", outcome.event);
}

/// Measures what a name on the command line is part of, or everything.
fn wanted(what: &str) -> bool {
    let mut names = std::env::args().skip(1).filter(|name| !name.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|name| what.contains(&name))
}

/// Has requests made and answered by turns, few enough that they are in the processor's cache when they
/// are answered, as what a socket has just brought is. The client's share is not counted; the median of
/// all turns is told, which a busy neighbour moves little.
fn answered(server: &mut Joined, what: &str, mut make: impl FnMut() -> Vec<u8>) {
    const TURN: usize = 100;
    if !wanted(what) {
        return;
    }
    let turn = |_| {
        let requests: Vec<_> = (0..TURN).map(|_| make()).collect();
        let start = thread_nanos();
        requests.iter().for_each(|request| issued(server, request));
        thread_nanos() - start
    };
    let mut nanos: Vec<_> = (0..ROUNDS / TURN).map(turn).collect();
    nanos.sort_unstable();
    println!("{what:<60} {:>8.2} us", nanos[nanos.len() / 2] as f64 / TURN as f64 / 1000.0);
}

fn report(what: &str, requests: &[Vec<u8>], mut work: impl FnMut(&[u8])) {
    if !wanted(what) {
        return;
    }
    let start = thread_nanos();
    requests.iter().for_each(|request| work(request));
    let nanos = (thread_nanos() - start) as f64 / requests.len() as f64;
    println!("{what:<60} {:>8.2} us", nanos / 1000.0);
}
