//! The bytes of an entry: a prost message with every key in it sealed. Not here: where the bytes
//! are kept. Fields are only ever added, and to [`Record`] only: what a version does not know, it keeps as it
//! stands there when it changes the entry. Whatever else changes raises [`VERSION`]: such a record can be
//! neither read nor changed by those that are older.

mod fields;
mod open;

use std::collections::{BTreeMap, BTreeSet};

use libkrb::codes::NameType;
use libkrb::crypto::OtpHash;
use libkrb::{Principal, Time};
use prost::Message;

pub(super) use fields::beyond;
pub use open::decode;
pub(super) use open::{decode_named, service_keys_made};

use super::plan::{Stored, key, normal};
use super::seal::{MasterKey, key_context, token_context};
use crate::core::entry::{Token, TokenKind};
use crate::core::{Entry, KeySet, LongTermKey, StoreError};

/// What this code writes, and the newest that it reads.
const VERSION: u32 = 1;
/// The last field that this code knows.
const LAST: u64 = 18;
/// The field with the commit that wrote the record.
#[cfg(feature = "etcd")]
pub(super) const REVISION: u32 = 15;

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(message, optional, tag = "2")]
    principal: Option<Name>,
    #[prost(message, repeated, tag = "3")]
    aliases: Vec<Name>,
    #[prost(bytes = "vec", tag = "4")]
    id: Vec<u8>,
    #[prost(message, repeated, tag = "5")]
    keys: Vec<SealedSet>,
    #[prost(uint32, tag = "6")]
    attributes: u32,
    #[prost(sint64, optional, tag = "7")]
    expires: Option<i64>,
    #[prost(sint64, optional, tag = "8")]
    password_expires: Option<i64>,
    #[prost(sint64, optional, tag = "9")]
    max_life: Option<i64>,
    #[prost(sint64, optional, tag = "10")]
    max_renewable_life: Option<i64>,
    #[prost(sint64, optional, tag = "11")]
    password_changed: Option<i64>,
    #[prost(sint64, tag = "12")]
    modified: i64,
    #[prost(string, tag = "13")]
    modified_by: String,
    #[prost(btree_map = "string, string", tag = "14")]
    strings: BTreeMap<String, String>,
    #[prost(uint64, tag = "15")]
    revision: u64,
    #[prost(string, optional, tag = "16")]
    policy: Option<String>,
    #[prost(message, repeated, tag = "17")]
    history: Vec<SealedSet>,
    #[prost(message, repeated, tag = "18")]
    tokens: Vec<SealedToken>,
}

/// A principal: its text, and the name type, which the text does not tell.
#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(sint32, tag = "2")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct SealedSet {
    #[prost(uint32, tag = "1")]
    kvno: u32,
    #[prost(message, repeated, tag = "2")]
    keys: Vec<SealedKey>,
    #[prost(sint64, tag = "3")]
    created: i64,
    #[prost(sint64, tag = "4")]
    from: i64,
    #[prost(sint64, optional, tag = "5")]
    until: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct SealedKey {
    #[prost(sint32, tag = "1")]
    etype: i32,
    /// Version of the master key.
    #[prost(uint32, tag = "2")]
    master: u32,
    #[prost(bytes = "vec", tag = "3")]
    sealed: Vec<u8>,
    #[prost(string, optional, tag = "4")]
    salt: Option<String>,
    #[prost(uint32, optional, tag = "5")]
    iterations: Option<u32>,
}

/// A one-time password token.
#[derive(Clone, PartialEq, Message)]
struct SealedToken {
    #[prost(string, tag = "1")]
    name: String,
    /// Seconds of a step; 0: it counts.
    #[prost(uint32, tag = "2")]
    period: u32,
    /// 1, 256 or 512.
    #[prost(uint32, tag = "3")]
    hash: u32,
    #[prost(uint32, tag = "4")]
    digits: u32,
    #[prost(uint64, tag = "5")]
    next: u64,
    #[prost(bool, tag = "6")]
    with_password: bool,
    #[prost(string, repeated, tag = "7")]
    indicators: Vec<String>,
    #[prost(sint64, tag = "8")]
    created: i64,
    /// Version of the master key.
    #[prost(uint32, tag = "9")]
    master: u32,
    #[prost(bytes = "vec", tag = "10")]
    sealed: Vec<u8>,
}

