//! Keys and what they do (RFC 3961): the only room that names a cipher crate.
//!
//! A [`Key`] is the octets of a keytab, a ticket or a record, with their encryption type. What is
//! used more than once for the same purpose is [`Key::prepare`]d, for several purposes [`Key::derive`]d: a [`PreparedKey`] encrypts and
//! decrypts, a [`PreparedChecksum`] signs and verifies, each for one [`KeyUsage`]. An enctype is a
//! file of its own and a row of the table in `etype.rs`. There is no DES in any form (RFC 6649,
//! RFC 8429), and RC4 only behind the feature `danger-rc4`.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod aes;
mod aes_sha1;
mod aes_sha2;
mod base;
mod camellia;
mod cts;
mod etype;
mod hash;
mod hmac_md5;
mod hotp;
mod key;
mod mac;
mod nfold;
mod prepared;
mod prf;
#[cfg(feature = "pkinit")]
pub(crate) mod public;
mod random;
#[cfg(feature = "danger-rc4")]
mod rc4;
mod s2k;
#[cfg(feature = "http")]
mod sealing;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use base::BaseKey;
pub use etype::{SUPPORTED, cipher_len, default_s2kparams, is_weak, key_len, supported};
pub use hash::md5 as danger_md5;
#[cfg(feature = "pkinit")]
pub(crate) use hash::sha1;
pub(crate) use hash::{Hash, md5};
pub use hmac_md5::{hmac_md5, verify_hmac_md5};
pub use hotp::{OTP_DIGITS, OtpHash, hotp};
pub use key::Key;
pub(crate) use mac::wipe;
pub use prepared::{Plain, PreparedChecksum, PreparedKey};
pub use prf::{Pepper, PreparedPrf};
pub use random::{KeptRandom, OsRandom, Random};
pub use s2k::{MAX_ITERATIONS, MIN_ITERATIONS};
#[cfg(feature = "http")]
pub use sealing::{MIN_SECRET, SealingKey};

/// What a key is used for (RFC 4120 7.5.1); keys for different usages are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyUsage(pub i32);

#[allow(missing_docs, reason = "the names are those of RFC 4120 7.5.1 and its successors, named beside them")]
impl KeyUsage {
    pub const AS_REQ_ENC_TIMESTAMP: KeyUsage = KeyUsage(1);
    pub const TICKET: KeyUsage = KeyUsage(2);
    pub const AS_REP_ENC_PART: KeyUsage = KeyUsage(3);
    pub const TGS_REQ_AUTHZ_SESSION: KeyUsage = KeyUsage(4);
    pub const TGS_REQ_AUTHZ_SUBKEY: KeyUsage = KeyUsage(5);
    pub const TGS_REQ_CHECKSUM: KeyUsage = KeyUsage(6);
    pub const TGS_REQ_AUTHENTICATOR: KeyUsage = KeyUsage(7);
    pub const TGS_REP_SESSION: KeyUsage = KeyUsage(8);
    pub const TGS_REP_SUBKEY: KeyUsage = KeyUsage(9);
    pub const AP_REQ_CHECKSUM: KeyUsage = KeyUsage(10);
    pub const AP_REQ_AUTHENTICATOR: KeyUsage = KeyUsage(11);
    pub const AP_REP: KeyUsage = KeyUsage(12);
    pub const KRB_PRIV: KeyUsage = KeyUsage(13);
    pub const KRB_CRED: KeyUsage = KeyUsage(14);
    pub const KRB_SAFE: KeyUsage = KeyUsage(15);
    // MS-PAC 2.8, MS-SFU 2.2.1: KERB_NON_KERB_CKSUM_SALT
    pub const NON_KERB_CHECKSUM: KeyUsage = KeyUsage(17);
    pub const AD_KDC_ISSUED_CHECKSUM: KeyUsage = KeyUsage(19);
    // RFC 4121 2
    pub const GSS_ACCEPTOR_SEAL: KeyUsage = KeyUsage(22);
    pub const GSS_ACCEPTOR_SIGN: KeyUsage = KeyUsage(23);
    pub const GSS_INITIATOR_SEAL: KeyUsage = KeyUsage(24);
    pub const GSS_INITIATOR_SIGN: KeyUsage = KeyUsage(25);
    // MS-SFU 2.2.2
    pub const S4U_X509_USER_REQUEST: KeyUsage = KeyUsage(26);
    pub const S4U_X509_USER_REPLY: KeyUsage = KeyUsage(27);
    // draft-ietf-kitten-iakerb 3.2
    pub const IAKERB_FINISHED: KeyUsage = KeyUsage(42);
    // RFC 6560 4.2
    pub const OTP_REQUEST: KeyUsage = KeyUsage(45);
    // RFC 6113 8
    pub const FAST_REQ_CHECKSUM: KeyUsage = KeyUsage(50);
    pub const FAST_ENC: KeyUsage = KeyUsage(51);
    pub const FAST_REP: KeyUsage = KeyUsage(52);
    pub const FAST_FINISHED: KeyUsage = KeyUsage(53);
    pub const ENC_CHALLENGE_CLIENT: KeyUsage = KeyUsage(54);
    pub const ENC_CHALLENGE_KDC: KeyUsage = KeyUsage(55);
    // RFC 6806 11
    pub const AS_REQ_CHECKSUM: KeyUsage = KeyUsage(56);
    // RFC 8062 11
    pub const PKINIT_KX: KeyUsage = KeyUsage(44);
    // RFC 7751 8
    pub const CAMMAC: KeyUsage = KeyUsage(64);
    // RFC 9588 11
    pub const SPAKE: KeyUsage = KeyUsage(65);
}

/// The three keys that are derived for a usage, and the octet that names each (RFC 3961 5.3).
#[derive(Clone, Copy)]
enum Derived {
    Checksum = 0x99,
    Encryption = 0xaa,
    Integrity = 0x55,
}

impl KeyUsage {
    /// The constant that a derived key is made of (RFC 3961 5.3).
    fn constant(self, which: Derived) -> [u8; 5] {
        let [a, b, c, d] = self.0.to_be_bytes();
        [a, b, c, d, which as u8]
    }
}
