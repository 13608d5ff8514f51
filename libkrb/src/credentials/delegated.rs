//! A user's tickets that the user has handed over: credentials for the next hop, so that the service
//! there sees the user and not only us (RFC 4120 2.6, RFC 4121 4.1.1).
//! Or without their tickets, where the KDC lets this service act in their names (MS-SFU).

use std::sync::Arc;

use super::board::{Board, Schedule};
use super::origin::Backing;
use super::{Credentials, Inner, Shared};
use crate::ccache::{Address, Ccache, Credential, RawKey};
use crate::client::User;
use crate::error::{Error, ErrorCode, Result};
use crate::name::Principal;
use crate::net::{Acting, Care, Client, Evidence, Source, as_request};
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
        let users = self.in_the_name_of(caller.clone(), Source::Given);
        let client = &users.inner().client;
        client.adopt(&cache);
        client.take_clock_of(&self.inner().client);
        users.inner().board.succeeded(&tgt, client.kdc_clock());
        Ok(users)
    }

    /// The credentials of a user whom this service has let in by other means: its tickets are got in the
    /// user's name with its own (S4U2Self, then S4U2Proxy). The KDC must allow it: the service's own
    /// entry with `+ok_to_auth_as_delegate` and the services that it reaches in `allowed_to_delegate_to`,
    /// or these list it in `allowed_to_delegate_from`.
    ///
    /// No message is sent before a ticket is wanted. They live in memory alone and are gone with their
    /// last clone.
    ///
    /// ```no_run
    /// # use libkrb::{Principal, credentials::{Credentials, Initiation}};
    /// # async fn example(gateway: Credentials) -> libkrb::Result<()> {
    /// let alice = gateway.impersonate(&Principal::parse("alice@EXAMPLE.ORG", None)?);
    /// let users = alice.spn("https://user-service.shop/")?;
    /// // What user-service sees is alice.
    /// let initiator = alice.initiator(&users, Initiation::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn impersonate(&self, user: &Principal) -> Credentials {
        self.acting(Evidence::Said(User::Named(user.clone())))
    }

    /// The credentials of a user who has shown this service a ticket ([`crate::service::Accepted::shown`]): with that ticket, and this
    /// service's own, tickets to other services are got (S4U2Proxy). The user's ticket must be
    /// forwardable, and the KDC must allow it as for [`Credentials::impersonate`], but for
    /// `ok_to_auth_as_delegate`. They end when that ticket does.
    pub fn proxy(&self, shown: Credential) -> Credentials {
        self.acting(Evidence::Shown(Arc::new(shown)))
    }

    fn acting(&self, evidence: Evidence) -> Credentials {
        let acting = Acting { service: self.inner().client.clone(), evidence };
        let users = self.in_the_name_of(acting.user(), Source::Acting(Box::new(acting)));
        users.inner().client.take_clock_of(&self.inner().client);
        users
    }

    /// Credentials of somebody else, with our rules and our way to the KDCs.
    fn in_the_name_of(&self, user: Principal, source: Source) -> Credentials {
        let service = self.inner();
        let (transport, pace) = (service.client.transport().clone(), service.pace);
        let board = Arc::new(Board::new(user.clone(), Schedule::Demand, pace, transport.clone()));
        let refusals = Seconds::try_from(pace.refusals.as_secs()).unwrap_or(Seconds::MAX);
        let heard = board.clone();
        let care = Care { refusals, listener: Some(Arc::new(move |report| heard.heard(&report))) };
        let request = as_request(transport.config(), user);
        let accept_only = matches!(source, Source::Acting(_));
        let client = Client::cared_for(transport, request, source, care);
        let (rules, alarm) = (service.rules.clone(), service.alarm.clone());
        let origin = Arc::new(Backing::Given);
        let inner = Inner { client, board, rules, pace, alarm, origin, accept_only, fetching: None };
        Credentials(Arc::new(Shared { inner: Arc::new(inner), tasks: vec![] }))
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
