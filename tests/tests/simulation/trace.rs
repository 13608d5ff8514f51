//! What happened, for who looks for the cause of a failure.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// What happened, and what must not have.
pub struct Trace {
    begun: Instant,
    lines: Mutex<Vec<String>>,
    wrong: Mutex<Option<String>>,
}

impl Trace {
    /// One that begins now.
    pub fn new() -> Trace {
        Trace { begun: Instant::now(), lines: Mutex::default(), wrong: Mutex::default() }
    }

    /// Something happened.
    pub fn say(&self, what: String) {
        let line = format!("{:>9.3} {what}", self.begun.elapsed().as_secs_f64());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Something happened that must not.
    pub fn wrong(&self, what: String) {
        self.say(format!("WRONG: {what}"));
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }

    /// The first thing that happened and must not have.
    pub fn first_wrong(&self) -> Option<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of it.
    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }
}
