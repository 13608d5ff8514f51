//! The facts of a running KDC as Prometheus reads them. One table has every name: the page, the
//! dashboard and the alert rules of `docs/observability` are held against it.

use std::fmt::Write;

use super::facts::{Facts, Latency, Named, Traffic};
use super::histogram::BOUNDS;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets, with a sum and a count.
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    samples: Samples,
}

/// The samples of a metric: for each the values of its labels, and its value.
type Samples = fn(&Facts) -> Vec<(Vec<String>, f64)>;

/// Every metric.
pub const METRICS: &[Metric] = &[
    row("kdc_build_info", Kind::Gauge, &["version", "realm"], "Always 1; the version and the realm.", |facts| {
        vec![(vec![facts.version.clone(), facts.realm.clone()], 1.0)]
    }),
    row("kdc_ready", Kind::Gauge, &["part"], "Whether a part of the KDC does what it is for.", |facts| {
        facts.parts.iter().map(|part| (vec![part.name.clone()], f64::from(u8::from(part.problem.is_none())))).collect()
    }),
    row("kdc_requests_total", Kind::Counter, &["exchange", "outcome"], "Requests by kind and outcome.", |facts| {
        let requests = &facts.traffic.requests;
        requests.iter().map(|it| (vec![it.exchange.clone(), it.outcome.clone()], it.count as f64)).collect()
    }),
    row("kdc_received_total", Kind::Counter, &["transport"], "Requests by what they came over.", |facts| {
        named(&facts.traffic.transports)
    }),
    row("kdc_answered_again_total", Kind::Counter, &[], "Requests that came again and got the same answer.", |facts| {
        one(facts.traffic.answered_again as f64)
    }),
    row("kdc_refusals_total", Kind::Counter, &["cause"], "Refusals by cause.", |facts| named(&facts.traffic.refusals)),
    row("kdc_dropped_total", Kind::Counter, &["reason"], "What was turned away before it was looked at.", |facts| {
        named(&facts.traffic.dropped)
    }),
    row("kdc_preauth_total", Kind::Counter, &["method"], "Logins by how the client proved itself.", |facts| {
        named(&facts.traffic.proofs)
    }),
    row("kdc_fast_total", Kind::Counter, &["armor"], "Requests for tickets by what armored them (FAST).", |facts| {
        named(&facts.traffic.armors)
    }),
    row(
        "kdc_indicators_total",
        Kind::Counter,
        &["indicator"],
        "Logins by what the ticket says of the proof.",
        |facts| named(&facts.traffic.indicators),
    ),
    row("kdc_etypes_total", Kind::Counter, &["use", "etype"], "Enctypes of what was issued.", |facts| {
        let etypes = &facts.traffic.etypes;
        etypes.iter().map(|it| (vec![it.used_for.clone(), it.etype.clone()], it.count as f64)).collect()
    }),
    row("kdc_request_duration_seconds", Kind::Histogram, &["exchange"], "How long decisions took.", |_| vec![]),
    row("kdc_admin_operations_total", Kind::Counter, &["operation", "outcome"], "Calls of administrators.", |facts| {
        let calls = &facts.traffic.calls;
        calls.iter().map(|it| (vec![it.operation.clone(), it.outcome.clone()], it.count as f64)).collect()
    }),
    row("kdc_locked_principals", Kind::Gauge, &[], "Accounts locked now, of those that failed most.", |facts| {
        one(facts.locked.len() as f64)
    }),
    row("kdc_serving_threads", Kind::Gauge, &[], "Threads and tasks that serve sockets.", |facts| {
        one(facts.net.serving as f64)
    }),
    row("kdc_fallen_threads", Kind::Gauge, &[], "Of these, how many have ended by a bug.", |facts| {
        one(facts.net.fallen as f64)
    }),
    row("kdc_udp_queue_bytes", Kind::Gauge, &["socket"], "Bytes of datagrams that wait in the system.", |facts| {
        facts.net.sockets.iter().map(|it| (vec![it.address.clone()], it.udp_queue as f64)).collect()
    }),
    row(
        "kdc_udp_dropped_total",
        Kind::Counter,
        &["socket"],
        "Datagrams that found no room or were too long.",
        |facts| facts.net.sockets.iter().map(|it| (vec![it.address.clone()], it.udp_dropped as f64)).collect(),
    ),
    row("kdc_tcp_backlog", Kind::Gauge, &["socket"], "Connections that wait to be accepted.", |facts| {
        facts.net.sockets.iter().map(|it| (vec![it.address.clone()], it.tcp_backlog as f64)).collect()
    }),
    row("kdc_tcp_connections", Kind::Gauge, &[], "Open TCP connections.", |facts| one(facts.net.connections as f64)),
    row("kdc_tcp_connections_limit", Kind::Gauge, &[], "TCP connections that there may be.", |facts| {
        one(facts.net.connections_limit as f64)
    }),
    row("kdc_request_memory_bytes", Kind::Gauge, &[], "Bytes of long requests over TCP that are arriving.", |facts| {
        one(facts.net.request_memory as f64)
    }),
    row("kdc_request_memory_limit_bytes", Kind::Gauge, &[], "Bytes of these that there may be.", |facts| {
        one(facts.net.request_memory_limit as f64)
    }),
    row("kdc_replay_entries", Kind::Gauge, &[], "Authenticators remembered.", |facts| one(facts.net.replays as f64)),
    row("kdc_replay_entries_limit", Kind::Gauge, &[], "Authenticators that can be remembered.", |facts| {
        one(facts.net.replays_limit as f64)
    }),
    row("kdc_lookaside_answers", Kind::Gauge, &[], "Answers remembered.", |facts| one(facts.net.lookaside as f64)),
    row("kdc_lookaside_bytes", Kind::Gauge, &[], "Bytes of answers remembered.", |facts| {
        one(facts.net.lookaside_bytes as f64)
    }),
    row("kdc_lookaside_limit_bytes", Kind::Gauge, &[], "Bytes of answers that can be remembered.", |facts| {
        one(facts.net.lookaside_limit as f64)
    }),
    row("kdc_heavy_queue", Kind::Gauge, &[], "Requests with public keys that wait for a thread.", |facts| {
        one(facts.net.heavy_queue as f64)
    }),
    row("kdc_heavy_queue_limit", Kind::Gauge, &[], "Requests with public keys that may wait.", |facts| {
        one(facts.net.heavy_queue_limit as f64)
    }),
    row("kdc_store_principals", Kind::Gauge, &[], "Principals.", |facts| one(facts.store.principals as f64)),
    row("kdc_store_policies", Kind::Gauge, &[], "Password policies.", |facts| one(facts.store.policies as f64)),
    row("kdc_store_bytes", Kind::Gauge, &[], "Size of the store's file.", |facts| one(facts.store.bytes as f64)),
    row("kdc_store_changes_total", Kind::Counter, &[], "Commits since the store was made.", |facts| {
        one(facts.store.changes as f64)
    }),
    row("kdc_store_lag_seconds", Kind::Gauge, &[], "How far the store is behind where changes are made.", |facts| {
        one(facts.store.lag_seconds)
    }),
    row("kdc_key_age_seconds", Kind::Gauge, &["key"], "Age of krbtgt, master and oldest_service key.", |facts| {
        facts.keys.iter().map(|key| (vec![key.key.clone()], key.age as f64)).collect()
    }),
    row("kdc_audit_lines_total", Kind::Counter, &["sink"], "Audit lines written.", |facts| {
        facts.audit.iter().map(|sink| (vec![sink.name.clone()], sink.lines as f64)).collect()
    }),
    row("kdc_audit_lost_total", Kind::Counter, &["sink"], "Audit lines that could not be written.", |facts| {
        facts.audit.iter().map(|sink| (vec![sink.name.clone()], sink.lost as f64)).collect()
    }),
    row("kdc_uptime_seconds", Kind::Gauge, &[], "How long the KDC has run.", |facts| {
        one(facts.uptime_micros as f64 / 1e6)
    }),
    row("process_start_time_seconds", Kind::Gauge, &[], "When it was started, since 1970.", |facts| {
        one(facts.started as f64)
    }),
    row("process_cpu_seconds_total", Kind::Counter, &[], "Processor time used.", |facts| {
        one(facts.process.cpu_seconds)
    }),
    row("process_resident_memory_bytes", Kind::Gauge, &[], "Memory in use.", |facts| {
        one(facts.process.resident_bytes as f64)
    }),
    row("process_open_fds", Kind::Gauge, &[], "Open file descriptors.", |facts| one(facts.process.fds as f64)),
    row("process_max_fds", Kind::Gauge, &[], "File descriptors that there may be.", |facts| {
        one(facts.process.fds_limit as f64)
    }),
];

