//! Looks at a store in memory, with the clock in hand where it matters.

use std::sync::Arc;

use libkrb::codes::EncryptionType;
use libkrb::{Principal, Time};

use super::*;
use crate::admin::{KeyRules, Registry, now, random_keys};
use crate::core::{Attributes, Change, Entry, KeySet, PasswordPolicy, Policy, Store};
use crate::store::Memory;

const DAY: i64 = 24 * 3600;

fn name(text: &str) -> Principal {
    Principal::parse(text, Some("R")).expect(text)
}

fn rows(principals: &[&str]) -> Vec<Row> {
    let rule = Rule { period: 30 * DAY, announce: DAY, overlap: None };
    vec![Row { principals: principals.iter().map(|it| (*it).to_owned()).collect(), rule }]
}

/// A store with krbtgt and services whose keys are so many days old.
fn store(services: &[(&str, i64)]) -> Arc<Memory> {
    let store = Memory::new();
    let mut changes = vec![];
    for (text, days) in [("krbtgt/R", 100)].iter().chain(services) {
        let made = now() - days * DAY;
        let mut entry = Entry::new(name(text), [text.len() as u8; 16], made, "");
        entry.keys = vec![KeySet::new(1, random_keys([EncryptionType::AES128_SHA1]).expect("random")).made(made)];
        changes.push(Change::Create(entry));
    }
    store.commit(&changes).expect("committed");
    Arc::new(store)
}

fn rotation(store: &Arc<Memory>, rows: Vec<Row>) -> Rotation {
    let policy = Policy::new("R");
    let registry = Registry::new(store.clone(), policy.clone(), KeyRules::default());
    Rotation::new(store.clone(), Arc::new(registry), policy, rows)
}

fn change(store: &Memory, text: &str, change: impl FnOnce(&mut Entry)) {
    let mut entry = (*store.lookup(&name(text)).expect("readable").expect("there")).clone();
    change(&mut entry);
    store.commit(&[Change::Replace(entry)]).expect("replaced");
}

fn kvnos(store: &Memory, text: &str) -> Vec<u32> {
    store.lookup(&name(text)).expect("readable").expect("there").keys.iter().map(|set| set.kvno).collect()
}

#[test]
fn what_is_due_is_announced_once_and_what_is_not_is_left_alone() {
    let store = store(&[("HTTP/old", 40), ("HTTP/new", 1), ("host/old", 40)]);
    let rotation = rotation(&store, rows(&["HTTP/*"]));
    let looked = rotation.look(now()).expect("looked");
    assert_eq!(looked.announced, [name("HTTP/old")]);
    assert_eq!(kvnos(&store, "HTTP/old"), [2, 1]);
    assert_eq!((kvnos(&store, "HTTP/new"), kvnos(&store, "host/old")), (vec![1], vec![1]));
    assert_eq!(kvnos(&store, "krbtgt/R"), [1], "it has no rule");
    let used_from = store.lookup(&name("HTTP/old")).expect("readable").expect("there").keys[0].from;
    assert_eq!(looked.next, Some(used_from));
    let again = rotation.look(now()).expect("looked");
    assert_eq!((again.announced, again.purged), (vec![], vec![]), "a look can be repeated");
    let entry = store.lookup(&name("HTTP/old")).expect("readable").expect("there");
    assert_eq!(again.next, Some(entry.keys[0].from), "the next one is when they come into use");
    assert!(entry.modified_by.starts_with("kdc/rotation@R"), "{}", entry.modified_by);
}

#[test]
fn old_keys_go_when_their_time_is_over_and_not_before() {
    let store = store(&[("HTTP/a", 40)]);
    let rotation = rotation(&store, rows(&["HTTP/*"]));
    rotation.look(now()).expect("looked");
    let until = now() + 1000;
    change(&store, "HTTP/a", |entry| entry.keys[1].until = Some(until));
    let looked = rotation.look(now()).expect("looked");
    assert_eq!((looked.next, kvnos(&store, "HTTP/a")), (Some(until), vec![2, 1]));
    change(&store, "HTTP/a", |entry| entry.keys[1].until = Some(now()));
    let looked = rotation.look(now()).expect("looked");
    assert_eq!((looked.purged, kvnos(&store, "HTTP/a")), (vec![name("HTTP/a")], vec![2]));
}

#[test]
fn old_keys_of_the_realm_go_without_any_rule() {
    let store = store(&[]);
    change(&store, "krbtgt/R", |entry| {
        entry.keys.push(KeySet { until: Some(Time(5)), ..KeySet::new(0, vec![]) });
    });
    rotation(&store, vec![]).look(now()).expect("looked");
    assert_eq!(kvnos(&store, "krbtgt/R"), [1]);
}

