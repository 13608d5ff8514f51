//! AS-REQ: a client asks for its first ticket (RFC 4120 3.1).

use std::sync::{Arc, LazyLock};

use libkrb::codes::{EncryptionType, LastReqType, MessageType, NameType, PaType};
use libkrb::crypto::{Key, KeyUsage, Random};
use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::wire::{self, Checksum, KdcReq, LastReq, PrincipalName, TransitedEncoding};
use libkrb::{ErrorCode, Principal, Time};
use smallvec::{SmallVec, smallvec};

use super::claims::{self, Claims};
use super::entry::{Attributes, Entry, KeySet, LongTermKey, REQUIRE_ARMOR};
use super::etypes::Offered;
use super::event::Event;
use super::fast::{self, Armor};
use super::grant::{Elements, Grant, SealingKey};
use super::limits::Bounds;
use super::pac::{self, Occasion, Sealer};
use super::password_policy::PasswordPolicy;
use super::policy::Policy;
use super::preauth::{self, Proof, Try};
use super::refuse::{Refusal, because};
use super::reply_key::ReplyKey;
use super::{Admit, Arrival, Asked, Kdc, anonymous, cookie, etypes, identify, issue, referral};

/// What is known about a request before anything is decided.
pub struct Gathered<'a> {
    /// The request.
    pub request: &'a KdcReq<'a>,
    /// The request's bytes.
    pub bytes: &'a [u8],
    /// The client as the request names it, or its canonical name if the request allows that.
    pub client_name: Principal,
    /// The server as the request names it.
    pub server_name: Principal,
    /// The client's entry.
    pub client: Arc<Entry>,
    /// The policy that the client is under.
    pub client_policy: Option<Arc<PasswordPolicy>>,
    /// The server's entry.
    pub server: Arc<Entry>,
    /// The ticket-granting service's.
    pub tgs: Arc<Entry>,
    /// The client does not exist; its entry is made up so that nobody can tell.
    pub decoy: bool,
    /// The enctypes that are offered and allowed.
    pub offered: Offered,
    /// The envelope that the request came in (RFC 6113 5.4); the request is the one inside.
    pub armor: Option<&'a Armor>,
    /// What methods asked the client to remember, as it brought it back.
    cookie: Vec<(PaType, Vec<u8>)>,
}

impl Gathered<'_> {
    /// What a method asked the client to remember in the message before (RFC 6113 5.2).
    ///
    /// # Errors
    /// PREAUTH_EXPIRED where the client brings no cookie or none of this method.
    pub fn remembered(&self, kind: PaType) -> Result<&[u8], Refusal> {
        let lost = Refusal::new(ErrorCode::PREAUTH_EXPIRED, "the message goes on with nothing: begin again");
        self.cookie.iter().find(|(of, _)| *of == kind).map(|(_, state)| state.as_slice()).ok_or(lost)
    }

    /// Whether the client has a password that may be proven only in FAST: out of it, who listens could
    /// guess.
    pub fn wants_armor(&self, policy: &Policy) -> bool {
        // What is neither word opens nothing.
        let own = self.client.strings.get(REQUIRE_ARMOR).map(|value| value != "false");
        let mut keys = self.client.keys.iter().flat_map(|set| &set.keys);
        own.unwrap_or(policy.require_armor) && keys.any(|key| key.salt.is_some()) || self.client.needs_token()
    }

    /// Refuses what needs armor and has none.
    ///
    /// # Errors
    /// POLICY.
    pub fn has_armor_if_wanted(&self, policy: &Policy) -> Result<(), Refusal> {
        let armored = self.armor.is_some() || !self.wants_armor(policy);
        Refusal::unless(armored, ErrorCode::POLICY, "a password must be proven in FAST: kinit needs -T or --armor")
    }

    /// The same request as if its client did not exist.
    pub fn stand_in(&self, policy: &Policy) -> Self {
        Gathered {
            client: Arc::new(decoy_entry(policy, &self.client_name)),
            client_policy: None,
            decoy: true,
            client_name: self.client_name.clone(),
            server_name: self.server_name.clone(),
            server: Arc::clone(&self.server),
            tgs: Arc::clone(&self.tgs),
            offered: self.offered.clone(),
            armor: self.armor,
            cookie: self.cookie.clone(),
            request: self.request,
            bytes: self.bytes,
        }
    }
}

