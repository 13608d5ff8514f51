//! The KDC against RFC 6113, section by section, joined in memory. Not here: the client, which is held
//! against a KDC that it must not believe in `client_joined.rs`.

use libkrb::codes::{AuthDataType, ChecksumType, EncryptionType, PaType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{FastOptions, KdcOptions as O, TicketFlags};
use libkrb::preauth::enc_challenge::{self, Speaker};
use libkrb::preauth::fast;
use libkrb::time::Instant;
use libkrb::wire::{self, AuthData, EncryptedData, KdcRep, KrbError, List, MethodData};
use libkrb::{ErrorCode, Principal};
use tests::armored::{self, Armor, Inside, Told};
use tests::joined::{Asking, Bend, Credential, Joined, NOW, REALM, as_error, name, request};

const AES256: EncryptionType = EncryptionType::AES256_SHA1;

/// A realm, and armor of a host's ticket.
fn armored() -> (Joined, Armor) {
    let mut realm = Joined::new();
    let armor = armor(&mut realm);
    (realm, armor)
}

fn armor(realm: &mut Joined) -> Armor {
    let ticket = host(realm);
    Armor::new(realm, &ticket)
}

fn host(realm: &mut Joined) -> Credential {
    realm.login(&Asking::login("host/b.example.org")).expect("a host's ticket")
}

/// What the KDC says to an AS-REQ in this armor.
fn told(realm: &mut Joined, armor: &Armor, asking: &Asking, inside: &Inside) -> Told {
    let request = armor.as_req(realm, asking, inside);
    let reply = realm.send(&request).reply.expect("an answer");
    armor.open(&reply, asking.nonce).expect("an answer in the envelope")
}

/// The code of an answer outside of an envelope.
fn refused(realm: &mut Joined, armor: &Armor, inside: &Inside) -> ErrorCode {
    let request = armor.as_req(realm, &Asking::login("alice"), inside);
    let reply = realm.send(&request).reply.expect("an answer");
    assert!(armor.open(&reply, 4711).is_none(), "no envelope without an armor key");
    as_error(&reply).expect("KRB-ERROR")
}

fn kinds(told: &Told) -> Vec<i32> {
    told.padata.iter().map(|(kind, _)| kind.0).collect()
}

#[test]
fn s5_2_a_conversation_that_can_go_on_has_a_cookie() {
    let (mut realm, armor) = armored();
    let outside = realm.as_req(&Asking::login("alice"), None);
    let reply = realm.send(&outside).reply.expect("an answer");
    let error = wire::decode::<KrbError<'_>>(&reply).expect("KRB-ERROR");
    let methods = wire::decode::<MethodData<'_>>(error.data.expect("e-data")).expect("METHOD-DATA");
    assert!(methods.iter().any(|element| element.kind == PaType::FX_COOKIE));
    let told = told(&mut realm, &armor, &Asking::login("alice"), &Inside::default());
    assert!(told.value(PaType::FX_COOKIE).is_some());
}

#[test]
fn s5_4_the_event_says_whose_ticket_armored_a_request() {
    let (mut realm, armor) = armored();
    let bare = realm.as_req(&Asking::login("alice"), None);
    assert_eq!(realm.send(&bare).event.armor, "");
    let request = armor.as_req(&mut realm, &Asking::login("nobody"), &Inside::default());
    assert_eq!(realm.send(&request).event.armor, "ticket", "of a refused one too");
    let tgt = realm.login(&Asking::login("alice")).expect("a ticket");
    let asking = Asking::service("host/a.example.org");
    let (implicit, ..) = armored::tgs_req(&mut realm, &tgt, (&asking, &asking), None);
    assert_eq!(realm.send(&implicit).event.armor, "implicit");
    let (explicit, ..) = armored::tgs_req(&mut realm, &tgt, (&asking, &asking), Some(&armor));
    assert_eq!(realm.send(&explicit).event.armor, "explicit");
}

#[test]
fn s5_4_1_armor_of_an_unknown_kind_or_none_fails() {
    let (mut realm, armor) = armored();
    let none = Armor { ap_req: None, ..armor.clone() };
    assert_eq!(refused(&mut realm, &none, &Inside::default()), ErrorCode::PREAUTH_FAILED);
    let body = Asking::login("alice").body(true, None, &[]);
    let sealed = armor.seal(&mut realm, &Inside::default(), &body, &body);
    let wire::PaFxFastRequest(mut envelope) = wire::decode(&sealed).expect("an envelope");
    envelope.armor = envelope.armor.map(|armor| wire::KrbFastArmor { kind: 2, ..armor });
    let padata = [(PaType::FX_FAST, wire::encode(&wire::PaFxFastRequest(envelope)))];
    let reply = realm.send(&request(libkrb::codes::MessageType::AS_REQ, &padata, &body)).reply.expect("an answer");
    assert_eq!(as_error(&reply), Some(ErrorCode::PREAUTH_FAILED));
}

#[test]
fn s5_4_1_1_the_armor_ticket_is_a_living_one_for_the_tgs_with_a_subkey_of_its_own() {
    let mut realm = Joined::new();
    let ticket = host(&mut realm);
    let service = realm.tgs(&ticket, &Asking::service("host/a.example.org")).expect("a ticket");
    let armor = Armor::new(&mut realm, &service);
    assert_eq!(refused(&mut realm, &armor, &Inside::default()), ErrorCode::SERVER_NOMATCH);
    let armor = Armor::bent(&mut realm, &ticket, |said| said.subkey = None);
    assert_eq!(refused(&mut realm, &armor, &Inside::default()), ErrorCode::PREAUTH_FAILED);
    let armor = Armor::bent(&mut realm, &ticket, |said| said.client_realm = "ELSEWHERE");
    assert_eq!(refused(&mut realm, &armor, &Inside::default()), ErrorCode::BADMATCH);
    let armor = Armor::bent(&mut realm, &ticket, |said| said.time = NOW - 301);
    assert_eq!(refused(&mut realm, &armor, &Inside::default()), ErrorCode::SKEW);
    let forged = Credential { key: Key::new(AES256, &[7; 32]).expect("a key"), ..ticket.clone() };
    let armor = Armor::new(&mut realm, &forged);
    assert_eq!(refused(&mut realm, &armor, &Inside::default()), ErrorCode::BAD_INTEGRITY);
    let invalid = realm.forge(&ticket, "krbtgt/EXAMPLE.ORG", |part| part.flags |= TicketFlags::INVALID);
    let armor = Armor::new(&mut realm, &invalid);
    assert_eq!(refused(&mut realm, &armor, &Inside::default()), ErrorCode::TKT_NYV);
    realm.wait(25 * 3600);
    let armor = Armor::new(&mut realm, &ticket);
    assert_eq!(refused(&mut realm, &armor, &Inside::default()), ErrorCode::TKT_EXPIRED);
}

#[test]
fn s5_4_1_1_the_same_armor_serves_a_whole_conversation() {
    let (mut realm, armor) = armored();
    let first = told(&mut realm, &armor, &Asking::login("alice"), &Inside::default());
    assert_eq!(first.code, Some(ErrorCode::PREAUTH_REQUIRED));
    assert!(armor.login(&mut realm, &Asking::login("alice")).is_ok());
}

#[test]
fn s5_4_1_1_what_is_for_armor_alone_is_armor_and_no_ticket_granting_ticket() {
    let mut realm = Joined::new();
    let ticket = host(&mut realm);
    let marks = [AuthData { kind: AuthDataType::FX_ARMOR, data: &[] }];
    let marked = realm.forge(&ticket, "krbtgt/EXAMPLE.ORG", |part| {
        part.authorization_data = Some(List::Items(&marks));
    });
    let armor = Armor::bent(&mut realm, &marked, |_| ());
    assert!(armor.login(&mut realm, &Asking::login("alice")).is_ok());
    let service = Asking::service("host/a.example.org");
    let (request, armor, _) = armored::tgs_req(&mut realm, &marked, (&service, &service), None);
    let reply = realm.send(&request).reply.expect("an answer");
    assert_eq!(armor.open(&reply, 4711).expect("an envelope").code, Some(ErrorCode::POLICY));
}

#[test]
fn s5_4_2_fast_is_advertised_with_an_empty_value() {
    let mut realm = Joined::new();
    let request = realm.as_req(&Asking::login("alice"), None);
    let reply = realm.send(&request).reply.expect("an answer");
    let error = wire::decode::<KrbError<'_>>(&reply).expect("KRB-ERROR");
    let methods = wire::decode::<MethodData<'_>>(error.data.expect("e-data")).expect("METHOD-DATA");
    let first = methods.iter().next().expect("a method");
    assert_eq!((first.kind, first.value), (PaType::FX_FAST, &[][..]));
}

#[test]
fn s5_4_2_the_request_inside_counts_and_the_one_outside_does_not() {
    let (mut realm, armor) = armored();
    let key = realm.key("alice", AES256);
    let other = Asking { server: None, etypes: vec![], ..Asking::login("bob") };
    let inside =
        Inside { outer: Some(other.body(true, None, &[])), ..Inside::of(vec![armor.challenge(&mut realm, &key)]) };
    let told = told(&mut realm, &armor, &Asking::login("alice"), &inside);
    assert_eq!(told.code, None);
    assert_eq!(told.finished.expect("finished").1, name("alice"));
}

#[test]
fn s5_4_2_the_checksum_binds_the_envelope_to_the_message_around_it() {
    let (mut realm, armor) = armored();
    let (mine, others) = (Asking::login("alice").body(true, None, &[]), Asking::login("bob").body(true, None, &[]));
    let sealed = armor.seal(&mut realm, &Inside::default(), &mine, &mine);
    let send = |realm: &mut Joined, sealed: Vec<u8>, outer: &[u8]| {
        let message = request(libkrb::codes::MessageType::AS_REQ, &[(PaType::FX_FAST, sealed)], outer);
        as_error(&realm.send(&message).reply.expect("an answer"))
    };
    assert_eq!(send(&mut realm, sealed.clone(), &others), Some(ErrorCode::MODIFIED));
    let wire::PaFxFastRequest(mut envelope) = wire::decode(&sealed).expect("an envelope");
    envelope.checksum.kind = ChecksumType::CRC32;
    let unkeyed = wire::encode(&wire::PaFxFastRequest(envelope));
    assert_eq!(send(&mut realm, unkeyed, &mine), Some(ErrorCode::INAPP_CKSUM));
}

#[test]
fn s5_4_2_a_critical_option_must_be_known_and_others_need_not() {
    let (mut realm, armor) = armored();
    for bit in 2..16 {
        let inside = Inside { options: FastOptions(1 << (31 - bit)), ..Inside::default() };
        let told = told(&mut realm, &armor, &Asking::login("alice"), &inside);
        assert_eq!(told.code, Some(ErrorCode::UNKNOWN_CRITICAL_FAST_OPTIONS), "{bit}");
    }
    for bit in [0, 16, 17, 31] {
        let inside = Inside { options: FastOptions(1 << (31 - bit)), ..Inside::default() };
        let told = told(&mut realm, &armor, &Asking::login("alice"), &inside);
        assert_eq!(told.code, Some(ErrorCode::PREAUTH_REQUIRED), "{bit}");
    }
}

#[test]
fn s5_4_2_a_client_that_hides_is_named_in_the_envelope_only() {
    let (mut realm, armor) = armored();
    let hidden = |padata| Inside { options: FastOptions::HIDE_CLIENT_NAMES, ..Inside::of(padata) };
    let asking = Asking::login("alice");
    let request = armor.as_req(&mut realm, &asking, &hidden(vec![]));
    let reply = realm.send(&request).reply.expect("an answer");
    let error = wire::decode::<KrbError<'_>>(&reply).expect("KRB-ERROR");
    let named = error.client.expect("a client").principal(error.client_realm.expect("a realm"));
    assert_eq!(named, Ok(Principal::anonymous().clone()));

    let key = realm.key("alice", AES256);
    let challenge = armor.challenge(&mut realm, &key);
    let request = armor.as_req(&mut realm, &asking, &hidden(vec![challenge]));
    let reply = realm.send(&request).reply.expect("an answer");
    let rep = wire::decode::<KdcRep<'_>>(&reply).expect("a reply");
    assert_eq!(rep.client.principal(rep.client_realm), Ok(Principal::anonymous().clone()));
    assert_eq!(armor.open(&reply, 4711).expect("an envelope").finished.expect("finished").1, name("alice"));
    realm.open(rep.ticket.der, |part| assert!(part.client.names(&name("alice"))));
}

#[test]
fn s5_4_2_the_armor_of_a_tgs_request_is_its_own_ticket() {
    let mut realm = Joined::new();
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let service = Asking::service("host/a.example.org");
    let (request, armor, subkey) = armored::tgs_req(&mut realm, &tgt, (&service, &service), None);
    let reply = realm.send(&request).reply.expect("an answer");
    let told = armor.open(&reply, 4711).expect("an envelope");
    let key = fast::strengthened(&told.strengthen.expect("MUST be there"), &subkey).expect("a key");
    let ticket = Credential::open(&reply, &key, KeyUsage::TGS_REP_SUBKEY).expect("a ticket");
    assert_eq!(ticket.server, name("host/a.example.org"));
    let rep = wire::decode::<KdcRep<'_>>(&reply).expect("a reply");
    assert!(subkey.decrypt(KeyUsage::TGS_REP_SUBKEY, rep.enc_part.cipher).is_err(), "the subkey alone opens nothing");
}

#[test]
fn s5_4_2_a_tgs_request_in_fast_has_a_subkey() {
    let mut realm = Joined::new();
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let service = Asking::service("host/a.example.org");
    let (message, ..) = armored::tgs_req(&mut realm, &tgt, (&service, &service), None);
    let envelope = wire::decode::<wire::KdcReq<'_>>(&message).expect("a request").padata(PaType::FX_FAST);
    let asking = Asking { padata: vec![(PaType::FX_FAST, envelope.expect("FAST").value.to_vec())], ..service };
    assert_eq!(realm.tgs(&tgt, &asking).expect_err("no subkey"), ErrorCode::PREAUTH_FAILED);
}

#[test]
fn s5_4_2_explicit_armor_of_a_tgs_request_is_a_ticket_besides() {
    let mut realm = Joined::new();
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let explicit = armor(&mut realm);
    let service = Asking::service("host/a.example.org");
    let (request, armor, subkey) = armored::tgs_req(&mut realm, &tgt, (&service, &service), Some(&explicit));
    let reply = realm.send(&request).reply.expect("an answer");
    let told = armor.open(&reply, 4711).expect("an envelope");
    let key = fast::strengthened(&told.strengthen.expect("MUST be there"), &subkey).expect("a key");
    let ticket = Credential::open(&reply, &key, KeyUsage::TGS_REP_SUBKEY).expect("a ticket");
    assert_eq!(ticket.client, name("alice"));
}

#[test]
fn s5_4_2_who_says_that_fast_is_used_and_it_is_not_was_tampered_with() {
    let mut realm = Joined::new();
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let bend = Bend { armor: Some(AuthDataType::FX_FAST_USED), ..Bend::default() };
    let request = realm.tgs_req_with(&tgt, &Asking::service("host/a.example.org"), &bend);
    let reply = realm.send(&request).reply.expect("an answer");
    assert_eq!(as_error(&reply), Some(ErrorCode::MODIFIED));
    let marks = [AuthData { kind: AuthDataType::FX_FAST_USED, data: &[] }];
    let marked = realm.forge(&tgt, "krbtgt/EXAMPLE.ORG", |part| part.authorization_data = Some(List::Items(&marks)));
    assert_eq!(realm.tgs(&marked, &Asking::service("host/a.example.org")).expect_err("no FAST"), ErrorCode::MODIFIED);
}

#[test]
fn s5_4_3_the_answer_vouches_for_time_client_and_ticket_and_makes_the_reply_key_stronger() {
    let (mut realm, armor) = armored();
    let (ticket, told) = armor.login(&mut realm, &Asking::login("alice")).expect("a TGT");
    let (time, client) = told.finished.expect("finished");
    assert_eq!((time, client), (realm.now.time, name("alice")));
    assert_eq!(ticket.client, name("alice"));
    assert!(ticket.flags.has(TicketFlags::PRE_AUTHENT | TicketFlags::INITIAL));
    assert_eq!(told.strengthen.expect("a key").etype(), AES256);
}

#[test]
fn s5_4_4_errors_say_inside_what_they_say_and_outside_no_more_than_their_code() {
    let (mut realm, armor) = armored();
    let request = armor.as_req(&mut realm, &Asking::login("nobody"), &Inside::default());
    let reply = realm.send(&request).reply.expect("an answer");
    let error = wire::decode::<KrbError<'_>>(&reply).expect("KRB-ERROR");
    assert_eq!(error.code, ErrorCode::C_PRINCIPAL_UNKNOWN);
    assert!(error.text.expect("e-text").ends_with("see the FAST envelope"));
    assert_eq!(armor.open(&reply, 4711).expect("an envelope").code, Some(ErrorCode::C_PRINCIPAL_UNKNOWN));

    let told = told(&mut realm, &armor, &Asking::login("alice"), &Inside::default());
    assert_eq!(told.code, Some(ErrorCode::PREAUTH_REQUIRED));
    assert!(kinds(&told).starts_with(&[136, 19]), "METHOD-DATA is inside: {:?}", kinds(&told));
    assert!(told.value(PaType::ENCRYPTED_CHALLENGE).is_some());
    assert!(told.value(PaType::ENC_TIMESTAMP).is_none(), "in FAST there is better");
    assert!(told.strengthen.is_none() && told.finished.is_none());
}

#[test]
fn s5_4_5_what_stands_beside_the_envelope_proves_nothing() {
    let (mut realm, armor) = armored();
    let key = realm.key("alice", AES256);
    let stamp = realm.timestamp(&key, realm.now);
    let inside = Inside { beside: vec![(PaType::ENC_TIMESTAMP, stamp)], ..Inside::default() };
    let told = told(&mut realm, &armor, &Asking::login("alice"), &inside);
    assert_eq!(told.code, Some(ErrorCode::PREAUTH_REQUIRED));
}

#[test]
fn s5_4_5_every_timestamp_in_the_envelope_is_tried() {
    let (mut realm, armor) = armored();
    let mut stamps = vec![];
    for key in [Key::new(AES256, &[1; 32]).expect("a key"), realm.key("bob", AES256), realm.key("alice", AES256)] {
        realm.tick();
        let now = realm.now;
        stamps.push((PaType::ENC_TIMESTAMP, realm.timestamp(&key, now)));
    }
    let old = told(&mut realm, &armor, &Asking::login("alice"), &Inside::of(stamps.clone()));
    // Heimdal's clients, which do so, don't know replies whose key is made stronger; a realm may insist.
    assert!(old.code.is_none() && old.strengthen.is_none());
    realm.policy.require_armor = true;
    realm.replays = libkrb::replay::MemoryReplayCache::new(300, 100);
    let strict = told(&mut realm, &armor, &Asking::login("alice"), &Inside::of(stamps));
    assert!(strict.code.is_none() && strict.strengthen.is_some());
}

#[test]
fn s5_4_6_the_encrypted_challenge_proves_the_client_and_the_kdc() {
    let (mut realm, armor) = armored();
    let (_, told) = armor.login(&mut realm, &Asking::login("alice")).expect("a TGT");
    let value = told.value(PaType::ENCRYPTED_CHALLENGE).expect("the KDC's challenge").to_vec();
    let sealed: EncryptedData<'_> = wire::decode(&value).expect("EncryptedData");
    let key = realm.key("alice", AES256);
    assert_eq!(
        enc_challenge::open(Speaker::Kdc, &armor.key.prepare_prf(), &key.prepare_prf(), &sealed)
            .map(|clock| clock.time),
        Ok(realm.now.time)
    );
    assert!(enc_challenge::open(Speaker::Client, &armor.key.prepare_prf(), &key.prepare_prf(), &sealed).is_err());
}

#[test]
fn s5_4_6_another_key_fails_and_is_told_how_the_right_one_is_made() {
    let (mut realm, armor) = armored();
    let other = realm.key("bob", AES256);
    let inside = Inside::of(vec![armor.challenge(&mut realm, &other)]);
    let told = told(&mut realm, &armor, &Asking::login("alice"), &inside);
    assert_eq!(told.code, Some(ErrorCode::PREAUTH_FAILED));
    assert!(told.value(PaType::ETYPE_INFO2).is_some() && told.value(PaType::FX_COOKIE).is_some());
}

#[test]
fn s5_4_6_a_challenge_of_another_time_or_seen_before_is_refused() {
    let (mut realm, armor) = armored();
    let key = realm.key("alice", AES256);
    let challenge = armor.challenge(&mut realm, &key);
    let asking = Asking::login("alice");
    assert_eq!(told(&mut realm, &armor, &asking, &Inside::of(vec![challenge.clone()])).code, None);
    let again = told(&mut realm, &armor, &asking, &Inside::of(vec![challenge]));
    assert_eq!(again.code, Some(ErrorCode::REPEAT));
    // Two clocks that show the same are two challenges.
    let mut same = || {
        let now = Instant::from(NOW);
        let made =
            enc_challenge::make(Speaker::Client, &armor.key.prepare_prf(), &key.prepare_prf(), now, &mut realm.random)
                .expect("a challenge");
        Inside::of(vec![(PaType::ENCRYPTED_CHALLENGE, made)])
    };
    let (one, other) = (same(), same());
    assert_eq!(told(&mut realm, &armor, &asking, &one).code, None);
    assert_eq!(told(&mut realm, &armor, &asking, &other).code, None);
    let old = Instant::from(NOW - 301);
    let made =
        enc_challenge::make(Speaker::Client, &armor.key.prepare_prf(), &key.prepare_prf(), old, &mut realm.random)
            .expect("a challenge");
    let skewed = told(&mut realm, &armor, &asking, &Inside::of(vec![(PaType::ENCRYPTED_CHALLENGE, made)]));
    assert_eq!(skewed.code, Some(ErrorCode::SKEW));
}

#[test]
fn a_realm_can_demand_armor_for_passwords_and_not_for_random_keys() {
    let mut realm = Joined::new();
    realm.policy.require_armor = true;
    let login = Asking::login("alice");
    assert_eq!(realm.login(&login).expect_err("no armor"), ErrorCode::POLICY);
    let unasked = realm.as_req(&login, None);
    let reply = realm.send(&unasked).reply.expect("an answer");
    let error = wire::decode::<KrbError<'_>>(&reply).expect("KRB-ERROR");
    let offered = wire::decode::<MethodData<'_>>(error.data.expect("e-data")).expect("METHOD-DATA");
    let offered: Vec<_> = offered.iter().map(|element| element.kind).collect();
    assert!(!offered.contains(&PaType::SPAKE) && !offered.contains(&PaType::ENC_TIMESTAMP), "{offered:?}");
    let armor = armor(&mut realm);
    assert!(armor.login(&mut realm, &login).is_ok());
    // Nor by a client that need not prove itself: its reply can be guessed at as well.
    realm.change("alice", |entry| entry.attributes = Default::default());
    let bare = realm.as_req(&login, None);
    assert_eq!(as_error(&realm.send(&bare).reply.expect("an answer")), Some(ErrorCode::POLICY));
    realm.change("alice", |entry| drop(entry.strings.insert("require_armor".into(), "false".into())));
    assert!(realm.login(&login).is_ok());
    realm.policy.require_armor = false;
    for word in ["true", "yes", ""] {
        realm.change("alice", |entry| drop(entry.strings.insert("require_armor".into(), word.into())));
        assert_eq!(realm.login(&login).expect_err("no armor"), ErrorCode::POLICY, "{word:?} opens nothing");
    }
}

#[test]
fn an_encrypted_reply_says_that_fast_is_known() {
    let mut realm = Joined::new();
    let asking = Asking { padata: vec![(PaType::REQ_ENC_PA_REP, vec![])], ..Asking::login("alice").with(O::NONE) };
    let key = realm.key("alice", AES256);
    let request = realm.as_req(&asking, Some(&key));
    let reply = realm.send(&request).reply.expect("an answer");
    let rep = wire::decode::<KdcRep<'_>>(&reply).expect("a reply");
    let plain = key.decrypt(KeyUsage::AS_REP_ENC_PART, rep.enc_part.cipher).expect("our reply");
    let part = wire::decode::<wire::EncKdcRepPart<'_>>(&plain).expect("a part");
    let kinds: Vec<_> = part.encrypted_padata.expect("padata").iter().map(|element| element.kind).collect();
    assert_eq!(kinds, [PaType::REQ_ENC_PA_REP, PaType::FX_FAST]);
    assert_eq!(rep.client_realm, REALM);
}
