//! Reading and writing DER elements, and the macro that makes a message from a table of fields.
//! Only what Kerberos uses: single-byte tags and definite lengths.

use std::cell::RefCell;

use crate::crypto::{PreparedKey, Random, wipe};
use crate::error::{Error, Result};

pub(super) const SEQUENCE: u8 = 0x30;
const CONTEXT: u8 = 0xa0;
const APPLICATION: u8 = 0x60;
const CONSTRUCTED: u8 = 0x20;

/// Something that reads itself from DER.
pub trait Decode<'a>: Sized {
    /// Reads one element, tag and all.
    ///
    /// # Errors
    /// [`Error::Malformed`] with what was wrong.
    fn decode(reader: &mut Reader<'a>) -> Result<Self>;
}

/// Something that writes itself as DER.
pub trait Encode {
    /// Writes one element, tag and all, in front of what is written already.
    fn encode(&self, writer: &mut Writer);

    /// The same inside of an element with this tag. What is short writes both tags and lengths at once, for most fields
    /// of a message are.
    #[inline]
    fn encode_within(&self, tag: u8, writer: &mut Writer) {
        writer.element(tag, |writer| self.encode(writer));
    }
}

/// A cursor over DER elements.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The first element has another tag than its type's own (IMPLICIT): whatever is expected is there.
    implicit: bool,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, implicit: false }
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next element's tag byte.
    pub fn tag(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Reads one element: its tag byte and its contents.
    ///
    /// # Errors
    /// [`Error::Malformed`] for long tags, indefinite or overlong lengths, and truncation.
    #[inline]
    pub fn element(&mut self) -> Result<(u8, &'a [u8])> {
        match self.rest {
            // Nearly every one.
            [tag, length @ 0..=0x7f, rest @ ..] if tag & 0x1f != 0x1f && rest.len() >= usize::from(*length) => {
                let (contents, rest) = rest.split_at(usize::from(*length));
                self.rest = rest;
                Ok((*tag, contents))
            }
            _ => self.any_element(),
        }
    }

    fn any_element(&mut self) -> Result<(u8, &'a [u8])> {
        let Some((&tag, rest)) = self.rest.split_first() else { return Err(Error::Malformed("element missing")) };
        if tag & 0x1f == 0x1f {
            return Err(Error::Malformed("multi-byte tag"));
        }
        let Some((&first, rest)) = rest.split_first() else { return Err(Error::Malformed("length missing")) };
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let Some((digits, rest)) = rest.split_at_checked(usize::from(first & 0x7f)) else {
                    return Err(Error::Malformed("length truncated"));
                };
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            0x80 => return Err(Error::Malformed("indefinite length")),
            _ => return Err(Error::Malformed("length of more than four bytes")),
        };
        let Some((contents, rest)) = rest.split_at_checked(length) else {
            return Err(Error::Malformed("element truncated"));
        };
        self.rest = rest;
        Ok((tag, contents))
    }

    /// Reads one element that must have this tag byte; its contents.
    ///
    /// # Errors
    /// [`Error::Malformed`] with `what` for another tag.
    pub fn expect(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8]> {
        let implicit = std::mem::take(&mut self.implicit);
        match self.tag() {
            Some(found) if found == tag || implicit && (found ^ tag) & CONSTRUCTED == 0 => Ok(self.element()?.1),
            _ => Err(Error::Malformed(what)),
        }
    }

    /// Reads a field `[number] EXPLICIT T` that must be there.
    pub(super) fn required<T: Decode<'a>>(&mut self, number: u8, what: &'static str) -> Result<T> {
        explicit(self.expect(CONTEXT | number, what)?)
    }

    /// Reads a field `[number] EXPLICIT T OPTIONAL`.
    pub(super) fn optional<T: Decode<'a>>(&mut self, number: u8, _what: &'static str) -> Result<Option<T>> {
        match self.tag() {
            Some(tag) if tag == CONTEXT | number => explicit(self.element()?.1).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads a field `[number] IMPLICIT T` that must be there; `T` is no CHOICE.
    pub(super) fn implicit<T: Decode<'a>>(&mut self, number: u8, what: &'static str) -> Result<T> {
        self.implicit_optional(number, what)?.ok_or(Error::Malformed(what))
    }

    /// Reads a field `[number] IMPLICIT T OPTIONAL`; `T` is no CHOICE.
    pub(super) fn implicit_optional<T: Decode<'a>>(&mut self, number: u8, _what: &'static str) -> Result<Option<T>> {
        match self.tag() {
            Some(tag) if tag & !CONSTRUCTED == (CONTEXT & !CONSTRUCTED) | number => {
                self.implicit = true;
                let value = T::decode(self).map(Some);
                self.implicit = false;
                value
            }
            _ => Ok(None),
        }
    }

    /// Passes over fields that a later edition may have added, each numbered above `last`.
    pub(super) fn unknown_fields(&mut self, last: u8) -> Result<()> {
        while !self.is_empty() {
            if self.element()?.0 & 0x1f <= last {
                return Err(Error::Malformed("field out of order or twice"));
            }
        }
        Ok(())
    }

    /// Enters an APPLICATION tag.
    pub(super) fn application(&mut self, number: u8, what: &'static str) -> Result<Reader<'a>> {
        self.expect(APPLICATION | number, what).map(Reader::new)
    }

    /// Must be at the end.
    pub(super) fn end(&self) -> Result<()> {
        if self.is_empty() { Ok(()) } else { Err(Error::Malformed("bytes after an element")) }
    }
}

