//! The operations, and why one is refused, as values and as JSON. Not here: what they do, and what is
//! answered ([`super::answer`]).

use std::fmt;

use libkrb::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use super::answer::{Answer, Description, ExtractedKey, KeyLine};
use super::policies::PolicyRules;
use super::text::Supported;
pub use super::text::{Etype, Name, Secret};
pub use super::tokens::{NewToken, OtpAlgorithm, TokenLine};
use crate::core::StoreError;

/// What an administrator may ask for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// A new principal.
    Create {
        /// Its name.
        principal: Name,
        /// Its keys.
        keys: NewKeys,
        /// The version of its keys; 1 unless given.
        #[schema(minimum = 1)]
        kvno: Option<u32>,
        /// What else it starts with.
        #[serde(default)]
        settings: Settings,
    },
    /// As [`Operation::Create`], and no mistake if it is there already just so.
    Ensure {
        /// Its name.
        principal: Name,
        /// Its keys.
        keys: NewKeys,
        /// The version of its keys; 1 unless given.
        #[schema(minimum = 1)]
        kvno: Option<u32>,
        /// What else it has.
        #[serde(default)]
        settings: Settings,
    },
    /// Other settings for a principal.
    Modify {
        /// Its name.
        principal: Name,
        /// Renumbers its newest keys.
        #[schema(minimum = 1)]
        kvno: Option<u32>,
        /// What changes.
        #[serde(default)]
        settings: Settings,
    },
    /// New keys for a principal, of the next version.
    ChangeKeys {
        /// Its name.
        principal: Name,
        /// The new keys.
        keys: NewKeys,
        /// Whether the old ones stay beside them.
        #[serde(default)]
        keep_old: bool,
    },
    /// No such principal, or alias, any more.
    Delete {
        /// A canonical name: the principal goes, with its aliases. An alias: only the alias goes.
        principal: Name,
    },
    /// Another name for a principal; its keys and its id stay.
    Rename {
        /// The name that it has.
        principal: Name,
        /// The name that it gets.
        to: Name,
    },
    /// One more name for a principal.
    Alias {
        /// The name that it gets.
        alias: Name,
        /// The principal.
        principal: Name,
    },
    /// What is known of a principal, but for its keys.
    Describe {
        /// Its name.
        principal: Name,
    },
    /// A page of the canonical names.
    List {
        /// Only those that match this shell pattern; without an `@`, of this realm.
        pattern: Option<String>,
        /// Only those after this one.
        after: Option<Name>,
        /// Looks at no more than so many names for this page, 500 at most.
        #[serde(default)]
        limit: Option<u32>,
    },
    /// The keys of a principal, for a keytab.
    Extract {
        /// Its name.
        principal: Name,
        /// Makes fresh keys first, of these kinds (none: the realm's).
        fresh: Option<Vec<KeyKind>>,
    },
    /// New random keys that are announced before they are used, and an end for the old ones.
    Rotate {
        /// Whose.
        principal: Name,
        /// For how many seconds they are announced.
        announce: i64,
        /// For how many seconds after that the old ones stay good; as long as tickets need it unless
        /// given, and never less.
        overlap: Option<i64>,
        /// The highest version so far: another one is a refusal.
        newest: Option<u32>,
    },
    /// Fewer old keys.
    PurgeKeys {
        /// Whose.
        principal: Name,
        /// Which stay.
        keep: Keep,
    },
    /// Sets a string attribute, or removes it.
    SetString {
        /// Whose.
        principal: Name,
        /// Of this name.
        name: String,
        /// To this value; `None` removes it.
        value: Option<String>,
    },
    /// A new one-time password token for a principal: from then on its password alone is not enough.
    AddToken {
        /// Whose.
        principal: Name,
        /// The token.
        token: NewToken,
    },
    /// No such token any more.
    DeleteToken {
        /// Whose.
        principal: Name,
        /// Its name.
        name: String,
    },
    /// How the running KDC is. For root and the KDC's own user only.
    Status,
    /// The versions of the master key.
    MasterKey,
    /// A step of the roll-over of the master key: the records after this one; without one it begins, or
    /// goes on where a crash left it.
    RotateMasterKey {
        /// [`Answer::Resealed`] says which.
        after: Option<Name>,
    },
    /// The string attributes.
    Strings {
        /// Whose.
        principal: Name,
    },
    /// A new password policy.
    CreatePolicy {
        /// Its name.
        #[schema(pattern = "^[ -~]{1,256}$")]
        name: String,
        /// Its rules.
        #[serde(default)]
        rules: PolicyRules,
    },
    /// Other rules for a password policy.
    ModifyPolicy {
        /// Its name.
        name: String,
        /// What changes.
        rules: PolicyRules,
    },
    /// No such password policy any more; refused while a principal is under it.
    DeletePolicy {
        /// Its name.
        name: String,
    },
    /// A password policy.
    DescribePolicy {
        /// Its name.
        name: String,
    },
    /// The names of the password policies.
    ListPolicies {
        /// Only those that match this shell pattern.
        pattern: Option<String>,
    },
    /// A page of a copy of the store, all pages of one moment; for who has the realm's files.
    Dump {
        /// What the page before said comes next; none for the first page of a new copy.
        next: Option<String>,
    },
    /// The running KDC reads its settings again. For root and the KDC's own user only.
    Reload,
    /// The running KDC gives way to a new one, which serves the same sockets. For the same only.
    Restart,
    /// The KDCs of the realm that live.
    Kdcs,
    /// What the caller may do where there is nobody to do it to.
    Privileges,
    /// All of these or none, each as if those before it were done.
    Batch {
        /// 500 at most; none of them a batch, guarded, or an extraction of keys.
        #[schema(no_recursion)]
        operations: Vec<Operation>,
    },
    /// An operation, unless what it is about was changed since it was read.
    Guarded {
        /// The revision that was read.
        revision: u64,
        /// The operation.
        #[schema(no_recursion)]
        operation: Box<Operation>,
    },
    /// A change that is made once, however often and over whichever KDC it is asked for within ten minutes.
    Once {
        /// What tells this request from all others of the caller: 128 visible characters of ASCII at most.
        request: String,
        /// The change.
        #[schema(no_recursion)]
        operation: Box<Operation>,
    },
}

