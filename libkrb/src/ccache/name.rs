//! The name of a cache: `TYPE:residual`. A name without a type is a file.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const UNKNOWN_TYPE: &str = "Unknown credential cache type";
const SUPPORTED: &str = "use FILE:, DIR: or MEMORY:";

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
            "KEYRING" | "KCM" | "API" | "MSLSA" => {
                Err(Error::storage(UNKNOWN_TYPE, "", format!("{kind} is not supported here, {SUPPORTED}")))
            }
            "FILE" | "DIR" | "MEMORY" if residual.is_empty() => Err(malformed(format!("expected {kind}: and a name"))),
            "FILE" => Ok(CacheName::File(residual.into())),
            "DIR" => match residual.strip_prefix(':') {
                Some(member) => member_name(Path::new(member)),
                None => Ok(CacheName::Dir(residual.into())),
            },
            "MEMORY" => Ok(CacheName::Memory(residual.into())),
            _ => Err(Error::storage(UNKNOWN_TYPE, "", SUPPORTED)),
        }
    }
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
        ] {
            assert_eq!(CacheName::parse(text).expect(text).to_string(), printed);
        }
    }

    #[test]
    fn a_type_that_we_do_not_have_says_which_there_are() {
        for text in ["KEYRING:persistent:0", "KCM:", "KCM:0", "API:x", "FILES:x"] {
            let error = CacheName::parse(text).expect_err(text).to_string();
            assert!(error.starts_with("Unknown credential cache type: "), "{error}");
            assert!(error.ends_with("use FILE:, DIR: or MEMORY:"), "{error}");
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
