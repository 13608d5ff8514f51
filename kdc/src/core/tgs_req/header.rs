//! Opening what a TGS-REQ presents: the ticket in PA-TGS-REQ and its authenticator (RFC 4120 3.3.2).
//! Nothing is believed here yet but what decrypts.

use std::sync::Arc;

use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, KeyUsage, PreparedChecksum, PreparedPrf};
use libkrb::ticket::{self, OpenAuthenticator, OpenTicket};
use libkrb::wire::{self, ApReq, Authenticator, EncTicketPart, EncryptedData, KdcReq, Ticket};
use libkrb::{Error, ErrorCode, Principal, Time};

use super::super::Kdc;
use super::super::entry::{Entry, LongTermKey};
use super::super::refuse::{Refusal, because};
use super::foreign;

/// A ticket of this realm, decrypted.
pub struct Opened {
    /// Whom it is for, as it says in the clear.
    pub server_name: Principal,
    /// That server's entry.
    pub server: Arc<Entry>,
    /// The ticket.
    pub ticket: OpenTicket,
    /// Which key opened it.
    key: (u32, EncryptionType),
}

impl Opened {
    /// The server, and the key of it that opened the ticket.
    pub fn sealed_by(&self) -> Option<(&Entry, &LongTermKey)> {
        let (kvno, etype) = self.key;
        Some((&*self.server, self.server.version(kvno)?.key(etype)?))
    }
}

/// The presented ticket, decrypted, and its authenticator, still sealed.
pub struct Presented<'a> {
    opened: Opened,
    authenticator: EncryptedData<'a>,
}

/// The presented ticket and authenticator, decrypted.
pub struct Header<'a> {
    /// Whom the presented ticket is for.
    pub server_name: &'a Principal,
    /// That server's entry.
    pub server: &'a Arc<Entry>,
    /// The server, and the key of it that opened the ticket.
    pub sealed_by: Option<(&'a Entry, &'a LongTermKey)>,
    /// The ticket.
    pub ticket: EncTicketPart<'a>,
    /// Its session key.
    pub session: Key,
    /// The same, ready for the checksum of the request.
    pub checksum: PreparedChecksum,
    /// The same, ready to have a part in an armor key, where the request has an envelope.
    pub prf: Option<PreparedPrf>,
    /// The authenticator.
    pub authenticator: OpenAuthenticator,
}

/// Finds and opens the presented ticket.
pub fn open<'a>(kdc: &Kdc<'_>, now: Time, request: &KdcReq<'a>) -> Result<Presented<'a>, Refusal> {
    let padata = request
        .padata(PaType::TGS_REQ)
        .ok_or(Refusal::new(ErrorCode::PADATA_TYPE_NOSUPP, "the request presents no ticket"))?;
    let malformed = because(ErrorCode::GENERIC, "malformed AP-REQ in the request");
    let ap_req = wire::decode::<ApReq<'_>>(padata.value).map_err(&malformed)?;
    let opened = if ap_req.ticket.realm == kdc.policy.realm {
        open_ticket(kdc, now, &ap_req.ticket)?
    } else {
        let (name, server) = foreign::trust(kdc, now, &ap_req.ticket)?;
        open_with(kdc, now, &ap_req.ticket, (name, server))?
    };
    Ok(Presented { opened, authenticator: ap_req.authenticator })
}

