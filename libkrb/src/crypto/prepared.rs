//! Keys made ready for one usage: the cipher's schedule and the MAC's state are computed once.
//! Not here: keys at rest ([`super::Key`]).

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Random;
use super::etype::{CHECKSUM_MAX, Profile};
use super::mac::{same, wipe};
use crate::codes::{ChecksumType, EncryptionType};
use crate::error::{Error, Result};

/// Ke and Ki of one usage at work. A buffer is as long as [`Profile`] says: the callers see to it.
pub(super) trait Sealer: Send + Sync {
    /// Makes ciphertext of a buffer with the confounder and the plaintext in their places.
    fn seal(&self, buffer: &mut [u8]);

    /// Undoes [`Sealer::seal`], and refuses what was not sealed with this key. What is then in the
    /// buffer must not be used.
    fn open(&self, buffer: &mut [u8]) -> Result<()>;
}

/// Kc of one usage at work.
pub(super) trait Checker: Send + Sync {
    /// The checksum of `parts`, one after the other, cut to the length of `out`.
    fn tag(&self, parts: &[&[u8]], out: &mut [u8]);
}

/// A key prepared to encrypt and decrypt for one usage (RFC 3961 3). Cloning is cheap; the derived
/// keys are zeroized when the last clone is dropped.
#[derive(Clone)]
pub struct PreparedKey {
    pub(super) profile: &'static Profile,
    pub(super) sealer: Arc<dyn Sealer>,
}

impl PreparedKey {
    /// The enctype of the key.
    pub fn etype(&self) -> EncryptionType {
        self.profile.etype
    }

    /// The ciphertext of `plain`, under a fresh confounder.
    pub fn encrypt(&self, random: &mut dyn Random, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.profile.prefix + plain.len() + self.profile.suffix);
        self.encrypt_into(random, plain, &mut out);
        out
    }

    /// Appends the ciphertext of `plain`, under a fresh confounder, to `out`.
    pub fn encrypt_into(&self, random: &mut dyn Random, plain: &[u8], out: &mut Vec<u8>) {
        let buffer = with_room(self.profile, plain, out);
        self.seal(random, buffer);
    }

    /// Makes ciphertext, under a fresh confounder, of a buffer in which the plaintext stands with
    /// room around it: [`PreparedKey::room`].
    ///
    /// # Errors
    /// [`Error::Malformed`] for a buffer that is too short for the room alone.
    pub fn encrypt_in_place(&self, random: &mut dyn Random, buffer: &mut [u8]) -> Result<()> {
        let Profile { prefix, suffix, .. } = *self.profile;
        if buffer.len() < prefix + suffix {
            return Err(Error::Malformed("a buffer without room for the ciphertext"));
        }
        self.seal(random, buffer);
        Ok(())
    }

    /// How many octets the ciphertext has before and after those of the plaintext.
    pub fn room(&self) -> (usize, usize) {
        (self.profile.prefix, self.profile.suffix)
    }

    fn seal(&self, random: &mut dyn Random, buffer: &mut [u8]) {
        sealed(self.profile, random, buffer, |buffer| self.sealer.seal(buffer));
    }

    /// The plaintext of `cipher`; [`Error::Integrity`] for anything that this key did not encrypt.
    pub fn decrypt(&self, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        decrypted(self.profile, cipher, |buffer| self.sealer.open(buffer))
    }

    /// As [`PreparedKey::decrypt`], for one that is looked at and dropped: nothing of it is moved.
    pub fn open(&self, cipher: &[u8]) -> Result<Plain> {
        Plain::of(self.profile, cipher, |buffer| self.sealer.open(buffer))
    }

    /// As [`PreparedKey::decrypt`], where the ciphertext stands; on failure it is wiped.
    pub fn decrypt_in_place<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
        open(self.profile, buffer, |buffer| self.sealer.open(buffer))
    }
}

/// Appends `plain` to `out` with the room around it that its ciphertext needs, and gives all of that.
pub(super) fn with_room<'a>(profile: &Profile, plain: &[u8], out: &'a mut Vec<u8>) -> &'a mut [u8] {
    let start = out.len();
    out.reserve(profile.prefix + plain.len() + profile.suffix);
    out.resize(start + profile.prefix, 0);
    out.extend_from_slice(plain);
    out.resize(out.len() + profile.suffix, 0);
    out.split_at_mut(start).1
}

/// Ciphertext of a buffer with room, under a fresh confounder.
pub(super) fn sealed(profile: &Profile, random: &mut dyn Random, buffer: &mut [u8], seal: impl FnOnce(&mut [u8])) {
    let (head, _) = buffer.split_at_mut(profile.prefix);
    random.fill(head.split_at_mut(profile.prefix - profile.confounder).1);
    seal(buffer);
}

