//! How soon a change is everywhere, and how many changes there can be: three copies over three nodes, as
//! the KDCs have them. It prints a table and asserts no time. Longer with KRB_CLUSTER_SECONDS.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kdc::core::{Change, Entry, Store};
use kdc::store::etcd::{Etcd as Copy, Options, publish};
use kdc::store::{MasterKey, Redb};
use libkrb::{Principal, Time};
use tests::{Etcd, tell};

/// Who changes something at each KDC.
const WRITERS: usize = 32;

fn seconds() -> Duration {
    let text = std::env::var("KRB_CLUSTER_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(text.unwrap_or(1))
}

fn name(text: &str) -> Principal {
    Principal::parse(text, Some("R")).expect("a name")
}

fn change(copy: &Copy, who: &Principal) {
    let mut entry = (*copy.lookup(who).expect("readable").expect("there")).clone();
    entry.max_life = Some(entry.max_life.unwrap_or(0) + 1);
    copy.commit(&[Change::Replace(entry)]).expect("changed");
}

#[test]
fn every_change_comes_to_all_copies_however_many_there_are_at_once() {
    let Some(etcd) = Etcd::start(3) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    MasterKey::create(&folder.path().join("master.key")).expect("a key");
    let master = || MasterKey::load(&folder.path().join("master.key")).expect("a key");
    let options = Options { endpoints: etcd.endpoints(), prefix: "/kdc/R".into(), ..Options::default() };
    let first = Redb::create(&folder.path().join("0"), "R", master()).expect("a store");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(publish(&options, &first)).expect("published");
    drop(first);
    let open = |copy: usize| Copy::open(options.clone(), &folder.path().join(copy.to_string()), "R", master(), 1000);
    let copies: Vec<_> = (0..3).map(|copy| open(copy).expect("opens")).collect();
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
    std::thread::scope(|scope| {
        for (copy, users) in copies.iter().zip(&all) {
            for who in users {
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
    tell(&format!(
        "{}\n{}",
        line("a change, alone", &mut commits),
        line("then seen on both others after", &mut arrivals)
    ));
    tell(&format!("{:.0} changes/s through three KDCs, {WRITERS} at once at each", count as f64 / took.as_secs_f64()));
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

fn line(what: &str, times: &mut [Duration]) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!("{what:<32} p50 {:>8.2?}  p99 {:>8.2?}  of {}", at(50), at(99), times.len())
}
