//! A further KDC by one secret: what it needs of one that serves (settings, master key, the way to etcd) is
//! sealed under that secret and handed out once (`kdc invite`); who has the secret opens it, writes the files
//! and makes the first copy of the realm (`kdc join`). Not here: the door at which it is handed out.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::command::Join;
use crate::admin::{Invitations, Server, fetch, now};
use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::house;
use crate::manage::say;
use crate::store::{open_under, seal_under};

/// What an invitation begins with.
const KIND: &str = "kdc-invitation-1:";
/// What the sealed part is bound to.
const CONTEXT: &[u8] = b"kdc invitation 1";
/// For so long it can be taken, in seconds.
const GOOD: i64 = 3600;
/// The settings that a realm's KDCs have in common, and that name no file of the machine.
const COMMON: [&str; 9] =
    ["policy", "indicators", "keys", "spake", "limits", "rotation", "capaths", "referrals", "trust"];
const MASTER_KEY: &str = "master.key";
const PASSWORD: &str = "etcd.password";

/// What the other one gets.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    /// Its kdc.toml, but for what is the machine's own.
    settings: String,
    /// Files beside it.
    files: BTreeMap<String, String>,
    /// Sections that it does not have, for they name files.
    missing: Vec<String>,
}

/// The secret of an invitation.
struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    fn fresh() -> Result<Self> {
        let mut octets = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *octets).map_err(|_| Error::Other("no random bytes".into()))?;
        Ok(Secret(octets))
    }

    fn read(text: &str) -> Result<Self> {
        let wrong = || Error::Other(format!("no invitation: {KIND} and 64 hexadecimal digits were expected"));
        let digits = text.trim().strip_prefix(KIND).filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
        let mut octets = Zeroizing::new([0; 32]);
        for (octet, pair) in octets.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Secret(octets))
    }

    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(KIND.len() + 65));
        text.push_str(KIND);
        self.0.iter().for_each(|octet| text.push_str(&format!("{octet:02x}")));
        text.push('\n');
        text
    }

    fn derived(&self, what: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(what).chain_update(self.0.as_slice()).finalize().into()
    }

    /// By which the invitation is asked for; it tells nothing of the secret.
    fn name(&self) -> String {
        self.derived(b"name").iter().take(Invitations::NAME / 2).map(|octet| format!("{octet:02x}")).collect()
    }

    fn key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.derived(b"key"))
    }
}

