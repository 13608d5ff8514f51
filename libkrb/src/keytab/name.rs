//! The name of a keytab: `TYPE:residual`. A name without a type is a file.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};

const UNKNOWN_TYPE: &str = "Unknown Key table type";

/// Where a keytab lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeytabName {
    /// `FILE:path`.
    File(PathBuf),
    /// `WRFILE:path`: an old name for the same.
    WritableFile(PathBuf),
    /// `MEMORY:name`: in this process, and gone with it.
    Memory(String),
}

impl KeytabName {
    /// Reads a name as `KRB5_KTNAME` or `-t` give it.
    ///
    /// # Errors
    /// [`Error::Storage`] for a type that is not supported or a name that cannot be one.
    pub fn parse(text: &str) -> Result<Self> {
        let (kind, residual) = match text.split_once(':') {
            Some((kind, residual)) if !kind.contains('/') => (kind, residual),
            _ => ("FILE", text),
        };
        match kind {
            "FILE" | "WRFILE" | "MEMORY" if residual.is_empty() => {
                Err(Error::storage("Key table name malformed", "", format!("expected {kind}: and a name")))
            }
            "FILE" => Ok(KeytabName::File(residual.into())),
            "WRFILE" => Ok(KeytabName::WritableFile(residual.into())),
            "MEMORY" => Ok(KeytabName::Memory(residual.into())),
            _ => Err(Error::storage(UNKNOWN_TYPE, "", "use FILE: or MEMORY:")),
        }
    }
}

impl fmt::Display for KeytabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeytabName::File(path) => write!(f, "FILE:{}", path.display()),
            KeytabName::WritableFile(path) => write!(f, "WRFILE:{}", path.display()),
            KeytabName::Memory(name) => write!(f, "MEMORY:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_printed_back_with_their_type() {
        for (text, printed) in [
            ("/etc/krb5.keytab", "FILE:/etc/krb5.keytab"),
            ("FILE:a", "FILE:a"),
            ("WRFILE:a", "WRFILE:a"),
            ("/a:b", "FILE:/a:b"),
            ("MEMORY:m", "MEMORY:m"),
        ] {
            assert_eq!(KeytabName::parse(text).expect(text).to_string(), printed);
        }
    }

    #[test]
    fn a_type_that_we_do_not_have_says_which_there_are() {
        let error = KeytabName::parse("SRVTAB:/etc/srvtab").expect_err("no such type");
        assert_eq!(error.to_string(), "Unknown Key table type: use FILE: or MEMORY:");
        assert!(KeytabName::parse("FILE:").is_err());
        assert!(KeytabName::parse("").is_err());
    }
}
