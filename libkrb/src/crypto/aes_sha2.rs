//! aes128-cts-hmac-sha256-128 and aes256-cts-hmac-sha384-192 (RFC 8009). The tag is over the
//! initial vector, all zeros, and the ciphertext.

use std::sync::Arc;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha384};
use zeroize::Zeroizing;

use super::aes_sha1::Aes;
use super::cts;
use super::etype::Prf;
use super::mac::{keyed, same, tag};
use super::prepared::{Checker, Sealer};
use super::{Derived, KeyUsage};
use crate::error::Result;

/// The initial cipher state (RFC 8009 5).
const IV: [u8; 16] = [0; 16];

/// The longest key or tag of this file.
const LONGEST: usize = 32;

/// HMAC with the hash that goes with a key size.
pub(super) trait HmacSha2: Mac + KeyInit + Clone + Send + Sync + 'static {
    /// How much of the tag is sent; Kc and Ki are as long (RFC 8009 5).
    const TAG: usize;

    /// PBKDF2 with this HMAC.
    fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]);
}

impl HmacSha2 for Hmac<Sha256> {
    const TAG: usize = 16;

    fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, out);
    }
}

impl HmacSha2 for Hmac<Sha384> {
    const TAG: usize = 24;

    fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
        pbkdf2::pbkdf2_hmac::<Sha384>(password, salt, rounds, out);
    }
}

/// Ke, and Ki with the initial vector already taken in.
struct AesSha2<C, M> {
    cipher: C,
    mac: M,
}

pub(super) fn sealer<C: Aes, M: HmacSha2>(key: &[u8], usage: KeyUsage) -> Arc<dyn Sealer> {
    let base: M = keyed(key);
    Arc::new(AesSha2::<C, M> {
        cipher: derived(&base, &usage.constant(Derived::Encryption), C::key_size()),
        mac: derived::<M, M>(&base, &usage.constant(Derived::Integrity), M::TAG).chain_update(IV),
    })
}

pub(super) fn checker<M: HmacSha2>(key: &[u8], usage: KeyUsage) -> Arc<dyn Checker> {
    Arc::new(derived::<M, M>(&keyed(key), &usage.constant(Derived::Checksum), M::TAG))
}

impl<C: Aes, M: HmacSha2> Sealer for AesSha2<C, M> {
    fn seal(&self, buffer: &mut [u8]) {
        let (body, mac) = buffer.split_at_mut(buffer.len() - M::TAG);
        cts::encrypt(&self.cipher, body, |_| {});
        tag(&self.mac, &[body], mac);
    }

    fn open(&self, buffer: &mut [u8]) -> Result<()> {
        let (body, mac) = buffer.split_at_mut(buffer.len() - M::TAG);
        let mut computed = [0; LONGEST];
        let (computed, _) = computed.split_at_mut(M::TAG);
        tag(&self.mac, &[body], computed);
        same(computed, mac)?;
        cts::decrypt(&self.cipher, body);
        Ok(())
    }
}

/// A cipher or HMAC under the key of `length` octets that `label` names.
fn derived<M: HmacSha2, T: KeyInit>(base: &M, label: &[u8], length: usize) -> T {
    let mut key = Zeroizing::new([0; LONGEST]);
    let (key, _) = key.split_at_mut(length);
    kdf(base, label, None, key);
    keyed(key)
}

/// KDF-HMAC-SHA2 (RFC 8009 3): one turn of SP800-108's counter mode is always enough.
fn kdf<M: HmacSha2>(base: &M, label: &[u8], context: Option<&[u8]>, out: &mut [u8]) {
    let bits = (out.len() as u32 * 8).to_be_bytes();
    tag(base, &[&[0, 0, 0, 1], label, &[0], context.unwrap_or_default(), &bits], out);
}

/// RFC 8009 4.
pub(super) fn string_to_key<M: HmacSha2>(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
    let mut intermediate = Zeroizing::new([0; LONGEST]);
    let (intermediate, _) = intermediate.split_at_mut(out.len());
    M::pbkdf2(password, salt, rounds, intermediate);
    kdf::<M>(&keyed(intermediate), b"kerberos", None, out);
}

/// RFC 8009 5.
pub(super) fn prf<M: HmacSha2>(key: &[u8]) -> Prf {
    let base: M = keyed(key);
    Arc::new(move |data, out| kdf(&base, b"prf", Some(data), out))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{open, outside};
    use super::*;
    use crate::codes::EncryptionType;

    #[test]
    fn derived_keys_are_those_of_the_rfc_and_of_mit() {
        let ours = open("rfc8009").into_iter().filter(|vector| vector.is("op", "derive-key"));
        for vector in ours.chain(outside("key_derivation")) {
            let label = vector.maybe_bytes("label").or_else(|| vector.maybe_bytes("constant")).unwrap();
            let base = vector.bytes("base_key");
            let mut key = vec![0; vector.bytes("key").len()];
            match vector.etype() {
                EncryptionType::AES128_SHA256 => kdf::<Hmac<Sha256>>(&keyed(&base), &label, None, &mut key),
                EncryptionType::AES256_SHA384 => kdf::<Hmac<Sha384>>(&keyed(&base), &label, None, &mut key),
                _ => continue,
            }
            assert_eq!(key, vector.bytes("key"), "{vector:?}");
        }
    }
}
