//! Requests for further tickets, to be bent: with tickets of ours, of another realm's and of users, whose
//! contents are bent too, as the KDC's own key allows nobody but a test.

use libkrb::authz::pac::{self, Pac, Signatures};
use libkrb::codes::{AuthDataType, EncryptionType, MessageType, PaType, PacType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{FastOptions, KdcOptions, PacOptions, S4uOptions};
use libkrb::preauth::fast;
use libkrb::preauth::s4u;
use libkrb::wire::{
    self, ApReq, AuthData, Authenticator, Checksum, EncTicketPart, EncryptedData, EncryptionKey, Fixed, KdcReqBody,
    KrbFastArmor, KrbFastArmoredReq, KrbFastReq, List, PaData, PaForUser, PaFxFastRequest, PaPacOptions, PaS4uX509User,
    Raw, S4uUserId, Ticket,
};

use super::bend::Bender;
use super::judge::{Sent, Whose};
use super::realm::{BEHIND, GATE, Place};
use crate::armored::Armor;
use crate::joined::{Asking, Credential, name};

/// A body as it is sent; `honest` is one that can be read.
pub fn raw<'a>(honest: &'a [u8], sent: &'a [u8]) -> Raw<'a, KdcReqBody<'a>> {
    Raw { der: sent, value: wire::decode(honest).expect("a body") }
}

/// A ticket with who shows it, and how.
pub struct Shown<'a> {
    /// The ticket.
    pub with: &'a Credential,
    /// What the authenticator is sealed for.
    pub usage: KeyUsage,
    /// The checksum in the authenticator.
    pub checksum: Option<&'a [u8]>,
    /// Its subkey.
    pub subkey: Option<&'a Key>,
}

/// An AP-REQ whose ticket, authenticator and frame are bent; and what the ticket says.
pub fn ap_req(place: &mut Place, bender: &mut Bender<'_, '_>, shown: &Shown<'_>) -> (Vec<u8>, Vec<u8>) {
    place.realm.tick();
    let Shown { with, usage, checksum, subkey } = shown;
    let (ticket, part) = ticket(place, bender, with);
    let now = place.realm.now;
    let authenticator = wire::encode(&Authenticator {
        version: Fixed,
        client_realm: with.client.realm(),
        client: (&with.client).into(),
        checksum: checksum.map(|checksum| Checksum { kind: with.key.checksum_type(), checksum }),
        micros: now.micros,
        time: now.time,
        subkey: subkey.map(EncryptionKey::from),
        sequence: None,
        authorization_data: None,
    });
    let authenticator = bender.pass(authenticator);
    let cipher = with.key.encrypt(*usage, &mut place.realm.random, &authenticator);
    let frame = wire::encode(&ApReq {
        version: Fixed,
        kind: Fixed,
        options: Default::default(),
        ticket: Raw::parse(&ticket).expect("a ticket"),
        authenticator: EncryptedData { etype: with.key.etype(), kvno: None, cipher: &cipher },
    });
    (bender.pass(frame), part)
}

/// A ticket whose contents and PAC are bent, and what it says.
fn ticket(place: &mut Place, bender: &mut Bender<'_, '_>, with: &Credential) -> (Vec<u8>, Vec<u8>) {
    let honest = place.plain(with);
    let plain = with_pac(place, bender, with, &honest);
    let plain = bender.pass(plain);
    if plain == honest {
        return (with.ticket.clone(), plain);
    }
    let key = place.realm.key(&with.server.to_string(), EncryptionType::AES256_SHA1);
    let sealed = wire::decode::<Ticket<'_>>(&with.ticket).expect("a ticket");
    let cipher = key.encrypt(KeyUsage::TICKET, &mut place.realm.random, &plain);
    let enc_part = EncryptedData { etype: key.etype(), kvno: Some(1), cipher: &cipher };
    (wire::encode(&Ticket { enc_part, ..sealed }), plain)
}

/// A ticket's contents with a bent PAC, which is signed again if it can be.
fn with_pac(place: &Place, bender: &mut Bender<'_, '_>, with: &Credential, honest: &[u8]) -> Vec<u8> {
    let part = wire::decode::<EncTicketPart<'_>>(honest).expect("a ticket's contents");
    let Ok(Some(octets)) = pac::find(&part) else { return honest.to_vec() };
    let bent = bender.pass(octets.to_vec());
    if bent == octets {
        return honest.to_vec();
    }
    let wrapped = pac::wrapped(&signed(place, with, &bent, &part));
    let elements = [AuthData { kind: AuthDataType::IF_RELEVANT, data: wrapped.bytes() }];
    wire::encode(&EncTicketPart { authorization_data: Some(List::Items(&elements)), ..part })
}

