//! A realm with several KDCs of ours over an etcd of the test's own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use kdc::admin::{Answer, Name, Operation, Perform, Remote};
use kdc::init::init;
use libkrb::Principal;
use tempfile::TempDir;
use tests::{Daemon, Etcd, Family, PATIENCE, Port, Said, Tool};

pub const REALM: &str = "EXAMPLE.ORG";

pub struct Cluster {
    pub kdcs: Vec<Kdc>,
    pub etcd: Etcd,
    folder: TempDir,
}

pub struct Kdc {
    folder: PathBuf,
    port: Port,
    _passwords: Port,
    management: Port,
    daemon: Option<Daemon>,
}

impl Cluster {
    /// So many KDCs over so many nodes.
    pub fn start(kdcs: usize, nodes: usize) -> Option<Cluster> {
        Cluster::start_as(kdcs, nodes, |_, endpoints| (endpoints.to_vec(), String::new()))
    }

    /// The same, each with endpoints and further settings of its store of its own.
    pub fn start_as(
        kdcs: usize,
        nodes: usize,
        mut store: impl FnMut(usize, &[String]) -> (Vec<String>, String),
    ) -> Option<Cluster> {
        let etcd = Etcd::start(nodes)?;
        let folder = tempfile::tempdir().expect("a folder");
        let first = folder.path().join("kdc0");
        init(REALM, &first, &["127.0.0.1:88".parse().expect("an address")]).expect("a realm");
        let endpoints = etcd.endpoints();
        let kdcs: Vec<_> = (0..kdcs).map(|number| Kdc::beside(&first, number, store(number, &endpoints))).collect();
        kdcs[0].kdc(&["store", "publish"]).run().succeeds().saying("3 principals");
        let mut cluster = Cluster { kdcs, etcd, folder };
        cluster.kdcs.iter_mut().for_each(Kdc::start);
        Some(cluster)
    }

    /// Where all its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Kdc {
    /// One that has a realm of its own, in a file.
    pub fn alone(folder: &Path) -> Kdc {
        let folder = folder.join("alone");
        init(REALM, &folder, &["127.0.0.1:88".parse().expect("an address")]).expect("a realm");
        let mut kdc = Kdc::with_store(folder, "");
        kdc.start();
        kdc
    }

    /// What an operator does on a further machine: settings, and the master key.
    fn beside(first: &Path, number: usize, (endpoints, more): (Vec<String>, String)) -> Kdc {
        let folder = first.with_file_name(format!("kdc{number}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        if number > 0 {
            std::fs::copy(first.join("master.key"), folder.join("master.key")).expect("copied with its mode");
        }
        Kdc::with_store(folder, &format!("[store]\nkind = \"etcd\"\nendpoints = {endpoints:?}\n{more}"))
    }

    fn with_store(folder: PathBuf, store: &str) -> Kdc {
        let [port, passwords, management] = [(); 3].map(|()| Port::claim());
        let (kdc, kpasswd, pages) = (port.address(), passwords.address(), management.address());
        let settings = format!(
            "realm = {REALM:?}\nlisten = [\"{kdc}\"]\nkpasswd_listen = [\"{kpasswd}\"]\n[management]\nlisten = [\"{pages}\"]\n{store}"
        );
        std::fs::write(folder.join("kdc.toml"), settings).expect("settings");
        knows(&folder, &kdc.to_string(), &kpasswd.to_string());
        Kdc { folder, port, _passwords: passwords, management, daemon: None }
    }

    /// One that has joined, whose files are in this folder; it changes no passwords.
    pub fn joined(folder: PathBuf, port: Port) -> Kdc {
        let address = port.address().to_string();
        knows(&folder, &address, &address);
        let file = folder.join("kdc.toml");
        let settings = std::fs::read_to_string(&file).expect("settings");
        std::fs::write(&file, format!("kpasswd_listen = []\n{settings}")).expect("settings");
        Kdc { folder, port, _passwords: Port::claim(), management: Port::claim(), daemon: None }
    }

    /// Ends it in good order.
    pub fn stop(&mut self) {
        self.daemon.take().expect("it runs").stop();
    }

    pub fn start(&mut self) {
        self.daemon = Some(Daemon::start(self.kdc(&["run"]).command(), "is ready at"));
    }

    /// Starts it by another command, which has it for its arguments.
    pub fn start_by(&mut self, words: &[&str]) {
        let run = self.kdc(&["run"]).command();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(run.get_program()).args(run.get_args()).env_clear();
        command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.daemon = Some(Daemon::start(command, "is ready at"));
    }

    /// Its clients know the KDCs at these ports, in this order.
    pub fn knows_kdcs(&self, ports: &[u16]) {
        let kdcs: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        knows(&self.folder, &kdcs.join("\n  kdc = "), &kdcs[0]);
    }

    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("it runs").pid()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.daemon = None;
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub fn kdc(&self, words: &[&str]) -> Tool {
        Tool::new(Family::Ours.program("kdc")).args(words).args(["--config"]).args([self.path("kdc.toml")])
    }

    pub fn kadmin(&self, words: &[&str]) -> Said {
        let tool = Tool::new(Family::Ours.program("kadmin")).args(["--config"]).args([self.path("kdc.toml")]);
        tool.args(words).run()
    }

    /// A login at this KDC and no other.
    pub fn kinit(&self, user: &str, password: &str) -> Said {
        self.client("kinit").args([user]).stdin(format!("{password}\n")).run()
    }

    /// A client's program that knows this KDC and no other.
    pub fn client(&self, program: &'static str) -> Tool {
        self.client_of(Family::Ours, program)
    }

    /// The same, of another family.
    pub fn client_of(&self, family: Family, program: &'static str) -> Tool {
        Tool::new(family.program(program))
            .env("KRB5_CONFIG", self.path("krb5.conf").display().to_string())
            .env("KRB5CCNAME", format!("FILE:{}", self.path("ccache").display()))
    }

    /// A page of those for load balancers and Prometheus: its status, and its text.
    pub fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.management.address()).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, text)
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.page("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {name}: {text}"))
    }
}

/// A principal of the realm.
pub fn name(text: &str) -> Name {
    Name(Principal::parse(text, Some(REALM)).expect("a name"))
}

/// Has a KDC that runs do something; `None` where it did not.
pub fn perform(kdc: &Kdc, operation: Operation) -> Option<Answer> {
    Remote::find(&kdc.path("admin.sock")).ok()??.perform(operation).ok()
}

/// Writes the settings of clients that know one KDC and no other.
fn knows(folder: &Path, kdc: &str, kpasswd: &str) {
    let client = format!(
        "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\n[realms]\n{REALM} = {{\n  kdc = {kdc}\n  \
         kpasswd_server = {kpasswd}\n}}\n"
    );
    std::fs::write(folder.join("krb5.conf"), client).expect("a client's settings");
}

/// Looks until it is so; each look is a request that takes its time.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came: {what}");
    }
}
