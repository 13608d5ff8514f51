//! An open context: messages wrapped and signed (RFC 4121 4.2). Not here: how it was opened.

mod direction;
mod header;
mod window;

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use super::ContextFlags;
use crate::crypto::{self, Key, Random};
use crate::error::{Error, Result};
use crate::session::Role;
use direction::Direction;
use header::{Header, Kind, Sender};
use window::Window;

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

/// Where the message stands in a buffer that held a Wrap token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnwrappedInPlace {
    /// The message's place.
    pub message: Range<usize>,
    /// Whether nobody else could read it.
    pub confidential: bool,
}

/// How many octets a Wrap token has around its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrapRoom {
    /// Before it: the header, and what encryption begins with.
    pub before: usize,
    /// After it: the trailer.
    pub after: usize,
}

/// An open context. Keys are made ready when they are first used, once for each direction and kind
/// of token, and wiped with the context.
///
/// Keys of the broken RC4 open contexts and sign no messages: their tokens are those of RFC 4757,
/// which nothing here speaks.
pub struct Context {
    flags: ContextFlags,
    role: Role,
    key: Key,
    initiator_key: Key,
    outgoing: Direction,
    incoming: Direction,
    /// The number of our next message.
    next: u64,
    window: Window,
}

/// What the exchange agreed on.
pub(super) struct Opening {
    pub flags: ContextFlags,
    pub role: Role,
    /// The initiator's subkey, or the session key where it chose none.
    pub initiator_key: Key,
    /// What the acceptor put in its place.
    pub acceptor_subkey: Option<Key>,
    /// The number of our first message.
    pub send: u32,
    /// The number of the peer's first message.
    pub receive: u32,
}

impl Context {
    pub(super) fn open(opening: Opening) -> Context {
        let Opening { flags, role, initiator_key, acceptor_subkey, send, receive } = opening;
        let peer = if role == Role::Initiator { Role::Acceptor } else { Role::Initiator };
        let acceptors = acceptor_subkey.is_some();
        let direction = |role| Direction::new(Sender { role, acceptor_subkey: acceptors });
        Context {
            flags,
            role,
            key: acceptor_subkey.unwrap_or_else(|| initiator_key.clone()),
            initiator_key,
            outgoing: direction(role),
            incoming: direction(peer),
            next: u64::from(send),
            window: Window::new(flags, u64::from(receive)),
        }
    }

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
    pub fn wrap(&mut self, random: &mut dyn Random, confidential: bool, message: &[u8]) -> Result<Vec<u8>> {
        let room = self.wrap_room(confidential)?;
        let mut token = Vec::with_capacity(room.before + message.len() + room.after);
        token.resize(room.before, 0);
        token.extend_from_slice(message);
        token.resize(token.len() + room.after, 0);
        self.wrap_in_place(random, confidential, &mut token)?;
        Ok(token)
    }

    /// The room that [`Context::wrap_in_place`] needs around a message.
    ///
    /// # Errors
    /// When the context has no Wrap tokens, or none that are `confidential`.
    pub fn wrap_room(&self, confidential: bool) -> Result<WrapRoom> {
        self.offers(if confidential { ContextFlags::CONFIDENTIALITY } else { ContextFlags::INTEGRITY })?;
        let (before, after) = self.outgoing.room(&self.key, confidential)?;
        Ok(WrapRoom { before, after })
    }

    /// Makes a Wrap token of a buffer in which the message stands with the room around it that
    /// [`Context::wrap_room`] tells; nothing is copied.
    ///
    /// # Errors
    /// When the context does not offer it, and [`Error::Malformed`] for a buffer without that room.
    pub fn wrap_in_place(&mut self, random: &mut dyn Random, confidential: bool, token: &mut [u8]) -> Result<()> {
        let room = self.wrap_room(confidential)?;
        if token.len() < room.before + room.after {
            return Err(Error::Malformed("a buffer without room for a Wrap token"));
        }
        let header = Header::new(Kind::Wrap, self.outgoing.sender, confidential, self.next);
        if confidential {
            self.outgoing.seal(&self.key, random, header, token)?;
        } else {
            self.outgoing.sign(&self.key, header, token)?;
        }
        self.next = self.next.wrapping_add(1);
        Ok(())
    }

