//! MIT's recorded logins by certificate: our KDC with MIT's keys answers its clients, freshness token and
//! all, and its answers are read. The secrets of both sides were not recorded, so the replies stay shut.

use std::sync::Arc;

use kdc::attempts::Counted;
use kdc::core::{Arrival, Attributes, Change, Entry, Kdc, KeySet, KnownTgts, LongTermKey, Pkinit, Policy, Store};
use kdc::store::Memory;
use libkrb::codes::PaType;
use libkrb::keytab::Keytab;
use libkrb::preauth::pkinit::{Certificate, Kdf, Trust};
use libkrb::replay::MemoryReplayCache;
use libkrb::time::Instant;
use libkrb::wire::{self, DhRepInfo, EncTicketPart, KdcDhKeyInfo, KdcRep, KdcReq, Oid, PaPkAsRep, SignedData};
use libkrb::{Principal, Time};
use serde_json::Value;
use tests::joined::Sequence;

use crate::place::pkinit;

const REALM: &str = "KRBTEST.COM";

fn recording() -> Value {
    let path = format!("{}/vectors/transcripts_mit.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal");
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect()
}

fn trust(recording: &Value) -> Trust {
    Trust::from_pem(recording["ca_pem"].as_str().expect("PEM").as_bytes(), b"", b"").expect("an authority")
}

/// The exchanges that bring a proof by certificate, and when they were answered.
fn exchanges(recording: &Value) -> Vec<(Vec<u8>, Vec<u8>, Time)> {
    let all = recording["exchanges"].as_array().expect("exchanges").iter();
    let certificates = all.filter(|exchange| {
        let kinds = exchange["request_padata_types"].as_array();
        exchange["service"] == "kdc" && kinds.is_some_and(|kinds| kinds.contains(&16.into()))
    });
    let read = |exchange: &Value| {
        let steps = exchange["steps"].as_array().expect("steps");
        let issued = |step: &&Value| step["what"].as_str().is_some_and(|what| what.starts_with("issued ticket"));
        let plain = hex(&steps.iter().find(issued).expect("a ticket")["plaintext"]);
        let time = wire::decode::<EncTicketPart<'_>>(&plain).expect("EncTicketPart").auth_time;
        (hex(&exchange["request"]), hex(&exchange["reply"]), time)
    };
    certificates.map(read).collect()
}

fn store(recording: &Value) -> Memory {
    let keytab = Keytab::parse(&hex(&recording["keytab_hex"])).expect("a keytab");
    let store = Memory::new();
    for name in ["krbtgt/KRBTEST.COM", "certuser", "WELLKNOWN/ANONYMOUS"] {
        let name = Principal::parse(name, Some(REALM)).expect("a name");
        let keys = keytab.entries.iter().filter(|entry| entry.principal == name);
        let keys: Vec<_> = keys.filter_map(|entry| Some(LongTermKey::new(entry.key.key().ok()?, None))).collect();
        let mut entry = Entry::new(name, [keys.len() as u8; 16], Time::EPOCH, "a recording");
        entry.keys = if keys.is_empty() { vec![] } else { vec![KeySet::new(1, keys)] };
        entry.attributes = Attributes::REQUIRES_PRE_AUTH;
        store.commit(&[Change::Create(entry)]).expect("a new principal");
    }
    store
}

#[test]
fn our_kdc_answers_mits_recorded_clients_with_mits_keys_and_tokens() {
    let recording = recording();
    let store = store(&recording);
    let mut policy = Policy::new(REALM);
    policy.pkinit = Some(Arc::new(Pkinit { trust: trust(&recording), require_freshness: true, ..pkinit() }));
    let exchanges = exchanges(&recording);
    assert_eq!(exchanges.len(), 2, "one with a name and one without");
    for (request, _, time) in exchanges {
        let replays = MemoryReplayCache::new(300, 100);
        let (attempts, tickets) = (Counted::default(), KnownTgts::new(0, 0));
        let kdc = Kdc { policy: &policy, store: &store, replays: &replays, attempts: &attempts, tickets: &tickets };
        let arrival = Arrival { now: Instant::from(time), from: None };
        let outcome = kdc::core::handle(&kdc, arrival, &mut Sequence(1), &request);
        assert!(outcome.event.issued.is_some(), "{:?}", outcome.event.refusal);
        let reply = outcome.reply.expect("a reply");
        let rep: KdcRep<'_> = wire::decode(&reply).expect("an AS-REP");
        let kinds: Vec<_> = rep.padata.iter().map(|element| element.kind).collect();
        assert_eq!(kinds, [PaType::PK_AS_REP, PaType::PKINIT_KX]);
        // Next hour the same token is stale.
        let late = Arrival { now: Instant::from(time + 3600), from: None };
        assert!(kdc::core::handle(&kdc, late, &mut Sequence(1), &request).event.issued.is_none());
    }
}

#[test]
fn mits_recorded_answers_are_read_and_their_certificate_is_believed() {
    let recording = recording();
    let trust = trust(&recording);
    for (request, reply, time) in exchanges(&recording) {
        let rep: KdcRep<'_> = wire::decode(&reply).expect("an AS-REP");
        let value = rep.padata.iter().find(|element| element.kind == PaType::PK_AS_REP).expect("an answer").value;
        let Ok(PaPkAsRep::Dh(DhRepInfo { signed_data, kdf, .. })) = wire::decode(value) else { panic!("dhInfo") };
        assert_eq!(kdf.and_then(|kdf| Kdf::of(&kdf)), Some(Kdf::Sha256));
        let data: SignedData<'_> = wire::decode(signed_data).expect("signed data");
        assert_eq!(data.content_type, Oid::PKINIT_DH_KEY_DATA);
        let info: KdcDhKeyInfo<'_> = wire::decode(data.content).expect("KDCDHKeyInfo");
        let body = wire::decode::<KdcReq<'_>>(&request).expect("a request").body;
        assert_eq!(info.nonce, body.nonce);
        let signer = data.signer.expect("a signer");
        let certificates: Vec<_> = data.certificates.iter().map(|any| any.0).collect();
        let parsed = certificates.iter().map(|der| Certificate::parse(der).expect("a certificate"));
        let signer = parsed.into_iter().find(|certificate| certificate.is(signer.id)).expect("the signer's");
        assert_eq!(signer.names().principals, [Principal::tgs(REALM)]);
        trust.check(&signer, &certificates, time).expect("a path");
    }
}
