//! Opened entries kept in memory, in front of any store: a hit costs neither a read nor a
//! decryption, and finds its key schedules ready.
//!
//! Who is asked for once is a newcomer and soon forgotten: of a realm much larger than the cache nearly
//! all are, and keeping them would displace those that come again, for memory that each time is cold.
//! Who is asked for again while he is a newcomer, or while it is known still that he was one, is kept until
//! there is no room.
//!
//! No stale entry outlives a commit. A miss loads and inserts under the shared side of a lock; a
//! commit, once durable, takes the exclusive side and drops the entries it changed: a load that
//! began before the commit has inserted by then, one that begins after it sees what was committed.
//! Names that are not there are not remembered: a flood of them must not displace those that are.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use foldhash::fast::RandomState;
use libkrb::wire::PrincipalName;
use libkrb::{Principal, Time};
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use zeroize::Zeroizing;

use super::plan::normal;
use crate::core::attempts::{AccountId, Record};
use crate::core::store::{Export, Standing};
use crate::core::{Change, Entry, Ledger, PasswordPolicy, Size, Store, StoreError};

/// At most so many newcomers: less than a MiB, which a processor has at hand when they are dropped and wiped.
const NEWCOMERS: usize = 256;
/// At most so many names are known that were asked for: 256 KiB.
const ASKED: usize = 65_536;

/// A store with a bounded number of opened entries in front.
pub struct Cached<S> {
    inner: S,
    newcomers: Newcomers,
    entries: Cache<Principal, Arc<Entry>>,
    /// Those that were asked for. There are few, and only administrators make more.
    policies: RwLock<HashMap<String, Arc<PasswordPolicy>>>,
    loading: RwLock<()>,
}

impl<S: Store> Cached<S> {
    /// Keeps about `capacity` entries of `inner`.
    pub fn new(inner: S, capacity: usize) -> Self {
        let newcomers = Newcomers::new((capacity / 16).clamp(1, NEWCOMERS));
        let entries = Cache::new(capacity.saturating_sub(newcomers.places.len()));
        Cached { inner, newcomers, entries, policies: RwLock::default(), loading: RwLock::new(()) }
    }

    /// The store behind.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S> Cached<S> {
    /// Forgets the entries that `changed` tells; whoever calls holds `loading` for himself.
    fn drop_entries(&self, changed: impl Fn(&Principal) -> bool) {
        self.newcomers.forget(&changed);
        self.entries.retain(|_, entry| !changed(&entry.principal));
    }
}

#[cfg(feature = "etcd")]
impl<S> Cached<S> {
    /// Forgets what was changed in the store behind, once that is done there.
    pub(super) fn forget<'a>(&self, rows: impl Iterator<Item = &'a super::redb::Row>) {
        use super::redb::Row;
        let _exclusive = self.loading.write().unwrap_or_else(PoisonError::into_inner);
        let mut principals = HashSet::new();
        for row in rows {
            match row {
                Row::Principal(name) => drop(Principal::parse(name, None).map(|name| principals.insert(name))),
                Row::Policy(name) => {
                    self.policies.write().unwrap_or_else(PoisonError::into_inner).remove(name);
                }
            }
        }
        if !principals.is_empty() {
            self.drop_entries(|principal| principals.contains(principal));
        }
    }

    /// Forgets everything.
    pub(super) fn forget_all(&self) {
        let _exclusive = self.loading.write().unwrap_or_else(PoisonError::into_inner);
        self.policies.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.newcomers.forget(&|_| true);
        self.entries.clear();
    }
}

/// A name as a message has it, to be looked up without a principal made of it.
struct Spelled<'a>(&'a PrincipalName<'a>, &'a str);

impl Hash for Spelled<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_in(self.1, state);
    }
}

impl Equivalent<Principal> for Spelled<'_> {
    fn equivalent(&self, name: &Principal) -> bool {
        self.1 == name.realm() && self.0.names(name)
    }
}

impl<S: Store> Cached<S> {
    /// Who is not among those that are kept.
    fn load(&self, name: Cow<'_, Principal>) -> Result<Option<Arc<Entry>>, StoreError> {
        let _loading = self.loading.read().unwrap_or_else(PoisonError::into_inner);
        let hash = self.newcomers.hash(&name);
        if let Some(entry) = self.newcomers.find(hash, &name) {
            self.entries.insert(name.into_owned(), Arc::clone(&entry));
            return Ok(Some(entry));
        }
        let found = self.inner.lookup(&name)?;
        if let Some(entry) = &found {
            let kept = (name.into_owned(), Arc::clone(entry));
            match self.newcomers.was_asked_for(hash) {
                true => self.entries.insert(kept.0, kept.1),
                false => self.newcomers.put(hash, kept),
            }
        }
        Ok(found)
    }
}

