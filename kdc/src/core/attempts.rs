//! Failed proofs counted, so that nobody guesses on (MIT's lockout). The core says what a proof came
//! to; where the counts are kept is elsewhere ([`Attempts`]).

use libkrb::Time;

use super::password_policy::PasswordPolicy;
use super::store::StoreError;

/// An account, whatever it is called.
pub type AccountId = [u8; 16];

/// What is remembered of the proofs of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Failures in a row.
    pub failures: u32,
    /// When the last proof failed.
    pub last_failure: Option<Time>,
    /// When the last proof held.
    pub last_success: Option<Time>,
}

/// When failures lock an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lockout {
    /// So many in a row.
    pub max_failures: u32,
    /// Counted anew after so long without one, in seconds; 0: never.
    pub interval: i64,
    /// For so long, in seconds; 0: until an administrator opens it.
    pub duration: i64,
}

impl Lockout {
    /// The rule of a policy, if it has one.
    pub fn of(policy: &PasswordPolicy) -> Option<Lockout> {
        let PasswordPolicy { max_failures, failure_interval: interval, lockout_duration: duration, .. } = *policy;
        (max_failures > 0).then_some(Lockout { max_failures, interval, duration })
    }

    /// Whether an account of this record is locked.
    pub fn locks(&self, record: &Record, now: Time) -> bool {
        let held = record.last_failure.is_none_or(|last| self.duration == 0 || now < last + self.duration);
        record.failures >= self.max_failures && held
    }
}

/// What a proof came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// The client has the key.
    Yes,
    /// It has the key, which is not all that it can prove: who has that guesses at the rest no more often.
    Partly,
    /// It has not: so many wrong guesses were in one request.
    No(u32),
    /// Neither: a clock that is off, a message sent twice.
    Unclear,
    /// A guess that was counted was never looked at.
    Withdrawn,
}

/// What a try was allowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was made.
    Made,
    /// It was not made, since the account is locked.
    Locked,
    /// It was not made, since another KDC may be counting: it is to be made again.
    Busy,
}

/// Where attempts are counted. No write per login: an implementation keeps them in memory and writes
/// them down in batches.
pub trait Attempts: Send + Sync {
    /// Makes one try, unless the account is locked; `try_it` is told how many guesses are left. Of
    /// one account no two tries with a `lockout` are made at once: else many at once would be more
    /// guesses than the rule allows.
    fn attempt(
        &self,
        who: &AccountId,
        lockout: Option<&Lockout>,
        now: Time,
        try_it: &mut dyn FnMut(u32) -> Proven,
    ) -> Tried;

    /// What is remembered of an account.
    fn record(&self, who: &AccountId) -> Record;

    /// Opens a locked account, durably.
    ///
    /// # Errors
    /// [`StoreError`] when it is open now, but that can't be written down.
    fn unlock(&self, who: &AccountId) -> Result<(), StoreError>;

    /// Remembers nothing of an account any more: there is none of this id, and there will be none.
    fn forget(&self, who: &AccountId);
}

/// Where records outlive the process.
pub trait Ledger: Send + Sync {
    /// What is written down of an account.
    ///
    /// # Errors
    /// [`StoreError`] if that can't be read; never for an account of which nothing is.
    fn record(&self, who: &AccountId) -> Result<Option<Record>, StoreError>;

    /// Writes down all of these or none, durably; `None` takes a record out.
    ///
    /// # Errors
    /// [`StoreError`] if they can't be written.
    fn write_down(&self, records: &[(AccountId, Option<Record>)]) -> Result<(), StoreError>;
}

impl Record {
    /// The record after a try.
    #[must_use]
    pub fn after(self, proven: Proven, lockout: Option<&Lockout>, now: Time) -> Record {
        match proven {
            Proven::Yes => Record { failures: 0, last_success: Some(now), ..self },
            Proven::No(guesses) => {
                let failures = self.counting(lockout, now).saturating_add(guesses);
                Record { failures, last_failure: Some(now), ..self }
            }
            Proven::Partly => Record { last_success: Some(now), ..self },
            Proven::Unclear => self,
            Proven::Withdrawn => Record { failures: self.failures.saturating_sub(1), ..self },
        }
    }

    /// How many guesses are left.
    pub fn guesses(&self, lockout: Option<&Lockout>, now: Time) -> u32 {
        lockout.map_or(u32::MAX, |rule| rule.max_failures.saturating_sub(self.counting(lockout, now)))
    }

    /// The failures that still count.
    pub fn counting(&self, lockout: Option<&Lockout>, now: Time) -> u32 {
        let Some(rule) = lockout else { return self.failures };
        let stale = self.last_failure.is_some_and(|last| rule.interval > 0 && now >= last + rule.interval);
        // A lock that has run out begins with a clean count.
        let over = self.failures >= rule.max_failures;
        if !rule.locks(self, now) && (stale || over) { 0 } else { self.failures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000);
    const RULE: Lockout = Lockout { max_failures: 3, interval: 600, duration: 300 };

    fn failed(times: u32) -> Record {
        (0..times).fold(Record::default(), |record, _| record.after(Proven::No(1), Some(&RULE), NOW))
    }

    #[test]
    fn failures_in_a_row_lock_until_the_time_is_over() {
        assert!(!RULE.locks(&failed(2), NOW));
        assert!(RULE.locks(&failed(3), NOW));
        assert!(RULE.locks(&failed(3), NOW + 299));
        assert!(!RULE.locks(&failed(3), NOW + 300));
    }

    #[test]
    fn without_a_duration_a_lock_holds_until_it_is_opened() {
        let rule = Lockout { duration: 0, ..RULE };
        assert!(rule.locks(&failed(3), NOW + 1_000_000_000));
    }

    #[test]
    fn a_lock_that_has_run_out_begins_with_a_clean_count() {
        let later = failed(3).after(Proven::No(1), Some(&RULE), NOW + 300);
        assert_eq!(later.failures, 1);
    }

    #[test]
    fn a_success_and_a_long_pause_clear_the_count_and_what_is_unclear_changes_nothing() {
        assert_eq!(failed(2).after(Proven::Yes, Some(&RULE), NOW).failures, 0);
        assert_eq!(failed(2).after(Proven::No(1), Some(&RULE), NOW + 600).failures, 1);
        assert_eq!(failed(2).after(Proven::Unclear, Some(&RULE), NOW), failed(2));
    }
}