#[test]
fn a_password_policy_is_a_rule_too_and_comes_first() {
    let store = store(&[("HTTP/a", 40), ("imap/b", 40)]);
    let often = PasswordPolicy { rotate_keys_after: 10 * DAY, ..PasswordPolicy::new("often") };
    let seldom = PasswordPolicy { rotate_keys_after: 400 * DAY, ..PasswordPolicy::new("seldom") };
    store.commit(&[Change::PutPolicy(often), Change::PutPolicy(seldom)]).expect("committed");
    change(&store, "imap/b", |entry| entry.policy = Some("often".into()));
    change(&store, "HTTP/a", |entry| entry.policy = Some("seldom".into()));
    let looked = rotation(&store, rows(&["HTTP/*"])).look(now()).expect("looked");
    assert_eq!(looked.announced, [name("imap/b")]);
}

#[test]
fn who_could_not_fetch_is_never_locked_out_by_a_rule() {
    let store = store(&[("HTTP/locked", 40), ("krbtgt/OTHER", 40)]);
    change(&store, "HTTP/locked", |entry| entry.attributes = Attributes::LOCKDOWN_KEYS);
    let looked = rotation(&store, rows(&["*"])).look(now()).expect("looked");
    assert_eq!(looked.announced, [name("krbtgt/R")]);
}

#[test]
fn all_pages_of_a_realm_are_looked_at() {
    let names: Vec<String> = (0..1100).map(|number| format!("HTTP/{number:04}")).collect();
    let services: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 40)).collect();
    let store = store(&services);
    let looked = rotation(&store, rows(&["HTTP/*"])).look(now()).expect("looked");
    assert_eq!(looked.announced.len(), 1100);
}

/// Turning over under kill -9.
mod killed {
    use std::io::{BufRead, BufReader, Write};
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::store::{MasterKey, Redb};

    const FOLDER: &str = "KDC_TEST_ROTATION_FOLDER";
    const SERVICES: usize = 120;

    fn open(dir: &Path) -> Arc<Redb> {
        let master = MasterKey::load(&dir.join("master.key")).expect("loads");
        Arc::new(Redb::open(&dir.join("store"), master).expect("opens after the kill"))
    }

    fn service(number: usize) -> Principal {
        name(&format!("HTTP/{number:04}"))
    }

    /// Not a test by itself: what the killed process does.
    #[test]
    fn the_process_that_is_killed() {
        let Some(dir) = std::env::var_os(FOLDER).map(std::path::PathBuf::from) else { return };
        let store = open(&dir);
        for number in 0..SERVICES {
            let policy = Policy::new("R");
            let registry = Registry::new(store.clone(), policy.clone(), KeyRules::default());
            let rows = rows(&[&format!("HTTP/{number:04}")]);
            let looked = Rotation::new(store.clone(), Arc::new(registry), policy, rows).look(now()).expect("looked");
            let mut out = std::io::stdout().lock();
            let line = if looked.announced.is_empty() { "left" } else { "turned" };
            writeln!(out, "{line} {number}").and_then(|()| out.flush()).expect("the parent reads");
        }
    }

    #[test]
    fn keys_that_turn_over_are_turned_once_whatever_kills_the_kdc() {
        let dir = tempfile::tempdir().expect("a folder");
        let master = MasterKey::create(&dir.path().join("master.key")).expect("a master key");
        let store = Redb::create(&dir.path().join("store"), "R", master).expect("a store");
        let made = now() - 40 * DAY;
        let changes = (0..SERVICES).map(|number| {
            let mut entry = Entry::new(service(number), [number as u8; 16], made, "");
            entry.keys = vec![KeySet::new(1, random_keys([EncryptionType::AES128_SHA1]).expect("random")).made(made)];
            Change::Create(entry)
        });
        store.commit(&changes.collect::<Vec<_>>()).expect("committed");
        drop(store);
        let mut acknowledged = vec![];
        for round in 1..=5 {
            let mut child = Command::new(std::env::current_exe().expect("this test"))
                .args(["--exact", "rotation::tests::killed::the_process_that_is_killed", "--nocapture"])
                .env(FOLDER, dir.path())
                .stdout(Stdio::piped())
                .spawn()
                .expect("starts");
            let mut turned = 0;
            for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
                let Some(number) = line.expect("text").rsplit_once("turned ").and_then(|(_, n)| n.parse().ok()) else {
                    continue;
                };
                acknowledged.push(number);
                turned += 1;
                if turned == 7 * round {
                    child.kill().expect("killed");
                }
            }
            child.wait().expect("gone");
            let store = open(dir.path());
            for number in 0..SERVICES {
                let entry = store.lookup(&service(number)).expect("not torn").expect("there");
                let kvnos: Vec<_> = entry.keys.iter().map(|set| set.kvno).collect();
                assert!(kvnos == [1] || kvnos == [2, 1], "{kvnos:?}");
                assert!(kvnos == [2, 1] || !acknowledged.contains(&number), "{number} is lost");
            }
        }
        acknowledged.sort_unstable();
        let before = acknowledged.len();
        acknowledged.dedup();
        assert_eq!(acknowledged.len(), before, "none is turned over twice");
        assert!(before > 70, "{before}");
    }
}
