//! The audit in a file, and in those that came before it: `audit.jsonl` is the present one,
//! `audit.jsonl.000000004711` one that ended with line 4711. Not here: what a line says.

#![allow(clippy::disallowed_types, reason = "the door of files")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Writer;
use super::chain::{Head, Line};

/// When another file is begun, and which old ones are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Before a file would be longer than this.
    pub size: u64,
    /// So many old files stay.
    pub keep: usize,
    /// None stays that was last written before this; `None`: whenever that was.
    pub keep_for: Option<Duration>,
}

impl Default for Rotation {
    fn default() -> Self {
        Rotation { size: 100 << 20, keep: 30, keep_for: None }
    }
}

/// No line is longer, by far.
const LONGEST_LINE: u64 = 4 << 20;
/// How long another process is waited for, which may be about to end.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// The file that is written.
pub struct FileSink {
    path: PathBuf,
    rotation: Rotation,
    file: Arc<File>,
    /// Octets of whole lines; what is no regular file, such as a pipe, has none and is never rotated.
    length: Option<u64>,
    /// Behind them lies a part of a line that could neither be finished nor removed.
    ragged: bool,
}

/// How a file that is taken up ends.
#[derive(Debug, Default)]
pub struct Tail {
    /// The last whole line of the chain.
    pub head: Head,
    /// Behind it was a part of a line.
    pub torn: bool,
}

/// Lines that were written.
pub struct OnDisk(Arc<File>);

impl OnDisk {
    /// Waits until they are on the disk.
    pub fn wait(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Whether a file could be written by this process alone; it is made if it is not there.
///
/// # Errors
/// Those of the system.
pub fn usable(path: &Path) -> io::Result<()> {
    open(path).map(drop)
}

impl FileSink {
    /// Opens or makes a file, for this process alone, and finds where its chain has come to.
    pub fn open(path: &Path, rotation: Rotation) -> io::Result<(FileSink, Tail)> {
        let (file, length) = open(path)?;
        let mut sink = FileSink { path: path.to_owned(), rotation, file, length, ragged: false };
        let mut tail = Tail::default();
        match sink.length {
            Some(0) => tail = sink.before()?,
            Some(length) => {
                tail = ending(path, length)?;
                // Its next line begins on a line of its own.
                sink.ragged = tail.torn;
            }
            None => {}
        }
        sink.prune();
        Ok((sink, tail))
    }

    /// Where the newest of the old files ends, for a present one that was just made.
    fn before(&self) -> io::Result<Tail> {
        match self.old_files().last() {
            Some((_, newest)) => ending(newest, fs::metadata(newest)?.len()),
            None => Ok(Tail::default()),
        }
    }

    /// Old files by the number of their last line.
    fn old_files(&self) -> Vec<(u64, PathBuf)> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (Some(name), Ok(entries)) = (self.path.file_name(), fs::read_dir(folder)) else { return vec![] };
        let prefix = format!("{}.", name.to_string_lossy());
        let number = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let digits = name.to_str()?.strip_prefix(&prefix)?;
            let ours = digits.len() >= 12 && digits.bytes().all(|digit| digit.is_ascii_digit());
            Some((digits.parse().ok().filter(|_| ours)?, entry.path()))
        };
        let mut files = entries.flatten().filter_map(number).collect::<Vec<_>>();
        files.sort();
        files
    }

    /// Removes old files that are too many or too old.
    fn prune(&self) {
        let files = self.old_files();
        let excess = files.len().saturating_sub(self.rotation.keep);
        for (place, (_, file)) in files.iter().enumerate() {
            if (place < excess || self.is_stale(file))
                && let Err(error) = fs::remove_file(file)
            {
                tracing::warn!(file = %file.display(), %error, "an old audit file can't be removed");
            }
        }
    }

