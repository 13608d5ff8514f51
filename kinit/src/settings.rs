//! What krb5.conf and the environment say, for the tools: which cache, which keytab, which realm.

use std::sync::Arc;

use libkrb::ccache::CacheName;
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
        use report::During;
        let environment = Environment::from_process();
        let config = Config::load(&environment).during("while initializing krb5")?;
        Ok(Settings { config: Arc::new(config), environment })
    }

    /// The cache of this name, or the default one.
    pub(crate) fn cache(&self, name: Option<&str>) -> Result<CacheName> {
        match name {
            Some(name) => CacheName::parse(name),
            None => CacheName::parse(&self.config.ccache_name(&self.environment)?),
        }
    }

    /// What krb5.conf says.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The way to the KDCs, traced if KRB5_TRACE says so.
    pub(crate) fn transport(&self) -> Transport {
        Transport::new(Arc::clone(&self.config)).with_trace(Trace::from_environment(&self.environment))
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
        match Principal::parse(text, self.config.default_realm()) {
            Err(libkrb::Error::Name("no realm given")) => {
                self.config.needed_default_realm()?;
                Principal::parse(text, None)
            }
            parsed => parsed,
        }
    }
}
