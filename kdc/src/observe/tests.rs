use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use libkrb::codes::EncryptionType;
use libkrb::flags::TicketFlags;
use libkrb::{Principal, Time};
use serde_json::{Value, json};

use super::*;
use crate::core::Issued;

const AT: Instant = Instant { time: Time(1_795_304_411), micros: 42 };

fn issued() -> Event {
    Event {
        exchange: Exchange::As,
        client: Principal::parse("alice", Some("R")).ok(),
        server: Some(Principal::tgs("R")),
        on_behalf_of: Principal::parse("bob", Some("R")).ok(),
        offered: smallvec::smallvec![EncryptionType::AES256_SHA1, EncryptionType(-7)],
        refusal: None,
        issued: Some(Issued {
            auth_time: AT.time,
            start_time: AT.time,
            end_time: AT.time + 3600,
            renew_till: Some(AT.time + 7200),
            flags: TicketFlags::INITIAL | TicketFlags::PRE_AUTHENT,
            ticket_etype: EncryptionType::AES256_SHA1,
            session_etype: EncryptionType::AES128_SHA256,
            reply_etype: EncryptionType::AES128_SHA1,
        }),
        proof: "encrypted-timestamp",
        armor: "ticket",
        indicators: vec!["hardened".into()],
    }
}

fn refused(client: &str) -> Event {
    Event {
        exchange: Exchange::Tgs,
        client: Principal::new(Default::default(), "R", [client]).ok(),
        refusal: Some((ErrorCode::POLICY, "not today")),
        ..Event::default()
    }
}

fn seen(event: &Event) -> Seen<'_> {
    let from = "[2001:db8::1]:1088".parse().expect("an address");
    Seen { event, from, transport: Transport::Udp, at: AT, took: Duration::from_micros(12) }
}

struct File {
    folder: tempfile::TempDir,
    observer: Observer,
}

impl File {
    fn new() -> File {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = Audit::open(&folder.path().join("audit")).expect("a file");
        File { folder, observer: Observer::new(Some(audit)) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn audit(&self) -> &Audit {
        self.observer.audit().expect("an audit file")
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path()).expect("a file");
        assert!(text.is_empty() || text.ends_with('\n'));
        let mut lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>();
        lines.retain(|line| line.get("audit").is_none());
        for line in lines.iter_mut().filter_map(Value::as_object_mut) {
            assert!(line.remove("seq").is_some() && line.remove("hash").is_some(), "{line:?}");
        }
        lines
    }
}

#[test]
fn an_audit_line_says_who_got_what_and_how() {
    let file = File::new();
    file.observer.observe(&seen(&issued()));
    let expected = json!({
        "time": "2026-11-21T23:40:11.000042Z",
        "exchange": "AS",
        "client": "alice@R",
        "server": "krbtgt/R@R",
        "from": "[2001:db8::1]:1088",
        "transport": "udp",
        "outcome": "issued",
        "on_behalf_of": "bob@R",
        "proof": "encrypted-timestamp",
        "indicators": ["hardened"],
        "armor": "ticket",
        "offered": [18, -7],
        "flags": "IA",
        "end_time": "2026-11-22T00:40:11Z",
        "renew_till": "2026-11-22T01:40:11Z",
        "ticket_etype": 18,
        "session_etype": 19,
        "reply_etype": 17,
        "micros": 12,
    });
    assert_eq!(file.lines(), [expected]);
}

#[test]
fn a_refusal_says_the_code_and_the_cause_and_nothing_of_a_ticket() {
    let file = File::new();
    file.observer.observe(&seen(&refused("alice")));
    let expected = json!({
        "time": "2026-11-21T23:40:11.000042Z",
        "exchange": "TGS",
        "client": "alice@R",
        "from": "[2001:db8::1]:1088",
        "transport": "udp",
        "outcome": "KDC_ERR_POLICY",
        "cause": "not today",
        "micros": 12,
    });
    assert_eq!(file.lines(), [expected]);
}

#[test]
fn a_name_with_line_ends_and_quotes_stays_in_its_field() {
    let file = File::new();
    let name = "x\n{\"outcome\":\"issued\"}\u{1b}[2J";
    file.observer.observe(&seen(&refused(name)));
    let lines = file.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["client"], Principal::new(Default::default(), "R", [name]).expect("a name").to_string());
    let text = std::fs::read(file.path()).expect("a file");
    assert!(text.iter().all(|byte| *byte >= b' ' || *byte == b'\n'));
}

