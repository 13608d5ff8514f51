//! SPNEGO (RFC 4178): a negotiation around the Kerberos mechanism.

use super::acceptor::{AcceptStep, Asked, Opened};
use super::initiator::InitiatorStep;
use super::krb5;
use crate::client::ClockOffset;
use crate::crypto::Random;
use crate::error::{Error, Result};
use crate::time::Instant;

const UNFINISHED: Error = Error::Malformed("not yet");

/// Whether a first token speaks SPNEGO.
pub(super) fn is_spnego(_token: &[u8]) -> bool {
    false
}

/// The initiator's side.
pub(super) struct Initiator {
    kerberos: krb5::Initiator,
}

impl Initiator {
    pub fn new(kerberos: krb5::Initiator) -> Initiator {
        Initiator { kerberos }
    }

    /// As [`super::InitiatorContext::step`].
    pub fn step(&mut self, _now: Instant, _random: &mut dyn Random, _token: Option<&[u8]>) -> Result<InitiatorStep> {
        Err(UNFINISHED)
    }

    pub fn clock_offset(&self) -> Option<ClockOffset> {
        self.kerberos.clock_offset()
    }
}

/// The acceptor's side.
pub(super) struct Acceptor {}

impl Acceptor {
    pub fn new() -> Acceptor {
        Acceptor {}
    }

    /// Reads a token: it is answered at once, or holds an AP-REQ that has to be accepted first.
    pub fn read<'a>(&mut self, _token: &'a [u8]) -> Result<Asked<'a>> {
        Err(UNFINISHED)
    }

    /// The AP-REQ that [`Acceptor::read`] found was accepted.
    pub fn opened(&mut self, _opened: Opened) -> Result<AcceptStep> {
        Err(UNFINISHED)
    }

    /// The token that refuses, around that of the Kerberos mechanism.
    pub fn reject(self: Box<Self>, krb_error: Vec<u8>) -> Vec<u8> {
        krb_error
    }
}
