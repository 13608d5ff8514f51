//! Names in etcd: in clear, or sealed (`seal_names`). Then a record stands under a keyed hash of its name, and is
//! sealed whole with the name in it. The secret for both is in the realm's own record, sealed under the master
//! key: a roll-over of that seals it anew, and moves no record. Not here: the keys in records, which are sealed
//! in either case (`record`).

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use hmac::{Hmac, KeyInit, Mac};
use prost::Message;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Options;
use super::layout::{Kind, Layout, Realm, SCHEMA, put};
use super::wire::{KeyValue, Op};
use crate::core::StoreError;
use crate::store::redb::Row;
use crate::store::{MasterKey, open_under, seal_under};

/// What the secret is bound to while the master key seals it.
const CONTEXT: &[u8] = b"the names of a realm";
/// What is derived from it: hashes of names, keys that seal, hashes of requests.
const NAME: u8 = 1;
const SEAL: u8 = 2;
const REQUEST: u8 = 3;
/// Octets of a hash that stands for a name, and of what makes each key that seals another one.
const HASH: usize = 16;

/// How names stand in etcd.
#[derive(Clone, Default)]
pub enum Names {
    /// For everybody to read who may read there.
    #[default]
    Clear,
    /// Under a secret that is known once the realm's record was read.
    Sealed(Arc<ArcSwapOption<Secret>>),
}

/// What hashes and seals names.
pub struct Secret(Zeroizing<[u8; 32]>);

/// What a sealed value has in it: a name with its record, or those that are gone.
#[derive(Clone, PartialEq, Message)]
struct Inside {
    #[prost(string, repeated, tag = "1")]
    principals: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    policies: Vec<String>,
    #[prost(bytes = "vec", tag = "3")]
    record: Vec<u8>,
}

impl Secret {
    fn fresh() -> Result<Self, StoreError> {
        let mut octets = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *octets).map_err(|_| no_random())?;
        Ok(Secret(octets))
    }

    fn open(octets: &[u8], master: &MasterKey) -> Option<Self> {
        let (version, sealed) = octets.split_first_chunk()?;
        let opened = master.open(u32::from_be_bytes(*version), sealed, CONTEXT)?;
        Some(Secret(Zeroizing::new(opened.as_slice().try_into().ok()?)))
    }

    fn sealed(&self, master: &MasterKey) -> Result<Vec<u8>, StoreError> {
        let (version, sealed) = master.seal(self.0.as_slice(), CONTEXT)?;
        Ok([&version.to_be_bytes()[..], &sealed].concat())
    }

    fn derived(&self, what: u8, of: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        // A key may have any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else { return Zeroizing::default() };
        mac.update(&[what]);
        of.iter().for_each(|part| mac.update(part));
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    fn hash(&self, what: u8, of: &[&[u8]]) -> String {
        self.derived(what, of).iter().take(HASH).map(|octet| format!("{octet:02x}")).collect()
    }

    /// Bound to the key at which it is put. Each time another key seals: this secret is never used up.
    fn seal(&self, place: &[u8], inside: &Inside) -> Result<Vec<u8>, StoreError> {
        let mut salt = [0; HASH];
        getrandom::fill(&mut salt).map_err(|_| no_random())?;
        let plain = Zeroizing::new(inside.encode_to_vec());
        let sealed = seal_under(&self.derived(SEAL, &[&salt, place]), &plain, place)?;
        Ok([&salt[..], &sealed].concat())
    }

    fn unseal(&self, place: &[u8], sealed: &[u8]) -> Option<Inside> {
        let (salt, sealed) = sealed.split_first_chunk::<HASH>()?;
        let plain = open_under(&self.derived(SEAL, &[salt, place]), sealed, place)?;
        Inside::decode(plain.as_slice()).ok()
    }
}

impl Inside {
    fn of(rows: &[Row], record: Vec<u8>) -> Self {
        let mut inside = Inside { record, ..Inside::default() };
        for row in rows {
            match row {
                Row::Principal(name) => inside.principals.push(name.clone()),
                Row::Policy(name) => inside.policies.push(name.clone()),
            }
        }
        inside
    }

    fn rows(self) -> impl Iterator<Item = Row> {
        let policies = self.policies.into_iter().map(Row::Policy);
        self.principals.into_iter().map(Row::Principal).chain(policies)
    }
}

impl Names {
    /// As the settings have them.
    pub fn of(options: &Options) -> Self {
        if options.seal_names { Names::Sealed(Arc::default()) } else { Names::Clear }
    }

    /// The secret, where names are sealed.
    fn secret(&self) -> Result<Option<Arc<Secret>>, StoreError> {
        match self {
            Names::Clear => Ok(None),
            Names::Sealed(secret) => match secret.load_full() {
                Some(secret) => Ok(Some(secret)),
                None => Err(StoreError::ReadOnly("read-only: the realm in etcd has not been read yet".into())),
            },
        }
    }
}

