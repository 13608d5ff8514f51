//! What a commit comes to: changes checked against what is stored, once for every house. Not here:
//! how it is written.
//!
//! A name belongs to one entry only, whether as its canonical name or as an alias, and in
//! whatever spelling a client may bring it:
//! - `alice\@REALM@REALM`, the enterprise name (RFC 6806 5) that repeats the realm, is `alice@REALM`;
//! - an alias may not differ from another entry's name or alias by case alone, because services
//!   that map names to local accounts often fold case. Two principals may: RFC 4120 6.2 tells
//!   them apart, and an administrator named both.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use libkrb::Principal;

use crate::core::store::Answered;
use crate::core::{Change, Entry, PasswordPolicy, StoreError};

/// The spelling in which every store looks up and compares a name: `alice\@REALM@REALM` is
/// `alice@REALM`.
pub fn normal(name: &Principal) -> Cow<'_, Principal> {
    let mut name = Cow::Borrowed(name);
    while let [single] = name.components()
        && single.contains('@')
        && let Ok(inner) = Principal::parse(single, None)
        && inner.realm().eq_ignore_ascii_case(name.realm())
    {
        name = Cow::Owned(inner.in_realm(name.realm()));
    }
    name
}

/// The text under which a name is kept and listed.
pub(super) fn key(name: &Principal) -> String {
    text(&normal(name))
}

/// The text of a name, put together without growing: nearly every name fits.
pub(super) fn text(name: &Principal) -> String {
    let mut text = String::with_capacity(80);
    // Nothing fails that writes into a string.
    let _ = write!(text, "{name}");
    text
}

/// The text under which names that differ by case alone come together.
pub(super) fn folded(key: &str) -> String {
    key.to_lowercase()
}

/// What a commit must know of a stored entry.
#[derive(Clone)]
pub(super) struct Stored {
    pub revision: u64,
    /// Keys of its canonical name and its aliases.
    pub names: Vec<String>,
}

impl Stored {
    pub fn of(entry: &Entry) -> Self {
        let names = std::iter::once(&entry.principal).chain(&entry.aliases).map(key).collect();
        Stored { revision: entry.revision, names }
    }
}

/// What a commit reads.
pub(super) trait Base {
    /// The entry whose canonical name has this key.
    fn stored(&self, key: &str) -> Result<Option<Stored>, StoreError>;

    /// All names that fold to `folded`, as pairs of the name's key and its owner's.
    fn names(&self, folded: &str) -> Result<Vec<(String, String)>, StoreError>;

    /// The revision of a password policy; `None` if there is none of this name.
    fn policy_revision(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// The key of an entry that is under a password policy; not one that `except` holds for.
    fn policy_user(&self, name: &str, except: &dyn Fn(&str) -> bool) -> Result<Option<String>, StoreError>;
}

/// What a commit writes: each key with its new value, `None` for a removal.
#[derive(Clone, Default)]
pub(super) struct Plan<'a> {
    /// Entries by the key of their canonical name.
    pub entries: BTreeMap<String, Option<&'a Entry>>,
    /// Owners by folded and exact key of the name.
    pub names: BTreeMap<(String, String), Option<String>>,
    /// Password policies by name.
    pub policies: BTreeMap<String, Option<&'a PasswordPolicy>>,
    /// What was answered to requests that may come again.
    pub answers: Vec<&'a Answered>,
}

impl<'a> Plan<'a> {
    /// Checks `changes`, each as if those before it were made.
    pub fn new(base: &dyn Base, changes: &'a [Change]) -> Result<Self, StoreError> {
        Plan::default().and(base, changes)
    }

    /// The same plan with further changes.
    pub fn and(self, base: &dyn Base, changes: &'a [Change]) -> Result<Self, StoreError> {
        let mut plan = self;
        for change in changes {
            match change {
                Change::Create(entry) => plan.put(base, entry)?,
                Change::Replace(entry) => {
                    let stored = plan.release(base, &entry.principal)?;
                    if stored.revision != entry.revision {
                        return Err(StoreError::Conflict(entry.principal.clone()));
                    }
                    plan.put(base, entry)?;
                }
                Change::Delete(principal) => {
                    plan.release(base, principal)?;
                }
                Change::PutPolicy(policy) => plan.put_policy(base, policy)?,
                Change::DeletePolicy(name) => {
                    let known = plan.policy_revision(base, name)?;
                    known.ok_or_else(|| StoreError::PolicyMissing(name.clone()))?;
                    plan.policies.insert(name.clone(), None);
                }
                Change::Answered(answered) => plan.answers.push(answered),
            }
        }
        plan.leaves_nobody_without_rules(base)?;
        Ok(plan)
    }

