//! The door to identities and anchors in files, named as MIT's tools name them: `FILE:cert,key`,
//! `PKCS12:file`, `DIR:folder`, `ENV:variable` that has one of these.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the door of files")]

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::Identity;
use crate::error::{Error, Result};

/// Where an identity lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A certificate with its chain, and a key, in PEM; the key may stand in the same file.
    Pem {
        /// The certificates.
        chain: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// Both in PKCS #12.
    Pkcs12(PathBuf),
}

/// Asks for the password of a file.
pub type Prompt<'a> = &'a mut dyn FnMut(&str) -> Result<Zeroizing<String>>;

impl Source {
    /// Reads `FILE:cert[,key]` or `PKCS12:file`; without a prefix it is `FILE:`.
    ///
    /// # Errors
    /// [`Error::Setting`] for another prefix.
    pub fn parse(text: &str) -> Result<Source> {
        let (kind, rest) = text.split_once(':').unwrap_or(("FILE", text));
        match kind {
            "FILE" => {
                let (chain, key) = rest.split_once(',').unwrap_or((rest, rest));
                Ok(Source::Pem { chain: chain.into(), key: key.into() })
            }
            "PKCS12" => Ok(Source::Pkcs12(rest.into())),
            _ => {
                let problem =
                    format!("identities of the kind {kind:?} are not supported; use FILE:cert,key or PKCS12:file");
                Err(Error::Setting(problem))
            }
        }
    }

    /// The places that may hold the identity: the one that [`Source::parse`] reads, or for
    /// `DIR:folder` every certificate `name.crt` there that has its `name.key` beside it. `ENV:name`
    /// stands for the place that this variable of the environment names.
    ///
    /// # Errors
    /// As [`Source::parse`]; [`Error::File`] for a folder that can't be read, [`Error::Setting`] for a
    /// variable that is not there or names another variable.
    pub fn candidates(text: &str) -> Result<Vec<Source>> {
        let Some(variable) = text.strip_prefix("ENV:") else { return Source::placed(text) };
        let unset =
            |_| Error::Setting(format!("ENV:{variable}: there is no such variable with a text in the environment"));
        Source::placed(&std::env::var(variable).map_err(unset)?)
    }

    fn placed(text: &str) -> Result<Vec<Source>> {
        let Some(folder) = text.strip_prefix("DIR:") else { return Source::parse(text).map(|source| vec![source]) };
        let certificates =
            files(Path::new(folder))?.into_iter().filter(|path| path.extension() == Some("crt".as_ref()));
        let pairs = certificates.map(|chain| Source::Pem { key: chain.with_extension("key"), chain });
        Ok(pairs.filter(|pair| matches!(pair, Source::Pem { key, .. } if key.is_file())).collect())
    }

    /// Reads the identity; the password of a sealed key is asked for, that of PKCS #12 only if an empty one
    /// does not do.
    ///
    /// # Errors
    /// [`Error::File`] that names the file.
    pub fn read(&self, prompt: Prompt<'_>) -> Result<Identity> {
        match self {
            Source::Pem { chain, key } => {
                let (certificates, secret) = (bytes(chain)?, bytes(key)?);
                if !Identity::is_sealed(&secret) {
                    return Identity::from_pem(&certificates, &secret).map_err(|error| Error::file(chain, error));
                }
                let password = prompt(&format!("Pass phrase for {}", key.display()))?;
                let opened = Identity::from_sealed_pem(&certificates, &secret, &password);
                opened.map_err(|error| Error::file(key, error))
            }
            Source::Pkcs12(path) => {
                let archive = bytes(path)?;
                if let Ok(identity) = Identity::from_pkcs12(&archive, "") {
                    return Ok(identity);
                }
                let password = prompt(&format!("Pass phrase for {}", path.display()))?;
                Identity::from_pkcs12(&archive, &password).map_err(|error| Error::file(path, error))
            }
        }
    }

    /// When its files were last changed: who holds the identity reads it again when this is another.
    pub fn changed(&self) -> Vec<Option<SystemTime>> {
        let of = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
        match self {
            Source::Pem { chain, key } => vec![of(chain), of(key)],
            Source::Pkcs12(path) => vec![of(path)],
        }
    }
}

impl fmt::Display for Source {
    /// As [`Source::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Pem { chain, key } => write!(f, "FILE:{},{}", chain.display(), key.display()),
            Source::Pkcs12(path) => write!(f, "PKCS12:{}", path.display()),
        }
    }
}

/// The PEM of a list of `FILE:file` and `DIR:folder`, one after the other; without a prefix it is
/// `FILE:`. Of a folder the files whose names end in `.pem`, `.crt` or `.crl`, and OpenSSL's hashes.
///
/// # Errors
/// [`Error::File`] for what can't be read.
pub fn pem(places: &[String]) -> Result<Vec<u8>> {
    let mut all = vec![];
    for place in places {
        match place.split_once(':') {
            Some(("DIR", folder)) => {
                for path in files(Path::new(folder))? {
                    all.extend_from_slice(&bytes(&path)?);
                    all.push(b'\n');
                }
            }
            Some(("FILE", path)) => all.extend_from_slice(&bytes(Path::new(path))?),
            _ => all.extend_from_slice(&bytes(Path::new(place))?),
        }
        all.push(b'\n');
    }
    Ok(all)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |error| Error::file(folder, error);
    let entries = fs::read_dir(folder).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(|path| wanted(path)).collect();
    files.sort();
    Ok(files)
}

/// `ca.pem`, `ca.crt`, `ca.crl`, `1a2b3c4d.0`, `1a2b3c4d.r0`.
fn wanted(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let digits = ending.strip_prefix('r').unwrap_or(ending);
    let hashed = !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit());
    path.is_file() && (hashed || matches!(ending, "pem" | "crt" | "crl"))
}

/// No certificate, key or list is longer; what is, is something else.
const MOST_BYTES: u64 = 16 << 20;

fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let wrong = |error| Error::file(path, error);
    let length = fs::metadata(path).map_err(wrong)?.len();
    if length > MOST_BYTES {
        return Err(Error::file(path, "longer than any file of certificates or keys"));
    }
    fs::read(path).map(Zeroizing::new).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_as_mits_tools_name_them() {
        let both = |chain: &str, key: &str| Source::Pem { chain: chain.into(), key: key.into() };
        assert_eq!(Source::parse("FILE:/a.crt,/a.key"), Ok(both("/a.crt", "/a.key")));
        assert_eq!(Source::parse("/a.pem"), Ok(both("/a.pem", "/a.pem")));
        assert_eq!(Source::parse("PKCS12:/a.p12"), Ok(Source::Pkcs12("/a.p12".into())));
        let refused = Source::parse("PKCS11:token").unwrap_err().to_string();
        assert!(refused.contains("PKCS11") && refused.contains("PKCS12:file"), "{refused}");
    }

    #[test]
    fn of_a_folder_only_what_can_be_a_certificate_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.pem", "a.crt", "README", "1a2b3c4d.0", "1a2b3c4d.r0", "key.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let all = pem(&[format!("DIR:{}", folder.path().display())]).unwrap();
        assert_eq!(all, b"1a2b3c4d.0\n1a2b3c4d.r0\na.crt\nb.pem\n\n");
        let error = pem(&["FILE:/nowhere".to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere: "), "{error}");
    }
}
