//! The command line of `kdc`. Not here: what its commands do.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::cluster::{self, Join, StoreCommand};
use crate::error::{Error, Result};
use crate::manage::Watching;
use crate::settings::Settings;
use crate::{check, config, dev, init, master_key, moving, pki, run, steer, trust};

const EXAMPLES: &str = "\
Examples:
  kdc dev                                  a realm to play with, on this machine
  kdc init --realm EXAMPLE.ORG --dir /var/lib/kdc --listen 192.0.2.1:88
                                           a realm to stay
  kadmin --config /var/lib/kdc/kdc.toml addprinc alice
                                           its first user
  kdc check --config /var/lib/kdc/kdc.toml
  kdc run --config /var/lib/kdc/kdc.toml   until SIGTERM; SIGHUP as `kdc reload`, SIGUSR2 as `kdc restart`

Without --config, KDC_CONFIG names the kdc.toml, or it is /etc/kdc/kdc.toml or /var/lib/kdc/kdc.toml.

Exit code: 0 if all went well, 1 if not, 2 for a wrong command line.";

/// A Kerberos V5 KDC: makes a realm and serves it
#[derive(Debug, Parser)]
#[command(name = "kdc", version, about, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a realm: settings, master key, store, and a krb5.conf for its clients
    Init(Init),
    /// Serve a realm until told to end (SIGTERM)
    Run(Settings),
    /// Make a realm to play with, show the life of a ticket, and serve on
    Dev(Dev),
    /// Show the master key's versions, or roll it over
    #[command(subcommand)]
    MasterKey(master_key::Command),
    /// Make certificates for logins without a password (PKINIT)
    #[command(subcommand)]
    Pki(pki::Command),
    #[command(subcommand)]
    Trust(trust::Command),
    /// Say whether settings, master key and store are sound and belong together
    Check(Settings),
    /// Have the running KDC go on with the settings as they are now, if all of them are sound
    Reload(Settings),
    /// Have a new KDC take over from the running one, with its sockets: no request is lost
    Restart(Settings),
    #[command(flatten)]
    Watching(Watching),
    /// Take over a realm of another KDC
    #[command(subcommand)]
    Import(moving::Import),
    /// Copy the realm's store into a file, keys sealed, whether its KDC runs or not
    Dump(moving::Dump),
    /// Put the file of `kdc dump` into a realm without principals
    Load(moving::Load),
    /// Share the realm's store with other KDCs, through etcd
    #[command(subcommand)]
    Store(StoreCommand),
    /// Print a secret by which one other machine can become a KDC of the realm, for an hour
    Invite(Settings),
    /// Make this machine a further KDC of a realm, by what `kdc invite` printed on another
    Join(Join),
    /// Remove this machine's copy of the realm, once its KDC has ended
    Leave(Settings),
    /// Print what DNS should say of the KDCs that live (SRV and URI records)
    Dns(Settings),
}

#[derive(Debug, Args)]
struct Init {
    /// The realm, such as EXAMPLE.ORG
    #[arg(long)]
    realm: String,
    /// The folder for its files; made if it is not there
    #[arg(long)]
    dir: PathBuf,
    /// Where to serve, UDP and TCP; may be given several times
    #[arg(long, value_name = "ADDR:PORT", value_parser = address, default_values = ["127.0.0.1:88", "[::1]:88"])]
    listen: Vec<SocketAddr>,
    /// Where to change passwords, UDP and TCP; may be given several times [default: port 464 beside 88, or as far above
    /// another]
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    kpasswd_listen: Vec<SocketAddr>,
}

#[derive(Debug, Args)]
struct Dev {
    /// The folder that keeps the realm between runs
    #[arg(long, default_value = "./kdc-dev")]
    dir: PathBuf,
    /// The realm [default: the one in the folder, at first EXAMPLE.ORG]
    #[arg(long)]
    realm: Option<String>,
    /// Where to serve this time, beside the socket in the folder; none for that socket alone [default: where the realm was
    /// made for, at first 127.0.0.1:8888]
    #[arg(long, value_name = "ADDR:PORT", value_parser = place)]
    listen: Option<dev::Listen>,
    /// End after the show
    #[arg(long)]
    once: bool,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an IP address and a port were expected, such as 127.0.0.1:88 or [::1]:88")
}

fn place(text: &str) -> Result<dev::Listen, &'static str> {
    if text == "none" { Ok(dev::Listen::Nowhere) } else { address(text).map(dev::Listen::At) }
}

impl Dev {
    fn wishes(self) -> dev::Wishes {
        dev::Wishes { dir: self.dir, realm: self.realm, listen: self.listen, once: self.once }
    }
}

/// Its command line.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Does what the command line of this process says.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Init(arguments) => make(&arguments),
        Command::Run(settings) => settings.file().and_then(|file| run::run(&file)),
        Command::Dev(arguments) => dev::dev(&arguments.wishes()),
        Command::MasterKey(command) => master_key::run(&command),
        Command::Pki(command) => command.run(),
        Command::Trust(command) => command.run(),
        Command::Check(settings) => settings.file().and_then(|file| examine(&file)),
        Command::Reload(settings) => settings.file().and_then(|file| steer::reload(&file)),
        Command::Restart(settings) => settings.file().and_then(|file| steer::restart(&file)),
        Command::Watching(watching) => watching.run(),
        Command::Import(command) => moving::import(&command),
        Command::Dump(command) => command.run(),
        Command::Load(command) => command.run(),
        Command::Store(command) => command.run(),
        Command::Invite(settings) => settings.file().and_then(|file| cluster::invite(&file)),
        Command::Join(wish) => cluster::join(&wish),
        Command::Leave(settings) => settings.file().and_then(|file| cluster::leave(&file)),
        Command::Dns(settings) => settings.file().and_then(|file| cluster::dns(&file)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "kdc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(arguments: &Init) -> Result<()> {
    let kpasswd = match &arguments.kpasswd_listen[..] {
        [] => config::kpasswd_addresses(&arguments.listen),
        said => said.to_vec(),
    };
    let addresses = init::Addresses { kdc: arguments.listen.clone(), kpasswd, sockets: vec![] };
    let files = init::init_at(&arguments.realm, &arguments.dir, &addresses)?;
    let (config, client) = (files.config.display(), files.client.display());
    say(&format!(
        "The realm {} is ready in {}.

Keep a copy of {}, apart from the store's backups: without it no key can be read.

Next:
  kdc run --config {config}
  kadmin --config {config} addprinc alice
  KRB5_CONFIG={client} kinit alice
",
        arguments.realm,
        arguments.dir.display(),
        files.master_key.display(),
    ))
}

fn examine(config: &Path) -> Result<()> {
    let found = check::check(config)?;
    let store = match found.principals {
        Some(1) => "1 principal".into(),
        Some(count) => format!("{count} principals"),
        None => "store in use by a running KDC, not looked into".into(),
    };
    say(&format!("ok ({}, {store})\n", found.realm))
}

fn say(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| Error::Other(error.to_string()))
}
