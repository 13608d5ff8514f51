//! Where a move goes: a store file in the making beside the realm's own, which takes its place when
//! it is whole and not before. A process that is killed leaves the realm as it was; what it had made
//! is thrown away by the next. Not here: what goes in.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::check;
use crate::config::Config;
use crate::core::{Entry, Store, StoreError};
use crate::error::{Error, Result};
use crate::store::{Existing, MasterKey, Redb};

/// What is added to the store's name while a new one is made.
const SUFFIX: &str = ".making";
/// `kdc init` makes fewer principals than these.
const FRESH: usize = 16;

/// A store in the making.
pub struct Place {
    config: Config,
    /// The realm's present store, held so that nobody serves or changes it meanwhile.
    old: Option<Redb>,
    making: Option<Redb>,
    path: PathBuf,
    /// What a realm that was never used has: each gives way to one of the same name that comes.
    own: Vec<Entry>,
    /// What to do about those that are in the store.
    pub existing: Existing,
    used: bool,
}

impl Place {
    /// Prepares the place of the realm of `config`: an empty store if the realm has none yet or it
    /// was never used, else a copy of its store.
    ///
    /// # Errors
    /// When a KDC runs on the store, another move is under way, or the files are not sound.
    pub fn take(config: &Config, existing: Existing) -> Result<Self> {
        let load = || MasterKey::load(&config.master_key);
        let there = std::fs::symlink_metadata(&config.store.file).is_ok();
        let old = if there { Some(Redb::open(&config.store.file, load()?)?) } else { None };
        if let Some(old) = old.as_ref().filter(|old| old.realm() != config.realm) {
            let problem = format!("the store of {}, but `realm` in kdc.toml is {}", old.realm(), config.realm);
            return Err(Error::file(old.file(), problem));
        }
        let own = old.as_ref().map_or(Ok(Some(vec![])), |old| unused(old, &config.realm))?;
        let mut path = config.store.file.clone().into_os_string();
        path.push(SUFFIX);
        let path = PathBuf::from(path);
        clear(&path)?;
        let used = own.is_none();
        let mut place = Place {
            config: config.clone(),
            old,
            making: None,
            path,
            own: own.unwrap_or_default(),
            existing: if used { existing } else { Existing::Refuse },
            used,
        };
        let made = match used {
            false => Redb::create(&place.path, &config.realm, load()?),
            true => {
                // With the permissions of the old one.
                std::fs::copy(&config.store.file, &place.path).map_err(|error| Error::file(&place.path, error))?;
                Redb::open(&place.path, load()?)
            }
        };
        place.making = Some(made?);
        Ok(place)
    }

    /// The store in the making.
    ///
    /// # Errors
    /// Never, before it is finished.
    pub fn store(&self) -> Result<&Redb> {
        self.making.as_ref().ok_or_else(|| Error::Other("the store is finished".into()))
    }

    /// Whether the store has principals that somebody made.
    pub fn is_used(&self) -> bool {
        self.used
    }

    /// What the unused realm had.
    pub fn own(&self) -> &[Entry] {
        &self.own
    }

    /// Puts the new store in the place of the old one.
    ///
    /// # Errors
    /// When it lacks what a KDC needs, or can't be put there.
    pub fn finish(mut self) -> Result<()> {
        check::belongs(self.store()?, &self.config)?;
        // Closed, so that it opens without repair.
        drop(self.making.take());
        let folder = self.config.store.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::rename(&self.path, &self.config.store.file)
            .map_err(|error| Error::file(&self.config.store.file, error))?;
        let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        synced.map_err(|error| Error::file(&self.config.store.file, error))?;
        drop(self.old.take());
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.making.take());
        // After `finish` there is none.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The principals of a store that `kdc init` made and nobody has used; `None` for another.
fn unused(store: &Redb, realm: &str) -> Result<Option<Vec<Entry>>> {
    let names = store.list(None, FRESH)?;
    if names.len() >= FRESH || !store.policies()?.is_empty() {
        return Ok(None);
    }
    let by = format!("kdc/init@{realm}");
    let mut entries = vec![];
    for name in names {
        let entry = store.lookup(&name)?.ok_or(StoreError::Missing(name))?;
        if entry.modified_by != by {
            return Ok(None);
        }
        entries.push((*entry).clone());
    }
    Ok(Some(entries))
}

/// Removes what an earlier move left that was killed; refuses if it is still at it.
fn clear(path: &Path) -> Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::file(path, error)),
    };
    match file.try_lock() {
        Ok(()) => std::fs::remove_file(path).map_err(|error| Error::file(path, error)),
        Err(_) => Err(Error::file(path, "another import or load is under way; wait until it is over")),
    }
}
