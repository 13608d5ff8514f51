//! The KDC against RFC 6806, section by section, joined in memory. Not here: ways to other realms, which
//! are in `realms/referrals.rs`.

use libkrb::client::{AsExchange, AsRequest, Exchange, Secret, Step};
use libkrb::codes::{EncryptionType, NameType, PaType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{KdcOptions as O, TicketFlags as F};
use libkrb::preauth::req_enc_pa_rep;
use libkrb::wire::{self, EncKdcRepPart, KdcRep, KdcReq, KrbError, MethodData};
use libkrb::{Error, ErrorCode, Principal};
use tests::armored::{self, Armor, Inside};
use tests::joined::{Asking, Credential, Joined, PASSWORD, REALM, Sequence, as_error, name, request};

const AES256: EncryptionType = EncryptionType::AES256_SHA1;
const HOST: &str = "host/a.example.org";

type Element = (PaType, Vec<u8>);

/// The flags of a reply, and what it says sealed besides.
fn sealed(reply: &[u8], key: &Key, usage: KeyUsage) -> (F, Option<Vec<Element>>) {
    let reply = wire::decode::<KdcRep<'_>>(reply).expect("a ticket");
    let plain = key.decrypt(usage, reply.enc_part.cipher).expect("a reply for us");
    let part = wire::decode::<EncKdcRepPart<'_>>(&plain).expect("EncKDCRepPart");
    let padata = part.encrypted_padata.map(|padata| padata.iter().map(|it| (it.kind, it.value.to_vec())).collect());
    (part.flags, padata)
}

fn asked(realm: &mut Joined, request: &[u8], key: &Key, usage: KeyUsage) -> (F, Option<Vec<Element>>) {
    sealed(&realm.send(request).reply.expect("an answer"), key, usage)
}

/// The same with the wish that the KDC vouches for the request.
fn wishing(asking: Asking, value: &[u8]) -> Asking {
    Asking { padata: vec![(PaType::REQ_ENC_PA_REP, value.to_vec())], ..asking }
}

fn vouches(padata: Option<Vec<Element>>, request: &[u8], key: &Key) {
    let padata = padata.expect("encrypted-pa-data");
    let value = |kind| padata.iter().find(|(of, _)| *of == kind).map(|(_, value)| value.as_slice());
    let checksum = value(PaType::REQ_ENC_PA_REP).expect("a checksum");
    req_enc_pa_rep::verify(key, request, checksum).expect("the checksum of the request as it was sent");
    assert_eq!(value(PaType::FX_FAST), Some(&[][..]), "FAST is told of, with an empty value");
}

fn tgt(realm: &mut Joined) -> Credential {
    realm.login(&Asking::login("alice").with(O::RENEWABLE | O::FORWARDABLE)).expect("a TGT")
}

#[test]
fn s11_every_ticket_says_that_the_kdc_vouches_for_requests() {
    let mut realm = Joined::new();
    let tgt = tgt(&mut realm);
    assert!(tgt.flags.has(F::ENC_PA_REP), "also where nobody asked");
    for asking in
        [Asking::service(HOST), Asking::login("alice").with(O::RENEW), Asking::login("alice").with(O::FORWARDED)]
    {
        assert!(realm.tgs(&tgt, &asking).expect("a ticket").flags.has(F::ENC_PA_REP), "{}", asking.options);
    }
}

#[test]
fn s11_what_is_sealed_besides_is_absent_unless_it_was_asked_for() {
    let mut realm = Joined::new();
    let key = realm.key("alice", AES256);
    let login = realm.as_req(&Asking::login("alice"), Some(&key));
    assert_eq!(asked(&mut realm, &login, &key, KeyUsage::AS_REP_ENC_PART).1, None);
    let tgt = tgt(&mut realm);
    let further = realm.tgs_req(&tgt, &Asking::service(HOST));
    assert_eq!(asked(&mut realm, &further, &tgt.key, KeyUsage::TGS_REP_SESSION).1, None);
}

#[test]
fn s11_who_asks_is_told_which_request_the_kdc_saw_whatever_the_wish_holds() {
    let mut realm = Joined::new();
    let key = realm.key("alice", AES256);
    for value in [&b""[..], b"anything", &[0x30, 0x80]] {
        let login = realm.as_req(&wishing(Asking::login("alice"), value), Some(&key));
        let (flags, padata) = asked(&mut realm, &login, &key, KeyUsage::AS_REP_ENC_PART);
        assert!(flags.has(F::ENC_PA_REP));
        vouches(padata, &login, &key);
        let tgt = tgt(&mut realm);
        let further = realm.tgs_req(&tgt, &wishing(Asking::service(HOST), value));
        let (flags, padata) = asked(&mut realm, &further, &tgt.key, KeyUsage::TGS_REP_SESSION);
        assert!(flags.has(F::ENC_PA_REP));
        vouches(padata, &further, &tgt.key);
    }
}

/// The same request without the wish.
fn without_the_wish(message: &[u8]) -> Vec<u8> {
    let read = wire::decode::<KdcReq<'_>>(message).expect("a request");
    let kept = read.padata.iter().filter(|element| element.kind != PaType::REQ_ENC_PA_REP);
    let kept: Vec<_> = kept.map(|element| (element.kind, element.value.to_vec())).collect();
    request(read.kind, &kept, read.body.der)
}

#[test]
fn s11_a_client_notices_that_its_wish_was_taken_away() {
    for honest in [true, false] {
        let mut realm = Joined::new();
        realm.policy.spake.groups.clear();
        let secret = Secret::Password(String::from_utf8(PASSWORD.to_vec()).expect("text").into());
        let mut exchange = AsExchange::new(AsRequest::new(name("alice")), secret);
        let (mut random, mut reply, mut seen) = (Sequence(5), None, 0);
        let outcome = loop {
            realm.tick();
            match exchange.step(realm.now, &mut random, reply.as_deref()) {
                Ok(Step::Send { message, .. }) => {
                    let sent = if honest { message } else { without_the_wish(&message) };
                    seen += 1;
                    reply = realm.send(&sent).reply;
                }
                Ok(Step::Done(_)) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(seen, 2, "the KDC took both");
        match outcome {
            Ok(()) => assert!(honest, "a downgrade that nobody notices"),
            Err(error) => assert!(!honest && matches!(error, Error::ReplyMismatch(_)), "{error}"),
        }
    }
}

#[test]
fn s6_the_name_of_a_service_stays_as_it_was_asked_for() {
    let mut realm = Joined::new();
    realm.change(HOST, |entry| entry.aliases = vec![name("host/alias"), name("krbtgtx/OTHER.ORG")]);
    let tgt = tgt(&mut realm);
    for options in [O::NONE, O::CANONICALIZE] {
        for alias in ["host/alias", "krbtgtx/OTHER.ORG", HOST] {
            let ticket = realm.tgs(&tgt, &Asking::service(alias).with(options)).expect("a ticket");
            assert_eq!(ticket.server, name(alias), "{options}");
        }
    }
}

#[test]
fn s5_an_enterprise_name_is_one_component_and_finds_the_alias_before_the_name_that_it_spells() {
    let mut realm = Joined::new();
    let spelled = Principal::new(NameType::ENTERPRISE, REALM, ["bob@EXAMPLE.ORG"]).expect("a name");
    let key = |realm: &Joined, who: &str| realm.key(who, AES256);
    let login = |realm: &mut Joined, client: &Principal, key: &Key| {
        let asking = Asking { client: client.clone(), ..Asking::login("alice") }.with(O::CANONICALIZE);
        let request = realm.as_req(&asking, Some(key));
        realm.credential(&request, key, KeyUsage::AS_REP_ENC_PART).map(|ticket| ticket.client)
    };
    let bobs = key(&realm, "bob");
    assert_eq!(login(&mut realm, &spelled, &bobs), Ok(name("bob")));
    let mail = Principal::new(NameType::ENTERPRISE, REALM, ["a.smith@mail.example"]).expect("a name");
    let alices = key(&realm, "alice");
    assert_eq!(login(&mut realm, &mail, &alices), Err(ErrorCode::C_PRINCIPAL_UNKNOWN));
    realm.change("alice", |entry| entry.aliases = vec![mail.clone()]);
    assert_eq!(login(&mut realm, &mail, &alices), Ok(name("alice")));
    let two = Principal::new(NameType::ENTERPRISE, REALM, ["bob@EXAMPLE.ORG", "x"]).expect("a name");
    assert_eq!(login(&mut realm, &two, &bobs), Err(ErrorCode::C_PRINCIPAL_UNKNOWN));
}

#[test]
fn s7_who_is_elsewhere_is_told_the_realm_and_the_client_its_own_name() {
    let mut realm = Joined::new();
    realm.policy.abroad.referrals.clients.insert("other.org".into(), "OTHER.ORG".into());
    let elsewhere = Principal::new(NameType::ENTERPRISE, REALM, ["wendy@other.org"]).expect("a name");
    let asking = Asking { client: elsewhere, ..Asking::login("alice") }.with(O::CANONICALIZE);
    let asked = realm.as_req(&asking, None);
    let reply = realm.send(&asked).reply.expect("an answer");
    let error = wire::decode::<KrbError<'_>>(&reply).expect("KRB-ERROR");
    assert_eq!((error.code, error.client_realm), (ErrorCode::WRONG_REALM, Some("OTHER.ORG")));
}

#[test]
fn s6_and_s11_what_fast_protects_is_vouched_for_inside_of_it_too() {
    let mut realm = Joined::new();
    let tgt = tgt(&mut realm);
    let asking = wishing(Asking::service(HOST), b"");
    let (message, armor, subkey) = armored::tgs_req(&mut realm, &tgt, (&asking, &asking), None);
    let reply = realm.send(&message).reply.expect("an answer");
    assert_eq!(as_error(&reply), None);
    let told = armor.open(&reply, asking.nonce).expect("an envelope");
    let key = libkrb::preauth::fast::strengthened(told.strengthen.as_ref().expect("a key"), &subkey).expect("a key");
    // The wish stood outside of the envelope, where nothing counts (RFC 6113 5.4.5).
    let (flags, padata) = sealed(&reply, &key, KeyUsage::TGS_REP_SUBKEY);
    assert!(flags.has(F::ENC_PA_REP) && padata.is_none());
    let armor = Armor::new(&mut realm, &tgt);
    let alice = realm.key("alice", AES256);
    let challenge = armor.challenge(&mut realm, &alice);
    let inside = Inside::of(vec![challenge, (PaType::REQ_ENC_PA_REP, vec![])]);
    let message = armor.as_req(&mut realm, &Asking::login("alice"), &inside);
    let reply = realm.send(&message).reply.expect("an answer");
    let told = armor.open(&reply, Asking::login("alice").nonce).expect("an envelope");
    let key = libkrb::preauth::fast::strengthened(told.strengthen.as_ref().expect("a key"), &alice).expect("a key");
    let (_, padata) = sealed(&reply, &key, KeyUsage::AS_REP_ENC_PART);
    vouches(padata, &message, &key);
    let padata: MethodData<'_> = wire::decode::<KdcRep<'_>>(&reply).expect("a ticket").padata;
    assert_eq!(padata.iter().count(), 1, "nothing but the envelope");
}
