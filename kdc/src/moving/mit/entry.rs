//! A principal of MIT's as an entry of ours. Not here: the text of a dump, the master keys.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, PreparedKey};
use libkrb::{Principal, Time};
use zeroize::Zeroizing;

use super::fields::{KeyData, Policy, Princ, Record, record};
use super::master::{Masters, unseal};
use super::tags;
use crate::admin::fresh_id;
use crate::core::attempts;
use crate::core::{Attributes, Entry, KeySet, LongTermKey};
use crate::moving::item::{Carried, Item, Keys, Source};

/// Types of salts (MIT krb5, src/include/kdb.h).
const SALTS: [(i32, &str); 7] = [
    (0, "normal"),
    (1, "version 4"),
    (2, "without the realm"),
    (3, "the realm only"),
    (4, "special"),
    (5, "AFS"),
    (6, "hash of a certificate"),
];

/// Flags that nobody reads any more, and of what we lack.
const OLD_FLAGS: [(u32, &str); 2] = [(0x4000, "SUPPORT_DESMD5"), (0x8000, "NEW_PRINC")];

/// What a dump must be known to have before its first principal can be carried.
pub struct Mit {
    pub(super) realm: String,
    pub(super) masters: Masters,
    /// The keys of kadmin/history.
    pub(super) history: Vec<PreparedKey>,
    /// Aliases by the name that they stand for, and whether a principal of that name has come.
    pub(super) aliases: HashMap<String, (Vec<Principal>, AtomicBool)>,
}

impl Source for Mit {
    fn item(&self, line: &str) -> Result<Item, String> {
        match record(line)? {
            Record::Policy(policy) => Ok(carried_policy(policy)),
            Record::Principal(princ) if princ.name == format!("K/M@{}", self.realm) => Ok(Item::LeftOut(
                princ.name.to_owned(),
                "its keys sealed the old database; the new one has a master key of its own",
            )),
            Record::Principal(princ) if princ.name == format!("kadmin/history@{}", self.realm) => Ok(Item::LeftOut(
                princ.name.to_owned(),
                "its key sealed former passwords; they are sealed as all keys are",
            )),
            Record::Principal(princ) if princ.tag(tags::ALIAS).is_some() => Ok(Item::Elsewhere),
            Record::Principal(princ) => Ok(Item::Principal(Box::new(self.principal(&princ)?))),
        }
    }

    fn unclaimed(&self) -> Vec<(String, String)> {
        let lost = self.aliases.iter().filter(|(_, (_, claimed))| !claimed.load(Ordering::Relaxed));
        let mut rows: Vec<_> = lost
            .flat_map(|(target, (aliases, _))| {
                aliases
                    .iter()
                    .map(move |alias| (alias.to_string(), format!("an alias of {target}, which is not in the dump")))
            })
            .collect();
        rows.sort();
        rows
    }
}

impl Mit {
    fn principal(&self, princ: &Princ<'_>) -> Result<Carried, String> {
        let principal = Principal::parse(princ.name, None).map_err(|error| error.to_string())?;
        let id = fresh_id().map_err(|refusal| refusal.text)?;
        let mut entry = Entry::new(principal, id, Time::EPOCH, "");
        let mut lost = vec![];
        settings(princ, &mut entry, &mut lost);
        self.tagged(princ, &mut entry, &mut lost)?;
        let version =
            princ.tag(tags::MASTER_VERSION).map(|octets| tags::version(octets).ok_or("its master key's version"));
        let version = version.transpose().map_err(damaged)?.filter(|version| *version != 0);
        let (keys, left) = keys(&entry.principal, &princ.keys, &|sealed| self.masters.key(version, sealed))?;
        entry.keys = keys;
        if let (Some(newest), Some(changed)) = (entry.keys.first_mut(), entry.password_changed) {
            newest.created = changed;
        }
        lost.extend(left);
        if let Some((aliases, claimed)) = self.aliases.get(princ.name) {
            entry.aliases = aliases.clone();
            claimed.store(true, Ordering::Relaxed);
        }
        Ok(Carried { entry, attempts: Self::attempts(princ), lost })
    }

    fn tagged(&self, princ: &Princ<'_>, entry: &mut Entry, lost: &mut Vec<String>) -> Result<(), String> {
        for (kind, octets) in &princ.tagged {
            match *kind {
                tags::LAST_PASSWORD_CHANGE => {
                    let time = tags::time(octets).ok_or("its last password change").map_err(damaged)?;
                    entry.password_changed = (time != 0).then_some(Time(time));
                }
                tags::MODIFIED => {
                    let (time, by) = tags::modified(octets).ok_or("its last modification").map_err(damaged)?;
                    (entry.modified, entry.modified_by) = (Time(time), by);
                }
                tags::KADMIN => {
                    let kadmin = tags::kadmin(octets).ok_or("kadmin's data").map_err(damaged)?;
                    entry.policy = kadmin.policy;
                    self.former(&kadmin.former, entry, lost);
                }
                tags::STRINGS => strings(octets, entry, lost)?,
                // Read where the keys are, and where the attempts are.
                tags::MASTER_VERSION | tags::LAST_UNLOCK => {}
                other => lost.push(tags::name(other)),
            }
        }
        Ok(())
    }

