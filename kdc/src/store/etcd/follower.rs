//! Keeps the copy up to date: from all there is at a revision, then with what is changed from there on,
//! in the order in which it was. A connection that breaks is taken up where it was; where etcd has
//! thrown that history away, or it is another one, all there is comes anew while the old copy serves on.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::client::{Client, Trouble, Watch};
use super::layout::{Head, Kind, Layout, Realm};
use super::look;
use super::master;
use super::publish::copied;
use super::standing::Progress;
use super::wire::{Event, KeyValue, RangeRequest};
use crate::core::StoreError;
use crate::store::redb::{Followed, Position, Row};
use crate::store::{Cached, Redb};

/// How long etcd is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Records in a page of all there is.
const PAGE: i64 = 2000;
/// Pages that wait for the disk.
const AHEAD: usize = 4;
/// How often what was taken over is made durable; a crash takes the copy back by as much.
const FLUSH: Duration = Duration::from_secs(1);
/// How long it pauses before it tries again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Follows a realm in etcd.
pub struct Follower {
    pub client: Arc<Client>,
    pub layout: Layout,
    pub copy: Arc<Cached<Redb>>,
    pub progress: Arc<Progress>,
    /// Something was taken over that a crash would take back.
    pub hasty: bool,
}

/// Records of a page.
type Rows = Vec<(Row, Vec<u8>)>;

/// Why following ended.
enum Ended {
    /// Begin where it was.
    Broken(String),
    /// Begin with all there is.
    Lost(String),
    /// Begin where it was: the copy can't be read or written.
    Copy(String),
}

impl From<Trouble> for Ended {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Compacted => Ended::Lost("etcd has thrown away what was changed meanwhile".into()),
            trouble => Ended::Broken(trouble.to_string()),
        }
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Ended::Copy(error.to_string())
    }
}

impl Follower {
    /// Follows for ever.
    pub async fn follow(mut self) {
        let (mut pause, mut refill) = (PAUSE.0, false);
        loop {
            let begun = Instant::now();
            let ended = self.once(refill).await;
            match ended {
                Ended::Broken(why) => {
                    refill = false;
                    tracing::debug!(%why, "the watch of etcd begins again");
                    self.client.turn();
                }
                Ended::Copy(why) => {
                    refill = false;
                    self.progress.away(format!("read-only: this KDC's copy does not follow: {why}"));
                }
                Ended::Lost(why) => {
                    refill = true;
                    tracing::warn!(%why, "all there is in etcd is read anew; the copy serves on meanwhile");
                }
            }
            pause = if begun.elapsed() > PAUSE.1 { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
            sleep(pause).await;
        }
    }

    /// Follows until something is in the way.
    async fn once(&mut self, refill: bool) -> Ended {
        match self.run(refill).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn run(&mut self, refill: bool) -> Result<std::convert::Infallible, Ended> {
        let at = self.copy.inner().position()?.unwrap_or_default();
        // Before anything is waited for: etcd may be away for long.
        if self.hasty {
            self.copy.inner().follow(&[], &at, &at, true)?;
            self.hasty = false;
        }
        let realm = self.realm_onwards(&at).await?;
        self.look_at_keys(&realm).await?;
        // Before anything is read, and before anything is committed onto that.
        self.layout.agree(&realm, &self.copy.inner().master.load())?;
        let refill = refill || at.revision == 0 || realm.epoch > at.epoch;
        let mut at = if refill || self.is_another_history(&at).await? { self.refill(realm.epoch).await? } else { at };
        self.progress.at(&at);
        let mut watch = self.client.watch(self.layout.changes(at.revision.saturating_add(1))).await?;
        let mut flush = interval(FLUSH);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                // First, for there may always be changes.
                _ = flush.tick() => {
                    let to = Position { revision: at.revision.max(self.progress.quiet()), ..at.clone() };
                    // Every revision of other realms would cost a write.
                    if self.hasty || to.revision.saturating_sub(at.revision) > PAGE {
                        self.copy.inner().follow(&[], &at, &to, true)?;
                        (at, self.hasty) = (to, false);
                        self.progress.at(&at);
                    }
                }
                () = self.progress.again.notified() => {
                    return Err(Ended::Broken("what the watch says is not what is in etcd".into()));
                }
                events = next(&mut watch) => {
                    let to = self.apply(&at, events?)?;
                    self.hasty |= to != at;
                    at = to;
                }
            }
        }
    }

