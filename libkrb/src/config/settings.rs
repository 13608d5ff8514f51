//! What `[libdefaults]` and `[appdefaults]` come to, with MIT's defaults. Methods with a realm
//! look into that realm's subsection of `[libdefaults]` first.

use super::defaults::{BOOLEAN, Defaults, UDP_PREFERENCE_LIMIT, typed};
use super::{Config, Environment, parse_enctypes};
use crate::codes::EncryptionType;
use crate::error::{Error, Result};
use crate::time::Seconds;

/// The largest request that is ever sent in a datagram.
const LARGEST_DATAGRAM: usize = 32_700;

/// Whether host names are looked up before they become part of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canonicalize {
    /// Before the first request.
    Always,
    /// Never: the name stays as the caller gave it.
    Never,
    /// Only when the KDC does not know the name as it was given.
    Fallback,
}

impl Config {
    /// `default_realm`.
    pub fn default_realm(&self) -> Option<&str> {
        self.defaults.default_realm.as_deref().filter(|realm| !realm.is_empty())
    }

    /// `default_realm`, for those who cannot go on without one.
    ///
    /// # Errors
    /// [`Error::Setting`] in MIT's words.
    pub fn needed_default_realm(&self) -> Result<&str> {
        let missing = || Error::Setting("Configuration file does not specify default realm".to_owned());
        self.default_realm().ok_or_else(missing)
    }

    /// `dns_lookup_kdc`: whether KDCs may be found in DNS.
    pub fn dns_lookup_kdc(&self) -> bool {
        self.defaults.dns_lookup_kdc.unwrap_or(true)
    }

    /// `dns_lookup_realm`: whether a host's realm may be found in DNS, which nobody vouches for.
    pub fn dns_lookup_realm(&self) -> bool {
        self.defaults.dns_lookup_realm.unwrap_or(false)
    }

    /// `dns_uri_lookup`: whether URI records are asked for before SRV records.
    pub fn dns_uri_lookup(&self) -> bool {
        self.defaults.dns_uri_lookup.unwrap_or(true)
    }

    /// `dns_canonicalize_hostname`.
    pub fn dns_canonicalize_hostname(&self) -> Canonicalize {
        self.defaults.dns_canonicalize_hostname.unwrap_or(Canonicalize::Always)
    }

    /// `rdns`: whether canonicalization goes from the address back to a name.
    pub fn rdns(&self) -> bool {
        self.defaults.rdns.unwrap_or(true)
    }

    /// `qualify_shortname`: what is appended to host names without a dot; the empty text forbids it.
    pub fn qualify_shortname(&self) -> Option<&str> {
        self.defaults.qualify_shortname.as_deref()
    }

    /// `allow_weak_crypto`. Here it only allows RC4: DES does not exist.
    pub fn allow_weak_crypto(&self) -> bool {
        self.defaults.allow_weak_crypto.unwrap_or(false)
    }

    /// `allow_rc4`, or `allow_weak_crypto`.
    pub fn allow_rc4(&self) -> bool {
        self.defaults.allow_rc4.unwrap_or(false) || self.allow_weak_crypto()
    }

    /// `permitted_enctypes`: what tickets, authenticators and sessions may use.
    pub fn permitted_enctypes(&self) -> Vec<EncryptionType> {
        self.defaults.permitted_enctypes.clone().unwrap_or_else(|| parse_enctypes("DEFAULT", self.allow_rc4()).enctypes)
    }

    /// `default_tkt_enctypes`: what an AS request asks for, best first.
    pub fn default_tkt_enctypes(&self) -> Vec<EncryptionType> {
        self.defaults.default_tkt_enctypes.clone().unwrap_or_else(|| self.permitted_enctypes())
    }

    /// `default_tgs_enctypes`: what a TGS request asks for, best first.
    pub fn default_tgs_enctypes(&self) -> Vec<EncryptionType> {
        self.defaults.default_tgs_enctypes.clone().unwrap_or_else(|| self.permitted_enctypes())
    }

    /// The realm's own setting, else the common one.
    fn of_realm<T>(&self, realm: &str, setting: impl Fn(&Defaults) -> Option<T>) -> Option<T> {
        self.realm_defaults.get(realm).and_then(&setting).or_else(|| setting(&self.defaults))
    }

    /// `ticket_lifetime`: how long initial tickets shall live; a day by default.
    pub fn ticket_lifetime(&self, realm: &str) -> Seconds {
        self.of_realm(realm, |defaults| defaults.ticket_lifetime).unwrap_or(86_400)
    }

    /// `renew_lifetime`: how long initial tickets shall be renewable; 0 for not at all.
    pub fn renew_lifetime(&self, realm: &str) -> Seconds {
        self.of_realm(realm, |defaults| defaults.renew_lifetime).unwrap_or(0)
    }

    /// `forwardable`: whether initial tickets shall be.
    pub fn forwardable(&self, realm: &str) -> bool {
        self.of_realm(realm, |defaults| defaults.forwardable).unwrap_or(false)
    }

    /// `proxiable`: whether initial tickets shall be.
    pub fn proxiable(&self, realm: &str) -> bool {
        self.of_realm(realm, |defaults| defaults.proxiable).unwrap_or(false)
    }

    /// `noaddresses`: whether initial tickets shall be free of addresses.
    pub fn noaddresses(&self, realm: &str) -> bool {
        self.of_realm(realm, |defaults| defaults.noaddresses).unwrap_or(true)
    }

