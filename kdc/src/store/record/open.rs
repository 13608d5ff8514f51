//! The way from the bytes of a record to the entry: for each principal that is not in memory, so no
//! copy is made but those that the entry keeps. The numbers of the fields are those of [`super::Record`].

use libkrb::codes::{EncryptionType, NameType};
use libkrb::crypto::Key;
use libkrb::{Principal, Time};
use prost::Message;
use zeroize::Zeroizing;

use super::fields::{Fields, Torn, Value};
use super::{LAST, SealedToken, VERSION, damaged, newer, open_token, unopened};
use crate::core::{Attributes, Entry, KeySet, LongTermKey, StoreError};
use crate::store::seal::{KeyContext, MasterKey};

/// No key is longer.
const LONGEST_KEY: usize = 64;

/// Opens the keys of one record.
struct Opening<'a> {
    owner: &'a str,
    master: &'a MasterKey,
    context: KeyContext,
    /// For one key after the other; wiped once.
    room: Zeroizing<[u8; LONGEST_KEY]>,
}

/// The entry whose record is kept under `owner`.
///
/// # Errors
/// [`StoreError::Record`] for what is not its record, or does not open.
pub fn decode(owner: &str, bytes: &[u8], master: &MasterKey) -> Result<Entry, StoreError> {
    let principal = name(owner, introduced(owner, bytes)?)?;
    entry(owner, bytes, master, principal)
}

/// The same for a name whose text is `owner`: the entry shares what it consists of.
///
/// # Errors
/// As [`decode`].
pub(in crate::store) fn decode_named(
    name: &Principal,
    owner: &str,
    bytes: &[u8],
    master: &MasterKey,
) -> Result<Entry, StoreError> {
    let (_, kind) = spelled(owner, introduced(owner, bytes)?)?;
    entry(owner, bytes, master, name.clone().with_kind(kind))
}

fn entry(owner: &str, bytes: &[u8], master: &MasterKey, principal: Principal) -> Result<Entry, StoreError> {
    let (context, room) = (KeyContext::of(owner), Zeroizing::new([0; LONGEST_KEY]));
    let mut opening = Opening { owner, master, context, room };
    let mut entry = Entry::new(principal, [0; 16], Time::EPOCH, "");
    opening.read(&mut entry, bytes)?;
    Ok(entry)
}

/// When the keys of a service were made that seal its tickets now, told without opening any; `None` for
/// users, and for services without keys.
pub(in crate::store) fn service_keys_made(owner: &str, bytes: &[u8], now: Time) -> Result<Option<Time>, StoreError> {
    let mut entry = Entry::new(name(owner, introduced(owner, bytes)?)?, [0; 16], Time::EPOCH, "");
    let mut salted = vec![];
    let mut read = |(number, value): (u64, Value<'_>)| {
        match number {
            5 => {
                let set = times(value.octets()?)?;
                if has_salt(value.octets()?)? {
                    salted.push(set.kvno);
                }
                entry.keys.push(set);
            }
            6 => entry.attributes = Attributes(value.short()?),
            11 => entry.password_changed = Some(Time(value.signed()?)),
            12 => entry.modified = Time(value.signed()?),
            _ => {}
        }
        Ok(())
    };
    Fields(bytes).try_for_each(|field| read(field?)).map_err(|Torn| damaged(owner, "not a record"))?;
    let from_password = |set: &KeySet| salted.contains(&set.kvno);
    Ok(entry.keys_of_service_made(now, from_password))
}

