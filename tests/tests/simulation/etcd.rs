//! etcd as far as a KDC can tell: keys with their revisions, transactions, watches, leases, compaction, and
//! three nodes of which a majority has to hold together. What is answered is kept for ever, as Raft does; what
//! is not may have been made or not, at once or later. Not here: the network before it (`line`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kdc::store::etcd::wire::*;
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

use crate::dice::Dice;
use crate::trace::Trace;

/// Nodes of the cluster.
pub const NODES: usize = 3;
/// Steps of a transaction, at one level.
const STEPS: usize = 128;
/// How long a node tries for who asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a watch goes on without a leader.
const LEADERLESS: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(25);

/// The octets of an answer, or what is in the way.
pub type Answer = Result<Vec<u8>, Status>;

/// The cluster.
pub struct Etcd {
    state: Mutex<State>,
    /// Those who wait for more, woken in the order in which they came.
    waiting: Mutex<Vec<oneshot::Sender<()>>>,
    dice: Dice,
    trace: Arc<Trace>,
}

#[derive(Clone)]
struct Version {
    modified: i64,
    created: i64,
    lease: i64,
    /// `None`: it was deleted.
    value: Option<Vec<u8>>,
}

#[derive(Default)]
struct State {
    revision: i64,
    compacted: i64,
    /// Every version of every key, the newest last.
    keys: BTreeMap<Vec<u8>, Vec<Version>>,
    /// Which keys a revision changed.
    changes: BTreeMap<i64, Vec<Vec<u8>>>,
    leases: BTreeMap<i64, (i64, Instant)>,
    granted: i64,
    nodes: [Node; NODES],
    leader: Option<usize>,
    /// Since when there is one, or none.
    since: Option<Instant>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    down: bool,
    cut: bool,
    /// What it knew when it was last with the others.
    knows: i64,
}

impl State {
    fn is_with_others(&self, node: usize) -> bool {
        !self.nodes[node].down && !self.nodes[node].cut
    }

    fn has_quorum(&self, node: usize) -> bool {
        self.is_with_others(node) && self.leader.is_some()
    }

    fn newest(&self, key: &[u8]) -> Option<&Version> {
        self.keys.get(key)?.last().filter(|version| version.value.is_some())
    }

    fn at(&self, key: &[u8], revision: i64) -> Option<&Version> {
        let versions = self.keys.get(key)?;
        versions.iter().rev().find(|version| version.modified <= revision).filter(|version| version.value.is_some())
    }

    fn keys_in(&self, key: &[u8], end: &[u8]) -> Vec<Vec<u8>> {
        match end.is_empty() {
            true => self.keys.get_key_value(key).map(|(key, _)| key.clone()).into_iter().collect(),
            false => self.keys.range(key.to_vec()..end.to_vec()).map(|(key, _)| key.clone()).collect(),
        }
    }

    fn header(&self) -> Option<Header> {
        Some(Header { cluster: 1, revision: self.revision })
    }

    fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Status> {
        let revision = if request.revision == 0 { self.revision } else { request.revision };
        if revision < self.compacted {
            return Err(Status::out_of_range("etcdserver: mvcc: required revision has been compacted"));
        }
        let found = self.keys_in(&request.key, &request.end);
        let found = found.into_iter().filter_map(|key| Some((self.at(&key, revision)?, key)));
        let mut kvs: Vec<_> = found.map(|(version, key)| shown(&key, version)).collect();
        let (count, limit) = (kvs.len() as i64, usize::try_from(request.limit).unwrap_or_default());
        let more = limit > 0 && kvs.len() > limit;
        if more {
            kvs.truncate(limit);
        }
        if request.count_only {
            kvs.clear();
        }
        Ok(RangeResponse { header: self.header(), kvs, more, count })
    }

    fn holds(&self, compare: &Compare) -> bool {
        let version = self.newest(&compare.key);
        match &compare.demanded {
            Some(Demanded::Created(created)) => version.map_or(0, |version| version.created) == *created,
            Some(Demanded::Modified(modified)) => version.map_or(0, |version| version.modified) == *modified,
            Some(Demanded::Value(value)) => version.and_then(|version| version.value.as_ref()) == Some(value),
            None => false,
        }
    }

