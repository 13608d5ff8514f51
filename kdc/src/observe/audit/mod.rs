//! The audit: a JSON line for each request and each call of administration, chained by hashes, for machines
//! that look for what should not be. It goes to a file, to journald, to syslog, or to several of them.
//!
//! A line is written before its reply is sent, with one call that appends, so that neither the end of the process
//! nor a second writer tears it. Requests that are answered together ([`Lines`]) are written together, with one hash. A
//! disk that is slow slows the KDC. A disk that is full stops the audit and not the realm: the log says so at once,
//! `/readyz` too, and the file itself says how many lines are missing as soon as it can be written again. What a power
//! failure may take is [`Sync`]'s to say; what it leaves of lines, the next run says is torn.

mod chain;
mod datagram;
mod file;
mod verify;

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use libkrb::time::Instant;
use serde::{Deserialize, Serialize};

pub use chain::{ChainKey, Head};
pub use file::{Rotation, usable};
pub use verify::{Broken, Fault, Verified, verify};

#[cfg(test)]
use self::chain::Line;
use self::datagram::{Journald, Syslog};
use self::file::{FileSink, OnDisk};
use super::record::Micros;
use super::{Seen, facts, line};

/// Which lines are on the disk, and not only with the system, before what they tell of is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// Each: a power failure takes none.
    Everything,
    /// Those of changes and of keys that leave: it takes the last requests, and no change.
    #[default]
    Changes,
    /// None: it takes the last seconds.
    Nothing,
}

/// Where the audit goes, and how.
#[derive(Clone, Default)]
pub struct Plan {
    /// A file, and when another is begun.
    pub file: Option<(PathBuf, Rotation)>,
    /// The socket of journald.
    pub journald: Option<PathBuf>,
    /// The socket of syslog.
    pub syslog: Option<PathBuf>,
    /// A key for the chain.
    pub key: Option<ChainKey>,
    /// What is forced to the disk.
    pub sync: Sync,
}

/// The audit of a realm.
pub struct Audit {
    key: Option<ChainKey>,
    sync: Sync,
    sinks: Mutex<Vec<Sink>>,
}

/// One place where lines go, with a chain of its own: what one loses, another may have.
struct Sink {
    name: &'static str,
    place: PathBuf,
    writer: Box<dyn Writer>,
    head: Head,
    /// Records that could not be written since the last that was.
    missing: u64,
    lines: u64,
    lost: u64,
    problem: Option<String>,
    /// Where lines are made.
    buffer: String,
}

/// What is to be written down before the replies of which it tells are sent: the insides of JSON objects, one behind
/// the other. Whoever keeps it for many requests needs no memory for each.
#[derive(Debug, Default)]
pub struct Lines {
    text: String,
    ends: Vec<usize>,
    before: line::Before,
}

impl Lines {
    /// One more, of a request.
    pub(super) fn tell(&mut self, seen: &Seen<'_>) {
        line::add(seen, &mut self.before, &mut self.text);
        self.ends.push(self.text.len());
    }

    /// One more with these fields.
    fn add(&mut self, fields: &str) {
        self.text.push_str(fields);
        self.ends.push(self.text.len());
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// The fields of each.
    fn fields(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.text.get(start..*end))
    }
}

/// The one line that says a record.
fn said(record: &impl Serialize) -> Lines {
    let mut lines = Lines::default();
    // Serializing to memory can't fail: there are no maps with odd keys in a record.
    let object = serde_json::to_string(record).unwrap_or_default();
    if let Some(fields) = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        lines.add(fields);
    }
    lines
}

/// What takes whole lines.
trait Writer: Send {
    /// Writes lines with their ends, all of them or none; only one where this does not take many. `seq` is the number
    /// of the last.
    fn write(&mut self, lines: &str, seq: u64) -> io::Result<()>;

    /// Whether several lines may be written at once.
    fn takes_many(&self) -> bool {
        false
    }

