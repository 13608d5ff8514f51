//! What is told of every call: which operation, about whom, how it went, and what each commit made of
//! what was there. Not here: how it is written down (`observe`), and the operations themselves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use libkrb::Principal;
use libkrb::time::Instant as Moment;
use zeroize::Zeroizing;

use super::caller::Caller;
use super::operation::{Answer, Name, Operation, Reason, Refusal};
use crate::core::store::{Export, Members};
use crate::core::{Change, Entry, PasswordPolicy, Size, Store, StoreError};
use crate::observe::{Called, Changed, Observer, clipped};

/// Performs an operation on `store` and tells `observer` of it.
pub(super) fn told(
    observer: &Observer,
    store: &Arc<dyn Store>,
    caller: &Caller,
    operation: Operation,
    perform: impl FnOnce(Arc<dyn Store>, Operation) -> Result<Answer, Refusal>,
) -> Result<Answer, Refusal> {
    let (name, subject) = (operation.name(), operation.subject());
    let witness = Arc::new(Witness { inner: Arc::clone(store), seen: Mutex::default() });
    let started = Instant::now();
    let done = perform(Arc::clone(&witness) as Arc<dyn Store>, operation);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    observer.changed(&Called {
        at: Moment::from_micros(i64::try_from(since.as_micros()).unwrap_or_default()),
        by: &caller.name.to_string(),
        from: &caller.door.to_string(),
        operation: name,
        subject: subject.as_deref(),
        refusal: done.as_ref().err().map(|refusal| (refusal.reason.name(), &*refusal.text)),
        changes: &witness.seen(),
        took: started.elapsed(),
    });
    done
}

impl Operation {
    /// Its name, as in JSON.
    pub fn name(&self) -> &'static str {
        self.line().0
    }

    /// The principal or policy that it is about.
    pub fn subject(&self) -> Option<String> {
        self.line().1
    }

    fn line(&self) -> (&'static str, Option<String>) {
        use Operation as O;
        let (name, subject) = match self {
            O::Create { principal, .. } => ("create", principal),
            O::Modify { principal, .. } => ("modify", principal),
            O::ChangeKeys { principal, .. } => ("change_keys", principal),
            O::Delete { principal } => ("delete", principal),
            O::Rename { principal, .. } => ("rename", principal),
            O::Alias { alias, .. } => ("alias", alias),
            O::Describe { principal } => ("describe", principal),
            O::List { pattern, .. } => return ("list", pattern.clone()),
            O::MasterKey => return ("master_key", None),
            O::RotateMasterKey { .. } => return ("rotate_master_key", None),
            O::Dump { .. } => return ("dump", None),
            O::Extract { principal, .. } => ("extract", principal),
            O::Rotate { principal, .. } => ("rotate", principal),
            O::PurgeKeys { principal, .. } => ("purge_keys", principal),
            O::SetString { principal, .. } => ("set_string", principal),
            O::AddToken { principal, .. } => ("add_token", principal),
            O::DeleteToken { principal, .. } => ("delete_token", principal),
            O::Status => return ("status", None),
            O::Strings { principal } => ("strings", principal),
            O::CreatePolicy { name, .. } => return ("create_policy", Some(name.clone())),
            O::ModifyPolicy { name, .. } => return ("modify_policy", Some(name.clone())),
            O::DeletePolicy { name } => return ("delete_policy", Some(name.clone())),
            O::DescribePolicy { name } => return ("describe_policy", Some(name.clone())),
            O::ListPolicies { pattern } => return ("list_policies", pattern.clone()),
            O::Reload => return ("reload", None),
            O::Restart => return ("restart", None),
            O::Ensure { principal, .. } => ("ensure", principal),
            O::Guarded { operation, .. } | O::Once { operation, .. } => return operation.line(),
            O::Kdcs => return ("kdcs", None),
            O::Privileges => return ("privileges", None),
            O::Batch { operations } => {
                let each = operations.iter().map(|operation| match operation {
                    O::Batch { .. } => "batch".to_owned(),
                    one => format!("{} {}", one.name(), clipped(one.subject().unwrap_or_default())),
                });
                return ("batch", Some(each.collect::<Vec<_>>().join(", ")));
            }
        };
        (name, Some(subject.to_string()))
    }
}

