//! The commands of `kdc` that look and change nothing.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{audit_verify, status, top};
use crate::cluster;
use crate::error::{Error, Result};
use crate::settings::Settings;

/// What can be looked at.
#[derive(Debug, Subcommand)]
pub enum Watching {
    /// Say how the running KDC is, on one screen
    Status(Status),
    /// Watch the running KDC live; q quits
    Top(Top),
    /// Look after the audit's lines
    #[command(subcommand)]
    Audit(AuditCommand),
}

/// How it is told.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    settings: Settings,
    /// Everything, as JSON
    #[arg(long)]
    json: bool,
    /// Say which KDCs of the realm live, and how far their copies have come
    #[arg(long)]
    realm: bool,
}

/// How it is watched.
#[derive(Debug, Args)]
pub struct Top {
    #[command(flatten)]
    settings: Settings,
    /// Print one frame, of a second, and end
    #[arg(long)]
    once: bool,
    /// Seconds between frames
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
}

/// What can be done about the audit.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Say whether lines were altered, removed, put in or moved, and which is the first
    ///
    /// Lines cut off at the very end are noticed only with --head (`kdc status` tells it) or by the next
    /// file. Without a key, whoever can write the files can make a whole new chain.
    Verify(Verify),
}

/// Which lines.
#[derive(Debug, Args)]
pub struct Verify {
    /// The files, in any order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The file with the chain's key, if it has one (`[audit] key`)
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The last line that is known to have been written
    #[arg(long, value_name = "NUMBER:HASH")]
    head: Option<String>,
    /// Take a new chain in the midst as sound: journald and syslog get one whenever the KDC starts
    #[arg(long)]
    new_chains: bool,
}

impl Watching {
    /// Does it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(self) -> Result<()> {
        match self {
            Watching::Status(Status { settings, json, realm: true }) => cluster::status(&settings.file()?, json),
            Watching::Status(Status { settings, json, realm: false }) => {
                let facts = status::ask(&settings.file()?)?;
                match json {
                    true => say(&format!("{}\n", serde_json::to_string_pretty(&facts).unwrap_or_default())),
                    false => say(&status::screen(&facts)),
                }
            }
            Watching::Top(Top { settings, once, every }) => {
                top::top(&settings.file()?, once, Duration::from_secs(every))
            }
            Watching::Audit(AuditCommand::Verify(Verify { files, key, head, new_chains })) => {
                let found = audit_verify(&files, key.as_deref(), head.as_deref(), new_chains)?;
                say(&format!("{found}\n"))
            }
        }
    }
}

/// Prints a text.
pub(crate) fn say(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| Error::Other(error.to_string()))
}
