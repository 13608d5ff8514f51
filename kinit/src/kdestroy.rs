//! `kdestroy`: removes tickets and overwrites the file that held them.

use std::process::ExitCode;

use clap::Parser;
use libkrb::Error;
use libkrb::ccache::CacheName;

use crate::report::{self, During, Failure, Result};
use crate::settings::Settings;

/// Destroy your tickets: remove the credential cache and overwrite what it held.
#[derive(Parser)]
#[command(name = "kdestroy", version, after_help = EXAMPLES, disable_version_flag = true)]
struct Arguments {
    /// Destroy every cache of the collection
    #[arg(short = 'A', long = "all")]
    all: bool,
    /// Say nothing of other caches, and do not ring the bell
    #[arg(short = 'q', long)]
    quiet: bool,
    /// The cache to destroy, instead of the default one
    #[arg(short = 'c', long, value_name = "CACHE")]
    cache: Vec<String>,
    /// Destroy the cache of this principal in the collection
    #[arg(short = 'p', long, value_name = "PRINCIPAL")]
    principal: Vec<String>,
    #[arg(short = '4', hide = true)]
    four: bool,
    #[arg(short = '5', hide = true)]
    five: bool,
    /// Print the version
    #[arg(long = "version", action = clap::ArgAction::Version)]
    _version: Option<bool>,
}

const EXAMPLES: &str = "\
Examples:
  kdestroy                          the default cache, before you log out
  kdestroy -A                       everything
  kdestroy -c FILE:/tmp/krb5cc_app  one cache
  kdestroy -p alice@EXAMPLE.ORG     the cache of one principal, where the default is DIR:

Exit code: 0 if nothing is left to destroy, 1 on failure, 2 for a wrong command line.";

/// Its command line.
pub(crate) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs it.
pub fn main() -> ExitCode {
    report::run("kdestroy", 2, run)
}

fn run(arguments: Arguments) -> Result<u8> {
    if arguments.four {
        return Ok(report::kerberos_4());
    }
    let wrong = [
        (arguments.cache.len() > 1, "Only one -c option allowed"),
        (arguments.principal.len() > 1, "Only one -p option allowed"),
        (arguments.all && !arguments.principal.is_empty(), "-A option is exclusive with -p option"),
    ];
    if let Some((_, words)) = wrong.into_iter().find(|(wrong, _)| *wrong) {
        return Ok(report::usage("kdestroy", words, 2));
    }
    let settings = Settings::load()?;
    let default =
        settings.cache(arguments.cache.first().map(String::as_str)).briefly_during("while resolving ccache")?;
    if arguments.all {
        destroy_all(&default)?;
        return Ok(0);
    }
    let cache = match arguments.principal.first() {
        Some(name) => of_principal(&settings, &default, name)?,
        None => default.resolve().briefly_during("while resolving ccache")?,
    };
    let failed = destroy(&cache, arguments.quiet);
    if !arguments.quiet && !failed && arguments.principal.is_empty() && !members(&default)?.is_empty() {
        report::complain("Other credential caches present, use -A to destroy all\n");
    }
    Ok(failed.into())
}

fn of_principal(settings: &Settings, default: &CacheName, name: &str) -> Result<CacheName> {
    let principal = settings.principal(name).briefly_during(&format!("while parsing principal name {name}"))?;
    default.member_of(&principal).map_err(|_| {
        Failure::new(format!("Matching credential not found while finding cache for {name}"))
            .next("klist -l lists the caches that there are.")
    })
}

fn members(default: &CacheName) -> Result<Vec<CacheName>> {
    default.members().briefly_during("while listing credential caches")
}

fn destroy_all(default: &CacheName) -> Result<()> {
    for cache in members(default)? {
        match cache.destroy() {
            Ok(()) | Err(Error::NoCache(_)) => {}
            failed => {
                if let Err(failure) = failed.briefly_during(&format!("while destroying cache {cache}")) {
                    failure.print("kdestroy");
                }
            }
        }
    }
    Ok(())
}

/// Destroys it and says whether it is still there.
fn destroy(cache: &CacheName, quiet: bool) -> bool {
    let destroyed = cache.destroy();
    if let Err(Error::NoCache(_)) = destroyed {
        let failure = Failure::new("No credentials cache found while destroying cache");
        failure.next("There is nothing to destroy.").print("kdestroy");
        return false;
    }
    let Err(failure) = destroyed.briefly_during("while destroying cache") else {
        return false;
    };
    failure.print("kdestroy");
    report::complain(if quiet { "Ticket cache NOT destroyed!\n" } else { "Ticket cache \x07NOT\x07 destroyed!\n" });
    true
}