/// Answers an AS-REQ: its bytes and what they say. `None`: it came in an envelope, and what is in there
/// is not let in.
pub fn answer(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    (bytes, request, admit): (&[u8], &KdcReq<'_>, Admit<'_>),
    event: &mut Event,
) -> Option<Result<Vec<u8>, Refusal>> {
    let mut envelope = None;
    let opened = match fast::of_as(kdc, at, request, &mut envelope) {
        Ok(Some(opened)) => opened,
        Ok(None) => return Some(inside(kdc, at, random, (bytes, request, None), event)),
        Err(refusal) => return Some(Err(refusal)),
    };
    let within = opened.request();
    // Whose request it is, and how much work, stands in the envelope.
    if within.as_ref().is_ok_and(|within| !admit(&Asked::of(kdc.policy, within))) {
        return None;
    }
    event.armor = opened.armor.of;
    let answer = within.and_then(|within| inside(kdc, at, random, (bytes, &within, Some(&opened.armor)), event));
    Some(answer.or_else(|refusal| Ok(opened.refuse(kdc, (at, random), request, &refusal, event))))
}

/// Answers the request that counts: the one in the envelope if there is one.
fn inside<'a>(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    message: Message<'a>,
    event: &mut Event,
) -> Result<Vec<u8>, Refusal> {
    let gathered = gather(kdc, at.now.time, message, event)?;
    let grant = check(kdc, at, random, &gathered, event)?;
    Ok(issue::seal(&grant, random, event))
}

/// The message as it came, the request that counts, and the envelope around that.
type Message<'a> = (&'a [u8], &'a KdcReq<'a>, Option<&'a Armor>);

fn gather<'a>(
    kdc: &Kdc<'_>,
    now: Time,
    (bytes, request, armor): Message<'a>,
    event: &mut Event,
) -> Result<Gathered<'a>, Refusal> {
    let body = &request.body;
    event.offered = body.etypes.iter().take(16).collect();
    let client = body.client.ok_or(Refusal::new(ErrorCode::C_PRINCIPAL_UNKNOWN, "the request names no client"))?;
    let found = kdc.store.find(&client, body.realm);
    let client_name = match &found {
        // Who has this name lends it.
        Ok(Some(entry)) if entry.principal.realm() == body.realm && client.names(&entry.principal) => {
            entry.principal.clone().with_kind(client.kind)
        }
        _ => named(kdc, client, body.realm, ErrorCode::C_PRINCIPAL_UNKNOWN)?,
    };
    event.client = Some(client_name.clone());
    let server = body.server.ok_or(Refusal::new(ErrorCode::S_PRINCIPAL_UNKNOWN, "the request names no server"))?;
    let server_name = named(kdc, server, body.realm, ErrorCode::S_PRINCIPAL_UNKNOWN)?;
    event.server = Some(server_name.clone());
    let ours = body.realm == kdc.policy.realm;
    Refusal::unless(ours, ErrorCode::WRONG_REALM, "this KDC does not serve the client's realm")?;
    if let Some(certificate) = identify::certificate(request) {
        let (user, answer) = identify::find(kdc, certificate, now)?;
        event.client = Some(user);
        return Err(answer);
    }

    let offered = etypes::offered(kdc.policy, &body.etypes);
    let found = or_as_spelled(kdc, &client_name, found?)?;
    let decoy = found.is_none();
    if let Some(elsewhere) = referral::client(kdc, &client_name).filter(|_| decoy) {
        return Err(elsewhere);
    }
    let client = match found {
        Some(client) => client,
        None if kdc.policy.hide_unknown_clients => Arc::new(decoy_entry(kdc.policy, &client_name)),
        None => return Err(Refusal::new(ErrorCode::C_PRINCIPAL_UNKNOWN, "no such client in this realm")),
    };
    let client_policy = policy_of(kdc, &client)?;
    let server = kdc.store.lookup(&server_name)?;
    let server = server.ok_or(Refusal::new(ErrorCode::S_PRINCIPAL_UNKNOWN, "no such server in this realm"))?;
    let tgs = if server.principal.is_local_tgs() && server.principal.realm() == body.realm {
        Arc::clone(&server)
    } else {
        kdc.tgs()?
    };
    let client_name = known_as(&client, client_name, body.options.has(KdcOptions::CANONICALIZE));
    let client_name = anonymous::ticket_name(client_name);
    let cookie = request.padata(PaType::FX_COOKIE).map(|cookie| cookie::open(kdc, now, &client_name, cookie.value));
    let cookie = cookie.transpose()?.unwrap_or_default();
    Ok(Gathered {
        request,
        bytes,
        client_name,
        server_name,
        client,
        client_policy,
        server,
        tgs,
        decoy,
        offered,
        armor,
        cookie,
    })
}

