//! The base key, at the start of every derivation (RFC 3961 5.3): what is derived together shares its
//! schedule, and what is used once never leaves the stack. Not here: each enctype's own way.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::etype::Profile;
use super::prepared::{
    Checker, Plain, PreparedChecksum, PreparedKey, Sealer, decrypted, open, sealed, verified, with_room,
};
use super::prf::{PreparedPrf, PseudoRandom};
use super::{KeyUsage, Random};
use crate::codes::{ChecksumType, EncryptionType};
use crate::error::{Error, Result};

/// What an enctype makes of a base key.
pub(super) trait Start {
    type Sealer: Sealer + 'static;
    type Checker: Checker + 'static;
    type Prf: PseudoRandom + 'static;

    /// The base key's octets are as many as the profile says.
    fn new(key: &[u8]) -> Self;
    fn sealer(&self, usage: KeyUsage) -> Self::Sealer;
    fn checker(&self, usage: KeyUsage) -> Self::Checker;
    fn prf(&self) -> Self::Prf;
}

/// The same, whatever the enctype: to keep, or for one message.
pub(super) trait Base {
    fn sealer(&self, usage: KeyUsage) -> Arc<dyn Sealer>;
    fn checker(&self, usage: KeyUsage) -> Arc<dyn Checker>;
    fn prf(&self) -> Arc<dyn PseudoRandom>;
    fn seal(&self, usage: KeyUsage, buffer: &mut [u8]);
    fn open(&self, usage: KeyUsage, buffer: &mut [u8]) -> Result<()>;
    fn tag(&self, usage: KeyUsage, parts: &[&[u8]], out: &mut [u8]);
}

impl<S: Start> Base for S {
    fn sealer(&self, usage: KeyUsage) -> Arc<dyn Sealer> {
        Arc::new(Start::sealer(self, usage))
    }

    fn checker(&self, usage: KeyUsage) -> Arc<dyn Checker> {
        Arc::new(Start::checker(self, usage))
    }

    fn prf(&self) -> Arc<dyn PseudoRandom> {
        Arc::new(Start::prf(self))
    }

    fn seal(&self, usage: KeyUsage, buffer: &mut [u8]) {
        Start::sealer(self, usage).seal(buffer);
    }

    fn open(&self, usage: KeyUsage, buffer: &mut [u8]) -> Result<()> {
        Start::sealer(self, usage).open(buffer)
    }

    fn tag(&self, usage: KeyUsage, parts: &[&[u8]], out: &mut [u8]) {
        Start::checker(self, usage).tag(parts, out);
    }
}

/// Calls its second argument, once, with the base key made ready.
pub(super) type WithBase = fn(&[u8], &mut dyn FnMut(&dyn Base));

pub(super) fn with<S: Start>(key: &[u8], work: &mut dyn FnMut(&dyn Base)) {
    work(&S::new(key));
}

/// A key of which others are being derived: see [`super::Key::derive`].
pub struct BaseKey<'a> {
    pub(super) profile: &'static Profile,
    pub(super) base: &'a dyn Base,
}

impl BaseKey<'_> {
    /// The enctype of the key.
    pub fn etype(&self) -> EncryptionType {
        self.profile.etype
    }

    /// The key made ready to encrypt and decrypt for one usage.
    pub fn prepare(&self, usage: KeyUsage) -> PreparedKey {
        PreparedKey { profile: self.profile, sealer: self.base.sealer(usage) }
    }

    /// The key made ready for the checksums of one usage.
    pub fn prepare_checksum(&self, usage: KeyUsage) -> PreparedChecksum {
        PreparedChecksum { profile: self.profile, checker: self.base.checker(usage) }
    }

    /// The key made ready for its pseudo-random function.
    pub fn prepare_prf(&self) -> PreparedPrf {
        PreparedPrf { profile: self.profile, prf: self.base.prf() }
    }

    /// [`PreparedKey::encrypt_into`] for one message.
    pub fn encrypt_into(&self, usage: KeyUsage, random: &mut dyn Random, plain: &[u8], out: &mut Vec<u8>) {
        let buffer = with_room(self.profile, plain, out);
        sealed(self.profile, random, buffer, |buffer| self.base.seal(usage, buffer));
    }

    /// [`PreparedKey::decrypt`] for one message.
    pub fn decrypt(&self, usage: KeyUsage, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        decrypted(self.profile, cipher, |buffer| self.base.open(usage, buffer))
    }

    /// [`PreparedKey::open`] for one message.
    pub fn open(&self, usage: KeyUsage, cipher: &[u8]) -> Result<Plain> {
        Plain::of(self.profile, cipher, |buffer| self.base.open(usage, buffer))
    }

    /// [`PreparedKey::decrypt_in_place`] for one message.
    pub fn decrypt_in_place<'b>(&self, usage: KeyUsage, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
        open(self.profile, buffer, |buffer| self.base.open(usage, buffer))
    }

    /// [`PreparedChecksum::checksum`] for one message.
    pub fn checksum(&self, usage: KeyUsage, data: &[u8]) -> Vec<u8> {
        let mut out = vec![0; self.profile.checksum_len];
        self.base.tag(usage, &[data], &mut out);
        out
    }

    /// [`PreparedChecksum::verify`] for one message: never of an unkeyed type.
    pub fn verify_checksum(&self, usage: KeyUsage, kind: ChecksumType, data: &[u8], mac: &[u8]) -> Result<()> {
        if kind != self.profile.checksum {
            return Err(Error::ChecksumNotSupported(kind));
        }
        verified(self.profile, mac, |computed| self.base.tag(usage, &[data], computed))
    }
}

impl std::fmt::Debug for BaseKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BaseKey({}, redacted)", self.profile.etype)
    }
}
