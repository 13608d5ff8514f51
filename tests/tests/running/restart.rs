//! A KDC that gives way to a new one, and is told new settings, while clients log in all the time:
//! none of them fails.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tests::{Family, Port, Tool};

use crate::place::*;

/// What becomes of the settings.
type Change = Box<dyn Fn(&str) -> String>;

const CLIENTS: usize = 9;
const RELOADS: usize = 4;

fn restarts() -> usize {
    std::env::var("KRB_SOAK_RESTARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

/// Clients that log in until they are told to stop.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    done: [AtomicUsize; CLIENTS],
    failed: Mutex<Vec<String>>,
}

impl Load {
    fn go_on(&self, client: usize, mut log_in: impl FnMut() -> Result<(), String>) {
        while !self.over.load(Ordering::Relaxed) {
            if let Err(why) = log_in() {
                self.failed.lock().expect("a list").push(format!("client {client}: {why}"));
            }
            self.done[client].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until every client has been through one more login from its beginning to its end.
    fn settle(&self) {
        let counts = || self.done.each_ref().map(|count| count.load(Ordering::Relaxed));
        let before = counts();
        while counts().iter().zip(before).any(|(now, before)| *now < before + 2) {
            std::thread::yield_now();
        }
    }
}

/// Ends the load, also when the test fails.
struct Over<'a>(&'a Load);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// kinit, as a user runs it.
fn kinit(place: &Place, family: Family, client: usize) -> Result<(), String> {
    let tool = Tool::new(family.program("kinit")).args(["alice"]).stdin(format!("{PASSWORD}\n"));
    let cache = format!("FILE:{}", place.path(&format!("cache{client}")).display());
    let said = tool.env("KRB5_CONFIG", &place.files.client).env("KRB5CCNAME", cache).run();
    if said.code == Some(0) { Ok(()) } else { Err(said.stderr) }
}

fn listen(place: &Place, addresses: &[SocketAddr]) {
    let list: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    let text = std::fs::read_to_string(&place.files.config).expect("settings");
    let lines = text.lines().map(|line| match line.starts_with("listen = ") {
        true => format!("listen = [{}]", list.join(", ")),
        false => line.to_owned(),
    });
    std::fs::write(&place.files.config, lines.collect::<Vec<_>>().join("\n")).expect("settings");
}

#[test]
fn nobody_fails_to_log_in_while_the_kdc_is_restarted_and_reloaded_again_and_again() {
    let place = Place::new();
    let daemon = place.start();
    place.add("alice");
    let (own, other) = (place.port.address(), Port::claim());
    let load = Load::default();
    // Without it ours takes its place.
    let other_family = if Family::Mit.has_clients() { Family::Mit } else { Family::Ours };
    std::thread::scope(|scope| {
        let _over = Over(&load);
        for client in 0..CLIENTS {
            let (load, place) = (&load, &place);
            let (mut udp, mut tcp) = (place.udp(), place.tcp());
            scope.spawn(move || match client {
                0..4 => load.go_on(client, || log_in("alice", &mut udp)),
                4..7 => load.go_on(client, || log_in("alice", &mut tcp)),
                7 => load.go_on(client, || kinit(place, Family::Ours, client)),
                _ => load.go_on(client, || kinit(place, other_family, client)),
            });
        }
        for restart in 0..restarts() {
            for reload in 0..RELOADS {
                // An address comes and goes beside the one that everybody asks.
                let both = [own, other.address()];
                listen(&place, &both[..1 + reload % 2]);
                place.kdc("reload").run().succeeds();
            }
            load.settle();
            place.kdc("restart").run().succeeds();
            load.settle();
            let ready = daemon.log().matches("is ready at").count();
            assert_eq!(ready, restart + 2, "one more KDC has said so");
        }
    });
    let done: usize = load.done.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    let failed = load.failed.lock().expect("a list");
    assert!(failed.is_empty(), "{} of {done} failed: {failed:#?}\n{}", failed.len(), daemon.log());
}

#[test]
fn a_new_kdc_that_could_not_start_does_not_take_over() {
    let place = Place::new();
    let _daemon = place.start();
    place.add("alice");
    let key = std::fs::read(&place.files.master_key).expect("a key");
    std::fs::write(&place.files.master_key, "no key").expect("written");
    let said = place.kdc("restart").run();
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("master.key") && said.stderr.contains("goes on as it was"), "{}", said.stderr);
    log_in("alice", &mut place.udp()).expect("a ticket");
    std::fs::write(&place.files.master_key, key).expect("written");
    place.kdc("restart").run().succeeds();
    log_in("alice", &mut place.udp()).expect("a ticket");
}

#[test]
fn a_restart_that_would_end_the_kdc_is_refused_and_says_why() {
    let place = Place::new();
    let daemon = place.start();
    place.add("alice");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let taken = taken.local_addr().map(|address| (taken, address)).expect("an address");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let settings = std::fs::read_to_string(&place.files.config).expect("settings");
    let own = place.port.address();
    let confined = daemon.log().contains("landlock=\"enforced");
    let with =
        |change: &dyn Fn(&str) -> String| std::fs::write(&place.files.config, change(&settings)).expect("written");
    let address = taken.1;
    let cases: Vec<(&str, Change)> = vec![
        (
            "the port is in use",
            Box::new(move |text| {
                text.replacen(&format!("listen = [\"{own}\""), &format!("listen = [\"{own}\", \"{address}\""), 1)
            }),
        ),
        (
            "[management] listen",
            Box::new(move |text| text.replace("[management]\n", &format!("[management]\nlisten = ['{address}']\n"))),
        ),
        (
            "but `realm` in kdc.toml is OTHER.ORG",
            Box::new(|text| text.replace(&format!("realm = \"{REALM}\""), "realm = \"OTHER.ORG\"")),
        ),
    ];
    for (words, change) in &cases {
        with(change);
        let said = place.kdc("restart").run();
        assert!(said.code == Some(1) && said.stderr.contains(words), "{words}: {said}");
        assert!(said.stderr.contains("goes on as it was"), "{said}");
        log_in("alice", &mut place.udp()).expect("a ticket");
    }
    if confined {
        let file = elsewhere.path().join("audit.jsonl");
        with(&|text: &str| text.replace("[audit]\n", &format!("[audit]\nfile = '{}'\n", file.display())));
        let said = place.kdc("restart").run();
        assert!(said.code == Some(1) && said.stderr.contains("Landlock"), "{said}");
    }
    let other = place.path("other.key");
    std::fs::copy(Place::new().files.master_key, other).expect("a key of another realm");
    with(&|text: &str| text.replace("#master_key = \"master.key\"", "master_key = \"other.key\""));
    let said = place.kdc("restart").run();
    assert!(said.code == Some(1) && said.stderr.contains("other.key"), "{said}");
    with(&str::to_owned);
    log_in("alice", &mut place.udp()).expect("a ticket");
    place.kdc("restart").run().succeeds();
    log_in("alice", &mut place.udp()).expect("a ticket");
}
