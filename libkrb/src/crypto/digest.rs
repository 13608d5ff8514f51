//! Hashes without a key, where a protocol names one that cannot be chosen. Not here: anything that
//! keeps a secret.

use md5::{Digest, Md5};

/// MD5 (RFC 1321): what channel bindings are folded to (RFC 4121 4.1.1.2). Broken for signatures; here
/// it is encrypted with the authenticator, and both sides choose what goes in.
pub fn md5(data: &[u8]) -> [u8; 16] {
    Md5::digest(data).into()
}
