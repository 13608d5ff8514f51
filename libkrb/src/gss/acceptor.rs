//! The acceptor's side: first tokens of SPNEGO, of the Kerberos mechanism, or a bare AP-REQ come in,
//! and with them who sent them (RFC 4121 4.1, RFC 4178).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::{ChannelBindings, Context};
use crate::crypto::Random;
use crate::error::Error;
use crate::service::{Accepted, Acceptor};
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
}

/// What an acceptor does next.
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
    _acceptor: Arc<Acceptor>,
    _options: AcceptorOptions,
}

impl AcceptorContext {
    /// A context for an initiator of whom nothing is known yet.
    pub fn new(acceptor: Arc<Acceptor>, options: AcceptorOptions) -> AcceptorContext {
        AcceptorContext { _acceptor: acceptor, _options: options }
    }

    /// Takes a token of the peer.
    ///
    /// # Errors
    /// [`Refusal`], which knows what to answer. The context cannot be used again.
    pub fn step(
        &mut self,
        _now: Instant,
        _random: &mut dyn Random,
        _token: &[u8],
        _peer: Option<IpAddr>,
    ) -> Result<AcceptStep, Refusal> {
        Err(Refusal { cause: Error::Malformed("not yet"), token: None })
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
        self.step(now, random, token, peer)
    }
}
