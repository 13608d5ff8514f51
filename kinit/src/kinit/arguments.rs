//! The command line of kinit, and what of it cannot be.

use clap::Parser;
use libkrb::config::{When, parse_duration, parse_when};
use libkrb::time::Seconds;

use crate::local;

const EXAMPLES: &str = "\
Examples:
  kinit                              you, in the default realm, by password
  kinit alice@EXAMPLE.ORG            somebody, somewhere
  kinit -l 1h -r 7d                  for an hour, renewable for a week
  kinit -R                           renew it, without the password
  kinit -kt app.keytab app/host      a service, by its keytab
  kinit -X X509_user_identity=FILE:alice.crt,alice.key alice
                                     by certificate instead of a password
  kinit -n @EXAMPLE.ORG              nobody in particular
  echo \"$PASSWORD\" | kinit alice     from a script: the password is the first line of the input

What was got: klist. What went wrong: KRB5_TRACE=/dev/stderr kinit
Exit code: 0 if there is a ticket, 1 if not, 2 for a wrong command line.";

/// Get a ticket-granting ticket and keep it in a credential cache.
#[derive(Parser)]
#[command(name = "kinit", version, after_help = EXAMPLES, disable_version_flag = true)]
pub(super) struct Arguments {
    /// Whose ticket; without it the owner of the cache, else the name you are logged in with
    pub principal: Option<String>,
    /// Say what is done
    #[arg(short = 'V', long)]
    pub verbose: bool,
    /// How long the ticket shall be good, such as 10h or 1d12h
    #[arg(short = 'l', long, value_name = "LIFETIME", allow_hyphen_values = true)]
    pub lifetime: Option<String>,
    /// When a postdated ticket shall become good: so much later, or a time
    #[arg(short = 's', long, value_name = "TIME", allow_hyphen_values = true)]
    pub start: Option<String>,
    /// For how long the ticket shall be renewable
    #[arg(short = 'r', long, value_name = "LIFETIME", allow_hyphen_values = true)]
    pub renewable: Option<String>,
    /// A ticket that can be forwarded to another host
    #[arg(short = 'f', long)]
    pub forwardable: bool,
    /// One that cannot
    #[arg(short = 'F', long, alias = "noforwardable")]
    pub no_forwardable: bool,
    /// A ticket that a proxy can use
    #[arg(short = 'p', long)]
    pub proxiable: bool,
    /// One that none can
    #[arg(short = 'P', long, alias = "noproxiable")]
    pub no_proxiable: bool,
    /// Bind the ticket to this host's addresses
    #[arg(short = 'a', long)]
    pub addresses: bool,
    /// Do not bind it to them
    #[arg(short = 'A', long, alias = "noaddresses")]
    pub no_addresses: bool,
    /// Let the KDC answer with the canonical name
    #[arg(short = 'C', long)]
    pub canonicalize: bool,
    /// The name is an enterprise name, such as a mail address
    #[arg(short = 'E', long)]
    pub enterprise: bool,
    /// Validate the postdated ticket in the cache
    #[arg(short = 'v', long)]
    pub validate: bool,
    /// Renew the ticket in the cache
    #[arg(short = 'R', long)]
    pub renew: bool,
    /// Take the key from a keytab instead of asking for a password
    #[arg(short = 'k', long)]
    pub use_keytab: bool,
    /// The default client keytab: KRB5_CLIENT_KTNAME, or what krb5.conf names
    #[arg(short = 'i', long)]
    pub client_keytab: bool,
    /// This keytab, instead of KRB5_KTNAME or the default one
    #[arg(short = 't', long, value_name = "KEYTAB")]
    pub keytab: Option<String>,
    /// A ticket without a name, of the realm of @REALM or the default one
    #[arg(short = 'n', long)]
    pub anonymous: bool,
    /// The first ticket is for this service instead of the ticket-granting one
    #[arg(short = 'S', long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// The cache to write
    #[arg(short = 'c', long, value_name = "CACHE")]
    pub cache: Option<String>,
    /// A cache from a former login, whose choices of pre-authentication are made again
    #[arg(short = 'I', long, value_name = "CACHE")]
    pub input_cache: Option<String>,
    /// A cache with a ticket that armors the request (FAST), so that nobody can guess the password;
    /// "auto": this host's own, or nobody's
    #[arg(short = 'T', long, value_name = "CACHE")]
    pub armor: Option<String>,
    /// For logins by certificate: X509_user_identity=FILE:cert,key or PKCS12:file, DIR:folder, ENV:variable;
    /// X509_anchors=FILE:file; disable_freshness=yes. May be given several times
    #[arg(short = 'X', value_name = "ATTRIBUTE=VALUE")]
    pub attribute: Vec<String>,
    /// Ask for a PAC in the ticket
    #[arg(long)]
    pub request_pac: bool,
    /// Ask for none
    #[arg(long)]
    pub no_request_pac: bool,
    #[arg(short = '4', hide = true)]
    pub four: bool,
    #[arg(short = '5', hide = true)]
    pub five: bool,
    /// Print the version
    #[arg(long = "version", action = clap::ArgAction::Version)]
    _version: Option<bool>,
}