    /// The message of a Wrap token. One that comes twice, or out of order where order was agreed on,
    /// is refused.
    ///
    /// # Errors
    /// Those of a token that is none, was changed, or comes again.
    pub fn unwrap(&mut self, token: &[u8]) -> Result<Unwrapped> {
        let mut message = Zeroizing::new(token.to_vec());
        let found = self.unwrap_in_place(&mut message)?;
        message.truncate(found.message.end);
        message.drain(..found.message.start);
        Ok(Unwrapped { message, confidential: found.confidential })
    }

    /// As [`Context::unwrap`], leaving the message where it stands in the token. After an error the
    /// buffer is of no use.
    ///
    /// # Errors
    /// As [`Context::unwrap`].
    pub fn unwrap_in_place(&mut self, token: &mut [u8]) -> Result<UnwrappedInPlace> {
        let header = Header::read(Kind::Wrap, self.incoming.sender, token)?;
        let confidential = header.sealed();
        let message = if confidential {
            self.incoming.unseal(&self.key, header, token)?
        } else {
            self.incoming.verify(&self.key, header, token)?
        };
        self.window.take(header.sequence())?;
        Ok(UnwrappedInPlace { message, confidential })
    }

    /// The MIC token of a message (RFC 4121 4.2.6.1).
    ///
    /// # Errors
    /// When the context does not offer it.
    pub fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        self.offers(ContextFlags::INTEGRITY)?;
        let header = Header::new(Kind::Mic, self.outgoing.sender, false, self.next);
        let token = self.outgoing.mic(&self.key, header, message)?;
        self.next = self.next.wrapping_add(1);
        Ok(token)
    }

    /// Refuses unless `token` is the peer's signature of the message.
    ///
    /// # Errors
    /// As [`Context::unwrap`].
    pub fn verify_mic(&mut self, message: &[u8], token: &[u8]) -> Result<()> {
        let header = Header::read(Kind::Mic, self.incoming.sender, token)?;
        self.incoming.verify_mic(&self.key, header, message, token)?;
        self.window.take(header.sequence())
    }

    /// The longest message whose Wrap token is no longer than `max_token` (RFC 2743 2.2.6); 0 where
    /// there are no such tokens.
    pub fn wrap_size_limit(&self, confidential: bool, max_token: usize) -> usize {
        self.wrap_room(confidential).map_or(0, |room| max_token.saturating_sub(room.before + room.after))
    }

    /// GSS_Pseudo_random (RFC 4401, 4402): both ends make the same `length` octets of the same
    /// `input`, and nobody else does.
    ///
    /// # Errors
    /// For more output than the function has.
    pub fn prf(&self, key: PrfKey, input: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>> {
        let key = match key {
            PrfKey::Full => &self.key,
            PrfKey::Partial => &self.initiator_key,
        };
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        let mut numbered = [&[0; 4], input].concat();
        for number in 0u32.. {
            if out.len() >= length {
                break;
            }
            if number == u32::MAX {
                return Err(Error::Malformed("more asked of GSS_Pseudo_random than its counter can count"));
            }
            if let Some(counter) = numbered.first_chunk_mut() {
                *counter = number.to_be_bytes();
            }
            let block = Zeroizing::new(key.prf(&numbered)?);
            let wanted = block.len().min(length - out.len());
            out.extend(block.iter().take(wanted));
        }
        Ok(out)
    }

    /// Refuses what was not agreed on.
    fn offers(&self, wanted: ContextFlags) -> Result<()> {
        if self.flags.has(wanted) {
            return Ok(());
        }
        Err(Error::Setting(format!("the context was opened without {wanted}")))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({:?}, {}, {:?})", self.role, self.flags, self.key)
    }
}

/// Refuses the enctypes whose message tokens are older than RFC 4121.
fn modern(key: &Key) -> Result<&Key> {
    if crypto::is_weak(key.etype()) { Err(Error::EtypeNotSupported(key.etype())) } else { Ok(key) }
}

#[cfg(test)]
mod tests;
