//! The section `[limits.rate]`: how often a source or a principal may fail or make much work.

use std::time::Duration;

use libkrb::config::parse_duration;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::values;
use crate::net::guard::{Answer, Network, Rate, Rates};

/// The section `[limits.rate]`; [`Rates`] and its rules say what each setting does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "named and explained in net::guard")]
pub struct RateSettings {
    #[serde(deserialize_with = "rate")]
    pub source_failures: Option<Rate>,
    #[serde(deserialize_with = "rate")]
    pub source_work: Option<Rate>,
    #[serde(deserialize_with = "rate")]
    pub principal_failures: Option<Rate>,
    #[serde(deserialize_with = "rate")]
    pub principal_work: Option<Rate>,
    #[serde(deserialize_with = "answer")]
    pub answer: Answer,
    #[serde(deserialize_with = "networks")]
    pub exempt: Vec<Network>,
    #[serde(deserialize_with = "values::size")]
    pub memory: usize,
}

impl Default for RateSettings {
    fn default() -> Self {
        let a_minute = |count| Some(Rate { count, period: Duration::from_secs(60) });
        let network = |address, length| Network { address, length };
        RateSettings {
            source_failures: a_minute(1200),
            source_work: a_minute(6000),
            principal_failures: None,
            principal_work: None,
            answer: Answer::Error,
            exempt: vec![network([127, 0, 0, 0].into(), 8), network([0, 0, 0, 0, 0, 0, 0, 1].into(), 128)],
            memory: 4 << 20,
        }
    }
}

impl RateSettings {
    /// The limits, for the door.
    pub fn rates(&self) -> Rates {
        let RateSettings { source_failures, source_work, principal_failures, principal_work, .. } = *self;
        let rates = [source_failures, source_work, principal_failures, principal_work];
        Rates { rates, answer: self.answer, exempt: self.exempt.clone(), memory: self.memory }
    }
}

fn rate<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Rate>, D::Error> {
    let text = String::deserialize(input)?;
    let parse = || {
        let (count, period) = text.split_once('/')?;
        let (count, period) = (count.trim().parse().ok()?, parse_duration(period.trim()).ok()?);
        let period = u64::try_from(period).ok().filter(|seconds| (1..=86_400).contains(seconds))?;
        (1..=1_000_000).contains(&count).then_some(Rate { count, period: Duration::from_secs(period) })
    };
    let expected = "a rate such as \"1200/1m\" (so many in so long, a day at most), or \"off\", was expected";
    if text == "off" { Ok(None) } else { parse().map(Some).ok_or_else(|| D::Error::custom(expected)) }
}

fn answer<'de, D: Deserializer<'de>>(input: D) -> Result<Answer, D::Error> {
    match &*String::deserialize(input)? {
        "error" => Ok(Answer::Error),
        "drop" => Ok(Answer::Drop),
        _ => Err(D::Error::custom("\"error\" or \"drop\" was expected")),
    }
}

fn networks<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Network>, D::Error> {
    let network = |text: &String| {
        let expected = || D::Error::custom(format!("a network such as \"10.0.0.0/8\" was expected, not {text:?}"));
        let (address, length) =
            text.split_once('/').map_or((&**text, None), |(address, length)| (address, Some(length)));
        let address: std::net::IpAddr = address.parse().map_err(|_| expected())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Some(most), |length| length.parse().ok()).filter(|length| *length <= most);
        Ok(Network { address, length: length.ok_or_else(expected)? })
    };
    Vec::<String>::deserialize(input)?.iter().map(network).collect()
}
