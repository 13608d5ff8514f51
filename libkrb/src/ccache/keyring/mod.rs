//! Caches in the kernel's keyrings (`KEYRING:`), laid out as MIT's: beneath an anchor a keyring for the collection, in it
//! a keyring for each cache and a key with the name of the primary one, and in a cache a key for its owner, one for the
//! clock and one for each credential. Not here: how keyrings are reached ([`kernel`]).

pub(super) mod fitness;
mod kernel;

use std::fmt;

use super::format::{self, BAD_FORMAT};
use super::{CacheName, Ccache, Credential};
use crate::crypto::{OsRandom, Random};
use crate::error::{Error, Result};
use crate::storage::{Reader, Writer};
use kernel::{Item, Ring};

/// Names the primary cache of a collection: version, length, name.
const PRIMARY: &str = "krb_ccache:primary";
const PRIMARY_VERSION: u32 = 1;
const OWNER: &str = "__krb5_princ__";
const OFFSETS: &str = "__krb5_time_offsets__";
/// What MIT calls new caches.
const PREFIX: &str = "krb_ccache_";
const SUFFIX: usize = 7;
/// What a collection without a name has as its first cache.
const FIRST: &str = "tkt";

/// What a collection hangs on, and so how long it lives and who sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// No anchor named: the session.
    Legacy,
    /// This process.
    Process,
    /// This thread.
    Thread,
    /// The login session.
    Session,
    /// The user, while logged in.
    User,
    /// The user, for some days after the last use.
    Persistent,
}

/// The anchors by their names.
const ANCHORS: [(&str, Anchor); 6] = [
    ("legacy", Anchor::Legacy),
    ("process", Anchor::Process),
    ("thread", Anchor::Thread),
    ("session", Anchor::Session),
    ("user", Anchor::User),
    ("persistent", Anchor::Persistent),
];

/// A cache in the kernel; without a member, the primary one of its collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyringName {
    anchor: Anchor,
    collection: String,
    member: Option<String>,
}

impl KeyringName {
    /// Reads what stands behind `KEYRING:`.
    pub(super) fn parse(residual: &str) -> Result<Self> {
        let Some((anchor, rest)) = residual.split_once(':') else {
            return Ok(KeyringName { anchor: Anchor::Legacy, collection: residual.to_owned(), member: None });
        };
        let known = ANCHORS.iter().find(|(name, _)| *name == anchor);
        let Some((_, anchor)) = known else {
            let detail = "expected KEYRING: and persistent, user, session, process or thread";
            return Err(Error::storage("Invalid keyring anchor", format!("KEYRING:{residual}"), detail));
        };
        let (collection, member) = rest.split_once(':').map_or((rest, None), |(name, member)| (name, Some(member)));
        let member = member.filter(|member| !member.is_empty()).map(str::to_owned);
        let name = KeyringName { anchor: *anchor, collection: collection.to_owned(), member };
        match (name.anchor, name.collection.parse::<u32>()) {
            (Anchor::Persistent, Err(_)) if !name.collection.is_empty() => {
                Err(Error::storage("Invalid UID in persistent keyring name", name.to_string(), ""))
            }
            _ => Ok(name),
        }
    }

    /// Whether it stands for all caches of the collection.
    pub(super) fn is_collection(&self) -> bool {
        self.member.is_none()
    }

    fn sibling(&self, member: String) -> KeyringName {
        KeyringName { member: Some(member), ..self.clone() }
    }

    fn missing(&self) -> Error {
        Error::NoCache(self.to_string())
    }

    fn failed(&self, error: kernel::Failed) -> Error {
        let detail =
            format!("{error}; name another default_ccache_name in krb5.conf, such as FILE:/tmp/krb5cc_%{{uid}}");
        Error::storage("The kernel's keyring can't be used", self.to_string(), detail)
    }