    fn is_stale(&self, file: &Path) -> bool {
        let Some(limit) = self.rotation.keep_for else { return false };
        let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
        modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > limit))
    }

    /// Puts the present file beside the old ones and begins another.
    fn rotate(&mut self, last: u64) -> io::Result<()> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let old = self.path.with_file_name(format!("{name}.{last:012}"));
        fs::rename(&self.path, &old)?;
        match open(&self.path) {
            Ok((file, length)) => (self.file, self.length, self.ragged) = (file, length, false),
            Err(error) => {
                // As it was: lines go on where they went.
                fs::rename(&old, &self.path)?;
                return Err(error);
            }
        }
        self.prune();
        Ok(())
    }
}

impl Writer for FileSink {
    fn on_disk(&self) -> Option<OnDisk> {
        self.length.map(|_| OnDisk(Arc::clone(&self.file)))
    }

    fn takes_many(&self) -> bool {
        true
    }

    fn ragged(&self) -> bool {
        self.ragged
    }

    fn write(&mut self, line: &str, _seq: u64) -> io::Result<()> {
        let (ragged, file) = (self.ragged.then(|| ["\n", line].concat()), &*self.file);
        let octets = ragged.as_deref().unwrap_or(line);
        if let Err(error) = { file }.write_all(octets.as_bytes()) {
            // What was written of the line goes again; where it can't, the next line says "lost" behind it.
            let cut = self.length.filter(|_| !self.ragged).is_some_and(|length| self.file.set_len(length).is_ok());
            self.ragged = !cut;
            return Err(error);
        }
        self.length = self.length.map(|length| length + octets.len() as u64);
        self.ragged = false;
        Ok(())
    }

    fn turn(&mut self, octets: usize, last: u64) -> bool {
        let Some(length) = self.length else { return false };
        if length == 0 || length.saturating_add(octets as u64) <= self.rotation.size {
            return false;
        }
        let rotated = self.rotate(last);
        if let Err(error) = &rotated {
            // Tried again when as much has come again.
            self.length = Some(0);
            tracing::error!(file = %self.path.display(), %error, "the audit file can't be rotated; it goes on growing");
        }
        rotated.is_ok()
    }

    fn reopen(&mut self) -> io::Result<bool> {
        let same = |metadata: fs::Metadata| -> io::Result<bool> {
            let own = self.file.metadata()?;
            Ok((metadata.dev(), metadata.ino()) == (own.dev(), own.ino()))
        };
        if fs::metadata(&self.path).is_ok_and(|metadata| same(metadata).unwrap_or(false)) {
            return Ok(false);
        }
        (self.file, self.length) = open(&self.path)?;
        self.ragged = false;
        Ok(true)
    }
}

/// Opens or makes a file for this process alone; its length if it is a regular one.
fn open(path: &Path) -> io::Result<(Arc<File>, Option<u64>)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok((Arc::new(file), None));
    }
    for _ in 0..TRIES {
        if file.try_lock().is_ok() {
            return Ok((Arc::new(file), Some(metadata.len())));
        }
        std::thread::sleep(PAUSE);
    }
    Err(io::Error::new(ErrorKind::WouldBlock, "in use by another process; two would break the chain of its lines"))
}

/// How a file of so many octets ends.
fn ending(path: &Path, length: u64) -> io::Result<Tail> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_LINE)))?;
    let mut octets = vec![];
    file.take(LONGEST_LINE).read_to_end(&mut octets)?;
    let mut torn = octets.last().is_some_and(|last| *last != b'\n');
    let whole =
        octets.iter().rposition(|octet| *octet == b'\n').map_or(&[][..], |end| octets.get(..end).unwrap_or(&[]));
    let head = |line| Line::parse(std::str::from_utf8(line).ok()?)?.head();
    // Lines behind the last hash were to be written with others that are not there.
    let mut last = None;
    for line in whole.rsplit(|octet| *octet == b'\n').filter(|line| !line.is_empty()) {
        last = head(line);
        if last.is_some() {
            break;
        }
        torn = true;
    }
    if last.is_none() {
        tracing::warn!(file = %path.display(), "no line of an audit chain is at its end; a new chain begins");
    }
    Ok(Tail { head: last.unwrap_or_default(), torn })
}
