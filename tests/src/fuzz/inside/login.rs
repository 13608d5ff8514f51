//! Logins of every kind, to be bent.

use libkrb::codes::{EncryptionType, MessageType, PaType};
use libkrb::crypto::{Key, KeyUsage, OtpHash, hotp};
use libkrb::flags::{FastOptions, KdcOptions, OtpFlags};
use libkrb::preauth::pkinit::client::Ask;
use libkrb::preauth::pkinit::{Group, sign};
use libkrb::preauth::spake::client::{self, Said};
use libkrb::preauth::spake::{GROUPS, Keys};
use libkrb::wire::{
    self, EncryptedData, KdcReqBody, KrbError, KrbFastReq, List, MethodData, PaData, PaEncTsEnc, PaOtpChallenge,
    PaOtpEncRequest, PaOtpRequest, PaPkAsReq, PaSpake, SignedData, SpakeResponse,
};
use libkrb::{ErrorCode, Principal};

use super::bend::Bender;
use super::judge::{Sent, Whose};
use super::realm::{Place, SECRET};
use super::ticket::{self, Shown, raw};
use crate::armored::{Armor, Inside};
use crate::joined::{Asking, Joined, REALM};

type Element = (PaType, Vec<u8>);

/// What a request goes in, and whether the KDC can open it.
struct Envelope {
    armor: Armor,
    sound: bool,
}

/// The body of a login, bent.
struct Body {
    honest: Vec<u8>,
    sent: Vec<u8>,
}

fn body(bender: &mut Bender<'_, '_>, asking: &Asking) -> Body {
    let honest = asking.body(true, None, &[]);
    Body { sent: bender.pass(honest.clone()), honest }
}

fn asking(user: &str) -> Asking {
    Asking::login(user).with(KdcOptions::FORWARDABLE | KdcOptions::RENEWABLE)
}

fn bare(bender: &mut Bender<'_, '_>, body: Body, padata: &[Element], whose: Whose) -> Sent {
    let padata = padata.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect::<Vec<_>>();
    let body_of = raw(&body.honest, &body.sent);
    let whole = wire::KdcReq { kind: MessageType::AS_REQ, padata: List::Items(&padata).into(), body: body_of };
    let request = bender.pass(wire::encode(&whole));
    // What was bent outside of the body may be the body all the same.
    let body = wire::decode::<wire::KdcReq<'_>>(&request).map_or(vec![], |request| request.body.der.to_vec());
    Sent { request, body, envelope: None, whose }
}

/// The armor of a host: its ticket, authenticator and AP-REQ bent.
fn bent_armor(place: &mut Place, bender: &mut Bender<'_, '_>) -> Envelope {
    let host = place.host.clone();
    let subkey = Key::random(host.key.etype(), &mut place.realm.random).expect("a key");
    let usage = KeyUsage::AP_REQ_AUTHENTICATOR;
    let shown = Shown { with: &host, usage, checksum: None, subkey: Some(&subkey) };
    let (ap_req, _) = ticket::ap_req(place, bender, &shown);
    let key = libkrb::preauth::fast::armor_key(&subkey, &host.key).expect("a key");
    Envelope { sound: bender.is_honest(), armor: Armor { key, ap_req: Some(ap_req) } }
}

fn honest_armor(place: &mut Place) -> Envelope {
    let host = place.host.clone();
    Envelope { armor: Armor::new(&mut place.realm, &host), sound: true }
}

fn enveloped(
    place: &mut Place,
    bender: &mut Bender<'_, '_>,
    envelope: &Envelope,
    (body, padata): (Body, &[Element]),
    whose: Whose,
) -> Sent {
    let padata = padata.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect::<Vec<_>>();
    let options = FastOptions::NONE;
    let inner = KrbFastReq { options, padata: List::Items(&padata), body: raw(&body.honest, &body.sent) };
    let inner = bender.pass(wire::encode(&inner));
    let armor = &envelope.armor;
    let sealed = ticket::sealed(place, armor, &inner, &body.honest);
    let value = bender.pass(sealed.clone());
    let padata = [PaData { kind: PaType::FX_FAST, value: &value }];
    let outer = raw(&body.honest, &body.honest);
    let whole = wire::KdcReq { kind: MessageType::AS_REQ, padata: List::Items(&padata).into(), body: outer };
    let whole = wire::encode(&whole);
    let request = bender.pass(whole.clone());
    let read = wire::decode::<KrbFastReq<'_>>(&inner).ok();
    let sound = envelope.sound && request == whole && value == sealed;
    let envelope = (sound && read.is_some()).then(|| armor.key.clone());
    Sent { request, body: read.map_or(vec![], |read| read.body.der.to_vec()), envelope, whose }
}

fn stamp(realm: &Joined) -> Vec<u8> {
    wire::encode(&PaEncTsEnc { time: realm.now.time, micros: Some(realm.now.micros) })
}

