//! What krb5.conf and the environment say, for the tools: which cache, which keytab, which realm.

use std::sync::Arc;

use libkrb::ccache::{CacheName, Ccache, default_cache};
use libkrb::client::ClockOffset;
use libkrb::config::{Config, Environment};
use libkrb::keytab::KeytabName;
use libkrb::net::{Trace, Transport};
use libkrb::{Principal, Result};

use crate::report;

/// The configuration and the environment of this process.
pub(crate) struct Settings {
    config: Arc<Config>,
    environment: Environment,
}

impl Settings {
    /// Reads them.
    pub(crate) fn load() -> report::Result<Settings> {
        Settings::load_during("while initializing krb5")
    }

    /// Reads them; the words are those of the tool for where it fails.
    pub(crate) fn load_during(doing: &str) -> report::Result<Settings> {
        use report::During;
        let environment = Environment::from_process();
        let config = Config::load(&environment).during(doing)?;
        Ok(Settings { config: Arc::new(config), environment })
    }

    /// The cache of this name, or the default one.
    pub(crate) fn cache(&self, name: Option<&str>) -> Result<CacheName> {
        match name {
            Some(name) => Ok(CacheName::parse(name)?.as_configured(&self.config)),
            None => default_cache(&self.config, &self.environment, |why| self.trace().line(format_args!("{why}"))),
        }
    }

    /// What krb5.conf says.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The way to the KDCs, traced if KRB5_TRACE says so.
    pub(crate) fn transport(&self) -> Transport {
        Transport::new(Arc::clone(&self.config)).with_trace(self.trace())
    }

    fn trace(&self) -> Trace {
        Trace::from_environment(&self.environment)
    }

    /// The name that this user is logged in with.
    pub(crate) fn user(&self) -> Option<String> {
        self.environment.user.clone()
    }

    /// The default keytab of services.
    pub(crate) fn keytab(&self) -> Result<KeytabName> {
        KeytabName::parse(&self.config.keytab_name(&self.environment)?)
    }

    /// The default keytab of clients.
    pub(crate) fn client_keytab(&self) -> Result<KeytabName> {
        KeytabName::parse(&self.config.client_keytab_name(&self.environment)?)
    }

    /// The principal of this name, in the default realm if it names none.
    pub(crate) fn principal(&self, text: &str) -> Result<Principal> {
        self.named(text, Principal::parse)
    }

    /// The enterprise name `text`, in the default realm if it names none.
    pub(crate) fn enterprise(&self, text: &str) -> Result<Principal> {
        self.named(text, Principal::parse_enterprise)
    }

    fn named(&self, text: &str, parse: fn(&str, Option<&str>) -> Result<Principal>) -> Result<Principal> {
        match parse(text, self.config.default_realm()) {
            Err(libkrb::Error::Name("no realm given")) => {
                self.config.needed_default_realm()?;
                parse(text, None)
            }
            parsed => parsed,
        }
    }

    /// What a cache tells of the KDC's clock, if krb5.conf lets it count.
    pub(crate) fn offset(&self, cache: &Ccache) -> ClockOffset {
        let known = cache.kdc_offset.filter(|_| self.config.kdc_timesync());
        known.map(|(seconds, micros)| ClockOffset::new(seconds, micros)).unwrap_or_default()
    }
}
