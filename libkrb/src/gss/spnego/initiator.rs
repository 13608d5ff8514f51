//! The initiator of a negotiation: it offers Kerberos alone, and its first token with the offer
//! (RFC 4178 3.2, 5).

use super::{answer, filled, read, write};
use crate::client::ClockOffset;
use crate::crypto::Random;
use crate::error::{Error, ErrorCode, Result};
use crate::gss::{Context, InitiatorStep, krb5};
use crate::time::Instant;
use crate::wire::{self, InitialToken, List, NegState, NegTokenInit, NegTokenResp, NegotiationToken, Oid, Raw};

/// An initiator's part of the negotiation.
pub(in crate::gss) struct Initiator {
    kerberos: krb5::Initiator,
    state: State,
}

enum State {
    Start,
    /// The offer is made. The context is there already if Kerberos waits for no answer.
    Offered(Option<Box<Context>>),
    Over,
}

impl Initiator {
    pub fn new(kerberos: krb5::Initiator) -> Initiator {
        Initiator { kerberos, state: State::Start }
    }

    pub fn clock_offset(&self) -> Option<ClockOffset> {
        self.kerberos.clock_offset()
    }

    /// As [`crate::gss::InitiatorContext::step`]. It ends with this, unless it goes on.
    pub fn step(&mut self, now: Instant, random: &mut dyn Random, token: Option<&[u8]>) -> Result<InitiatorStep> {
        match (std::mem::replace(&mut self.state, State::Over), token) {
            (State::Start, None) => self.offer(now, random),
            (State::Start, Some(hints)) => {
                read_hints(hints)?;
                self.offer(now, random)
            }
            (State::Offered(context), Some(token)) => self.answered(context, now, random, token),
            (State::Offered(_), None) => Err(Error::Malformed("no answer to the first token")),
            (State::Over, _) => Err(Error::Malformed("a token after the last one")),
        }
    }

    fn offer(&mut self, now: Instant, random: &mut dyn Random) -> Result<InitiatorStep> {
        let (token, context) = match self.kerberos.step(now, random, None)? {
            InitiatorStep::Continue(token) => (Some(token), None),
            InitiatorStep::Done(context, token) => (token, Some(context)),
        };
        let list = list();
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
            Err(error) => return Err(self.kerberos.refusal(token).unwrap_or(error)),
        };
        if answer.state == Some(NegState::Reject) {
            let told = filled(answer.token).and_then(|token| self.kerberos.refusal(token));
            return Err(told.unwrap_or(Error::Negotiation("the service rejects Kerberos")));
        }
        if answer.mechanism.is_some_and(|chosen| !chosen.is_kerberos()) {
            return Err(Error::Negotiation("the service chooses a mechanism that was not offered"));
        }
        let context = self.open(context, now, random, filled(answer.token))?;
        close(context, &answer)
    }

    /// The context once the mechanism's own answer, if it waits for one, is read. A state of
    /// accept-completed is no proof of anything.
    fn open(
        &mut self,
        context: Option<Box<Context>>,
        now: Instant,
        random: &mut dyn Random,
        token: Option<&[u8]>,
    ) -> Result<Box<Context>> {
        match (context, token) {
            (Some(context), None) => Ok(context),
            (None, Some(token)) => match self.kerberos.step(now, random, Some(token))? {
                InitiatorStep::Done(context, None) => Ok(context),
                _ => Err(Error::Malformed("the mechanism does not come to its end")),
            },
            (None, None) => Err(Error::code(ErrorCode::MUT_FAIL)),
            (Some(_), Some(_)) => Err(Error::Malformed("a token after the mechanism's last one")),
        }
    }
}

/// Checks the signature over what was offered, and signs it in turn (RFC 4178 5).
fn close(mut context: Box<Context>, answered: &NegTokenResp<'_>) -> Result<InitiatorStep> {
    let list = list();
    match answered.mic {
        Some(mic) => context.verify_mic(&list, mic)?,
        None if answered.state == Some(NegState::RequestMic) => {
            return Err(Error::Negotiation("the service wants the offer signed and does not sign it"));
        }
        None => {}
    }
    let awaited = matches!(answered.state, Some(NegState::AcceptIncomplete | NegState::RequestMic));
    if !awaited {
        return Ok(InitiatorStep::Done(context, None));
    }
    let mic = answered.mic.map(|_| context.mic(&list)).transpose()?;
    let last = write(NegTokenResp { mic: mic.as_deref(), ..answer(NegState::AcceptCompleted) });
    Ok(InitiatorStep::Done(context, Some(last)))
}

/// What is offered, as it is signed: the MechTypeList without the tag of its field.
fn list() -> Vec<u8> {
    wire::encode(&List::Items(&[Oid::KERBEROS]))
}

/// What a service says that speaks first (MS-SPNG 3.2.5.2). Nobody signs it: it can only spare us an
/// attempt.
fn read_hints(token: &[u8]) -> Result<()> {
    match read(token)? {
        NegotiationToken::Init(init) if init.mechanisms.iter().any(Oid::is_kerberos) => Ok(()),
        NegotiationToken::Init(_) => Err(Error::Negotiation("the service does not offer Kerberos")),
        NegotiationToken::Resp(_) => Err(Error::Negotiation("the service answers before it was asked")),
    }
}
