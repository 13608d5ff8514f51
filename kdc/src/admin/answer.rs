//! What operations answer, as values and as JSON. Not here: the operations ([`super::operation`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::kdcs::Kdcs;
#[cfg(doc)]
use super::operation::Operation;
use super::operation::Salt;
use super::policies::PolicyDescription;
use super::text::{Etype, Name, Secret};
use super::tokens::TokenLine;
use crate::observe::facts::Facts;

/// How an operation went, when it went well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// It is done.
    Done,
    /// To [`Operation::Describe`].
    Principal(Box<Description>),
    /// To [`Operation::List`].
    Names {
        /// The names.
        names: Vec<Name>,
        /// Where the next page begins; `None` after the last.
        next: Option<Name>,
    },
    /// To [`Operation::Extract`].
    Keys {
        /// The canonical name.
        principal: Name,
        /// One key an enctype.
        keys: Vec<ExtractedKey>,
    },
    /// To [`Operation::Status`].
    Status(Box<Facts>),
    /// To [`Operation::MasterKey`].
    MasterKey {
        /// Where it comes from.
        source: String,
        /// Each version, and how many records it seals.
        versions: BTreeMap<u32, u64>,
    },
    /// To [`Operation::RotateMasterKey`].
    Resealed {
        /// The version that seals now.
        version: u32,
        /// How many records this step looked at.
        seen: u64,
        /// How many there are.
        total: u64,
        /// Where the next step begins; `None` after the last.
        next: Option<Name>,
        /// Old versions that are gone.
        removed: Vec<u32>,
        /// Old versions that are needed no more, and stand where the KDC can't write.
        left: Vec<u32>,
    },
    /// To [`Operation::Rotate`].
    Rotated {
        /// The version of the new keys.
        kvno: u32,
        /// From when they are used, in seconds since 1970.
        from: i64,
        /// Until when the old ones are good.
        until: i64,
    },
    /// To [`Operation::Strings`].
    Strings(BTreeMap<String, String>),
    /// To [`Operation::DescribePolicy`].
    Policy(Box<PolicyDescription>),
    /// To [`Operation::ListPolicies`].
    Policies(Vec<String>),
    /// To [`Operation::Dump`].
    Dump {
        /// Lines of the file that the copy becomes, but for its last.
        lines: Vec<String>,
        /// What to ask for the next page with; `None` after the last.
        next: Option<String>,
    },
    /// To [`Operation::Ensure`] of what is there.
    Unchanged,
    /// To [`Operation::Kdcs`].
    Kdcs(Kdcs),
    /// To [`Operation::Privileges`]: names of rights.
    Privileges(Vec<String>),
    /// To [`Operation::Batch`].
    Answers {
        /// One for each operation.
        #[schema(no_recursion)]
        answers: Vec<Answer>,
    },
}

/// What is known of a principal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The canonical name.
    pub principal: Name,
    /// Other names.
    pub aliases: Vec<Name>,
    /// Random and never reused, in hexadecimal.
    pub id: String,
    /// When it expires, in seconds since 1970.
    pub expires: Option<i64>,
    /// When its password expires.
    pub password_expires: Option<i64>,
    /// When its keys were last changed.
    pub password_changed: Option<i64>,
    /// Bound on the life of its tickets, in seconds: its own, or else the realm's.
    pub max_life: i64,
    /// Bound on the renewable life of its tickets, in seconds: its own, or else the realm's.
    pub max_renewable_life: i64,
    /// When it was last changed.
    pub modified: i64,
    /// Another one after every change.
    #[serde(default)]
    pub revision: u64,
    /// By whom.
    pub modified_by: String,
    /// Attribute bits.
    pub attributes: u32,
    /// The password policy that it is under.
    pub policy: Option<String>,
    /// Whether there is that policy; without it there are no rules.
    pub policy_exists: bool,
    /// When it last proved itself.
    pub last_success: Option<i64>,
    /// When it last failed to.
    pub last_failure: Option<i64>,
    /// How often in a row it failed to.
    pub failures: u32,
    /// Its keys, newest version first.
    pub keys: Vec<KeyLine>,
    /// Its one-time password tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenLine>,
}

/// A key as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyLine {
    /// Its version.
    pub kvno: u32,
    /// Its enctype.
    pub etype: Etype,
    /// What its salt is made of; normal for a random key.
    pub salt: Salt,
    /// When it was made, in seconds since 1970; `None`: nobody wrote it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
    /// Announced: from when it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Until when it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// A key that leaves the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractedKey {
    /// Its version.
    pub kvno: u32,
    /// Its enctype.
    pub etype: Etype,
    /// Its octets, in hexadecimal.
    pub key: Secret,
}
