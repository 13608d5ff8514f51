//! A replay cache in a file, shared by the processes of one machine; it survives their restarts. Not
//! here: what a slot of the file looks like ([`page`]), and what its first page says ([`header`]).

mod door;
mod header;
mod page;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::scatter::{Scatter, place};
use super::{Event, Observer, Pending, ReplayCache, ReplayKey, Verdict};
use crate::error::Result;
use crate::session::DEFAULT_SKEW;
use crate::time::{Seconds, Time};
use door::Door;
use header::Shape;
use page::{Head, Look, PAGE, Page, SLOTS, Slot, Stamp};

/// How many pages are looked at for one authenticator, if those before are full.
const REACH: u64 = 8;

/// When an authenticator counts as remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the operating system has it: the end of a process loses nothing. When the machine
    /// crashes, what was written last may be lost; so whoever opens the file first after a boot makes
    /// it refuse all authenticators made before. What remains are those of clients whose clocks are
    /// ahead, accepted in the last half minute before the crash and brought again after it.
    #[default]
    Written,
    /// When the disk has it: a crash of the machine loses nothing either. Each authenticator waits
    /// for the disk.
    Synced,
}

/// How a [`FileReplayCache`] is kept. All processes that share a file have to agree, but for the
/// observer.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// For how many seconds after its time an authenticator is accepted: the allowed clock skew.
    pub window: Seconds,
    /// For how many authenticators there has to be room; each takes 32 octets on the disk.
    pub max_entries: u64,
    /// When an authenticator counts as remembered.
    pub durability: Durability,
    /// Who is told of damage and of a full disk.
    pub observer: Observer,
}

impl Default for FileOptions {
    fn default() -> Self {
        FileOptions {
            window: DEFAULT_SKEW,
            max_entries: 1_000_000,
            durability: Durability::default(),
            observer: Observer::default(),
        }
    }
}

/// A replay cache in a file.
///
/// Its size never changes: a table of pages, and an authenticator's digest says which page is its.
/// An entry is written over once it is older than two windows. Each insert reads one page and writes
/// one slot of 24 octets, under a lock on the file that ends with the process that holds it.
///
/// The file has to be ours and of mode 0600, and on a local file system: other machines that mount
/// it are not kept out, and their locks may not be heard of. Pages that were never written to take no
/// room on the disk; when the disk is full, authenticators are refused ([`Verdict::Full`]).
///
/// A new file knows nothing of what was accepted before, and refuses authenticators made before its
/// first second. Whoever removes the file while services run should know that what was accepted in
/// that very second can be brought again.
pub struct FileReplayCache {
    inner: Arc<Inner>,
}

struct Inner {
    door: Mutex<Door>,
    shape: Shape,
    observer: Observer,
    /// An [`Event::Away`] was told.
    away: AtomicBool,
}

impl FileReplayCache {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`crate::Error::File`] for a file that is not ours alone, that is damaged or something else,
    /// or that was made with other options.
    pub fn open(path: impl AsRef<Path>, options: FileOptions, now: Time) -> Result<FileReplayCache> {
        let shape = Shape {
            window: options.window.max(1),
            pages: (options.max_entries / 3).saturating_mul(4).div_ceil(SLOTS as u64).max(1),
            synced: options.durability == Durability::Synced,
        };
        let door = Door::open(path.as_ref(), shape, now)?;
        let inner = Inner { door: Mutex::new(door), shape, observer: options.observer, away: AtomicBool::new(false) };
        Ok(FileReplayCache { inner: Arc::new(inner) })
    }
}

impl ReplayCache for FileReplayCache {
    fn insert(&self, key: ReplayKey, time: Time, now: Time) -> Verdict {
        self.inner.insert(key, time, now)
    }

