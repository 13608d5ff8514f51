//! The KDC and the client against RFC 4556, section by section, joined in memory. Whose certificate opens
//! which account, and those who attack, are in `pkinit`; chains, codes and vectors in `libkrb`.

use std::borrow::Cow;

use libkrb::ErrorCode as E;
use libkrb::codes::{EncryptionType, PaType};
use libkrb::flags::TicketFlags as F;
use libkrb::preauth::pkinit::client::Ask;
use libkrb::preauth::pkinit::{Certificate, Group, Identity, identifier, sign};
use libkrb::time::Instant;
use libkrb::wire::{
    self, AuthPack, ExternalPrincipalIdentifier, KdcDhKeyInfo, KdcRep, KdcReq, KrbError, List, MethodData, Oid,
    PaPkAsRep, PaPkAsReq, SignedData, TypedData,
};
use tests::certificates::{exchange, identity, means, realm, trust};
use tests::joined::{Asking, Joined, Sequence, as_error, name};

/// A proof by a certificate, whose parts are bent: what is signed, of which type, and what is around it.
struct Draft<'a> {
    who: &'a Identity,
    at: Instant,
    body: Vec<u8>,
}

impl<'a> Draft<'a> {
    fn new(realm: &mut Joined, who: &'a Identity) -> Self {
        realm.tick();
        Draft { who, at: realm.now, body: Asking::login("alice").body(true, None, &[]) }
    }

