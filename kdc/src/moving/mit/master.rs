//! MIT's master keys: the one in the stash file, or of the password, opens the newest in the entry
//! of `K/M`, and that one all the others. Not here: what they seal.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use libkrb::Principal;
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, PreparedKey, is_weak, supported};
use libkrb::keytab::Keytab;
use zeroize::Zeroizing;

use super::fields::{KeyData, Princ};
use super::tags;
use crate::error::{Error, Result};

/// Keys at rest are sealed under this usage.
const AT_REST: KeyUsage = KeyUsage(0);
/// More than any stash file has.
const MAX_STASH: u64 = 1 << 20;

/// How the master key is told.
pub enum Told {
    /// In this file (`kdb5_util stash`).
    Stash(PathBuf),
    /// As it is.
    Key(Key),
    /// By the password that it was made of.
    Password(Zeroizing<String>),
}

/// The master keys of a dump, ready to open what they sealed.
pub struct Masters {
    keys: BTreeMap<u32, PreparedKey>,
    /// Versions whose enctype this build has not.
    unknown: BTreeMap<u32, EncryptionType>,
}

impl Masters {
    /// Opens the master keys in the entry of `K/M`.
    ///
    /// # Errors
    /// When the key that was told does not open them, or none is of an enctype that this build has.
    pub fn open(entry: &Princ<'_>, told: &Told) -> Result<Self> {
        let newest = entry.keys.first().ok_or_else(|| Error::Other(format!("{} has no key", entry.name)))?;
        let copies = entry.tag(tags::MASTER_KEYS).map_or(Some(vec![]), tags::master_keys);
        let copies =
            copies.ok_or_else(|| Error::Other(format!("{}: its list of master keys is damaged", entry.name)))?;
        let copies: Vec<_> = copies.iter().map(|(_, key)| key).collect();
        let candidates = candidates(entry.name, told, entry.keys.iter().chain(copies.iter().copied()))?;
        let opened = candidates.iter().find_map(|candidate| {
            let own = (etype(newest) == Some(candidate.etype())).then_some(newest);
            own.into_iter().chain(copies.iter().copied()).find_map(|sealed| open(candidate, sealed))
        });
        let Some(current) = opened else { return Err(wrong_key(entry, told)) };
        let mut masters = Masters { keys: BTreeMap::new(), unknown: BTreeMap::new() };
        masters.keys.insert(newest.kvno, current.prepare(AT_REST));
        for older in entry.keys.iter().skip(1) {
            let kind = etype(older).unwrap_or(EncryptionType(0));
            if !supported(kind) {
                masters.unknown.insert(older.kvno, kind);
                continue;
            }
            let damaged = || Error::Other(format!("{}: its version {} does not open", entry.name, older.kvno));
            masters.keys.insert(older.kvno, open(&current, older).ok_or_else(damaged)?.prepare(AT_REST));
        }
        Ok(masters)
    }

    /// Opens a key that was sealed under a version of the master key; `None` is the oldest, as for
    /// MIT.
    ///
    /// # Errors
    /// Why it can't be opened.
    pub fn key(&self, version: Option<u32>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let oldest = self.keys.keys().chain(self.unknown.keys()).min().copied();
        let version = version.or(oldest).unwrap_or_default();
        if let Some(etype) = self.unknown.get(&version) {
            return Err(format!(
                "sealed under version {version} of the master key, which is of {etype} and not for this build; \
                 on the old KDC: kdb5_util update_princ_encryption, then dump again"
            ));
        }
        let master = self.keys.get(&version);
        let master =
            master.ok_or_else(|| format!("sealed under version {version} of the master key, which K/M lacks"))?;
        unseal(master, sealed).ok_or_else(|| format!("it does not open under version {version} of the master key"))
    }
}

/// Opens a sealed key: its length, little-endian, and a ciphertext that may be padded.
pub fn unseal(master: &PreparedKey, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (length, cipher) = sealed.split_first_chunk()?;
    let mut plain = master.decrypt(cipher).ok()?;
    let length = usize::from(u16::from_le_bytes(*length));
    (length <= plain.len()).then(|| plain.truncate(length))?;
    Some(plain)
}

/// The keys of a principal of MIT's own, such as kadmin/history, to open what they sealed.
pub fn sealers(entry: &Princ<'_>, masters: &Masters) -> Result<Vec<PreparedKey>, String> {
    let version = entry.tag(tags::MASTER_VERSION).and_then(tags::version);
    let known =
        entry.keys.iter().filter_map(|data| data.key.as_ref()).filter(|(etype, _)| supported(EncryptionType(*etype)));
    let prepared = known.map(|(etype, sealed)| {
        let plain = masters.key(version, sealed)?;
        let key = Key::new(EncryptionType(*etype), &plain).map_err(|error| error.to_string())?;
        Ok(key.prepare(AT_REST))
    });
    prepared.collect()
}

