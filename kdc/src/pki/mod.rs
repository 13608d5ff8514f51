//! `kdc pki`: an authority of the realm's own, for those who have none: a certificate for the KDC, and
//! certificates with which people and services log in (RFC 4556). The authority's key lies in a
//! folder; who has a better place for it has a better authority, and does not need this one. Not
//! here: what the KDC makes of certificates.

mod authority;
mod command;
mod files;

pub use authority::{Authority, KeyKind, Profile};
pub use command::Command;
