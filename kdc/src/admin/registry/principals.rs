//! Principals: made, changed, named anew, listed, described, deleted. Not here: their keys.

use libkrb::{Principal, Time};

use super::keys::{check_kvno, expiry, renumber, salt_of};
use super::{Forgiven, Registry, Step, fresh_id, now, stamp, unlocked};
use crate::admin::glob;
use crate::admin::operation::{
    Answer, Description, Etype, KeyLine, Name, NewKeys, Refusal, Secret, Settings, TokenLine, time,
};
use crate::core::{Attributes, Change, Entry, KeySet, LongTermKey, StoreError};
use crate::core::{claims, delegation};

/// How many names are looked at for one page of a listing.
const PAGE: usize = 500;
/// No longer name is let in: a page of them must fit into a frame.
const MAX_NAME: usize = 1024;
/// Bounds on string attributes: their names, their values, their number.
const MAX_STRING: usize = 4 * 1024;
const MAX_STRINGS: usize = 64;
/// The policy of new principals, if there is one of this name.
const DEFAULT_POLICY: &str = "default";

impl Registry {
    pub(super) fn create(
        &self,
        by: &str,
        name: &Principal,
        keys: &NewKeys,
        kvno: Option<u32>,
        settings: &Settings,
    ) -> Step<Answer> {
        check_name(name)?;
        // Before the work on a password.
        if self.store.lookup(name)?.is_some() {
            return Err(StoreError::Exists(name.clone()).into());
        }
        let mut entry = Entry::new(name.clone(), fresh_id()?, now(), by);
        // A ticket under a password's key is a hash to guess that password by (RFC 4120 10). A trust has to
        // live with that.
        let of_password = matches!(keys, NewKeys::Password { .. }) && name.tgs_target().is_none();
        entry.attributes = Attributes::REQUIRES_PRE_AUTH.with(Attributes::DISALLOW_SVR, of_password);
        entry.password_changed = Some(entry.modified);
        if settings.policy.is_none() && self.store.policy(DEFAULT_POLICY)?.is_some() {
            entry.policy = Some(DEFAULT_POLICY.to_owned());
        }
        self.apply(&mut entry, settings)?;
        let policy = self.policy_of(&entry)?;
        let policy = policy.as_deref();
        let made = self.new_keys(&entry, policy, keys)?;
        if settings.password_expires.is_none() {
            entry.password_expires = policy.and_then(|policy| expiry(policy, entry.modified));
        }
        if !made.is_empty() {
            entry.keys = vec![KeySet::new(check_kvno(kvno.unwrap_or(1))?, made).made(entry.modified)];
        }
        self.store.commit(&[Change::Create(entry)])?;
        Ok(Answer::Done)
    }

    pub(super) fn delete(&self, by: &str, name: &Principal) -> Step<Answer> {
        let mut gone = None;
        let done = self.commit(name, |entry| {
            if entry.principal != *name {
                let mut entry = entry.clone();
                entry.aliases.retain(|alias| alias != name);
                stamp(&mut entry, by);
                return Ok(vec![Change::Replace(entry)]);
            }
            unlocked(entry)?;
            gone = Some(entry.id);
            // The replacement notices a change since the entry was read.
            Ok(vec![Change::Replace(entry.clone()), Change::Delete(entry.principal.clone())])
        })?;
        if let Some(id) = gone {
            self.once_committed(Forgiven::Gone(id));
        }
        Ok(done)
    }

    pub(super) fn rename(&self, by: &str, name: &Principal, to: &Principal) -> Step<Answer> {
        check_name(to)?;
        self.commit(name, |entry| {
            unlocked(entry)?;
            if entry.principal != *name {
                return Err(Refusal::invalid(format!("it is an alias of {}, which can be renamed", entry.principal)));
            }
            let mut renamed = Entry { principal: to.clone(), ..entry.clone() };
            stamp(&mut renamed, by);
            let gone = Change::Delete(entry.principal.clone());
            Ok(vec![Change::Replace(entry.clone()), gone, Change::Create(renamed)])
        })
    }

    pub(super) fn alias(&self, by: &str, alias: &Principal, name: &Principal) -> Step<Answer> {
        check_name(alias)?;
        self.change(by, name, |entry| {
            if alias.realm() != entry.principal.realm() {
                return Err(Refusal::invalid("Alias target must be within the same realm"));
            }
            if entry.aliases.len() >= MAX_STRINGS {
                return Err(Refusal::invalid(format!("a principal has at most {MAX_STRINGS} aliases")));
            }
            entry.aliases.push(alias.clone());
            Ok(())
        })
    }