impl<S: Store> Store for Cached<S> {
    fn lookup(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        let name = normal(name);
        match self.entries.get(&*name) {
            Some(entry) => Ok(Some(entry)),
            None => self.load(name),
        }
    }

    fn find(&self, name: &PrincipalName<'_>, realm: &str) -> Result<Option<Arc<Entry>>, StoreError> {
        // Entries are kept by their normal spelling, which is their only one for nearly all.
        match self.entries.get(&Spelled(name, realm)) {
            Some(entry) => Ok(Some(entry)),
            None => {
                let Ok(name) = name.principal(realm) else { return Ok(None) };
                match normal(&name) {
                    name @ Cow::Borrowed(_) => self.load(name),
                    Cow::Owned(other) => self.lookup(&other),
                }
            }
        }
    }

    fn list(&self, after: Option<&Principal>, limit: usize) -> Result<Vec<Principal>, StoreError> {
        self.inner.list(after, limit)
    }

    fn policy(&self, name: &str) -> Result<Option<Arc<PasswordPolicy>>, StoreError> {
        if let Some(policy) = self.policies.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Some(Arc::clone(policy)));
        }
        let _loading = self.loading.read().unwrap_or_else(PoisonError::into_inner);
        let found = self.inner.policy(name)?;
        if let Some(policy) = &found {
            let mut policies = self.policies.write().unwrap_or_else(PoisonError::into_inner);
            policies.insert(name.to_owned(), Arc::clone(policy));
        }
        Ok(found)
    }

    fn policies(&self) -> Result<Vec<String>, StoreError> {
        self.inner.policies()
    }

    fn policy_user(&self, name: &str) -> Result<Option<Principal>, StoreError> {
        // Past the cache, which must not give way to entries that nobody asked for.
        self.inner.policy_user(name)
    }

    fn oldest_service(&self, now: Time) -> Result<Option<(Principal, Time)>, StoreError> {
        self.inner.oldest_service(now)
    }

    fn size(&self) -> Result<Size, StoreError> {
        self.inner.size()
    }

    fn standing(&self) -> Standing {
        self.inner.standing()
    }

    fn export(&self) -> Result<Export, StoreError> {
        self.inner.export()
    }

    fn answered(&self, request: &[u8; 32]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.inner.answered(request)
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let changed: HashSet<_> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Create(_) | Change::PutPolicy(_) | Change::DeletePolicy(_) | Change::Answered(_) => None,
                Change::Replace(entry) => Some(normal(&entry.principal)),
                Change::Delete(principal) => Some(normal(principal)),
            })
            .collect();
        let done = self.inner.commit(changes);
        // Also after a failure: whether a commit that failed while being written was made is
        // known only to the store below.
        let of_policies = |change: &Change| matches!(change, Change::PutPolicy(_) | Change::DeletePolicy(_));
        if changes.iter().any(of_policies) {
            let _exclusive = self.loading.write().unwrap_or_else(PoisonError::into_inner);
            self.policies.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
        if !changed.is_empty() {
            let _exclusive = self.loading.write().unwrap_or_else(PoisonError::into_inner);
            self.drop_entries(|principal| changed.contains(principal));
        }
        done
    }
}

impl<S: Ledger> Ledger for Cached<S> {
    fn record(&self, who: &AccountId) -> Result<Option<Record>, StoreError> {
        self.inner.record(who)
    }

    fn write_down(&self, records: &[(AccountId, Option<Record>)]) -> Result<(), StoreError> {
        self.inner.write_down(records)
    }
}

/// Who was asked for once, lately: a place for each remainder of a hash, where the last one stands. And,
/// likewise, the hashes of many more.
struct Newcomers {
    places: Box<[Mutex<Option<Newcomer>>]>,
    asked: Box<[AtomicU32]>,
    /// Who could aim at a place would displace newcomers and nobody else, so a quick one will do.
    hasher: RandomState,
}

/// A name that was asked for, and whom it stands for.
type Newcomer = (Principal, Arc<Entry>);

impl Newcomers {
    fn new(places: usize) -> Self {
        Newcomers {
            places: (0..places).map(|_| Mutex::default()).collect(),
            asked: (0..places * ASKED / NEWCOMERS).map(|_| AtomicU32::default()).collect(),
            hasher: RandomState::default(),
        }
    }

    fn hash(&self, name: &Principal) -> u64 {
        self.hasher.hash_one(name)
    }

