//! How the KDC grows: a realm of a million principals against one of a thousand, clients and services
//! taken at random. Server CPU per request over UDP once as many have come, memory afterwards, and how long a start takes,
//! after an orderly end and after SIGKILL. The realms are made once, in `~/.cache/krb-bench`.
//! `cargo bench -p bench --bench scale`; `KRB_BENCH_PRINCIPALS` says how many.
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use bench::{load, rest};
use kdc::admin::now;
use kdc::config;
use kdc::core::{Attributes, Entry, KeySet, LongTermKey, StoreError};
use kdc::init::{Files, init};
use kdc::store::{Existing, MasterKey, Redb};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, Random, SUPPORTED};
use libkrb::time::Instant;
use tests::joined::{Asking, Credential, Joined, REALM, Sequence, name};
use tests::{Family, Port};

const FEW: usize = 1000;
/// As many requests of each kind.
const REQUESTS: usize = 20_000;
const ETYPE: EncryptionType = EncryptionType::AES256_SHA1;

fn main() {
    let many = std::env::var("KRB_BENCH_PRINCIPALS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    println!("{REQUESTS} requests of each kind, {ETYPE}, clients and services at random; server CPU per request");
    let [few, many] = [FEW, many].map(|count| measure(&Site::of(count), REQUESTS));
    for (what, ratio) in [("AS", many.login / few.login), ("TGS", many.service / few.service)] {
        println!("  {what:<4} {ratio:>5.2} times the cost with many principals (at most 1.5: {})", met(ratio <= 1.5));
    }
    let memory = many.memory as f64 / 1024.0;
    println!("  memory {memory:>7.0} MiB (under 400 MB: {})", met(memory < 381.0));
    println!("  ready after an orderly end {:>7.1} ms", many.ready);
    println!("  ready after SIGKILL        {:>7.1} ms (within 100 ms: {})", many.again, met(many.again <= 100.0));
}

fn met(it: bool) -> &'static str {
    if it { "met" } else { "not met" }
}

struct Figures {
    login: f64,
    service: f64,
    /// KiB resident.
    memory: u64,
    /// Milliseconds from the start of the process to the line that says it is ready.
    ready: f64,
    again: f64,
}

fn measure(site: &Site, requests: usize) -> Figures {
    let (server, ready) = Server::start(site);
    let mut client = Joined { random: chance(), ..Joined::new() };
    // What a KDC keeps of its first requests is memory that it gets from the system; later it has that.
    let [first, settled] = [(); 2].map(|()| round(&server, &mut client, site, requests));
    let memory = server.memory();
    drop(server);
    let (server, again) = Server::start(site);
    drop(server);
    println!(
        "{:>8} principals: AS {:>6.1} us, TGS {:>6.1} us (while its memory fills {:.1} and {:.1}), {} failed, {} MiB, \
         ready in {ready:.0} and {again:.0} ms",
        site.count,
        settled.login,
        settled.service,
        first.login,
        first.service,
        first.failed + settled.failed,
        memory / 1024,
    );
    Figures { login: settled.login, service: settled.service, memory, ready, again }
}

/// CPU time of the server for a request of each kind.
struct Round {
    login: f64,
    service: f64,
    failed: usize,
}

fn round(server: &Server, client: &mut Joined, site: &Site, requests: usize) -> Round {
    let mut random = chance();
    let mut any = || {
        let mut octets = [0; 8];
        random.fill(&mut octets);
        u64::from_be_bytes(octets) as usize % (site.count / 2)
    };
    client.now = clock();
    let users: Vec<_> = (0..requests).map(|_| any()).collect();
    let login = |client: &mut Joined, number| {
        let asking = Asking { etypes: vec![ETYPE], ..Asking::login(&user(number)) };
        client.as_req(&asking, Some(&key(&user(number), ETYPE)))
    };
    let batch: Vec<_> = users.iter().map(|number| login(client, *number)).collect();
    let logins = load(server.address, server.child.id(), &batch, 0x6b);
    // A few hundred have tickets; each asks for a service at random.
    client.now = clock();
    let tickets: Vec<_> = (0..requests.min(2000))
        .map(|_| {
            let number = any();
            let request = login(client, number);
            server.ticket(&request, &key(&user(number), ETYPE))
        })
        .collect();
    client.now = clock();
    let batch: Vec<_> = (0..requests)
        .map(|turn| {
            let asking = Asking { etypes: vec![ETYPE], ..Asking::service(&service(any())) };
            client.tgs_req(&tickets[turn % tickets.len()], &asking)
        })
        .collect();
    let services = load(server.address, server.child.id(), &batch, 0x6d);
    Round { login: logins.cpu_micros, service: services.cpu_micros, failed: logins.failed + services.failed }
}

