//! What the files of credentials share: reading and writing their fields, keys of any encryption
//! type, and the one door to the file system. Not here: what the fields mean ([`crate::ccache`],
//! [`crate::keytab`]).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub(crate) mod file;
mod key;
mod reader;
mod writer;

pub use key::RawKey;
pub(crate) use reader::{Order, Reader};
pub(crate) use writer::{Writer, seconds32};

#[cfg(test)]
pub(crate) mod vectors;
