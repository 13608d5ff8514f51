//! KDCs at their quickest: no log, no lockout, no last success. And requests for them. Not here: what is measured.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use kdc::core::{Attributes, Entry, KeySet, LongTermKey};
use kdc::store::{Existing, MasterKey, Redb};
use libkrb::Principal;
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::time::Instant;
use rustix::process::{Pid, Signal, kill_process};
use tests::joined::{Asking, Credential, Joined};
use tests::{Etype, Family, Plan, Realm};

use crate::{await_server, cpu_nanos};

const PASSWORD: &str = "correct horse";
/// The service that tickets are for.
pub const SERVICE: &str = "host/a.example.org";
/// So many different keys of numbered principals; the others have the same again.
const KEYS: u32 = 1000;

/// How a KDC is started.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// More lines for kdc.toml, each with the section that it belongs to.
    pub settings: Vec<(&'static str, String)>,
    /// Numbered principals besides alice.
    pub principals: u32,
    /// On this processor alone.
    pub one_core: bool,
    /// Another build of our own KDC.
    pub build: Option<PathBuf>,
}

/// A KDC that was started again with everything off that costs time, and a client.
pub struct Quiet {
    realm: Realm,
    family: Family,
    wishes: Wishes,
    child: Child,
    client: Joined,
    etype: EncryptionType,
    key: Key,
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Its end is its own: a build that is to learn from what it did writes that down then.
        let ended = Pid::from_raw(self.pid() as i32).map(|pid| kill_process(pid, Signal::TERM));
        if ended.is_none_or(|ended| ended.is_err()) {
            self.kill();
        }
        let _ = self.child.wait();
    }
}

impl Quiet {
    /// Starts a KDC with one service, and alice.
    ///
    /// # Panics
    /// Where there is no such KDC or it does not start.
    pub fn start(family: Family, etype: Etype, wishes: Wishes) -> Quiet {
        let mut realm = Plan::default().with_etypes(&[etype]).start(family);
        realm.add("alice", PASSWORD, &["+requires_preauth"]);
        realm.add_service(SERVICE);
        realm.stop();
        let etype = EncryptionType(etype.number);
        let key = Key::from_password(etype, PASSWORD.as_bytes(), b"EXAMPLE.ORGalice", None).expect("a key");
        if family == Family::Ours {
            populate(&realm, etype, &wishes);
        }
        let child = quiet_command(family, &realm, &wishes).spawn().expect("a KDC");
        // The clock is set with every request.
        let client = Joined { now: Instant::default(), ..Joined::new() };
        let mut quiet = Quiet { realm, family, wishes, child, client, etype, key };
        quiet.await_it();
        quiet
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again; how long it took to answer.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) -> std::time::Duration {
        self.kill();
        let mut command = quiet_command(self.family, &self.realm, &self.wishes);
        let probe = self.login("alice");
        let start = std::time::Instant::now();
        self.child = command.spawn().expect("a KDC");
        await_server(self.address(), &probe);
        start.elapsed()
    }

    fn await_it(&mut self) {
        let probe = self.login("alice");
        await_server(self.address(), &probe);
        self.rest();
    }

