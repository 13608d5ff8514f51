//! A daemon that runs while a test does: started, awaited by a word that it prints, ended at last.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use crate::PATIENCE;

/// A running daemon. Killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: Arc<Mutex<String>>,
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
        let log = Arc::new(Mutex::new(String::new()));
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
        self.log.lock().map(|log| log.clone()).unwrap_or_default()
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
fn listen(stream: impl Read + Send + 'static, log: &Arc<Mutex<String>>, ready: &'static str, sender: Sender<()>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        // Dropped at the end of the stream, so that a daemon that dies early is noticed at once.
        let mut waiting = Some(sender);
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let is_ready = line.contains(ready);
            if let Ok(mut log) = log.lock() {
                log.push_str(&line);
                log.push('\n');
            }
            if is_ready && let Some(sender) = waiting.take() {
                // Nobody listens any more once the start is over.
                let _ = sender.send(());
            }
        }
    });
}
