//! Sealing with AES-256-GCM (NIST SP 800-38D) what a service hands out and gets back, under a key
//! made of a secret. Not here: what is sealed, and Kerberos' own encryption types.
//!
//! Nonces are random, 96 bits: one key is good for some 2^32 sealings, so secrets are to be renewed.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Random;
use super::mac::{keyed, tag};
use crate::error::{Error, Result};

/// The least octets of a secret.
pub const MIN_SECRET: usize = 32;

const NONCE: usize = 12;

/// A key that seals and opens.
pub struct SealingKey {
    id: [u8; 4],
    cipher: Aes256Gcm,
}

impl SealingKey {
    /// The key that is made of a secret for one purpose.
    ///
    /// # Errors
    /// [`Error::Setting`] for a secret of fewer than [`MIN_SECRET`] octets.
    pub fn derive(secret: &[u8], purpose: &str) -> Result<SealingKey> {
        if secret.len() < MIN_SECRET {
            return Err(Error::Setting(format!("a secret needs at least {MIN_SECRET} octets")));
        }
        // HKDF (RFC 5869) with one block for each output.
        let mut extract: Hmac<Sha256> = keyed(b"libkrb sealing");
        extract.update(secret);
        let mut root = Zeroizing::new([0; 32]);
        tag(&extract, &[], &mut *root);
        let root: Hmac<Sha256> = keyed(&*root);
        let mut key = Zeroizing::new([0; 32]);
        tag(&root, &[b"key ", purpose.as_bytes(), &[1]], &mut *key);
        let mut id = [0; 4];
        tag(&root, &[b"id ", purpose.as_bytes(), &[1]], &mut id);
        Ok(SealingKey { id, cipher: keyed(&*key) })
    }

    /// What tells the key from others; no secret.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Seals a text, bound to what stands beside it.
    ///
    /// # Errors
    /// [`Error::Malformed`] for texts of many gigabytes.
    pub fn seal(&self, random: &mut dyn Random, beside: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce);
        let payload = Payload { msg: plain, aad: beside };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload);
        Ok([&nonce[..], &sealed.map_err(|_| Error::Malformed("too long to be sealed"))?].concat())
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// [`Error::Integrity`] for what was not sealed with this key and beside this.
    pub fn open(&self, beside: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (nonce, cipher) = sealed.split_first_chunk::<NONCE>().ok_or(Error::Integrity)?;
        let payload = Payload { msg: cipher, aad: beside };
        self.cipher.decrypt(&Nonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| Error::Integrity)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::OsRandom;

    const SECRET: [u8; 32] = [7; 32];

    fn key(secret: &[u8], purpose: &str) -> SealingKey {
        SealingKey::derive(secret, purpose).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_secret_only() {
        let sealed = key(&SECRET, "a").seal(&mut OsRandom::new(), b"beside", b"text").unwrap();
        assert_eq!(sealed.len(), 4 + 28);
        assert_eq!(**key(&SECRET, "a").open(b"beside", &sealed).unwrap(), *b"text");
        assert!(key(&SECRET, "b").open(b"beside", &sealed).is_err());
        assert!(key(&[8; 32], "a").open(b"beside", &sealed).is_err());
        assert!(key(&SECRET, "a").open(b"", &sealed).is_err());
    }

    #[test]
    fn no_changed_or_shortened_text_opens() {
        let key = key(&SECRET, "a");
        let sealed = key.seal(&mut OsRandom::new(), b"", b"text").unwrap();
        for length in 0..sealed.len() {
            assert!(key.open(b"", &sealed[..length]).is_err(), "{length}");
            let mut bent = sealed.clone();
            bent[length] ^= 1;
            assert!(key.open(b"", &bent).is_err(), "{length}");
        }
    }

    #[test]
    fn keys_are_told_apart_by_their_ids() {
        assert_ne!(key(&SECRET, "a").id(), key(&SECRET, "b").id());
        assert_ne!(key(&SECRET, "a").id(), key(&[8; 32], "a").id());
        assert_eq!(key(&SECRET, "a").id(), key(&SECRET, "a").id());
    }

    #[test]
    fn a_short_secret_is_none() {
        assert!(SealingKey::derive(&[1; 31], "a").is_err());
        assert!(SealingKey::derive(&[1; 32], "a").is_ok());
    }

    /// The same text never looks the same, and the ciphertext is AES-256-GCM as others compute it
    /// (NIST SP 800-38D, test case 14 of the GCM specification: key and nonce of zeros).
    #[test]
    fn sealing_is_aes_256_gcm() {
        struct Zeros;
        impl Random for Zeros {
            fn fill(&mut self, out: &mut [u8]) {
                out.fill(0);
            }
        }
        let key = SealingKey { id: [0; 4], cipher: keyed(&[0; 32]) };
        let sealed = key.seal(&mut Zeros, b"", &[0; 16]).unwrap();
        let hex: String = sealed[NONCE..].iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(hex, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    }
}
