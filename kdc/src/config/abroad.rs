//! What kdc.toml says of other realms: `[capaths]`, `[referrals]`, and the rows `[[trust]]`. Not here:
//! what that does ([`crate::core::abroad`]).

use std::collections::{BTreeMap, BTreeSet};

use libkrb::access::Glob;
use libkrb::transited::Paths;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::Config;
use super::rotation::Duration;
use crate::core::{Abroad, Referrals, Trust};

/// The realms between a client's realm and a server's, by these two.
pub type Capaths = BTreeMap<Realm, BTreeMap<Realm, Vec<Realm>>>;

/// The name of any realm: domain or X.500 style.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Realm(pub String);

impl<'de> Deserialize<'de> for Realm {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let realm = String::deserialize(input)?;
        let sound = !realm.is_empty() && realm.len() <= 255 && !realm.chars().any(|c| c.is_control() || c == '@');
        if sound { Ok(Realm(realm)) } else { Err(D::Error::custom("a realm such as EXAMPLE.ORG was expected")) }
    }
}

/// A pattern of principals, which need not say the realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern, of this realm if it names none.
    fn glob(&self, realm: &str) -> Option<Glob> {
        Glob::parse(&self.0).or_else(|_| Glob::parse(&format!("{}@{realm}", self.0))).ok()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let pattern = Pattern(String::deserialize(input)?);
        let expected = "a pattern of names such as \"HTTP/*\" or \"*/admin@OTHER.ORG\" was expected";
        if pattern.glob("R").is_some() { Ok(pattern) } else { Err(D::Error::custom(expected)) }
    }
}

/// The section `[referrals]`; [`Referrals`] says what each setting does.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "named and explained in core::Referrals")]
pub struct ReferralSettings {
    pub domain_realm: BTreeMap<String, Realm>,
    pub host_based_services: Vec<String>,
    pub no_host_referral: Vec<String>,
    pub client_realm: BTreeMap<String, Realm>,
}

/// A row `[[trust]]`; [`Trust`] says what each setting does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "named and explained in core::Trust")]
pub struct TrustRow {
    pub realm: Realm,
    #[serde(default)]
    pub clients: Option<Vec<Pattern>>,
    #[serde(default)]
    pub services: Option<Vec<Pattern>>,
    #[serde(default)]
    pub max_life: Option<Duration>,
    #[serde(default)]
    pub indicators: BTreeSet<String>,
}

impl Config {
    /// Other realms, for the core.
    pub(super) fn abroad(&self) -> Abroad {
        let mut paths = Paths::default();
        for (client, servers) in &self.capaths {
            for (server, between) in servers {
                paths.set(&client.0, &server.0, between.iter().map(|realm| realm.0.clone()).collect());
            }
        }
        Abroad {
            paths,
            reject_bad_transit: self.policy.reject_bad_transit,
            trusts: self.trust.iter().map(|row| row.trust(&self.realm)).collect(),
            referrals: self.referrals.referrals(),
        }
    }
}

impl ReferralSettings {
    fn referrals(&self) -> Referrals {
        let folded = |table: &BTreeMap<String, Realm>| {
            table.iter().map(|(name, realm)| (name.to_ascii_lowercase(), realm.0.clone())).collect()
        };
        Referrals {
            hosts: folded(&self.domain_realm),
            host_based_services: self.host_based_services.iter().cloned().collect(),
            no_host_referral: self.no_host_referral.iter().cloned().collect(),
            clients: folded(&self.client_realm),
        }
    }
}

impl TrustRow {
    fn trust(&self, ours: &str) -> Trust {
        let globs = |patterns: &Option<Vec<Pattern>>, realm: &str| {
            patterns.as_ref().map(|patterns| patterns.iter().filter_map(|pattern| pattern.glob(realm)).collect())
        };
        Trust {
            realm: self.realm.0.clone(),
            clients: globs(&self.clients, &self.realm.0),
            services: globs(&self.services, ours),
            max_life: self.max_life.map(|life| life.0),
            indicators: self.indicators.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use libkrb::Principal;

    use super::super::parse;
    use super::*;

    fn abroad(text: &str) -> Abroad {
        parse(Path::new("kdc.toml"), &format!("realm = 'OURS'\n{text}")).expect("sound").policy().abroad
    }

    fn name(text: &str) -> Principal {
        Principal::parse(text, None).expect("a name")
    }

    #[test]
    fn without_settings_every_realm_that_is_trusted_is_trusted_whole_but_not_those_behind_it() {
        let abroad = abroad("");
        assert_eq!(abroad, Abroad::default());
        assert!(abroad.reject_bad_transit && abroad.trusts.is_empty());
    }

    #[test]
    fn paths_are_read_as_the_realms_between_two() {
        let abroad = abroad(
            "[capaths.\"A.ORG\"]\nOURS = [\"B.ORG\", \"C.ORG\"]\n\"D.ORG\" = []\n[policy]\nreject_bad_transit = false",
        );
        assert_eq!(abroad.paths.path("A.ORG", "OURS"), ["A.ORG", "B.ORG", "C.ORG", "OURS"]);
        assert_eq!(abroad.paths.path("A.ORG", "D.ORG"), ["A.ORG", "D.ORG"]);
        assert!(!abroad.reject_bad_transit);
    }

    #[test]
    fn patterns_without_a_realm_are_of_the_trusted_realms_clients_and_of_our_services() {
        let abroad = abroad(
            "[[trust]]\nrealm = 'A.ORG'\nclients = ['*', '*/admin@B.ORG']\nservices = ['HTTP/*']\nmax_life = '1h'",
        );
        let [trust] = &abroad.trusts[..] else { panic!("{abroad:?}") };
        assert_eq!((trust.max_life, trust.indicators.len()), (Some(3600), 0));
        assert!(trust.allows(&name("alice@A.ORG"), &name("HTTP/web@OURS")));
        assert!(trust.allows(&name("alice/admin@B.ORG"), &name("HTTP/web@OURS")));
        assert!(!trust.allows(&name("alice@B.ORG"), &name("HTTP/web@OURS")));
        assert!(!trust.allows(&name("alice@A.ORG"), &name("host/web@OURS")));
    }

    #[test]
    fn hosts_and_domains_are_looked_up_without_regard_to_case() {
        let abroad = abroad(
            "[referrals]\ndomain_realm = { \".Other.ORG\" = 'A.ORG' }\nclient_realm = { 'Mail.Example' = 'B.ORG' }\n\
             host_based_services = ['*']\nno_host_referral = ['ldap']",
        );
        assert_eq!(abroad.referrals.hosts.get(".other.org").map(String::as_str), Some("A.ORG"));
        assert_eq!(abroad.referrals.clients.get("mail.example").map(String::as_str), Some("B.ORG"));
        assert!(
            abroad.referrals.host_based_services.contains("*") && abroad.referrals.no_host_referral.contains("ldap")
        );
    }

    #[test]
    fn what_is_no_realm_and_no_pattern_is_refused() {
        for wrong in [
            "[[trust]]\nrealm = ''",
            "[[trust]]\nrealm = 'A@B'",
            "[[trust]]\nrealm = 'A'\nclients = ['a@b@c']",
            "[[trust]]\nclients = []",
            "[capaths.A]\nB = 'C'",
            "[referrals]\ndomain_realm = { x = '' }",
        ] {
            parse(Path::new("kdc.toml"), &format!("realm = 'OURS'\n{wrong}")).expect_err(wrong);
        }
    }
}