fn sealed(realm: &mut Joined, key: &Key, usage: KeyUsage, plain: &[u8]) -> Vec<u8> {
    let cipher = key.encrypt(usage, &mut realm.random, plain);
    wire::encode(&EncryptedData { etype: key.etype(), kvno: None, cipher: &cipher })
}

fn users_key(place: &Place, user: &str) -> Key {
    place.realm.key(user, EncryptionType::AES256_SHA1)
}

/// A clock under the password's key.
pub fn timestamp(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    place.realm.tick();
    let body = body(bender, &asking("alice"));
    let plain = bender.pass(stamp(&place.realm));
    let key = users_key(place, "alice");
    let value = bender.pass(sealed(&mut place.realm, &key, KeyUsage::AS_REQ_ENC_TIMESTAMP, &plain));
    bare(bender, body, &[(PaType::ENC_TIMESTAMP, value)], Whose::of("alice"))
}

/// The same in FAST.
pub fn challenge(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    place.realm.tick();
    let envelope = bent_armor(place, bender);
    let armor = &envelope.armor;
    let body = body(bender, &asking("alice"));
    let plain = bender.pass(stamp(&place.realm));
    let long = users_key(place, "alice");
    let key = Key::cf2(&armor.key, b"clientchallengearmor", &long, b"challengelongterm").expect("a key");
    let value = bender.pass(sealed(&mut place.realm, &key, KeyUsage::ENC_CHALLENGE_CLIENT, &plain));
    enveloped(place, bender, &envelope, (body, &[(PaType::ENCRYPTED_CHALLENGE, value)]), Whose::of("alice"))
}

/// What a KDC says to whom it wants more of: the elements.
fn told(reply: Option<Vec<u8>>) -> Vec<Element> {
    let Some(reply) = reply else { return vec![] };
    let data = wire::decode::<KrbError<'_>>(&reply).ok().and_then(|error| error.data.map(<[u8]>::to_vec));
    let Some(data) = data else { return vec![] };
    let methods = wire::decode::<MethodData<'_>>(&data).unwrap_or_default();
    methods.iter().map(|element| (element.kind, element.value.to_vec())).collect()
}

fn value(elements: &[Element], kind: PaType) -> Option<Vec<u8>> {
    elements.iter().find(|(of, _)| *of == kind).map(|(_, value)| value.clone())
}

/// A response to a challenge of SPAKE, whose factor and public key are bent.
fn respond(
    place: &mut Place,
    bender: &mut Bender<'_, '_>,
    support: &[u8],
    elements: &[Element],
    body: &[u8],
) -> Option<Vec<Element>> {
    let (challenge, cookie) = (value(elements, PaType::SPAKE)?, value(elements, PaType::FX_COOKIE)?);
    let groups: Vec<_> = GROUPS.iter().collect();
    let Ok(Said::Challenge(challenge)) = client::read(&challenge, &groups) else { return None };
    let key = users_key(place, "alice");
    let random = &mut place.realm.random;
    let (response, keys): (Vec<u8>, Keys) = challenge.respond(&key, Some(support), body, random).ok()?;
    let Ok(PaSpake::Response(SpakeResponse { public, factor })) = wire::decode(&response) else { return None };
    let public = bender.pass(public.to_vec());
    let plain = keys.key(1).and_then(|key| key.decrypt(KeyUsage::SPAKE, factor.cipher)).expect("our own factor");
    let plain = bender.pass(plain.to_vec());
    let cipher = keys.seal(1, random, &plain).expect("sealed");
    let factor = EncryptedData { cipher: &cipher, ..factor };
    let response = bender.pass(wire::encode(&PaSpake::Response(SpakeResponse { public: &public, factor })));
    let cookie = bender.pass(cookie);
    Some(vec![(PaType::FX_COOKIE, cookie), (PaType::SPAKE, response)])
}

fn support(bender: &mut Bender<'_, '_>) -> Vec<u8> {
    // The others are ten times the work, and most of their code is the same.
    let group = if bender.seldom(32) { bender.choose(&[1, 2, 3]) } else { 0 };
    client::support(&[&GROUPS[group]])
}

/// SPAKE.
pub fn spake(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let support = support(bender);
    let first = Asking { padata: vec![(PaType::SPAKE, support.clone())], ..asking("alice") };
    let first = place.realm.as_req(&first, None);
    let elements = told(place.realm.send(&first).reply);
    let body = body(bender, &asking("alice"));
    let padata = respond(place, bender, &support, &elements, &body.sent);
    let padata = padata.unwrap_or_else(|| vec![(PaType::SPAKE, bender.pass(support))]);
    bare(bender, body, &padata, Whose::of("alice"))
}

