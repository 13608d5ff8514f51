//! Password policies: made, changed, described, deleted. Not here: what they do to a password.

use super::{ATTEMPTS, Registry, Step, now};
use crate::admin::glob;
use crate::admin::operation::{Answer, Reason, Refusal};
use crate::admin::policies::{PolicyDescription, PolicyRules, fresh};
use crate::core::{Change, PasswordPolicy, StoreError};

/// No realm has more: their names are one answer.
const MAX_POLICIES: usize = 10_000;

impl Registry {
    pub(super) fn create_policy(&self, by: &str, name: &str, rules: &PolicyRules) -> Step<Answer> {
        let mut policy = fresh(name)?;
        if self.store.policy(name)?.is_some() {
            return Err(StoreError::PolicyExists(name.to_owned()).into());
        }
        if self.store.policies()?.len() >= MAX_POLICIES {
            return Err(Refusal::invalid(format!("a realm has at most {MAX_POLICIES} policies; delete one first")));
        }
        rules.apply(&mut policy)?;
        self.put(by, policy)?;
        Ok(Answer::Done)
    }

    pub(super) fn modify_policy(&self, by: &str, name: &str, rules: &PolicyRules) -> Step<Answer> {
        for _ in 0..ATTEMPTS {
            let mut policy = self.policy_named(name)?;
            rules.apply(&mut policy)?;
            match self.put(by, policy) {
                Err(StoreError::PolicyConflict(_)) => {}
                done => return Ok(done.map(|()| Answer::Done)?),
            }
        }
        Err(Refusal::new(Reason::Failed, "others keep changing the policy; try again"))
    }

    /// Refused while a principal is under it; the commit looks once more, for one that is put there at
    /// this very moment.
    pub(super) fn delete_policy(&self, name: &str) -> Step<Answer> {
        self.policy_named(name)?;
        if let Some(user) = self.store.policy_user(name)? {
            return Err(Refusal::in_use(&user));
        }
        self.store.commit(&[Change::DeletePolicy(name.to_owned())])?;
        Ok(Answer::Done)
    }

    pub(super) fn describe_policy(&self, name: &str) -> Step<Answer> {
        Ok(Answer::Policy(Box::new(PolicyDescription::from(&self.policy_named(name)?))))
    }

    pub(super) fn list_policies(&self, pattern: Option<&str>) -> Step<Answer> {
        let mut names = self.store.policies()?;
        names.retain(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name)));
        Ok(Answer::Policies(names))
    }

    fn policy_named(&self, name: &str) -> Step<PasswordPolicy> {
        let policy = self.store.policy(name)?;
        Ok((*policy.ok_or_else(|| StoreError::PolicyMissing(name.to_owned()))?).clone())
    }

    fn put(&self, by: &str, policy: PasswordPolicy) -> Result<(), StoreError> {
        self.store.commit(&[Change::PutPolicy(PasswordPolicy {
            modified: now(),
            modified_by: by.to_owned(),
            ..policy
        })])
    }
}
