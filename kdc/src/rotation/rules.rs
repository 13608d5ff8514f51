//! Whose keys turn over, and when: rows of kdc.toml by the names of principals, and password
//! policies. Pure. Not here: what turning over does ([`crate::admin`]).

use libkrb::{Principal, Time};

use crate::admin::glob;
use crate::core::{Entry, PasswordPolicy};

/// How long new keys are announced unless a rule says otherwise: so often does a service come to fetch
/// them.
pub const ANNOUNCE: i64 = 24 * 3600;

/// A rule; times in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How old keys may become.
    pub period: i64,
    /// How long before they are used new keys can be fetched.
    pub announce: i64,
    /// How long the old ones stay good afterwards; `None`: as long as tickets need it.
    pub overlap: Option<i64>,
}

/// A rule, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Shell patterns; without an `@`, of this realm.
    pub principals: Vec<String>,
    /// The rule.
    pub rule: Rule,
}

impl Rule {
    /// Of a policy that has one. `least`: how long old keys of this principal must stay good.
    pub fn of_policy(policy: &PasswordPolicy, least: i64) -> Option<Rule> {
        let period = policy.rotate_keys_after;
        let announce = ANNOUNCE.min(period / 4);
        (period > 0).then(|| Rule { period, announce, overlap: Some(policy.keep_old_keys.max(least)) })
    }

    /// When the next keys of an entry are to be announced; `None` while some are.
    pub fn due(&self, entry: &Entry, now: Time) -> Option<Time> {
        let newest = entry.newest()?;
        if newest.from > now {
            return None;
        }
        match newest.start().or(entry.password_changed) {
            Some(start) => Some(start + (self.period - jitter(entry, self.period) - self.announce).max(0)),
            // Of an unknown age.
            None => Some(now),
        }
    }
}

/// So much sooner than the period says, up to a tenth of it, lest thousands of services made on one day
/// turn over in one second. Known beforehand, so that it is the same after a restart.
fn jitter(entry: &Entry, period: i64) -> i64 {
    let kvno = entry.newest().map_or(0, |set| set.kvno);
    let bytes = entry.id.iter().copied().chain(kvno.to_be_bytes());
    // FNV-1a: spreads, and hides nothing.
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let tenth = u64::try_from(period / 10).unwrap_or(0);
    i64::try_from((hash >> 16) % tenth.saturating_add(1)).unwrap_or(0)
}

/// The row for a principal: the first that matches.
pub fn row<'a>(rows: &'a [Row], name: &Principal) -> Option<&'a Rule> {
    let text = name.to_string();
    let matches = |pattern: &String| match pattern.contains('@') {
        true => glob::matches(pattern, &text),
        false => glob::matches(&format!("{pattern}@{}", name.realm()), &text),
    };
    rows.iter().find(|row| row.principals.iter().any(matches)).map(|row| &row.rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::KeySet;

    const DAY: i64 = 24 * 3600;
    const MADE: Time = Time(1_000_000);
    const MONTHLY: Rule = Rule { period: 30 * DAY, announce: DAY, overlap: None };

    fn entry(id: u8, kvno: u32) -> Entry {
        let mut entry = Entry::new(Principal::tgs("R"), [id; 16], MADE, "");
        entry.keys = vec![KeySet::new(kvno, vec![]).made(MADE)];
        entry
    }

    #[test]
    fn keys_are_due_so_long_before_their_period_is_over_that_they_can_be_announced() {
        let mut jitters = std::collections::BTreeSet::new();
        for id in 0..200 {
            let due = MONTHLY.due(&entry(id, 1), MADE).expect("due") - MADE;
            assert!((26 * DAY..=29 * DAY).contains(&due), "{due}");
            assert_eq!(MONTHLY.due(&entry(id, 1), MADE + DAY), MONTHLY.due(&entry(id, 1), MADE), "told beforehand");
            jitters.insert(due);
        }
        assert!(jitters.len() > 190, "they are spread");
        assert!(jitters.last().expect("some") - jitters.first().expect("some") > 2 * DAY, "over a tenth");
    }

    #[test]
    fn nothing_is_due_while_keys_are_announced_and_all_that_is_of_unknown_age_is() {
        let mut announced = entry(1, 2);
        announced.keys[0].from = MADE + 10;
        assert_eq!(MONTHLY.due(&announced, MADE), None);
        assert!(MONTHLY.due(&announced, MADE + 10).is_some());
        let mut unknown = entry(1, 1);
        unknown.keys[0].created = Time::EPOCH;
        assert_eq!(MONTHLY.due(&unknown, MADE), Some(MADE));
        unknown.password_changed = Some(MADE);
        assert!(MONTHLY.due(&unknown, MADE).expect("due") > MADE + 25 * DAY);
    }

    #[test]
    fn the_first_row_that_matches_counts_and_one_without_a_realm_is_of_the_principals() {
        let row_of = |principals: &[&str], period| Row {
            principals: principals.iter().map(|it| (*it).to_owned()).collect(),
            rule: Rule { period, ..MONTHLY },
        };
        let rows = [row_of(&["HTTP/*", "host/a*@R"], 1), row_of(&["host/*"], 2)];
        let period = |name: &str| row(&rows, &Principal::parse(name, None).expect("a name")).map(|rule| rule.period);
        assert_eq!((period("HTTP/x@R"), period("host/ab@R"), period("host/b@R")), (Some(1), Some(1), Some(2)));
        assert_eq!(period("imap/x@R"), None);
    }

    #[test]
    fn a_policy_without_a_period_is_no_rule_and_none_keeps_keys_for_less_than_tickets_live() {
        let policy = |rotate_keys_after, keep_old_keys| PasswordPolicy {
            rotate_keys_after,
            keep_old_keys,
            ..PasswordPolicy::new("services")
        };
        assert_eq!(Rule::of_policy(&policy(0, 5), 10), None);
        let rule = Rule::of_policy(&policy(8 * DAY, 5), 10).expect("a rule");
        assert_eq!(rule, Rule { period: 8 * DAY, announce: DAY, overlap: Some(10) });
        assert_eq!(Rule::of_policy(&policy(DAY, 50), 10).expect("a rule").announce, DAY / 4);
    }
}
