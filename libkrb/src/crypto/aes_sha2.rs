//! aes128-cts-hmac-sha256-128 and aes256-cts-hmac-sha384-192 (RFC 8009). The tag is over the
//! initial vector, all zeros, and the ciphertext.

use std::marker::PhantomData;

use cbc::cipher::KeySizeUser;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha384};
use zeroize::Zeroizing;

use super::aes::{Aes, Cipher};
use super::base::Start;
use super::cts;
use super::mac::{keyed, same, tag};
use super::prepared::Sealer;
use super::prf::{Pepper, PseudoRandom, blocks};
use super::{Derived, KeyUsage};
use crate::error::Result;

/// The initial cipher state (RFC 8009 5).
const IV: [u8; 16] = [0; 16];

/// The context of a derivation that has none (RFC 8009 3).
const NONE: [&[u8]; 2] = [&[], &[]];

/// The longest key or tag of this file.
const LONGEST: usize = 32;

/// HMAC with the hash that goes with a key size.
pub(super) trait HmacSha2: Mac + KeyInit + Clone + Send + Sync + 'static {
    /// How much of the tag is sent; Kc and Ki are as long (RFC 8009 5).
    const TAG: usize;
    /// Octets of a block of the pseudo-random function (RFC 8009 5).
    const OUTPUT: usize;

    /// PBKDF2 with this HMAC.
    fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]);
}

impl HmacSha2 for Hmac<Sha256> {
    const TAG: usize = 16;
    const OUTPUT: usize = 32;

    fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, out);
    }
}

impl HmacSha2 for Hmac<Sha384> {
    const TAG: usize = 24;
    const OUTPUT: usize = 48;

    fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
        pbkdf2::pbkdf2_hmac::<Sha384>(password, salt, rounds, out);
    }
}

/// A protocol key, which others are derived from.
pub(super) struct Base<A, M>(M, PhantomData<fn() -> A>);

/// Ke, and Ki with the initial vector already taken in.
pub(super) struct AesSha2<A: Aes, M> {
    cipher: Cipher<A>,
    mac: M,
}

impl<A: Aes, M: HmacSha2> Start for Base<A, M> {
    type Sealer = AesSha2<A, M>;
    type Checker = M;
    type Prf = HmacPrf<M>;

    fn new(key: &[u8]) -> Self {
        Base(keyed(key), PhantomData)
    }

    fn sealer(&self, usage: KeyUsage) -> AesSha2<A, M> {
        let integrity: M = derived(&self.0, &usage.constant(Derived::Integrity), M::TAG);
        let encryption = usage.constant(Derived::Encryption);
        let mut key = Zeroizing::new([0; LONGEST]);
        let (key, _) = key.split_at_mut(A::Forward::key_size());
        kdf(&self.0, &encryption, NONE, key);
        AesSha2 { cipher: Cipher::new(key), mac: integrity.chain_update(IV) }
    }

    fn checker(&self, usage: KeyUsage) -> M {
        derived(&self.0, &usage.constant(Derived::Checksum), M::TAG)
    }

    fn prf(&self) -> HmacPrf<M> {
        HmacPrf(self.0.clone())
    }
}

impl<A: Aes, M: HmacSha2> Sealer for AesSha2<A, M> {
    fn seal(&self, buffer: &mut [u8]) {
        let (body, mac) = buffer.split_at_mut(buffer.len() - M::TAG);
        cts::encrypt(self.cipher.forward(), body, |_| {});
        tag(&self.mac, &[body], mac);
    }

    fn open(&self, buffer: &mut [u8]) -> Result<()> {
        let (body, mac) = buffer.split_at_mut(buffer.len() - M::TAG);
        let mut computed = [0; LONGEST];
        let (computed, _) = computed.split_at_mut(M::TAG);
        tag(&self.mac, &[body], computed);
        same(computed, mac)?;
        cts::decrypt(self.cipher.backward(), body);
        Ok(())
    }
}

/// HMAC under the key of `length` octets that `label` names.
fn derived<M: HmacSha2>(base: &M, label: &[u8], length: usize) -> M {
    let mut key = Zeroizing::new([0; LONGEST]);
    let (key, _) = key.split_at_mut(length);
    kdf(base, label, NONE, key);
    keyed(key)
}

/// KDF-HMAC-SHA2 (RFC 8009 3): one turn of SP800-108's counter mode is always enough.
fn kdf<M: HmacSha2>(base: &M, label: &[u8], context: [&[u8]; 2], out: &mut [u8]) {
    let bits = (out.len() as u32 * 8).to_be_bytes();
    let [head, rest] = context;
    tag(base, &[&[0, 0, 0, 1], label, &[0], head, rest, &bits], out);
}

/// RFC 8009 4.
pub(super) fn string_to_key<M: HmacSha2>(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
    let mut intermediate = Zeroizing::new([0; LONGEST]);
    let (intermediate, _) = intermediate.split_at_mut(out.len());
    M::pbkdf2(password, salt, rounds, intermediate);
    kdf::<M>(&keyed(intermediate), b"kerberos", NONE, out);
}

/// The KDF with the label "prf" (RFC 8009 5).
pub(super) struct HmacPrf<M>(M);

impl<M: HmacSha2> PseudoRandom for HmacPrf<M> {
    fn prf(&self, data: [&[u8]; 2], out: &mut [u8]) {
        kdf(&self.0, b"prf", data, out);
    }

    fn stream(&self, pepper: &Pepper<'_>, out: &mut [u8]) {
        blocks(self, pepper, M::OUTPUT, out);
    }
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
                EncryptionType::AES128_SHA256 => kdf::<Hmac<Sha256>>(&keyed(&base), &label, NONE, &mut key),
                EncryptionType::AES256_SHA384 => kdf::<Hmac<Sha384>>(&keyed(&base), &label, NONE, &mut key),
                _ => continue,
            }
            assert_eq!(key, vector.bytes("key"), "{vector:?}");
        }
    }
}