    /// The keyring of the collection.
    fn collection(&self) -> Result<Ring> {
        let failed = |error| self.failed(error);
        if self.anchor == Anchor::Persistent && !kernel::is_own(&self.collection) {
            return Err(Error::storage("Invalid UID in persistent keyring name", self.to_string(), "only your own"));
        }
        let anchor = Ring::anchor(self.anchor).map_err(failed)?;
        let name = match self.anchor {
            Anchor::Persistent => "_krb".to_owned(),
            _ => format!("_krb_{}", self.collection),
        };
        let ring = anchor.found_or_new(&name).map_err(failed)?;
        if matches!(self.anchor, Anchor::User) {
            // What the user has is nobody's until it is held.
            ring.hold().map_err(failed)?;
        }
        Ok(ring)
    }

    fn primary(&self, collection: &Ring) -> Result<String> {
        if let Some(payload) = collection.read(PRIMARY).map_err(|error| self.failed(error))? {
            let mut reader = Reader::new(&payload, "Invalid primary name in keyring");
            if reader.u32("version")? != PRIMARY_VERSION {
                return Err(reader.fault_at(0, "expected version 1"));
            }
            let name = reader.counted32("name")?;
            return reader.text(name, "name").map(str::to_owned);
        }
        let first = if self.collection.is_empty() { FIRST } else { &self.collection };
        self.set_primary(collection, first)?;
        Ok(first.to_owned())
    }

    fn set_primary(&self, collection: &Ring, name: &str) -> Result<()> {
        let mut writer = Writer::new();
        writer.u32(PRIMARY_VERSION);
        writer.counted32(name.as_bytes());
        collection.write(PRIMARY, &writer.finish(), None).map_err(|error| self.failed(error))
    }

    pub(super) fn resolve(&self) -> Result<KeyringName> {
        match self.member {
            Some(_) => Ok(self.clone()),
            None => Ok(self.sibling(self.primary(&self.collection()?)?)),
        }
    }

    /// The name of the cache, and the keyring that it is or will be in.
    fn place(&self) -> Result<(String, Ring)> {
        let collection = self.collection()?;
        let member = match &self.member {
            Some(member) => member.clone(),
            None => self.primary(&collection)?,
        };
        Ok((member, collection))
    }

    fn ring(&self) -> Result<Ring> {
        let (member, collection) = self.place()?;
        collection.ring(&member).map_err(|error| self.failed(error))?.ok_or_else(|| self.missing())
    }

    pub(super) fn load(&self) -> Result<Ccache> {
        let ring = self.ring()?;
        let failed = |error| self.failed(error);
        let owner = ring.read(OWNER).map_err(failed)?.ok_or_else(|| self.missing())?;
        let owner = format::principal(&mut Reader::new(&owner, BAD_FORMAT), 4)?;
        let mut cache = Ccache::new(owner);
        if let Some(payload) = ring.read(OFFSETS).map_err(failed)? {
            let mut reader = Reader::new(&payload, BAD_FORMAT);
            cache.kdc_offset = Some((reader.i32("clock offset")?, reader.i32("clock offset")?));
        }
        for Item { credential, .. } in self.items(&ring)? {
            cache.credentials.push(credential);
        }
        // The kernel has an order of its own: first what came first.
        cache.credentials.sort_by_key(|credential| (!credential.is_config(), !credential.server.is_local_tgs()));
        Ok(cache)
    }

    fn items(&self, ring: &Ring) -> Result<Vec<Item>> {
        let all = ring.items(&[OWNER, OFFSETS], |payload| format::credential(&mut Reader::new(payload, BAD_FORMAT), 4));
        all.map_err(|error| self.failed(error))?.into_iter().collect()
    }

