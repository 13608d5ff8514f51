//! A realm of Heimdal, as `kadmin -l dump --decrypt` writes it (heimdal, lib/hdb/print.c): a line a
//! principal, fields between blanks, keys in the clear. Not here: where the principals go.

mod der;

use std::collections::BTreeMap;
use std::path::Path;

use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, PreparedKey};
use libkrb::keytab::Keytab;
use libkrb::{Principal, Time};
use zeroize::Zeroizing;

use self::der::{Extension, extension};
use super::item::{Carried, Item, Keys, Source};
use super::mit::hex;
use crate::admin::fresh_id;
use crate::core::attempts::Record;
use crate::core::{Attributes, Entry, LongTermKey};
use crate::error::{Error, Result};

/// Heimdal seals keys under this usage (HDB_KU_MKEY).
const AT_REST: KeyUsage = KeyUsage(0x48_4442);
/// The salt of a password (RFC 4120 7.5.2); 10 is AFS's.
const PASSWORD_SALT: u32 = 3;
/// More than any key file has.
const MAX_KEY_FILE: u64 = 1 << 20;

/// Bit of Heimdal's flags, our attribute, and whether the bit sets it (else its absence does).
const FLAGS: [(u32, Attributes, bool); 13] = [
    (0, Attributes::DISALLOW_TGT_BASED, true),
    (1, Attributes::DISALLOW_FORWARDABLE, false),
    (2, Attributes::DISALLOW_PROXIABLE, false),
    (3, Attributes::DISALLOW_RENEWABLE, false),
    (4, Attributes::DISALLOW_POSTDATED, false),
    (5, Attributes::DISALLOW_SVR, false),
    (7, Attributes::DISALLOW_ALL_TIX, true),
    (8, Attributes::REQUIRES_PRE_AUTH, true),
    (9, Attributes::PWCHANGE_SERVICE, true),
    (10, Attributes::REQUIRES_HW_AUTH, true),
    (11, Attributes::OK_AS_DELEGATE, true),
    (14, Attributes::OK_TO_AUTH_AS_DELEGATE, true),
    (18, Attributes::REQUIRES_PWCHANGE, true),
];
/// A lock, for whatever reason, is a lock.
const LOCKED_OUT: u32 = 17;
/// Bits that have no meaning here, and what is lost with them; the last is whether the bit says it
/// (else its absence does).
const FOREIGN: [(u32, &str, bool); 5] = [
    (6, "that it may not be a client (no flag of ours says so)", false),
    (13, "that it may not be deleted (immutable)", true),
    (15, "that it may use Kerberos 4", true),
    (16, "that it may use digests", true),
    (31, "that it is not to be stored", true),
];
/// Bits that are the rule, or say nothing: user-to-user.
const MEANINGLESS: u32 = 1 << 12;

/// Reads a dump of Heimdal's.
pub struct Heimdal {
    realm: String,
    /// The master key, where it was given, by version.
    masters: BTreeMap<u32, PreparedKey>,
}

impl Heimdal {
    /// For a dump of `realm`. With the file of its master key, sealed keys are opened too.
    ///
    /// # Errors
    /// When the file is no keytab.
    pub fn new(realm: &str, master_key: Option<&Path>) -> Result<Self> {
        let mut masters = BTreeMap::new();
        if let Some(path) = master_key {
            use std::io::Read;
            let mut bytes = Zeroizing::new(vec![]);
            let read = std::fs::File::open(path).and_then(|file| file.take(MAX_KEY_FILE).read_to_end(&mut bytes));
            read.map_err(|error| Error::file(path, error))?;
            let keytab = Keytab::parse(&bytes).map_err(|_| Error::file(path, "no master key file of Heimdal's"))?;
            for entry in &keytab.entries {
                let key = entry.key.key().map_err(|error| Error::file(path, error))?;
                masters.insert(entry.kvno, key.prepare(AT_REST));
            }
        }
        Ok(Heimdal { realm: realm.to_owned(), masters })
    }

