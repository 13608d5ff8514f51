//! The client's side of the exchanges, as state machines: bytes to send come out, replies go in, a
//! credential stands at the end (RFC 4120 3.1 to 3.3, RFC 6806).
//!
//! [`AsExchange`] turns a password or a keytab into a first ticket, [`TgsExchange`] a ticket into
//! another one, wherever the service's realm may be, [`ApExchange`] shows a ticket to a service, and
//! [`PasswordExchange`] changes a password.
//! What a KDC says of names counts only from the part that it encrypted. Not here: sockets, clocks,
//! caches; [`Exchange`] says to which realm a message goes, and whoever drives it brings the time.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod ap_exchange;
mod ap_message;
mod armor;
mod as_exchange;
mod as_request;
mod clock;
mod fetch;
mod identify;
mod joint;
mod kdc_req;
mod password;
mod proof;
mod refusal;
mod reply;
mod s4u;
mod secret;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tgs_exchange;
mod tgs_request;

pub use ap_exchange::{ApExchange, ApRequest, ApSession};
pub use as_exchange::AsExchange;
pub use as_request::AsRequest;
pub use clock::ClockOffset;
pub use fetch::FetchExchange;
pub use identify::Identification;
pub use password::{NewSecret, PasswordExchange};
pub(crate) use refusal::Refusal;
pub use s4u::{Behalf, User};
pub use secret::Secret;
pub use tgs_exchange::TgsExchange;
pub use tgs_request::TgsRequest;

use crate::ccache::Credential;
use crate::codes::PaType;
use crate::crypto::Random;
use crate::error::Result;
use crate::time::{Instant, Time};

/// An exchange with KDCs, one message at a time.
pub trait Exchange {
    /// The next thing to do. The first call has no reply; each later one has the reply to the message
    /// that the call before gave. A call without a reply gives the last message again.
    ///
    /// # Errors
    /// What ends the exchange: a refusal of the KDC ([`crate::Error::Protocol`]), a reply that does
    /// not answer the request ([`crate::Error::ReplyMismatch`]), a wrong password
    /// ([`crate::Error::PasswordIncorrect`]), bytes that are no message ([`crate::Error::Malformed`]).
    fn step(&mut self, now: Instant, random: &mut dyn Random, reply: Option<&[u8]>) -> Result<Step>;

    /// How far the KDC's clock is ahead of the caller's, once that is known. Before the exchange is
    /// done it is only what some KDC-REP or KRB-ERROR claimed.
    fn clock_offset(&self) -> Option<ClockOffset>;

    /// What was decided since the last call, in words for a trace: the enctype and salt, the method
    /// of the proof, a referral that is followed, a clock that is taken over.
    fn decisions(&mut self) -> Vec<String>;
}

/// What an [`Exchange`] wants.
#[derive(Debug)]
pub enum Step {
    /// Send this message to a KDC and bring its reply.
    Send {
        /// Whose KDC.
        realm: String,
        /// The message, without the length that TCP puts before it.
        message: Vec<u8>,
    },
    /// Nothing more: here is the ticket.
    Done(Box<Outcome>),
}

/// What an [`Exchange`] brought.
#[derive(Debug)]
pub struct Outcome {
    /// The ticket that was wanted.
    pub credential: Credential,
    /// The ticket-granting tickets of other realms that were got on the way, nearest first.
    pub hops: Vec<Credential>,
    /// The method by which the client proved itself to the KDC (RFC 4120 5.2.7).
    pub preauth: Option<PaType>,
    /// The choices that its method made, for a credential cache (`pa_config_data`).
    pub choices: Vec<(String, String)>,
    /// Whether the KDC says, authenticated, that it knows FAST (RFC 6806 11).
    pub fast_available: bool,
    /// When the client's password expires, if the KDC tells (RFC 4120 5.4.2).
    pub password_expires: Option<Time>,
}