    pub(super) fn list(&self, pattern: Option<String>, after: Option<&Name>, limit: Option<u32>) -> Step<Answer> {
        let limit = match limit {
            Some(0) => return Err(Refusal::invalid("a page has at least one name").at("limit")),
            Some(limit) => PAGE.min(limit as usize),
            None => PAGE,
        };
        let pattern = pattern.map(|pattern| match pattern.contains('@') {
            true => pattern,
            false => format!("{pattern}@{}", self.policy.realm),
        });
        let page = self.store.list(after.map(|name| &name.0), limit)?;
        let next = page.last().filter(|_| page.len() == limit).cloned().map(Name);
        let meant = |name: &Principal| pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, &name.to_string()));
        Ok(Answer::Names { names: page.into_iter().filter(meant).map(Name).collect(), next })
    }

    pub(super) fn describe(&self, entry: &Entry) -> Step<Description> {
        let record = self.attempts.record(&entry.id);
        let bound = |own: Option<i64>, realm: i64| own.map_or(realm, |own| own.min(realm));
        let lines = |set: &KeySet| {
            let kvno = set.kvno;
            let line = |key| KeyLine {
                kvno,
                etype: Etype(LongTermKey::etype(key)),
                salt: salt_of(key, &entry.principal),
                created: Some(set.created.seconds()).filter(|created| *created != 0),
                from: set.announced().then_some(set.from.seconds()),
                until: set.until.map(Time::seconds),
            };
            set.keys.iter().map(line).collect::<Vec<_>>()
        };
        Ok(Description {
            principal: Name(entry.principal.clone()),
            aliases: entry.aliases.iter().cloned().map(Name).collect(),
            id: Secret::hex(&entry.id).expose().to_owned(),
            expires: entry.expires.map(Time::seconds),
            password_expires: entry.password_expires.map(Time::seconds),
            password_changed: entry.password_changed.map(Time::seconds),
            max_life: bound(entry.max_life, self.policy.max_life),
            max_renewable_life: bound(entry.max_renewable_life, self.policy.max_renewable_life),
            modified: entry.modified.seconds(),
            revision: entry.revision,
            modified_by: entry.modified_by.clone(),
            attributes: entry.attributes.0,
            policy: entry.policy.clone(),
            policy_exists: self.policy_of(entry)?.is_some(),
            last_success: record.last_success.map(Time::seconds),
            last_failure: record.last_failure.map(Time::seconds),
            failures: record.failures,
            keys: entry.keys.iter().flat_map(lines).collect(),
            tokens: entry.tokens.iter().map(TokenLine::from).collect(),
        })
    }

    pub(super) fn modify(&self, by: &str, name: &Principal, kvno: Option<u32>, settings: &Settings) -> Step<Answer> {
        let done = self.change(by, name, |entry| {
            let before = entry.policy.clone();
            self.apply(entry, settings)?;
            if settings.policy.is_some() && settings.password_expires.is_none() {
                match self.policy_of(entry)? {
                    Some(policy) => {
                        entry.password_expires = entry.password_changed.and_then(|changed| expiry(&policy, changed));
                    }
                    None if entry.policy.is_none() && before.is_some() => entry.password_expires = None,
                    None => {}
                }
            }
            kvno.map_or(Ok(()), |kvno| renumber(entry, kvno))
        })?;
        if settings.unlock {
            self.attempts.unlock(&self.find(name)?.id)?;
        }
        Ok(done)
    }

    pub(super) fn apply(&self, entry: &mut Entry, settings: &Settings) -> Step<()> {
        let bound = |seconds: i64| match seconds {
            0 => Ok(None),
            seconds if seconds > 0 => Ok(Some(seconds)),
            _ => Err(Refusal::invalid("a lifetime can't be negative")),
        };
        if let Some(seconds) = settings.expires {
            entry.expires = time(seconds);
        }
        if let Some(seconds) = settings.password_expires {
            entry.password_expires = time(seconds);
        }
        if let Some(seconds) = settings.max_life {
            entry.max_life = bound(seconds)?;
        }
        if let Some(seconds) = settings.max_renewable_life {
            entry.max_renewable_life = bound(seconds)?;
        }
        if let Some(policy) = &settings.policy {
            entry.policy = Some(policy.clone()).filter(|name| !name.is_empty());
        }
        entry.attributes = Attributes((entry.attributes.0 & !settings.clear) | settings.set);
        Ok(())
    }
}

pub(super) fn set_string(entry: &mut Entry, name: &str, value: Option<&str>) -> Step<()> {
    match value {
        None => drop(entry.strings.remove(name)),
        Some(value) if name.is_empty() || name.len() + value.len() > MAX_STRING => {
            return Err(Refusal::invalid(format!("a string attribute has a name and at most {MAX_STRING} bytes")));
        }
        Some(_) if entry.strings.len() >= MAX_STRINGS && !entry.strings.contains_key(name) => {
            return Err(Refusal::invalid(format!("a principal has at most {MAX_STRINGS} string attributes")));
        }
        Some(value) => {
            claims::check_string(name, value).map_err(Refusal::invalid)?;
            delegation::check_string(name, value).map_err(Refusal::invalid)?;
            drop(entry.strings.insert(name.to_owned(), value.to_owned()));
        }
    }
    Ok(())
}

fn check_name(name: &Principal) -> Step<()> {
    let text = name.to_string();
    match text.len() <= MAX_NAME && Principal::parse(&text, None).is_ok() {
        true => Ok(()),
        false => Err(Refusal::invalid("Illegal principal name")),
    }
}
