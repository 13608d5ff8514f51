//! What an authenticated principal may do: a small policy, pure and typed. Authentication is not
//! authorization, so nobody is allowed anything that no rule allows. Not here: routes and methods,
//! which a policy is put around; and local account names ([`crate::config::LocalNames`]).
//!
//! A policy is text, one rule a line:
//!
//! ```
//! # use libkrb::{Principal, access::AccessPolicy};
//! let policy = AccessPolicy::parse("
//!     ## who has which role
//!     role admins   */admin@EXAMPLE.ORG  alice@EXAMPLE.ORG
//!     ## who may come in
//!     allow role:admins
//!     allow principal:HTTP/*.shop.example.org@EXAMPLE.ORG
//!     deny  principal:mallory/admin@EXAMPLE.ORG
//! ")?;
//! let bob = Principal::parse("bob/admin@EXAMPLE.ORG", None)?;
//! assert!(policy.decide(&bob, &[]).allowed);
//! # Ok::<(), libkrb::Error>(())
//! ```
//!
//! - A rule of several conditions holds where all of them hold.
//! - **A `deny` that holds overrides every `allow`**, wherever the two stand; without an `allow` that
//!   holds the answer is no. So no line can undo a `deny`, and the order of lines is of no matter.
//! - `principal:` has a name whose `*` stand for any text *within one component*: `*@EXAMPLE.ORG` is
//!   every user and no service, `*/admin@EXAMPLE.ORG` every administrator, `HTTP/*@*` every web server
//!   of every realm. A backslash quotes `*`, `/`, `@`, blanks and itself. Case counts.
//! - `realm:` has the name of a realm, `role:` that of a role: one that a `role` line gives, or one
//!   that the caller of [`AccessPolicy::decide`] knows of.
//! - `indicator:` has one of the words in which a realm says how its clients proved themselves (RFC 8129):
//!   `allow role:admins indicator:otp` lets administrators in who logged in with a one-time password.
//! - `allow` and `role` mean the anonymous principal (RFC 8062) only where they spell its name out.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod glob;

use std::fmt;

use crate::error::{Error, Result};
use crate::name::Principal;
pub use glob::Glob;

/// Whether something is allowed, and why. The reason is for the own log, not for the one who asked.
#[must_use = "a decision that nobody heeds protects nothing"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The rule that decided.
    pub reason: String,
}

/// Who has which role, and who is allowed. Without rules it allows nobody.
#[derive(Clone, Debug, Default)]
pub struct AccessPolicy {
    roles: Vec<(String, Vec<Glob>)>,
    rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug)]
struct Rule {
    effect: Effect,
    conditions: Vec<Condition>,
    /// As it was written, for the reason.
    text: String,
}

#[derive(Clone, Debug)]
enum Condition {
    Principal(Glob),
    Realm(String),
    Role(String),
    Indicator(String),
}

impl AccessPolicy {
    /// A policy that allows nobody anything yet.
    pub fn new() -> AccessPolicy {
        AccessPolicy::default()
    }

    /// Reads the text of a policy.
    ///
    /// # Errors
    /// [`Error::Setting`] with the line, what stands there and what was expected.
    pub fn parse(text: &str) -> Result<AccessPolicy> {
        let mut policy = AccessPolicy::new();
        for (number, line) in (1..).zip(text.lines()) {
            policy
                .line(line.trim())
                .map_err(|problem| Error::Setting(format!("access policy, line {number}: {problem}")))?;
        }
        Ok(policy)
    }

    /// With one more line, as [`AccessPolicy::parse`] reads it.
    ///
    /// # Errors
    /// As [`AccessPolicy::parse`].
    pub fn with(mut self, line: &str) -> Result<AccessPolicy> {
        self.line(line.trim()).map_err(|problem| Error::Setting(format!("access policy: {problem}")))?;
        Ok(self)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let mut words = words(line);
        let kind = words.next().unwrap_or_default();
        let effect = match kind {
            "role" => return self.role(words),
            "allow" => Effect::Allow,
            "deny" => Effect::Deny,
            _ => return Err(format!("\"{kind}\" begins no rule: write allow, deny or role")),
        };
        let conditions = words.map(condition).collect::<Result<Vec<_>, _>>()?;
        if conditions.is_empty() {
            let way = "principal:NAME@REALM, realm:REALM, role:ROLE or indicator:INDICATOR (principal:*@REALM is every user of a realm)";
            return Err(format!("\"{kind}\" needs a condition: {way}"));
        }
        self.rules.push(Rule { effect, conditions, text: line.to_owned() });
        Ok(())
    }

