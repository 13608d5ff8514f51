//! Reads the fields of a file one after the other. Every length is hostile: nothing is taken or
//! allocated that the input does not hold, and a fault says at which byte and what was expected.

use crate::error::{Error, Result};

/// The order of the bytes of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Network order: all current versions.
    Big,
    /// What little-endian machines wrote before there was an agreed order.
    Little,
}

/// A position in the bytes of a file.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    order: Order,
    problem: &'static str,
}

impl<'a> Reader<'a> {
    /// The start of `bytes`; faults begin with the words `problem`.
    pub(crate) fn new(bytes: &'a [u8], problem: &'static str) -> Self {
        Reader { bytes, at: 0, order: Order::Big, problem }
    }

    /// From here on integers have this byte order.
    pub(crate) fn set_order(&mut self, order: Order) {
        self.order = order;
    }

    /// How many bytes lie before this position.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// A reader of the next `length` bytes, which this one skips. Offsets stay those of the file.
    pub(crate) fn part(&mut self, length: usize, what: &str) -> Result<Reader<'a>> {
        let mut part = self.clone();
        self.take(length, what)?;
        part.bytes = part.bytes.get(..self.at).unwrap_or_default();
        Ok(part)
    }

    /// The next `length` bytes.
    pub(crate) fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.fault(format!("expected {length} bytes of {what}, {} are left", self.left())));
        };
        let taken = self.bytes.get(self.at..end).unwrap_or_default();
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        if self.order == Order::Little {
            array.reverse();
        }
        Ok(array)
    }

    /// One byte.
    pub(crate) fn u8(&mut self, what: &str) -> Result<u8> {
        Ok(u8::from_be_bytes(self.array(what)?))
    }

    /// Two bytes as a number.
    pub(crate) fn u16(&mut self, what: &str) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }

    /// Two bytes as a number that may be negative.
    pub(crate) fn i16(&mut self, what: &str) -> Result<i16> {
        Ok(i16::from_be_bytes(self.array(what)?))
    }

    /// Four bytes as a number.
    pub(crate) fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    /// Four bytes as a number that may be negative.
    pub(crate) fn i32(&mut self, what: &str) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array(what)?))
    }

    /// Bytes after their 16-bit count.
    pub(crate) fn counted16(&mut self, what: &str) -> Result<&'a [u8]> {
        let length = self.u16(what)?;
        self.take(usize::from(length), what)
    }

    /// Bytes after their 32-bit count.
    pub(crate) fn counted32(&mut self, what: &str) -> Result<&'a [u8]> {
        let length = self.u32(what)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX), what)
    }

    /// Text up to a NUL, which is skipped.
    pub(crate) fn terminated(&mut self, what: &str) -> Result<&'a str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == 0) else {
            return Err(self.fault(format_args!("expected {what} and a NUL")));
        };
        let bytes = self.take(length, what)?;
        let text = self.text(bytes, what)?;
        self.take(1, what)?;
        Ok(text)
    }

    /// The error for what was expected at this position.
    pub(crate) fn fault(&self, expected: impl std::fmt::Display) -> Error {
        self.fault_at(self.at, expected)
    }

    /// The error for what was expected at byte `at`.
    pub(crate) fn fault_at(&self, at: usize, expected: impl std::fmt::Display) -> Error {
        Error::storage(self.problem, "", format!("byte {at}: {expected}"))
    }

    /// `bytes`, which were just taken, as text.
    pub(crate) fn text(&self, bytes: &'a [u8], what: &str) -> Result<&'a str> {
        std::str::from_utf8(bytes).map_err(|error| {
            let start = self.at.saturating_sub(bytes.len());
            self.fault_at(start.saturating_add(error.valid_up_to()), format_args!("{what} is not UTF-8"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_past_the_end_names_the_byte_and_what_was_expected() {
        let mut reader = Reader::new(b"\xff\xff\xff\xffab", "Bad format");
        let error = reader.counted32("ticket").expect_err("too long");
        assert_eq!(error.to_string(), "Bad format: byte 4: expected 4294967295 bytes of ticket, 2 are left");
    }

    #[test]
    fn a_part_ends_where_it_was_told_to_and_keeps_the_offsets() {
        let mut reader = Reader::new(b"abcdef", "Bad format");
        reader.take(1, "start").expect("there");
        let mut part = reader.part(2, "part").expect("there");
        assert_eq!((part.left(), reader.position()), (2, 3));
        let error = part.u32("number").expect_err("too long");
        assert_eq!(error.to_string(), "Bad format: byte 1: expected 4 bytes of number, 2 are left");
    }

    #[test]
    fn both_byte_orders_are_read() {
        let mut reader = Reader::new(b"\x01\x02\x01\x02", "Bad format");
        assert_eq!(reader.u16("number"), Ok(0x0102));
        reader.set_order(Order::Little);
        assert_eq!(reader.u16("number"), Ok(0x0201));
    }

    #[test]
    fn text_that_is_not_utf_8_names_the_first_wrong_byte() {
        let mut reader = Reader::new(b"ab\xe4c", "Bad format");
        let bytes = reader.take(4, "realm").expect("there");
        assert_eq!(
            reader.text(bytes, "realm").expect_err("Latin-1").to_string(),
            "Bad format: byte 2: realm is not UTF-8"
        );
    }
}