impl Layout {
    /// Begins a realm: what its record has of its names, empty where they are in clear.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn begin(&self, master: &MasterKey) -> Result<Vec<u8>, StoreError> {
        let Names::Sealed(known) = self.names() else { return Ok(vec![]) };
        let secret = Secret::fresh()?;
        let sealed = secret.sealed(master)?;
        known.store(Some(Arc::new(secret)));
        Ok(sealed)
    }

    /// Looks whether the realm that stands there is one that this KDC can read, whose names are as its settings
    /// have them, and learns their secret.
    ///
    /// # Errors
    /// When it is not, and what to do.
    pub fn agree(&self, realm: &Realm, master: &MasterKey) -> Result<(), StoreError> {
        realm.can_be_read(self)?;
        let prefix = self.prefix();
        let problem = match (self.names(), realm.names.as_slice()) {
            (Names::Clear, []) => return Ok(()),
            (Names::Sealed(known), sealed @ [_, ..]) => match Secret::open(sealed, master) {
                Some(secret) => {
                    known.store(Some(Arc::new(secret)));
                    return Ok(());
                }
                None => format!("the names at {prefix} in etcd don't open with the master key here"),
            },
            (Names::Clear, _) => format!(
                "names at {prefix} in etcd are sealed, but `seal_names` in kdc.toml is off; put `seal_names = true` \
                 under [store], as all KDCs of the realm have it"
            ),
            (Names::Sealed(_), []) => format!(
                "names at {prefix} in etcd are in clear, but `seal_names` in kdc.toml is on; take it out, as all KDCs of \
                 the realm have it, or publish the realm anew (docs/guide/cluster.md)"
            ),
        };
        Err(StoreError::Storage(problem))
    }

    /// The key of a record.
    ///
    /// # Errors
    /// While the realm's record has not been read.
    pub fn place(&self, row: &Row) -> Result<Vec<u8>, StoreError> {
        let secret = self.names().secret()?;
        Ok(self.key(&match (secret, row) {
            (None, Row::Principal(name)) => Kind::Principal(name.clone()),
            (None, Row::Policy(name)) => Kind::Policy(name.clone()),
            (Some(secret), Row::Principal(name)) => Kind::Sealed(secret.hash(NAME, &[b"p", name.as_bytes()])),
            (Some(secret), Row::Policy(name)) => Kind::Sealed(secret.hash(NAME, &[b"o", name.as_bytes()])),
        }))
    }

    /// Puts a record.
    ///
    /// # Errors
    /// As [`Layout::place`].
    pub fn put_row(&self, row: Row, record: Vec<u8>) -> Result<Op, StoreError> {
        let place = self.place(&row)?;
        let value = match self.names().secret()? {
            None => record,
            Some(secret) => secret.seal(&place, &Inside::of(&[row], record))?,
        };
        Ok(put(place, value))
    }

    /// Tells whom the commit removes that this is part of: a hash that is gone does not say whose it was.
    ///
    /// # Errors
    /// As [`Layout::place`].
    pub fn put_gone(&self, rows: &[Row]) -> Result<Option<Op>, StoreError> {
        let Some(secret) = self.names().secret()?.filter(|_| !rows.is_empty()) else { return Ok(None) };
        let place = self.key(&Kind::Gone);
        let value = secret.seal(&place, &Inside::of(rows, vec![]))?;
        Ok(Some(put(place, value)))
    }

    /// A record, and whose it is; `None` for what is none, or does not stand there as this realm has it.
    pub fn row(&self, kv: KeyValue) -> Option<(Row, Vec<u8>)> {
        match (self.names().secret().ok()?, self.kind(&kv.key)?) {
            (None, Kind::Principal(name)) => Some((Row::Principal(name), kv.value)),
            (None, Kind::Policy(name)) => Some((Row::Policy(name), kv.value)),
            (Some(secret), Kind::Sealed(hash)) => {
                let Some(mut inside) = secret.unseal(&kv.key, &kv.value) else {
                    tracing::warn!(hash, "a record in etcd does not open: it counts as not there");
                    return None;
                };
                let record = std::mem::take(&mut inside.record);
                inside.rows().next().map(|row| (row, record))
            }
            _ => None,
        }
    }

    /// Whom a commit removed, as it tells.
    pub fn gone(&self, kv: &KeyValue) -> Vec<Row> {
        let secret = self.names().secret().ok().flatten();
        let inside = secret.and_then(|secret| secret.unseal(&kv.key, &kv.value));
        inside.into_iter().flat_map(Inside::rows).collect()
    }

    /// Whose record a key was, where it tells that.
    pub fn named(&self, key: &[u8]) -> Option<Row> {
        match (self.names(), self.kind(key)?) {
            (Names::Clear, Kind::Principal(name)) => Some(Row::Principal(name)),
            (Names::Clear, Kind::Policy(name)) => Some(Row::Policy(name)),
            _ => None,
        }
    }

    /// Where the answer to a request stands. Its id is a hash in which the name of who asked is, and no key.
    ///
    /// # Errors
    /// As [`Layout::place`].
    pub fn answer(&self, request: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
        let id = match self.names().secret()? {
            None => request.iter().map(|octet| format!("{octet:02x}")).collect(),
            Some(secret) => secret.hash(REQUEST, &[request]),
        };
        Ok(format!("{}/q/{id}", self.prefix()).into_bytes())
    }
}

