//! Tickets and authenticators, sealed and open: two types each, so that nothing is read before it
//! was decrypted and verified (RFC 4120 5.3, 5.5.1).

mod known;
mod places;

pub use known::{KnownTickets, Mark, Remembered};

use places::Places;

use crate::crypto::{BaseKey, KeyUsage, Plain, PreparedKey};
use crate::error::{Error, Result};
use crate::wire::{self, Authenticator, EncTicketPart, EncryptedData, Ticket};

/// The contents of a ticket, whose integrity was verified under the server's key.
pub struct OpenTicket {
    plain: Plain,
    /// None of what is no ticket.
    places: Option<Places>,
}

/// The contents of an authenticator, whose integrity was verified under the session key.
pub struct OpenAuthenticator(Plain);

/// Opens a ticket with a server key that was prepared for [`KeyUsage::TICKET`].
///
/// # Errors
/// [`Error::Integrity`] when the key is another, or the ticket was changed.
pub fn open_ticket(ticket: &Ticket<'_>, key: &PreparedKey) -> Result<OpenTicket> {
    let plain = key.open(ticket.enc_part.cipher)?;
    let places = wire::decode(&plain).ok().and_then(|part| Places::of(&part, &plain));
    Ok(OpenTicket { plain, places })
}

/// Opens an authenticator with the session key of its ticket, prepared for the usage of its message.
///
/// # Errors
/// [`Error::Integrity`] when the key is another, or the authenticator was changed.
pub fn open_authenticator(sealed: &EncryptedData<'_>, key: &PreparedKey) -> Result<OpenAuthenticator> {
    if sealed.etype != key.etype() {
        return Err(Error::Integrity);
    }
    key.open(sealed.cipher).map(OpenAuthenticator)
}

/// The same, while other keys are derived of the session key too.
///
/// # Errors
/// As [`open_authenticator`].
pub fn open_authenticator_under(
    sealed: &EncryptedData<'_>,
    session: &BaseKey<'_>,
    usage: KeyUsage,
) -> Result<OpenAuthenticator> {
    if sealed.etype != session.etype() {
        return Err(Error::Integrity);
    }
    session.open(usage, sealed.cipher).map(OpenAuthenticator)
}

impl OpenTicket {
    /// What the ticket says.
    ///
    /// # Errors
    /// [`Error::Malformed`] when whoever sealed it sealed something else.
    pub fn read(&self) -> Result<EncTicketPart<'_>> {
        let known = self.places.as_ref().and_then(|places| places.read(&self.plain));
        known.map_or_else(|| wire::decode(&self.plain), Ok)
    }
}

impl OpenAuthenticator {
    /// What the authenticator says.
    ///
    /// # Errors
    /// [`Error::Malformed`] when whoever sealed it sealed something else.
    pub fn read(&self) -> Result<Authenticator<'_>> {
        wire::decode(&self.0)
    }

    /// The decrypted bytes: what a replay key is made of.
    pub fn plain(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for OpenTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenTicket")
    }
}

impl std::fmt::Debug for OpenAuthenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenAuthenticator")
    }
}