    /// Takes over changes; where the copy is then.
    fn apply(&self, at: &Position, events: Vec<Event>) -> Result<Position, Ended> {
        let mut to = at.clone();
        let mut rows: Vec<Followed> = Vec::with_capacity(events.len());
        let (mut keys, mut vanished, mut waited_for) = (vec![], vec![], false);
        for event in events {
            let Some(kv) = event.kv else { continue };
            to.revision = to.revision.max(kv.modified);
            let gone = event.kind == 1;
            match self.layout.kind(&kv.key) {
                Some(Kind::Head) => {
                    let known = Head::read(&to.head).unwrap_or_default();
                    let new = Head::read(&kv.value).filter(|new| !gone && new.parent == known.id);
                    let lost = || Ended::Lost("a commit was made onto another than the last one here".into());
                    self.progress.heard(new.ok_or_else(lost)?, kv.modified);
                    to.head = kv.value;
                }
                Some(Kind::Sealed(_)) if gone => vanished.push(kv.key),
                Some(Kind::Principal(_) | Kind::Policy(_)) if gone => {
                    rows.extend(self.layout.named(&kv.key).map(|row| (row, None)));
                }
                Some(Kind::Principal(_) | Kind::Policy(_) | Kind::Sealed(_)) => {
                    rows.extend(copied(&self.layout, kv).map(|(row, record)| (row, Some(record))));
                }
                Some(Kind::Gone) if !gone => rows.extend(self.layout.gone(&kv).into_iter().map(|row| (row, None))),
                Some(Kind::Realm) if !gone => self.seal_as(&kv)?,
                Some(Kind::Master(version)) => keys.push((version, (!gone).then_some(kv.value))),
                Some(Kind::Announced) => waited_for = true,
                Some(Kind::Realm | Kind::Gone) | None => {}
            }
        }
        self.are_told(&vanished, &rows)?;
        if to == *at {
            return Ok(to);
        }
        self.copy.inner().follow(&rows, at, &to, false)?;
        self.copy.forget(rows.iter().map(|(row, _)| row));
        waited_for |= !keys.is_empty();
        // Records that are sealed anew come before the old key goes.
        for (version, octets) in keys {
            master::hear(self.copy.inner(), version, octets.as_deref());
        }
        self.progress.at(&to);
        if waited_for {
            self.progress.tell.notify_one();
        }
        Ok(to)
    }

    /// Whether commits told whose the keys were that vanished.
    fn are_told(&self, vanished: &[Vec<u8>], rows: &[Followed]) -> Result<(), Ended> {
        if vanished.is_empty() {
            return Ok(());
        }
        let gone = rows.iter().filter(|(_, record)| record.is_none());
        let told: HashSet<_> = gone.map(|(row, _)| self.layout.place(row)).collect::<Result<_, _>>()?;
        match vanished.iter().all(|key| told.contains(key)) {
            true => Ok(()),
            false => Err(Ended::Lost("a record was removed from etcd past the KDCs".into())),
        }
    }

    fn seal_as(&self, kv: &KeyValue) -> Result<(), Ended> {
        let realm = Realm::decode(&*kv.value).map_err(|_| Ended::Broken("the realm in etcd is none".into()))?;
        Ok(master::seal_as(self.copy.inner(), &realm)?)
    }

    /// What stands there of the realm, unless that is of an earlier epoch than the copy.
    async fn realm_onwards(&self, at: &Position) -> Result<Realm, Ended> {
        let nothing = || Ended::Broken(format!("there is no realm at {} in etcd", self.layout.prefix()));
        let realm = look(&self.client, &self.layout).await?.ok_or_else(nothing)?;
        if realm.epoch >= at.epoch {
            return Ok(realm);
        }
        let (there, here) = (realm.epoch, at.epoch);
        let next = "where it was restored on purpose, `kdc store fence` says so";
        let past = format!("read-only: the realm in etcd is of epoch {there}, before {here} of this copy; {next}");
        self.progress.away(past.clone());
        Err(Ended::Broken(past))
    }

    /// What was done to the master key while nobody was listening.
    async fn look_at_keys(&self, realm: &Realm) -> Result<(), Ended> {
        let announced = master::announced(&self.client, &self.layout).await?;
        for (version, octets) in &announced {
            master::hear(self.copy.inner(), *version, Some(octets));
        }
        master::seal_as(self.copy.inner(), realm)?;
        let master = self.copy.inner().master.load().version();
        if announced.is_empty() {
            master::hear(self.copy.inner(), master, None);
        }
        Ok(())
    }

