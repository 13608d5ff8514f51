//! The rows `[[otp.radius]]`: the servers that know one-time passwords, each a type of tokens.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libkrb::authz::indicators;
use serde::Deserialize;

use super::{Config, values};
use crate::core::second::{DEFAULT, OtpType};
use crate::radius::Radius;
use crate::source::Source;

/// The section `[otp]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtpSettings {
    /// Whether a wrong value of a counting token leads to a question for its next one.
    pub next_value: bool,
    /// Servers.
    pub radius: Vec<RadiusRow>,
}

/// A RADIUS server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadiusRow {
    /// The type of tokens that it knows.
    #[serde(default = "default_name")]
    pub name: String,
    /// Where it is.
    pub server: SocketAddr,
    /// Where the secret comes from that it shares with the KDC.
    pub secret: Source,
    /// Seconds that an answer is waited for.
    #[serde(default = "timeout", deserialize_with = "values::duration")]
    pub timeout: i64,
    /// How often it is asked.
    #[serde(default = "tries")]
    pub tries: u32,
    /// How many may wait for it at once.
    #[serde(default = "at_once", deserialize_with = "values::count")]
    pub at_once: usize,
    /// Whether it knows its users without the realm.
    #[serde(default = "strip_realm")]
    pub strip_realm: bool,
    /// What tickets say of its tokens beside `otp`.
    #[serde(default)]
    pub indicators: Vec<String>,
    /// Whether a PIN is asked for and put before the value; without it that is left to who types.
    #[serde(default)]
    pub collect_pin: Option<bool>,
}

impl Config {
    /// The types of tokens, for the core.
    pub(super) fn otp_types(&self) -> BTreeMap<String, OtpType> {
        let types = self.otp.radius.iter().map(|row| {
            let timeout = Duration::from_secs(u64::try_from(row.timeout).unwrap_or(5));
            let server = Radius::new(row.server, row.secret.clone(), (timeout, row.tries), row.at_once);
            let (strip_realm, indicators) = (row.strip_realm, row.indicators.clone());
            let kind = OtpType { server: Arc::new(server), strip_realm, indicators, collect_pin: row.collect_pin };
            (row.name.clone(), kind)
        });
        types.collect()
    }

    /// Whether what the rows say can be; else what is wrong.
    pub(super) fn check_otp(&self) -> Result<(), String> {
        for (place, row) in self.otp.radius.iter().enumerate() {
            if self.otp.radius.iter().take(place).any(|other| other.name == row.name) {
                return Err(format!("otp.radius: there are two servers of the name {:?}", row.name));
            }
            if !(1..=10).contains(&row.tries) || !(1..=30).contains(&row.timeout) {
                return Err("otp.radius: 1 to 10 tries of 1 to 30 seconds were expected".to_owned());
            }
            row.indicators.iter().try_for_each(|indicator| indicators::check(indicator))?;
        }
        Ok(())
    }

    /// Reads every secret once.
    ///
    /// # Errors
    /// When one can't be read.
    pub fn check_secrets(&self) -> libkrb::Result<()> {
        self.otp.radius.iter().try_for_each(|row| row.secret.read().map(drop))
    }
}

fn default_name() -> String {
    DEFAULT.to_owned()
}

fn timeout() -> i64 {
    5
}

fn tries() -> u32 {
    3
}

fn at_once() -> usize {
    16
}

fn strip_realm() -> bool {
    true
}
