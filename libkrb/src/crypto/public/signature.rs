//! Signatures with RSA and ECDSA over SHA-2 (RFC 8017, RFC 5758). Never SHA-1, never RSA keys of fewer
//! than 2048 bits.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;

use super::super::hash::Hash;
use crate::error::{Error, Result};
use crate::wire::{self, AlgorithmIdentifier, Oid, Reader, SubjectPublicKeyInfo, Unsigned};

/// 1.2.840.113549.1.1: the algorithms of PKCS #1 (RFC 8017 C).
const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
/// 1.2.840.113549.1.1.1: rsaEncryption.
const RSA: Oid<'static> = Oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]);
/// 1.2.840.113549.1.1.11: sha256WithRSAEncryption.
const RSA_SHA256: Oid<'static> = Oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]);
/// 1.2.840.10045.4.3: ECDSA with SHA-2 (RFC 5758 3.2).
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];
/// The fewest bits of an RSA key.
const FEWEST_BITS: usize = 2048;

/// How a signature with RSA is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// PKCS #1 v1.5.
    Pkcs1,
    /// PSS with the hash and a salt of its length.
    Pss,
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// A hash, with the algorithms that go with it: RSA by either padding, ECDSA on each curve.
const ALGORITHMS: [(Hash, Algorithm, Algorithm, [Algorithm; 3]); 3] = [
    (
        Hash::Sha256,
        algorithms::RSA_PKCS1_2048_8192_SHA256,
        algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        [algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256, algorithms::ECDSA_P521_SHA256],
    ),
    (
        Hash::Sha384,
        algorithms::RSA_PKCS1_2048_8192_SHA384,
        algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        [algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384, algorithms::ECDSA_P521_SHA384],
    ),
    (
        Hash::Sha512,
        algorithms::RSA_PKCS1_2048_8192_SHA512,
        algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        [algorithms::ECDSA_P256_SHA512, algorithms::ECDSA_P384_SHA512, algorithms::ECDSA_P521_SHA512],
    ),
];

/// The algorithms by which certificates may be signed.
pub fn accepted() -> Vec<Algorithm> {
    ALGORITHMS.iter().flat_map(|(_, pkcs1, pss, curves)| [*pkcs1, *pss].into_iter().chain(*curves)).collect()
}

/// How the octets behind a SubjectPublicKeyInfo's or a signature's SEQUENCE begin.
fn contents(algorithm: &AlgorithmIdentifier<'_>) -> Vec<u8> {
    let der = wire::encode(algorithm);
    Reader::new(&der).element().map(|(_, contents)| contents.to_vec()).unwrap_or_default()
}

/// Verifies a signature.
///
/// # Errors
/// [`Error::Integrity`] for a signature that does not verify, or a key that can't have made it.
pub fn verify(
    key: &SubjectPublicKeyInfo<'_>,
    hash: Hash,
    padding: Padding,
    message: &[u8],
    signature: &[u8],
) -> Result<()> {
    let row = ALGORITHMS.iter().find(|(of, ..)| *of == hash).ok_or(Error::Integrity)?;
    let (_, pkcs1, pss, curves) = row;
    let rsa = if padding == Padding::Pss { *pss } else { *pkcs1 };
    let kind = contents(&key.algorithm);
    let algorithm = [rsa].into_iter().chain(*curves).find(|algorithm| *algorithm.public_key_alg_id() == *kind);
    let algorithm = algorithm.ok_or(Error::Integrity)?;
    algorithm.verify_signature(key.key.0, message, signature).map_err(|_| Error::Integrity)
}

/// Whether a public key is of a kind that is accepted and long enough.
pub fn key_is_strong(key: &SubjectPublicKeyInfo<'_>) -> bool {
    if key.algorithm.algorithm != RSA {
        let kind = contents(&key.algorithm);
        return accepted().iter().any(|algorithm| *algorithm.public_key_alg_id() == *kind);
    }
    let modulus = || {
        let mut key = Reader::new(key.key.0);
        let mut fields = Reader::new(key.expect(0x30, "RSAPublicKey").ok()?);
        <Unsigned<'_> as wire::Decode<'_>>::decode(&mut fields).ok()
    };
    let bits = |Unsigned(octets): Unsigned<'_>| {
        octets.len() * 8 - octets.first().map_or(0, |first| first.leading_zeros()) as usize
    };
    modulus().is_some_and(|modulus| bits(modulus) >= FEWEST_BITS)
}