const fn row(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    samples: Samples,
) -> Metric {
    Metric { name, kind, labels, help, samples }
}

fn one(value: f64) -> Vec<(Vec<String>, f64)> {
    vec![(vec![], value)]
}

fn named(lines: &[Named]) -> Vec<(Vec<String>, f64)> {
    lines.iter().map(|line| (vec![line.name.clone()], line.count as f64)).collect()
}

impl Metric {
    /// The names that its samples have.
    pub fn names(&self) -> Vec<String> {
        let suffixes: &[&str] = if self.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        suffixes.iter().map(|suffix| format!("{}{suffix}", self.name)).collect()
    }
}

/// The page of `/metrics`, in Prometheus' text format 0.0.4.
pub fn page(facts: &Facts) -> String {
    let mut page = String::with_capacity(16 << 10);
    for metric in METRICS {
        let _ = writeln!(page, "# HELP {} {}", metric.name, metric.help);
        let _ = writeln!(page, "# TYPE {} {}", metric.name, metric.kind.name());
        for (values, value) in (metric.samples)(facts) {
            let _ = writeln!(page, "{}{} {value}", metric.name, labels(metric.labels, &values));
        }
        if metric.kind == Kind::Histogram {
            histograms(&mut page, metric.name, &facts.traffic);
        }
    }
    page
}

