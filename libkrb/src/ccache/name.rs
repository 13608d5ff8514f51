//! The name of a cache: `TYPE:residual`. A name without a type is a file.

use std::fmt;
use std::path::{Path, PathBuf};

use super::kcm::KcmName;
#[cfg(feature = "keyring")]
use super::keyring::KeyringName;
use crate::config::{Config, Environment};
use crate::error::{Error, Result};

const UNKNOWN_TYPE: &str = "Unknown credential cache type";
#[cfg(feature = "keyring")]
const SUPPORTED: &str = "use FILE:, DIR:, KCM:, KEYRING: or MEMORY:";
#[cfg(not(feature = "keyring"))]
const SUPPORTED: &str = "use FILE:, DIR:, KCM: or MEMORY:";

/// Where a credential cache lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CacheName {
    /// `FILE:path`: one file.
    File(PathBuf),
    /// `DIR:path`: a directory of caches; alone it stands for the one that the file `primary` names.
    Dir(PathBuf),
    /// `DIR::path/tktX`: one cache of a directory.
    Member(PathBuf),
    /// `MEMORY:name`: in this process, and gone with it.
    Memory(String),
    /// `KCM:name`: one that a daemon holds; without a name, the one that it has as the primary one.
    Kcm(KcmName),
    /// `KEYRING:anchor:collection:name`: one in the kernel's keyrings; without a name, the primary one.
    #[cfg(feature = "keyring")]
    Keyring(KeyringName),
}

impl CacheName {
    /// Reads a name as `KRB5CCNAME` or `-c` give it.
    ///
    /// # Errors
    /// [`Error::Storage`] for a type that is not supported or a name that cannot be one.
    pub fn parse(text: &str) -> Result<Self> {
        let (kind, residual) = match text.split_once(':') {
            Some((kind, residual)) if !kind.contains('/') => (kind, residual),
            _ => ("FILE", text),
        };
        match kind {
            #[cfg(not(feature = "keyring"))]
            "KEYRING" => Err(Error::storage(UNKNOWN_TYPE, "", format!("KEYRING is not supported here, {SUPPORTED}"))),
            "API" | "MSLSA" => {
                Err(Error::storage(UNKNOWN_TYPE, "", format!("{kind} is not supported here, {SUPPORTED}")))
            }
            "FILE" | "DIR" | "MEMORY" if residual.is_empty() => Err(malformed(format!("expected {kind}: and a name"))),
            "FILE" => Ok(CacheName::File(residual.into())),
            "DIR" => match residual.strip_prefix(':') {
                Some(member) => member_name(Path::new(member)),
                None => Ok(CacheName::Dir(residual.into())),
            },
            "MEMORY" => Ok(CacheName::Memory(residual.into())),
            "KCM" => Ok(CacheName::Kcm(KcmName::new(residual))),
            #[cfg(feature = "keyring")]
            "KEYRING" => KeyringName::parse(residual).map(CacheName::Keyring),
            _ => Err(Error::storage(UNKNOWN_TYPE, "", SUPPORTED)),
        }
    }
}

impl CacheName {
    /// The same with what krb5.conf says of the place (`kcm_socket`).
    #[must_use]
    pub fn as_configured(self, config: &Config) -> Self {
        match (self, config.kcm_socket()) {
            (CacheName::Kcm(name), Some(socket)) => CacheName::Kcm(name.at(Path::new(socket))),
            (name, _) => name,
        }
    }

    /// Whether this name stands for several caches, of which one is the primary one.
    pub fn is_collection(&self) -> bool {
        match self {
            CacheName::Dir(_) => true,
            CacheName::Kcm(name) => name.is_collection(),
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.is_collection(),
            _ => false,
        }
    }
}

