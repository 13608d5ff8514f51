//! A whole realm: into etcd, out of it, compared with it.

use crate::config::Config;
use crate::core::store::Exported;
use crate::core::{Store, StoreError};
use crate::error::{Error, Result};
use crate::house;
use crate::manage::say;
use crate::moving;
use crate::store::etcd;
use crate::store::{DumpLine, MasterKey, Redb, read_dump_line};

/// `kdc store publish`.
pub fn publish(config: &Config) -> Result<()> {
    let options = house::options(config)?;
    let store = open(config)?;
    let count = wait(etcd::publish(&options, &store))?;
    let (prefix, file) = (&options.prefix, config.store.file.display());
    say(&format!(
        "{count} principals of {} are in etcd, below {prefix}. {file} is a copy of that from now on.

Next:
  kdc run on this machine; and on others with the same master key, [store] and realm in their kdc.toml
",
        config.realm
    ))
}

/// `kdc store detach`.
pub fn detach(config: &Config) -> Result<()> {
    let store = open(config)?;
    let position = store.position()?.filter(|position| position.revision > 0);
    let Some(position) = position else {
        return Err(Error::file(store.file(), "no copy, or not a whole one"));
    };
    store.become_copy(false)?;
    say(&format!(
        "{} is a store of its own, as the realm was at revision {}. What is in etcd stays there.
",
        store.file().display(),
        position.revision
    ))
}

/// `kdc leave`.
pub fn leave(config: &Config) -> Result<()> {
    let options = house::options(config)?;
    let store = open(config)?;
    if store.position()?.is_none() {
        return Err(Error::file(store.file(), "a store of its own, no copy: it may be all that there is of the realm"));
    }
    let living = wait(etcd::living(&options))?;
    if living.newest == 0 {
        let problem = format!("there is no realm at {} in etcd: this copy may be all that is left", options.prefix);
        return Err(Error::file(store.file(), problem));
    }
    let file = store.file().to_owned();
    drop(store);
    std::fs::remove_file(&file).map_err(|error| Error::file(&file, error))?;
    say(&format!(
        "The copy {} is gone; {} KDCs of {} live.

What is left here of the realm: {}, and what lets this machine into etcd. Remove both, and take its
name out of krb5.conf or DNS (`kdc dns` on another KDC prints the records).
",
        file.display(),
        living.kdcs.len(),
        config.realm,
        config.master_key
    ))
}

/// `kdc store fence`.
pub fn fence(config: &Config) -> Result<()> {
    let options = house::options(config)?;
    // Where the KDC of this machine runs, etcd and the clock tell enough.
    let position = open(config).ok().and_then(|store| store.position().ok()?);
    let epoch = wait(etcd::fence(&options, position.map_or(0, |position| position.epoch)))?;
    say(&format!(
        "What is in etcd below {} is of epoch {epoch}. Every KDC of {} reads it anew, and takes nothing older from now on.\n",
        options.prefix, config.realm
    ))
}

/// `kdc store verify`.
pub fn verify(config: &Config) -> Result<()> {
    let options = house::options(config)?;
    let master = MasterKey::load(&config.master_key)?;
    let found = match Redb::open(&config.store.file, MasterKey::load(&config.master_key)?) {
        Ok(store) => {
            let export = store.export()?;
            wait(etcd::compare(&options, &master, revision(export.head.revision)?, export.records))?
        }
        Err(StoreError::InUse(_)) => {
            let mut lines = moving::asked(config)?;
            let head = lines.next().ok_or_else(|| Error::Other("the KDC says nothing of its copy".into()))??;
            let Ok(DumpLine::Header(head)) = read_dump_line(&head) else {
                return Err(Error::Other("the KDC says nothing of its copy; is it of another version?".into()));
            };
            wait(etcd::compare(
                &options,
                &master,
                revision(head.revision)?,
                lines.filter_map(|line| exported(line).transpose()),
            ))?
        }
        Err(error) => return Err(error.into()),
    };
    let digest: String = found.digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let (records, revision) = (found.records, found.revision);
    if found.differences.is_empty() {
        return say(&format!("ok: {records} records at revision {revision}, as in etcd, SHA-256 {digest}\n"));
    }
    let differences = found.differences.join("\n  ");
    let next = "stop this KDC and move the copy away: it is made anew at the next start";
    Err(Error::Other(format!("the copy is not as etcd was at revision {revision}:\n  {differences}\n{next}")))
}

fn open(config: &Config) -> Result<Redb> {
    let store = Redb::open(&config.store.file, MasterKey::load(&config.master_key)?)?;
    if store.realm() != config.realm {
        let problem = format!("the store of {}, but `realm` in kdc.toml is {}", store.realm(), config.realm);
        return Err(Error::file(store.file(), problem));
    }
    Ok(store)
}

fn exported(line: Result<String>) -> Result<Option<Exported>, StoreError> {
    let line = line.map_err(|error| StoreError::Storage(error.to_string()))?;
    match read_dump_line(&line) {
        Ok(DumpLine::Record(record)) => Ok(Some(record)),
        Ok(_) => Ok(None),
        Err(problem) => Err(StoreError::Storage(problem)),
    }
}

fn revision(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Storage("the revision of the copy is none".into()))
}

/// Runs to its end what talks to etcd.
pub fn wait<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Other(format!("no threads to run on: {error}")))?;
    Ok(runtime.block_on(work)?)
}
