//! aes128-cts-hmac-sha1-96 and aes256-cts-hmac-sha1-96 (RFC 3962), with the key derivation of the
//! simplified profile (RFC 3961 5.1, 5.3). The tag is over the plaintext.

use std::sync::LazyLock;

use cbc::cipher::consts::U16;
use cbc::cipher::{
    Array, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeySizeUser,
};
use hmac::{Hmac, Mac};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::aes::{Aes, Cipher, Schedule};
use super::base::Start;
use super::cts;
use super::etype::KEY_MAX;
use super::mac::{Wiped, copy, keyed, same, tag};
use super::nfold::{nfold, nfold_constant};
use super::prepared::Sealer;
use super::prf::{Pepper, PseudoRandom, blocks};
use super::{Derived, KeyUsage};
use crate::error::Result;

const TAG: usize = 12;

/// Octets of a block of the pseudo-random function.
const PRF: usize = 16;

/// A protocol key, which others are derived from.
pub(super) struct Base<A: Aes>(Schedule<A::Forward>);

/// Ke and Ki, ready to use.
pub(super) struct AesSha1<A: Aes> {
    cipher: Cipher<A>,
    mac: Hmac<Sha1>,
}

impl<A: Aes> Start for Base<A> {
    type Sealer = AesSha1<A>;
    type Checker = Hmac<Sha1>;
    type Prf = AesPrf<A>;

    fn new(key: &[u8]) -> Self {
        Base(Schedule::new(key))
    }

    fn sealer(&self, usage: KeyUsage) -> AesSha1<A> {
        let constants = [Derived::Encryption, Derived::Integrity].map(|which| nfold_constant(usage.constant(which)));
        let keys = derive_keys(&*self.0, constants);
        let [encryption, integrity] = &keys.0;
        AesSha1 { cipher: Cipher::new(encryption), mac: keyed(integrity) }
    }

    fn checker(&self, usage: KeyUsage) -> Hmac<Sha1> {
        let keys = derive_keys(&*self.0, [nfold_constant(usage.constant(Derived::Checksum))]);
        let [checksum] = &keys.0;
        keyed(checksum)
    }

    /// RFC 3962 6, RFC 3961 5.3.
    fn prf(&self) -> AesPrf<A> {
        static FOLDED: LazyLock<[u8; 16]> = LazyLock::new(|| folded(b"prf"));
        let keys = derive_keys(&*self.0, [*FOLDED]);
        let [derived] = &keys.0;
        AesPrf(Schedule::new(derived))
    }
}

impl<A: Aes> Sealer for AesSha1<A> {
    fn seal(&self, buffer: &mut [u8]) {
        let (body, mac) = buffer.split_at_mut(buffer.len() - TAG);
        let mut hash = self.mac.clone();
        cts::encrypt(self.cipher.forward(), body, |plain| hash.update(plain));
        copy(&hash.finalize().into_bytes(), mac);
    }

    fn open(&self, buffer: &mut [u8]) -> Result<()> {
        let (body, mac) = buffer.split_at_mut(buffer.len() - TAG);
        cts::decrypt(self.cipher.backward(), body);
        let mut computed = [0; TAG];
        tag(&self.mac, &[body], &mut computed);
        same(&computed, mac)
    }
}

/// DK (RFC 3961 5.1): the folded constant, encrypted again and again, makes a key. Several at once,
/// for the processor works on them side by side.
fn derive_keys<C, const N: usize>(base: &C, constants: [[u8; 16]; N]) -> Wiped<Array<u8, C::KeySize>, N>
where
    C: BlockCipherEncrypt<BlockSize = U16> + KeySizeUser,
{
    let mut keys = Wiped(std::array::from_fn(|_| Array::default()));
    let mut blocks = Wiped(constants.map(cts::Block::from));
    base.encrypt_with_backend(Deriving { blocks: &mut blocks.0, keys: &mut keys.0 });
    keys
}

/// What [`derive_keys`] does, once the cipher knows which processor it runs on: asking it takes as long
/// as several blocks.
struct Deriving<'a, K> {
    blocks: &'a mut [cts::Block],
    keys: &'a mut [K],
}

impl<K> BlockSizeUser for Deriving<'_, K> {
    type BlockSize = U16;
}

impl<K: AsMut<[u8]>> BlockCipherEncClosure for Deriving<'_, K> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let length = self.keys.first_mut().map_or(0, |key| key.as_mut().len());
        for start in (0..length).step_by(16) {
            for (key, block) in self.keys.iter_mut().zip(self.blocks.iter_mut()) {
                backend.encrypt_block(block.into());
                copy(block, key.as_mut().split_at_mut(start).1);
            }
        }
    }
}

