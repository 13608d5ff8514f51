//! An open context: messages wrapped and signed (RFC 4121 4.2). Not here: how it was opened.

use zeroize::Zeroizing;

use super::ContextFlags;
use crate::crypto::{Key, Random};
use crate::error::{Error, Result};
use crate::session::Role;

const UNFINISHED: Error = Error::Malformed("not yet");

/// Which key GSS_Pseudo_random uses (RFC 4402).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrfKey {
    /// The key of the conversation.
    Full,
    /// The initiator's subkey, known before the acceptor answers.
    Partial,
}

/// What came out of a Wrap token.
#[derive(Clone, Debug)]
pub struct Unwrapped {
    /// The message.
    pub message: Zeroizing<Vec<u8>>,
    /// Whether nobody else could read it.
    pub confidential: bool,
}

/// An open context.
pub struct Context {
    flags: ContextFlags,
    role: Role,
    key: Key,
}

impl Context {
    /// What the context offers.
    pub fn flags(&self) -> ContextFlags {
        self.flags
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The key of the conversation.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// A message in a Wrap token, encrypted if `confidential` (RFC 4121 4.2.6.2).
    ///
    /// # Errors
    /// When the context does not offer it.
    pub fn wrap(&mut self, _random: &mut dyn Random, _confidential: bool, _message: &[u8]) -> Result<Vec<u8>> {
        Err(UNFINISHED)
    }

    /// The message of a Wrap token. One that comes twice, or out of order where order was agreed on,
    /// is refused.
    ///
    /// # Errors
    /// Those of a token that is none, was changed, or comes again.
    pub fn unwrap(&mut self, _token: &[u8]) -> Result<Unwrapped> {
        Err(UNFINISHED)
    }

    /// The MIC token of a message (RFC 4121 4.2.6.1).
    ///
    /// # Errors
    /// When the context does not offer it.
    pub fn mic(&mut self, _message: &[u8]) -> Result<Vec<u8>> {
        Err(UNFINISHED)
    }

    /// Refuses unless `token` is the peer's signature of the message.
    ///
    /// # Errors
    /// As [`Context::unwrap`].
    pub fn verify_mic(&mut self, _message: &[u8], _token: &[u8]) -> Result<()> {
        Err(UNFINISHED)
    }

    /// The longest message whose Wrap token is no longer than `max_token` (RFC 2743 2.2.6).
    pub fn wrap_size_limit(&self, _confidential: bool, _max_token: usize) -> usize {
        0
    }

    /// GSS_Pseudo_random (RFC 4401, 4402).
    ///
    /// # Errors
    /// For more output than the function has.
    pub fn prf(&self, _key: PrfKey, _input: &[u8], _length: usize) -> Result<Zeroizing<Vec<u8>>> {
        Err(UNFINISHED)
    }
}