fn signed(place: &Place, with: &Credential, octets: &[u8], part: &EncTicketPart<'_>) -> Vec<u8> {
    const SIGNATURES: [PacType; 4] =
        [PacType::SERVER_CHECKSUM, PacType::KDC_CHECKSUM, PacType::TICKET_CHECKSUM, PacType::FULL_CHECKSUM];
    let Ok(pac) = Pac::parse(octets) else { return octets.to_vec() };
    let buffers: Vec<_> = pac.buffers().filter(|(kind, _)| !SIGNATURES.contains(kind)).collect();
    let key =
        |who: &str| place.realm.key(who, EncryptionType::AES256_SHA1).prepare_checksum(KeyUsage::NON_KERB_CHECKSUM);
    let wrapped = pac::wrapped(octets);
    let elements = [AuthData { kind: AuthDataType::IF_RELEVANT, data: wrapped.bytes() }];
    let form = pac::signed_part(&EncTicketPart { authorization_data: Some(List::Items(&elements)), ..*part });
    let (server, kdc) = (key(&with.server.to_string()), key("krbtgt/EXAMPLE.ORG"));
    let ticket = with.server.tgs_target().is_none().then_some(&form[..]);
    pac::sign(&buffers, Signatures { server: &server, kdc: &kdc, ticket }).unwrap_or_else(|_| octets.to_vec())
}

/// PA-FX-FAST around what shall stand for a KrbFastReq.
pub fn sealed(place: &mut Place, armor: &Armor, inner: &[u8], outer: &[u8]) -> Vec<u8> {
    let cipher = armor.key.encrypt(KeyUsage::FAST_ENC, &mut place.realm.random, inner);
    let checksum = armor.key.checksum(KeyUsage::FAST_REQ_CHECKSUM, outer);
    wire::encode(&PaFxFastRequest(KrbFastArmoredReq {
        armor: armor.ap_req.as_deref().map(|value| KrbFastArmor { kind: KrbFastArmor::AP_REQUEST, value }),
        checksum: Checksum { kind: armor.key.checksum_type(), checksum: &checksum },
        sealed: EncryptedData { etype: armor.key.etype(), kvno: None, cipher: &cipher },
    }))
}

/// How a request for a ticket goes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Bare,
    Fast,
    Explicit,
}

/// The keys that a request is bound to: of the ticket, and the authenticator's.
struct Keys {
    session: Key,
    reply: Key,
    nonce: u32,
}

/// padata that depends on the request's keys.
type Padata = fn(&mut Place, &mut Bender<'_, '_>, &Keys) -> Vec<(PaType, Vec<u8>)>;

fn none(_: &mut Place, _: &mut Bender<'_, '_>, _: &Keys) -> Vec<(PaType, Vec<u8>)> {
    vec![]
}

fn asked(
    place: &mut Place,
    bender: &mut Bender<'_, '_>,
    with: &Credential,
    (asking, way): (&Asking, Way),
    padata: Padata,
) -> Sent {
    let subkey = (way != Way::Bare).then(|| Key::random(with.key.etype(), &mut place.realm.random).expect("a key"));
    let reply = subkey.clone().unwrap_or(with.key.clone());
    let (honest, sent) = body(place, bender, asking, (&reply, subkey.is_some()));
    // In FAST the body outside is another one than the one that counts.
    let outer = if way == Way::Bare { &sent } else { &honest };
    let checksum = with.key.checksum(KeyUsage::TGS_REQ_CHECKSUM, outer);
    let usage = KeyUsage::TGS_REQ_AUTHENTICATOR;
    let before = bender.changed.len();
    let shown = Shown { with, usage, checksum: Some(&checksum), subkey: subkey.as_ref() };
    let (ap_req, part) = ap_req(place, bender, &shown);
    let mut sound = bender.changed.len() == before;
    let nonce = wire::decode::<KdcReqBody<'_>>(&sent).map_or(asking.nonce, |body| body.nonce);
    let more = padata(place, bender, &Keys { session: with.key.clone(), reply, nonce });
    let mut elements = vec![(PaType::TGS_REQ, ap_req)];
    let (mut armor_key, mut counts) = (None, Some(sent.clone()));
    match &subkey {
        None => elements.extend(more),
        Some(subkey) => {
            let armor = armor(place, subkey, with, way);
            let views: Vec<_> = more.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect();
            let (options, padata) = (FastOptions::NONE, List::Items(&views));
            let inner = wire::encode(&KrbFastReq { options, padata, body: raw(&honest, &sent) });
            let inner = bender.pass(inner);
            counts = wire::decode::<KrbFastReq<'_>>(&inner).ok().map(|read| read.body.der.to_vec());
            let whole = sealed(place, &armor, &inner, &elements[0].1);
            let value = bender.pass(whole.clone());
            sound &= whole == value && counts.is_some();
            elements.push((PaType::FX_FAST, value));
            armor_key = Some(armor.key);
        }
    }
    let padata: Vec<_> = elements.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect();
    let whole =
        wire::KdcReq { kind: MessageType::TGS_REQ, padata: List::Items(&padata).into(), body: raw(&honest, outer) };
    let whole = wire::encode(&whole);
    let request = bender.pass(whole.clone());
    let envelope = armor_key.filter(|_| sound && request == whole);
    if way == Way::Bare {
        counts = wire::decode::<wire::KdcReq<'_>>(&request).ok().map(|request| request.body.der.to_vec());
    }
    let evidence = place.shown.take();
    Sent { request, body: counts.unwrap_or_default(), envelope, whose: Whose::Ticket { part, evidence } }
}

