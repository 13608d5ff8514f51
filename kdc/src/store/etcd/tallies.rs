//! Failed logins that all KDCs count together: this KDC's share of them is told to etcd, a transaction for
//! as many accounts as wait, each compared with what is there; what others told is watched. Not here: what
//! is counted, and who has to wait for it ([`Together`]).

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use libkrb::Time;
use prost::Message;
use tokio::time::sleep;

use super::client::{Client, Trouble};
use super::layout::{Counted, Layout, put};
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
    pub client: Arc<Client>,
    pub layout: Layout,
    pub together: Arc<Together>,
}

impl Tallies {
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
        let (all, revision) = self.all().await?;
        let mut watch = self.client.watch(self.layout.counted(revision.saturating_add(1))).await?;
        self.together.hear_all(&all);
        loop {
            for event in watch.next().await?.events {
                let Some(kv) = event.kv else { continue };
                let Some(who) = self.layout.account(&kv.key) else { continue };
                let tally = (event.kind != 1).then(|| read(&kv.value));
                self.together.hear(&who, tally, kv.modified);
            }
        }
    }

    /// All tallies, and the revision at which they were so.
    async fn all(&self) -> Result<(HashMap<AccountId, (Tally, i64)>, i64), Trouble> {
        let (key, end) = self.layout.counts();
        let mut request = RangeRequest { key, end, limit: PAGE, ..RangeRequest::default() };
        let mut all = HashMap::new();
        loop {
            let page = self.client.range(request.clone(), PATIENCE).await?;
            if request.revision == 0 {
                request.revision = page.header.unwrap_or_default().revision;
            }
            if let Some(last) = page.kvs.last() {
                request.key = [&*last.key, &[0]].concat();
            }
            let known = |kv: KeyValue| Some((self.layout.account(&kv.key)?, (read(&kv.value), kv.modified)));
            all.extend(page.kvs.into_iter().filter_map(known));
            if !page.more {
                return Ok((all, request.revision));
            }
        }
    }

    /// Tells what this KDC counts, for ever.
    pub async fn tell(self) {
        loop {
            self.together.anything().await;
            loop {
                let due = self.together.take(AT_ONCE, &mut mark);
                if due.is_empty() {
                    break;
                }
                while let Err(trouble) = self.once(&due).await {
                    tracing::debug!(%trouble, "other KDCs are not told of failed logins");
                    self.together.reaches(false);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Told again as it is, it counts once: each tally names what wrote it.
    async fn once(&self, due: &[Due]) -> Result<(), Trouble> {
        let success = due.iter().map(|due| Step::Txn(self.step(due)).into()).collect();
        let answer = self.client.txn(TxnRequest { success, ..TxnRequest::default() }, PATIENCE).await?;
        let revision = answer.header.map_or(0, |header| header.revision);
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
            self.together.overtaken(due, tally, at);
        }
        self.together.reaches(true);
        Ok(())
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