/// What has a revision.
pub(super) enum Guard {
    Principal(Name),
    Policy(String),
}

impl Operation {
    /// What it changes, whose revision guards it.
    pub(super) fn guarded_by(&self) -> Option<Guard> {
        use Operation as O;
        match self {
            O::Modify { principal, .. }
            | O::ChangeKeys { principal, .. }
            | O::Delete { principal }
            | O::Rename { principal, .. }
            | O::Alias { principal, .. }
            | O::Extract { principal, .. }
            | O::PurgeKeys { principal, .. }
            | O::Rotate { principal, .. }
            | O::AddToken { principal, .. }
            | O::DeleteToken { principal, .. }
            | O::SetString { principal, .. } => Some(Guard::Principal(principal.clone())),
            O::ModifyPolicy { name, .. } | O::DeletePolicy { name } => Some(Guard::Policy(name.clone())),
            _ => None,
        }
    }
}

impl Reason {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Exists => "exists",
            Reason::Missing => "missing",
            Reason::LockedDown => "locked_down",
            Reason::Invalid => "invalid",
            Reason::Password => "password",
            Reason::InUse => "in_use",
            Reason::Denied => "denied",
            Reason::Changed => "changed",
            Reason::Failed => "failed",
        }
    }
}

/// A store that remembers what one operation has committed.
struct Witness {
    inner: Arc<dyn Store>,
    seen: Mutex<Vec<Changed>>,
}

impl Witness {
    fn seen(&self) -> Vec<Changed> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a change will find. It is what the change replaces, because a commit fails when another
    /// came between.
    fn before(&self, change: &Change) -> Result<Option<Changed>, StoreError> {
        let whole = |entry: &Entry| Some(Arc::new(entry.clone()));
        Ok(Some(match change {
            Change::Create(entry) => Changed::Principal { before: None, after: whole(entry) },
            Change::Replace(entry) => {
                Changed::Principal { before: self.inner.lookup(&entry.principal)?, after: whole(entry) }
            }
            Change::Delete(name) => Changed::Principal { before: self.inner.lookup(name)?, after: None },
            Change::PutPolicy(policy) => {
                Changed::Policy { before: self.inner.policy(&policy.name)?, after: Some(Arc::new(policy.clone())) }
            }
            Change::DeletePolicy(name) => Changed::Policy { before: self.inner.policy(name)?, after: None },
            Change::Answered(_) => return Ok(None),
        }))
    }
}

impl Store for Witness {
    fn lookup(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        self.inner.lookup(name)
    }

    fn list(&self, after: Option<&Principal>, limit: usize) -> Result<Vec<Principal>, StoreError> {
        self.inner.list(after, limit)
    }

    fn policy(&self, name: &str) -> Result<Option<Arc<PasswordPolicy>>, StoreError> {
        self.inner.policy(name)
    }

    fn policies(&self) -> Result<Vec<String>, StoreError> {
        self.inner.policies()
    }

    fn policy_user(&self, name: &str) -> Result<Option<Principal>, StoreError> {
        self.inner.policy_user(name)
    }

    fn size(&self) -> Result<Size, StoreError> {
        self.inner.size()
    }

    fn answered(&self, request: &[u8; 32]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.inner.answered(request)
    }

    fn members(&self) -> Result<Option<Members>, StoreError> {
        self.inner.members()
    }

    fn export(&self) -> Result<Export, StoreError> {
        self.inner.export()
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let changed =
            changes.iter().filter_map(|change| self.before(change).transpose()).collect::<Result<Vec<_>, _>>()?;
        self.inner.commit(changes)?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).extend(changed);
        Ok(())
    }
}