    fn insert_async<'a>(&'a self, key: ReplayKey, time: Time, now: Time) -> Pending<'a> {
        // A disk may take its time, and the tasks of this thread have better things to do.
        #[cfg(feature = "net")]
        if self.inner.shape.synced && tokio::runtime::Handle::try_current().is_ok() {
            let inner = Arc::clone(&self.inner);
            let insert = tokio::task::spawn_blocking(move || inner.insert(key, time, now));
            return Box::pin(async { insert.await.unwrap_or(Verdict::Unavailable) });
        }
        Box::pin(async move { self.insert(key, time, now) })
    }
}

impl Inner {
    fn insert(&self, key: ReplayKey, time: Time, now: Time) -> Verdict {
        if time + self.shape.window < now {
            return Verdict::Replay;
        }
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        let done = door.locked(now, |door| self.insert_locked(door, key.number(), time, now));
        let file = door.file();
        drop(door);
        let done = done.and_then(|verdict| {
            if verdict == Verdict::Fresh && self.shape.synced {
                file.sync_data()?;
            }
            Ok(verdict)
        });
        match done {
            Ok(verdict) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    self.observer.tell(&Event::Back);
                }
                verdict
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &io::Error) -> Verdict {
        if !self.away.swap(true, Ordering::Relaxed) {
            self.observer.tell(&Event::Away { cause: error.to_string() });
        }
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Verdict::Full,
            _ => Verdict::Unavailable,
        }
    }

    /// Looks for the digest on its page, and on those that it may have spilled to; then writes it to
    /// the first free slot that was seen.
    fn insert_locked(&self, door: &Door, key: u128, time: Time, now: Time) -> io::Result<Verdict> {
        let header = door.header();
        let (Some(stamp), false) = (stamp(time - header.base), time < header.since) else {
            return Ok(Verdict::Replay);
        };
        let oldest = stamp_or_zero(now - header.base - 2 * self.shape.window);
        let first = place(Scatter::new(header.secret).of(key), self.shape.pages as usize) as u64;
        let mut full: Vec<(u64, Head)> = vec![];
        let mut free = None;
        for step in 0..REACH.min(self.shape.pages) {
            let number = (first + step) % self.shape.pages;
            let (head, slot) = match self.look(door, number, key, oldest, now)? {
                Look::Known => return Ok(Verdict::Replay),
                Look::Unknown(head, _) if stamp < head.since => return Ok(Verdict::Replay),
                Look::Unknown(head, slot) => (head, slot),
                Look::Damaged => return Ok(Verdict::Unavailable),
            };
            match (free, slot) {
                (None, Some(slot)) => free = Some((number, slot)),
                (None, None) => full.push((number, head)),
                (Some(_), _) => {}
            }
            if free.is_some() && head.spill < oldest.max(1) {
                break;
            }
        }
        let Some((number, slot)) = free else { return Ok(Verdict::Full) };
        for (page, head) in full.into_iter().filter(|(_, head)| head.spill < stamp) {
            door.write(page, 0, &Head { spill: stamp.max(1), ..head }.encode())?;
        }
        door.write(number, Slot::offset(slot), &Slot { key, time: stamp }.encode())?;
        Ok(Verdict::Fresh)
    }

    /// What a page says; one that is damaged is healed first.
    fn look(&self, door: &Door, number: u64, key: u128, oldest: Stamp, now: Time) -> io::Result<Look> {
        let mut page = Page([0; PAGE]);
        door.read(number, &mut page.0)?;
        let said = page.look(key, oldest);
        if said != Look::Damaged {
            return Ok(said);
        }
        let base = door.header().base;
        // What was lost may be of a client whose clock is ahead.
        let since = now + self.shape.window;
        page.heal(stamp_or_zero(since - base));
        door.write(number, 0, &page.0)?;
        self.observer.tell(&Event::Forgot { since });
        Ok(page.look(key, oldest))
    }
}

fn stamp(after_base: Seconds) -> Option<Stamp> {
    Stamp::try_from(after_base).ok()
}

fn stamp_or_zero(after_base: Seconds) -> Stamp {
    stamp(after_base.max(0)).unwrap_or(Stamp::MAX)
}

impl fmt::Debug for FileReplayCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReplayCache").field("shape", &self.inner.shape).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
