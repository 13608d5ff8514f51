//! A user's tickets that the user has handed over: credentials for the next hop, so that the service
//! there sees the user and not only us (RFC 4120 2.6, RFC 4121 4.1.1).
//!
//! S4U2Proxy (MS-SFU) has its place here too: a method beside [`Credentials::delegated`] that takes
//! the ticket which the user has shown to this service, in the place of a ticket-granting one, and
//! gives [`Credentials`] of the user whose tickets are got with it and with our own.

use std::sync::Arc;

use super::board::{Board, Schedule};
use super::origin::Backing;
use super::{Credentials, Inner, Shared};
use crate::ccache::{Address, Ccache, Credential, RawKey};
use crate::error::{Error, ErrorCode, Result};
use crate::name::Principal;
use crate::net::{Care, Client, Source, as_request};
use crate::session::{CredTicket, ReceivedCred};
use crate::time::{Seconds, Time};

impl Credentials {
    /// The credentials of a user who has handed over a ticket, with our rules and our way to the KDCs.
    /// `caller` is who has authenticated to us ([`crate::gss::Caller`]).
    ///
    /// They live in memory alone, are gone with their last clone, are not renewed, and end when the
    /// ticket does. No background task sees to them.
    ///
    /// # Errors
    /// KRB_AP_ERR_BADMATCH for tickets of somebody else than the caller: what a KRB-CRED says of its
    /// owner is a claim, which the KDC checks only when the ticket is used. [`Error::Malformed`] if
    /// there is no ticket-granting ticket among them, or one that does not say when it ends.
    pub fn delegated(&self, received: &ReceivedCred, caller: &Principal) -> Result<Credentials> {
        if received.tickets.iter().any(|ticket| ticket.client != *caller) {
            return Err(Error::protocol(ErrorCode::BADMATCH, "the tickets that were handed over are of somebody else"));
        }
        let mut cache = Ccache::new(caller.clone());
        cache.credentials = received.tickets.iter().map(credential).collect::<Result<_>>()?;
        let tgt = cache.tgt(Time::EPOCH).cloned();
        let tgt = tgt.ok_or(Error::Malformed("KRB-CRED: no ticket-granting ticket"))?;
        let service = self.inner();
        let (transport, pace) = (service.client.transport().clone(), service.pace);
        let board = Arc::new(Board::new(caller.clone(), Schedule::Demand, pace, transport.clone()));
        let refusals = Seconds::try_from(pace.refusals.as_secs()).unwrap_or(Seconds::MAX);
        let heard = board.clone();
        let care = Care { refusals, listener: Some(Arc::new(move |report| heard.heard(&report))) };
        let request = as_request(transport.config(), caller.clone());
        let client = Client::cared_for(transport, request, Source::Given, care);
        client.adopt(&cache);
        client.take_clock_of(&service.client);
        board.succeeded(&tgt, client.kdc_clock());
        let (rules, alarm) = (service.rules.clone(), service.alarm.clone());
        let inner = Inner {
            client,
            board,
            rules,
            pace,
            alarm,
            origin: Arc::new(Backing::Given),
            accept_only: false,
            fetching: None,
        };
        Ok(Credentials(Arc::new(Shared { inner: Arc::new(inner), tasks: vec![] })))
    }
}

fn credential(ticket: &CredTicket) -> Result<Credential> {
    let address = |address: &crate::session::Address| Address { kind: address.kind, bytes: address.bytes.clone() };
    let auth_time = ticket.auth_time.or(ticket.start_time).unwrap_or(Time::EPOCH);
    Ok(Credential {
        client: ticket.client.clone(),
        server: ticket.server.clone(),
        key: RawKey::from(&ticket.key),
        auth_time,
        start_time: ticket.start_time.unwrap_or(auth_time),
        end_time: ticket.end_time.ok_or(Error::Malformed("KRB-CRED: a ticket without an end"))?,
        renew_till: ticket.renew_till.unwrap_or(Time::EPOCH),
        is_skey: false,
        flags: ticket.flags,
        addresses: ticket.addresses.iter().map(address).collect(),
        authdata: vec![],
        ticket: ticket.ticket.clone(),
        second_ticket: vec![],
    })
}