/// Why an operation was not performed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// In words, which are MIT's where scripts match them.
    pub text: String,
    /// The rule and the way out, where the words don't say them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What of the operation is at fault, such as `operations[3].settings.max_life`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// The reasons for a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The name is taken.
    Exists,
    /// There is no such principal.
    Missing,
    /// The attribute `lockdown_keys` forbids it.
    LockedDown,
    /// It makes no sense.
    Invalid,
    /// A rule for passwords is broken.
    Password,
    /// Something else needs it.
    InUse,
    /// The caller may not.
    Denied,
    /// It was changed meanwhile.
    Changed,
    /// The store, the socket or the system failed.
    Failed,
}

impl Refusal {
    /// A refusal in other words.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Refusal { reason, text: text.into(), advice: None, field: None }
    }

    /// The same, with the rule and the way out.
    #[must_use]
    pub fn advising(self, advice: impl Into<String>) -> Self {
        Refusal { advice: Some(advice.into()), ..self }
    }

    /// The same, naming what of the operation is at fault.
    #[must_use]
    pub fn at(self, field: impl Into<String>) -> Self {
        Refusal { field: Some(field.into()), ..self }
    }

    pub(super) fn missing() -> Self {
        Refusal::new(Reason::Missing, "Principal does not exist")
    }

    pub(super) fn locked_down() -> Self {
        Refusal::new(Reason::LockedDown, "Principal keys are locked down")
    }

    pub(super) fn invalid(text: impl Into<String>) -> Self {
        Refusal::new(Reason::Invalid, text)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists(_) | StoreError::PolicyExists(_) => {
                Refusal::new(Reason::Exists, "Principal or policy already exists")
            }
            StoreError::Missing(_) => Refusal::missing(),
            StoreError::PolicyMissing(_) => Refusal::new(Reason::Missing, "Policy does not exist"),
            StoreError::PolicyInUse { user, .. } => Refusal::in_use(&user),
            error => Refusal::new(Reason::Failed, error.to_string()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The keys that a principal gets.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NewKeys {
    /// None at all.
    Keyless,
    /// Random ones, of these kinds (none: the realm's).
    Random(Vec<KeyKind>),
    /// Made from a password.
    Password {
        /// The password.
        password: Secret,
        /// Of these kinds (none: the realm's).
        kinds: Vec<KeyKind>,
    },
}

/// An enctype, and how a password's salt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyKind {
    /// The enctype.
    #[schema(value_type = Supported)]
    pub etype: Etype,
    /// The salt.
    pub salt: Salt,
}

/// What a password's salt is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Salt {
    /// Realm and name (RFC 4120 4).
    Normal,
    /// The name only.
    NoRealm,
    /// The realm only.
    OnlyRealm,
    /// Random bytes.
    Special,
}

/// What [`Operation::PurgeKeys`] leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The newest version.
    Newest,
    /// This version and those after it.
    From(u32),
    /// Those in use, and those whose successors came into use within so many seconds. Where nobody
    /// wrote down when that was, they stay.
    ReplacedWithin(i64),
    /// None.
    Nothing,
}

/// What an administrator may set. What is not given stays, or takes its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// When the principal expires, in seconds since 1970; 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// When its password expires, in seconds since 1970; 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_expires: Option<i64>,
    /// Bound on the life of its tickets, in seconds; 0: the realm's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_life: Option<i64>,
    /// Bound on the renewable life of its tickets, in seconds; 0: the realm's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_renewable_life: Option<i64>,
    /// The password policy it is under; empty: none. A new principal is under that named `default`
    /// unless told otherwise, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Opens it, if it was locked after too many failures.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unlock: bool,
    /// Attribute bits that are set.
    pub set: u32,
    /// Attribute bits that are cleared.
    pub clear: u32,
}

/// A time of [`Settings`]: 0 is never.
pub(super) fn time(seconds: i64) -> Option<Time> {
    (seconds != 0).then_some(Time(seconds))
}
