//! The daemon: opens what the settings name, wires the rooms together, and ends when told so. Not
//! here: what any of them does.

mod ahead;
pub(crate) mod beside;
mod early;
mod orders;
mod reload;
mod renew;
mod sandbox;
mod sockets;
mod systemd;

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libkrb::Principal;
use libkrb::replay::{MemoryReplayCache, ReplayCache};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use crate::accept::Host;
use crate::admin::{self, Https, Identity, KeyRules, Registry};
use crate::attempts::{Counted, WrittenDown};
use crate::config::{self, Config, LogFormat};
use crate::core::{Attempts, Ledger, Store};
use crate::error::{Error, Result};
use crate::init::{self, Addresses};
use crate::kpasswd::Kpasswd;
use crate::manage::{Sources, Station};
use crate::net::{self, Both, Inherited, Listener, Memories, Passwords, Responder, Server};
use crate::observe::{Audit, Observer, start_log};
use crate::rotation::{self, Rotation};
use crate::store::Vault;
use crate::{house, manage};
use beside::Beside;
use early::Early;
use orders::{Order, Orders, Wheel};
use renew::Origin;
use sandbox::Folders;
use sockets::Sockets;

/// What the replay cache takes for one authenticator.
const REPLAY_ENTRY: usize = 40;
/// How long requests that have begun to arrive may keep those waiting that come to the next process.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// Serves the realm of the settings in this file until SIGTERM or SIGINT. SIGHUP: the settings are read
/// again. SIGUSR2: a new process takes over.
///
/// # Errors
/// What keeps it from starting, and what to do.
pub fn run(path: &Path) -> Result<()> {
    let inherited = Inherited::from_environment();
    let config = config::load(path)?;
    start_log(config.log.as_str(), config.log_format == LogFormat::Json);
    let confined = if config.landlock { confine(path, &config) } else { None };
    let origin = Origin::of_this_process().map_err(|error| Error::Other(format!("no way to start anew: {error}")))?;
    let source = Source { path, origin: origin.clone(), confined };
    match serve_at(&config, inherited, Some(&source), |daemon| {
        let status = daemon.status();
        let _ = writeln!(std::io::stderr(), "kdc: {status}");
        Ok(true)
    })? {
        End::Drained => Ok(()),
        End::HandedOver(sockets) => Err(Error::Other(format!("the KDC can't start anew: {}", origin.renew(sockets)))),
    }
}

/// Where a daemon has come from, and so what it can read again.
struct Source<'a> {
    path: &'a Path,
    origin: Origin,
    /// The folders that are open to it, where others are closed.
    confined: Option<Folders>,
}

/// How a daemon ended.
enum End {
    /// It has answered what had arrived.
    Drained,
    /// It has answered what it had taken in hand; these are for the next.
    HandedOver(Vec<OwnedFd>),
}

/// Confines this process to its folders, and says to which. Where that fails it serves all the same, and
/// says so.
fn confine(path: &Path, config: &Config) -> Option<Folders> {
    let folders = Folders::of(path, config);
    match sandbox::confine(&folders) {
        Ok(enforced) => {
            let (written, read, landlock) = (&folders.written, &folders.read, enforced.words());
            tracing::info!(?written, ?read, landlock, "confined");
            enforced.at_all().then_some(folders)
        }
        Err(error) => {
            tracing::warn!(%error, "not confined");
            None
        }
    }
}

/// Serves a realm; once it does, `then` says whether to go on until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting, and what to do; those of `then`.
pub fn serve(config: &Config, then: impl FnOnce(&Daemon) -> Result<bool>) -> Result<()> {
    serve_at(config, Inherited::default(), None, then).map(drop)
}

fn serve_at(
    config: &Config,
    inherited: Inherited,
    source: Option<&Source<'_>>,
    then: impl FnOnce(&Daemon) -> Result<bool>,
) -> Result<End> {
    // Keys must not end up in a core dump; where that can't be said, nothing else is lost.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let runtime = Runtime::new().map_err(|error| Error::Other(format!("no threads to run on: {error}")))?;
    runtime.block_on(async {
        let mut orders = Orders::new().map_err(|error| Error::Other(format!("no way to hear signals: {error}")))?;
        let mut daemon = Daemon::start(config, inherited, orders.helm())?;
        if then(&daemon)? {
            systemd::ready(&daemon.status());
            if let Some(new) = daemon.obey(&mut orders, source).await {
                systemd::reloading();
                orders.refuse();
                let sockets = daemon.hand_over().await;
                return Ok(End::HandedOver(sockets.into_iter().chain(new).collect()));
            }
        }
        systemd::stopping();
        tokio::select! {
            () = daemon.drain() => {}
            // Told twice.
            () = orders.end() => {}
        }
        Ok(End::Drained)
    })
}