/// The policy that a principal is under. A name that stands for no policy has no rules.
pub fn policy_of(kdc: &Kdc<'_>, entry: &Entry) -> Result<Option<Arc<PasswordPolicy>>, Refusal> {
    let policy = entry.policy.as_deref().map(|name| kdc.store.policy(name)).transpose()?;
    Ok(policy.flatten())
}

fn named(kdc: &Kdc<'_>, name: PrincipalName<'_>, realm: &str, code: ErrorCode) -> Result<Principal, Refusal> {
    kdc.policy.principal(&name, realm).map_err(because(code, "not a principal name"))
}

/// The name by which tickets know whoever was found by this one. Another spelling of a name is no name to
/// be known by.
pub fn known_as(entry: &Entry, name: Principal, canonicalize: bool) -> Principal {
    let own = name == entry.principal || entry.aliases.contains(&name);
    let canonical = canonicalize || name.kind() == NameType::ENTERPRISE || !own;
    if canonical { entry.principal.clone() } else { name }
}

/// An enterprise name is looked up as an alias first, then as the name that it spells (RFC 6806 5).
pub fn find_client(kdc: &Kdc<'_>, name: &Principal) -> Result<Option<Arc<Entry>>, Refusal> {
    or_as_spelled(kdc, name, kdc.store.lookup(name)?)
}

fn or_as_spelled(kdc: &Kdc<'_>, name: &Principal, found: Option<Arc<Entry>>) -> Result<Option<Arc<Entry>>, Refusal> {
    let ([spelled], NameType::ENTERPRISE, None) = (name.components(), name.kind(), &found) else { return Ok(found) };
    match Principal::parse(spelled, Some(name.realm())) {
        Ok(spelled) if spelled.realm() == kdc.policy.realm => Ok(kdc.store.lookup(&spelled)?),
        _ => Ok(None),
    }
}

/// An entry for a client that does not exist: it asks for the same work as one that does and has
/// the keys that a new one gets, and nothing opens with them.
fn decoy_entry(policy: &Policy, name: &Principal) -> Entry {
    let name = spelled_out(policy, name);
    let keys = policy.key_etypes.iter().filter_map(|etype| {
        let key = decoy_key(*etype)?;
        let default = libkrb::crypto::default_s2kparams(*etype).map(u32::from_be_bytes);
        let rounds = policy.key_iterations.filter(|rounds| default.is_some_and(|default| default != *rounds));
        Some(key.salted(name.salt()).with_iterations(rounds))
    });
    let mut entry = Entry::new(name.clone(), [0; 16], Time::EPOCH, "");
    entry.keys = vec![KeySet::new(1, keys.collect())];
    entry.attributes = Attributes::REQUIRES_PRE_AUTH;
    entry
}

/// Nobody's key of an enctype. There is one for all who don't exist, so that it is as ready for use as
/// the keys of those who do.
fn decoy_key(etype: EncryptionType) -> Option<&'static LongTermKey> {
    static KEYS: LazyLock<Vec<LongTermKey>> = LazyLock::new(|| {
        let key = |etype: &EncryptionType| {
            let length = libkrb::crypto::key_len(*etype).ok()?;
            Some(LongTermKey::new(Key::new(*etype, [0; 64].get(..length)?).ok()?, None))
        };
        libkrb::crypto::SUPPORTED.iter().chain(&[EncryptionType::RC4_HMAC]).filter_map(key).collect()
    });
    KEYS.iter().find(|key| key.etype() == etype)
}

/// The name that a client would have who can be found as `name`.
fn spelled_out(policy: &Policy, name: &Principal) -> Principal {
    let ([part], enterprise) = (name.components(), name.kind() == NameType::ENTERPRISE) else { return name.clone() };
    let spelled = Principal::parse(part, Some(name.realm())).ok().filter(|_| enterprise || part.contains('@'));
    let ours = spelled.filter(|spelled| spelled.realm().eq_ignore_ascii_case(&policy.realm));
    ours.map_or_else(|| name.clone(), |spelled| spelled.in_realm(&policy.realm))
}

fn check<'a>(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    gathered: &'a Gathered<'a>,
    event: &mut Event,
) -> Result<Grant<'a>, Refusal> {
    check_options(kdc.policy, gathered)?;
    let proof = check_client(&mut Try { kdc, at, random: &mut *random, question: None }, gathered)?;
    event.proof = proof.as_ref().map_or("", |proof| proof.name);
    event.indicators = kdc.policy.indicators.of(proof.as_ref());
    check_server(at.now.time, gathered)?;
    claims::required(&gathered.server, &event.indicators)?;
    let roles = claims::roles(kdc, &gathered.client, &gathered.server, at.now.time)?;
    let claims = Claims { indicators: event.indicators.clone(), roles };
    grant(kdc, at, random, gathered, (proof, claims))
}

