//! A principal that is to be there: made, or found just so. A second request after a lost answer
//! then does no harm. Not here: making it ([`super::registry`]).

use libkrb::crypto::Key;
use libkrb::{Principal, Time};

use super::acl::Right;
use super::caller::Caller;
use super::operation::{Answer, Name, NewKeys, Operation, Reason, Settings, time};
use super::registry::{Registry, Step};
use crate::core::{Entry, LongTermKey};

impl Registry {
    pub(super) fn ensure(
        &self,
        caller: &Caller,
        name: &Principal,
        keys: NewKeys,
        kvno: Option<u32>,
        settings: Settings,
    ) -> Step<Answer> {
        let principal = Name(name.clone());
        let create = Operation::Create { principal, keys: keys.clone(), kvno, settings: settings.clone() };
        match self.carry_out(caller, create) {
            Err(refusal) if refusal.reason == Reason::Exists => {
                let found = self.find(name)?;
                let same = found.principal == *name
                    && kvno.is_none_or(|kvno| found.keys.first().is_none_or(|set| set.kvno == kvno))
                    && has_settings(&found, &settings)
                    && self.has_keys(caller, &found, &keys);
                if same { Ok(Answer::Unchanged) } else { Err(refusal) }
            }
            done => done,
        }
    }

    /// Whether it has such keys. That a password is right is told to nobody who could not read the
    /// keys: this must not be a place to guess it.
    fn has_keys(&self, caller: &Caller, entry: &Entry, keys: &NewKeys) -> bool {
        let own = || entry.keys.first().map(|set| &set.keys[..]).unwrap_or_default();
        let of_password = |password: &str, key: &LongTermKey| {
            let salt = key.salt.as_deref()?;
            let params = key.iterations.map(u32::to_be_bytes);
            let params = params.as_ref().map(|octets| &octets[..]);
            let made = Key::from_password(key.etype(), password.as_bytes(), salt.as_bytes(), params).ok()?;
            Some(made.same_as(&key.key))
        };
        match keys {
            NewKeys::Keyless => own().is_empty(),
            NewKeys::Random(kinds) => {
                let mut wanted: Vec<_> = self.keys.kinds(kinds).into_iter().map(|kind| kind.etype.0).collect();
                let mut there: Vec<_> = own().iter().filter(|key| key.salt.is_none()).map(LongTermKey::etype).collect();
                wanted.sort_unstable_by_key(|etype| etype.0);
                there.sort_unstable_by_key(|etype| etype.0);
                wanted == there && there.len() == own().len()
            }
            NewKeys::Password { password, .. } => {
                self.acl.allows(caller, Right::Extract, Some(&entry.principal)).is_allowed()
                    && !own().is_empty()
                    && own().iter().all(|key| of_password(password.expose(), key) == Some(true))
            }
        }
    }
}

fn has_settings(entry: &Entry, settings: &Settings) -> bool {
    let time_is = |asked: Option<i64>, there: Option<Time>| asked.is_none_or(|asked| time(asked) == there);
    let span_is = |asked: Option<i64>, there: Option<i64>| asked.is_none_or(|asked| asked == there.unwrap_or(0));
    time_is(settings.expires, entry.expires)
        && time_is(settings.password_expires, entry.password_expires)
        && span_is(settings.max_life, entry.max_life)
        && span_is(settings.max_renewable_life, entry.max_renewable_life)
        && settings.policy.as_deref().is_none_or(|policy| policy == entry.policy.as_deref().unwrap_or_default())
        && entry.attributes.0 & settings.set == settings.set
        && entry.attributes.0 & settings.clear & !settings.set == 0
}
