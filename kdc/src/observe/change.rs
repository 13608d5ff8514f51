//! A call of administration as the audit tells it: who, from where, what, how it went, and what is
//! different afterwards. Not here: who may call, and what the operations do (`admin`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use libkrb::time::Instant;
use serde::Serialize;
use serde_json::{Value, json};

use super::record::{Micros, clipped, text};
use crate::core::{Attributes, Entry, KeySet, PasswordPolicy};

/// A call that was performed, or refused.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// When it was answered.
    pub at: Instant,
    /// Who called, such as `root/admin@EXAMPLE.ORG`.
    pub by: &'a str,
    /// From where, such as `socket`.
    pub from: &'a str,
    /// The name of the operation.
    pub operation: &'static str,
    /// Which principal or policy it was about.
    pub subject: Option<&'a str>,
    /// Why it was not performed: the reason's name, and the words for the caller.
    pub refusal: Option<(&'static str, &'a str)>,
    /// What was committed.
    pub changes: &'a [Changed],
    /// How long it took.
    pub took: Duration,
}

/// What a commit made of something; on either side `None` for what is not there.
#[derive(Clone, Debug)]
pub enum Changed {
    /// A principal.
    Principal {
        /// As it was.
        before: Option<Arc<Entry>>,
        /// As it is now.
        after: Option<Arc<Entry>>,
    },
    /// A password policy.
    Policy {
        /// As it was.
        before: Option<Arc<PasswordPolicy>>,
        /// As it is now.
        after: Option<Arc<PasswordPolicy>>,
    },
}

/// What is told of a call, in this order.
#[derive(Serialize)]
pub struct CallRecord<'a> {
    #[serde(serialize_with = "text")]
    time: Micros,
    operation: &'static str,
    by: String,
    from: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// "done", or why not.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Difference>,
    micros: u64,
}

/// What differs, before and after. A whole that is new or gone has nothing on its other side.
#[derive(Serialize)]
struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    before: Option<Picture>,
    after: Option<Picture>,
}

/// What is told of an entry: never a key.
type Picture = BTreeMap<&'static str, Value>;

impl<'a> CallRecord<'a> {
    /// Tells of a call.
    pub fn new(called: &Called<'a>) -> Self {
        CallRecord {
            time: Micros(called.at),
            operation: called.operation,
            by: clipped(called.by.to_owned()),
            from: called.from,
            subject: called.subject.map(|subject| clipped(subject.to_owned())),
            outcome: called.refusal.map_or("done", |(reason, _)| reason),
            cause: called.refusal.map(|(_, text)| clipped(text.to_owned())),
            changes: called.changes.iter().map(difference).filter(Difference::is_any).collect(),
            micros: u64::try_from(called.took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

impl Difference {
    /// A commit may hold a step that only looks whether another came between.
    fn is_any(&self) -> bool {
        !matches!((&self.before, &self.after), (Some(before), Some(after)) if before.is_empty() && after.is_empty())
    }
}

fn difference(changed: &Changed) -> Difference {
    match changed {
        Changed::Principal { before, after } => {
            let name = after.as_ref().or(before.as_ref()).map(|entry| clipped(entry.principal.to_string()));
            let (before, after) = apart(before.as_deref().map(of_entry), after.as_deref().map(of_entry));
            Difference { principal: name, policy: None, before, after }
        }
        Changed::Policy { before, after } => {
            let name = after.as_ref().or(before.as_ref()).map(|policy| clipped(policy.name.clone()));
            let (before, after) = apart(before.as_deref().map(of_policy), after.as_deref().map(of_policy));
            Difference { principal: None, policy: name, before, after }
        }
    }
}

/// Of two pictures what differs; of one alone what there is.
fn apart(before: Option<Picture>, after: Option<Picture>) -> (Option<Picture>, Option<Picture>) {
    match (before, after) {
        (Some(before), Some(after)) => {
            let differing = |one: &Picture, other: &Picture| {
                let differs = |(name, value): &(&&'static str, &Value)| other.get(*name) != Some(value);
                one.iter().filter(differs).map(|(name, value)| (*name, value.clone())).collect::<Picture>()
            };
            (Some(differing(&before, &after)), Some(differing(&after, &before)))
        }
        (before, after) => (before.map(present), after.map(present)),
    }
}

fn present(picture: Picture) -> Picture {
    let is_there = |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && *value != json!(0);
    picture.into_iter().filter(|(_, value)| is_there(value) && *value != json!([]) && *value != json!({})).collect()
}

fn of_entry(entry: &Entry) -> Picture {
    let time = |time: Option<libkrb::Time>| json!(time.map(|time| time.to_string()));
    let attributes = Attributes::TABLE.iter().filter(|(bit, ..)| entry.attributes.has(*bit)).map(|(_, name, ..)| *name);
    let strings = entry.strings.iter().map(|(name, value)| (name, clipped(value.clone())));
    Picture::from([
        ("name", json!(clipped(entry.principal.to_string()))),
        ("aliases", json!(entry.aliases.iter().map(|alias| clipped(alias.to_string())).collect::<Vec<_>>())),
        ("attributes", json!(attributes.collect::<Vec<_>>())),
        ("expires", time(entry.expires)),
        ("password_expires", time(entry.password_expires)),
        ("password_changed", time(entry.password_changed)),
        ("max_life", json!(entry.max_life)),
        ("max_renewable_life", json!(entry.max_renewable_life)),
        ("policy", json!(entry.policy)),
        ("keys", json!(entry.keys.iter().map(key_set).collect::<Vec<_>>())),
        ("former_keys", json!(entry.history.len())),
        ("strings", json!(strings.collect::<BTreeMap<_, _>>())),
    ])
}

/// `3: aes256-cts-hmac-sha1-96,aes128-cts-hmac-sha1-96`, and when it begins and ends where that is settled.
fn key_set(set: &KeySet) -> String {
    let etypes = set.keys.iter().map(|key| key.etype().to_string()).collect::<Vec<_>>();
    let from = if set.announced() { format!(" from {}", set.from) } else { String::new() };
    let until = set.until.map(|until| format!(" until {until}")).unwrap_or_default();
    format!("{}: {}{from}{until}", set.kvno, etypes.join(","))
}

fn of_policy(policy: &PasswordPolicy) -> Picture {
    Picture::from([
        ("min_life", json!(policy.min_life)),
        ("max_life", json!(policy.max_life)),
        ("min_length", json!(policy.min_length)),
        ("min_classes", json!(policy.min_classes)),
        ("history", json!(policy.history)),
        ("min_strength", json!(policy.min_strength)),
        ("dictionary", json!(policy.dictionary)),
        ("max_failures", json!(policy.max_failures)),
        ("failure_interval", json!(policy.failure_interval)),
        ("lockout_duration", json!(policy.lockout_duration)),
        ("max_ticket_life", json!(policy.max_ticket_life)),
        ("max_renewable_life", json!(policy.max_renewable_life)),
        ("rotate_keys_after", json!(policy.rotate_keys_after)),
        ("keep_old_keys", json!(policy.keep_old_keys)),
        ("allowed_key_salts", json!(policy.allowed_key_salts)),
    ])
}
