//! The daemon: opens what the settings name, wires the rooms together, and ends when told so. Not
//! here: what any of them does.

mod sandbox;
mod systemd;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libkrb::Principal;
use libkrb::replay::{MemoryReplayCache, ReplayCache};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::AbortHandle;

use crate::admin::{self, KeyRules, Registry};
use crate::attempts::{Counted, WrittenDown};
use crate::config::{self, Config, LogFormat};
use crate::core::{Attempts, Ledger, Store};
use crate::error::{Error, Result};
use crate::init::{self, Addresses};
use crate::kpasswd::Kpasswd;
use crate::manage::{Sources, Station};
use crate::net::{self, Inherited, Listener, Memories, Passwords, Responder, Server};
use crate::observe::{Audit, Observer, start_log};
use crate::rotation::{self, Rotation};
use crate::store::Vault;
use crate::{check, manage, store};

/// What the replay cache takes for one authenticator.
const REPLAY_ENTRY: usize = 40;

/// Serves the realm of the settings in this file until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting, and what to do.
pub fn run(path: &Path) -> Result<()> {
    let inherited = Inherited::from_environment();
    let config = config::load(path)?;
    start_log(config.log.as_str(), config.log_format == LogFormat::Json);
    if config.landlock {
        confine(path, &config);
    }
    serve_at(&config, inherited, |daemon| {
        let list = |addresses: &[SocketAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let Addresses { kdc, kpasswd } = daemon.addresses();
        let passwords = if kpasswd.is_empty() { "nowhere".to_owned() } else { format!("at {}", list(kpasswd)) };
        let kdc = list(kdc);
        let status = format!("{} is ready at {kdc} (UDP and TCP), passwords are changed {passwords}", config.realm);
        let _ = writeln!(std::io::stderr(), "kdc: {status}");
        systemd::ready(&status);
        Ok(true)
    })
}

/// Confines this process to its folders. Where that fails it serves all the same, and says so.
fn confine(path: &Path, config: &Config) {
    let folders = sandbox::Folders::of(path, config);
    match sandbox::confine(&folders) {
        Ok(status) => tracing::info!(written = ?folders.written, read = ?folders.read, landlock = status, "confined"),
        Err(error) => tracing::warn!(%error, "not confined"),
    }
}

/// Serves a realm; once it does, `then` says whether to go on until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting, and what to do; those of `then`.
pub fn serve(config: &Config, then: impl FnOnce(&Daemon) -> Result<bool>) -> Result<()> {
    serve_at(config, Inherited::default(), then)
}

fn serve_at(config: &Config, inherited: Inherited, then: impl FnOnce(&Daemon) -> Result<bool>) -> Result<()> {
    // Keys must not end up in a core dump; where that can't be said, nothing else is lost.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let runtime = Runtime::new().map_err(|error| Error::Other(format!("no threads to run on: {error}")))?;
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(|error| Error::Other(format!("no way to hear signals: {error}")))?;
        let daemon = Daemon::start(config, inherited)?;
        if then(&daemon)? {
            tokio::select! {
                () = signals.until_end(&daemon) => {}
                () = systemd::watchdog(|| daemon.lives()) => {}
            }
        }
        systemd::stopping();
        tokio::select! {
            () = daemon.drain() => {}
            // Told twice.
            () = signals.end() => {}
        }
        Ok(())
    })
}

/// A realm being served, with all that belongs to it.
pub struct Daemon {
    store: Arc<dyn Store>,
    tgs: Principal,
    server: Server,
    passwords: Server,
    addresses: Addresses,
    observer: Arc<Observer>,
    admin: Admin,
    attempts: WrittenDown,
    /// Watches until all else has ended.
    station: Station,
    rotation: rotation::Task,
    patience: Duration,
}

/// The admin socket; gone when dropped.
struct Admin {
    path: PathBuf,
    task: AbortHandle,
}

impl Daemon {
    /// Opens the store and all sockets, and serves on the tokio runtime that this is called in.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn start(config: &Config, mut inherited: Inherited) -> Result<Daemon> {
        let observer = Arc::new(manage::observer(config)?);
        let limits = &config.limits;
        let store = store::open(&config.store, &config.master_key, limits.principals_in_memory)?;
        check::belongs(store.inner(), config)?;
        let store = Arc::new(store);
        let attempts = Arc::new(Counted::over(Arc::clone(&store) as Arc<dyn Ledger>));
        let vault = Arc::clone(&store) as Arc<dyn Vault>;
        let store = store as Arc<dyn Store>;
        init::complete(&*store, &config.realm)?;
        let listeners = take(&config.listen, &mut inherited)?;
        let for_passwords = take(&config.kpasswd_addresses(), &mut inherited)?;
        let bound = |listeners: &[Listener]| listeners.iter().map(Listener::address).collect();
        let addresses = Addresses { kdc: bound(&listeners), kpasswd: bound(&for_passwords) };
        let admin_socket = match inherited.unix(&config.admin_socket) {
            Some(socket) => admin::adopt(&config.admin_socket, socket)?,
            None => admin::bind(&config.admin_socket)?,
        };
        for socket in inherited.left() {
            let settings = "`listen`, `kpasswd_listen`, `admin_socket`";
            tracing::warn!(socket, "closed: it was handed over and is none of the settings ({settings})");
        }

