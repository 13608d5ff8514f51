//! What the KDC vouches for in a ticket: read out of AD-CAMMACs whose checksum was made with the very
//! key that seals the ticket (RFC 7751 4, RFC 8129 5). What stands elsewhere, the client may have written.

use crate::authz::{cammac, indicators, roles};
use crate::crypto::Key;
use crate::wire::EncTicketPart;

/// What the KDC says of the client.
#[derive(Clone, Debug, Default)]
pub(super) struct Vouched {
    pub(super) indicators: Vec<String>,
    pub(super) roles: Vec<String>,
}

impl Vouched {
    /// Of a ticket that `key` opened. A container with another checksum says nothing.
    pub(super) fn read(ticket: &EncTicketPart<'_>, key: &Key) -> Vouched {
        let mut vouched = Vouched::default();
        for container in cammac::find(ticket.authorization_data.as_ref()) {
            let Ok(elements) = cammac::vouched_by_service(&container, key) else { continue };
            vouched.indicators.extend(indicators::read(&elements));
            vouched.roles.extend(roles::read(&elements));
        }
        vouched
    }
}