fn explicit<'a, T: Decode<'a>>(contents: &'a [u8]) -> Result<T> {
    let mut inner = Reader::new(contents);
    let value = T::decode(&mut inner)?;
    inner.end()?;
    Ok(value)
}

/// How much room a buffer has at first: enough for any ordinary message.
const ROOM: usize = 4096;

/// How many buffers a thread keeps for its next writers.
const KEPT: usize = 8;

thread_local! {
    /// The buffers of this thread's former writers, so that writing a message asks the allocator for
    /// nothing. What was secret in them is wiped.
    static STOCK: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that is written from its end to its start.
pub struct Writer {
    buffer: Vec<u8>,
    start: usize,
    secret: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Writer::new()
    }
}

impl Writer {
    /// An empty buffer with room for an ordinary message.
    pub fn new() -> Self {
        let kept = STOCK.try_with(|stock| stock.borrow_mut().pop());
        let buffer = kept.ok().flatten().unwrap_or_else(|| vec![0; ROOM]);
        Writer { start: buffer.len(), buffer, secret: false }
    }

    /// An empty buffer with room for `capacity` bytes; it grows when needed.
    pub fn with_capacity(capacity: usize) -> Self {
        Writer { buffer: vec![0; capacity], start: capacity, secret: false }
    }

    /// An empty buffer for secrets: what is written to it is wiped when it is dropped or outgrown.
    pub fn secret() -> Self {
        let mut writer = Writer::new();
        writer.secret = true;
        writer
    }

    fn wipe(&mut self) {
        // Only what was written: wiping is slow, and the rest was never anything but zero.
        if let (true, Some(written)) = (self.secret, self.buffer.get_mut(self.start..)) {
            wipe(written);
        }
    }

    /// What was written so far.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Writes what `contents` writes, encrypted where it stands.
    pub fn encrypted(&mut self, key: &PreparedKey, random: &mut dyn Random, contents: impl FnOnce(&mut Writer)) {
        let (before, after) = key.room();
        let (secret, end) = (std::mem::replace(&mut self.secret, true), self.len());
        self.zeros(after);
        contents(self);
        self.zeros(before);
        self.secret = secret;
        let written = self.len() - end;
        let start = self.start;
        let room = self.buffer.get_mut(start..start + written).unwrap_or_default();
        // It has the room that the key wants.
        let sealed = key.encrypt_in_place(random, room);
        debug_assert!(sealed.is_ok());
    }

    /// Puts zeros in front of what was written so far.
    fn zeros(&mut self, mut count: usize) {
        const ZEROS: [u8; 32] = [0; 32];
        while count > 0 {
            let some = ZEROS.get(..count).unwrap_or(&ZEROS);
            self.prepend(some);
            count -= some.len();
        }
    }

    /// How much was written so far.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts bytes in front of what was written so far.
    pub fn prepend(&mut self, bytes: &[u8]) {
        if bytes.len() > self.start {
            self.grow(bytes.len());
        }
        let start = self.start - bytes.len();
        if let Some(room) = self.buffer.get_mut(start..self.start) {
            copy(room, bytes);
            self.start = start;
        }
    }

