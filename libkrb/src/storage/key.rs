//! A key as it lies in a file. Its encryption type may be one that [`crate::crypto`] does not know:
//! such a key cannot be used, but it must survive when the file is written again.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::codes::EncryptionType;
use crate::crypto::Key;
use crate::error::Result;

/// A key of any encryption type. Zeroized on drop, redacted in Debug, compared in constant time.
#[derive(Clone)]
pub struct RawKey {
    /// Its encryption type (RFC 3961 8); 0 where there is no key.
    pub etype: EncryptionType,
    /// Its bytes; empty where there is no key.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl RawKey {
    /// A key of these bytes, which nobody has looked at.
    pub fn new(etype: EncryptionType, bytes: impl Into<Vec<u8>>) -> Self {
        RawKey { etype, bytes: Zeroizing::new(bytes.into()) }
    }

    /// The key to use.
    ///
    /// # Errors
    /// [`crate::Error::EtypeNotSupported`] for a foreign one, [`crate::Error::KeyLength`] for a broken one.
    pub fn key(&self) -> Result<Key> {
        Key::new(self.etype, &self.bytes)
    }

    /// No key at all, as in the configuration entries of a credential cache.
    pub fn none() -> Self {
        RawKey::new(EncryptionType(0), vec![])
    }
}

impl From<&Key> for RawKey {
    fn from(key: &Key) -> Self {
        RawKey::new(key.etype(), key.expose())
    }
}

impl PartialEq for RawKey {
    fn eq(&self, other: &Self) -> bool {
        self.etype == other.etype && bool::from(self.bytes.ct_eq(&other.bytes))
    }
}

impl Eq for RawKey {}

impl fmt::Debug for RawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawKey({}, redacted)", self.etype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_bytes() {
        let key = RawKey::new(EncryptionType::RC4_HMAC, *b"\x5e\xc2\xe7");
        assert_eq!(format!("{key:?}"), "RawKey(arcfour-hmac, redacted)");
    }

    #[test]
    fn a_foreign_key_is_kept_but_cannot_be_used() {
        let key = RawKey::new(EncryptionType::DES3_CBC_SHA1, [1; 24]);
        assert_eq!(key.key().expect_err("foreign"), crate::Error::EtypeNotSupported(EncryptionType::DES3_CBC_SHA1));
        let key = RawKey::new(EncryptionType::AES128_SHA1, [1; 16]);
        assert_eq!(RawKey::from(&key.key().expect("known")), key);
    }

    #[test]
    fn keys_differ_by_type_and_by_bytes() {
        let key = RawKey::new(EncryptionType::AES128_SHA1, [1, 2]);
        assert_eq!(key, key.clone());
        assert_ne!(key, RawKey::new(EncryptionType::AES128_SHA256, [1, 2]));
        assert_ne!(key, RawKey::new(EncryptionType::AES128_SHA1, [1, 3]));
        assert_ne!(key, RawKey::new(EncryptionType::AES128_SHA1, [1, 2, 3]));
    }
}
