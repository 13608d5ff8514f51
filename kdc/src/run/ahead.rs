//! What a new process will need, seen to before the old one gives way: after that nobody goes on if it
//! is not to be had. The program as it is on disk looks at the settings (`kdc check`); what it can't see
//! is looked at here: the store and the sockets, which are this process's, and the folders that are
//! closed to it and to whatever takes its place. Not here: the change itself ([`super::renew`]).

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use super::sandbox::Folders;
use super::{Daemon, Source, sockets};
use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::manage;
use crate::net::{Inherited, Listener};
use crate::store::MasterKey;

impl Daemon {
    /// Makes sure that a new process could go on; the sockets that it will need besides those that are
    /// open.
    ///
    /// # Errors
    /// Why it could not, and what to do.
    pub(super) fn look_ahead(&self, source: &Source<'_>) -> Result<Vec<OwnedFd>> {
        let config = config::load(source.path)?;
        if let Some(confined) = &source.confined {
            within(confined, &Folders::of(source.path, &config))?;
        }
        self.same_store(&config)?;
        if let Some(file) = config.audit.file.as_deref().filter(|file| self.config.audit.file.as_deref() != Some(file))
        {
            manage::check_file(file)?;
        }
        self.sockets_besides(&config)
    }

    /// The store that is open here was not looked into by `kdc check`.
    fn same_store(&self, config: &Config) -> Result<()> {
        if config.store != self.config.store {
            return Ok(());
        }
        if config.realm != self.config.realm {
            let (old, new) = (&self.config.realm, &config.realm);
            return Err(Error::file(
                &config.store.file,
                format!("the store of {old}, but `realm` in kdc.toml is {new}"),
            ));
        }
        match self.vault.opens_with(&MasterKey::load(&config.master_key)?)? {
            true => Ok(()),
            false => {
                let problem = format!("not sealed with the key of `master_key` ({}) in kdc.toml", config.master_key);
                Err(Error::file(&config.store.file, problem))
            }
        }
    }

    fn sockets_besides(&self, config: &Config) -> Result<Vec<OwnedFd>> {
        let mut new: Vec<OwnedFd> = vec![];
        for addresses in [self.server.missing(&config.listen), self.passwords.missing(&config.kpasswd_addresses())] {
            new.extend(sockets::bind(&addresses)?.into_iter().flat_map(Listener::into_files));
        }
        new.extend(self.beside.missing(config)?.into_files());
        if config.admin_socket != self.config.admin_socket {
            new.push(sockets::local(config)?.into());
        }
        let (https, management) = (self.https.addresses(), self.station.addresses());
        for (wanted, open, setting) in [
            (&config.admin.listen, https, "[admin] listen"),
            (&config.management.listen, management, "[management] listen"),
        ] {
            let missing: Vec<SocketAddr> = wanted.iter().filter(|address| !open.contains(address)).copied().collect();
            let bound: Vec<TcpListener> = sockets::plain(&missing, setting, &mut Inherited::default())?;
            new.extend(bound.into_iter().map(OwnedFd::from));
        }
        Ok(new)
    }
}

/// Landlock stays over a restart, and only ever closes more.
fn within(confined: &Folders, wanted: &Folders) -> Result<()> {
    match confined.lacks(wanted) {
        None => Ok(()),
        Some(folder) => Err(Error::file(
            &folder,
            "this folder is in the settings now, and closed to the KDC that runs (Landlock); stop it and start it again",
        )),
    }
}
