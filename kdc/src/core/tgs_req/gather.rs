//! Gathering a TGS-REQ: from decrypted bytes to facts that hold together (RFC 4120 3.3.2, 3.3.3.1).

use std::sync::Arc;

use libkrb::codes::AddressType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::KdcOptions;
use libkrb::replay::Verdict;
use libkrb::session::Address;
use libkrb::wire::{Authenticator, EncTicketPart, HostAddress, KdcReq};
use libkrb::{Error, ErrorCode, Principal};

use super::super::as_req::policy_of;
use super::super::claims;
use super::super::entry::Entry;
use super::super::etypes::Offered;
use super::super::event::Event;
use super::super::fast::Armor;
use super::super::password_policy::PasswordPolicy;
use super::super::refuse::{Refusal, because};
use super::super::{Arrival, Kdc, anonymous, etypes, pac, referral};
use super::Message;
use super::authdata::{self, RequestData};
use super::foreign::{self, Foreign};
use super::header::{self, Header, Opened};
use super::s4u::{self, Behalf};

/// What is known about a request before policy is asked.
pub struct Gathered<'a> {
    /// The message as it came.
    pub bytes: &'a [u8],
    /// The request.
    pub request: &'a KdcReq<'a>,
    /// Whom the presented ticket is for.
    pub header_server: &'a Principal,
    /// The presented ticket.
    pub ticket: EncTicketPart<'a>,
    /// The client, as the presented ticket names it.
    pub client_name: Principal,
    /// The client's entry.
    pub client: Option<Arc<Entry>>,
    /// What another realm has to do with it.
    pub foreign: Option<Foreign<'a>>,
    /// The policy that the client is under.
    pub client_policy: Option<Arc<PasswordPolicy>>,
    /// The server as the request names it, or the realm that is nearer to it.
    pub server_name: Principal,
    /// The server's entry.
    pub server: Arc<Entry>,
    /// The enctypes that are offered and allowed.
    pub offered: Offered,
    /// What the reply is sealed with: the authenticator's subkey, else the session key.
    pub reply: (Key, KeyUsage),
    /// For user-to-user: the ticket whose session key seals the new one.
    pub second: Option<Opened>,
    /// In whose name the client asks, if in another's.
    pub behalf: Option<Behalf>,
    /// The PAC of the presented ticket.
    pub pac: Option<pac::Presented<'a>>,
    /// The ticket-granting service's entry.
    pub tgs: Arc<Entry>,
    /// How the client proved itself when it logged in, as the presented ticket has it from this realm.
    pub indicators: Vec<String>,
    /// The authorization data of the request.
    pub data: Option<RequestData>,
    /// The envelope that the request came in (RFC 6113 5.4); the request is the one inside.
    pub armor: Option<&'a Armor>,
}

