//! The acceptor's side: first tokens of SPNEGO, of the Kerberos mechanism, or a bare AP-REQ come in,
//! and with them who sent them (RFC 4121 4.1, RFC 4178). Here is what all have in common; the rest
//! is theirs ([`super::krb5`], [`super::spnego`]).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::{ChannelBindings, Context, krb5, spnego};
use crate::crypto::Random;
use crate::error::Error;
use crate::service::{AcceptError, Accepted, Acceptor};
use crate::session::ReceivedCred;
use crate::time::Instant;

/// What an acceptor wants.
#[derive(Clone, Debug, Default)]
pub struct AcceptorOptions {
    /// The channel that the initiator has to be bound to, if it binds at all.
    pub bindings: Option<ChannelBindings>,
    /// Refuse an initiator that does not bind to the channel.
    pub require_bindings: bool,
}

/// An initiator that has proven itself.
#[derive(Debug)]
pub struct Caller {
    /// Who it is, and what the ticket says.
    pub accepted: Accepted,
    /// The tickets that it handed over.
    pub delegated: Option<ReceivedCred>,
    /// Whether it is known to speak in our channel: both sides gave bindings, and they are the same.
    pub bound: bool,
}

/// What an acceptor does next.
#[derive(Debug)]
pub enum AcceptStep {
    /// Send this token and bring the peer's answer.
    Continue(Vec<u8>),
    /// The context is open. A token, if there is one, still has to be sent.
    Done(Box<Context>, Box<Caller>, Option<Vec<u8>>),
}

/// A token was refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Why; for the own log.
    pub cause: Error,
    /// The token that tells the peer, if there is something to tell.
    pub token: Option<Vec<u8>>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// A context that is being opened.
pub struct AcceptorContext {
    acceptor: Arc<Acceptor>,
    options: AcceptorOptions,
    state: State,
}

/// What the peer's tokens speak.
enum State {
    /// No token came yet.
    New,
    Spnego(Box<spnego::Acceptor>),
    Over,
}

/// What a token asks for.
pub(super) enum Asked<'a> {
    /// Nothing but an answer of the negotiation.
    Step(AcceptStep),
    /// To accept this, and to tell the mechanism what came of it.
    Accept(krb5::Request<'a>),
}

/// A context of the Kerberos mechanism, and the token that opens the initiator's.
pub(super) struct Opened {
    pub context: Box<Context>,
    pub caller: Box<Caller>,
    pub token: Option<Vec<u8>>,
}

impl AcceptorContext {
    /// A context for an initiator of whom nothing is known yet.
    pub fn new(acceptor: Arc<Acceptor>, options: AcceptorOptions) -> AcceptorContext {
        AcceptorContext { acceptor, options, state: State::New }
    }

    /// Takes a token of the peer.
    ///
    /// # Errors
    /// [`Refusal`], which knows what to answer. The context cannot be used again.
    pub fn step(
        &mut self,
        now: Instant,
        random: &mut dyn Random,
        token: &[u8],
        peer: Option<IpAddr>,
    ) -> Result<AcceptStep, Refusal> {
        match self.read(now, token)? {
            Asked::Step(step) => Ok(step),
            Asked::Accept(request) => {
                let accepted = self.acceptor.accept(now, random, request.ap_req, peer);
                self.answer(now, request.framed, accepted)
            }
        }
    }

    /// As [`AcceptorContext::step`], for a replay cache that is asked over a network.
    ///
    /// # Errors
    /// As [`AcceptorContext::step`].
    pub async fn step_async(
        &mut self,
        now: Instant,
        random: &mut (dyn Random + Send),
        token: &[u8],
        peer: Option<IpAddr>,
    ) -> Result<AcceptStep, Refusal> {
        match self.read(now, token)? {
            Asked::Step(step) => Ok(step),
            Asked::Accept(request) => {
                let accepted = self.acceptor.accept_async(now, random, request.ap_req, peer).await;
                self.answer(now, request.framed, accepted)
            }
        }
    }

    /// Reads a token as far as can be done without the service's keys.
    fn read<'a>(&mut self, now: Instant, token: &'a [u8]) -> Result<Asked<'a>, Refusal> {
        let asked = match &mut self.state {
            State::Over => Err(Error::Malformed("a token after the last one")),
            State::Spnego(spnego) => spnego.read(token),
            State::New if spnego::is_for_us(token) => {
                let mut spnego = Box::new(spnego::Acceptor::new());
                let asked = spnego.read(token);
                self.state = State::Spnego(spnego);
                asked
            }
            State::New => krb5::Request::read(token).map(Asked::Accept),
        };
        asked.map_err(|cause| self.refuse(&self.acceptor.refuse(now, cause), true))
    }

    /// Goes on with what the service's keys said of the AP-REQ.
    fn answer(
        &mut self,
        now: Instant,
        framed: bool,
        accepted: Result<Accepted, AcceptError>,
    ) -> Result<AcceptStep, Refusal> {
        let opened = accepted.and_then(|accepted| {
            krb5::open(&self.options, accepted, framed).map_err(|cause| self.acceptor.refuse(now, cause))
        });
        let opened = opened.map_err(|refused| self.refuse(&refused, framed))?;
        match &mut self.state {
            State::Spnego(spnego) => {
                let step = spnego.opened(opened);
                step.map_err(|cause| self.refuse(&self.acceptor.refuse(now, cause), framed))
            }
            _ => {
                self.state = State::Over;
                Ok(AcceptStep::Done(opened.context, opened.caller, opened.token))
            }
        }
    }

    /// The end.
    fn refuse(&mut self, refused: &AcceptError, framed: bool) -> Refusal {
        let error = krb5::refusal_token(refused, framed);
        let token = match std::mem::replace(&mut self.state, State::Over) {
            State::Spnego(spnego) => Some(spnego.reject(&error)),
            _ => Some(error),
        };
        Refusal { cause: refused.cause().clone(), token }
    }
}

impl fmt::Debug for AcceptorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AcceptorContext")
    }
}
