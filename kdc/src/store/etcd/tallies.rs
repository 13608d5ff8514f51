//! Failed logins that all KDCs count together: this KDC's share of them is told to etcd, a transaction for
//! as many accounts as wait, each compared with what is there; what others told is watched. Nothing is told
//! nor heard but in the realm, of the epoch, that the copy is of. Not here: what is counted, and who has to wait
//! for it ([`Together`]).

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use libkrb::Time;
use prost::Message;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{sleep, timeout};

use super::client::{Client, Trouble};
use super::layout::{Counted, Kind, Layout, Realm, put};
use super::standing::Progress;
use super::wire::{Compare, DeleteRequest, KeyValue, OpResponse, RangeRequest, Step, TxnRequest};
use crate::attempts::{Due, Tally, Together};
use crate::core::attempts::AccountId;

/// How long etcd is waited for before this KDC counts on for itself.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// Accounts that are told of at once: a transaction may have 128 steps, and each has one in it.
const AT_ONCE: usize = 60;
/// Tallies in a page of all there are.
const PAGE: i64 = 5000;

/// What keeps the realm's count.
#[derive(Clone)]
pub struct Tallies {
    client: Arc<Client>,
    layout: Layout,
    progress: Arc<Progress>,
    together: Arc<Together>,
    /// The realm's record, as it was when all there is was heard of; `None`: it was not, or it is another realm by now.
    realm: Arc<watch::Sender<Option<Vec<u8>>>>,
    /// All there is has to be heard of anew.
    again: Arc<Notify>,
    /// What is told and what is heard all at once come one after the other: of two answers the older one must not
    /// be believed last.
    order: Arc<Mutex<()>>,
}

/// What became of shares.
enum Told {
    /// They are there.
    Here,
    /// They are not: the realm's record is another.
    Elsewhere(Vec<u8>),
}

impl Tallies {
    /// Those of a realm.
    pub fn new(client: Arc<Client>, layout: Layout, progress: Arc<Progress>, together: Arc<Together>) -> Self {
        Tallies {
            client,
            layout,
            progress,
            together,
            realm: Arc::default(),
            again: Arc::default(),
            order: Arc::default(),
        }
    }

    /// Hears of what is counted, for ever. All there is comes first, also after an interruption.
    pub async fn hear(self) {
        loop {
            let trouble = match self.follow().await {
                Ok(never) => match never {},
                Err(trouble) => trouble,
            };
            tracing::debug!(%trouble, "what other KDCs count is not heard of");
            self.together.reaches(false);
            self.client.turn();
            sleep(PAUSE).await;
        }
    }

    async fn follow(&self) -> Result<Infallible, Trouble> {
        let in_order = self.order.lock().await;
        let (all, revision, realm) = self.all().await?;
        let mut watch = self.client.watch(self.layout.counted(revision.saturating_add(1))).await?;
        self.together.hear_all(&all, revision);
        drop(in_order);
        self.realm.send_replace(Some(realm));
        loop {
            let news = tokio::select! {
                biased;
                news = watch.next() => news?,
                () = self.again.notified() => return Err(Trouble::Refused("the realm is of another epoch".into())),
            };
            for event in news.events {
                let Some(kv) = event.kv else { continue };
                let Some(who) = self.layout.account(&kv.key) else { continue };
                let tally = (event.kind != 1).then(|| read(&kv.value));
                self.together.hear(&who, tally, kv.modified);
            }
        }
    }

    /// All tallies, the revision at which they were so, and the realm's record then, which is of the copy's epoch.
    async fn all(&self) -> Result<(HashMap<AccountId, (Tally, i64)>, i64, Vec<u8>), Trouble> {
        let answer = self.client.range(self.layout.one(&Kind::Realm), PATIENCE).await?;
        let revision = answer.header.unwrap_or_default().revision;
        let realm = answer.kvs.into_iter().next().map(|kv| kv.value);
        let realm = realm.ok_or_else(|| Trouble::Refused(format!("there is no realm at {}", self.layout.prefix())))?;
        let (there, mut applied) = (epoch(&realm), self.progress.applied());
        if timeout(PATIENCE, applied.wait_for(|applied| Some(applied.epoch) == there)).await.is_err() {
            return Err(Trouble::Refused("the realm there is of another epoch than the copy".into()));
        }
        let (key, end) = self.layout.counts();
        let mut request = RangeRequest { key, end, limit: PAGE, revision, ..RangeRequest::default() };
        let mut all = HashMap::new();
        loop {
            let page = self.client.range(request.clone(), PATIENCE).await?;
            if let Some(last) = page.kvs.last() {
                request.key = [&*last.key, &[0]].concat();
            }
            let known = |kv: KeyValue| Some((self.layout.account(&kv.key)?, (read(&kv.value), kv.modified)));
            all.extend(page.kvs.into_iter().filter_map(known));
            if !page.more {
                return Ok((all, revision, realm));
            }
        }
    }

