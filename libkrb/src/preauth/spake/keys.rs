//! The keys of an exchange, `K'[n]` (RFC 9588 7), and the number w that they begin with (5).

use std::fmt;

use zeroize::Zeroizing;

use super::group::{Group, Secret};
use super::transcript::Transcript;
use crate::crypto::{Key, KeyUsage, Random, key_len};
use crate::error::{Error, Result};
use crate::wire::{self, EncryptedData};

/// The keys that both sides have derived, for one request.
pub struct Keys {
    initial: Key,
    group: &'static Group,
    /// What is hashed for every key, but its number.
    seed: Secret,
}

/// The octets of which the multiplier w is made (RFC 9588 5).
pub(super) fn multiplier(initial: &Key, group: &Group) -> Result<Secret> {
    let pepper = [b"SPAKEsecret".as_slice(), &group.number.to_be_bytes()].concat();
    initial.prf_plus(&pepper, group.multiplier_len).map(Zeroizing::new)
}

impl Keys {
    pub(super) fn new(
        initial: &Key,
        group: &'static Group,
        shared: &[u8],
        transcript: &Transcript,
        body: &[u8],
    ) -> Result<Keys> {
        let (number, etype) = (group.number.to_be_bytes(), initial.etype().0.to_be_bytes());
        let w = multiplier(initial, group)?;
        let parts: [&[u8]; 7] = [b"SPAKEkey", &number, &etype, &w, shared, transcript.octets(), body];
        // Of the final length at once: what is outgrown would stay in memory.
        let mut seed = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| seed.extend_from_slice(part));
        Ok(Keys { initial: initial.clone(), group, seed })
    }

    /// K'\[n\]. 0 is the reply key, odd ones are the client's for what it encrypts, even ones the KDC's.
    ///
    /// # Errors
    /// None for the enctypes of this library.
    pub fn key(&self, n: u32) -> Result<Key> {
        let length = key_len(self.initial.etype())?;
        let mut octets = Zeroizing::new(Vec::with_capacity(length + self.group.hash.len()));
        for block in (1u8..).take_while(|block| usize::from(*block - 1) * self.group.hash.len() < length) {
            let mut input = Zeroizing::new(Vec::with_capacity(self.seed.len() + 5));
            input.extend_from_slice(&self.seed);
            input.extend_from_slice(&n.to_be_bytes());
            input.push(block);
            octets.extend_from_slice(&Zeroizing::new(self.group.hash.of(&input)));
        }
        let octets = octets.get(..length).ok_or(Error::KeyLength(self.initial.etype()))?;
        let between = Key::random_to_key(self.initial.etype(), octets)?;
        Key::cf2(&self.initial, b"SPAKE", &between, b"keyderiv")
    }

    /// The key that takes the place of the initial one when all is proven (RFC 9588 4.5).
    ///
    /// # Errors
    /// As [`Keys::key`].
    pub fn reply(&self) -> Result<Key> {
        self.key(0)
    }

    /// The ciphertext of an EncryptedData under K'\[n\].
    ///
    /// # Errors
    /// As [`Keys::key`].
    pub fn seal(&self, n: u32, random: &mut dyn Random, plain: &[u8]) -> Result<Vec<u8>> {
        Ok(self.key(n)?.encrypt(KeyUsage::SPAKE, random, plain))
    }

    /// Opens an EncryptedData under K'\[n\].
    ///
    /// # Errors
    /// [`Error::Integrity`] if the other side had other keys.
    pub fn open(&self, n: u32, sealed: &EncryptedData<'_>) -> Result<Zeroizing<Vec<u8>>> {
        if sealed.etype != self.initial.etype() {
            return Err(Error::Integrity);
        }
        self.key(n)?.decrypt(KeyUsage::SPAKE, sealed.cipher)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:?}, redacted)", self.group)
    }
}

/// A [`wire::SpakeSecondFactor`] as it is encrypted.
pub(super) fn factor(kind: i32, data: Option<&[u8]>) -> Zeroizing<Vec<u8>> {
    wire::encode_secret(&wire::SpakeSecondFactor { kind, data })
}
