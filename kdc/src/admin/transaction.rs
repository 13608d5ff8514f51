//! Several operations as one: they are performed over a store that only remembers what they change,
//! and what it remembers is committed at the end, whole or not at all. Not here: what each does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libkrb::Principal;

use super::caller::Caller;
use super::operation::{Answer, Operation, Reason, Refusal, Settings};
use super::registry::{Registry, Step, meant};
use super::trail::Guard;
use crate::core::store::Answered;
use crate::core::{Change, Entry, PasswordPolicy, Store, StoreError};
use crate::store::normal;

/// How many operations may be one.
pub(super) const MAX_BATCH: usize = 500;
/// Operations that are in no batch, and why.
pub(super) const ALONE: &[(&str, &str)] = &[
    ("batch", "neither a batch nor a guarded one can be in a batch"),
    ("guarded", "neither a batch nor a guarded one can be in a batch"),
    ("once", "a batch is made once as a whole"),
    // Who reads the audit must find each by itself.
    ("extract", "keys are extracted one principal at a time"),
    ("rotate_master_key", "the master key is turned over by itself"),
    ("reload", "the KDC is steered by itself"),
    ("restart", "the KDC is steered by itself"),
    ("dump", "the store is copied by itself"),
    ("kdcs", "who lives is asked for by itself"),
];
/// Each attempt makes the keys of all passwords anew.
const ATTEMPTS: usize = 10;

impl Registry {
    /// All operations, or none.
    pub(super) fn batch(&self, caller: &Caller, operations: Vec<Operation>) -> Step<Answer> {
        if operations.len() > MAX_BATCH {
            return Err(Refusal::invalid(format!("a batch has at most {MAX_BATCH} operations")).at("operations"));
        }
        for (index, operation) in operations.iter().enumerate() {
            let name = match operation {
                Operation::Guarded { .. } => "guarded",
                Operation::Once { .. } => "once",
                operation => operation.name(),
            };
            let row = ALONE.iter().find(|(alone, _)| *alone == name).map(|(_, why)| *why);
            let why = row.or(match operation {
                // This is not in the store, so it could not be taken back.
                Operation::Modify { settings, .. } if settings.unlock => Some("a principal is unlocked by itself"),
                _ => None,
            });
            if let Some(why) = why {
                return Err(Refusal::invalid(why).at(format!("operations[{index}]")));
            }
        }
        for _ in 0..ATTEMPTS {
            let transaction = Arc::new(Transaction::over(Arc::clone(&self.store)));
            let registry = self.over(Arc::clone(&transaction) as Arc<dyn Store>);
            let mut answers = Vec::with_capacity(operations.len());
            for (index, operation) in operations.iter().enumerate() {
                let answer = registry.decide(caller, operation.clone());
                answers.push(answer.map_err(|refusal| within(refusal, index))?);
            }
            match transaction.commit_all() {
                Err(StoreError::Conflict(_) | StoreError::PolicyConflict(_)) => {}
                done => {
                    done?;
                    self.has_committed(&registry);
                    return Ok(Answer::Answers { answers });
                }
            }
        }
        Err(Refusal::new(Reason::Failed, "others keep changing the principals; try again"))
    }

    /// The operation, unless its subject is of another revision.
    pub(super) fn guarded(&self, caller: &Caller, revision: u64, operation: Operation) -> Step<Answer> {
        if let Operation::Batch { .. } | Operation::Guarded { .. } | Operation::Once { .. } = operation {
            return Err(Refusal::invalid("a batch can't be guarded"));
        }
        if let Operation::Modify { settings: Settings { unlock: true, .. }, .. } = operation {
            return Err(Refusal::invalid("whether to unlock is no matter of revisions").at("settings.unlock"));
        }
        let subject = operation.guarded_by();
        let transaction = Arc::new(Transaction::over(Arc::clone(&self.store)));
        let known = match &subject {
            Some(Guard::Principal(name)) => transaction.lookup(&meant(name))?.map(|entry| entry.revision),
            Some(Guard::Policy(name)) => transaction.policy(name)?.map(|policy| policy.revision),
            None => return Err(Refusal::invalid("nothing that has a revision is changed by this")),
        };
        let registry = self.over(Arc::clone(&transaction) as Arc<dyn Store>);
        // Whoever may not ask is not told whether it was changed.
        let answer = registry.decide(caller, operation)?;
        let changed = || self.changed_meanwhile(subject.as_ref());
        if known != Some(revision) {
            return Err(changed());
        }
        match transaction.commit_all() {
            Err(StoreError::Conflict(_) | StoreError::PolicyConflict(_)) => Err(changed()),
            done => {
                done?;
                self.has_committed(&registry);
                Ok(answer)
            }
        }
    }
}

impl Registry {
    /// The refusal of who has not read what somebody else has changed: who that was, and when.
    fn changed_meanwhile(&self, subject: Option<&Guard>) -> Refusal {
        let who = match subject {
            Some(Guard::Principal(name)) => {
                let entry = self.store.lookup(&meant(name)).ok().flatten();
                entry.map(|entry| (entry.modified_by.clone(), entry.modified))
            }
            Some(Guard::Policy(name)) => {
                let policy = self.store.policy(name).ok().flatten();
                policy.map(|policy| (policy.modified_by.clone(), policy.modified))
            }
            None => None,
        };
        let by = who.map_or_else(String::new, |(by, at)| format!(" by {by} at {at}"));
        Refusal::new(Reason::Changed, format!("it was changed{by} since it was read; read it again"))
    }
}

