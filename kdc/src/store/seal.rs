//! Keys at rest: AES-256-GCM under the realm's master key, each bound to its principal, version
//! and enctype so that no record can be passed off as another's. Not here: where records are kept.
//!
//! Nonces are random, 96 bits: one master key is good for some 2^32 sealings (NIST SP 800-38D 8.3),
//! which at a hundred key changes a second is more than a year of nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use zeroize::Zeroizing;

use crate::core::StoreError;

/// The first line of a master key file: what it is and in which version of the format.
const HEADER: &str = "kdc-master-key 1";
const KEY: usize = 32;
const NONCE: usize = 12;
/// More than any master key file has; a bound for strangers put in its place.
const MAX_FILE: u64 = 64 * 1024;

/// The key over all keys of a realm, in all its versions. Seals with the newest.
pub struct MasterKey {
    file: PathBuf,
    versions: BTreeMap<u32, Aes256Gcm>,
}

impl MasterKey {
    /// A fresh key that is written nowhere, for stores that are gone with the process.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when the system gives no random bytes.
    pub fn ephemeral() -> Result<Self, StoreError> {
        Self::parse(Path::new("(in memory)"), &fresh_text()?)
    }

    /// Makes a fresh key and its file, readable by its owner only. Never overwrites.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when the file exists or can't be written.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let text = fresh_text()?;
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| wrong(path, &error.to_string()))?;
        Self::parse(path, &text)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when it can't be read, is open to everybody, or is no master key.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let mut text = Zeroizing::new(String::new());
        let mut read = || {
            let file = OpenOptions::new().read(true).open(path)?;
            let mode = file.metadata()?.permissions().mode();
            file.take(MAX_FILE).read_to_string(&mut text)?;
            Ok(mode)
        };
        let mode = read().map_err(|error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => wrong(path, "No such file or directory; restore it, without it no key can be read"),
            _ => wrong(path, &error.to_string()),
        })?;
        if mode & 0o007 != 0 {
            let fix = format!("everybody on this machine can reach the master key; chmod 600 {}", path.display());
            return Err(wrong(path, &fix));
        }
        Self::parse(path, &text)
    }

    /// The file it came from, for messages.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The version that seals.
    pub fn version(&self) -> u32 {
        self.versions.last_key_value().map_or(0, |(version, _)| *version)
    }

    /// Reads the text of a key file; `path` stands in errors.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when it is no master key.
    pub fn parse(path: &Path, text: &str) -> Result<Self, StoreError> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        if lines.next().map(|(_, line)| line) != Some(HEADER) {
            return Err(wrong(path, &format!("not a master key file: it must begin with \"{HEADER}\"")));
        }
        let mut versions = BTreeMap::new();
        for (index, line) in lines {
            let row = parse_row(line);
            let (version, cipher) = row.ok_or_else(|| {
                wrong(path, &format!("line {}: expected a version number and {} hex digits", index + 1, 2 * KEY))
            })?;
            if versions.insert(version, cipher).is_some() {
                return Err(wrong(path, &format!("line {}: version {version} stands here twice", index + 1)));
            }
        }
        if versions.is_empty() {
            return Err(wrong(path, "no key in it; restore it from your copy"));
        }
        Ok(MasterKey { file: path.to_owned(), versions })
    }

    /// Nonce, ciphertext and tag of `plain`, bound to `context`; and the version that sealed it.
    pub(super) fn seal(&self, plain: &[u8], context: &[u8]) -> Result<(u32, Vec<u8>), StoreError> {
        let (version, cipher) = self.versions.last_key_value().ok_or_else(no_random)?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| no_random())?;
        let payload = Payload { msg: plain, aad: context };
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| no_random())?;
        Ok((*version, [&nonce, &*sealed].concat()))
    }

    /// What was sealed under this version of this key for this context; `None` for anything else.
    pub(super) fn open(&self, version: u32, sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: context };
        self.versions.get(&version)?.decrypt(&Nonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, version {})", self.file.display(), self.version())
    }
}

/// What a sealed key is bound to: unambiguous, since the only part of free length is counted.
pub(super) fn key_context(principal: &str, kvno: u32, etype: i32) -> Vec<u8> {
    let length = principal.len() as u64;
    [b"key", &length.to_be_bytes()[..], principal.as_bytes(), &kvno.to_be_bytes(), &etype.to_be_bytes()].concat()
}

fn fresh_text() -> Result<Zeroizing<String>, StoreError> {
    let mut key = Zeroizing::new([0; KEY]);
    getrandom::fill(&mut *key).map_err(|_| no_random())?;
    let mut text = Zeroizing::new(format!(
        "{HEADER}\n# Opens every key in the store. Keep it secret, and keep a copy apart from the store's backups.\n1 "
    ));
    // Reserved at once, lest growing leaves a copy of the key behind.
    text.reserve(2 * KEY + 1);
    for byte in key.iter() {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
    }
    text.push('\n');
    Ok(text)
}

/// `VERSION HEX`
fn parse_row(line: &str) -> Option<(u32, Aes256Gcm)> {
    let (version, hex) = line.split_once(' ')?;
    let digits = hex.trim().as_bytes();
    let mut key = Zeroizing::new([0; KEY]);
    if digits.len() != 2 * KEY {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
    }
    Some((version.parse().ok()?, Aes256Gcm::new((&*key).into())))
}

fn wrong(path: &Path, problem: &str) -> StoreError {
    StoreError::Storage(libkrb::Error::file(path, problem).to_string())
}

fn no_random() -> StoreError {
    StoreError::Storage("the system's random number generator failed".into())
}
