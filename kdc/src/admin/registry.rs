//! The operations performed: each reads an entry, decides, and commits it unless somebody else was
//! faster, in which case it starts over. Not here: who may ask, and in which words.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use libkrb::{Principal, Time};

use super::acl::Acl;
use super::caller::Caller;
use super::glob;
use super::keys::KeyRules;
use super::operation::{
    Answer, Description, Etype, ExtractedKey, Keep, KeyKind, KeyLine, Name, NewKeys, Operation, Reason, Refusal, Salt,
    Secret, Settings, time,
};
use super::trail;
use crate::core::{Attributes, Change, Entry, KeySet, LongTermKey, Policy, Store, StoreError};
use crate::observe::Observer;
use crate::store::normal;

/// How many names are looked at for one page of a listing.
const PAGE: usize = 500;
/// No longer name is let in: a page of them must fit into a frame.
const MAX_NAME: usize = 1024;
/// Bounds on string attributes: their names, their values, their number.
const MAX_STRING: usize = 4 * 1024;
const MAX_STRINGS: usize = 64;
/// No principal has keys of more versions: each costs every reader of the entry.
const MAX_VERSIONS: usize = 200;
/// Nobody loses a race so often but in a livelock.
const ATTEMPTS: usize = 100;

/// Something that performs operations: a registry here, or one behind a socket.
pub trait Perform {
    /// Performs an operation.
    ///
    /// # Errors
    /// [`Refusal`], saying why not.
    fn perform(&self, operation: Operation) -> Result<Answer, Refusal>;
}

/// The principals of a realm, as an administrator sees them.
#[derive(Clone)]
pub struct Registry {
    pub(super) store: Arc<dyn Store>,
    policy: Policy,
    keys: KeyRules,
    pub(super) acl: Acl,
    observer: Option<Arc<Observer>>,
}

/// A step of an operation: what it leaves of an entry, or why it can't be.
pub(super) type Step<T> = Result<T, Refusal>;

impl Registry {
    /// The registry of `policy`'s realm; new keys are made as `keys` says.
    pub fn new(store: Arc<dyn Store>, policy: Policy, keys: KeyRules) -> Self {
        let acl = Acl::new(&policy.realm, vec![]);
        Registry { store, policy, keys, acl, observer: None }
    }

    /// The same, with an access list. Without one, callers that need it may do little.
    #[must_use]
    pub fn with_acl(self, acl: Acl) -> Self {
        Registry { acl, ..self }
    }

    /// The access list.
    pub fn acl(&self) -> &Acl {
        &self.acl
    }

    /// The same, telling `observer` of every call.
    #[must_use]
    pub fn told_to(self, observer: Arc<Observer>) -> Self {
        Registry { observer: Some(observer), ..self }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.policy.realm
    }

    /// Performs an operation in the name of `caller`, and tells the observer, if there is one.
    ///
    /// # Errors
    /// [`Refusal`], saying why not.
    pub fn perform(&self, caller: &Caller, operation: Operation) -> Result<Answer, Refusal> {
        let Some(observer) = &self.observer else { return self.decide(caller, operation) };
        let perform = |store, operation| Registry { store, ..self.clone() }.decide(caller, operation);
        trail::told(observer, &self.store, caller, operation, perform)
    }

    fn decide(&self, caller: &Caller, operation: Operation) -> Result<Answer, Refusal> {
        let allowed = self.authorize(caller, operation)?;
        self.carry_out(&caller.name.to_string(), allowed)
    }

    /// Performs what is allowed; changes are recorded as those of `by`.
    fn carry_out(&self, by: &str, operation: Operation) -> Result<Answer, Refusal> {
        match operation {
            Operation::Create { principal, keys, kvno, settings } => {
                self.create(by, &meant(&principal), &keys, kvno, &settings)
            }
            Operation::Modify { principal, kvno, settings } => self.change(by, &meant(&principal), |entry| {
                apply(entry, &settings)?;
                kvno.map_or(Ok(()), |kvno| renumber(entry, kvno))
            }),
            Operation::ChangeKeys { principal, keys, keep_old } => {
                self.change_keys(by, &meant(&principal), &keys, keep_old)
            }
            Operation::Delete { principal } => self.delete(by, &meant(&principal)),
            Operation::Rename { principal, to } => self.rename(by, &meant(&principal), &meant(&to)),
            Operation::Alias { alias, principal } => self.alias(by, &meant(&alias), &meant(&principal)),
            Operation::Describe { principal } => {
                let entry = self.find(&meant(&principal))?;
                Ok(Answer::Principal(Box::new(self.describe(&entry))))
            }
            Operation::List { pattern, after } => self.list(pattern, after.as_ref()),
            Operation::Extract { principal, fresh } => self.extract(by, &meant(&principal), fresh),
            Operation::PurgeKeys { principal, keep } => self.purge(by, &meant(&principal), keep),
            Operation::SetString { principal, name, value } => {
                self.change(by, &meant(&principal), |entry| set_string(entry, &name, value.as_deref()))
            }
            Operation::Strings { principal } => Ok(Answer::Strings(self.find(&meant(&principal))?.strings.clone())),
        }
    }

