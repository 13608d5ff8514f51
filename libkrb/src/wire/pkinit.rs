//! PKINIT's messages (RFC 4556 appendix A, RFC 8636, RFC 8070, MS-PKCA 2.2.3). Not here: the CMS
//! objects that they carry as octets.

use super::der::{Decode, Encode, Reader, SEQUENCE, Writer, sequence};
use super::gss::Oid;
use super::list::List;
use super::name::PrincipalName;
use super::x509::{AlgorithmIdentifier, Any, BitString, SubjectPublicKeyInfo};
use crate::codes::EncryptionType;
use crate::error::{Error, Result};
use crate::time::Time;

const DH_INFO: u8 = 0xa0;
const ENC_KEY_PACK: u8 = 0x81;

sequence! {
    /// PA-PK-AS-REQ (RFC 4556 3.2.1).
    PaPkAsReq<'a> {
        /// A ContentInfo around SignedData around an [`AuthPack`].
        0 implicit signed_auth_pack: &'a [u8],
        /// CAs that the client trusts; hints.
        1 optional trusted_certifiers: List<'a, ExternalPrincipalIdentifier<'a>>,
        /// A SignerIdentifier: the KDC's key that the client has already.
        2 implicit_optional kdc_pk_id: &'a [u8],
    }
}

sequence! {
    /// ExternalPrincipalIdentifier (RFC 4556 3.2.1): whose key, as DER inside octets.
    ExternalPrincipalIdentifier<'a> {
        /// A Name.
        0 implicit_optional subject_name: &'a [u8],
        /// An IssuerAndSerialNumber.
        1 implicit_optional issuer_and_serial: &'a [u8],
        /// A key identifier.
        2 implicit_optional key_identifier: &'a [u8],
    }
}

sequence! {
    /// AuthPack (RFC 4556 3.2.1, RFC 8636 6).
    AuthPack<'a> {
        /// That the request is recent, and to which request it belongs.
        0 required authenticator: PkAuthenticator<'a>,
        /// The client's half of the key agreement.
        1 optional client_public_value: Any<'a>,
        /// CMS algorithms that the client supports.
        2 optional supported_cms_types: List<'a, AlgorithmIdentifier<'a>>,
        /// That keys may be used again.
        3 optional client_dh_nonce: &'a [u8],
        /// How the client can derive the reply key.
        4 optional supported_kdfs: List<'a, KdfAlgorithmId<'a>>,
    }
}

impl<'a> AuthPack<'a> {
    /// The client's half of the key agreement, read.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is no SubjectPublicKeyInfo.
    pub fn public_value(&self) -> Result<Option<SubjectPublicKeyInfo<'a>>> {
        self.client_public_value.map(|any| super::decode(any.0)).transpose()
    }
}

sequence! {
    /// PKAuthenticator (RFC 4556 3.2.1, RFC 8070 4, MS-PKCA 2.2.3).
    PkAuthenticator<'a> {
        /// Microseconds of the client's clock.
        0 required micros: u32,
        /// The client's clock.
        1 required time: Time,
        /// Comes back in the reply.
        2 required nonce: u32,
        /// SHA-1 of the KDC-REQ-BODY.
        3 optional checksum: &'a [u8],
        /// What the KDC sent a moment ago.
        4 optional freshness_token: &'a [u8],
        /// A better hash of the KDC-REQ-BODY.
        5 optional checksum2: PaChecksum2<'a>,
    }
}

sequence! {
    /// PAChecksum2 (MS-PKCA 2.2.3).
    PaChecksum2<'a> {
        /// The hash.
        0 required checksum: &'a [u8],
        /// Which hash.
        1 required algorithm: AlgorithmIdentifier<'a>,
    }
}

sequence! {
    /// KDFAlgorithmId (RFC 8636 6).
    KdfAlgorithmId<'a> {
        /// Which function.
        0 required id: Oid<'a>,
    }
}

/// PA-PK-AS-REP (RFC 4556 3.2.3).
#[derive(Clone, Copy, Debug)]
pub enum PaPkAsRep<'a> {
    /// A key was agreed upon.
    Dh(DhRepInfo<'a>),
    /// A key was sent, encrypted with the client's public key: a ContentInfo around EnvelopedData.
    EncKeyPack(&'a [u8]),
}

impl<'a> Decode<'a> for PaPkAsRep<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        match reader.element()? {
            (DH_INFO, contents) => super::decode(contents).map(PaPkAsRep::Dh),
            (ENC_KEY_PACK, octets) => Ok(PaPkAsRep::EncKeyPack(octets)),
            _ => Err(Error::Malformed("neither dhInfo nor encKeyPack")),
        }
    }
}

impl Encode for PaPkAsRep<'_> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            PaPkAsRep::Dh(info) => writer.element(DH_INFO, |writer| info.encode(writer)),
            PaPkAsRep::EncKeyPack(octets) => writer.primitive(ENC_KEY_PACK, octets),
        }
    }
}

sequence! {
    /// DHRepInfo (RFC 4556 3.2.3, RFC 8636 6).
    DhRepInfo<'a> {
        /// A ContentInfo around SignedData around a [`KdcDhKeyInfo`].
        0 implicit signed_data: &'a [u8],
        /// There if the KDC's key is used more than once.
        1 optional server_dh_nonce: &'a [u8],
        /// How the reply key is derived; absent: as RFC 4556 says.
        2 optional kdf: KdfAlgorithmId<'a>,
    }
}

sequence! {
    /// KDCDHKeyInfo (RFC 4556 3.2.3).
    KdcDhKeyInfo<'a> {
        /// The KDC's half of the key agreement.
        0 required public_key: BitString<'a>,
        /// The nonce of the request; 0 where the key is used more than once.
        1 required nonce: u32,
        /// Until when the KDC's key is used.
        2 optional expiration: Time,
    }
}

sequence! {
    /// KRB5PrincipalName (RFC 4556 3.2.2).
    Krb5PrincipalName<'a> {
        /// The realm.
        0 required realm: &'a str,
        /// The name.
        1 required name: PrincipalName<'a>,
    }
}

sequence! {
    /// PkinitSuppPubInfo (RFC 8636 6).
    PkinitSuppPubInfo<'a> {
        /// Of the reply key.
        0 required etype: EncryptionType,
        /// The AS-REQ as it was sent.
        1 required as_req: &'a [u8],
        /// The PA-PK-AS-REP as it was sent.
        2 required pk_as_rep: &'a [u8],
    }
}

/// OtherInfo (RFC 8636 6).
#[derive(Clone, Copy, Debug)]
pub struct OtherInfo<'a> {
    /// The key derivation function.
    pub algorithm: AlgorithmIdentifier<'a>,
    /// The client, a [`Krb5PrincipalName`].
    pub party_u: &'a [u8],
    /// The server, a [`Krb5PrincipalName`].
    pub party_v: &'a [u8],
    /// A [`PkinitSuppPubInfo`].
    pub supp_pub_info: &'a [u8],
}

impl Encode for OtherInfo<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.element(SEQUENCE, |writer| {
            writer.required(2, &self.supp_pub_info);
            writer.required(1, &self.party_v);
            writer.required(0, &self.party_u);
            self.algorithm.encode(writer);
        });
    }
}

sequence! {
    /// TD-CERT-DIGEST-ALGORITHMS-DATA (RFC 8636 5).
    TdCertDigestAlgorithms<'a> {
        /// What a CA may sign with.
        0 required allowed: List<'a, AlgorithmIdentifier<'a>>,
        /// What it did sign with.
        1 optional rejected: AlgorithmIdentifier<'a>,
    }
}

#[cfg(test)]
mod tests;
