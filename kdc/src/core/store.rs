//! What the core asks of a store, and what a store may answer. Local and synchronous: a remote
//! source feeds it from outside and is never on the request path.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libkrb::wire::PrincipalName;
use libkrb::{Principal, Time};
use zeroize::Zeroizing;

use super::entry::{Entry, KeySet};
use super::password_policy::PasswordPolicy;

/// Where principals are kept. Every implementation passes the same battery of tests.
pub trait Store: Send + Sync {
    /// The entry that `name`, or an alias of that name, stands for.
    ///
    /// # Errors
    /// [`StoreError`] if the record can't be read; never for a name that is not there.
    fn lookup(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError>;

    /// The same of a name as a message has it; nothing stands for one that no principal has.
    ///
    /// # Errors
    /// As [`Store::lookup`].
    fn find(&self, name: &PrincipalName<'_>, realm: &str) -> Result<Option<Arc<Entry>>, StoreError> {
        name.principal(realm).map_or(Ok(None), |name| self.lookup(&name))
    }

    /// The canonical names after `after`, in the order of their texts, `limit` at most: pages of a
    /// listing.
    ///
    /// # Errors
    /// [`StoreError`] if the records can't be read.
    fn list(&self, after: Option<&Principal>, limit: usize) -> Result<Vec<Principal>, StoreError>;

    /// The password policy of this name.
    ///
    /// # Errors
    /// [`StoreError`] if the record can't be read; never for a name that is not there.
    fn policy(&self, name: &str) -> Result<Option<Arc<PasswordPolicy>>, StoreError>;

    /// The names of all password policies, in order. There are few: nobody but an administrator
    /// makes one.
    ///
    /// # Errors
    /// [`StoreError`] if the records can't be read.
    fn policies(&self) -> Result<Vec<String>, StoreError>;

    /// The first principal, in the order of names, that is under the policy of this name.
    ///
    /// # Errors
    /// [`StoreError`] if the records can't be read.
    fn policy_user(&self, name: &str) -> Result<Option<Principal>, StoreError> {
        let mut after = None;
        loop {
            let page = self.list(after.as_ref(), 1000)?;
            for principal in &page {
                let entry = self.lookup(principal)?;
                if entry.is_some_and(|entry| entry.policy.as_deref() == Some(name)) {
                    return Ok(Some(principal.clone()));
                }
            }
            after = match page.into_iter().last() {
                Some(last) => Some(last),
                None => return Ok(None),
            };
        }
    }

    /// The service whose keys in use are older than any other's, and when they were made.
    ///
    /// # Errors
    /// [`StoreError`] if the records can't be read.
    fn oldest_service(&self, now: Time) -> Result<Option<(Principal, Time)>, StoreError> {
        let (mut oldest, mut after) = (None, None);
        loop {
            let page = self.list(after.as_ref(), 500)?;
            for name in page.iter().filter(|name| is_of_service(name)) {
                // What can't be read does not hide the others.
                let entry = self.lookup(name).ok().flatten();
                let made = entry.and_then(|entry| entry.keys_of_service_made(now, KeySet::is_of_password));
                let older = |made: &Time| oldest.as_ref().is_none_or(|(_, oldest)| made < oldest);
                if let Some(made) = made.filter(older) {
                    oldest = Some((name.clone(), made));
                }
            }
            after = match page.into_iter().last() {
                Some(last) => Some(last),
                None => return Ok(oldest),
            };
        }
    }

    /// How much there is, at little cost; nothing for a store that keeps no count.
    ///
    /// # Errors
    /// [`StoreError`] if the records can't be read.
    fn size(&self) -> Result<Size, StoreError> {
        Ok(Size::default())
    }

    /// How it stands to where changes are made; for one that is that place, nothing.
    fn standing(&self) -> Standing {
        Standing::default()
    }

    /// What was answered to a request that bears this id, where it has come before ([`Change::Answered`]).
    ///
    /// # Errors
    /// [`StoreError`] if that can't be found out.
    fn answered(&self, _request: &[u8; 32]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        Ok(None)
    }

    /// The KDCs of the realm that live; `None` for a store of one KDC's own.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when that can't be found out.
    fn members(&self) -> Result<Option<Members>, StoreError> {
        Ok(None)
    }

    /// Everything there is, as it is at this moment, whatever is changed while it is read. A store
    /// that is gone with the process has nothing to copy.
    ///
    /// # Errors
    /// [`StoreError`] if the records can't be read.
    fn export(&self) -> Result<Export, StoreError> {
        Err(StoreError::Storage("this store is kept in memory only".into()))
    }

    /// Makes all changes or none, durably; afterwards `lookup` sees them.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Missing`] and [`StoreError::Conflict`] name the first
    /// change that can't be made.
    fn commit(&self, changes: &[Change]) -> Result<(), StoreError>;
}

/// Whether a name may be a service's: who has one component only is a person, and whom the KDC keeps for
/// itself is told apart.
pub fn is_of_service(name: &Principal) -> bool {
    let first = name.components().first().map(|part| &**part);
    name.components().len() > 1 && !matches!(first, Some("krbtgt" | "kadmin"))
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Principals, aliases not counted.
    pub principals: u64,
    /// Password policies.
    pub policies: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Commits since it was made.
    pub changes: u64,
}

/// How a store stands to where changes are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// For how long it may lack what was changed there; `None` for one that is that place.
    pub lag: Option<Duration>,
    /// What keeps it from there, so that nothing can be changed; tickets go on.
    pub trouble: Option<String>,
}

