//! Checking a TGS-REQ: tables of what options and servers demand, and the grant (RFC 4120 3.3.3).

use std::borrow::Cow;

use libkrb::codes::{MessageType, PaType};
use libkrb::crypto::{Key, Random};
use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::wire::{EncTicketPart, LastReq, TransitedEncoding};
use libkrb::{ErrorCode, Time};
use smallvec::smallvec;

use super::super::as_req::{new_key, server_alive, vouched};
use super::super::claims::{self, Claims};
use super::super::entry::{Attributes, LongTermKey};
use super::super::grant::{Grant, SealingKey, Times};
use super::super::limits::Bounds;
use super::super::pac::{self, Occasion, Sealer};
use super::super::refuse::{Refusal, because};
use super::super::{Arrival, Kdc, anonymous, etypes};
use super::foreign::{self, Foreign};
use super::gather::Gathered;
use super::header::Opened;
use super::s4u::Behalf;
use super::{authdata, s4u};

/// Applies the realm's rules; the one place where a TGS grant is made.
pub fn check<'a>(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    gathered: &'a Gathered<'a>,
) -> Result<Grant<'a>, Refusal> {
    let now = at.now.time;
    check_presented(kdc, gathered, now)?;
    check_options(kdc, gathered)?;
    check_client(kdc, gathered, now)?;
    check_server(gathered, now)?;
    if let Some(second) = &gathered.second {
        check_second(kdc, gathered, second, now)?;
    }
    let evidence = s4u::check(kdc, gathered, now)?;
    let (flags, times) = if again(gathered) { renewed(gathered, now)? } else { derived(kdc, gathered, now)? };
    let buffers = match &gathered.behalf {
        Some(behalf) => s4u::buffers(gathered, behalf, evidence.as_ref())?,
        None => gathered.pac.as_ref().and_then(|pac| pac::carried(pac, &gathered.server.principal)),
    };
    grant(kdc, at, random, gathered, (flags, times, buffers))
}

/// Whether the request is for the presented ticket itself, renewed or validated.
fn again(gathered: &Gathered<'_>) -> bool {
    gathered.request.body.options.any(KdcOptions::RENEW | KdcOptions::VALIDATE)
}

fn start(ticket: &EncTicketPart<'_>) -> Time {
    ticket.start_time.unwrap_or(ticket.auth_time)
}

/// The presented ticket must be a living TGT, or be what is to be renewed or validated.
fn check_presented(kdc: &Kdc<'_>, gathered: &Gathered<'_>, now: Time) -> Result<(), Refusal> {
    let Gathered { ticket, request, header_server, .. } = gathered;
    let options = request.body.options;
    Refusal::unless(now < ticket.end_time, ErrorCode::TKT_EXPIRED, "the presented ticket has expired")?;
    let validate = options.has(KdcOptions::VALIDATE);
    // Another KDC of the realm, with a clock of its own, may have issued it; but validating a
    // postdated ticket early would defeat its purpose.
    let tolerance = if validate { 0 } else { kdc.policy.clock_skew };
    let begun = start(ticket) <= now + tolerance;
    Refusal::unless(begun, ErrorCode::TKT_NYV, "the presented ticket is not valid yet")?;
    // What is invalid can be validated, and not be renewed in the same breath (RFC 4120 3.3.3).
    let invalid = ticket.flags.has(TicketFlags::INVALID) && (!validate || options.has(KdcOptions::RENEW));
    Refusal::unless(!invalid, ErrorCode::TKT_NYV, "the presented ticket must be validated first")?;
    if again(gathered) {
        let same = **header_server == gathered.server_name;
        return Refusal::unless(
            same,
            ErrorCode::SERVER_NOMATCH,
            "only the presented ticket itself can be renewed or validated",
        );
    }
    let tgt = foreign::grants(kdc, header_server);
    Refusal::unless(tgt, ErrorCode::NOT_US, "the presented ticket is not a ticket-granting ticket")
}

