//! Service for user (MS-SFU): a service asks for a ticket to itself in a user's name (S4U2Self), and
//! with such a ticket, or one that the user showed it, for a ticket to another service in that user's
//! name (S4U2Proxy). Both in this realm only. Which services may do so where stands in
//! [`super::super::delegation`].

use std::borrow::Cow;
use std::sync::Arc;

use libkrb::authz::pac::{DelegationInfo, Requestor, display_name};
use libkrb::codes::{PaType, PacType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{KdcOptions, PacOptions, S4uOptions, TicketFlags};
use libkrb::preauth::s4u;
use libkrb::wire::{self, EncTicketPart, KdcReq, PaForUser, PaPacOptions, PaS4uX509User, PrincipalName, S4uUserId};
use libkrb::{Error, ErrorCode, Principal, Time};

use super::super::as_req::{find_client, known_as, policy_of};
use super::super::entry::{Attributes, Entry};
use super::super::password_policy::PasswordPolicy;
use super::super::preauth::pkinit;
use super::super::refuse::{Refusal, because};
use super::super::{Kdc, delegation, pac};
use super::gather::Gathered;
use super::header::{self, Header, Opened};

/// The user in whose name a service asks.
pub struct Behalf {
    /// The user, as the new ticket names it.
    pub user: Principal,
    /// The user's entry.
    pub entry: Arc<Entry>,
    /// The policy that the user is under.
    pub policy: Option<Arc<PasswordPolicy>>,
    /// What the service has to show.
    pub how: How,
}

/// What a service has to show for acting in a user's name.
pub enum How {
    /// Nothing: the ticket is for itself. What the reply says of the user.
    ToSelf(Option<(PaType, Vec<u8>)>),
    /// A ticket of the user's to it.
    Through(Box<Opened>),
}

impl Behalf {
    /// The ticket that the user showed the service; `None`: it is a ticket to itself.
    pub fn evidence(&self) -> Option<&Opened> {
        match &self.how {
            How::ToSelf(_) => None,
            How::Through(evidence) => Some(evidence),
        }
    }

    /// padata of the reply.
    pub fn padata(&self) -> Vec<(PaType, Vec<u8>)> {
        match &self.how {
            How::ToSelf(said) => said.iter().cloned().collect(),
            How::Through(_) => vec![],
        }
    }
}

/// In whose name the request is, if in somebody else's.
pub fn gather(
    kdc: &Kdc<'_>,
    now: Time,
    request: &KdcReq<'_>,
    header: &Header<'_>,
    reply: &(Key, KeyUsage),
) -> Result<Option<Behalf>, Refusal> {
    // Who sends both means the one that is bound to this request.
    if let Some(padata) = request.padata(PaType::FOR_X509_USER) {
        return to_self_by_x509(kdc, now, request, &reply.0, padata.value).map(Some);
    }
    if let Some(padata) = request.padata(PaType::FOR_USER) {
        let padata = wire::decode::<PaForUser<'_>>(padata.value).map_err(malformed)?;
        s4u::verify_for_user(&header.session, &padata).map_err(unsigned)?;
        return to_self(kdc, &padata.user, padata.realm, None).map(Some);
    }
    if !request.body.options.has(KdcOptions::CNAME_IN_ADDL_TKT) {
        return Ok(None);
    }
    through(kdc, now, request).map(Some)
}

fn malformed(_: Error) -> Refusal {
    Refusal::new(ErrorCode::GENERIC, "malformed padata about the user")
}

fn unsigned(error: Error) -> Refusal {
    match error {
        Error::ChecksumNotSupported(_) => {
            Refusal::new(ErrorCode::INAPP_CKSUM, "the checksum over the user's name is not of the session key's type")
        }
        _ => Refusal::new(ErrorCode::MODIFIED, "the checksum over the user's name is wrong"),
    }
}

fn to_self_by_x509(kdc: &Kdc<'_>, now: Time, request: &KdcReq<'_>, key: &Key, value: &[u8]) -> Result<Behalf, Refusal> {
    let padata = wire::decode::<PaS4uX509User<'_>>(value).map_err(malformed)?;
    let asked = &*padata.user;
    s4u::verify_x509_user(key, KeyUsage::S4U_X509_USER_REQUEST, request.body.nonce, &padata).map_err(unsigned)?;
    let options = asked.options.map(|options| options & S4uOptions::USE_REPLY_KEY_USAGE);
    let answer = |user| {
        let said = S4uUserId { user: Some(user), options, ..*asked };
        (PaType::FOR_X509_USER, s4u::signed_user(key, s4u::reply_usage(asked), said))
    };
    match asked.user.filter(|user| user.components.iter().next().is_some()) {
        Some(user) => to_self(kdc, &user, asked.realm, Some(answer(user))),
        None => {
            let nobody = Refusal::new(ErrorCode::C_PRINCIPAL_UNKNOWN, "the service names no user");
            let user = pkinit::find(kdc, asked.certificate.ok_or(nobody)?, now)?;
            let answer = answer((&user).into());
            to_self(kdc, &(&user).into(), user.realm(), Some(answer))
        }
    }
}

fn to_self(
    kdc: &Kdc<'_>,
    user: &PrincipalName<'_>,
    realm: &str,
    answer: Option<(PaType, Vec<u8>)>,
) -> Result<Behalf, Refusal> {
    let unknown = |cause| Refusal::new(ErrorCode::C_PRINCIPAL_UNKNOWN, cause);
    let user = user.principal(realm).map_err(because(ErrorCode::C_PRINCIPAL_UNKNOWN, "the user has no name"))?;
    let ours = realm == kdc.policy.realm && s4u::may_be_user(&user);
    Refusal::unless(ours, ErrorCode::C_PRINCIPAL_UNKNOWN, "nobody of this realm can be meant")?;
    let entry = find_client(kdc, &user)?.ok_or(unknown("no such user in this realm"))?;
    // However the user was found, the service learns the name that the realm has.
    let user = known_as(&entry, user, true);
    Refusal::unless(s4u::may_be_user(&user), ErrorCode::C_PRINCIPAL_UNKNOWN, "nobody of this realm can be meant")?;
    Ok(Behalf { policy: policy_of(kdc, &entry)?, user, entry, how: How::ToSelf(answer) })
}

fn through(kdc: &Kdc<'_>, now: Time, request: &KdcReq<'_>) -> Result<Behalf, Refusal> {
    let sealed = request.body.additional_tickets.and_then(|tickets| tickets.iter().next());
    let sealed = sealed.ok_or(Refusal::new(ErrorCode::BADOPTION, "delegation needs the user's ticket"))?;
    let evidence = header::open_ticket(kdc, now, &sealed)?;
    let ticket = read(&evidence)?;
    let user = ticket.client.principal(ticket.client_realm).map_err(because(ErrorCode::GENERIC, UNREADABLE))?;
    let ours = user.realm() == kdc.policy.realm;
    Refusal::unless(ours, ErrorCode::BADOPTION, "users of other realms are not delegated")?;
    let gone = Refusal::new(ErrorCode::C_PRINCIPAL_UNKNOWN, "the user is no longer in this realm");
    let entry = kdc.store.lookup(&user)?.ok_or(gone)?;
    let policy = policy_of(kdc, &entry)?;
    Ok(Behalf { user, entry, policy, how: How::Through(Box::new(evidence)) })
}

const UNREADABLE: &str = "malformed evidence ticket";

/// The contents of a ticket that was opened.
pub fn read(evidence: &Opened) -> Result<EncTicketPart<'_>, Refusal> {
    evidence.ticket.read().map_err(because(ErrorCode::GENERIC, UNREADABLE))
}

