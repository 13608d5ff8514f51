//! Commits: one transaction of etcd for all that wait, made onto the very state that the copy has and
//! no other (etcd compares the last commit), so that what was checked here holds there. Asked twice, it
//! is made once: no two commits have the same parent. Not here: what a commit comes to (`plan`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::answers::Answers;
use super::client::{Client, Trouble, refused};
use super::layout::{Head, Kind, Layout, put};
use super::standing::{Applied, Progress};
use super::wire::{Compare, DeleteRequest, KeyValue, Op, Step, TxnRequest, TxnResponse};
use crate::core::{Change, StoreError};
use crate::store::plan::{Base, Plan, key};
use crate::store::redb::Row;
use crate::store::{Cached, Redb, policy_record, record};

/// How long a commit may take until its caller is told that it can't be made.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same while nobody answers: one look whether somebody does again.
const BRIEF: Duration = Duration::from_millis(500);
/// How long the copy is waited for, once the commit is made.
const ARRIVES: Duration = Duration::from_secs(20);
/// What etcd takes in one transaction: rows at one level (its default is 128), and octets (1.5 MiB).
const LEVEL: usize = 100;
const OCTETS: usize = 1 << 20;
/// Octets up to which commits are made together: what is too much is to be so by itself.
const COMMON: usize = OCTETS / 2;
/// Commits that are made together.
const TOGETHER: usize = 100;

/// A commit that waits.
pub struct Job {
    pub changes: Vec<Change>,
    /// Rows that are none of principals and policies.
    pub rows: Vec<Op>,
    /// Hears at which revision it was made.
    pub answer: oneshot::Sender<Result<i64, StoreError>>,
}

/// Makes commits, one after the other.
pub struct Writer {
    pub client: Arc<Client>,
    pub layout: Layout,
    pub copy: Arc<Cached<Redb>>,
    pub progress: Arc<Progress>,
    pub jobs: mpsc::UnboundedReceiver<Job>,
    pub answers: Answers,
}

/// Commits as one transaction.
struct Batch {
    /// Those that it is of, as places among the jobs.
    members: Vec<usize>,
    /// Those that are refused.
    wrong: Vec<(usize, StoreError)>,
    parent: Head,
    rows: Vec<Op>,
}

/// What became of a transaction.
enum Made {
    /// It is, at this revision.
    At(i64),
    /// Somebody was quicker: what counts now is at this revision.
    Overtaken(i64),
}

impl Batch {
    /// Of how many jobs it is to be instead, where it is of several that are too much together: who asks for too
    /// much is to be refused alone.
    fn fewer(&self) -> Option<usize> {
        let octets: usize = self.rows.iter().map(prost::Message::encoded_len).sum();
        let middle = self.members.get(self.members.len() / 2).filter(|_| self.members.len() > 1);
        middle.copied().filter(|_| octets > COMMON)
    }
}

