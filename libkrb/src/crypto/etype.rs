//! The enctypes this crate can do, a row each. Not here: how they do it.

use ::camellia::{Camellia128, Camellia256};
use aes::{Aes128, Aes256};
use hmac::Hmac;
use sha2::{Sha256, Sha384};

use super::{aes_sha1, aes_sha2, base, camellia};
use crate::codes::{ChecksumType, EncryptionType};
use crate::error::{Error, Result};

/// The longest protocol key of any row.
pub(super) const KEY_MAX: usize = 32;

/// The longest checksum of any row.
pub(super) const CHECKSUM_MAX: usize = 24;

/// String-to-key of a row: how the password's key is made.
pub(super) enum StringToKey {
    /// PBKDF2 with a salt, after the prefix that keeps enctypes apart, and a default count.
    Pbkdf2 { prefix: &'static [u8], rounds: u32, derive: fn(&[u8], &[u8], u32, &mut [u8]) },
    /// Neither salt nor parameters.
    #[cfg(feature = "danger-rc4")]
    Plain(fn(&[u8], &mut [u8]) -> Result<()>),
}

/// What RFC 3961 3 and 4 ask of a cryptosystem and its checksum.
pub(super) struct Profile {
    pub etype: EncryptionType,
    pub key_len: usize,
    /// Octets of ciphertext before those of the plaintext; they end with the confounder.
    pub prefix: usize,
    pub confounder: usize,
    /// Octets of ciphertext after those of the plaintext.
    pub suffix: usize,
    pub checksum: ChecksumType,
    pub checksum_len: usize,
    pub prf_len: usize,
    pub start: base::WithBase,
    pub string_to_key: StringToKey,
}

/// Strongest habits first: the order in which MIT krb5 prefers them.
static PROFILES: &[Profile] = &[
    Profile {
        etype: EncryptionType::AES256_SHA1,
        key_len: 32,
        prefix: 16,
        confounder: 16,
        suffix: 12,
        checksum: ChecksumType::HMAC_SHA1_96_AES256,
        checksum_len: 12,
        prf_len: 16,
        start: base::with::<aes_sha1::Base<Aes256>>,
        string_to_key: StringToKey::Pbkdf2 { prefix: b"", rounds: 4096, derive: aes_sha1::string_to_key::<Aes256> },
    },
    Profile {
        etype: EncryptionType::AES128_SHA1,
        key_len: 16,
        prefix: 16,
        confounder: 16,
        suffix: 12,
        checksum: ChecksumType::HMAC_SHA1_96_AES128,
        checksum_len: 12,
        prf_len: 16,
        start: base::with::<aes_sha1::Base<Aes128>>,
        string_to_key: StringToKey::Pbkdf2 { prefix: b"", rounds: 4096, derive: aes_sha1::string_to_key::<Aes128> },
    },
    Profile {
        etype: EncryptionType::AES256_SHA384,
        key_len: 32,
        prefix: 16,
        confounder: 16,
        suffix: 24,
        checksum: ChecksumType::HMAC_SHA384_192_AES256,
        checksum_len: 24,
        prf_len: 48,
        start: base::with::<aes_sha2::Base<Aes256, Hmac<Sha384>>>,
        string_to_key: StringToKey::Pbkdf2 {
            prefix: b"aes256-cts-hmac-sha384-192\0",
            rounds: 32768,
            derive: aes_sha2::string_to_key::<Hmac<Sha384>>,
        },
    },
    Profile {
        etype: EncryptionType::AES128_SHA256,
        key_len: 16,
        prefix: 16,
        confounder: 16,
        suffix: 16,
        checksum: ChecksumType::HMAC_SHA256_128_AES128,
        checksum_len: 16,
        prf_len: 32,
        start: base::with::<aes_sha2::Base<Aes128, Hmac<Sha256>>>,
        string_to_key: StringToKey::Pbkdf2 {
            prefix: b"aes128-cts-hmac-sha256-128\0",
            rounds: 32768,
            derive: aes_sha2::string_to_key::<Hmac<Sha256>>,
        },
    },
    Profile {
        etype: EncryptionType::CAMELLIA256,
        key_len: 32,
        prefix: 16,
        confounder: 16,
        suffix: 16,
        checksum: ChecksumType::CMAC_CAMELLIA256,
        checksum_len: 16,
        prf_len: 16,
        start: base::with::<camellia::Base<Camellia256>>,
        string_to_key: StringToKey::Pbkdf2 {
            prefix: b"camellia256-cts-cmac\0",
            rounds: 32768,
            derive: camellia::string_to_key::<Camellia256>,
        },
    },
    Profile {
        etype: EncryptionType::CAMELLIA128,
        key_len: 16,
        prefix: 16,
        confounder: 16,
        suffix: 16,
        checksum: ChecksumType::CMAC_CAMELLIA128,
        checksum_len: 16,
        prf_len: 16,
        start: base::with::<camellia::Base<Camellia128>>,
        string_to_key: StringToKey::Pbkdf2 {
            prefix: b"camellia128-cts-cmac\0",
            rounds: 32768,
            derive: camellia::string_to_key::<Camellia128>,
        },
    },
    #[cfg(feature = "danger-rc4")]
    Profile {
        etype: EncryptionType::RC4_HMAC,
        key_len: 16,
        prefix: 24,
        confounder: 8,
        suffix: 0,
        checksum: ChecksumType::HMAC_MD5,
        checksum_len: 16,
        prf_len: 20,
        start: base::with::<super::rc4::Base>,
        string_to_key: StringToKey::Plain(super::rc4::string_to_key),
    },
];

/// The row of an enctype.
pub(super) fn profile(etype: EncryptionType) -> Result<&'static Profile> {
    PROFILES.iter().find(|profile| profile.etype == etype).ok_or(Error::EtypeNotSupported(etype))
}