    fn place(&self, hash: u64) -> Option<MutexGuard<'_, Option<Newcomer>>> {
        let place = hash as usize % self.places.len().max(1);
        Some(self.places.get(place)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn find(&self, hash: u64, name: &Principal) -> Option<Arc<Entry>> {
        let place = self.place(hash)?;
        place.as_ref().filter(|(known, _)| known == name).map(|(_, entry)| Arc::clone(entry))
    }

    fn put(&self, hash: u64, newcomer: Newcomer) {
        // Who stood there is dropped, and his keys wiped, when nobody waits for the place.
        let _before = self.place(hash).and_then(|mut place| place.replace(newcomer));
    }

    /// Whether it is known of a name that it was asked for; from now on it is.
    fn was_asked_for(&self, hash: u64) -> bool {
        let (place, mark) = (hash as usize % self.asked.len().max(1), (hash >> 32) as u32 | 1);
        self.asked.get(place).is_some_and(|asked| asked.swap(mark, Ordering::Relaxed) == mark)
    }

    fn forget(&self, whom: &impl Fn(&Principal) -> bool) {
        for place in &self.places {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            place.take_if(|(_, entry)| whom(&entry.principal));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;

    #[test]
    fn no_more_entries_are_kept_than_there_is_room_for() {
        let store = Cached::new(Memory::new(), 10);
        let name = |number: u32| Principal::parse(&format!("user{number}"), Some("R")).expect("a name");
        let changes: Vec<_> =
            (0..1000).map(|number| Change::Create(Entry::new(name(number), [0; 16], Time(1), ""))).collect();
        store.commit(&changes).expect("committed");
        for number in 0..1000 {
            assert!(store.lookup(&name(number)).expect("readable").is_some());
            assert!(store.lookup(&name(number)).expect("readable").is_some());
            // A name that is not there displaces nobody.
            assert!(store.lookup(&name(number + 1000)).expect("readable").is_none());
        }
        let newcomers = store.newcomers.places.len();
        assert!((1..=10 - newcomers).contains(&store.entries.len()), "{}", store.entries.len());
    }

    #[test]
    fn who_is_asked_for_once_displaces_nobody_who_is_asked_for_again() {
        let store = Cached::new(Memory::new(), 1600);
        let name = |number: u32| Principal::parse(&format!("user{number}"), Some("R")).expect("a name");
        let changes: Vec<_> =
            (0..1000).map(|number| Change::Create(Entry::new(name(number), [0; 16], Time(1), ""))).collect();
        store.commit(&changes).expect("committed");
        let looked_up = |number| store.lookup(&name(number)).expect("readable").expect("there");
        let first = looked_up(0);
        assert!(Arc::ptr_eq(&first, &looked_up(0)), "a newcomer");
        assert_eq!(store.entries.len(), 1);
        (1..1000).for_each(|number| drop(looked_up(number)));
        assert!(Arc::ptr_eq(&first, &looked_up(0)), "kept");
        assert_eq!(store.entries.len(), 1);
        // Long gone, and most of them known still.
        (1..100).for_each(|number| drop(looked_up(number)));
        assert!(store.entries.len() > 50, "{}", store.entries.len());
        // And a change is seen, whether of a newcomer or of who is kept.
        for number in [0, 999] {
            let before = looked_up(number);
            store.commit(&[Change::Replace((*before).clone())]).expect("committed");
            assert_ne!(looked_up(number).revision, before.revision);
        }
    }

    #[test]
    fn an_entry_that_gives_way_is_gone_with_its_keys_which_are_wiped() {
        fn is_wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let folder = tempfile::tempdir().expect("a folder");
        let master = crate::store::MasterKey::ephemeral().expect("random");
        let file = crate::store::Redb::create(&folder.path().join("store"), "R", master).expect("a store");
        let store = Cached::new(file, 4);
        let name = |number: u32| Principal::parse(&format!("user{number}"), Some("R")).expect("a name");
        let entry = |number| {
            let key = libkrb::crypto::Key::new(libkrb::codes::EncryptionType::AES128_SHA1, &[7; 16]).expect("a key");
            is_wiped(&key);
            let keys = vec![crate::core::KeySet::new(1, vec![crate::core::LongTermKey::new(key, None)])];
            Entry { keys, ..Entry::new(name(number), [0; 16], Time(1), "") }
        };
        let changes: Vec<_> = (0..100).map(|number| Change::Create(entry(number))).collect();
        store.commit(&changes).expect("committed");
        let looked_up = |number| store.lookup(&name(number)).expect("readable").expect("there");
        let held: Vec<_> = (0..100).map(|number| Arc::downgrade(&looked_up(number))).collect();
        let alive = held.iter().filter(|entry| entry.upgrade().is_some()).count();
        assert!(alive <= 4, "{alive}");
    }
}