impl Opening<'_> {
    fn read(&mut self, entry: &mut Entry, bytes: &[u8]) -> Result<(), StoreError> {
        let (mut id, mut fields) = (None, Fields(bytes));
        while let Some((field, octets)) = fields.next_whole() {
            let (number, value) = field.map_err(|torn| self.torn(torn))?;
            match number {
                3 => entry.aliases.push(self.name(value)?),
                4 => id = value.octets().ok().and_then(|octets| octets.try_into().ok()),
                5 => entry.keys.push(self.set(value)?),
                17 => entry.history.push(self.set(value)?),
                18 => {
                    let token = value.octets().ok().and_then(|octets| SealedToken::decode(octets).ok());
                    let token = token.ok_or_else(|| self.torn(Torn))?;
                    entry.tokens.push(open_token(self.owner, &token, self.master)?);
                }
                ..=LAST => plain(entry, number, value).map_err(|torn| self.torn(torn))?,
                _ => entry.newer.extend_from_slice(octets),
            }
        }
        entry.id = id.ok_or_else(|| damaged(self.owner, "no account id"))?;
        Ok(())
    }

    fn torn(&self, _: Torn) -> StoreError {
        damaged(self.owner, "not a record")
    }

    fn name(&self, value: Value<'_>) -> Result<Principal, StoreError> {
        name(self.owner, value.octets().map_err(|torn| self.torn(torn))?)
    }

    fn set(&mut self, value: Value<'_>) -> Result<KeySet, StoreError> {
        let octets = value.octets().map_err(|torn| self.torn(torn))?;
        let mut set = times(octets).map_err(|torn| self.torn(torn))?;
        for field in Fields(octets) {
            if let (2, value) = field.map_err(|torn| self.torn(torn))? {
                let sealed = SealedKey::read(value).map_err(|torn| self.torn(torn))?;
                set.keys.push(self.key(set.kvno, &sealed)?);
            }
        }
        Ok(set)
    }

    fn key(&mut self, kvno: u32, sealed: &SealedKey<'_>) -> Result<LongTermKey, StoreError> {
        let SealedKey { etype, master, octets, salt, iterations } = *sealed;
        let plain = self.master.open_into(master, octets, self.context.key(kvno, etype), &mut *self.room);
        let plain = plain.ok_or_else(|| unopened(self.owner, master, self.master))?;
        let key = Key::new(EncryptionType(etype), plain)
            .map_err(|error| StoreError::Record { principal: self.owner.to_owned(), problem: error.to_string() })?;
        Ok(LongTermKey::new(key, salt.map(str::to_owned)).with_iterations(iterations))
    }
}

/// A sealed key where it stands.
#[derive(Default)]
struct SealedKey<'a> {
    etype: i32,
    master: u32,
    octets: &'a [u8],
    salt: Option<&'a str>,
    iterations: Option<u32>,
}

impl<'a> SealedKey<'a> {
    fn read(value: Value<'a>) -> Result<Self, Torn> {
        let mut key = SealedKey::default();
        for field in Fields(value.octets()?) {
            match field? {
                (1, value) => key.etype = value.signed()? as i32,
                (2, value) => key.master = value.short()?,
                (3, value) => key.octets = value.octets()?,
                (4, value) => key.salt = Some(value.text()?),
                (5, value) => key.iterations = Some(value.short()?),
                _ => {}
            }
        }
        Ok(key)
    }
}

/// The name in a record that is one of this owner's, and of a version that is understood. Both stand first
/// in what was written here, and no further than to both is looked.
fn introduced<'a>(owner: &str, bytes: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let (mut version, mut principal) = (None, None);
    for field in Fields(bytes) {
        match field {
            Ok((1, Value::Number(number))) => version = Some(number as u32),
            Ok((2, Value::Octets(octets))) => principal = Some(octets),
            Ok((1 | 2, _)) | Err(Torn) => return Err(damaged(owner, "not a record")),
            Ok(_) => {}
        }
        if version.is_some() && principal.is_some() {
            break;
        }
    }
    let version = version.unwrap_or_default();
    if version > VERSION {
        return Err(newer(owner, version));
    }
    let principal = principal.unwrap_or_default();
    let text = Fields(principal).find_map(|field| field.ok().filter(|(number, _)| *number == 1));
    if text.and_then(|(_, text)| text.text().ok()) != Some(owner) {
        return Err(damaged(owner, "it is another principal's"));
    }
    Ok(principal)
}

/// A name: its text, and the type that the text does not tell.
fn spelled<'a>(owner: &str, octets: &'a [u8]) -> Result<(&'a str, NameType), StoreError> {
    let (mut text, mut kind) = ("", 0);
    for field in Fields(octets) {
        match field {
            Ok((1, value)) => text = value.text().map_err(|Torn| damaged(owner, "not a record"))?,
            Ok((2, value)) => kind = value.signed().map_err(|Torn| damaged(owner, "not a record"))?,
            Ok(_) => {}
            Err(Torn) => return Err(damaged(owner, "not a record")),
        }
    }
    Ok((text, NameType(kind as i32)))
}

fn name(owner: &str, octets: &[u8]) -> Result<Principal, StoreError> {
    let (text, kind) = spelled(owner, octets)?;
    let name = Principal::parse(text, None).map_err(|_| damaged(owner, "a name in it is none"))?;
    Ok(name.with_kind(kind))
}

/// A set of keys but for the keys.
fn times(octets: &[u8]) -> Result<KeySet, Torn> {
    let (mut set, mut keys) = (KeySet::new(0, vec![]), 0);
    for field in Fields(octets) {
        match field? {
            (1, value) => set.kvno = value.short()?,
            (2, _) => keys += 1,
            (3, value) => set.created = Time(value.signed()?),
            (4, value) => set.from = Time(value.signed()?),
            (5, value) => set.until = Some(Time(value.signed()?)),
            _ => {}
        }
    }
    set.keys.reserve_exact(keys);
    Ok(set)
}