    pub(super) fn replace(&self, cache: &Ccache) -> Result<()> {
        let failed = |error| self.failed(error);
        let (member, collection) = self.place()?;
        let ring = collection.found_or_new(&member).map_err(failed)?;
        ring.clear().map_err(failed)?;
        let mut owner = Writer::new();
        format::write_principal(&mut owner, &cache.principal);
        ring.write(OWNER, &owner.finish(), None).map_err(failed)?;
        if let Some((seconds, micros)) = cache.kdc_offset {
            let payload = [seconds.to_be_bytes(), micros.to_be_bytes()].concat();
            ring.write(OFFSETS, &payload, None).map_err(failed)?;
        }
        cache.credentials.iter().try_for_each(|credential| self.put(&ring, credential))
    }

    fn put(&self, ring: &Ring, credential: &Credential) -> Result<()> {
        // As MIT: of the tickets for one service the last one stays.
        let (name, bytes) = (credential.server.to_string(), format::encode_credential(credential));
        let end = if credential.is_config() { None } else { Some(credential.end_time) };
        ring.write_big(&name, &bytes, end).map_err(|error| self.failed(error))
    }

    pub(super) fn store(&self, credential: &Credential) -> Result<()> {
        self.put(&self.ring()?, credential)
    }

    pub(super) fn remove(&self, unwanted: impl Fn(&Credential) -> bool) -> Result<usize> {
        let ring = self.ring()?;
        let items = self.items(&ring)?;
        let gone: Vec<_> = items.into_iter().filter(|item| unwanted(&item.credential)).collect();
        for item in &gone {
            ring.unlink(item).map_err(|error| self.failed(error))?;
        }
        Ok(gone.len())
    }

    pub(super) fn destroy(&self) -> Result<()> {
        let (member, collection) = self.place()?;
        let failed = |error| self.failed(error);
        let ring = collection.ring(&member).map_err(failed)?.ok_or_else(|| self.missing())?;
        ring.clear().map_err(failed)?;
        collection.unlink_ring(&ring).map_err(failed)
    }

    pub(super) fn switch(&self) -> Result<()> {
        match &self.member {
            Some(member) => self.set_primary(&self.collection()?, member),
            None => Ok(()),
        }
    }

    /// The caches that this name stands for and that somebody has filled, the primary one first.
    pub(super) fn members(&self) -> Result<Vec<CacheName>> {
        let collection = self.collection()?;
        let names = match &self.member {
            Some(member) => vec![member.clone()],
            None => {
                let primary = self.primary(&collection)?;
                let mut names = collection.names().map_err(|error| self.failed(error))?;
                names.sort_by_key(|name| (*name != primary, name.clone()));
                names
            }
        };
        let caches = names.into_iter().map(|name| self.sibling(name));
        let filled = |cache: &KeyringName| cache.ring().is_ok_and(|ring| ring.read(OWNER).is_ok_and(|it| it.is_some()));
        Ok(caches.filter(filled).map(CacheName::Keyring).collect())
    }

    pub(super) fn new_unique(&self) -> Result<KeyringName> {
        const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let collection = self.collection()?;
        let mut bytes = [0; SUFFIX];
        OsRandom::new().fill(&mut bytes);
        let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied().unwrap_or(b'A');
        let name: String = PREFIX.chars().chain(bytes.map(|byte| char::from(letter(byte)))).collect();
        collection.found_or_new(&name).map_err(|error| self.failed(error))?;
        Ok(self.sibling(name))
    }
}

impl fmt::Display for KeyringName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyringName { anchor, collection, member } = self;
        let name = ANCHORS.iter().find(|(_, it)| it == anchor).map_or("legacy", |(name, _)| name);
        match (anchor, member) {
            (Anchor::Legacy, None) => write!(f, "KEYRING:{collection}"),
            (Anchor::Legacy, Some(member)) if member == collection => write!(f, "KEYRING:{collection}"),
            (_, None) => write!(f, "KEYRING:{name}:{collection}"),
            (_, Some(member)) => write!(f, "KEYRING:{name}:{collection}:{member}"),
        }
    }
}

#[cfg(test)]
mod tests;
