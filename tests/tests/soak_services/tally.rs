//! What became of all the calls.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts, and the words of whatever must not be.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answered as was to be, at once.
    pub at_once: AtomicU64,
    /// The same, after further tries.
    pub after_a_while: AtomicU64,
    /// Of things that must not be taken, those that were not.
    pub kept_out: AtomicU64,
    retries: Mutex<BTreeMap<String, u64>>,
    disturbances: Mutex<BTreeMap<&'static str, u64>>,
    wrong: Mutex<Vec<String>>,
}

/// So much of what is wrong is enough to know.
const ENOUGH: usize = 20;

impl Tally {
    /// A try that did not do, and why.
    pub fn tried(&self, why: &str) {
        *self.retries.lock().expect("the tally").entry(why.to_owned()).or_default() += 1;
    }

    /// Something was disturbed.
    pub fn disturbed(&self, what: &'static str) {
        *self.disturbances.lock().expect("the tally").entry(what).or_default() += 1;
    }

    /// Something was accepted or refused wrongly.
    pub fn wrong(&self, what: String) {
        let mut wrong = self.wrong.lock().expect("the tally");
        if wrong.len() < ENOUGH {
            wrong.push(what);
        }
    }

    /// Nothing is wrong, and enough was tried to say so.
    pub fn assert_good(&self) {
        let wrong = self.wrong.lock().expect("the tally");
        assert!(wrong.is_empty(), "wrongly accepted or refused: {wrong:#?}");
        assert!(read(&self.at_once) > 0 && read(&self.kept_out) > 0, "nothing was tried: {self}");
        let disturbed = self.disturbances.lock().expect("the tally").len();
        assert_eq!(disturbed, crate::disturbances::KINDS, "not all was disturbed: {self}");
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} answered at once, {} after a while", read(&self.at_once), read(&self.after_a_while))?;
        writeln!(f, "{} kept out that must not get in", read(&self.kept_out))?;
        for (what, count) in &*self.disturbances.lock().expect("the tally") {
            writeln!(f, "{count} times: {what}")?;
        }
        for (why, count) in &*self.retries.lock().expect("the tally") {
            writeln!(f, "{count} further tries: {why}")?;
        }
        Ok(())
    }
}
