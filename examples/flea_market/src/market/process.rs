//! The processes of the market: each is this same program with another command, and writes its log to
//! a file. They end with the one that started them, whatever its end: their standard input is its.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::tell;
use crate::chassis::Error;

/// For a process to say where it listens, and for one to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a process may know of the environment of this one.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "RUST_LOG", "RUST_BACKTRACE"];

/// A running process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Closed to end it.
    input: Option<ChildStdin>,
    address: SocketAddr,
    /// Where it says how it is, if it does.
    operations: Option<SocketAddr>,
    log: PathBuf,
    /// Changes with every line of the log.
    lines: watch::Receiver<()>,
}

impl Process {
    /// Starts this program with another command, and waits until it says where it listens. Its log
    /// goes to `<logs>/<name>.log`, and in brief to the terminal if `loud`.
    ///
    /// # Errors
    /// When it does not start; with what it said last.
    pub async fn start(
        name: &str,
        arguments: Vec<OsString>,
        (logs, krb5_conf): (&Path, &Path),
        loud: bool,
    ) -> Result<Process, Error> {
        let log = logs.join(format!("{name}.log"));
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(name).args(arguments).env_clear().env("KRB5_CONFIG", krb5_conf);
        command.envs(ENVIRONMENT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is for the market, which ends the others in their order.
        command.process_group(0);
        let mut child = command.spawn()?;
        let (stdout, stderr) = child.stdout.take().zip(child.stderr.take()).ok_or("a process without pipes")?;
        let (told, lines) = watch::channel(());
        let keeping = tokio::spawn(keep(stderr, log.clone(), told, loud));
        let (address, operations) = match timeout(PATIENCE, listening(BufReader::new(stdout).lines())).await {
            Ok(Some(addresses)) => addresses,
            _ => {
                // All that it has said is to be in the file.
                child.kill().await?;
                keeping.await?;
                return Err(format!("{name} did not start: {}", last_words(&log)).into());
            }
        };
        // Held here, for whoever waits for a child closes what the child holds.
        Ok(Process { name: name.to_owned(), input: child.stdin.take(), child, address, operations, log, lines })
    }

    /// How it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it says how it is, if it does.
    pub fn operations(&self) -> Option<SocketAddr> {
        self.operations
    }

    /// Its process id; `None` when it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for a line of its log with all of these words.
    ///
    /// # Errors
    /// When there is none after a while.
    pub async fn says(&self, words: &[&str]) -> Result<(), Error> {
        let mut lines = self.lines.clone();
        let search = async {
            loop {
                lines.mark_unchanged();
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                if log.lines().any(|line| words.iter().all(|word| line.contains(word)))
                    || lines.changed().await.is_err()
                {
                    return;
                }
            }
        };
        timeout(PATIENCE, search).await.map_err(|_| format!("{} did not log {}", self.name, words.join(" ")).into())
    }

    /// Waits until it ends of itself.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) {
        drop(self.input.take());
        if timeout(PATIENCE, self.child.wait()).await.is_err() {
            // It is killed when dropped.
            tell::problem(&self.name, "does not end, and is killed");
        }
    }
}

/// The addresses in the lines that say so; the one for operators comes first.
async fn listening(mut lines: Lines<BufReader<ChildStdout>>) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let mut operations = None;
    loop {
        let line = lines.next_line().await.ok()??;
        if let Some(address) = line.strip_prefix("operations on ") {
            operations = address.parse().ok();
        }
        if let Some(address) = line.strip_prefix("listening on ") {
            return Some((address.parse().ok()?, operations));
        }
    }
}

/// Keeps what a process says in a file, and tells it in brief.
async fn keep(stderr: ChildStderr, log: PathBuf, told: watch::Sender<()>, loud: bool) {
    let Ok(mut file) = OpenOptions::new().append(true).create(true).open(&log) else { return };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A full disk is no reason to stop a service.
        let _ = file.write_all(format!("{line}\n").as_bytes());
        told.send_replace(());
        if loud {
            tell::line(&line);
        }
    }
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it said nothing").to_owned()
}
