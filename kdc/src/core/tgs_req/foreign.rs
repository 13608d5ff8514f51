//! Who comes from another realm (RFC 4120 1.2, 3.3.3.2): which of its tickets open here, through which
//! realms it came, what it may get, and what is kept of its ticket's authorization data. The one place
//! where another realm's word is weighed. Not here: requests that go elsewhere ([`super::super::referral`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use libkrb::authz::{cammac, indicators};
use libkrb::codes::TransitedType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::transited;
use libkrb::wire::{AuthData, EncTicketPart, KdcReqBody, Ticket, TransitedEncoding};
use libkrb::{ErrorCode, Principal, Time};

use super::super::Kdc;
use super::super::abroad::Trust;
use super::super::entry::{Attributes, Entry};
use super::super::grant::Times;
use super::super::refuse::{Refusal, because};
use super::authdata;
use super::gather::Gathered;

/// A client of another realm, or one that came through another realm.
#[derive(Debug)]
pub struct Foreign<'a> {
    /// The rows about the realms that it came through, its own included.
    trusts: Vec<&'a Trust>,
    /// Its own realm, and those between it and ours.
    realms: (String, Vec<String>),
    /// The same as the field of the ticket to be issued has them.
    transited: String,
    /// Whether these realms may lie between its own and ours.
    path_accepted: bool,
    /// Whether the presented ticket is one of ours, got by another realm's.
    ours: bool,
}

/// The trust principal `krbtgt/OURS@OTHER` whose key a ticket of another realm opens with.
///
/// # Errors
/// NOT_US for any other ticket that is not ours, and where the trust is locked or has expired.
pub fn trust(kdc: &Kdc<'_>, now: Time, ticket: &Ticket<'_>) -> Result<(Principal, Arc<Entry>), Refusal> {
    let not_us = |cause| Refusal::new(ErrorCode::NOT_US, cause);
    let name = ticket.server.principal(ticket.realm).map_err(because(ErrorCode::NOT_US, "not a principal name"))?;
    let for_us = name.tgs_target() == Some(&kdc.policy.realm);
    Refusal::unless(for_us, ErrorCode::NOT_US, "the presented ticket was not issued by this realm")?;
    // An alias is no trust, nor is another spelling of its name.
    let entry = kdc.store.lookup(&name)?.filter(|entry| entry.principal == name);
    let entry = entry.ok_or(not_us("the presented ticket is of a realm that this one does not trust"))?;
    let cause = "the trust in the presented ticket's realm is locked or has expired";
    Refusal::unless(is_open(&entry, now), ErrorCode::NOT_US, cause)?;
    Ok((name, entry))
}

fn is_open(trust: &Entry, now: Time) -> bool {
    trust.expires.is_none_or(|expires| now < expires) && !trust.attributes.has(Attributes::DISALLOW_ALL_TIX)
}

/// Whether a ticket for this server is good for getting others here: our own ticket-granting ticket, or
/// one that a trusted realm issued for us.
pub fn grants(kdc: &Kdc<'_>, server: &Principal) -> bool {
    server.tgs_target() == Some(&kdc.policy.realm)
}

/// Weighs the presented ticket, whose client, or the user whom its PAC names for a service, is of the realm
/// `client`. `round`: the service went to the user's realm and comes back. `None`: client and issuer are of
/// this realm, or the client is anonymous and known here only.
///
/// # Errors
/// ILL_CR_TKT when another realm vouches for a client of ours; TRTYPE_NOSUPP and PATH_NOT_ACCEPTED for a
/// path that can't be read.
pub fn weigh<'a>(
    kdc: &Kdc<'a>,
    (server, ticket): (&Principal, &EncTicketPart<'_>),
    (client, round): (&str, bool),
) -> Result<Option<Foreign<'a>>, Refusal> {
    let (ours, issuer) = (kdc.policy.realm.as_str(), server.realm());
    let anonymous = ticket.client.names(Principal::anonymous()) && client == Principal::anonymous().realm();
    if issuer == ours && (client == ours || anonymous) {
        return Ok(None);
    }
    let cause = "another realm vouches for a client of this realm";
    Refusal::unless(client != ours, ErrorCode::ILL_CR_TKT, cause)?;
    let mut realms =
        transited::expand(ticket.transited, ticket.client_realm, issuer).map_err(|error| match error.wire_code() {
            code @ ErrorCode::TRTYPE_NOSUPP => {
                Refusal::new(code, "the realms on the way are written in an unknown form")
            }
            _ => Refusal::new(ErrorCode::PATH_NOT_ACCEPTED, "the realms on the way can't be read"),
        })?;
    // Its own name a realm might leave out; so whom it sends adds it (RFC 4120 3.3.3.2).
    if ![ours, client].contains(&issuer) && !realms.iter().any(|realm| realm == issuer) {
        realms.push(issuer.to_owned());
    }
    if round {
        // The ends of the way are no realms between. What lies on the way there stays: a realm that says who
        // the service is could speak for it.
        realms.retain(|realm| ![ours, client].contains(&realm.as_str()));
    }
    let abroad = &kdc.policy.abroad;
    let on_the_way = |trust: &&Trust| trust.realm == client || realms.contains(&trust.realm);
    Ok(Some(Foreign {
        trusts: abroad.trusts.iter().filter(on_the_way).collect(),
        path_accepted: abroad.paths.accept(client, ours, &realms),
        transited: transited::compress(&realms),
        realms: (client.to_owned(), realms),
        ours: issuer == ours,
    }))
}

