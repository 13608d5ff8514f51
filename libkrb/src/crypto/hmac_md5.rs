//! HMAC-MD5 as Microsoft numbers it (RFC 4757 3), for the one place that prescribes it whatever the
//! key is: PA-FOR-USER (MS-SFU 2.2.1). MD5's collisions do not help against it there, for nobody
//! chooses what is signed but who has the key. Never a checksum of tickets or messages.

use hmac::Hmac;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::mac::{keyed, same, tag};
use super::{Key, KeyUsage};
use crate::error::Result;

const TAG: usize = 16;

/// The checksum of `data` in any key.
pub fn hmac_md5(key: &Key, usage: KeyUsage, data: &[u8]) -> [u8; TAG] {
    let mut signing = Zeroizing::new([0; TAG]);
    tag(&keyed::<Hmac<Md5>>(key.expose()), &[b"signaturekey\0"], &mut *signing);
    let digest = Md5::new().chain_update(usage.0.to_le_bytes()).chain_update(data).finalize();
    let mut out = [0; TAG];
    tag(&keyed::<Hmac<Md5>>(&*signing), &[&digest], &mut out);
    out
}

/// Refuses unless `mac` is that checksum; compares in constant time.
///
/// # Errors
/// [`crate::Error::Integrity`]
pub fn verify_hmac_md5(key: &Key, usage: KeyUsage, data: &[u8], mac: &[u8]) -> Result<()> {
    same(&hmac_md5(key, usage, data), mac)
}
