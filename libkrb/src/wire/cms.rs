//! Signed data of the Cryptographic Message Syntax (RFC 5652 3, 5), as far as PKINIT has it: one signer
//! or none. A view like the other messages, for what is signed are the bytes as they came, and a
//! library that reads certificates and attributes into values has others. Not here: signatures.

use super::der::{Decode, Encode, Reader, SEQUENCE, Writer};
use super::gss::Oid;
use super::list::List;
use super::x509::{AlgorithmIdentifier, Any};
use crate::error::{Error, Result};

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SET: u8 = 0x31;
/// `[0]`: explicit around contents, implicit for certificates and signed attributes.
const FIRST: u8 = 0xa0;
/// `[1]`: implicit for revocation lists and unsigned attributes.
const SECOND: u8 = 0xa1;
/// `[0] IMPLICIT SubjectKeyIdentifier`
const KEY_IDENTIFIER: u8 = 0x80;

impl Oid<'static> {
    /// 1.2.840.113549.1.7.2: id-signedData (RFC 5652 5.1).
    pub const SIGNED_DATA: Oid<'static> = Oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]);
    /// 1.2.840.113549.1.9.3: the attribute content-type (RFC 5652 11.1).
    pub const CONTENT_TYPE: Oid<'static> = Oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3]);
    /// 1.2.840.113549.1.9.4: the attribute message-digest (RFC 5652 11.2).
    pub const MESSAGE_DIGEST: Oid<'static> = Oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4]);
}

/// ContentInfo around SignedData (RFC 5652 3, 5.1).
#[derive(Clone, Copy, Debug)]
pub struct SignedData<'a> {
    /// What the content is.
    pub content_type: Oid<'a>,
    /// The content.
    pub content: &'a [u8],
    /// Certificates, in no order that means anything.
    pub certificates: List<'a, Any<'a>>,
    /// Who signed it; `None`: nobody did (RFC 8062 4.1.1).
    pub signer: Option<SignerInfo<'a>>,
}

/// SignerInfo (RFC 5652 5.3).
#[derive(Clone, Copy, Debug)]
pub struct SignerInfo<'a> {
    /// Which certificate has the public key.
    pub id: SignerId<'a>,
    /// How the content was hashed.
    pub digest: AlgorithmIdentifier<'a>,
    /// What is signed in place of the content.
    pub signed: Option<SignedAttributes<'a>>,
    /// How it was signed.
    pub signature_algorithm: AlgorithmIdentifier<'a>,
    /// The signature.
    pub signature: &'a [u8],
}

/// SignerIdentifier (RFC 5652 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerId<'a> {
    /// The certificate's issuer, a Name with its tag, and the octets of its serial number.
    IssuerAndSerial(&'a [u8], &'a [u8]),
    /// The certificate's key identifier.
    KeyIdentifier(&'a [u8]),
}

/// SignedAttributes (RFC 5652 5.3): the attributes' elements, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedAttributes<'a>(pub &'a [u8]);

impl<'a> SignedAttributes<'a> {
    /// The only value of an attribute; `None` if it is not there, or twice, or has several values.
    pub fn value(&self, kind: Oid<'_>) -> Option<Any<'a>> {
        let mut found = None;
        let mut attributes = Reader::new(self.0);
        while !attributes.is_empty() {
            let mut fields = Reader::new(attributes.expect(SEQUENCE, "an attribute").ok()?);
            if Oid::decode(&mut fields).ok()? != kind {
                continue;
            }
            let mut values = Reader::new(fields.expect(SET, "an attribute's values").ok()?);
            let value = Any::decode(&mut values).ok()?;
            if found.is_some() || !values.is_empty() {
                return None;
            }
            found = Some(value);
        }
        found
    }

    /// The bytes that are signed: the attributes as a SET (RFC 5652 5.4).
    pub fn to_sign(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.0.len() + 6);
        writer.primitive(SET, self.0);
        writer.bytes().to_vec()
    }

    /// The two attributes that every signed content has, in the order of DER.
    pub fn make(content_type: Oid<'_>, digest: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new();
        attribute(&mut writer, Oid::MESSAGE_DIGEST, &digest);
        attribute(&mut writer, Oid::CONTENT_TYPE, &content_type);
        writer.bytes().to_vec()
    }
}

fn attribute(writer: &mut Writer, kind: Oid<'_>, value: &impl Encode) {
    writer.element(SEQUENCE, |writer| {
        writer.element(SET, |writer| value.encode(writer));
        kind.encode(writer);
    });
}

impl<'a> SignerId<'a> {
    /// The DER of an IssuerAndSerialNumber.
    pub fn issuer_and_serial(issuer: &[u8], serial: &[u8]) -> Vec<u8> {
        super::encode(&SignerId::IssuerAndSerial(issuer, serial))
    }
}

impl<'a> Decode<'a> for SignerId<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        match reader.element()? {
            (SEQUENCE, contents) => {
                let mut fields = Reader::new(contents);
                let Any(issuer) = Any::decode(&mut fields)?;
                let serial = fields.expect(INTEGER, "serial number expected")?;
                fields.end()?;
                Ok(SignerId::IssuerAndSerial(issuer, serial))
            }
            (KEY_IDENTIFIER, identifier) => Ok(SignerId::KeyIdentifier(identifier)),
            // Heimdal's clients tag it explicitly, against the RFC.
            (FIRST, contents) => super::decode(contents).map(SignerId::KeyIdentifier),
            _ => Err(Error::Malformed("unknown SignerIdentifier")),
        }
    }
}

