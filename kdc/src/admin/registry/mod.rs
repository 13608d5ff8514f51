//! The operations performed: each reads an entry, decides, and commits it unless somebody else was
//! faster, in which case it starts over. Not here: who may ask, and in which words.

mod copy;
mod keys;
mod policies;
mod principals;

pub(super) use keys::MAX_VERSIONS;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use libkrb::{Principal, Time};

use self::principals::set_string;
use super::acl::Acl;
use super::caller::Caller;
use super::helm::Helm;
use super::keys::KeyRules;
use super::operation::{Answer, Name, Operation, Reason, Refusal};
use super::passwords::Dictionary;
use super::rotate::Turn;
use super::tokens::{add_token, delete_token};
use super::trail;
use crate::attempts::Counted;
use crate::core::attempts::AccountId;
use crate::core::{Attempts, Attributes, Change, Entry, PasswordPolicy, Policy, Store, StoreError};
use crate::observe::Observer;
use crate::observe::facts::Facts;
use crate::store::{Vault, normal};

/// Nobody loses a race so often but in a livelock.
const ATTEMPTS: usize = 100;

/// Something that performs operations: a registry here, or one behind a socket.
pub trait Perform {
    /// Performs an operation.
    ///
    /// # Errors
    /// [`Refusal`], saying why not.
    fn perform(&self, operation: Operation) -> Result<Answer, Refusal>;
}

/// The principals of a realm, as an administrator sees them.
#[derive(Clone)]
pub struct Registry {
    pub(super) store: Arc<dyn Store>,
    pub(super) policy: Policy,
    pub(super) keys: KeyRules,
    pub(super) acl: Acl,
    dictionary: Arc<Dictionary>,
    attempts: Arc<dyn Attempts>,
    observer: Option<Arc<Observer>>,
    status: Option<Status>,
    pub(super) vault: Option<Arc<dyn Vault>>,
    copy: Arc<copy::Place>,
    helm: Option<Arc<dyn Helm>>,
    /// Within a transaction: what is forgiven when it is committed.
    forgiven: Option<Arc<Mutex<Vec<Forgiven>>>>,
    /// The same by other rules, since these were changed.
    amended: Arc<ArcSwapOption<Registry>>,
}

/// Whose failures count no more, after a change.
#[derive(Clone, Copy)]
enum Forgiven {
    /// They have a new password.
    Unlocked(AccountId),
    /// They are gone.
    Gone(AccountId),
}

/// Says how the running KDC is.
type Status = Arc<dyn Fn() -> Facts + Send + Sync>;

/// A step of an operation: what it leaves of an entry, or why it can't be.
pub(super) type Step<T> = Result<T, Refusal>;

impl Registry {
    /// The registry of `policy`'s realm; new keys are made as `keys` says.
    pub fn new(store: Arc<dyn Store>, policy: Policy, keys: KeyRules) -> Self {
        let acl = Acl::new(&policy.realm, vec![]);
        Registry {
            store,
            policy,
            keys,
            acl,
            dictionary: Arc::default(),
            attempts: Arc::new(Counted::default()),
            observer: None,
            status: None,
            vault: None,
            copy: Arc::default(),
            helm: None,
            forgiven: None,
            amended: Arc::default(),
        }
    }

    /// The same, with an access list. Without one, callers that need it may do little.
    #[must_use]
    pub fn with_acl(self, acl: Acl) -> Self {
        Registry { acl, ..self }
    }

    /// The access list.
    pub fn acl(&self) -> &Acl {
        &self.acl
    }

    /// The same, where words of `dictionary` are no passwords.
    #[must_use]
    pub fn with_dictionary(self, dictionary: Arc<Dictionary>) -> Self {
        Registry { dictionary, ..self }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.policy.realm
    }

    /// The same, with the failures that the KDC counts: they are shown, and forgiven.
    #[must_use]
    pub fn with_attempts(self, attempts: Arc<dyn Attempts>) -> Self {
        Registry { attempts, ..self }
    }

    /// The same, for a running KDC that can say how it is.
    #[must_use]
    pub fn with_status(self, status: Arc<dyn Fn() -> Facts + Send + Sync>) -> Self {
        Registry { status: Some(status), ..self }
    }

    /// The same, telling `observer` of every call.
    #[must_use]
    pub fn told_to(self, observer: Arc<Observer>) -> Self {
        Registry { observer: Some(observer), ..self }
    }

    /// The same, of a running KDC that can be told to reload and to restart.
    #[must_use]
    pub fn with_helm(self, helm: Arc<dyn Helm>) -> Self {
        Registry { helm: Some(helm), ..self }
    }

