//! Reading DER elements, what reads and writes itself as such, and the macro that makes a message from a table of fields.
//! Only what Kerberos uses: single-byte tags and definite lengths.

pub use super::writer::Writer;
use crate::error::{Error, Result};

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const CONTEXT: u8 = 0xa0;
pub(super) const APPLICATION: u8 = 0x60;
pub(super) const CONSTRUCTED: u8 = 0x20;

/// Something that reads itself from DER.
pub trait Decode<'a>: Sized {
    /// Reads one element, tag and all.
    ///
    /// # Errors
    /// [`Error::Malformed`] with what was wrong.
    fn decode(reader: &mut Reader<'a>) -> Result<Self>;

    /// Reads the one element that is the contents of another (EXPLICIT). What is short looks at both tags and lengths at
    /// once, for most fields of a message are.
    ///
    /// # Errors
    /// As [`Decode::decode`], and where more follows.
    #[inline]
    fn decode_whole(contents: &'a [u8]) -> Result<Self> {
        let mut inner = Reader::new(contents);
        let value = Self::decode(&mut inner)?;
        inner.end()?;
        Ok(value)
    }
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
        T::decode_whole(self.expect(CONTEXT | number, what)?)
    }

    /// Reads a field `[number] EXPLICIT T OPTIONAL`.
    pub(super) fn optional<T: Decode<'a>>(&mut self, number: u8, _what: &'static str) -> Result<Option<T>> {
        match self.tag() {
            Some(tag) if tag == CONTEXT | number => T::decode_whole(self.element()?.1).map(Some),
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

/// The contents of a short element with this tag, of which nothing is missing and which nothing follows.
#[inline]
pub(super) fn short(whole: &[u8], tag: u8) -> Option<&[u8]> {
    match whole {
        [found, length @ 0..=0x7f, contents @ ..] if *found == tag && contents.len() == usize::from(*length) => {
            Some(contents)
        }
        _ => None,
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
