//! The stores: what a read costs from the cache and from the file, what a commit, and what opening
//! after a crash. CPU time of this thread but where it says "elapsed". `cargo bench -p bench --bench store`
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use bench::thread_nanos;
use kdc::admin::{now, random_keys};
use kdc::core::{Change, Entry, KeySet, Store};
use kdc::store::{Cached, MasterKey, Memory, Redb};
use libkrb::Principal;
use libkrb::crypto::SUPPORTED;

const PRINCIPALS: usize = 10_000;
const READS: usize = 1_000_000;

fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, key) = (dir.path().join("store"), dir.path().join("key"));
    let master = || MasterKey::load(&key).expect("loads");
    MasterKey::create(&key).expect("created");
    let names: Vec<_> = (0..PRINCIPALS).map(|n| name(&format!("host/machine{n}.example.org"))).collect();
    let changes: Vec<_> = names.iter().map(|name| Change::Create(entry(name))).collect();

    let memory = Memory::new();
    memory.commit(&changes).expect("committed");
    reads("memory", &memory, &names);
    let store = Redb::create(&file, "EXAMPLE.ORG", master()).expect("created");
    elapsed("one commit of 10 000 principals with 6 keys each", 1, || store.commit(&changes).expect("committed"));
    reads("redb", &store, &names);
    let replace = |name| Change::Replace((*store.lookup(name).expect("readable").expect("there")).clone());
    elapsed("a commit of one principal", 100, || store.commit(&[replace(&names[7])]).expect("committed"));
    drop(store);
    elapsed("open and verify a file of 10 000 principals", 5, || drop(opened(&file, master())));
    let cached = Cached::new(opened(&file, master()), 2 * PRINCIPALS);
    names.iter().for_each(|name| drop(cached.lookup(name).expect("readable")));
    reads("redb behind the cache", &cached, &names);
    reads("redb behind the cache, one name", &cached, &names[..1]);
    drop(cached);
    cold();
}

/// One of a million, who was not asked for lately: in the store that `scale` has made, if it has.
fn cold() {
    const AS_MANY: usize = 200_000;
    const IN_MEMORY: usize = 20_000;
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from).unwrap_or_default();
    let realm = home.join(".cache/krb-bench/principals-1000000");
    let Ok(master) = MasterKey::load(&realm.join("master.key")) else {
        return println!("no store of a million principals: run --bench scale first");
    };
    let cached = Cached::new(opened(&realm.join("principals.redb"), master), IN_MEMORY);
    let mut place = 0_u64;
    let mut any = || {
        // All residues in no order that a cache would like.
        place = (place * 8_121 + 28_411) % 500_000;
        name(&format!("user{place:07}"))
    };
    let mut names = || (0..AS_MANY).map(|_| any()).collect::<Vec<_>>();
    names().iter().for_each(|name| drop(cached.lookup(name)));
    let timed = |what: &str, names: &[Principal], work: &dyn Fn(&Entry)| {
        let start = thread_nanos();
        names.iter().for_each(|name| work(&cached.lookup(name).expect("readable").expect("there")));
        let nanos = (thread_nanos() - start) as f64 / AS_MANY as f64;
        println!("{what:<60} {:>8.3} us", nanos / 1000.0);
    };
    timed("read, one of a million", &names(), &|_| ());
    timed("read, one of a million, and its keys prepared", &names(), &|entry| {
        for key in entry.keys.iter().flat_map(|set| &set.keys).take(1) {
            black_box((key.timestamp(), key.reply()));
        }
    });
}

fn name(text: &str) -> Principal {
    Principal::parse(text, Some("EXAMPLE.ORG")).expect("a name")
}

fn entry(name: &Principal) -> Entry {
    let keys = random_keys(SUPPORTED.iter().copied()).expect("keys");
    Entry { keys: vec![KeySet::new(1, keys)], ..Entry::new(name.clone(), [0; 16], now(), "bench@EXAMPLE.ORG") }
}

fn opened(file: &Path, master: MasterKey) -> Redb {
    Redb::open(file, master).expect("opens")
}

fn reads(what: &str, store: &dyn Store, names: &[Principal]) {
    let start = thread_nanos();
    for name in names.iter().cycle().take(READS) {
        black_box(store.lookup(name).expect("readable").expect("there"));
    }
    let nanos = (thread_nanos() - start) as f64 / READS as f64;
    println!("{:<60} {:>8.3} us", format!("read, {what}"), nanos / 1000.0);
}

fn elapsed(what: &str, times: u32, mut work: impl FnMut()) {
    let start = Instant::now();
    (0..times).for_each(|_| work());
    println!("{:<60} {:>8.1} ms elapsed", what, start.elapsed().as_secs_f64() * 1000.0 / f64::from(times));
}
