//! Whether a file is the one that was seen before, told without reading it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What changes when a file is written or replaced. Links are followed: a volume of Kubernetes
/// replaces a link, not the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// That of a file; `None` where there is none to be seen.
    pub(super) fn of(path: &Path) -> Option<Fingerprint> {
        let found = std::fs::metadata(path).ok()?;
        Some(Fingerprint {
            file: (found.dev(), found.ino()),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}