/// A refusal of one operation of several.
fn within(refusal: Refusal, index: usize) -> Refusal {
    let field = match &refusal.field {
        Some(field) => format!("operations[{index}].{field}"),
        None => format!("operations[{index}]"),
    };
    Refusal { text: format!("operation {index}: {}", refusal.text), ..refusal }.at(field)
}

/// A store as it will be.
pub(super) struct Transaction {
    base: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In their order.
    changes: Vec<Change>,
    /// What was read stays as it was then: should it have changed by the commit, that fails.
    read: BTreeMap<String, Option<Arc<Entry>>>,
    /// By canonical name; `None` for what is gone.
    entries: BTreeMap<String, Option<Arc<Entry>>>,
    /// By name; `None` for what is gone.
    policies: BTreeMap<String, Option<Arc<PasswordPolicy>>>,
}

impl State {
    /// A policy of the store can be put once in a commit: the later put takes the earlier one's place.
    fn change_policy_again(&mut self, policy: &PasswordPolicy) {
        for change in self.changes.iter_mut().rev() {
            if let Change::PutPolicy(earlier) = change
                && earlier.name == policy.name
            {
                *earlier = PasswordPolicy { revision: earlier.revision, ..policy.clone() };
                return;
            }
        }
    }
}

impl Transaction {
    pub(super) fn over(base: Arc<dyn Store>) -> Self {
        Transaction { base, state: Mutex::default() }
    }

    pub(super) fn commit_all(&self) -> Result<(), StoreError> {
        let state = self.state();
        if state.changes.is_empty() { Ok(()) } else { self.base.commit(&state.changes) }
    }

    /// The same, with what it is answered with, should it come again.
    pub(super) fn commit_answered(&self, answered: Answered) -> Result<(), StoreError> {
        let mut changes = self.state().changes.clone();
        if changes.is_empty() {
            return Ok(());
        }
        changes.push(Change::Answered(answered));
        self.base.commit(&changes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, state: &mut State, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        let key = key(name);
        if let Some(Some(entry)) = state.entries.get(&key) {
            return Ok(Some(Arc::clone(entry)));
        }
        let has = |entry: &&Arc<Entry>| entry.aliases.iter().any(|alias| self::key(alias) == key);
        if let Some(entry) = state.entries.values().flatten().find(has) {
            return Ok(Some(Arc::clone(entry)));
        }
        let found = match state.read.get(&key) {
            Some(found) => found.clone(),
            None => {
                let found = self.base.lookup(name)?;
                state.read.insert(key, found.clone());
                found
            }
        };
        // What was changed since has this name no longer.
        Ok(found.filter(|entry| !state.entries.contains_key(&self::key(&entry.principal))))
    }

    fn free(&self, state: &mut State, entry: &Entry) -> Result<(), StoreError> {
        for name in std::iter::once(&entry.principal).chain(&entry.aliases) {
            if self.find(state, name)?.is_some_and(|owner| owner.principal != entry.principal) {
                return Err(StoreError::Exists(name.clone()));
            }
        }
        Ok(())
    }

    fn apply(&self, state: &mut State, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Create(entry) if self.find(state, &entry.principal)?.is_some() => {
                return Err(StoreError::Exists(entry.principal.clone()));
            }
            Change::Create(entry) | Change::Replace(entry) => {
                self.free(state, entry)?;
                state.entries.insert(key(&entry.principal), Some(Arc::new(entry.clone())));
            }
            Change::Delete(name) => drop(state.entries.insert(key(name), None)),
            Change::PutPolicy(policy) => {
                // Never 0, so that who reads it tells it from one that was never stored.
                let known = PasswordPolicy { revision: policy.revision.max(1), ..policy.clone() };
                let known = state.policies.insert(policy.name.clone(), Some(Arc::new(known)));
                if known.is_some_and(|known| known.is_some()) {
                    state.change_policy_again(policy);
                    return Ok(());
                }
            }
            Change::DeletePolicy(name) => drop(state.policies.insert(name.clone(), None)),
            Change::Answered(_) => {}
        }
        state.changes.push(change.clone());
        Ok(())
    }
}

impl Store for Transaction {
    fn lookup(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        self.find(&mut self.state(), name)
    }

    fn list(&self, after: Option<&Principal>, limit: usize) -> Result<Vec<Principal>, StoreError> {
        let state = self.state();
        let base = self.base.list(after, limit.saturating_add(state.entries.len()))?;
        let after = after.map(key);
        let mut names: BTreeMap<String, Principal> = base.into_iter().map(|name| (key(&name), name)).collect();
        for (key, entry) in &state.entries {
            match entry {
                Some(entry) if after.as_ref().is_none_or(|after| key > after) => {
                    names.insert(key.clone(), entry.principal.clone());
                }
                _ => drop(names.remove(key)),
            }
        }
        Ok(names.into_values().take(limit).collect())
    }

    fn policy(&self, name: &str) -> Result<Option<Arc<PasswordPolicy>>, StoreError> {
        match self.state().policies.get(name) {
            Some(policy) => Ok(policy.clone()),
            None => self.base.policy(name),
        }
    }

    fn policies(&self) -> Result<Vec<String>, StoreError> {
        let mut names: BTreeSet<String> = self.base.policies()?.into_iter().collect();
        for (name, policy) in &self.state().policies {
            match policy {
                Some(_) => names.insert(name.clone()),
                None => names.remove(name),
            };
        }
        Ok(names.into_iter().collect())
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut state = self.state();
        changes.iter().try_for_each(|change| self.apply(&mut state, change))
    }
}

fn key(name: &Principal) -> String {
    normal(name).to_string()
}