    pub(super) fn find(&self, name: &Principal) -> Step<Arc<Entry>> {
        self.store.lookup(name)?.ok_or_else(Refusal::missing)
    }

    /// Commits what `changes` makes of the entry as it is now.
    fn commit(&self, name: &Principal, mut changes: impl FnMut(&Entry) -> Step<Vec<Change>>) -> Step<Answer> {
        for _ in 0..ATTEMPTS {
            let entry = self.find(name)?;
            match self.store.commit(&changes(&entry)?) {
                Err(StoreError::Conflict(_)) => {}
                done => return Ok(done.map(|()| Answer::Done)?),
            }
        }
        Err(Refusal::new(Reason::Failed, "others keep changing the principal; try again"))
    }

    /// Commits the entry as `change` leaves it.
    fn change(&self, by: &str, name: &Principal, mut change: impl FnMut(&mut Entry) -> Step<()>) -> Step<Answer> {
        self.commit(name, |entry| {
            let mut entry = entry.clone();
            change(&mut entry)?;
            stamp(&mut entry, by);
            Ok(vec![Change::Replace(entry)])
        })
    }

    fn create(
        &self,
        by: &str,
        name: &Principal,
        keys: &NewKeys,
        kvno: Option<u32>,
        settings: &Settings,
    ) -> Step<Answer> {
        check_name(name)?;
        check_password(keys)?;
        // Before the work on a password.
        if self.store.lookup(name)?.is_some() {
            return Err(StoreError::Exists(name.clone()).into());
        }
        let made = self.keys.make(name, keys).map_err(unable)?;
        let mut entry = Entry::new(name.clone(), fresh_id()?, now(), by);
        let of_password = matches!(keys, NewKeys::Password { .. });
        // A ticket under a password's key is a hash to guess that password by (RFC 4120 10).
        entry.attributes = Attributes::REQUIRES_PRE_AUTH.with(Attributes::DISALLOW_SVR, of_password);
        apply(&mut entry, settings)?;
        if !made.is_empty() {
            entry.keys = vec![KeySet::new(check_kvno(kvno.unwrap_or(1))?, made).made(entry.modified)];
        }
        entry.password_changed = Some(entry.modified);
        self.store.commit(&[Change::Create(entry)])?;
        Ok(Answer::Done)
    }

    fn change_keys(&self, by: &str, name: &Principal, keys: &NewKeys, keep_old: bool) -> Step<Answer> {
        check_password(keys)?;
        // Random keys may be changed still: the realm's own must be, now and then.
        let revealing = !matches!(keys, NewKeys::Random(_));
        self.change(by, name, |entry| {
            if revealing && entry.attributes.has(Attributes::LOCKDOWN_KEYS) {
                return Err(Refusal::locked_down());
            }
            let made = self.keys.make(&entry.principal, keys).map_err(unable)?;
            new_version(entry, made, keep_old)
        })
    }

    fn delete(&self, by: &str, name: &Principal) -> Step<Answer> {
        self.commit(name, |entry| {
            if entry.principal != *name {
                let mut entry = entry.clone();
                entry.aliases.retain(|alias| alias != name);
                stamp(&mut entry, by);
                return Ok(vec![Change::Replace(entry)]);
            }
            unlocked(entry)?;
            // The replacement notices a change since the entry was read.
            Ok(vec![Change::Replace(entry.clone()), Change::Delete(entry.principal.clone())])
        })
    }

    fn rename(&self, by: &str, name: &Principal, to: &Principal) -> Step<Answer> {
        check_name(to)?;
        self.commit(name, |entry| {
            unlocked(entry)?;
            if entry.principal != *name {
                return Err(Refusal::invalid(format!("it is an alias of {}, which can be renamed", entry.principal)));
            }
            let mut renamed = Entry { principal: to.clone(), ..entry.clone() };
            stamp(&mut renamed, by);
            let gone = Change::Delete(entry.principal.clone());
            Ok(vec![Change::Replace(entry.clone()), gone, Change::Create(renamed)])
        })
    }

