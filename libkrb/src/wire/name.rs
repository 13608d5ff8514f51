//! PrincipalName (RFC 4120 5.2.2): a view of a received name, or of a [`Principal`] to send.

use std::hash::Hasher;
use std::sync::Arc;

use super::der::{Decode, Encode, Reader, SEQUENCE, Writer, sequence};
use crate::codes::NameType;
use crate::error::{Error, Result};
use crate::name::{MAX_COMPONENTS, Principal, hash_parts};

sequence! {
    /// PrincipalName (RFC 4120 5.2.2). The realm stands beside it in the message.
    PrincipalName<'a> {
        /// The name type, a hint.
        0 required kind: NameType,
        /// The components.
        1 required components: Components<'a>,
    }
}

/// The components of a name.
#[derive(Clone, Copy)]
pub enum Components<'a> {
    /// As received: GeneralStrings, all known to decode.
    Der(&'a [u8]),
    /// Of a principal that we have.
    Parts(&'a [Box<str>]),
}

impl<'a> Components<'a> {
    /// The components in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (mut der, parts) = match *self {
            Components::Der(bytes) => (Reader::new(bytes), [].as_slice()),
            Components::Parts(parts) => (Reader::new(&[]), parts),
        };
        std::iter::from_fn(move || if der.is_empty() { None } else { <&str>::decode(&mut der).ok() })
            .chain(parts.iter().map(|part| &**part))
    }
}

impl<'a> Components<'a> {
    /// Their octets, to compare them with: that they are text was seen when they were decoded.
    pub fn octets(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (mut der, parts) = match *self {
            Components::Der(bytes) => (Reader::new(bytes), [].as_slice()),
            Components::Parts(parts) => (Reader::new(&[]), parts),
        };
        std::iter::from_fn(move || der.element().ok().map(|(_, octets)| octets))
            .chain(parts.iter().map(|part| part.as_bytes()))
    }
}

impl<'a> PrincipalName<'a> {
    /// The principal of this name in a realm.
    ///
    /// # Errors
    /// [`Error::Name`] for a name without components, or with too many.
    pub fn principal(&self, realm: &str) -> Result<Principal> {
        self.within(realm)
    }

    /// The principal of this name in the realm of another, with which it shares the realm, and all of it where both
    /// have one name: what comes again and again takes no memory of its own.
    ///
    /// # Errors
    /// As [`PrincipalName::principal`].
    pub fn principal_beside(&self, other: &Principal) -> Result<Principal> {
        match self.names(other) {
            true => Ok(other.clone().with_kind(self.kind)),
            false => self.within(other.shared_realm()),
        }
    }

    fn within(&self, realm: impl Into<Arc<str>>) -> Result<Principal> {
        let count = self.components.octets().take(MAX_COMPONENTS + 1).count();
        Principal::counted(self.kind, realm, (count, self.components.iter()))
    }

    /// Whether this is the name of `principal`, whatever the realm and name type.
    pub fn names(&self, principal: &Principal) -> bool {
        match self.components {
            Components::Der(bytes) => {
                let mut octets = Reader::new(bytes);
                let mut same = |part: &str| octets.element().is_ok_and(|(_, octets)| octets == part.as_bytes());
                principal.components().iter().all(|part| same(part)) && octets.is_empty()
            }
            Components::Parts(parts) => parts == principal.components(),
        }
    }

    /// Hashes the name in a realm as the principal of this name is hashed, so that it can be looked up without one.
    pub fn hash_in<H: Hasher>(&self, realm: &str, state: &mut H) {
        hash_parts(self.components.octets(), realm, state);
    }

    /// Whether both are the same components.
    pub fn same_as(&self, other: &PrincipalName<'_>) -> bool {
        self.components.octets().eq(other.components.octets())
    }
}

impl<'a> From<&'a Principal> for PrincipalName<'a> {
    fn from(principal: &'a Principal) -> Self {
        PrincipalName { kind: principal.kind(), components: Components::Parts(principal.components()) }
    }
}

impl<'a> Decode<'a> for Components<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let contents = reader.expect(SEQUENCE, "PrincipalName: components missing")?;
        let mut parts = Reader::new(contents);
        let mut count = 0;
        while !parts.is_empty() {
            <&str>::decode(&mut parts)?;
            count += 1;
        }
        if count > MAX_COMPONENTS {
            return Err(Error::Malformed("too many name components"));
        }
        Ok(Components::Der(contents))
    }
}

impl Encode for Components<'_> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Components::Der(bytes) => writer.primitive(SEQUENCE, bytes),
            Components::Parts(parts) => writer.element(SEQUENCE, |writer| {
                parts.iter().rev().for_each(|part| (&**part).encode(writer));
            }),
        }
    }
}

impl std::fmt::Debug for Components<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
