//! The door to the file system: whole files under MIT's locks, new files of mode 0600, and
//! replacement by a temporary file and rename.
//!
//! The lock is the POSIX record lock on the whole file that MIT and Heimdal take: shared for
//! reading, exclusive for writing. Such a lock belongs to the process and is lost when the process
//! closes any descriptor of the file; so within the process each file has one turn at a time, from
//! open to close.

use std::fs::{File, Metadata, OpenOptions};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};
use zeroize::Zeroizing;

/// No cache or keytab is bigger than this; what is, is something else (`/dev/zero`).
const MAX_SIZE: u64 = 64 << 20;

static TURNS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];

/// What somebody wants of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// To read it, together with other readers.
    Read,
    /// To read and change it, alone.
    Change,
}

/// An open and locked file. Closing it ends the lock.
pub(crate) struct Locked {
    // Fields are dropped in this order: the file is closed before the turn passes on.
    file: File,
    path: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// Opens and locks a file that exists.
pub(crate) fn open(path: &Path, access: Access) -> io::Result<Locked> {
    loop {
        let change = access == Access::Change;
        let file = OpenOptions::new().read(true).write(change).open(path)?;
        let opened = file.metadata()?;
        let locked = Locked { file, path: path.to_owned(), _turn: turn(&opened) };
        lock(&locked.file, if change { FlockOperation::LockExclusive } else { FlockOperation::LockShared })?;
        // Whoever held the lock before may have put another file in its place.
        if same(&opened, &std::fs::metadata(path)?) {
            return Ok(locked);
        }
    }
}

/// The bytes of a file, read under a shared lock.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    open(path, Access::Read)?.read()
}

impl Locked {
    /// The whole file.
    pub(crate) fn read(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        let size = self.file.metadata()?.len().min(MAX_SIZE);
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1)));
        if self.file.metadata()?.is_file() {
            self.file.seek(SeekFrom::Start(0))?;
        }
        (&mut self.file).take(MAX_SIZE.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 64 MiB"));
        }
        Ok(bytes)
    }

    /// Adds all of it to the end, or nothing.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(bytes).inspect_err(|_| {
            // A full disk must not leave half a record, which nobody could read past.
            let _ = self.file.set_len(end);
        })
    }

    /// Writes over what stands at `offset`, or past the end.
    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Waits until the disk has it all.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Puts a new file with these bytes in the place of this one, of the same owner and mode.
    pub(crate) fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let path = std::fs::canonicalize(&self.path)?;
        put(temporary(&path, bytes)?, &path, &self.file.metadata()?)
    }

    /// Removes the file and overwrites what it held; not if it has another name still: in `/tmp`
    /// anyone may have put a link to another file of ours where the cache should be.
    pub(crate) fn destroy(mut self) -> io::Result<()> {
        std::fs::remove_file(&self.path)?;
        let left = self.file.metadata()?;
        if left.nlink() > 0 {
            return Ok(());
        }
        let size = left.len();
        self.file.seek(SeekFrom::Start(0))?;
        io::copy(&mut io::repeat(0).take(size), &mut self.file)?;
        Ok(())
    }
}

/// Puts a new file of mode 0600 at `path`, whatever stood there: who looks sees the old or the new
/// one whole, and nothing of the old one's owner or mode is believed. It does not wait for the disk: this
/// is for tickets, which are got again after the power has failed.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    temporary(path, bytes)?.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The same for keys, which nobody gives a second time: it waits until the disk has them.
pub(crate) fn replace_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = temporary(path, bytes)?;
    file.as_file().sync_data()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Makes a file of mode 0600 with these bytes where there is none; `AlreadyExists` where there is one.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    temporary(path, bytes)?.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

/// Makes a file with these bytes of a new name that begins with `prefix`.
pub(crate) fn create_unique(directory: &Path, prefix: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut file = tempfile::Builder::new().prefix(prefix).rand_bytes(6).tempfile_in(directory)?;
    file.write_all(bytes)?;
    let (_, path) = file.keep().map_err(|error| error.error)?;
    Ok(path)
}

/// Puts a file, once the disk has it, in the place of an old one, with its owner and mode.
fn put(file: tempfile::NamedTempFile, path: &Path, old: &Metadata) -> io::Result<()> {
    let mine = file.as_file().metadata()?;
    let moved = (mine.uid(), mine.gid()) == (old.uid(), old.gid())
        || std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid())).is_ok();
    // Another owner's mode means nothing on a file that stays ours.
    if moved {
        file.as_file().set_permissions(PermissionsExt::from_mode(old.mode() & 0o777))?;
    }
    file.as_file().sync_data()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A file of mode 0600 beside `path`, of a name that nobody takes for a cache.
fn temporary(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let prefix = format!(".{}.", name.to_string_lossy());
    let mut file = tempfile::Builder::new().prefix(&prefix).tempfile_in(directory)?;
    file.write_all(bytes)?;
    Ok(file)
}

fn lock(file: &File, operation: FlockOperation) -> io::Result<()> {
    loop {
        match fcntl_lock(file, operation) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn turn(file: &Metadata) -> MutexGuard<'static, ()> {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((file.dev(), file.ino()));
    let index = (hash % TURNS.len() as u64) as usize;
    let [first, ..] = &TURNS;
    TURNS.get(index).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
