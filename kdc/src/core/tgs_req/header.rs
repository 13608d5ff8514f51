//! Opening what a TGS-REQ presents: the ticket in PA-TGS-REQ and its authenticator (RFC 4120 3.3.2).
//! Nothing is believed here yet but what decrypts.

use libkrb::codes::PaType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::ticket::{self, OpenAuthenticator, OpenTicket};
use libkrb::wire::{self, ApReq, EncTicketPart, EncryptedData, KdcReq, Ticket};
use libkrb::{Error, ErrorCode, Principal, Time};

use super::super::Kdc;
use super::super::entry::Entry;
use super::super::refuse::{Refusal, because};
use super::foreign;

/// The presented ticket, decrypted, and its authenticator, still sealed.
pub struct Presented<'a> {
    server_name: Principal,
    ticket: OpenTicket,
    authenticator: EncryptedData<'a>,
}

/// The presented ticket and authenticator, decrypted.
pub struct Header<'a> {
    /// Whom the presented ticket is for.
    pub server_name: &'a Principal,
    /// The ticket.
    pub ticket: EncTicketPart<'a>,
    /// Its session key.
    pub session: Key,
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
    let (server_name, ticket) = if ap_req.ticket.realm == kdc.policy.realm {
        open_ticket(kdc, now, &ap_req.ticket)?
    } else {
        let (name, server) = foreign::trust(kdc, now, &ap_req.ticket)?;
        (name, open_with(kdc, now, &ap_req.ticket, &server)?)
    };
    Ok(Presented { server_name, ticket, authenticator: ap_req.authenticator })
}

impl Presented<'_> {
    /// Reads the ticket and opens the authenticator with its session key.
    pub fn header(&self) -> Result<Header<'_>, Refusal> {
        let unreadable = because(ErrorCode::GENERIC, "malformed ticket or authenticator");
        let ticket = self.ticket.read().map_err(unreadable)?;
        let unusable = because(ErrorCode::ETYPE_NOSUPP, "the presented ticket's session key can't be used");
        let session = ticket.key.key().map_err(unusable)?;
        let shut = because(ErrorCode::BAD_INTEGRITY, "the authenticator does not open with the ticket's session key");
        let authenticator =
            ticket::open_authenticator(&self.authenticator, &session.prepare(KeyUsage::TGS_REQ_AUTHENTICATOR))
                .map_err(shut)?;
        Ok(Header { server_name: &self.server_name, ticket, session, authenticator })
    }
}

/// Opens a ticket that this realm issued, with the key version that it names.
pub fn open_ticket(kdc: &Kdc<'_>, now: Time, ticket: &Ticket<'_>) -> Result<(Principal, OpenTicket), Refusal> {
    let ours = ticket.realm == kdc.policy.realm;
    Refusal::unless(ours, ErrorCode::NOT_US, "the presented ticket was not issued by this realm")?;
    let name = ticket.server.principal(ticket.realm).map_err(because(ErrorCode::NOT_US, "not a principal name"))?;
    let server = kdc.store.lookup(&name)?;
    let server = server.ok_or(Refusal::new(ErrorCode::NOT_US, "the presented ticket's server is not in this realm"))?;
    let opened = open_with(kdc, now, ticket, &server)?;
    Ok((name, opened))
}

fn open_with(kdc: &Kdc<'_>, now: Time, ticket: &Ticket<'_>, server: &Entry) -> Result<OpenTicket, Refusal> {
    let sealed = &ticket.enc_part;
    let mut keys = server
        .living(now)
        .filter(|set| sealed.kvno.is_none_or(|kvno| kvno == set.kvno))
        .flat_map(|set| &set.keys)
        .filter(|key| key.etype() == sealed.etype && kdc.policy.etypes.contains(&key.etype()))
        .peekable();
    let known = keys.peek().is_some();
    Refusal::unless(known, ErrorCode::BADKEYVER, "the presented ticket's key version is not known any more")?;
    let opened = keys.find_map(|key| match ticket::open_ticket(ticket, key.ticket()) {
        Ok(opened) => Some(Ok(opened)),
        Err(Error::Integrity) => None,
        Err(other) => Some(Err(other)),
    });
    let integrity = because(ErrorCode::BAD_INTEGRITY, "the presented ticket does not open with its server's key");
    opened.unwrap_or(Err(Error::Integrity)).map_err(integrity)
}
