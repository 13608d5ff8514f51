//! The small types that messages are made of: numbers, strings, times, flags, and the records of
//! RFC 4120 5.2.

use std::fmt;

use super::der::{Decode, Encode, Reader, Writer, sequence, short};
use crate::codes::{
    AddressType, AuthDataType, ChecksumType, EncryptionType, LastReqType, MessageType, NameType, PaType, TransitedType,
};
use crate::crypto::Key;
use crate::error::{Error, ErrorCode, Result};
use crate::flags::{ApOptions, FastOptions, KdcOptions, OtpFlags, PacOptions, PinFlags, S4uOptions, TicketFlags};

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const GENERAL_STRING: u8 = 0x1b;

/// An integer of Int32 or UInt32: peers disagree on the sign of nonces, kvnos and sequence numbers.
fn integer(reader: &mut Reader<'_>) -> Result<i64> {
    number(reader.expect(INTEGER, "INTEGER expected")?)
}

fn number(digits: &[u8]) -> Result<i64> {
    if let [digit @ 0..=0x7f] = digits {
        return Ok(i64::from(*digit));
    }
    if digits.is_empty() || digits.len() > 5 {
        return Err(Error::Malformed("INTEGER of no or too many bytes"));
    }
    let negative = digits.first().is_some_and(|first| first & 0x80 != 0);
    let value = digits.iter().fold(if negative { -1_i64 } else { 0 }, |value, digit| value << 8 | i64::from(*digit));
    if value < i64::from(i32::MIN) || value > i64::from(u32::MAX) {
        return Err(Error::Malformed("INTEGER out of 32-bit range"));
    }
    Ok(value)
}

fn whole_integer(contents: &[u8]) -> Result<i64> {
    if let Some(digits) = short(contents, INTEGER) {
        return number(digits);
    }
    let mut inner = Reader::new(contents);
    let value = integer(&mut inner)?;
    inner.end()?;
    Ok(value)
}

#[inline]
fn write_integer(writer: &mut Writer, value: i64) {
    match value {
        // Nearly every one.
        0..=0x7f => writer.prepend_few([INTEGER, 1, value as u8]),
        _ => write_any_integer(writer, value),
    }
}

#[inline]
fn write_integer_within(tag: u8, writer: &mut Writer, value: i64) {
    match value {
        0..=0x7f => writer.prepend_few([tag, 3, INTEGER, 1, value as u8]),
        _ => writer.element(tag, |writer| write_any_integer(writer, value)),
    }
}

fn write_any_integer(writer: &mut Writer, value: i64) {
    let bytes = value.to_be_bytes();
    // As few octets as hold the number and its sign.
    let length = (65 - (value ^ (value >> 63)).leading_zeros()).div_ceil(8) as usize;
    writer.primitive(INTEGER, bytes.get(bytes.len() - length..).unwrap_or_default());
}

/// What is not as short, or not as usual, as most.
#[cold]
pub(super) fn whole<'a, T: Decode<'a>>(contents: &'a [u8]) -> Result<T> {
    let mut inner = Reader::new(contents);
    let value = T::decode(&mut inner)?;
    inner.end()?;
    Ok(value)
}

macro_rules! integers {
    ($($type:ty, |$value:ident| $to:expr, |$number:ident| $from:expr;)*) => {$(
        impl<'a> Decode<'a> for $type {
            fn decode(reader: &mut Reader<'a>) -> Result<Self> {
                let $number = integer(reader)?;
                Ok($from)
            }
            #[inline]
            fn decode_whole(contents: &'a [u8]) -> Result<Self> {
                let $number = match contents {
                    // Nearly every one.
                    [INTEGER, 1, digit @ 0..=0x7f] => i64::from(*digit),
                    _ => whole_integer(contents)?,
                };
                Ok($from)
            }
        }
        impl Encode for $type {
            fn encode(&self, writer: &mut Writer) {
                let $value = *self;
                write_integer(writer, i64::from($to));
            }
            fn encode_within(&self, tag: u8, writer: &mut Writer) {
                let $value = *self;
                write_integer_within(tag, writer, i64::from($to));
            }
        }
    )*};
}

