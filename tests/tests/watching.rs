//! What watches a running KDC, held against what clients and administrators really did.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use kdc::observe::metrics::METRICS;
use tests::{Family, PATIENCE, Port, Realm, Tool, optional_peer};

/// A realm with a management listener, and whatever else stands in its settings.
struct Watched {
    realm: Realm,
    management: SocketAddr,
    _port: Port,
}

impl Watched {
    /// With these lines of the sample's comments made settings.
    fn with(settings: &[&str]) -> Watched {
        let (mut realm, port) = (Realm::start(Family::Ours), Port::claim());
        let management = port.address();
        let listen = format!("listen = [\"{management}\"]");
        let file = settings_of(&realm);
        let mut text = std::fs::read_to_string(&file).expect("settings");
        // The sections before it have settings of the same names.
        let (before, audit) = text.split_once("\n[audit]\n").expect("the sample");
        let mut audit = audit.replacen("#listen = [\"127.0.0.1:9088\"]", &listen, 1);
        assert!(audit.contains(&listen), "{audit}");
        for line in settings {
            let shown = format!("#{} =", line.split(" =").next().expect("a setting"));
            let old = audit.lines().find(|old| old.starts_with(&shown)).expect(line).to_owned();
            audit = audit.replacen(&old, line, 1);
        }
        text = format!("{before}\n[audit]\n{audit}");
        std::fs::write(file, text).expect("settings");
        realm.restart();
        Watched { realm, management, _port: port }
    }

