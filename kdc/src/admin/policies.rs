//! Password policies as an administrator sees them: the rules as values and as JSON, what they may be,
//! and what a policy has unless they say otherwise. Not here: applying them to anybody.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::keys::key_kinds;
use super::operation::{Reason, Refusal};
use super::passwords::MAX_HISTORY;
use crate::core::PasswordPolicy;

/// No longer name is let in.
const MAX_NAME: usize = 256;

/// The rules of a policy. What is not given stays, or takes its default. Times are in seconds; 0 in a
/// time or in `max_failures` is "no such rule".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyRules {
    /// How old a password must be before its owner may change it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    pub min_life: Option<i64>,
    /// How old a password may become.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    pub max_life: Option<i64>,
    /// Characters of a password, at least; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1024)]
    pub min_length: Option<u32>,
    /// Kinds of characters in a password, at least, 1 to 5; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 5)]
    pub min_classes: Option<u32>,
    /// How many passwords, the present one among them, may not be used again, 1 to 64; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 64)]
    pub history: Option<u32>,
    /// zxcvbn's score of a password, at least, 0 to 4; 0 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 4)]
    pub min_strength: Option<u32>,
    /// Whether words of the realm's dictionary are refused; they are by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dictionary: Option<bool>,
    /// So many failures in a row lock a principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<u32>,
    /// After so long without a failure the count begins anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    pub failure_interval: Option<i64>,
    /// How long a lock holds; 0: until an administrator opens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    pub lockout_duration: Option<i64>,
    /// Bound on the life of tickets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    pub max_ticket_life: Option<i64>,
    /// Bound on the renewable life of tickets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    pub max_renewable_life: Option<i64>,
    /// How old a random key may become before the KDC makes the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    pub rotate_keys_after: Option<i64>,
    /// How long the keys before the newest stay good; never less than tickets live.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    pub keep_old_keys: Option<i64>,
    /// The kinds of keys that principals may have, `enctype:salt,...`; empty for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_key_salts: Option<String>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDescription {
    /// Its name.
    pub name: String,
    /// All its rules.
    pub rules: PolicyRules,
    /// When it was last changed, in seconds since 1970.
    pub modified: i64,
    /// By whom.
    pub modified_by: String,
    /// Another one after every change.
    pub revision: u64,
}

/// A policy with no rules but the default ones.
///
/// # Errors
/// For what can be no name.
pub(super) fn fresh(name: &str) -> Result<PasswordPolicy, Refusal> {
    let sound = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(|octet| (b' '..=b'~').contains(&octet));
    if !sound {
        let advice = format!("the name of a policy is 1 to {MAX_NAME} printable ASCII characters; choose another");
        return Err(Refusal::invalid("Illegal policy name").advising(advice));
    }
    Ok(PasswordPolicy { min_length: 1, min_classes: 1, history: 1, dictionary: true, ..PasswordPolicy::new(name) })
}

impl PolicyRules {
    /// The rules of a policy.
    pub(super) fn of(policy: &PasswordPolicy) -> PolicyRules {
        PolicyRules {
            min_life: Some(policy.min_life),
            max_life: Some(policy.max_life),
            min_length: Some(policy.min_length),
            min_classes: Some(policy.min_classes),
            history: Some(policy.history),
            min_strength: Some(policy.min_strength),
            dictionary: Some(policy.dictionary),
            max_failures: Some(policy.max_failures),
            failure_interval: Some(policy.failure_interval),
            lockout_duration: Some(policy.lockout_duration),
            max_ticket_life: Some(policy.max_ticket_life),
            max_renewable_life: Some(policy.max_renewable_life),
            rotate_keys_after: Some(policy.rotate_keys_after),
            keep_old_keys: Some(policy.keep_old_keys),
            allowed_key_salts: Some(policy.allowed_key_salts.clone()),
        }
    }

    /// Gives a policy the rules that are said.
    ///
    /// # Errors
    /// The first that can't be; in MIT's words, where it has the rule.
    pub(super) fn apply(&self, policy: &mut PasswordPolicy) -> Result<(), Refusal> {
        let times = [
            (self.min_life, &mut policy.min_life, "min_life"),
            (self.max_life, &mut policy.max_life, "max_life"),
            (self.failure_interval, &mut policy.failure_interval, "failure_interval"),
            (self.lockout_duration, &mut policy.lockout_duration, "lockout_duration"),
            (self.max_ticket_life, &mut policy.max_ticket_life, "max_ticket_life"),
            (self.max_renewable_life, &mut policy.max_renewable_life, "max_renewable_life"),
            (self.rotate_keys_after, &mut policy.rotate_keys_after, "rotate_keys_after"),
            (self.keep_old_keys, &mut policy.keep_old_keys, "keep_old_keys"),
        ];
        for (said, field, name) in times {
            *field = within(said, *field, 0..=i64::from(i32::MAX), "Invalid duration", name)?;
        }
        let numbers = [
            (self.min_length, &mut policy.min_length, 1..=1024, "Invalid password length", "min_length"),
            (self.min_classes, &mut policy.min_classes, 1..=5, "Invalid number of character classes", "min_classes"),
            (self.history, &mut policy.history, 1..=MAX_HISTORY, "Invalid password history count", "history"),
            (self.min_strength, &mut policy.min_strength, 0..=4, "Invalid password strength", "min_strength"),
            (self.max_failures, &mut policy.max_failures, 0..=u32::MAX, "Invalid number of failures", "max_failures"),
        ];
        for (said, field, range, text, name) in numbers {
            *field = within(said, *field, range, text, name)?;
        }
        policy.dictionary = self.dictionary.unwrap_or(policy.dictionary);
        if let Some(list) = &self.allowed_key_salts {
            let sound = list.is_empty() || (!list.contains('\t') && list.len() <= 4096 && key_kinds(list).is_ok());
            if !sound {
                let advice = "allowed_key_salts is a list such as aes256-cts:normal,aes128-cts:normal; write one";
                return Err(Refusal::invalid("Invalid key/salt tuples").advising(advice));
            }
            policy.allowed_key_salts.clone_from(list);
        }
        if policy.max_life != 0 && policy.min_life > policy.max_life {
            let advice = "min_life may be as long as max_life at most; set a shorter one, or a longer max_life";
            return Err(
                Refusal::invalid("Password minimum life is greater than password maximum life").advising(advice)
            );
        }
        Ok(())
    }
}

/// What is said, if it is in the range; else what there is.
fn within<T: PartialOrd + std::fmt::Display>(
    said: Option<T>,
    known: T,
    range: std::ops::RangeInclusive<T>,
    text: &str,
    name: &str,
) -> Result<T, Refusal> {
    match said {
        None => Ok(known),
        Some(value) if range.contains(&value) => Ok(value),
        Some(_) => {
            let advice = format!("{name} is {} to {}; choose one of these", range.start(), range.end());
            Err(Refusal::invalid(text).advising(advice))
        }
    }
}

impl From<&PasswordPolicy> for PolicyDescription {
    fn from(policy: &PasswordPolicy) -> Self {
        PolicyDescription {
            name: policy.name.clone(),
            rules: PolicyRules::of(policy),
            modified: policy.modified.seconds(),
            modified_by: policy.modified_by.clone(),
            revision: policy.revision,
        }
    }
}

impl Refusal {
    pub(super) fn in_use(user: &impl std::fmt::Display) -> Self {
        let advice = format!("{user} is under it; put its principals under another one first, or under none");
        Refusal::new(Reason::InUse, "Policy is in use").advising(advice)
    }
}
