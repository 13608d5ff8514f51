//! What remembering one authenticator costs: in memory, in a file, and in a Redis server that this
//! starts itself. CPU time, but where it says "elapsed". `cargo bench -p bench --bench replay`
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::{cpu_nanos, thread_nanos};
use libkrb::Time;
use libkrb::replay::{
    Durability, FileOptions, FileReplayCache, MemoryReplayCache, RedisOptions, RedisReplayCache, ReplayCache,
    ReplayKey, Verdict,
};
use tests::Redis;

const NOW: Time = Time(1_800_000_000);
const WINDOW: i64 = 300;

fn main() {
    for live in [100_000, 1_000_000, 10_000_000] {
        memory(live);
    }
    let folder = tempfile::tempdir().expect("a folder");
    file(&folder.path().join("written"), Durability::Written, 500_000);
    file(&folder.path().join("synced"), Durability::Synced, 500);
    if let Some(redis) = Redis::start(&[]) {
        remote(&redis);
    }
}

fn keys(count: usize, from: usize) -> Vec<ReplayKey> {
    (from..from + count).map(|number| ReplayKey::new([number.to_be_bytes().as_slice()])).collect()
}

fn fresh(cache: &dyn ReplayCache, keys: &[ReplayKey], now: Time) {
    keys.iter().for_each(|key| assert_eq!(cache.insert(*key, now, now), Verdict::Fresh));
}

/// As many come in each second as make `live` in the time that they are kept: at first the tables
/// grow, then they are as big as they have to be.
fn memory(live: usize) {
    // An entry is kept for its window, the window after, and one that a clock may be set back.
    let (seconds, each) = (3 * WINDOW, live / (3 * WINDOW as usize));
    let before = resident();
    let cache = MemoryReplayCache::new(WINDOW, 2 * live);
    let mut made = 0;
    let mut second = |second: i64| {
        let keys = keys(each, made);
        made += each;
        let start = thread_nanos();
        fresh(&cache, &keys, NOW + second);
        thread_nanos() - start
    };
    let growing: u64 = (0..seconds).map(&mut second).sum();
    let octets = resident().saturating_sub(before) / cache.len();
    // The next window begins, and the one after.
    let steady: u64 = (seconds..seconds + 2 * WINDOW).map(&mut second).sum();
    let per = |nanos: u64, seconds: i64| nanos / (seconds as u64 * each as u64);
    println!(
        "memory, {:>8} live: insert {:>4} ns in a steady load, {:>4} ns while it grows; {octets} octets an entry",
        cache.len(),
        per(steady, 2 * WINDOW),
        per(growing, seconds),
    );
}

fn file(path: &Path, durability: Durability, count: usize) {
    let options = FileOptions { window: WINDOW, max_entries: 1_000_000, durability, ..FileOptions::default() };
    let cache = FileReplayCache::open(path, options, NOW).expect("a cache");
    let keys = keys(count, 0);
    let (cpu, start) = (thread_nanos(), Instant::now());
    fresh(&cache, &keys, NOW);
    let (cpu, elapsed) = ((thread_nanos() - cpu) / count as u64, start.elapsed() / count as u32);
    println!("file, {durability:?}: insert {:.1} us, elapsed {elapsed:.1?}", cpu as f64 / 1000.0);
}

fn remote(redis: &Redis) {
    let mut options = RedisOptions::new(redis.url());
    options.timeout = Duration::from_secs(10);
    let cache = Arc::new(RedisReplayCache::connect_blocking(options).expect("a URL"));
    let now = tests::library::now().time;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");

    let alone = keys(5_000, 0);
    let mut waits: Vec<_> = runtime.block_on(async {
        let mut waits = vec![];
        for key in alone {
            let start = Instant::now();
            assert_eq!(cache.insert_async(key, now, now).await, Verdict::Fresh);
            waits.push(start.elapsed());
        }
        waits
    });
    waits.sort();
    let at = |share: usize| waits[waits.len() * share / 1000];
    println!("redis, one at a time: elapsed {:.1?} in the median, {:.1?} for 99 of 100", at(500), at(990));

    for tasks in [8, 64, 512] {
        let each = 200_000 / tasks;
        let pids = [std::process::id(), redis.pid()];
        let (before, start) = (pids.map(cpu_nanos), Instant::now());
        let running: Vec<_> = (0..tasks)
            .map(|task| {
                let (cache, keys) = (Arc::clone(&cache), keys(each, 1_000_000 * (task + 1) + 1_000_000_000 * tasks));
                runtime.spawn(async move {
                    for key in keys {
                        assert_eq!(cache.insert_async(key, now, now).await, Verdict::Fresh);
                    }
                })
            })
            .collect();
        runtime.block_on(async {
            for task in running {
                task.await.expect("all fresh");
            }
        });
        let (after, elapsed) = (pids.map(cpu_nanos), start.elapsed());
        let count = (each * tasks) as f64;
        let cpu = |which: usize| (after[which] - before[which]) as f64 / 1000.0 / count;
        // The children of this process, whose time is in its own, are the server.
        println!(
            "redis, {tasks:>3} tasks: {:>6.0} inserts a second elapsed; {:.1} us of the service, {:.1} us of the server",
            count / elapsed.as_secs_f64(),
            cpu(0) - cpu(1),
            cpu(1),
        );
    }
}

/// Octets of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) * 1024
}
