//! A realm's registry from afar: where its API is and how the caller proves itself, by the command
//! line, krb5.conf and the environment. Not here: the API ([`crate::admin::Remote`]).

use std::path::PathBuf;

use clap::Args;
use libkrb::Principal;
use libkrb::ccache::CacheName;
use libkrb::client::Secret;
use libkrb::config::{Config, Environment};
use libkrb::keytab::KeytabName;
use zeroize::Zeroizing;

use super::stdio::Stdio;
use crate::admin::{Proof, Remote, Server};
use crate::error::{Error, Result};

/// Where the API is unless the setting says the port, as MIT's kadmind.
const PORT: u16 = 749;

/// How a password is asked for.
type Ask = Box<dyn FnMut(&Principal) -> libkrb::Result<Zeroizing<String>> + Send>;

/// The options for a registry from afar.
#[derive(Debug, Args)]
#[command(next_help_heading = "From afar")]
pub(super) struct Away {
    /// Be this principal, from afar; asks for its password unless -k or -c is given
    #[arg(short, value_name = "PRINCIPAL")]
    pub principal: Option<String>,
    /// Prove it with a keytab
    #[arg(short, conflicts_with = "cache")]
    pub keytab: bool,
    /// The keytab [default: krb5.conf's]
    #[arg(short = 't', value_name = "KEYTAB", requires = "keytab")]
    pub keytab_name: Option<String>,
    /// Prove it with the tickets in this credential cache
    #[arg(short, value_name = "CACHE")]
    pub cache: Option<String>,
    /// The server [default: the realm's admin_server in krb5.conf]
    #[arg(short, value_name = "HOST[:PORT]")]
    pub server: Option<String>,
    /// Believe certificates of this authority, in PEM [default: those that the system believes]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

impl Away {
    /// Whether anything says that the registry is not here.
    pub(super) fn is_meant(&self) -> bool {
        self.principal.is_some() || self.keytab || self.cache.is_some() || self.server.is_some()
    }

    /// The registry, and its realm.
    pub(super) fn log_in(self, realm: Option<String>, terminal: bool) -> Result<(Remote, String)> {
        let environment = Environment::from_process();
        let config = Config::load(&environment)?;
        let default = realm.clone().or_else(|| config.default_realm().map(ToOwned::to_owned));
        let proof = self.proof(&config, &environment, default.as_deref(), terminal)?;
        let own = match &proof {
            Proof::Password(principal, _) | Proof::Keytab(principal, _) => principal.realm().to_owned(),
            Proof::Cache(cache) => cache.load()?.principal.realm().to_owned(),
        };
        let realm = realm.unwrap_or(own);
        let server = self.server(&config, &realm)?;
        Ok((Remote::log_in(server, proof)?, realm))
    }

    fn proof(&self, config: &Config, environment: &Environment, realm: Option<&str>, terminal: bool) -> Result<Proof> {
        if let Some(cache) = &self.cache {
            return Ok(Proof::Cache(CacheName::parse(cache)?.as_configured(config)));
        }
        let named = self.principal.as_deref().map(|name| Principal::parse(name, realm)).transpose()?;
        if self.keytab {
            let name = match &self.keytab_name {
                Some(name) => name.clone(),
                None => config.keytab_name(environment)?,
            };
            let keytab = KeytabName::parse(&name)?;
            let principal = match named {
                Some(principal) => principal,
                None => {
                    let first = keytab.load()?.entries.into_iter().next();
                    first.ok_or_else(|| Error::Other(format!("{name}: there is no key in it")))?.principal
                }
            };
            return Ok(Proof::Keytab(principal, keytab));
        }
        let principal = named.map_or_else(|| nobody(realm), Ok)?;
        let shown = principal.to_string();
        let ask: Ask = Box::new(move |_| {
            let mut talk = Stdio { terminal };
            talk.password(&format!("Password for {shown}: ")).ok_or(libkrb::Error::PasswordIncorrect)
        });
        Ok(Proof::Password(principal, Secret::Prompt(ask)))
    }

    fn server(&self, config: &Config, realm: &str) -> Result<Server> {
        let unknown = || {
            Error::Other(format!(
                "where {realm} is administered is not known: say -s HOST, or admin_server in krb5.conf"
            ))
        };
        let text = match &self.server {
            Some(server) => server.clone(),
            None => config.admin_servers(realm)?.first().ok_or_else(unknown)?.to_string(),
        };
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let port =
                    port.parse().map_err(|_| Error::Other(format!("{text}: a port was expected after the colon")));
                (host.to_owned(), port?)
            }
            _ => (text, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Server { host, port, ca: self.ca.clone(), service: None })
    }
}

fn nobody(realm: Option<&str>) -> Result<Principal> {
    #[allow(clippy::disallowed_methods, reason = "who somebody is by default, as in MIT's kadmin")]
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| Error::Other("who administers is not known: say -p PRINCIPAL".into()))?;
    Ok(Principal::parse(&format!("{user}/admin"), realm)?)
}