    /// Tells what this KDC counts, for ever.
    pub async fn tell(self) {
        loop {
            self.together.anything().await;
            loop {
                // Its sender lives as long as this.
                let Ok(realm) = self.realm.subscribe().wait_for(Option::is_some).await.map(|realm| realm.clone())
                else {
                    return;
                };
                let due = self.together.take(AT_ONCE, &mut mark);
                if due.is_empty() {
                    break;
                }
                self.tell_of(&due, realm.unwrap_or_default()).await;
            }
        }
    }

    /// Tells it, or finds that it can't be told in a realm that is not of the epoch any more in which it was taken.
    async fn tell_of(&self, due: &[Due], mut realm: Vec<u8>) {
        loop {
            match self.once(due, &realm).await {
                Ok(Told::Here) => return self.together.reaches(true),
                // Its master key is rolled over.
                Ok(Told::Elsewhere(there)) if epoch(&there) == epoch(&realm) => {
                    self.realm.send_if_modified(|known| {
                        let same = known.as_ref() == Some(&realm);
                        same.then(|| *known = Some(there.clone())).is_some()
                    });
                    realm = there;
                }
                Ok(Told::Elsewhere(_)) => {
                    tracing::debug!("failed logins are not counted in another epoch than the copy's");
                    self.together.reaches(false);
                    self.realm.send_replace(None);
                    due.iter().for_each(|due| self.together.take_back(due));
                    return self.again.notify_one();
                }
                Err(trouble) => {
                    tracing::debug!(%trouble, "other KDCs are not told of failed logins");
                    self.together.reaches(false);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Told again as it is, it counts once: each tally names what wrote it.
    async fn once(&self, due: &[Due], realm: &[u8]) -> Result<Told, Trouble> {
        let request = TxnRequest {
            compare: vec![Compare::value(self.layout.key(&Kind::Realm), realm.to_vec())],
            success: due.iter().map(|due| Step::Txn(self.step(due)).into()).collect(),
            failure: vec![Step::Range(self.layout.one(&Kind::Realm)).into()],
        };
        let _in_order = self.order.lock().await;
        let answer = self.client.txn(request, PATIENCE).await?;
        let revision = answer.header.map_or(0, |header| header.revision);
        if !answer.succeeded {
            let mut there = answer.responses.into_iter().filter_map(|answer| answer.range?.kvs.into_iter().next());
            return Ok(Told::Elsewhere(there.next().map(|kv| kv.value).unwrap_or_default()));
        }
        if answer.responses.len() != due.len() {
            return Err(Trouble::Refused("an answer for another transaction".into()));
        }
        for (due, OpResponse { txn, .. }) in due.iter().zip(answer.responses) {
            let txn = txn.unwrap_or_default();
            if txn.succeeded {
                self.together.settle(due, revision);
                continue;
            }
            let there = txn.responses.into_iter().find_map(|answer| answer.range?.kvs.into_iter().next());
            let (tally, at) = there.map_or((None, 0), |kv| (Some(read(&kv.value)), kv.modified));
            self.together.overtaken(due, tally, at, revision);
        }
        Ok(Told::Here)
    }

    fn step(&self, due: &Due) -> TxnRequest {
        let key = self.layout.count(&due.who);
        let range = Step::Range(RangeRequest { key: key.clone(), ..RangeRequest::default() });
        let compare = vec![Compare::unchanged(key.clone(), due.revision)];
        let success = match &due.tally {
            Some(tally) => put(key, octets(tally)),
            None => Step::Delete(DeleteRequest { key, end: vec![] }).into(),
        };
        TxnRequest { compare, success: vec![success], failure: vec![range.into()] }
    }
}

/// Of which epoch a realm's record is; `None` for what is none.
fn epoch(realm: &[u8]) -> Option<u64> {
    Realm::decode(realm).ok().filter(|realm| !realm.name.is_empty()).map(|realm| realm.epoch)
}

/// A number that nobody else has.
fn mark() -> u64 {
    let mut octets = [0; 8];
    // Without one, a share whose answer is lost may count twice.
    let _ = getrandom::fill(&mut octets);
    u64::from_le_bytes(octets)
}

fn octets(tally: &Tally) -> Vec<u8> {
    let Tally { failures, last_failure, count, mark } = *tally;
    Counted { failures, last_failure: last_failure.map(Time::seconds), count, mark }.encode_to_vec()
}

/// What can't be read is locked, until somebody opens it.
fn read(octets: &[u8]) -> Tally {
    let unreadable = Counted { failures: u32::MAX, ..Counted::default() };
    let Counted { failures, last_failure, count, mark } = Counted::decode(octets).unwrap_or(unreadable);
    Tally { failures, last_failure: last_failure.map(Time), count, mark }
}