/// A realm being served, with all that belongs to it.
pub struct Daemon {
    config: Config,
    store: Arc<dyn Store>,
    vault: Arc<dyn Vault>,
    passwords: Server,
    changes: Arc<Passwords>,
    observer: Arc<Observer>,
    registry: Arc<Registry>,
    responder: Arc<Responder>,
    server: Server,
    beside: Beside,
    admin: Admin,
    https: Https,
    attempts: WrittenDown,
    rotation: rotation::Task,
    early: Early,
    /// Watches until all else has ended.
    station: Station,
}

/// The admin socket; gone when dropped, unless it is kept for the next process.
struct Admin {
    path: PathBuf,
    socket: std::os::unix::net::UnixListener,
    task: AbortHandle,
    host: Host,
    keep: bool,
}

impl Daemon {
    /// Opens the store and all sockets, and serves on the tokio runtime that this is called in.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    fn start(config: &Config, inherited: Inherited, helm: Wheel) -> Result<Daemon> {
        let observer = Arc::new(manage::observer(config)?);
        let store = house::open(config)?;
        let house = Arc::clone(&store);
        let attempts = Arc::new(Counted::over(Arc::clone(&store) as Arc<dyn Ledger>).together(store.together()));
        attempts.disable_last_success(config.policy.disable_last_success);
        let vault = Arc::clone(&store) as Arc<dyn Vault>;
        let store = store as Arc<dyn Store>;
        init::complete(&*store, &config.realm)?;
        let sockets = Sockets::open(config, inherited)?;

