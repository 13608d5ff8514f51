//! How many instructions a request takes in the KDC's mind, and a token at its service and its client, counted by
//! valgrind: what gets slower fails here without a clock, however busy the machine is.
//! `cargo bench -p bench --bench instructions` compares with bench/instructions.toml;
//! with `-- --write` it writes that file.
//!
//! Valgrind has no instructions for SHA, so hashes are counted as they are computed without: more than
//! they cost, and the same on every machine.
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use libkrb::client::{ApExchange, ApRequest};
use libkrb::codes::EncryptionType;
use libkrb::gss::{InitiatorContext, InitiatorOptions, InitiatorStep, Mechanism};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use tests::armored::{self, Armor, Inside};
use tests::joined::{Asking, Joined, Sequence};

/// Requests that are made, whether they are sent or not: what making them takes is in both counts.
const MADE: usize = 2_000;
/// By how much a count may be above its bound.
const TOLERANCE: f64 = 1.05;
const BOUNDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml");
const HEAD: &str = "# Instructions a request (benches/instructions.rs), for a KDC whose keys all have this enctype.\n\
                    # What takes 5 % more fails in .ci/run. `cargo bench -p bench --bench instructions -- --write`\n\
                    # writes what is counted now: do so with a change that is meant to cost that much.\n";

const ETYPE: EncryptionType = EncryptionType::AES256_SHA1;
const HOST: &str = "host/a.example.org";

/// Sends so many of the requests that are made.
type Work = fn(usize);

/// What is counted, by name.
const ROWS: [(&str, Work); 7] = [
    ("as", |sent| kdc(sent, |client| (0..MADE).map(|_| login(client)).collect())),
    ("as_in_fast", |sent| kdc(sent, logins_in_fast)),
    ("tgs", |sent| kdc(sent, services)),
    ("tgs_in_fast", |sent| kdc(sent, services_in_fast)),
    ("accept", |sent| accept(sent, false)),
    ("accept_new", |sent| accept(sent, true)),
    ("token", token),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &arguments[..] {
        [name, sent] => {
            let (_, work) = ROWS.iter().find(|(row, _)| row == name).expect("a name of the table");
            work(sent.parse().expect("a number"));
            ExitCode::SUCCESS
        }
        [write] if write == "--write" => {
            let rows: String = ROWS.iter().map(|(name, _)| format!("{name} = {}\n", counted(name))).collect();
            std::fs::write(BOUNDS, format!("{HEAD}{rows}")).expect("written bounds");
            print!("{rows}");
            ExitCode::SUCCESS
        }
        _ => compare(),
    }
}

fn compare() -> ExitCode {
    let bounds = std::fs::read_to_string(BOUNDS).expect("bench/instructions.toml");
    let bounds: BTreeMap<String, u64> = toml::from_str(&bounds).expect("numbers by name");
    let mut good = true;
    for (name, _) in ROWS {
        let (bound, count) = (bounds[name], counted(name));
        let times = count as f64 / bound as f64;
        let verdict = if times > TOLERANCE { "TOO MANY" } else { "" };
        println!("{name:<12} {count:>8} instructions, {times:.3} times the bound {verdict}");
        good &= times <= TOLERANCE;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Instructions for one more request: with all sent less with half of them.
fn counted(name: &str) -> u64 {
    (total(name, MADE) - total(name, MADE / 2)) / (MADE / 2) as u64
}

fn total(name: &str, sent: usize) -> u64 {
    let own = std::env::current_exe().expect("this program");
    let arguments = ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"];
    let run = Command::new("valgrind").args(arguments).arg(own).args([name, &sent.to_string()]).output();
    let run = run.expect("valgrind: install it, as tests/peers does");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let line = said.lines().find_map(|line| line.split_once("I   refs:")).expect("a count");
    line.1.trim().replace(',', "").parse().expect("a number")
}

fn asking(asking: Asking) -> Asking {
    Asking { etypes: vec![ETYPE], ..asking }
}

fn login(client: &mut Joined) -> Vec<u8> {
    let key = client.key("alice", ETYPE);
    client.as_req(&asking(Asking::login("alice")), Some(&key))
}

fn logins_in_fast(client: &mut Joined) -> Vec<Vec<u8>> {
    let ticket = client.login(&asking(Asking::login("host/b.example.org"))).expect("a host's ticket");
    let (armor, key) = (Armor::new(client, &ticket), client.key("alice", ETYPE));
    let request = |_| {
        let inside = Inside::of(vec![armor.challenge(client, &key)]);
        armor.as_req(client, &asking(Asking::login("alice")), &inside)
    };
    (0..MADE).map(request).collect()
}

fn services(client: &mut Joined) -> Vec<Vec<u8>> {
    let tgt = client.login(&asking(Asking::login("alice"))).expect("a TGT");
    (0..MADE).map(|_| client.tgs_req(&tgt, &asking(Asking::service(HOST)))).collect()
}

fn services_in_fast(client: &mut Joined) -> Vec<Vec<u8>> {
    let (tgt, service) = (client.login(&asking(Asking::login("alice"))).expect("a TGT"), asking(Asking::service(HOST)));
    (0..MADE).map(|_| armored::tgs_req(client, &tgt, (&service, &service), None).0).collect()
}

/// Sends requests to the KDC's mind.
fn kdc(sent: usize, make: impl FnOnce(&mut Joined) -> Vec<Vec<u8>>) {
    let requests = make(&mut Joined::new());
    let mut server = Joined::new();
    for request in &requests[..sent] {
        let outcome = server.send(request);
        assert!(outcome.event.issued.is_some(), "{:?}", outcome.event);
    }
}

/// Shows tickets to a service: one again and again, as clients do for hours, or a new one each time.
fn accept(sent: usize, anew: bool) {
    let mut realm = Joined::new();
    let tgt = realm.login(&asking(Asking::login("alice"))).expect("a TGT");
    let mut tickets = vec![];
    let mut token = |_| {
        realm.tick();
        if anew || tickets.is_empty() {
            tickets.push(realm.tgs(&tgt, &asking(Asking::service(HOST))).expect("a ticket").cached());
        }
        let ticket = tickets.last().expect("a ticket");
        ApExchange::new(ticket, &ApRequest::default(), realm.now, &mut Sequence(5)).expect("an AP-REQ").1
    };
    let tokens: Vec<_> = (0..MADE).map(&mut token).collect();
    let replays = Arc::new(MemoryReplayCache::new(300, 1_000_000));
    let acceptor = Acceptor::new(&realm.keytab(&[HOST]), Options::default(), replays).expect("an acceptor");
    for token in &tokens[..sent] {
        acceptor.accept(realm.now, &mut Sequence(6), token, None).expect("an honest client");
    }
}

/// Makes the first token of a context with a ticket that is held.
fn token(made: usize) {
    let mut realm = Joined::new();
    let tgt = realm.login(&asking(Asking::login("alice"))).expect("a TGT");
    let ticket = realm.tgs(&tgt, &asking(Asking::service(HOST))).expect("a ticket").cached();
    let random = &mut Sequence(5);
    for _ in 0..made {
        let options = InitiatorOptions { mechanism: Mechanism::Kerberos, ..InitiatorOptions::default() };
        let mut context = InitiatorContext::new(&ticket, options).expect("a context");
        let step = context.step(realm.now, random, None).expect("a token");
        assert!(matches!(step, InitiatorStep::Continue(_)));
    }
}
