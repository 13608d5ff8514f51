//! Where a secret text comes from that must not stand in settings: a file, a file descriptor that
//! whoever started the KDC opened, a credential of systemd, or what a command prints (a KMS). Never the
//! command line. Not here: what the text means.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use libkrb::{Error, Result};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::config::duration;

/// More than any such text has; a bound for whatever stands in its place.
const MAX_TEXT: u64 = 64 * 1024;
/// How much is repeated of what a command complains of.
const MAX_COMPLAINT: usize = 2048;
/// How long a command may take unless said otherwise.
const PATIENCE: i64 = 10;
/// The variable that names the descriptor where kdc.toml only says `"fd"`.
const DESCRIPTOR: &str = "KDC_MASTER_KEY_FD";
/// The folder where systemd puts what a unit's `LoadCredential=` names.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file that not everybody can read.
    File(PathBuf),
    /// A descriptor that is open already, 3 or higher; `None`: the one that the environment names.
    Descriptor(Option<u32>),
    /// A credential of systemd, by its name.
    Credential(String),
    /// The output of a command, its words apart, and for how many seconds it is waited for.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// In seconds.
        patience: i64,
    },
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Source::File(path.to_owned())
    }
}

impl From<&PathBuf> for Source {
    fn from(path: &PathBuf) -> Self {
        Source::File(path.clone())
    }
}

impl From<&Source> for Source {
    fn from(source: &Source) -> Self {
        source.clone()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Descriptor(Some(number)) => write!(f, "fd:{number}"),
            Source::Descriptor(None) => f.write_str("fd"),
            Source::Credential(name) => write!(f, "credential:{name}"),
            Source::Command { argv, .. } => write!(f, "command {}", argv.first().map_or("", String::as_str)),
        }
    }
}

impl Source {
    /// The file, if it is one: the only source that the KDC itself can write.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Source::File(path) => Some(path),
            _ => None,
        }
    }

    /// The same, with a file taken from `folder`.
    pub fn in_folder(&mut self, folder: &Path) {
        if let Source::File(path) = self {
            *path = folder.join(&*path);
        }
    }

    /// Reads the text. A pipe can be read once.
    ///
    /// # Errors
    /// [`Error::File`] when there is none, when everybody can read it, or when the command failed.
    pub fn read(&self) -> Result<Zeroizing<String>> {
        let text = self.read_any()?;
        if !text.trim().is_empty() {
            return Ok(text);
        }
        let problem = match self {
            Source::Descriptor(_) => "there is nothing in it; a pipe can be read once, so open it anew for every start",
            Source::Command { .. } => "it printed nothing; it has to print the key's file as `kdc init` wrote it",
            Source::File(_) | Source::Credential(_) => "it is empty; restore it, without it no key can be read",
        };
        Err(Error::file(Path::new(&self.to_string()), problem))
    }

    fn read_any(&self) -> Result<Zeroizing<String>> {
        match self {
            Source::File(path) => read_file(path, path),
            Source::Descriptor(number) => {
                let number = number.map_or_else(named_descriptor, Ok)?;
                let label = PathBuf::from(format!("fd:{number}"));
                if number < 3 {
                    return Err(Error::file(&label, "a descriptor from 3 on was expected; those before are streams"));
                }
                let path = format!("/proc/self/fd/{number}");
                if std::fs::symlink_metadata(&path).is_err() {
                    let problem =
                        format!("not open; whoever starts this program has to open it: {number}</path/to/master.key");
                    return Err(Error::file(&label, problem));
                }
                read_file(Path::new(&path), &label)
            }
            Source::Credential(name) => {
                let folder = std::env::var_os(CREDENTIALS).ok_or_else(|| {
                    let problem = "no credentials are here; have systemd start the KDC, with LoadCredential= for it";
                    Error::file(Path::new(&self.to_string()), problem)
                })?;
                let path = Path::new(&folder).join(name);
                read_file(&path, &path)
            }
            Source::Command { argv, patience } => {
                let label = PathBuf::from(self.to_string());
                let patience = Duration::from_secs(u64::try_from(*patience).unwrap_or(0));
                output(argv, patience).map_err(|problem| Error::file(&label, problem))
            }
        }
    }
}

fn named_descriptor() -> Result<u32> {
    let wrong = || Error::file(Path::new("fd"), format!("{DESCRIPTOR} names no open descriptor; set it to its number"));
    std::env::var(DESCRIPTOR).ok().and_then(|number| number.parse().ok()).ok_or_else(wrong)
}

