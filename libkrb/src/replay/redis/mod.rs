//! A replay cache that the replicas of a service share, in a Redis server. Not here: what is said to
//! the server ([`link`]).

mod link;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::Client;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::{Event, MemoryReplayCache, Observer, Pending, ReplayCache, ReplayKey, Verdict};
use crate::error::{Error, Result};
use crate::session::DEFAULT_SKEW;
use crate::time::{Seconds, Time};
use link::{Epoch, Link, Trouble};

/// How long the first pause between two attempts to connect is, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// How often a server is asked whether it is still there, and still knows everything.
const BEAT: Duration = Duration::from_secs(1);

/// What a service does while the server does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenAway {
    /// Refuse everybody ([`Verdict::Unavailable`]): nobody can bring an authenticator twice.
    #[default]
    Refuse,
    /// Go on with what this process alone remembers: while the server is away, an authenticator that
    /// one replica has accepted can be brought to another. No longer than that: when a replica that
    /// went on alone finds the server again, it makes all replicas refuse what was made before, as a
    /// restart of the server does. The same replica never accepts an authenticator again.
    Local,
}

/// How a [`RedisReplayCache`] asks its server.
#[derive(Clone)]
pub struct RedisOptions {
    url: Zeroizing<String>,
    /// What the keys in the server begin with. Replicas of one service have the same; services that
    /// share a server and a name may have it too, as no two authenticators are the same.
    pub prefix: String,
    /// For how many seconds after its time an authenticator is accepted: the allowed clock skew.
    pub window: Seconds,
    /// What to do while the server does not answer.
    pub when_away: WhenAway,
    /// How many authenticators this process remembers itself; see [`MemoryReplayCache::new`].
    pub local_entries: usize,
    /// How long an authenticator waits for its turn to ask the server, and how long for the answer.
    pub timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How many authenticators wait for the server at once; more of them wait for their turn.
    pub max_in_flight: usize,
    /// Use also a server that has a `maxmemory` and another `maxmemory-policy` than `noeviction`:
    /// when its memory is full it forgets authenticators, and they can be brought again.
    pub may_evict: bool,
    /// Who is told when the server goes away, comes back, and has forgotten.
    pub observer: Observer,
    /// For a `rediss` URL: whom to believe instead of the system's authorities, as PEM.
    #[cfg(feature = "redis-tls")]
    pub authorities: Option<Vec<u8>>,
}

impl RedisOptions {
    /// The server of a URL such as `redis://user:password@redis.example.org:6379/0`, or `rediss` with
    /// the feature `redis-tls`. It may hold a password, so it is never shown.
    pub fn new(url: impl Into<String>) -> RedisOptions {
        RedisOptions {
            url: Zeroizing::new(url.into()),
            prefix: "krb:replay".to_owned(),
            window: DEFAULT_SKEW,
            when_away: WhenAway::default(),
            local_entries: 1_000_000,
            timeout: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(2),
            max_in_flight: 1024,
            may_evict: false,
            observer: Observer::default(),
            #[cfg(feature = "redis-tls")]
            authorities: None,
        }
    }

    /// The same with a URL that stands in a file, as secrets do in containers.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read.
    pub fn from_file(path: impl AsRef<std::path::Path>) -> Result<RedisOptions> {
        let path = path.as_ref();
        let url = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| Error::file(path, error))?;
        Ok(RedisOptions::new(url.trim()))
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A replay cache in a Redis server (7 or newer, or one that speaks as it does).
///
/// An authenticator is a key that the server keeps for two windows after its time. This process
/// remembers its own ones besides: what it has accepted it never accepts again, whatever becomes of
/// the server.
///
/// # What a restart of the server does
/// A marker in the server names the run of the server and since when it has remembered. Whoever
/// connects and finds none, or one of another run, makes a new one; and from then on every replica
/// refuses authenticators that were made before ([`Verdict::Replay`]), as they may have been
/// accepted before and forgotten: also when the server came back with some of its data, and when
/// somebody flushed it. A client that is refused makes a new authenticator; made in the second after
/// the marker it is accepted. What remains are clients whose clocks are ahead: what one replica
/// accepted of them before the restart, another can take for new until that time has come.
///
/// The server has to keep what it is told (`maxmemory-policy noeviction`), and a failover to a server
/// that has not heard everything yet forgets as a restart does. Clusters are not supported.
///
/// # Threads and tasks
/// It brings a thread of its own, on which it talks to the server. [`ReplayCache::insert`] waits for
/// the answer on the thread of the caller; a task awaits [`ReplayCache::insert_async`].
pub struct RedisReplayCache {
    shared: Arc<Shared>,
    /// Taken when dropped.
    runtime: Option<Runtime>,
}

struct Shared {
    client: Client,
    options: RedisOptions,
    local: MemoryReplayCache,
    /// When this process began to remember.
    started: Time,
    state: Mutex<State>,
    lost: Notify,
    turns: Semaphore,
    /// An [`Event::Away`] was told.
    away: AtomicBool,
}

#[derive(Default)]
struct State {
    /// None while the server is away.
    link: Option<Link>,
    /// The last epoch that was heard of.
    epoch: Option<Epoch>,
    /// Authenticators were accepted that the server does not know of.
    alone: bool,
}

impl RedisReplayCache {
    /// Connects to a server, and waits for that as long as is allowed. If it does not answer, the
    /// cache is away to begin with, and goes on trying.
    ///
    /// If the server was empty, this waits for its next second, so that nobody is refused who calls
    /// once it is over.
    ///
    /// # Errors
    /// [`Error::Setting`] for a URL that is none.
    pub async fn connect(options: RedisOptions) -> Result<RedisReplayCache> {
        let (cache, ready) = RedisReplayCache::start(options)?;
        // The sender is dropped if the thread ends, which is no reason to wait any longer.
        let _ = ready.await;
        Ok(cache)
    }