        let policy = config.policy();
        let rules = KeyRules { etypes: config.keys.etypes.clone(), iterations: config.keys.iterations };
        let registry = Registry::new(Arc::clone(&store), policy.clone(), rules).with_acl(config.acl()?);
        let registry = registry.with_dictionary(config.dictionary()?).with_attempts(Arc::clone(&attempts) as Arc<_>);
        let registry = Arc::new(registry.with_vault(vault).told_to(Arc::clone(&observer)));
        let rotation = Rotation::new(Arc::clone(&store), Arc::clone(&registry), policy.clone(), config.rotation());
        let replays_limit = limits.replay_memory / REPLAY_ENTRY;
        let authenticators = Arc::new(MemoryReplayCache::new(policy.clock_skew, replays_limit));
        let replays = Arc::clone(&authenticators) as Arc<dyn ReplayCache>;
        let rates = limits.rate.rates();
        let limits = config.net_limits();
        let service = Kpasswd::new(policy.clone(), Arc::clone(&store), Arc::clone(&registry), Arc::clone(&replays));
        let passwords = serve_passwords(service, for_passwords, Arc::clone(&observer), &limits)?;
        let (memory, tgs) = (Arc::clone(&store), Principal::tgs(&config.realm));
        let counted = Arc::clone(&attempts) as Arc<dyn Attempts>;
        let memories = Memories { store: Arc::clone(&store), replays, attempts: Arc::clone(&counted) };
        let responder = Arc::new(Responder::new(policy.clone(), memories, Arc::clone(&observer), &limits));
        responder.govern(policy, rates, &limits);
        let rotation = rotation::Task::start(rotation);
        let server = Server::start(listeners, Arc::clone(&responder), &limits).map_err(unserved)?;
        let sources = Sources {
            realm: config.realm.clone(),
            observer: Arc::clone(&observer),
            store,
            attempts: counted,
            responder,
            gauges: server.gauges(),
            passwords: passwords.gauges(),
            addresses: addresses.kdc.iter().chain(&addresses.kpasswd).copied().collect(),
            replays: authenticators,
            replays_limit,
            master_key: config.master_key.clone(),
        };
        let station = Station::start(sources, &config.management)?;
        let gatherer = station.gatherer();
        let registry = (*registry).clone().with_status(Arc::new(move || gatherer.facts()));
        let admin = Admin::serve(admin_socket, Arc::new(registry), config.admin_socket.clone());
        let (attempts, patience) = (attempts.written_down(), limits.request_timeout);
        Ok(Daemon {
            store: memory,
            tgs,
            server,
            passwords,
            addresses,
            observer,
            admin,
            attempts,
            station,
            rotation,
            patience,
        })
    }

    /// Where it serves.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Where metrics and health are served.
    pub fn management(&self) -> &[SocketAddr] {
        self.station.addresses()
    }

    /// Takes no further requests, answers those that have arrived, and ends.
    pub async fn drain(self) {
        drop(self.rotation);
        drop(self.admin);
        tokio::join!(self.server.drain(self.patience), self.passwords.drain(self.patience));
        drop(self.attempts);
    }

    /// Whether it could serve: it finds the principal without which it can't, and its threads run.
    async fn lives(&self) -> bool {
        let (store, tgs) = (Arc::clone(&self.store), self.tgs.clone());
        let found = tokio::task::spawn_blocking(move || matches!(store.lookup(&tgs), Ok(Some(_))));
        found.await.unwrap_or(false) && self.server.lives() && self.passwords.lives()
    }

    /// Looks for files that were moved away.
    fn reopen(&self) {
        if let Some(Err(error)) = self.observer.audit().map(Audit::reopen) {
            tracing::error!(%error, "the audit file can't be opened anew; the old one stays in use");
        }
    }
}

/// Listens at these addresses, on sockets that were handed over where there are some.
fn take(addresses: &[SocketAddr], inherited: &mut Inherited) -> Result<Vec<Listener>> {
    let listeners = addresses.iter().map(|address| Listener::take(*address, inherited)).collect::<Result<Vec<_>, _>>();
    listeners.map_err(|error| Error::Other(error.to_string()))
}

fn serve_passwords(
    service: Kpasswd,
    listeners: Vec<Listener>,
    observer: Arc<Observer>,
    limits: &net::Limits,
) -> Result<Server> {
    let limits = Passwords::limits(limits);
    let listeners = listeners.into_iter().map(Listener::narrow).collect();
    Server::start(listeners, Arc::new(Passwords::new(service, observer, &limits)), &limits).map_err(unserved)
}

fn unserved(error: std::io::Error) -> Error {
    Error::Other(format!("the sockets can't be served: {error}"))
}

impl Admin {
    fn serve(listener: UnixListener, registry: Arc<Registry>, path: PathBuf) -> Admin {
        Admin { path, task: tokio::spawn(admin::serve(listener, registry)).abort_handle() }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
        // One that stays behind is replaced by the next daemon.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Config {
    fn net_limits(&self) -> net::Limits {
        let limits = &self.limits;
        let seconds = |seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        net::Limits {
            connections: limits.tcp_connections,
            connections_per_peer: limits.tcp_connections_per_peer.min(limits.tcp_connections),
            idle_timeout: seconds(limits.idle_timeout),
            request_timeout: seconds(limits.request_timeout),
            max_udp_reply: limits.udp_reply,
            lookaside_memory: limits.lookaside_memory,
            ..net::Limits::default()
        }
    }
}

/// What a daemon can be told.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn until_end(&mut self, daemon: &Daemon) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => daemon.reopen(),
            }
        }
    }
}