/// The enctypes that are offered unless configured otherwise, preferred first.
pub const SUPPORTED: &[EncryptionType] = &[
    EncryptionType::AES256_SHA1,
    EncryptionType::AES128_SHA1,
    EncryptionType::AES256_SHA384,
    EncryptionType::AES128_SHA256,
    EncryptionType::CAMELLIA256,
    EncryptionType::CAMELLIA128,
];

/// Whether keys of this enctype can be used: those of [`SUPPORTED`], and RC4 with `danger-rc4`.
pub fn supported(etype: EncryptionType) -> bool {
    profile(etype).is_ok()
}

/// Whether the enctype is deprecated as broken: DES (RFC 6649), triple DES and RC4 (RFC 8429).
pub fn is_weak(etype: EncryptionType) -> bool {
    matches!(
        etype,
        EncryptionType::DES_CBC_CRC
            | EncryptionType::DES_CBC_MD4
            | EncryptionType::DES_CBC_MD5
            | EncryptionType::DES3_CBC_SHA1
            | EncryptionType::RC4_HMAC
            | EncryptionType::RC4_HMAC_EXP
    )
}

/// The length of the enctype's keys, which is also its key-generation seed length (RFC 3961 3).
pub fn key_len(etype: EncryptionType) -> Result<usize> {
    Ok(profile(etype)?.key_len)
}

/// How long the ciphertext of `plain_len` octets is.
pub fn cipher_len(etype: EncryptionType, plain_len: usize) -> Result<usize> {
    let profile = profile(etype)?;
    Ok(profile.prefix.saturating_add(plain_len).saturating_add(profile.suffix))
}

/// The string-to-key parameters that are meant when none are sent (RFC 3961 3), if the enctype has
/// any: the iteration count of RFC 3962 4, RFC 8009 4 and RFC 6803 4.
pub fn default_s2kparams(etype: EncryptionType) -> Option<[u8; 4]> {
    match profile(etype).ok()?.string_to_key {
        StringToKey::Pbkdf2 { rounds, .. } => Some(rounds.to_be_bytes()),
        #[cfg(feature = "danger-rc4")]
        StringToKey::Plain(_) => None,
    }
}
