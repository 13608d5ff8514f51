//! The command line of kinit, and what of it cannot be.

use clap::Parser;
use libkrb::config::{When, parse_duration, parse_when};
use libkrb::time::Seconds;
use libkrb::{Result, Time};

use crate::local;
use crate::report::{self, Failure};

const EXAMPLES: &str = "\
Examples:
  kinit                              you, in the default realm, by password
  kinit alice@EXAMPLE.ORG            somebody, somewhere
  kinit -l 1h -r 7d                  for an hour, renewable for a week
  kinit -R                           renew it, without the password
  kinit -kt app.keytab app/host      a service, by its keytab
  echo \"$PASSWORD\" | kinit alice     from a script: the password is the first line of the input

What was got: klist. What went wrong: KRB5_TRACE=/dev/stderr kinit
Exit code: 0 if there is a ticket, 1 if not, 2 for a wrong command line.";

/// Get a ticket-granting ticket and keep it in a credential cache.
#[derive(Parser)]
#[command(name = "kinit", after_help = EXAMPLES, disable_version_flag = true)]
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
    #[arg(short = 's', long, value_name = "TIME")]
    pub start: Option<String>,
    /// For how long the ticket shall be renewable
    #[arg(short = 'r', long, value_name = "LIFETIME")]
    pub renewable: Option<String>,
    /// A ticket that can be forwarded to another host
    #[arg(short = 'f', long)]
    pub forwardable: bool,
    /// One that cannot
    #[arg(short = 'F', long)]
    pub no_forwardable: bool,
    /// A ticket that a proxy can use
    #[arg(short = 'p', long)]
    pub proxiable: bool,
    /// One that none can
    #[arg(short = 'P', long)]
    pub no_proxiable: bool,
    /// Bind the ticket to this host's addresses
    #[arg(short = 'a', long)]
    pub addresses: bool,
    /// Do not
    #[arg(short = 'A', long)]
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
    /// The default client keytab, with -k
    #[arg(short = 'i', long)]
    pub client_keytab: bool,
    /// The keytab, with -k
    #[arg(short = 't', long, value_name = "KEYTAB")]
    pub keytab: Option<String>,
    /// An anonymous ticket
    #[arg(short = 'n', long)]
    pub anonymous: bool,
    /// The first ticket is for this service instead of the ticket-granting one
    #[arg(short = 'S', long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// The cache to write
    #[arg(short = 'c', long, value_name = "CACHE")]
    pub cache: Option<String>,
    /// A cache whose choices of pre-authentication are made again
    #[arg(short = 'I', long, value_name = "CACHE")]
    pub input_cache: Option<String>,
    /// A cache with a ticket that armors the request (FAST)
    #[arg(short = 'T', long, value_name = "CACHE")]
    pub armor: Option<String>,
    /// An attribute for pre-authentication
    #[arg(short = 'X', value_name = "ATTRIBUTE[=VALUE]")]
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
            (self.renew && self.validate, "Must use only one of -R and -v"),
        ];
        wrong.into_iter().find(|(wrong, _)| *wrong).map(|(_, words)| words)
    }

    /// Reads the spans of time.
    pub(super) fn spans(&self) -> Result<Spans> {
        let span = |text: &Option<String>| text.as_deref().map(parse_duration).transpose();
        Ok(Spans { lifetime: span(&self.lifetime)?, start_in: self.start_in()?, renewable: span(&self.renewable)? })
    }

    fn start_in(&self) -> Result<Option<Seconds>> {
        let Some(text) = &self.start else { return Ok(None) };
        let wall = local::wall();
        Ok(Some(match parse_when(text, wall)? {
            When::In(seconds) => seconds,
            When::At(Time(at)) => at - wall.seconds(),
        }))
    }

    /// MIT's words for the span that is none.
    pub(super) fn bad_span(&self) -> String {
        let bad =
            |text: &Option<String>| text.as_deref().filter(|text| parse_duration(text).is_err()).map(str::to_owned);
        let spans =
            [("lifetime", bad(&self.lifetime)), ("lifetime", bad(&self.renewable)), ("start time", self.start.clone())];
        let bad = spans.into_iter().find_map(|(what, text)| Some(format!("Bad {what} value {}", text?)));
        bad.unwrap_or_default()
    }

    /// What MIT's kinit can and this one cannot.
    pub(super) fn not_yet(&self) -> report::Result<()> {
        let missing = [
            (self.anonymous, "anonymous tickets (-n)"),
            (self.armor.is_some(), "FAST armor (-T)"),
            (!self.attribute.is_empty(), "attributes of pre-authentication (-X)"),
        ];
        match missing.into_iter().find(|(asked, _)| *asked) {
            Some((_, what)) => Err(Failure::new(format!("{what} are not supported yet"))),
            None => Ok(()),
        }
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