/// The spans of time that were asked for.
pub(super) struct Spans {
    pub lifetime: Option<Seconds>,
    pub start_in: Option<Seconds>,
    pub renewable: Option<Seconds>,
}

impl Arguments {
    /// What cannot be said together, in MIT's words.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let wrong = [
            (self.forwardable && self.no_forwardable, "Only one of -f and -F allowed"),
            (self.proxiable && self.no_proxiable, "Only one of -p and -P allowed"),
            (self.request_pac && self.no_request_pac, "Only one of --request-pac and --no-request-pac allowed"),
            (self.addresses && self.no_addresses, "Only one of -a and -A allowed"),
            (self.keytab.is_some() && self.client_keytab, "Only one of -t and -i allowed"),
            (self.anonymous && self.by_keytab(), "Only one of -n and -k allowed"),
            (self.renew && self.validate, "Must use only one of -R and -v"),
        ];
        wrong.into_iter().find(|(wrong, _)| *wrong).map(|(_, words)| words)
    }

    /// Whether the key comes from a keytab.
    pub(super) fn by_keytab(&self) -> bool {
        self.use_keytab || self.keytab_alone()
    }

    /// Whether a keytab is named, but -k is not there.
    pub(super) fn keytab_alone(&self) -> bool {
        !self.use_keytab && (self.keytab.is_some() || self.client_keytab)
    }

    /// Reads the spans of time.
    ///
    /// # Errors
    /// MIT's words for the one that is none.
    pub(super) fn spans(&self) -> Result<Spans, String> {
        Ok(Spans {
            lifetime: self.lifetime.as_deref().map(lifetime).transpose()?,
            start_in: self.start.as_deref().map(start_in).transpose()?,
            renewable: self.renewable.as_deref().map(lifetime).transpose()?,
        })
    }

    /// What is being done, for messages.
    pub(super) fn doing(&self) -> &'static str {
        if self.renew {
            "while renewing credentials"
        } else if self.validate {
            "while validating credentials"
        } else {
            "while getting initial credentials"
        }
    }
}

fn lifetime(text: &str) -> Result<Seconds, String> {
    let span = parse_duration(text).ok().filter(|span| *span > 0);
    span.ok_or_else(|| format!("Bad lifetime value {text}"))
}

fn start_in(text: &str) -> Result<Seconds, String> {
    let span = match parse_when(text, local::wall()) {
        Ok(When::In(span)) => Some(span).filter(|span| *span != 0),
        Ok(When::At(wall)) => local::from_wall(wall).map(|at| at - local::now()),
        Err(_) => None,
    };
    span.ok_or_else(|| format!("Bad start time value {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Arguments {
        Arguments::try_parse_from(line.split(' ')).expect(line)
    }

    #[test]
    fn flags_cluster_as_with_getopt() {
        let arguments = parsed("kinit -Vfkt FILE:x -l1h alice");
        assert!(arguments.verbose && arguments.forwardable && arguments.by_keytab() && !arguments.keytab_alone());
        assert_eq!((arguments.keytab.as_deref(), arguments.lifetime.as_deref()), (Some("FILE:x"), Some("1h")));
    }

    #[test]
    fn a_life_is_longer_than_nothing() {
        assert_eq!(parsed("kinit -l 1h -r 1d").spans().expect("spans").renewable, Some(86_400));
        for line in ["kinit -l 0", "kinit -l -1h", "kinit -r 0", "kinit -r soon"] {
            let value = line.rsplit(' ').next().unwrap_or_default();
            assert_eq!(parsed(line).spans().err(), Some(format!("Bad lifetime value {value}")));
        }
    }

    #[test]
    fn a_start_is_a_span_or_a_time() {
        assert_eq!(parsed("kinit -s 2h").spans().expect("spans").start_in, Some(7200));
        let year_2100 = parsed("kinit -s 21000101000000").spans().expect("spans").start_in;
        assert!(year_2100.is_some_and(|span| span > 0), "{year_2100:?}");
        for text in ["0", "tomorrow"] {
            let spans = parsed(&format!("kinit -s {text}")).spans();
            assert_eq!(spans.err(), Some(format!("Bad start time value {text}")));
        }
    }
}
