//! Which store the settings name, opened: a file, or etcd with the file of a copy. Not here: the stores
//! themselves.

use std::sync::Arc;

use crate::check;
use crate::config::Config;
use crate::core::StoreError;
use crate::error::Result;
use crate::store::{self, House};

/// Opens the store of the settings for a KDC.
///
/// # Errors
/// When it can't be opened, or is not that of the realm.
pub fn open(config: &Config) -> Result<Arc<dyn House>> {
    if config.store.etcd.is_some() {
        return Ok(in_etcd(config)?);
    }
    let store = store::open(&config.store.file, &config.master_key, config.limits.kept())?;
    check::belongs(store.inner(), config)?;
    Ok(Arc::new(store))
}

/// Opens the realm in etcd that the settings name, with its copy.
///
/// # Errors
/// When it can't be opened.
#[cfg(feature = "etcd")]
pub fn in_etcd(config: &Config) -> Result<Arc<dyn House>, StoreError> {
    let options = options(config)?;
    let master = store::MasterKey::load(&config.master_key)?;
    store::remind(&master);
    let kept = config.limits.kept();
    Ok(Arc::new(store::etcd::Etcd::open(options, &config.store.file, &config.realm, master, kept)?))
}

/// There is none in this build.
///
/// # Errors
/// Always.
#[cfg(not(feature = "etcd"))]
pub fn in_etcd(_: &Config) -> Result<Arc<dyn House>, StoreError> {
    let next = "build it with `cargo build --release -p kdc --features etcd`";
    Err(StoreError::Storage(format!("store.kind = \"etcd\": this kdc was built without it; {next}")))
}

/// What the settings say of etcd.
///
/// # Errors
/// When they say nothing, or the password can't be read.
#[cfg(feature = "etcd")]
pub fn options(config: &Config) -> Result<store::etcd::Options, StoreError> {
    let Some(etcd) = config.store.etcd.clone() else {
        return Err(StoreError::Storage("the settings name no etcd: [store] kind = \"etcd\"".into()));
    };
    let password = etcd.password.map(|password| password.read()).transpose();
    let password = password.map_err(|error| StoreError::Storage(error.to_string()))?;
    Ok(store::etcd::Options {
        endpoints: etcd.endpoints,
        prefix: etcd.prefix.unwrap_or_else(|| format!("/kdc/{}", config.realm)),
        ca: etcd.ca,
        identity: etcd.identity,
        user: etcd.user,
        password: password.map(|text| zeroize::Zeroizing::new(text.trim_end_matches('\n').to_owned())),
        max_staleness: etcd.max_staleness.map(|seconds| std::time::Duration::from_secs(seconds.unsigned_abs())),
        seal_names: etcd.seal_names,
        world: store::etcd::World::default(),
    })
}
