//! Keys: changed, purged, taken out. The one place where a password becomes keys
//! ([`Registry::new_keys`]). Not here: how keys are made, and what passwords are measured by
//! ([`passwords`]).

use std::sync::Arc;

use libkrb::{Principal, Time};

use super::{Forgiven, Registry, Step, now, unable, unlocked};
use crate::admin::caller::Caller;
use crate::admin::keys::allowed;
use crate::admin::operation::{Answer, Etype, ExtractedKey, Keep, KeyKind, Name, NewKeys, Refusal, Salt, Secret};
use crate::admin::passwords::{self, Changer, Flaw};
use crate::core::{Attributes, Entry, KeySet, LongTermKey, PasswordPolicy};

/// No principal has keys of more versions: each costs every reader of the entry.
pub(in crate::admin) const MAX_VERSIONS: usize = 200;

impl Registry {
    /// The keys that `entry`, which is under `policy`, gets for `wanted`: where that is a password, it
    /// is measured first.
    pub(super) fn new_keys(
        &self,
        entry: &Entry,
        policy: Option<&PasswordPolicy>,
        wanted: &NewKeys,
    ) -> Step<Vec<LongTermKey>> {
        let wanted = allowed(policy, wanted)?;
        if let NewKeys::Password { password, .. } = &wanted {
            let password = password.expose();
            passwords::check(password, &entry.principal, policy, &self.dictionary)?;
            if let Some(policy) = policy
                && passwords::reused(password, entry, policy).map_err(unable)?
            {
                return Err(Flaw::Reused { policy: policy.name.clone(), history: policy.history }.into());
            }
        }
        self.keys.make(&entry.principal, &wanted).map_err(unable)
    }

    pub(super) fn change_keys(
        &self,
        caller: &Caller,
        name: &Principal,
        wanted: &NewKeys,
        keep_old: bool,
    ) -> Step<Answer> {
        // Random keys may be changed still: the realm's own must be, now and then.
        let revealing = !matches!(wanted, NewKeys::Random(_));
        let of_password = matches!(wanted, NewKeys::Password { .. });
        let mut whose = None;
        let done = self.change(&caller.name.to_string(), name, |entry| {
            whose = Some(entry.id);
            if revealing {
                unlocked(entry)?;
            }
            let policy = self.policy_of(entry)?;
            let policy = policy.as_deref();
            if of_password {
                passwords::check_age(Changer::of(caller, entry), entry, policy, now())?;
            }
            let made = self.new_keys(entry, policy, wanted)?;
            if let Some(policy) = policy {
                passwords::remember(entry, policy, of_password);
            }
            new_version(entry, made, keep_old, policy)
        })?;
        // Failures with the former password say nothing of the new one. It is changed already, so what
        // can't be written down now is written with the next records.
        if let Some(id) = whose.filter(|_| of_password) {
            self.once_committed(Forgiven::Unlocked(id));
        }
        Ok(done)
    }

    pub(super) fn purge(&self, by: &str, name: &Principal, keep: Keep) -> Step<Answer> {
        self.change(by, name, |entry| {
            let (now, before) = (now(), entry.clone());
            // What is announced is newer than what is in use.
            let current = before.current(now).map_or(0, |set| set.kvno);
            if matches!(keep, Keep::Nothing) || matches!(keep, Keep::From(first) if first > current) {
                unlocked(entry)?;
                if let Some(policy) = self.policy_of(entry)? {
                    passwords::remember(entry, &policy, false);
                }
            }
            let replaced = |kvno| before.replaced(before.keys.iter().position(|set| set.kvno == kvno)?);
            entry.keys.retain(|set| match keep {
                Keep::Newest => set.kvno >= current,
                Keep::From(first) => set.kvno >= first,
                Keep::ReplacedWithin(seconds) => {
                    let long_ago = replaced(set.kvno).is_some_and(|since| since + seconds < now);
                    set.kvno >= current || !long_ago && set.living(now)
                }
                Keep::Nothing => false,
            });
            Ok(())
        })
    }

    pub(super) fn extract(&self, by: &str, name: &Principal, fresh: Option<Vec<KeyKind>>) -> Step<Answer> {
        let mut entry = self.find(name)?;
        unlocked(&entry)?;
        if let Some(kinds) = fresh {
            let keys = NewKeys::Random(kinds);
            // Those that were made here, whatever somebody else has made of the principal since.
            self.change(by, name, |changed| {
                unlocked(changed)?;
                let policy = self.policy_of(changed)?;
                let made = self.new_keys(changed, policy.as_deref(), &keys)?;
                if let Some(policy) = policy.as_deref() {
                    passwords::remember(changed, policy, false);
                }
                new_version(changed, made, false, policy.as_deref())?;
                entry = Arc::new(changed.clone());
                Ok(())
            })?;
        }
        let line = |kvno, key: &LongTermKey| ExtractedKey {
            kvno,
            etype: Etype(key.etype()),
            key: Secret::hex(key.key.expose()),
        };
        let keys = entry.keys.iter().flat_map(|set| set.keys.iter().map(|key| line(set.kvno, key))).collect();
        Ok(Answer::Keys { principal: Name(entry.principal.clone()), keys })
    }
}

/// Gives the newest keys another version number; it must stay the highest.
pub(super) fn renumber(entry: &mut Entry, kvno: u32) -> Step<()> {
    check_kvno(kvno)?;
    match &mut entry.keys[..] {
        [] => Err(Refusal::invalid("it has no keys to number")),
        [_, older, ..] if older.kvno >= kvno => {
            Err(Refusal::invalid(format!("it has keys of version {} already", older.kvno)))
        }
        [newest, ..] => {
            newest.kvno = kvno;
            Ok(())
        }
    }
}

/// Puts keys of the next version before the others, or in their place.
fn new_version(entry: &mut Entry, keys: Vec<LongTermKey>, keep_old: bool, policy: Option<&PasswordPolicy>) -> Step<()> {
    let kvno = entry.newest().map_or(0, |set| set.kvno).checked_add(1);
    let kvno = kvno.ok_or_else(|| Refusal::invalid("there is no higher key version number"))?;
    if !keep_old {
        entry.keys.clear();
    }
    if entry.keys.len() >= MAX_VERSIONS {
        return Err(Refusal::invalid(format!("it has keys of {MAX_VERSIONS} versions; purgekeys first")));
    }
    let now = now();
    entry.keys.insert(0, KeySet::new(kvno, keys).made(now));
    entry.attributes = entry.attributes.with(Attributes::REQUIRES_PWCHANGE, false);
    entry.password_changed = Some(now);
    entry.password_expires = policy.and_then(|policy| expiry(policy, now));
    Ok(())
}

/// When keys made at `changed` expire.
pub(super) fn expiry(policy: &PasswordPolicy, changed: Time) -> Option<Time> {
    (policy.max_life > 0).then(|| changed + policy.max_life)
}

pub(super) fn check_kvno(kvno: u32) -> Step<u32> {
    match kvno {
        0 => Err(Refusal::invalid("key version numbers begin with 1")),
        kvno => Ok(kvno),
    }
}

pub(super) fn salt_of(key: &LongTermKey, principal: &Principal) -> Salt {
    match key.salt.as_deref() {
        None => Salt::Normal,
        Some(salt) if salt == principal.salt() => Salt::Normal,
        Some(salt) if salt == principal.components().concat() => Salt::NoRealm,
        Some(salt) if salt == principal.realm() => Salt::OnlyRealm,
        Some(_) => Salt::Special,
    }
}
