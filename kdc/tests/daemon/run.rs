//! The program `kdc run`: how it starts, what it writes, how it ends.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kdc::admin::{self, Name, NewKeys, Operation, Perform, Remote, Settings};
use kdc::init::{Files, init};
use libkrb::client::{AsExchange, AsRequest, Exchange, Secret, Step};
use libkrb::codes::EncryptionType;
use libkrb::crypto::OsRandom;
use libkrb::time::Instant;
use libkrb::{Error, ErrorCode, Principal};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Realm {
    folder: TempDir,
    pub files: Files,
}

impl Realm {
    pub fn new() -> Realm {
        Realm::listening("127.0.0.1:0".parse().expect("an address"))
    }

    fn listening(address: SocketAddr) -> Realm {
        let folder = tempfile::tempdir().expect("a folder");
        let files = init("EXAMPLE.ORG", &folder.path().join("kdc"), &[address]).expect("a realm");
        Realm { folder, files }
    }

    fn set(&self, line: &str) {
        let text = std::fs::read_to_string(&self.files.config).expect("settings");
        std::fs::write(&self.files.config, format!("{line}\n{text}")).expect("settings");
    }

    /// Puts a line in the place of the first comment that shows this setting.
    fn say(&self, line: &str) {
        let text = std::fs::read_to_string(&self.files.config).expect("settings");
        let shown = format!("#{} =", line.split(" =").next().expect("a setting"));
        let old = text.lines().find(|line| line.starts_with(&shown)).expect("a comment");
        std::fs::write(&self.files.config, text.replacen(old, line, 1)).expect("settings");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("kdc").join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kdc"));
        command.args(["run", "--config"]).arg(&self.files.config);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn start(&self) -> Daemon {
        let mut child = self.command().spawn().expect("a daemon");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = String::new();
        while !said.contains("ready") {
            assert_ne!(stderr.read_line(&mut said).expect("a line"), 0, "ended too early: {said}");
        }
        let address = said.split(" is ready at ").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no address: {said}"));
        Daemon { child, stderr, said, address }
    }

    /// What a daemon says that can't start.
    fn fails(&self) -> String {
        let output = self.command().output().expect("a daemon");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("text")
    }

    pub fn add_alice(&self) {
        let alice = Principal::parse("alice", Some("EXAMPLE.ORG")).expect("a name");
        let keys = NewKeys::Password { password: admin::Secret::new("correct horse".to_owned()), kinds: vec![] };
        let admin = Remote::find(&self.path("admin.sock")).expect("allowed").expect("served");
        let create = Operation::Create { principal: Name(alice), keys, kvno: None, settings: Settings::default() };
        admin.perform(create).expect("a new principal");
    }
}

pub struct Daemon {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
    address: SocketAddr,
}

impl Daemon {
    fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a living daemon");
    }

    /// Everything it said, and how it ended.
    pub fn end(mut self, signal: Signal) -> (String, ExitStatus) {
        self.tell(signal);
        let status = self.child.wait().expect("an end");
        self.stderr.read_to_string(&mut self.said).expect("text");
        (std::mem::take(&mut self.said), status)
    }

    fn ask(&self, request: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.send_to(request, self.address).expect("a sent datagram");
        let mut reply = vec![0; 65_536];
        let length = socket.recv(&mut reply).expect("a reply");
        reply.truncate(length);
        reply
    }