        let policy = config.whole_policy()?;
        let registry = Registry::new(Arc::clone(&store), policy.clone(), config.key_rules()).with_acl(config.acl()?);
        let registry = registry.with_dictionary(config.dictionary()?).with_attempts(Arc::clone(&attempts) as Arc<_>);
        let registry = registry.with_vault(Arc::clone(&vault)).told_to(Arc::clone(&observer)).with_helm(Arc::new(helm));
        let replays_limit = config.limits.replay_memory / REPLAY_ENTRY;
        let authenticators = Arc::new(MemoryReplayCache::new(policy.clock_skew, replays_limit));
        let replays = Arc::clone(&authenticators) as Arc<dyn ReplayCache>;
        let limits = config.net_limits();
        let counted = Arc::clone(&attempts) as Arc<dyn Attempts>;
        let memories = Memories { store: Arc::clone(&store), replays, attempts: Arc::clone(&counted) };
        let responder = Arc::new(Responder::new(policy.clone(), memories, Arc::clone(&observer), &limits));
        responder.govern(policy.clone(), config.limits.rate.rates(), &limits);
        // Here a request that is taken twice sets a password twice: nothing from before the start is taken.
        let changes =
            MemoryReplayCache::new(policy.clock_skew, (replays_limit / 16).max(1024)).refusing_before(admin::now());
        let (shared, steady) = (Arc::clone(&store), Arc::new(registry.clone()));
        let service = Kpasswd::new(policy, shared, steady, Arc::new(changes), Arc::clone(&counted));
        let few = Passwords::limits(&limits);
        let changes = Arc::new(Passwords::new(service, Arc::clone(&responder), Arc::clone(&observer), &few));
        let narrow = sockets.passwords.into_iter().map(Listener::narrow).collect();
        let passwords = Server::start(narrow, Arc::clone(&changes), &few).map_err(unserved)?;
        let server = Server::start(sockets.kdc, Arc::clone(&responder), &limits).map_err(unserved)?;
        let both = Both::new(Arc::clone(&responder), Arc::clone(&changes), beside::changing(config));
        let beside = Beside::start(sockets.beside, config, both, Arc::clone(&observer), &limits)?;
        house.serves(server.addresses(), passwords.addresses());
        let sources = Sources {
            realm: config.realm.clone(),
            observer: Arc::clone(&observer),
            store: Arc::clone(&store),
            attempts: counted,
            responder: Arc::clone(&responder),
            gauges: server.gauges(),
            passwords: passwords.gauges(),
            addresses: server.addresses().into_iter().chain(passwords.addresses()).collect(),
            replays: authenticators,
            replays_limit,
            master_key: config.master_key.clone(),
        };
        let station = Station::start(sources, &config.management, sockets.management)?;
        let gatherer = station.gatherer();
        let registry = Arc::new(registry.with_status(Arc::new(move || gatherer.facts())));
        let rotation = turning(config, &store, &registry);
        let https = Https::start(config, sockets.https, Arc::clone(&registry), Arc::clone(&store))?;
        let admin = Admin::serve(sockets.admin, Arc::clone(&registry), config.admin_socket.clone())?;
        let (config, attempts) = (config.clone(), attempts.written_down());
        Ok(Daemon {
            config,
            store,
            vault,
            observer,
            registry,
            responder,
            server,
            beside,
            passwords,
            changes,
            admin,
            https,
            attempts,
            rotation,
            early: Early::start(house),
            station,
        })
    }

    /// Where it serves the admin API over TLS.
    pub fn admin_addresses(&self) -> Vec<SocketAddr> {
        self.https.addresses()
    }

    /// Where metrics and health are served.
    pub fn management(&self) -> Vec<SocketAddr> {
        self.station.addresses()
    }

    /// Where it serves.
    pub fn addresses(&self) -> Addresses {
        let sockets = self.beside.sockets();
        Addresses { kdc: self.server.addresses(), kpasswd: self.passwords.addresses(), sockets }
    }

    /// What it does, in a line.
    fn status(&self) -> String {
        let list = |addresses: &[SocketAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let Addresses { kdc, kpasswd, .. } = self.addresses();
        let passwords = if kpasswd.is_empty() { "nowhere".to_owned() } else { format!("at {}", list(&kpasswd)) };
        let kdc = if kdc.is_empty() { "no port".to_owned() } else { format!("{} (UDP and TCP)", list(&kdc)) };
        let (realm, beside) = (&self.config.realm, self.beside.status());
        format!("{realm} is ready at {kdc}{beside}, passwords are changed {passwords}")
    }

    /// Serves and does what it is told until it is to end; with sockets, if another process is to go on
    /// with these besides those that are open.
    async fn obey(&mut self, orders: &mut Orders, source: Option<&Source<'_>>) -> Option<Vec<OwnedFd>> {
        loop {
            let order = tokio::select! {
                order = orders.next() => order,
                () = systemd::watchdog(|| self.lives()) => continue,
            };
            match order {
                Order::End => return None,
                Order::Reload(told) => {
                    systemd::reloading();
                    self.reopen();
                    let done = self.reload(source).await.map_err(|error| format!("{error}; nothing was changed"));
                    match &done {
                        Ok(()) => tracing::info!(addresses = ?self.addresses(), "reloaded"),
                        Err(error) => tracing::error!(%error, "not reloaded"),
                    }
                    systemd::ready(&self.status());
                    told.of(done);
                }
                Order::Restart(told) => {
                    let (done, new) = match self.examine(source).await {
                        Ok(new) => {
                            self.admin.close();
                            (Ok(()), Some(new))
                        }
                        Err(error) => {
                            tracing::error!(%error, "not restarted");
                            (Err(format!("{error}; the KDC goes on as it was")), None)
                        }
                    };
                    told.of(done);
                    if new.is_some() {
                        return new;
                    }
                }
            }
        }
    }

    /// Whether a new process could go on where this one is; the sockets that it will need besides those
    /// that are open.
    async fn examine(&self, source: Option<&Source<'_>>) -> Result<Vec<OwnedFd>, String> {
        let source = source.ok_or("this KDC has no settings in a file")?;
        let (origin, path) = (source.origin.clone(), source.path.to_owned());
        let checked = tokio::task::spawn_blocking(move || origin.check(&path)).await;
        checked.unwrap_or_else(|error| Err(error.to_string()))?;
        self.look_ahead(source).map_err(|error| error.to_string())
    }

    /// Goes on with the settings as they are on disk now, if all of them are sound.
    async fn reload(&mut self, source: Option<&Source<'_>>) -> Result<()> {
        let Some(Source { path, .. }) = source else { return Ok(()) };
        let config = config::load(path)?;
        reload::possible(&self.config, &config).map_err(Error::Other)?;
        let (acl, dictionary) = (config.acl()?, config.dictionary()?);
        let policy = config.whole_policy()?;
        let identity = Identity::read(&config)?;
        let for_passwords = config.kpasswd_addresses();
        let new = sockets::bind(&self.server.missing(&config.listen))?;
        let new_for_passwords = sockets::bind(&self.passwords.missing(&for_passwords))?;
        let new_for_passwords = new_for_passwords.into_iter().map(Listener::narrow).collect();
        let doors = self.beside.missing(&config)?;
        self.server.rearrange(&config.listen, new).await.map_err(unserved)?;
        self.passwords.rearrange(&for_passwords, new_for_passwords).await.map_err(unserved)?;
        let limits = config.net_limits();
        self.beside.follow(&config, doors, &limits).await?;
        // Nothing can fail from here on.
        self.server.limit(&limits);
        self.passwords.limit(&Passwords::limits(&limits));
        self.responder.govern(policy, config.limits.rate.rates(), &limits);
        self.changes.govern(config.policy());
        self.attempts.disable_last_success(config.policy.disable_last_success);
        identity.into_iter().for_each(|identity| self.https.renew(identity));
        self.registry.amend(config.policy(), config.key_rules(), acl, dictionary);
        self.rotation = turning(&config, &self.store, &self.registry);
        let Addresses { kdc, kpasswd, .. } = self.addresses();
        self.station.gatherer().served([kdc, kpasswd].concat());
        self.config = config;
        Ok(())
    }

    /// Takes no further requests, answers those that have arrived, and ends.
    pub async fn drain(self) {
        drop(self.rotation);
        drop(self.early);
        drop(self.admin);
        let patience = self.config.net_limits().request_timeout;
        tokio::join!(
            self.server.drain(patience),
            self.passwords.drain(patience),
            self.beside.drain(patience),
            self.https.close(patience)
        );
        drop(self.attempts);
    }

    /// Answers the requests that it has taken in hand, and ends but for its sockets.
    async fn hand_over(mut self) -> Vec<OwnedFd> {
        drop(self.rotation);
        drop(self.early);
        self.admin.close();
        let patience = self.config.net_limits().request_timeout.min(LAST_REQUESTS);
        // First those who can wait for others: tickets are issued meanwhile.
        let host = std::mem::take(&mut self.admin.host);
        let (https, management, ()) =
            tokio::join!(self.https.close(patience), self.station.close(patience), host.empty(patience));
        let (kdc, passwords, beside) = tokio::join!(
            self.server.hand_over(patience),
            self.passwords.hand_over(patience),
            self.beside.hand_over(patience)
        );
        drop(self.attempts);
        let sockets = kdc.into_iter().chain(passwords).flat_map(Listener::into_files).chain(beside);
        let sockets = sockets.chain(https).chain(management);
        sockets.chain(self.admin.socket.try_clone().ok().map(OwnedFd::from)).collect()
    }

    /// Whether it could serve: it finds the principal without which it can't, and its threads run.
    async fn lives(&self) -> bool {
        let (store, tgs) = (Arc::clone(&self.store), Principal::tgs(&self.config.realm));
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

/// Keys that are turned over by themselves.
fn turning(config: &Config, store: &Arc<dyn Store>, registry: &Arc<Registry>) -> rotation::Task {
    let rotation = Rotation::new(Arc::clone(store), Arc::clone(registry), config.policy(), config.rotation());
    rotation::Task::start(rotation)
}

fn unserved(error: std::io::Error) -> Error {
    Error::Other(format!("the sockets can't be served: {error}"))
}

impl Admin {
    fn serve(socket: std::os::unix::net::UnixListener, registry: Arc<Registry>, path: PathBuf) -> Result<Admin> {
        let listener = socket.set_nonblocking(true).and_then(|()| UnixListener::from_std(socket.try_clone()?));
        let listener = listener.map_err(|error| Error::file(&path, error))?;
        let host = Host::default();
        let task = tokio::spawn(admin::serve(listener, registry, host.guest())).abort_handle();
        Ok(Admin { path, socket, task, host, keep: false })
    }

    /// Accepts nobody any more: whoever comes now waits for the next process.
    fn close(&mut self) {
        self.task.abort();
        self.host.close();
        self.keep = true;
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
        if !self.keep {
            // One that stays behind is replaced by the next daemon.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Config {
    /// What new keys are made of.
    pub fn key_rules(&self) -> KeyRules {
        KeyRules { etypes: self.keys.etypes.clone(), iterations: self.keys.iterations }
    }

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
            known_tickets: limits.known_tickets,
            heavy_threads: limits.heavy_threads.unwrap_or_else(net::heavy_threads),
            heavy_queue: limits.heavy_queue,
            ..net::Limits::default()
        }
    }
}
