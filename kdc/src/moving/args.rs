//! The command lines of `kdc import`, `kdc dump` and `kdc load`. Not here: what they do.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use zeroize::Zeroizing;

use super::carry::Wishes;
use super::item::Source;
use super::pipeline::Lines;
use super::{heimdal, mit};
use crate::config::{self, Config};
use crate::core::store::ExportHead;
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::store::Existing;

/// More than any password has.
const MAX_PASSWORD: u64 = 64 << 10;

/// `kdc import`
#[derive(Debug, Subcommand)]
pub enum Import {
    /// Take over a realm of MIT krb5: the file of `kdb5_util dump`, and its master key
    ///
    /// Whole or not at all: the realm's store is replaced when everything is in the new one. A realm
    /// that `kdc init` made and nobody used is filled; into one in use, principals of other names are
    /// added. What can't be carried is listed, each with its principal.
    Mit(Mit),
    /// Take over a realm of Heimdal: the file of `kadmin -l dump --decrypt`
    ///
    /// As for MIT. The file has all keys in the clear: keep it to yourself, and destroy it afterwards.
    Heimdal(Heimdal),
}

/// What every import is told. No KDC must run.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    settings: Settings,
    /// The file to take over
    #[arg(long, value_name = "FILE")]
    dump: PathBuf,
    /// What becomes of a principal that is in the store already
    #[arg(long, value_enum, default_value = "refuse")]
    existing: Who,
    /// Go through everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Refuse if anything can't be carried
    #[arg(long)]
    strict: bool,
    /// Say everything as JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// `kdc import mit`
#[derive(Debug, Args)]
pub struct Mit {
    #[command(flatten)]
    common: Common,
    /// The master key: the stash file of the old KDC
    #[arg(long, value_name = "FILE", required_unless_present_any = ["master_password_file", "master_password_stdin"])]
    stash: Option<PathBuf>,
    /// The master key: a file whose first line is its password
    #[arg(long, value_name = "FILE", conflicts_with = "stash")]
    master_password_file: Option<PathBuf>,
    /// The master key: its password, the first line of the standard input
    #[arg(long, conflicts_with_all = ["stash", "master_password_file"])]
    master_password_stdin: bool,
}

/// `kdc import heimdal`
#[derive(Debug, Args)]
pub struct Heimdal {
    #[command(flatten)]
    common: Common,
    /// Heimdal's master key (m-key): opens what the dump has sealed, such as older keys
    #[arg(long, value_name = "FILE")]
    master_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Who {
    /// Nothing is imported, and all such names are listed
    Refuse,
    /// The one in the store stays
    Keep,
    /// The one in the dump takes its place
    Replace,
}

impl From<Who> for Existing {
    fn from(who: Who) -> Existing {
        match who {
            Who::Refuse => Existing::Refuse,
            Who::Keep => Existing::Keep,
            Who::Replace => Existing::Replace,
        }
    }
}

/// `kdc dump`
#[derive(Debug, Args)]
pub struct Dump {
    #[command(flatten)]
    settings: Settings,
    /// The file to write; `-` is the standard output
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Say how it went as JSON
    #[arg(long)]
    json: bool,
}

/// `kdc load`, while no KDC runs and the store has no principals
#[derive(Debug, Args)]
pub struct Load {
    #[command(flatten)]
    settings: Settings,
    /// The file that `kdc dump` wrote
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Go through everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Say how it went as JSON
    #[arg(long)]
    json: bool,
}

impl Dump {
    /// Dumps a realm.
    ///
    /// # Errors
    /// As [`super::dump()`].
    pub fn run(&self) -> Result<()> {
        let config = config::load(&self.settings.file()?)?;
        let head = super::dump(&config, &self.to, self.json)?;
        if self.to == Path::new("-") {
            return Ok(());
        }
        say("dumped", &head, false, self.json)
    }
}

impl Load {
    /// Loads a realm.
    ///
    /// # Errors
    /// As [`super::load()`].
    pub fn run(&self) -> Result<()> {
        let config = config::load(&self.settings.file()?)?;
        let head = super::load(&config, &self.from, self.dry_run, self.json)?;
        say("loaded", &head, self.dry_run, self.json)
    }
}

fn say(verb: &str, head: &ExportHead, dry_run: bool, json: bool) -> Result<()> {
    let ExportHead { realm, principals, policies, attempts, .. } = head;
    let tense = if dry_run { "would be " } else { "" };
    let line = match json {
        true => {
            let counts = serde_json::json!({ "principals": principals, "policies": policies, "logins": attempts });
            let records = head.records();
            serde_json::json!({ "event": verb, "realm": realm, "dry_run": dry_run, "records": records, "counts": counts })
                .to_string()
        }
        false => {
            let count =
                |number: u64, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
            let (principals, policies) =
                (count(*principals, "principal", "principals"), count(*policies, "policy", "policies"));
            let logins = count(*attempts, "record", "records");
            format!("{tense}{verb}, {realm}: {principals}, {policies}, {logins} of logins")
        }
    };
    writeln!(std::io::stdout(), "{line}").map_err(|error| Error::Other(error.to_string()))
}

/// Imports a realm.
///
/// # Errors
/// What is wrong, where, and what to do; then nothing has changed.
pub fn import(command: &Import) -> Result<()> {
    match command {
        Import::Mit(arguments) => import_mit(arguments),
        Import::Heimdal(arguments) => {
            let config = config::load(&arguments.common.settings.file()?)?;
            let source = heimdal::Heimdal::new(&config.realm, arguments.master_key.as_deref())?;
            bring(&arguments.common, &config, Lines::open(&arguments.common.dump)?, &source)
        }
    }
}

fn import_mit(arguments: &Mit) -> Result<()> {
    let common = &arguments.common;
    let told = match (&arguments.stash, &arguments.master_password_file) {
        (Some(stash), _) => mit::Told::Stash(stash.clone()),
        (None, Some(file)) => mit::Told::Password(password(Some(file))?),
        (None, None) => mit::Told::Password(password(None)?),
    };
    let config = config::load(&common.settings.file()?)?;
    // First what needs no store: a wrong master key is known at once.
    let (source, lines) = mit::survey(&common.dump, &config.realm, &told)?;
    bring(common, &config, lines, &source)
}

fn bring(common: &Common, config: &Config, lines: Lines, source: &dyn Source) -> Result<()> {
    let wishes =
        Wishes { existing: common.existing.into(), dry_run: common.dry_run, strict: common.strict, json: common.json };
    super::bring(config, &common.dump, lines, source, wishes).map(drop)
}

/// The first line of a file, or of the standard input.
fn password(file: Option<&Path>) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    match file {
        Some(path) => {
            let read = std::fs::File::open(path).and_then(|file| file.take(MAX_PASSWORD).read_to_string(&mut text));
            read.map_err(|error| Error::file(path, error))?;
        }
        None => {
            let read = std::io::stdin().take(MAX_PASSWORD).read_to_string(&mut text);
            read.map_err(|error| Error::Other(format!("the standard input: {error}")))?;
        }
    }
    let first = text.lines().next().filter(|line| !line.is_empty());
    first.map(|line| Zeroizing::new(line.to_owned())).ok_or_else(|| Error::Other("no password was given".into()))
}
