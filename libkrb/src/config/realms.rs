//! `[realms]` and `[domain_realm]`: the servers of a realm and the realm of a host.
//! Not here: DNS ([`crate::net`] when it is built in).

use super::server::{KADMIN_PORT, KDC_PORT, KPASSWD_PORT, Server};
use super::{Config, Value};
use crate::error::Result;

impl Config {
    /// The realms that `[realms]` names.
    pub fn realms(&self) -> Vec<&str> {
        self.profile.sections(&["realms"])
    }

    /// The `kdc` entries of a realm, in their order.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for an entry that names no server.
    pub fn kdcs(&self, realm: &str) -> Result<Vec<Server>> {
        self.servers(realm, "kdc", KDC_PORT)
    }

    /// The `primary_kdc` entries, or `master_kdc` as they were called once.
    ///
    /// # Errors
    /// As [`Config::kdcs`].
    pub fn primary_kdcs(&self, realm: &str) -> Result<Vec<Server>> {
        let servers = self.servers(realm, "primary_kdc", KDC_PORT)?;
        if servers.is_empty() { self.servers(realm, "master_kdc", KDC_PORT) } else { Ok(servers) }
    }

    /// The `admin_server` entries.
    ///
    /// # Errors
    /// As [`Config::kdcs`].
    pub fn admin_servers(&self, realm: &str) -> Result<Vec<Server>> {
        self.servers(realm, "admin_server", KADMIN_PORT)
    }

    /// The `kpasswd_server` entries.
    ///
    /// # Errors
    /// As [`Config::kdcs`].
    pub fn kpasswd_servers(&self, realm: &str) -> Result<Vec<Server>> {
        self.servers(realm, "kpasswd_server", KPASSWD_PORT)
    }

    fn servers(&self, realm: &str, name: &str, port: u16) -> Result<Vec<Server>> {
        let expected = "host, host:port, [address]:port, an https:// URL or the path of a socket";
        let parse = |value: &Value| Server::parse(&value.text, port).ok_or_else(|| value.unexpected(name, expected));
        self.values(&["realms", realm, name]).into_iter().map(parse).collect()
    }

    /// The `sitename` of a realm, which DNS is asked for first.
    pub fn site_name(&self, realm: &str) -> Option<&str> {
        self.value(&["realms", realm, "sitename"]).map(|value| &*value.text)
    }

    /// The realm of a host by `[domain_realm]`.
    pub fn realm_of_host(&self, host: &str) -> Option<&str> {
        realm_of_host(host, |name| self.value(&["domain_realm", name]).map(|value| &*value.text))
    }

    /// The realm of a host that neither `[domain_realm]` nor the KDC knows: its domain in upper
    /// case, as MIT guesses.
    pub fn guessed_realm_of_host(&self, host: &str) -> Option<String> {
        let host = clean(host)?;
        let (_, domain) = host.split_once('.')?;
        Some(domain.to_ascii_uppercase()).filter(|domain| !domain.is_empty())
    }
}

/// The realm of a host by a table as `[domain_realm]` is: its own entry, then `.domain` and `domain` of
/// each domain above it. The table is asked in lower case; addresses have no realm.
pub fn realm_of_host<'a>(host: &str, table: impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    let host = clean(host)?;
    let mut suffix = host.as_str();
    loop {
        if let Some(realm) = table(suffix) {
            return Some(realm);
        }
        suffix = match suffix.strip_prefix('.') {
            Some(domain) => domain,
            None => suffix.get(suffix.find('.')?..)?,
        };
    }
}

/// A host name in lower case without its last dot; `None` for addresses.
fn clean(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let address = host.contains(':') || host.parse::<std::net::Ipv4Addr>().is_ok();
    (!address && !host.is_empty()).then(|| host.to_ascii_lowercase())
}
