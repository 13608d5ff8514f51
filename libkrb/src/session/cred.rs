//! KRB-CRED: tickets with their keys, on their way to another host (RFC 4120 3.6, 5.8).

use zeroize::Zeroizing;

use super::message::expect;
use super::{Address, Session};
use crate::codes::{EncryptionType, MessageType};
use crate::crypto::{Key, KeyUsage, Random};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::TicketFlags;
use crate::name::Principal;
use crate::time::{Instant, Time};
use crate::wire::{self, EncKrbCredPart, EncryptedData, Fixed, HostAddress, KrbCred, KrbCredInfo, List, Raw, Ticket};

/// A ticket with all that its new holder must know (RFC 4120 5.8.1, KrbCredInfo).
#[derive(Clone, Debug)]
pub struct CredTicket {
    /// Whom the ticket names.
    pub client: Principal,
    /// Which service it is for; a TGT as a rule.
    pub server: Principal,
    /// Its session key.
    pub key: Key,
    /// Its flags.
    pub flags: TicketFlags,
    /// When the client was authenticated.
    pub auth_time: Option<Time>,
    /// When it becomes valid.
    pub start_time: Option<Time>,
    /// When it ends.
    pub end_time: Option<Time>,
    /// Until when it may be renewed.
    pub renew_till: Option<Time>,
    /// From where it may be used; none: from anywhere.
    pub addresses: Vec<Address>,
    /// The ticket, in DER.
    pub ticket: Vec<u8>,
}

/// What a KRB-CRED carried.
#[derive(Clone, Debug)]
pub struct ReceivedCred {
    /// The tickets; at least one.
    pub tickets: Vec<CredTicket>,
    /// When it was made, if it says so.
    pub time: Option<Instant>,
    /// The nonce of a request, if there was one.
    pub nonce: Option<u32>,
}

