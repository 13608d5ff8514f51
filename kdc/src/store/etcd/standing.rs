//! How far the copy has come, and whether it hears of changes: what the tasks that follow etcd tell each
//! other and everybody else. Not here: how they find out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::layout::Head;
use crate::core::StoreError;
use crate::core::store::Standing;
use crate::store::redb::Position;

/// Where the copy is and what is known of etcd.
pub struct Progress {
    applied: watch::Sender<Applied>,
    /// Whether the copy ever had all there was.
    begun: watch::Sender<bool>,
    /// Why changes can't be made, if so.
    trouble: watch::Sender<Option<String>>,
    /// Why etcd takes nothing from this KDC, though it answers, if so.
    refusal: watch::Sender<Option<String>>,
    known: Mutex<Known>,
    /// The copy is older than it may be.
    stale: AtomicBool,
    /// How old it may be.
    bound: Option<Duration>,
    /// The follower is to begin anew.
    pub again: Notify,
    /// Others wait until this KDC says how far it is.
    pub tell: Notify,
}

/// How far the copy has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub cluster: u64,
    pub revision: i64,
    pub head: Head,
    pub epoch: u64,
}

struct Known {
    /// When the copy last had all there was.
    whole: Instant,
    /// Up to here nothing else is to come.
    quiet: i64,
    /// The last commits that were heard of, whoever made them, with their revisions.
    commits: VecDeque<(Head, i64)>,
}

/// How many of them: more than are made while an answer is waited for.
const REMEMBERED: usize = 10_000;

impl Progress {
    pub fn new(bound: Option<Duration>) -> Self {
        let known = Known { whole: Instant::now(), quiet: 0, commits: VecDeque::new() };
        Progress {
            applied: watch::Sender::default(),
            begun: watch::Sender::default(),
            trouble: watch::Sender::default(),
            refusal: watch::Sender::default(),
            known: Mutex::new(known),
            stale: AtomicBool::new(false),
            bound,
            again: Notify::new(),
            tell: Notify::new(),
        }
    }

    /// How far the copy has come, and how far it comes.
    pub fn applied(&self) -> watch::Receiver<Applied> {
        self.applied.subscribe()
    }

    /// The copy has come here.
    pub fn at(&self, position: &Position) {
        let head = Head::read(&position.head).unwrap_or_default();
        let Position { cluster, revision, epoch, .. } = *position;
        self.applied.send_replace(Applied { cluster, revision, head, epoch });
    }

    /// The copy was made anew of all there is, perhaps of another history, whose revisions are its own.
    pub fn refilled(&self, position: &Position) {
        self.at(position);
        self.heard(Head::read(&position.head).unwrap_or_default(), position.revision);
        self.known().quiet = position.revision;
    }

    /// A commit is heard of.
    pub fn heard(&self, head: Head, revision: i64) {
        let mut known = self.known();
        known.commits.push_back((head, revision));
        if known.commits.len() > REMEMBERED {
            known.commits.pop_front();
        }
    }

    /// At which revision a commit was made, if it was heard of.
    pub fn made(&self, head: &Head) -> Option<i64> {
        self.known().commits.iter().rev().find(|(heard, _)| heard == head).map(|(_, revision)| *revision)
    }

    /// At `when` the copy had all there was; up to `quiet` nothing else is to come.
    pub fn whole(&self, when: Instant, quiet: i64) {
        let mut known = self.known();
        known.whole = known.whole.max(when);
        known.quiet = known.quiet.max(quiet);
        drop(known);
        if self.trouble.send_replace(None).is_some() {
            tracing::info!("etcd answers again: changes can be made");
        }
        self.begun.send_replace(true);
        self.measure();
    }

    /// Returns once the copy has had all there was.
    pub async fn begun(&self) {
        // Its sender lives as long as this.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    /// Returns once changes can be made.
    #[cfg(test)]
    pub async fn can_change(&self) {
        // Its sender lives as long as this.
        let _ = self.trouble.subscribe().wait_for(Option::is_none).await;
    }

    /// Whether a commit is the last one of `before`, or was heard of after that.
    pub fn is_onwards(&self, before: &Head, commit: &Head) -> bool {
        let known = self.known();
        let mut later = known.commits.iter().rev().map(|(heard, _)| heard).take_while(|heard| *heard != before);
        before == commit || later.any(|heard| heard == commit)
    }

    /// Returns once changes can't be made for a reason with these words in it.
    #[cfg(test)]
    pub async fn cannot_change(&self, words: &str) {
        let says = |trouble: &Option<String>| trouble.as_ref().is_some_and(|trouble| trouble.contains(words));
        let _ = self.trouble.subscribe().wait_for(says).await;
    }

    /// Changes can't be made, and why.
    pub fn away(&self, trouble: String) {
        if self.trouble.send_replace(Some(trouble.clone())).is_none() {
            tracing::error!(%trouble, "tickets go on from this KDC's copy");
        }
        self.measure();
    }

    /// etcd took, or refused to take, what this KDC puts there all the time.
    pub fn takes(&self, refusal: Option<String>) {
        let before = self.refusal.send_replace(refusal.clone());
        match (before, refusal) {
            (None, Some(refusal)) => tracing::error!(%refusal, "nothing can be changed; tickets go on"),
            (Some(_), None) => tracing::info!("etcd takes changes again"),
            _ => {}
        }
    }

    /// Returns once etcd takes what is put there, or refuses it.
    #[cfg(test)]
    pub async fn comes_to_take(&self, taken: bool) {
        // Its sender lives as long as this.
        let _ = self.refusal.subscribe().wait_for(|refusal| refusal.is_none() == taken).await;
    }

    /// Why changes can't be made, if so.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// Up to which revision nothing else is to come.
    pub fn quiet(&self) -> i64 {
        self.known().quiet
    }

    /// For the store's users.
    pub fn standing(&self) -> Standing {
        let trouble = self.trouble().or_else(|| self.refusal.borrow().clone());
        Standing { lag: Some(self.known().whole.elapsed()), trouble }
    }

    /// Refuses to read what is too old.
    pub fn fresh(&self) -> Result<(), StoreError> {
        match self.stale.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(StoreError::Storage("the copy of the realm is older than `max_staleness` allows".into())),
        }
    }

    fn measure(&self) {
        let stale = self.bound.is_some_and(|bound| self.known().whole.elapsed() > bound);
        if self.stale.swap(stale, Ordering::Relaxed) != stale {
            match stale {
                true => tracing::error!("the copy is older than `max_staleness`: no tickets until etcd is back"),
                false => tracing::info!("the copy is fresh again"),
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
