//! The door of the cache files. The locks are MIT's, so that its programs can share a cache with us.

pub(super) mod dir;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Ccache, Credential, format};
use crate::error::{Error, Result};
use crate::storage::file::{self, Access};

/// What MIT writes into a cache that has a name but no principal yet.
const RESERVED: [u8; 4] = [5, 4, 0, 0];

pub(super) fn load(path: &Path) -> Result<Ccache> {
    let bytes = file::read(path).map_err(|error| trouble(path, &error))?;
    if *bytes == RESERVED {
        return Err(Error::NoCache(path.display().to_string()));
    }
    Ccache::parse(&bytes).map_err(|error| error.in_file(path))
}

pub(super) fn replace(path: &Path, cache: &Ccache) -> Result<()> {
    file::replace(path, &cache.encode()).map_err(|error| trouble(path, &error))
}

pub(super) fn store(path: &Path, credential: &Credential) -> Result<()> {
    let failed = |error: io::Error| trouble(path, &error);
    let mut locked = file::open(path, Access::Change).map_err(failed)?;
    let bytes = locked.read().map_err(failed)?;
    // The whole file is read although only its version matters: what follows a torn end is lost.
    let parsed = format::parse(&bytes).map_err(|error| error.in_file(path))?;
    if parsed.version == 4 {
        return locked.append(&format::encode_credential(credential)).map_err(failed);
    }
    let mut cache = parsed.into_ccache();
    cache.credentials.push(credential.clone());
    locked.replace(&cache.encode()).map_err(failed)
}

/// Overwrites in place, at the same length: a program that waits for the lock will append to this
/// very file.
pub(super) fn remove(path: &Path, unwanted: impl Fn(&Credential) -> bool) -> Result<usize> {
    let failed = |error: io::Error| trouble(path, &error);
    let mut locked = file::open(path, Access::Change).map_err(failed)?;
    let bytes = locked.read().map_err(failed)?;
    let mut parsed = format::parse(&bytes).map_err(|error| error.in_file(path))?;
    let mut removed = 0;
    let mut fits = parsed.version == 4;
    for (span, credential) in parsed.entries.iter_mut().filter(|(_, entry)| !entry.is_removed() && unwanted(entry)) {
        removed += 1;
        *credential = credential.clone().removed();
        let overwrite = format::encode_credential(credential);
        fits = fits && overwrite.len() == span.len();
        if fits {
            locked.write_at(span.start as u64, &overwrite).map_err(failed)?;
        }
    }
    if !fits && removed > 0 {
        locked.replace(&parsed.into_ccache().encode()).map_err(failed)?;
    }
    Ok(removed)
}

pub(super) fn destroy(path: &Path) -> Result<()> {
    let locked = file::open(path, Access::Change);
    locked.and_then(file::Locked::destroy).map_err(|error| trouble(path, &error))
}

pub(super) fn exists(path: &Path) -> bool {
    path.exists()
}

pub(super) fn new_unique(beside: &Path) -> Result<PathBuf> {
    let directory = beside.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    file::create_unique(directory, "tkt", &RESERVED).map_err(|error| trouble(directory, &error))
}

/// MIT's words for what the system says.
fn trouble(path: &Path, error: &io::Error) -> Error {
    let problem = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
            return Error::NoCache(path.display().to_string());
        }
        ErrorKind::PermissionDenied | ErrorKind::IsADirectory | ErrorKind::ReadOnlyFilesystem => {
            "Credentials cache permissions incorrect"
        }
        ErrorKind::AlreadyExists | ErrorKind::InvalidInput | ErrorKind::WouldBlock => {
            "Internal credentials cache error"
        }
        _ => "Credentials cache I/O operation failed",
    };
    Error::storage(problem, path.display().to_string(), error.to_string())
}

#[cfg(test)]
mod tests;
