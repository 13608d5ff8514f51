//! What the KDC says in tickets of how their client logged in (RFC 8129), for whoever has the keys of a service. Not here:
//! roles, which are between the KDC and the service.

use libkrb::authz::{cammac, indicators};
use libkrb::ccache::Credential;
use libkrb::crypto::KeyUsage;
use libkrb::keytab::Keytab;
use libkrb::ticket::open_ticket;
use libkrb::wire::{self, Ticket};

/// The indicators in a ticket that a key of the keytab opens; none where none does, as MIT has it.
pub(super) fn of(credential: &Credential, keytab: &Keytab) -> Vec<String> {
    let Ok(ticket) = wire::decode::<Ticket<'_>>(&credential.ticket) else { return vec![] };
    let keys = keytab.entries.iter().filter(|entry| entry.key.etype == ticket.enc_part.etype);
    for key in keys.filter_map(|entry| entry.key.key().ok()) {
        let Ok(opened) = open_ticket(&ticket, &key.prepare(KeyUsage::TICKET)) else { continue };
        let Ok(content) = opened.read() else { continue };
        let containers = cammac::find(content.authorization_data.as_ref());
        let key = key.prepare_checksum(KeyUsage::CAMMAC);
        let vouched = containers.iter().filter_map(|container| cammac::vouched_by_service(container, &key).ok());
        return vouched.flat_map(|elements| indicators::read(&elements)).collect();
    }
    vec![]
}
