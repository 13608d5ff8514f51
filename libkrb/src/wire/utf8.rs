//! UTF8String, which the newer documents have where RFC 4120 has GeneralString.

use super::der::{Decode, Encode, Reader, Writer};
use crate::error::{Error, Result};

const UTF8_STRING: u8 = 0x0c;

/// A UTF8String.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf8<'a>(pub &'a str);

impl<'a> Decode<'a> for Utf8<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let bytes = reader.expect(UTF8_STRING, "UTF8String expected")?;
        std::str::from_utf8(bytes).map(Utf8).map_err(|_| Error::Malformed("a UTF8String is not UTF-8"))
    }
}

impl Encode for Utf8<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.primitive(UTF8_STRING, self.0.as_bytes());
    }
}