impl Realm {
    /// The oldest version of this code's records that can read a realm.
    pub fn schema_of(names: &[u8]) -> u32 {
        if names.is_empty() { 1 } else { SCHEMA }
    }

    /// # Errors
    /// Where a newer version is needed.
    pub fn can_be_read(&self, layout: &Layout) -> Result<(), StoreError> {
        if self.schema <= SCHEMA {
            return Ok(());
        }
        let prefix = layout.prefix();
        Err(StoreError::Storage(format!("{prefix} in etcd was written by a newer kdc; use that version")))
    }

    /// What the record has of its names, sealed under what a master key seals with by now.
    ///
    /// # Errors
    /// When it does not open.
    pub fn names_anew(&self, master: &MasterKey) -> Result<Vec<u8>, StoreError> {
        if self.names.is_empty() {
            return Ok(vec![]);
        }
        let gone = || StoreError::Storage("the names in etcd don't open with the master key here".into());
        Secret::open(&self.names, master).ok_or_else(gone)?.sealed(master)
    }
}

fn no_random() -> StoreError {
    StoreError::Storage("no random bytes".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealing() -> Layout {
        Layout::of(&Options { prefix: "/kdc/R".into(), seal_names: true, ..Options::default() })
    }

    fn value(op: Op) -> KeyValue {
        let Some(super::super::wire::Step::Put(put)) = op.step else { panic!("a put") };
        KeyValue { key: put.key, modified: 1, value: put.value, lease: 0 }
    }

    #[test]
    fn a_sealed_record_names_nobody_and_opens_where_it_was_put_only() {
        let master = MasterKey::ephemeral().expect("random");
        let (layout, other) = (sealing(), sealing());
        let row = || Row::Principal("alice@R".into());
        assert!(matches!(layout.place(&row()), Err(StoreError::ReadOnly(_))), "never in clear");
        let realm = |layout: &Layout| {
            let names = layout.begin(&master).expect("random");
            Realm { schema: Realm::schema_of(&names), names, ..Realm::default() }
        };
        let (first, second) = (realm(&layout), realm(&other));
        let put = value(layout.put_row(row(), b"of alice".to_vec()).expect("sealed"));
        let again = value(layout.put_row(row(), b"of alice".to_vec()).expect("sealed"));
        assert!(put.key == again.key && put.value != again.value);
        for octets in [&put.key, &put.value] {
            assert!(!octets.windows(5).any(|part| part == b"alice"));
        }
        assert_eq!(layout.row(put.clone()), Some((row(), b"of alice".to_vec())));
        assert_eq!(other.row(put.clone()), None);
        let key = layout.place(&Row::Policy("alice@R".into())).expect("known");
        assert_ne!(key, put.key, "a policy is another");
        assert_eq!(layout.row(KeyValue { key, ..put.clone() }), None);
        // Another KDC learns the secret, also one that has been sealed anew.
        other.agree(&Realm { names: first.names_anew(&master).expect("opens"), ..first }, &master).expect("agrees");
        assert_eq!(other.row(put), Some((row(), b"of alice".to_vec())));
        let stranger = MasterKey::ephemeral().expect("random");
        assert!(other.agree(&second, &stranger).is_err());
    }

    #[test]
    fn kdcs_that_do_not_agree_on_names_or_are_too_old_say_so() {
        let master = MasterKey::ephemeral().expect("random");
        let (clear, sealing) = (Layout::below("/kdc/R"), sealing());
        let names = sealing.begin(&master).expect("random");
        let sealed = Realm { schema: 2, names, ..Realm::default() };
        let open = Realm { schema: 1, ..Realm::default() };
        let said = |layout: &Layout, realm: &Realm| layout.agree(realm, &master).expect_err("differs").to_string();
        assert!(clear.agree(&open, &master).is_ok() && sealing.agree(&sealed, &master).is_ok());
        assert!(said(&clear, &sealed).contains("put `seal_names = true`"));
        assert!(said(&sealing, &open).contains("are in clear"));
        assert!(said(&clear, &Realm { schema: SCHEMA + 1, ..open }).contains("newer kdc"));
    }

    #[test]
    fn who_is_gone_is_told_to_those_who_know_the_secret() {
        let master = MasterKey::ephemeral().expect("random");
        let layout = sealing();
        let _ = layout.begin(&master).expect("random");
        let rows = [Row::Principal("alice@R".into()), Row::Policy("strict".into())];
        let told = value(layout.put_gone(&rows).expect("known").expect("somebody"));
        assert_eq!(layout.gone(&told), rows);
        assert!(!told.value.windows(5).any(|part| part == b"alice"));
        assert!(layout.put_gone(&[]).expect("known").is_none());
        assert!(Layout::below("/kdc/R").put_gone(&rows).expect("clear").is_none(), "their keys say it");
    }
}
