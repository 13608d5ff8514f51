//! What makes a decrypted KDC-REP the answer to a request (RFC 4120 3.1.5, 3.3.4), and the
//! credential that it becomes. Not here: the names, which each exchange judges by its own rules.

use super::kdc_req::Wishes;
use crate::ccache::{Address, Credential, RawKey};
use crate::error::{Error, Result};
use crate::flags::{KdcOptions, TicketFlags};
use crate::name::Principal;
use crate::time::Time;
use crate::wire::{EncKdcRepPart, HostAddress, KdcRep};

/// A decrypted reply beside what was asked for.
pub(super) struct Answer<'a> {
    pub wishes: &'a Wishes,
    pub part: &'a EncKdcRepPart<'a>,
    /// Flags that only some requests can bring about, and this one can.
    pub expected: TicketFlags,
    /// Addresses that a ticket may have besides those that were asked for.
    pub inherited: &'a [Address],
    /// The KDC's clock, or the earliest that it may show.
    pub now: Time,
}

/// Flags that appear in no ticket unless something led to them.
const PARTICULAR: TicketFlags =
    TicketFlags(TicketFlags::INVALID.0 | TicketFlags::FORWARDED.0 | TicketFlags::PROXY.0 | TicketFlags::ANONYMOUS.0);

type Rule = (fn(&Answer<'_>) -> bool, &'static str);

/// What must hold of every reply, and what it means if it does not.
const RULES: [Rule; 9] = [
    (|a| a.part.nonce == a.wishes.nonce, "another nonce"),
    (|a| a.wishes.etypes.contains(&a.part.key.etype), "a session key of an encryption type that was not offered"),
    (|a| !(a.part.flags & PARTICULAR).any(!a.expected), "a ticket flag that was not asked for"),
    (|a| a.wishes.from.is_none() || a.part.start_time == a.wishes.from, "another start time"),
    (|a| not_after(a.part.end_time, a.wishes.till), "a later end time than was asked for"),
    (renewable_as_asked, "a later end of renewals than was asked for"),
    (|a| a.part.start_time.unwrap_or(a.part.auth_time) <= a.part.end_time, "a ticket that ends before it starts"),
    (|a| a.part.end_time >= a.now, "a ticket that has ended already"),
    (addresses_as_asked, "an address that was not asked for"),
];

impl Answer<'_> {
    /// Refuses unless every rule holds.
    pub fn check(&self) -> Result<()> {
        match RULES.iter().find(|(holds, _)| !holds(self)) {
            Some((_, what)) => Err(Error::ReplyMismatch(what)),
            None => Ok(()),
        }
    }
}

/// Whether a time is within a bound, where 1970 is no bound.
fn not_after(time: Time, bound: Time) -> bool {
    bound == Time::EPOCH || time <= bound
}

fn renewable_as_asked(answer: &Answer<'_>) -> bool {
    let Answer { wishes, part, .. } = answer;
    let Some(renew_till) = part.renew_till.filter(|_| part.flags.has(TicketFlags::RENEWABLE)) else { return true };
    match wishes.renew_till {
        Some(bound) if wishes.options.has(KdcOptions::RENEWABLE) => not_after(renew_till, bound),
        // A renewable ticket instead of one with the wanted life must not live longer than that.
        _ if wishes.options.has(KdcOptions::RENEWABLE_OK) => not_after(renew_till, wishes.till),
        _ => true,
    }
}

fn addresses_as_asked(answer: &Answer<'_>) -> bool {
    let same = |here: &HostAddress<'_>, there: &Address| here.kind == there.kind && here.address == there.bytes;
    let known = || answer.wishes.addresses.iter().chain(answer.inherited);
    addresses(answer.part).iter().all(|here| known().any(|there| same(here, there)))
}

fn addresses<'a>(part: &EncKdcRepPart<'a>) -> Vec<HostAddress<'a>> {
    part.addresses.map(|addresses| addresses.iter().collect()).unwrap_or_default()
}

/// Refuses a reply whose clear-text ticket names another server than its encrypted part.
pub(super) fn same_server(rep: &KdcRep<'_>, part: &EncKdcRepPart<'_>) -> Result<()> {
    if rep.ticket.realm == part.server_realm && rep.ticket.server.same_as(&part.server) {
        return Ok(());
    }
    Err(Error::ReplyMismatch("a ticket for another server than the encrypted part says"))
}

/// The credential of a reply that was checked. `server` is the encrypted part's.
pub(super) fn credential(
    client: &Principal,
    server: Principal,
    rep: &KdcRep<'_>,
    part: &EncKdcRepPart<'_>,
) -> Credential {
    let own = |address: &HostAddress<'_>| Address { kind: address.kind, bytes: address.address.to_vec() };
    Credential {
        client: client.clone(),
        server,
        key: RawKey::new(part.key.etype, part.key.value),
        auth_time: part.auth_time,
        start_time: part.start_time.unwrap_or(part.auth_time),
        end_time: part.end_time,
        renew_till: part.renew_till.unwrap_or(Time::EPOCH),
        is_skey: false,
        flags: part.flags,
        addresses: addresses(part).iter().map(own).collect(),
        authdata: vec![],
        ticket: rep.ticket.der.to_vec(),
        second_ticket: vec![],
    }
}
