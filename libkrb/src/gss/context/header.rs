//! The 16 octets that each message token begins with (RFC 4121 4.2.6).

use crate::error::{Error, ErrorCode, Result};
use crate::session::Role;

/// How many octets it has.
pub(super) const LENGTH: usize = 16;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A signature apart from its message.
    Mic,
    /// A message.
    Wrap,
}

/// RFC 4121 4.2.2.
mod flag {
    pub const SENT_BY_ACCEPTOR: u8 = 1;
    pub const SEALED: u8 = 2;
    pub const ACCEPTOR_SUBKEY: u8 = 4;
}

/// What both ends know of a sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub role: Role,
    /// Whether the acceptor's subkey is used.
    pub acceptor_subkey: bool,
}

/// A header: what is in it, and its octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    octets: [u8; LENGTH],
}

impl Header {
    pub fn new(kind: Kind, sender: Sender, sealed: bool, sequence: u64) -> Header {
        let direction = if sender.role == Role::Acceptor { flag::SENT_BY_ACCEPTOR } else { 0 };
        let subkey = if sender.acceptor_subkey { flag::ACCEPTOR_SUBKEY } else { 0 };
        let flags = direction | subkey | if sealed { flag::SEALED } else { 0 };
        let [a, b, c, d, e, f, g, h] = sequence.to_be_bytes();
        let octets = match kind {
            Kind::Mic => [4, 4, flags, 0xff, 0xff, 0xff, 0xff, 0xff, a, b, c, d, e, f, g, h],
            Kind::Wrap => [5, 4, flags, 0xff, 0, 0, 0, 0, a, b, c, d, e, f, g, h],
        };
        Header { octets }
    }

    /// The header of a token that `sender` has to have sent. Nothing of it is proven yet.
    pub fn read(kind: Kind, sender: Sender, token: &[u8]) -> Result<Header> {
        let octets = *token.first_chunk().ok_or(Error::Malformed("GSS-API message: truncated"))?;
        let header = Header { octets };
        let [first, second, flags, filler @ ..] = octets;
        match (kind, first, second, filler) {
            (Kind::Mic, 4, 4, [0xff, 0xff, 0xff, 0xff, 0xff, ..]) | (Kind::Wrap, 5, 4, [0xff, ..]) => {}
            (_, 0x60, ..) => return Err(Error::Malformed("GSS-API message: a token of RFC 1964")),
            _ => return Err(Error::Malformed("GSS-API message: another token than expected")),
        }
        if (flags & flag::SENT_BY_ACCEPTOR != 0) != (sender.role == Role::Acceptor) {
            return Err(Error::code(ErrorCode::BADDIRECTION));
        }
        if (flags & flag::ACCEPTOR_SUBKEY != 0) != sender.acceptor_subkey {
            return Err(Error::Malformed("GSS-API message: under another key than agreed on"));
        }
        if kind == Kind::Mic && header.sealed() {
            return Err(Error::Malformed("GSS-API message: a MIC cannot be sealed"));
        }
        Ok(header)
    }

    pub fn sealed(&self) -> bool {
        self.octets[2] & flag::SEALED != 0
    }

    /// EC: filler in what is sealed, the checksum's octets in what is not.
    pub fn extra_count(&self) -> usize {
        usize::from(u16::from_be_bytes([self.octets[4], self.octets[5]]))
    }

    /// RRC: how far the rest of the token is rotated to the right.
    pub fn rotation(&self) -> usize {
        usize::from(u16::from_be_bytes([self.octets[6], self.octets[7]]))
    }

    pub fn sequence(&self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.octets;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    pub fn octets(&self) -> &[u8; LENGTH] {
        &self.octets
    }

    #[must_use]
    pub fn with_extra_count(mut self, count: u16) -> Header {
        [self.octets[4], self.octets[5]] = count.to_be_bytes();
        self
    }

    #[must_use]
    pub fn without_rotation(mut self) -> Header {
        [self.octets[6], self.octets[7]] = [0, 0];
        self
    }
}
