//! A daemon that runs while a test does: started, awaited by a word that it prints, ended at last.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use crate::PATIENCE;

/// A running daemon. Killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: Arc<Log>,
}

/// What was printed, and a bell that rings when there is more.
#[derive(Debug, Default)]
struct Log {
    text: Mutex<String>,
    more: Condvar,
}

impl Daemon {
    /// Starts `command` and waits for a line with `ready` in it, on stdout or stderr.
    pub fn start(mut command: Command, ready: &'static str) -> Daemon {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let log = Arc::new(Log::default());
        let (sender, receiver) = channel();
        listen(child.stdout.take().expect("a piped stdout"), &log, ready, sender.clone());
        listen(child.stderr.take().expect("a piped stderr"), &log, ready, sender);
        let daemon = Daemon { name, child, log };
        daemon.wait_until_ready(&receiver, ready);
        daemon
    }

    fn wait_until_ready(&self, receiver: &Receiver<()>, ready: &str) {
        if let Err(why) = receiver.recv_timeout(PATIENCE) {
            panic!("{} never said '{ready}' ({why}):\n{}", self.name, self.log());
        }
    }

    /// Everything it has printed so far.
    pub fn log(&self) -> String {
        self.log.text.lock().map(|text| text.clone()).unwrap_or_default()
    }

    /// Waits until `text` stands in what it has printed: a client may have its answer first.
    #[track_caller]
    pub fn says(&self, text: &str) {
        let log = self.log.text.lock().expect("the log");
        let (log, _) = self.log.more.wait_timeout_while(log, PATIENCE, |log| !log.contains(text)).expect("the log");
        let said = log.contains(text);
        drop(log);
        assert!(said, "{} never said '{text}'", self.name);
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        if let Ok(Some(status)) = self.child.try_wait() {
            return status;
        }
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("a running daemon to signal");
        self.child.wait().expect("the daemon's exit status")
    }

    /// Ends it without a warning (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            crate::tool::tell(&format!("---- what {} printed:\n{}", self.name, self.log()));
        }
    }
}

/// Keeps what the daemon prints, on a thread that ends with it.
fn listen(stream: impl Read + Send + 'static, log: &Arc<Log>, ready: &'static str, sender: Sender<()>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        // Dropped at the end of the stream, so that a daemon that dies early is noticed at once.
        let mut waiting = Some(sender);
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let is_ready = line.contains(ready);
            if let Ok(mut text) = log.text.lock() {
                text.push_str(&line);
                text.push('\n');
            }
            log.more.notify_all();
            if is_ready && let Some(sender) = waiting.take() {
                // Nobody listens any more once the start is over.
                let _ = sender.send(());
            }
        }
    });
}