impl<'a> Gathered<'a> {
    /// The ticket whose client the new one is for: the presented one, or that of the user in whose name
    /// the client asks.
    pub fn source(&'a self) -> Result<EncTicketPart<'a>, Refusal> {
        match self.behalf.as_ref().and_then(Behalf::evidence) {
            Some(evidence) => s4u::read(evidence),
            None => Ok(self.ticket),
        }
    }

    /// Whom the new ticket is for.
    pub fn subject(&self) -> (&Principal, Option<&Entry>, Option<&PasswordPolicy>) {
        match self.behalf.as_ref().filter(|behalf| !behalf.leads_back()) {
            Some(behalf) => (&behalf.user, behalf.entry.as_deref(), behalf.policy.as_deref()),
            None => (&self.client_name, self.client.as_deref(), self.client_policy.as_deref()),
        }
    }
}

/// Checks that ticket, authenticator and request belong together; finds what the request names.
pub fn gather<'a>(
    kdc: &Kdc<'a>,
    at: Arrival,
    message: &Message<'a>,
    event: &mut Event,
) -> Result<Gathered<'a>, Refusal> {
    let Message { bytes, outer, request, armor, header, said } = *message;
    let unreadable = because(ErrorCode::GENERIC, "malformed ticket or authenticator");
    let ticket = header.ticket;
    let client_name = header.opened.client(kdc, &ticket).map_err(&unreadable)?;
    event.client = Some(client_name.clone());
    authentic(kdc, at, outer, header, &ticket, said)?;

    let body = &request.body;
    let unknown = |cause| Refusal::new(ErrorCode::S_PRINCIPAL_UNKNOWN, cause);
    let name = body.server.ok_or(unknown("the request names no server"))?;
    let server_name = kdc
        .policy
        .principal(&name, body.realm)
        .map_err(because(ErrorCode::S_PRINCIPAL_UNKNOWN, "not a principal name"))?;
    event.server = Some(server_name.clone());
    let (server_name, server) = referral::server(kdc, body, server_name)?;
    event.server = Some(server_name.clone());

    let reply = match said.subkey {
        Some(subkey) => {
            let subkey = subkey.key().map_err(because(ErrorCode::ETYPE_NOSUPP, "the subkey can't be used"))?;
            (subkey, KeyUsage::TGS_REP_SUBKEY)
        }
        None => (header.session.key.clone(), KeyUsage::TGS_REP_SESSION),
    };
    let behalf = s4u::gather(kdc, at.now.time, request, (header, &server.principal), &reply)?;
    event.on_behalf_of = behalf.as_ref().map(|behalf| behalf.user.clone());
    let foreign = weighed(kdc, header, &ticket, behalf.as_ref())?;
    // Whoever is foreign has no entry here, whatever else has that name.
    let local = foreign.is_none() || client_name.realm() == kdc.policy.realm;
    let client = if local { kdc.store.lookup(&anonymous::entry_name(kdc.policy, &client_name))? } else { None };
    let tgs = if header.server_name.is_local_tgs() { Arc::clone(header.server) } else { kdc.tgs()? };
    let user = behalf.as_ref().and_then(Behalf::vouched_for);
    let verified = |by: (&_, &_)| match (header.opened.vouched.get(), user) {
        (Some(()), None) => pac::read(kdc, &header.opened.ticket, by.0),
        _ => pac::verify(kdc, at.now.time, &tgs, &ticket, by, user),
    };
    let pac = header.sealed_by.map(verified).transpose()?.flatten();
    if user.is_none() {
        header.opened.vouched.get_or_init(|| ());
    }
    if let (Some(pac), Some(client)) = (&pac, &client) {
        pac.same_account(client)?;
    }
    let sealed_by = header.sealed_by.map(|(_, key)| &key.key);
    let own = foreign.as_ref().filter(|_| behalf.is_none());
    let indicators = match own.and_then(|foreign| foreign.indicators(&ticket, sealed_by)) {
        Some(accepted) => accepted,
        None => indicators(kdc, at, &tgs, header, behalf.as_ref())?,
    };
    event.indicators.clone_from(&indicators);
    Ok(Gathered {
        bytes,
        request,
        header_server: header.server_name,
        client_policy: client.as_deref().map(|client| policy_of(kdc, client)).transpose()?.flatten(),
        client,
        foreign,
        client_name,
        ticket,
        server_name,
        server,
        tgs,
        indicators,
        offered: etypes::offered(kdc.policy, &body.etypes),
        data: authdata::open(body, &header.session.key, &reply)?,
        reply,
        second: second_ticket(kdc, at, request)?,
        behalf,
        pac,
        armor,
    })
}

/// What other realms have to do with it: with the client, or with the user in whose name it asks.
fn weighed<'a>(
    kdc: &Kdc<'a>,
    header: &Header<'_>,
    ticket: &EncTicketPart<'_>,
    behalf: Option<&Behalf>,
) -> Result<Option<Foreign<'a>>, Refusal> {
    let client = behalf.and_then(Behalf::visitor).map_or(ticket.client_realm, Principal::realm);
    let round = behalf.is_some_and(|behalf| behalf.vouched_for().is_some());
    let foreign = foreign::weigh(kdc, (header.server_name, ticket), (client, round))?;
    match behalf.and_then(Behalf::evidence) {
        Some(evidence) if foreign.is_none() => {
            let shown = s4u::read(evidence)?;
            foreign::weigh(kdc, (&evidence.server_name, &shown), (shown.client_realm, false))
        }
        _ => Ok(foreign),
    }
}