/// The bytes of an entry, committed as `revision`.
///
/// # Errors
/// [`StoreError::Storage`] when no key can be sealed.
pub fn encode(entry: &Entry, revision: u64, master: &MasterKey) -> Result<Vec<u8>, StoreError> {
    let principal = normal(&entry.principal);
    let owner = principal.to_string();
    let seal = |sets: &[KeySet]| sets.iter().map(|set| seal_set(&owner, set, master)).collect::<Result<_, _>>();
    let (keys, history) = (seal(&entry.keys)?, seal(&entry.history)?);
    let tokens = entry.tokens.iter().map(|token| seal_token(&owner, token, master)).collect::<Result<_, _>>()?;
    let record = Record {
        version: VERSION,
        principal: Some(Name::of(&principal)),
        aliases: entry.aliases.iter().map(Name::of).collect(),
        id: entry.id.to_vec(),
        keys,
        attributes: entry.attributes.0,
        expires: entry.expires.map(Time::seconds),
        password_expires: entry.password_expires.map(Time::seconds),
        max_life: entry.max_life,
        max_renewable_life: entry.max_renewable_life,
        password_changed: entry.password_changed.map(Time::seconds),
        modified: entry.modified.seconds(),
        modified_by: entry.modified_by.clone(),
        strings: entry.strings.clone(),
        revision,
        policy: entry.policy.clone(),
        history,
        tokens,
    };
    let mut bytes = record.encode_to_vec();
    bytes.extend_from_slice(&entry.newer);
    Ok(bytes)
}

/// What a commit must know of the record under `owner`, without opening its keys.
pub(super) fn stored(owner: &str, bytes: &[u8]) -> Result<Stored, StoreError> {
    let record = read(owner, bytes)?;
    let names = record.principal.iter().chain(&record.aliases).map(|name| Ok(key(&name.principal(owner)?)));
    Ok(Stored { revision: record.revision, names: names.collect::<Result<_, _>>()? })
}

/// The policy that the record under `owner` names, without opening its keys.
pub(super) fn policy(owner: &str, bytes: &[u8]) -> Result<Option<String>, StoreError> {
    Ok(read(owner, bytes)?.policy)
}

/// The versions of the master key that a record is sealed under.
pub(super) fn sealed_under(owner: &str, bytes: &[u8]) -> Result<BTreeSet<u32>, StoreError> {
    let record = read(owner, bytes)?;
    let keys = record.keys.iter().chain(&record.history).flat_map(|set| &set.keys).map(|key| key.master);
    Ok(keys.chain(record.tokens.iter().map(|token| token.master)).collect())
}

/// The same record, its keys sealed under the newest version; `None` if they are.
pub(super) fn reseal(owner: &str, bytes: &[u8], master: &MasterKey) -> Result<Option<Vec<u8>>, StoreError> {
    let mut record = read(owner, bytes)?;
    let mut changed = false;
    for set in record.keys.iter_mut().chain(&mut record.history) {
        let kvno = set.kvno;
        for key in set.keys.iter_mut().filter(|key| key.master != master.version()) {
            let context = key_context(owner, kvno, key.etype);
            let plain = master.open(key.master, &key.sealed, &context);
            let plain = plain.ok_or_else(|| unopened(owner, key.master, master))?;
            (key.master, key.sealed) = master.seal(&plain, &context)?;
            changed = true;
        }
    }
    for token in record.tokens.iter_mut().filter(|token| token.master != master.version()) {
        let context = token_context(owner, &token.name);
        let plain = master.open(token.master, &token.sealed, &context);
        let plain = plain.ok_or_else(|| unopened(owner, token.master, master))?;
        (token.master, token.sealed) = master.seal(&plain, &context)?;
        changed = true;
    }
    if !changed {
        return Ok(None);
    }
    let newer = beyond(bytes, LAST).map_err(|_| damaged(owner, "not a record"))?;
    Ok(Some([record.encode_to_vec(), newer].concat()))
}

