//! Opening what a TGS-REQ presents: the ticket in PA-TGS-REQ and its authenticator (RFC 4120 3.3.2).
//! Nothing is believed here yet but what decrypts.

use libkrb::codes::PaType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::ticket::{self, OpenAuthenticator, OpenTicket};
use libkrb::wire::{self, ApReq, KdcReq, Ticket};
use libkrb::{Error, ErrorCode, Principal};

use super::super::Kdc;
use super::super::refuse::{Refusal, because};

/// The presented ticket and authenticator, decrypted.
pub struct Header {
    /// Whom the presented ticket is for.
    pub server_name: Principal,
    /// The ticket.
    pub ticket: OpenTicket,
    /// Its session key.
    pub session: Key,
    /// The authenticator.
    pub authenticator: OpenAuthenticator,
}

/// Finds and opens the presented ticket and authenticator.
pub fn open(kdc: &Kdc<'_>, request: &KdcReq<'_>) -> Result<Header, Refusal> {
    let padata = request
        .padata(PaType::TGS_REQ)
        .ok_or(Refusal::new(ErrorCode::PADATA_TYPE_NOSUPP, "the request presents no ticket"))?;
    let malformed = because(ErrorCode::GENERIC, "malformed AP-REQ in the request");
    let ap_req = wire::decode::<ApReq<'_>>(padata.value).map_err(&malformed)?;
    let (server_name, ticket) = open_ticket(kdc, &ap_req.ticket)?;
    let session = ticket.read().and_then(|part| part.key.key());
    let session =
        session.map_err(because(ErrorCode::ETYPE_NOSUPP, "the presented ticket's session key can't be used"))?;
    let authenticator = ticket::open_authenticator(&ap_req.authenticator, &session, KeyUsage::TGS_REQ_AUTHENTICATOR)
        .map_err(because(ErrorCode::BAD_INTEGRITY, "the authenticator does not open with the ticket's session key"))?;
    Ok(Header { server_name, ticket, session, authenticator })
}

/// Opens a ticket that this realm issued, with the key version that it names.
pub fn open_ticket(kdc: &Kdc<'_>, ticket: &Ticket<'_>) -> Result<(Principal, OpenTicket), Refusal> {
    let ours = ticket.realm == kdc.policy.realm;
    Refusal::unless(ours, ErrorCode::NOT_US, "the presented ticket was not issued by this realm")?;
    let name = ticket.server.principal(ticket.realm).map_err(because(ErrorCode::NOT_US, "not a principal name"))?;
    let server = kdc.store.lookup(&name)?;
    let server = server.ok_or(Refusal::new(ErrorCode::NOT_US, "the presented ticket's server is not in this realm"))?;
    let sealed = &ticket.enc_part;
    let mut keys = server
        .keys
        .iter()
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
    let opened = opened.unwrap_or(Err(Error::Integrity)).map_err(integrity)?;
    Ok((name, opened))
}
