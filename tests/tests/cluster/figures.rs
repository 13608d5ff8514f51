//! How soon a change is everywhere, and how many changes there can be: three copies over three nodes, as
//! the KDCs have them. It prints a table and asserts no time. Longer with KRB_CLUSTER_SECONDS,
//! more with KRB_CLUSTER_PRINCIPALS, with sealed names with KRB_CLUSTER_SEALED=1.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kdc::core::{Change, Entry, KeySet, LongTermKey, Store};
use kdc::store::etcd::{Etcd as Copy, Options, Presence, publish};
use kdc::store::{Existing, Kept, MasterKey, Redb};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, OsRandom, SUPPORTED};
use libkrb::{Principal, Time};
use tests::{Etcd, tell};

use crate::load::{figure, wished};
use crate::place::until;

/// Who changes something at each KDC.
const WRITERS: usize = 32;

fn seconds() -> Duration {
    Duration::from_secs(wished("KRB_CLUSTER_SECONDS", 1))
}

fn name(text: &str) -> Principal {
    Principal::parse(text, Some("R")).expect("a name")
}

fn change(copy: &Copy, who: &Principal) {
    let mut entry = (*copy.lookup(who).expect("readable").expect("there")).clone();
    entry.max_life = Some(entry.max_life.unwrap_or(0) + 1);
    copy.commit(&[Change::Replace(entry)]).expect("changed");
}

const KEPT: Kept = Kept { entries: 1000, records: 1 << 20 };

/// Three copies of a realm in which nobody is yet.
fn three(etcd: &Etcd) -> (tempfile::TempDir, Vec<Copy>) {
    let folder = tempfile::tempdir().expect("a folder");
    MasterKey::create(&folder.path().join("master.key")).expect("a key");
    let master = || MasterKey::load(&folder.path().join("master.key")).expect("a key");
    let options = Options { endpoints: etcd.endpoints(), prefix: "/kdc/R".into(), ..Options::default() };
    let first = Redb::create(&folder.path().join("0"), "R", master()).expect("a store");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(publish(&options, &first)).expect("published");
    drop(first);
    let open = |copy: usize| Copy::open(options.clone(), &folder.path().join(copy.to_string()), "R", master(), KEPT);
    let copies = (0..3).map(|copy| open(copy).expect("opens")).collect();
    (folder, copies)
}

