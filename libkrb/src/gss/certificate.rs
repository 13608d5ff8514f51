//! The channel bindings of a TLS server's certificate (RFC 5929 4). Not here: whether the
//! certificate is good for anything; of it no more is read than how it was signed.

use super::ChannelBindings;
use crate::crypto::Hash;
use crate::error::{Error, Result};
use crate::wire::Reader;

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const HASH_ALGORITHM: u8 = 0xa0;

/// 1.2.840.113549.1.1: the signatures of PKCS #1 (RFC 8017 A.2).
const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// 1.2.840.10045.4: ECDSA (RFC 5758 3.2).
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
/// 2.16.840.1.101.3.4.2: the hashes of NIST.
const NIST: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

impl ChannelBindings {
    /// `tls-server-end-point` (RFC 5929 4) of the server's certificate in DER: what both sides see of
    /// a TLS connection, and what a stranger in the middle of two connections has two of.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what is no certificate, and for a signature without a hash of its own,
    /// as Ed25519 is: for these the RFC leaves the bindings undefined.
    pub fn of_certificate(der: &[u8]) -> Result<ChannelBindings> {
        const NONE: &str = "not a certificate";
        let mut certificate = Reader::new(Reader::new(der).expect(SEQUENCE, NONE)?);
        certificate.expect(SEQUENCE, NONE)?;
        let mut algorithm = Reader::new(certificate.expect(SEQUENCE, NONE)?);
        let hash = signature_hash(algorithm.expect(OBJECT_IDENTIFIER, NONE)?, algorithm)?;
        Ok(ChannelBindings::tls_server_end_point(&hash.of(der)))
    }
}

/// The hash of a signature, or SHA-256 where that is MD5 or SHA-1.
fn signature_hash(identifier: &[u8], parameters: Reader<'_>) -> Result<Hash> {
    let last = |prefix| identifier.strip_prefix(prefix);
    let hash = match (last(PKCS1), last(ECDSA)) {
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => Some(Hash::Sha256),
        (Some([12]), _) | (_, Some([3, 3])) => Some(Hash::Sha384),
        (Some([13]), _) | (_, Some([3, 4])) => Some(Hash::Sha512),
        (Some([14]), _) | (_, Some([3, 1])) => Some(Hash::Sha224),
        (Some([10]), _) => pss_hash(parameters)?,
        _ => None,
    };
    hash.ok_or(Error::Malformed("a certificate whose signature has no hash that channel bindings could use"))
}

/// The hash that the parameters of RSASSA-PSS name (RFC 8017 A.2.3); SHA-1 where they name none.
fn pss_hash(mut algorithm: Reader<'_>) -> Result<Option<Hash>> {
    const BAD: &str = "malformed parameters of RSASSA-PSS";
    let mut parameters = Reader::new(algorithm.expect(SEQUENCE, BAD)?);
    if parameters.tag() != Some(HASH_ALGORITHM) {
        return Ok(Some(Hash::Sha256));
    }
    let mut explicit = Reader::new(parameters.expect(HASH_ALGORITHM, BAD)?);
    let mut hash = Reader::new(explicit.expect(SEQUENCE, BAD)?);
    Ok(match hash.expect(OBJECT_IDENTIFIER, BAD)?.strip_prefix(NIST) {
        Some([1]) => Some(Hash::Sha256),
        Some([2]) => Some(Hash::Sha384),
        Some([3]) => Some(Hash::Sha512),
        Some([4]) => Some(Hash::Sha224),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As much of a certificate as is read, signed with an algorithm of these octets.
    fn certificate(algorithm: &[u8]) -> Vec<u8> {
        let element = |tag: u8, contents: &[u8]| [&[tag, u8::try_from(contents.len()).unwrap()], contents].concat();
        let parts = [element(SEQUENCE, b"tbs"), element(SEQUENCE, algorithm), element(0x03, &[0, 1])].concat();
        element(SEQUENCE, &parts)
    }

    fn oid(prefix: &[u8], last: &[u8]) -> Vec<u8> {
        [&[OBJECT_IDENTIFIER, u8::try_from(prefix.len() + last.len()).unwrap()], prefix, last].concat()
    }

    fn length(algorithm: &[u8]) -> Option<usize> {
        let bindings = ChannelBindings::of_certificate(&certificate(algorithm)).ok()?;
        bindings.application.strip_prefix(b"tls-server-end-point:").map(<[u8]>::len)
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        for (last, expected) in [(4, 32), (5, 32), (11, 32), (12, 48), (13, 64), (14, 28)] {
            assert_eq!(length(&oid(PKCS1, &[last])), Some(expected), "{last}");
        }
        for (last, expected) in [(&[1][..], 32), (&[3, 1], 28), (&[3, 2], 32), (&[3, 3], 48), (&[3, 4], 64)] {
            assert_eq!(length(&oid(ECDSA, last)), Some(expected), "{last:?}");
        }
        let der = certificate(&oid(PKCS1, &[11]));
        let expected = ChannelBindings::tls_server_end_point(&Hash::Sha256.of(&der));
        assert_eq!(ChannelBindings::of_certificate(&der).unwrap(), expected);
    }

    #[test]
    fn pss_names_its_hash_in_its_parameters() {
        let pss = |parameters: &[u8]| length(&[oid(PKCS1, &[10]), parameters.to_vec()].concat());
        let named = |last: u8| {
            let oid = oid(NIST, &[last]);
            let hash = [&[SEQUENCE, u8::try_from(oid.len()).unwrap()], &*oid].concat();
            let explicit = [&[HASH_ALGORITHM, u8::try_from(hash.len()).unwrap()], &*hash].concat();
            [&[SEQUENCE, u8::try_from(explicit.len()).unwrap()], &*explicit].concat()
        };
        assert_eq!(pss(&[SEQUENCE, 0]), Some(32));
        assert_eq!(pss(&named(1)), Some(32));
        assert_eq!(pss(&named(2)), Some(48));
        assert_eq!(pss(&named(3)), Some(64));
        assert_eq!(pss(&named(9)), None);
        assert_eq!(pss(&[]), None);
    }

    #[test]
    fn what_has_no_hash_or_is_no_certificate_has_no_bindings() {
        assert_eq!(length(&[OBJECT_IDENTIFIER, 3, 0x2b, 0x65, 0x70]), None, "Ed25519");
        let der = certificate(&oid(PKCS1, &[11]));
        for cut in 0..19 {
            assert!(ChannelBindings::of_certificate(&der[..cut]).is_err(), "{cut}");
        }
        assert!(ChannelBindings::of_certificate(b"-----BEGIN CERTIFICATE-----").is_err());
    }
}