fn read_file(path: &Path, label: &Path) -> Result<Zeroizing<String>> {
    use std::os::unix::fs::PermissionsExt;
    let open = || -> std::io::Result<(File, u32)> {
        let file = OpenOptions::new().read(true).open(path)?;
        let metadata = file.metadata()?;
        // Of a pipe the mode says nothing.
        let mode = if metadata.is_file() { metadata.permissions().mode() } else { 0 };
        Ok((file, mode))
    };
    let trouble = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            Error::file(label, "No such file or directory; restore it, nothing else has what is in it")
        }
        ErrorKind::InvalidData => Error::file(label, "it is no text"),
        _ => Error::file(label, error),
    };
    let (mut file, mode) = open().map_err(trouble)?;
    if mode & 0o007 != 0 {
        let fix = format!("everybody on this machine can read this secret; chmod 600 {}", label.display());
        return Err(Error::file(label, fix));
    }
    read_text(&mut file).map_err(trouble)
}

fn read_text(from: &mut dyn Read) -> std::io::Result<Zeroizing<String>> {
    // Reserved at once, lest growing leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT as usize));
    from.take(MAX_TEXT).read_to_string(&mut text)?;
    Ok(text)
}

/// What a command prints, or what it complains of.
fn output(argv: &[String], patience: Duration) -> Result<Zeroizing<String>, String> {
    let (program, arguments) = argv.split_first().ok_or("no command given")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{error}; give its whole path"))?;
    let said = gather(child.stdout.take(), |mut pipe| read_text(&mut pipe).map_err(|error| error.to_string()));
    let complained = gather(child.stderr.take(), |mut pipe| {
        let mut text = vec![];
        let _ = (&mut pipe).take(MAX_TEXT).read_to_end(&mut text);
        Ok(Zeroizing::new(String::from_utf8_lossy(&text).into_owned()))
    });
    let deadline = Instant::now() + patience;
    let text = said.recv_timeout(patience);
    let succeeded = ended(&mut child, deadline);
    let words = complained.recv_timeout(Duration::from_secs(1)).ok().and_then(Result::ok).unwrap_or_default();
    let words = words.trim().chars().filter(|it| *it == '\n' || !it.is_control()).take(MAX_COMPLAINT);
    let words = words.collect::<String>().replace('\n', "; ");
    let because = if words.is_empty() { String::new() } else { format!(": {words}") };
    match (text, succeeded) {
        (Err(RecvTimeoutError::Timeout), _) | (_, None) => {
            Err(format!("no end after {} seconds{because}", patience.as_secs()))
        }
        (Ok(Ok(text)), Some(true)) => Ok(text),
        (Ok(Err(problem)), Some(true)) => Err(format!("its output can't be read ({problem}){because}")),
        _ => Err(format!("it failed{because}")),
    }
}

type Text = Result<Zeroizing<String>, String>;

/// Reads a pipe on a thread of its own, so that waiting for it can end.
fn gather<P: Read + Send + 'static>(pipe: Option<P>, read: impl FnOnce(P) -> Text + Send + 'static) -> Receiver<Text> {
    let (sender, receiver) = channel();
    if let Some(pipe) = pipe {
        std::thread::spawn(move || sender.send(read(pipe)));
    }
    receiver
}

/// Whether a command ended well; `None`: it did not end in time, and was ended.
fn ended(child: &mut Child, deadline: Instant) -> Option<bool> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a path, \"fd:3\", \"credential:NAME\", or { command = [\"PROGRAM\", ...] }")]
enum Written {
    Text(String),
    Command(Run),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    command: Vec<String>,
    #[serde(default = "patience", deserialize_with = "duration")]
    timeout: i64,
}

fn patience() -> i64 {
    PATIENCE
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Written::deserialize(input)? {
            Written::Text(text) => parse(&text).map_err(D::Error::custom),
            Written::Command(Run { command, .. }) if command.is_empty() => {
                Err(D::Error::custom("`command` names no program"))
            }
            Written::Command(Run { command, timeout }) => Ok(Source::Command { argv: command, patience: timeout }),
        }
    }
}

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Source, String> {
        parse(text)
    }
}

