//! What is typed. In a build without etcd every command says how to get one with it.

use std::path::Path;

use clap::Subcommand;

use crate::config;
use crate::error::Result;
use crate::settings::Settings;

/// What can be done with a realm's store and etcd.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Put the realm of the store's file into etcd, where there is none of it yet; the file becomes the first copy
    Publish(Settings),
    /// Make the copy of a KDC that does not run a store of its own again
    Detach(Settings),
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
            StoreCommand::Verify(settings) => verify(&config::load(&settings.file()?)?),
        }
    }
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
    super::living::{living, zone},
    super::realm::{detach, publish, verify},
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

    pub fn verify(config: &Config) -> Result<()> {
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
use without::{detach, living, publish, verify, zone};