    fn alias(&self, by: &str, alias: &Principal, name: &Principal) -> Step<Answer> {
        check_name(alias)?;
        self.change(by, name, |entry| {
            if alias.realm() != entry.principal.realm() {
                return Err(Refusal::invalid("Alias target must be within the same realm"));
            }
            if entry.aliases.len() >= MAX_STRINGS {
                return Err(Refusal::invalid(format!("a principal has at most {MAX_STRINGS} aliases")));
            }
            entry.aliases.push(alias.clone());
            Ok(())
        })
    }

    fn purge(&self, by: &str, name: &Principal, keep: Keep) -> Step<Answer> {
        self.change(by, name, |entry| {
            let (now, before) = (now(), entry.clone());
            // What is announced is newer than what is in use.
            let current = before.current(now).map_or(0, |set| set.kvno);
            let replaced = |kvno| before.replaced(before.keys.iter().position(|set| set.kvno == kvno)?);
            entry.keys.retain(|set| match keep {
                Keep::Newest => set.kvno >= current,
                Keep::From(first) => set.kvno >= first,
                Keep::ReplacedWithin(seconds) => {
                    let long_ago = replaced(set.kvno).is_some_and(|since| since + seconds < now);
                    set.kvno >= current || !long_ago && set.living(now)
                }
                Keep::Nothing => false,
            });
            Ok(())
        })
    }

    fn extract(&self, by: &str, name: &Principal, fresh: Option<Vec<KeyKind>>) -> Step<Answer> {
        if self.find(name)?.attributes.has(Attributes::LOCKDOWN_KEYS) {
            return Err(Refusal::locked_down());
        }
        if let Some(kinds) = fresh {
            let keys = NewKeys::Random(kinds);
            self.change(by, name, |entry| {
                if entry.attributes.has(Attributes::LOCKDOWN_KEYS) {
                    return Err(Refusal::locked_down());
                }
                let made = self.keys.make(&entry.principal, &keys).map_err(unable)?;
                new_version(entry, made, false)
            })?;
        }
        let entry = self.find(name)?;
        let line = |kvno, key: &LongTermKey| ExtractedKey {
            kvno,
            etype: Etype(key.etype()),
            key: Secret::hex(key.key.expose()),
        };
        let keys = entry.keys.iter().flat_map(|set| set.keys.iter().map(|key| line(set.kvno, key))).collect();
        Ok(Answer::Keys { principal: Name(entry.principal.clone()), keys })
    }

    fn list(&self, pattern: Option<String>, after: Option<&Name>) -> Step<Answer> {
        let pattern = pattern.map(|pattern| match pattern.contains('@') {
            true => pattern,
            false => format!("{pattern}@{}", self.policy.realm),
        });
        let page = self.store.list(after.map(|name| &name.0), PAGE)?;
        let next = page.last().filter(|_| page.len() == PAGE).cloned().map(Name);
        let meant = |name: &Principal| pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, &name.to_string()));
        Ok(Answer::Names { names: page.into_iter().filter(meant).map(Name).collect(), next })
    }

    fn describe(&self, entry: &Entry) -> Description {
        let bound = |own: Option<i64>, realm: i64| own.map_or(realm, |own| own.min(realm));
        let lines = |set: &KeySet| {
            let kvno = set.kvno;
            let line = |key| KeyLine {
                kvno,
                etype: Etype(LongTermKey::etype(key)),
                salt: salt_of(key, &entry.principal),
                created: Some(set.created.seconds()).filter(|created| *created != 0),
                from: set.announced().then_some(set.from.seconds()),
                until: set.until.map(Time::seconds),
            };
            set.keys.iter().map(line).collect::<Vec<_>>()
        };
        Description {
            principal: Name(entry.principal.clone()),
            aliases: entry.aliases.iter().cloned().map(Name).collect(),
            id: Secret::hex(&entry.id).expose().to_owned(),
            expires: entry.expires.map(Time::seconds),
            password_expires: entry.password_expires.map(Time::seconds),
            password_changed: entry.password_changed.map(Time::seconds),
            max_life: bound(entry.max_life, self.policy.max_life),
            max_renewable_life: bound(entry.max_renewable_life, self.policy.max_renewable_life),
            modified: entry.modified.seconds(),
            modified_by: entry.modified_by.clone(),
            attributes: entry.attributes.0,
            keys: entry.keys.iter().flat_map(lines).collect(),
        }
    }
}

/// The system's clock.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map(|passed| passed.as_secs());
    Time(since.ok().and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0))
}

/// A fresh account id.
///
/// # Errors
/// When the system gives no random bytes.
pub fn fresh_id() -> Result<[u8; 16], Refusal> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| unable(libkrb::Error::Random))?;
    Ok(id)
}

/// The principal that a name means; the store would find it under that spelling too.
pub(super) fn meant(name: &Name) -> Principal {
    normal(&name.0).into_owned()
}

