//! Service for user (MS-SFU): a service asks for a ticket to itself in a user's name (S4U2Self), and
//! with such a ticket, or one that the user showed it, for a ticket to another service in that user's
//! name (S4U2Proxy). Which services may do so where stands in [`super::super::delegation`].
//!
//! For a user of another realm the service asks a KDC there, in its own name, and is sent back with a
//! ticket-granting ticket whose PAC names the user: the user's realm says that there is such a user, and
//! the service's own realm gives the ticket (MS-SFU 3.2.5.1.1). S4U2Proxy leads to services of this realm
//! only.

use std::sync::Arc;

use libkrb::authz::pac::{DelegationInfo, Requestor, display_name};
use libkrb::codes::{PaType, PacType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{KdcOptions, PacOptions, S4uOptions, TicketFlags};
use libkrb::preauth::s4u;
use libkrb::wire::{self, EncTicketPart, KdcReq, PaForUser, PaPacOptions, PaS4uX509User, PrincipalName, S4uUserId};
use libkrb::{Error, ErrorCode, Principal, Time};
use smallvec::{SmallVec, smallvec};

use super::super::as_req::{find_client, known_as, policy_of};
use super::super::entry::{Attributes, Entry};
use super::super::grant::Elements;
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
    /// The user's entry; none of a user of another realm.
    pub entry: Option<Arc<Entry>>,
    /// The policy that the user is under.
    pub policy: Option<Arc<PasswordPolicy>>,
    /// What the service has to show.
    pub how: How,
}

/// What a service has to show for acting in a user's name.
pub enum How {
    /// Nothing: the ticket is for itself. What the reply says of the user.
    ToSelf(Said),
    /// Nothing: the ticket leads a service of another realm back there, and its PAC names the user.
    Back(Said),
    /// A ticket of the user's to it.
    Through(Box<Opened>),
}

/// What a reply says of the user, signed.
type Said = Option<(PaType, Vec<u8>)>;

impl Behalf {
    /// The ticket that the user showed the service; `None`: it is a ticket to itself.
    pub fn evidence(&self) -> Option<&Opened> {
        match &self.how {
            How::ToSelf(_) | How::Back(_) => None,
            How::Through(evidence) => Some(evidence),
        }
    }

    /// Whether the service is sent back to its own realm.
    pub fn leads_back(&self) -> bool {
        matches!(self.how, How::Back(_))
    }

    /// The user of another realm whom the PAC of the presented ticket must speak of: by it that realm says
    /// that the user is there.
    pub fn vouched_for(&self) -> Option<&Principal> {
        Some(&self.user).filter(|_| self.entry.is_none() && self.evidence().is_none())
    }

    /// The user of another realm for whom the new ticket is, by a ticket that names the service.
    pub fn visitor(&self) -> Option<&Principal> {
        self.vouched_for().filter(|_| !self.leads_back())
    }

    /// padata of the reply.
    pub fn padata(&self) -> Elements {
        match &self.how {
            How::ToSelf(said) | How::Back(said) => {
                said.iter().map(|(kind, value)| (*kind, SmallVec::from_slice(value))).collect()
            }
            How::Through(_) => smallvec![],
        }
    }
}

/// Where on the way from a service to a user's realm and back a request is.
#[derive(Clone, Copy)]
struct Way {
    /// The presented ticket is one of another realm.
    from_abroad: bool,
    /// What is asked for leads to another realm.
    onward: bool,
}

