//! A new realm: its folder with settings, master key and store, and the krb5.conf of its clients.
//! Nothing that exists is overwritten, and what was made is taken back when the rest can't be.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use libkrb::Principal;

use crate::admin::{fresh_id, now, random_keys};
use crate::config;
use crate::core::{Attributes, Change, Entry, KeySet, Store};
use crate::error::{Error, Result};
use crate::store::{MasterKey, Redb};

/// The life of a ticket for changing a password, as in MIT krb5.
const CHANGEPW_LIFE: i64 = 300;

/// The files of a realm's folder.
#[derive(Clone, Debug)]
pub struct Files {
    /// The KDC's settings.
    pub config: PathBuf,
    /// The clients' settings.
    pub client: PathBuf,
    /// The master key.
    pub master_key: PathBuf,
    /// The store.
    pub store: PathBuf,
}

/// Where a realm is served.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Tickets.
    pub kdc: Vec<SocketAddr>,
    /// Changes of passwords; nowhere, if there is none.
    pub kpasswd: Vec<SocketAddr>,
    /// Both, in the file system.
    pub sockets: Vec<PathBuf>,
}

impl Files {
    /// The files in a folder.
    pub fn of(dir: &Path) -> Self {
        Files {
            config: dir.join("kdc.toml"),
            client: dir.join("krb5.conf"),
            master_key: dir.join("master.key"),
            store: dir.join("principals.redb"),
        }
    }

    fn all(&self) -> [&Path; 4] {
        [&self.config, &self.client, &self.master_key, &self.store]
    }
}

/// Makes a realm in `dir`, to be served at `listen`, with passwords changed on the port beside it.
///
/// # Errors
/// When one of the files exists, which it names, or can't be made.
pub fn init(realm: &str, dir: &Path, listen: &[SocketAddr]) -> Result<Files> {
    init_at(
        realm,
        dir,
        &Addresses { kdc: listen.to_vec(), kpasswd: config::kpasswd_addresses(listen), sockets: vec![] },
    )
}

/// Makes a realm in `dir`, to be served at these addresses.
///
/// # Errors
/// As [`init`].
pub fn init_at(realm: &str, dir: &Path, addresses: &Addresses) -> Result<Files> {
    config::check_realm(realm).map_err(Error::Other)?;
    let files = Files::of(dir);
    for file in files.all() {
        if std::fs::symlink_metadata(file).is_ok() {
            return Err(Error::file(file, "exists; init overwrites nothing, so choose another folder or remove it"));
        }
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            Error::file(dir, "a folder was expected, but here is a file")
        }
        _ => Error::file(dir, error),
    })?;
    let made = make(realm, addresses, &files).and_then(|()| {
        // The names too must survive a power failure, above all that of the master key.
        let folder = std::fs::File::open(dir).and_then(|folder| folder.sync_all());
        folder.map_err(|error| Error::file(dir, error))
    });
    made.inspect_err(|_| {
        for file in files.all() {
            // Made by this very call: none of them was there before.
            let _ = std::fs::remove_file(file);
        }
    })?;
    Ok(files)
}

fn make(realm: &str, addresses: &Addresses, files: &Files) -> Result<()> {
    let master = MasterKey::create(&files.master_key)?;
    let store = Redb::create(&files.store, realm, master)?;
    store.commit(&principals(realm)?)?;
    drop(store);
    write(&files.client, 0o644, &client_settings(realm, addresses))?;
    // Last, so that a folder with settings is a whole one.
    write(&files.config, 0o600, &config::sample(realm, &addresses.kdc, &addresses.kpasswd))
}

/// What every realm has: the ticket-granting service, the one that changes passwords, and the one at
/// which services fetch their keys.
fn principals(realm: &str) -> Result<[Change; 3]> {
    let tgs = principal(realm, Principal::tgs(realm), Attributes::LOCKDOWN_KEYS)?;
    Ok([Change::Create(tgs), Change::Create(changepw(realm)?), Change::Create(fetch(realm)?)])
}

/// The service that changes passwords, with what MIT krb5 gives it: tickets only from an AS exchange,
/// also for a client whose password has expired, and only for minutes.
fn changepw(realm: &str) -> Result<Entry> {
    let attributes = Attributes::LOCKDOWN_KEYS.with(Attributes::DISALLOW_TGT_BASED, true);
    let entry = principal(realm, Principal::changepw(realm), attributes.with(Attributes::PWCHANGE_SERVICE, true))?;
    Ok(Entry { max_life: Some(CHANGEPW_LIFE), ..entry })
}

/// The service that shows services their keys: for a short while after they proved themselves.
fn fetch(realm: &str) -> Result<Entry> {
    let attributes = Attributes::LOCKDOWN_KEYS.with(Attributes::DISALLOW_TGT_BASED, true);
    let entry = principal(realm, Principal::fetch(realm), attributes)?;
    Ok(Entry { max_life: Some(CHANGEPW_LIFE), ..entry })
}

fn principal(realm: &str, name: Principal, attributes: Attributes) -> Result<Entry> {
    let keys = random_keys(libkrb::crypto::SUPPORTED.iter().copied())?;
    let mut entry = Entry::new(name, fresh_id()?, now(), &format!("kdc/init@{realm}"));
    entry.keys = vec![KeySet::new(1, keys).made(entry.modified)];
    entry.password_changed = Some(entry.modified);
    entry.attributes = attributes;
    Ok(entry)
}

/// Gives a realm that was made elsewhere, or earlier, the services that change passwords and show keys,
/// if it has none.
///
/// # Errors
/// When the store can't be read or written.
pub fn complete(store: &dyn Store, realm: &str) -> Result<()> {
    for made in [changepw(realm)?, fetch(realm)?] {
        if store.lookup(&made.principal)?.is_none() {
            store.commit(&[Change::Create(made)])?;
        }
    }
    Ok(())
}

/// A krb5.conf that MIT krb5, Heimdal and Java understand alike. Sockets come last: who does not know them takes their paths
/// for names of hosts, and does not come so far while an address answers.
pub(crate) fn client_settings(realm: &str, addresses: &Addresses) -> String {
    let mut servers = String::new();
    for (name, addresses) in [("kdc", &addresses.kdc), ("kpasswd_server", &addresses.kpasswd)] {
        for address in addresses {
            let line = format!("        {name} = {}\n", reachable(*address));
            if !servers.contains(&line) {
                servers += &line;
            }
        }
    }
    let changing = !addresses.kpasswd.is_empty() || addresses.kdc.is_empty();
    for socket in addresses.sockets.iter().map(|path| path.display()) {
        servers +=
            &format!("        # A socket, for kinit and family and MIT krb5 from 1.22 on.\n        kdc = {socket}\n");
        if changing {
            servers += &format!("        kpasswd_server = {socket}\n");
        }
    }
    format!(
        "# Settings for clients of {realm}: point KRB5_CONFIG at this file, or use it as /etc/krb5.conf.
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_uri_lookup = false
    dns_canonicalize_hostname = false
    rdns = false

[realms]
    {realm} = {{
{servers}    }}
"
    )
}

/// Where a client finds what listens at `address`: "everywhere" has this machine's name.
fn reachable(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), address.port()),
        false => address.to_string(),
    }
}

fn write(path: &Path, mode: u32, text: &str) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error: std::io::Error| Error::file(path, error))
}

#[cfg(test)]
mod tests;
