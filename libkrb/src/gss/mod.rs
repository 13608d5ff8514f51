//! GSS-API without its C: the Kerberos mechanism (RFC 4121, 2743) and SPNEGO (RFC 4178) as state
//! machines over bytes. A context is opened by [`InitiatorContext`] and [`AcceptorContext`], and
//! becomes a [`Context`] that wraps and signs. Not here: sockets, clocks, and how a ticket is got
//! (`libkrb::net`).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod acceptor;
mod bindings;
mod certificate;
mod context;
mod flags;
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
