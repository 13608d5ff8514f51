//! The rows `[[rotation]]`: whose keys turn over by themselves, and when. Not here: what that does
//! ([`crate::rotation`]).

use libkrb::Principal;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::{Config, values};
use crate::rotation::{ANNOUNCE, Row, Rule, row};

/// A row; times in seconds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationRow {
    /// Shell patterns for names; without an `@`, of this realm.
    pub principals: Vec<String>,
    /// How old keys may become.
    pub period: Spanned<Duration>,
    /// How long before they are used new keys can be fetched.
    #[serde(default)]
    pub announce: Option<Spanned<Duration>>,
    /// How long the old ones stay good afterwards.
    #[serde(default)]
    pub overlap: Option<Spanned<Duration>>,
}

/// A duration in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub i64);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        values::duration(input).map(Duration)
    }
}

/// What is wrong, and where in the text.
pub(super) type Wrong = (usize, String);

impl Config {
    /// Whose keys turn over, in order.
    pub fn rotation(&self) -> Vec<Row> {
        self.rotation.iter().map(RotationRow::row).collect()
    }

    /// Holds the rows against the lives of tickets.
    pub(super) fn check_rotation(&self) -> Result<(), Wrong> {
        for row in &self.rotation {
            row.check(self)?;
        }
        Ok(())
    }
}

impl RotationRow {
    fn row(&self) -> Row {
        let period = self.period.as_ref().0;
        let announce = self.announce.as_ref().map_or(ANNOUNCE.min(period / 4), |announce| announce.as_ref().0);
        let overlap = self.overlap.as_ref().map(|overlap| overlap.as_ref().0);
        Row { principals: self.principals.clone(), rule: Rule { period, announce, overlap } }
    }

    fn check(&self, config: &Config) -> Result<(), Wrong> {
        let at_period = self.period.span().start;
        if self.principals.is_empty() {
            return Err((at_period, "`principals` names nobody; \"HTTP/*\" is all web servers".into()));
        }
        let own = self.row();
        let Rule { period, announce, .. } = own.rule;
        if announce >= period {
            let at = self.announce.as_ref().map_or(at_period, |announce| announce.span().start);
            return Err((
                at,
                format!("announced for {announce} seconds, new keys would be late: `period` is {period}"),
            ));
        }
        let Some(overlap) = &self.overlap else { return Ok(()) };
        let policy = config.policy();
        let tgs = Principal::tgs(&config.realm);
        let (life, which) = match row(std::slice::from_ref(&own), &tgs) {
            Some(_) => (policy.max_life.max(policy.max_renewable_life), "max_renewable_life"),
            None => (policy.max_life, "max_life"),
        };
        let least = life.saturating_add(policy.clock_skew);
        if overlap.as_ref().0 < least {
            let problem = format!(
                "an overlap of {} seconds is too short: tickets under the old keys live up to {least} seconds ({which} \
                 {life} and clock_skew {}); give at least {least}, or leave it out",
                overlap.as_ref().0,
                policy.clock_skew
            );
            return Err((overlap.span().start, problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn problem(rows: &str) -> String {
        let text = format!("realm = 'R'\n[[rotation]]\nprincipals = ['HTTP/*']\n{rows}");
        parse(Path::new("/kdc.toml"), &text).expect_err(rows).to_string()
    }

    #[test]
    fn a_row_needs_a_period_and_names_and_has_the_rest_by_default() {
        let text = "realm = 'R'\n[[rotation]]\nprincipals = ['HTTP/*']\nperiod = '30d'\n
                    [[rotation]]\nprincipals = ['krbtgt/R']\nperiod = '1h'\noverlap = '8d'\nannounce = 5";
        let rows = parse(Path::new("/kdc.toml"), text).expect("sound").rotation();
        let rule = Rule { period: 30 * 86_400, announce: 86_400, overlap: None };
        assert_eq!(rows[0], Row { principals: vec!["HTTP/*".into()], rule });
        assert_eq!(rows[1].rule, Rule { period: 3600, announce: 5, overlap: Some(8 * 86_400) });
        assert!(problem("").contains("missing field `period`"));
        assert!(problem("period = '1d'\npreannounce = 5").contains("unknown field"));
    }

    #[test]
    fn an_overlap_that_tickets_outlive_is_refused_where_it_stands() {
        let error = problem("period = '30d'\noverlap = '24h'");
        assert!(error.starts_with("/kdc.toml:5: an overlap of 86400 seconds is too short"), "{error}");
        assert!(error.contains("give at least 86700"), "{error}");
        let everybody =
            problem("period = '30d'\noverlap = '2d'\n[[rotation]]\nprincipals = ['*']\nperiod = '1d'\noverlap = '2d'");
        assert!(everybody.starts_with("/kdc.toml:9: ") && everybody.contains("max_renewable_life"), "{everybody}");
    }

    #[test]
    fn keys_cannot_be_announced_for_longer_than_they_are_used() {
        let error = problem("period = '1d'\nannounce = '1d'");
        assert!(error.starts_with("/kdc.toml:5: announced for 86400 seconds"), "{error}");
    }
}