impl Writer {
    /// Commits for as long as there is somebody who could ask.
    pub async fn write(mut self) {
        let mut waiting: VecDeque<Job> = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match self.jobs.recv().await {
                    Some(job) => waiting.push_back(job),
                    None => return,
                }
            }
            while waiting.len() < TOGETHER
                && let Ok(job) = self.jobs.try_recv()
            {
                waiting.push_back(job);
            }
            let done = self.round(waiting.make_contiguous()).await;
            let mut results: Vec<Option<Result<i64, StoreError>>> = waiting.iter().map(|_| None).collect();
            for (place, result) in done {
                if let Some(slot) = results.get_mut(place) {
                    *slot = Some(result);
                }
            }
            let mut rest = VecDeque::new();
            for (job, result) in waiting.drain(..).zip(results) {
                match result {
                    // Whoever asked may have gone.
                    Some(result) => drop(job.answer.send(result)),
                    None => rest.push_back(job),
                }
            }
            waiting = rest;
        }
    }

    /// Commits the first of the jobs with as many others as go with it; what became of which.
    async fn round(&self, mut jobs: &[Job]) -> Vec<(usize, Result<i64, StoreError>)> {
        let patience = if self.progress.trouble().is_some() { BRIEF } else { PATIENCE };
        let deadline = Instant::now() + patience;
        let mut applied = self.progress.applied();
        let everybody = |jobs: &[Job]| (0..jobs.len()).collect::<Vec<_>>();
        let all = |error: StoreError, members: &[usize]| members.iter().map(|it| (*it, Err(error.clone()))).collect();
        if jobs.iter().flat_map(|job| &job.changes).any(|change| matches!(change, Change::Answered(_)))
            && let Err(trouble) = self.answers.prepare(&self.client).await
        {
            return all(refused(trouble), &everybody(jobs));
        }
        loop {
            if Instant::now() >= deadline {
                let others = || "others keep changing the realm; try again".to_owned();
                let error = StoreError::ReadOnly(self.progress.trouble().unwrap_or_else(others));
                return all(error, &everybody(jobs));
            }
            let batch = match self
                .copy
                .inner()
                .examine(|base, at| self.batch(base, Head::read(&at.head).unwrap_or_default(), jobs))
            {
                Ok(batch) => batch,
                Err(error) => return all(error, &everybody(jobs)),
            };
            if let Some(fewer) = batch.fewer() {
                jobs = jobs.get(..fewer).unwrap_or(jobs);
                continue;
            }
            let Batch { members, wrong, parent, rows } = batch;
            let mut done: Vec<_> = wrong.into_iter().map(|(it, error)| (it, Err(error))).collect();
            if members.is_empty() {
                return done;
            }
            if rows.is_empty() {
                let revision = applied.borrow().revision;
                done.extend(members.iter().map(|it| (*it, Ok(revision))));
                return done;
            }
            let made = self.submit(parent, rows, deadline, &mut applied).await;
            match made {
                Ok(Made::At(revision)) => {
                    let seen = arrival(&mut applied, revision, Instant::now() + ARRIVES).await;
                    done.extend(members.iter().map(|it| (*it, seen.clone().map(|()| revision))));
                    return done;
                }
                Ok(Made::Overtaken(revision)) => {
                    if let Err(error) = arrival(&mut applied, revision, deadline).await {
                        done.extend::<Vec<_>>(all(error, &members));
                        return done;
                    }
                }
                Err(trouble) => {
                    self.answers.forget();
                    if let Trouble::Away(_) = trouble {
                        self.progress.away(trouble.to_string());
                    }
                    done.extend::<Vec<_>>(all(refused(trouble), &members));
                    return done;
                }
            }
        }
    }

    /// Plans one commit upon the other; one that fails takes no other with it.
    fn batch(&self, base: &dyn Base, parent: Head, jobs: &[Job]) -> Result<Batch, StoreError> {
        let master = self.copy.inner().master.load_full();
        let (mut members, mut wrong, mut plan) = (vec![], vec![], Plan::default());
        let mut size = 0usize;
        for (place, job) in jobs.iter().enumerate() {
            // What one of them changed, another must have read before it changes that again.
            if job.changes.iter().any(|change| touches(&plan, change)) {
                continue;
            }
            let rows = job.changes.len() + job.rows.len();
            if !members.is_empty() && size + rows > TOGETHER {
                break;
            }
            match plan.clone().and(base, &job.changes) {
                Ok(more) => {
                    plan = more;
                    size += rows;
                    members.push(place);
                }
                Err(error) => wrong.push((place, error)),
            }
        }
        let jobs = members.iter().filter_map(|place| jobs.get(*place));
        let mut rows: Vec<Op> = vec![];
        for row in jobs.flat_map(|job| &job.rows) {
            // etcd takes a key once in a transaction: two may announce something.
            if !rows.contains(row) {
                rows.push(row.clone());
            }
        }
        let mut removed = vec![];
        for (name, entry) in &plan.entries {
            let row = Row::Principal(name.clone());
            match entry {
                Some(entry) => rows.push(self.layout.put_row(row, record::encode(entry, 0, &master)?)?),
                None => removed.push(row),
            }
        }
        for (name, policy) in &plan.policies {
            let row = Row::Policy(name.clone());
            match policy {
                Some(policy) => rows.push(self.layout.put_row(row, policy_record::encode(policy, 0))?),
                None => removed.push(row),
            }
        }
        for row in &removed {
            rows.push(gone(self.layout.place(row)?));
        }
        rows.extend(self.layout.put_gone(&removed)?);
        rows.extend(self.answers.rows(&self.layout, &plan.answers, &master)?);
        Ok(Batch { members, wrong, parent, rows })
    }

    /// Makes a transaction, or finds out that it is made.
    async fn submit(
        &self,
        parent: Head,
        rows: Vec<Op>,
        deadline: Instant,
        applied: &mut watch::Receiver<Applied>,
    ) -> Result<Made, Trouble> {
        let head = parent.next().map_err(|error| Trouble::Refused(error.to_string()))?;
        let request = transaction(&self.layout, parent, head, rows);
        if prost::Message::encoded_len(&request) > OCTETS {
            return Err(Trouble::Refused("too much for one commit; change less at once".into()));
        }
        let patience = deadline.saturating_duration_since(Instant::now());
        let answer = self.client.txn(request, patience).await?;
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        if answer.succeeded {
            return Ok(Made::At(revision));
        }
        match found(&answer) {
            // Made at a first try, whose answer was lost.
            Some(kv) if kv.value == head.bytes() => Ok(Made::At(kv.modified)),
            // Perhaps made at a first try, and others after it: the copy hears of every one.
            Some(kv) => {
                let caught = applied.wait_for(|applied| applied.revision >= kv.modified);
                let _ = timeout_at(deadline, caught).await;
                Ok(self.progress.made(&head).map_or(Made::Overtaken(kv.modified), Made::At))
            }
            None => Err(Trouble::Refused(format!("there is no realm at {} any more", self.layout.prefix()))),
        }
    }
}