fn histograms(page: &mut String, name: &str, traffic: &Traffic) {
    for Latency { exchange, buckets, nanos } in &traffic.latency {
        let mut sum = 0;
        for (place, count) in buckets.iter().enumerate() {
            sum += count;
            let bound = BOUNDS.get(place).map_or("+Inf".to_owned(), |micros| (*micros as f64 / 1e6).to_string());
            let labels = labels(&["exchange", "le"], &[exchange.clone(), bound]);
            let _ = writeln!(page, "{name}_bucket{labels} {sum}");
        }
        let labels = labels(&["exchange"], std::slice::from_ref(exchange));
        let _ = writeln!(page, "{name}_sum{labels} {}", *nanos as f64 / 1e9);
        let _ = writeln!(page, "{name}_count{labels} {sum}");
    }
}

fn labels(names: &[&str], values: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let escaped = |value: &String| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs = names.iter().zip(values).map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::super::facts::{KeyAge, OutcomeCount};
    use super::*;

    #[test]
    fn a_page_says_what_each_metric_is_and_escapes_what_labels_hold() {
        let key = |key: &str| KeyAge { key: key.into(), age: 60, ..KeyAge::default() };
        let latency = Latency { exchange: "AS".into(), buckets: vec![1, 2, 0], nanos: 4_500 };
        let requests = vec![OutcomeCount { exchange: "AS".into(), outcome: "a\"b\\c\nd".into(), count: 7 }];
        let traffic = Traffic { requests, latency: vec![latency], ..Traffic::default() };
        let page = page(&Facts { traffic, keys: vec![key("krbtgt")], ..Facts::default() });
        for line in [
            "# TYPE kdc_requests_total counter",
            "kdc_requests_total{exchange=\"AS\",outcome=\"a\\\"b\\\\c\\nd\"} 7",
            "kdc_key_age_seconds{key=\"krbtgt\"} 60",
            "# TYPE kdc_request_duration_seconds histogram",
            "kdc_request_duration_seconds_bucket{exchange=\"AS\",le=\"0.000001\"} 1",
            "kdc_request_duration_seconds_bucket{exchange=\"AS\",le=\"0.000002\"} 3",
            "kdc_request_duration_seconds_sum{exchange=\"AS\"} 0.0000045",
            "kdc_request_duration_seconds_count{exchange=\"AS\"} 3",
            "kdc_store_lag_seconds 0",
        ] {
            assert!(page.lines().any(|it| it == line), "{line}:\n{page}");
        }
    }

    #[test]
    fn names_are_unique_and_end_as_their_kind_asks() {
        for (place, metric) in METRICS.iter().enumerate() {
            assert!(METRICS.iter().skip(place + 1).all(|other| other.name != metric.name), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert!(metric.help.ends_with('.') && metric.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        }
    }
}
