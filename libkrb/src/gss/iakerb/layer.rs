//! What the service's tokens of IAKERB stand in: nothing, or answers of SPNEGO where the client offered it there before
//! anything else (RFC 4178). Not here: the choice of Kerberos, which an ordinary context makes.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::gss::Context;
use crate::gss::spnego::{answer, filled, is_for_us, read, write};
use crate::wire::{NegState, NegTokenResp, NegotiationToken, Oid};

/// How tokens go to and fro.
#[derive(Default)]
pub(super) enum Layer {
    /// The first token says.
    #[default]
    Unknown,
    /// As they are.
    Bare,
    /// Within a negotiation.
    Negotiated(Offer),
}

/// What the client offered.
#[derive(Default)]
pub(super) struct Offer {
    /// The MechTypeList as it came: what is signed.
    list: Vec<u8>,
    /// Whether the choice was told.
    told: bool,
    /// The client's signature of the list, where it came with the last token.
    mic: Option<Vec<u8>>,
}

impl Layer {
    /// The mechanism's token in a token of the peer.
    pub fn read<'a>(&mut self, token: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        match self {
            Layer::Bare => Ok(Cow::Borrowed(token)),
            Layer::Unknown => {
                let (layer, token) = first(token)?;
                *self = layer;
                Ok(Cow::Borrowed(token))
            }
            Layer::Negotiated(offer) => match read(token)? {
                NegotiationToken::Resp(resp) if resp.state != Some(NegState::Reject) => {
                    offer.mic = resp.mic.map(<[u8]>::to_vec);
                    let missing = Error::Negotiation("the client sends no token of the chosen mechanism");
                    own(filled(resp.token).ok_or(missing)?).map(Cow::Borrowed)
                }
                NegotiationToken::Resp(_) => Err(Error::Negotiation("the client rejects our answer")),
                NegotiationToken::Init(_) => Err(Error::Negotiation("a token at the wrong time")),
            },
        }
    }

    /// A token of the mechanism, after which the client has something to say.
    pub fn write(&mut self, token: Vec<u8>) -> Vec<u8> {
        match self {
            Layer::Negotiated(offer) => {
                let state = answer(NegState::AcceptIncomplete);
                write(NegTokenResp { mechanism: offer.choice(), token: Some(&token), ..state })
            }
            Layer::Unknown | Layer::Bare => token,
        }
    }

    /// The last one, when the context is open. A signature of the offer is verified where there is one, and answered.
    pub fn finish(&mut self, context: &mut Context, token: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        let Layer::Negotiated(offer) = self else { return Ok(token) };
        let theirs = offer.mic.take();
        let mic = theirs.map(|mic| context.verify_mic(&offer.list, &mic).and_then(|()| context.mic(&offer.list)));
        let mic = mic.transpose()?;
        let state = answer(NegState::AcceptCompleted);
        let last = NegTokenResp { mechanism: offer.choice(), token: token.as_deref(), mic: mic.as_deref(), ..state };
        Ok(Some(write(last)))
    }

    /// What refuses: the mechanism's own token in it, if there is one to be told.
    pub fn reject(&mut self, token: Option<Vec<u8>>) -> Option<Vec<u8>> {
        match self {
            Layer::Negotiated(offer) => {
                let state = answer(NegState::Reject);
                token.map(|token| write(NegTokenResp { mechanism: offer.choice(), token: Some(&token), ..state }))
            }
            Layer::Unknown | Layer::Bare => token,
        }
    }
}

impl Offer {
    /// The choice, which is told once.
    fn choice(&mut self) -> Option<Oid<'static>> {
        (!std::mem::replace(&mut self.told, true)).then_some(Oid::IAKERB)
    }
}

/// An offer whose first mechanism is IAKERB, with a token of it; anything else is looked at as it is.
fn first(token: &[u8]) -> Result<(Layer, &[u8])> {
    let Ok(NegotiationToken::Init(init)) = read(token) else { return Ok((Layer::Bare, token)) };
    let favourite = init.mechanisms.iter().next();
    match filled(init.token).filter(|_| favourite == Some(Oid::IAKERB)) {
        Some(inner) => {
            let mic = init.mic.map(<[u8]>::to_vec);
            let offer = Offer { list: init.mechanisms.der.to_vec(), told: false, mic };
            Ok((Layer::Negotiated(offer), own(inner)?))
        }
        None => Ok((Layer::Bare, token)),
    }
}

/// The mechanism's own token, and no further negotiation in this one.
fn own(token: &[u8]) -> Result<&[u8]> {
    let nested = Error::Negotiation("a negotiation within another one");
    if is_for_us(token) { Err(nested) } else { Ok(token) }
}