    /// The octets of a key, in the clear.
    fn clear(&self, sealer: Option<u32>, octets: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, String> {
        let octets = Zeroizing::new(octets);
        let Some(version) = sealer else { return Ok(octets) };
        let master = self.masters.get(&version).ok_or_else(|| {
            format!("sealed under version {version} of Heimdal's master key; name its file with --master-key")
        })?;
        master.decrypt(&octets).map_err(|_| "it does not open under that master key".into())
    }
}

impl Source for Heimdal {
    fn item(&self, line: &str) -> Result<Item, String> {
        if line.starts_with("kdb5_util load_dump") || line.starts_with("princ\t") {
            return Err("a dump in MIT's format; make one with: kadmin -l dump --decrypt FILE".into());
        }
        let fields = split(line);
        let [name, keys, _created, modified, start, end, password_end, life, renew, flags, rest @ ..] = &*fields else {
            return Err("not a dump of Heimdal's; make one with: kadmin -l dump --decrypt FILE".into());
        };
        let principal = Principal::parse(name, None).map_err(|error| error.to_string())?;
        if principal.is_local_tgs() && principal.realm() != self.realm {
            return Err(format!("a dump of {}, but `realm` in kdc.toml is {}", principal.realm(), self.realm));
        }
        if principal.realm() != self.realm && principal.tgs_target() != Some(&self.realm) {
            return Ok(Item::LeftOut((*name).to_owned(), "it is of another realm"));
        }
        let id = fresh_id().map_err(|refusal| refusal.text)?;
        let mut entry = Entry::new(principal, id, Time::EPOCH, "");
        let mut lost = vec![];
        if let Some((time, by)) = event(modified)? {
            (entry.modified, entry.modified_by) = (time, by);
        }
        if *start != "-" {
            lost.push(format!("that it is not valid before {start}"));
        }
        entry.expires = date(end)?;
        entry.password_expires = date(password_end)?;
        entry.max_life = number(life)?;
        entry.max_renewable_life = number(renew)?;
        attributes(flags, &mut entry, &mut lost)?;
        let mut gathered = Keys::default();
        self.present(keys, &mut gathered)?;
        if let [_generation, extensions, ..] = rest {
            self.extensions(extensions, &mut entry, &mut gathered, &mut lost)?;
        }
        let (keys, left) = gathered.sets();
        entry.keys = keys;
        lost.extend(left);
        if let (Some(newest), Some(changed)) = (entry.keys.first_mut(), entry.password_changed) {
            newest.created = changed;
        }
        Ok(Item::Principal(Box::new(Carried { entry, attempts: Record::default(), lost })))
    }
}

impl Heimdal {
    /// `kvno:mkvno:etype:key:salt:mkvno:...`
    fn present(&self, text: &str, keys: &mut Keys) -> Result<(), String> {
        let mut parts = text.split(':');
        let kvno = parts.next().and_then(|text| text.parse().ok()).ok_or("the key version is no number")?;
        let parts: Vec<_> = parts.collect();
        let (rows, rest) = parts.as_chunks::<4>();
        if !rest.is_empty() {
            return Err("a key is not whole".into());
        }
        for [sealer, etype, octets, salt] in rows {
            let sealer = match *sealer {
                "" => None,
                version => Some(version.parse().map_err(|_| "the master key's version is no number")?),
            };
            let etype = EncryptionType(etype.parse().map_err(|_| "an encryption type is no number")?);
            let octets = bytes(octets).ok_or("a key is not hexadecimal")?;
            let salt = match salt.split_once('/') {
                Some((kind, salt)) => Some((
                    kind.parse().map_err(|_| "the type of a salt is no number")?,
                    bytes(salt).ok_or("a salt is not hexadecimal")?,
                )),
                None => None,
            };
            if keys.takes(kvno, etype) {
                let octets = self.clear(sealer, octets).map_err(|problem| {
                    format!("the key of {etype}: {problem}; or take a dump with: kadmin -l dump --decrypt FILE")
                })?;
                add(keys, kvno, etype, &octets, salt)?;
            }
        }
        Ok(())
    }