    /// Looked at where nobody else commits: who is put under a policy while it goes keeps it there.
    fn leaves_nobody_without_rules(&self, base: &dyn Base) -> Result<(), StoreError> {
        for (name, _) in self.policies.iter().filter(|(_, policy)| policy.is_none()) {
            let put = |entry: &&Entry| entry.policy.as_deref() == Some(name);
            let user = match self.entries.values().flatten().copied().find(|entry| put(entry)) {
                Some(entry) => Some(key(&entry.principal)),
                None => base.policy_user(name, &|key| self.entries.contains_key(key))?,
            };
            if let Some(user) = user {
                return Err(StoreError::PolicyInUse { policy: name.clone(), user });
            }
        }
        Ok(())
    }

    /// Takes an entry out, with all its names.
    fn release(&mut self, base: &dyn Base, principal: &Principal) -> Result<Stored, StoreError> {
        let key = key(principal);
        let stored = match self.entries.get(&key) {
            Some(planned) => planned.map(Stored::of),
            None => base.stored(&key)?,
        };
        let stored = stored.ok_or_else(|| StoreError::Missing(principal.clone()))?;
        self.names.extend(stored.names.iter().map(|name| ((folded(name), name.clone()), None)));
        self.entries.insert(key, None);
        Ok(stored)
    }

    /// Puts an entry in, if all its names are free.
    fn put(&mut self, base: &dyn Base, entry: &'a Entry) -> Result<(), StoreError> {
        let owner = key(&entry.principal);
        for name in std::iter::once(&entry.principal).chain(&entry.aliases) {
            storable(name)?;
            let key = key(name);
            let folded = folded(&key);
            if self.owners(base, &folded)?.iter().any(|taken| clash(taken, (&key, &owner))) {
                return Err(StoreError::Exists(name.clone()));
            }
            self.names.insert((folded, key), Some(owner.clone()));
        }
        self.entries.insert(owner, Some(entry));
        Ok(())
    }

    fn put_policy(&mut self, base: &dyn Base, policy: &'a PasswordPolicy) -> Result<(), StoreError> {
        let name = &policy.name;
        match self.policy_revision(base, name)? {
            Some(_) if policy.revision == 0 => return Err(StoreError::PolicyExists(name.clone())),
            None if policy.revision != 0 => return Err(StoreError::PolicyMissing(name.clone())),
            Some(revision) if revision != policy.revision => return Err(StoreError::PolicyConflict(name.clone())),
            _ => self.policies.insert(name.clone(), Some(policy)),
        };
        Ok(())
    }

    /// [`Base::policy_revision`] as the plan leaves it.
    fn policy_revision(&self, base: &dyn Base, name: &str) -> Result<Option<u64>, StoreError> {
        match self.policies.get(name) {
            Some(planned) => Ok(planned.map(|policy| policy.revision)),
            None => base.policy_revision(name),
        }
    }

    /// [`Base::names`] as the plan leaves them.
    fn owners(&self, base: &dyn Base, folded: &str) -> Result<Vec<(String, String)>, StoreError> {
        let mut names: BTreeMap<_, _> = base.names(folded)?.into_iter().collect();
        for ((_, key), owner) in self.names.iter().filter(|((group, _), _)| group == folded) {
            match owner {
                Some(owner) => names.insert(key.clone(), owner.clone()),
                None => names.remove(key),
            };
        }
        Ok(names.into_iter().collect())
    }
}

/// Whether two names that fold alike, each given as key and owner's key, can't both be.
pub(super) fn clash((taken, its_owner): &(String, String), (name, owner): (&str, &str)) -> bool {
    let an_alias = taken != its_owner || name != owner;
    taken == name || (its_owner != owner && an_alias)
}

/// A name that does not read back from its text can't be a key.
pub(super) fn storable(name: &Principal) -> Result<(), StoreError> {
    let text = name.to_string();
    if Principal::parse(&text, None).ok().as_ref() == Some(name) {
        return Ok(());
    }
    Err(StoreError::Record { principal: text, problem: "a principal needs a name and a realm".into() })
}