/// What a request in somebody's name may not ask for besides.
const APART: KdcOptions = KdcOptions(
    KdcOptions::FORWARDED.0
        | KdcOptions::PROXY.0
        | KdcOptions::POSTDATED.0
        | KdcOptions::REQUEST_ANONYMOUS.0
        | KdcOptions::ENC_TKT_IN_SKEY.0
        | KdcOptions::RENEW.0
        | KdcOptions::VALIDATE.0,
);

/// Whether the service may act in the user's name; the PAC of the ticket that it has to show.
pub fn check<'a>(kdc: &Kdc<'_>, gathered: &'a Gathered<'a>, now: Time) -> Result<Option<pac::Presented<'a>>, Refusal> {
    let Some(behalf) = &gathered.behalf else { return Ok(None) };
    let alone = !gathered.request.body.options.any(APART);
    Refusal::unless(alone, ErrorCode::BADOPTION, "an option that makes no sense in another's name")?;
    let somebody = !gathered.ticket.flags.has(TicketFlags::ANONYMOUS);
    Refusal::unless(somebody, ErrorCode::BADOPTION, "nobody in particular acts for nobody")?;
    check_user(&behalf.entry, now)?;
    match &behalf.how {
        How::ToSelf(_) => check_to_self(gathered).map(|()| None),
        How::Through(evidence) => check_evidence(kdc, gathered, evidence, now).map(Some),
    }
}