/// Whether a key in a set was made from a password.
fn has_salt(octets: &[u8]) -> Result<bool, Torn> {
    for field in Fields(octets) {
        if let (2, value) = field?
            && SealedKey::read(value)?.salt.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A field that means the same in record and entry.
fn plain(entry: &mut Entry, number: u64, value: Value<'_>) -> Result<(), Torn> {
    match number {
        6 => entry.attributes = Attributes(value.short()?),
        7 => entry.expires = Some(Time(value.signed()?)),
        8 => entry.password_expires = Some(Time(value.signed()?)),
        9 => entry.max_life = Some(value.signed()?),
        10 => entry.max_renewable_life = Some(value.signed()?),
        11 => entry.password_changed = Some(Time(value.signed()?)),
        12 => entry.modified = Time(value.signed()?),
        13 => entry.modified_by = value.text()?.to_owned(),
        14 => {
            let (mut key, mut string) = ("", "");
            for field in Fields(value.octets()?) {
                match field? {
                    (1, value) => key = value.text()?,
                    (2, value) => string = value.text()?,
                    _ => {}
                }
            }
            entry.strings.insert(key.to_owned(), string.to_owned());
        }
        15 => entry.revision = value.number()?,
        16 => entry.policy = Some(value.text()?.to_owned()),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::encode;
    use libkrb::crypto::OsRandom;

    /// The fields of a message in the opposite order.
    fn reversed(message: &[u8]) -> Vec<u8> {
        let (mut fields, mut parts) = (Fields(message), vec![]);
        loop {
            let before = fields.0;
            if fields.next().is_none() {
                break;
            }
            parts.push(&before[..before.len() - fields.0.len()]);
        }
        parts.reverse();
        parts.concat()
    }

    #[test]
    fn fields_may_stand_in_any_order_and_newer_ones_are_kept() {
        let master = MasterKey::ephemeral().expect("random");
        let name = |text| Principal::parse(text, Some("R")).expect("a name");
        let mut entry = Entry::new(name("alice"), [7; 16], Time(5), "admin@R");
        let key = Key::random(EncryptionType::AES256_SHA1, &mut OsRandom::new()).expect("a key");
        entry.keys = vec![KeySet::new(3, vec![LongTermKey::new(key.clone(), Some("Ralice".into()))])];
        entry.expires = Some(Time(-9));
        entry.strings.insert("a".into(), "b".into());
        let mut bytes = encode(&entry, 4, &master).expect("encoded");
        // Fields 100, 101 and 102 of three lengths.
        let later = [0xa0, 6, 1, 0xa9, 6, 1, 2, 3, 4, 5, 6, 7, 8, 0xb5, 6, 1, 2, 3, 4];
        bytes.extend(later);
        for (bytes, kept) in [(reversed(&bytes), reversed(&later)), (bytes, later.to_vec())] {
            let read = decode("alice@R", &bytes, &master).expect("read");
            assert_eq!((&read.principal, read.expires, read.revision), (&entry.principal, Some(Time(-9)), 4));
            assert_eq!((&read.strings, &*read.modified_by, read.id), (&entry.strings, "admin@R", [7; 16]));
            assert!(read.keys[0].keys[0].key.same_as(&key) && read.keys[0].kvno == 3);
            assert_eq!(read.newer, kept);
            assert!(encode(&read, 5, &master).expect("encoded").ends_with(&kept), "written again");
        }
    }

    #[test]
    fn the_age_of_keys_is_told_without_opening_them() {
        let master = MasterKey::ephemeral().expect("random");
        let name = Principal::parse("host/a", Some("R")).expect("a name");
        let mut entry = Entry::new(name, [7; 16], Time(5), "");
        let key = Key::random(EncryptionType::AES256_SHA1, &mut OsRandom::new()).expect("a key");
        let set =
            |kvno, salt: Option<&str>| KeySet::new(kvno, vec![LongTermKey::new(key.clone(), salt.map(str::to_owned))]);
        let made = |entry: &Entry| {
            let bytes = encode(entry, 1, &master).expect("encoded");
            service_keys_made("host/a@R", &bytes, Time(100)).expect("read")
        };
        assert_eq!(made(&entry), None, "no keys");
        entry.keys = vec![set(2, None).made(Time(50)), set(1, Some("Rhosta")).made(Time(40))];
        assert_eq!(made(&entry), Some(Time(50)));
        entry.keys.remove(0);
        assert_eq!(made(&entry), None, "of a password");
    }
}