/// The hash and padding that a signature's algorithm says, where that is one of ours; RSA by itself
/// says no hash, which then is the digest's.
pub fn named(algorithm: &AlgorithmIdentifier<'_>, digest: Hash) -> Option<(Hash, Padding)> {
    let last = |prefix| algorithm.algorithm.0.strip_prefix(prefix);
    let hash = match (last(PKCS1), last(ECDSA)) {
        (Some([1]), _) => Some(digest),
        (Some([11]), _) | (_, Some([2])) => Some(Hash::Sha256),
        (Some([12]), _) | (_, Some([3])) => Some(Hash::Sha384),
        (Some([13]), _) | (_, Some([4])) => Some(Hash::Sha512),
        // The parameters of PSS name the hash; the only one that is taken is the digest's.
        (Some([10]), _) => return pss(algorithm, digest).then_some((digest, Padding::Pss)),
        _ => None,
    };
    Some((hash?, Padding::Pkcs1))
}

/// Whether the parameters are those of PSS with this hash.
fn pss(algorithm: &AlgorithmIdentifier<'_>, digest: Hash) -> bool {
    let row = ALGORITHMS.iter().find(|(of, ..)| *of == digest);
    row.is_some_and(|(_, _, pss, _)| *pss.signature_alg_id() == *contents(algorithm))
}

/// A private key that signs.
pub struct SigningKey {
    kind: Kind,
}

enum Kind {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair, Hash, &'static [u8]),
}

/// A curve's algorithm, with the hash of its strength and the last octet of the signature's name.
const SIGNING: [(&EcdsaSigningAlgorithm, Hash, &[u8]); 3] = [
    (&ECDSA_P256_SHA256_ASN1_SIGNING, Hash::Sha256, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]),
    (&ECDSA_P384_SHA384_ASN1_SIGNING, Hash::Sha384, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]),
    (&ECDSA_P521_SHA512_ASN1_SIGNING, Hash::Sha512, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4]),
];

impl SigningKey {
    /// A key in PKCS #8, PKCS #1 (RSA) or SEC 1 (elliptic curves).
    ///
    /// # Errors
    /// [`Error::Setting`] for anything else, an encrypted key, and an RSA key that is too short.
    pub fn from_der(der: &[u8]) -> Result<SigningKey> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            if pair.public_modulus_len() * 8 < FEWEST_BITS {
                return Err(Error::Setting(format!("an RSA key needs at least {FEWEST_BITS} bits")));
            }
            return Ok(SigningKey { kind: Kind::Rsa(pair) });
        }
        let ecdsa = SIGNING.iter().find_map(|(algorithm, hash, oid)| {
            let pair = EcdsaKeyPair::from_private_key_der(algorithm, der).ok()?;
            Some(SigningKey { kind: Kind::Ecdsa(pair, *hash, oid) })
        });
        let expected = "a private key of RSA (at least 2048 bits), P-256, P-384 or P-521, not encrypted, was expected";
        ecdsa.ok_or_else(|| Error::Setting(expected.to_owned()))
    }

    /// The public key as it stands in the BIT STRING of a certificate.
    pub fn public_key(&self) -> &[u8] {
        match &self.kind {
            Kind::Rsa(pair) => pair.public_key().as_ref(),
            Kind::Ecdsa(pair, ..) => pair.public_key().as_ref(),
        }
    }

    /// The hash that it signs with.
    pub fn hash(&self) -> Hash {
        match &self.kind {
            Kind::Rsa(_) => Hash::Sha256,
            Kind::Ecdsa(_, hash, _) => *hash,
        }
    }

    /// The name of its signatures.
    pub fn algorithm(&self) -> AlgorithmIdentifier<'static> {
        match &self.kind {
            Kind::Rsa(_) => AlgorithmIdentifier::null(RSA_SHA256),
            Kind::Ecdsa(_, _, oid) => AlgorithmIdentifier::bare(Oid(oid)),
        }
    }

    /// Signs a message.
    ///
    /// # Errors
    /// [`Error::Random`] when the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.kind {
            Kind::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.map(|()| signature).map_err(|_| Error::Random)
            }
            Kind::Ecdsa(pair, ..) => {
                pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(|_| Error::Random)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Rsa(_) => "SigningKey(RSA, redacted)",
            Kind::Ecdsa(..) => "SigningKey(ECDSA, redacted)",
        })
    }
}
