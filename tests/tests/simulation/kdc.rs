//! A KDC of the simulation: the real store over etcd with its copy, the real counters, the real core; its own
//! clock, and a life that can end at any moment. Not here: who asks it what (`realm`).

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kdc::attempts::{Counted, Together};
use kdc::core::{Arrival, Entry, Kdc as Core, KnownTgts, Outcome, Policy, Store};
use kdc::store::etcd::{Etcd, Options, Presence, World};
use kdc::store::{Kept, MasterKey};
use libkrb::replay::MemoryReplayCache;
use libkrb::time::Instant as Moment;
use libkrb::{Principal, Time};
use tests::joined::{NOW, REALM, Sequence};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::line::Network;
use crate::trace::Trace;

/// What all keys of the realm begin with.
pub const PREFIX: &str = "/kdc/R";
/// How long the realm's counts are waited for at the start, as the daemon does.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time that all would agree on if their clocks were right.
#[derive(Clone, Copy)]
pub struct Clock(pub Instant);

impl Clock {
    /// It, so many seconds off.
    pub fn now(&self, skew: i64) -> Moment {
        let passed = i64::try_from(self.0.elapsed().as_micros()).unwrap_or_default();
        Moment::from_micros(Moment::from(NOW).as_micros() + passed + skew * 1_000_000)
    }
}

/// A place for a KDC.
pub struct Seat {
    pub number: usize,
    pub network: Arc<Network>,
    /// How many seconds its clock is off.
    pub skew: Arc<AtomicI64>,
    /// How often it has been started.
    pub lives: u32,
    /// Whether names are sealed in etcd.
    pub seal_names: bool,
    folder: PathBuf,
    clock: Clock,
    trace: Arc<Trace>,
    alive: Arc<Mutex<Option<Arc<Alive>>>>,
    /// What it does, and what is being done through it.
    pub tasks: JoinSet<()>,
}

/// A KDC that serves.
pub struct Alive {
    pub etcd: Arc<Etcd>,
    pub together: Arc<Together>,
    pub counted: Arc<Counted>,
    /// Its name among those that live.
    pub id: String,
    pub number: usize,
    /// Which life it is.
    pub life: u32,
    skew: Arc<AtomicI64>,
    clock: Clock,
    policy: Policy,
    replays: MemoryReplayCache,
    tickets: KnownTgts,
    random: Mutex<Sequence>,
}

impl Seat {
    /// A place with nobody in it; `folder` has the master key.
    pub fn new(number: usize, network: Arc<Network>, folder: PathBuf, clock: Clock, trace: Arc<Trace>) -> Seat {
        let (skew, alive) = (Arc::default(), Arc::default());
        Seat { number, network, skew, lives: 0, seal_names: false, folder, clock, trace, alive, tasks: JoinSet::new() }
    }

    /// The KDC, if it serves.
    pub fn alive(&self) -> Option<Arc<Alive>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn file(&self) -> PathBuf {
        self.folder.join(format!("copy-{}", self.number))
    }

    /// How it reaches etcd.
    pub fn options(&self) -> Options {
        let (network, skew, clock) = (Arc::clone(&self.network), Arc::clone(&self.skew), self.clock);
        let world = World {
            lines: Some(Arc::new(move |url| network.line(url))),
            clock: Arc::new(move || clock.now(skew.load(Ordering::Relaxed)).time),
        };
        let endpoints = (0..crate::etcd::NODES).map(|it| (it + self.number) % crate::etcd::NODES);
        let endpoints = endpoints.map(|node| format!("http://node-{node}")).collect();
        Options { endpoints, prefix: PREFIX.to_owned(), world, seal_names: self.seal_names, ..Options::default() }
    }

    /// Starts it, again and again until it serves, as who watches over daemons does.
    pub fn start(&mut self) {
        self.lives += 1;
        let (options, file, master) = (self.options(), self.file(), self.folder.join("master.key"));
        let (number, life, alive, trace) = (self.number, self.lives, Arc::clone(&self.alive), Arc::clone(&self.trace));
        let (clock, skew) = (self.clock, Arc::clone(&self.skew));
        self.tasks.spawn(async move {
            let etcd = loop {
                let master = MasterKey::load(&*master).expect("the master key");
                match Etcd::within(options.clone(), (&file, REALM), master, Kept { entries: 1000, records: 1 << 20 })
                    .await
                {
                    Ok(etcd) => break Arc::new(etcd),
                    Err(error) => trace.say(format!("kdc {number} does not start: {error}")),
                }
                sleep(Duration::from_secs(1)).await;
            };
            let together = etcd.count();
            if etcd.standing().trouble.is_none() {
                let _ = timeout(PATIENCE, together.begun()).await;
            }
            let ledger = Arc::clone(&etcd);
            let counted = Arc::new(Counted::over(ledger).together(Some(Arc::clone(&together))));
            let id = format!("kdc-{number}-{life}");
            etcd.announce(id.clone(), Box::new(move || presence(number, clock)));
            trace.say(format!("kdc {number} serves, from revision {}", etcd.revision()));
            let (policy, replays) = (Policy::new(REALM), MemoryReplayCache::new(300, 100_000));
            let random = Mutex::new(Sequence(u64::from(life) << 8 | number as u64));
            let writes = Arc::clone(&counted);
            let tickets = KnownTgts::new(100, 300);
            let serving =
                Alive { etcd, together, counted, id, number, life, skew, clock, policy, replays, tickets, random };
            *alive.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(serving));
            loop {
                sleep(kdc::attempts::INTERVAL).await;
                let _ = writes.flush();
            }
        });
    }

    /// Ends it at once: what was not on its disk is lost.
    pub fn crash(&mut self) {
        let (file, left) = (self.file(), self.folder.join(format!("left-{}", self.number)));
        if let Some(alive) = self.alive()
            && let Ok(Some(at)) = alive.etcd.copy().position()
        {
            // Whoever writes at this moment has written then.
            let _ = alive.etcd.copy().follow(&[], &at, &at, false);
        }
        let is_there = file.exists();
        if is_there {
            std::fs::copy(&file, &left).expect("copied");
        }
        self.stop();
        // What the one that ended does to its file, it does to one that is gone.
        if is_there {
            std::fs::rename(&left, &file).expect("renamed");
        }
    }

    /// Ends it in good order.
    pub fn stop(&mut self) {
        self.tasks = JoinSet::new();
        *self.alive.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Alive {
    /// Answers a request.
    pub fn answer(&self, bytes: &[u8]) -> Outcome {
        let Alive { policy, replays, tickets, .. } = self;
        let core = Core { policy, store: &*self.etcd, replays, attempts: &*self.counted, tickets };
        let now = self.clock.now(self.skew.load(Ordering::Relaxed));
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        kdc::core::handle(&core, Arrival { now, from: None }, &mut *random, bytes)
    }

    /// What it has of a principal.
    pub fn entry(&self, name: &Principal) -> Option<Arc<Entry>> {
        self.etcd.lookup(name).ok().flatten()
    }

    /// What its clock says.
    pub fn now(&self) -> Time {
        self.clock.now(self.skew.load(Ordering::Relaxed)).time
    }
}

fn presence(number: usize, clock: Clock) -> Presence {
    Presence { host: format!("kdc-{number}"), now: clock.now(0).time.seconds(), ..Presence::default() }
}
