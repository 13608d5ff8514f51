//! `klist`: shows what is in credential caches and keytabs. Layout and exit codes are MIT's, which
//! scripts scrape; `--json` is for new ones.

mod address;
mod cache;
mod indicators;
mod json;
mod keytab;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use libkrb::ccache::CacheName;
use libkrb::codes::EncryptionType;
use libkrb::keytab::{Keytab, KeytabName};

use crate::report::{self, During, Failure, Result};
use crate::settings::Settings;

/// List the tickets in your credential cache, or the keys in a keytab.
#[derive(Parser)]
#[command(name = "klist", override_usage = USAGE, after_help = EXAMPLES)]
struct Arguments {
    /// The cache or keytab, instead of the default one
    name: Option<String>,

    /// Show a credential cache (this is what klist does anyway)
    #[arg(short = 'c', long = "cache")]
    cache: bool,
    /// Show a keytab
    #[arg(short = 'k', long)]
    keytab: bool,
    /// Show encryption types: of the session key and of the ticket, or of the keys
    #[arg(short = 'e', long = "etypes")]
    etypes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print the version
    #[arg(short = 'V', long)]
    version: bool,

    /// List the caches of the collection
    #[arg(short = 'l', long, help_heading = "Credential caches")]
    list: bool,
    /// Show every cache of the collection
    #[arg(short = 'A', long, help_heading = "Credential caches")]
    all: bool,
    /// Print nothing; exit 0 if there is a ticket-granting ticket that has not expired, else 1
    #[arg(short = 's', long = "test", help_heading = "Credential caches")]
    status: bool,
    /// Show flags: Forwardable forwarded Proxiable proxy postDateable postdated Renewable Initial
    /// invalid Hardware-authenticated preAuthenticated Transit-checked OK-as-delegate anonymous
    #[arg(short = 'f', long, help_heading = "Credential caches")]
    flags: bool,
    /// Show the addresses that tickets are good from
    #[arg(short = 'a', long, help_heading = "Credential caches")]
    addresses: bool,
    /// With -a: do not look up the names of addresses
    #[arg(short = 'n', long, help_heading = "Credential caches")]
    numeric: bool,
    /// Show the types of authorization data that was asked for
    #[arg(short = 'd', long = "authdata", help_heading = "Credential caches")]
    authdata: bool,
    /// Show how the client logged in (authentication indicators), in the tickets that a key of this
    /// keytab opens; - for the default one
    #[arg(short = 'I', long = "indicators", value_name = "KEYTAB", help_heading = "Credential caches")]
    indicators: Option<String>,
    /// Show configuration entries, too
    #[arg(short = 'C', long, help_heading = "Credential caches")]
    config: bool,

    /// Show the default keytab of clients, if none is named
    #[arg(short = 'i', long = "client", help_heading = "Keytabs")]
    client: bool,
    /// Show when keys were put there
    #[arg(short = 't', long, help_heading = "Keytabs")]
    timestamps: bool,
    /// Show the keys themselves: whoever sees them can be the principal
    #[arg(short = 'K', long, help_heading = "Keytabs")]
    keys: bool,

    #[arg(short = '4', hide = true)]
    four: bool,
    #[arg(short = '5', hide = true)]
    five: bool,
}

const USAGE: &str = "\
klist [-e] [-f] [-a [-n]] [-d] [-C] [-I KEYTAB] [-l | -A | -s] [--json] [CACHE]
       klist -k [-e] [-t] [-K] [-i] [--json] [KEYTAB]";

const EXAMPLES: &str = "\
Examples:
  klist                     your tickets
  klist -ef                 with encryption types and flags
  klist -s || kinit         log in if there is no good ticket
  klist -A                  the tickets of all principals (KRB5CCNAME=DIR:...)
  klist -kte /etc/krb5.keytab
                            the keys of this host, with their age and type

Exit code: 0 on success, 1 on failure or a wrong command line.";

/// Its command line.
pub(crate) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs it.
pub fn main() -> ExitCode {
    report::run("klist", 1, run)
}

