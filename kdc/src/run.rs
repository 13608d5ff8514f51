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
use libkrb::replay::MemoryReplayCache;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::AbortHandle;

use crate::admin::{self, KeyRules, Registry};
use crate::attempts::{Counted, WrittenDown};
use crate::config::{self, Config, LogFormat};
use crate::core::{Ledger, Store};
use crate::error::{Error, Result};
use crate::net::{self, Inherited, Listener, Memories, Responder, Server};
use crate::observe::{Audit, Observer, start_log};
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
        let addresses = daemon.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let status = format!("{} is ready at {addresses} (UDP and TCP)", config.realm);
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
    addresses: Vec<SocketAddr>,
    observer: Arc<Observer>,
    admin: Admin,
    attempts: WrittenDown,
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
        let observer = Arc::new(Observer::new(manage::audit(&config.audit)?));
        let limits = &config.limits;
        let store = store::open(&config.store, &config.master_key, limits.principals_in_memory)?;
        check::belongs(store.inner(), config)?;
        let store = Arc::new(store);
        let attempts = Arc::new(Counted::over(Arc::clone(&store) as Arc<dyn Ledger>));
        let store = store as Arc<dyn Store>;
        let listeners = config.listen.iter().map(|address| Listener::take(*address, &mut inherited));
        let listeners = listeners.collect::<Result<Vec<_>, _>>();
        let listeners = listeners.map_err(|error| Error::Other(error.to_string()))?;
        let addresses = listeners.iter().map(Listener::address).collect();
        let admin_socket = match inherited.unix(&config.admin_socket) {
            Some(socket) => admin::adopt(&config.admin_socket, socket)?,
            None => admin::bind(&config.admin_socket)?,
        };
        for socket in inherited.left() {
            tracing::warn!(socket, "closed: it was handed over and is none of the settings (`listen`, `admin_socket`)");
        }

        let policy = config.policy();
        let rules = KeyRules { etypes: config.keys.etypes.clone(), iterations: config.keys.iterations };
        let registry = Registry::new(Arc::clone(&store), policy.clone(), rules).with_acl(config.acl()?);
        let registry = registry.with_dictionary(config.dictionary()?).with_attempts(Arc::clone(&attempts) as Arc<_>);
        let registry = registry.told_to(Arc::clone(&observer));
        let admin = Admin::serve(admin_socket, registry, config.admin_socket.clone());
        let replays = MemoryReplayCache::new(policy.clock_skew, limits.replay_memory / REPLAY_ENTRY);
        let rates = limits.rate.rates();
        let limits = config.net_limits();
        let (memory, tgs) = (Arc::clone(&store), Principal::tgs(&config.realm));
        let memories = Memories { store, replays: Arc::new(replays), attempts: Arc::clone(&attempts) as Arc<_> };
        let responder = Responder::new(policy.clone(), memories, Arc::clone(&observer), &limits);
        responder.govern(policy, rates, &limits);
        let server = Server::start(listeners, Arc::new(responder), &limits);
        let server = server.map_err(|error| Error::Other(format!("the sockets can't be served: {error}")))?;
        let attempts = attempts.written_down();
        let patience = limits.request_timeout;
        Ok(Daemon { store: memory, tgs, server, addresses, observer, admin, attempts, patience })
    }

    /// Where it serves.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes no further requests, answers those that have arrived, and ends.
    pub async fn drain(self) {
        drop(self.admin);
        self.server.drain(self.patience).await;
        drop(self.attempts);
    }

    /// Whether it could serve: it finds the principal without which it can't, and its threads run.
    async fn lives(&self) -> bool {
        let (store, tgs) = (Arc::clone(&self.store), self.tgs.clone());
        let found = tokio::task::spawn_blocking(move || matches!(store.lookup(&tgs), Ok(Some(_))));
        found.await.unwrap_or(false) && self.server.lives()
    }

    /// Looks for files that were moved away.
    fn reopen(&self) {
        if let Some(Err(error)) = self.observer.audit().map(Audit::reopen) {
            tracing::error!(%error, "the audit file can't be opened anew; the old one stays in use");
        }
    }
}

impl Admin {
    fn serve(listener: UnixListener, registry: Registry, path: PathBuf) -> Admin {
        Admin { path, task: tokio::spawn(admin::serve(listener, Arc::new(registry))).abort_handle() }
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
