//! The setting `store`: a file, or, for a realm with several KDCs, etcd and the file of the copy.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::values;
use crate::source::Source;

/// Where principals are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreSettings {
    /// The store's file; with etcd, that of the KDC's own copy.
    pub file: PathBuf,
    /// Where the realm is, if the file is a copy.
    pub etcd: Option<EtcdSettings>,
}

/// A realm in etcd.
#[derive(Clone, Debug, PartialEq)]
pub struct EtcdSettings {
    /// URLs of its nodes.
    pub endpoints: Vec<String>,
    /// What all keys of the realm begin with; `None`: `/kdc/` and the realm.
    pub prefix: Option<String>,
    /// Certificates of the authorities by which its nodes are believed.
    pub ca: Option<PathBuf>,
    /// The KDC's own certificates, and their key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// As whom the KDC comes.
    pub user: Option<String>,
    /// Where the password comes from that proves it.
    pub password: Option<Source>,
    /// Seconds after which a copy that hears nothing serves no more; `None`: it serves on.
    pub max_staleness: Option<i64>,
    /// Whether names are sealed there.
    pub seal_names: bool,
}

/// The table `[store]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    kind: Kind,
    #[serde(default = "file")]
    file: PathBuf,
    #[serde(default)]
    endpoints: Vec<String>,
    prefix: Option<String>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    user: Option<String>,
    password: Option<Source>,
    #[serde(default, deserialize_with = "bound")]
    max_staleness: Option<i64>,
    #[serde(default)]
    seal_names: bool,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Redb,
    Etcd,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings { file: file(), etcd: None }
    }
}

impl StoreSettings {
    /// Takes paths from a folder.
    pub(super) fn in_folder(&mut self, folder: &Path) {
        self.file = folder.join(&self.file);
        if let Some(etcd) = &mut self.etcd {
            let identity = etcd.identity.iter_mut().flat_map(|(chain, key)| [chain, key]);
            for path in etcd.ca.iter_mut().chain(identity) {
                *path = folder.join(&*path);
            }
            etcd.password.iter_mut().for_each(|password| password.in_folder(folder));
        }
    }

    /// Files that are only read.
    pub(super) fn files_read(&self) -> impl Iterator<Item = &Path> {
        self.etcd.iter().flat_map(|etcd| {
            let identity = etcd.identity.iter().flat_map(|(chain, key)| [&**chain, &**key]);
            let password = etcd.password.as_ref().and_then(Source::path);
            etcd.ca.as_deref().into_iter().chain(identity).chain(password)
        })
    }
}

impl<'de> Deserialize<'de> for StoreSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = StoreSettings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file or a table with `kind`")
            }

            fn visit_str<E: Error>(self, file: &str) -> Result<StoreSettings, E> {
                Ok(StoreSettings { file: file.into(), etcd: None })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<StoreSettings, M::Error> {
                Table::deserialize(MapAccessDeserializer::new(map))?.settings().map_err(M::Error::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Table {
    fn settings(self) -> Result<StoreSettings, &'static str> {
        let Table { kind, file, endpoints, prefix, ca, certificate, key, user, password, max_staleness, seal_names } =
            self;
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("store: `certificate` and `key` go together"),
        };
        let etcd = EtcdSettings { endpoints, prefix, ca, identity, user, password, max_staleness, seal_names };
        if kind == Kind::Redb {
            let nothing = EtcdSettings {
                endpoints: vec![],
                prefix: None,
                ca: None,
                identity: None,
                user: None,
                password: None,
                max_staleness: None,
                seal_names: false,
            };
            let plain = etcd == nothing;
            return if plain {
                Ok(StoreSettings { file, etcd: None })
            } else {
                Err("store: all but `file` is for kind = \"etcd\"")
            };
        }
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if etcd.endpoints.is_empty() || !etcd.endpoints.iter().all(is_url) {
            return Err("store.endpoints: URLs such as \"https://etcd1.example.org:2379\" were expected");
        }
        if etcd.user.is_some() != etcd.password.is_some() {
            return Err("store: `user` and `password` go together");
        }
        if etcd.prefix.as_ref().is_some_and(|prefix| !prefix.starts_with('/') || prefix.len() < 2) {
            return Err("store.prefix: a text that begins with / was expected, such as \"/kdc/EXAMPLE.ORG\"");
        }
        Ok(StoreSettings { file, etcd: Some(etcd) })
    }
}

fn file() -> PathBuf {
    "principals.redb".into()
}

/// A duration, or "off".
fn bound<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Seconds(#[serde(deserialize_with = "values::duration")] i64);
    let text = String::deserialize(deserializer)?;
    if text == "off" {
        return Ok(None);
    }
    let seconds = Seconds::deserialize(serde::de::value::StrDeserializer::<D::Error>::new(&text))?;
    Ok(Some(seconds.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn read(text: &str) -> Result<StoreSettings, String> {
        let text = format!("realm = 'R'\n{text}");
        parse(Path::new("/realm/kdc.toml"), &text).map(|config| config.store).map_err(|error| error.to_string())
    }

    #[test]
    fn a_store_is_a_file_or_a_table() {
        let file = StoreSettings { file: "/realm/x".into(), etcd: None };
        assert_eq!(read("store = 'x'"), Ok(file.clone()));
        assert_eq!(read("[store]\nfile = 'x'"), Ok(file.clone()));
        let etcd = read(
            "[store]\nkind = 'etcd'\nfile = 'x'\nendpoints = ['https://a:2379']\nca = 'ca.pem'\ncertificate = 'c'\n\
             key = '/k'\nuser = 'kdc'\npassword = 'p'\nprefix = '/r'\nmax_staleness = '1h'\nseal_names = true",
        );
        let said = EtcdSettings {
            endpoints: vec!["https://a:2379".into()],
            prefix: Some("/r".into()),
            ca: Some("/realm/ca.pem".into()),
            identity: Some(("/realm/c".into(), "/k".into())),
            user: Some("kdc".into()),
            password: Some(Source::File("/realm/p".into())),
            max_staleness: Some(3600),
            seal_names: true,
        };
        assert_eq!(etcd, Ok(StoreSettings { etcd: Some(said), ..file }));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_was_expected() {
        for (text, said) in [
            ("[store]\nkind = 'etcd'", "endpoints"),
            ("[store]\nkind = 'etcd'\nendpoints = ['a:1']", "https://etcd1"),
            ("[store]\nendpoints = ['http://a:1']", "kind = \"etcd\""),
            ("[store]\nseal_names = true", "kind = \"etcd\""),
            ("[store]\nkind = 'etcd'\nendpoints = ['http://a:1']\nkey = 'k'", "go together"),
            ("[store]\nkind = 'etcd'\nendpoints = ['http://a:1']\nuser = 'k'", "go together"),
            ("[store]\nkind = 'etcd'\nendpoints = ['http://a:1']\nprefix = 'r'", "begins with /"),
            ("[store]\nkind = 'mongo'", "unknown variant `mongo`"),
            ("[store]\nkinds = 'redb'", "unknown field `kinds`"),
            ("store = 7", "a file or a table"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
