//! Signed content (RFC 5652 5): made by an identity, opened and verified. Not here: whose certificate
//! it is, and whether it is to be believed.

use subtle::ConstantTimeEq;

use super::certificate::Certificate;
use super::distrust::Distrust;
use super::identity::Identity;
use crate::crypto::Hash;
use crate::crypto::public::{key_is_strong, named, verify};
use crate::error::{Error, ErrorCode, Result};
use crate::wire::{self, AlgorithmIdentifier, Any, List, Oid, SignedAttributes, SignedData, SignerId, SignerInfo};

/// More certificates than a path has that anybody would believe.
const MOST_CERTIFICATES: usize = 16;

impl Oid<'static> {
    /// id-pkinit-authData (RFC 4556 3.2.1).
    pub const PKINIT_AUTH_DATA: Oid<'static> = Oid(&[0x2b, 6, 1, 5, 2, 3, 1]);
    /// id-pkinit-DHKeyData (RFC 4556 3.2.3.1).
    pub const PKINIT_DH_KEY_DATA: Oid<'static> = Oid(&[0x2b, 6, 1, 5, 2, 3, 2]);
}

/// 2.16.840.1.101.3.4.2: the hashes of NIST (RFC 5754 2).
const HASHES: [(Hash, &[u8]); 3] = [
    (Hash::Sha512, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3]),
    (Hash::Sha384, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2]),
    (Hash::Sha256, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]),
];

/// The hashes that are accepted, most wanted first, as algorithm identifiers.
pub fn digest_algorithms() -> [AlgorithmIdentifier<'static>; 3] {
    HASHES.map(|(_, oid)| AlgorithmIdentifier::bare(Oid(oid)))
}

/// The signatures that are accepted, most wanted first: ECDSA and RSA with SHA-2 (RFC 5758, 8017).
const SIGNATURES: [&[u8]; 6] = [
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11],
];

/// The signatures and hashes that are accepted, as algorithm identifiers.
pub(super) fn algorithms() -> Vec<AlgorithmIdentifier<'static>> {
    let signatures = SIGNATURES.iter().map(|oid| AlgorithmIdentifier::bare(Oid(oid)));
    signatures.chain(digest_algorithms()).collect()
}

/// The hash of an algorithm identifier.
pub(super) fn hash_of(algorithm: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    HASHES.iter().find(|(_, oid)| *oid == algorithm.algorithm.0).map(|(hash, _)| *hash)
}

/// The algorithm identifier of a hash.
pub(super) fn digest_algorithm(hash: Hash) -> AlgorithmIdentifier<'static> {
    let known = HASHES.iter().find(|(known, _)| *known == hash);
    AlgorithmIdentifier::bare(Oid(known.map_or(&[], |(_, oid)| oid)))
}

/// Content signed by an identity, or by nobody (RFC 8062 4.1.1).
///
/// # Errors
/// [`Error::Random`] when the library fails.
pub fn sign(identity: Option<&Identity>, content_type: Oid<'_>, content: &[u8]) -> Result<Vec<u8>> {
    let Some(identity) = identity else {
        return Ok(wire::encode(&SignedData { content_type, content, certificates: List::default(), signer: None }));
    };
    let key = identity.key();
    let attributes = SignedAttributes::make(content_type, &key.hash().of(content));
    let signed = SignedAttributes(&attributes);
    let signature = key.sign(&signed.to_sign())?;
    let leaf = identity.certificate()?;
    let certificates: Vec<_> = identity.chain().iter().map(|der| Any(der)).collect();
    let signer = SignerInfo {
        id: SignerId::IssuerAndSerial(leaf.issuer, leaf.serial),
        digest: digest_algorithm(key.hash()),
        signed: Some(signed),
        signature_algorithm: key.algorithm(),
        signature: &signature,
    };
    let certificates = List::Items(&certificates);
    Ok(wire::encode(&SignedData { content_type, content, certificates, signer: Some(signer) }))
}

/// Content with who claims to have signed it.
#[derive(Debug)]
pub struct Opened<'a> {
    /// The content; not to be believed before its signature is verified.
    pub content: &'a [u8],
    /// Who signed it; `None`: nobody did.
    pub claim: Option<Claim<'a>>,
}

