//! What is no store, and what redb says when something is wrong, in words that tell what to do.

use std::fmt::Display;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::DatabaseError;

use crate::core::StoreError;

/// What redb files begin with.
const MAGIC: &[u8] = b"redb\x1a\x0a";

/// Runs redb with its panics, which only damage outside its care brings about, made errors.
pub(super) fn guarded<T>(file: &Path, run: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(damaged(file, "its pages contradict each other")))
}

pub(super) fn opening(file: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(file.to_owned()),
        error => failed(file, error.into()),
    }
}

pub fn failed(file: &Path, error: redb::Error) -> StoreError {
    use std::io::ErrorKind::{FileTooLarge, InvalidData, QuotaExceeded, StorageFull, UnexpectedEof};
    match error {
        redb::Error::Io(error) if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) => {
            let (file, next) =
                (file.display(), "nothing was changed and tickets are issued still; make room, then try again");
            StoreError::Storage(format!("{file}: the disk is full ({error}); {next}"))
        }
        redb::Error::Corrupted(what) => damaged(file, what),
        redb::Error::Io(error) if matches!(error.kind(), InvalidData | UnexpectedEof) => damaged(file, error),
        redb::Error::UpgradeRequired(version) => damaged(file, format!("redb file format {version}")),
        error @ (redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. }) => damaged(file, error),
        error => StoreError::Storage(format!("{}: {error}", file.display())),
    }
}

pub(super) fn damaged(file: &Path, what: impl Display) -> StoreError {
    StoreError::Storage(format!("{}: the store is damaged ({what}); restore it from a backup", file.display()))
}

pub(super) fn foreign(file: &Path) -> StoreError {
    StoreError::Storage(format!("{}: not a store of kdc; look at `store` in kdc.toml", file.display()))
}

/// Refuses what is no store before redb, which opens for writing, sees it; tells the size.
pub(super) fn sniff(file: &Path) -> Result<u64, StoreError> {
    let mut magic = [0; MAGIC.len()];
    let mut read = || {
        let mut opened = File::open(file)?;
        let size = opened.metadata()?.len();
        // Shorter than its magic: foreign, as the comparison below will find.
        let _ = opened.read(&mut magic)?;
        Ok(size)
    };
    let size = read().map_err(|error: std::io::Error| {
        let error = match error.kind() {
            ErrorKind::NotFound => {
                libkrb::Error::file(file, "No such file or directory; restore it, or make a realm with `kdc init`")
            }
            _ => libkrb::Error::file(file, error),
        };
        StoreError::Storage(error.to_string())
    })?;
    if magic != *MAGIC {
        return Err(foreign(file));
    }
    Ok(size)
}
