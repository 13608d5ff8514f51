//! FAST (RFC 6113 5.4): a request that comes in an envelope, and the envelope that its answer goes
//! back in. The request inside counts in place of the one outside, whose words anybody could have
//! written. Not here: whom the armor ticket belongs to, for FAST proves nobody; and what is asked.

use libkrb::codes::{MessageType, PaType};
use libkrb::crypto::{Key, PreparedPrf, Random};
use libkrb::flags::{ApOptions, FastOptions, TicketFlags};
use libkrb::preauth::fast::{self, Replying};
use libkrb::ticket;
use libkrb::time::Instant;
use libkrb::wire::{
    self, ApReq, EncryptionKey, KdcReq, KrbFastArmor, KrbFastArmoredReq, KrbFastReq, KrbFastResponse, List, MethodData,
    PaData, PaFxFastRequest, TypedData,
};
use libkrb::{Error, ErrorCode, Principal};

use super::event::Event;
use super::grant::Element;
use super::refuse::{self, Names, Refusal, because};
use super::tgs_req::{self, Session};
use super::{Arrival, Kdc};

/// The envelope of a request.
#[derive(Debug)]
pub struct Armor {
    /// The armor key.
    pub key: Key,
    /// The same, ready for the answer.
    pub replying: Replying,
    /// Whose ticket it comes from, for the event.
    pub of: &'static str,
    /// The subkey of a TGS-REQ's authenticator, ready to be made stronger.
    subkey: Option<PreparedPrf>,
    options: FastOptions,
    nonce: u32,
}

/// A request that came in an envelope, read where its bytes were decrypted to.
pub struct Opened<'a> {
    kind: MessageType,
    inside: KrbFastReq<'a>,
    /// Its envelope.
    pub armor: Armor,
}

/// Where the bytes of an opened envelope stay for as long as they are read.
pub type Inside = Option<fast::Opened>;

/// Opens the envelope of an AS-REQ, if it came in one.
///
/// # Errors
/// Those of the armor ticket, as an application server has them; PREAUTH_FAILED for armor of another
/// kind or none.
pub fn of_as<'a>(
    kdc: &Kdc<'_>,
    at: Arrival,
    request: &KdcReq<'_>,
    inside: &'a mut Inside,
) -> Result<Option<Opened<'a>>, Refusal> {
    let Some(element) = request.padata(PaType::FX_FAST) else { return Ok(None) };
    let envelope = envelope(&element)?;
    let no_armor = Refusal::new(ErrorCode::PREAUTH_FAILED, "a FAST request without armor");
    let (key, nobody) = armor_key(kdc, at, &envelope.armor.ok_or(no_armor)?)?;
    let of = if nobody { "anonymous" } else { "ticket" };
    open((key, of), request, &envelope, request.body.der, inside).map(Some)
}

/// Opens the envelope of a TGS-REQ, if it came in one. The keys are the session key of the presented
/// ticket and the subkey of its authenticator; an armor ticket may come besides.
///
/// # Errors
/// As [`of_as`].
pub fn of_tgs<'a>(
    kdc: &Kdc<'_>,
    at: Arrival,
    request: &KdcReq<'_>,
    (session, subkey): (&Session, Option<EncryptionKey<'_>>),
    inside: &'a mut Inside,
) -> Result<Option<Opened<'a>>, Refusal> {
    let Some(element) = request.padata(PaType::FX_FAST) else { return Ok(None) };
    let Some(ap_req) = request.padata(PaType::TGS_REQ) else { return Ok(None) };
    let envelope = envelope(&element)?;
    let bare = Refusal::new(ErrorCode::PREAUTH_FAILED, "a FAST request whose authenticator has no subkey");
    let subkey = subkey.ok_or(bare)?.key().map_err(because(ErrorCode::ETYPE_NOSUPP, "the subkey can't be used"))?;
    let subkey = subkey.prepare_prf();
    let key = match envelope.armor {
        None => fast::armor_key_of(&subkey, &session.armor().1),
        Some(armor) => fast::explicit_armor_key(&armor_key(kdc, at, &armor)?.0, &subkey),
    };
    let of = if envelope.armor.is_some() { "explicit" } else { "implicit" };
    let key = key.map_err(because(ErrorCode::ETYPE_NOSUPP, "no armor key can be made"))?;
    let mut opened = open((key, of), request, &envelope, ap_req.value, inside)?;
    opened.armor.subkey = Some(subkey);
    Ok(Some(opened))
}

fn envelope<'a>(element: &PaData<'a>) -> Result<KrbFastArmoredReq<'a>, Refusal> {
    let malformed = because(ErrorCode::PREAUTH_FAILED, "malformed FAST request");
    wire::decode::<PaFxFastRequest<'_>>(element.value).map(|request| request.0).map_err(malformed)
}