/// As for a login, but for the password: it is not used (MS-SFU 3.2.5.1.1).
fn check_user(user: &Entry, now: Time) -> Result<(), Refusal> {
    let open = !user.attributes.has(Attributes::DISALLOW_ALL_TIX);
    Refusal::unless(open, ErrorCode::CLIENT_REVOKED, "the user is locked or disabled")?;
    let alive = user.expires.is_none_or(|expires| now < expires);
    Refusal::unless(alive, ErrorCode::NAME_EXP, "the user's account has expired")
}

/// A ticket in a user's name is for the asking service itself.
fn check_to_self(gathered: &Gathered<'_>) -> Result<(), Refusal> {
    let further = gathered.request.body.options.has(KdcOptions::CNAME_IN_ADDL_TKT);
    Refusal::unless(!further, ErrorCode::BADOPTION, "either for a user or with a user's ticket")?;
    let own = gathered.client.as_ref().is_some_and(|client| client.principal == gathered.server.principal);
    Refusal::unless(own, ErrorCode::BADMATCH, "a ticket in a user's name must be for the asking service itself")
}

/// Whether the ticket that the service shows is a user's to it, and the rules let it go on from there.
fn check_evidence<'a>(
    kdc: &Kdc<'_>,
    gathered: &'a Gathered<'a>,
    evidence: &'a Opened,
    now: Time,
) -> Result<pac::Presented<'a>, Refusal> {
    let (Some(behalf), Some(service)) = (&gathered.behalf, &gathered.client) else {
        return Err(Refusal::new(ErrorCode::BADOPTION, "delegation needs a service and a user"));
    };
    let own = evidence.server.principal == service.principal;
    Refusal::unless(own, ErrorCode::SERVER_NOMATCH, "the user's ticket is not for the asking service")?;
    let ticket = read(evidence)?;
    Refusal::unless(now < ticket.end_time, ErrorCode::TKT_EXPIRED, "the user's ticket has expired")?;
    let begun = ticket.start_time.unwrap_or(ticket.auth_time) <= now + kdc.policy.clock_skew;
    let valid = begun && !ticket.flags.has(TicketFlags::INVALID);
    Refusal::unless(valid, ErrorCode::TKT_NYV, "the user's ticket is not valid yet")?;
    // Before anything that the ticket says is believed: the service has the key to change it.
    let missing = Refusal::new(ErrorCode::MODIFIED, "the user's ticket has no PAC");
    let sealed_by = evidence.sealed_by().ok_or(Refusal::new(ErrorCode::BADKEYVER, UNREADABLE))?;
    let pac = pac::verify(kdc, now, &gathered.tgs, &ticket, sealed_by)?.ok_or(missing)?;
    pac.same_account(&behalf.entry)?;
    let may = ticket.flags.has(TicketFlags::FORWARDABLE);
    Refusal::unless(may, ErrorCode::BADOPTION, "the user's ticket is not forwardable")?;
    let willing = !behalf.entry.attributes.has(Attributes::DISALLOW_FORWARDABLE);
    Refusal::unless(willing, ErrorCode::BADOPTION, "the user may not be delegated")?;
    check_rules(gathered, service)?;
    Ok(pac)
}

