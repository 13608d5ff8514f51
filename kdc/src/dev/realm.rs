//! The realm that is played with: made once, found as it was left ever after.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libkrb::Principal;
use libkrb::crypto::{OsRandom, Random};
use libkrb::keytab::{Keytab, KeytabEntry, KeytabName};
use zeroize::Zeroizing;

use super::{ADDRESS, Listen, REALM, Wishes};
use crate::admin::{KeyRules, Local, Name, NewKeys, Operation, Perform, Registry, Secret, Settings, now};
use crate::config::{self, Config};
use crate::core::{Attributes, Entry, Store};
use crate::error::{Error, Result};
use crate::init::{self, Addresses, Files};
use crate::store;

/// Letters that nobody takes for one another; 32, so that each stands for five random bits.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789+";
/// The kernel's room for the path of a socket.
const LONGEST_SOCKET: usize = 108;
/// Groups of letters in a password, and letters in a group: 80 bits.
const GROUPS: [usize; 4] = [4; 4];

/// A realm with a user, a service, and what both have to keep.
pub struct Realm {
    config: Config,
    files: Files,
    keytab: PathBuf,
    ccache: PathBuf,
    user: Principal,
    service: Principal,
    password: Zeroizing<String>,
    password_file: PathBuf,
}

impl Realm {
    /// Makes what is missing.
    pub fn prepare(wishes: &Wishes) -> Result<Realm> {
        let files = Files::of(&wishes.dir);
        if !files.config.exists() {
            let address = match wishes.listen {
                Some(Listen::At(address)) => address,
                _ => ADDRESS.parse().map_err(|error: std::net::AddrParseError| Error::Other(error.to_string()))?,
            };
            let name = wishes.realm.as_deref().unwrap_or(REALM);
            init::init(name, &wishes.dir, &[address])?;
        }
        let dir = fs::canonicalize(&wishes.dir).map_err(|error| Error::file(&wishes.dir, error))?;
        let files = Files::of(&dir);
        let mut config = config::load(&files.config)?;
        if wishes.realm.as_ref().is_some_and(|name| *name != config.realm) {
            let problem = format!("holds the realm {}; name another folder with --dir", config.realm);
            return Err(Error::file(&wishes.dir, problem));
        }
        listen(&mut config, wishes.listen, &dir);
        let password_file = dir.join("alice.password");
        let (password, is_new) = password(&password_file)?;
        let name = |text| Principal::parse(text, Some(&config.realm));
        let realm = Realm {
            user: name("alice")?,
            service: name("demo/localhost")?,
            password,
            password_file,
            keytab: dir.join("demo.keytab"),
            ccache: dir.join("ccache"),
            config,
            files,
        };
        realm.populate(is_new)?;
        Ok(realm)
    }

    /// Sees to it that user and service are there, with the password and the keytab that are shown.
    fn populate(&self, is_new_password: bool) -> Result<()> {
        let config = &self.config;
        let store = store::open(&config.store.file, &config.master_key, config.limits.kept())?;
        let store = Arc::new(store) as Arc<dyn Store>;
        let rules = KeyRules { etypes: config.keys.etypes.clone(), iterations: config.keys.iterations };
        let registry = Local::new(Arc::new(Registry::new(Arc::clone(&store), config.policy(), rules)));
        let create = |principal: &Principal, keys, set| {
            let settings = Settings { set, ..Settings::default() };
            registry.perform(Operation::Create { principal: Name(principal.clone()), keys, kvno: None, settings })
        };
        let keys = NewKeys::Password { password: Secret::new(self.password.to_string()), kinds: vec![] };
        if store.lookup(&self.user)?.is_none() {
            create(&self.user, keys, Attributes::REQUIRES_PRE_AUTH.0)?;
        } else if is_new_password {
            let principal = Name(self.user.clone());
            registry.perform(Operation::ChangeKeys { principal, keys, keep_old: false })?;
        }
        if store.lookup(&self.service)?.is_none() {
            create(&self.service, NewKeys::Random(vec![]), 0)?;
        }
        let service = store.lookup(&self.service)?;
        KeytabName::File(self.keytab.clone()).replace(&service.as_deref().map(keytab).unwrap_or_default())?;
        Ok(())
    }

    /// Tells clients where the KDC really is.
    pub fn tell_clients(&self, addresses: &Addresses) -> Result<()> {
        let text = init::client_settings(self.name(), addresses);
        match fs::read_to_string(&self.files.client) {
            Ok(old) if old == text => Ok(()),
            _ => write(&self.files.client, 0o644, &text),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.realm
    }

    /// What its KDC is set to.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The file of these settings.
    pub fn kdc_config(&self) -> &Path {
        &self.files.config
    }

    /// The clients' settings.
    pub fn client_config(&self) -> &Path {
        &self.files.client
    }

    /// A place for the tickets of those who play.
    pub fn ccache(&self) -> PathBuf {
        self.ccache.clone()
    }

    /// The user.
    pub fn user(&self) -> &Principal {
        &self.user
    }

    /// The user's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Where that password is kept.
    pub fn password_file(&self) -> &Path {
        &self.password_file
    }

    /// The service.
    pub fn service(&self) -> &Principal {
        &self.service
    }

    /// The file with the service's keys.
    pub fn keytab(&self) -> &Path {
        &self.keytab
    }
}

/// Where it is served this time.
fn listen(config: &mut Config, wish: Option<Listen>, dir: &Path) {
    let socket = dir.join("kdc.sock");
    let alone = matches!(wish, Some(Listen::Nowhere));
    // In a folder with a longer name there can be no socket; who wants nothing else is told so.
    if config.unix_listen.is_empty() && (alone || socket.as_os_str().len() < LONGEST_SOCKET) {
        config.unix_listen = vec![socket];
    }
    if let Some(wish) = wish {
        config.listen = if let Listen::At(address) = wish { vec![address] } else { vec![] };
        config.kpasswd_listen = None;
    }
    if config.management.listen.is_empty() && !alone {
        config.management.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    }
}

/// Every key that the service has, so that old tickets open too.
fn keytab(service: &Entry) -> Keytab {
    let entries = service.keys.iter().flat_map(|set| {
        set.keys.iter().map(|key| KeytabEntry {
            principal: service.principal.clone(),
            timestamp: now(),
            kvno: set.kvno,
            key: (&key.key).into(),
        })
    });
    Keytab { entries: entries.collect() }
}

/// The password that a file keeps, or a new one, and whether it is new.
fn password(file: &Path) -> Result<(Zeroizing<String>, bool)> {
    match fs::read_to_string(file) {
        Ok(text) => Ok((Zeroizing::new(text.trim().to_owned()), false)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let password = new_password(&mut OsRandom::new());
            write(file, 0o600, &format!("{}\n", *password))?;
            Ok((password, true))
        }
        Err(error) => Err(Error::file(file, error)),
    }
}

/// As many random bits as nobody can guess, in groups that can be typed.
fn new_password(random: &mut dyn Random) -> Zeroizing<String> {
    let group = |length: usize| {
        let mut bytes = Zeroizing::new(vec![0; length]);
        random.fill(&mut bytes);
        bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect::<String>()
    };
    Zeroizing::new(GROUPS.map(group).join("-"))
}

fn write(file: &Path, mode: u32, text: &str) -> Result<()> {
    let write = || {
        let mut open = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(file)?;
        open.write_all(text.as_bytes())
    };
    write().map_err(|error| Error::file(file, error))
}
