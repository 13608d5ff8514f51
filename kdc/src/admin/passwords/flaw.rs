//! What is wrong with a new password, in MIT's words, which scripts match, and in words that say the
//! rule and the way out. The password itself is in neither.

use libkrb::Time;

use crate::admin::operation::{Reason, Refusal};

/// What is wrong with a new password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the policy that has the rule, and what the rule asks for")]
pub enum Flaw {
    /// There is none.
    Empty,
    /// Too few characters.
    TooShort { policy: String, least: u32 },
    /// Too few kinds of characters.
    FewClasses { policy: String, least: u32 },
    /// A word of the dictionary, or the realm.
    Dictionary,
    /// A part of the principal's name.
    OwnName,
    /// Too easy to guess, by zxcvbn's count.
    Weak { policy: String, score: u32, least: u32 },
    /// The present one, or one of those before it.
    Reused { policy: String, history: u32 },
    /// The present one is too young.
    TooSoon { policy: String, until: Time },
}

impl Flaw {
    /// The words of MIT's kadmin, where it knows the rule.
    pub fn text(&self) -> &'static str {
        match self {
            Flaw::Empty => "Empty passwords are not allowed",
            Flaw::TooShort { .. } => "Password is too short",
            Flaw::FewClasses { .. } => "Password does not contain enough character classes",
            Flaw::Dictionary => "Password is in the password dictionary",
            Flaw::OwnName => "Password may not match principal name",
            Flaw::Weak { .. } => "Password is too easy to guess",
            Flaw::Reused { .. } => "Cannot reuse password",
            Flaw::TooSoon { .. } => "Current password's minimum life has not expired",
        }
    }

    /// The rule, and the way out.
    pub fn advice(&self) -> String {
        match self {
            Flaw::Empty => "a password has at least one character; choose one".into(),
            Flaw::TooShort { policy, least } => {
                format!("policy {policy} asks for at least {least} characters; choose a longer password")
            }
            Flaw::FewClasses { policy, least } => format!(
                "policy {policy} asks for {least} of: lower-case letters, upper-case letters, digits, punctuation, all \
                 other characters; mix more of them"
            ),
            Flaw::Dictionary => "words that many people use are guessed first; choose what is no single word".into(),
            Flaw::OwnName => "a name is guessed first; choose what is no part of it".into(),
            Flaw::Weak { policy, score, least } => format!(
                "policy {policy} asks for a strength of {least} on a scale to 4, and this has {score}; add a few \
                 uncommon words"
            ),
            Flaw::Reused { policy, history: 1 } => {
                format!("policy {policy} asks for another password than the present one; choose a new one")
            }
            Flaw::Reused { policy, history } => {
                format!("policy {policy} asks for another password than the last {history}; choose a new one")
            }
            Flaw::TooSoon { policy, until } => {
                format!(
                    "policy {policy} lets its owner change it again from {until} on; an administrator may do so now"
                )
            }
        }
    }
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Refusal {
        Refusal::new(Reason::Password, flaw.text()).advising(flaw.advice())
    }
}
