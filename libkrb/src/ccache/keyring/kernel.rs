//! The door to the kernel's keyrings, with the few words that a cache needs. Not here: what is in them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyutils::keytypes::{BigKey, User};
use keyutils::{Key, KeyType, Keyring, SpecialKeyring};
use zeroize::Zeroizing;

use super::super::Credential;
use super::Anchor;
use crate::error::Result;
use crate::time::Time;

/// Why the kernel does not do it, in its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

type Done<T> = std::result::Result<T, Failed>;
type Asked<T> = std::result::Result<T, keyutils::Error>;

/// The numbers of errno(3) that mean "there is none".
const GONE: [i32; 4] = [126, 127, 128, 2];

fn told<T>(asked: Asked<T>) -> Done<T> {
    asked.map_err(|error| Failed(error.to_string()))
}

fn maybe<T>(asked: Asked<T>) -> Done<Option<T>> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(error) if GONE.contains(&error.0) => Ok(None),
        Err(error) => Err(Failed(error.to_string())),
    }
}

/// Whether a persistent keyring of this user is the caller's own.
pub(super) fn is_own(uid: &str) -> bool {
    uid.is_empty() || uid.parse() == Ok(rustix::process::geteuid().as_raw())
}

/// A keyring.
pub(super) struct Ring(Keyring);

/// A key with a credential.
pub(super) struct Item {
    key: Key,
    pub(super) credential: Credential,
}

impl Ring {
    /// What collections hang on.
    pub(super) fn anchor(anchor: Anchor) -> Done<Ring> {
        let special = match anchor {
            Anchor::Process => SpecialKeyring::Process,
            Anchor::Thread => SpecialKeyring::Thread,
            Anchor::User => SpecialKeyring::User,
            Anchor::Legacy | Anchor::Session => {
                let session = told(Keyring::attach(SpecialKeyring::Session))?;
                let of_user = Keyring::attach(SpecialKeyring::UserSession);
                // Who has no session of its own shares that of the user.
                return Ok(Ring(of_user.ok().filter(|of_user| *of_user == session).unwrap_or(session)));
            }
            Anchor::Persistent => {
                let mut own = told(Keyring::attach_or_create(SpecialKeyring::Process))?;
                return told(own.attach_persistent()).map(Ring);
            }
        };
        told(Keyring::attach_or_create(special)).map(Ring)
    }

    /// Holds it for this process.
    pub(super) fn hold(&self) -> Done<()> {
        told(Keyring::attach_or_create(SpecialKeyring::Process).and_then(|mut own| own.link_keyring(&self.0)))
    }

    /// The keyring of this name in it.
    pub(super) fn ring(&self, name: &str) -> Done<Option<Ring>> {
        Ok(maybe(self.0.search_for_keyring(name, None))?.map(Ring))
    }

    /// The same, made if there is none.
    pub(super) fn found_or_new(&self, name: &str) -> Done<Ring> {
        match self.ring(name)? {
            Some(ring) => Ok(ring),
            None => told(self.0.clone().add_keyring(name)).map(Ring),
        }
    }

    /// The names of the keyrings in it.
    pub(super) fn names(&self) -> Done<Vec<String>> {
        let (_, rings) = self.children()?;
        Ok(rings.iter().filter_map(|ring| Some(ring.description().ok()?.description)).collect())
    }

    /// Keys whose names have a semicolon are more than the crate that asks for them can read.
    fn children(&self) -> Done<(Vec<Key>, Vec<Keyring>)> {
        let read = catch_unwind(AssertUnwindSafe(|| told(self.0.read())));
        read.unwrap_or_else(|_| Err(Failed("a key has a name that can't be read".into())))
    }

    /// What the key of this name holds.
    pub(super) fn read(&self, name: &str) -> Done<Option<Zeroizing<Vec<u8>>>> {
        let Some(key) = maybe(self.0.search_for_key::<User, _, _>(name, None))? else { return Ok(None) };
        Ok(maybe(key.read())?.map(Zeroizing::new))
    }

    pub(super) fn write(&self, name: &str, payload: &[u8], end: Option<Time>) -> Done<()> {
        told(self.add::<User>(name, payload, end))
    }

    /// The same for what may be long; the kernel keeps that outside the user's quota.
    pub(super) fn write_big(&self, name: &str, payload: &[u8], end: Option<Time>) -> Done<()> {
        let name = name.replace(';', "_");
        self.add::<BigKey>(&name, payload, end).or_else(|_| told(self.add::<User>(&name, payload, end)))
    }

    fn add<K: KeyType<Description = str, Payload = [u8]>>(
        &self,
        name: &str,
        payload: &[u8],
        end: Option<Time>,
    ) -> Asked<()> {
        let mut key = self.0.clone().add_key::<K, _, _>(name, payload)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let left = end.and_then(|end| u64::try_from(end.0).ok()).and_then(|end| end.checked_sub(now));
        // What has ended already is kept, as in a file: klist shows it.
        if let Some(left) = left.filter(|left| *left > 0) {
            key.set_timeout(Duration::from_secs(left))?;
        }
        Ok(())
    }

    /// What keys of other names than these hold, each read by `read`.
    pub(super) fn items(&self, others: &[&str], read: impl Fn(&[u8]) -> Result<Credential>) -> Done<Vec<Result<Item>>> {
        let (keys, _) = self.children()?;
        let mut items = vec![];
        for key in keys {
            let name = key.description().map(|description| description.description);
            if name.is_ok_and(|name| others.contains(&&*name)) {
                continue;
            }
            // One that has ended meanwhile is as good as none.
            let Ok(payload) = key.read().map(Zeroizing::new) else { continue };
            items.push(read(&payload).map(|credential| Item { key, credential }));
        }
        Ok(items)
    }

    pub(super) fn unlink(&self, item: &Item) -> Done<()> {
        told(self.0.clone().unlink_key(&item.key))
    }

    pub(super) fn unlink_ring(&self, ring: &Ring) -> Done<()> {
        told(self.0.clone().unlink_keyring(&ring.0))
    }

    pub(super) fn clear(&self) -> Done<()> {
        told(self.0.clone().clear())
    }
}