impl Presented<'_> {
    /// Reads the ticket and opens the authenticator with its session key.
    pub fn header(&self, request: &KdcReq<'_>) -> Result<Header<'_>, Refusal> {
        let unreadable = because(ErrorCode::GENERIC, "malformed ticket or authenticator");
        let ticket = self.opened.ticket.read().map_err(unreadable)?;
        let unusable = because(ErrorCode::ETYPE_NOSUPP, "the presented ticket's session key can't be used");
        let session = ticket.key.key().map_err(unusable)?;
        let shut = because(ErrorCode::BAD_INTEGRITY, "the authenticator does not open with the ticket's session key");
        let enveloped = request.padata(PaType::FX_FAST).is_some();
        let (authenticator, checksum, prf) = session.derive(|session| {
            let usage = KeyUsage::TGS_REQ_AUTHENTICATOR;
            let authenticator = ticket::open_authenticator_under(&self.authenticator, session, usage);
            let checksum = session.prepare_checksum(KeyUsage::TGS_REQ_CHECKSUM);
            (authenticator, checksum, enveloped.then(|| session.prepare_prf()))
        });
        let authenticator = authenticator.map_err(shut)?;
        let Opened { server_name, server, .. } = &self.opened;
        let sealed_by = self.opened.sealed_by();
        Ok(Header { server_name, server, sealed_by, ticket, session, checksum, prf, authenticator })
    }
}

impl Header<'_> {
    /// What the authenticator says.
    pub fn said(&self) -> Result<Authenticator<'_>, Refusal> {
        let unreadable = because(ErrorCode::GENERIC, "malformed ticket or authenticator");
        self.authenticator.read().map_err(unreadable)
    }
}

/// Opens a ticket that this realm issued, with the key version that it names.
pub fn open_ticket(kdc: &Kdc<'_>, now: Time, ticket: &Ticket<'_>) -> Result<Opened, Refusal> {
    let ours = ticket.realm == kdc.policy.realm;
    Refusal::unless(ours, ErrorCode::NOT_US, "the presented ticket was not issued by this realm")?;
    let name = ticket.server.principal(ticket.realm).map_err(because(ErrorCode::NOT_US, "not a principal name"))?;
    let server = kdc.store.lookup(&name)?;
    let server = server.ok_or(Refusal::new(ErrorCode::NOT_US, "the presented ticket's server is not in this realm"))?;
    open_with(kdc, now, ticket, (name, server))
}

fn open_with(
    kdc: &Kdc<'_>,
    now: Time,
    ticket: &Ticket<'_>,
    (server_name, server): (Principal, Arc<Entry>),
) -> Result<Opened, Refusal> {
    let opened = unsealed(kdc, now, ticket, &server)?;
    let integrity = because(ErrorCode::BAD_INTEGRITY, "the presented ticket does not open with its server's key");
    let (ticket, key) = opened.unwrap_or(Err(Error::Integrity)).map_err(integrity)?;
    Ok(Opened { server_name, server, ticket, key })
}

type Unsealed = libkrb::Result<(OpenTicket, (u32, EncryptionType))>;

/// Tries the server's keys of the version and enctype that the ticket names.
fn unsealed(kdc: &Kdc<'_>, now: Time, ticket: &Ticket<'_>, server: &Entry) -> Result<Option<Unsealed>, Refusal> {
    let sealed = &ticket.enc_part;
    let mut keys = server
        .living(now)
        .filter(|set| sealed.kvno.is_none_or(|kvno| kvno == set.kvno))
        .flat_map(|set| set.keys.iter().map(|key| (set.kvno, key)))
        .filter(|(_, key)| key.etype() == sealed.etype && kdc.policy.etypes.contains(&key.etype()))
        .peekable();
    let known = keys.peek().is_some();
    if !known && sealed.kvno > server.newest().map(|set| set.kvno) && kdc.store.standing().lag.is_some() {
        let cause = "the presented ticket's key is newer than this KDC's copy of the realm";
        return Err(Refusal::new(ErrorCode::SVC_UNAVAILABLE, cause));
    }
    Refusal::unless(known, ErrorCode::BADKEYVER, "the presented ticket's key version is not known any more")?;
    Ok(keys.find_map(|(kvno, key)| match ticket::open_ticket(ticket, key.ticket()) {
        Ok(opened) => Some(Ok((opened, (kvno, key.etype())))),
        Err(Error::Integrity) => None,
        Err(other) => Some(Err(other)),
    }))
}