/// The KDCs of a realm that live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The revision of the realm's last change.
    pub newest: i64,
    /// Who they are.
    pub kdcs: Vec<Member>,
}

/// A KDC that lives, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// A name of its own.
    pub id: String,
    /// The machine's name.
    pub host: String,
    /// The version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it was started.
    pub started: Time,
    /// Where it serves tickets.
    pub addresses: Vec<String>,
    /// Where it changes passwords.
    pub passwords: Vec<String>,
    /// How far its copy has come.
    pub revision: i64,
    /// The versions of the master key that it has.
    pub master: Vec<u32>,
    /// The version of the ticket-granting service's key that it seals with, and when that was made.
    pub tgs_key: Option<(u32, Time)>,
    /// When it said this, by its own clock.
    pub now: Time,
}

/// What was answered to a request that bears an id: should it come again, since the answer was lost, it is
/// answered the same, and nothing is done. Remembered for ten minutes at least.
#[derive(Clone)]
pub struct Answered {
    /// The request's id, and whose.
    pub request: [u8; 32],
    /// When it was answered.
    pub at: Time,
    /// The answer, which may have keys in it.
    pub octets: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered").field("at", &self.at).finish_non_exhaustive()
    }
}

/// A copy of a store.
pub struct Export {
    /// What it says of itself.
    pub head: ExportHead,
    /// Its records, keys sealed: policies first.
    pub records: Box<dyn Iterator<Item = Result<Exported, StoreError>> + Send>,
}

/// What a copy of a store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportHead {
    /// Whose principals they are.
    pub realm: String,
    /// The commit after which it was taken.
    pub revision: u64,
    /// What tells the master key that its keys are sealed under.
    pub master_key: Vec<u8>,
    /// How many policies there are.
    pub policies: u64,
    /// How many principals there are.
    pub principals: u64,
    /// Of how many accounts logins are remembered.
    pub attempts: u64,
}

impl ExportHead {
    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.policies.saturating_add(self.principals).saturating_add(self.attempts)
    }
}

/// A record of a copy, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// What it is.
    pub kind: Kind,
    /// Whose it is; of attempts, the account's id in hexadecimal.
    pub name: String,
    /// Its octets.
    pub record: Vec<u8>,
}

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A principal.
    Principal,
    /// A password policy.
    Policy,
    /// What is remembered of an account's logins.
    Attempts,
}

/// One step of a commit.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new principal; neither its name nor an alias may be in use.
    Create(Entry),
    /// A changed principal; its `revision` must be the stored one.
    Replace(Entry),
    /// No such principal any more, nor its aliases.
    Delete(Principal),
    /// A new password policy, or a changed one: its `revision` must be the stored one, 0 if there is
    /// none of this name.
    PutPolicy(PasswordPolicy),
    /// No such password policy any more. Principals that name it are then without rules.
    DeletePolicy(String),
    /// Nothing of its own: what the others are answered with.
    Answered(Answered),
}

impl Change {
    /// Whom it changes, if it is a principal.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Change::Create(entry) | Change::Replace(entry) => Some(&entry.principal),
            Change::Delete(principal) => Some(principal),
            Change::PutPolicy(_) | Change::DeletePolicy(_) | Change::Answered(_) => None,
        }
    }
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The name, or alias, is taken.
    #[error("principal or alias {0} already exists")]
    Exists(Principal),
    /// There is no such principal.
    #[error("principal {0} does not exist")]
    Missing(Principal),
    /// Somebody else changed the entry since it was read.
    #[error("principal {0} was changed by somebody else meanwhile; read it again")]
    Conflict(Principal),
    /// The name of a password policy is taken.
    #[error("policy {0} already exists")]
    PolicyExists(String),
    /// There is no such password policy.
    #[error("policy {0} does not exist")]
    PolicyMissing(String),
    /// Somebody else changed the password policy since it was read.
    #[error("policy {0} was changed by somebody else meanwhile; read it again")]
    PolicyConflict(String),
    /// A principal is under the password policy that was to go.
    #[error("policy {policy} is in use by {user}")]
    PolicyInUse {
        /// Its name.
        policy: String,
        /// One of those under it.
        user: String,
    },
    /// A record does not open: wrong master key, or not the record it claims to be.
    #[error("record of {principal}: {problem}")]
    Record {
        /// Whose record.
        principal: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Nothing can be changed now; tickets go on.
    #[error("{0}")]
    ReadOnly(String),
    /// Another process has the store open.
    #[error("{}: in use by another process; end the KDC that runs there first", .0.display())]
    InUse(PathBuf),
    /// The storage below failed.
    #[error("{0}")]
    Storage(String),
}