/// In whose name the request is, if in somebody else's.
pub fn gather(
    kdc: &Kdc<'_>,
    now: Time,
    request: &KdcReq<'_>,
    (header, server): (&Header<'_>, &Principal),
    reply: &(Key, KeyUsage),
) -> Result<Option<Behalf>, Refusal> {
    let ours = kdc.policy.realm.as_str();
    let way = Way {
        from_abroad: header.server_name.realm() != ours,
        onward: server.tgs_target().is_some_and(|realm| realm != ours),
    };
    // Who sends both means the one that is bound to this request.
    if let Some(padata) = request.padata(PaType::FOR_X509_USER) {
        return to_self_by_x509((kdc, way), now, request, &reply.0, padata.value).map(Some);
    }
    if let Some(padata) = request.padata(PaType::FOR_USER) {
        let padata = wire::decode::<PaForUser<'_>>(padata.value).map_err(malformed)?;
        s4u::verify_for_user(&header.session.key, &padata).map_err(unsigned)?;
        return to_self(kdc, way, &padata.user, padata.realm, |_| None).map(Some);
    }
    if !request.body.options.has(KdcOptions::CNAME_IN_ADDL_TKT) {
        return Ok(None);
    }
    let cause = "delegation begins in the service's own realm";
    Refusal::unless(!way.from_abroad, ErrorCode::BADOPTION, cause)?;
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

fn to_self_by_x509(
    (kdc, way): (&Kdc<'_>, Way),
    now: Time,
    request: &KdcReq<'_>,
    key: &Key,
    value: &[u8],
) -> Result<Behalf, Refusal> {
    let padata = wire::decode::<PaS4uX509User<'_>>(value).map_err(malformed)?;
    let asked = &*padata.user;
    s4u::verify_x509_user(key, KeyUsage::S4U_X509_USER_REQUEST, request.body.nonce, &padata).map_err(unsigned)?;
    let options = asked.options.map(|options| options & S4uOptions::USE_REPLY_KEY_USAGE);
    // Under the name that the ticket has, by which the client knows it again.
    let answer = |user: &Principal| {
        let as_asked = asked.user.filter(|name| name.names(user) && asked.realm == user.realm());
        let name = Some(as_asked.unwrap_or(user.into()));
        let said = S4uUserId { user: name, realm: user.realm(), options, ..*asked };
        Some((PaType::FOR_X509_USER, s4u::signed_user(key, s4u::reply_usage(asked), said)))
    };
    match asked.user.filter(|user| user.components.iter().any(|part| !part.is_empty())) {
        Some(user) => to_self(kdc, way, &user, asked.realm, answer),
        None => {
            let nobody = Refusal::new(ErrorCode::C_PRINCIPAL_UNKNOWN, "the service names no user");
            let user = pkinit::find(kdc, asked.certificate.ok_or(nobody)?, now)?;
            to_self(kdc, way, &(&user).into(), user.realm(), answer)
        }
    }
}

fn to_self(
    kdc: &Kdc<'_>,
    way: Way,
    user: &PrincipalName<'_>,
    realm: &str,
    answer: impl Fn(&Principal) -> Said,
) -> Result<Behalf, Refusal> {
    const NOBODY: &str = "nobody of this realm can be meant";
    let unknown = |cause| Refusal::new(ErrorCode::C_PRINCIPAL_UNKNOWN, cause);
    let user = user.principal(realm).map_err(because(ErrorCode::C_PRINCIPAL_UNKNOWN, "the user has no name"))?;
    let somebody = |user: &Principal| Refusal::unless(s4u::may_be_user(user), ErrorCode::C_PRINCIPAL_UNKNOWN, NOBODY);
    somebody(&user)?;
    let astray = way.onward && !way.from_abroad;
    Refusal::unless(!astray, ErrorCode::S_PRINCIPAL_UNKNOWN, "no such service in this realm")?;
    let how = |said| if way.onward { How::Back(said) } else { How::ToSelf(said) };
    if realm != kdc.policy.realm {
        // That realm's KDC is asked first, and sends the service here.
        Refusal::unless(way.from_abroad, ErrorCode::C_PRINCIPAL_UNKNOWN, NOBODY)?;
        return Ok(Behalf { how: how(answer(&user)), user, entry: None, policy: None });
    }
    let straight = way.onward || !way.from_abroad;
    Refusal::unless(straight, ErrorCode::C_PRINCIPAL_UNKNOWN, "a user of this realm comes through no other")?;
    let entry = find_client(kdc, &user)?.ok_or(unknown("no such user in this realm"))?;
    // However the user was found, the service learns the name that the realm has.
    let user = known_as(&entry, user, true);
    somebody(&user)?;
    Ok(Behalf { policy: policy_of(kdc, &entry)?, how: how(answer(&user)), user, entry: Some(entry) })
}

fn through(kdc: &Kdc<'_>, now: Time, request: &KdcReq<'_>) -> Result<Behalf, Refusal> {
    let sealed = request.body.additional_tickets.and_then(|tickets| tickets.iter().next());
    let sealed = sealed.ok_or(Refusal::new(ErrorCode::BADOPTION, "delegation needs the user's ticket"))?;
    let evidence = header::open_ticket(kdc, now, &sealed)?;
    let ticket = read(&evidence)?;
    let user = ticket.client.principal(ticket.client_realm).map_err(because(ErrorCode::GENERIC, UNREADABLE))?;
    let how = How::Through(Box::new(evidence));
    if user.realm() != kdc.policy.realm {
        return Ok(Behalf { user, entry: None, policy: None, how });
    }
    let gone = Refusal::new(ErrorCode::C_PRINCIPAL_UNKNOWN, "the user is no longer in this realm");
    let entry = kdc.store.lookup(&user)?.ok_or(gone)?;
    Ok(Behalf { policy: policy_of(kdc, &entry)?, user, entry: Some(entry), how })
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
    behalf.entry.as_deref().map_or(Ok(()), |user| check_user(user, now))?;
    let named = behalf.vouched_for().is_none() || gathered.pac.is_some();
    Refusal::unless(named, ErrorCode::MODIFIED, "the user's realm does not say in whose name the ticket is")?;
    let further = behalf.evidence().is_none() && gathered.request.body.options.has(KdcOptions::CNAME_IN_ADDL_TKT);
    Refusal::unless(!further, ErrorCode::BADOPTION, "either for a user or with a user's ticket")?;
    match &behalf.how {
        How::Back(_) => Ok(None),
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
    let pac = pac::verify(kdc, now, &gathered.tgs, &ticket, sealed_by, None)?.ok_or(missing)?;
    behalf.entry.as_deref().map_or(Ok(()), |user| pac.same_account(user))?;
    let may = ticket.flags.has(TicketFlags::FORWARDABLE);
    Refusal::unless(may, ErrorCode::BADOPTION, "the user's ticket is not forwardable")?;
    let unwilling = |user: &Arc<Entry>| user.attributes.has(Attributes::DISALLOW_FORWARDABLE);
    let willing = !behalf.entry.as_ref().is_some_and(unwilling);
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
    let to_self = gathered.behalf.as_ref().is_some_and(|behalf| matches!(behalf.how, How::ToSelf(_)));
    let trusted = gathered.server.attributes.has(Attributes::OK_TO_AUTH_AS_DELEGATE);
    // The service's own device is not the user's.
    let kept = flags.with(TicketFlags::HW_AUTHENT, flags.has(TicketFlags::HW_AUTHENT) && !to_self);
    if to_self && !trusted { kept.with(TicketFlags::FORWARDABLE, false) } else { kept }
}

/// What the PAC of a ticket in a user's name holds.
pub fn buffers(
    gathered: &Gathered<'_>,
    behalf: &Behalf,
    evidence: Option<&pac::Presented<'_>>,
) -> Result<Option<pac::Buffers>, Refusal> {
    let Some(evidence) = evidence else {
        // Who an account is here means nothing elsewhere.
        let here = behalf.entry.as_ref().filter(|_| !behalf.leads_back());
        let requestor = here.map(|user| (PacType::REQUESTOR, SmallVec::from_slice(&Requestor::of_account(&user.id))));
        return Ok(Some(requestor.into_iter().collect()));
    };
    let Some(mut buffers) = pac::carried(evidence, &gathered.server.principal) else { return Ok(None) };
    let malformed = because(ErrorCode::MODIFIED, "the delegation info of the user's ticket is malformed");
    let mut transited = evidence.pac().delegation_info().map_err(malformed)?.map_or(vec![], |info| info.transited);
    let service = &gathered.client_name;
    transited.push(format!("{}@{}", display_name(service), service.realm()));
    let way = DelegationInfo { target: display_name(&gathered.server_name), transited };
    let way = way.encode().map_err(because(ErrorCode::BADOPTION, "a delegation through too many services"))?;
    buffers.retain(|(kind, _)| *kind != PacType::DELEGATION_INFO);
    buffers.push((PacType::DELEGATION_INFO, SmallVec::from_vec(way)));
    Ok(Some(buffers))
}