/// How the client of the new ticket proved itself. In whose name a service speaks by its own word proved
/// nothing here.
fn indicators(
    kdc: &Kdc<'_>,
    at: Arrival,
    tgs: &Entry,
    header: &Header<'_>,
    behalf: Option<&Behalf>,
) -> Result<Vec<String>, Refusal> {
    let said = |ticket: &EncTicketPart<'_>| claims::presented(kdc.policy, tgs, ticket, at.now.time);
    match behalf {
        None => Ok(header.opened.indicators.get_or_init(|| said(&header.ticket)).clone()),
        Some(behalf) => Ok(behalf.evidence().map(s4u::read).transpose()?.map_or(vec![], |evidence| said(&evidence))),
    }
}

/// The checks of RFC 4120 3.2.3 as the TGS makes them; the replay cache comes last, so that only
/// what is genuine is remembered.
fn authentic(
    kdc: &Kdc<'_>,
    at: Arrival,
    request: &KdcReq<'_>,
    header: &Header<'_>,
    ticket: &EncTicketPart<'_>,
    authenticator: &Authenticator<'_>,
) -> Result<(), Refusal> {
    let same = authenticator.client_realm == ticket.client_realm && authenticator.client.same_as(&ticket.client);
    Refusal::unless(same, ErrorCode::BADMATCH, "the authenticator names another client than the ticket")?;
    let near = authenticator.time.distance(at.now.time) <= kdc.policy.clock_skew;
    Refusal::unless(near, ErrorCode::SKEW, "the client's clock differs too much from the KDC's")?;
    check_addresses(kdc, at, ticket)?;
    authdata::no_armor(ticket, authenticator)?;

    let checksum = authenticator
        .checksum
        .ok_or(Refusal::new(ErrorCode::INAPP_CKSUM, "the authenticator has no checksum over the request"))?;
    let verified = header.session.request().1.verify(checksum.kind, request.body.der, checksum.checksum);
    verified.map_err(|error| match error {
        Error::ChecksumNotSupported(_) => {
            Refusal::new(ErrorCode::INAPP_CKSUM, "the checksum over the request is not of the session key's type")
        }
        _ => Refusal::new(ErrorCode::MODIFIED, "the checksum over the request is wrong"),
    })?;

    match kdc.replays.insert(header.seen, authenticator.time, at.now.time) {
        // Full: one user with a ticket could fill it and so stop the realm, while a replay brings nothing
        // but a reply that its sender can't read.
        Verdict::Fresh | Verdict::Full | Verdict::Unavailable => Ok(()),
        Verdict::Replay => Err(Refusal::new(ErrorCode::REPEAT, "this authenticator was used before")),
    }
}

/// A TGT that is bound to addresses is good from these only. NetBIOS names, which Windows puts
/// there, bind to nothing.
pub fn check_addresses(kdc: &Kdc<'_>, at: Arrival, ticket: &EncTicketPart<'_>) -> Result<(), Refusal> {
    let binds = |address: HostAddress<'_>| address.kind != AddressType::NETBIOS;
    let bound = ticket.addresses.filter(|addresses| addresses.iter().any(binds));
    let (Some(addresses), Some(from), true) = (bound, at.from, kdc.policy.check_addresses) else { return Ok(()) };
    let peer = Address::ip(from);
    let listed = addresses.iter().any(|address| peer.is(&address));
    Refusal::unless(listed, ErrorCode::BADADDR, "the ticket may not be used from this address")
}

fn second_ticket(kdc: &Kdc<'_>, at: Arrival, request: &KdcReq<'_>) -> Result<Option<Opened>, Refusal> {
    let body = &request.body;
    if !body.options.has(KdcOptions::ENC_TKT_IN_SKEY) {
        return Ok(None);
    }
    let sealed = body.additional_tickets.and_then(|tickets| tickets.iter().next());
    let sealed = sealed.ok_or(Refusal::new(ErrorCode::BADOPTION, "user-to-user needs the server's ticket"))?;
    header::open_ticket(kdc, at.now.time, &sealed).map(Some)
}