fn etype(data: &KeyData) -> Option<EncryptionType> {
    data.key.as_ref().map(|(etype, _)| EncryptionType(*etype))
}

fn open(master: &Key, data: &KeyData) -> Option<Key> {
    let (etype, sealed) = data.key.as_ref()?;
    let plain = unseal(&master.prepare(AT_REST), sealed)?;
    Key::new(EncryptionType(*etype), &plain).ok()
}

/// The keys that may be the master key.
fn candidates<'a>(name: &str, told: &Told, sealed: impl Iterator<Item = &'a KeyData>) -> Result<Vec<Key>> {
    let keys = match told {
        Told::Stash(path) => stash(path, name)?,
        Told::Key(key) => vec![key.clone()],
        Told::Password(password) => {
            let principal = Principal::parse(name, None)?;
            let mut etypes: Vec<_> = sealed.filter_map(etype).filter(|etype| supported(*etype)).collect();
            etypes.dedup();
            let key = |etype| Key::from_password(etype, password.as_bytes(), principal.salt().as_bytes(), None);
            etypes.into_iter().map(key).collect::<Result<_, _>>()?
        }
    };
    Ok(keys)
}

fn wrong_key(entry: &Princ<'_>, told: &Told) -> Error {
    if let Some(foreign) = entry.keys.first().and_then(etype).filter(|etype| !supported(*etype)) {
        return Error::Other(not_for_this_build(foreign));
    }
    match told {
        Told::Stash(path) => {
            Error::file(path, "this is not the master key of the dump; stash it anew on the old KDC: kdb5_util stash")
        }
        Told::Key(_) => Error::Other("this is not the master key of the dump".into()),
        Told::Password(_) => Error::Other("this is not the password of the dump's master key".into()),
    }
}

fn not_for_this_build(etype: EncryptionType) -> String {
    let why = if is_weak(etype) { "broken and therefore not in this build" } else { "not in this build" };
    format!(
        "the master key of the dump is of {etype}, which is {why}; on the old KDC: kdb5_util add_mkey -s -e \
         aes256-cts-hmac-sha1-96, use_mkey, update_princ_encryption, then dump again"
    )
}

/// Reads a stash file: a keytab, or what it was before MIT krb5 1.7, an enctype, a length and a key
/// in the byte order of its machine.
fn stash(path: &Path, name: &str) -> Result<Vec<Key>> {
    let mut bytes = Zeroizing::new(vec![]);
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_STASH).read_to_end(&mut bytes));
    read.map_err(|error| Error::file(path, error))?;
    let wrong = |problem: &str| Error::file(path, problem);
    if let Some((etype, key)) = old_stash(&bytes) {
        let etype = EncryptionType(etype.into());
        if !supported(etype) {
            return Err(Error::Other(not_for_this_build(etype)));
        }
        return Ok(vec![Key::new(etype, key).map_err(|error| wrong(&error.to_string()))?]);
    }
    let keytab = Keytab::parse(&bytes).map_err(|_| wrong("neither a keytab nor an older stash file"))?;
    let own: Vec<_> = keytab.entries.iter().filter(|entry| entry.principal.to_string() == name).collect();
    if own.is_empty() {
        return Err(wrong(&format!("no key of {name} in it")));
    }
    let known: Vec<_> = own.iter().filter_map(|entry| entry.key.key().ok()).collect();
    match (&*known, &*own) {
        ([], [first, ..]) => Err(Error::Other(not_for_this_build(first.key.etype))),
        _ => Ok(known),
    }
}

fn old_stash(bytes: &[u8]) -> Option<(u16, &[u8])> {
    // No enctype has the number that a keytab begins with, either way.
    if bytes.starts_with(&[5, 1]) || bytes.starts_with(&[5, 2]) {
        return None;
    }
    let (etype, rest) = bytes.split_first_chunk()?;
    let (length, key) = rest.split_first_chunk()?;
    let fits = |length: u32| length > 0 && usize::try_from(length).is_ok_and(|length| length == key.len());
    if fits(u32::from_le_bytes(*length)) {
        return Some((u16::from_le_bytes(*etype), key));
    }
    fits(u32::from_be_bytes(*length)).then_some((u16::from_be_bytes(*etype), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stash_from_before_keytabs_is_read_in_either_byte_order() {
        let little = [&[18, 0, 32, 0, 0, 0][..], &[7; 32]].concat();
        let big = [&[0, 18, 0, 0, 0, 32][..], &[7; 32]].concat();
        for bytes in [little, big] {
            assert_eq!(old_stash(&bytes), Some((18, &[7; 32][..])));
        }
        assert_eq!(old_stash(&[18, 0, 32, 0, 0, 0, 7]), None);
        let keytab = [&[5, 2, 0, 0, 0, 32][..], &[7; 32]].concat();
        assert_eq!(old_stash(&keytab), None);
    }
}
