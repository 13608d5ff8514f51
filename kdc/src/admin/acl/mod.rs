//! Who may do what to whom: rows of `[[admin.acl]]` in kdc.toml, or a kadm5.acl, read as MIT reads
//! it. The first row that is about caller and target decides; what it does not give, everybody may
//! do to nobody but themselves. Pure. Not here: what an operation needs ([`mod@needs`]), and
//! `lockdown_keys`, which no row lifts ([`super::Registry`]).

mod kadm5;
mod needs;
mod pattern;
mod restrictions;
mod right;

use libkrb::Principal;
use serde::Deserialize;

pub use pattern::Pattern;
pub use restrictions::{Flags, Restrictions};
pub use right::{Right, Rights};

use super::caller::{Authority, Caller};
pub(super) use needs::{Need, Over, needs};

/// What everybody may do to themselves, as in MIT krb5.
pub const OWN: Rights = Rights::of(&[Right::ChangePassword, Right::PurgeKeys, Right::Inquire]);

/// A row of the list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Whom it is about.
    pub who: Pattern,
    /// What they may do.
    #[serde(default)]
    pub may: Rights,
    /// Of this, what they may not.
    #[serde(default)]
    pub may_not: Rights,
    /// To whom. Without this, or with `*`: to everybody, and where there is nobody to do it to, as with
    /// listings and policies.
    pub on: Option<Pattern>,
    /// Within these bounds.
    #[serde(default)]
    pub restrict: Restrictions,
}

/// The list of a realm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acl {
    realm: String,
    rules: Vec<Rule>,
    /// Services whose keys nobody from afar may see, set or remove.
    vital: Vec<Principal>,
}

/// What the list says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub enum Decision<'a> {
    /// Yes, within these bounds.
    Allowed(&'a Restrictions),
    /// Yes, but only to who proves itself with its own key just now.
    NotInitial,
    /// No.
    Refused,
}

impl Decision<'_> {
    /// Whether it is yes; bounds matter only where settings are made.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Decision::Allowed(_))
    }
}

static UNBOUNDED: Restrictions = Restrictions::NONE;

impl Acl {
    /// The list of a realm. Patterns without a realm mean this one.
    pub fn new(realm: &str, rules: Vec<Rule>) -> Self {
        Acl { realm: realm.to_owned(), rules, vital: vec![] }
    }

    /// The same, with services by whose keys callers are known.
    #[must_use]
    pub fn guarding(self, vital: Vec<Principal>) -> Self {
        Acl { vital, ..self }
    }

    /// Whether tickets in the keys of `name` make their holder anybody: the realm's own services.
    pub(super) fn is_vital(&self, name: &Principal) -> bool {
        let [first, ..] = name.components() else { return false };
        matches!(&**first, "krbtgt" | "kadmin" | "K") && name.components().len() == 2 || self.vital.contains(name)
    }

    /// This list, and where it has no row, that one.
    #[must_use]
    pub fn followed_by(mut self, more: Acl) -> Self {
        self.rules.extend(more.rules);
        self
    }

    /// Whether `caller` has this right over `target`; `None` where there is no principal to have it
    /// over, as for listings and policies.
    pub fn allows(&self, caller: &Caller, right: Right, target: Option<&Principal>) -> Decision<'_> {
        let Authority::Acl { initial } = caller.authority else { return Decision::Allowed(&UNBOUNDED) };
        let own = target == Some(&caller.name);
        // Who has found an unlocked screen must not be able to keep the account.
        if own && right == Right::ChangePassword && !initial {
            return Decision::NotInitial;
        }
        match self.rule(caller, target) {
            Some(rule) if rule.rights().has(right) => Decision::Allowed(&rule.restrict),
            _ if own && OWN.has(right) => Decision::Allowed(&UNBOUNDED),
            _ => Decision::Refused,
        }
    }

    /// What the list gives to `caller` where there is no target.
    pub fn rights(&self, caller: &Caller) -> Rights {
        match caller.authority {
            Authority::All => Rights::ALL.with(Rights::of(&[Right::Extract])),
            Authority::Acl { .. } => self.rule(caller, None).map_or(Rights::default(), Rule::rights),
        }
    }

    fn rule(&self, caller: &Caller, target: Option<&Principal>) -> Option<&Rule> {
        self.rules.iter().find(|rule| {
            let wild = rule.who.caller(&caller.name, &self.realm);
            wild.is_some_and(|wild| match (&rule.on, target) {
                (None, _) => true,
                (Some(on), None) => on.is_everybody(),
                (Some(on), Some(target)) => on.target(target, &self.realm, &wild),
            })
        })
    }
}

impl Rule {
    fn rights(&self) -> Rights {
        self.may.without(self.may_not)
    }
}

#[cfg(test)]
mod tests;
