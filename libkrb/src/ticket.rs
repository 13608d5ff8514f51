//! Tickets and authenticators, sealed and open: two types each, so that nothing is read before it
//! was decrypted and verified (RFC 4120 5.3, 5.5.1).

mod known;
mod places;

pub use known::{KnownTickets, Mark, Remembered};

use std::ops::Range;
use std::sync::OnceLock;

use places::Places;

use crate::authz::pac;
use crate::crypto::{BaseKey, KeyUsage, Plain, PreparedKey};
use crate::error::{Error, Result};
use crate::wire::{self, Authenticator, EncTicketPart, EncryptedData, Ticket};

/// The contents of a ticket, whose integrity was verified under the server's key.
pub struct OpenTicket {
    plain: Plain,
    /// None of what is no ticket.
    places: Option<Places>,
    /// Where its PAC stands, once somebody asked.
    pac: OnceLock<Option<Range<usize>>>,
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
    Ok(OpenTicket { plain, places, pac: OnceLock::new() })
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

    /// The PAC in it, if there is one ([`pac::find`]), which is looked for once.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what is no ticket, and for one with several.
    pub fn pac(&self) -> Result<Option<&[u8]>> {
        if let Some(place) = self.pac.get() {
            return Ok(place.as_ref().and_then(|place| self.plain.get(place.clone())));
        }
        let found = pac::find(&self.read()?)?;
        let place = found.and_then(|pac| places::place(pac, &self.plain));
        if place.is_some() == found.is_some() {
            self.pac.get_or_init(|| place);
        }
        Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Principal;
    use crate::codes::{AuthDataType, EncryptionType};
    use crate::crypto::{Key, OsRandom};
    use crate::flags::TicketFlags;
    use crate::time::Time;
    use crate::wire::{AuthData, EncryptionKey, Fixed, List, TransitedEncoding};

    /// What a ticket says at least.
    pub(super) fn sparse(client: &Principal) -> EncTicketPart<'_> {
        EncTicketPart {
            flags: TicketFlags::INITIAL,
            key: EncryptionKey { etype: EncryptionType::AES256_SHA1, value: &[7; 32] },
            client_realm: client.realm(),
            client: client.into(),
            transited: TransitedEncoding::NONE,
            auth_time: Time(1_800_000_000),
            start_time: None,
            end_time: Time(1_800_000_001),
            renew_till: None,
            addresses: None,
            authorization_data: None,
        }
    }

    /// A ticket with so many PACs, opened.
    fn open(pacs: usize) -> OpenTicket {
        let client = Principal::parse("alice@EXAMPLE.ORG", None).expect("a name");
        let wrapped = pac::wrapped(b"what a PAC says");
        let elements = vec![AuthData { kind: AuthDataType::IF_RELEVANT, data: wrapped.bytes() }; pacs];
        let part = EncTicketPart { authorization_data: Some(List::Items(&elements)), ..sparse(&client) };
        let key = Key::new(EncryptionType::AES256_SHA1, &[1; 32]).expect("a key").prepare(KeyUsage::TICKET);
        let cipher = key.encrypt(&mut OsRandom::new(), &wire::encode(&part));
        let enc_part = EncryptedData { etype: key.etype(), kvno: None, cipher: &cipher };
        let ticket = Ticket { version: Fixed, realm: client.realm(), server: (&client).into(), enc_part };
        open_ticket(&ticket, &key).expect("opens")
    }

    #[test]
    fn however_often_the_pac_of_a_ticket_is_asked_for_it_is_the_same() {
        let (none, one, two) = (open(0), open(1), open(2));
        for _ in 0..3 {
            assert_eq!(none.pac(), Ok(None));
            assert_eq!(one.pac(), Ok(Some(&b"what a PAC says"[..])));
            assert_eq!(two.pac(), Err(Error::Malformed("a ticket with two PACs")));
        }
    }
}