/// A signature that was not verified yet.
#[derive(Debug)]
pub struct Claim<'a> {
    /// The certificate that the signature names.
    pub certificate: Certificate<'a>,
    /// The other certificates that came with it.
    pub others: Vec<&'a [u8]>,
    content: &'a [u8],
    content_type: Oid<'a>,
    signer: SignerInfo<'a>,
}

/// Reads signed content of a type.
///
/// # Errors
/// INVALID_SIG for what is none, has another type, or more certificates than anybody needs;
/// CANT_VERIFY_CERTIFICATE when the signer's certificate did not come with it.
pub fn open<'a>(der: &'a [u8], content_type: Oid<'_>) -> Result<Opened<'a>, Distrust> {
    let malformed = Distrust::because(ErrorCode::INVALID_SIG, "malformed signed data");
    let data: SignedData<'a> = wire::decode(der).map_err(malformed)?;
    if data.content_type != content_type {
        return Err(Distrust::new(ErrorCode::INVALID_SIG, "signed data of another type of content"));
    }
    let SignedData { content, content_type, certificates, signer } = data;
    let Some(signer) = signer else { return Ok(Opened { content, claim: None }) };
    let certificates: Vec<&[u8]> = certificates.iter().take(MOST_CERTIFICATES + 1).map(|any| any.0).collect();
    if certificates.len() > MOST_CERTIFICATES {
        return Err(Distrust::new(ErrorCode::INVALID_SIG, "more certificates than a path could need"));
    }
    let parsed = certificates.iter().filter_map(|der| Certificate::parse(der).ok());
    let certificate = parsed.into_iter().find(|certificate| certificate.is(signer.id));
    let absent = "the certificate of the signer did not come with the signature";
    let certificate = certificate.ok_or(Distrust::new(ErrorCode::CANT_VERIFY_CERTIFICATE, absent))?;
    let others = certificates.into_iter().filter(|der| *der != certificate.der).collect();
    let claim = Claim { certificate, others, content, content_type, signer };
    Ok(Opened { content, claim: Some(claim) })
}

impl Claim<'_> {
    /// Verifies that the certificate's key made this signature over this content.
    ///
    /// # Errors
    /// DIGEST_IN_SIGNED_DATA_NOT_ACCEPTED for another hash than SHA-2's; CLIENT_NOT_TRUSTED for a key
    /// that is too weak; INVALID_SIG.
    pub fn verify(&self) -> Result<(), Distrust> {
        const DIGEST: ErrorCode = ErrorCode::DIGEST_IN_SIGNED_DATA_NOT_ACCEPTED;
        let invalid = |cause| Distrust::new(ErrorCode::INVALID_SIG, cause);
        let digest = hash_of(&self.signer.digest);
        let digest = digest.ok_or(Distrust::new(DIGEST, "the signature's hash is not one of SHA-2"))?;
        let named = named(&self.signer.signature_algorithm, digest);
        let (hash, padding) = named.ok_or(Distrust::new(DIGEST, "the signature's algorithm is not accepted"))?;
        if !key_is_strong(&self.certificate.key) {
            let cause = "the certificate's key is too short, or of a kind that is not accepted";
            return Err(Distrust::new(ErrorCode::CLIENT_NOT_TRUSTED, cause));
        }
        let signed = self.signed_bytes(digest).ok_or(invalid("the signed attributes are of another content"))?;
        verify(&self.certificate.key, hash, padding, &signed, self.signer.signature)
            .map_err(|_: Error| invalid("the signature does not verify"))
    }

    /// What the signature is over: the content, or attributes that must be those of the content
    /// (RFC 5652 5.4). PKINIT's content always has attributes (RFC 4556 3.2.1).
    fn signed_bytes(&self, digest: Hash) -> Option<Vec<u8>> {
        let attributes = self.signer.signed?;
        let Any(kind) = attributes.value(Oid::CONTENT_TYPE)?;
        let Any(told) = attributes.value(Oid::MESSAGE_DIGEST)?;
        let told: &[u8] = wire::decode(told).ok()?;
        let same = wire::decode::<Oid<'_>>(kind).ok()? == self.content_type;
        let same = same && bool::from(told.ct_eq(&digest.of(self.content)));
        same.then(|| attributes.to_sign())
    }
}
