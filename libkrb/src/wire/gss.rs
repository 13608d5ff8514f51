//! What GSS-API puts around the first tokens of a mechanism: an object identifier in a frame
//! (RFC 2743 3.1). Not here: the tokens inside.

use super::der::{Decode, Encode, Reader, Writer};
use crate::error::{Error, Result};

const OBJECT_IDENTIFIER: u8 = 0x06;
const FRAME: u8 = 0x60;

/// An object identifier, as the octets of its DER without tag and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oid<'a>(pub &'a [u8]);

impl Oid<'static> {
    /// 1.2.840.113554.1.2.2: the Kerberos mechanism (RFC 4121 1).
    pub const KERBEROS: Oid<'static> = Oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2]);
    /// 1.2.840.48018.1.2.2: the same, as Windows 2000 wrote it by mistake and all its successors
    /// still do (MS-SPNG 3.1.5.1).
    pub const KERBEROS_MICROSOFT: Oid<'static> = Oid(&[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2]);
    /// 1.2.840.113554.1.2.2.3: Kerberos user-to-user (MS-SPNG 1.9).
    pub const KERBEROS_USER_TO_USER: Oid<'static> = Oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 3]);
    /// 1.3.6.1.5.2.5: IAKERB (draft-ietf-kitten-iakerb 3).
    pub const IAKERB: Oid<'static> = Oid(&[0x2b, 6, 1, 5, 2, 5]);
    /// 1.3.6.1.5.5.2: SPNEGO (RFC 4178 1).
    pub const SPNEGO: Oid<'static> = Oid(&[0x2b, 6, 1, 5, 5, 2]);
    /// 1.3.6.1.4.1.311.2.2.10: NTLM (MS-SPNG 1.9).
    pub const NTLM: Oid<'static> = Oid(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a]);
}

impl Oid<'_> {
    /// Whether this names the Kerberos mechanism, in either spelling.
    pub fn is_kerberos(self) -> bool {
        self == Oid::KERBEROS || self == Oid::KERBEROS_MICROSOFT
    }
}

impl<'a> Decode<'a> for Oid<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        match reader.expect(OBJECT_IDENTIFIER, "OBJECT IDENTIFIER expected")? {
            [] => Err(Error::Malformed("empty OBJECT IDENTIFIER")),
            octets => Ok(Oid(octets)),
        }
    }
}

impl Encode for Oid<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.primitive(OBJECT_IDENTIFIER, self.0);
    }
}

/// A first token: `[APPLICATION 0] IMPLICIT SEQUENCE { thisMech, innerToken }` (RFC 2743 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialToken<'a> {
    /// Which mechanism speaks.
    pub mechanism: Oid<'a>,
    /// What it says; only the mechanism knows how to read it.
    pub inner: &'a [u8],
}

impl InitialToken<'_> {
    /// A token whose inside is these parts, one after the other.
    pub fn of_parts(mechanism: Oid<'_>, parts: &[&[u8]]) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.element(FRAME, |writer| {
            parts.iter().rev().for_each(|part| writer.prepend(part));
            mechanism.encode(writer);
        });
        writer.bytes().to_vec()
    }
}

impl<'a> Decode<'a> for InitialToken<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let mut contents = Reader::new(reader.expect(FRAME, "GSS-API token: APPLICATION 0 expected")?);
        let mechanism = Oid::decode(&mut contents)?;
        Ok(InitialToken { mechanism, inner: contents.rest() })
    }
}

impl Encode for InitialToken<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.element(FRAME, |writer| {
            writer.prepend(self.inner);
            self.mechanism.encode(writer);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn a_frame_of_any_length_is_read_back() {
        for length in [0, 1, 116, 117, 244, 245, 4000, 70_000] {
            let inner = vec![7; length];
            let token = InitialToken { mechanism: Oid::KERBEROS, inner: &inner };
            assert_eq!(wire::decode::<InitialToken<'_>>(&wire::encode(&token)).unwrap(), token);
            let (one, other) = inner.split_at(length / 3);
            assert_eq!(InitialToken::of_parts(token.mechanism, &[one, other]), wire::encode(&token));
        }
    }

    #[test]
    fn a_frame_is_the_one_of_rfc_2743() {
        let token = wire::encode(&InitialToken { mechanism: Oid::SPNEGO, inner: b"ab" });
        assert_eq!(token, [0x60, 10, 6, 6, 0x2b, 6, 1, 5, 5, 2, b'a', b'b']);
    }

    #[test]
    fn a_frame_that_is_cut_or_goes_on_is_refused() {
        let token = wire::encode(&InitialToken { mechanism: Oid::KERBEROS, inner: &[1, 0, 9] });
        for length in 0..token.len() {
            assert!(wire::decode::<InitialToken<'_>>(&token[..length]).is_err(), "{length}");
        }
        assert!(wire::decode::<InitialToken<'_>>(&[token, vec![0]].concat()).is_err());
        assert!(wire::decode::<InitialToken<'_>>(&[0x60, 2, 6, 0]).is_err(), "an empty identifier");
    }
}
