//! The tokens that negotiate a mechanism (RFC 4178 4, MS-SPNG 2.2). Not here: the frame of the first
//! of them ([`super::InitialToken`]), and what is negotiated (`crate::gss`).

use super::basic::Raw;
use super::der::{Decode, Encode, Reader, SEQUENCE, Writer, sequence};
use super::gss::Oid;
use super::list::List;
use crate::error::{Error, Result};

const ENUMERATED: u8 = 0x0a;
const INIT: u8 = 0xa0;
const RESP: u8 = 0xa1;

/// MechTypeList (RFC 4178 4.1): mechanisms, the favourite first.
pub type MechTypeList<'a> = List<'a, Oid<'a>>;

/// NegotiationToken (RFC 4178 4.2).
#[derive(Clone, Copy, Debug)]
pub enum NegotiationToken<'a> {
    /// What is offered.
    Init(NegTokenInit<'a>),
    /// What is chosen, and everything after it.
    Resp(NegTokenResp<'a>),
}

impl<'a> Decode<'a> for NegotiationToken<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let (tag, contents) = reader.element()?;
        let mut inner = Reader::new(contents);
        let token = match tag {
            INIT => NegotiationToken::Init(NegTokenInit::decode(&mut inner)?),
            RESP => NegotiationToken::Resp(NegTokenResp::decode(&mut inner)?),
            _ => return Err(Error::Malformed("neither NegTokenInit nor NegTokenResp")),
        };
        inner.end()?;
        Ok(token)
    }
}

impl Encode for NegotiationToken<'_> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            NegotiationToken::Init(init) => writer.element(INIT, |writer| init.encode(writer)),
            NegotiationToken::Resp(resp) => writer.element(RESP, |writer| resp.encode(writer)),
        }
    }
}

/// NegTokenInit (RFC 4178 4.2.1), and NegTokenInit2 (MS-SPNG 2.2.1) where it has hints.
#[derive(Clone, Copy, Debug)]
pub struct NegTokenInit<'a> {
    /// The mechanisms that are offered, with their bytes: `mic` is over them.
    pub mechanisms: Raw<'a, MechTypeList<'a>>,
    /// The first token of the first of them.
    pub token: Option<&'a [u8]>,
    /// What an acceptor says that speaks first.
    pub hints: Option<NegHints<'a>>,
    /// mechListMIC
    pub mic: Option<&'a [u8]>,
}

sequence! {
    /// NegHints (MS-SPNG 2.2.1): nothing that one could rely on.
    NegHints<'a> {
        /// A name that is none.
        0 optional name: &'a str,
        /// An address that is never there.
        1 optional address: &'a [u8],
    }
}

sequence! {
    /// The fields of both editions.
    InitFields<'a> {
        /// mechTypes
        0 required mechanisms: Raw<'a, MechTypeList<'a>>,
        /// reqFlags: MUST be ignored.
        1 optional flags: Ignored,
        /// mechToken
        2 optional token: &'a [u8],
        /// mechListMIC of the one, negHints of the other.
        3 optional third: MicOrHints<'a>,
        /// mechListMIC of the other.
        4 optional mic: &'a [u8],
    }
}

/// An element of whatever kind; none to send.
#[derive(Clone, Copy, Debug)]
pub struct Ignored;

impl<'a> Decode<'a> for Ignored {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        reader.element().map(|_| Ignored)
    }
}

impl Encode for Ignored {
    fn encode(&self, _writer: &mut Writer) {}
}

/// The field that the two editions number alike.
#[derive(Clone, Copy, Debug)]
pub enum MicOrHints<'a> {
    /// mechListMIC
    Mic(&'a [u8]),
    /// negHints
    Hints(NegHints<'a>),
}

impl<'a> Decode<'a> for MicOrHints<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        match reader.tag() {
            Some(SEQUENCE) => NegHints::decode(reader).map(MicOrHints::Hints),
            _ => Decode::decode(reader).map(MicOrHints::Mic),
        }
    }
}

impl Encode for MicOrHints<'_> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            MicOrHints::Mic(mic) => mic.encode(writer),
            MicOrHints::Hints(hints) => hints.encode(writer),
        }
    }
}

impl<'a> Decode<'a> for NegTokenInit<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let InitFields { mechanisms, token, third, mic, .. } = InitFields::decode(reader)?;
        let (hints, mic) = match (third, mic) {
            (Some(MicOrHints::Mic(_)), Some(_)) => return Err(Error::Malformed("NegTokenInit: mechListMIC twice")),
            (Some(MicOrHints::Mic(mic)), None) => (None, Some(mic)),
            (Some(MicOrHints::Hints(hints)), mic) => (Some(hints), mic),
            (None, mic) => (None, mic),
        };
        Ok(NegTokenInit { mechanisms, token, hints, mic })
    }
}

impl Encode for NegTokenInit<'_> {
    fn encode(&self, writer: &mut Writer) {
        let (third, mic) = match self.hints {
            Some(hints) => (Some(MicOrHints::Hints(hints)), self.mic),
            None => (self.mic.map(MicOrHints::Mic), None),
        };
        let fields = InitFields { mechanisms: self.mechanisms, flags: None, token: self.token, third, mic };
        fields.encode(writer);
    }
}

sequence! {
    /// NegTokenResp (RFC 4178 4.2.2).
    NegTokenResp<'a> {
        /// How the sender sees the negotiation; in the acceptor's first answer always there.
        0 optional state: NegState,
        /// The mechanism that was chosen; in the acceptor's first answer only.
        1 optional mechanism: Oid<'a>,
        /// The mechanism's token.
        2 optional token: &'a [u8],
        /// mechListMIC: the mechanism's signature over the list that was offered.
        3 optional mic: &'a [u8],
    }
}

/// negState (RFC 4178 4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NegState {
    /// The sender's context is open and it waits for nothing.
    AcceptCompleted = 0,
    /// The sender waits for another token.
    AcceptIncomplete = 1,
    /// The sender ends the negotiation.
    Reject = 2,
    /// The sender waits for another token, and signatures of the list must be exchanged.
    RequestMic = 3,
}

impl<'a> Decode<'a> for NegState {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        match reader.expect(ENUMERATED, "ENUMERATED expected")? {
            [0] => Ok(NegState::AcceptCompleted),
            [1] => Ok(NegState::AcceptIncomplete),
            [2] => Ok(NegState::Reject),
            [3] => Ok(NegState::RequestMic),
            _ => Err(Error::Malformed("unknown negState")),
        }
    }
}

impl Encode for NegState {
    fn encode(&self, writer: &mut Writer) {
        writer.primitive(ENUMERATED, &[*self as u8]);
    }
}

#[cfg(test)]
mod tests;