impl Foreign<'_> {
    /// Whether the realm's rules let the client have a ticket for the server.
    ///
    /// # Errors
    /// TGT_REVOKED; PATH_NOT_ACCEPTED; POLICY; S_PRINCIPAL_UNKNOWN for the way back, on which it would go
    /// round for ever.
    pub fn check(&self, kdc: &Kdc<'_>, now: Time, gathered: &Gathered<'_>) -> Result<(), Refusal> {
        let (client, server) = (gathered.subject().0, &gathered.server.principal);
        let back = gathered.behalf.as_ref().filter(|behalf| behalf.leads_back());
        let cause = "the trust in the realms that the client came through is locked or has expired";
        Refusal::unless(self.still_trusted(kdc, now)?, ErrorCode::TGT_REVOKED, cause)?;
        // Of a service that is led back, its own realm sees the whole way.
        let looked_at_later =
            unchecked(kdc, &gathered.request.body) || back.is_some_and(|of| of.vouched_for().is_some());
        let passed = self.path_accepted || looked_at_later || !kdc.policy.abroad.reject_bad_transit;
        let cause = "the client came through realms that this one does not trust between them";
        Refusal::unless(passed, ErrorCode::PATH_NOT_ACCEPTED, cause)?;
        let (own, between) = &self.realms;
        let onward =
            server.tgs_target().is_none_or(|realm| realm != own && !between.iter().any(|known| known == realm));
        let cause = "the way to that server leads back to where the client came from";
        Refusal::unless(onward || back.is_some(), ErrorCode::S_PRINCIPAL_UNKNOWN, cause)?;
        let allowed = self.trusts.iter().all(|trust| trust.allows(client, server));
        Refusal::unless(allowed, ErrorCode::POLICY, "clients of that realm may not use this service")
    }

    /// Whether what led to a ticket of ours still holds: some realm on the way is trusted. Which one it was
    /// the ticket does not say, for realms may stand in it in any order.
    fn still_trusted(&self, kdc: &Kdc<'_>, now: Time) -> Result<bool, Refusal> {
        let (own, between) = &self.realms;
        for issuer in std::iter::once(own).chain(between).filter(|_| self.ours) {
            let name = Principal::cross_tgs(&kdc.policy.realm, issuer);
            let trust = kdc.store.lookup(&name)?.filter(|entry| entry.principal == name);
            if trust.is_some_and(|trust| is_open(&trust, now)) {
                return Ok(true);
            }
        }
        Ok(!self.ours)
    }

    /// The flag that says whether the realms on the way were looked at and found right.
    pub fn path_checked(&self, kdc: &Kdc<'_>, body: &KdcReqBody<'_>) -> bool {
        self.path_accepted && !unchecked(kdc, body)
    }

    /// The realms on the way, for the ticket to be issued.
    pub fn transited(&self) -> TransitedEncoding<'_> {
        TransitedEncoding { kind: TransitedType::DOMAIN_X500_COMPRESS, contents: self.transited.as_bytes() }
    }

    /// The times of a ticket within the bounds of the rules.
    pub fn bound(&self, times: Times) -> Times {
        let Some(life) = self.trusts.iter().filter_map(|trust| trust.max_life).min() else { return times };
        let end = times.end.min(times.start + life);
        // Renewed, it would live on.
        Times { end, renew_till: None, ..times }
    }

    /// What another realm says of how its client proved itself, as far as its word counts here. Nobody here
    /// can verify who said it; the key around the ticket says who repeats it, and must have made the verifier
    /// too: else a KDC there may just have passed on what its client added. `None`: the ticket is ours.
    pub fn indicators(&self, ticket: &EncTicketPart<'_>, sealed_by: Option<&Key>) -> Option<Vec<String>> {
        if self.ours {
            return None;
        }
        let (own, between) = &self.realms;
        let counts = |said: &String| {
            std::iter::once(own).chain(between).all(|realm| {
                let mut rules = self.trusts.iter().filter(|trust| trust.realm == *realm).peekable();
                rules.peek().is_some() && rules.all(|trust| trust.indicators.contains(said))
            })
        };
        let containers = cammac::find(ticket.authorization_data.as_ref());
        let sealed_by = sealed_by.map(|key| key.prepare_checksum(KeyUsage::CAMMAC));
        let repeated = |container| cammac::vouched_by_service(container, sealed_by.as_ref()?).ok();
        let said = containers.iter().filter_map(repeated).flat_map(|elements| indicators::read(&elements));
        Some(said.filter(counts).collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// What is kept of the authorization data of the presented ticket: restrictions, and nothing that only
    /// a KDC may issue, for this realm can't tell who did.
    ///
    /// # Errors
    /// POLICY for an element that this KDC had to understand and does not.
    pub fn kept<'t>(&self, ticket: &EncTicketPart<'t>) -> Result<Vec<AuthData<'t>>, Refusal> {
        let mut kept = vec![];
        for element in ticket.authorization_data.into_iter().flat_map(|data| data.iter()) {
            if self.ours || authdata::from_anybody(&element)? {
                kept.push(element);
            }
        }
        Ok(kept)
    }
}

/// Whether the client asks that the realms on the way are not looked at, and may ask so (RFC 4120
/// 3.3.3.2). Every service then looks itself.
pub fn unchecked(kdc: &Kdc<'_>, body: &KdcReqBody<'_>) -> bool {
    body.options.has(KdcOptions::DISABLE_TRANSITED_CHECK) && kdc.policy.allow_disable_transited_check
}

/// The flag TRANSITED-POLICY-CHECKED as it is to stand in the ticket.
pub fn flag(kdc: &Kdc<'_>, body: &KdcReqBody<'_>, foreign: Option<&Foreign<'_>>, flags: TicketFlags) -> TicketFlags {
    let checked = foreign.map_or(!unchecked(kdc, body), |foreign| foreign.path_checked(kdc, body));
    flags.with(TicketFlags::TRANSITED_POLICY_CHECKED, checked)
}
