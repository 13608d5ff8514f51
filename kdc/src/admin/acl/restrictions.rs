//! What the settings of a principal become when a rule lets somebody make or change it only within
//! bounds. Not here: which rule that is.

use libkrb::Time;
use serde::Deserialize;

use crate::admin::operation::Settings;
use crate::admin::query;

/// Bounds of a rule: `restrict = { max_life = "8h", flags = ["-allow_svr"] }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Restrictions {
    /// Flags that are set (`+`) and cleared (`-`), whatever was asked for.
    pub flags: Flags,
    /// The password policy that the principal is put under.
    pub policy: Option<String>,
    /// Puts the principal under none.
    pub clear_policy: bool,
    /// The principal expires so many seconds from now, or sooner.
    #[serde(deserialize_with = "span")]
    pub expire: Option<i64>,
    /// So does its password.
    #[serde(deserialize_with = "span")]
    pub password_expire: Option<i64>,
    /// Its tickets live so many seconds, or less.
    #[serde(deserialize_with = "span")]
    pub max_life: Option<i64>,
    /// They are renewable so many seconds, or less.
    #[serde(deserialize_with = "span")]
    pub max_renewable_life: Option<i64>,
}

/// Attribute bits that are forced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Flags {
    set: u32,
    clear: u32,
}

impl Flags {
    /// Reads `+flag` or `-flag`, in kadmin's spelling; `false` if it is none.
    pub(super) fn add(&mut self, word: &str) -> bool {
        let mut settings = Settings { set: self.set, clear: self.clear, ..Settings::default() };
        let known = query::flag(&mut settings, word);
        (self.set, self.clear) = (settings.set, settings.clear);
        known
    }
}

impl TryFrom<Vec<String>> for Flags {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        let mut flags = Flags::default();
        match words.iter().find(|word| !flags.add(word)) {
            None => Ok(flags),
            Some(word) => Err(format!("{word:?} is no flag such as \"-allow_svr\" or \"+requires_preauth\"")),
        }
    }
}

fn span<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<i64>, D::Error> {
    crate::config::duration(input).map(Some)
}

impl Restrictions {
    /// No bounds.
    pub const NONE: Restrictions = Restrictions {
        flags: Flags { set: 0, clear: 0 },
        policy: None,
        clear_policy: false,
        expire: None,
        password_expire: None,
        max_life: None,
        max_renewable_life: None,
    };

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Restrictions::NONE
    }

    /// Brings settings that are asked for at `now` into the bounds. What was not asked for is set to
    /// the bound too, as MIT does it; "never" and "the realm's" are beyond every bound.
    pub(crate) fn impose(&self, settings: &mut Settings, now: Time) {
        let Flags { set, clear } = self.flags;
        settings.set = (settings.set | set) & !clear;
        settings.clear = (settings.clear | clear) & !set;
        if self.clear_policy {
            settings.policy = Some(String::new());
        } else if self.policy.is_some() {
            settings.policy.clone_from(&self.policy);
        }
        if self.clear_policy {
            settings.policy = Some(String::new());
        } else if let Some(policy) = &self.policy {
            settings.policy = Some(policy.clone());
        }
        let least = |asked: &mut Option<i64>, bound: Option<i64>| {
            if let Some(bound) = bound {
                *asked = Some(asked.filter(|asked| *asked != 0).map_or(bound, |asked| asked.min(bound)));
            }
        };
        let from_now = |span: Option<i64>| span.map(|span| (now + span).seconds());
        least(&mut settings.expires, from_now(self.expire));
        least(&mut settings.password_expires, from_now(self.password_expire));
        least(&mut settings.max_life, self.max_life);
        least(&mut settings.max_renewable_life, self.max_renewable_life);
    }
}