    /// Makes a transaction in a revision, which counts if anything was written.
    fn apply(&mut self, request: &TxnRequest, revision: i64) -> Result<TxnResponse, Status> {
        let succeeded = request.compare.iter().all(|compare| self.holds(compare));
        let steps = if succeeded { &request.success } else { &request.failure };
        let mut responses = vec![];
        for step in steps {
            let mut response = OpResponse::default();
            match &step.step {
                Some(Step::Range(range)) => response.range = Some(self.range(range)?),
                Some(Step::Put(put)) => self.write(&put.key, revision, put.lease, Some(put.value.clone())),
                Some(Step::Delete(delete)) => {
                    for key in self.keys_in(&delete.key, &delete.end) {
                        if self.newest(&key).is_some() {
                            self.write(&key, revision, 0, None);
                        }
                    }
                }
                Some(Step::Txn(txn)) => response.txn = Some(self.apply(txn, revision)?),
                None => return Err(Status::invalid_argument("a step that is none")),
            }
            responses.push(response);
        }
        Ok(TxnResponse { header: None, succeeded, responses })
    }

    fn write(&mut self, key: &[u8], revision: i64, lease: i64, value: Option<Vec<u8>>) {
        let created = self.newest(key).map_or(revision, |version| version.created);
        let version = Version { modified: revision, created, lease, value };
        self.keys.entry(key.to_vec()).or_default().push(version);
        self.changes.entry(revision).or_default().push(key.to_vec());
    }

    fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse, Status> {
        check(request, STEPS, &mut BTreeSet::new())?;
        for put in puts(request) {
            if put.lease != 0 && !self.leases.contains_key(&put.lease) {
                return Err(Status::not_found("etcdserver: requested lease not found"));
            }
        }
        let revision = self.revision + 1;
        let mut answer = self.apply(request, revision)?;
        if self.changes.contains_key(&revision) {
            self.revision = revision;
        }
        answer.header = self.header();
        Ok(answer)
    }

    /// The events of a range from a revision on, up to another.
    fn events(&self, (key, end): (&[u8], &[u8]), from: i64, to: i64) -> Vec<Event> {
        let inside = |it: &[u8]| it == key || (!end.is_empty() && it >= key && it < end);
        let changed = self.changes.range(from..to.saturating_add(1).max(from));
        let changed = changed.flat_map(|(revision, keys)| keys.iter().map(move |key| (*revision, key)));
        changed
            .filter(|(_, key)| inside(key))
            .filter_map(|(revision, key)| {
                let version = self.keys.get(key)?.iter().find(|version| version.modified == revision)?;
                Some(Event { kind: i32::from(version.value.is_none()), kv: Some(shown(key, version)) })
            })
            .collect()
    }

    /// Elects, and ends leases.
    fn tick(&mut self, now: Instant, dice: &Dice) -> Option<String> {
        let together: Vec<_> = (0..NODES).filter(|node| self.is_with_others(*node)).collect();
        let majority = together.len() > NODES / 2;
        if self.leader.is_some_and(|leader| !majority || !together.contains(&leader)) {
            (self.leader, self.since) = (None, Some(now));
            return Some("no leader".into());
        }
        let waited = self.since.is_none_or(|since| now >= since + dice.millis(900, 2500));
        if self.leader.is_none() && majority && waited {
            let leader = together[dice.below(together.len())];
            (self.leader, self.since) = (Some(leader), Some(now));
            for (ttl, until) in self.leases.values_mut() {
                *until = now + Duration::from_secs(ttl.unsigned_abs());
            }
            return Some(format!("node {leader} leads"));
        }
        if self.leader.is_some() {
            for node in together {
                self.nodes[node].knows = self.revision;
            }
            let over = self.leases.iter().find(|(_, (_, until))| *until <= now).map(|(id, _)| *id);
            if let Some(id) = over {
                self.leases.remove(&id);
                let of =
                    |versions: &Vec<Version>| versions.last().is_some_and(|it| it.lease == id && it.value.is_some());
                let keys: Vec<_> =
                    self.keys.iter().filter(|(_, versions)| of(versions)).map(|it| it.0.clone()).collect();
                if !keys.is_empty() {
                    self.revision += 1;
                    keys.iter().for_each(|key| self.write(key, self.revision, 0, None));
                }
                return Some(format!("lease {id} is over"));
            }
        }
        None
    }
}

