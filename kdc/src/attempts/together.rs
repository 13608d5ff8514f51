//! Failures that the KDCs of a realm count together: what is known of the realm's count of an account, and
//! what this KDC adds to it. Of one account a KDC has one failure at most that the others cannot know of
//! yet: so all of them together let through one guess each more than the rule allows, and no more. Who
//! proves itself waits for nobody. Not here: how KDCs tell each other (`store::etcd`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libkrb::Time;
use tokio::sync::{Notify, watch};

use super::{Accounts, SHARDS};
use crate::core::StoreError;
use crate::core::attempts::{AccountId, Proven, Record};

/// How long it may take until all know that an account is open.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the realm counts of an account that failed; of all others it has nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Failures in a row, wherever they were.
    pub failures: u32,
    /// When the last of them was.
    pub last_failure: Option<Time>,
    /// Which count this is: another one begins when it is cleared.
    pub count: u64,
    /// What wrote it, so that whoever has lost the answer finds it again.
    pub mark: u64,
}

/// What one KDC adds to a tally.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The count that is over, if it is the one that there is.
    clears: Option<u64>,
    adds: i64,
    last_failure: Option<Time>,
}

/// A share that is to be told, and how the tally was when it was last heard of.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Whose.
    pub who: AccountId,
    /// The revision of what is there; 0: nothing.
    pub revision: i64,
    /// What is to be there.
    pub tally: Option<Tally>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    tally: Option<Tally>,
    revision: i64,
    /// At which revision it was so: an answer may be older than what was heard of meanwhile.
    heard: i64,
    /// On its way.
    sent: Option<(Share, u64)>,
    /// Not on its way yet.
    waiting: Option<Share>,
}

#[derive(Default)]
struct Part {
    known: Mutex<Accounts<Known>>,
    /// What was added of somebody is known to all, for those who wait for it.
    settled: Condvar,
}

/// What a KDC knows of the realm's count, and adds to it.
pub struct Together {
    parts: Box<[Part]>,
    /// Of whom something waits to be told.
    due: Mutex<Vec<AccountId>>,
    /// There is something to tell.
    told: Notify,
    /// The realm's count was heard of since the start.
    begun: watch::Sender<bool>,
    /// The others hear of what is told.
    reached: AtomicBool,
}

impl Default for Together {
    fn default() -> Self {
        Together {
            parts: (0..SHARDS).map(|_| Part::default()).collect(),
            due: Mutex::default(),
            told: Notify::new(),
            begun: watch::Sender::default(),
            reached: AtomicBool::new(false),
        }
    }
}

impl Share {
    /// The tally with this in it. A count that begins has `mark` for its name.
    fn upon(&self, tally: Option<Tally>, mark: u64) -> Option<Tally> {
        let base = tally.filter(|tally| self.clears != Some(tally.count));
        let Tally { failures, last_failure, count, .. } = base.unwrap_or(Tally { count: mark, ..Tally::default() });
        let failures = i64::from(failures).saturating_add(self.adds);
        let failures = u32::try_from(failures.max(0)).unwrap_or(u32::MAX);
        (failures > 0).then(|| Tally { failures, last_failure: last_failure.max(self.last_failure), count, mark })
    }

    /// This, and then `later`.
    fn and(self, later: Share) -> Share {
        let last_failure = self.last_failure.max(later.last_failure);
        match later.clears {
            Some(_) => Share { clears: self.clears.or(later.clears), adds: later.adds, last_failure },
            None => Share { adds: self.adds.saturating_add(later.adds), last_failure, ..self },
        }
    }
}

impl Known {
    /// The tally with what this KDC adds in it.
    fn whole(&self) -> Option<Tally> {
        let sent = self.sent.filter(|(_, mark)| self.tally.is_none_or(|tally| tally.mark != *mark));
        let tally = sent.map_or(self.tally, |(share, mark)| share.upon(self.tally, mark));
        self.waiting.map_or(tally, |share| share.upon(tally, 0))
    }

    /// Which count a success ends.
    fn count(&self) -> Option<u64> {
        self.sent.map(|(_, mark)| self.tally.map_or(mark, |tally| tally.count)).or(self.tally.map(|it| it.count))
    }

    fn is_settled(&self) -> bool {
        self.sent.is_none() && self.waiting.is_none()
    }