/// Waits until the copy has come to a revision.
async fn arrival(applied: &mut watch::Receiver<Applied>, revision: i64, until: Instant) -> Result<(), StoreError> {
    let patience = until.saturating_duration_since(Instant::now());
    match timeout(patience, applied.wait_for(|applied| applied.revision >= revision)).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(StoreError::ReadOnly("read-only: this KDC does not hear of changes in etcd; look again later".into())),
    }
}

/// Whether a change is of what is planned already.
fn touches(plan: &Plan<'_>, change: &Change) -> bool {
    match change {
        Change::Create(entry) | Change::Replace(entry) => plan.entries.contains_key(&key(&entry.principal)),
        Change::Delete(name) => plan.entries.contains_key(&key(name)),
        Change::PutPolicy(policy) => plan.policies.contains_key(&policy.name),
        Change::DeletePolicy(name) => plan.policies.contains_key(name),
        // etcd takes no key twice.
        Change::Answered(answered) => plan.answers.iter().any(|other| other.request == answered.request),
    }
}

fn gone(key: Vec<u8>) -> Op {
    Step::Delete(DeleteRequest { key, end: vec![] }).into()
}

/// The rows and the new head, if the old one is what it was; else what the head is.
pub fn transaction(layout: &Layout, parent: Head, head: Head, mut rows: Vec<Op>) -> TxnRequest {
    if rows.len() >= LEVEL {
        // Each level of nested ones has so many places less.
        let chunks: Vec<Vec<Op>> = rows.chunks(LEVEL).map(<[Op]>::to_vec).collect();
        let nested = |success| Step::Txn(TxnRequest { success, ..TxnRequest::default() }).into();
        rows = chunks.into_iter().map(nested).collect();
    }
    rows.push(put(layout.key(&Kind::Head), head.bytes()));
    TxnRequest {
        compare: vec![Compare::value(layout.key(&Kind::Head), parent.bytes())],
        success: rows,
        failure: vec![Step::Range(layout.one(&Kind::Head)).into()],
    }
}

fn found(answer: &TxnResponse) -> Option<&KeyValue> {
    answer.responses.iter().filter_map(|response| response.range.as_ref()).find_map(|range| range.kvs.first())
}
