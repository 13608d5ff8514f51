//! The master key rolled over: under commits, cut short, in one store and in its file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::*;
use crate::core::{Change, PasswordPolicy, Store};
use crate::source::Source;

const FOLDER: &str = "KDC_TEST_ROLLING_FOLDER";

fn fill(store: &Redb, count: usize) {
    let changes: Vec<_> = (0..count).map(|number| Change::Create(entry(&format!("user{number:05}")))).collect();
    store.commit(&changes).expect("committed");
}

/// Steps until there are no more.
fn roll(store: &Redb) -> Resealed {
    let mut after = None;
    loop {
        let step = store.reseal(after.as_ref()).expect("a step");
        if step.next.is_none() {
            return step;
        }
        after = step.next;
    }
}

fn counts(store: &Redb) -> BTreeMap<u32, u64> {
    store.master_key().expect("counted").1
}

fn versions_in_file(dir: &tempfile::TempDir) -> Vec<u32> {
    MasterKey::load(&dir.path().join("master.key")).expect("loads").versions()
}

#[test]
fn a_roll_over_seals_all_anew_and_the_old_version_leaves_the_file() {
    let (dir, store) = redb();
    fill(&store, 1100);
    let before = store.lookup(&name("user00003")).expect("readable").expect("there");
    let first = store.reseal(None).expect("a step");
    assert_eq!((first.version, first.seen, first.total), (2, 500, 1100));
    assert_eq!(versions_in_file(&dir), [1, 2], "the file has it before anything is sealed under it");
    assert_eq!(counts(&store), BTreeMap::from([(1, 600), (2, 500)]));
    store.commit(&[Change::Create(entry("zoe"))]).expect("committed");
    let last = roll(&store);
    assert_eq!((last.next, last.removed, last.left), (None, vec![1], vec![]));
    assert_eq!((counts(&store), versions_in_file(&dir)), (BTreeMap::from([(2, 1101)]), vec![2]));
    let after = store.lookup(&name("user00003")).expect("readable").expect("there");
    assert_eq!(after.revision, before.revision, "nobody's reading is spoilt");
    assert!(after.keys[0].keys[0].key.same_as(&before.keys[0].keys[0].key));
    assert_eq!(after.keys[0].keys[0].salt, before.keys[0].keys[0].salt);
    drop(store);
    let mut store = reopen(&dir).expect("opens with the new version alone");
    assert_eq!(store.verify().expect("sound"), 1101);
    assert_eq!(roll(&store).version, 3, "the next one");
}

#[test]
fn former_keys_are_sealed_anew_too_and_windows_stay() {
    let (_dir, store) = redb();
    let mut alice = entry("alice");
    alice.history = entry("x").keys;
    alice.keys[0] = KeySet { from: Time(7), until: Some(Time(9)), ..alice.keys[0].clone() }.made(Time(5));
    store.commit(&[Change::Create(alice)]).expect("committed");
    roll(&store);
    assert_eq!(counts(&store), BTreeMap::from([(2, 1)]));
    let alice = store.lookup(&name("alice")).expect("readable").expect("there");
    let set = &alice.keys[0];
    assert_eq!((set.created, set.from, set.until, alice.history.len()), (Time(5), Time(7), Some(Time(9)), 1));
}

#[test]
fn what_only_a_newer_version_knows_of_a_record_stays_through_changes_and_a_roll_over() {
    let (_dir, store) = redb();
    // Field 4000, a number.
    let newer = vec![0x80, 0xfa, 1, 7];
    let policy = PasswordPolicy { newer: newer.clone(), ..PasswordPolicy::new("strict") };
    let alice = Entry { newer: newer.clone(), ..entry("alice") };
    store.commit(&[Change::Create(alice), Change::PutPolicy(policy)]).expect("committed");
    let (alice, policy) = (
        || store.lookup(&name("alice")).expect("readable").expect("there"),
        || (*store.policy("strict").expect("readable").expect("there")).clone(),
    );
    let changes = [
        Change::Replace(Entry { max_life: Some(5), ..(*alice()).clone() }),
        Change::PutPolicy(PasswordPolicy { history: 3, ..policy() }),
    ];
    store.commit(&changes).expect("committed");
    roll(&store);
    assert_eq!(counts(&store), BTreeMap::from([(2, 1)]));
    assert_eq!((alice().max_life, &alice().newer, alice().keys.len()), (Some(5), &newer, 1));
    assert_eq!((policy().history, policy().newer), (3, newer));
}

