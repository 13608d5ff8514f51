//! What can go wrong at the edges: files, the store, what an administrator asked for. The errors of
//! the protocol are libkrb's.

use std::path::Path;

use crate::admin::Refusal;
use crate::core::StoreError;

/// The result of this crate's edges.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong at the edges.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file, a setting, a key.
    #[error(transparent)]
    Krb(#[from] libkrb::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An administrator's wish.
    #[error("{0}")]
    Refused(Refusal),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// A file that can't be used.
    pub fn file(path: &Path, problem: impl std::fmt::Display) -> Self {
        Error::Krb(libkrb::Error::file(path, problem))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(refusal)
    }
}