/// An option, the flag that the presented ticket must have for it, and what is wrong without.
type Rule = (KdcOptions, TicketFlags, ErrorCode, &'static str);

const NEEDS: [Rule; 9] = {
    use ErrorCode as E;
    use KdcOptions as O;
    use TicketFlags as F;
    [
        (O::FORWARDABLE, F::FORWARDABLE, E::BADOPTION, "the presented ticket is not forwardable"),
        (O::FORWARDED, F::FORWARDABLE, E::BADOPTION, "the presented ticket is not forwardable"),
        (O::PROXIABLE, F::PROXIABLE, E::BADOPTION, "the presented ticket is not proxiable"),
        (O::PROXY, F::PROXIABLE, E::BADOPTION, "the presented ticket is not proxiable"),
        (O::ALLOW_POSTDATE, F::MAY_POSTDATE, E::BADOPTION, "the presented ticket does not allow postdating"),
        (O::POSTDATED, F::MAY_POSTDATE, E::BADOPTION, "the presented ticket does not allow postdating"),
        (O::RENEWABLE, F::RENEWABLE, E::BADOPTION, "the presented ticket is not renewable"),
        (O::RENEW, F::RENEWABLE, E::BADOPTION, "the presented ticket is not renewable"),
        (O::VALIDATE, F::INVALID, E::BADOPTION, "the presented ticket needs no validation"),
    ]
};

fn check_options(kdc: &Kdc<'_>, gathered: &Gathered<'_>) -> Result<(), Refusal> {
    let options = gathered.request.body.options;
    for (option, flag, code, cause) in NEEDS {
        Refusal::unless(!options.has(option) || gathered.ticket.flags.has(flag), code, cause)?;
    }
    anonymous::check_again(kdc.policy, options, gathered.ticket.flags, &gathered.server.principal)?;
    // Not by the name that was asked for: an alias or another spelling is sealed with the same key.
    let for_tgt = gathered.server.principal.tgs_target().is_some();
    let proxy_tgt = options.has(KdcOptions::PROXY) && for_tgt;
    Refusal::unless(!proxy_tgt, ErrorCode::BADOPTION, "a ticket-granting ticket can't be a proxy")?;
    // RFC 4120 2.4
    let later_tgt = options.has(KdcOptions::POSTDATED) && for_tgt && !again(gathered);
    let cause = "a postdated ticket-granting ticket comes only from an AS exchange";
    Refusal::unless(!later_tgt, ErrorCode::CANNOT_POSTDATE, cause)
}

/// A client that was locked or deleted gets no further tickets, whatever it still holds; one of another
/// realm gets what that realm's clients may have.
fn check_client(kdc: &Kdc<'_>, gathered: &Gathered<'_>, now: Time) -> Result<(), Refusal> {
    if let Some(foreign) = &gathered.foreign {
        foreign.check(kdc, now, gathered)?;
        if gathered.client_name.realm() != kdc.policy.realm {
            return Ok(());
        }
    }
    let client = gathered.client.as_ref();
    let client = client.ok_or(Refusal::new(ErrorCode::TGT_REVOKED, "the client is no longer in this realm"))?;
    let open = !client.attributes.has(Attributes::DISALLOW_ALL_TIX);
    Refusal::unless(open, ErrorCode::CLIENT_REVOKED, "the client is locked or disabled")?;
    let alive = client.expires.is_none_or(|expires| now < expires);
    Refusal::unless(alive, ErrorCode::NAME_EXP, "the client's account has expired")
}

fn check_server(gathered: &Gathered<'_>, now: Time) -> Result<(), Refusal> {
    let (server, ticket) = (&gathered.server, gathered.source()?);
    server_alive(server, now)?;
    let user_to_user = gathered.second.is_some();
    let service = user_to_user || !server.attributes.has(Attributes::DISALLOW_SVR);
    Refusal::unless(service, ErrorCode::MUST_USE_USER2USER, "this principal is no service: use user-to-user")?;
    let doubled = !user_to_user || !server.attributes.has(Attributes::DISALLOW_DUP_SKEY);
    Refusal::unless(doubled, ErrorCode::POLICY, "this principal allows no user-to-user tickets")?;
    let from_tgt = again(gathered) || !server.attributes.has(Attributes::DISALLOW_TGT_BASED);
    Refusal::unless(from_tgt, ErrorCode::POLICY, "tickets for this server come only from an AS exchange")?;
    let proven = |attribute, flag| !server.attributes.has(attribute) || ticket.flags.has(flag);
    let strong = proven(Attributes::REQUIRES_PRE_AUTH, TicketFlags::PRE_AUTHENT)
        && proven(Attributes::REQUIRES_HW_AUTH, TicketFlags::HW_AUTHENT);
    Refusal::unless(strong, ErrorCode::POLICY, "this server wants clients that pre-authenticated")?;
    claims::required(server, &gathered.indicators)
}

/// The additional ticket must be a living TGT of the server that is asked for (RFC 4120 3.3.3).
fn check_second(kdc: &Kdc<'_>, gathered: &Gathered<'_>, second: &Opened, now: Time) -> Result<(), Refusal> {
    let tgt = second.server_name.is_local_tgs();
    Refusal::unless(tgt, ErrorCode::POLICY, "the additional ticket is not a ticket-granting ticket")?;
    let ticket = second.ticket.read().map_err(because(ErrorCode::GENERIC, "malformed additional ticket"))?;
    Refusal::unless(now < ticket.end_time, ErrorCode::TKT_EXPIRED, "the additional ticket has expired")?;
    let valid = start(&ticket) <= now && !ticket.flags.has(TicketFlags::INVALID);
    Refusal::unless(valid, ErrorCode::TKT_NYV, "the additional ticket is not valid yet")?;
    let owner = &gathered.server.principal;
    let owned = ticket.client_realm == owner.realm() && ticket.client.names(owner);
    Refusal::unless(owned, ErrorCode::SERVER_NOMATCH, "the additional ticket is not the server's")?;
    let pac = second.sealed_by().map(|by| pac::verify(kdc, now, &gathered.tgs, &ticket, by, None));
    let pac = pac.transpose()?.flatten();
    pac.map_or(Ok(()), |pac| pac.same_account(&gathered.server))
}

/// The presented ticket's flags and times, renewed or validated (RFC 4120 3.3.3).
fn renewed(gathered: &Gathered<'_>, now: Time) -> Result<(TicketFlags, Times), Refusal> {
    let ticket = &gathered.ticket;
    let old =
        Times { auth: ticket.auth_time, start: start(ticket), end: ticket.end_time, renew_till: ticket.renew_till };
    let flags = ticket.flags.with(TicketFlags::INVALID | TicketFlags::INITIAL, false) | TicketFlags::ENC_PA_REP;
    if gathered.request.body.options.has(KdcOptions::VALIDATE) {
        return Ok((flags, old));
    }
    let renew_till = old.renew_till.unwrap_or(old.end);
    Refusal::unless(now < renew_till, ErrorCode::TKT_EXPIRED, "the ticket's renewable life is over")?;
    let life = old.end - old.start;
    Ok((flags, Times { start: now, end: renew_till.min(now + life), ..old }))
}

/// Flags and times of a ticket that is derived from the presented one.
fn derived(kdc: &Kdc<'_>, gathered: &Gathered<'_>, now: Time) -> Result<(TicketFlags, Times), Refusal> {
    const INHERITED: TicketFlags = TicketFlags(
        TicketFlags::PRE_AUTHENT.0 | TicketFlags::HW_AUTHENT.0 | TicketFlags::ANONYMOUS.0 | TicketFlags::FORWARDED.0,
    );
    let Gathered { request, server, .. } = gathered;
    let options = request.body.options;
    // Both bound the new one, where the presented ticket is not its client's.
    let (ticket, presented) = (gathered.source()?, &gathered.ticket);
    // A time without the flag makes nothing renewable, whoever wrote it.
    let renewable = |of: &EncTicketPart<'_>| of.renew_till.filter(|_| of.flags.has(TicketFlags::RENEWABLE));
    let renew_till = renewable(&ticket).and_then(|till| renewable(presented).map(|other| other.min(till)));
    let (_, client, client_policy) = gathered.subject();
    let bounds = Bounds {
        policy: kdc.policy,
        client,
        client_policy,
        server,
        tgt: Some((ticket.end_time.min(presented.end_time), renew_till)),
        indicators: &gathered.indicators,
    };
    let times = bounds.times(&request.body, ticket.auth_time, now)?;
    let times = gathered.foreign.as_ref().map_or(times, |foreign| foreign.bound(times));
    let flags = times.renewable(bounds.flags(options)) | ticket.flags & INHERITED;
    let flags = s4u::bounded(gathered, flags)
        .with(TicketFlags::FORWARDED, flags.has(TicketFlags::FORWARDED) || options.has(KdcOptions::FORWARDED))
        .with(TicketFlags::PROXY, options.has(KdcOptions::PROXY));
    Ok((foreign::flag(kdc, &request.body, gathered.foreign.as_ref(), flags), times))
}

fn grant<'a>(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    gathered: &'a Gathered<'a>,
    (flags, times, buffers): (TicketFlags, Times, Option<pac::Buffers>),
) -> Result<Grant<'a>, Refusal> {
    let Gathered { request, ticket, server, offered, .. } = gathered;
    let (subject, source) = (gathered.subject(), gathered.source()?);
    let (body, now) = (&request.body, at.now.time);
    // A renewal changes nothing but times and key, whatever else it asks for (RFC 4120 2.3).
    let elsewhere = !again(gathered) && body.options.any(KdcOptions::FORWARDED | KdcOptions::PROXY);
    let addresses = if elsewhere { body.addresses } else { ticket.addresses };
    let bare = server.attributes.has(Attributes::NO_AUTH_DATA_REQUIRED);
    let data =
        if bare { vec![] } else { authdata::carried(&source, gathered.foreign.as_ref(), gathered.data.as_ref())? };
    let roles = match subject.1 {
        Some(client) => claims::roles(kdc, client, server, now)?,
        None => vec![],
    };
    let indicators = if bare { vec![] } else { gathered.indicators.clone() };
    let (key, usage) = &gathered.reply;
    let wants_padata = request.padata(PaType::REQ_ENC_PA_REP).is_some();
    let user = gathered.behalf.as_ref().filter(|behalf| behalf.leads_back()).map(|behalf| &behalf.user);
    let occasion = Occasion { tgs: &gathered.tgs, server, sealer: sealer(kdc, gathered, now)?, flags, user };
    let strengthened = gathered.armor.map(|armor| armor.strengthen_subkey(at.now, random, key)).transpose()?;
    let (key, envelope) = strengthened.map_or((Cow::Borrowed(key), None), |(key, seal)| (Cow::Owned(key), Some(seal)));
    Ok(Grant {
        kind: MessageType::TGS_REP,
        client: subject.0,
        server: &gathered.server_name,
        flags,
        times,
        addresses: addresses.filter(|addresses| !addresses.is_empty()),
        transited: gathered.foreign.as_ref().map_or(TransitedEncoding { ..source.transited }, Foreign::transited),
        authorization_data: data,
        claims: Claims { indicators, roles },
        pac: buffers.and_then(|buffers| occasion.plan(kdc, now, buffers)),
        tgs_key: etypes::ticket_key(kdc.policy, &gathered.tgs, now).ok(),
        session: new_key(etypes::session(kdc.policy, server, offered, now)?, random)?,
        ticket_key: ticket_key(kdc, gathered, now)?,
        reply_key: SealingKey::session(key.prepare(*usage)),
        envelope,
        nonce: body.nonce,
        last_req: smallvec![LastReq { kind: Default::default(), time: Time::EPOCH }],
        key_expiration: None,
        padata: gathered.behalf.as_ref().map(Behalf::padata).unwrap_or_default(),
        encrypted_padata: if wants_padata { vouched(&key, gathered.bytes) } else { smallvec![] },
    })
}

