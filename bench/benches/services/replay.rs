//! The replay cache in memory with many live entries: what one more costs, and what each takes.

use libkrb::Time;
use libkrb::replay::{MemoryReplayCache, ReplayCache, ReplayKey, Verdict};

use crate::micros;
use crate::report::Replay;

const NOW: Time = Time(1_800_000_000);
/// How many inserts are measured at the end.
const LAST: usize = 1_000_000;

pub fn measure(entries: usize) -> Replay {
    let before = resident();
    let cache = MemoryReplayCache::new(300, entries + LAST);
    let insert = |number: usize, time: Time| {
        let key = ReplayKey::new([number.to_be_bytes().as_slice()]);
        assert_eq!(cache.insert(key, time, NOW), Verdict::Fresh);
    };
    // Authenticators of the last minutes, as they would have come.
    let time = |number: usize| NOW - 300 + (number as i64 * 300 / (entries + LAST) as i64);
    (0..entries).for_each(|number| insert(number, time(number)));
    let bytes = resident().saturating_sub(before) as f64 / entries as f64;
    let keys: Vec<_> =
        (entries..entries + LAST).map(|number| ReplayKey::new([number.to_be_bytes().as_slice()])).collect();
    let cost = micros(LAST, || {
        for key in keys {
            assert_eq!(cache.insert(key, NOW, NOW), Verdict::Fresh);
        }
    });
    Replay { entries, nanos: cost * 1000.0, bytes }
}

/// Octets of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) * 1024
}