/// The body, whose authorization data, additional ticket and self are bent.
fn body(
    place: &mut Place,
    bender: &mut Bender<'_, '_>,
    asking: &Asking,
    (key, is_subkey): (&Key, bool),
) -> (Vec<u8>, Vec<u8>) {
    let usage = if is_subkey { KeyUsage::TGS_REQ_AUTHZ_SUBKEY } else { KeyUsage::TGS_REQ_AUTHZ_SESSION };
    let data = asking.authorization_data.as_ref().map(|elements| {
        let elements = elements.iter().map(|(kind, data)| AuthData { kind: *kind, data }).collect::<Vec<_>>();
        let plain = bender.pass(wire::encode(&List::Items(&elements)));
        key.encrypt(usage, &mut place.realm.random, &plain)
    });
    let tickets = asking.additional.iter().map(|ticket| Raw::parse(ticket).expect("a ticket")).collect::<Vec<_>>();
    let honest = asking.body(false, data.as_deref().map(|cipher| (key.etype(), cipher)), &tickets);
    (honest.clone(), bender.pass(honest))
}

fn armor(place: &mut Place, subkey: &Key, with: &Credential, way: Way) -> Armor {
    if way == Way::Fast {
        return Armor { key: fast::armor_key(subkey, &with.key).expect("a key"), ap_req: None };
    }
    let host = place.host.clone();
    let armor = Armor::new(&mut place.realm, &host);
    Armor { key: fast::explicit_armor_key(&armor.key, &subkey.prepare_prf()).expect("a key"), ..armor }
}

fn restrictions() -> Option<Vec<(AuthDataType, Vec<u8>)>> {
    let own = wire::encode(&List::Items(&[AuthData { kind: AuthDataType(-9), data: b"mine" }]));
    Some(vec![(AuthDataType::IF_RELEVANT, own), (AuthDataType(-9), vec![1, 2])])
}

fn host() -> Asking {
    let asking = Asking::service("host/a.example.org").with(KdcOptions::FORWARDABLE | KdcOptions::RENEWABLE_OK);
    Asking { authorization_data: restrictions(), ..asking }
}

/// A ticket for a service.
pub fn service(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.alice.clone();
    asked(place, bender, &with, (&host(), Way::Bare), none)
}

/// The same in FAST.
pub fn service_in_fast(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.alice.clone();
    asked(place, bender, &with, (&host(), Way::Fast), none)
}

/// With armor of another ticket besides.
pub fn explicit_armor(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.alice.clone();
    asked(place, bender, &with, (&host(), Way::Explicit), none)
}

/// The presented ticket itself, for longer.
pub fn renew(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.alice.clone();
    asked(place, bender, &with, (&Asking::login("alice").with(KdcOptions::RENEW), Way::Bare), none)
}

/// A ticket-granting ticket for another host.
pub fn forward(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.alice.clone();
    let asking = Asking::login("alice").with(KdcOptions::FORWARDED | KdcOptions::FORWARDABLE);
    asked(place, bender, &with, (&asking, Way::Fast), none)
}

