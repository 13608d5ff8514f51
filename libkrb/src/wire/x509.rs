//! The few pieces of X.509 that PKINIT's own messages are made of (RFC 5280 4.1.1.2, 4.1.2.7,
//! RFC 3279 2.3.3). Not here: certificates, which libraries for them read.

use super::der::{Decode, Encode, Reader, SEQUENCE, Writer};
use super::gss::Oid;
use crate::error::{Error, Result};

const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;

/// One element of whatever kind, tag and all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Any<'a>(pub &'a [u8]);

impl<'a> Decode<'a> for Any<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let before = reader.rest();
        reader.element()?;
        Ok(Any(before.get(..before.len() - reader.rest().len()).unwrap_or_default()))
    }
}

impl Encode for Any<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.prepend(self.0);
    }
}

/// AlgorithmIdentifier (RFC 5280 4.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlgorithmIdentifier<'a> {
    /// Which algorithm.
    pub algorithm: Oid<'a>,
    /// Its parameters.
    pub parameters: Option<Any<'a>>,
}

impl<'a> AlgorithmIdentifier<'a> {
    /// An algorithm without parameters.
    pub const fn bare(algorithm: Oid<'a>) -> Self {
        AlgorithmIdentifier { algorithm, parameters: None }
    }

    /// An algorithm whose parameters are NULL.
    pub const fn null(algorithm: Oid<'a>) -> Self {
        AlgorithmIdentifier { algorithm, parameters: Some(Any(&[5, 0])) }
    }
}

impl<'a> Decode<'a> for AlgorithmIdentifier<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let mut fields = Reader::new(reader.expect(SEQUENCE, "AlgorithmIdentifier: SEQUENCE expected")?);
        let algorithm = Oid::decode(&mut fields)?;
        let parameters = if fields.is_empty() { None } else { Some(Any::decode(&mut fields)?) };
        fields.end()?;
        Ok(AlgorithmIdentifier { algorithm, parameters })
    }
}

impl Encode for AlgorithmIdentifier<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.element(SEQUENCE, |writer| {
            if let Some(parameters) = self.parameters {
                parameters.encode(writer);
            }
            self.algorithm.encode(writer);
        });
    }
}

/// A BIT STRING of whole octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitString<'a>(pub &'a [u8]);

impl<'a> Decode<'a> for BitString<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        match reader.expect(BIT_STRING, "BIT STRING expected")? {
            [0, octets @ ..] => Ok(BitString(octets)),
            _ => Err(Error::Malformed("BIT STRING of whole octets expected")),
        }
    }
}

impl Encode for BitString<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.element(BIT_STRING, |writer| {
            writer.prepend(self.0);
            writer.prepend(&[0]);
        });
    }
}

/// A large INTEGER that is not negative, as its octets without leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsigned<'a>(pub &'a [u8]);

impl<'a> Decode<'a> for Unsigned<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let octets = reader.expect(INTEGER, "INTEGER expected")?;
        if octets.first().is_none_or(|first| first & 0x80 != 0) {
            return Err(Error::Malformed("INTEGER empty or negative"));
        }
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        Ok(Unsigned(octets.get(zeros..).unwrap_or_default()))
    }
}

impl Encode for Unsigned<'_> {
    fn encode(&self, writer: &mut Writer) {
        let zeros = self.0.iter().take_while(|octet| **octet == 0).count();
        let digits = self.0.get(zeros..).unwrap_or_default();
        writer.element(INTEGER, |writer| {
            writer.prepend(digits);
            if digits.first().is_none_or(|first| first & 0x80 != 0) {
                writer.prepend(&[0]);
            }
        });
    }
}

/// SubjectPublicKeyInfo (RFC 5280 4.1.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectPublicKeyInfo<'a> {
    /// What the key is for, and its domain parameters.
    pub algorithm: AlgorithmIdentifier<'a>,
    /// The key.
    pub key: BitString<'a>,
}

impl<'a> Decode<'a> for SubjectPublicKeyInfo<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let mut fields = Reader::new(reader.expect(SEQUENCE, "SubjectPublicKeyInfo: SEQUENCE expected")?);
        let algorithm = AlgorithmIdentifier::decode(&mut fields)?;
        let key = BitString::decode(&mut fields)?;
        fields.end()?;
        Ok(SubjectPublicKeyInfo { algorithm, key })
    }
}

impl Encode for SubjectPublicKeyInfo<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.element(SEQUENCE, |writer| {
            self.key.encode(writer);
            self.algorithm.encode(writer);
        });
    }
}

/// DomainParameters of a Diffie-Hellman group (RFC 3279 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainParameters<'a> {
    /// The prime.
    pub p: Unsigned<'a>,
    /// The generator.
    pub g: Unsigned<'a>,
    /// The order of the subgroup; some leave it out against the RFC.
    pub q: Option<Unsigned<'a>>,
}

impl<'a> Decode<'a> for DomainParameters<'a> {
    /// What stands behind the order (a cofactor, how the prime was found) is passed over.
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let mut fields = Reader::new(reader.expect(SEQUENCE, "DomainParameters: SEQUENCE expected")?);
        let (p, g) = (Unsigned::decode(&mut fields)?, Unsigned::decode(&mut fields)?);
        let q = if fields.tag() == Some(INTEGER) { Some(Unsigned::decode(&mut fields)?) } else { None };
        Ok(DomainParameters { p, g, q })
    }
}

impl Encode for DomainParameters<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.element(SEQUENCE, |writer| {
            if let Some(q) = self.q {
                q.encode(writer);
            }
            self.g.encode(writer);
            self.p.encode(writer);
        });
    }
}