fn check_options(policy: &Policy, gathered: &Gathered<'_>) -> Result<(), Refusal> {
    const ONLY_TGS: [KdcOptions; 6] = [
        KdcOptions::FORWARDED,
        KdcOptions::PROXY,
        KdcOptions::ENC_TKT_IN_SKEY,
        KdcOptions::CNAME_IN_ADDL_TKT,
        KdcOptions::RENEW,
        KdcOptions::VALIDATE,
    ];
    let options = gathered.request.body.options;
    let plain = !ONLY_TGS.iter().any(|option| options.has(*option));
    Refusal::unless(plain, ErrorCode::BADOPTION, "an option that only makes sense with a TGT")?;
    anonymous::check_request(policy, options, &gathered.client_name, &gathered.server.principal)
}

/// Account state and proof. With unknown clients hidden the proof comes first, so that only who has
/// the key learns the state; otherwise the state comes first, so that nobody types a password in
/// vain.
fn check_client(work: &mut Try<'_>, gathered: &Gathered<'_>) -> Result<Option<Proof>, Refusal> {
    let (kdc, now) = (work.kdc, work.at.now.time);
    if kdc.policy.hide_unknown_clients {
        let proof = check_proof(work, gathered)?;
        check_account(now, gathered)?;
        Ok(proof)
    } else {
        check_account(now, gathered)?;
        preauth::not_locked(kdc, now, gathered)?;
        check_proof(work, gathered)
    }
}

fn check_account(now: Time, gathered: &Gathered<'_>) -> Result<(), Refusal> {
    let (client, server) = (&gathered.client, &gathered.server);
    let attributes = client.attributes;
    let open = !attributes.has(Attributes::DISALLOW_ALL_TIX);
    Refusal::unless(open, ErrorCode::CLIENT_REVOKED, "the client is locked or disabled")?;
    let alive = client.expires.is_none_or(|expires| now < expires);
    Refusal::unless(alive, ErrorCode::NAME_EXP, "the client's account has expired")?;
    if server.attributes.has(Attributes::PWCHANGE_SERVICE) {
        return Ok(());
    }
    let fresh = client.password_expires.is_none_or(|expires| now < expires);
    Refusal::unless(fresh, ErrorCode::KEY_EXPIRED, "the password has expired and must be changed")?;
    let kept = !attributes.has(Attributes::REQUIRES_PWCHANGE);
    Refusal::unless(kept, ErrorCode::KEY_EXPIRED, "the password must be changed first")
}

fn check_proof(work: &mut Try<'_>, gathered: &Gathered<'_>) -> Result<Option<Proof>, Refusal> {
    let either = |attribute| gathered.client.attributes.has(attribute) || gathered.server.attributes.has(attribute);
    let unknown = gathered.decoy || gathered.client_name.is_anonymous();
    let needed = work.kdc.policy.require_preauth || unknown || either(Attributes::REQUIRES_PRE_AUTH);
    let needed = needed || gathered.client.needs_token();
    if !needed {
        // The reply under a password's key is as good for guessing as a proof.
        gathered.has_armor_if_wanted(work.kdc.policy)?;
    }
    if needed && !preauth::attempted(gathered) {
        return Err(preauth::required(work, gathered));
    }
    let proof = preauth::verify(work, gathered)?;
    let hardware = !either(Attributes::REQUIRES_HW_AUTH) || proof.as_ref().is_some_and(|proof| proof.hardware);
    Refusal::unless(hardware, ErrorCode::PREAUTH_REQUIRED, "this principal needs hardware pre-authentication")?;
    Ok(proof)
}

fn check_server(now: Time, gathered: &Gathered<'_>) -> Result<(), Refusal> {
    let server = &gathered.server;
    server_alive(server, now)?;
    let service = !server.attributes.has(Attributes::DISALLOW_SVR);
    Refusal::unless(service, ErrorCode::MUST_USE_USER2USER, "this principal is no service")
}

/// What both exchanges ask of a server.
pub fn server_alive(server: &Entry, now: Time) -> Result<(), Refusal> {
    let alive = server.expires.is_none_or(|expires| now < expires);
    Refusal::unless(alive, ErrorCode::SERVICE_EXP, "the server's account has expired")?;
    let open = !server.attributes.has(Attributes::DISALLOW_ALL_TIX);
    Refusal::unless(open, ErrorCode::SERVICE_REVOKED, "the server is locked or disabled")
}

