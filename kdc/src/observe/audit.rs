//! The audit file: a JSON line for each request, for machines that look for what should not be.
//!
//! A line is written before its reply is sent, with one call that appends, so that neither a crash
//! nor a second writer tears it. A disk that is slow slows the KDC. A disk that is full stops the
//! audit and not the realm: the log says so at once, and the file itself says how many lines are
//! missing as soon as it can be written again.

#![allow(clippy::disallowed_types, reason = "the door of one file")]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// A file of audit records.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Records that could not be written since the last that was.
    lost: u64,
}

impl Audit {
    /// Opens the file, or makes it, readable by its owner only.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(path: &Path) -> io::Result<Audit> {
        Ok(Audit { path: path.to_owned(), state: Mutex::new(State { file: open(path)?, lost: 0 }) })
    }

    /// Opens the file anew, for it may have been moved away.
    ///
    /// # Errors
    /// Those of the system; the old file stays in use then.
    pub fn reopen(&self) -> io::Result<()> {
        let file = open(&self.path)?;
        self.lock().file = file;
        Ok(())
    }

    /// How many records are missing at the moment.
    pub fn lost(&self) -> u64 {
        self.lock().lost
    }

    #[cfg(test)]
    pub(super) fn move_to(&mut self, path: &Path) {
        self.path = path.to_owned();
    }

    pub(super) fn append(&self, record: &impl Serialize) {
        let mut line = Vec::with_capacity(512);
        // Serializing to memory can't fail: there are no maps with odd keys in a record.
        let _ = serde_json::to_writer(&mut line, record);
        line.push(b'\n');
        let mut state = self.lock();
        match state.append(&line) {
            Ok(0) => {}
            Ok(lost) => tracing::error!(file = %self.path.display(), lost, "audit records are missing"),
            Err(error) if state.lost == 1 => {
                tracing::error!(file = %self.path.display(), %error, "audit records can't be written");
            }
            Err(_) => {}
        }
    }

    /// Whoever panicked while holding the lock left a file that can be appended to.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes a line, and how many were lost before it.
    fn append(&mut self, line: &[u8]) -> io::Result<u64> {
        let lost = self.lost;
        let written = if lost == 0 {
            self.file.write_all(line)
        } else {
            // The last line may be torn: it ends here.
            let gap = format!("\n{{\"lost\":{lost}}}\n");
            self.file.write_all(&[gap.as_bytes(), line].concat())
        };
        self.lost = if written.is_ok() { 0 } else { lost + 1 };
        written.map(|()| lost)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}
