//! A password policy: what the passwords of its principals must be like, when they are locked, and
//! how long their tickets live. A value with a name; who applies it is elsewhere ([`super::attempts`],
//! [`super::limits`], the admin's operations).

use libkrb::Time;

/// The rules for principals that name it (`addprinc -policy`). 0 in a number is "no such rule", as
/// in MIT krb5; times are in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// Its name.
    pub name: String,
    /// How old a password must be before its owner may change it again.
    pub min_life: i64,
    /// How old a password may become.
    pub max_life: i64,
    /// Characters of a password, at least.
    pub min_length: u32,
    /// Kinds of characters in a password, at least: lower case, upper case, digits, punctuation, others.
    pub min_classes: u32,
    /// How many passwords, the present one among them, may not be used again.
    pub history: u32,
    /// How hard to guess a password must be: zxcvbn's score, 0 to 4.
    pub min_strength: u32,
    /// Refuse the words of the realm's dictionary.
    pub dictionary: bool,
    /// So many failures in a row lock a principal.
    pub max_failures: u32,
    /// After so long without a failure the count begins anew.
    pub failure_interval: i64,
    /// How long a lock holds; 0: until an administrator opens it.
    pub lockout_duration: i64,
    /// Bound on the life of tickets.
    pub max_ticket_life: i64,
    /// Bound on the renewable life of tickets.
    pub max_renewable_life: i64,
    /// How old a random key may become before the KDC makes the next one.
    pub rotate_keys_after: i64,
    /// How long the keys before the newest stay good; never less than tickets live.
    pub keep_old_keys: i64,
    /// The kinds of keys that principals may have, as kadmin writes them; empty for any.
    pub allowed_key_salts: String,
    /// When it was last changed.
    pub modified: Time,
    /// Who changed it.
    pub modified_by: String,
    /// Set by the store at every commit; 0 for one that was never stored.
    pub revision: u64,
    /// What only a newer version knows of its record, as it stands there: it is kept when this one changes the policy.
    pub newer: Vec<u8>,
}

impl PasswordPolicy {
    /// A policy without rules.
    pub fn new(name: &str) -> Self {
        PasswordPolicy { name: name.to_owned(), dictionary: false, ..PasswordPolicy::default() }
    }
}
