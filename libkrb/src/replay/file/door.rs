//! The open file: whose it is, its lock, and pages read and written. Not here: what they mean.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::header::{Header, Shape};
use super::page::PAGE;
use crate::crypto::{OsRandom, Random};
use crate::error::{Error, Result};
use crate::replay::ReplayKey;
use crate::time::Time;

/// An open file whose header is known.
pub(super) struct Door {
    path: PathBuf,
    file: Arc<File>,
    header: Header,
    /// Who opened it. After a `fork` the lock of an open file is one for both processes.
    process: u32,
}

/// The lock on the file, until dropped. It is one for the open file, not for the thread: those of a
/// process take turns before they come here.
struct Lock<'a>(&'a File);

impl<'a> Lock<'a> {
    fn new(file: &'a File) -> io::Result<Lock<'a>> {
        loop {
            match file.lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(|()| Lock(file)),
            }
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // Nothing but a closed file can make this fail.
        let _ = self.0.unlock();
    }
}

impl Door {
    pub(super) fn open(path: &Path, shape: Shape, now: Time) -> Result<Door> {
        let told = |error: io::Error| Error::file(path, error);
        loop {
            let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
            let file = options.open(path).map_err(told)?;
            // Before it is locked: a stranger who made the file could hold its lock for ever.
            let found = file.metadata().map_err(told)?;
            if found.nlink() > 0 {
                ours(&found).map_err(|problem| Error::file(path, problem))?;
            }
            let lock = Lock::new(&file).map_err(told)?;
            let metadata = file.metadata().map_err(told)?;
            // Removed between our opening and locking it.
            if metadata.nlink() == 0 {
                continue;
            }
            ours(&metadata).map_err(|problem| Error::file(path, problem))?;
            let header = prepared(&file, &metadata, shape, now).map_err(|error| match error {
                Unusable::Io(error) => told(error),
                Unusable::Problem(problem) => Error::file(path, problem),
            })?;
            drop(lock);
            return Ok(Door { path: path.to_owned(), file: Arc::new(file), header, process: std::process::id() });
        }
    }

    /// Does something with the file locked. A file that was removed keeps nothing for those who open
    /// it by name: then the one is used that stands there now.
    pub(super) fn locked<T>(&mut self, now: Time, work: impl Fn(&Door) -> io::Result<T>) -> io::Result<T> {
        loop {
            if self.process == std::process::id() {
                let file = self.file();
                let _lock = Lock::new(&file)?;
                if file.metadata()?.nlink() > 0 {
                    return work(self);
                }
            }
            *self = Door::open(&self.path, self.header.shape, now).map_err(io::Error::other)?;
        }
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// The file, for waiting until the disk has it without holding up the others.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub(super) fn read(&self, page: u64, to: &mut [u8; PAGE]) -> io::Result<()> {
        self.file.read_exact_at(to, offset(page))
    }

    pub(super) fn write(&self, page: u64, at: usize, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset(page) + at as u64)
    }
}

/// Where a page begins; the header is before the first.
pub(super) fn offset(page: u64) -> u64 {
    (page + 1) * PAGE as u64
}

/// Refuses a file to which anybody else has a say.
fn ours(file: &Metadata) -> Result<(), String> {
    let us = rustix::process::geteuid().as_raw();
    match (file.is_file(), file.uid(), file.mode() & 0o7777) {
        (false, ..) => Err("not a file".to_owned()),
        (true, owner, _) if owner != us => Err(format!("belongs to user {owner}, and we are user {us}")),
        (.., mode) if mode & 0o077 != 0 => Err(format!("open to others (mode {mode:04o} instead of 0600)")),
        _ if file.nlink() != 1 => Err("has a second name".to_owned()),
        _ => Ok(()),
    }
}

enum Unusable {
    Io(io::Error),
    Problem(String),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Unusable::Io(error)
    }
}

/// The header of a locked file; an empty file gets one.
fn prepared(file: &File, metadata: &Metadata, shape: Shape, now: Time) -> Result<Header, Unusable> {
    let mut page = [0; PAGE];
    let known = match metadata.len() {
        0 => None,
        _ => {
            file.read_exact_at(&mut page, 0).map_err(|_| Unusable::Problem("not a replay cache".to_owned()))?;
            Header::decode(&page).map_err(Unusable::Problem)?
        }
    };
    let Some(header) = known else { return make(file, shape, now) };
    if header.shape != shape {
        return Err(Unusable::Problem(other_shape(header.shape)));
    }
    if metadata.len() != size(shape).ok_or(io::ErrorKind::FileTooLarge).map_err(io::Error::from)? {
        return Err(Unusable::Problem("the replay cache was cut off; remove it while no service runs".to_owned()));
    }
    if header.since > now + shape.window {
        let since = header.since;
        let problem = format!("made in the future, at {since}; if the clock is right now, remove the file");
        return Err(Unusable::Problem(problem));
    }
    reopened(file, header, now)
}

fn other_shape(Shape { window, pages, synced }: Shape) -> String {
    let synced = if synced { "synced" } else { "written" };
    format!(
        "made with other options (window {window}, {pages} pages, entries {synced}); \
         to change them, remove the file while no service runs"
    )
}

/// After a boot some of what was written may be missing, unless every entry was synced: so what was
/// made before is refused.
fn reopened(file: &File, header: Header, now: Time) -> Result<Header, Unusable> {
    let boot = boot();
    if header.boot == boot {
        return Ok(header);
    }
    let since = if header.shape.synced { header.since } else { header.since.max(now) };
    let header = Header { since, boot, ..header };
    file.write_all_at(&header.encode(), 0)?;
    file.sync_data()?;
    Ok(header)
}

/// Makes a file ready: what was made before now is refused, as nothing is known of it. The header
/// comes last; without it nobody writes an entry.
fn make(file: &File, shape: Shape, now: Time) -> Result<Header, Unusable> {
    let mut secret = [[0; 8]; 2];
    secret.iter_mut().for_each(|half| OsRandom::new().fill(half));
    let header = Header { shape, secret: secret.map(u64::from_le_bytes), base: now, since: now, boot: boot() };
    file.set_len(0)?;
    file.set_len(size(shape).ok_or(io::ErrorKind::FileTooLarge).map_err(io::Error::from)?)?;
    file.write_all_at(&header.encode(), 0)?;
    file.sync_all()?;
    Ok(header)
}

fn size(shape: Shape) -> Option<u64> {
    shape.pages.checked_add(1)?.checked_mul(PAGE as u64)
}

/// The id of this boot of the machine; zeros where there is no telling.
fn boot() -> [u64; 2] {
    let Ok(id) = std::fs::read("/proc/sys/kernel/random/boot_id") else { return [0; 2] };
    let id = ReplayKey::new([id.as_slice()]).number();
    [id as u64, (id >> 64) as u64]
}
