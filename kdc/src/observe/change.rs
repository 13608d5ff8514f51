//! A call of administration as the audit tells it: who, from where, what, how it went, and what is
//! different afterwards. Not here: who may call, and what the operations do (`admin`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use libkrb::time::Instant;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::record::{Micros, clipped, fitting, text};
use crate::core::{Attributes, Entry, KeySet, PasswordPolicy};

/// Octets of the longest line: else whoever may set attributes could fill the disk.
const LONGEST_LINE: usize = 64 << 10;
/// Of those, what a line has besides what is told here.
const OVERHEAD: usize = 256;
/// Octets of the longest subject of several operations: the other half is for what they changed.
const LONGEST_SUBJECT: usize = LONGEST_LINE / 2;
/// Octets of a value that is told also where there is no room for all.
const SHORT: usize = 128;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
    micros: u64,
}

/// What a line that would be too long does not tell.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Cut {
    /// The subject goes on.
    subject: bool,
    /// Changes whose long values are only named.
    shortened: usize,
    /// Changes that are not told.
    left_out: usize,
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

impl Called<'_> {
    /// Which principal or policy, and for a batch which operations; and whether that was cut.
    pub(super) fn told_subject(&self) -> (Option<String>, bool) {
        match self.subject {
            Some(subject) if self.operation == "batch" => {
                let told = fitting(subject, LONGEST_SUBJECT);
                let cut = told.len() < subject.len();
                (Some(if cut { format!("{told}…") } else { told.to_owned() }), cut)
            }
            subject => (subject.map(|subject| clipped(subject.to_owned())), false),
        }
    }

    /// Why it was not performed.
    pub(super) fn told_cause(&self) -> Option<String> {
        self.refusal.map(|(_, text)| clipped(text.to_owned()))
    }

    /// Whether anything is otherwise than before, or keys have left.
    pub(super) fn is_change(&self) -> bool {
        let reveals = matches!(self.operation, "extract" | "dump" | "rotate_master_key") && self.refusal.is_none();
        reveals || !self.changes.is_empty()
    }

    /// "done", or why not.
    pub(super) fn outcome(&self) -> &'static str {
        self.refusal.map_or("done", |(reason, _)| reason)
    }
}

impl<'a> CallRecord<'a> {
    /// Tells of a call.
    pub fn new(called: &Called<'a>) -> Self {
        let (subject, cut_subject) = called.told_subject();
        let mut record = CallRecord {
            time: Micros(called.at),
            operation: called.operation,
            by: clipped(called.by.to_owned()),
            from: called.from,
            subject,
            outcome: called.outcome(),
            cause: called.told_cause(),
            changes: vec![],
            cut: Some(Cut { subject: cut_subject, ..Cut::default() }),
            micros: u64::try_from(called.took.as_micros()).unwrap_or(u64::MAX),
        };
        let room = LONGEST_LINE.saturating_sub(OVERHEAD + octets(&record));
        let (changes, shortened, left_out) = told(called.changes, room);
        let cut = Cut { subject: cut_subject, shortened, left_out };
        record.changes = changes;
        record.cut = (cut != Cut::default()).then_some(cut);
        record
    }
}

/// What differs, as far as there is room; how many changes were shortened, and how many left out.
fn told(changes: &[Changed], mut room: usize) -> (Vec<Difference>, usize, usize) {
    let (mut told, mut shortened, mut left_out) = (vec![], 0, 0);
    for difference in changes.iter().map(difference).filter(Difference::is_any) {
        let whole = octets(&difference) + 1;
        let (difference, octets) = match whole > room {
            true => {
                let short = difference.shortened();
                let octets = octets(&short) + 1;
                shortened += usize::from(octets <= room);
                (short, octets)
            }
            false => (difference, whole),
        };
        match room.checked_sub(octets) {
            Some(rest) => {
                room = rest;
                told.push(difference);
            }
            None => left_out += 1,
        }
    }
    (told, shortened, left_out)
}