fn chance() -> Sequence {
    Sequence(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64))
}

fn clock() -> Instant {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    Instant::from_micros(since.as_micros() as i64)
}

/// A KDC on a realm; ended by SIGKILL when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    _port: [Port; 2],
}

impl Server {
    fn start(site: &Site) -> (Server, f64) {
        let port = [Port::claim(), Port::claim()];
        let settings = site.settings(&port);
        let program = Family::Ours.program("kdc");
        let start = std::time::Instant::now();
        let mut child = Command::new(&program.path)
            .args(["run", "--config"])
            .arg(settings)
            .stderr(Stdio::piped())
            .spawn()
            .expect("a KDC");
        let mut lines = BufReader::new(child.stderr.take().expect("its words"));
        let mut line = String::new();
        while !line.contains("is ready at") {
            line.clear();
            assert_ne!(lines.read_line(&mut line).expect("a line"), 0, "the KDC ended before it was ready");
        }
        let ready = start.elapsed().as_secs_f64() * 1000.0;
        // Nobody reads what it may say from now on, and nobody writes with logging off.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let server = Server { child, address: port[0].address(), _port: port };
        rest(server.child.id());
        (server, ready)
    }

    fn ticket(&self, request: &[u8], key: &Key) -> Credential {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
        socket.send_to(request, self.address).expect("a sent request");
        let mut buffer = vec![0; 65536];
        let length = socket.recv(&mut buffer).expect("a reply");
        Credential::open(&buffer[..length], key, KeyUsage::AS_REP_ENC_PART).expect("a TGT")
    }

    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A realm in a folder: half users, half services.
struct Site {
    folder: PathBuf,
    count: usize,
}

impl Site {
    /// The realm of so many principals, made if it is not there yet.
    fn of(count: usize) -> Site {
        let home = std::env::var_os("HOME").map_or(std::env::temp_dir(), PathBuf::from);
        let place = home.join(".cache/krb-bench");
        let folder = place.join(format!("principals-{count}"));
        if !folder.exists() {
            std::fs::create_dir_all(&place).expect("a folder");
            let making = tempfile::tempdir_in(&place).expect("a folder");
            make(&making.path().join("realm"), count);
            std::fs::rename(making.path().join("realm"), &folder).expect("in its place");
        }
        Site { folder, count }
    }

    /// Settings for a run at these ports: no log, else as they come.
    fn settings(&self, [port, changes]: &[Port; 2]) -> PathBuf {
        let files = Files::of(&self.folder);
        let text = config::sample(REALM, &[port.address()], &[changes.address()]);
        let text = text.replace("#log = \"info\"", "log = \"error\"");
        std::fs::write(&files.config, text).expect("settings");
        files.config
    }
}

fn make(folder: &Path, count: usize) {
    let files = init(REALM, folder, &["127.0.0.1:88".parse().expect("an address")]).expect("a realm");
    let master = MasterKey::load(&files.master_key).expect("a master key");
    let store = Redb::open(&files.store, master).expect("a store");
    let revision = store.next_revision().expect("a revision");
    let names = |make: fn(usize) -> String| (0..count / 2).map(make);
    let filled = store.bulk(revision, |bulk| {
        // As a B-tree has them: in the order of their names.
        for text in names(service).chain(names(user)) {
            bulk.put(&store.seal(&entry(&text), revision)?, Existing::Refuse)?;
        }
        Ok::<_, StoreError>(())
    });
    filled.expect("a filled store");
}

fn user(number: usize) -> String {
    format!("user{number:07}")
}

fn service(number: usize) -> String {
    format!("host/machine{number:07}.example.org")
}

/// A principal with a key of every enctype, as they are made when nothing else is said.
fn entry(text: &str) -> Entry {
    let (principal, is_user) = (name(text), !text.contains('/'));
    let salt = is_user.then(|| principal.salt());
    let keys = SUPPORTED.iter().map(|etype| LongTermKey::new(key(text, *etype), salt.clone())).collect();
    let mut id = [0; 16];
    Sequence(seed(text)).fill(&mut id);
    let attributes = if is_user {
        Attributes::REQUIRES_PRE_AUTH.with(Attributes::DISALLOW_SVR, true)
    } else {
        Attributes::default()
    };
    Entry {
        keys: vec![KeySet::new(1, keys).made(now())],
        attributes,
        ..Entry::new(principal, id, now(), "admin/admin@EXAMPLE.ORG")
    }
}

/// The key of a name: whoever knows how it was made need not ask.
fn key(text: &str, etype: EncryptionType) -> Key {
    Key::random(etype, &mut Sequence(seed(text) ^ etype.0 as u64)).expect("a key")
}

fn seed(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3))
}
