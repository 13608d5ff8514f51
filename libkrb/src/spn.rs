//! Which principal a service has, made of the URL or the host that is called (RFC 4120 6.2.1). No
//! DNS, in neither direction: a name that an attacker on the network can choose proves nothing, and
//! in containers it is the wrong one. Pure. Not here: tickets (`libkrb::credentials`).
//!
//! Without rules `https://Ads.Example.Org:8443/x` is `HTTP/ads.example.org`: lower case, no port, no
//! last dot. Rules are rows `pattern -> [service/][name][@REALM]`; the first one that fits counts. In a
//! pattern `*` stands for any text, once.
//!
//! ```
//! use libkrb::spn::SpnRules;
//!
//! let rules = SpnRules::parse("spn.rules", "
//!     https://edge.example.org/ads -> HTTP/ad-service.shop     # a URL and what is below it
//!     10.0.0.7:8080                -> HTTP/ad-service.shop     # addresses only so
//!     ads                          -> ad-service.shop          # an alias, whatever the service
//!     *.svc.cluster.local          -> {*}                      # HTTP/service.namespace
//!     *.mesh                       -> HTTP/{1}.{2}             # the first two labels
//!     *.shop                       -> @EXAMPLE.ORG             # the realm alone
//! ")?;
//! for (url, principal) in [
//!     ("https://edge.example.org/ads/7", "HTTP/ad-service.shop@EXAMPLE.ORG"),
//!     ("http://10.0.0.7:8080", "HTTP/ad-service.shop@EXAMPLE.ORG"),
//!     ("http://ads/", "HTTP/ad-service.shop@EXAMPLE.ORG"),
//!     ("http://user-service.shop.svc.cluster.local", "HTTP/user-service.shop@EXAMPLE.ORG"),
//!     ("http://cart.shop.blue.mesh", "HTTP/cart.shop@EXAMPLE.ORG"),
//!     ("https://edge.example.org/", "HTTP/edge.example.org@"),
//! ] {
//!     assert_eq!(rules.for_url(url)?.principal.to_string(), principal);
//! }
//! assert_eq!(rules.for_url("http://ads")?.how, "from the rule ads -> ad-service.shop; \
//!     realm from the rule *.shop -> @EXAMPLE.ORG");
//! # Ok::<(), libkrb::Error>(())
//! ```
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod called;
mod rule;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use crate::codes::NameType;
use crate::config::{Config, Place};
use crate::error::{Error, ErrorCode, Result};
use crate::name::Principal;
use called::{Called, Host};
use rule::Rule;

/// The schemes whose services are called HTTP (RFC 4559).
const HTTP: [&str; 4] = ["http", "https", "ws", "wss"];

/// A service's principal, and how its name came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spn {
    /// The principal. An empty realm leaves it to the KDC.
    pub principal: Principal,
    /// In words, how it was made.
    pub how: String,
}

impl Spn {
    /// What it means that the KDC does not know the principal, and what to do next.
    pub fn not_found(&self) -> Error {
        let name = self.principal.without_realm();
        let realm = Some(self.principal.realm()).filter(|realm| !realm.is_empty());
        let shown = realm.map_or_else(|| name.to_string(), |_| self.principal.to_string());
        let text = format!(
            "{shown} ({}); add it to the realm (kadmin [--config FILE] addprinc -randkey {name}), \
             or say in the rules for service names what it is called",
            self.how
        );
        Error::protocol(ErrorCode::S_PRINCIPAL_UNKNOWN, text)
    }

    /// The same error; one that says only that the KDC does not know the service says more.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match error {
            Error::Protocol { code: ErrorCode::S_PRINCIPAL_UNKNOWN, .. } => self.not_found(),
            error => error,
        }
    }
}

impl From<Principal> for Spn {
    /// A principal that needs no rules.
    fn from(principal: Principal) -> Spn {
        Spn { principal, how: "as it was given".to_owned() }
    }
}

/// The rules by which services are named.
#[derive(Clone, Debug, Default)]
pub struct SpnRules {
    rules: Vec<Rule>,
    realms: Option<Arc<Config>>,
}

impl SpnRules {
    /// No rules but the default one.
    pub fn new() -> SpnRules {
        SpnRules::default()
    }