integers! {
    i32, |value| value, |number| number as i32;
    u32, |value| value, |number| number as u32;
    EncryptionType, |value| value.0, |number| EncryptionType(number as i32);
    ChecksumType, |value| value.0, |number| ChecksumType(number as i32);
    NameType, |value| value.0, |number| NameType(number as i32);
    PaType, |value| value.0, |number| PaType(number as i32);
    AuthDataType, |value| value.0, |number| AuthDataType(number as i32);
    AddressType, |value| value.0, |number| AddressType(number as i32);
    LastReqType, |value| value.0, |number| LastReqType(number as i32);
    TransitedType, |value| value.0, |number| TransitedType(number as i32);
    MessageType, |value| value.0, |number| MessageType(number as i32);
    ErrorCode, |value| value.0, |number| ErrorCode(number as i32);
}

/// A number that the message must carry, such as `pvno [1] INTEGER (5)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed<const N: i32>;

impl<const N: i32> Fixed<N> {
    fn of(number: i32) -> Result<Self> {
        if number == N { Ok(Fixed) } else { Err(Error::Malformed("wrong version or message type")) }
    }
}

impl<'a, const N: i32> Decode<'a> for Fixed<N> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        Fixed::of(i32::decode(reader)?)
    }

    #[inline]
    fn decode_whole(contents: &'a [u8]) -> Result<Self> {
        Fixed::of(i32::decode_whole(contents)?)
    }
}

impl<const N: i32> Encode for Fixed<N> {
    fn encode(&self, writer: &mut Writer) {
        N.encode(writer);
    }

    fn encode_within(&self, tag: u8, writer: &mut Writer) {
        N.encode_within(tag, writer);
    }
}

macro_rules! bit_strings {
    ($($type:ident),*) => {$(
        impl<'a> Decode<'a> for $type {
            fn decode(reader: &mut Reader<'a>) -> Result<Self> {
                let contents = reader.expect(BIT_STRING, "BIT STRING expected")?;
                let Some((&unused, bits)) = contents.split_first() else {
                    return Err(Error::Malformed("empty BIT STRING"));
                };
                if unused > 7 || (unused > 0 && bits.is_empty()) {
                    return Err(Error::Malformed("BIT STRING with impossible padding"));
                }
                let bytes = bits.iter().copied().chain([0; 4]).take(4);
                Ok($type(bytes.fold(0, |word, byte| word << 8 | u32::from(byte))))
            }
            #[inline]
            fn decode_whole(contents: &'a [u8]) -> Result<Self> {
                match contents {
                    // As everybody writes them.
                    &[BIT_STRING, 5, 0, a, b, c, d] => Ok($type(u32::from_be_bytes([a, b, c, d]))),
                    _ => whole(contents),
                }
            }
        }
        impl Encode for $type {
            fn encode(&self, writer: &mut Writer) {
                let [a, b, c, d] = self.0.to_be_bytes();
                writer.prepend_few([BIT_STRING, 5, 0, a, b, c, d]);
            }
            fn encode_within(&self, tag: u8, writer: &mut Writer) {
                let [a, b, c, d] = self.0.to_be_bytes();
                writer.prepend_few([tag, 7, BIT_STRING, 5, 0, a, b, c, d]);
            }
        }
    )*};
}
bit_strings!(TicketFlags, KdcOptions, ApOptions, FastOptions, OtpFlags, PinFlags, S4uOptions, PacOptions);

impl<'a> Decode<'a> for bool {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        match reader.expect(BOOLEAN, "BOOLEAN expected")? {
            [value] => Ok(*value != 0),
            _ => Err(Error::Malformed("BOOLEAN of wrong length")),
        }
    }
}

impl Encode for bool {
    fn encode(&self, writer: &mut Writer) {
        writer.primitive(BOOLEAN, &[if *self { 0xff } else { 0 }]);
    }
}

/// OCTET STRING.
impl<'a> Decode<'a> for &'a [u8] {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        reader.expect(OCTET_STRING, "OCTET STRING expected")
    }

    #[inline]
    fn decode_whole(contents: &'a [u8]) -> Result<Self> {
        short(contents, OCTET_STRING).map_or_else(|| whole(contents), Ok)
    }
}

impl Encode for &[u8] {
    fn encode(&self, writer: &mut Writer) {
        writer.primitive(OCTET_STRING, self);
    }

    fn encode_within(&self, tag: u8, writer: &mut Writer) {
        writer.primitive_within(tag, OCTET_STRING, self);
    }
}

fn text(octets: &[u8]) -> Result<&str> {
    std::str::from_utf8(octets).map_err(|_| Error::Malformed("a name is not UTF-8"))
}

/// KerberosString (RFC 4120 5.2.1): a GeneralString that holds UTF-8.
impl<'a> Decode<'a> for &'a str {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        text(reader.expect(GENERAL_STRING, "GeneralString expected")?)
    }

    fn decode_whole(contents: &'a [u8]) -> Result<Self> {
        short(contents, GENERAL_STRING).map_or_else(|| whole(contents), text)
    }
}

