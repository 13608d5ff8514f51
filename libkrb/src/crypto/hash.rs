//! Hashes without a key, for what is public and named by its hash. Not here: checksums of messages.

use md5::Md5;
#[cfg(any(feature = "pkinit", test))]
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// A hash function of SHA-2 (FIPS 180-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    /// For a test vector of RFC 9588 alone.
    #[cfg(test)]
    Sha1,
}

impl Hash {
    /// The hash of some bytes.
    pub(crate) fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha224 => Sha224::digest(bytes).to_vec(),
            Hash::Sha256 => Sha256::digest(bytes).to_vec(),
            Hash::Sha384 => Sha384::digest(bytes).to_vec(),
            Hash::Sha512 => Sha512::digest(bytes).to_vec(),
            #[cfg(test)]
            Hash::Sha1 => Sha1::digest(bytes).to_vec(),
        }
    }

    /// How many octets a hash has.
    #[cfg(feature = "spake")]
    pub(crate) fn len(self) -> usize {
        match self {
            Hash::Sha224 => 28,
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
            #[cfg(test)]
            Hash::Sha1 => 20,
        }
    }
}

/// SHA-1 (FIPS 180-4): where RFC 4556 has no other, the checksum of a request's body and the first
/// key derivation. Never for a signature.
#[cfg(feature = "pkinit")]
pub(crate) fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// MD5 (RFC 1321): what channel bindings are folded to (RFC 4121 4.1.1.2). Broken for signatures;
/// there it stands inside the encrypted authenticator, and both sides choose what goes in. To other crates it
/// is `danger_md5`: RADIUS has nothing else.
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}
