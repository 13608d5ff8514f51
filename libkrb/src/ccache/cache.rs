//! What can be done with a named cache, wherever it lies.

use super::{CacheName, Ccache, Credential, file, memory};
use crate::error::{Error, Result};
use crate::name::Principal;

impl CacheName {
    /// The cache itself: for a directory the member that its file `primary` names, which is made if
    /// there is none; for a daemon or a keyring the one that is the primary one there.
    ///
    /// # Errors
    /// [`Error::Storage`] if the directory is none, or nobody is there to say.
    pub fn resolve(&self) -> Result<CacheName> {
        match self {
            CacheName::Dir(directory) => file::dir::primary(directory).map(CacheName::Member),
            CacheName::Kcm(name) => name.resolve().map(CacheName::Kcm),
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.resolve().map(CacheName::Keyring),
            name => Ok(name.clone()),
        }
    }

    /// Reads the cache.
    ///
    /// # Errors
    /// [`Error::NoCache`] if there is none, [`Error::Storage`] if it cannot be read.
    pub fn load(&self) -> Result<Ccache> {
        match self.resolve()? {
            CacheName::Memory(name) => memory::load(&name),
            CacheName::File(path) | CacheName::Member(path) | CacheName::Dir(path) => file::load(&path),
            CacheName::Kcm(name) => name.load(),
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.load(),
        }
    }

    /// Makes the cache anew, of mode 0600, with this content: who looks sees the old or the new one. (In a keyring, and
    /// with an older daemon, it is made piece by piece.)
    ///
    /// # Errors
    /// [`Error::Storage`] if it cannot be written.
    pub fn replace(&self, cache: &Ccache) -> Result<()> {
        match self.resolve()? {
            CacheName::Memory(name) => memory::replace(&name, cache.clone()),
            CacheName::File(path) | CacheName::Member(path) | CacheName::Dir(path) => file::replace(&path, cache)?,
            CacheName::Kcm(name) => name.replace(cache)?,
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.replace(cache)?,
        }
        Ok(())
    }

    /// Makes the cache anew, empty, for `principal`.
    ///
    /// # Errors
    /// As [`CacheName::replace`].
    pub fn initialize(&self, principal: &Principal, kdc_offset: Option<(i32, i32)>) -> Result<()> {
        self.replace(&Ccache { kdc_offset, ..Ccache::new(principal.clone()) })
    }

    /// Adds a credential.
    ///
    /// # Errors
    /// As [`CacheName::load`]; and [`Error::Storage`] if it cannot be written.
    pub fn store(&self, credential: &Credential) -> Result<()> {
        match self.resolve()? {
            CacheName::Memory(name) => memory::change(&name, |cache| cache.credentials.push(credential.clone())),
            CacheName::File(path) | CacheName::Member(path) | CacheName::Dir(path) => file::store(&path, credential),
            CacheName::Kcm(name) => name.store(credential),
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.store(credential),
        }
    }

    /// Removes the credentials that are `unwanted`, and says how many there were.
    ///
    /// # Errors
    /// As [`CacheName::store`].
    pub fn remove(&self, unwanted: impl Fn(&Credential) -> bool) -> Result<usize> {
        match self.resolve()? {
            CacheName::Memory(name) => memory::change(&name, |cache| {
                let before = cache.credentials.len();
                cache.credentials.retain(|credential| !unwanted(credential));
                before.saturating_sub(cache.credentials.len())
            }),
            CacheName::File(path) | CacheName::Member(path) | CacheName::Dir(path) => file::remove(&path, unwanted),
            CacheName::Kcm(name) => name.remove(unwanted),
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.remove(unwanted),
        }
    }

    /// Removes the whole cache and overwrites what it held.
    ///
    /// # Errors
    /// As [`CacheName::store`].
    pub fn destroy(&self) -> Result<()> {
        match self.resolve()? {
            CacheName::Memory(name) => memory::destroy(&name),
            CacheName::File(path) | CacheName::Member(path) | CacheName::Dir(path) => file::destroy(&path),
            CacheName::Kcm(name) => name.destroy(),
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.destroy(),
        }
    }

    /// The caches of the collection that this name, as the default, stands for; the primary one first.
    ///
    /// # Errors
    /// [`Error::Storage`] if a directory cannot be listed.
    pub fn members(&self) -> Result<Vec<CacheName>> {
        match self {
            CacheName::Dir(directory) => file::dir::members(directory),
            CacheName::Kcm(name) => name.members(),
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.members(),
            CacheName::File(path) | CacheName::Member(path) => {
                Ok(if file::exists(path) { vec![self.clone()] } else { vec![] })
            }
            CacheName::Memory(_) => {
                let mut names = memory::names();
                names.sort_by_key(|name| name != self);
                Ok(names)
            }
        }
    }

    /// The member of the collection that is `principal`'s.
    ///
    /// # Errors
    /// [`Error::Storage`] if there is none.
    pub fn member_of(&self, principal: &Principal) -> Result<CacheName> {
        let is_theirs = |name: &CacheName| name.load().is_ok_and(|cache| cache.principal == *principal);
        self.members()?.into_iter().find(is_theirs).ok_or_else(|| {
            Error::storage(format!("Can't find client principal {principal} in cache collection"), "", "")
        })
    }

    /// Makes this member the primary one of its collection; nothing where it is the only one.
    ///
    /// # Errors
    /// [`Error::Storage`] if the directory cannot be written.
    pub fn switch(&self) -> Result<()> {
        match self {
            CacheName::Member(path) => file::dir::switch(path),
            CacheName::Kcm(name) => name.switch(),
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.switch(),
            _ => Ok(()),
        }
    }

    /// A new member of the collection, empty and without a principal yet: [`CacheName::replace`] it.
    ///
    /// # Errors
    /// [`Error::Storage`] if it cannot be made.
    pub fn new_unique(&self) -> Result<CacheName> {
        match self {
            CacheName::Dir(directory) => file::dir::new_unique(directory).map(CacheName::Member),
            CacheName::Member(path) => file::new_unique(path).map(CacheName::Member),
            CacheName::File(path) => file::new_unique(path).map(CacheName::File),
            CacheName::Memory(_) => Ok(memory::unused_name()),
            CacheName::Kcm(name) => name.new_unique().map(CacheName::Kcm),
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.new_unique().map(CacheName::Keyring),
        }
    }
}