    fn role<'a>(&mut self, mut words: impl Iterator<Item = &'a str>) -> Result<(), String> {
        let usage = "write role NAME PRINCIPAL@REALM, with as many principals as there are";
        let name = words.next().ok_or(usage)?;
        let globs = words.map(Glob::parse).collect::<Result<Vec<_>, _>>()?;
        if globs.is_empty() {
            return Err(format!("the role \"{name}\" has no principal: {usage}"));
        }
        self.roles.push((name.to_owned(), globs));
        Ok(())
    }

    /// The roles that the `role` lines give a principal.
    pub fn roles_of(&self, principal: &Principal) -> Vec<String> {
        let given = self.roles.iter().filter(|(_, globs)| globs.iter().any(|glob| glob.names(principal)));
        given.map(|(role, _)| role.clone()).collect()
    }

    /// Decides on a principal, with the roles that it has beside those of the `role` lines. Nobody knows
    /// how it proved itself, so it meets no `indicator:`.
    pub fn decide(&self, principal: &Principal, roles: &[String]) -> Decision {
        self.decide_proven(principal, roles, &[])
    }

    /// As [`AccessPolicy::decide`], of a principal that is known to have proven itself in these ways.
    pub fn decide_proven(&self, principal: &Principal, roles: &[String], indicators: &[String]) -> Decision {
        let mut all = self.roles_of(principal);
        all.extend_from_slice(roles);
        let first =
            |effect| self.rules.iter().find(|rule| rule.effect == effect && rule.holds(principal, &all, indicators));
        let (allowed, rule) = match first(Effect::Deny) {
            Some(rule) => (false, Some(rule)),
            None => (true, first(Effect::Allow)),
        };
        match rule {
            Some(rule) => Decision { allowed, reason: rule.text.clone() },
            None => Decision { allowed: false, reason: "no rule allows it".to_owned() },
        }
    }
}

impl Rule {
    fn holds(&self, principal: &Principal, roles: &[String], indicators: &[String]) -> bool {
        self.conditions.iter().all(|condition| match (condition, self.effect) {
            (Condition::Principal(glob), Effect::Allow) => glob.names(principal),
            (Condition::Principal(glob), Effect::Deny) => glob.matches(principal),
            // The anonymous principal of a realm is nobody of that realm.
            (Condition::Realm(realm), Effect::Allow) => principal.realm() == realm && !principal.is_anonymous(),
            (Condition::Realm(realm), Effect::Deny) => principal.realm() == realm,
            (Condition::Role(role), _) => roles.contains(role),
            (Condition::Indicator(indicator), _) => indicators.contains(indicator),
        })
    }
}

fn condition(word: &str) -> Result<Condition, String> {
    let (kind, value) = word.split_once(':').unwrap_or((word, ""));
    match kind {
        "principal" | "realm" | "role" | "indicator" if value.is_empty() => {
            Err(format!("\"{kind}:\" is followed by nothing"))
        }
        "principal" => Glob::parse(value).map(Condition::Principal),
        "realm" if value.contains('*') => {
            Err(format!("\"{word}\": a realm is named in full; principal:*@* is every user of every realm"))
        }
        "realm" => Ok(Condition::Realm(value.to_owned())),
        "role" => Ok(Condition::Role(value.to_owned())),
        "indicator" => Ok(Condition::Indicator(value.to_owned())),
        _ => Err(format!(
            "\"{word}\" is no condition: write principal:NAME@REALM, realm:REALM, role:ROLE or indicator:INDICATOR"
        )),
    }
}

/// The words of a line; a backslash before a blank keeps a word together, and stays in it.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let separator = move |c: char| {
        let blank = c.is_whitespace() && !quoted;
        quoted = c == '\\' && !quoted;
        blank
    };
    line.split(separator).filter(|word| !word.is_empty())
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.allowed { "allowed" } else { "denied" }, self.reason)
    }
}

#[cfg(test)]
mod tests;
