//! The initiator of a negotiation: it offers one mechanism, Kerberos or IAKERB, and its first token with the
//! offer (RFC 4178 3.2, 5).

use super::{answer, filled, read, write};
use crate::ccache::Credential;
use crate::client::ClockOffset;
use crate::crypto::Random;
use crate::error::{Error, ErrorCode, Result};
use crate::gss::{Context, InitiatorStep, iakerb, krb5};
use crate::time::Instant;
use crate::wire::{self, InitialToken, List, NegState, NegTokenInit, NegTokenResp, NegotiationToken, Oid, Raw};

/// An initiator's part of the negotiation.
pub(in crate::gss) struct Initiator {
    offered: Offered,
    state: State,
}

/// The mechanism that is offered.
pub(in crate::gss) enum Offered {
    Kerberos(krb5::Initiator),
    Iakerb(Box<iakerb::Initiator>),
}

impl Offered {
    fn oid(&self) -> Oid<'static> {
        match self {
            Offered::Kerberos(_) => Oid::KERBEROS,
            Offered::Iakerb(_) => Oid::IAKERB,
        }
    }

    /// Whether the service may call it so.
    fn is_called(&self, chosen: Oid<'_>) -> bool {
        match self {
            Offered::Kerberos(_) => chosen.is_kerberos(),
            Offered::Iakerb(_) => chosen == Oid::IAKERB,
        }
    }

    fn step(&mut self, now: Instant, random: &mut dyn Random, token: Option<&[u8]>) -> Result<InitiatorStep> {
        match self {
            Offered::Kerberos(kerberos) => kerberos.step(now, random, token),
            Offered::Iakerb(iakerb) => iakerb.step(now, random, token),
        }
    }

    /// Why a token of the peer's refuses us; `None` if it does not.
    fn refusal(&mut self, token: &[u8]) -> Option<Error> {
        match self {
            Offered::Kerberos(kerberos) => kerberos.refusal(token),
            Offered::Iakerb(_) => None,
        }
    }

    /// What is offered, as it is signed: the MechTypeList without the tag of its field.
    fn list(&self) -> Vec<u8> {
        wire::encode(&List::Items(&[self.oid()]))
    }
}

/// How far the mechanism is.
enum Opened {
    Yes(Box<Context>),
    /// It has this to say, and waits for an answer.
    Not(Vec<u8>),
}

enum State {
    Start,
    /// The offer is made. The context is there already if Kerberos waits for no answer.
    Offered(Option<Box<Context>>),
    Over,
}

impl Initiator {
    pub fn new(offered: Offered) -> Initiator {
        Initiator { offered, state: State::Start }
    }

    pub fn clock_offset(&self) -> Option<ClockOffset> {
        match &self.offered {
            Offered::Kerberos(kerberos) => kerberos.clock_offset(),
            Offered::Iakerb(iakerb) => iakerb.clock_offset(),
        }
    }

    /// The tickets that were got through the service; none without IAKERB.
    pub fn tickets(&self) -> &[Credential] {
        match &self.offered {
            Offered::Kerberos(_) => &[],
            Offered::Iakerb(iakerb) => iakerb.tickets(),
        }
    }

    /// As [`crate::gss::InitiatorContext::step`]. It ends with this, unless it goes on.
    pub fn step(&mut self, now: Instant, random: &mut dyn Random, token: Option<&[u8]>) -> Result<InitiatorStep> {
        match (std::mem::replace(&mut self.state, State::Over), token) {
            (State::Start, None) => self.offer(now, random),
            (State::Start, Some(hints)) => {
                read_hints(hints, &self.offered)?;
                self.offer(now, random)
            }
            (State::Offered(context), Some(token)) => self.answered(context, now, random, token),
            (State::Offered(_), None) => Err(Error::Malformed("no answer to the first token")),
            (State::Over, _) => Err(Error::Malformed("a token after the last one")),
        }
    }

    fn offer(&mut self, now: Instant, random: &mut dyn Random) -> Result<InitiatorStep> {
        let (token, context) = match self.offered.step(now, random, None)? {
            InitiatorStep::Continue(token) => (Some(token), None),
            InitiatorStep::Done(context, token) => (token, Some(context)),
        };
        let list = self.offered.list();
        let mechanisms = Raw::parse(&list)?;
        let init = NegTokenInit { mechanisms, token: token.as_deref(), hints: None, mic: None };
        let inner = wire::encode(&NegotiationToken::Init(init));
        self.state = State::Offered(context);
        Ok(InitiatorStep::Continue(wire::encode(&InitialToken { mechanism: Oid::SPNEGO, inner: &inner })))
    }