    /// `canonicalize`: whether the KDC may answer with another client name (RFC 6806 6).
    pub fn canonicalize(&self, realm: &str) -> bool {
        self.of_realm(realm, |defaults| defaults.canonicalize).unwrap_or(false)
    }

    /// `verify_ap_req_nofail`: whether initial credentials that cannot be verified are refused.
    pub fn verify_ap_req_nofail(&self, realm: &str) -> bool {
        self.of_realm(realm, |defaults| defaults.verify_ap_req_nofail).unwrap_or(false)
    }

    /// `clockskew`: how far apart clocks may be.
    pub fn clockskew(&self) -> Seconds {
        self.defaults.clockskew.unwrap_or(300)
    }

    /// `kdc_timesync`: whether the offset to the KDC's clock is kept and used.
    pub fn kdc_timesync(&self) -> bool {
        self.defaults.kdc_timesync.unwrap_or(true)
    }

    /// `udp_preference_limit`: up to this size a request goes by UDP first.
    pub fn udp_preference_limit(&self) -> usize {
        self.defaults.udp_preference_limit.unwrap_or(UDP_PREFERENCE_LIMIT).min(LARGEST_DATAGRAM)
    }

    /// `request_timeout`: how long a request may take over all KDCs. `None`: not set, or 0.
    pub fn request_timeout(&self) -> Option<Seconds> {
        self.defaults.request_timeout.filter(|seconds| *seconds > 0)
    }

    /// `ignore_acceptor_hostname`: whether a service accepts tickets for any of its host names.
    pub fn ignore_acceptor_hostname(&self) -> bool {
        self.defaults.ignore_acceptor_hostname.unwrap_or(false)
    }

    /// `enforce_ok_as_delegate`: whether tickets are delegated only where the KDC says so.
    pub fn enforce_ok_as_delegate(&self) -> bool {
        self.defaults.enforce_ok_as_delegate.unwrap_or(false)
    }

    /// `client_aware_channel_bindings`.
    pub fn client_aware_channel_bindings(&self) -> bool {
        self.defaults.client_aware_channel_bindings.unwrap_or(false)
    }

    /// The groups in which a client may use SPAKE (RFC 9588), by their names; `None`: not said.
    pub fn spake_preauth_groups(&self) -> Option<&str> {
        self.value(&["libdefaults", "spake_preauth_groups"]).map(|value| &*value.text)
    }

    /// `preferred_preauth_types`: what goes before the KDC's own order.
    pub fn preferred_preauth_types(&self) -> Vec<i32> {
        self.defaults.preferred_preauth_types.clone().unwrap_or_else(|| vec![17, 16, 15, 14])
    }

    /// The default credential cache: `KRB5CCNAME`, else `default_ccache_name`, else
    /// `FILE:/tmp/krb5cc_%{uid}`.
    ///
    /// # Errors
    /// [`Error::Config`] for a `%{...}` that stands for nothing.
    pub fn ccache_name(&self, environment: &Environment) -> Result<String> {
        self.name(environment, environment.ccache.as_deref(), "default_ccache_name", "FILE:/tmp/krb5cc_%{uid}")
    }

    /// `kcm_socket`: where the daemon for `KCM:` caches listens; `-`: nowhere.
    pub fn kcm_socket(&self) -> Option<&str> {
        self.value(&["libdefaults", "kcm_socket"]).map(|value| &*value.text)
    }

    /// The default keytab of services: `KRB5_KTNAME`, else `default_keytab_name`, else
    /// `FILE:/etc/krb5.keytab`.
    ///
    /// # Errors
    /// As [`Config::ccache_name`].
    pub fn keytab_name(&self, environment: &Environment) -> Result<String> {
        self.name(environment, environment.keytab.as_deref(), "default_keytab_name", "FILE:/etc/krb5.keytab")
    }

    /// The default keytab of clients: `KRB5_CLIENT_KTNAME`, else `default_client_keytab_name`, else
    /// `FILE:/etc/krb5/user/%{euid}/client.keytab`.
    ///
    /// # Errors
    /// As [`Config::ccache_name`].
    pub fn client_keytab_name(&self, environment: &Environment) -> Result<String> {
        let fallback = "FILE:/etc/krb5/user/%{euid}/client.keytab";
        self.name(environment, environment.client_keytab.as_deref(), "default_client_keytab_name", fallback)
    }

    fn name(&self, environment: &Environment, variable: Option<&str>, key: &str, fallback: &str) -> Result<String> {
        if let Some(name) = variable {
            return Ok(name.to_owned());
        }
        match self.value(&["libdefaults", key]) {
            Some(value) => {
                environment.expand(&value.text).map_err(|problem| value.place.error(format!("{key}: {problem}")))
            }
            None => environment.expand(fallback).map_err(Error::Setting),
        }
    }

    /// An option of an application: of the realm within the application's section, of the
    /// application, of the realm, or of `[appdefaults]` itself.
    pub fn appdefault(&self, application: &str, realm: &str, option: &str) -> Option<&str> {
        let paths: [&[&str]; 4] = [
            &["appdefaults", application, realm, option],
            &["appdefaults", application, option],
            &["appdefaults", realm, option],
            &["appdefaults", option],
        ];
        paths.iter().find_map(|path| self.value(path)).map(|value| &*value.text)
    }

    /// A yes-or-no setting of a realm in `[realms]`, like `disable_encrypted_timestamp`.
    ///
    /// # Errors
    /// [`Error::Config`] for a value that is neither.
    pub fn realm_flag(&self, realm: &str, name: &str) -> Result<Option<bool>> {
        self.value(&["realms", realm, name]).map(|value| typed(value, name, BOOLEAN)).transpose()
    }
}
