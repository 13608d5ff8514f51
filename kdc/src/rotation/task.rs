//! The looks: over all principals that a rule may be for, one change a principal, and a line in the log
//! for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libkrb::{Principal, Time};
use tokio::task::AbortHandle;

use super::rules::{Row, Rule, row};
use crate::admin::{
    Answer, Authority, Caller, Door, Keep, Name, Operation, Refusal, Registry, can_turn, least_overlap, now,
};
use crate::core::{Entry, Policy, Store, StoreError};

/// How many names are read at a time.
const PAGE: usize = 500;
/// No look is further away than this: rules, policies and principals change meanwhile.
const LONGEST_WAIT: i64 = 3600;
/// Nor nearer: a rule for seconds is a mistake that should not cost the KDC its time.
const SHORTEST_WAIT: i64 = 1;

/// Whose keys turn over, and who does it.
pub struct Rotation {
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
    policy: Policy,
    rows: Vec<Row>,
    stop: AtomicBool,
}

/// What a look came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Whose new keys were announced.
    pub announced: Vec<Principal>,
    /// Who lost keys that were over.
    pub purged: Vec<Principal>,
    /// When there is something to do next; `None`: not before rules or principals change.
    pub next: Option<Time>,
}

impl Rotation {
    /// By the rows of kdc.toml and the password policies in `store`, changed through `registry`.
    pub fn new(store: Arc<dyn Store>, registry: Arc<Registry>, policy: Policy, rows: Vec<Row>) -> Self {
        Rotation { store, registry, policy, rows, stop: AtomicBool::new(false) }
    }

    /// One look at `now`. What fails is logged and tried again at the next one.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn look(&self, now: Time) -> Result<Looked, StoreError> {
        let mut looked = Looked::default();
        let by_policy = self.policies_rotate()?;
        let tgs = Principal::tgs(&self.policy.realm);
        self.visit(&tgs, now, &mut looked)?;
        let mut after = None;
        while !self.stop.load(Ordering::Relaxed) && (by_policy || !self.rows.is_empty()) {
            let names = self.store.list(after.as_ref(), PAGE)?;
            for name in names.iter().filter(|name| **name != tgs && (by_policy || row(&self.rows, name).is_some())) {
                self.visit(name, now, &mut looked)?;
            }
            if names.len() < PAGE {
                break;
            }
            after = names.last().cloned();
        }
        Ok(looked)
    }

    /// Whether any password policy has keys turned over.
    fn policies_rotate(&self) -> Result<bool, StoreError> {
        for name in self.store.policies()? {
            if self.store.policy(&name)?.is_some_and(|policy| policy.rotate_keys_after > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn visit(&self, name: &Principal, now: Time, looked: &mut Looked) -> Result<(), StoreError> {
        // Gone since it was listed.
        let Some(entry) = self.store.lookup(name)? else { return Ok(()) };
        if entry.keys.iter().any(|set| !set.living(now)) && self.purge(&entry) {
            looked.purged.push(entry.principal.clone());
        }
        let mut times: Vec<Time> = entry.keys.iter().filter_map(|set| set.until).filter(|until| *until > now).collect();
        if let Some(rule) = self.rule(&entry)?.filter(|_| can_turn(&self.policy, &entry).is_ok()) {
            match rule.due(&entry, now) {
                Some(due) if due <= now => {
                    if let Some(from) = self.announce(&entry, &rule) {
                        looked.announced.push(entry.principal.clone());
                        times.push(from);
                    }
                }
                Some(due) => times.push(due),
                None => times.extend(entry.newest().map(|set| set.from)),
            }
        }
        looked.next = looked.next.into_iter().chain(times).min();
        Ok(())
    }

    /// The rule for an entry: that of its password policy, else of the first row that matches.
    fn rule(&self, entry: &Entry) -> Result<Option<Rule>, StoreError> {
        let policy = entry.policy.as_deref().map(|name| self.store.policy(name)).transpose()?.flatten();
        let least = least_overlap(&self.policy, entry);
        let of_policy = policy.and_then(|policy| Rule::of_policy(&policy, least));
        Ok(of_policy.or_else(|| row(&self.rows, &entry.principal).cloned()))
    }

    /// Announces new keys; from when they are used.
    fn announce(&self, entry: &Entry, rule: &Rule) -> Option<Time> {
        let newest = entry.newest().map(|set| set.kvno);
        let principal = Name(entry.principal.clone());
        let turn = Operation::Rotate { principal, announce: rule.announce, overlap: rule.overlap, newest };
        match self.perform(turn) {
            Ok(Answer::Rotated { kvno, from, until }) => {
                let (from, until) = (Time(from), Time(until));
                tracing::info!(principal = %entry.principal, kvno, %from, old_keys_until = %until, "keys turn over");
                Some(from)
            }
            Ok(_) => None,
            Err(refusal) => {
                tracing::warn!(principal = %entry.principal, %refusal, "keys can't be turned over");
                None
            }
        }
    }

    fn purge(&self, entry: &Entry) -> bool {
        // All that are not over stay.
        let keep = Keep::ReplacedWithin(i64::MAX);
        match self.perform(Operation::PurgeKeys { principal: Name(entry.principal.clone()), keep }) {
            Ok(_) => {
                tracing::info!(principal = %entry.principal, "old keys are over and purged");
                true
            }
            Err(refusal) => {
                tracing::warn!(principal = %entry.principal, %refusal, "old keys can't be purged");
                false
            }
        }
    }

    fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        let name = Principal::service("kdc", "rotation", &self.policy.realm);
        self.registry.perform(&Caller { name, door: Door::Kdc, authority: Authority::All }, operation)
    }
}

/// The looks of a running daemon; they end when this is dropped.
pub struct Task {
    rotation: Arc<Rotation>,
    task: AbortHandle,
}

impl Task {
    /// Looks at once, and again whenever something is due, on the tokio runtime that this is called in.
    pub fn start(rotation: Rotation) -> Task {
        let rotation = Arc::new(rotation);
        let task = tokio::spawn(run(Arc::clone(&rotation))).abort_handle();
        Task { rotation, task }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.rotation.stop.store(true, Ordering::Relaxed);
        self.task.abort();
    }
}

async fn run(rotation: Arc<Rotation>) {
    loop {
        let looking = Arc::clone(&rotation);
        let looked = tokio::task::spawn_blocking(move || looking.look(now())).await;
        let next = match looked {
            Ok(Ok(looked)) => looked.next,
            Ok(Err(error)) => {
                tracing::error!(%error, "no look at whose keys are due");
                None
            }
            Err(_) => None,
        };
        let wait = next.map_or(LONGEST_WAIT, |next| next - now()).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        tokio::time::sleep(Duration::from_secs(u64::try_from(wait).unwrap_or_default())).await;
    }
}
