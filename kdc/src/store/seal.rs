//! Keys at rest: AES-256-GCM under the realm's master key, each bound to its principal, version
//! and enctype so that no record can be passed off as another's. Not here: where records are kept.
//!
//! Nonces are random, 96 bits: one master key is good for some 2^32 sealings (NIST SP 800-38D 8.3),
//! which at a hundred key changes a second is more than a year of nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::core::StoreError;
use crate::source::Source;

/// The first line of a master key file: what it is and in which version of the format.
const HEADER: &str = "kdc-master-key 1";
const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;

/// The key over all keys of a realm, in all its versions. Seals with the newest, unless that is not yet
/// everywhere.
pub struct MasterKey {
    /// Where it came from, for messages.
    file: PathBuf,
    source: Option<Source>,
    versions: BTreeMap<u32, Arc<LessSafeKey>>,
    /// The version that seals, where it is not the newest.
    seals: Option<u32>,
}

/// What an answer to a request is sealed for.
pub(super) fn answer_context(request: &[u8; 32]) -> Vec<u8> {
    [b"answer ".as_slice(), request].concat()
}

/// Why what was answered to a request can't be told: that it was is known, so it is not made again.
pub(super) fn answer_is_shut() -> StoreError {
    let next = "look whether the change is made, and ask with another id if it is not";
    StoreError::Storage(format!("the answer to this request is sealed under a master key that is gone; {next}"))
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
        Ok(MasterKey { source: Some(path.into()), ..Self::parse(path, &text)? })
    }

    /// Reads a key from where it is: a path, or another source.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when it can't be read, is open to everybody, or is no master key.
    pub fn load(source: impl Into<Source>) -> Result<Self, StoreError> {
        let source = source.into();
        let text = source.read().map_err(|error| StoreError::Storage(error.to_string()))?;
        let key = Self::parse(Path::new(&source.to_string()), &text)?;
        Ok(MasterKey { source: Some(source), ..key })
    }

    /// The same with one version more, which seals from then on; its file has it first, so that nothing
    /// is ever sealed under what a crash could lose.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when it is in no file that can be written.
    pub(super) fn with_next(&self) -> Result<Self, StoreError> {
        let (_, row) = self.next_row()?;
        self.rewritten(|text| text.push_str(&row))
    }

    /// A further version, as a line of its file, which it is not in yet.
    ///
    /// # Errors
    /// When no higher version is left.
    pub(super) fn next_row(&self) -> Result<(u32, Zeroizing<String>), StoreError> {
        let next = self.newest().checked_add(1).ok_or_else(|| wrong(&self.file, "no higher version is left"))?;
        Ok((next, fresh_row(next)?))
    }

    /// The same with a version more, which somebody else has made, in its file first. It seals as before.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when it is in no file that can be written.
    #[cfg(feature = "etcd")]
    pub(super) fn with_row(&self, row: &str) -> Result<Self, StoreError> {
        let seals = Some(self.version());
        Ok(MasterKey { seals, ..self.rewritten(|text| text.push_str(row))? })
    }

    /// The same, but a version that it has seals.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when it has no such version.
    #[cfg(feature = "etcd")]
    pub(super) fn sealing(&self, version: u32) -> Result<Self, StoreError> {
        if !self.versions.contains_key(&version) {
            let problem = format!("version {version} is not in it; copy the file from a KDC that has it");
            return Err(wrong(&self.file, &problem));
        }
        let (file, source, versions) = (self.file.clone(), self.source.clone(), self.versions.clone());
        Ok(MasterKey { file, source, versions, seals: Some(version) })
    }

    /// The same with its newest version only, in its file too.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when it is in no file that can be written.
    pub(super) fn newest_only(&self) -> Result<Self, StoreError> {
        let newest = self.newest();
        self.rewritten(|text| {
            let stays = |line: &&str| parse_row(line).is_none_or(|(version, _)| version == newest);
            let mut rest = Zeroizing::new(String::with_capacity(text.len()));
            for line in text.lines().filter(stays) {
                rest.push_str(line);
                rest.push('\n');
            }
            std::mem::swap(text, &mut rest);
        })
    }

    fn rewritten(&self, change: impl FnOnce(&mut String)) -> Result<Self, StoreError> {
        let Some(path) = self.source.as_ref().and_then(Source::path) else {
            let problem = "the KDC can't write this; put the new version there as a further line \"VERSION HEX\" (64 \
                           random digits), start the KDC again, and repeat this";
            return Err(wrong(&self.file, problem));
        };
        let read = Source::from(path).read().map_err(|error| StoreError::Storage(error.to_string()))?;
        // Room for a row, lest growing leaves a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(read.len() + 2 * KEY + 32));
        text.push_str(&read);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        change(&mut text);
        let key = Self::parse(path, &text)?;
        replace(path, &text).map_err(|error| wrong(path, &error.to_string()))?;
        Ok(MasterKey { source: self.source.clone(), ..key })
    }

    /// The file it came from, for messages.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The version that seals.
    pub fn version(&self) -> u32 {
        self.seals.unwrap_or_else(|| self.newest())
    }

    fn newest(&self) -> u32 {
        self.versions.last_key_value().map_or(0, |(version, _)| *version)
    }

    /// Whether it stands in a file, which the KDC can write.
    pub(super) fn is_in_a_file(&self) -> bool {
        self.source.as_ref().and_then(Source::path).is_some()
    }

    /// All versions, oldest first.
    pub fn versions(&self) -> Vec<u32> {
        self.versions.keys().copied().collect()
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
        Ok(MasterKey { file: path.to_owned(), source: None, versions, seals: None })
    }

    /// Nonce, ciphertext and tag of `plain`, bound to `context`; and the version that sealed it.
    pub(super) fn seal(&self, plain: &[u8], context: &[u8]) -> Result<(u32, Vec<u8>), StoreError> {
        let version = self.version();
        let cipher = self.versions.get(&version).ok_or_else(no_random)?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| no_random())?;
        // Reserved at once, lest growing leaves a copy of the secret behind.
        let mut sealed = Zeroizing::new(Vec::with_capacity(NONCE + plain.len() + TAG));
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (_, secret) = sealed.split_at_mut(NONCE);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(context), secret);
        sealed.extend_from_slice(tag.map_err(|_| no_random())?.as_ref());
        Ok((version, std::mem::take(&mut *sealed)))
    }

    /// What was sealed under this version of this key for this context; `None` for anything else.
    pub(super) fn open(&self, version: u32, sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut plain = Zeroizing::new(vec![0; sealed.len().checked_sub(NONCE + TAG)?]);
        self.open_into(version, sealed, context, &mut plain)?;
        Some(plain)
    }

    /// As [`MasterKey::open`], in room that the caller has; `None` also where it is too small.
    pub(super) fn open_into<'o>(
        &self,
        version: u32,
        sealed: &[u8],
        context: &[u8],
        room: &'o mut [u8],
    ) -> Option<&'o [u8]> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let (cipher, tag) = sealed.split_last_chunk::<TAG>()?;
        let plain = room.get_mut(..cipher.len())?;
        let (master, nonce) = (self.versions.get(&version)?, Nonce::assume_unique_for_key(*nonce));
        let opened = master.open_separate_gather(nonce, Aad::from(context), cipher, tag, plain);
        opened.ok().map(|()| &*plain)
    }
}

