//! One entry of a cache: a ticket with its session key, or a configuration entry in that form.

use crate::codes::{AddressType, AuthDataType, NameType};
use crate::flags::TicketFlags;
use crate::name::Principal;
use crate::storage::RawKey;
use crate::time::Time;

const CONFIG_REALM: &str = "X-CACHECONF:";
const REMOVED_REALM: &str = "X-RMED-CONF:";
const CONFIG_NAME: &str = "krb5_ccache_conf_data";

/// A ticket and what its client needs to use it (RFC 4120 5.3, 5.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Whom the ticket names.
    pub client: Principal,
    /// Which service the ticket is for.
    pub server: Principal,
    /// The session key.
    pub key: RawKey,
    /// When the client proved who it is.
    pub auth_time: Time,
    /// From when the ticket is good; [`Time::EPOCH`] for the authentication time.
    pub start_time: Time,
    /// Until when the ticket is good.
    pub end_time: Time,
    /// Until when it can be renewed; [`Time::EPOCH`] for never.
    pub renew_till: Time,
    /// Whether the ticket is encrypted in a session key: user-to-user (RFC 4120 3.7).
    pub is_skey: bool,
    /// The flags of the ticket.
    pub flags: TicketFlags,
    /// The addresses the ticket is good from; none for any.
    pub addresses: Vec<Address>,
    /// The authorization data that the client asked for.
    pub authdata: Vec<AuthData>,
    /// The ticket, in DER; for a configuration entry its value.
    pub ticket: Vec<u8>,
    /// The ticket whose session key encrypts a user-to-user ticket, in DER, or nothing.
    pub second_ticket: Vec<u8>,
}

/// An address (RFC 4120 5.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The kind of address.
    pub kind: AddressType,
    /// The address.
    pub bytes: Vec<u8>,
}

/// An element of authorization data (RFC 4120 5.2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthData {
    /// What it is.
    pub kind: AuthDataType,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Credential {
    /// A configuration entry of `owner`'s cache.
    pub fn config(owner: &Principal, key: &str, principal: Option<&Principal>, value: &[u8]) -> Self {
        let tied_to = principal.map(Principal::to_string);
        let components = [CONFIG_NAME, key].into_iter().chain(tied_to.as_deref());
        let server = Principal::new(NameType::PRINCIPAL, CONFIG_REALM, components);
        Credential {
            client: owner.clone(),
            server: server.unwrap_or_else(|_| Principal::nameless(NameType::PRINCIPAL, CONFIG_REALM)),
            key: RawKey::none(),
            auth_time: Time::EPOCH,
            start_time: Time::EPOCH,
            end_time: Time::EPOCH,
            renew_till: Time::EPOCH,
            is_skey: false,
            flags: TicketFlags::NONE,
            addresses: vec![],
            authdata: vec![],
            ticket: value.to_vec(),
            second_ticket: vec![],
        }
    }

    /// Whether this is a configuration entry and no ticket.
    pub fn is_config(&self) -> bool {
        self.server.realm() == CONFIG_REALM
            && self.server.components().first().is_some_and(|name| **name == *CONFIG_NAME)
    }

    /// The key of a configuration entry ("fast_avail"); its value is in `ticket`.
    pub fn config_key(&self) -> Option<&str> {
        self.config_part(1)
    }

    /// The principal that a configuration entry is tied to, as text.
    pub fn config_principal(&self) -> Option<&str> {
        self.config_part(2)
    }

    fn config_part(&self, index: usize) -> Option<&str> {
        let part = self.server.components().get(index)?;
        self.is_config().then_some(part)
    }

    /// Whether this is what a removal leaves in the file: readers skip it.
    pub fn is_removed(&self) -> bool {
        self.end_time == Time::EPOCH && self.auth_time != Time::EPOCH
    }

    /// What a removal leaves: the same number of bytes, matching no search, with no secret in them.
    pub(super) fn removed(mut self) -> Self {
        if self.is_config() {
            self.server = self.server.in_realm(REMOVED_REALM);
        }
        self.auth_time = Time(i64::from(u32::MAX));
        self.end_time = Time::EPOCH;
        self.key.bytes.fill(0);
        self.ticket.fill(0);
        self.second_ticket.fill(0);
        self
    }
}