#[test]
fn every_change_comes_to_all_copies_however_many_there_are_at_once() {
    let Some(etcd) = Etcd::start(3) else { return };
    let (_folder, copies) = three(&etcd);
    let all: Vec<Vec<_>> =
        (0..3).map(|kdc| (0..WRITERS).map(|user| name(&format!("user{kdc}-{user}"))).collect()).collect();
    let made: Vec<_> =
        all.iter().flatten().map(|who| Change::Create(Entry::new(who.clone(), [1; 16], Time(1), ""))).collect();
    copies[0].commit(&made).expect("made");
    assert!(copies.iter().all(|copy| copy.comes_to(copies[0].revision(), Duration::from_secs(30))));

    let (mut commits, mut arrivals, begun) = (vec![], vec![], Instant::now());
    while begun.elapsed() < seconds() {
        let before = Instant::now();
        change(&copies[0], &all[0][0]);
        commits.push(before.elapsed());
        let acknowledged = Instant::now();
        let revision = copies[0].revision();
        assert!(copies[1..].iter().all(|copy| copy.comes_to(revision, Duration::from_secs(30))));
        arrivals.push(acknowledged.elapsed());
    }
    let (count, begun) = (AtomicUsize::new(0), Instant::now());
    let mut busy = vec![];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while begun.elapsed() < seconds() {
                change(&copies[0], &all[0][0]);
                count.fetch_add(1, Ordering::Relaxed);
                let (acknowledged, revision) = (Instant::now(), copies[0].revision());
                assert!(copies[1..].iter().all(|copy| copy.comes_to(revision, Duration::from_secs(30))));
                busy.push(acknowledged.elapsed());
            }
        });
        for (copy, users) in copies.iter().zip(&all) {
            for who in &users[1..] {
                let count = &count;
                scope.spawn(move || {
                    while begun.elapsed() < seconds() {
                        change(copy, who);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
    });
    let (count, took) = (count.load(Ordering::Relaxed), begun.elapsed());
    let rate = count as f64 / took.as_secs_f64();
    tell(&line("a change, alone", &mut commits));
    tell(&line("then seen on both others after", &mut arrivals));
    let (words, fast) =
        (line("under load", &mut busy), at(&busy, 50).as_millis() < 5 && at(&busy, 99).as_millis() < 50);
    figure("acknowledged, then on all other KDCs", "p50 under 5 ms, p99 under 50 ms under load", &words, fast);
    let words = format!("{rate:.0}/s, {WRITERS} at once at each");
    figure("admin writes through 3 KDCs", "at least 3,000/s durable", &words, rate >= 3000.0);
    let newest = copies.iter().map(Copy::revision).max().expect("three");
    for copy in &copies {
        assert!(copy.comes_to(newest, Duration::from_secs(30)));
    }
    let total = |copy: &Copy| -> i64 {
        let life = |who| copy.lookup(who).expect("readable").expect("there").max_life.unwrap_or(0);
        all.iter().flatten().map(life).sum()
    };
    for copy in &copies {
        assert_eq!(total(copy), (count + commits.len()) as i64, "no acknowledged change is lost, none is made twice");
    }
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn line(what: &str, times: &mut [Duration]) -> String {
    times.sort();
    format!("{what}: p50 {:.2?}, p99 {:.2?} of {}", at(times, 50), at(times, 99), times.len())
}

/// A principal with a random key of every enctype.
fn machine(number: usize) -> Entry {
    let key =
        |etype: &EncryptionType| LongTermKey::new(Key::random(*etype, &mut OsRandom::new()).expect("a key"), None);
    let keys = SUPPORTED.iter().map(key).collect();
    let name = name(&format!("host/machine{number:07}.example.org"));
    Entry { keys: vec![KeySet::new(1, keys)], ..Entry::new(name, (number as u128).to_be_bytes(), Time(1), "") }
}

#[test]
fn new_keys_of_the_kdcs_own_are_known_to_all_and_then_used_one_after_the_other() {
    let Some(etcd) = Etcd::start(3) else { return };
    let (_folder, copies) = three(&etcd);
    for (number, copy) in copies.iter().enumerate() {
        copy.announce(format!("copy{number}"), Box::new(Presence::default));
    }
    until("all live", || copies[0].members().is_ok_and(|all| all.is_some_and(|all| all.kdcs.len() == 3)));
    let tgs = Principal::tgs("R");
    copies[0].commit(&[Change::Create(Entry { principal: tgs.clone(), ..machine(0) })]).expect("made");
    let (mut times, begun) = (vec![], Instant::now());
    while times.len() < 10 || begun.elapsed() < seconds() {
        let mut next = (*copies[0].lookup(&tgs).expect("readable").expect("there")).clone();
        let newest = next.keys[0].clone();
        next.keys = vec![KeySet { kvno: newest.kvno + 1, ..newest }];
        let before = Instant::now();
        copies[0].commit(&[Change::Replace(next)]).expect("all have it");
        times.push(before.elapsed());
    }
    tell(&line("a key of the KDCs' own, known to all of three and then used", &mut times));
}

#[test]
fn a_kdc_joins_a_realm_of_many_and_serves_at_once() {
    let Some(etcd) = Etcd::start(1) else { return };
    let (folder, count) = (tempfile::tempdir().expect("a folder"), wished("KRB_CLUSTER_PRINCIPALS", 2000));
    MasterKey::create(&folder.path().join("master.key")).expect("a key");
    let master = || MasterKey::load(&folder.path().join("master.key")).expect("a key");
    let seal_names = wished("KRB_CLUSTER_SEALED", 0) == 1;
    let options = Options { endpoints: etcd.endpoints(), prefix: "/kdc/R".into(), seal_names, ..Options::default() };
    let first = Redb::create(&folder.path().join("first"), "R", master()).expect("a store");
    let revision = first.next_revision().expect("a revision");
    let filled = first.bulk(revision, |bulk| {
        (0..count).try_for_each(|number| bulk.put(&first.seal(&machine(number), revision)?, Existing::Refuse).map(drop))
    });
    filled.expect("filled");
    let (runtime, begun) = (tokio::runtime::Runtime::new().expect("a runtime"), Instant::now());
    runtime.block_on(publish(&options, &first)).expect("published");
    let published = begun.elapsed();
    drop(first);
    let begun = Instant::now();
    let joined = Copy::open(options.clone(), &folder.path().join("joined"), "R", master(), KEPT).expect("opens");
    let last = joined.lookup(&name(&format!("host/machine{:07}.example.org", count - 1))).expect("readable");
    let took = begun.elapsed();
    assert!(last.is_some() && joined.size().expect("readable").principals == count as u64);
    let words = format!("{took:.1?} for {count} principals (their publication took {published:.1?})");
    figure("a KDC joins", "1,000,000 principals in under 60 s", &words, count >= 1_000_000 && took.as_secs() < 60);
}
