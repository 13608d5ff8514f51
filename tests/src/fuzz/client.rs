//! The client's exchanges, between it and a KDC that says anything.

use std::cell::RefCell;

use libkrb::client::{AsExchange, AsRequest, Exchange, Secret, Step, TgsExchange, TgsRequest};
use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::preauth::Means;
use libkrb::wire::{self, ApReq, Authenticator, EncKdcRepPart, EncryptedData, KdcRep, KdcReq};
use libkrb::{Principal, ccache};

use super::script::Script;
use crate::joined::{Joined, REALM, Sequence, name};

const HOST: &str = "host/a.example.org";

/// What the exchanges need, made once.
struct Place {
    realm: Joined,
    key: Key,
    tgt: ccache::Credential,
}

thread_local! {
    static PLACE: RefCell<Place> = RefCell::new({
        let mut realm = Joined::new();
        let key = realm.key("alice", EncryptionType::AES256_SHA1);
        let mut exchange = login(&key);
        let mut reply = None;
        let tgt = loop {
            match exchange.step(realm.now, &mut Sequence(1), reply.as_deref()).expect("an honest KDC") {
                Step::Send { message, .. } => reply = realm.send(&message).reply,
                Step::Done(outcome) => break outcome.credential,
            }
        };
        Place { realm, key, tgt }
    });
}

fn login(key: &Key) -> AsExchange {
    // By an encrypted timestamp, so that the reply is under a key that is known here.
    let means = Means { spake_groups: Some(vec![]), ..Means::default() };
    AsExchange::with_means(AsRequest::new(name("alice")), Secret::Keys(vec![(1, key.clone())]), means)
}

/// A login, then a ticket for a service, each with a KDC in between that bends what it answers.
pub fn client_reply(data: &[u8]) {
    PLACE.with_borrow_mut(|place| {
        let mut script = Script::new(data);
        place.realm.reset();
        let key = place.key.clone();
        let seal = |_: &[u8]| (key.clone(), KeyUsage::AS_REP_ENC_PART);
        run(&mut place.realm, &mut login(&key), &seal, &mut script, &Principal::tgs(REALM));
        let tgt = place.tgt.clone();
        let session = tgt.key.key().expect("a key");
        let seal = |request: &[u8]| (subkey(request, &session), KeyUsage::TGS_REP_SUBKEY);
        let request = TgsRequest::new(tgt, name(HOST));
        let mut exchange = TgsExchange::new(request).expect("a ticket that can be used");
        run(&mut place.realm, &mut exchange, &seal, &mut script, &name(HOST));
    });
}

/// The key that a TGS-REQ asks its reply to be sealed with.
fn subkey(request: &[u8], session: &Key) -> Key {
    let request = wire::decode::<KdcReq<'_>>(request).expect("a TGS-REQ");
    let header = request.padata(PaType::TGS_REQ).expect("an AP-REQ");
    let header = wire::decode::<ApReq<'_>>(header.value).expect("an AP-REQ");
    let plain = session.decrypt(KeyUsage::TGS_REQ_AUTHENTICATOR, header.authenticator.cipher).expect("ours");
    let authenticator = wire::decode::<Authenticator<'_>>(&plain).expect("an authenticator");
    authenticator.subkey.expect("a subkey").key().expect("a key")
}

fn run(
    realm: &mut Joined,
    exchange: &mut dyn Exchange,
    seal: &dyn Fn(&[u8]) -> (Key, KeyUsage),
    script: &mut Script<'_>,
    server: &Principal,
) {
    let (mut reply, mut random): (Option<Vec<u8>>, _) = (None, Sequence(5));
    for _ in 0..12 {
        realm.tick();
        let (honest, seal) = match exchange.step(realm.now, &mut random, reply.as_deref()) {
            Err(error) => return assert!(!error.to_string().is_empty()),
            Ok(Step::Done(outcome)) => {
                // Names come from the encrypted part, which only a KDC can make.
                assert_eq!(outcome.credential.client.realm(), REALM);
                assert!(outcome.credential.server == *server || outcome.credential.server.realm() != REALM);
                return;
            }
            Ok(Step::Send { message, .. }) => (realm.send(&message).reply.unwrap_or_default(), seal(&message)),
        };
        reply = Some(bend(honest, &seal, script));
    }
    panic!("an exchange without end");
}

/// What arrives instead of the reply.
fn bend(mut reply: Vec<u8>, seal: &(Key, KeyUsage), script: &mut Script<'_>) -> Vec<u8> {
    match script.byte() % 8 {
        4 => script.bend(&mut reply),
        5 => return script.bytes().to_vec(),
        6 => return script.remainder().to_vec(),
        3 | 7 => return resealed(&reply, seal, script).unwrap_or(reply),
        _ => (),
    }
    reply
}

/// The reply of a KDC that has the key and says something else.
fn resealed(reply: &[u8], (key, usage): &(Key, KeyUsage), script: &mut Script<'_>) -> Option<Vec<u8>> {
    let sealed = wire::decode::<KdcRep<'_>>(reply).ok()?;
    let plain = key.decrypt(*usage, sealed.enc_part.cipher).ok()?;
    let mut part = wire::decode::<EncKdcRepPart<'_>>(&plain).ok()?;
    let other = server(script);
    match script.byte() % 8 {
        0 => part.nonce = script.number(),
        1 => part.flags = libkrb::flags::TicketFlags(script.number()),
        2 => (part.auth_time, part.start_time) = (script.time(), script.maybe_time()),
        3 => (part.end_time, part.renew_till) = (script.time(), script.maybe_time()),
        4 => (part.server, part.server_realm) = ((&other).into(), other.realm()),
        5 => part.encrypted_padata = None,
        6 => part.key.etype = EncryptionType(script.byte().into()),
        _ => part.key.value = script.bytes(),
    }
    let mut plain = wire::encode(&part);
    if script.seldom(4) {
        script.bend(&mut plain);
    }
    let cipher = key.encrypt(*usage, &mut Sequence(3), &plain);
    let enc_part = EncryptedData { cipher: &cipher, ..sealed.enc_part };
    Some(wire::encode(&KdcRep { enc_part, ..sealed }))
}

fn server(script: &mut Script<'_>) -> Principal {
    match script.byte() % 3 {
        0 => name("host/b.example.org"),
        1 => Principal::cross_tgs("OTHER.ORG", REALM),
        _ => Principal::tgs("OTHER.ORG"),
    }
}