    /// PA-PK-AS-REQ with another AuthPack, of a type of content.
    fn signed(&self, content_type: Oid<'_>, bend: impl for<'b> FnOnce(&mut AuthPack<'b>)) -> Vec<u8> {
        let trust = trust();
        let (now, body) = (self.at, &self.body);
        let ask = Ask {
            identity: Some(self.who),
            trust: &trust,
            group: Group::P256,
            now,
            body,
            nonce: 4711,
            freshness: None,
            plain: false,
        };
        let (value, _) = ask.request(&mut Sequence(now.as_micros() as u64)).expect("a proof");
        let read = wire::decode::<PaPkAsReq<'_>>(&value).expect("PA-PK-AS-REQ");
        let data = wire::decode::<SignedData<'_>>(read.signed_auth_pack).expect("signed data");
        let mut pack = wire::decode::<AuthPack<'_>>(data.content).expect("an AuthPack");
        bend(&mut pack);
        let signed = sign(Some(self.who), content_type, &wire::encode(&pack)).expect("signed");
        wire::encode(&PaPkAsReq { signed_auth_pack: &signed, ..read })
    }

    fn honest(&self) -> Vec<u8> {
        self.signed(Oid::PKINIT_AUTH_DATA, |_| ())
    }
}

fn sent(realm: &mut Joined, value: Vec<u8>) -> Vec<u8> {
    let asking = Asking { padata: vec![(PaType::PK_AS_REQ, value)], ..Asking::login("alice") };
    let request = realm.as_req(&asking, None);
    realm.send(&request).reply.expect("an answer")
}

fn code(realm: &mut Joined, value: Vec<u8>) -> E {
    as_error(&sent(realm, value)).expect("a refusal")
}

fn is_root(der: &[u8]) -> bool {
    let certificate = Certificate::parse(der).expect("a certificate");
    certificate.subject == certificate.issuer
}

#[test]
fn s3_2_1_a_signature_over_another_type_of_content_is_none() {
    let (mut realm, alice) = (realm(), identity("alice-p256"));
    let draft = Draft::new(&mut realm, &alice);
    assert_eq!(code(&mut realm, draft.signed(Oid::PKINIT_DH_KEY_DATA, |_| ())), E::INVALID_SIG);
    assert_eq!(as_error(&sent(&mut realm, draft.honest())), None);
}

#[test]
fn s3_2_1_and_s3_2_3_the_checksum_of_the_body_must_be_there() {
    let (mut realm, alice) = (realm(), identity("alice-p256"));
    let draft = Draft::new(&mut realm, &alice);
    let without = draft.signed(Oid::PKINIT_AUTH_DATA, |pack| pack.authenticator.checksum = None);
    assert_eq!(code(&mut realm, without), E::PA_CHECKSUM_MUST_BE_INCLUDED, "a better one does not make up for it");
    let bare = draft.signed(Oid::PKINIT_AUTH_DATA, |pack| {
        (pack.authenticator.checksum, pack.authenticator.checksum2) = (None, None);
    });
    assert_eq!(code(&mut realm, bare), E::PA_CHECKSUM_MUST_BE_INCLUDED);
    let other = draft.signed(Oid::PKINIT_AUTH_DATA, |pack| pack.authenticator.checksum = Some(&[7; 20]));
    assert_eq!(code(&mut realm, other), E::MODIFIED);
}

#[test]
fn s3_2_2_a_key_that_the_kdc_is_said_to_have_and_authorities_that_nobody_knows_are_passed_over() {
    let (mut realm, alice) = (realm(), identity("alice-p256"));
    let honest = Draft::new(&mut realm, &alice).honest();
    let read = wire::decode::<PaPkAsReq<'_>>(&honest).expect("PA-PK-AS-REQ");
    let nobody =
        ExternalPrincipalIdentifier { subject_name: Some(b"0\0"), issuer_and_serial: None, key_identifier: None };
    let nobody = [nobody];
    let bent = PaPkAsReq { kdc_pk_id: Some(b"\x80\x03abc"), trusted_certifiers: Some(List::Items(&nobody)), ..read };
    assert_eq!(as_error(&sent(&mut realm, wire::encode(&bent))), None);
}

#[test]
fn s3_2_2_the_nonce_of_the_proof_need_not_be_that_of_the_body_and_comes_back() {
    let (mut realm, alice) = (realm(), identity("alice-p256"));
    let value = Draft::new(&mut realm, &alice).signed(Oid::PKINIT_AUTH_DATA, |pack| pack.authenticator.nonce = 99);
    let reply = sent(&mut realm, value);
    let info = answer(&reply, |info| info.nonce);
    // MIT's KDC sends the body's; ours that of the proof, which the RFC asks for.
    assert_eq!(info, 99);
}

/// What the KDC signed in its answer.
fn answer<T>(reply: &[u8], read: impl FnOnce(&KdcDhKeyInfo<'_>) -> T) -> T {
    let reply = wire::decode::<KdcRep<'_>>(reply).expect("a ticket");
    let value = reply.padata.iter().find(|element| element.kind == PaType::PK_AS_REP).expect("PA-PK-AS-REP").value;
    let Ok(PaPkAsRep::Dh(info)) = wire::decode(value) else { panic!("no key agreement") };
    assert!(info.server_dh_nonce.is_none(), "s3.2.3.1: a key that is used once has no nonce");
    let data = wire::decode::<SignedData<'_>>(info.signed_data).expect("signed data");
    assert_eq!(data.content_type, Oid::PKINIT_DH_KEY_DATA);
    assert!(data.signer.expect("signed").signed.is_some_and(|signed| signed.value(Oid::CONTENT_TYPE).is_some()));
    assert!(data.certificates.iter().count() > 0 && !data.certificates.iter().any(|any| is_root(any.0)));
    read(&wire::decode(data.content).expect("KDCDHKeyInfo"))
}

#[test]
fn s3_2_3_1_the_answer_is_signed_with_its_type_has_no_root_and_a_key_that_is_used_once() {
    let (mut realm, alice) = (realm(), identity("alice-p256"));
    let keys = [(); 2].map(|()| {
        let value = Draft::new(&mut realm, &alice).honest();
        let reply = sent(&mut realm, value);
        answer(&reply, |info| {
            assert_eq!((info.nonce, info.expiration), (4711, None));
            info.public_key.0.to_vec()
        })
    });
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn s3_2_1_a_client_sends_its_chain_and_no_root() {
    let mut realm = realm();
    for (who, count) in [("alice", 1), ("alice-chain", 2)] {
        let who = identity(who);
        let value = Draft::new(&mut realm, &who).honest();
        let read = wire::decode::<PaPkAsReq<'_>>(&value).expect("PA-PK-AS-REQ");
        let data = wire::decode::<SignedData<'_>>(read.signed_auth_pack).expect("signed data");
        let certificates: Vec<_> = data.certificates.iter().map(|any| any.0).collect();
        assert_eq!(certificates.len(), count);
        assert!(!certificates.iter().any(|der| is_root(der)));
    }
}

#[test]
fn s3_2_2_certificates_are_told_by_subject_and_by_issuer_and_number() {
    let mut realm = realm();
    for who in ["alice-unknown-ca", "alice-expired"] {
        let who = identity(who);
        let value = Draft::new(&mut realm, &who).honest();
        let reply = sent(&mut realm, value);
        let error = wire::decode::<KrbError<'_>>(&reply).expect("a refusal");
        let typed = wire::decode::<List<'_, TypedData<'_>>>(error.data.expect("e-data")).expect("TYPED-DATA");
        let first = typed.iter().next().expect("one").value.expect("a value").to_vec();
        let told = wire::decode::<List<'_, ExternalPrincipalIdentifier<'_>>>(&first).expect("identifiers");
        let complete =
            |told: &ExternalPrincipalIdentifier<'_>| told.subject_name.is_some() && told.issuer_and_serial.is_some();
        assert!(told.iter().count() > 0 && told.iter().all(|told| complete(&told)));
    }
    let alice = identity("alice");
    let certificate = alice.certificate().expect("a certificate");
    assert!(wire::decode::<ExternalPrincipalIdentifier<'_>>(&identifier(&certificate)).is_ok());
}

#[test]
fn s3_2_3_the_ticket_is_initial_and_its_reply_not_under_a_long_term_key() {
    let (mut realm, alice) = (realm(), identity("alice-p256"));
    let value = Draft::new(&mut realm, &alice).honest();
    let asking = Asking { padata: vec![(PaType::PK_AS_REQ, value)], ..Asking::login("alice") };
    let request = realm.as_req(&asking, None);
    let outcome = realm.send(&request);
    assert!(outcome.event.issued.expect("a ticket").flags.has(F::INITIAL | F::PRE_AUTHENT));
    let reply = outcome.reply.expect("an answer");
    let part = wire::decode::<KdcRep<'_>>(&reply).expect("a ticket").enc_part;
    let key = realm.key("alice", EncryptionType::AES256_SHA1);
    assert!(key.decrypt(libkrb::crypto::KeyUsage::AS_REP_ENC_PART, part.cipher).is_err());
}

#[test]
fn s3_4_the_hint_is_empty_and_whatever_it_holds_is_passed_over_by_the_client() {
    let mut realm = realm();
    let first = realm.as_req(&Asking::login("alice"), None);
    let reply = realm.send(&first).reply.expect("an answer");
    assert_eq!(hint(&reply), Some(vec![]));
    let course = |junk: Cow<'_, [u8]>| {
        use libkrb::client::{Exchange, Step};
        let mut realm = tests::certificates::realm();
        let (mut exchange, mut random, mut reply) = (exchange(&name("alice"), means(Some("alice"))), Sequence(3), None);
        loop {
            realm.tick();
            match exchange.step(realm.now, &mut random, reply.as_deref()) {
                Ok(Step::Send { message, .. }) => {
                    let answer = realm.send(&message).reply.expect("an answer");
                    reply = Some(hinting(answer, &junk));
                }
                Ok(Step::Done(outcome)) => break outcome.preauth,
                Err(error) => panic!("{error}"),
            }
        }
    };
    for junk in [&b""[..], b"junk", &[0x30, 0x80]] {
        assert_eq!(course(junk.into()), Some(PaType::PK_AS_REQ));
    }
}

fn hint(reply: &[u8]) -> Option<Vec<u8>> {
    let error = wire::decode::<KrbError<'_>>(reply).expect("a refusal");
    let methods = wire::decode::<MethodData<'_>>(error.data?).ok()?;
    methods.iter().find(|element| element.kind == PaType::PK_AS_REQ).map(|element| element.value.to_vec())
}

/// A refusal whose hint holds something else.
fn hinting(reply: Vec<u8>, junk: &[u8]) -> Vec<u8> {
    let Ok(error) = wire::decode::<KrbError<'_>>(&reply) else { return reply };
    let methods = error.data.and_then(|data| wire::decode::<MethodData<'_>>(data).ok()).unwrap_or_default();
    let bent: Vec<_> = methods
        .iter()
        .map(|element| match element.kind {
            PaType::PK_AS_REQ => wire::PaData { value: junk, ..element },
            _ => element,
        })
        .collect();
    let data = wire::encode(&List::Items(&bent));
    wire::encode(&KrbError { data: Some(&data), ..error })
}

/// That a request is what this file takes it for.
#[test]
fn s3_1_3_what_the_client_sends_is_der_that_comes_back_to_the_byte() {
    let (mut realm, alice) = (realm(), identity("alice-p256"));
    let value = Draft::new(&mut realm, &alice).honest();
    let read = wire::decode::<PaPkAsReq<'_>>(&value).expect("PA-PK-AS-REQ");
    assert_eq!(wire::encode(&read), value);
    let data = wire::decode::<SignedData<'_>>(read.signed_auth_pack).expect("signed data");
    assert_eq!(wire::encode(&data), read.signed_auth_pack);
    let pack = wire::decode::<AuthPack<'_>>(data.content).expect("an AuthPack");
    assert_eq!(wire::encode(&pack), data.content);
    let request = realm.as_req(&Asking { padata: vec![(PaType::PK_AS_REQ, value)], ..Asking::login("alice") }, None);
    assert_eq!(wire::encode(&wire::decode::<KdcReq<'_>>(&request).expect("AS-REQ")), request);
}
