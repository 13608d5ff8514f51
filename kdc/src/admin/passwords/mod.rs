//! Where a password becomes keys, it is measured first: against the rules of its principal's policy,
//! the realm's dictionary and the passwords before it. One way for everybody, whether kadmin, the
//! admin API or kpasswd brings it. Not here: who may bring it, and how keys are made of it.

mod dictionary;
mod flaw;
mod history;

use libkrb::{Principal, Time};

pub use dictionary::Dictionary;
pub use flaw::Flaw;
pub(super) use history::{MAX_HISTORY, remember, reused};

use super::caller::Caller;
use crate::core::{Attributes, Entry, PasswordPolicy};

/// Whose wish a new password is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changer {
    /// Its owner's, who must let the minimum life of the present one pass.
    Oneself,
    /// Somebody's who looks after the owner: it may have to be changed at once.
    Administrator,
}

impl Changer {
    /// What `caller` is to the principal of `entry`. Who may do everything is nobody's equal.
    pub fn of(caller: &Caller, entry: &Entry) -> Changer {
        let oneself = caller.name == entry.principal || entry.aliases.contains(&caller.name);
        match oneself && !caller.is_mighty() {
            true => Changer::Oneself,
            false => Changer::Administrator,
        }
    }
}

/// A password that somebody wants to have.
struct Wish<'a> {
    password: &'a str,
    principal: &'a Principal,
    dictionary: &'a Dictionary,
}

/// A rule of a policy: what it has against a password.
type Rule = fn(&Wish<'_>, &PasswordPolicy) -> Option<Flaw>;

/// In MIT's order, so that of several flaws the same one is told.
const RULES: [Rule; 5] = [length, classes, dictionary_word, own_name, strength];

/// Measures a password for `principal`, which is under `policy`. Without a policy there is but one
/// rule: there must be a password.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(
    password: &str,
    principal: &Principal,
    policy: Option<&PasswordPolicy>,
    dictionary: &Dictionary,
) -> Result<(), Flaw> {
    let wish = Wish { password, principal, dictionary };
    let broken = policy.and_then(|policy| RULES.iter().find_map(|rule| rule(&wish, policy)));
    match broken {
        Some(flaw) => Err(flaw),
        None if password.is_empty() => Err(Flaw::Empty),
        None => Ok(()),
    }
}

/// Whether `entry` may have a new password at `now`, as far as the age of its present one goes.
///
/// # Errors
/// [`Flaw::TooSoon`].
pub fn check_age(changer: Changer, entry: &Entry, policy: Option<&PasswordPolicy>, now: Time) -> Result<(), Flaw> {
    let must = entry.attributes.has(Attributes::REQUIRES_PWCHANGE);
    let (Some(policy), Changer::Oneself, false) = (policy, changer, must) else { return Ok(()) };
    match entry.password_changed.map(|changed| changed + policy.min_life) {
        Some(until) if now < until => Err(Flaw::TooSoon { policy: policy.name.clone(), until }),
        _ => Ok(()),
    }
}

fn length(wish: &Wish<'_>, policy: &PasswordPolicy) -> Option<Flaw> {
    let least = policy.min_length;
    let short = wish.password.chars().take(least as usize).count() < least as usize;
    short.then(|| Flaw::TooShort { policy: policy.name.clone(), least })
}

fn classes(wish: &Wish<'_>, policy: &PasswordPolicy) -> Option<Flaw> {
    const KINDS: [fn(&char) -> bool; 4] =
        [char::is_ascii_lowercase, char::is_ascii_uppercase, char::is_ascii_digit, char::is_ascii_punctuation];
    let has = |kind: &&fn(&char) -> bool| wish.password.chars().any(|character| kind(&character));
    let others = wish.password.chars().any(|character| !KINDS.iter().any(|kind| kind(&character)));
    let found = KINDS.iter().filter(has).count() + usize::from(others);
    let least = policy.min_classes;
    (found < least as usize).then(|| Flaw::FewClasses { policy: policy.name.clone(), least })
}

fn dictionary_word(wish: &Wish<'_>, policy: &PasswordPolicy) -> Option<Flaw> {
    (policy.dictionary && wish.dictionary.has(wish.password)).then_some(Flaw::Dictionary)
}

fn own_name(wish: &Wish<'_>, _: &PasswordPolicy) -> Option<Flaw> {
    let same = |part: &str| part.to_lowercase() == wish.password.to_lowercase();
    let principal = wish.principal;
    if principal.components().iter().any(|part| same(part)) {
        return Some(Flaw::OwnName);
    }
    same(principal.realm()).then_some(Flaw::Dictionary)
}

fn strength(wish: &Wish<'_>, policy: &PasswordPolicy) -> Option<Flaw> {
    if policy.min_strength == 0 {
        return None;
    }
    // Looks at the first 100 characters only, so its work is bounded.
    let known: Vec<&str> =
        wish.principal.components().iter().map(|part| &**part).chain([wish.principal.realm()]).collect();
    let score = u32::from(u8::from(zxcvbn::zxcvbn(wish.password, &known).score()));
    let least = policy.min_strength;
    (score < least).then(|| Flaw::Weak { policy: policy.name.clone(), score, least })
}

#[cfg(test)]
mod tests;