    /// Whether a new file is to be begun before a line of so many octets; called before each.
    fn turn(&mut self, _octets: usize, _last: u64) -> bool {
        false
    }

    /// Whether what was written ends with a part of something.
    fn ragged(&self) -> bool {
        false
    }

    /// Takes up a file that was moved away. Whether a new one was begun.
    fn reopen(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    /// What was written, where it can be waited for that it is on the disk.
    fn on_disk(&self) -> Option<OnDisk> {
        None
    }
}

impl Audit {
    /// Opens a file, or makes it, readable by its owner only.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(path: &Path) -> io::Result<Audit> {
        Audit::start(Plan { file: Some((path.to_owned(), Rotation::default())), ..Plan::default() })
    }

    /// Opens what the plan names. What can be opened and not written, such as a file on a full disk, is no error.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(plan: Plan) -> io::Result<Audit> {
        let mut sinks = vec![];
        if let Some((path, rotation)) = plan.file {
            let (file, tail) = FileSink::open(&path, rotation)?;
            let mut sink = Sink::new("file", path, Box::new(file), tail.head);
            // Also where a chain goes on: a start is something that happened.
            sink.begin(plan.key.as_ref(), tail.torn);
            sinks.push(sink);
        }
        let mut sockets: Vec<(&str, Box<dyn Writer>, PathBuf)> = vec![];
        if let Some(path) = plan.journald {
            sockets.push(("journald", Box::new(Journald::new(&path)?), path));
        }
        if let Some(path) = plan.syslog {
            sockets.push(("syslog", Box::new(Syslog::new(&path)?), path));
        }
        for (name, writer, path) in sockets {
            let mut sink = Sink::new(name, path, writer, Head::default());
            sink.begin(plan.key.as_ref(), false);
            sinks.push(sink);
        }
        Ok(Audit { key: plan.key, sync: plan.sync, sinks: Mutex::new(sinks) })
    }

    /// Opens files anew that have been moved away.
    ///
    /// # Errors
    /// Those of the system; the old file stays in use then.
    pub fn reopen(&self) -> io::Result<()> {
        for sink in &mut *self.lock() {
            let torn = sink.writer.ragged();
            if sink.writer.reopen()? {
                sink.begin(self.key.as_ref(), torn);
            }
        }
        Ok(())
    }

    /// How many records are missing at the moment, in the place that misses most.
    pub fn lost(&self) -> u64 {
        self.lock().iter().map(|sink| sink.missing).max().unwrap_or(0)
    }

    /// Tries again what could not be written, and says what still can't.
    pub fn problems(&self) -> Vec<String> {
        let mut sinks = self.lock();
        for sink in sinks.iter_mut().filter(|sink| sink.missing > 0) {
            sink.catch_up(self.key.as_ref());
        }
        sinks.iter().filter_map(|sink| Some(format!("{}: {}", sink.place.display(), sink.problem.as_ref()?))).collect()
    }

    /// What is known of each place.
    pub fn facts(&self) -> Vec<facts::Sink> {
        let fact = |sink: &Sink| facts::Sink {
            name: sink.name.to_owned(),
            place: sink.place.display().to_string(),
            seq: sink.head.seq,
            hash: chain::hex(&sink.head.hash),
            lines: sink.lines,
            lost: sink.lost,
            problem: sink.problem.clone(),
        };
        self.lock().iter().map(fact).collect()
    }

    /// Writes down what is no change.
    pub(super) fn append(&self, record: &impl Serialize) {
        self.commit(&mut said(record));
    }

    /// Writes down what was noted.
    pub(super) fn commit(&self, lines: &mut Lines) {
        self.write(lines, self.sync == Sync::Everything);
        lines.clear();
    }

    /// Writes down a change, or that keys have left.
    pub(super) fn append_change(&self, record: &impl Serialize) {
        self.write(&said(record), self.sync != Sync::Nothing);
    }

    fn write(&self, lines: &Lines, forced: bool) {
        if lines.ends.is_empty() {
            return;
        }
        let mut written = vec![];
        for sink in &mut *self.lock() {
            sink.append(self.key.as_ref(), lines);
            if forced {
                written.extend(sink.writer.on_disk());
            }
        }
        // Others write meanwhile: tickets must not wait for the disk because somebody is administered.
        for written in written {
            if let Err(error) = written.wait() {
                tracing::error!(%error, "audit records may not be on the disk");
            }
        }
    }

    /// Whoever panicked while holding the lock left sinks that can be appended to.
    fn lock(&self) -> MutexGuard<'_, Vec<Sink>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.lock().iter().map(|sink| &sink.place)).finish()
    }
}