    /// Whether there is a failure here that others can't know of.
    fn hides(&self) -> bool {
        [self.waiting, self.sent.map(|(share, _)| share)].into_iter().flatten().any(|share| share.adds > 0)
    }
}

impl Part {
    fn lock(&self) -> MutexGuard<'_, Accounts<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Together {
    fn of(&self, who: &AccountId) -> &Part {
        &self.parts[usize::from(who[0]) % SHARDS]
    }

    fn part(&self, who: &AccountId) -> MutexGuard<'_, Accounts<Known>> {
        self.of(who).lock()
    }

    /// Whether the others hear of what is told here. Where not, this KDC counts on for itself.
    pub fn is_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Whether the others hear of it is known.
    pub fn reaches(&self, reached: bool) {
        self.reached.store(reached, Ordering::Relaxed);
    }

    /// Whether the realm's count was heard of since the start; until then counts what is written down here.
    pub(super) fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Returns once it was.
    pub async fn begun(&self) {
        // Its sender lives as long as this.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    /// Whether a further guess has to wait until the others know of the one before it.
    pub(super) fn is_to_wait(&self, who: &AccountId) -> bool {
        self.is_reached() && self.part(who).get(who).is_some_and(Known::hides)
    }

    /// A record as all KDCs count it. `ours`: its failures were the realm's, as they were once.
    pub(super) fn over(&self, who: &AccountId, record: Record, ours: bool) -> Record {
        if !self.has_begun() {
            return record;
        }
        match self.part(who).get(who) {
            Some(known) => {
                let Tally { failures, last_failure, .. } = known.whole().unwrap_or_default();
                Record { failures, last_failure: record.last_failure.max(last_failure), ..record }
            }
            None if ours => Record { failures: 0, ..record },
            None => record,
        }
    }

    /// Adds what a proof came to, to be told. `anew`: failures before this one count no more.
    pub(super) fn add(&self, who: &AccountId, proven: Proven, anew: bool, now: Time) {
        let mut part = self.part(who);
        let known = match part.entry(*who) {
            // Of who has not failed nobody is told anything.
            Entry::Vacant(_) if !matches!(proven, Proven::No(_)) => return,
            entry => entry.or_default(),
        };
        let before = known.waiting.unwrap_or_default();
        let anew_with = |adds| Share { clears: known.count().or(before.clears), adds, last_failure: None };
        let share = match proven {
            Proven::Yes if known.whole().is_none() => return,
            Proven::Yes => anew_with(0),
            Proven::No(guesses) => {
                let adds = i64::from(guesses);
                let share = if anew { anew_with(adds) } else { before.and(Share { adds, ..Share::default() }) };
                Share { last_failure: Some(now), ..share }
            }
            Proven::Withdrawn => before.and(Share { adds: -1, ..Share::default() }),
            Proven::Partly | Proven::Unclear => return,
        };
        let waits = known.waiting.replace(share).is_some();
        drop(part);
        if !waits {
            self.due.lock().unwrap_or_else(PoisonError::into_inner).push(*who);
            self.told.notify_one();
        }
    }

    /// Begins another count of an account, and waits until all know.
    ///
    /// # Errors
    /// When they don't in time: they will when they can be reached.
    pub(super) fn open(&self, who: &AccountId) -> Result<(), StoreError> {
        let away = || StoreError::ReadOnly("read-only: no quorum; the account is open at this KDC only, so far".into());
        if !self.has_begun() {
            return Err(away());
        }
        self.add(who, Proven::Yes, false, Time::EPOCH);
        let is_open = |part: &mut Accounts<Known>| part.get(who).is_some_and(|known| !known.is_settled());
        let Part { known, settled } = self.of(who);
        let part = known.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = settled.wait_timeout_while(part, PATIENCE, is_open).unwrap_or_else(PoisonError::into_inner);
        if waited.1.timed_out() { Err(away()) } else { Ok(()) }
    }

    /// Waits until there is something to tell.
    pub async fn anything(&self) {
        self.told.notified().await;
    }

    /// What is to be told, of so many accounts at most. Each is to be settled, or told again as it is.
    pub fn take(&self, most: usize, mark: &mut dyn FnMut() -> u64) -> Vec<Due> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let left = due.len().saturating_sub(most);
        let taken = due.split_off(left);
        drop(due);
        let mut all = vec![];
        for who in taken {
            let mut part = self.part(&who);
            let Some(known) = part.get_mut(&who) else { continue };
            let Some(share) = known.waiting.take() else { continue };
            let mark = mark();
            let tally = share.upon(known.tally, mark);
            if tally == known.tally {
                known.tally.is_none().then(|| part.remove(&who));
                self.of(&who).settled.notify_all();
                continue;
            }
            known.sent = Some((share, mark));
            all.push(Due { who, revision: known.revision, tally });
        }
        all
    }

    /// What was told is there, at this revision.
    pub fn settle(&self, due: &Due, revision: i64) {
        let mut part = self.part(&due.who);
        let Some(known) = part.get_mut(&due.who) else { return };
        known.sent = None;
        known.hear(due.tally, revision, revision);
        if known.tally.is_none() && known.is_settled() {
            part.remove(&due.who);
        }
        self.of(&due.who).settled.notify_all();
    }

    /// What was told is not there, since somebody else was quicker: at the revision `at` this was, which was written
    /// in another.
    pub fn overtaken(&self, due: &Due, tally: Option<Tally>, revision: i64, at: i64) {
        let mut part = self.part(&due.who);
        let Some(known) = part.get_mut(&due.who) else { return };
        let Some((share, mark)) = known.sent.take() else { return };
        known.hear(tally, revision, at);
        // At a first try, whose answer was lost.
        let made = tally.is_some_and(|tally| tally.mark == mark) || (tally.is_none() && due.tally.is_none());
        if !made {
            self.wait_again(&due.who, known, share);
        } else if known.tally.is_none() && known.is_settled() {
            part.remove(&due.who);
        }
        self.of(&due.who).settled.notify_all();
    }

    /// What was to be told is not to be told as it is: it waits again.
    pub fn take_back(&self, due: &Due) {
        let mut part = self.part(&due.who);
        let Some(known) = part.get_mut(&due.who) else { return };
        if let Some((share, _)) = known.sent.take() {
            self.wait_again(&due.who, known, share);
        }
    }

    fn wait_again(&self, who: &AccountId, known: &mut Known, share: Share) {
        let waits = known.waiting.is_some();
        known.waiting = Some(known.waiting.map_or(share, |later| share.and(later)));
        if !waits {
            self.due.lock().unwrap_or_else(PoisonError::into_inner).push(*who);
            self.told.notify_one();
        }
    }

    /// Somebody changed a tally.
    pub fn hear(&self, who: &AccountId, tally: Option<Tally>, revision: i64) {
        let mut part = self.part(who);
        let known = match part.entry(*who) {
            Entry::Vacant(_) if tally.is_none() => return,
            entry => entry.or_default(),
        };
        let made = known.is_made(tally);
        known.hear(tally, revision, revision);
        if known.tally.is_none() && known.is_settled() {
            part.remove(who);
        }
        if made {
            self.of(who).settled.notify_all();
        }
    }

    /// All tallies that there are at the revision `heard`, with their own: from now on the realm's count is known.
    /// Nothing is to settle between that revision and this call.
    pub fn hear_all(&self, all: &HashMap<AccountId, (Tally, i64)>, heard: i64) {
        for part in &self.parts {
            part.lock().retain(|who, known| {
                // Also one of another history, whose revisions are not to be compared.
                (known.tally, known.revision) = all.get(who).map_or((None, 0), |(tally, at)| (Some(*tally), *at));
                known.heard = heard;
                known.is_made(known.tally);
                known.tally.is_some() || !known.is_settled()
            });
        }
        for (who, (tally, revision)) in all {
            let known = Known { tally: Some(*tally), revision: *revision, heard, ..Known::default() };
            self.part(who).entry(*who).or_insert(known);
        }
        self.begun.send_replace(true);
        self.reaches(true);
    }
}

impl Known {
    /// Whether a tally is what was sent from here. Then that is over, however its answer is lost: others may have
    /// written upon it by the time at which it is asked for again.
    fn is_made(&mut self, tally: Option<Tally>) -> bool {
        let made = self.sent.is_some_and(|(_, mark)| tally.is_some_and(|tally| tally.mark == mark));
        if made {
            self.sent = None;
        }
        made
    }

    /// This was there at the revision `at`, written in another.
    fn hear(&mut self, tally: Option<Tally>, revision: i64, at: i64) {
        if at > self.heard {
            // What is not there has no revision.
            (self.tally, self.revision) = (tally, if tally.is_some() { revision } else { 0 });
            self.heard = at;
        }
    }
}

#[cfg(test)]
mod tests;