fn read(owner: &str, bytes: &[u8]) -> Result<Record, StoreError> {
    let record = Record::decode(bytes).map_err(|_| damaged(owner, "not a record"))?;
    if record.version > VERSION {
        return Err(newer(owner, record.version));
    }
    if record.principal.as_ref().is_none_or(|name| name.text != owner) {
        return Err(damaged(owner, "it is another principal's"));
    }
    Ok(record)
}

impl Name {
    fn of(principal: &Principal) -> Self {
        Name { text: principal.to_string(), kind: principal.kind().0 }
    }

    fn principal(&self, owner: &str) -> Result<Principal, StoreError> {
        let name = Principal::parse(&self.text, None).map_err(|_| damaged(owner, "a name in it is none"))?;
        Ok(name.with_kind(NameType(self.kind)))
    }
}

fn seal_set(owner: &str, set: &KeySet, master: &MasterKey) -> Result<SealedSet, StoreError> {
    let seal = |key: &LongTermKey| {
        let etype = key.etype().0;
        let (master, sealed) = master.seal(key.key.expose(), &key_context(owner, set.kvno, etype))?;
        Ok(SealedKey { etype, master, sealed, salt: key.salt.clone(), iterations: key.iterations })
    };
    Ok(SealedSet {
        kvno: set.kvno,
        keys: set.keys.iter().map(seal).collect::<Result<_, _>>()?,
        created: set.created.seconds(),
        from: set.from.seconds(),
        until: set.until.map(Time::seconds),
    })
}

/// The hash functions by the numbers of the records.
const HASHES: [(OtpHash, u32); 3] = [(OtpHash::Sha1, 1), (OtpHash::Sha256, 256), (OtpHash::Sha512, 512)];

fn seal_token(owner: &str, token: &Token, master: &MasterKey) -> Result<SealedToken, StoreError> {
    let (version, sealed) = master.seal(&token.secret, &token_context(owner, &token.name))?;
    let hash = HASHES.iter().find(|(hash, _)| *hash == token.hash).map_or(1, |(_, number)| *number);
    let period = match token.kind {
        TokenKind::Counting => 0,
        TokenKind::Timed { period } => period,
    };
    Ok(SealedToken {
        name: token.name.clone(),
        period,
        hash,
        digits: token.digits,
        next: token.next,
        with_password: token.with_password,
        indicators: token.indicators.clone(),
        created: token.created.seconds(),
        master: version,
        sealed,
    })
}

fn open_token(owner: &str, token: &SealedToken, master: &MasterKey) -> Result<Token, StoreError> {
    let secret = master.open(token.master, &token.sealed, &token_context(owner, &token.name));
    let secret = secret.ok_or_else(|| unopened(owner, token.master, master))?;
    let hash = HASHES.iter().find(|(_, number)| *number == token.hash).map(|(hash, _)| *hash);
    let period = token.period;
    Ok(Token {
        name: token.name.clone(),
        kind: if period == 0 { TokenKind::Counting } else { TokenKind::Timed { period } },
        hash: hash.ok_or_else(|| damaged(owner, "a token of an unknown kind"))?,
        digits: token.digits,
        secret,
        next: token.next,
        with_password: token.with_password,
        indicators: token.indicators.clone(),
        created: Time(token.created),
    })
}

fn newer(owner: &str, version: u32) -> StoreError {
    StoreError::Record {
        principal: owner.to_owned(),
        problem: format!(
            "written in format {version} by a newer kdc, this one reads up to {VERSION}; use that kdc for it"
        ),
    }
}

fn unopened(owner: &str, version: u32, master: &MasterKey) -> StoreError {
    let file = master.file().display();
    StoreError::Record {
        principal: owner.to_owned(),
        problem: format!("a key does not open under version {version} of the master key in {file}; restore the store"),
    }
}

fn damaged(owner: &str, what: &str) -> StoreError {
    StoreError::Record { principal: owner.to_owned(), problem: format!("damaged ({what}); restore the store") }
}