/// The key of FX_FAST_ARMOR_AP_REQUEST (RFC 6113 5.4.1.1). A client shows the same AP-REQ with every
/// message of a conversation, so it is no replay. And whether its ticket is nobody's (RFC 8062).
fn armor_key(kdc: &Kdc<'_>, at: Arrival, armor: &KrbFastArmor<'_>) -> Result<(Key, bool), Refusal> {
    let known = armor.kind == KrbFastArmor::AP_REQUEST;
    Refusal::unless(known, ErrorCode::PREAUTH_FAILED, "armor of an unknown kind")?;
    let ap_req = wire::decode::<ApReq<'_>>(armor.value);
    let ap_req = ap_req.map_err(because(ErrorCode::PREAUTH_FAILED, "malformed armor"))?;
    let plain = !ap_req.options.has(ApOptions::USE_SESSION_KEY);
    Refusal::unless(plain, ErrorCode::PREAUTH_FAILED, "a user-to-user ticket is no armor")?;
    let shown = tgs_req::recall(kdc, at.now.time, ap_req.ticket)?;
    let opened = &*shown.opened;
    let local = opened.server_name.is_local_tgs();
    Refusal::unless(local, ErrorCode::SERVER_NOMATCH, "only a ticket-granting ticket of this realm is armor")?;
    let unreadable = because(ErrorCode::PREAUTH_FAILED, "malformed armor ticket or authenticator");
    let part = opened.ticket.read().map_err(&unreadable)?;
    let unusable = because(ErrorCode::ETYPE_NOSUPP, "a key of the armor can't be used");
    let session = opened.session().map_err(&unusable)?;
    let shut = because(ErrorCode::BAD_INTEGRITY, "the authenticator of the armor does not open");
    let (key, prf) = session.armor();
    let authenticator = ticket::open_authenticator(&ap_req.authenticator, key).map_err(shut)?;
    shown.is_proven(kdc, at.now.time);
    let said = authenticator.read().map_err(&unreadable)?;
    let (now, skew) = (at.now.time, kdc.policy.clock_skew);
    let same = said.client_realm == part.client_realm && said.client.same_as(&part.client);
    Refusal::unless(same, ErrorCode::BADMATCH, "the armor's authenticator names another client than its ticket")?;
    let near = said.time.distance(now) <= skew;
    Refusal::unless(near, ErrorCode::SKEW, "the client's clock differs too much from the KDC's")?;
    Refusal::unless(now < part.end_time, ErrorCode::TKT_EXPIRED, "the armor ticket has expired")?;
    let begun = part.start_time.unwrap_or(part.auth_time) <= now + skew;
    let valid = begun && !part.flags.has(TicketFlags::INVALID);
    Refusal::unless(valid, ErrorCode::TKT_NYV, "the armor ticket is not valid yet")?;
    let bare = Refusal::new(ErrorCode::PREAUTH_FAILED, "the armor's authenticator has no subkey");
    let subkey = said.subkey.ok_or(bare)?.key().map_err(&unusable)?;
    let allowed = [&session.key, &subkey].into_iter().all(|key| kdc.policy.etypes.contains(&key.etype()));
    Refusal::unless(allowed, ErrorCode::ETYPE_NOSUPP, "a key of the armor is of a type that is not allowed")?;
    let nobody = part.flags.has(TicketFlags::ANONYMOUS);
    fast::armor_key_of(&subkey.prepare_prf(), prf).map(|key| (key, nobody)).map_err(unusable)
}

fn open<'a>(
    (key, of): (Key, &'static str),
    request: &KdcReq<'_>,
    envelope: &KrbFastArmoredReq<'_>,
    outer: &[u8],
    inside: &'a mut Inside,
) -> Result<Opened<'a>, Refusal> {
    let opened = fast::open_request(&key, envelope, outer).map_err(|error| match error {
        Error::ChecksumNotSupported(_) => {
            Refusal::new(ErrorCode::INAPP_CKSUM, "the checksum of the envelope is not of the armor key's type")
        }
        _ => Refusal::new(ErrorCode::MODIFIED, "the envelope does not open, or belongs to another message"),
    })?;
    let inside = inside.insert(opened).request();
    let inside = inside.map_err(because(ErrorCode::PREAUTH_FAILED, "malformed request in the envelope"))?;
    let (options, nonce) = (inside.options, inside.body.nonce);
    let armor = Armor { replying: Replying::new(&key), key, of, subkey: None, options, nonce };
    Ok(Opened { kind: request.kind, inside, armor })
}