    fn extensions(&self, text: &str, entry: &mut Entry, keys: &mut Keys, lost: &mut Vec<String>) -> Result<(), String> {
        for text in text.split(':').filter(|text| !matches!(*text, "" | "-")) {
            let octets = Zeroizing::new(hex(text).ok_or("an extension is not hexadecimal")?);
            match extension(&octets).ok_or("an extension is damaged")? {
                Extension::Aliases(names) => {
                    entry.aliases.extend(names.into_iter().filter(|name| *name != entry.principal));
                }
                Extension::PasswordChanged(time) => entry.password_changed = date(time.trim_end_matches('Z'))?,
                Extension::Policy(name) => entry.policy = Some(name),
                Extension::Empty => {}
                Extension::Other(what) => lost.push(what.into()),
                Extension::Former(versions) => {
                    for former in versions {
                        for key in former.keys {
                            let etype = EncryptionType(key.etype);
                            if !keys.takes(former.kvno, etype) {
                                continue;
                            }
                            // A dump leaves those sealed even when it is to be in the clear.
                            match self.clear(key.sealer, key.octets) {
                                Ok(octets) => add(keys, former.kvno, etype, &octets, key.salt)?,
                                Err(problem) => {
                                    let kvno = former.kvno;
                                    lost.push(format!("the former key of {etype}, version {kvno}: {problem}"));
                                }
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn add(
    keys: &mut Keys,
    kvno: u32,
    etype: EncryptionType,
    octets: &[u8],
    salt: Option<(u32, Vec<u8>)>,
) -> Result<(), String> {
    let key = Key::new(etype, octets).map_err(|error| format!("the key of version {kvno}: {error}"))?;
    let salt = match salt {
        None => Ok(None),
        Some((PASSWORD_SALT, salt)) => {
            String::from_utf8(salt).map(Some).map_err(|_| "its salt is not UTF-8".to_owned())
        }
        Some((kind, _)) => Err(format!("its salt is of type {kind}, which clients can't be told")),
    };
    match salt {
        Ok(salt) => keys.add(kvno, LongTermKey::new(key, salt)),
        Err(problem) => keys.lost.push(format!("the key of {etype}, version {kvno}: {problem}")),
    }
    Ok(())
}

fn attributes(text: &str, entry: &mut Entry, lost: &mut Vec<String>) -> Result<(), String> {
    let flags: u32 = text.parse::<i64>().ok().and_then(|flags| u32::try_from(flags & 0xffff_ffff).ok()).unwrap_or(0);
    if text.parse::<i64>().is_err() {
        return Err("the flags are no number".into());
    }
    let has = |bit: u32| flags & 1 << bit != 0;
    let set = FLAGS.iter().filter(|(bit, _, sets)| has(*bit) == *sets);
    entry.attributes = set.fold(Attributes::default(), |all, (_, attribute, _)| all.with(*attribute, true));
    if has(LOCKED_OUT) {
        entry.attributes = entry.attributes.with(Attributes::DISALLOW_ALL_TIX, true);
    }
    lost.extend(FOREIGN.iter().filter(|(bit, _, says)| has(*bit) == *says).map(|(_, what, _)| (*what).to_owned()));
    let known = FLAGS.iter().map(|row| row.0).chain(FOREIGN.iter().map(|row| row.0)).chain([LOCKED_OUT]);
    let unknown = flags & !known.fold(MEANINGLESS, |bits, bit| bits | 1 << bit);
    if unknown != 0 {
        lost.push(format!("flags of unknown meaning: {unknown:#x}"));
    }
    Ok(())
}

/// Fields between blanks; one that belongs to a name has a backslash before it.
fn split(line: &str) -> Vec<&str> {
    let mut fields = vec![];
    let mut start = 0;
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        if c == ' ' && !quoted {
            fields.push(line.get(start..at).unwrap_or_default());
            start = at + 1;
        }
        quoted = c == '\\' && !quoted;
    }
    fields.push(line.get(start..).unwrap_or_default());
    fields
}

/// Octets in hexadecimal, or, when all are letters, digits or dots, in quotes.
fn bytes(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => Some(text.as_bytes().to_vec()),
        None => hex(text),
    }
}

/// `YYYYMMDDHHMMSS`, or `-`.
fn date(text: &str) -> Result<Option<Time>, String> {
    if text == "-" {
        return Ok(None);
    }
    let digits = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u8>().ok());
    let time = (|| {
        let year = text.get(..4)?.parse().ok()?;
        let day = [digits(4, 6)?, digits(6, 8)?];
        let clock = [digits(8, 10)?, digits(10, 12)?, digits(12, 14)?];
        Time::from_civil(year, day[0], day[1], clock[0], clock[1], clock[2])
    })();
    time.filter(|_| text.len() == 14).map(Some).ok_or_else(|| "a date is none".into())
}

/// `date:principal`, or `-`.
fn event(text: &str) -> Result<Option<(Time, String)>, String> {
    match text.split_once(':') {
        None => Ok(None),
        Some((time, by)) => Ok(date(time)?.map(|time| (time, by.to_owned()))),
    }
}

fn number(text: &str) -> Result<Option<i64>, String> {
    match text {
        "-" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "a life is no number".into()),
    }
    .map(|life| life.filter(|life| *life > 0))
}

/// Any text as a dump of `realm`: how many principals came. For tests that bend dumps.
///
/// # Errors
/// The first thing that is wrong.
pub fn try_lines(text: &str, realm: &str) -> Result<usize, String> {
    let heimdal = Heimdal { realm: realm.to_owned(), masters: BTreeMap::new() };
    let items = text.lines().map(|line| heimdal.item(line)).collect::<Result<Vec<_>, _>>()?;
    Ok(items.iter().filter(|item| matches!(item, Item::Principal(_))).count())
}
