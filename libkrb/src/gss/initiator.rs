//! The initiator's side: a ticket is shown, and the acceptor's proof checked (RFC 4121 4.1).

use super::{ChannelBindings, Context, ContextFlags, Mechanism};
use crate::ccache::Credential;
use crate::crypto::Random;
use crate::error::{Error, Result};
use crate::session::CredTicket;
use crate::time::Instant;

/// What an initiator wants.
#[derive(Clone, Debug)]
pub struct InitiatorOptions {
    /// What the context shall offer. DELEGATE is set by `delegated`, not here.
    pub flags: ContextFlags,
    /// The channel to bind to.
    pub bindings: Option<ChannelBindings>,
    /// What the tokens speak.
    pub mechanism: Mechanism,
    /// The forwarded ticket-granting ticket to hand over. Whether the service may have it
    /// (`ok-as-delegate`) is for the caller to decide.
    pub delegated: Option<CredTicket>,
}

impl Default for InitiatorOptions {
    fn default() -> Self {
        InitiatorOptions {
            flags: ContextFlags::DEFAULT,
            bindings: None,
            mechanism: Mechanism::default(),
            delegated: None,
        }
    }
}

/// What an initiator does next.
pub enum InitiatorStep {
    /// Send this token and bring the peer's answer.
    Continue(Vec<u8>),
    /// The context is open. A token, if there is one, still has to be sent.
    Done(Box<Context>, Option<Vec<u8>>),
}

/// A context that is being opened.
pub struct InitiatorContext {
    _options: InitiatorOptions,
}

impl InitiatorContext {
    /// A context with the service of a ticket.
    ///
    /// # Errors
    /// For a ticket that cannot be used.
    pub fn new(_ticket: &Credential, options: InitiatorOptions) -> Result<InitiatorContext> {
        Ok(InitiatorContext { _options: options })
    }

    /// The next step; the first one has no token. `now` is the service's clock as far as it is known.
    ///
    /// # Errors
    /// What ends the opening: a refusal of the peer, a proof that is none, a token that is none.
    pub fn step(&mut self, _now: Instant, _random: &mut dyn Random, _token: Option<&[u8]>) -> Result<InitiatorStep> {
        Err(Error::Malformed("not yet"))
    }
}
