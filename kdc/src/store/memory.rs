//! A store that is gone with the process: for tests, and to show a realm's life.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use libkrb::Principal;
use zeroize::Zeroizing;

use super::plan::{Base, Plan, Stored, folded, key, normal};
use crate::core::{Change, Entry, PasswordPolicy, Size, Store, StoreError};

/// Entries in memory.
#[derive(Default)]
pub struct Memory {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Arc<Entry>>,
    names: BTreeMap<(String, String), String>,
    policies: BTreeMap<String, Arc<PasswordPolicy>>,
    generation: u64,
    /// What was answered to requests that may come again.
    answers: BTreeMap<[u8; 32], Zeroizing<Vec<u8>>>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for Memory {
    fn lookup(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        let key = key(name);
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = state.entries.get(&key) {
            return Ok(Some(Arc::clone(entry)));
        }
        let owner = state.names.get(&(folded(&key), key));
        Ok(owner.and_then(|owner| state.entries.get(owner)).cloned())
    }

    fn list(&self, after: Option<&Principal>, limit: usize) -> Result<Vec<Principal>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let start = after.map_or(Bound::Unbounded, |name| Bound::Excluded(key(name)));
        Ok(state.entries.range((start, Bound::Unbounded)).take(limit).map(|(_, e)| e.principal.clone()).collect())
    }

    fn policy(&self, name: &str) -> Result<Option<Arc<PasswordPolicy>>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.policies.get(name).cloned())
    }

    fn policies(&self) -> Result<Vec<String>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.policies.keys().cloned().collect())
    }

    fn size(&self) -> Result<Size, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let (principals, policies) = (state.entries.len() as u64, state.policies.len() as u64);
        Ok(Size { principals, policies, bytes: 0, changes: state.generation })
    }

    fn answered(&self, request: &[u8; 32]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.answers.get(request).cloned())
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        // A plan is made of checks only and writing it can't fail: a poisoned lock hides nothing torn.
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let Plan { entries, names, policies, answers } = Plan::new(&*state, changes)?;
        state.generation += 1;
        state.answers.extend(answers.iter().map(|answered| (answered.request, answered.octets.clone())));
        let revision = state.generation;
        for (key, entry) in entries {
            match entry {
                Some(entry) => {
                    let principal = normal(&entry.principal).into_owned();
                    let entry = Entry { principal, revision, ..entry.clone() };
                    state.entries.insert(key, Arc::new(entry));
                }
                None => drop(state.entries.remove(&key)),
            }
        }
        for (name, owner) in names {
            match owner {
                Some(owner) => drop(state.names.insert(name, owner)),
                None => drop(state.names.remove(&name)),
            }
        }
        for (name, policy) in policies {
            match policy {
                Some(policy) => {
                    drop(state.policies.insert(name, Arc::new(PasswordPolicy { revision, ..policy.clone() })));
                }
                None => drop(state.policies.remove(&name)),
            }
        }
        Ok(())
    }
}

impl Base for State {
    fn stored(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        Ok(self.entries.get(key).map(|entry| Stored::of(entry)))
    }

    fn names(&self, folded: &str) -> Result<Vec<(String, String)>, StoreError> {
        let group =
            self.names.range((folded.to_owned(), String::new())..).take_while(|((group, _), _)| group == folded);
        Ok(group.map(|((_, key), owner)| (key.clone(), owner.clone())).collect())
    }

    fn policy_revision(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.policies.get(name).map(|policy| policy.revision))
    }

    fn policy_user(&self, name: &str, except: &dyn Fn(&str) -> bool) -> Result<Option<String>, StoreError> {
        let mut users =
            self.entries.iter().filter(|(key, entry)| entry.policy.as_deref() == Some(name) && !except(key));
        Ok(users.next().map(|(key, _)| key.clone()))
    }
}