fn folded(constant: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    nfold(constant, &mut out);
    out
}

/// RFC 3962 4.
pub(super) fn string_to_key<A: Aes>(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
    let mut intermediate = Zeroizing::new(Array::<u8, <A::Forward as KeySizeUser>::KeySize>::default());
    pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, rounds, &mut intermediate);
    let keys = derive_keys(&*Schedule::<A::Forward>::new(&intermediate), [folded(b"kerberos")]);
    let [key] = &keys.0;
    copy(key, out);
}

/// One block of a hash, encrypted under DK(key, "prf") (RFC 3962 6, RFC 3961 5.3).
pub(super) struct AesPrf<A: Aes>(Schedule<A::Forward>);

impl<A: Aes> AesPrf<A> {
    /// Of several hashes, one after the other, cut to the length of `out`.
    fn of_hashes<const N: usize>(&self, hashes: &[[u8; 20]; N], out: &mut [u8]) {
        let mut blocks = Wiped([cts::Block::default(); N]);
        blocks.0.iter_mut().zip(hashes).for_each(|(block, hash)| copy(hash, block));
        self.0.encrypt_with_backend(Each(&mut blocks.0));
        copy(cts::Block::slice_as_flattened(&blocks.0), out);
    }
}

impl<A: Aes> PseudoRandom for AesPrf<A> {
    fn prf(&self, [head, rest]: [&[u8]; 2], out: &mut [u8]) {
        self.of_hashes(&[Sha1::new().chain_update(head).chain_update(rest).finalize().into()], out);
    }

    fn stream(&self, pepper: &Pepper<'_>, out: &mut [u8]) {
        match out.len() {
            ..=KEY_MAX => self.of_hashes(pepper.sha1(), out),
            _ => blocks(self, pepper, PRF, out),
        }
    }
}

/// Each block by itself, when the cipher knows which processor it runs on.
struct Each<'a>(&'a mut [cts::Block]);

impl BlockSizeUser for Each<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Each<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        self.0.iter_mut().for_each(|block| backend.encrypt_block(block.into()));
    }
}

#[cfg(test)]
mod tests {
    use ::aes::{Aes128, Aes256};

    use super::super::testing::{Vector, open, outside};
    use super::*;
    use crate::codes::EncryptionType;

    fn derived<A: Aes>(vector: &Vector) -> Vec<u8> {
        let constant = vector.bytes("constant").try_into().unwrap();
        let base: A::Forward = keyed(&vector.bytes("base_key"));
        derive_keys(&base, [nfold_constant(constant)]).0[0].to_vec()
    }

    #[test]
    fn derived_keys_are_those_of_mit() {
        for vector in outside("key_derivation") {
            let key = match vector.etype() {
                EncryptionType::AES128_SHA1 => derived::<Aes128>(&vector),
                EncryptionType::AES256_SHA1 => derived::<Aes256>(&vector),
                _ => continue,
            };
            assert_eq!(key, vector.bytes("key"), "{vector:?}");
        }
    }

    #[test]
    fn passwords_become_the_keys_of_rfc_3962_at_any_count() {
        for vector in open("rfc3962").iter().filter(|vector| vector.is("op", "string-to-key")) {
            let (password, salt) = (vector.bytes("password_hex"), vector.bytes("salt_hex"));
            let rounds = vector.number("iterations") as u32;
            let mut key = vec![0; vector.bytes("key").len()];
            let mut intermediate = key.clone();
            pbkdf2::pbkdf2_hmac::<Sha1>(&password, &salt, rounds, &mut intermediate);
            assert_eq!(intermediate, vector.bytes("pbkdf2_output"), "{vector:?}");
            match vector.etype() {
                EncryptionType::AES128_SHA1 => string_to_key::<Aes128>(&password, &salt, rounds, &mut key),
                _ => string_to_key::<Aes256>(&password, &salt, rounds, &mut key),
            }
            assert_eq!(key, vector.bytes("key"), "{vector:?}");
        }
    }

    #[test]
    fn pbkdf2_is_that_of_rfc_3211() {
        for vector in outside("pbkdf2") {
            let mut out = vec![0; vector.number("dklen")];
            let (password, salt) = (vector.bytes("password_hex"), vector.bytes("salt_hex"));
            pbkdf2::pbkdf2_hmac::<Sha1>(&password, &salt, vector.number("iterations") as u32, &mut out);
            assert_eq!(out, vector.bytes("output"), "{vector:?}");
        }
    }
}