    /// As [`Writer::prepend`], for so few bytes that asking the system to copy them would cost more.
    #[inline]
    pub(super) fn prepend_few<const N: usize>(&mut self, bytes: [u8; N]) {
        match self.buffer.get_mut(..self.start).and_then(<[u8]>::last_chunk_mut) {
            Some(room) => {
                *room = bytes;
                self.start -= N;
            }
            None => self.prepend(&bytes),
        }
    }

    fn grow(&mut self, more: usize) {
        let written = self.len();
        let capacity = (self.buffer.len() * 2).max(written + more);
        let mut buffer = vec![0; capacity];
        let start = capacity - written;
        if let Some(room) = buffer.get_mut(start..) {
            room.copy_from_slice(self.bytes());
        }
        self.wipe();
        self.buffer = buffer;
        self.start = start;
    }

    /// Writes an element whose contents `contents` writes.
    #[inline]
    pub fn element(&mut self, tag: u8, contents: impl FnOnce(&mut Writer)) {
        let end = self.len();
        contents(self);
        self.header(tag, self.len() - end);
    }

    #[inline]
    fn header(&mut self, tag: u8, length: usize) {
        match length {
            0..=0x7f => self.prepend_few([tag, length as u8]),
            _ => self.long_header(tag, length),
        }
    }

    fn long_header(&mut self, tag: u8, length: usize) {
        let bytes = (length as u32).to_be_bytes();
        match length {
            0..=0xff => self.prepend_few([tag, 0x81, length as u8]),
            0x100..=0xffff => self.prepend_few([tag, 0x82, bytes[2], bytes[3]]),
            0x1_0000..=0xff_ffff => self.prepend_few([tag, 0x83, bytes[1], bytes[2], bytes[3]]),
            _ => self.prepend_few([tag, 0x84, bytes[0], bytes[1], bytes[2], bytes[3]]),
        }
    }

    /// Writes a primitive element.
    pub fn primitive(&mut self, tag: u8, contents: &[u8]) {
        self.prepend(contents);
        self.header(tag, contents.len());
    }

    /// The same inside of an element with the tag `outer`.
    pub(super) fn primitive_within(&mut self, outer: u8, tag: u8, contents: &[u8]) {
        match contents.len() {
            length @ 0..=0x7d => {
                self.prepend(contents);
                self.prepend_few([outer, length as u8 + 2, tag, length as u8]);
            }
            _ => self.element(outer, |writer| writer.primitive(tag, contents)),
        }
    }

    pub(super) fn required(&mut self, number: u8, value: &impl Encode) {
        value.encode_within(CONTEXT | number, self);
    }

    pub(super) fn optional<T: Encode>(&mut self, number: u8, value: &Option<T>) {
        if let Some(value) = value {
            self.required(number, value);
        }
    }

    pub(super) fn implicit(&mut self, number: u8, value: &impl Encode) {
        value.encode(self);
        if let Some(tag) = self.buffer.get_mut(self.start) {
            *tag = (CONTEXT & !CONSTRUCTED) | *tag & CONSTRUCTED | number;
        }
    }

    pub(super) fn implicit_optional<T: Encode>(&mut self, number: u8, value: &Option<T>) {
        if let Some(value) = value {
            self.implicit(number, value);
        }
    }

    pub(super) fn application(&mut self, number: u8, contents: impl FnOnce(&mut Writer)) {
        self.element(APPLICATION | number, contents);
    }
}

/// Copies octets to as many. Most of what a message is made of is short, a name or a checksum, and asking the system for
/// that costs more than copying it: from both ends, in two pieces that may overlap.
fn copy(to: &mut [u8], from: &[u8]) {
    let copied = match from.len() {
        16..=32 => ends::<16>(to, from),
        8..=15 => ends::<8>(to, from),
        4..=7 => ends::<4>(to, from),
        _ => None,
    };
    if copied.is_none() {
        to.copy_from_slice(from);
    }
}

