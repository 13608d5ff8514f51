//! The Kerberos mechanism's opening tokens (RFC 4121 4.1): an AP exchange in frames, with flags,
//! channel bindings and delegation in the authenticator's checksum. Not here: negotiation
//! ([`super::spnego`]) and what is said afterwards ([`super::Context`]).

mod acceptor;
mod checksum;
mod initiator;

pub(super) use acceptor::{Request, open, refusal_token};
pub(super) use checksum::extension;
pub(super) use initiator::Initiator;

use crate::client::Refusal;
use crate::error::{Error, ErrorCode, Result};
use crate::wire::{self, InitialToken, Oid};

/// What a token carries (RFC 4121 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenId {
    /// The initiator's.
    ApReq = 0x0100,
    /// The acceptor's.
    ApRep = 0x0200,
    /// Either's refusal.
    Error = 0x0300,
}

/// A message in the mechanism's frame.
fn frame(id: TokenId, message: &[u8]) -> Vec<u8> {
    InitialToken::of_parts(Oid::KERBEROS, &[&(id as u16).to_be_bytes(), message])
}

/// The message in a frame, and what the frame says that it is.
fn unframe(token: &[u8]) -> Result<(TokenId, &[u8])> {
    let token: InitialToken<'_> = wire::decode(token)?;
    if !token.mechanism.is_kerberos() {
        return Err(Error::Malformed("GSS-API token: another mechanism than Kerberos"));
    }
    match token.inner {
        [0x01, 0x00, message @ ..] => Ok((TokenId::ApReq, message)),
        [0x02, 0x00, message @ ..] => Ok((TokenId::ApRep, message)),
        [0x03, 0x00, message @ ..] => Ok((TokenId::Error, message)),
        _ => Err(Error::protocol(ErrorCode::MSG_TYPE, "GSS-API token: unknown token identifier")),
    }
}

/// What a token says that refuses an initiator before it has said anything.
pub(super) fn refusal_of(token: &[u8]) -> Error {
    match unframe(token) {
        Ok((TokenId::Error, error)) => {
            Refusal::read(error).map_or_else(|malformed| malformed, |refusal| refusal.error())
        }
        Ok(_) => Error::code(ErrorCode::MSG_TYPE),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests;