impl Sink {
    fn new(name: &'static str, place: PathBuf, writer: Box<dyn Writer>, head: Head) -> Sink {
        Sink { name, place, writer, head, missing: 0, lines: 0, lost: 0, problem: None, buffer: String::new() }
    }

    /// The first line of a file, or of a process, which says what came before.
    fn begin(&mut self, key: Option<&ChainKey>, torn: bool) {
        let (version, before) = (env!("CARGO_PKG_VERSION"), chain::hex(&self.head.hash));
        let torn = said_torn(torn);
        let fields =
            format!("\"time\":\"{}\",\"audit\":\"begun\",\"kdc\":\"{version}\",\"prev\":\"{before}\"{torn}", now());
        self.write(key, &[&fields]);
    }

    fn append(&mut self, key: Option<&ChainKey>, lines: &Lines) {
        if self.writer.takes_many() {
            let fields: Vec<&str> = lines.fields().collect();
            fields.chunks(chain::MOST_AT_ONCE).for_each(|fields| self.append_at_once(key, fields));
        } else {
            lines.fields().for_each(|fields| self.append_at_once(key, &[fields]));
        }
    }

    fn append_at_once(&mut self, key: Option<&ChainKey>, lines: &[&str]) {
        if self.missing > 0 && !self.catch_up(key) {
            self.miss(lines.len());
            return;
        }
        let octets = lines.iter().map(|fields| fields.len() + OVERHEAD).sum();
        let torn = self.writer.ragged();
        if self.writer.turn(octets, self.head.seq) {
            self.begin(key, torn);
        }
        self.write(key, lines);
    }

    fn miss(&mut self, count: usize) {
        self.missing += count as u64;
        self.lost += count as u64;
    }

    /// Says how many are missing. Whether that could be said.
    fn catch_up(&mut self, key: Option<&ChainKey>) -> bool {
        let missing = self.missing;
        let torn = said_torn(self.writer.ragged());
        let fields = format!("\"time\":\"{}\",\"audit\":\"lost\",\"lost\":{missing}{torn}", now());
        let (line, head) = chain::line(key, &self.head, &fields);
        if let Err(error) = self.writer.write(&line, head.seq) {
            self.problem = Some(error.to_string());
            return false;
        }
        tracing::error!(place = %self.place.display(), lost = missing, "audit records are missing");
        (self.head, self.missing, self.problem) = (head, 0, None);
        self.lines += 1;
        true
    }

    fn write(&mut self, key: Option<&ChainKey>, lines: &[&str]) {
        let mut text = mem::take(&mut self.buffer);
        text.clear();
        let head = chain::add_lines(key, &self.head, lines, &mut text);
        match self.writer.write(&text, head.seq) {
            Ok(()) => {
                self.head = head;
                self.lines += lines.len() as u64;
            }
            Err(error) => {
                tracing::error!(place = %self.place.display(), %error, "audit records can't be written");
                self.problem = Some(error.to_string());
                self.miss(lines.len());
            }
        }
        self.buffer = text;
    }
}

/// What a line says that comes after a part of something.
fn said_torn(torn: bool) -> &'static str {
    if torn { ",\"torn\":true" } else { "" }
}

/// What a line has besides its fields: number, hash, braces.
const OVERHEAD: usize = 110;

fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(Instant::from_micros(i64::try_from(since.as_micros()).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
