//! SPNEGO (RFC 4178, MS-SPNG): two sides agree on a mechanism, which is always Kerberos, before and
//! while its tokens flow; or on IAKERB, whose acceptor has its own part of that. Not here: those tokens
//! ([`super::krb5`], [`super::iakerb`]) and the encoding of the negotiation ([`crate::wire`]).

mod acceptor;
mod initiator;

pub(super) use acceptor::Acceptor;
pub(super) use initiator::{Initiator, Offered};

use crate::error::{Error, Result};
use crate::wire::{self, InitialToken, NegState, NegTokenResp, NegotiationToken, Oid};

/// Whether a first token is for the negotiation to judge: one of SPNEGO, in its frame or without, or
/// one of NTLM, which programs send in its place.
pub(super) fn is_for_us(token: &[u8]) -> bool {
    let framed = wire::decode::<InitialToken<'_>>(token).is_ok_and(|frame| frame.mechanism == Oid::SPNEGO);
    framed || token.starts_with(acceptor::NTLM_SIGNATURE) || wire::decode::<NegotiationToken<'_>>(token).is_ok()
}

/// Reads a token of the negotiation. The first of them stands in a frame, if its sender keeps to the
/// rules.
pub(super) fn read(token: &[u8]) -> Result<NegotiationToken<'_>> {
    if wire::application_tag(token) != Some(0) {
        return wire::decode(token);
    }
    let frame: InitialToken<'_> = wire::decode(token)?;
    match frame.mechanism {
        Oid::SPNEGO => wire::decode(frame.inner),
        _ => Err(Error::Negotiation("the peer speaks another mechanism than SPNEGO")),
    }
}

/// A token that is there and has something in it: some peers send empty ones for none.
pub(super) fn filled(token: Option<&[u8]>) -> Option<&[u8]> {
    token.filter(|token| !token.is_empty())
}

/// An answer in which only the state is set.
pub(super) fn answer(state: NegState) -> NegTokenResp<'static> {
    NegTokenResp { state: Some(state), mechanism: None, token: None, mic: None }
}

/// An answer as it is sent: in no frame (RFC 4178 4.2).
pub(super) fn write(answer: NegTokenResp<'_>) -> Vec<u8> {
    wire::encode(&NegotiationToken::Resp(answer))
}

#[cfg(test)]
mod tests;
