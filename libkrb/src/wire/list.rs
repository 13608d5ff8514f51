//! SEQUENCE OF: a view over encoded elements, or a slice of elements to encode.

use super::der::{Decode, Encode, Reader, SEQUENCE, Writer};
use crate::error::Result;

/// A `SEQUENCE OF T`. Decoding checks every element once and copies none.
#[derive(Clone, Copy)]
pub enum List<'a, T> {
    /// Elements as received, all known to decode.
    Der(&'a [u8]),
    /// Elements to send.
    Items(&'a [T]),
}

impl<'a, T: Decode<'a> + Copy> List<'a, T> {
    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let (der, items) = match *self {
            List::Der(bytes) => (Reader::new(bytes), [].as_slice()),
            List::Items(items) => (Reader::new(&[]), items),
        };
        let mut der = der;
        std::iter::from_fn(move || if der.is_empty() { None } else { T::decode(&mut der).ok() })
            .chain(items.iter().copied())
    }

    /// The elements behind the first `count`.
    pub(super) fn after(&self, count: usize) -> Self {
        match *self {
            List::Der(bytes) => {
                let mut der = Reader::new(bytes);
                (0..count).for_each(|_| _ = der.element());
                List::Der(der.rest())
            }
            List::Items(items) => List::Items(items.get(count..).unwrap_or_default()),
        }
    }

    /// The elements as they were received, if they were.
    pub(crate) fn der(&self) -> Option<&'a [u8]> {
        match *self {
            List::Der(bytes) => Some(bytes),
            List::Items(_) => None,
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        match self {
            List::Der(bytes) => bytes.is_empty(),
            List::Items(items) => items.is_empty(),
        }
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        List::Items(&[])
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for List<'a, T> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let contents = reader.expect(SEQUENCE, "SEQUENCE OF expected")?;
        let mut elements = Reader::new(contents);
        while !elements.is_empty() {
            T::decode(&mut elements)?;
        }
        Ok(List::Der(contents))
    }
}

impl<T: Encode> Encode for List<'_, T> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            List::Der(bytes) => writer.primitive(SEQUENCE, bytes),
            List::Items(items) => writer.element(SEQUENCE, |writer| {
                items.iter().rev().for_each(|item| item.encode(writer));
            }),
        }
    }
}

impl<'a, T: Decode<'a> + Copy + std::fmt::Debug> std::fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