#[inline]
fn ends<const N: usize>(to: &mut [u8], from: &[u8]) -> Option<()> {
    let (first, last) = (*from.first_chunk::<N>()?, *from.last_chunk::<N>()?);
    *to.first_chunk_mut()? = first;
    *to.last_chunk_mut()? = last;
    Some(())
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.wipe();
        // Others, of messages longer than ordinary ones, would only take room.
        if self.buffer.len() == ROOM {
            let buffer = std::mem::take(&mut self.buffer);
            let _ = STOCK.try_with(|stock| {
                let mut stock = stock.borrow_mut();
                if stock.len() < KEPT {
                    stock.push(buffer);
                }
            });
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({} bytes)", self.len())
    }
}

/// Runs statements in reverse order: fields are listed as in the RFC but written last to first.
macro_rules! backwards {
    ($writer:ident;) => {};
    ($writer:ident; $kind:ident $number:literal $value:expr; $($rest:tt)*) => {
        $crate::wire::der::backwards!($writer; $($rest)*);
        $writer.$kind($number, $value);
    };
}
pub(super) use backwards;

macro_rules! field_type {
    (required $type:ty) => { $type };
    (optional $type:ty) => { Option<$type> };
    (implicit $type:ty) => { $type };
    (implicit_optional $type:ty) => { Option<$type> };
}
pub(super) use field_type;

/// A SEQUENCE of tagged fields (explicitly, unless it says `implicit`), maybe inside an APPLICATION tag, as a table.
macro_rules! sequence {
    ($(#[$doc:meta])* $name:ident<$lt:lifetime> $(application $app:literal)? {
        $($(#[$field_doc:meta])* $number:literal $kind:ident $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<$lt> { $($(#[$field_doc])* pub $field: $crate::wire::der::field_type!($kind $type),)* }
        impl<$lt> $crate::wire::Decode<$lt> for $name<$lt> {
            $crate::wire::der::sequence!(@decode $lt $name ($($app)?) $($number $kind $field,)*);
        }
        impl $crate::wire::Encode for $name<'_> {
            $crate::wire::der::sequence!(@encode ($($app)?) $($number $kind $field,)*);
        }
    };
    ($(#[$doc:meta])* $name:ident $(application $app:literal)? {
        $($(#[$field_doc:meta])* $number:literal $kind:ident $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name { $($(#[$field_doc])* pub $field: $crate::wire::der::field_type!($kind $type),)* }
        impl<'a> $crate::wire::Decode<'a> for $name {
            $crate::wire::der::sequence!(@decode 'a $name ($($app)?) $($number $kind $field,)*);
        }
        impl $crate::wire::Encode for $name {
            $crate::wire::der::sequence!(@encode ($($app)?) $($number $kind $field,)*);
        }
    };
    (@decode $lt:lifetime $name:ident ($($app:literal)?) $($number:literal $kind:ident $field:ident,)*) => {
        fn decode(reader: &mut $crate::wire::Reader<$lt>) -> $crate::error::Result<Self> {
            $(
                let mut inner = reader.application($app, concat!(stringify!($name), ": APPLICATION tag expected"))?;
                let reader = &mut inner;
            )?
            let contents = reader.expect($crate::wire::der::SEQUENCE, concat!(stringify!($name), ": SEQUENCE expected"))?;
            let mut fields = $crate::wire::Reader::new(contents);
            $(let $field = fields.$kind($number, concat!(stringify!($name), ": ", stringify!($field), " missing"))?;)*
            let last = [$($number),*].into_iter().max().unwrap_or(0);
            fields.unknown_fields(last)?;
            $(let _ = $app; reader.end()?;)?
            Ok($name { $($field),* })
        }
    };
    (@encode () $($number:literal $kind:ident $field:ident,)*) => {
        fn encode(&self, writer: &mut $crate::wire::Writer) {
            writer.element($crate::wire::der::SEQUENCE, |writer| {
                $crate::wire::der::backwards!(writer; $($kind $number &self.$field;)*);
            });
        }
    };
    (@encode ($app:literal) $($number:literal $kind:ident $field:ident,)*) => {
        fn encode(&self, writer: &mut $crate::wire::Writer) {
            writer.application($app, |writer| writer.element($crate::wire::der::SEQUENCE, |writer| {
                $crate::wire::der::backwards!(writer; $($kind $number &self.$field;)*);
            }));
        }
    };
}
pub(super) use sequence;
