//! The command line of `kdc pki`, and the words that say what to do next.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use libkrb::{Principal, Time};

use super::authority::{Authority, KeyKind, Profile};
use super::files;
use crate::admin::now;
use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::settings::Settings;

const DAY: i64 = 24 * 3600;
/// An authority outlives many of its certificates.
const AUTHORITY_DAYS: i64 = 3650;

/// Make certificates for logins without a password (PKINIT)
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an authority and the KDC's certificate
    Init(Init),
    /// Make a certificate for somebody
    User(Issue),
    /// Make a certificate for a service, which then needs no keytab to get tickets
    Service(Issue),
    /// Make a new certificate for the KDC, as before the old one ends
    Kdc(Init),
}

/// Where the authority is, and what keys are made of.
#[derive(Debug, Args)]
pub struct Place {
    #[command(flatten)]
    settings: Settings,
    /// The authority's folder [default: pki beside kdc.toml]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// What the new key is
    #[arg(long, value_enum, default_value = "rsa")]
    key: KeyKind,
    /// For how many days the certificate is good
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

#[derive(Debug, Args)]
pub struct Init {
    #[command(flatten)]
    place: Place,
    /// A host that the KDC runs on, for clients that know it by that; may be given several times
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Issue {
    #[command(flatten)]
    place: Place,
    /// The principal, such as alice or HTTP/web.example.org
    principal: String,
}

impl Command {
    /// Does it, and says what was done.
    ///
    /// # Errors
    /// What keeps it from being done.
    pub fn run(self) -> Result<()> {
        let said = match self {
            Command::Init(init) => make(&init, true),
            Command::Kdc(init) => make(&init, false),
            Command::User(issue) => issued(&issue, "kinit -X X509_user_identity=FILE:{cert},{key} {name}"),
            Command::Service(issue) => issued(&issue, "kinit -X X509_user_identity=FILE:{cert},{key} {name}"),
        }?;
        std::io::stdout().write_all(said.as_bytes()).map_err(|error| Error::Other(error.to_string()))
    }
}

impl Place {
    /// The realm's settings, their file, and the authority's folder.
    fn open(&self) -> Result<(Config, PathBuf, PathBuf)> {
        let file = self.settings.file()?;
        let config = config::load(&file)?;
        let beside = || file.parent().unwrap_or(Path::new("")).join("pki");
        let folder = self.dir.clone().unwrap_or_else(beside);
        // What is printed goes into files that take paths from a folder of their own.
        let folder = std::path::absolute(&folder).map_err(|error| Error::file(&folder, error))?;
        Ok((config, file, folder))
    }

    fn until(&self) -> Time {
        now() + i64::from(self.days) * DAY
    }
}

fn make(init: &Init, new: bool) -> Result<String> {
    let Init { place, host } = init;
    let (config, file, folder) = place.open()?;
    files::folder(&folder)?;
    let (own, own_key) = (folder.join("ca.crt"), folder.join("ca.key"));
    let (certificate, key) = (folder.join("kdc.crt"), folder.join("kdc.key"));
    let authority = if new {
        files::absent(&[&own, &own_key, &certificate, &key])?;
        let (authority, pem) = Authority::create(&config.realm, place.key, now() + AUTHORITY_DAYS * DAY)?;
        files::pair((&own, &pem), (&own_key, &authority.key()))?;
        authority
    } else {
        files::absent(&[&certificate, &key])?;
        Authority::open(&config.realm, &files::read(&own_key)?)?
    };
    let (pem, secret) = authority.issue(&Profile::Kdc(host.clone()), place.key, place.until())?;
    files::pair((&certificate, &pem), (&key, &secret))?;
    let show = |path: &Path| path.display().to_string();
    let (kdc, ca) = (format!("FILE:{},{}", show(&certificate), show(&key)), show(&own));
    Ok(format!(
        "The authority of {realm} is in {folder}. Keep {own_key} where nobody else reads it: who has it can be anybody.

In {config}, below the line [pkinit] that stands there:
  identity = \"{kdc}\"
  anchors = [\"{ca}\"]
and then: kdc reload --config {config}

In the krb5.conf of clients, with a copy of {ca} that they may read:
  [realms]
    {realm} = {{
      pkinit_anchors = FILE:{ca}
    }}

Next:
  kdc pki user --config {config} alice
  kadmin --config {config} addprinc -nokey alice
To let anybody have armor without a name (kinit -n):
  kadmin --config {config} addprinc -randkey WELLKNOWN/ANONYMOUS
",
        realm = config.realm,
        folder = folder.display(),
        own_key = own_key.display(),
        config = file.display(),
    ))
}

fn issued(issue: &Issue, next: &str) -> Result<String> {
    let Issue { place, principal } = issue;
    let (config, _, folder) = place.open()?;
    let name = Principal::parse(principal, Some(&config.realm)).map_err(|error| Error::Other(error.to_string()))?;
    if name.realm() != config.realm || name.tgs_target().is_some() {
        return Err(Error::Other(format!("a principal of {} such as alice was expected", config.realm)));
    }
    let (certificate, key) = files::names(&folder, &name.without_realm().to_string());
    files::absent(&[&certificate, &key])?;
    let authority = Authority::open(&config.realm, &files::read(&folder.join("ca.key"))?)?;
    let (pem, secret) = authority.issue(&Profile::Client(name.clone()), place.key, place.until())?;
    files::pair((&certificate, &pem), (&key, &secret))?;
    let next = next.replace("{cert}", &certificate.display().to_string()).replace("{key}", &key.display().to_string());
    let next = next.replace("{name}", &name.to_string());
    Ok(format!(
        "{certificate} and {key} are for {name}, good for {days} days. Who has the key is {name}.

Next:
  {next}
",
        certificate = certificate.display(),
        key = key.display(),
        days = place.days,
    ))
}
