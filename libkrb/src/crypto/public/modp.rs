//! Diffie-Hellman in the groups of RFC 3526: a prime, the generator 2, exponents in constant time.

use std::sync::LazyLock;

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U512, U2048, U4096, Uint};
use zeroize::{Zeroize, Zeroizing};

use super::super::Random;
use crate::error::{Error, Result};

/// Octets of an exponent: twice the bits of the strongest key that is derived (RFC 4556 3.2.1).
const EXPONENT: usize = 64;

/// A group, with what makes its arithmetic quick.
pub struct Prime<const LIMBS: usize> {
    params: FixedMontyParams<LIMBS>,
    octets: Vec<u8>,
}

/// Group 14 (RFC 3526 3).
pub static GROUP_14: LazyLock<Prime<{ U2048::LIMBS }>> =
    LazyLock::new(|| Prime::new(Odd::<U2048>::from_be_hex(P_2048)));
/// Group 16 (RFC 3526 5).
pub static GROUP_16: LazyLock<Prime<{ U4096::LIMBS }>> =
    LazyLock::new(|| Prime::new(Odd::<U4096>::from_be_hex(P_4096)));

/// A secret exponent.
pub struct Exponent(U512);

impl Exponent {
    /// A fresh one.
    pub fn random(random: &mut dyn Random) -> Self {
        let mut octets = Zeroizing::new([0; EXPONENT]);
        random.fill(&mut *octets);
        Exponent(U512::from_be_slice(&*octets))
    }
}

impl Drop for Exponent {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const LIMBS: usize> Prime<LIMBS> {
    fn new(prime: Odd<Uint<LIMBS>>) -> Self {
        Prime { params: FixedMontyParams::new_vartime(prime), octets: octets(prime.as_ref()).to_vec() }
    }

    /// The prime.
    pub fn prime(&self) -> &[u8] {
        &self.octets
    }

    /// The order of the subgroup that 2 generates: (p - 1) / 2.
    pub fn order(&self) -> Vec<u8> {
        octets(&(*self.params.modulus().as_ref() >> 1)).to_vec()
    }

    /// 2 to this power: a public key.
    pub fn public_key(&self, exponent: &Exponent) -> Vec<u8> {
        self.power(&Uint::from_u8(2), exponent).to_vec()
    }

    /// The secret that is shared with who has this public key, padded to the length of the prime.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a number that is no public key, or one of a subgroup that gives the
    /// secret away: 0, 1, p - 1 and what is no less than p.
    pub fn agree(&self, exponent: &Exponent, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        const NONE: Error = Error::Malformed("a Diffie-Hellman public key that is none in its group");
        let zeros = self.octets.len().checked_sub(peer.len()).ok_or(NONE)?;
        let padded = [vec![0; zeros], peer.to_vec()].concat();
        let peer = Uint::<LIMBS>::from_be_slice(&padded);
        let last = self.params.modulus().as_ref().wrapping_sub(&Uint::ONE);
        if peer <= Uint::ONE || peer >= last {
            return Err(NONE);
        }
        Ok(self.power(&peer, exponent))
    }

    fn power(&self, base: &Uint<LIMBS>, exponent: &Exponent) -> Zeroizing<Vec<u8>> {
        octets(&FixedMontyForm::new(base, &self.params).pow(&exponent.0).retrieve())
    }
}

fn octets<const LIMBS: usize>(number: &Uint<LIMBS>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(number.to_be_bytes().as_ref().to_vec())
}

const P_2048: &str = "\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
    EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
    83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
    15728E5A8AACAA68FFFFFFFFFFFFFFFF";
const P_4096: &str = "\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
    EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
    83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
    15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
    ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C\
    BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7\
    88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8DBBBC2DB04DE8EF92E8EFC141FBECAA6\
    287C59474E6BC05D99B2964FA090C3A2233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA9\
    93B4EA988D8FDDC186FFB7DC90A6C08F4DF435C934063199FFFFFFFFFFFFFFFF";