/// The plaintext in a buffer of ciphertext, which is wiped if it does not open.
pub(super) fn open<'a>(
    profile: &Profile,
    buffer: &'a mut [u8],
    open: impl FnOnce(&mut [u8]) -> Result<()>,
) -> Result<&'a [u8]> {
    let Profile { prefix, suffix, .. } = *profile;
    let end = buffer.len().checked_sub(suffix).filter(|end| *end >= prefix).ok_or(Error::Integrity)?;
    if let Err(refused) = open(buffer) {
        wipe(buffer);
        return Err(refused);
    }
    buffer.get(prefix..end).ok_or(Error::Integrity)
}

/// The plaintext of `cipher`, to be kept.
pub(super) fn decrypted(
    profile: &Profile,
    cipher: &[u8],
    with: impl FnOnce(&mut [u8]) -> Result<()>,
) -> Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(cipher.to_vec());
    let length = open(profile, &mut buffer, with)?.len();
    buffer.drain(..profile.prefix);
    buffer.truncate(length);
    Ok(buffer)
}

/// What was decrypted, where its ciphertext stood; wiped when it is dropped.
pub struct Plain {
    whole: Vec<u8>,
    start: usize,
    end: usize,
}

impl Plain {
    pub(super) fn of(profile: &Profile, cipher: &[u8], with: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Plain> {
        let mut plain = Plain { whole: cipher.to_vec(), start: profile.prefix, end: 0 };
        plain.end = plain.start + open(profile, &mut plain.whole, with)?.len();
        Ok(plain)
    }
}

impl Deref for Plain {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.whole.get(self.start..self.end).unwrap_or_default()
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        wipe(&mut self.whole);
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plain({} octets)", self.len())
    }
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedKey({}, redacted)", self.profile.etype)
    }
}

/// A key prepared to make and verify checksums for one usage (RFC 3961 4). Cloning is cheap.
#[derive(Clone)]
pub struct PreparedChecksum {
    pub(super) profile: &'static Profile,
    pub(super) checker: Arc<dyn Checker>,
}

impl PreparedChecksum {
    /// The enctype of the key.
    pub fn etype(&self) -> EncryptionType {
        self.profile.etype
    }

    /// The type of the checksums: the one that goes with the key's enctype.
    pub fn checksum_type(&self) -> ChecksumType {
        self.profile.checksum
    }

    /// The checksum of `data`.
    pub fn checksum(&self, data: &[u8]) -> Vec<u8> {
        let mut out = vec![0; self.profile.checksum_len];
        self.checker.tag(&[data], &mut out);
        out
    }

    /// Writes the checksum of `parts`, one after the other, to `out`, which is as long as
    /// [`PreparedChecksum::mac_len`] says.
    pub fn checksum_parts(&self, parts: &[&[u8]], out: &mut [u8]) {
        self.checker.tag(parts, out);
    }

    /// How many octets a checksum has.
    pub fn mac_len(&self) -> usize {
        self.profile.checksum_len
    }

    /// Refuses unless `mac` is the checksum of `data`: [`Error::Integrity`] if it is not,
    /// [`Error::ChecksumNotSupported`] if `kind` is not the key's own type. Compares in constant time.
    pub fn verify(&self, kind: ChecksumType, data: &[u8], mac: &[u8]) -> Result<()> {
        if kind != self.profile.checksum {
            return Err(Error::ChecksumNotSupported(kind));
        }
        self.verify_parts(&[data], mac)
    }

    /// As [`PreparedChecksum::checksum`], into a place for it of [`PreparedChecksum::mac_len`] octets; what
    /// is longer or shorter stays as it is.
    pub fn checksum_into(&self, data: &[u8], out: &mut [u8]) {
        if out.len() == self.profile.checksum_len {
            self.checker.tag(&[data], out);
        }
    }

    /// Refuses with [`Error::Integrity`] unless `mac` is the checksum, of the key's own type, of
    /// `parts`, one after the other. Compares in constant time.
    pub fn verify_parts(&self, parts: &[&[u8]], mac: &[u8]) -> Result<()> {
        verified(self.profile, mac, |computed| self.checker.tag(parts, computed))
    }
}

/// Refuses unless `mac` is the checksum that `tag` writes.
pub(super) fn verified(profile: &Profile, mac: &[u8], tag: impl FnOnce(&mut [u8])) -> Result<()> {
    let mut computed = Zeroizing::new([0; CHECKSUM_MAX]);
    let (computed, _) = computed.split_at_mut(profile.checksum_len);
    tag(computed);
    same(computed, mac)
}

impl fmt::Debug for PreparedChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedChecksum({}, redacted)", self.profile.checksum)
    }
}