fn stamp(entry: &mut Entry, by: &str) {
    entry.modified = now();
    by.clone_into(&mut entry.modified_by);
}

fn apply(entry: &mut Entry, settings: &Settings) -> Step<()> {
    let bound = |seconds: i64| match seconds {
        0 => Ok(None),
        seconds if seconds > 0 => Ok(Some(seconds)),
        _ => Err(Refusal::invalid("a lifetime can't be negative")),
    };
    if let Some(seconds) = settings.expires {
        entry.expires = time(seconds);
    }
    if let Some(seconds) = settings.password_expires {
        entry.password_expires = time(seconds);
    }
    if let Some(seconds) = settings.max_life {
        entry.max_life = bound(seconds)?;
    }
    if let Some(seconds) = settings.max_renewable_life {
        entry.max_renewable_life = bound(seconds)?;
    }
    entry.attributes = Attributes((entry.attributes.0 & !settings.clear) | settings.set);
    Ok(())
}

/// Gives the newest keys another version number; it must stay the highest.
fn renumber(entry: &mut Entry, kvno: u32) -> Step<()> {
    check_kvno(kvno)?;
    match &mut entry.keys[..] {
        [] => Err(Refusal::invalid("it has no keys to number")),
        [_, older, ..] if older.kvno >= kvno => {
            Err(Refusal::invalid(format!("it has keys of version {} already", older.kvno)))
        }
        [newest, ..] => {
            newest.kvno = kvno;
            Ok(())
        }
    }
}

/// Puts keys of the next version before the others, or in their place.
fn new_version(entry: &mut Entry, keys: Vec<LongTermKey>, keep_old: bool) -> Step<()> {
    let kvno = entry.newest().map_or(0, |set| set.kvno).checked_add(1);
    let kvno = kvno.ok_or_else(|| Refusal::invalid("there is no higher key version number"))?;
    if !keep_old {
        entry.keys.clear();
    }
    if entry.keys.len() >= MAX_VERSIONS {
        return Err(Refusal::invalid(format!("it has keys of {MAX_VERSIONS} versions; purgekeys first")));
    }
    entry.keys.insert(0, KeySet::new(kvno, keys).made(now()));
    entry.attributes = entry.attributes.with(Attributes::REQUIRES_PWCHANGE, false);
    entry.password_changed = Some(now());
    entry.password_expires = None;
    Ok(())
}

fn set_string(entry: &mut Entry, name: &str, value: Option<&str>) -> Step<()> {
    match value {
        None => drop(entry.strings.remove(name)),
        Some(value) if name.is_empty() || name.len() + value.len() > MAX_STRING => {
            return Err(Refusal::invalid(format!("a string attribute has a name and at most {MAX_STRING} bytes")));
        }
        Some(_) if entry.strings.len() >= MAX_STRINGS && !entry.strings.contains_key(name) => {
            return Err(Refusal::invalid(format!("a principal has at most {MAX_STRINGS} string attributes")));
        }
        Some(value) => drop(entry.strings.insert(name.to_owned(), value.to_owned())),
    }
    Ok(())
}

fn unlocked(entry: &Entry) -> Step<()> {
    match entry.attributes.has(Attributes::LOCKDOWN_KEYS) {
        true => Err(Refusal::locked_down()),
        false => Ok(()),
    }
}

fn check_name(name: &Principal) -> Step<()> {
    let text = name.to_string();
    match text.len() <= MAX_NAME && Principal::parse(&text, None).is_ok() {
        true => Ok(()),
        false => Err(Refusal::invalid("Illegal principal name")),
    }
}

fn check_password(keys: &NewKeys) -> Step<()> {
    match keys {
        NewKeys::Password { password, .. } if password.expose().is_empty() => {
            Err(Refusal::invalid("Empty passwords are not allowed"))
        }
        _ => Ok(()),
    }
}

fn check_kvno(kvno: u32) -> Step<u32> {
    match kvno {
        0 => Err(Refusal::invalid("key version numbers begin with 1")),
        kvno => Ok(kvno),
    }
}

fn salt_of(key: &LongTermKey, principal: &Principal) -> Salt {
    match key.salt.as_deref() {
        None => Salt::Normal,
        Some(salt) if salt == principal.salt() => Salt::Normal,
        Some(salt) if salt == principal.components().concat() => Salt::NoRealm,
        Some(salt) if salt == principal.realm() => Salt::OnlyRealm,
        Some(_) => Salt::Special,
    }
}

fn unable(error: libkrb::Error) -> Refusal {
    match error {
        libkrb::Error::Random => Refusal::new(Reason::Failed, error.to_string()),
        error => Refusal::invalid(error.to_string()),
    }
}
