//! A new process in the place of this one: the same process number, the program and settings as they
//! are on disk now, and the sockets that were open. Requests that arrive meanwhile wait in the sockets.
//!
//! The store has one owner at a time, so the old process closes it before the new one opens it; in
//! between lie a few milliseconds. Whether the new one can start is found out before the old one ends.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

/// Above what a process has open that is about to end.
const FIRST: i32 = 64;
const HIGHEST: i32 = 512;

/// How this process was started.
#[derive(Clone, Debug)]
pub struct Origin {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Origin {
    /// To be asked for early: a program that has been replaced since has no name any more.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn of_this_process() -> io::Result<Origin> {
        Ok(Origin { program: std::env::current_exe()?, arguments: std::env::args_os().skip(1).collect() })
    }

    /// Whether the program as it is on disk now finds these settings sound.
    ///
    /// # Errors
    /// What it says.
    pub fn check(&self, settings: &Path) -> Result<(), String> {
        let mut check = Command::new(&self.program);
        check.args(["check", "--config"]).arg(settings).stdin(Stdio::null());
        let checked = check.output().map_err(|error| format!("{}: {error}", self.program.display()))?;
        if checked.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&checked.stderr);
        Err(said.trim().trim_start_matches("kdc: ").to_owned())
    }

    /// Begins anew with these sockets; comes back only when that is not possible.
    pub fn renew(&self, sockets: Vec<OwnedFd>) -> io::Error {
        let sockets = match in_a_row(&sockets) {
            Ok(row) => row,
            Err(error) => return error,
        };
        let first = sockets.first().map_or(FIRST, AsRawFd::as_raw_fd);
        let mut program = Command::new(&self.program);
        program.args(&self.arguments).env("LISTEN_FDS", sockets.len().to_string());
        program.env("LISTEN_FDS_FIRST_FD", first.to_string()).env("LISTEN_PID", std::process::id().to_string());
        program.exec()
    }
}

/// Copies that outlive the change of the program, numbered one after the other.
fn in_a_row(sockets: &[OwnedFd]) -> io::Result<Vec<OwnedFd>> {
    let mut first = FIRST;
    while first < HIGHEST {
        let mut row: Vec<OwnedFd> = vec![];
        for (wanted, socket) in (first..).zip(sockets) {
            let copy = fcntl_dupfd_cloexec(socket.as_fd(), wanted)?;
            let number = copy.as_raw_fd();
            if number != wanted {
                // Somebody has that number.
                break;
            }
            row.push(copy);
        }
        if row.len() == sockets.len() {
            for socket in &row {
                fcntl_setfd(socket, FdFlags::empty())?;
            }
            return Ok(row);
        }
        first += 1 + row.len() as i32;
    }
    Err(io::Error::other("no numbers in a row are free for the sockets"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_numbered_one_after_the_other_around_those_that_are_taken() {
        let file = || OwnedFd::from(std::fs::File::open("/dev/null").expect("a file"));
        let _taken = fcntl_dupfd_cloexec(file(), FIRST + 2).expect("a copy");
        let row = in_a_row(&[file(), file(), file(), file()]).expect("copies");
        let numbers: Vec<_> = row.iter().map(AsRawFd::as_raw_fd).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
        assert!(row.iter().all(|socket| !rustix::io::fcntl_getfd(socket).expect("flags").contains(FdFlags::CLOEXEC)));
    }
}
