//! The keys of an exchange, `K'[n]` (RFC 9588 7), and the number w that they begin with (5).

use std::fmt;

use zeroize::Zeroizing;

use super::group::{Group, Hidden, Mask, Secret};
use super::transcript::Transcript;
use crate::codes::EncryptionType;
use crate::crypto::{Key, KeyUsage, Pepper, PreparedPrf, Random, key_len};
use crate::error::{Error, Result};
use crate::wire::{self, EncryptedData};

/// A long-term key that exchanges in one group begin with, and what is the same for all of them: w, and
/// w times either constant. Whoever keeps it saves half of a KDC's work. Zeroized on drop.
pub struct Initial {
    prf: PreparedPrf,
    group: &'static Group,
    w: Secret,
    hidden: [Hidden; 2],
}

impl Initial {
    /// Of a key and a group.
    ///
    /// # Errors
    /// None for the enctypes of this library.
    pub fn new(key: &Key, group: &'static Group) -> Result<Initial> {
        let prf = key.prepare_prf();
        let w = multiplier(&prf, group)?;
        let hidden = |mask| group.arithmetic.hidden(&w, mask).ok_or(Error::Integrity);
        let hidden = [hidden(Mask::M)?, hidden(Mask::N)?];
        Ok(Initial { prf, group, w, hidden })
    }

    /// The group.
    pub fn group(&self) -> &'static Group {
        self.group
    }

    pub(super) fn etype(&self) -> EncryptionType {
        self.prf.etype()
    }

    pub(super) fn hidden(&self, mask: Mask) -> &Hidden {
        let [m, n] = &self.hidden;
        match mask {
            Mask::M => m,
            Mask::N => n,
        }
    }
}

impl fmt::Debug for Initial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Initial({:?}, redacted)", self.group)
    }
}

/// The octets of which the multiplier w is made (RFC 9588 5).
pub(super) fn multiplier(initial: &PreparedPrf, group: &Group) -> Result<Secret> {
    let pepper = [b"SPAKEsecret".as_slice(), &group.number.to_be_bytes()].concat();
    let mut w = Zeroizing::new(vec![0; group.multiplier_len]);
    initial.prf_plus(&Pepper::new(&pepper), &mut w)?;
    Ok(w)
}

/// The keys that both sides have derived, for one request.
pub struct Keys {
    initial: PreparedPrf,
    group: &'static Group,
    /// What is hashed for every key, but its number.
    seed: Secret,
}

impl Keys {
    pub(super) fn new(initial: &Initial, shared: &[u8], transcript: &Transcript, body: &[u8]) -> Keys {
        let Initial { prf, group, w, .. } = initial;
        let (number, etype) = (group.number.to_be_bytes(), prf.etype().0.to_be_bytes());
        let parts: [&[u8]; 7] = [b"SPAKEkey", &number, &etype, w, shared, transcript.octets(), body];
        // Of the final length at once: what is outgrown would stay in memory.
        let mut seed = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| seed.extend_from_slice(part));
        Keys { initial: prf.clone(), group, seed }
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
        static INITIAL: Pepper<'_> = Pepper::new(b"SPAKE");
        static BETWEEN: Pepper<'_> = Pepper::new(b"keyderiv");
        self.initial.cf2(&INITIAL, &between.prepare_prf(), &BETWEEN)
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
