//! The command line of kvno, and what of it cannot be.

use clap::Parser;
use libkrb::codes::EncryptionType;

use crate::report::{Failure, Result};

const EXAMPLES: &str = "\
Examples:
  kvno HTTP/www.example.org            get a ticket, print its key version
  kvno -S host a.example.org b.example.org
                                       the arguments are hosts
  kvno -k /etc/krb5.keytab host/a.example.org
                                       does this keytab open the service's tickets?
  kvno --u2u FILE:/tmp/krb5cc_bob bob  a user-to-user ticket for bob
  kvno -I alice -P HTTP/b.example.org  as the service whose cache it is: a ticket
                                       for another service in alice's name

What went wrong: KRB5_TRACE=/dev/stderr kvno SERVICE
Exit code: 0 if every ticket was got, 1 if one was not or the command line is wrong.";

/// Get service tickets and print the versions of the services' keys.
#[derive(Parser)]
#[command(name = "kvno", version, after_help = EXAMPLES, disable_version_flag = true)]
pub(super) struct Arguments {
    /// The services, or with -S their hosts
    #[arg(required = true, value_name = "SERVICE")]
    pub services: Vec<String>,
    /// The credential cache to use
    #[arg(short = 'c', long, value_name = "CACHE")]
    pub cache: Option<String>,
    /// The encryption type of the session key
    #[arg(short = 'e', long, value_name = "ETYPE")]
    pub etype: Option<String>,
    /// Open the tickets with this keytab, to prove that it fits
    #[arg(short = 'k', long, value_name = "KEYTAB")]
    pub keytab: Option<String>,
    /// Print only errors
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// The names are of unknown type
    #[arg(short = 'u', long)]
    pub unknown: bool,
    /// The arguments are hosts, and this is the service on them
    #[arg(short = 'S', long, value_name = "SERVICE")]
    pub sname: Option<String>,
    /// A ticket on behalf of this user to this service itself (S4U2Self)
    #[arg(short = 'I', value_name = "USER")]
    pub for_user: Option<String>,
    /// The same, by enterprise name
    #[arg(short = 'U', value_name = "USER")]
    pub for_enterprise: Option<String>,
    /// The same, by certificate: PEM or DER
    #[arg(short = 'F', value_name = "FILE")]
    pub for_certificate: Option<String>,
    /// With it, tickets for the services in the user's name (S4U2Proxy)
    #[arg(short = 'P')]
    pub proxy: bool,
    /// Take tickets from the cache only
    #[arg(long)]
    pub cached_only: bool,
    /// Do not store new tickets
    #[arg(long)]
    pub no_store: bool,
    /// Store the tickets in this new cache instead
    #[arg(long, value_name = "CACHE")]
    pub out_cache: Option<String>,
    /// User-to-user: the service's ticket-granting ticket is in this cache
    #[arg(long, value_name = "CACHE")]
    pub u2u: Option<String>,
    /// Print the version
    #[arg(long = "version", action = clap::ArgAction::Version)]
    _version: Option<bool>,
}

impl Arguments {
    /// What cannot be said together, in MIT's words.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let wrong = [
            (self.unknown && self.sname.is_some(), "Options -u and -S are mutually exclusive"),
            (
                self.proxy && !self.for_somebody(),
                "Option -P (constrained delegation) requires option -I|-U|-F (protocol transition)",
            ),
            (
                self.u2u.is_some() && (self.for_somebody() || self.proxy),
                "Options --u2u and -I|-U|-F|-P are mutually exclusive",
            ),
        ];
        wrong.into_iter().find(|(wrong, _)| *wrong).map(|(_, words)| words)
    }

    fn for_somebody(&self) -> bool {
        [&self.for_user, &self.for_enterprise, &self.for_certificate].iter().any(|user| user.is_some())
    }

    /// The encryption type, by name or number.
    pub(super) fn etype(&self) -> Result<Option<EncryptionType>> {
        let Some(name) = &self.etype else { return Ok(None) };
        let etype = EncryptionType::parse(name).or_else(|| name.parse().ok().map(EncryptionType));
        let unknown = || {
            Failure::new("Invalid argument while converting etype").next(format!(
                "\"{name}\" is no encryption type; a name is aes256-cts-hmac-sha1-96, and klist -e shows more."
            ))
        };
        etype.map(Some).ok_or_else(unknown)
    }
}
