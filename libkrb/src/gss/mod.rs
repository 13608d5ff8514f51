//! GSS-API without its C: the Kerberos mechanism (RFC 4121, 2743) and SPNEGO (RFC 4178) as state
//! machines over bytes; and IAKERB, for clients that reach a service but no KDC. A context is opened by [`InitiatorContext`] and [`AcceptorContext`], and
//! becomes a [`Context`] that wraps and signs. Not here: sockets, clocks, and how a ticket is got
//! (`libkrb::net`).
//!
//! Both ends in one place; on a network each token travels in the way of the application's protocol,
//! and the clock is that of the machine:
//!
//! ```
//! # use std::sync::Arc;
//! # use libkrb::{ccache::Credential, crypto::OsRandom, service::Acceptor, time::Instant};
//! use libkrb::gss::{AcceptStep, AcceptorContext, InitiatorContext, InitiatorStep};
//!
//! # fn call(ticket: &Credential, service: Arc<Acceptor>, now: Instant) -> Result<(), Box<dyn std::error::Error>> {
//! # let random = &mut OsRandom::new();
//! let mut client = InitiatorContext::new(ticket, Default::default())?;
//! let mut server = AcceptorContext::new(service, Default::default());
//!
//! let InitiatorStep::Continue(token) = client.step(now, random, None)? else { return Ok(()) };
//! let AcceptStep::Done(mut server, caller, token) = server.step(now, random, &token, None)? else { return Ok(()) };
//! let InitiatorStep::Done(mut client, _) = client.step(now, random, token.as_deref())? else { return Ok(()) };
//!
//! println!("{} calls", caller.accepted.client);
//! let token = client.wrap(random, true, b"a secret")?;
//! assert_eq!(server.unwrap(&token)?.message.as_slice(), b"a secret");
//! # Ok(())
//! # }
//! ```
//!
//! Which tokens come when is for the mechanism to say: real code sends what [`InitiatorStep`] and
//! [`AcceptStep`] hand out, and steps on with what comes back, until both are done.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod acceptor;
mod bindings;
mod certificate;
mod context;
mod flags;
mod iakerb;
mod initiator;
mod krb5;
mod spnego;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod transcripts;

pub use acceptor::{AcceptStep, AcceptorContext, AcceptorOptions, Caller, Refusal};
pub use bindings::ChannelBindings;
pub use context::{Context, PrfKey, Unwrapped, UnwrappedInPlace, WrapRoom};
pub use flags::ContextFlags;
pub use iakerb::{IakerbAcceptor, IakerbAnswer, IakerbStep, Login};
pub use initiator::{InitiatorContext, InitiatorOptions, InitiatorStep};

/// What the first token speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mechanism {
    /// SPNEGO with Kerberos in its optimistic token: what HTTP expects (RFC 4178, 4559).
    #[default]
    Spnego,
    /// The Kerberos mechanism alone (RFC 4121).
    Kerberos,
}
