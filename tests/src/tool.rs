//! Runs one program to its end in an environment made for it and keeps what it said.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::PATIENCE;
use crate::family::Program;

/// A program to run: nothing of the caller's environment reaches it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Tool {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    folder: Option<PathBuf>,
    user: Option<User>,
    stdin: Vec<u8>,
    patience: Duration,
}

impl Tool {
    /// Prepares `program` with its first arguments and the libraries it loads.
    pub fn new(program: Program) -> Tool {
        let mut environment = BTreeMap::new();
        for (name, value) in [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C"), ("TZ", "UTC")] {
            environment.insert(name.into(), value.into());
        }
        if let Some(libraries) = program.libraries {
            environment.insert("LD_LIBRARY_PATH".into(), libraries.into());
        }
        let arguments = program.arguments.into_iter().map(OsString::from).collect();
        Tool {
            program: program.path,
            arguments,
            environment,
            folder: None,
            user: None,
            stdin: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Tool {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets one variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Tool {
        self.environment.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// The folder to run in.
    pub fn folder(mut self, folder: &Path) -> Tool {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Whom it runs as, for those that refuse to be root.
    pub fn user(mut self, user: User) -> Tool {
        self.user = Some(user);
        self
    }

    /// What it reads from its standard input, which is never a terminal.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Tool {
        self.stdin = bytes.into();
        self
    }

    /// How long it may take, when it is known to need long.
    pub fn patience(mut self, patience: Duration) -> Tool {
        self.patience = patience;
        self
    }

    /// The command, for those who run it themselves ([`crate::Daemon`]).
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(&self.environment);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Runs it to its end, or panics when that does not come.
    pub fn run(self) -> Said {
        let line = self.line();
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {line}: {error}"));
        let mut stdin = child.stdin.take().expect("a piped stdin");
        let input = self.stdin.clone();
        // A program that does not read its input closes the pipe: no error of the test's.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
        let code = wait(child, &line, self.patience);
        writer.join().expect("the writer of stdin");
        Said {
            line,
            code,
            stdout: stdout.join().expect("the reader of stdout"),
            stderr: stderr.join().expect("the reader of stderr"),
        }
    }

    fn line(&self) -> String {
        let words = std::iter::once(self.program.as_os_str()).chain(self.arguments.iter().map(OsString::as_os_str));
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }
}

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// The user of this name, when there is one and this test is root and so may be anybody.
    pub fn named(name: &str) -> Option<User> {
        let users = std::fs::read_to_string("/etc/passwd").ok().filter(|_| rustix::process::getuid().is_root())?;
        users.lines().find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            let [found, _, uid, gid, ..] = fields.as_slice() else { return None };
            (*found == name).then_some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
        })
    }

    /// Makes a file or folder this user's.
    pub fn owns(self, path: &Path) {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).expect("a file to give away");
    }
}

fn drain(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before a broken pipe is what there is.
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The exit code, or `None` when a signal ended it. A program that hangs is killed and blamed.
fn wait(mut child: Child, line: &str, patience: Duration) -> Option<i32> {
    let pid = rustix::process::Pid::from_child(&child);
    let (sender, receiver) = channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait();
        let _ = sender.send(());
        status.expect("an exit status").code()
    });
    if receiver.recv_timeout(patience).is_err() {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        panic!("{line} did not end within {patience:?}");
    }
    waiter.join().expect("the waiter")
}

/// What a program said before it ended.
#[derive(Clone, Debug)]
#[must_use]
pub struct Said {
    /// The command line.
    pub line: String,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Said {
    /// Whether it ended with exit code 0.
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// Asserts exit code 0.
    #[track_caller]
    pub fn succeeds(self) -> Heard {
        assert!(self.is_success(), "it was to succeed: {self}");
        Heard(self)
    }

    /// Asserts this exit code, not 0.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> Heard {
        assert_ne!(code, 0);
        assert_eq!(self.code, Some(code), "it was to fail with {code}: {self}");
        Heard(self)
    }

    /// Asserts that it ended by itself and not with exit code 0.
    #[track_caller]
    pub fn fails(self) -> Heard {
        assert!(self.code.is_some_and(|code| code != 0), "it was to fail: {self}");
        Heard(self)
    }
}

/// What a program said, once its exit code was looked at.
#[derive(Clone, Debug)]
pub struct Heard(Said);

impl Heard {
    /// Asserts that `text` stands in what it printed.
    #[track_caller]
    pub fn saying(self, text: &str) -> Heard {
        assert!(self.0.stdout.contains(text) || self.0.stderr.contains(text), "it was to say '{text}': {}", self.0);
        self
    }

    /// Asserts that `text` stands nowhere in what it printed.
    #[track_caller]
    pub fn not_saying(self, text: &str) -> Heard {
        let said = self.0.stdout.contains(text) || self.0.stderr.contains(text);
        assert!(!said, "it was not to say '{text}': {}", self.0);
        self
    }

    /// What it wrote to standard output.
    pub fn stdout(&self) -> &str {
        &self.0.stdout
    }

    /// What it wrote to standard error.
    pub fn stderr(&self) -> &str {
        &self.0.stderr
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or("a signal".to_owned(), |code| code.to_string());
        write!(f, "{}\nended with {code}\nstdout:\n{}\nstderr:\n{}", self.line, self.stdout, self.stderr)
    }
}

/// Tells something beside a failing test: test runners keep it with the test's own output.
#[expect(clippy::print_stderr, reason = "this is the one door through which the harness talks")]
pub fn tell(text: &str) {
    eprintln!("{text}");
}