    /// The rules of a text: one a line, `#` begins a comment. `file` stands in errors.
    ///
    /// # Errors
    /// [`Error::Config`] for a line that is none.
    pub fn parse(file: &str, text: &str) -> Result<SpnRules> {
        let mut rules = SpnRules::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split_once('#').map_or(line, |(rule, _)| rule).trim();
            if !line.is_empty() {
                let place = Place { file: Path::new(file).into(), line: index.saturating_add(1) };
                let (pattern, target) = line
                    .split_once("->")
                    .ok_or_else(|| place.error("expected what is called, \"->\", and the service's name"))?;
                let rule = Rule::parse(pattern.trim(), target.trim()).map_err(|problem| place.error(problem))?;
                rules.rules.push(rule);
            }
        }
        Ok(rules)
    }

    /// The same with one more rule at the end.
    ///
    /// ```
    /// # use libkrb::spn::SpnRules;
    /// let rules = SpnRules::new().rule("ads", "HTTP/ad-service.shop@EXAMPLE.ORG")?;
    /// let spn = rules.for_url("http://ads:8080/list")?;
    /// assert_eq!(spn.principal.to_string(), "HTTP/ad-service.shop@EXAMPLE.ORG");
    /// # Ok::<(), libkrb::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Spn`] for what is no rule.
    pub fn rule(mut self, pattern: &str, target: &str) -> Result<SpnRules> {
        self.rules.push(Rule::parse(pattern, target).map_err(Error::Spn)?);
        Ok(self)
    }

    /// The same; where no rule says a realm, `[domain_realm]` of this configuration does, if it can.
    #[must_use]
    pub fn with_domain_realms(self, config: Arc<Config>) -> SpnRules {
        SpnRules { realms: Some(config), ..self }
    }

    /// The service behind a URL.
    ///
    /// # Errors
    /// [`Error::Spn`] for what is no URL of HTTP, and as [`SpnRules::for_host`].
    pub fn for_url(&self, url: &str) -> Result<Spn> {
        let called = Called::url(url).map_err(Error::Spn)?;
        if !called.scheme.as_deref().is_some_and(|scheme| HTTP.contains(&scheme)) {
            return Err(Error::Spn(format!("{called}: only {} are services of HTTP", HTTP.join(", "))));
        }
        self.name("HTTP", &called)
    }

    /// A service on a host, which a port may follow.
    ///
    /// ```
    /// # use libkrb::spn::SpnRules;
    /// let spn = SpnRules::new().for_host("postgres", "DB.Shop.:5432")?;
    /// assert_eq!(spn.principal.without_realm().to_string(), "postgres/db.shop");
    /// assert_eq!(spn.how, "by default, from service and host; realm left to the KDC");
    /// # Ok::<(), libkrb::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Spn`] for what is no host name, and for an address that no rule names.
    pub fn for_host(&self, service: &str, host: &str) -> Result<Spn> {
        self.name(service, &Called::host(host).map_err(Error::Spn)?)
    }

    /// The first rule that fits and says a name makes it.
    fn name(&self, service: &str, called: &Called) -> Result<Spn> {
        let mut naming = self.rules.iter().filter(|rule| rule.says_name());
        let found = naming.find_map(|rule| Some((rule, rule.fits(called)?)));
        let (service, name, how) = match (found, &called.host) {
            (Some((rule, star)), host) => {
                let name = rule.name(host, star).map_err(Error::Spn)?;
                (rule.service().unwrap_or(service), name, format!("from the rule {rule}"))
            }
            (None, Host::Name(name)) => (service, name.clone(), "by default, from service and host".to_owned()),
            (None, Host::Address(address)) => {
                return Err(Error::Spn(format!(
                    "{address} is an address, and services have names: call it by its name, \
                     or give it a rule, \"{address} -> {service}/its-name\""
                )));
            }
        };
        let (realm, whence) = match found.and_then(|(rule, _)| rule.realm()) {
            Some(realm) => (realm.to_owned(), String::new()),
            None => self.realm(&name, called),
        };
        let components = std::iter::once(service).chain(name.split('/'));
        let principal = Principal::new(NameType::SRV_HST, &realm, components)?;
        Ok(Spn { principal, how: format!("{how}{whence}") })
    }

    /// The realm of a name that no rule gave one with it, and in words where it is from: by the name
    /// itself, then by what was called.
    fn realm(&self, name: &str, called: &Called) -> (String, String) {
        let named = Called::host(name).ok();
        let places = || named.iter().chain([called]);
        let mut rules = self.rules.iter().filter(|rule| !rule.says_name());
        if let Some(rule) = rules.find(|rule| places().any(|place| rule.fits(place).is_some())) {
            return (rule.realm().unwrap_or_default().to_owned(), format!("; realm from the rule {rule}"));
        }
        let config = self.realms.as_deref();
        let by_domain = |place: &Called| config.and_then(|config| config.realm_of_host(&place.host.to_string()));
        match places().find_map(by_domain) {
            Some(realm) => (realm.to_owned(), "; realm from [domain_realm]".to_owned()),
            None => (String::new(), "; realm left to the KDC".to_owned()),
        }
    }
}
