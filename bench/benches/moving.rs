//! Moving a realm: a dump of MIT's with a million principals of two keys each in, a dump of our own
//! out, and that back in. Elapsed time, for an operator waits for it, with the CPU time beside it;
//! and how much memory it took. `cargo bench -p bench --bench moving`; `KRB_BENCH_PRINCIPALS` says
//! how many.
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use kdc::config;
use kdc::init::init;
use kdc::moving::{Wishes, bring, dump, load, mit};
use kdc::store::Existing;
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, OsRandom};

const REALM: &str = "EXAMPLE.ORG";
const ETYPES: [EncryptionType; 2] = [EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1];
/// So many different keys; the others are the same again.
const KEYS: usize = 1000;

fn main() {
    let count = std::env::var("KRB_BENCH_PRINCIPALS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let listen = ["127.0.0.1:88".parse().expect("an address")];
    let files = init(REALM, &path("realm"), &listen).expect("a realm");
    let config = config::load(&files.config).expect("sound");
    let master = Key::new(ETYPES[0], &[7; 32]).expect("a key");
    write(&path("mit"), &master, count);
    let size = |name: &str| std::fs::metadata(path(name)).map_or(0, |file| file.len() >> 20);
    println!("{count} principals, {} MiB", size("mit"));

    let wishes = Wishes { existing: Existing::Refuse, dry_run: false, strict: true, json: true };
    timed("kdc import mit", count, || {
        let (source, lines) = mit::survey(&path("mit"), REALM, &mit::Told::Key(master)).expect("a dump");
        let counts = bring(&config, &path("mit"), lines, &source, wishes).expect("imported");
        assert_eq!(counts.principals, count as u64);
    });
    println!("{:<20} {:>8} MiB", "the store", std::fs::metadata(&config.store.file).expect("a store").len() >> 20);
    timed("kdc dump", count, || assert!(dump(&config, &path("own"), true).is_ok()));
    std::fs::remove_file(&config.store.file).expect("removed");
    timed("kdc load", count, || assert!(load(&config, &path("own"), false, true).is_ok()));
    println!("{:<20} {:>8} MiB at most", "memory", peak());
}

fn timed(what: &str, count: usize, work: impl FnOnce()) {
    let (start, cpu) = (Instant::now(), process_seconds());
    work();
    let elapsed = start.elapsed().as_secs_f64();
    let cpu = process_seconds() - cpu;
    let each = elapsed / count as f64 * 1e6;
    println!("{what:<20} {elapsed:>8.1} s elapsed, {cpu:>6.1} s of CPU, {each:>6.1} us a principal");
}

/// CPU time of all threads of this process.
fn process_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.split(' ').map(|field| field.parse().unwrap_or(0.0)).collect();
    // In hundredths of a second.
    fields.get(13..15).map_or(0.0, |ticks| ticks.iter().sum::<f64>() / 100.0)
}

/// The most memory that this process had at a time, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}

/// A dump as `kdb5_util dump` writes it.
fn write(path: &Path, master: &Key, count: usize) {
    let mut random = OsRandom::new();
    let mut sealed = |etype, kvno: u32| {
        let key = Key::random(etype, &mut random).expect("a key");
        field(master, &key, kvno, &mut random)
    };
    let keys: Vec<String> = (0..KEYS).map(|_| ETYPES.map(|etype| sealed(etype, 2)).concat()).collect();
    let own = field(master, master, 1, &mut OsRandom::new());
    let mut out = BufWriter::new(File::create(path).expect("a file"));
    let modified = hexed(&[&1_700_000_000u32.to_le_bytes()[..], b"admin/admin@EXAMPLE.ORG\0"].concat());
    writeln!(out, "kdb5_util load_dump version 7").expect("written");
    let mut line = |name: &str, keys: &str, many: usize| {
        let length = name.len();
        let tags = format!("\t2\t28\t{modified}\t1\t4\t00f15365\t8\t2\t0100");
        writeln!(out, "princ\t38\t{length}\t3\t{many}\t0\t{name}\t128\t86400\t604800\t0\t0\t0\t0\t0{tags}\t{keys}-1;")
            .expect("written");
    };
    line(&format!("K/M@{REALM}"), &own, 1);
    for number in 0..count {
        // As a B-tree has them: in the order of their names.
        line(&format!("user{number:08}@{REALM}"), &keys[number % KEYS], 2);
    }
    out.flush().expect("written");
}

/// The fields of a sealed key.
fn field(master: &Key, key: &Key, kvno: u32, random: &mut OsRandom) -> String {
    let plain = key.expose();
    let octets = [&(plain.len() as u16).to_le_bytes()[..], &master.encrypt(KeyUsage(0), random, plain)].concat();
    format!("1\t{kvno}\t{}\t{}\t{}\t", key.etype().0, octets.len(), hexed(&octets))
}

fn hexed(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
