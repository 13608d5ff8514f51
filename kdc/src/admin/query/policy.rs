//! The commands on password policies: an option is a row of [`OPTIONS`].

use super::dates::interval;
use super::{Context, Query, Wrong};
use crate::admin::keys::key_kinds;
use crate::admin::policies::PolicyRules;

/// What an option says.
enum Value {
    /// A time.
    Interval(fn(&mut PolicyRules) -> &mut Option<i64>),
    /// A number.
    Number(fn(&mut PolicyRules) -> &mut Option<u32>),
    /// "on" or "off".
    Switch(fn(&mut PolicyRules) -> &mut Option<bool>),
    /// Kinds of keys; "-" for any.
    KeySalts,
}

/// MIT's options, and after them ours.
const OPTIONS: &[(&str, Value)] = &[
    ("-maxlife", Value::Interval(|rules| &mut rules.max_life)),
    ("-minlife", Value::Interval(|rules| &mut rules.min_life)),
    ("-minlength", Value::Number(|rules| &mut rules.min_length)),
    ("-minclasses", Value::Number(|rules| &mut rules.min_classes)),
    ("-history", Value::Number(|rules| &mut rules.history)),
    ("-maxfailure", Value::Number(|rules| &mut rules.max_failures)),
    ("-failurecountinterval", Value::Interval(|rules| &mut rules.failure_interval)),
    ("-lockoutduration", Value::Interval(|rules| &mut rules.lockout_duration)),
    ("-allowedkeysalts", Value::KeySalts),
    ("-dictionary", Value::Switch(|rules| &mut rules.dictionary)),
    ("-minstrength", Value::Number(|rules| &mut rules.min_strength)),
    ("-maxticketlife", Value::Interval(|rules| &mut rules.max_ticket_life)),
    ("-maxrenewlife", Value::Interval(|rules| &mut rules.max_renewable_life)),
    ("-rotatekeysafter", Value::Interval(|rules| &mut rules.rotate_keys_after)),
    ("-keepoldkeys", Value::Interval(|rules| &mut rules.keep_old_keys)),
];

pub(super) fn add(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (name, rules) = rules(context, words)?;
    Ok(Query::AddPolicy { name, rules })
}

pub(super) fn modify(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (name, rules) = rules(context, words)?;
    Ok(Query::ModifyPolicy { name, rules })
}

/// The last word is the policy, whatever it looks like; those before it are its rules.
fn rules(context: &Context<'_>, words: &[String]) -> Result<(String, PolicyRules), Wrong> {
    let (name, words) = words.split_last().ok_or(Wrong::Usage)?;
    let mut rules = PolicyRules::default();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (_, value) = OPTIONS.iter().find(|(option, _)| *option == word).ok_or(Wrong::Usage)?;
        let said = words.next().ok_or(Wrong::Usage)?;
        match value {
            Value::Interval(field) => *field(&mut rules) = Some(interval(context, said)?),
            Value::Number(field) => {
                let number = said.parse();
                let number = number.map_err(|_| Wrong::Option(format!("{word}: a number was expected, not {said}")))?;
                *field(&mut rules) = Some(number);
            }
            Value::Switch(field) => {
                *field(&mut rules) = Some(match said {
                    "on" => true,
                    "off" => false,
                    _ => return Err(Wrong::Option(format!("{word}: on or off was expected, not {said}"))),
                });
            }
            Value::KeySalts if said == "-" => rules.allowed_key_salts = Some(String::new()),
            Value::KeySalts => {
                key_kinds(said).map_err(Wrong::Option)?;
                rules.allowed_key_salts = Some(said.to_owned());
            }
        }
    }
    Ok((name.clone(), rules))
}

pub(super) fn delete(_: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    match words {
        [force, name] if force == "-force" => Ok(Query::DeletePolicy { name: name.clone(), force: true }),
        [name] => Ok(Query::DeletePolicy { name: name.clone(), force: false }),
        _ => Err(Wrong::Usage),
    }
}

pub(super) fn describe(_: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    match words {
        [terse, name] if terse == "-terse" => Ok(Query::DescribePolicy { name: name.clone(), terse: true }),
        [name] => Ok(Query::DescribePolicy { name: name.clone(), terse: false }),
        _ => Err(Wrong::Usage),
    }
}

pub(super) fn list(_: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    match words {
        [] => Ok(Query::ListPolicies { pattern: None }),
        [pattern] => Ok(Query::ListPolicies { pattern: Some(pattern.clone()) }),
        _ => Err(Wrong::Usage),
    }
}
