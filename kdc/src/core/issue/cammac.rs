//! What the KDC vouches for in a ticket: an AD-CAMMAC with a checksum for itself, in the key of the
//! ticket-granting service, and one for the server (RFC 7751).

use libkrb::authz::cammac::{self, Signer};
use libkrb::authz::{indicators, roles};
use libkrb::codes::AuthDataType;
use libkrb::wire::{AuthData, TicketFields};

use super::super::claims::Claims;
use super::super::grant::Grant;
use super::super::pac::Sealer;

/// The element for a ticket; none where there is nothing to say.
pub fn element(grant: &Grant<'_>, ticket: &TicketFields) -> Option<(AuthDataType, Vec<u8>)> {
    let Claims { indicators, roles } = &grant.claims;
    if indicators.is_empty() && roles.is_empty() {
        return None;
    }
    let rows = [
        (AuthDataType::AUTH_INDICATOR, (!indicators.is_empty()).then(|| indicators::encode(indicators))),
        (AuthDataType::ROLES, (!roles.is_empty()).then(|| roles::encode(roles))),
    ];
    let elements: Vec<_> =
        rows.iter().filter_map(|(kind, data)| Some(AuthData { kind: *kind, data: data.as_deref()? })).collect();
    let (tgs, kvno) = grant.tgs_key?;
    let tgs = Signer { key: tgs.cammac(), kvno: Some(kvno) };
    // A local ticket-granting ticket is sealed in a key that only KDCs have: one checksum is enough.
    let server = grant.ticket_key.signs.as_ref().filter(|_| !grant.server.is_local_tgs()).map(Sealer::cammac);
    let server = server.as_deref().map(|key| Signer { key, kvno: grant.ticket_key.kvno });
    Some(cammac::seal(&elements, ticket, tgs, server))
}
