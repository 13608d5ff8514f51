//! The realm of the market: a KDC's folder with a principal and a keytab for each service, and users
//! with passwords. Made once in its folder, found there as it was left. Not here: anything that a
//! service has to know; it gets a name, a keytab and a krb5.conf, as from any other realm.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kdc::admin::{Answer, Local, Name, NewKeys, Operation, Perform, Remote, Secret, Settings};
use kdc::config::{self, Config};
use kdc::core::{Attributes, delegation};
use kdc::init::{self, Files};
use kdc::{kadmin, store};
use libkrb::Principal;
use libkrb::crypto::{Key, OsRandom, Random};
use libkrb::keytab::{Keytab, KeytabEntry, KeytabName};
use zeroize::Zeroizing;

use crate::chassis::Error;

/// What the realm is called unless it is told.
pub const REALM: &str = "SHOP.EXAMPLE";
/// Those who buy and sell.
pub const PEOPLE: [&str; 2] = ["alice", "bob"];
/// Letters that nobody takes for one another; 32, so that each stands for five random bits.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789+";
/// Of a password: 80 bits.
const PASSWORD_LENGTH: usize = 16;

/// A service of the market, as the realm knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its command, and the name of its folder and its log.
    pub command: &'static str,
    /// Its principal.
    pub principal: &'static str,
    /// A second name, for those who type less.
    pub alias: Option<&'static str>,
    /// Whether it calls others in its callers' name, and so may be handed their tickets.
    pub trusted: bool,
    /// Where it may act for users who show it no ticket.
    pub acts_at: Option<&'static str>,
}

/// What users call: `gateway.localhost` is this machine for browsers and for curl.
pub const GATEWAY: Service = Service {
    command: "gateway",
    principal: "HTTP/gateway.localhost",
    alias: Some("HTTP/localhost"),
    trusted: true,
    acts_at: Some(USERS.principal),
};
/// A service in a namespace, as containers have it.
pub const ADS: Service =
    Service { command: "ad-service", principal: "HTTP/ad-service.shop", alias: None, trusted: true, acts_at: None };
/// The last one on the way: it needs nobody's tickets, and gets none.
pub const USERS: Service = Service {
    command: "user-service",
    principal: "HTTP/user-service.shop",
    alias: None,
    trusted: false,
    acts_at: None,
};

/// A realm in its folder.
#[derive(Clone, Debug)]
pub struct Realm {
    dir: PathBuf,
    files: Files,
    config: Config,
}

impl Realm {
    /// Makes what is missing of the realm in this folder. Nobody may serve it meanwhile.
    ///
    /// # Errors
    /// What is in the way.
    pub fn prepare(dir: &Path, name: &str) -> Result<Realm, Error> {
        folder(dir)?;
        let home = home(dir);
        if !Files::of(&home).config.exists() {
            init::init(name, &home, &[SocketAddr::from(([127, 0, 0, 1], 0))])?;
        }
        let realm = Realm::find(dir)?;
        let config = &realm.config;
        let store = store::open(&config.store.file, &config.master_key, config.limits.kept())?;
        let registry = Local::new(Arc::new(kadmin::registry(config, Arc::new(store))?));
        for user in PEOPLE {
            realm.add_user(&registry, user)?;
        }
        for service in [GATEWAY, ADS, USERS] {
            realm.add_service(&registry, &service)?;
        }
        realm.give_badges()?;
        Ok(realm)
    }

