//! The section `[indicators]`: what tickets say of how clients proved themselves (RFC 8129), and how it
//! bounds them.

use std::collections::BTreeMap;

use libkrb::authz::indicators;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::values;
use crate::core::claims::IndicatorRules;

/// The section `[indicators]`: for each method the indicators of its proofs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "named as the methods are in the log")]
pub struct IndicatorSettings {
    pub encrypted_timestamp: Indicators,
    pub encrypted_challenge: Indicators,
    pub spake: Indicators,
    pub pkinit: Indicators,
    pub otp: Indicators,
    /// Bounds on the life of tickets that bear an indicator, in seconds.
    pub max_life: BTreeMap<String, Life>,
}

/// Indicators, each of which may stand in a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indicators(pub Vec<String>);

/// A time in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Life(#[serde(deserialize_with = "values::duration")] pub i64);

impl<'de> Deserialize<'de> for Indicators {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(input)?;
        texts.iter().try_for_each(|text| indicators::check(text)).map_err(D::Error::custom)?;
        Ok(Indicators(texts))
    }
}

impl Default for IndicatorSettings {
    fn default() -> Self {
        let rules = IndicatorRules::default();
        let of = |proof: &str| Indicators(rules.of_proof.get(proof).cloned().unwrap_or_default());
        IndicatorSettings {
            encrypted_timestamp: of("encrypted-timestamp"),
            encrypted_challenge: of("encrypted-challenge"),
            spake: of("spake"),
            pkinit: of("pkinit"),
            otp: of("otp"),
            max_life: BTreeMap::new(),
        }
    }
}

impl IndicatorSettings {
    /// The rules, for the core: methods by the names that events have for them.
    pub fn rules(&self) -> IndicatorRules {
        let rows = [
            ("encrypted-timestamp", &self.encrypted_timestamp),
            ("encrypted-challenge", &self.encrypted_challenge),
            ("spake", &self.spake),
            ("pkinit", &self.pkinit),
            ("otp", &self.otp),
        ];
        IndicatorRules {
            of_proof: rows.into_iter().map(|(proof, texts)| (proof.to_owned(), texts.0.clone())).collect(),
            max_life: self.max_life.iter().map(|(indicator, life)| (indicator.clone(), life.0)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> libkrb::Result<IndicatorRules> {
        let text = format!("realm = 'R'\n[indicators]\n{text}");
        super::super::parse(Path::new("kdc.toml"), &text).map(|config| config.policy().indicators)
    }

    #[test]
    fn each_method_has_its_indicators_and_each_indicator_its_life() {
        let rules = read("otp = []\nencrypted_challenge = ['hardened']\nmax_life.hardened = '10h'").expect("sound");
        assert_eq!(rules.of_proof["otp"], [""; 0]);
        assert_eq!(rules.of_proof["encrypted-challenge"], ["hardened"]);
        assert_eq!(rules.of_proof["spake"], ["spake", "hardened"], "a default");
        assert_eq!(rules.life(&["hardened".to_owned()]), Some(36_000));
        assert_eq!(rules.life(&["other".to_owned()]), None);
        assert_eq!(read("").expect("sound").max_life.len(), 0);
    }

    #[test]
    fn what_can_be_no_indicator_is_refused() {
        for wrong in ["otp = ['one time']", "otp = ['']", "radius = ['x']", "max_life.otp = 'soon'"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