/// What a transaction may be: not too long, and no key put twice.
fn check(request: &TxnRequest, room: usize, put: &mut BTreeSet<Vec<u8>>) -> Result<(), Status> {
    let longest = request.compare.len().max(request.success.len()).max(request.failure.len());
    if longest > room {
        return Err(Status::invalid_argument("etcdserver: too many operations in txn request"));
    }
    for step in request.success.iter().chain(&request.failure) {
        match &step.step {
            Some(Step::Put(one)) if !put.insert(one.key.clone()) => {
                return Err(Status::invalid_argument("etcdserver: duplicate key given in txn request"));
            }
            Some(Step::Txn(inner)) => check(inner, room - longest, put)?,
            _ => {}
        }
    }
    Ok(())
}

fn puts(request: &TxnRequest) -> Vec<&PutRequest> {
    let steps = request.success.iter().chain(&request.failure);
    steps
        .flat_map(|step| match &step.step {
            Some(Step::Put(put)) => vec![put],
            Some(Step::Txn(inner)) => puts(inner),
            _ => vec![],
        })
        .collect()
}

fn shown(key: &[u8], version: &Version) -> KeyValue {
    let value = version.value.clone().unwrap_or_default();
    KeyValue { key: key.to_vec(), modified: version.modified, value, lease: version.lease }
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, Status> {
    M::decode(bytes).map_err(|_| Status::internal("no message"))
}

impl Etcd {
    /// One in which there is nothing yet.
    pub fn new(seed: u64, trace: Arc<Trace>) -> Arc<Etcd> {
        let state = State { revision: 1, leader: Some(0), ..State::default() };
        Arc::new(Etcd { state: Mutex::new(state), waiting: Mutex::default(), dice: Dice::of(seed, 1), trace })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Elects and ends leases, for ever.
    pub async fn live(self: Arc<Self>) {
        loop {
            sleep(TICK).await;
            let (said, changed) = {
                let mut state = self.state();
                let before = state.revision;
                (state.tick(Instant::now(), &self.dice), state.revision > before)
            };
            if changed {
                self.tell();
            }
            if let Some(said) = said {
                self.trace.say(format!("etcd: {said}"));
            }
        }
    }

    fn tell(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for waits in waiting {
            // Who waits no more has gone on.
            let _ = waits.send(());
        }
    }

    /// Returns when there may be more than a revision, or soon.
    async fn more_than(&self, revision: i64) {
        if self.state().revision > revision {
            return;
        }
        let (wake, woken) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(wake);
        let _ = timeout(Duration::from_millis(200), woken).await;
    }

    /// A node dies, or comes back.
    pub fn set_down(&self, node: usize, down: bool) {
        self.state().nodes[node].down = down;
    }

    /// A node is cut off from the others, or no more.
    pub fn set_cut(&self, node: usize, cut: bool) {
        self.state().nodes[node].cut = cut;
    }

    /// Whoever leads does so no more.
    pub fn depose(&self) {
        let mut state = self.state();
        (state.leader, state.since) = (None, Some(Instant::now()));
    }

    /// Throws away what was before a revision that is so much older than the newest.
    pub fn compact(&self, behind: i64) -> i64 {
        let mut state = self.state();
        state.compacted = state.compacted.max(state.revision - behind);
        state.compacted
    }

    /// Whether a key is there, and since which revision.
    pub fn created(&self, key: &str) -> Option<i64> {
        self.state().newest(key.as_bytes()).map(|version| version.created)
    }

    /// The revision of the last change of a key.
    pub fn modified(&self, key: &str) -> i64 {
        self.state().newest(key.as_bytes()).map_or(0, |version| version.modified)
    }

    /// Answers a call at a node.
    pub async fn serve(self: Arc<Self>, node: usize, path: String, bytes: Vec<u8>, dice: Arc<Dice>) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (down, quorum) = {
                let state = self.state();
                (state.nodes[node].down, state.has_quorum(node))
            };
            if down {
                return Err(Status::unavailable("connection refused"));
            }
            if quorum {
                break;
            }
            if Instant::now() >= deadline {
                return Err(Status::unavailable("etcdserver: request timed out"));
            }
            sleep(TICK).await;
        }
        sleep(dice.millis(0, 5)).await;
        if !self.state().has_quorum(node) {
            // It had left for the others: nobody knows.
            if dice.chance(50) {
                let late = Arc::clone(&self);
                tokio::spawn(async move {
                    sleep(dice.millis(0, 6000)).await;
                    let others = (0..NODES).any(|node| late.state().has_quorum(node));
                    if others {
                        let _ = late.make(&path, &bytes);
                    }
                });
            }
            return Err(Status::unavailable("etcdserver: leader changed"));
        }
        self.make(&path, &bytes)
    }

    fn make(&self, path: &str, bytes: &[u8]) -> Answer {
        let mut state = self.state();
        let before = state.revision;
        let answer = self.make_upon(&mut state, path, bytes);
        if state.revision > before {
            self.tell();
        }
        answer
    }

    fn make_upon(&self, state: &mut State, path: &str, bytes: &[u8]) -> Answer {
        match path {
            "/etcdserverpb.KV/Range" => state.range(&read(bytes)?).map(|answer| answer.encode_to_vec()),
            "/etcdserverpb.KV/Txn" => state.txn(&read(bytes)?).map(|answer| answer.encode_to_vec()),
            "/etcdserverpb.KV/DeleteRange" => {
                let success = vec![Step::Delete(read(bytes)?).into()];
                state.txn(&TxnRequest { success, ..TxnRequest::default() })?;
                Ok(Done { header: state.header() }.encode_to_vec())
            }
            "/etcdserverpb.Lease/LeaseGrant" => {
                let LeaseGrant { ttl } = read(bytes)?;
                state.granted += 1;
                let (id, until) = (state.granted, Instant::now() + Duration::from_secs(ttl.unsigned_abs()));
                state.leases.insert(id, (ttl, until));
                Ok(Lease { id, ttl }.encode_to_vec())
            }
            "/etcdserverpb.Lease/LeaseKeepAlive" => {
                let LeaseId { id } = read(bytes)?;
                let ttl = state.leases.get_mut(&id).map_or(0, |(ttl, until)| {
                    *until = Instant::now() + Duration::from_secs(ttl.unsigned_abs());
                    *ttl
                });
                Ok(Lease { id, ttl }.encode_to_vec())
            }
            other => Err(Status::unimplemented(other.to_owned())),
        }
    }

    /// Tells a watch of changes until it is over; `stall` says how long before each time.
    pub async fn watch(
        self: Arc<Self>,
        node: usize,
        bytes: Vec<u8>,
        to: mpsc::Sender<Answer>,
        slow: impl Fn() -> Duration,
        dice: Dice,
    ) {
        let Ok(WatchRequest { create: Some(WatchCreate { key, end, from }) }) = read(&bytes) else { return };
        let begun = WatchResponse { header: self.state().header(), ..WatchResponse::default() };
        if to.send(Ok(begun.encode_to_vec())).await.is_err() {
            return;
        }
        let (mut next, mut alone) = (from, None::<Instant>);
        loop {
            self.more_than(next - 1).await;
            sleep(dice.millis(1, 8) + slow()).await;
            if to.is_closed() {
                return;
            }
            let (said, over) = {
                let state = self.state();
                let node = state.nodes[node];
                alone = if node.cut || state.leader.is_none() { alone.or(Some(Instant::now())) } else { None };
                if node.down {
                    (Some(Err(Status::unavailable("connection reset"))), true)
                } else if alone.is_some_and(|since| since.elapsed() > LEADERLESS) {
                    (Some(Err(Status::unavailable("etcdserver: no leader"))), true)
                } else if next < state.compacted {
                    let gone = WatchResponse { canceled: true, compacted: state.compacted, ..Default::default() };
                    (Some(Ok(gone.encode_to_vec())), true)
                } else {
                    let newest = if node.cut { node.knows } else { state.revision };
                    // Some of what there is, but never half of a revision.
                    let until = if dice.chance(70) { newest } else { newest.min(next + dice.below(4) as i64) };
                    let events = state.events((&key, &end), next, until);
                    next = next.max(until + 1);
                    let answer = WatchResponse { header: state.header(), events, ..WatchResponse::default() };
                    ((!answer.events.is_empty()).then(|| Ok(answer.encode_to_vec())), false)
                }
            };
            if let Some(said) = said
                && to.send(said).await.is_err()
            {
                return;
            }
            if over {
                return;
            }
        }
    }
}