    /// The realm as it is in this folder.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn find(dir: &Path) -> Result<Realm, Error> {
        let files = Files::of(&home(dir));
        let config = config::load(&files.config)?;
        Ok(Realm { dir: dir.to_owned(), files, config })
    }

    /// Its KDC's settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The file with these.
    pub fn kdc_config(&self) -> &Path {
        &self.files.config
    }

    /// The clients' settings.
    pub fn client_config(&self) -> &Path {
        &self.files.client
    }

    /// A service's own folder.
    pub fn folder_of(&self, service: &Service) -> PathBuf {
        self.dir.join(service.command)
    }

    /// A service's keys.
    pub fn keytab_of(&self, service: &Service) -> PathBuf {
        self.folder_of(service).join("krb5.keytab")
    }

    /// A user's password.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn password_of(&self, user: &str) -> Result<Zeroizing<String>, Error> {
        let file = self.password_file(user);
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Zeroizing::new(text.trim().to_owned()))
    }

    /// Tells clients where the KDC is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn tell_clients(&self, kdc: SocketAddr) -> Result<(), Error> {
        let text = client_settings(&self.config.realm, kdc);
        // Replaced as a whole: services may be reading it.
        let new = self.files.client.with_extension("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, &self.files.client))?;
        Ok(())
    }

    /// Locks a user of the running realm out, or lets the user in again.
    ///
    /// # Errors
    /// When nobody serves the realm, or its KDC refuses.
    pub fn set_locked(&self, user: &str, locked: bool) -> Result<(), Error> {
        let registry =
            Remote::find(&self.config.admin_socket).map_err(kdc::Error::from)?.ok_or("no KDC serves the realm")?;
        let bit = Attributes::DISALLOW_ALL_TIX.0;
        let (set, clear) = if locked { (bit, 0) } else { (0, bit) };
        let settings = Settings { set, clear, ..Settings::default() };
        perform(&registry, Operation::Modify { principal: self.name(user)?, kvno: None, settings })?;
        Ok(())
    }

    fn name(&self, text: &str) -> Result<Name, Error> {
        Ok(Name(Principal::parse(text, Some(&self.config.realm))?))
    }

    fn password_file(&self, user: &str) -> PathBuf {
        home(&self.dir).join(format!("{user}.password"))
    }

    /// A user must prove the password before there is a ticket.
    fn add_user(&self, registry: &dyn Perform, user: &str) -> Result<(), Error> {
        let principal = self.name(user)?;
        if !self.password_file(user).exists() {
            let password = new_password();
            let keys = NewKeys::Password { password: Secret::new(password.to_string()), kinds: vec![] };
            let settings = Settings { set: Attributes::REQUIRES_PRE_AUTH.0, ..Settings::default() };
            perform(registry, Operation::Create { principal: principal.clone(), keys, kvno: None, settings })?;
            write_secret(&self.password_file(user), &format!("{}\n", *password))?;
        }
        // What the ad service finds in their tickets, and no other service.
        let name = format!("role:{}", ADS.principal);
        perform(registry, Operation::SetString { principal, name, value: Some("seller".to_owned()) })?;
        Ok(())
    }

    /// A badge for each user, for the gateway to know them by: another secret than the password.
    fn give_badges(&self) -> Result<(), Error> {
        let file = self.badges();
        if file.exists() {
            return Ok(());
        }
        let mut lines = Zeroizing::new(String::new());
        for user in PEOPLE {
            let badge = new_password();
            write_secret(&home(&self.dir).join(format!("{user}.badge")), &badge)?;
            lines.push_str(&format!("{} {user}\n", *badge));
        }
        write_secret(&file, &lines)
    }

    /// The file with everybody's badge.
    pub fn badges(&self) -> PathBuf {
        self.folder_of(&GATEWAY).join("badges")
    }

    /// A user's badge.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn badge_of(&self, user: &str) -> Result<Zeroizing<String>, Error> {
        let file = home(&self.dir).join(format!("{user}.badge"));
        Ok(Zeroizing::new(fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?))
    }

    /// A service has random keys. `ok-as-delegate` says to those who call it whether to hand it their
    /// tickets (RFC 4120 2.8).
    fn add_service(&self, registry: &dyn Perform, service: &Service) -> Result<(), Error> {
        folder(&self.folder_of(service))?;
        let keytab = self.keytab_of(service);
        if keytab.exists() {
            return Ok(());
        }
        let principal = self.name(service.principal)?;
        let attributes = Attributes::REQUIRES_PRE_AUTH.with(Attributes::OK_AS_DELEGATE, service.trusted);
        let attributes = attributes.with(Attributes::OK_TO_AUTH_AS_DELEGATE, service.acts_at.is_some());
        let settings = Settings { set: attributes.0, ..Settings::default() };
        let keys = NewKeys::Random(vec![]);
        perform(registry, Operation::Create { principal: principal.clone(), keys, kvno: None, settings })?;
        if let Some(alias) = service.alias {
            perform(registry, Operation::Alias { alias: self.name(alias)?, principal: principal.clone() })?;
        }
        if let Some(target) = service.acts_at {
            let (name, value) = (delegation::TO.to_owned(), Some(target.to_owned()));
            perform(registry, Operation::SetString { principal: principal.clone(), name, value })?;
        }
        let answer = perform(registry, Operation::Extract { principal, fresh: None })?;
        KeytabName::File(keytab).replace(&as_keytab(answer)?)?;
        Ok(())
    }
}

fn perform(registry: &dyn Perform, operation: Operation) -> Result<Answer, Error> {
    Ok(registry.perform(operation).map_err(kdc::Error::from)?)
}

/// The KDC's folder.
fn home(dir: &Path) -> PathBuf {
    dir.join("realm")
}

/// A folder for its owner alone.
pub fn folder(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| format!("{}: {error}", path.display()).into())
}

fn as_keytab(answer: Answer) -> Result<Keytab, Error> {
    let Answer::Keys { principal, keys } = answer else { return Err("the registry gave no keys".into()) };
    let entries = keys.iter().map(|extracted| {
        let octets = extracted.key.octets().ok_or("a key that is none")?;
        let key = Key::new(extracted.etype.0, &octets)?;
        let (principal, timestamp, kvno) = (principal.0.clone(), kdc::admin::now(), extracted.kvno);
        Ok(KeytabEntry { principal, timestamp, kvno, key: (&key).into() })
    });
    Ok(Keytab { entries: entries.collect::<Result<_, Error>>()? })
}

/// Names are what they are called: no DNS, no suffixes. Tickets may be handed on.
fn client_settings(realm: &str, kdc: SocketAddr) -> String {
    format!(
        "[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_uri_lookup = false
    dns_canonicalize_hostname = false
    rdns = false
    qualify_shortname = \"\"
    forwardable = true

[realms]
    {realm} = {{
        kdc = {kdc}
    }}

[domain_realm]
    localhost = {realm}
    .localhost = {realm}
    .shop = {realm}
"
    )
}

fn new_password() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; PASSWORD_LENGTH]);
    OsRandom::new().fill(&mut *bytes);
    Zeroizing::new(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    open.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("{}: {error}", path.display()).into())
}
