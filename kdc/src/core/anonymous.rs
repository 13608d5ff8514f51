//! Clients that are nobody in particular (RFC 8062): WELLKNOWN/ANONYMOUS, who needs no key and no name to
//! get a ticket, if the realm has an entry of that name. What such a ticket is good for: armor, and
//! services that ask for no name. A ticket without a name for somebody whom the KDC knows is not
//! offered.

use std::borrow::Cow;

use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::{ErrorCode, Principal};

use super::policy::Policy;
use super::refuse::Refusal;

/// The name that a client's entry has: nobody's tickets bear another realm than that of the entry.
pub fn entry_name<'a>(policy: &Policy, client: &'a Principal) -> Cow<'a, Principal> {
    if client.is_anonymous() { Cow::Owned(client.in_realm(&policy.realm)) } else { Cow::Borrowed(client) }
}

/// The name that tickets bear for a client.
pub fn ticket_name(client: Principal) -> Principal {
    if client.is_anonymous() { Principal::anonymous().clone() } else { client }
}

/// The flag of a new ticket for a client.
pub fn flag(client: &Principal) -> TicketFlags {
    TicketFlags::NONE.with(TicketFlags::ANONYMOUS, client.is_anonymous())
}

/// The option and the name of an AS-REQ go together (RFC 8062 4.1).
pub fn check_request(
    policy: &Policy,
    options: KdcOptions,
    client: &Principal,
    server: &Principal,
) -> Result<(), Refusal> {
    let asked = options.has(KdcOptions::REQUEST_ANONYMOUS);
    let named = "anonymous tickets are for WELLKNOWN/ANONYMOUS only, with its option";
    Refusal::unless(asked == client.is_anonymous(), ErrorCode::BADOPTION, named)?;
    let proof = !client.is_anonymous() || policy.pkinit.is_some();
    Refusal::unless(proof, ErrorCode::NULL_KEY, "this realm has no PKINIT, without which nobody can be anonymous")?;
    check_service(policy, client, server)
}

/// A named client has no anonymous ticket made of its own (RFC 8062 4.2).
pub fn check_again(
    policy: &Policy,
    options: KdcOptions,
    flags: TicketFlags,
    server: &Principal,
) -> Result<(), Refusal> {
    let anonymous = flags.has(TicketFlags::ANONYMOUS);
    let named = options.has(KdcOptions::REQUEST_ANONYMOUS) && !anonymous;
    Refusal::unless(!named, ErrorCode::BADOPTION, "anonymous tickets are made of anonymous tickets only")?;
    if anonymous { check_service(policy, Principal::anonymous(), server) } else { Ok(()) }
}

fn check_service(policy: &Policy, client: &Principal, server: &Principal) -> Result<(), Refusal> {
    let bound = policy.restrict_anonymous_to_tgt && client.is_anonymous() && !server.is_local_tgs();
    Refusal::unless(!bound, ErrorCode::POLICY, "this realm's anonymous tickets are good for no service")
}
