//! What is typed. In a build without etcd every command says how to get one with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::config;
use crate::error::Result;
use crate::settings::Settings;
use crate::source::Source;

/// What can be done with a realm's store and etcd.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Put the realm of the store's file into etcd, where there is none of it yet; the file becomes the first copy
    Publish(Settings),
    /// Make the copy of a KDC that does not run a store of its own again
    Detach(Settings),
    /// Say that the realm in etcd was restored: all KDCs read it anew, and none takes an older state of it again
    Fence(Settings),
    /// Compare this KDC's copy with etcd, record by record, and tell the checksum of both
    Verify(Settings),
}

impl StoreCommand {
    /// Does it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(&self) -> Result<()> {
        match self {
            StoreCommand::Publish(settings) => publish(&config::load(&settings.file()?)?),
            StoreCommand::Detach(settings) => detach(&config::load(&settings.file()?)?),
            StoreCommand::Fence(settings) => fence(&config::load(&settings.file()?)?),
            StoreCommand::Verify(settings) => verify(&config::load(&settings.file()?)?),
        }
    }
}

/// What `kdc join` is told.
#[derive(Debug, Args)]
pub struct Join {
    /// Where a KDC of the realm serves its admin API
    #[arg(long, value_name = "https://HOST[:PORT]")]
    pub from: String,
    /// The folder for the files; made if it is not there
    #[arg(long)]
    pub dir: PathBuf,
    /// Where to serve, UDP and TCP; may be given several times
    #[arg(long, value_name = "ADDR:PORT", default_values = ["127.0.0.1:88", "[::1]:88"])]
    pub listen: Vec<SocketAddr>,
    /// The authority of that KDC's certificate, in PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Where the invitation is: a file, "fd:3" or "credential:NAME" [default: the standard input]
    #[arg(long, value_name = "SOURCE")]
    pub invitation: Option<Source>,
}

/// `kdc invite`: prints the secret by which another machine joins.
///
/// # Errors
/// What is wrong, and what to do.
pub fn invite(settings: &Path) -> Result<()> {
    inviting(settings, &config::load(settings)?)
}

/// `kdc join`.
///
/// # Errors
/// As [`invite`].
pub fn join(wish: &Join) -> Result<()> {
    joining(wish)
}

/// `kdc leave`.
///
/// # Errors
/// As [`invite`].
pub fn leave(settings: &Path) -> Result<()> {
    leaving(&config::load(settings)?)
}

/// `kdc status --realm`: the KDCs of the realm that live.
///
/// # Errors
/// When etcd does not answer.
pub fn status(settings: &Path, json: bool) -> Result<()> {
    living(&config::load(settings)?, json)
}

/// `kdc dns`: what a zone should say of the KDCs that live.
///
/// # Errors
/// As [`status`].
pub fn dns(settings: &Path) -> Result<()> {
    zone(&config::load(settings)?)
}

#[cfg(feature = "etcd")]
use {
    super::invitation::{invite as inviting, join as joining},
    super::living::{living, zone},
    super::realm::{detach, fence, leave as leaving, publish, verify},
};

#[cfg(not(feature = "etcd"))]
mod without {
    use super::*;
    use crate::config::Config;

    fn refused(config: &Config) -> Result<()> {
        Ok(crate::house::in_etcd(config).map(drop)?)
    }

    pub fn publish(config: &Config) -> Result<()> {
        refused(config)
    }

    pub fn detach(config: &Config) -> Result<()> {
        refused(config)
    }

    pub fn fence(config: &Config) -> Result<()> {
        refused(config)
    }

    pub fn verify(config: &Config) -> Result<()> {
        refused(config)
    }

    pub fn inviting(_settings: &Path, config: &Config) -> Result<()> {
        refused(config)
    }

    pub fn joining(_wish: &Join) -> Result<()> {
        let next = "build it with `cargo build --release -p kdc --features etcd`";
        Err(crate::error::Error::Other(format!("this kdc was built without etcd; {next}")))
    }

    pub fn leaving(config: &Config) -> Result<()> {
        refused(config)
    }

    pub fn living(config: &Config, _json: bool) -> Result<()> {
        refused(config)
    }

    pub fn zone(config: &Config) -> Result<()> {
        refused(config)
    }
}

#[cfg(not(feature = "etcd"))]
use without::{detach, fence, inviting, joining, leaving, living, publish, verify, zone};
