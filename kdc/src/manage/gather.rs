//! The facts of the running KDC, gathered from where they are: counters, sockets, memories, store, system.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use libkrb::replay::MemoryReplayCache;
use libkrb::{ErrorCode, Principal, Time};

use super::keys;
use super::system;
use crate::core::attempts::Lockout;
use crate::core::{Attempts, Store};
use crate::net::{Gauges, Responder};
use crate::observe::Observer;
use crate::observe::facts::{Facts, KeyAge, Locked, Net, Part, Rates, Stored};
use crate::source::Source;

/// How many askers, and how many refusals, are told.
const TOLD: usize = 20;
/// How often the counts are noted, in seconds, and how many notes are kept: five minutes.
pub const BEAT: u64 = 5;
const NOTES: usize = 61;
/// Notes in a minute.
const MINUTE: usize = 12;

/// Where facts come from.
pub struct Sources {
    /// The realm.
    pub realm: String,
    /// What happened.
    pub observer: Arc<Observer>,
    /// The principals.
    pub store: Arc<dyn Store>,
    /// Failed proofs.
    pub attempts: Arc<dyn Attempts>,
    /// Who answers.
    pub responder: Arc<Responder>,
    /// The KDC's sockets.
    pub gauges: Gauges,
    /// Those at which passwords are changed.
    pub passwords: Gauges,
    /// What is served at first.
    pub addresses: Vec<SocketAddr>,
    /// Authenticators that were seen.
    pub replays: Arc<MemoryReplayCache>,
    /// How many of them can be remembered.
    pub replays_limit: usize,
    /// The file of the master key.
    pub master_key: Source,
}

/// The facts, whenever they are asked for.
pub struct Gatherer {
    sources: Sources,
    addresses: Mutex<Vec<SocketAddr>>,
    started: Time,
    since: Instant,
    notes: Mutex<VecDeque<Note>>,
    oldest_service: Mutex<Option<KeyAge>>,
}

/// Counts at a time.
#[derive(Clone, Copy)]
struct Note {
    at: Instant,
    requests: u64,
    refused: u64,
}

impl Gatherer {
    /// A gatherer for a KDC that starts now.
    pub fn new(sources: Sources) -> Self {
        let gatherer = Gatherer {
            addresses: Mutex::new(sources.addresses.clone()),
            sources,
            started: now(),
            since: Instant::now(),
            notes: Mutex::default(),
            oldest_service: Mutex::default(),
        };
        gatherer.beat();
        gatherer
    }

    /// Other addresses are served from now on.
    pub fn served(&self, addresses: Vec<SocketAddr>) {
        *lock(&self.addresses) = addresses;
    }

    /// Notes the counts, for rates; to be called every [`BEAT`] seconds.
    pub fn beat(&self) {
        let mut notes = lock(&self.notes);
        notes.push_back(self.note());
        if notes.len() > NOTES {
            notes.pop_front();
        }
    }

    /// Looks through all principals for the oldest key of a service: reads every one, so not often.
    pub fn look_for_oldest_service(&self) {
        let found = keys::oldest_service(&*self.sources.store, now());
        *lock(&self.oldest_service) = found;
    }

