//! Little-endian numbers and texts of MS-PAC and NDR, one after the other, never beyond the end.

use crate::error::{Error, Result};

const TRUNCATED: Error = Error::Malformed("a PAC buffer is truncated");

/// A cursor.
#[derive(Clone, Copy)]
pub(super) struct Octets<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Octets<'a> {
    pub(super) fn new(all: &'a [u8]) -> Self {
        Octets { all, at: 0 }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.saturating_add(length);
        let Some(taken) = self.all.get(self.at..end) else { return Err(TRUNCATED) };
        self.at = end;
        Ok(taken)
    }

    pub(super) fn left(&self) -> usize {
        self.all.len().saturating_sub(self.at)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.take(N)?.first_chunk() {
            Some(octets) => Ok(*octets),
            None => Err(TRUNCATED),
        }
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Goes on at the next multiple of `unit`.
    pub(super) fn align(&mut self, unit: usize) -> Result<()> {
        self.take(self.at.next_multiple_of(unit) - self.at).map(drop)
    }

    /// UTF-16 of so many octets.
    pub(super) fn utf16(&mut self, length: usize) -> Result<String> {
        const WRONG: Error = Error::Malformed("a PAC buffer with text that is not UTF-16");
        let bytes = self.take(length)?;
        if bytes.len() % 2 != 0 {
            return Err(WRONG);
        }
        let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
        char::decode_utf16(units).collect::<std::result::Result<_, _>>().map_err(|_| WRONG)
    }
}

/// UTF-16, little-endian.
pub(super) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Fills up with zeros to a multiple of `unit`.
pub(super) fn pad(bytes: &mut Vec<u8>, unit: usize) {
    bytes.resize(bytes.len().next_multiple_of(unit), 0);
}