/// KRB-CRED under a key of the AP exchange (RFC 4120 3.6.1). Within a GSS token it is the ticket's
/// session key, whatever subkeys there are.
///
/// # Errors
/// [`Error::Malformed`] for no ticket at all, or one that is none.
pub fn make_cred(key: &Key, now: Instant, random: &mut dyn Random, tickets: &[CredTicket]) -> Result<Vec<u8>> {
    if tickets.is_empty() {
        return Err(NO_TICKET);
    }
    let sealed: Vec<_> =
        tickets.iter().map(|ticket| Raw::<Ticket<'_>>::parse(&ticket.ticket)).collect::<Result<_>>()?;
    let addresses: Vec<Vec<HostAddress<'_>>> =
        tickets.iter().map(|ticket| ticket.addresses.iter().map(Address::view).collect()).collect();
    let info: Vec<_> = tickets.iter().zip(&addresses).map(|(ticket, addresses)| info(ticket, addresses)).collect();
    let plain = wire::encode_secret(&EncKrbCredPart {
        info: List::Items(&info),
        nonce: None,
        time: Some(now.time),
        micros: Some(now.micros),
        sender: None,
        receiver: None,
    });
    let cipher = key.encrypt(KeyUsage::KRB_CRED, random, &plain);
    Ok(wire::encode(&KrbCred {
        version: Fixed,
        kind: Fixed,
        tickets: List::Items(&sealed),
        enc_part: EncryptedData { etype: key.etype(), kvno: None, cipher: &cipher },
    }))
}

/// Opens a KRB-CRED that came inside a message whose freshness is proven, such as the authenticator
/// of a GSS token: many peers leave out the time there. Where it stands alone use
/// [`Session::read_cred`].
///
/// # Errors
/// MSG_TYPE, BAD_INTEGRITY, and [`Error::Malformed`] when it carries no ticket, or tickets and keys
/// differ in number.
pub fn open_cred(key: &Key, message: &[u8]) -> Result<ReceivedCred> {
    expect(message, MessageType::CRED)?;
    let cred: KrbCred<'_> = wire::decode(message)?;
    if cred.enc_part.etype != key.etype() {
        return Err(Error::EtypeNotSupported(cred.enc_part.etype));
    }
    let plain: Zeroizing<Vec<u8>> = key.decrypt(KeyUsage::KRB_CRED, cred.enc_part.cipher)?;
    received(&cred, &plain)
}

/// As [`open_cred`], of a message out of an authenticator under the same key: there Heimdal spares
/// itself the second encryption (etype 0), RFC 4121 4.1.1 notwithstanding.
pub(crate) fn open_enclosed_cred(key: &Key, message: &[u8]) -> Result<ReceivedCred> {
    const PLAIN: EncryptionType = EncryptionType(0);
    let cred: KrbCred<'_> = wire::decode(message)?;
    if cred.enc_part.etype == PLAIN { received(&cred, cred.enc_part.cipher) } else { open_cred(key, message) }
}

fn received(cred: &KrbCred<'_>, plain: &[u8]) -> Result<ReceivedCred> {
    let part: EncKrbCredPart<'_> = wire::decode(plain)?;
    if cred.tickets.is_empty() {
        return Err(NO_TICKET);
    }
    if cred.tickets.iter().count() != part.info.iter().count() {
        return Err(Error::Malformed("KRB-CRED: not one key for each ticket"));
    }
    let tickets = cred.tickets.iter().zip(part.info.iter());
    Ok(ReceivedCred {
        tickets: tickets.map(|(ticket, info)| cred_ticket(&ticket, &info)).collect::<Result<_>>()?,
        time: part.time.zip(part.micros).map(|(time, micros)| Instant { time, micros }),
        nonce: part.nonce,
    })
}

impl Session {
    /// KRB-CRED: hands tickets to the peer (RFC 4120 3.6.1).
    ///
    /// # Errors
    /// As [`make_cred`].
    pub fn make_cred(&self, now: Instant, random: &mut dyn Random, tickets: &[CredTicket]) -> Result<Vec<u8>> {
        make_cred(&self.key, now, random, tickets)
    }

    /// The tickets that the peer hands over (RFC 4120 3.6.2). Addresses are not checked: the message
    /// is of no use to whoever would send it back.
    ///
    /// # Errors
    /// As [`open_cred`], and KRB_AP_ERR_SKEW for a message that is not of now.
    pub fn read_cred(&self, now: Instant, message: &[u8]) -> Result<Vec<CredTicket>> {
        let received = open_cred(&self.key, message)?;
        match received.time {
            Some(sent) if sent.time.distance(now.time) <= self.skew => Ok(received.tickets),
            _ => Err(Error::code(ErrorCode::SKEW)),
        }
    }
}

const NO_TICKET: Error = Error::Malformed("KRB-CRED: no ticket");

fn info<'a>(ticket: &'a CredTicket, addresses: &'a [HostAddress<'a>]) -> KrbCredInfo<'a> {
    KrbCredInfo {
        key: (&ticket.key).into(),
        client_realm: Some(ticket.client.realm()),
        client: Some((&ticket.client).into()),
        flags: Some(ticket.flags),
        auth_time: ticket.auth_time,
        start_time: ticket.start_time,
        end_time: ticket.end_time,
        renew_till: ticket.renew_till,
        server_realm: Some(ticket.server.realm()),
        server: Some((&ticket.server).into()),
        addresses: Some(List::Items(addresses)).filter(|list| !list.is_empty()),
    }
}

/// Names come from the encrypted part alone; the one that stands clear in the ticket is anyone's.
fn cred_ticket(ticket: &Raw<'_, Ticket<'_>>, info: &KrbCredInfo<'_>) -> Result<CredTicket> {
    const NAMELESS: Error = Error::Malformed("KRB-CRED: a ticket without client or server");
    let client = info.client.zip(info.client_realm).ok_or(NAMELESS)?;
    let server = info.server.zip(info.server_realm).ok_or(NAMELESS)?;
    Ok(CredTicket {
        client: client.0.principal(client.1)?,
        server: server.0.principal(server.1)?,
        key: info.key.key()?,
        flags: info.flags.unwrap_or_default(),
        auth_time: info.auth_time,
        start_time: info.start_time,
        end_time: info.end_time,
        renew_till: info.renew_till,
        addresses: info.addresses.iter().flat_map(List::iter).map(Address::from).collect(),
        ticket: ticket.der.to_vec(),
    })
}