    /// All facts.
    pub fn facts(&self) -> Facts {
        let Sources { realm, observer, replays, replays_limit, .. } = &self.sources;
        let now = now();
        let mut net = Net { sockets: system::sockets(&lock(&self.addresses)), ..self.net() };
        let mut traffic = observer.counters().traffic();
        traffic.dropped.extend(self.sources.responder.dropped());
        (net.replays, net.replays_limit) = (replays.len() as u64, *replays_limit as u64);
        Facts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            realm: realm.clone(),
            pid: std::process::id(),
            now: now.seconds(),
            started: self.started.seconds(),
            uptime_micros: u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX),
            parts: self.parts(),
            traffic,
            rates: self.rates(),
            net,
            store: self.stored(),
            keys: self.keys(now),
            audit: observer.audit().map(|audit| audit.facts()).unwrap_or_default(),
            process: system::process(),
            busiest: observer.people().busiest(now.seconds(), TOLD),
            refused: observer.people().refused(TOLD),
            locked: self.locked(now),
        }
    }

    /// What the KDC is made of, and whether each does what it is for.
    pub fn parts(&self) -> Vec<Part> {
        let Sources { observer, realm, .. } = &self.sources;
        let store = self.sources.store.size().map_err(|error| error.to_string());
        let krbtgt = store.and_then(|_| match self.sources.store.lookup(&Principal::tgs(realm)) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("there is no krbtgt, without which nobody gets a ticket".to_owned()),
            Err(error) => Err(error.to_string()),
        });
        let net = self.net();
        let sockets = match (net.serving, net.fallen) {
            (0, _) => Some("no socket is served".to_owned()),
            (_, 0) => None,
            (_, fallen) => Some(format!("{fallen} threads have ended by a bug; see the log, and restart the KDC")),
        };
        let audit = observer.audit().map(|audit| audit.problems().join("; ")).filter(|problems| !problems.is_empty());
        let part = |name: &str, problem| Part { name: name.to_owned(), problem, degraded: false };
        let mut parts = vec![part("store", krbtgt.err()), part("sockets", sockets), part("audit", audit)];
        let standing = self.sources.store.standing();
        if standing.lag.is_some() {
            parts.push(Part { degraded: true, ..part("changes", standing.trouble) });
        }
        parts
    }

    fn net(&self) -> Net {
        let net = self.sources.gauges.net();
        let (serving, fallen) = self.sources.passwords.serving();
        let (answers, bytes, limit) = self.sources.responder.remembered();
        let heavy = self.sources.responder.waiting();
        Net {
            serving: net.serving + serving,
            fallen: net.fallen + fallen,
            lookaside: answers as u64,
            lookaside_bytes: bytes as u64,
            lookaside_limit: limit as u64,
            heavy_queue: heavy.waiting as u64,
            heavy_queue_limit: heavy.room as u64,
            ..net
        }
    }

    fn stored(&self) -> Stored {
        let size = self.sources.store.size().unwrap_or_default();
        Stored {
            principals: size.principals,
            policies: size.policies,
            bytes: size.bytes,
            changes: size.changes,
            lag_seconds: self.sources.store.standing().lag.unwrap_or_default().as_secs_f64(),
        }
    }

    fn keys(&self, now: Time) -> Vec<KeyAge> {
        let krbtgt = self.sources.store.lookup(&Principal::tgs(&self.sources.realm)).ok().flatten();
        let krbtgt = krbtgt.and_then(|entry| keys::of_entry("krbtgt", &entry, now));
        let oldest = lock(&self.oldest_service).clone();
        let all = [krbtgt, self.sources.master_key.path().and_then(|path| keys::of_file("master", path)), oldest]
            .into_iter()
            .flatten();
        all.map(|key| KeyAge { age: now.seconds().saturating_sub(key.changed).max(0), ..key }).collect()
    }

    fn locked(&self, now: Time) -> Vec<Locked> {
        let Sources { store, attempts, observer, .. } = &self.sources;
        let locked = |name: Principal| {
            let entry = store.lookup(&name).ok().flatten()?;
            let policy = store.policy(entry.policy.as_deref()?).ok().flatten()?;
            let record = attempts.record(&entry.id);
            Lockout::of(&policy).filter(|rule| rule.locks(&record, now))?;
            let last_failure = record.last_failure.unwrap_or(Time::EPOCH).seconds();
            Some(Locked { principal: entry.principal.to_string(), failures: record.failures, last_failure })
        };
        observer.people().failing().into_iter().filter_map(locked).collect()
    }

    fn note(&self) -> Note {
        let counts = self.sources.observer.counters().counts();
        let refused = |code: ErrorCode| code != ErrorCode::PREAUTH_REQUIRED;
        Note {
            at: Instant::now(),
            requests: counts.iter().map(|count| count.count).sum(),
            refused: counts.iter().filter(|it| it.refusal.is_some_and(refused)).map(|count| count.count).sum(),
        }
    }

    fn rates(&self) -> Rates {
        let present = self.note();
        let notes = lock(&self.notes);
        let since = |places: usize| notes.len().checked_sub(places).map_or(notes.front(), |place| notes.get(place));
        let rate = |old: Option<&Note>, of: fn(&Note) -> u64| {
            let Some(old) = old else { return 0.0 };
            let seconds = present.at.duration_since(old.at).as_secs_f64();
            if seconds > 0.0 { of(&present).saturating_sub(of(old)) as f64 / seconds } else { 0.0 }
        };
        Rates {
            minute: rate(since(MINUTE), |note| note.requests),
            five_minutes: rate(notes.front(), |note| note.requests),
            refused_minute: rate(since(MINUTE), |note| note.refused),
        }
    }
}

fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