    /// The status and the body of a page.
    fn page(&self, path: &str) -> (u16, String) {
        self.asked(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    fn asked(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.management).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(request.as_bytes()).expect("a request sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    /// The sum of the samples that begin so.
    fn metric(&self, sample: &str) -> f64 {
        let (status, page) = self.page("/metrics");
        assert_eq!(status, 200);
        let lines = page.lines().filter(|line| line.starts_with(sample));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    fn kdc(&self, arguments: &[&str]) -> Tool {
        Tool::new(Family::Ours.program("kdc")).args(arguments).args(["--config"]).args([settings_of(&self.realm)])
    }
}

fn settings_of(realm: &Realm) -> PathBuf {
    realm.folder().join("kdc").join("kdc.toml")
}

#[test]
fn metrics_move_with_what_clients_and_administrators_do() {
    let watched = Watched::with(&["file = \"audit.jsonl\""]);
    let realm = &watched.realm;
    assert_eq!(watched.metric("kdc_requests_total"), 0.0);
    let principals = watched.metric("kdc_store_principals");
    realm.add("alice", "secret", &[]);
    realm.add("host/a.example.org", tests::Secret::Random, &[]);
    let seat = realm.seat(Family::Ours);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.fetch(&["host/a.example.org"]).succeeds();
    let _ = realm.seat(Family::Ours).kinit(&["alice"], "wrong").fails();
    let _ = realm.seat(Family::Ours).kinit(&["nobody"], "wrong").fails();
    for (sample, expected) in [
        ("kdc_requests_total{exchange=\"AS\",outcome=\"issued\"}", 1.0),
        ("kdc_requests_total{exchange=\"TGS\",outcome=\"issued\"}", 1.0),
        ("kdc_requests_total{exchange=\"AS\",outcome=\"KDC_ERR_C_PRINCIPAL_UNKNOWN\"}", 1.0),
        ("kdc_refusals_total{cause=\"no such client in this realm\"}", 1.0),
        ("kdc_preauth_total{method=\"spake\"}", 1.0),
        ("kdc_fast_total{armor=\"implicit\"}", 1.0),
        ("kdc_fast_total{armor=\"ticket\"}", 0.0),
        ("kdc_etypes_total{use=\"ticket\"", 2.0),
        ("kdc_request_duration_seconds_count{exchange=\"TGS\"}", 1.0),
        ("kdc_admin_operations_total{operation=\"create\",outcome=\"done\"}", 2.0),
        ("kdc_store_principals", principals + 2.0),
        ("kdc_ready", 3.0),
        ("kdc_audit_lost_total", 0.0),
        ("kdc_fallen_threads", 0.0),
    ] {
        assert_eq!(watched.metric(sample), expected, "{sample}");
    }
    assert!(watched.metric("kdc_requests_total{exchange=\"AS\",outcome=\"KDC_ERR_PREAUTH_FAILED\"}") >= 1.0);
    for sample in [
        "kdc_received_total",
        "kdc_replay_entries ",
        "kdc_lookaside_bytes",
        "kdc_key_age_seconds{key=\"master\"}",
        "process_resident_memory_bytes",
        "process_open_fds",
        "kdc_store_bytes",
        "kdc_audit_lines_total",
        "kdc_serving_threads",
    ] {
        assert!(watched.metric(sample) > 0.0 || sample.contains("age"), "{sample}");
    }
}

#[test]
fn a_page_has_every_metric_that_the_table_names_and_promtool_takes_it() {
    let watched = Watched::with(&["file = \"audit.jsonl\""]);
    let (_, page) = watched.page("/metrics");
    for metric in METRICS {
        assert!(page.contains(&format!("# TYPE {} ", metric.name)), "{}", metric.name);
    }
    if let Some(promtool) = optional_peer("promtool", "/usr/bin/promtool") {
        let _ = Tool::new(promtool).args(["check", "metrics"]).stdin(page).run().succeeds();
    }
}

#[test]
fn a_full_audit_disk_leaves_the_kdc_serving_and_is_seen_by_who_asks_whether_it_is_ready() {
    let watched = Watched::with(&["file = \"/dev/full\""]);
    watched.realm.add("alice", "secret", &[]);
    watched.realm.seat(Family::Ours).kinit(&["alice"], "secret").succeeds();
    let (status, body) = watched.page("/readyz");
    assert_eq!(status, 503);
    assert!(body.contains("BAD  audit: /dev/full: No space left on device"), "{body}");
    assert!(body.contains("ok   store") && body.contains("ok   sockets"), "{body}");
    assert_eq!(watched.page("/livez"), (200, "ok\n".to_owned()));
    assert!(watched.metric("kdc_audit_lost_total{sink=\"file\"}") >= 3.0);
    let _ = watched.kdc(&["status"]).run().succeeds().saying("NO: audit: /dev/full: No space left");
}

#[test]
fn who_asks_for_anything_else_is_told_what_there_is() {
    let watched = Watched::with(&[]);
    assert_eq!(watched.page("/readyz"), (200, "ok   store\nok   sockets\nok   audit\n".to_owned()));
    assert_eq!(watched.page("/admin").0, 404);
    assert_eq!(watched.asked("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").0, 405);
    // A stranger's endless head is cut off, and nobody else waits for it.
    let mut endless = TcpStream::connect(watched.management).expect("a connection");
    let _ = endless.write_all(&vec![b'a'; 1 << 20]);
    assert_eq!(watched.page("/livez").0, 200);
}

#[test]
fn status_and_top_show_who_was_refused_and_what_is_going_on() {
    let watched = Watched::with(&["file = \"audit.jsonl\""]);
    watched.realm.add("alice", "secret", &[]);
    watched.realm.seat(Family::Ours).kinit(&["alice"], "secret").succeeds();
    let _ = watched.realm.seat(Family::Ours).kinit(&["mallory"], "x").fails();
    let status = watched.kdc(&["status"]).run().succeeds().saying("ready        yes").saying("EXAMPLE.ORG");
    assert!(status.stdout().contains("mallory@EXAMPLE.ORG"), "{}", status.stdout());
    let json = watched.kdc(&["status", "--json"]).run().succeeds();
    let facts: kdc::observe::facts::Facts = serde_json::from_str(json.stdout()).expect("the facts");
    assert_eq!(facts.realm, "EXAMPLE.ORG");
    assert_eq!(facts.store.principals as f64, watched.metric("kdc_store_principals"));
    assert_eq!(facts.refused[0].cause, "no such client in this realm");
    let frame = watched.kdc(&["top", "--once"]).run().succeeds();
    for part in ["EXAMPLE.ORG", "alice@EXAMPLE.ORG", "no such client in this realm", "last refusals"] {
        assert!(frame.stdout().contains(part), "{part}:\n{}", frame.stdout());
    }
    let mut stopped = watched;
    stopped.realm.stop();
    let _ = stopped.kdc(&["status"]).run().fails_with(1).saying("the KDC of EXAMPLE.ORG does not run");
}

#[test]
fn a_locked_account_is_named_and_counted_until_it_is_opened() {
    let watched = Watched::with(&[]);
    let kadmin = |words: &[&str]| {
        let tool = Tool::new(Family::Ours.program("kadmin")).args(["--config"]).args([settings_of(&watched.realm)]);
        tool.args(words).run().succeeds()
    };
    let _ = kadmin(&["addpol", "-maxfailure", "2", "strict"]);
    watched.realm.add("alice", "secret", &["-policy", "strict"]);
    assert_eq!(watched.metric("kdc_locked_principals"), 0.0);
    for _ in 0..2 {
        let _ = watched.realm.seat(Family::Ours).kinit(&["alice"], "wrong").fails();
    }
    assert_eq!(watched.metric("kdc_locked_principals"), 1.0);
    let _ = watched.kdc(&["status"]).run().succeeds().saying("LOCKED       alice@EXAMPLE.ORG after 2 failures");
    let _ = kadmin(&["modprinc", "-unlock", "alice"]);
    assert_eq!(watched.metric("kdc_locked_principals"), 0.0);
}

#[test]
fn an_audit_of_what_really_happened_is_unbroken_until_somebody_alters_it() {
    let mut watched = Watched::with(&["file = \"audit.jsonl\""]);
    watched.realm.add("alice", "secret", &[]);
    watched.realm.seat(Family::Ours).kinit(&["alice"], "secret").succeeds();
    let _ = watched
        .realm
        .seat(Family::Ours)
        .asked("kpasswd", &["alice"], &["secret", "by herself", "by herself"])
        .succeeds();
    let json = watched.kdc(&["status", "--json"]).run().succeeds();
    let facts: kdc::observe::facts::Facts = serde_json::from_str(json.stdout()).expect("the facts");
    let head = format!("{}:{}", facts.audit[0].seq, facts.audit[0].hash);
    watched.realm.restart();
    watched.realm.change("alice", "other");
    watched.realm.stop();
    // While the KDC is stopped, kadmin itself keeps the audit.
    watched.realm.delete("alice");
    let file = watched.realm.folder().join("kdc").join("audit.jsonl");
    let verify = |arguments: &[&str]| {
        Tool::new(Family::Ours.program("kdc")).args(["audit", "verify"]).args([&file]).args(arguments).run()
    };
    let _ = verify(&["--head", &head]).succeeds().saying("unbroken");
    let text = std::fs::read_to_string(&file).expect("the audit");
    for operation in ["create", "change_keys", "delete"] {
        assert!(
            text.contains(&format!("\"operation\":\"{operation}\",\"by\":\"root/admin@EXAMPLE.ORG\""))
                || !tests::is_root()
        );
    }
    assert!(!text.contains("secret") && !text.contains("by herself"), "a password");
    let changed =
        text.lines().find(|line| line.contains("\"from\":\"kpasswd 127.0.0.1:")).expect("a line of kpasswd's");
    for part in [
        "\"operation\":\"change_keys\"",
        "\"by\":\"alice@EXAMPLE.ORG\"",
        "\"subject\":\"alice@EXAMPLE.ORG\"",
        "\"outcome\":\"done\"",
    ] {
        assert!(changed.contains(part), "{part} in {changed}");
    }
    let begun = text.lines().filter(|line| line.contains("\"audit\":\"begun\"")).count();
    assert!(begun >= 3, "one for each start of a process: {begun}");
    std::fs::write(&file, text.replacen("alice@", "bob@", 1)).expect("an altered audit");
    let altered = 1 + text.lines().position(|line| line.contains("alice@")).expect("a line");
    let _ = verify(&[]).fails_with(1).saying(&format!("audit.jsonl:{altered}: it is not as it was written"));
}

#[test]
fn dashboard_and_alert_rules_name_only_metrics_that_there_are_and_forget_none() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/observability");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect(name);
    let (dashboard, rules) = (read("dashboard.json"), read("alerts.yml"));
    let known: BTreeSet<_> = METRICS.iter().flat_map(|metric| metric.names()).collect();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let (mut expressions, mut shown) = (vec![], BTreeSet::new());
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            expressions.push(target["expr"].as_str().expect("an expression").to_owned());
        }
    }
    for expression in &expressions {
        shown.extend(names(expression));
    }
    let queries = dashboard["templating"].to_string();
    for name in shown
        .iter()
        .cloned()
        .chain(names(&queries))
        .chain(rules.lines().filter(|it| it.contains("expr:")).flat_map(names))
    {
        assert!(known.contains(&name), "{name} is no metric");
    }
    for metric in METRICS {
        assert!(metric.names().iter().any(|name| shown.contains(name)), "{} is on no panel", metric.name);
    }
    if let Some(promtool) = optional_peer("promtool", "/usr/bin/promtool") {
        let _ = Tool::new(promtool).args(["check", "rules"]).args([folder.join("alerts.yml")]).run().succeeds();
        // The dashboard's expressions too are PromQL, once its variables are filled in.
        let expressions = expressions.iter().enumerate().map(|(number, expression)| {
            let filled = expression.replace("$job", "kdc").replace("$instance", ".*");
            format!("      - record: panel:{number}\n        expr: '{filled}'\n")
        });
        let text = format!("groups:\n  - name: panels\n    rules:\n{}", expressions.collect::<String>());
        let file = tempfile::Builder::new().suffix(".yml").tempfile().expect("a file");
        std::fs::write(file.path(), text).expect("rules");
        let promtool = optional_peer("promtool", "/usr/bin/promtool").expect("there");
        let _ = Tool::new(promtool).args(["check", "rules", "--lint=none"]).args([file.path()]).run().succeeds();
    }
}

/// Words that begin as metrics of this program do.
fn names(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("kdc_") || word.starts_with("process_")).map(str::to_owned).collect()
}
