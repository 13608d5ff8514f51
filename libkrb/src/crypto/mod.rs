//! Keys and what they do (RFC 3961): the only room that names a cipher crate.

use std::fmt;

use zeroize::Zeroizing;

use crate::codes::{ChecksumType, EncryptionType};
use crate::error::{Error, Result};

/// A source of unpredictable bytes. The core is given one; tests give it a script.
pub trait Random {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);
}

/// What a key is used for (RFC 4120 7.5.1); keys for different usages are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyUsage(pub i32);

#[allow(missing_docs, reason = "the names are those of RFC 4120 7.5.1 and 6113 8")]
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
    pub const AS_REQ_CHECKSUM: KeyUsage = KeyUsage(56);
}

/// A key with its encryption type. Zeroized on drop, redacted in Debug, compared in constant time.
#[derive(Clone)]
pub struct Key {
    etype: EncryptionType,
    bytes: Zeroizing<Vec<u8>>,
}
impl Key { pub fn new(etype: EncryptionType, b: &[u8]) -> Result<Key> { Ok(Key{etype, bytes: Zeroizing::new(b.to_vec())}) } pub fn etype(&self)->EncryptionType{self.etype} pub fn expose(&self)->&[u8]{&self.bytes} }
