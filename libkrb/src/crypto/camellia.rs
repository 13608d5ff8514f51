//! camellia128-cts-cmac and camellia256-cts-cmac (RFC 6803). The tag is over the plaintext.

use camellia::{Camellia128, Camellia256};
use cbc::cipher::consts::U16;
use cbc::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use cmac::Cmac;
use sha1::Sha1;
use zeroize::Zeroizing;

use super::base::Start;
use super::cts;
use super::mac::{keyed, same, tag};
use super::prepared::Sealer;
use super::prf::{Pepper, PseudoRandom, blocks};
use super::{Derived, KeyUsage};
use crate::error::Result;

const TAG: usize = 16;

/// Camellia of one key size.
pub(super) trait Camellia:
    BlockCipherEncrypt<BlockSize = U16> + BlockCipherDecrypt + KeyInit + Clone + Send + Sync + 'static
{
}

impl Camellia for Camellia128 {}
impl Camellia for Camellia256 {}

/// Ke and Ki, ready to use.
pub(super) struct Sealing<C: Camellia> {
    cipher: C,
    mac: Cmac<C>,
}

/// A protocol key, which others are derived from.
pub(super) struct Base<C: Camellia>(Cmac<C>);

impl<C: Camellia> Start for Base<C> {
    type Sealer = Sealing<C>;
    type Checker = Cmac<C>;
    type Prf = CmacPrf<C>;

    fn new(key: &[u8]) -> Self {
        Base(keyed(key))
    }

    fn sealer(&self, usage: KeyUsage) -> Sealing<C> {
        Sealing {
            cipher: C::new(&derive_key::<C>(&self.0, &usage.constant(Derived::Encryption))),
            mac: keyed(&derive_key::<C>(&self.0, &usage.constant(Derived::Integrity))),
        }
    }

    fn checker(&self, usage: KeyUsage) -> Cmac<C> {
        keyed(&derive_key::<C>(&self.0, &usage.constant(Derived::Checksum)))
    }

    fn prf(&self) -> CmacPrf<C> {
        CmacPrf(keyed(&derive_key::<C>(&self.0, b"prf")))
    }
}

impl<C: Camellia> Sealer for Sealing<C> {
    fn seal(&self, buffer: &mut [u8]) {
        let (body, mac) = buffer.split_at_mut(buffer.len() - TAG);
        tag(&self.mac, &[body], mac);
        cts::encrypt(&self.cipher, body, |_| {});
    }

    fn open(&self, buffer: &mut [u8]) -> Result<()> {
        let (body, mac) = buffer.split_at_mut(buffer.len() - TAG);
        cts::decrypt(&self.cipher, body);
        let mut computed = [0; TAG];
        tag(&self.mac, &[body], &mut computed);
        same(&computed, mac)
    }
}

fn derive_key<C: Camellia>(base: &Cmac<C>, constant: &[u8]) -> Zeroizing<Array<u8, C::KeySize>> {
    let mut key = Zeroizing::new(Array::default());
    kdf(base, constant, &mut key);
    key
}

/// KDF-FEEDBACK-CMAC (RFC 6803 3): each block is made of the one before.
fn kdf<C: Camellia>(base: &Cmac<C>, constant: &[u8], out: &mut [u8]) {
    let bits = (out.len() as u32 * 8).to_be_bytes();
    let mut block = Zeroizing::new([0u8; 16]);
    for (number, piece) in (1u32..).zip(out.chunks_mut(16)) {
        let before = block.clone();
        tag(base, &[&*before, &number.to_be_bytes(), constant, &[0], &bits], &mut *block);
        super::mac::copy(&*block, piece);
    }
}

/// RFC 6803 4.
pub(super) fn string_to_key<C: Camellia>(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
    let mut intermediate = Zeroizing::new(Array::<u8, C::KeySize>::default());
    pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, rounds, &mut intermediate);
    kdf::<C>(&keyed(&intermediate), b"kerberos", out);
}

/// CMAC under a key of its own (RFC 6803 6).
pub(super) struct CmacPrf<C: Camellia>(Cmac<C>);

impl<C: Camellia> PseudoRandom for CmacPrf<C> {
    fn prf(&self, data: [&[u8]; 2], out: &mut [u8]) {
        tag(&self.0, &data, out);
    }

    fn stream(&self, pepper: &Pepper<'_>, out: &mut [u8]) {
        blocks(self, pepper, TAG, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{open, outside};
    use super::*;
    use crate::codes::EncryptionType;

    #[test]
    fn derived_keys_are_those_of_the_rfc_and_of_mit() {
        let ours = open("rfc6803").into_iter().filter(|vector| vector.is("op", "derive-key"));
        for vector in ours.chain(outside("key_derivation")) {
            let (base, constant) = (vector.bytes("base_key"), vector.bytes("constant"));
            let key = match vector.etype() {
                EncryptionType::CAMELLIA128 => derive_key::<Camellia128>(&keyed(&base), &constant).to_vec(),
                EncryptionType::CAMELLIA256 => derive_key::<Camellia256>(&keyed(&base), &constant).to_vec(),
                _ => continue,
            };
            assert_eq!(key, vector.bytes("key"), "{vector:?}");
        }
    }

    #[test]
    fn passwords_become_the_keys_of_rfc_6803_at_any_count() {
        for vector in open("rfc6803").iter().filter(|vector| vector.is("op", "string-to-key")) {
            let (password, salt) = (vector.bytes("password_hex"), vector.bytes("salt_hex"));
            let rounds = vector.number("iterations") as u32;
            let mut key = vec![0; vector.bytes("key").len()];
            match vector.etype() {
                EncryptionType::CAMELLIA128 => {
                    let salt = [b"camellia128-cts-cmac\0", &*salt].concat();
                    string_to_key::<Camellia128>(&password, &salt, rounds, &mut key);
                }
                _ => {
                    let salt = [b"camellia256-cts-cmac\0", &*salt].concat();
                    string_to_key::<Camellia256>(&password, &salt, rounds, &mut key);
                }
            }
            assert_eq!(key, vector.bytes("key"), "{vector:?}");
        }
    }

    #[test]
    fn cmac_is_that_of_sp_800_38b() {
        for vector in outside("camellia_cmac") {
            let mut out = [0; TAG];
            match vector.text("cipher") {
                "camellia-128" => {
                    tag(&keyed::<Cmac<Camellia128>>(&vector.bytes("key")), &[&vector.bytes("message")], &mut out)
                }
                _ => tag(&keyed::<Cmac<Camellia256>>(&vector.bytes("key")), &[&vector.bytes("message")], &mut out),
            }
            assert_eq!(out.to_vec(), vector.bytes("cmac"), "{vector:?}");
        }
    }
}