/// The list of the acting service, or where the client knows of it the list of the target.
fn check_rules(gathered: &Gathered<'_>, service: &Entry) -> Result<(), Refusal> {
    let target = &*gathered.server;
    let plain = target.principal.tgs_target().is_none();
    Refusal::unless(plain, ErrorCode::BADOPTION, "a ticket-granting ticket is not delegated")?;
    let listed = delegation::allowed_to(service, target, &gathered.server_name)
        || resource_based(gathered.request) && delegation::allowed_from(service, target);
    Refusal::unless(listed, ErrorCode::BADOPTION, "no rule lets this service act for users there")
}

/// Whether the client knows of delegation that the target allows (MS-SFU 3.2.5.2).
fn resource_based(request: &KdcReq<'_>) -> bool {
    let padata = request.padata(PaType::PAC_OPTIONS);
    let options = padata.and_then(|padata| wire::decode::<PaPacOptions>(padata.value).ok());
    options.is_some_and(|options| options.flags.has(PacOptions::RESOURCE_BASED_DELEGATION))
}

/// Whether a ticket in a user's name may be shown on: only where its service is trusted with that
/// (MS-SFU 3.2.5.1.2). The user's own wish is among the bounds of every ticket.
pub fn bounded(gathered: &Gathered<'_>, flags: TicketFlags) -> TicketFlags {
    let to_self = gathered.behalf.as_ref().is_some_and(|behalf| behalf.evidence().is_none());
    let trusted = gathered.server.attributes.has(Attributes::OK_TO_AUTH_AS_DELEGATE);
    // The service's own device is not the user's.
    let kept = flags.with(TicketFlags::HW_AUTHENT, flags.has(TicketFlags::HW_AUTHENT) && !to_self);
    if to_self && !trusted { kept.with(TicketFlags::FORWARDABLE, false) } else { kept }
}

/// What the PAC of a ticket in a user's name holds.
pub fn buffers<'a>(
    gathered: &'a Gathered<'a>,
    behalf: &Behalf,
    evidence: Option<&pac::Presented<'a>>,
) -> Result<Option<pac::Buffers<'a>>, Refusal> {
    let Some(evidence) = evidence else {
        let requestor = Requestor::of_account(&behalf.entry.id);
        return Ok(Some(vec![(PacType::REQUESTOR, Cow::Owned(requestor))]));
    };
    let Some(mut buffers) = pac::carried(evidence, &gathered.server.principal) else { return Ok(None) };
    let malformed = because(ErrorCode::MODIFIED, "the delegation info of the user's ticket is malformed");
    let mut transited = evidence.pac().delegation_info().map_err(malformed)?.map_or(vec![], |info| info.transited);
    let service = &gathered.client_name;
    transited.push(format!("{}@{}", display_name(service), service.realm()));
    let way = DelegationInfo { target: display_name(&gathered.server_name), transited };
    let way = way.encode().map_err(because(ErrorCode::BADOPTION, "a delegation through too many services"))?;
    buffers.retain(|(kind, _)| *kind != PacType::DELEGATION_INFO);
    buffers.push((PacType::DELEGATION_INFO, Cow::Owned(way)));
    Ok(Some(buffers))
}