/// The server's key, or for user-to-user the session key of the server's own ticket.
fn ticket_key<'a>(kdc: &Kdc<'_>, gathered: &'a Gathered<'a>, now: Time) -> Result<SealingKey<'a>, Refusal> {
    match session_of_second(gathered)? {
        Some(key) => Ok(SealingKey::user_to_user(key)),
        None => {
            let (key, kvno) = etypes::ticket_key(kdc.policy, &gathered.server, now)?;
            Ok(SealingKey::long_term(key, kvno, LongTermKey::ticket))
        }
    }
}

/// The same, as it signs.
fn sealer<'a>(kdc: &Kdc<'_>, gathered: &'a Gathered<'a>, now: Time) -> Result<Sealer<'a>, Refusal> {
    match session_of_second(gathered)? {
        Some(key) => Ok(Sealer::Session(key)),
        None => Ok(Sealer::LongTerm(etypes::ticket_key(kdc.policy, &gathered.server, now)?.0)),
    }
}

fn session_of_second(gathered: &Gathered<'_>) -> Result<Option<Key>, Refusal> {
    let Some(second) = &gathered.second else { return Ok(None) };
    let key = second.ticket.read().and_then(|part| part.key.key());
    key.map(Some).map_err(because(ErrorCode::ETYPE_NOSUPP, "the additional ticket's session key can't be used"))
}
