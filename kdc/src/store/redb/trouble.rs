//! What redb says when something is wrong, in words that tell what to do.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::DatabaseError;

use crate::core::StoreError;

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