    /// Performs what comes from now on by other rules: for all who have this registry or a copy of it.
    /// What is under way is finished by the old ones.
    pub fn amend(&self, policy: Policy, keys: KeyRules, acl: Acl, dictionary: Arc<Dictionary>) {
        let amended = Registry { policy, keys, acl, dictionary, amended: Arc::default(), ..self.clone() };
        self.amended.store(Some(Arc::new(amended)));
    }

    /// Performs an operation in the name of `caller`, and tells the observer, if there is one.
    ///
    /// # Errors
    /// [`Refusal`], saying why not.
    pub fn perform(&self, caller: &Caller, operation: Operation) -> Result<Answer, Refusal> {
        // Asked every second by whoever watches, and no change.
        if let Operation::Status = operation {
            return self.status(caller);
        }
        if let Some(amended) = self.amended.load_full() {
            return amended.perform(caller, operation);
        }
        let Some(observer) = &self.observer else { return self.decide(caller, operation) };
        let perform = |store, operation| Registry { store, ..self.clone() }.decide(caller, operation);
        trail::told(observer, &self.store, caller, operation, perform)
    }

    pub(super) fn decide(&self, caller: &Caller, operation: Operation) -> Result<Answer, Refusal> {
        match operation {
            Operation::Batch { operations } => self.batch(caller, operations),
            Operation::Guarded { revision, operation } => self.guarded(caller, revision, *operation),
            Operation::Once { request, operation } => self.once(caller, &request, *operation),
            Operation::Privileges => {
                let names = self.acl.rights(caller).names().map(ToOwned::to_owned);
                Ok(Answer::Privileges(names.collect()))
            }
            operation => self.authorize(caller, operation).and_then(|allowed| match allowed {
                Operation::Ensure { principal, keys, kvno, settings } => {
                    self.ensure(caller, &meant(&principal), keys, kvno, settings)
                }
                allowed => self.carry_out(caller, allowed),
            }),
        }
    }

    /// The same over a transaction, after whose commit [`Registry::has_committed`] is to be called.
    pub(super) fn over(&self, store: Arc<dyn Store>) -> Self {
        Registry { store, forgiven: Some(Arc::default()), ..self.clone() }
    }