/// The cache that is meant when none is named. Where krb5.conf names a keyring that is no place for tickets here (a
/// container), it is `FILE:/tmp/krb5cc_%{uid}`, and `told` hears why; who asks for a keyring in `KRB5CCNAME` gets it.
///
/// # Errors
/// As [`CacheName::parse`] and [`Config::ccache_name`].
pub fn default_cache(config: &Config, environment: &Environment, told: impl FnOnce(&str)) -> Result<CacheName> {
    let name = CacheName::parse(&config.ccache_name(environment)?)?.as_configured(config);
    #[cfg(feature = "keyring")]
    if let CacheName::Keyring(keyring) = &name
        && environment.ccache.is_none()
        && let Some(why) = keyring.unfit()
    {
        let file = CacheName::File(format!("/tmp/krb5cc_{}", environment.uid).into());
        told(&format!("Not using {name}, the default of krb5.conf: {why}; using {file}"));
        return Ok(file);
    }
    let _ = told;
    Ok(name)
}

fn malformed(detail: String) -> Error {
    Error::storage("Credential cache name malformed", "", detail)
}

fn member_name(path: &Path) -> Result<CacheName> {
    let shown = path.display();
    if path.parent().is_none_or(|parent| parent.as_os_str().is_empty()) {
        return Err(Error::storage(format!("Subsidiary cache path {shown} has no parent directory"), "", ""));
    }
    if !path.file_name().is_some_and(is_member) {
        let problem = format!("Subsidiary cache path {shown} filename does not begin with \"tkt\"");
        return Err(Error::storage(problem, "", ""));
    }
    Ok(CacheName::Member(path.into()))
}

/// Whether a file of this name in a directory of caches is one of them.
pub(super) fn is_member(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"tkt")
}

impl fmt::Display for CacheName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CacheName::File(path) => write!(f, "FILE:{}", path.display()),
            CacheName::Dir(path) => write!(f, "DIR:{}", path.display()),
            CacheName::Member(path) => write!(f, "DIR::{}", path.display()),
            CacheName::Memory(name) => write!(f, "MEMORY:{name}"),
            CacheName::Kcm(name) => name.fmt(f),
            #[cfg(feature = "keyring")]
            CacheName::Keyring(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_printed_back_with_their_type() {
        for (text, printed) in [
            ("/tmp/krb5cc_0", "FILE:/tmp/krb5cc_0"),
            ("cache", "FILE:cache"),
            ("/tmp/a:b", "FILE:/tmp/a:b"),
            ("FILE:/tmp/a:b", "FILE:/tmp/a:b"),
            ("DIR:/run/user/0/krb5cc", "DIR:/run/user/0/krb5cc"),
            ("DIR::/run/user/0/krb5cc/tktX", "DIR::/run/user/0/krb5cc/tktX"),
            ("MEMORY:a", "MEMORY:a"),
            ("KCM:", "KCM:"),
            ("KCM:1000:1", "KCM:1000:1"),
        ] {
            assert_eq!(CacheName::parse(text).expect(text).to_string(), printed);
        }
    }

    #[test]
    fn a_type_that_we_do_not_have_says_which_there_are() {
        for text in ["API:x", "MSLSA:", "FILES:x"] {
            let error = CacheName::parse(text).expect_err(text).to_string();
            assert!(error.starts_with("Unknown credential cache type: "), "{error}");
            assert!(error.ends_with(SUPPORTED), "{error}");
        }
    }

    #[test]
    fn a_member_of_a_directory_has_a_directory_and_is_called_tkt() {
        let error = CacheName::parse("DIR::tkt").expect_err("no directory");
        assert_eq!(error.to_string(), "Subsidiary cache path tkt has no parent directory");
        let error = CacheName::parse("DIR::/tmp/cache").expect_err("not tkt");
        assert_eq!(error.to_string(), "Subsidiary cache path /tmp/cache filename does not begin with \"tkt\"");
    }

    #[test]
    fn a_name_without_a_name_is_none() {
        for text in ["", "FILE:", "DIR:", "MEMORY:"] {
            assert!(CacheName::parse(text).is_err(), "{text}");
        }
    }
}