fn grant<'a>(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    gathered: &'a Gathered<'a>,
    (proof, claims): (Option<Proof>, Claims),
) -> Result<Grant<'a>, Refusal> {
    let Gathered { request, client, server, offered, .. } = gathered;
    let (body, now) = (&request.body, at.now.time);
    let reply = ReplyKey::of(gathered, proof.as_ref(), now)?;
    let (ticket_key, ticket_kvno) = etypes::ticket_key(kdc.policy, server, now)?;
    let session = new_key(etypes::session(kdc.policy, server, offered, now)?, random)?;
    let joint = proof.as_ref().is_some_and(|proof| proof.joint_session_key);
    let (session, contribution) = if joint { reply.join(session, random)? } else { (session, None) };
    // No ticket outlives what proved its client.
    let until = proof.as_ref().and_then(|proof| proof.until).map(|until| (until, Some(until)));
    let bounds = Bounds {
        policy: kdc.policy,
        client: Some(client),
        client_policy: gathered.client_policy.as_deref(),
        server,
        tgt: until,
        indicators: &claims.indicators,
    };
    let times = bounds.times(body, now, now)?;
    let wants_padata = request.padata(PaType::REQ_ENC_PA_REP).is_some();
    let flags = times.renewable(bounds.flags(body.options)) | TicketFlags::INITIAL;
    let flags = flags | anonymous::flag(&gathered.client_name);
    let hardware = proof.as_ref().is_some_and(|proof| proof.hardware);
    let flags = flags.with(TicketFlags::PRE_AUTHENT, proof.is_some()).with(TicketFlags::HW_AUTHENT, hardware);
    let mut padata = Elements::from_iter(reply.hint(gathered));
    let as_it_was = proof.as_ref().is_some_and(Proof::is_old) && !gathered.wants_armor(kdc.policy);
    let of_proof = proof.map(|proof| proof.padata).unwrap_or_default();
    padata.extend(of_proof.into_iter().map(|(kind, value)| (kind, value.into())));
    padata.extend(contribution);
    let sealer = Sealer::LongTerm(ticket_key);
    let pac = pac::first(client, server, pac::wish(request))
        .and_then(|buffers| Occasion { tgs: &gathered.tgs, server, sealer, flags, user: None }.plan(kdc, now, buffers));
    let (reply_key, envelope) = reply.enveloped(gathered.armor, as_it_was, at, random)?;
    Ok(Grant {
        kind: MessageType::AS_REP,
        client: &gathered.client_name,
        server: &gathered.server_name,
        flags,
        times,
        addresses: body.addresses.filter(|addresses| !addresses.is_empty()),
        transited: TransitedEncoding::NONE,
        authorization_data: vec![],
        claims,
        pac,
        tgs_key: etypes::ticket_key(kdc.policy, &gathered.tgs, now).ok(),
        session,
        ticket_key: SealingKey::long_term(ticket_key, ticket_kvno, LongTermKey::ticket),
        encrypted_padata: if wants_padata { vouched(reply_key.key(), gathered.bytes) } else { smallvec![] },
        reply_key: reply_key.sealing(),
        envelope,
        nonce: body.nonce,
        last_req: last_req(client),
        key_expiration: client.password_expires.into_iter().chain(client.expires).min(),
        padata,
    })
}

/// A fresh session key.
pub fn new_key(etype: EncryptionType, random: &mut dyn Random) -> Result<Key, Refusal> {
    Key::random(etype, random).map_err(because(ErrorCode::ETYPE_NOSUPP, "no such session key can be made"))
}

/// Nobody is told when it logged in last; expirations are told, because clients warn of them.
fn last_req(client: &Entry) -> SmallVec<[LastReq; 2]> {
    let told = [
        client.password_expires.map(|time| LastReq { kind: LastReqType::PASSWORD_EXPIRES, time }),
        client.expires.map(|time| LastReq { kind: LastReqType::ACCOUNT_EXPIRES, time }),
    ];
    let mut told = SmallVec::from_iter(told.into_iter().flatten());
    if told.is_empty() {
        told.push(LastReq { kind: LastReqType::NONE, time: Time::EPOCH });
    }
    told
}

/// PA-REQ-ENC-PA-REP: proves to the client that its request arrived unchanged, and that this KDC knows
/// FAST (RFC 6806 11).
pub fn vouched(reply_key: &Key, request: &[u8]) -> Elements {
    let checksum = reply_key.checksum(KeyUsage::AS_REQ_CHECKSUM, request);
    let checksum = Checksum { kind: reply_key.checksum_type(), checksum: &checksum };
    smallvec![(PaType::REQ_ENC_PA_REP, wire::encode(&checksum).into()), (PaType::FX_FAST, smallvec![])]
}