    /// As [`RedisReplayCache::connect`], for a thread without a runtime.
    ///
    /// # Errors
    /// As [`RedisReplayCache::connect`].
    ///
    /// # Panics
    /// In a task.
    pub fn connect_blocking(options: RedisOptions) -> Result<RedisReplayCache> {
        let (cache, ready) = RedisReplayCache::start(options)?;
        let _ = ready.blocking_recv();
        Ok(cache)
    }

    fn start(options: RedisOptions) -> Result<(RedisReplayCache, oneshot::Receiver<()>)> {
        let unusable = |why: &str| Error::Setting(format!("the Redis server cannot be used: {why}"));
        let client = client(&options).map_err(|error| unusable(error.category()))?;
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("replay-redis").enable_all().build();
        let runtime = runtime.map_err(|_| unusable("no thread for it"))?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let shared = Arc::new(Shared {
            client,
            local: MemoryReplayCache::new(options.window, options.local_entries),
            started: Time(since_1970.as_secs().cast_signed()),
            state: Mutex::default(),
            lost: Notify::new(),
            turns: Semaphore::new(options.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            away: AtomicBool::new(false),
            options,
        });
        let (tell, ready) = oneshot::channel();
        runtime.spawn(Arc::clone(&shared).keep_connected(tell));
        Ok((RedisReplayCache { shared, runtime: Some(runtime) }, ready))
    }

    /// Whether the server does not answer. For the health of a service that refuses then.
    pub fn is_away(&self) -> bool {
        self.shared.state().link.is_none()
    }

    /// Asks on our own thread, whatever the caller is.
    fn ask<T: Send + 'static>(
        &self,
        key: ReplayKey,
        (time, now): (Time, Time),
        answer: impl FnOnce(Verdict) -> T + Send + 'static,
    ) -> Option<tokio::task::JoinHandle<T>> {
        let shared = Arc::clone(&self.shared);
        let runtime = self.runtime.as_ref()?;
        Some(runtime.spawn(async move { answer(shared.insert(key, time, now).await) }))
    }
}

fn client(options: &RedisOptions) -> redis::RedisResult<Client> {
    #[cfg(feature = "redis-tls")]
    if let Some(authorities) = &options.authorities {
        let certificates = redis::TlsCertificates { client_tls: None, root_cert: Some(authorities.clone()) };
        return Client::build_with_tls(options.url.as_str(), certificates);
    }
    Client::open(options.url.as_str())
}

impl ReplayCache for RedisReplayCache {
    fn insert(&self, key: ReplayKey, time: Time, now: Time) -> Verdict {
        let (tell, verdict) = mpsc::sync_channel(1);
        // Nobody listens any more when the wait below was too long.
        self.ask(key, (time, now), move |verdict| tell.send(verdict).ok());
        // Longer than any insert waits: what ends it sooner is the verdict.
        verdict.recv_timeout(self.shared.options.timeout * 4).unwrap_or(Verdict::Unavailable)
    }

    fn insert_async<'a>(&'a self, key: ReplayKey, time: Time, now: Time) -> Pending<'a> {
        Box::pin(async move {
            match self.ask(key, (time, now), |verdict| verdict) {
                Some(verdict) => verdict.await.unwrap_or(Verdict::Unavailable),
                None => Verdict::Unavailable,
            }
        })
    }
}

impl Drop for RedisReplayCache {
    fn drop(&mut self) {
        // Where it is dropped nobody may have to wait: it can be a task.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<(Link, Epoch)> {
        let state = self.state();
        state.link.clone().zip(state.epoch.clone())
    }