fn parse(text: &str) -> Result<Source, String> {
    if text == "fd" {
        return Ok(Source::Descriptor(None));
    }
    if let Some(number) = text.strip_prefix("fd:") {
        let number = number.parse().ok().filter(|number| *number >= 3);
        let number = number.ok_or("a descriptor from 3 on was expected, such as \"fd:3\"")?;
        return Ok(Source::Descriptor(Some(number)));
    }
    if let Some(name) = text.strip_prefix("credential:") {
        return match name.is_empty() || name.contains('/') || name.starts_with('.') {
            true => Err("the name of a credential was expected, such as \"credential:master-key\"".into()),
            false => Ok(Source::Credential(name.to_owned())),
        };
    }
    match text {
        "" => Err("a path was expected, not an empty text".into()),
        path => Ok(Source::File(path.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn command(words: &[&str], patience: i64) -> Source {
        Source::Command { argv: words.iter().map(|word| (*word).to_owned()).collect(), patience }
    }

    #[derive(Deserialize)]
    struct Settings {
        key: Source,
    }

    fn written(value: &str) -> Result<Source, String> {
        toml::from_str::<Settings>(&format!("key = {value}")).map(|it| it.key).map_err(|error| error.message().into())
    }

    #[test]
    fn each_kind_of_source_is_written_in_its_own_way() {
        assert_eq!(written("'a/master.key'"), Ok(Source::File("a/master.key".into())));
        assert_eq!(written("'fd:3'"), Ok(Source::Descriptor(Some(3))));
        assert_eq!(written("'fd'"), Ok(Source::Descriptor(None)));
        assert_eq!(written("'credential:key'"), Ok(Source::Credential("key".into())));
        assert_eq!(written("{ command = ['/bin/kms', 'get'], timeout = '3s' }"), Ok(command(&["/bin/kms", "get"], 3)));
        assert_eq!(written("{ command = ['/bin/kms'] }"), Ok(command(&["/bin/kms"], 10)));
        for wrong in ["'fd:2'", "'fd:x'", "'credential:../x'", "''", "{ command = [] }", "{ command = 'sh -c x' }", "5"]
        {
            assert!(written(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_command_gives_what_it_prints() {
        assert_eq!(*command(&["/bin/echo", "key"], 10).read().expect("printed"), "key\n");
    }

    #[test]
    fn a_command_that_fails_says_why_and_not_what_it_printed() {
        let script = "echo secret; echo the vault is sealed >&2; exit 3";
        let error = command(&["/bin/sh", "-c", script], 10).read().expect_err("failed").to_string();
        assert_eq!(error, "command /bin/sh: it failed: the vault is sealed");
        let error = command(&["/no/such/program"], 10).read().expect_err("missing").to_string();
        assert!(error.contains("give its whole path"), "{error}");
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let error = command(&["/bin/sh", "-c", "echo asking >&2; exec sleep 1000"], 1).read().expect_err("too late");
        assert!(error.to_string().contains("no end after 1 seconds: asking"), "{error}");
    }

    #[test]
    fn a_command_that_never_stops_talking_is_cut_short() {
        // It ends by itself, of a closed pipe.
        let text = command(&["/bin/sh", "-c", "yes | head -c 200000; true"], 10).read().expect("printed");
        assert_eq!(text.len() as u64, MAX_TEXT);
    }

    #[test]
    fn a_file_that_everybody_can_read_is_refused_through_a_descriptor_too() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("key");
        std::fs::write(&path, "text").expect("written");
        let file = File::open(&path).expect("opens");
        let descriptor = Source::Descriptor(Some(u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&file)).expect("open")));
        for (mode, readable) in [(0o600, true), (0o640, true), (0o644, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
            for source in [Source::File(path.clone()), descriptor.clone()] {
                assert_eq!(source.read().is_ok(), readable, "{source} of mode {mode:o}");
            }
        }
        assert!(Source::Descriptor(Some(2)).read().is_err());
    }

    #[test]
    fn what_is_not_open_and_what_says_nothing_is_told_with_the_way_out() {
        let said = |source: Source| source.read().expect_err("nothing").to_string();
        assert!(said(Source::Descriptor(Some(977))).starts_with("fd:977: not open; whoever starts"));
        assert!(said(command(&["/bin/true"], 10)).contains("it printed nothing"));
        let (read, write) = std::io::pipe().expect("a pipe");
        drop(write);
        let number = u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&read)).expect("open");
        assert!(said(Source::Descriptor(Some(number))).contains("a pipe can be read once"));
    }
}