/// SPAKE within FAST.
pub fn spake_in_fast(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let support = support(bender);
    let envelope = honest_armor(place);
    let armor = &envelope.armor;
    let asking = asking("alice");
    let first = armor.as_req(&mut place.realm, &asking, &Inside::of(vec![(PaType::SPAKE, support.clone())]));
    let reply = place.realm.send(&first).reply.expect("an answer");
    let elements = armor.open(&reply, asking.nonce).map_or(vec![], |told| told.padata);
    let body = body(bender, &asking);
    let padata = respond(place, bender, &support, &elements, &body.sent);
    let padata = padata.unwrap_or_else(|| vec![(PaType::SPAKE, bender.pass(support))]);
    enveloped(place, bender, &envelope, (body, &padata), Whose::of("alice"))
}

/// PA-PK-AS-REQ whose AuthPack is bent and signed again.
fn proof(place: &mut Place, bender: &mut Bender<'_, '_>, body: &[u8], named: bool) -> Vec<u8> {
    let identity = named.then_some(&place.identity);
    let (trust, now) = (&place.trust, place.realm.now);
    let nonce = wire::decode::<KdcReqBody<'_>>(body).map_or(4711, |body| body.nonce);
    let group = Group::P256;
    let ask = Ask { identity, trust, group, now, body, nonce, freshness: None, plain: false };
    let (value, _) = ask.request(&mut place.realm.random).expect("a proof");
    let read = wire::decode::<PaPkAsReq<'_>>(&value).expect("PA-PK-AS-REQ");
    let signed = wire::decode::<SignedData<'_>>(read.signed_auth_pack).expect("signed data");
    let pack = bender.pass(signed.content.to_vec());
    let signed_again = (pack != signed.content).then(|| sign(identity, signed.content_type, &pack).expect("signed"));
    let signed = bender.pass(signed_again.unwrap_or_else(|| read.signed_auth_pack.to_vec()));
    bender.pass(wire::encode(&PaPkAsReq { signed_auth_pack: &signed, ..read }))
}

/// A certificate.
pub fn certificate(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    place.realm.tick();
    let body = body(bender, &asking("alice"));
    let value = proof(place, bender, &body.sent, true);
    bare(bender, body, &[(PaType::PK_AS_REQ, value)], Whose::of("alice"))
}

/// No name.
pub fn nobody(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    place.realm.tick();
    let client = Principal::anonymous().in_realm(REALM);
    let asking = Asking { client, ..asking("alice") }.with(KdcOptions::REQUEST_ANONYMOUS);
    let body = body(bender, &asking);
    let value = proof(place, bender, &body.sent, false);
    bare(bender, body, &[(PaType::PK_AS_REQ, value)], Whose::Clients(vec![Principal::anonymous().clone()]))
}

/// A certificate, in FAST.
pub fn certificate_in_fast(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let envelope = honest_armor(place);
    let body = body(bender, &asking("alice"));
    let value = proof(place, bender, &body.sent, true);
    enveloped(place, bender, &envelope, (body, &[(PaType::PK_AS_REQ, value)]), Whose::of("alice"))
}

/// A one-time password.
pub fn one_time_password(place: &mut Place, bender: &mut Bender<'_, '_>) -> Sent {
    let envelope = honest_armor(place);
    let armor = &envelope.armor;
    let asking = asking("olga");
    let first = armor.as_req(&mut place.realm, &asking, &Inside::default());
    let reply = place.realm.send(&first).reply.expect("an answer");
    let told = armor.open(&reply, asking.nonce);
    let told = told.filter(|told| told.code == Some(ErrorCode::PREAUTH_REQUIRED));
    let elements = told.map_or(vec![], |told| told.padata);
    let body = body(bender, &asking);
    let nonce = value(&elements, PaType::OTP_CHALLENGE).and_then(|challenge| {
        wire::decode::<PaOtpChallenge<'_>>(&challenge).ok().map(|challenge| challenge.nonce.to_vec())
    });
    let plain = bender.pass(wire::encode(&PaOtpEncRequest { nonce: nonce.as_deref().unwrap_or_default() }));
    let cipher = armor.key.encrypt(KeyUsage::OTP_REQUEST, &mut place.realm.random, &plain);
    let code = hotp(OtpHash::Sha1, SECRET, 0, 6);
    let request = bender.pass(wire::encode(&PaOtpRequest {
        flags: OtpFlags::NONE,
        nonce: None,
        enc_data: EncryptedData { etype: armor.key.etype(), kvno: None, cipher: &cipher },
        hash: None,
        iterations: None,
        value: Some(code.as_bytes()),
        pin: None,
        challenge: None,
        time: None,
        counter: None,
        format: None,
        token_id: None,
        algorithm: None,
        vendor: None,
    }));
    let mut padata = vec![(PaType::OTP_REQUEST, request)];
    padata.extend(value(&elements, PaType::FX_COOKIE).map(|cookie| (PaType::FX_COOKIE, bender.pass(cookie))));
    enveloped(place, bender, &envelope, (body, &padata), Whose::of("olga"))
}
