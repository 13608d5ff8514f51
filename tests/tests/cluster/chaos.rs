//! Logins and changes while KDCs and nodes of etcd are killed, one after the other: no login fails for a
//! client that knows all KDCs, and no acknowledged change is lost. Short here; `just chaos` for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kdc::admin::{Answer, Name, NewKeys, Operation, Perform, Remote, Secret, Settings};
use libkrb::Principal;
use libkrb::config::Config;
use libkrb::net::{Client, Transport};

use crate::place::{Cluster, Kdc, REALM, until};

const PASSWORD: &str = "correct horse battery";
/// Clients that log in all the time.
const CLIENTS: usize = 2;
/// What must have happened before the next is killed, and before it is started again.
const LOGINS: usize = 5;

fn kills() -> usize {
    std::env::var("KRB_CHAOS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

fn name(text: &str) -> Name {
    Name(Principal::parse(text, Some(REALM)).expect("a name"))
}

fn perform(kdc: &Kdc, operation: Operation) -> Option<Answer> {
    Remote::find(&kdc.path("admin.sock")).ok()??.perform(operation).ok()
}

/// What happened so far.
#[derive(Default)]
struct Count {
    over: AtomicBool,
    logins: AtomicUsize,
    /// Microseconds.
    slowest: AtomicUsize,
    failed: std::sync::Mutex<Vec<String>>,
    /// The last number that was acknowledged, by writer.
    written: [AtomicUsize; 3],
}

/// Logs in, each time as a new client that knows all KDCs.
fn log_in(count: &Count, text: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = Arc::new(Config::parse("krb5.conf", text).expect("sound"));
    while !count.over.load(Ordering::Relaxed) {
        let (begun, alice) = (Instant::now(), name("alice").0);
        let client = Client::with_password(Transport::new(Arc::clone(&config)), alice, PASSWORD);
        match runtime.block_on(client.tgt()) {
            Ok(_) => drop(count.logins.fetch_add(1, Ordering::Relaxed)),
            Err(error) => count.failed.lock().expect("unpoisoned").push(error.to_string()),
        }
        let took = usize::try_from(begun.elapsed().as_micros()).unwrap_or(usize::MAX);
        count.slowest.fetch_max(took, Ordering::Relaxed);
    }
}

/// Counts up in a note of its own principal, through one KDC; what is not acknowledged is tried again.
fn write(count: &Count, socket: &std::path::Path, writer: usize) {
    while !count.over.load(Ordering::Relaxed) {
        let next = count.written[writer].load(Ordering::Relaxed) + 1;
        let (principal, value) = (name(&format!("writer{writer}")), Some(next.to_string()));
        let set = Operation::SetString { principal, name: "note".into(), value };
        let done = Remote::find(socket).ok().flatten().map(|remote| remote.perform(set));
        match done {
            Some(Ok(_)) => count.written[writer].store(next, Ordering::Relaxed),
            // It is being started again.
            _ => std::thread::yield_now(),
        }
    }
}

fn note(kdc: &Kdc, writer: usize) -> usize {
    let strings = perform(kdc, Operation::Strings { principal: name(&format!("writer{writer}")) });
    let Some(Answer::Strings(strings)) = strings else { return 0 };
    let note = strings.into_iter().find(|(name, _)| name == "note");
    note.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

#[test]
fn kdcs_and_nodes_of_etcd_are_killed_and_no_login_fails_and_no_acknowledged_change_is_lost() {
    let Some(mut cluster) = Cluster::start(3, 3) else { return };
    let keys = NewKeys::Password { password: Secret::new(PASSWORD.to_owned()), kinds: vec![] };
    let users = ["alice", "writer0", "writer1", "writer2"];
    for user in users {
        let create =
            Operation::Create { principal: name(user), keys: keys.clone(), kvno: None, settings: Settings::default() };
        perform(&cluster.kdcs[0], create).expect("created");
    }
    until("all know all", || {
        let known =
            |kdc: &Kdc| users.iter().all(|user| perform(kdc, Operation::Strings { principal: name(user) }).is_some());
        cluster.kdcs.iter().all(known)
    });
    let servers: String = cluster.kdcs.iter().map(|kdc| format!("  kdc = 127.0.0.1:{}\n", kdc.port())).collect();
    let text = format!(
        "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\n[realms]\n{REALM} = {{\n{servers}}}\n"
    );
    let sockets: Vec<_> = cluster.kdcs.iter().map(|kdc| kdc.path("admin.sock")).collect();
    let (count, begun) = (Count::default(), Instant::now());
    std::thread::scope(|scope| {
        let ended = Ending(&count);
        for _ in 0..CLIENTS {
            scope.spawn(|| log_in(&count, &text));
        }
        for (writer, socket) in sockets.iter().enumerate() {
            let count = &count;
            scope.spawn(move || write(count, socket, writer));
        }
        for kill in 0..kills() {
            let victim = kill / 2 % 3;
            match kill % 2 {
                0 => cluster.kdcs[victim].kill(),
                _ => cluster.etcd.kill(victim),
            }
            goes_on(&count, (victim + 1) % 3);
            match kill % 2 {
                0 => cluster.kdcs[victim].start(),
                _ => cluster.etcd.restart(&[victim]),
            }
            goes_on(&count, victim);
        }
        drop(ended);
    });
    let failed = count.failed.lock().expect("unpoisoned").clone();
    let written: Vec<_> = count.written.iter().map(|written| written.load(Ordering::Relaxed)).collect();
    tests::tell(&format!(
        "{} kills in {:.0?}: {} logins, {} failed, the slowest took {:.1?}; {} changes acknowledged",
        kills(),
        begun.elapsed(),
        count.logins.load(Ordering::Relaxed),
        failed.len(),
        Duration::from_micros(count.slowest.load(Ordering::Relaxed) as u64),
        written.iter().sum::<usize>(),
    ));
    assert_eq!(failed, [""; 0]);
    for kdc in &cluster.kdcs {
        for (writer, written) in written.iter().enumerate() {
            until("every acknowledged change is at every KDC", || note(kdc, writer) >= *written);
            // One more may have been made whose answer was lost with its KDC.
            assert!(note(kdc, writer) <= written + 1, "nothing that nobody asked for");
        }
        kdc.kdc(&["store", "verify"]).run().succeeds();
    }
}

/// Ends the threads also when the test fails.
struct Ending<'a>(&'a Count);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Awaits some logins, and a change through a KDC that lives.
fn goes_on(count: &Count, writer: usize) {
    let logins = count.logins.load(Ordering::Relaxed) + LOGINS;
    let written = count.written[writer].load(Ordering::Relaxed);
    let goes_on = || {
        std::thread::yield_now();
        count.logins.load(Ordering::Relaxed) >= logins && count.written[writer].load(Ordering::Relaxed) > written
    };
    until("logins and changes go on", goes_on);
}