    /// Whether etcd has another history than the one followed: restored from a backup, or another cluster.
    async fn is_another_history(&self, at: &Position) -> Result<bool, Ended> {
        let head = self.client.range(self.layout.one(&Kind::Head), PATIENCE).await?;
        let header = head.header.unwrap_or_default();
        let same_head = match head.kvs.first() {
            Some(kv) => kv.modified > at.revision || kv.value == at.head,
            None => false,
        };
        Ok(header.cluster != at.cluster || header.revision < at.revision || !same_head)
    }

    /// Takes all there is, at a revision.
    async fn refill(&self, epoch: u64) -> Result<Position, Ended> {
        let begun = Instant::now();
        let (from, end) = self.layout.realm();
        let head = self.client.range(self.layout.one(&Kind::Head), PATIENCE).await?;
        let (header, kv) = (head.header.unwrap_or_default(), head.kvs.into_iter().next());
        let kv = kv.ok_or_else(|| Ended::Broken(format!("there is no realm at {} in etcd", self.layout.prefix())))?;
        let to = Position { cluster: header.cluster, revision: header.revision, head: kv.value, epoch };
        let mut request =
            RangeRequest { key: from, end, limit: PAGE, revision: to.revision, ..RangeRequest::default() };
        let (rows, more) = self.page(&mut request, to.cluster).await?;
        let count = match more {
            true => self.refill_from((rows, more), request, &to).await?,
            // A small realm is here already.
            false => {
                let (count, mut page) = (rows.len(), Some(rows));
                self.copy.inner().refill(&mut || Ok(page.take()), &to)?;
                count
            }
        };
        self.copy.forget_all();
        self.progress.refilled(&to);
        tracing::info!(revision = to.revision, records = count, took = ?begun.elapsed(), "all there is was read from etcd");
        Ok(to)
    }

    /// Takes page after page, of which some are read while one is taken over.
    async fn refill_from(&self, first: (Rows, bool), request: RangeRequest, to: &Position) -> Result<usize, Ended> {
        let (send, mut pages) = mpsc::channel::<Rows>(AHEAD);
        let (copy, position) = (Arc::clone(&self.copy), to.clone());
        let (whole, is_whole) = std::sync::mpsc::channel();
        let filled = tokio::task::spawn_blocking(move || {
            copy.inner().refill(
                &mut || match pages.blocking_recv() {
                    Some(page) => Ok(Some(page)),
                    // Nobody sends any more: all there is, or not.
                    None => match is_whole.try_recv() {
                        Ok(()) => Ok(None),
                        Err(_) => Err(StoreError::ReadOnly("etcd went away in the midst of it".into())),
                    },
                },
                &position,
            )
        });
        let read = self.read_all(first, request, to.cluster, &send).await;
        if read.is_ok() {
            let _ = whole.send(());
        }
        drop(send);
        let filled = filled.await.map_err(|error| Ended::Broken(error.to_string()))?;
        let count = read?;
        filled?;
        Ok(count)
    }

    async fn read_all(
        &self,
        (mut rows, mut more): (Rows, bool),
        mut request: RangeRequest,
        cluster: u64,
        to: &mpsc::Sender<Rows>,
    ) -> Result<usize, Ended> {
        let mut count = 0;
        loop {
            count += rows.len();
            // Who receives gave up: it says why.
            if to.send(rows).await.is_err() || !more {
                return Ok(count);
            }
            (rows, more) = self.page(&mut request, cluster).await?;
        }
    }

    /// One page, and whether there are more, which is asked for next.
    async fn page(&self, request: &mut RangeRequest, cluster: u64) -> Result<(Rows, bool), Ended> {
        let page = self.client.range(request.clone(), PATIENCE * 6).await?;
        if page.header.as_ref().is_some_and(|header| header.cluster != cluster) {
            return Err(Ended::Broken("two clusters of etcd answer by turns".into()));
        }
        if let Some(last) = page.kvs.last() {
            request.key = [&*last.key, &[0]].concat();
        }
        Ok((page.kvs.into_iter().filter_map(|kv| copied(&self.layout, kv)).collect(), page.more))
    }
}

async fn next(watch: &mut Watch) -> Result<Vec<Event>, Ended> {
    Ok(watch.next().await?.events)
}