    /// Waits until it has done what it does once at its start, beside serving: it looks through the whole store.
    fn rest(&self) {
        const STILL: std::time::Duration = std::time::Duration::from_millis(200);
        if self.family != Family::Ours {
            return;
        }
        let mut before = None;
        while before != Some(cpu_nanos(self.pid())) {
            before = Some(cpu_nanos(self.pid()));
            std::thread::sleep(STILL);
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.realm.address()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its realm.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// An AS-REQ with an encrypted timestamp, another one each time.
    pub fn login(&mut self, user: &str) -> Vec<u8> {
        self.client.now = self.client.now.max(now());
        let key = if user == "alice" { self.key.clone() } else { numbered_key(self.etype, number_of(user)) };
        self.client.as_req(&Asking { etypes: vec![self.etype], ..Asking::login(user) }, Some(&key))
    }

    /// An AS-REQ without a proof.
    pub fn unproven(&mut self, user: &str, nonce: u32) -> Vec<u8> {
        self.client.as_req(&Asking { etypes: vec![self.etype], nonce, ..Asking::login(user) }, None)
    }

    /// So many logins of alice.
    pub fn logins(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.login("alice")).collect()
    }

    /// A ticket-granting ticket of a user.
    ///
    /// # Panics
    /// When none is given.
    pub fn tgt(&mut self, user: &str) -> Credential {
        let request = self.login(user);
        let key = if user == "alice" { self.key.clone() } else { numbered_key(self.etype, number_of(user)) };
        Credential::open(&self.ask(&request), &key, KeyUsage::AS_REP_ENC_PART).expect("a TGT")
    }

    /// The answer to one request.
    ///
    /// # Panics
    /// When there is none.
    pub fn ask(&self, request: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
        socket.send_to(request, self.address()).expect("a sent request");
        let mut buffer = vec![0; 65536];
        let length = socket.recv(&mut buffer).expect("a reply");
        buffer.truncate(length);
        buffer
    }

    /// A TGS-REQ for a service, another one each time.
    pub fn service(&mut self, tgt: &Credential, service: &str) -> Vec<u8> {
        self.client.now = self.client.now.max(now());
        self.client.tgs_req(tgt, &Asking { etypes: vec![self.etype], ..Asking::service(service) })
    }

    /// So many requests for a ticket to one service.
    pub fn services(&mut self, count: usize) -> Vec<Vec<u8>> {
        let tgt = self.tgt("alice");
        (0..count).map(|_| self.service(&tgt, SERVICE)).collect()
    }

    /// The key of alice.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

/// The name of a numbered principal.
pub fn numbered(number: u32) -> String {
    format!("user{number:08}")
}

fn number_of(user: &str) -> u32 {
    user.trim_start_matches("user").parse().expect("a numbered principal")
}

fn numbered_key(etype: EncryptionType, number: u32) -> Key {
    let mut octets = [0x5a; 32];
    octets[..4].copy_from_slice(&(number % KEYS).to_be_bytes());
    Key::new(etype, &octets).expect("a key")
}

/// Puts numbered principals straight into the store of a realm that is not served.
fn populate(realm: &Realm, etype: EncryptionType, wishes: &Wishes) {
    let folder = realm.folder().join("kdc");
    let config = kdc::config::load(&folder.join("kdc.toml")).expect("sound settings");
    if wishes.principals == 0 {
        return;
    }
    let master = MasterKey::load(&folder.join("master.key")).expect("a master key");
    let store = Redb::open(&config.store.file, master).expect("a store");
    let revision = store.next_revision().expect("a revision");
    // As a B-tree has them: in the order of their names.
    let filled = store.bulk(revision, |bulk| {
        (0..wishes.principals)
            .try_for_each(|number| bulk.put(&store.seal(&entry(etype, number), revision)?, Existing::Refuse).map(drop))
    });
    filled.expect("stored principals");
}

fn entry(etype: EncryptionType, number: u32) -> Entry {
    let principal = Principal::parse(&numbered(number), Some("EXAMPLE.ORG")).expect("a name");
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let keys = vec![LongTermKey::new(numbered_key(etype, number), None)];
    let mut entry = Entry::new(principal, id, kdc::admin::now(), "bench@EXAMPLE.ORG");
    entry.attributes = Attributes::REQUIRES_PRE_AUTH;
    entry.keys = vec![KeySet::new(1, keys)];
    entry
}

/// The build of our own KDC that is measured in the place of cargo's (`bench/release`), if one is named.
pub fn shipped() -> Option<PathBuf> {
    std::env::var_os("KRB_BENCH_KDC").map(PathBuf::from)
}

/// Settings without a log, and those of `KRB_BENCH_SETTINGS`. They come before all sections, and once.
fn quieted(text: &str) -> String {
    let quiet = format!("log = \"error\"\n{}\n", std::env::var("KRB_BENCH_SETTINGS").unwrap_or_default());
    if text.starts_with(&quiet) { text.to_owned() } else { quiet + text }
}

/// With a line more in these sections, which all are there already, unless it has that.
fn told(text: String, settings: &[(&str, String)]) -> String {
    settings.iter().fold(text, |text, (section, line)| {
        if text.lines().any(|there| there == line) {
            return text;
        }
        let head = format!("\n[{section}]\n");
        assert!(text.contains(&head), "no section [{section}] in kdc.toml");
        text.replacen(&head, &format!("{head}{line}\n"), 1)
    })
}

fn now() -> Instant {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    Instant::from_micros(since.as_micros() as i64)
}

fn quiet_command(family: Family, realm: &Realm, wishes: &Wishes) -> Command {
    let mut command = daemon(family, realm, wishes);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn daemon(family: Family, realm: &Realm, wishes: &Wishes) -> Command {
    let folder = realm.folder();
    let edit = |file: &str, change: &dyn Fn(String) -> String| {
        let path = folder.join(file);
        let text = change(std::fs::read_to_string(&path).expect("a configuration"));
        std::fs::write(path, text).expect("a changed configuration");
    };
    let program = |name| {
        let program = family.program(name);
        let shipped = shipped().filter(|_| family == Family::Ours);
        let path = wishes.build.as_ref().or(shipped.as_ref()).unwrap_or(&program.path);
        let mut command = match wishes.one_core {
            false => Command::new(path),
            true => {
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(path);
                command
            }
        };
        command.args(&program.arguments);
        if let Some(libraries) = &program.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    };
    match family {
        Family::Ours => {
            let quiet = [("policy", "disable_last_success = true".to_owned())];
            let settings = [&quiet[..], &wishes.settings].concat();
            edit("kdc/kdc.toml", &|text| told(quieted(&text), &settings));
            let mut command = program("kdc");
            command.args(["run", "--config"]).arg(folder.join("kdc/kdc.toml"));
            command
        }
        Family::Mit => {
            let modules = format!(
                "[dbmodules]\n {} = {{\n  db_library = db2\n  database_name = {}/principal\n  \
                 disable_last_success = true\n  disable_lockout = true\n }}\n",
                realm.name(),
                folder.display(),
            );
            edit("kdc.conf", &|text| text + &modules);
            edit("kdc-krb5.conf", &|text| text.replace("STDERR", "FILE:/dev/null"));
            let mut command = program("krb5kdc");
            command.env("KRB5_CONFIG", folder.join("kdc-krb5.conf"));
            command.env("KRB5_KDC_PROFILE", folder.join("kdc.conf"));
            command.args(["-n", "-r", realm.name()]);
            command
        }
        Family::Heimdal => {
            edit("kdc-krb5.conf", &|text| text.replace("0-/STDERR", "0-0/FILE:/dev/null"));
            let mut command = program("kdc");
            command.arg(format!("--config-file={}", folder.join("kdc-krb5.conf").display()));
            command
        }
    }
}