    /// What `inner` changed over its transaction is part of this registry's store now: so, or to be so with the
    /// transaction that this one is over itself.
    pub(super) fn has_committed(&self, inner: &Registry) {
        let forgiven =
            inner.forgiven.as_ref().map(|all| std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner)));
        forgiven.into_iter().flatten().for_each(|one| self.once_committed(one));
    }

    /// Forgives now, or with the transaction.
    fn once_committed(&self, one: Forgiven) {
        match &self.forgiven {
            Some(all) => all.lock().unwrap_or_else(PoisonError::into_inner).push(one),
            None => self.forgive(one),
        }
    }

    fn forgive(&self, one: Forgiven) {
        match one {
            // What can't be written down now is written with the next records.
            Forgiven::Unlocked(id) => drop(self.attempts.unlock(&id)),
            Forgiven::Gone(id) => self.attempts.forget(&id),
        }
    }

    /// Performs what is allowed; changes are recorded as the caller's.
    pub(super) fn carry_out(&self, caller: &Caller, operation: Operation) -> Result<Answer, Refusal> {
        let by = &*caller.name.to_string();
        self.copy.forget_stale();
        match operation {
            Operation::Create { principal, keys, kvno, settings } => {
                self.create(by, &meant(&principal), &keys, kvno, &settings)
            }
            Operation::Modify { principal, kvno, settings } => self.modify(by, &meant(&principal), kvno, &settings),
            Operation::ChangeKeys { principal, keys, keep_old } => {
                self.change_keys(caller, &meant(&principal), &keys, keep_old)
            }
            Operation::Delete { principal } => self.delete(by, &meant(&principal)),
            Operation::Rename { principal, to } => self.rename(by, &meant(&principal), &meant(&to)),
            Operation::Alias { alias, principal } => self.alias(by, &meant(&alias), &meant(&principal)),
            Operation::Describe { principal } => {
                let entry = self.find(&meant(&principal))?;
                Ok(Answer::Principal(Box::new(self.describe(&entry)?)))
            }
            Operation::Dump { next } => self.dump(caller, next),
            Operation::List { pattern, after, limit } => self.list(pattern, after.as_ref(), limit),
            Operation::Extract { principal, fresh } => self.extract(by, &meant(&principal), fresh),
            Operation::Rotate { principal, announce, overlap, newest } => {
                self.rotate(by, &meant(&principal), Turn { announce, overlap, newest })
            }
            Operation::PurgeKeys { principal, keep } => self.purge(by, &meant(&principal), keep),
            Operation::SetString { principal, name, value } => {
                self.change(by, &meant(&principal), |entry| set_string(entry, &name, value.as_deref()))
            }
            Operation::AddToken { principal, token } => {
                let token = token.token(now())?;
                self.change(by, &meant(&principal), |entry| unlocked(entry).and_then(|()| add_token(entry, &token)))
            }
            Operation::DeleteToken { principal, name } => {
                self.change(by, &meant(&principal), |entry| delete_token(entry, &name))
            }
            Operation::CreatePolicy { name, rules } => self.create_policy(by, &name, &rules),
            Operation::ModifyPolicy { name, rules } => self.modify_policy(by, &name, &rules),
            Operation::DeletePolicy { name } => self.delete_policy(&name),
            Operation::DescribePolicy { name } => self.describe_policy(&name),
            Operation::ListPolicies { pattern } => self.list_policies(pattern.as_deref()),
            Operation::Status => self.status(caller),
            Operation::Kdcs => self.kdcs(),
            Operation::MasterKey => self.master_key(),
            Operation::RotateMasterKey { after } => self.rotate_master_key(after.as_ref()),
            Operation::Strings { principal } => Ok(Answer::Strings(self.find(&meant(&principal))?.strings.clone())),
            Operation::Reload | Operation::Restart => super::helm::steer(self.helm.as_deref(), caller, &operation),
            Operation::Ensure { .. }
            | Operation::Privileges
            | Operation::Batch { .. }
            | Operation::Guarded { .. }
            | Operation::Once { .. } => {
                Err(Refusal::invalid("an operation that is made of others can't be carried out as one"))
            }
        }
    }

    fn status(&self, caller: &Caller) -> Step<Answer> {
        if !caller.is_mighty() {
            return Err(Refusal::new(Reason::Denied, "only root and the user that the KDC runs as see its status"));
        }
        let status = self.status.as_ref().ok_or_else(|| Refusal::new(Reason::Failed, "the KDC does not run"))?;
        Ok(Answer::Status(Box::new(status())))
    }

    pub(super) fn find(&self, name: &Principal) -> Step<Arc<Entry>> {
        self.store.lookup(name)?.ok_or_else(Refusal::missing)
    }

    /// The policy that a principal is under. A name that stands for none has no rules.
    fn policy_of(&self, entry: &Entry) -> Step<Option<Arc<PasswordPolicy>>> {
        Ok(entry.policy.as_deref().map(|name| self.store.policy(name)).transpose()?.flatten())
    }

    /// Commits what `changes` makes of the entry as it is now.
    fn commit(&self, name: &Principal, mut changes: impl FnMut(&Entry) -> Step<Vec<Change>>) -> Step<Answer> {
        for _ in 0..ATTEMPTS {
            let entry = self.find(name)?;
            match self.store.commit(&changes(&entry)?) {
                Err(StoreError::Conflict(_)) => {}
                done => return Ok(done.map(|()| Answer::Done)?),
            }
        }
        Err(Refusal::new(Reason::Failed, "others keep changing the principal; try again"))
    }

    /// Commits the entry as `change` leaves it.
    pub(super) fn change(
        &self,
        by: &str,
        name: &Principal,
        mut change: impl FnMut(&mut Entry) -> Step<()>,
    ) -> Step<Answer> {
        self.commit(name, |entry| {
            let mut entry = entry.clone();
            change(&mut entry)?;
            stamp(&mut entry, by);
            Ok(vec![Change::Replace(entry)])
        })
    }
}

/// The system's clock.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map(|passed| passed.as_secs());
    Time(since.ok().and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0))
}

/// A fresh account id.
///
/// # Errors
/// When the system gives no random bytes.
pub fn fresh_id() -> Result<[u8; 16], Refusal> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| unable(libkrb::Error::Random))?;
    Ok(id)
}

/// The principal that a name means; the store would find it under that spelling too.
pub(super) fn meant(name: &Name) -> Principal {
    normal(&name.0).into_owned()
}

fn stamp(entry: &mut Entry, by: &str) {
    entry.modified = now();
    by.clone_into(&mut entry.modified_by);
}

fn unlocked(entry: &Entry) -> Step<()> {
    match entry.attributes.has(Attributes::LOCKDOWN_KEYS) {
        true => Err(Refusal::locked_down()),
        false => Ok(()),
    }
}

fn unable(error: libkrb::Error) -> Refusal {
    match error {
        libkrb::Error::Random => Refusal::new(Reason::Failed, error.to_string()),
        error => Refusal::invalid(error.to_string()),
    }
}
