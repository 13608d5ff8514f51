//! The acceptor of a negotiation: it chooses Kerberos wherever that stands in the offer, and lets the
//! offer be signed where somebody could have gained by changing it (RFC 4178 3.2, 5).

use super::{answer, filled, read, write};
use crate::error::{Error, Result};
use crate::gss::acceptor::{Asked, Opened};
use crate::gss::{AcceptStep, ContextFlags, krb5};
use crate::wire::{MechTypeList, NegState, NegTokenInit, NegTokenResp, NegotiationToken, Oid, Raw};

/// What tokens of NTLM begin with (MS-NLMP 2.2.1).
pub(super) const NTLM_SIGNATURE: &[u8] = b"NTLMSSP\0";

/// Programs fall back to NTLM without a word when they find no ticket, so the reason is with the client.
const NTLM: Error = Error::Negotiation(
    "the client offers NTLM, which is not Kerberos: it has no ticket for this name; check that it is logged in \
     (klist), reaches its KDC, and that the KDC knows the service by the name that the client calls",
);

const UNSIGNED: Error = Error::Negotiation("the client does not sign what it offered");

/// An acceptor's part of the negotiation.
pub(in crate::gss) struct Acceptor {
    state: State,
}

enum State {
    Start,
    /// Kerberos was chosen, and its first token is to come.
    Chosen(Offer),
    /// The mechanism looks at its token; the signature came with that.
    Opening(Offer, Option<Vec<u8>>),
    /// The context is open and the offer signed by us; the initiator's signature is to come.
    Signed(Offer, Opened),
    Over,
}

/// What the initiator offered.
struct Offer {
    /// The MechTypeList as it came: what is signed.
    list: Vec<u8>,
    /// The name of Kerberos that was chosen. It is told in the first answer, and then no longer here.
    chosen: Option<Oid<'static>>,
    /// Whether the offer has to be signed: Kerberos is not the initiator's favourite. It is always ours.
    to_sign: bool,
}

impl Acceptor {
    pub fn new() -> Acceptor {
        Acceptor { state: State::Start }
    }

    /// Reads a token: it is answered at once, or holds an AP-REQ that has to be accepted first.
    pub fn read<'a>(&mut self, token: &'a [u8]) -> Result<Asked<'a>> {
        if token.starts_with(NTLM_SIGNATURE) {
            return Err(NTLM);
        }
        match (std::mem::replace(&mut self.state, State::Over), read(token)?) {
            (State::Start, NegotiationToken::Init(init)) => self.choose(&init),
            (State::Chosen(offer), NegotiationToken::Resp(resp)) => self.begin(offer, &resp),
            (State::Signed(offer, opened), NegotiationToken::Resp(resp)) => finish(&offer, opened, &resp),
            _ => Err(Error::Negotiation("a token at the wrong time")),
        }
    }

    /// Chooses a mechanism, and passes on the first token of it if that is there.
    fn choose<'a>(&mut self, init: &NegTokenInit<'a>) -> Result<Asked<'a>> {
        let (place, chosen) = choose(&init.mechanisms)?;
        let offer = Offer { list: init.mechanisms.der.to_vec(), chosen: Some(chosen), to_sign: place > 0 };
        match filled(init.token) {
            Some(token) if place == 0 => self.pass_on(offer, token, init.mic),
            // What is there is a token of another mechanism.
            _ => Ok(Asked::Step(self.ask(offer))),
        }
    }

    fn ask(&mut self, mut offer: Offer) -> AcceptStep {
        let state = if offer.to_sign { NegState::RequestMic } else { NegState::AcceptIncomplete };
        let token = write(NegTokenResp { mechanism: offer.chosen.take(), ..answer(state) });
        self.state = State::Chosen(offer);
        AcceptStep::Continue(token)
    }

    fn begin<'a>(&mut self, offer: Offer, resp: &NegTokenResp<'a>) -> Result<Asked<'a>> {
        let token = token_in(resp)?.ok_or(Error::Negotiation("the client sends no token of the chosen mechanism"))?;
        self.pass_on(offer, token, resp.mic)
    }

    fn pass_on<'a>(&mut self, offer: Offer, token: &'a [u8], mic: Option<&[u8]>) -> Result<Asked<'a>> {
        self.state = State::Opening(offer, mic.map(<[u8]>::to_vec));
        krb5::Request::read(token).map(Asked::Accept)
    }

    /// The AP-REQ that [`Acceptor::read`] found was accepted.
    pub fn opened(&mut self, mut opened: Opened) -> Result<AcceptStep> {
        let State::Opening(mut offer, mic) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Error::Negotiation("a token at the wrong time"));
        };
        let signing = sign(&offer, &mut opened, mic.as_deref())?;
        let (state, mic) = match &signing {
            Signing::Not => (NegState::AcceptCompleted, None),
            Signing::Both(ours) => (NegState::AcceptCompleted, Some(ours.as_slice())),
            Signing::OursFirst(ours) => (NegState::AcceptIncomplete, Some(ours.as_slice())),
        };
        let mechanism = offer.chosen.take();
        let token = write(NegTokenResp { state: Some(state), mechanism, token: opened.token.as_deref(), mic });
        if let Signing::OursFirst(_) = signing {
            self.state = State::Signed(offer, opened);
            return Ok(AcceptStep::Continue(token));
        }
        Ok(AcceptStep::Done(opened.context, opened.caller, Some(token)))
    }

    /// The token that refuses. That of the mechanism is in it if it was the mechanism that refused.
    pub fn reject(self, krb_error: &[u8]) -> Vec<u8> {
        let (mechanism, token) = match self.state {
            State::Opening(offer, _) => (offer.chosen, Some(krb_error)),
            _ => (None, None),
        };
        write(NegTokenResp { mechanism, token, ..answer(NegState::Reject) })
    }
}