#[test]
fn the_new_file_is_as_private_as_the_old_one_and_keeps_its_words() {
    let (dir, store) = redb();
    let path = dir.path().join("master.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    let before = fs::read_to_string(&path).expect("there");
    roll(&store);
    let after = fs::read_to_string(&path).expect("there");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
    assert_eq!(before.lines().take(2).collect::<Vec<_>>(), after.lines().take(2).collect::<Vec<_>>());
    assert_eq!(after.lines().count(), 3);
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2, "nothing is left behind");
}

#[test]
fn a_key_that_the_kdc_cannot_write_is_rolled_over_to_the_version_that_was_put_there() {
    let (dir, store) = redb();
    fill(&store, 3);
    drop(store);
    let path = dir.path().join("master.key");
    let from_command = || {
        let argv = vec!["/bin/cat".to_owned(), path.display().to_string()];
        let source = Source::Command { argv, patience: 10 };
        Redb::open(&dir.path().join("store"), MasterKey::load(&source).expect("loads")).expect("opens")
    };
    let error = from_command().reseal(None).expect_err("there is no new version").to_string();
    assert!(error.contains("the KDC can't write this"), "{error}");
    let text = fs::read_to_string(&path).expect("there");
    fs::write(&path, format!("{text}5 {}\n", "ab".repeat(32))).expect("written");
    let store = from_command();
    let step = roll(&store);
    assert_eq!((step.version, step.removed, step.left), (5, vec![], vec![1]));
    assert_eq!(counts(&store), BTreeMap::from([(1, 0), (5, 3)]));
}

#[test]
fn readers_and_writers_notice_nothing_of_a_roll_over() {
    let (_dir, store) = redb();
    fill(&store, 600);
    let store = Cached::new(store, 1);
    std::thread::scope(|scope| {
        let rolling = scope.spawn(|| {
            for _ in 0..3 {
                roll(store.inner());
            }
        });
        let mut number = 0;
        while !rolling.is_finished() {
            number += 1;
            store.commit(&[Change::Create(entry(&format!("new{number}")))]).expect("committed");
            for user in (0..600).step_by(97) {
                assert!(store.lookup(&name(&format!("user{user:05}"))).expect("readable").is_some());
            }
            assert!(store.lookup(&name(&format!("new{number}"))).expect("readable").is_some());
        }
    });
    assert_eq!(counts(store.inner()).len(), 1);
}

/// Not a test by itself: what the killed process does.
#[test]
fn the_process_that_is_killed() {
    let Some(dir) = std::env::var_os(FOLDER).map(std::path::PathBuf::from) else { return };
    let master = MasterKey::load(&dir.join("master.key")).expect("loads");
    let store = Redb::open(&dir.join("store"), master).expect("opens");
    let say = |what: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{what}").and_then(|()| out.flush()).expect("the parent reads");
    };
    let (mut after, mut number) = (None, store.list(None, usize::MAX).expect("listed").len());
    loop {
        let step = store.reseal(after.as_ref()).expect("a step");
        after = step.next;
        store.commit(&[Change::Create(entry(&format!("new{number}")))]).expect("committed");
        say(format!("committed {number}"));
        number += 1;
    }
}

#[test]
fn a_roll_over_that_is_killed_loses_nothing_and_goes_on() {
    let (dir, store) = redb();
    fill(&store, 1200);
    drop(store);
    let mut acknowledged = vec![];
    for round in 1..=6 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "store::tests::rolling::the_process_that_is_killed", "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut seen = 0;
        for line in lines {
            let Some(number) = line.expect("text").rsplit_once("committed ").map(|(_, n)| n.to_owned()) else {
                continue;
            };
            acknowledged.push(number);
            seen += 1;
            if seen == round {
                child.kill().expect("killed");
            }
        }
        child.wait().expect("gone");
        let mut store = reopen(&dir).expect("opens after the kill");
        let kept = store.verify().expect("no record is torn");
        assert!(kept >= 1200 + acknowledged.len(), "{kept} kept");
        for number in &acknowledged {
            assert!(store.lookup(&name(&format!("new{number}"))).expect("readable").is_some(), "{number} is lost");
        }
    }
    let store = reopen(&dir).expect("opens");
    roll(&store);
    assert_eq!(counts(&store).len(), 1);
    assert_eq!(versions_in_file(&dir).len(), 1);
}
