//! The KDC daemon, room by room: `core` is its mind (no I/O, no clock), the others are its senses.
#![forbid(unsafe_code)]

pub mod accept;
pub mod admin;
pub mod attempts;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod config;
#[cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]
pub mod core;
pub mod dev;
pub mod error;
pub mod house;
pub mod init;
pub mod kadmin;
#[cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]
pub mod kpasswd;
pub mod manage;
pub mod master_key;
pub mod moving;
pub mod net;
pub mod observe;
pub mod pki;
pub mod radius;
pub mod rotation;
pub mod run;
pub mod settings;
pub mod source;
pub mod steer;
pub mod store;
mod tls;
pub mod trust;
mod unix;

pub use error::{Error, Result};

/// The command lines of both programs, for whoever makes manual pages and completions of them.
pub fn commands() -> Vec<clap::Command> {
    vec![cli::command(), kadmin::command()]
}
