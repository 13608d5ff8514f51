//! The section `[spake]`: logins by password that a listener cannot guess at (RFC 9588).

use libkrb::preauth::spake::Group;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::core::SpakeRules;

/// The section `[spake]`; [`SpakeRules`] says what each setting does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "named and explained in core::SpakeRules")]
pub struct SpakeSettings {
    #[serde(deserialize_with = "groups")]
    pub groups: Vec<&'static Group>,
    #[serde(deserialize_with = "challenge")]
    pub challenge: Option<&'static Group>,
}

impl Default for SpakeSettings {
    fn default() -> Self {
        let SpakeRules { groups, challenge } = SpakeRules::default();
        SpakeSettings { groups, challenge }
    }
}

impl SpakeSettings {
    /// The rules, for the core. A challenge goes out in a group that is allowed, or in none.
    pub fn rules(&self) -> SpakeRules {
        let SpakeSettings { groups, challenge } = self.clone();
        let challenge = challenge.filter(|group| groups.contains(group));
        SpakeRules { groups, challenge }
    }
}

fn group<E: Error>(name: &str) -> Result<&'static Group, E> {
    let expected =
        || E::custom(format!("a SPAKE group was expected (edwards25519, P-256, P-384 or P-521), not {name:?}"));
    Group::named(name).ok_or_else(expected)
}

fn groups<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<&'static Group>, D::Error> {
    Vec::<String>::deserialize(input)?.iter().map(|name| group(name)).collect()
}

fn challenge<'de, D: Deserializer<'de>>(input: D) -> Result<Option<&'static Group>, D::Error> {
    let name = String::deserialize(input)?;
    if name == "off" { Ok(None) } else { group(&name).map(Some) }
}