#[test]
fn the_audit_file_is_for_its_owner_only_and_is_appended_to() {
    let mut file = File::new();
    let mode = std::fs::metadata(file.path()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    file.observer.observe(&seen(&issued()));
    file.observer = Observer::default();
    file.observer = Observer::new(Some(Audit::open(&file.path()).expect("a file")));
    file.observer.observe(&seen(&issued()));
    assert_eq!(file.lines().len(), 2);
}

#[test]
fn a_file_that_was_moved_away_is_made_anew_when_asked() {
    let file = File::new();
    file.observer.observe(&seen(&issued()));
    std::fs::rename(file.path(), file.folder.path().join("old")).expect("a moved file");
    file.audit().reopen().expect("a new file");
    file.observer.observe(&seen(&refused("alice")));
    assert_eq!(file.lines().len(), 1);
    assert_eq!(file.lines()[0]["outcome"], "KDC_ERR_POLICY");
}

#[test]
fn outcomes_are_counted_apart() {
    let observer = Observer::default();
    for event in [issued(), issued(), refused("alice"), Event::default()] {
        observer.observe(&seen(&event));
    }
    let odd = Event { refusal: Some((ErrorCode(-5), "")), ..refused("alice") };
    observer.observe(&seen(&odd));
    let count = |exchange, refusal, count| Count { exchange, refusal, count };
    assert_eq!(
        observer.counters().counts(),
        [
            count(Exchange::As, None, 2),
            count(Exchange::Tgs, Some(ErrorCode::POLICY), 1),
            count(Exchange::Tgs, Some(ErrorCode::GENERIC), 1),
            count(Exchange::Other, None, 1),
        ]
    );
}

/// What the log says while `act` runs.
fn logged(json: bool, act: impl FnOnce()) -> String {
    use std::sync::{Arc, Mutex};
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("lines").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let make = move || writer.clone();
    if json {
        tracing::subscriber::with_default(log::json_lines(tracing::level_filters::LevelFilter::INFO, make), act);
    } else {
        tracing::subscriber::with_default(log::text_lines(tracing::level_filters::LevelFilter::INFO, false, make), act);
    }
    let bytes = lines.0.lock().expect("lines").clone();
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_log_has_a_line_for_each_request_with_odd_names_escaped() {
    let observer = Observer::default();
    let text = logged(false, || {
        observer.observe(&seen(&issued()));
        observer.observe(&seen(&refused("a\nb\u{1b}[2J \"c\"")));
        observer.observe(&seen(&Event::default()));
    });
    let lines = text.lines().collect::<Vec<_>>();
    assert_eq!(lines.len(), 2, "junk is no news: {text}");
    for part in [
        " INFO ",
        "exchange=\"AS\"",
        "client=\"alice@R\"",
        "server=\"krbtgt/R@R\"",
        "from=[2001:db8::1]:1088",
        "outcome=\"issued\"",
        "flags=\"IA\"",
    ] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    assert!(lines[1].contains("outcome=\"KDC_ERR_POLICY\" cause=\"not today\""), "{}", lines[1]);
    assert!(!lines[1].contains('\u{1b}') && !lines[1].contains("server="), "{}", lines[1]);
}

#[test]
fn the_log_can_be_json() {
    let observer = Observer::default();
    let text = logged(true, || observer.observe(&seen(&refused("a\nb"))));
    let line: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(line["outcome"], "KDC_ERR_POLICY");
    assert_eq!(line["exchange"], "TGS");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn the_longest_name_that_a_stranger_can_send_makes_a_short_line() {
    let file = File::new();
    let event = refused(&"\u{1}ä".repeat(30_000));
    file.observer.observe(&seen(&event));
    let audit = std::fs::read_to_string(file.folder.path().join("audit")).expect("the audit file");
    assert!(audit.len() < 8192 && audit.contains('…'), "{} bytes", audit.len());
}

#[test]
fn the_log_tells_of_a_call_no_more_than_the_audit_does() {
    let long = "x".repeat(100_000);
    let (at, took) = (AT, Duration::ZERO);
    let refusal = Some(("invalid", &*long));
    let call =
        Called { at, by: &long, from: "socket", operation: "list", subject: Some(&long), refusal, changes: &[], took };
    let text = logged(true, || Observer::default().changed(&call));
    assert!(text.len() < 3 * 520 + 512, "{} octets", text.len());
    let line: Value = serde_json::from_str(&text).expect("JSON");
    for field in ["by", "subject", "cause"] {
        assert!(line[field].as_str().is_some_and(|told| told.ends_with('…')), "{field}: {text}");
    }
}