/// `kdc invite`.
pub fn invite(path: &Path, config: &Config) -> Result<()> {
    if config.admin.listen.is_empty() {
        let next = "[admin] listen, certificate and key in kdc.toml have one";
        return Err(Error::Other(format!("this KDC has no door at which others could take an invitation; {next}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    let bundle = Bundle::of(&text, config).map_err(|problem| Error::file(path, problem))?;
    let bundle = Zeroizing::new(serde_json::to_vec(&bundle).map_err(|error| Error::Other(error.to_string()))?);
    let secret = Secret::fresh()?;
    let sealed = seal_under(&secret.key(), &bundle, CONTEXT)?;
    let until = now().seconds().saturating_add(GOOD);
    let folder = Invitations::folder(config);
    private_folder(&folder)?;
    write(&folder.join(secret.name()), &[&until.to_be_bytes()[..], &sealed].concat())?;
    say(&secret.text())
}

impl Bundle {
    fn of(text: &str, config: &Config) -> Result<Bundle, String> {
        let mut all: Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let Some(Value::Table(mut store)) = all.remove("store") else {
            return Err("only KDCs over etcd have others beside them: [store] kind = \"etcd\"".into());
        };
        store.remove("file");
        let etcd = config.store.etcd.as_ref().ok_or("[store] kind = \"etcd\" was expected")?;
        let mut files = BTreeMap::new();
        let read = |file: &Path| std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()));
        let identity = etcd.identity.as_ref();
        let named = [
            ("ca", "etcd-ca.pem", etcd.ca.as_ref()),
            ("certificate", "etcd-client.pem", identity.map(|(certificate, _)| certificate)),
            ("key", "etcd-client.key", identity.map(|(_, key)| key)),
        ];
        for (setting, name, file) in named {
            if let Some(file) = file {
                files.insert(name.to_owned(), read(file)?);
                store.insert(setting.into(), name.into());
            }
        }
        if let Some(password) = &etcd.password {
            let text = password.read().map_err(|error| error.to_string())?;
            files.insert(PASSWORD.into(), text.to_string());
            store.insert("password".into(), PASSWORD.into());
        }
        let key = config.master_key.read().map_err(|error| error.to_string())?;
        files.insert(MASTER_KEY.into(), key.to_string());
        let mut settings = Table::new();
        settings.insert("realm".into(), config.realm.as_str().into());
        settings.insert("master_key".into(), MASTER_KEY.into());
        settings.insert("store".into(), store.into());
        for name in COMMON {
            settings.extend(all.remove(name).map(|section| (name.to_owned(), section)));
        }
        let missing = all.into_iter().filter(|(_, value)| value.is_table() || value.is_array());
        let missing = missing.map(|(name, _)| name).filter(|name| !name.ends_with("listen")).collect();
        Ok(Bundle { settings: toml::to_string(&settings).map_err(|error| error.to_string())?, files, missing })
    }

    /// The kdc.toml of the other one.
    fn settings(&self, listen: &[SocketAddr]) -> Result<String> {
        let wrong = |error: String| Error::Other(format!("the invitation holds no settings: {error}"));
        let mut settings: Table = toml::from_str(&self.settings).map_err(|error| wrong(error.message().to_owned()))?;
        let listen = listen.iter().map(|address| Value::from(address.to_string())).collect::<Vec<_>>();
        settings.insert("listen".into(), listen.into());
        let text = toml::to_string(&settings).map_err(|error| wrong(error.to_string()))?;
        Ok(format!("# Made by `kdc join`. docs/kdc.toml has all settings.\n{text}"))
    }
}

/// `kdc join`.
pub fn join(wish: &Join) -> Result<()> {
    let settings = wish.dir.join("kdc.toml");
    if std::fs::symlink_metadata(&settings).is_ok() {
        return Err(Error::file(&settings, "exists; join overwrites nothing, so choose another folder"));
    }
    let secret = match &wish.invitation {
        Some(source) => Secret::read(&source.read()?)?,
        None => {
            let mut text = Zeroizing::new(String::new());
            let read = std::io::stdin().take(1024).read_to_string(&mut text);
            read.map_err(|error| Error::Other(format!("no invitation on the standard input: {error}")))?;
            Secret::read(&text)?
        }
    };
    let server = server(&wish.from, wish.ca.clone())?;
    let (status, answer) = fetch(&server, &format!("{}{}", Invitations::PLACE, secret.name())).map_err(Error::Other)?;
    if status != 200 {
        let next = "`kdc invite` there makes a new one, which is good for an hour and once";
        return Err(Error::Other(format!("{} has no such invitation; {next}", wish.from)));
    }
    let opened = open_under(&secret.key(), &answer, CONTEXT);
    let opened = opened.ok_or_else(|| Error::Other(format!("what {} sent does not open", wish.from)))?;
    let bundle: Bundle = serde_json::from_slice(&opened)
        .map_err(|_| Error::Other("the invitation is of another version of kdc; use the same here".into()))?;
    private_folder(&wish.dir)?;
    let known = [MASTER_KEY, PASSWORD, "etcd-ca.pem", "etcd-client.pem", "etcd-client.key"];
    for (name, text) in bundle.files.iter().filter(|(name, _)| known.contains(&&***name)) {
        write(&wish.dir.join(name), text.as_bytes())?;
    }
    // Last, so that a folder with settings is a whole one.
    write(&settings, bundle.settings(&wish.listen)?.as_bytes())?;
    let config = config::load(&settings)?;
    let principals = house::in_etcd(&config)?.size()?.principals;
    let missing = match &bundle.missing[..] {
        [] => String::new(),
        some => {
            format!("\nThe other KDC has settings that name files of its own; bring these over: {}\n", some.join(", "))
        }
    };
    say(&format!(
        "A copy of {} with {principals} principals is in {}.\n{missing}\nNext:\n  kdc run --config {}\n",
        config.realm,
        wish.dir.display(),
        settings.display()
    ))
}

/// `https://HOST[:PORT]`
fn server(url: &str, ca: Option<PathBuf>) -> Result<Server> {
    let wrong = || Error::Other(format!("--from {url}: such as https://kdc1.example.org:749"));
    let place = url.strip_prefix("https://").ok_or_else(wrong)?.trim_end_matches('/');
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (place, 749),
    };
    Ok(Server { host: host.to_owned(), port, ca, service: None })
}

fn private_folder(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Error::file(folder, error))
}

fn write(file: &Path, octets: &[u8]) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        file.write_all(octets)?;
        file.sync_all()
    };
    write().map_err(|error: std::io::Error| Error::file(file, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_read_back_and_its_name_tells_nothing_of_the_rest() {
        let secret = Secret::fresh().expect("random");
        let again = Secret::read(&secret.text()).expect("read");
        assert_eq!((&secret.0, secret.name()), (&again.0, again.name()));
        assert_eq!(secret.name().len(), Invitations::NAME);
        let sealed = seal_under(&secret.key(), b"all", CONTEXT).expect("sealed");
        assert_eq!(open_under(&again.key(), &sealed, CONTEXT).as_deref(), Some(&b"all".to_vec()));
        let other = Secret::fresh().expect("random");
        assert!(open_under(&other.key(), &sealed, CONTEXT).is_none());
        for text in ["", "kdc-invitation-1:", "kdc-invitation-1:zz", &secret.text()[..80]] {
            assert!(Secret::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_has_a_host_and_perhaps_a_port() {
        let port = |url| server(url, None).map(|server| (server.host, server.port));
        assert_eq!(port("https://a.example.org").expect("an address"), ("a.example.org".into(), 749));
        assert_eq!(port("https://a:1234/").expect("an address"), ("a".into(), 1234));
        for url in ["a.example.org", "http://a", "https://a:b"] {
            assert!(port(url).is_err(), "{url}");
        }
    }
}