    /// The keys of former passwords. One that does not open is of an older kadmin/history, and MIT
    /// passes over it too.
    fn former(&self, former: &[Vec<KeyData>], entry: &mut Entry, lost: &mut Vec<String>) {
        for version in former {
            let open = |sealed: &[u8]| {
                let opened = self.history.iter().find_map(|key| unseal(key, sealed));
                opened.ok_or_else(|| "it does not open under the key of kadmin/history".to_owned())
            };
            match keys(&entry.principal, version, &open) {
                Ok((sets, left)) => {
                    entry.history.extend(sets);
                    lost.extend(left.into_iter().map(|what| format!("of a former password, {what}")));
                }
                Err(problem) => lost.push(format!("a former password: {problem}")),
            }
        }
    }

    fn attempts(princ: &Princ<'_>) -> attempts::Record {
        let unlocked = princ.tag(tags::LAST_UNLOCK).and_then(tags::time).unwrap_or_default();
        let opened = unlocked != 0 && unlocked >= princ.last_failure;
        let time = |seconds: i64| (seconds != 0).then_some(Time(seconds));
        attempts::Record {
            failures: if opened { 0 } else { princ.failures },
            last_failure: time(princ.last_failure),
            last_success: time(princ.last_success),
        }
    }
}

fn damaged(what: &str) -> String {
    format!("{what} is damaged")
}

fn settings(princ: &Princ<'_>, entry: &mut Entry, lost: &mut Vec<String>) {
    let known = Attributes::TABLE.iter().fold(0, |bits, (bit, ..)| bits | bit.0);
    entry.attributes = Attributes(princ.attributes & known);
    let mut unknown = princ.attributes & !known;
    for (bit, name) in OLD_FLAGS {
        if unknown & bit != 0 {
            lost.push(format!("the flag {name}, which means nothing here"));
        }
        unknown &= !bit;
    }
    if unknown != 0 {
        lost.push(format!("flags of unknown meaning: {unknown:#x}"));
    }
    let time = |seconds: i64| (seconds != 0).then_some(Time(seconds));
    entry.expires = time(princ.expires);
    entry.password_expires = time(princ.password_expires);
    entry.max_life = Some(princ.max_life).filter(|life| *life > 0);
    entry.max_renewable_life = Some(princ.max_renewable_life).filter(|life| *life > 0);
    if princ.extra > 0 {
        lost.push(format!("{} octets of a database module's own data", princ.extra));
    }
}

fn strings(octets: &[u8], entry: &mut Entry, lost: &mut Vec<String>) -> Result<(), String> {
    for (name, value) in tags::strings(octets).ok_or("its list of strings").map_err(damaged)? {
        match (std::str::from_utf8(name), std::str::from_utf8(value)) {
            (Ok(name), Ok(value)) => drop(entry.strings.insert(name.to_owned(), value.to_owned())),
            _ => lost.push("a string attribute that is not UTF-8".into()),
        }
    }
    Ok(())
}

/// A key in the clear, or why it does not open.
type Clear = Result<Zeroizing<Vec<u8>>, String>;

/// Opens keys and puts them in order; what is left behind, in words.
type Opened = (Vec<KeySet>, Vec<String>);

fn keys(principal: &Principal, sealed: &[KeyData], open: &dyn Fn(&[u8]) -> Clear) -> Result<Opened, String> {
    let mut keys = Keys::default();
    for data in sealed {
        let Some((etype, octets)) = &data.key else {
            keys.lost.push(format!("a key of version {} without content", data.kvno));
            continue;
        };
        let etype = EncryptionType(*etype);
        if !keys.takes(data.kvno, etype) {
            continue;
        }
        let wrong = |problem: String| format!("the key of {etype}, version {}: {problem}", data.kvno);
        let plain = open(octets).map_err(wrong)?;
        let key = Key::new(etype, &plain).map_err(|error| wrong(error.to_string()))?;
        match salt(principal, data) {
            Ok(salt) => keys.add(data.kvno, LongTermKey::new(key, salt)),
            Err(problem) => keys.lost.push(format!("the key of {etype}, version {}: {problem}", data.kvno)),
        }
    }
    Ok(keys.sets())
}

/// The salt in full, so that it stays when the principal is renamed. MIT does not say which keys are
/// of passwords; those of a ticket-granting service are not.
fn salt(principal: &Principal, data: &KeyData) -> Result<Option<String>, String> {
    let (kind, octets) = data.salt.as_ref().map_or((0, &[][..]), |(kind, octets)| (*kind, octets));
    match kind {
        0 if principal.tgs_target().is_some() => Ok(None),
        0 => Ok(Some(principal.salt())),
        2 => Ok(Some(principal.components().concat())),
        3 => Ok(Some(principal.realm().to_owned())),
        4 => String::from_utf8(octets.to_vec()).map(Some).map_err(|_| "its salt is not UTF-8".into()),
        other => {
            let name = SALTS.iter().find(|(kind, _)| *kind == other).map_or("unknown", |(_, name)| *name);
            Err(format!("its salt is of type {other} ({name}), which clients can't be told"))
        }
    }
}

fn carried_policy(policy: Policy) -> Item {
    let mut lost = vec![];
    if policy.attributes != 0 {
        lost.push(format!("attributes of unknown meaning: {:#x}", policy.attributes));
    }
    lost.extend(policy.tagged.iter().map(|kind| tags::name(*kind)));
    Item::Policy(policy.policy, lost)
}