/// User to user.
pub fn user_to_user(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let (with, bob) = (place.alice.clone(), place.bob.clone());
    let (second, _) = ticket(place, bender, &bob);
    let asking = Asking { additional: vec![second], ..Asking::service("bob") }.with(KdcOptions::ENC_TKT_IN_SKEY);
    asked(place, bender, &with, (&asking, Way::Bare), none)
}

/// PA-FOR-USER, bent and signed as far as it can be read, and bent again.
fn of_user(_: &mut Place, bender: &mut Bender<'_, '_>, keys: &Keys) -> Vec<(PaType, Vec<u8>)> {
    let value = bender.pass(s4u::for_user(&keys.session, &name("alice")));
    let named = wire::decode::<PaForUser<'_>>(&value).ok();
    let named = named.and_then(|padata| padata.user.principal(padata.realm).ok());
    let value = named.map_or(value, |user| s4u::for_user(&keys.session, &user));
    vec![(PaType::FOR_USER, bender.pass(value))]
}

/// PA-S4U-X509-USER, bent inside of its checksum and out.
fn of_x509_user(place: &mut Place, bender: &mut Bender<'_, '_>, keys: &Keys) -> Vec<(PaType, Vec<u8>)> {
    let alice = name("alice");
    let chain = place.identity.chain().first().map(|der| der.to_vec());
    let by_certificate = bender.seldom(2);
    let user = (!by_certificate).then_some((&alice).into());
    let certificate = chain.as_deref().filter(|_| by_certificate);
    let options = Some(S4uOptions::USE_REPLY_KEY_USAGE);
    let user = S4uUserId { nonce: keys.nonce, user, realm: alice.realm(), certificate, options };
    let der = bender.pass(wire::encode(&user));
    let mac = keys.reply.checksum(KeyUsage::S4U_X509_USER_REQUEST, &der);
    let checksum = Checksum { kind: keys.reply.checksum_type(), checksum: &mac };
    let value = wire::encode(&PaS4uX509User { user: Raw { der: &der, value: user }, checksum });
    vec![(PaType::FOR_X509_USER, bender.pass(value))]
}

fn to_self() -> Asking {
    Asking::service(GATE).with(KdcOptions::FORWARDABLE)
}

/// A ticket to itself in a user's name.
pub fn for_user(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.gate.clone();
    asked(place, bender, &with, (&to_self(), Way::Bare), of_user)
}

/// The same, bound to the request.
pub fn for_user_by_x509(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.gate.clone();
    asked(place, bender, &with, (&to_self(), Way::Bare), of_x509_user)
}

/// The same in FAST.
pub fn for_user_in_fast(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.gate.clone();
    asked(place, bender, &with, (&to_self(), Way::Fast), of_x509_user)
}

fn resource_based(_: &mut Place, bender: &mut Bender<'_, '_>, _: &Keys) -> Vec<(PaType, Vec<u8>)> {
    let flags = PacOptions::RESOURCE_BASED_DELEGATION;
    vec![(PaType::PAC_OPTIONS, bender.pass(wire::encode(&PaPacOptions { flags })))]
}

/// A ticket to another service with a user's ticket.
pub fn through(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let (with, evidence) = (place.gate.clone(), place.evidence.clone());
    let target = if bender.seldom(2) { BEHIND } else { "host/list" };
    let (shown, part) = ticket(place, bender, &evidence);
    place.shown = Some(part);
    let asking = Asking { additional: vec![shown], ..Asking::service(target) }.with(KdcOptions::CNAME_IN_ADDL_TKT);
    asked(place, bender, &with, (&asking, Way::Bare), resource_based)
}

/// Somebody of another realm.
pub fn visitor(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.visitor.clone();
    asked(place, bender, &with, (&host(), Way::Bare), none)
}

/// A service that is elsewhere.
pub fn referral(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.alice.clone();
    let server = name("HTTP/web.other.org").with_kind(libkrb::codes::NameType::SRV_HST);
    let asking = Asking { server: Some(server), ..Asking::login("alice") }.with(KdcOptions::CANONICALIZE);
    asked(place, bender, &with, (&asking, Way::Bare), none)
}

/// A service's own keys.
pub fn fetch(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let with = place.fetching.clone();
    let subkey = Key::random(with.key.etype(), &mut place.realm.random).expect("a key");
    let usage = KeyUsage::AP_REQ_AUTHENTICATOR;
    let shown = Shown { with: &with, usage, checksum: None, subkey: Some(&subkey) };
    let (request, _) = ap_req(place, bender, &shown);
    Sent { request, body: vec![], envelope: None, whose: Whose::Keys }
}