    /// Our own memory first: a replay that it knows is none of the server's business.
    async fn insert(&self, key: ReplayKey, time: Time, now: Time) -> Verdict {
        let own = self.local.insert(key, time, now);
        if own == Verdict::Replay {
            return own;
        }
        let Some((link, epoch)) = self.current() else { return self.insert_alone(own, time) };
        // Too many wait already, which says nothing of the server.
        let Ok(_turn) = timeout(self.options.timeout, self.turns.acquire()).await else { return Verdict::Unavailable };
        let number = link.number;
        let asked = timeout(self.options.timeout, self.insert_there((link, epoch), key, time, now)).await;
        match asked.unwrap_or(Err(Trouble::Late)) {
            Ok(verdict) => {
                self.back();
                verdict
            }
            Err(Trouble::Full) => {
                self.went_away(&Trouble::Full);
                Verdict::Full
            }
            Err(trouble) => {
                self.lose(number, &trouble);
                self.insert_alone(own, time)
            }
        }
    }

    /// The verdict of the server.
    async fn insert_there(
        &self,
        (mut link, mut epoch): (Link, Epoch),
        key: ReplayKey,
        time: Time,
        now: Time,
    ) -> Result<Verdict, Trouble> {
        let keep = (time - now).saturating_add(2 * self.options.window).max(1);
        let digest = u128::from_be_bytes(*key.as_bytes());
        let name = format!("{}:{digest:032x}", self.options.prefix);
        let added = link.add(&self.options, &epoch, &name, keep.cast_unsigned().saturating_mul(1000)).await?;
        if !added.same {
            (epoch, _) = link.open(&self.options, false).await?;
            self.learn(&epoch);
        }
        Ok(if added.new && time >= epoch.since { Verdict::Fresh } else { Verdict::Replay })
    }

    /// The verdict without a server, if that is allowed.
    fn insert_alone(&self, own: Verdict, time: Time) -> Verdict {
        if self.options.when_away == WhenAway::Refuse {
            return Verdict::Unavailable;
        }
        // The process before this one may have accepted it.
        if time <= self.started {
            return Verdict::Replay;
        }
        let mut state = self.state();
        // It came back just now, and has not been asked.
        if state.link.is_some() {
            return Verdict::Unavailable;
        }
        state.alone |= own == Verdict::Fresh;
        own
    }

    fn learn(&self, epoch: &Epoch) {
        let before = self.state().epoch.replace(epoch.clone());
        if before.is_some_and(|before| before != *epoch) {
            self.options.observer.tell(&Event::Forgot { since: epoch.since });
        }
    }

    /// Gives a connection up, unless that has happened already.
    fn lose(&self, number: u64, trouble: &Trouble) {
        if self.state().link.take_if(|link| link.number == number).is_some() {
            self.went_away(trouble);
            self.lost.notify_one();
        }
    }

    fn went_away(&self, trouble: &Trouble) {
        if !self.away.swap(true, Ordering::Relaxed) {
            self.options.observer.tell(&Event::Away { cause: trouble.to_string() });
        }
    }

    fn back(&self) {
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            self.options.observer.tell(&Event::Back);
        }
    }

    /// Connects, and connects again whenever the connection is lost.
    async fn keep_connected(self: Arc<Self>, ready: oneshot::Sender<()>) {
        let (mut pause, mut ready) = (PAUSES[0], Some(ready));
        for number in 0.. {
            match self.connect(number, ready.is_some()).await {
                Ok(link) => {
                    pause = PAUSES[0];
                    ready.take().map(|ready| ready.send(()));
                    self.watch(link).await;
                }
                Err(trouble) => self.went_away(&trouble),
            }
            ready.take().map(|ready| ready.send(()));
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES[1]);
        }
    }

    /// Connects, and waits for the epoch's second, if asked to.
    async fn connect(&self, number: u64, patient: bool) -> Result<Link, Trouble> {
        let mut link = Link::connect(&self.client, &self.options, number).await?;
        let (epoch, left) = link.open(&self.options, false).await?;
        self.learn(&epoch);
        if patient {
            // A second at most, whatever the server says.
            sleep(left.min(Duration::from_secs(1))).await;
        }
        // From here on nobody accepts anything alone.
        let alone = {
            let mut state = self.state();
            state.link = Some(link.clone());
            std::mem::take(&mut state.alone)
        };
        if alone {
            match link.open(&self.options, true).await {
                Ok((epoch, _)) => self.learn(&epoch),
                Err(trouble) => {
                    let mut state = self.state();
                    (state.link, state.alone) = (None, true);
                    return Err(trouble);
                }
            }
        }
        self.back();
        Ok(link)
    }

    /// Asks from time to time whether the store is still what it was, until the connection is lost.
    async fn watch(&self, mut link: Link) {
        while timeout(BEAT, self.lost.notified()).await.is_err() {
            match link.open(&self.options, false).await {
                Ok((epoch, _)) => self.learn(&epoch),
                Err(trouble) => self.lose(link.number, &trouble),
            }
        }
    }
}

impl fmt::Debug for RedisReplayCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplayCache").field("away", &self.is_away()).finish_non_exhaustive()
    }
}
