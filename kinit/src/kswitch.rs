//! `kswitch`: chooses which cache of a collection is meant when none is named.

use std::process::ExitCode;

use clap::Parser;

use crate::report::{self, During, Failure, Result};
use crate::settings::Settings;

/// Switch to another credential cache of the collection.
#[derive(Parser)]
#[command(name = "kswitch", version, after_help = EXAMPLES, disable_version_flag = true)]
struct Arguments {
    /// The cache to switch to
    #[arg(short = 'c', long, value_name = "CACHE")]
    cache: Vec<String>,
    /// The principal to whose cache to switch
    #[arg(short = 'p', long, value_name = "PRINCIPAL")]
    principal: Vec<String>,
    /// Print the version
    #[arg(long = "version", action = clap::ArgAction::Version)]
    _version: Option<bool>,
}

const EXAMPLES: &str = "\
A collection is a directory of caches (export KRB5CCNAME=DIR:$HOME/.krb5cc), or what a daemon (KCM:)
or the kernel (KEYRING:) holds.

Examples:
  kswitch -p alice@EXAMPLE.ORG              by whose it is
  kswitch -c DIR::/home/alice/.krb5cc/tktX  by its name, as klist -l prints it

Exit code: 0 on success, 1 on failure, 2 for a wrong command line.";

/// Its command line.
pub(crate) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs it.
pub fn main() -> ExitCode {
    report::run("kswitch", 2, run)
}

fn run(arguments: Arguments) -> Result<u8> {
    let cache = match (&arguments.cache[..], &arguments.principal[..]) {
        ([], []) => return Ok(report::usage("kswitch", "One of -c or -p must be specified", 2)),
        ([name], []) => {
            let doing = format!("while resolving {name}");
            Settings::load()?.cache(Some(name)).and_then(|cache| cache.resolve()).briefly_during(&doing)?
        }
        ([], [name]) => {
            let settings = Settings::load()?;
            let principal = settings.principal(name).briefly_during(&format!("while parsing principal name {name}"))?;
            let default = settings.cache(None).briefly_during("while resolving ccache")?;
            default.member_of(&principal).map_err(|_| {
                Failure::new(format!("Matching credential not found while searching for ccache for {name}"))
                    .next("klist -l lists the caches that there are; a FILE: cache has none beside it.")
            })?
        }
        _ => return Ok(report::usage("kswitch", "Only one -c or -p option allowed", 2)),
    };
    cache.switch().briefly_during("while switching to credential cache")?;
    Ok(0)
}
