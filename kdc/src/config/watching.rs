//! The sections of kdc.toml about watching: `[audit]`, `[management]`, `[telemetry]`. Not here: what is watched.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use super::values;
use crate::observe::Sync;

/// The section `[audit]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSettings {
    /// A file that gets a JSON line for every request and every call of administration.
    pub file: Option<PathBuf>,
    /// Bytes before another file is begun.
    #[serde(deserialize_with = "values::size")]
    pub rotate_at: usize,
    /// Old files that stay.
    #[serde(deserialize_with = "values::count")]
    pub keep: usize,
    /// Seconds that an old file stays; `None`: as long as it is one of those.
    #[serde(deserialize_with = "some_duration")]
    pub keep_for: Option<i64>,
    /// The socket of journald, which gets the same lines.
    pub journald: Option<PathBuf>,
    /// The socket of syslog, which gets the same lines.
    pub syslog: Option<PathBuf>,
    /// A file with a key for the chain of the lines.
    pub key: Option<PathBuf>,
    /// Which lines are forced to the disk.
    pub sync: Sync,
}

/// The section `[management]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ManagementSettings {
    /// Where `/metrics`, `/livez` and `/readyz` are served; nowhere unless said.
    #[serde(deserialize_with = "values::listen")]
    pub listen: Vec<SocketAddr>,
    /// Names as which they may be asked for besides addresses and `localhost`.
    pub hosts: Vec<String>,
}

/// The section `[telemetry]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// The URL of an OpenTelemetry collector that gets a span for every request (OTLP over HTTP).
    #[serde(deserialize_with = "otlp")]
    pub otlp: Option<String>,
}

impl Default for AuditSettings {
    fn default() -> Self {
        AuditSettings {
            file: None,
            rotate_at: 100 << 20,
            keep: 30,
            keep_for: None,
            journald: None,
            syslog: None,
            key: None,
            sync: Sync::default(),
        }
    }
}

impl AuditSettings {
    /// Every path that is taken from the folder of kdc.toml.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.file, &mut self.journald, &mut self.syslog, &mut self.key].into_iter().flatten()
    }
}

fn some_duration<'de, D: Deserializer<'de>>(input: D) -> Result<Option<i64>, D::Error> {
    values::duration(input).map(Some)
}

fn otlp<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    use serde::de::Error;
    let url = String::deserialize(input)?;
    if !cfg!(feature = "otel") {
        return Err(D::Error::custom("this kdc was built without OpenTelemetry; build it with --features otel"));
    }
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(D::Error::custom("a URL such as \"http://127.0.0.1:4318\" was expected"));
    }
    Ok(Some(url))
}
