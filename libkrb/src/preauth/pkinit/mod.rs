//! PKINIT: a certificate in place of a password (RFC 4556, 5349, 8636, 8070, 8062), as both sides
//! compute it. Not here: the rounds of asking (`crate::client`), and what a realm believes of whom.
//!
//! Only Diffie-Hellman, in groups of at least 2048 bits or on NIST's curves. The other way of RFC 4556,
//! a key encrypted with the client's RSA key, is left out: it needs PKCS #1 v1.5 and triple DES, and
//! MIT krb5 gave it up too.

mod certificate;
pub mod client;
mod distrust;
pub mod identity;
pub mod kdc;
mod kdf;
mod matching;
mod proof;
mod signed;
mod trust;

pub(super) use proof::begin;

pub use certificate::{AlternativeNames, Certificate, KeyUses, Purpose};
pub use distrust::Distrust;
pub use identity::Identity;
pub use kdf::{Binding, Kdf, octetstring2key};
pub use matching::Rule;
pub use proof::PkinitMeans;
pub use signed::{Claim, sign};
pub use trust::{Path, Trust, identifier};

pub use crate::crypto::public::Group;

use crate::crypto::{Hash, Key, KeyUsage, Random};
use crate::error::{Error, Result};
use crate::wire::{self, EncryptedData, EncryptionKey};

/// The choice that a credential cache remembers: where the identity lies, as MIT names it.
pub const IDENTITY_CHOICE: &str = "X509_user_identity";

/// TYPED-DATA: the authorities that are believed (RFC 4556 3.1.3).
pub const TD_TRUSTED_CERTIFIERS: i32 = 104;
/// TYPED-DATA: the certificates that are not.
pub const TD_INVALID_CERTIFICATES: i32 = 105;
/// TYPED-DATA: the groups that are accepted.
pub const TD_DH_PARAMETERS: i32 = 109;
/// TYPED-DATA: the hashes that signed data may be made with (RFC 8636 4).
pub const TD_CMS_DIGEST_ALGORITHMS: i32 = 111;
/// TYPED-DATA: the hashes that certificates may be signed with (RFC 8636 5).
pub const TD_CERT_DIGEST_ALGORITHMS: i32 = 112;

/// The SHA-256 of some bytes, as certificates and keys are named by it.
pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    Hash::Sha256.of(bytes)
}

/// PA-PKINIT-KX: the KDC's part of the session key, under the reply key (RFC 8062 7).
pub fn seal_contribution(contribution: &Key, reply_key: &Key, random: &mut dyn Random) -> Vec<u8> {
    let plain = wire::encode_secret(&EncryptionKey::from(contribution));
    let cipher = reply_key.encrypt(KeyUsage::PKINIT_KX, random, &plain);
    wire::encode(&EncryptedData { etype: reply_key.etype(), kvno: None, cipher: &cipher })
}

/// The KDC's part of the session key.
///
/// # Errors
/// [`Error::Integrity`] when it was not sealed under this key; [`Error::Malformed`].
pub fn open_contribution(value: &[u8], reply_key: &Key) -> Result<Key> {
    let sealed: EncryptedData<'_> = wire::decode(value)?;
    if sealed.etype != reply_key.etype() {
        return Err(Error::Integrity);
    }
    let plain = reply_key.decrypt(KeyUsage::PKINIT_KX, sealed.cipher)?;
    wire::decode::<EncryptionKey<'_>>(&plain)?.key()
}

/// The session key that both sides had a part in.
///
/// # Errors
/// [`Error::KeyLength`], which no enctype leads to.
pub fn joint_session_key(contribution: &Key, reply_key: &Key) -> Result<Key> {
    Key::cf2(contribution, b"PKINIT", reply_key, b"KEYEXCHANGE")
}

#[cfg(test)]
mod tests;