fn run(arguments: Arguments) -> Result<u8> {
    if arguments.four {
        return Ok(report::kerberos_4());
    }
    if let Some(words) = contradiction(&arguments) {
        return Ok(report::usage("klist", words, 1));
    }
    let mut out = report::output();
    if arguments.version {
        writeln!(out, "Kerberos 5 version {} (libkrb)", env!("CARGO_PKG_VERSION"))?;
        return Ok(0);
    }
    let settings = Settings::load()?;
    if arguments.keytab {
        keytab::show(&arguments, &keytab_name(&arguments, &settings)?, &mut out)?;
        return Ok(0);
    }
    let shown = |result: Result<u8>| if arguments.status { Ok(result.unwrap_or(1)) } else { result };
    let show = |name| cache::run(&arguments, &name, opener(&arguments, &settings)?.as_ref(), &mut out);
    shown(cache_name(&arguments, &settings).and_then(show))
}

/// The keytab whose keys open tickets for their indicators.
fn opener(arguments: &Arguments, settings: &Settings) -> Result<Option<Keytab>> {
    let name = match arguments.indicators.as_deref() {
        None => return Ok(None),
        Some("-") => settings.keytab().briefly_during("while getting default keytab")?,
        Some(name) => KeytabName::parse(name).briefly_during(&format!("while resolving keytab {name}"))?,
    };
    name.load().during(&format!("while reading keytab {name}")).map(Some)
}

fn contradiction(arguments: &Arguments) -> Option<&'static str> {
    let of_cache = arguments.flags || arguments.status || arguments.addresses || arguments.all || arguments.list;
    let of_cache = of_cache || arguments.indicators.is_some();
    let wrong = [
        (arguments.cache && arguments.keytab, "-c and -k exclude each other"),
        (arguments.numeric && !arguments.addresses, "-n goes with -a"),
        (!arguments.keytab && (arguments.timestamps || arguments.keys), "-t and -K go with -k"),
        (arguments.keytab && of_cache, "-f, -s, -a, -A, -l and -I are for credential caches"),
        (arguments.list && (arguments.all || arguments.status), "-l goes neither with -A nor with -s"),
    ];
    wrong.into_iter().find(|(wrong, _)| *wrong).map(|(_, words)| words)
}

fn cache_name(arguments: &Arguments, settings: &Settings) -> Result<CacheName> {
    settings.cache(arguments.name.as_deref()).during("while resolving ccache")
}

fn keytab_name(arguments: &Arguments, settings: &Settings) -> Result<KeytabName> {
    match &arguments.name {
        Some(name) => KeytabName::parse(name).briefly_during(&format!("while resolving keytab {name}")),
        None if arguments.client => settings.client_keytab().briefly_during("while getting default client keytab"),
        None => settings.keytab().briefly_during("while getting default keytab"),
    }
}

/// An encryption type as klist prints it.
fn etype_text(etype: EncryptionType) -> String {
    // RFC 6649 and RFC 8429 deprecate them.
    let deprecated = matches!(etype.0, 1..=3 | 16 | 23 | 24);
    match etype.name() {
        Some(name) if deprecated => format!("DEPRECATED:{name}"),
        Some(name) => name.to_owned(),
        None => format!("etype {}", etype.0),
    }
}

fn print_json(value: &serde_json::Value, out: &mut dyn Write) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?;
    writeln!(out, "{text}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Arguments {
        Arguments::try_parse_from(line.split(' ')).expect(line)
    }

    #[test]
    fn flags_cluster_as_with_getopt() {
        let arguments = parsed("klist -cfea5 FILE:x -n");
        assert!(arguments.cache && arguments.flags && arguments.etypes && arguments.addresses && arguments.numeric);
        assert_eq!(arguments.name.as_deref(), Some("FILE:x"));
        assert!(parsed("klist -ketK").keys);
    }

    #[test]
    fn flags_that_make_no_sense_together_are_refused() {
        for line in [
            "klist -ck",
            "klist -n",
            "klist -t",
            "klist -K",
            "klist -kf",
            "klist -ks",
            "klist -kl",
            "klist -k -I -",
            "klist -lA",
            "klist -ls",
        ] {
            assert!(contradiction(&parsed(line)).is_some(), "{line}");
        }
        for line in
            ["klist", "klist -an", "klist -ktKe", "klist -As", "klist -kC", "klist -kd", "klist -i", "klist -efI -"]
        {
            assert!(contradiction(&parsed(line)).is_none(), "{line}");
        }
    }

    #[test]
    fn deprecated_and_unknown_encryption_types_are_marked() {
        assert_eq!(etype_text(EncryptionType::AES256_SHA1), "aes256-cts-hmac-sha1-96");
        assert_eq!(etype_text(EncryptionType::RC4_HMAC), "DEPRECATED:arcfour-hmac");
        assert_eq!(etype_text(EncryptionType(-7)), "etype -7");
    }
}
