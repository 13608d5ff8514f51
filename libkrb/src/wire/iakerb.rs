//! What a client and a service say to each other when the service asks the KDC for the client
//! (draft-ietf-kitten-iakerb): a realm before each message, and at the end a checksum over all of it.

use super::basic::Checksum;
use super::der::{Decode, Encode, Reader, Writer, sequence};
use super::encode;
use super::utf8::Utf8;
use crate::error::{Error, Result};

/// The realm in a header. The draft has a UTF8String; MIT krb5 before 1.22 writes and reads an OCTET STRING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IakerbRealm<'a> {
    /// As the draft has it.
    Text(&'a str),
    /// As older MIT has it.
    Octets(&'a str),
}

impl<'a> IakerbRealm<'a> {
    /// The realm.
    pub fn name(self) -> &'a str {
        match self {
            IakerbRealm::Text(name) | IakerbRealm::Octets(name) => name,
        }
    }
}

impl<'a> Decode<'a> for IakerbRealm<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        const OCTET_STRING: u8 = 0x04;
        if reader.tag() != Some(OCTET_STRING) {
            return Utf8::decode(reader).map(|name| IakerbRealm::Text(name.0));
        }
        let name = std::str::from_utf8(Decode::decode(reader)?);
        name.map(IakerbRealm::Octets).map_err(|_| Error::Malformed("IAKERB-HEADER: the realm is not UTF-8"))
    }
}

impl Encode for IakerbRealm<'_> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            IakerbRealm::Text(name) => Utf8(name).encode(writer),
            IakerbRealm::Octets(name) => name.as_bytes().encode(writer),
        }
    }
}

sequence! {
    /// IAKERB-HEADER (draft-ietf-kitten-iakerb 3.1).
    IakerbHeader<'a> {
        /// Whose KDC.
        1 required realm: IakerbRealm<'a>,
        /// What the service wants to be told again.
        2 optional cookie: &'a [u8],
    }
}

sequence! {
    /// IAKERB-FINISHED (draft-ietf-kitten-iakerb 3.2).
    IakerbFinished<'a> {
        /// Over all tokens before the AP-REQ, under the client's subkey.
        1 required checksum: Checksum<'a>,
    }
}

impl<'a> IakerbHeader<'a> {
    /// Reads a header and the message behind it.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] when it is none.
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let mut reader = Reader::new(bytes);
        let header = IakerbHeader::decode(&mut reader)?;
        Ok((header, reader.rest()))
    }

    /// The bytes of a header and the message behind it.
    pub fn before(&self, message: &[u8]) -> Vec<u8> {
        [&encode(self), message].concat()
    }
}
