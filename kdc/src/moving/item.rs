//! What a source of principals says of one line, in our terms. Not here: how it is read, where it goes.

use libkrb::codes::EncryptionType;
use libkrb::crypto::{is_weak, supported};

use crate::core::attempts::Record;
use crate::core::{Entry, KeySet, LongTermKey, PasswordPolicy};

/// What a line says.
pub enum Item {
    /// A principal.
    Principal(Box<Carried>),
    /// A password policy, and what of it is not carried.
    Policy(PasswordPolicy, Vec<String>),
    /// Something that its old KDC needs and this one does not: its name, and why.
    LeftOut(String, &'static str),
    /// Something that is carried with something else.
    Elsewhere,
}

/// A principal as it comes.
pub struct Carried {
    /// What we know of it from now on.
    pub entry: Entry,
    /// Its logins and failures.
    pub attempts: Record,
    /// What of it is not carried, each in words.
    pub lost: Vec<String>,
}

/// A kind of file with a realm's principals.
pub trait Source: Sync {
    /// What a line says.
    ///
    /// # Errors
    /// What is wrong with it.
    fn item(&self, line: &str) -> Result<Item, String>;

    /// Once all lines were read: what belongs to principals that are not there, with the reason.
    fn unclaimed(&self) -> Vec<(String, String)> {
        vec![]
    }
}

/// Keys gathered by version; what can't be carried is told instead.
#[derive(Default)]
pub struct Keys {
    sets: Vec<KeySet>,
    /// Keys that are left behind, in words.
    pub lost: Vec<String>,
}

impl Keys {
    /// Whether a key of this enctype can be carried; if not, that is told.
    pub fn takes(&mut self, kvno: u32, etype: EncryptionType) -> bool {
        if !supported(etype) {
            let why = if is_weak(etype) { "broken and therefore not in this build" } else { "not in this build" };
            self.lost.push(format!("the key of {etype}, version {kvno}: the encryption type is {why}"));
            return false;
        }
        let twice = self.sets.iter().any(|set| set.kvno == kvno && set.keys.iter().any(|key| key.etype() == etype));
        if twice {
            self.lost.push(format!("a second key of {etype}, version {kvno}: one of an encryption type is kept"));
        }
        !twice
    }

    /// Adds a key that [`Keys::takes`].
    pub fn add(&mut self, kvno: u32, key: LongTermKey) {
        match self.sets.iter_mut().find(|set| set.kvno == kvno) {
            Some(set) => set.keys.push(key),
            None => self.sets.push(KeySet::new(kvno, vec![key])),
        }
    }

    /// The keys, newest first.
    pub fn sets(mut self) -> (Vec<KeySet>, Vec<String>) {
        if self.sets.is_empty() && !self.lost.is_empty() {
            self.lost.push("no key is left: it needs a new password, or new keys".into());
        }
        self.sets.sort_by_key(|set| std::cmp::Reverse(set.kvno));
        (self.sets, self.lost)
    }
}
