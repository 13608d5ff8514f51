//! The values of kdc.toml: text into what it means, at the place where it stands, so that an error
//! names the line. Not here: which settings there are.

use std::net::SocketAddr;

use libkrb::codes::EncryptionType;
use libkrb::config::parse_duration;
use libkrb::crypto::{MAX_ITERATIONS, MIN_ITERATIONS, is_weak, supported};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Only what somebody must look after.
    Error,
    /// And what may become trouble.
    Warn,
    /// And a line for every request.
    #[default]
    Info,
    /// And what led to each decision.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// Its name in kdc.toml, which is also tracing's.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `key=value`.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// A number, or a text that says one.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number or a text")]
enum Amount {
    Number(i64),
    Text(String),
}

pub(super) fn realm<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let realm = String::deserialize(input)?;
    check_realm(&realm).map_err(D::Error::custom)?;
    Ok(realm)
}

/// Whether a text can be the name of a realm (RFC 4120 6.1): the domain style, or another one that
/// needs no quoting anywhere.
///
/// # Errors
/// What is wrong with it.
pub fn check_realm(realm: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    match realm {
        "" => Err("a realm such as EXAMPLE.ORG was expected, not an empty text".into()),
        _ if realm.len() > 255 => Err("a realm has at most 255 characters".into()),
        _ => match realm.chars().find(|c| !allowed(*c)) {
            Some(odd) => Err(format!("a realm such as EXAMPLE.ORG was expected; {odd:?} can't be in one")),
            None => Ok(()),
        },
    }
}

pub(super) fn listen<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<SocketAddr>, D::Error> {
    match addresses(input)? {
        none if none.is_empty() => Err(D::Error::custom("at least one address such as \"127.0.0.1:88\" was expected")),
        some => Ok(some),
    }
}

pub(super) fn some_addresses<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Vec<SocketAddr>>, D::Error> {
    addresses(input).map(Some)
}

pub(super) fn addresses<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<SocketAddr>, D::Error> {
    let texts = Vec::<String>::deserialize(input)?;
    let address = |text: &String| {
        text.parse().map_err(|_| {
            D::Error::custom(format!(
                "an address and port such as \"127.0.0.1:88\" or \"[::1]:88\" was expected, not {text:?}"
            ))
        })
    };
    texts.iter().map(address).collect()
}

/// A number of seconds: `90`, `"90s"`, `"7d"`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<i64, D::Error> {
    let seconds = match Amount::deserialize(input)? {
        Amount::Number(seconds) => Some(seconds),
        Amount::Text(text) => parse_duration(&text).ok(),
    };
    seconds.filter(|seconds| (1..=i64::from(i32::MAX)).contains(seconds)).ok_or_else(|| {
        D::Error::custom("a duration such as \"24h\", \"7d\" or \"90s\", or a number of seconds, was expected")
    })
}

pub(super) fn etypes<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<EncryptionType>, D::Error> {
    let mut etypes = vec![];
    for name in Vec::<String>::deserialize(input)? {
        let etype = EncryptionType::parse(&name).ok_or_else(|| {
            let known: Vec<_> = libkrb::crypto::SUPPORTED.iter().filter_map(|etype| etype.name()).collect();
            D::Error::custom(format!("{name:?} is no encryption type; expected some of {}", known.join(", ")))
        })?;
        if !supported(etype) {
            let why = if is_weak(etype) { "is broken and therefore not in this build" } else { "is not supported" };
            return Err(D::Error::custom(format!("{etype} {why}")));
        }
        if !etypes.contains(&etype) {
            etypes.push(etype);
        }
    }
    if etypes.is_empty() {
        return Err(D::Error::custom("at least one encryption type was expected"));
    }
    Ok(etypes)
}

pub(super) fn iterations<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u32>, D::Error> {
    let rounds = u32::deserialize(input)?;
    if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&rounds) {
        let range = format!("a number of rounds from {MIN_ITERATIONS} to {MAX_ITERATIONS} was expected");
        return Err(D::Error::custom(range));
    }
    Ok(Some(rounds))
}

pub(super) fn count<'de, D: Deserializer<'de>>(input: D) -> Result<usize, D::Error> {
    match u32::deserialize(input)? {
        0 => Err(D::Error::custom("a number above 0 was expected")),
        count => Ok(count as usize),
    }
}

/// A number of threads, of which few are of any use.
pub(super) fn threads<'de, D: Deserializer<'de>>(input: D) -> Result<Option<usize>, D::Error> {
    match u32::deserialize(input)? {
        count @ 1..=256 => Ok(Some(count as usize)),
        _ => Err(D::Error::custom("a number from 1 to 256 was expected")),
    }
}

/// A number of bytes: `67108864`, `"64 MiB"`.
pub(super) fn size<'de, D: Deserializer<'de>>(input: D) -> Result<usize, D::Error> {
    octets(Amount::deserialize(input)?)
}

fn octets<E: Error>(amount: Amount) -> Result<usize, E> {
    let bytes = match amount {
        Amount::Number(bytes) => usize::try_from(bytes).ok(),
        Amount::Text(text) => parse_size(&text),
    };
    let expected = "a size of at least 64 KiB such as \"64 MiB\", or a number of bytes, was expected";
    bytes.filter(|bytes| *bytes >= 64 << 10).ok_or_else(|| E::custom(expected))
}

/// A size, or 0 for nothing.
pub(super) fn size_or_none<'de, D: Deserializer<'de>>(input: D) -> Result<usize, D::Error> {
    match Amount::deserialize(input)? {
        Amount::Number(0) => Ok(0),
        amount => octets(amount),
    }
}

fn parse_size(text: &str) -> Option<usize> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}
