//! Logins while something is done to a cluster: by a password as people do it, by a key at a pace, and by MIT's kinit.
//! And the rows of the table that `just chaos` prints.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kdc::admin::{NewKeys, Operation, Secret, Settings};
use libkrb::config::Config;
use libkrb::net::{Client, Transport};
use tests::{Family, Tool, tell};

use crate::place::{Cluster, Kdc, REALM, name, perform, until};

const PASSWORD: &str = "correct horse battery";
const MACHINE: &str = "host/load.example.org";
/// Clients that log in by a password all the time.
const PEOPLE: usize = 2;
/// Clients that share the pace.
const MACHINES: u32 = 40;

/// A number of the environment, for the long form.
pub fn wished<T: std::str::FromStr>(what: &str, otherwise: T) -> T {
    std::env::var(what).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A row of the table: what was measured, the goal, and whether that is met. Nothing is asserted.
pub fn figure(what: &str, goal: &str, measured: &str, met: bool) {
    let row = format!("| {what} | {goal} | {measured} | {} |", if met { "met" } else { "NOT MET" });
    tell(&row);
    if let Some(file) = std::env::var_os("KRB_FIGURES") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
        writeln!(file.expect("a file for figures"), "{row}").expect("written");
    }
}

/// What happened so far.
#[derive(Default)]
pub struct Load {
    over: AtomicBool,
    pub logins: AtomicUsize,
    /// Microseconds.
    slowest: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

/// What became of all logins.
pub struct Outcome {
    pub logins: usize,
    pub failed: Vec<String>,
    pub slowest: Duration,
    pub took: Duration,
}

impl Outcome {
    /// In words.
    pub fn words(&self) -> String {
        let Outcome { logins, failed, slowest, took } = self;
        let rate = *logins as f64 / took.as_secs_f64();
        format!("{} of {logins} failed, {rate:.0}/s in {took:.0?}, the slowest took {slowest:.1?}", failed.len())
    }
}

impl Load {
    /// Ends it when dropped.
    pub fn ending(&self) -> impl Drop + '_ {
        Ending(self)
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn logged_in(&self, begun: Instant, done: Result<(), String>) {
        match done {
            Ok(()) => drop(self.logins.fetch_add(1, Ordering::Relaxed)),
            Err(error) => self.failed.lock().expect("unpoisoned").push(error),
        }
        let took = usize::try_from(begun.elapsed().as_micros()).unwrap_or(usize::MAX);
        self.slowest.fetch_max(took, Ordering::Relaxed);
    }

    /// Each time as a new client that knows all KDCs.
    fn people(&self, config: &Arc<Config>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        while !self.is_over() {
            let begun = Instant::now();
            let client = Client::with_password(Transport::new(Arc::clone(config)), name("alice").0, PASSWORD);
            let done = runtime.block_on(client.tgt());
            self.logged_in(begun, done.map(drop).map_err(|error| error.to_string()));
        }
    }

    /// So many a second, as far as the machine goes.
    fn machines(&self, config: &Arc<Config>, keytab: &Path, rate: u32) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let keytab = libkrb::keytab::KeytabName::parse(&keytab.display().to_string()).expect("a name");
        let machine = || async {
            let mut pace = tokio::time::interval(Duration::from_secs(1) * MACHINES / rate);
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !self.is_over() {
                pace.tick().await;
                let (begun, transport) = (Instant::now(), Transport::new(Arc::clone(config)));
                let done = Client::with_keytab(transport, name(MACHINE).0, keytab.clone()).tgt().await;
                self.logged_in(begun, done.map(drop).map_err(|error| error.to_string()));
            }
        };
        runtime.block_on(async {
            let all: Vec<_> = (0..MACHINES).map(|_| machine()).collect();
            futures_all(all).await;
        });
    }

    fn mit(&self, kinit: &Tool) {
        while !self.is_over() {
            let (begun, said) = (Instant::now(), kinit.clone().run());
            self.logged_in(begun, if said.is_success() { Ok(()) } else { Err(format!("MIT: {said}")) });
        }
    }
}

/// All of them, side by side.
async fn futures_all(all: Vec<impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// A cluster of three KDCs over three nodes whose clients know all KDCs.
pub struct Scene {
    pub cluster: Cluster,
    config: Arc<Config>,
    keytab: PathBuf,
    mit: Option<Tool>,
}

impl Scene {
    /// With these users besides.
    pub fn start(users: &[&str]) -> Option<Scene> {
        let cluster = Cluster::start(3, 3)?;
        let first = &cluster.kdcs[0];
        let keys = NewKeys::Password { password: Secret::new(PASSWORD.to_owned()), kinds: vec![] };
        let users = [users, &["alice"]].concat();
        for user in &users {
            let (principal, keys) = (name(user), keys.clone());
            let create = Operation::Create { principal, keys, kvno: None, settings: Settings::default() };
            perform(first, create).expect("created");
        }
        let keytab = first.path("load.keytab");
        first.kadmin(&["addprinc", "-randkey", "-requires_preauth", MACHINE]).succeeds();
        first.kadmin(&["ktadd", "-k", &keytab.display().to_string(), MACHINE]).succeeds();
        let known = |kdc: &Kdc, user: &str| perform(kdc, Operation::Strings { principal: name(user) }).is_some();
        let knows_all = |kdc: &Kdc| users.iter().all(|user| known(kdc, user)) && knows_machine(kdc, &keytab);
        until("all know all", || cluster.kdcs.iter().all(knows_all));
        let ports: Vec<_> = cluster.kdcs.iter().map(Kdc::port).collect();
        let servers: String = ports.iter().map(|port| format!("  kdc = 127.0.0.1:{port}\n")).collect();
        let text = format!(
            "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\n[realms]\n{REALM} = {{\n{servers}}}\n"
        );
        let file = cluster.folder().join("all.conf");
        std::fs::write(&file, &text).expect("settings");
        let mit = Family::Mit.has_clients().then(|| {
            let tool = Tool::new(Family::Mit.program("kinit")).env("KRB5_CONFIG", &file);
            tool.env("KRB5CCNAME", "MEMORY:load").args(["-k", "-t"]).args([&keytab]).args([MACHINE])
        });
        Some(Scene { config: Arc::new(Config::parse("krb5.conf", &text).expect("sound")), cluster, keytab, mit })
    }

    /// Has all log in while something is done.
    pub fn under_load(&mut self, act: impl FnOnce(&mut Cluster, &Load)) -> Outcome {
        let (load, begun, rate) = (Load::default(), Instant::now(), wished("KRB_CHAOS_RATE", 50));
        let Scene { cluster, config, keytab, mit } = self;
        std::thread::scope(|scope| {
            let ended = Ending(&load);
            for _ in 0..PEOPLE {
                scope.spawn(|| load.people(config));
            }
            scope.spawn(|| load.machines(config, keytab, rate));
            if let Some(mit) = mit {
                scope.spawn(|| load.mit(mit));
            }
            act(cluster, &load);
            drop(ended);
        });
        Outcome {
            logins: load.logins.into_inner(),
            failed: load.failed.into_inner().expect("unpoisoned"),
            slowest: Duration::from_micros(load.slowest.into_inner() as u64),
            took: begun.elapsed(),
        }
    }
}

fn knows_machine(kdc: &Kdc, keytab: &Path) -> bool {
    kdc.client("kinit").args(["-k", "-t"]).args([keytab]).args([MACHINE]).run().is_success()
}

/// Ends the threads also when the test fails.
struct Ending<'a>(&'a Load);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}