/// A key that is good for one thing and kept nowhere.
fn single(secret: &[u8; KEY]) -> MasterKey {
    let versions = cipher(secret).map(|cipher| (1, cipher)).into_iter().collect();
    MasterKey { file: PathBuf::from("(in memory)"), source: None, versions, seals: None }
}

fn cipher(key: &[u8; KEY]) -> Option<Arc<LessSafeKey>> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new).map(Arc::new)
}

/// What only who has the secret can open.
///
/// # Errors
/// [`StoreError::Storage`] when the system gives no random bytes.
pub fn seal_under(secret: &[u8; KEY], plain: &[u8], context: &[u8]) -> Result<Vec<u8>, StoreError> {
    Ok(single(secret).seal(plain, context)?.1)
}

/// What was sealed under this secret for this context; `None` for anything else.
pub fn open_under(secret: &[u8; KEY], sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    single(secret).open(1, sealed, context)
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, version {})", self.file.display(), self.version())
    }
}

/// What a sealed key is bound to: unambiguous, since the only part of free length is counted.
pub(super) fn key_context(principal: &str, kvno: u32, etype: i32) -> Vec<u8> {
    let mut context = KeyContext::of(principal);
    context.key(kvno, etype);
    context.0
}

/// What the keys of a principal are bound to, one after the other.
pub(super) struct KeyContext(Vec<u8>);

impl KeyContext {
    pub fn of(principal: &str) -> Self {
        let length = principal.len() as u64;
        KeyContext([b"key", &length.to_be_bytes()[..], principal.as_bytes(), &[0; 8]].concat())
    }

    /// What this key of the principal is bound to.
    pub fn key(&mut self, kvno: u32, etype: i32) -> &[u8] {
        if let Some(end) = self.0.last_chunk_mut() {
            *end = (u64::from(kvno) << 32 | u64::from(etype as u32)).to_be_bytes();
        }
        &self.0
    }
}

/// What the secret of a token is bound to.
pub(super) fn token_context(principal: &str, token: &str) -> Vec<u8> {
    let length = principal.len() as u64;
    [b"otp", &length.to_be_bytes()[..], principal.as_bytes(), token.as_bytes()].concat()
}

fn fresh_text() -> Result<Zeroizing<String>, StoreError> {
    let row = fresh_row(1)?;
    Ok(Zeroizing::new(format!(
        "{HEADER}\n# Opens every key in the store. Keep it secret, and keep a copy apart from the store's backups.\n{}",
        *row
    )))
}

/// A line with a new key.
fn fresh_row(version: u32) -> Result<Zeroizing<String>, StoreError> {
    let mut key = Zeroizing::new([0; KEY]);
    getrandom::fill(&mut *key).map_err(|_| no_random())?;
    // Reserved at once, lest growing leaves a copy of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * KEY + 16));
    text.push_str(&format!("{version} "));
    for byte in key.iter() {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
    }
    text.push('\n');
    Ok(text)
}

/// Puts a text into the place of a file, of the same owner and mode: who looks, also after a crash, sees
/// the old one or the new one whole.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = std::fs::canonicalize(path)?;
    let (old, folder) = (std::fs::metadata(&path)?, path.parent().unwrap_or(Path::new("/")));
    let mut new = path.clone().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    // Left behind by a crash.
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let write = |file: &mut File| {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(&*file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(std::fs::Permissions::from_mode(old.mode() & 0o770))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    };
    write(&mut file).inspect_err(|_| {
        let _ = std::fs::remove_file(&new);
    })
}

/// `VERSION HEX`
fn parse_row(line: &str) -> Option<(u32, Arc<LessSafeKey>)> {
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
    Some((version.parse().ok()?, cipher(&key)?))
}

fn wrong(path: &Path, problem: &str) -> StoreError {
    StoreError::Storage(libkrb::Error::file(path, problem).to_string())
}

fn no_random() -> StoreError {
    StoreError::Storage("the system's random number generator failed".into())
}