impl Encode for &str {
    fn encode(&self, writer: &mut Writer) {
        writer.primitive(GENERAL_STRING, self.as_bytes());
    }

    fn encode_within(&self, tag: u8, writer: &mut Writer) {
        writer.primitive_within(tag, GENERAL_STRING, self.as_bytes());
    }
}

/// A decoded part together with its exact bytes: checksums are over what was sent, not over what
/// we would have sent.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a, T> {
    /// The element as received, tag and all.
    pub der: &'a [u8],
    /// What it says.
    pub value: T,
}

impl<'a, T: Decode<'a>> Raw<'a, T> {
    /// Decodes a whole element and keeps its bytes.
    ///
    /// # Errors
    /// As [`super::decode`].
    pub fn parse(der: &'a [u8]) -> Result<Self> {
        super::decode(der)
    }
}

impl<T> std::ops::Deref for Raw<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Raw<'a, T> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let before = reader.rest();
        let value = T::decode(reader)?;
        let der = before.get(..before.len() - reader.rest().len()).unwrap_or_default();
        Ok(Raw { der, value })
    }
}

impl<T> Encode for Raw<'_, T> {
    fn encode(&self, writer: &mut Writer) {
        writer.prepend(self.der);
    }
}

sequence! {
    /// HostAddress (RFC 4120 5.2.5).
    HostAddress<'a> {
        /// The kind of address.
        0 required kind: AddressType,
        /// The address, in network byte order.
        1 required address: &'a [u8],
    }
}

sequence! {
    /// EncryptedData (RFC 4120 5.2.9).
    EncryptedData<'a> {
        /// How it is encrypted.
        0 required etype: EncryptionType,
        /// With which version of the long-term key.
        1 optional kvno: u32,
        /// The ciphertext of RFC 3961.
        2 required cipher: &'a [u8],
    }
}

sequence! {
    /// Checksum (RFC 4120 5.2.9).
    Checksum<'a> {
        /// How it is made.
        0 required kind: ChecksumType,
        /// The checksum. Compare it only with [`Key::verify_checksum`].
        1 required checksum: &'a [u8],
    }
}

sequence! {
    /// TransitedEncoding (RFC 4120 5.3).
    TransitedEncoding<'a> {
        /// How the realms are encoded.
        0 required kind: TransitedType,
        /// The realms (3.3.3.2).
        1 required contents: &'a [u8],
    }
}

impl TransitedEncoding<'_> {
    /// No realm in between.
    pub const NONE: TransitedEncoding<'static> =
        TransitedEncoding { kind: TransitedType::DOMAIN_X500_COMPRESS, contents: &[] };
}

/// EncryptionKey (RFC 4120 5.2.9). Debug shows no key.
#[derive(Clone, Copy)]
pub struct EncryptionKey<'a> {
    /// What the key is for.
    pub etype: EncryptionType,
    /// The secret.
    pub value: &'a [u8],
}

impl EncryptionKey<'_> {
    /// The key, ready for use.
    ///
    /// # Errors
    /// [`Error::EtypeNotSupported`] and [`Error::KeyLength`].
    pub fn key(&self) -> Result<Key> {
        Key::new(self.etype, self.value)
    }
}

impl<'a> From<&'a Key> for EncryptionKey<'a> {
    fn from(key: &'a Key) -> Self {
        EncryptionKey { etype: key.etype(), value: key.expose() }
    }
}

impl fmt::Debug for EncryptionKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.etype)
    }
}

/// The same record with a Debug that would show the secret; only ever a step of the codec.
mod plain {
    use super::{Decode, Encode, EncryptionKey, EncryptionType, Reader, Result, Writer};
    use crate::wire::der::sequence;

    sequence! {
        /// The fields of EncryptionKey.
        KeyFields<'a> {
            /// keytype
            0 required etype: EncryptionType,
            /// keyvalue
            1 required value: &'a [u8],
        }
    }

    impl<'a> Decode<'a> for EncryptionKey<'a> {
        fn decode(reader: &mut Reader<'a>) -> Result<Self> {
            KeyFields::decode(reader).map(|KeyFields { etype, value }| EncryptionKey { etype, value })
        }
    }

    impl Encode for EncryptionKey<'_> {
        fn encode(&self, writer: &mut Writer) {
            KeyFields { etype: self.etype, value: self.value }.encode(writer);
        }
    }
}
