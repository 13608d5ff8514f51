//! The initiator's side: a ticket is shown, and the acceptor's proof checked (RFC 4121 4.1,
//! RFC 4178). Here is the choice of the mechanism; the work is theirs ([`super::krb5`],
//! [`super::spnego`]).

use std::fmt;

use super::iakerb::{self, Login};
use super::{ChannelBindings, Context, ContextFlags, Mechanism, krb5, spnego};
use crate::ccache::Credential;
use crate::client::ClockOffset;
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
#[derive(Debug)]
pub enum InitiatorStep {
    /// Send this token and bring the peer's answer.
    Continue(Vec<u8>),
    /// The context is open. A token, if there is one, still has to be sent.
    Done(Box<Context>, Option<Vec<u8>>),
}

/// A context that is being opened.
pub struct InitiatorContext {
    machine: Machine,
}

/// What the tokens speak, at work.
enum Machine {
    Kerberos(krb5::Initiator),
    Spnego(spnego::Initiator),
    Iakerb(Box<iakerb::Initiator>),
}

impl InitiatorContext {
    /// A context with the service of a ticket.
    ///
    /// # Errors
    /// For a ticket that cannot be used, and [`crate::Error::Setting`] for DCE_STYLE.
    pub fn new(ticket: &Credential, options: InitiatorOptions) -> Result<InitiatorContext> {
        let mechanism = options.mechanism;
        // What is negotiated has to be signed (RFC 4178 3).
        let negotiated = options.flags | ContextFlags::INTEGRITY;
        let options = match mechanism {
            Mechanism::Spnego => InitiatorOptions { flags: negotiated, ..options },
            Mechanism::Kerberos => options,
        };
        let kerberos = krb5::Initiator::new(ticket, options)?;
        let machine = match mechanism {
            Mechanism::Kerberos => Machine::Kerberos(kerberos),
            Mechanism::Spnego => Machine::Spnego(spnego::Initiator::new(spnego::Offered::Kerberos(kerberos))),
        };
        Ok(InitiatorContext { machine })
    }

    /// A context with a service that is asked to reach the KDC for us (IAKERB): it hears no secret, and can do no more than
    /// any network that lies between. It is spoken within SPNEGO or alone, as the options say. [`InitiatorContext::tickets`] has what was got on the way.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] for DCE_STYLE.
    pub fn through_service(login: Login, options: InitiatorOptions) -> Result<InitiatorContext> {
        if options.flags.any(ContextFlags::DCE_STYLE) {
            return Err(Error::Setting("contexts in the style of DCE are not supported".to_owned()));
        }
        let (mechanism, negotiated) = (options.mechanism, options.flags | ContextFlags::INTEGRITY);
        let options = match mechanism {
            Mechanism::Spnego => InitiatorOptions { flags: negotiated, ..options },
            Mechanism::Kerberos => options,
        };
        let iakerb = Box::new(iakerb::Initiator::new(login, options));
        let machine = match mechanism {
            Mechanism::Kerberos => Machine::Iakerb(iakerb),
            Mechanism::Spnego => Machine::Spnego(spnego::Initiator::new(spnego::Offered::Iakerb(iakerb))),
        };
        Ok(InitiatorContext { machine })
    }

    /// The tickets that were got through the service; none without IAKERB.
    pub fn tickets(&self) -> &[Credential] {
        match &self.machine {
            Machine::Iakerb(iakerb) => iakerb.tickets(),
            Machine::Spnego(spnego) => spnego.tickets(),
            Machine::Kerberos(_) => &[],
        }
    }

    /// The next step; the first one has no token. `now` is the service's clock as far as it is known.
    ///
    /// # Errors
    /// What ends the opening: a refusal of the peer, a proof that is none, a token that is none. The
    /// context cannot be used again. After KRB_AP_ERR_SKEW a new one may be tried with the clock of
    /// [`InitiatorContext::clock_offset`].
    pub fn step(&mut self, now: Instant, random: &mut dyn Random, token: Option<&[u8]>) -> Result<InitiatorStep> {
        match &mut self.machine {
            Machine::Kerberos(kerberos) => kerberos.step(now, random, token),
            Machine::Spnego(spnego) => spnego.step(now, random, token),
            Machine::Iakerb(iakerb) => iakerb.step(now, random, token),
        }
    }

    /// How far the service's clock is ahead of ours, it says, where it refused us for that; nobody
    /// proved it.
    pub fn clock_offset(&self) -> Option<ClockOffset> {
        match &self.machine {
            Machine::Kerberos(kerberos) => kerberos.clock_offset(),
            Machine::Spnego(spnego) => spnego.clock_offset(),
            Machine::Iakerb(iakerb) => iakerb.clock_offset(),
        }
    }
}

impl fmt::Debug for InitiatorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InitiatorContext")
    }
}