    fn answered(
        &mut self,
        context: Option<Box<Context>>,
        now: Instant,
        random: &mut dyn Random,
        token: &[u8],
    ) -> Result<InitiatorStep> {
        let answer = match read(token) {
            Ok(NegotiationToken::Resp(answer)) => answer,
            Ok(NegotiationToken::Init(_)) => return Err(Error::Negotiation("the service answers with an offer")),
            Err(error) => return Err(self.offered.refusal(token).unwrap_or(error)),
        };
        if answer.state == Some(NegState::Reject) {
            let told = filled(answer.token).and_then(|token| self.offered.refusal(token));
            return Err(told.unwrap_or(Error::Negotiation("the service rejects Kerberos")));
        }
        if answer.mechanism.is_some_and(|chosen| !self.offered.is_called(chosen)) {
            return Err(Error::Negotiation("the service chooses a mechanism that was not offered"));
        }
        match self.open(context, now, random, filled(answer.token))? {
            Opened::Yes(context) => close(context, &self.offered.list(), &answer),
            Opened::Not(token) => self.go_on(&answer, &token),
        }
    }

    /// Another token of the mechanism's, as long as the service has not said that it is done.
    fn go_on(&mut self, answered: &NegTokenResp<'_>, token: &[u8]) -> Result<InitiatorStep> {
        if answered.state == Some(NegState::AcceptCompleted) || answered.mic.is_some() {
            return Err(Error::Malformed("the mechanism does not come to its end"));
        }
        self.state = State::Offered(None);
        let more = NegTokenResp { token: Some(token), ..answer(NegState::AcceptIncomplete) };
        Ok(InitiatorStep::Continue(write(more)))
    }

    /// The context once the mechanism's own answer, if it waits for one, is read. A state of
    /// accept-completed is no proof of anything.
    fn open(
        &mut self,
        context: Option<Box<Context>>,
        now: Instant,
        random: &mut dyn Random,
        token: Option<&[u8]>,
    ) -> Result<Opened> {
        match (context, token) {
            (Some(context), None) => Ok(Opened::Yes(context)),
            (None, Some(token)) => match (self.offered.step(now, random, Some(token))?, &self.offered) {
                (InitiatorStep::Done(context, None), _) => Ok(Opened::Yes(context)),
                (InitiatorStep::Continue(token), Offered::Iakerb(_)) => Ok(Opened::Not(token)),
                _ => Err(Error::Malformed("the mechanism does not come to its end")),
            },
            (None, None) => Err(Error::code(ErrorCode::MUT_FAIL)),
            (Some(_), Some(_)) => Err(Error::Malformed("a token after the mechanism's last one")),
        }
    }
}

/// Checks the signature over what was offered, and signs it in turn (RFC 4178 5).
fn close(mut context: Box<Context>, list: &[u8], answered: &NegTokenResp<'_>) -> Result<InitiatorStep> {
    match answered.mic {
        Some(mic) => context.verify_mic(list, mic)?,
        None if answered.state == Some(NegState::RequestMic) => {
            return Err(Error::Negotiation("the service wants the offer signed and does not sign it"));
        }
        None => {}
    }
    let awaited = matches!(answered.state, Some(NegState::AcceptIncomplete | NegState::RequestMic));
    if !awaited {
        return Ok(InitiatorStep::Done(context, None));
    }
    let mic = answered.mic.map(|_| context.mic(list)).transpose()?;
    let last = write(NegTokenResp { mic: mic.as_deref(), ..answer(NegState::AcceptCompleted) });
    Ok(InitiatorStep::Done(context, Some(last)))
}

/// What a service says that speaks first (MS-SPNG 3.2.5.2). Nobody signs it: it can only spare us an
/// attempt.
fn read_hints(token: &[u8], offered: &Offered) -> Result<()> {
    match read(token)? {
        NegotiationToken::Init(init) if init.mechanisms.iter().any(|oid| offered.is_called(oid)) => Ok(()),
        NegotiationToken::Init(_) => Err(Error::Negotiation("the service does not offer Kerberos")),
        NegotiationToken::Resp(_) => Err(Error::Negotiation("the service answers before it was asked")),
    }
}
