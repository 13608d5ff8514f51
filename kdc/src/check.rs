//! Whether a KDC could run: its settings, its master key, its store, and that these belong
//! together.

use std::path::Path;

use libkrb::Principal;

use crate::admin::Https;
use crate::config::{self, Config};
use crate::core::{Store, StoreError};
use crate::error::{Error, Result};
use crate::manage;
use crate::run::beside::Beside;
use crate::store::{MasterKey, Redb};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// The realm.
    pub realm: String,
    /// Its principals; `None` when a running KDC has the store, which was not looked into.
    pub principals: Option<usize>,
}

/// Checks everything that the settings in `path` name, every record included.
///
/// # Errors
/// The first thing that is wrong, where, and what to do.
pub fn check(path: &Path) -> Result<Sound> {
    let config = config::load(path)?;
    let _ = config.acl()?;
    config.dictionary()?;
    config.check_secrets()?;
    manage::check_key(&config.audit)?;
    Https::check(&config)?;
    Beside::check(&config)?;
    config.pkinit()?;
    let master = MasterKey::load(&config.master_key)?;
    let realm = config.realm.clone();
    if config.store.etcd.is_some() && !config.store.file.exists() {
        // The copy comes when the KDC does.
        return Ok(Sound { realm, principals: None });
    }
    match Redb::open(&config.store.file, master) {
        Ok(mut store) => {
            belongs(&store, &config)?;
            Ok(Sound { realm, principals: Some(store.verify()?) })
        }
        Err(StoreError::InUse(_)) => Ok(Sound { realm, principals: None }),
        Err(error) => Err(error.into()),
    }
}

/// Whether a store is that of the realm in the settings, and can serve it.
///
/// # Errors
/// When it is not.
pub fn belongs(store: &Redb, config: &Config) -> Result<()> {
    let (own, realm) = (store.realm(), &config.realm);
    if own != realm {
        let problem = format!("the store of {own}, but `realm` in kdc.toml is {realm}");
        return Err(Error::file(store.file(), problem));
    }
    let tgs = Principal::tgs(realm);
    match store.lookup(&tgs)? {
        Some(entry) if entry.newest().is_some() => Ok(()),
        Some(_) => Err(Error::file(store.file(), format!("{tgs} has no key; kadmin: cpw -randkey {tgs}"))),
        None => Err(Error::file(store.file(), format!("there is no {tgs}, without which nobody gets a ticket"))),
    }
}