impl Opened<'_> {
    /// The request that counts.
    ///
    /// # Errors
    /// UNKNOWN_CRITICAL_FAST_OPTIONS.
    pub fn request(&self) -> Result<KdcReq<'_>, Refusal> {
        let unknown = "a FAST option that the KDC must know and does not";
        let known = !self.armor.options.unknown_critical();
        Refusal::unless(known, ErrorCode::UNKNOWN_CRITICAL_FAST_OPTIONS, unknown)?;
        Ok(KdcReq { kind: self.kind, padata: self.inside.padata.into(), body: self.inside.body })
    }

    /// The KRB-ERROR for a refusal: what it says stands in the envelope, and outside no more than its
    /// code (RFC 6113 5.4.4).
    pub fn refuse(
        &self,
        kdc: &Kdc<'_>,
        (at, random): (Arrival, &mut dyn Random),
        outer: &KdcReq<'_>,
        refusal: &Refusal,
        event: &mut Event,
    ) -> Vec<u8> {
        let Refusal { code, cause, data, realm } = refusal;
        event.refusal = Some((*code, cause));
        let names = Names::of_body(&self.inside.body);
        let told = Refusal { realm: realm.clone(), ..Refusal::new(*code, cause) };
        let error = refuse::reply(kdc.policy, at.now, &names, &told);
        let mut padata = vec![PaData { kind: PaType::FX_ERROR, value: &error }];
        padata.extend(elements(data.as_deref().unwrap_or_default()));
        let value = self.armor.replying.seal(random, &self.armor.response(&padata, None));
        let data = wire::encode(&List::Items(&[PaData { kind: PaType::FX_FAST, value: &value }]));
        let outside = Refusal { data: Some(data), ..Refusal::new(*code, "see the FAST envelope") };
        let names = if self.armor.hides() { Names::hidden(outer) } else { Names::of_body(&outer.body) };
        refuse::reply(kdc.policy, at.now, &names, &outside)
    }
}

/// What an answer needs to go back in its envelope.
#[derive(Debug)]
pub struct Sealing<'a> {
    armor: &'a Armor,
    /// What made the reply key stronger.
    strengthen: Option<Key>,
    now: Instant,
}

impl Armor {
    /// The reply key made stronger by a fresh one, and what tells the client of it.
    pub fn strengthen(
        &self,
        now: Instant,
        random: &mut dyn Random,
        reply_key: &PreparedPrf,
    ) -> Result<(Key, Sealing<'_>), Refusal> {
        let unable = because(ErrorCode::ETYPE_NOSUPP, "the reply key can't be strengthened");
        let strengthen = Key::random(reply_key.etype(), random).map_err(&unable)?;
        let key = fast::strengthened_by(&strengthen, reply_key).map_err(&unable)?;
        Ok((key, Sealing { armor: self, strengthen: Some(strengthen), now }))
    }

    /// The same of the subkey of a TGS-REQ's authenticator, which seals the reply.
    pub fn strengthen_subkey(
        &self,
        now: Instant,
        random: &mut dyn Random,
        subkey: &Key,
    ) -> Result<(Key, Sealing<'_>), Refusal> {
        match &self.subkey {
            Some(prepared) => self.strengthen(now, random, prepared),
            None => self.strengthen(now, random, &subkey.prepare_prf()),
        }
    }

    /// What goes back in the envelope under a reply key that is as it was.
    pub fn plain(&self, now: Instant) -> Sealing<'_> {
        Sealing { armor: self, strengthen: None, now }
    }

    /// Whether nobody else may read whose request it is.
    pub fn hides(&self) -> bool {
        self.options.has(FastOptions::HIDE_CLIENT_NAMES)
    }

    fn response<'a>(&self, padata: &'a [PaData<'a>], strengthen: Option<&'a Key>) -> KrbFastResponse<'a> {
        KrbFastResponse {
            padata: List::Items(padata),
            strengthen_key: strengthen.map(EncryptionKey::from),
            finished: None,
            nonce: self.nonce,
        }
    }
}

/// The elements of e-data: METHOD-DATA, or TYPED-DATA, which has the same numbers.
fn elements(data: &[u8]) -> Vec<PaData<'_>> {
    if let Ok(methods) = wire::decode::<MethodData<'_>>(data) {
        return methods.iter().collect();
    }
    let typed = wire::decode::<List<'_, TypedData<'_>>>(data).unwrap_or_default();
    typed.iter().map(|data| PaData { kind: PaType(data.kind), value: data.value.unwrap_or_default() }).collect()
}

impl Sealing<'_> {
    /// The padata of the reply: one envelope around all of it, which vouches for the ticket.
    pub fn padata(&self, random: &mut dyn Random, client: &Principal, ticket: &[u8], padata: &[PaData<'_>]) -> Element {
        let replying = &self.armor.replying;
        let checksum = replying.checksum(ticket);
        let finished = replying.finished(self.now, (client.realm(), client.into()), &checksum);
        let response =
            KrbFastResponse { finished: Some(finished), ..self.armor.response(padata, self.strengthen.as_ref()) };
        (PaType::FX_FAST, replying.seal(random, &response).into())
    }

    /// The client's name in the clear part of the reply.
    pub fn client<'a>(&self, client: &'a Principal) -> &'a Principal {
        if self.armor.hides() { Principal::anonymous() } else { client }
    }
}