/// How long something is as JSON.
fn octets(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(usize::MAX / 2, |text| text.len())
}

impl Difference {
    /// A commit may hold a step that only looks whether another came between.
    fn is_any(&self) -> bool {
        !matches!((&self.before, &self.after), (Some(before), Some(after)) if before.is_empty() && after.is_empty())
    }

    /// The same with what is long named only.
    fn shortened(self) -> Difference {
        let named = |value: Value| if octets(&value) > SHORT { json!("…") } else { value };
        let short =
            |picture: Picture| picture.into_iter().map(|(name, value)| (name, named(value))).collect::<Picture>();
        Difference { before: self.before.map(short), after: self.after.map(short), ..self }
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

/// Of two pictures what differs; of one alone what there is. They are compared whole and told clipped.
fn apart(before: Option<Picture>, after: Option<Picture>) -> (Option<Picture>, Option<Picture>) {
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) => {
            let differing = |one: &Picture, other: &Picture| {
                let differs =
                    |(name, value): (&&'static str, &Value)| Some((*name, differing(value, other.get(*name))?));
                one.iter().filter_map(differs).collect::<Picture>()
            };
            (Some(differing(&before, &after)), Some(differing(&after, &before)))
        }
        (before, after) => (before.map(present), after.map(present)),
    };
    let clip = |picture: Picture| picture.into_iter().map(|(name, value)| (name, clipped_value(value))).collect();
    (before.map(clip), after.map(clip))
}

/// What of a value differs from the other: of a map only those in it that do.
fn differing(value: &Value, other: Option<&Value>) -> Option<Value> {
    match (value, other) {
        (value, Some(other)) if value == other => None,
        (Value::Object(map), Some(Value::Object(other))) => {
            let differs = |(name, value): &(&String, &Value)| other.get(*name) != Some(*value);
            let differing = map.iter().filter(differs).map(|(name, value)| (name.clone(), value.clone()));
            Some(Value::Object(differing.collect()))
        }
        (value, _) => Some(value.clone()),
    }
}

/// A value with all its texts clipped, names too.
fn clipped_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clipped(text)),
        Value::Array(values) => Value::Array(values.into_iter().map(clipped_value).collect()),
        Value::Object(map) => {
            let mut told = Map::new();
            for (name, value) in map {
                let mut name = clipped(name);
                // Two names that differ only in what was clipped are two still.
                while told.contains_key(&name) {
                    name.push('…');
                }
                told.insert(name, clipped_value(value));
            }
            Value::Object(told)
        }
        value => value,
    }
}

fn present(picture: Picture) -> Picture {
    let is_there = |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && *value != json!(0);
    picture.into_iter().filter(|(_, value)| is_there(value) && *value != json!([]) && *value != json!({})).collect()
}

fn of_entry(entry: &Entry) -> Picture {
    let time = |time: Option<libkrb::Time>| json!(time.map(|time| time.to_string()));
    let attributes = Attributes::TABLE.iter().filter(|(bit, ..)| entry.attributes.has(*bit)).map(|(_, name, ..)| *name);
    Picture::from([
        ("name", json!(entry.principal.to_string())),
        ("aliases", json!(entry.aliases.iter().map(ToString::to_string).collect::<Vec<_>>())),
        ("attributes", json!(attributes.collect::<Vec<_>>())),
        ("expires", time(entry.expires)),
        ("password_expires", time(entry.password_expires)),
        ("password_changed", time(entry.password_changed)),
        ("max_life", json!(entry.max_life)),
        ("max_renewable_life", json!(entry.max_renewable_life)),
        ("policy", json!(entry.policy)),
        ("keys", json!(entry.keys.iter().map(key_set).collect::<Vec<_>>())),
        ("former_keys", json!(entry.history.len())),
        ("strings", json!(entry.strings)),
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

#[cfg(test)]
mod tests;
