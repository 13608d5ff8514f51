//! `kdc status`: the facts of the running KDC on one screen.

use std::fmt::Write;
use std::path::Path;

use libkrb::Time;

use crate::admin::{Answer, Operation, Perform, Remote};
use crate::config;
use crate::error::{Error, Result};
use crate::observe::facts::{Facts, Latency};
use crate::observe::percentile;

/// Lines of a list.
const LINES: usize = 5;

/// Asks the KDC of these settings, which must run.
///
/// # Errors
/// That it does not run, or that the caller may not ask.
pub fn ask(settings: &Path) -> Result<Facts> {
    let config = config::load(settings)?;
    let remote = Remote::find(&config.admin_socket)?.ok_or_else(|| {
        let socket = config.admin_socket.display();
        Error::Other(format!("the KDC of {} does not run: nobody answers at {socket}", config.realm))
    })?;
    match remote.perform(Operation::Status)? {
        Answer::Status(facts) => Ok(*facts),
        _ => Err(Error::Other("the KDC gave an answer to something else; is it of another version?".into())),
    }
}

/// One screen of text.
pub fn screen(facts: &Facts) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<12} {value}");
    };
    line("realm", format!("{}, kdc {}, process {}", facts.realm, facts.version, facts.pid));
    line("up", format!("{} since {}", span(facts.uptime_micros / 1_000_000), Time(facts.started)));
    line("ready", ready(facts));
    let sockets = facts.net.sockets.iter().map(|socket| socket.address.clone()).collect::<Vec<_>>();
    line("sockets", format!("{} (UDP and TCP), {}", sockets.join(", "), connections(facts)));
    let rates = &facts.rates;
    line(
        "requests",
        format!(
            "{:.1}/s in the last minute, {:.1}/s in five, {} refused",
            rates.minute,
            rates.five_minutes,
            percent(rates.refused_minute, rates.minute)
        ),
    );
    for latency in facts.traffic.latency.iter().filter(|latency| total(latency) > 0) {
        line(&format!("  {}", latency.exchange), format!("{}, {}", total(latency), latencies(&latency.buckets)));
    }
    let store = &facts.store;
    line(
        "store",
        format!(
            "{} principals, {} policies, {}, {} commits",
            store.principals,
            store.policies,
            bytes(store.bytes),
            store.changes
        ),
    );
    line("memories", memories(facts));
    for key in &facts.keys {
        let whose = key.principal.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        line(
            &format!("key {}", key.key.split('_').next().unwrap_or_default()),
            format!("{} old{whose}", span(u64::try_from(key.age).unwrap_or(0))),
        );
    }
    for sink in &facts.audit {
        let problem = sink.problem.as_ref().map(|problem| format!("; FAILING: {problem}")).unwrap_or_default();
        line("audit", format!("{} {}, {} lines, {} lost{problem}", sink.name, sink.place, sink.lines, sink.lost));
        line("  head", format!("{}:{}", sink.seq, sink.hash));
    }
    let process = &facts.process;
    line(
        "process",
        format!(
            "{:.1} s of CPU, {}, {} of {} files",
            process.cpu_seconds,
            bytes(process.resident_bytes),
            process.fds,
            process.fds_limit
        ),
    );
    for locked in facts.locked.iter().take(LINES) {
        line(
            "LOCKED",
            format!("{} after {} failures, the last {}", locked.principal, locked.failures, Time(locked.last_failure)),
        );
    }
    for refused in facts.refused.iter().take(LINES) {
        let (at, client) = (Time(refused.at.div_euclid(1_000_000)), refused.client.as_deref().unwrap_or("-"));
        line("refused", format!("{at} {} {client} from {}: {}", refused.exchange, refused.from, refused.cause));
    }
    text
}

fn ready(facts: &Facts) -> String {
    let problem = |part: &crate::observe::facts::Part| Some(format!("{}: {}", part.name, part.problem.as_ref()?));
    let problems = facts.parts.iter().filter_map(problem).collect::<Vec<_>>();
    if problems.is_empty() { "yes".into() } else { format!("NO: {}", problems.join("; ")) }
}

fn connections(facts: &Facts) -> String {
    let net = &facts.net;
    let queue = net.sockets.iter().map(|socket| socket.udp_queue).sum::<u64>();
    let dropped = net.sockets.iter().map(|socket| socket.udp_dropped).sum::<u64>();
    format!(
        "{} of {} connections, {} waiting, {dropped} datagrams dropped",
        net.connections,
        net.connections_limit,
        bytes(queue)
    )
}

fn memories(facts: &Facts) -> String {
    let net = &facts.net;
    let (answers, limit) = (bytes(net.lookaside_bytes), bytes(net.lookaside_limit));
    format!("{} of {} authenticators, {} answers ({answers} of {limit})", net.replays, net.replays_limit, net.lookaside)
}

/// How many requests are in a histogram.
pub fn total(latency: &Latency) -> u64 {
    latency.buckets.iter().sum()
}

/// `p50 7 us, p99 20 us`.
pub fn latencies(buckets: &[u64]) -> String {
    let told = |share| match percentile(buckets, share) {
        None => "-".to_owned(),
        Some(u64::MAX) => "over 1 s".to_owned(),
        Some(micros) if micros >= 1000 => format!("{} ms", micros / 1000),
        Some(micros) => format!("{micros} us"),
    };
    format!("p50 {}, p99 {}", told(0.5), told(0.99))
}

/// `3d 04:05:06`.
pub fn span(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days}d {clock}") } else { clock }
}

/// `12.5 MiB`.
pub fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{count} {name}") } else { format!("{value:.1} {name}") }
}

fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.0}%", 100.0 * part / whole) } else { "0%".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::facts::{Locked, Part, Refused, Sink};

    #[test]
    fn one_screen_says_what_is_wrong_and_who_is_locked() {
        let facts = Facts {
            realm: "R".into(),
            uptime_micros: 93_784_000_000,
            parts: vec![Part { name: "audit".into(), problem: Some("disk full".into()), degraded: false }],
            locked: vec![Locked { principal: "alice@R".into(), failures: 5, last_failure: 1_800_000_000 }],
            refused: vec![Refused { cause: "no such client".into(), ..Refused::default() }; 20],
            audit: vec![Sink { seq: 7, hash: "ab".into(), ..Sink::default() }],
            ..Facts::default()
        };
        let text = screen(&facts);
        for part in ["1d 02:03:04 since", "NO: audit: disk full", "alice@R after 5 failures", "no such client", "7:ab"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.lines().count() <= 24, "one screen: {text}");
    }

    #[test]
    fn sizes_are_told_in_units_that_people_read() {
        assert_eq!([0, 1023, 1536, 64 << 20].map(bytes), ["0 B", "1023 B", "1.5 KiB", "64.0 MiB"]);
    }
}
