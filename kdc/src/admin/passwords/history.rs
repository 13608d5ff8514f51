//! Former passwords, which only their sealed keys remember: a new one is made into a key as an old
//! one was, and the keys compared.
//!
//! The work is bounded: one derivation for each different salt, enctype and number of rounds among at
//! most [`MAX_HISTORY`] passwords, of each the kind with the fewest rounds. The salt of a principal
//! stays unless it is renamed or has special salts, so commonly there is one derivation: 1 ms with
//! 4096 rounds. Only administrators say how many passwords are remembered and how many rounds made.

use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, default_s2kparams};

use crate::core::{Entry, KeySet, LongTermKey, PasswordPolicy};

/// No policy remembers more passwords.
pub const MAX_HISTORY: u32 = 64;

/// Whether `password` is one of the last that `policy` remembers: the present one among them.
///
/// # Errors
/// When an old key can't be made again.
pub fn reused(password: &str, entry: &Entry, policy: &PasswordPolicy) -> libkrb::Result<bool> {
    let mut made = Made { password, default_salt: entry.principal.salt(), keys: vec![] };
    let remembered = entry.newest().filter(|set| of_password(set)).into_iter().chain(&entry.history);
    for set in remembered.take(policy.history.min(MAX_HISTORY) as usize) {
        if let Some(old) = made.cheapest(set)
            && made.like(old)?.same_as(&old.key)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts the present keys, which are about to be replaced, among the former ones, if a password made
/// them: random ones in between neither count as one nor make one forgotten. `by_password`: whether
/// what takes their place will be the latest password.
pub fn remember(entry: &mut Entry, policy: &PasswordPolicy, by_password: bool) {
    // The present one is remembered as long as it is that.
    let former = policy.history.min(MAX_HISTORY).saturating_sub(u32::from(by_password)) as usize;
    if former > 0
        && let Some(present) = entry.newest().filter(|set| of_password(set)).cloned()
    {
        entry.history.insert(0, present);
    }
    entry.history.truncate(former);
}

/// Random keys have no salt.
fn of_password(set: &KeySet) -> bool {
    set.keys.iter().any(|key| key.salt.is_some())
}

/// The keys that a password has been made into.
struct Made<'a> {
    password: &'a str,
    default_salt: String,
    keys: Vec<(Recipe, Key)>,
}

/// What makes a password the same key again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Recipe {
    etype: EncryptionType,
    salt: String,
    params: Option<[u8; 4]>,
}

impl Made<'_> {
    fn recipe(&self, old: &LongTermKey) -> Recipe {
        let salt = old.salt.as_ref().unwrap_or(&self.default_salt).clone();
        let params = old.iterations.map(u32::to_be_bytes).or(default_s2kparams(old.etype()));
        Recipe { etype: old.etype(), salt, params }
    }

    /// The key of a set that costs least to make again.
    fn cheapest<'s>(&self, set: &'s KeySet) -> Option<&'s LongTermKey> {
        set.keys.iter().min_by_key(|key| {
            let recipe = self.recipe(key);
            let known = self.keys.iter().any(|(known, _)| *known == recipe);
            if known { 0 } else { recipe.params.map_or(1, u32::from_be_bytes) }
        })
    }

    /// The password's key, made as `old` was.
    fn like(&mut self, old: &LongTermKey) -> libkrb::Result<Key> {
        let recipe = self.recipe(old);
        if let Some((_, key)) = self.keys.iter().find(|(known, _)| *known == recipe) {
            return Ok(key.clone());
        }
        let params = recipe.params.as_ref().map(|octets| &octets[..]);
        let key = Key::from_password(recipe.etype, self.password.as_bytes(), recipe.salt.as_bytes(), params)?;
        self.keys.push((recipe, key.clone()));
        Ok(key)
    }
}