impl Encode for SignerId<'_> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            SignerId::IssuerAndSerial(issuer, serial) => writer.element(SEQUENCE, |writer| {
                writer.primitive(INTEGER, serial);
                writer.prepend(issuer);
            }),
            SignerId::KeyIdentifier(identifier) => writer.primitive(KEY_IDENTIFIER, identifier),
        }
    }
}

impl<'a> Decode<'a> for SignerInfo<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let mut fields = Reader::new(reader.expect(SEQUENCE, "SignerInfo: SEQUENCE expected")?);
        u32::decode(&mut fields)?;
        let id = SignerId::decode(&mut fields)?;
        let digest = AlgorithmIdentifier::decode(&mut fields)?;
        let signed = if fields.tag() == Some(FIRST) { Some(SignedAttributes(fields.element()?.1)) } else { None };
        let signature_algorithm = AlgorithmIdentifier::decode(&mut fields)?;
        let signature = fields.expect(OCTET_STRING, "SignerInfo: signature missing")?;
        if fields.tag() == Some(SECOND) {
            fields.element()?;
        }
        fields.end()?;
        Ok(SignerInfo { id, digest, signed, signature_algorithm, signature })
    }
}

impl Encode for SignerInfo<'_> {
    fn encode(&self, writer: &mut Writer) {
        let version = match self.id {
            SignerId::IssuerAndSerial(..) => 1,
            SignerId::KeyIdentifier(_) => 3,
        };
        writer.element(SEQUENCE, |writer| {
            self.signature.encode(writer);
            self.signature_algorithm.encode(writer);
            if let Some(SignedAttributes(attributes)) = self.signed {
                writer.primitive(FIRST, attributes);
            }
            self.digest.encode(writer);
            self.id.encode(writer);
            version.encode(writer);
        });
    }
}

/// Enters an element that holds one other, and leaves nothing behind it.
fn inside<'a>(reader: &mut Reader<'a>, tag: u8, what: &'static str) -> Result<Reader<'a>> {
    let contents = reader.expect(tag, what)?;
    reader.end()?;
    Ok(Reader::new(contents))
}

impl<'a> Decode<'a> for SignedData<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let mut info = Reader::new(reader.expect(SEQUENCE, "ContentInfo: SEQUENCE expected")?);
        if Oid::decode(&mut info)? != Oid::SIGNED_DATA {
            return Err(Error::Malformed("ContentInfo: not of signed data"));
        }
        let mut content = inside(&mut info, FIRST, "ContentInfo: content missing")?;
        let mut fields = inside(&mut content, SEQUENCE, "SignedData: SEQUENCE expected")?;
        u32::decode(&mut fields)?;
        fields.expect(SET, "SignedData: digestAlgorithms missing")?;
        let mut encapsulated = Reader::new(fields.expect(SEQUENCE, "SignedData: encapContentInfo missing")?);
        let content_type = Oid::decode(&mut encapsulated)?;
        let mut content = inside(&mut encapsulated, FIRST, "SignedData: eContent missing")?;
        let content = <&[u8]>::decode(&mut content)?;
        let mut certificates = List::default();
        if fields.tag() == Some(FIRST) {
            certificates = List::Der(elements(fields.element()?.1)?);
        }
        if fields.tag() == Some(SECOND) {
            fields.element()?;
        }
        let mut signers = Reader::new(fields.expect(SET, "SignedData: signerInfos missing")?);
        fields.end()?;
        let signer = if signers.is_empty() { None } else { Some(SignerInfo::decode(&mut signers)?) };
        if !signers.is_empty() {
            return Err(Error::Malformed("SignedData: more than one signer"));
        }
        Ok(SignedData { content_type, content, certificates, signer })
    }
}

/// The same bytes, known to be whole elements.
fn elements(bytes: &[u8]) -> Result<&[u8]> {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        reader.element()?;
    }
    Ok(bytes)
}

impl Encode for SignedData<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.element(SEQUENCE, |writer| {
            writer.element(FIRST, |writer| writer.element(SEQUENCE, |writer| self.encode_fields(writer)));
            Oid::SIGNED_DATA.encode(writer);
        });
    }
}

impl SignedData<'_> {
    fn encode_fields(&self, writer: &mut Writer) {
        writer.element(SET, |writer| {
            if let Some(signer) = self.signer {
                signer.encode(writer);
            }
        });
        let mut certificates: Vec<_> = self.certificates.iter().collect();
        certificates.sort_by_key(|certificate| certificate.0);
        if !certificates.is_empty() {
            writer.element(FIRST, |writer| {
                certificates.iter().rev().for_each(|certificate| certificate.encode(writer));
            });
        }
        writer.element(SEQUENCE, |writer| {
            writer.element(FIRST, |writer| self.content.encode(writer));
            self.content_type.encode(writer);
        });
        writer.element(SET, |writer| {
            if let Some(signer) = self.signer {
                signer.digest.encode(writer);
            }
        });
        // Version 3: the content is not of the type id-data.
        3_u32.encode(writer);
    }
}

#[cfg(test)]
mod tests;