    pub fn login(&self, password: &str) -> Result<(), Error> {
        let alice = Principal::parse("alice", Some("EXAMPLE.ORG")).expect("a name");
        let mut exchange = AsExchange::new(AsRequest::new(alice), Secret::password(password));
        let (mut random, mut reply) = (OsRandom::new(), None::<Vec<u8>>);
        loop {
            match exchange.step(now(), &mut random, reply.as_deref())? {
                Step::Send { message, .. } => reply = Some(self.ask(&message)),
                Step::Done(_) => return Ok(()),
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    Instant::from_micros(since.as_micros() as i64)
}

/// The requests of an audit file.
fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    lines.filter(|line| line.get("exchange").is_some()).collect()
}

#[test]
fn it_says_once_that_it_is_ready_and_ends_well_when_told() {
    for signal in [Signal::TERM, Signal::INT] {
        let realm = Realm::new();
        let daemon = realm.start();
        let address = daemon.address;
        realm.add_alice();
        daemon.login("correct horse").expect("a ticket");
        let (said, status) = daemon.end(signal);
        assert_eq!(status.code(), Some(0), "{said}");
        assert_eq!(said.lines().filter(|line| line.contains("ready")).count(), 1, "{said}");
        assert!(!realm.path("admin.sock").exists());
        TcpListener::bind(address).expect("the port is free");
    }
}

#[test]
fn what_one_run_was_told_the_next_one_knows() {
    let realm = Realm::new();
    let daemon = realm.start();
    realm.add_alice();
    daemon.end(Signal::TERM);
    realm.start().login("correct horse").expect("a ticket");
}

#[test]
fn a_killed_daemon_is_in_nobodys_way() {
    let realm = Realm::new();
    let daemon = realm.start();
    realm.add_alice();
    daemon.end(Signal::KILL);
    realm.start().login("correct horse").expect("a ticket");
}

#[test]
fn each_request_gets_a_line_in_the_log_and_in_the_audit_file() {
    let realm = Realm::new();
    realm.say("file = \"audit.jsonl\"");
    let daemon = realm.start();
    realm.add_alice();
    daemon.login("correct horse").expect("a ticket");
    let wrong = daemon.login("wrong").expect_err("a refusal");
    assert!(matches!(&wrong, Error::PasswordIncorrect | Error::Protocol { code: ErrorCode::PREAUTH_FAILED, .. }));
    let rounds = |last| ["KDC_ERR_PREAUTH_REQUIRED", "KDC_ERR_MORE_PREAUTH_DATA_REQUIRED", last];
    let outcomes = [rounds("issued"), rounds("KDC_ERR_PREAUTH_FAILED")].concat();
    let audit = lines(&realm.path("audit.jsonl"));
    assert_eq!(
        audit.iter().map(|line| line["outcome"].as_str()).collect::<Vec<_>>(),
        outcomes.iter().copied().map(Some).collect::<Vec<_>>()
    );
    let issued = &audit[2];
    for (field, value) in [
        ("exchange", "AS"),
        ("client", "alice@EXAMPLE.ORG"),
        ("server", "krbtgt/EXAMPLE.ORG@EXAMPLE.ORG"),
        ("transport", "udp"),
        ("proof", "spake"),
    ] {
        assert_eq!(issued[field], value, "{issued}");
    }
    assert_eq!(issued["ticket_etype"], EncryptionType::AES256_SHA1.0, "{issued}");
    let (said, _) = daemon.end(Signal::TERM);
    let logged = said.lines().filter(|line| line.contains("exchange="));
    let logged = logged.filter_map(|line| line.split("outcome=\"").nth(1)?.split('"').next());
    assert_eq!(logged.collect::<Vec<_>>(), outcomes);
    assert!(!said.contains("correct horse"));
}

#[test]
fn the_log_can_be_json() {
    let realm = Realm::new();
    realm.set("log_format = \"json\"");
    let daemon = realm.start();
    realm.add_alice();
    daemon.login("correct horse").expect("a ticket");
    let (said, _) = daemon.end(Signal::TERM);
    let logged = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    assert_eq!(logged.filter(|line| line["client"] == "alice@EXAMPLE.ORG").count(), 3, "{said}");
}

#[test]
fn an_audit_file_that_was_moved_away_is_made_anew_on_a_hangup() {
    let realm = Realm::new();
    realm.say("file = \"audit.jsonl\"");
    let daemon = realm.start();
    realm.add_alice();
    daemon.login("correct horse").expect("a ticket");
    std::fs::rename(realm.path("audit.jsonl"), realm.path("audit.1")).expect("a moved file");
    daemon.tell(Signal::HUP);
    while !realm.path("audit.jsonl").exists() {
        std::thread::yield_now();
    }
    daemon.login("correct horse").expect("a ticket");
    daemon.end(Signal::TERM);
    let (old, new) = (lines(&realm.path("audit.1")), lines(&realm.path("audit.jsonl")));
    assert_eq!(old.len() + new.len(), 6);
    assert_eq!(new.last().expect("a line")["outcome"], "issued");
}

#[test]
fn what_keeps_it_from_starting_is_said_with_what_to_do() {
    let realm = Realm::new();
    let daemon = realm.start();
    let said = realm.fails();
    assert!(said.contains("in use by another process; end the KDC that runs there first"), "{said}");

    let taken = Realm::listening(daemon.address);
    let said = taken.fails();
    let expected = format!("kdc: cannot listen on {} (TCP): the port is in use; end the program", daemon.address);
    assert!(said.contains(&expected), "{said}");
    daemon.end(Signal::TERM);

    std::fs::copy(&taken.files.master_key, &realm.files.master_key).expect("another key");
    let said = realm.fails();
    assert!(said.contains("wrong master key") && said.contains("restore"), "{said}");

    taken.say("file = \"nowhere/audit\"");
    let said = taken.fails();
    assert!(said.ends_with("nowhere/audit: No such file or directory\n"), "{said}");

    std::fs::remove_file(&realm.files.master_key).expect("a file");
    let said = realm.fails();
    assert!(said.contains("master.key: No such file or directory; restore it"), "{said}");

    std::fs::remove_file(&realm.files.config).expect("a file");
    let said = realm.fails();
    assert!(said.contains("kdc.toml: No such file or directory; `kdc init` makes"), "{said}");
}
