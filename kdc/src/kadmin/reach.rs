//! The registry of the realm in a kdc.toml: the running KDC's, or one over the store itself. Not
//! here: registries elsewhere ([`super::away`]).

use std::sync::Arc;
use std::time::Duration;

use super::registry_over;
use crate::admin::{Answer, Local, Operation, Perform, Reason, Refusal, Remote};
use crate::attempts::Counted;
use crate::config::Config;
use crate::core::{Ledger, Store, StoreError};
use crate::error::{Error, Result};
use crate::house;
use crate::manage;
use crate::observe::Observer;
use crate::store::{House, MasterKey, Redb, Vault};

/// How often another kadmin is waited for, which has the store for a moment.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// A registry for a command line, or for a prompt, which may stand there for hours: it must not
/// keep the store from a KDC that is started meanwhile.
pub(super) fn hold(config: &Config, prompt: bool) -> Result<Box<dyn Perform>> {
    let registry = reach(config)?;
    Ok(if prompt { Box::new(Anew { config: config.clone() }) } else { registry })
}

/// The running KDC's registry, or else one over the store itself.
pub(crate) fn reach(config: &Config) -> Result<Box<dyn Perform>> {
    for _ in 0..TRIES {
        if let Some(remote) = Remote::find(&config.admin_socket)? {
            return Ok(Box::new(remote));
        }
        if config.store.etcd.is_some() {
            match house::in_etcd(config) {
                Ok(store) => return over(config, store),
                Err(StoreError::InUse(_)) => std::thread::sleep(PAUSE),
                Err(error) => return Err(error.into()),
            }
            continue;
        }
        match Redb::open(&config.store.file, MasterKey::load(&config.master_key)?) {
            Ok(store) if store.realm() != config.realm => {
                let problem = format!("the store of {}, not of {}", store.realm(), config.realm);
                return Err(Error::file(store.file(), problem));
            }
            Ok(store) => {
                return over(config, Arc::new(store));
            }
            Err(StoreError::InUse(_)) => std::thread::sleep(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
    let problem =
        format!("in use by another process, but nobody answers at {}; end it first", config.admin_socket.display());
    Err(Error::file(&config.store.file, problem))
}

/// A registry over a store that is ours.
fn over(config: &Config, store: Arc<dyn House>) -> Result<Box<dyn Perform>> {
    let observer = Observer::new(manage::audit(&config.audit)?);
    let counted = Counted::over(Arc::clone(&store) as Arc<dyn Ledger>).together(store.together());
    let registry = registry_over(config, Arc::clone(&store) as Arc<dyn Store>, counted)?;
    let registry = registry.with_vault(store as Arc<dyn Vault>).told_to(Arc::new(observer));
    Ok(Box::new(Local::new(Arc::new(registry))))
}

/// The registry reached anew for every operation.
struct Anew {
    config: Config,
}

impl Perform for Anew {
    fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        let registry = reach(&self.config).map_err(|error| match error {
            Error::Refused(refusal) => refusal,
            error => Refusal::new(Reason::Failed, error.to_string()),
        })?;
        registry.perform(operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn a_prompt_does_not_keep_the_store_from_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = crate::init::init("R", dir.path(), &["127.0.0.1:88".parse().expect("an address")]).expect("made");
        let config = config::load(&files.config).expect("sound");
        let open = || Redb::open(&files.store, MasterKey::load(&files.master_key).expect("loads")).map(drop);
        let list = || Operation::List { pattern: None, after: None, limit: None };
        let held = hold(&config, false).expect("reached");
        assert_eq!(open(), Err(StoreError::InUse(files.store.clone())));
        drop(held);
        let prompt = hold(&config, true).expect("reached");
        assert!(prompt.perform(list()).is_ok());
        assert_eq!(open(), Ok(()));
        assert!(prompt.perform(list()).is_ok());
    }
}
