//! SPAKE (RFC 9588): a client proves that it has its long-term key, and both sides agree on a reply key
//! that nobody can guess a password at, neither who listens nor who plays the KDC.
//!
//! Pure: [`kdc`] makes a challenge and opens the response, [`client`] answers a challenge. Not here:
//! when the messages go out, where a KDC keeps its state, and whose key it is.

pub mod client;
pub mod factor;
mod group;
pub mod kdc;
mod keys;
mod method;
mod transcript;

#[cfg(test)]
mod tests;

pub use group::{GROUPS, Group};
pub use keys::{Initial, Keys};
pub(crate) use method::begin;