/// Who signs the offer.
enum Signing {
    /// Nobody.
    Not,
    /// The initiator did, and so do we.
    Both(Vec<u8>),
    /// We do, and the initiator will have to.
    OursFirst(Vec<u8>),
}

/// The signatures of the offer (RFC 4178 5): one that is there is verified in any case.
fn sign(offer: &Offer, opened: &mut Opened, theirs: Option<&[u8]>) -> Result<Signing> {
    let context = &mut opened.context;
    if let Some(theirs) = theirs {
        context.verify_mic(&offer.list, theirs)?;
        return context.mic(&offer.list).map(Signing::Both);
    }
    // A context that cannot sign has none of this, as the RFC has it.
    if !offer.to_sign || !context.flags().has(ContextFlags::INTEGRITY) {
        return Ok(Signing::Not);
    }
    if opened.token.is_none() {
        return Err(UNSIGNED);
    }
    context.mic(&offer.list).map(Signing::OursFirst)
}

/// The initiator's signature, after which nothing is missing.
fn finish<'a>(offer: &Offer, mut opened: Opened, resp: &NegTokenResp<'_>) -> Result<Asked<'a>> {
    if token_in(resp)?.is_some() {
        return Err(Error::Malformed("a token after the mechanism's last one"));
    }
    opened.context.verify_mic(&offer.list, resp.mic.ok_or(UNSIGNED)?)?;
    let awaited = resp.state == Some(NegState::AcceptIncomplete);
    let last = awaited.then(|| write(answer(NegState::AcceptCompleted)));
    Ok(Asked::Step(AcceptStep::Done(opened.context, opened.caller, last)))
}

/// The token in an answer of the initiator, which may also end the negotiation.
fn token_in<'a>(resp: &NegTokenResp<'a>) -> Result<Option<&'a [u8]>> {
    match resp.state {
        Some(NegState::Reject) => Err(Error::Negotiation("the client rejects our answer")),
        _ => Ok(filled(resp.token)),
    }
}

/// The first Kerberos of the offer, in the spelling of the initiator, and its place.
fn choose(offered: &Raw<'_, MechTypeList<'_>>) -> Result<(usize, Oid<'static>)> {
    const KERBEROS: [Oid<'static>; 2] = [Oid::KERBEROS, Oid::KERBEROS_MICROSOFT];
    let known = |offered: Oid<'_>| KERBEROS.into_iter().find(|known| *known == offered);
    let found = offered.iter().enumerate().find_map(|(place, offered)| Some((place, known(offered)?)));
    found.ok_or_else(|| match offered.iter().any(|offered| offered == Oid::NTLM) {
        true => NTLM,
        false => Error::Negotiation("the client does not offer Kerberos"),
    })
}
