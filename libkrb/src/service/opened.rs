//! A ticket that a key of the service has opened: read once, its session key made ready. Not here:
//! whether it is good, and for whom.

use std::sync::{Arc, OnceLock};

use super::Options;
use super::accepted::TicketTimes;
use super::authz::{self, AuthzElement, Source};
use super::keys::{self, Unsealed};
use super::vouched::Vouched;
use crate::codes::TransitedType;
use crate::crypto::{Key, KeyUsage, PreparedKey};
use crate::error::Result;
use crate::flags::TicketFlags;
use crate::name::Principal;
use crate::session::Address;
use crate::ticket::Remembered;
use crate::time::Time;

/// What an open ticket says (RFC 4120 5.3). It does not change, so that it can be kept.
pub(super) struct Opened {
    /// Whose key opened it.
    pub(super) server: Arc<Principal>,
    /// Whom it names.
    pub(super) client: Principal,
    pub(super) flags: TicketFlags,
    pub(super) times: TicketTimes,
    pub(super) transited: (TransitedType, Vec<u8>),
    /// Where it may come from; none for anywhere.
    pub(super) addresses: Vec<Address>,
    pub(super) authz: Arc<[AuthzElement]>,
    pub(super) vouched: Arc<Vouched>,
    pub(super) session_key: Key,
    authenticator: PreparedKey,
    reply: OnceLock<PreparedKey>,
}

impl Remembered for Opened {
    fn end(&self) -> Time {
        self.times.end
    }
}

impl Opened {
    /// # Errors
    /// For what is no ticket, for a session key that may not be used, and for restrictions that nobody
    /// here understands.
    pub(super) fn read(options: &Options, unsealed: &Unsealed<'_>) -> Result<Opened> {
        let ticket = unsealed.ticket.read()?;
        let session_key = keys::permitted_key(options, ticket.key)?;
        let mut authz = vec![];
        authz::collect(&options.understood, Source::Ticket, ticket.authorization_data, &mut authz)?;
        let authz: Arc<[AuthzElement]> = authz.into();
        Ok(Opened {
            server: unsealed.server.clone(),
            client: ticket.client.principal(ticket.client_realm)?,
            flags: ticket.flags,
            times: TicketTimes {
                auth: ticket.auth_time,
                start: ticket.start_time.unwrap_or(ticket.auth_time),
                end: ticket.end_time,
                renew_till: ticket.renew_till,
            },
            transited: (ticket.transited.kind, ticket.transited.contents.to_vec()),
            addresses: ticket.addresses.iter().flat_map(|list| list.iter()).map(Address::from).collect(),
            vouched: Arc::new(Vouched::new(authz.clone(), unsealed.signs.clone())),
            authz,
            authenticator: session_key.prepare(KeyUsage::AP_REQ_AUTHENTICATOR),
            reply: OnceLock::new(),
            session_key,
        })
    }

    /// Opens authenticators.
    pub(super) fn authenticator_key(&self) -> &PreparedKey {
        &self.authenticator
    }

    /// Seals AP-REPs.
    pub(super) fn reply_key(&self) -> &PreparedKey {
        self.reply.get_or_init(|| self.session_key.prepare(KeyUsage::AP_REP))
    }
}
