//! Logins by SPAKE (RFC 9588) on a KDC in memory: what it promises, and what attackers try.

use kdc::core::{Attributes, PasswordPolicy};
use libkrb::ErrorCode as E;
use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::TicketFlags;
use libkrb::preauth::fast;
use libkrb::preauth::spake::{GROUPS, Group, client};
use libkrb::wire::{self, EncryptedData, EtypeInfo2Entry, List, PaSpake, SpakeResponse};
use tests::armored::{Armor, Inside};
use tests::joined::{Asking, Credential, Joined, as_error};
use tests::spake::{Talk, told};

const AES256: EncryptionType = EncryptionType::AES256_SHA1;

fn all() -> Vec<&'static Group> {
    GROUPS.iter().collect()
}

fn wrong_key() -> Key {
    Key::new(AES256, &[7; 32]).expect("a key")
}

fn login(joined: &mut Joined, key: &Key) -> Result<Credential, E> {
    Talk::begin(joined, &Asking::login("alice"), &[&GROUPS[0]]).end(joined, key)
}

fn failures(joined: &Joined, who: &str) -> u32 {
    use kdc::core::Attempts;
    joined.attempts.record(&joined.entry(who).id).failures
}

#[test]
fn a_password_is_proven_in_every_group_that_is_allowed() {
    let mut joined = Joined::new();
    joined.policy.spake.groups = all();
    let key = joined.key("alice", AES256);
    for group in &GROUPS {
        let asking = Asking::login("alice");
        let talk = Talk::begin(&mut joined, &asking, &[group]);
        let (response, reply_key) = talk.respond(&mut joined, &key);
        let request = talk.request(&mut joined, &response);
        let outcome = joined.send(&request);
        assert_eq!(outcome.event.proof, "spake", "{:?}", outcome.event.refusal);
        let reply = outcome.reply.expect("an answer");
        let credential = Credential::open(&reply, &reply_key, KeyUsage::AS_REP_ENC_PART).expect("a ticket");
        assert!(credential.flags.has(TicketFlags::INITIAL | TicketFlags::PRE_AUTHENT));
        let part = wire::decode::<wire::KdcRep<'_>>(&reply).expect("a reply").enc_part;
        assert!(key.decrypt(KeyUsage::AS_REP_ENC_PART, part.cipher).is_err(), "the password's key opens nothing");
    }
}

#[test]
fn spake_is_offered_before_the_timestamp_with_one_enctype_to_whoever_has_a_password() {
    let mut joined = Joined::new();
    let asking = Asking { etypes: vec![EncryptionType::AES128_SHA1, AES256], ..Asking::login("alice") };
    let request = joined.as_req(&asking, None);
    let told_user = told(&mut joined, &request);
    assert_eq!(told_user.code, E::PREAUTH_REQUIRED);
    assert_eq!(told_user.value(PaType::SPAKE), Some(vec![]));
    assert!(told_user.place(PaType::SPAKE) < told_user.place(PaType::ENC_TIMESTAMP));
    let info = told_user.value(PaType::ETYPE_INFO2).expect("etype-info2");
    let info = wire::decode::<List<'_, EtypeInfo2Entry<'_>>>(&info).expect("etype-info2");
    assert_eq!(info.iter().map(|entry| entry.etype).collect::<Vec<_>>(), [EncryptionType::AES128_SHA1]);

    joined.change("host/a.example.org", |entry| entry.attributes = Attributes::REQUIRES_PRE_AUTH);
    let asking = Asking { etypes: asking.etypes, ..Asking::login("host/a.example.org") };
    let request = joined.as_req(&asking, None);
    let told_service = told(&mut joined, &request);
    assert!(told_service.value(PaType::SPAKE).is_none(), "nobody guesses random keys");
    assert!(told_service.value(PaType::ENC_TIMESTAMP).is_some());

    joined.policy.spake.groups.clear();
    let request = joined.as_req(&Asking::login("alice"), None);
    assert!(told(&mut joined, &request).value(PaType::SPAKE).is_none(), "switched off");
}

#[test]
fn who_knows_no_allowed_group_is_told_what_else_there_is_and_has_guessed_nothing() {
    let mut joined = Joined::new();
    for groups in [&[3, 77][..], &[][..]] {
        let support = wire::encode(&PaSpake::Support(wire::SpakeSupport { groups: List::Items(groups) }));
        let asking = Asking { padata: vec![(PaType::SPAKE, support)], ..Asking::login("alice") };
        let request = joined.as_req(&asking, None);
        let told = told(&mut joined, &request);
        assert_eq!(told.code, E::PREAUTH_FAILED);
        assert!(told.value(PaType::ENC_TIMESTAMP).is_some() && told.value(PaType::ETYPE_INFO2).is_some());
    }
    assert_eq!(failures(&joined, "alice"), 0);
}

#[test]
fn an_optimistic_challenge_saves_a_message_and_may_be_declined() {
    let mut joined = Joined::new();
    joined.policy.spake.groups = all();
    joined.policy.spake.challenge = Some(&GROUPS[0]);
    let (asking, key) = (Asking::login("alice"), joined.key("alice", AES256));
    let request = joined.as_req(&asking, None);
    let told = told(&mut joined, &request);
    assert_eq!(told.code, E::PREAUTH_REQUIRED);
    let talk = Talk::from(&asking, None, &told);
    assert!(talk.end(&mut joined, &key).is_ok());
    let talk = Talk::begin(&mut joined, &asking, &[&GROUPS[1]]);
    assert!(talk.end(&mut joined, &key).is_ok(), "in another group, the first challenge forgotten");
}

#[test]
fn a_wrong_password_is_one_failure_and_enough_of_them_lock() {
    let mut joined = Joined::new();
    joined.add_policy(PasswordPolicy { max_failures: 3, ..PasswordPolicy::new("strict") });
    joined.change("alice", |entry| entry.policy = Some("strict".into()));
    let key = joined.key("alice", AES256);
    assert_eq!(login(&mut joined, &wrong_key()).unwrap_err(), E::PREAUTH_FAILED);
    assert_eq!(failures(&joined, "alice"), 1, "the challenge is no guess, the response is one");
    assert!(login(&mut joined, &key).is_ok());
    assert_eq!(failures(&joined, "alice"), 0);
    // A challenge from before the lock is worth nothing after it, nor are many guesses at one challenge.
    let before = Talk::begin(&mut joined, &Asking::login("alice"), &[&GROUPS[0]]);
    for _ in 0..3 {
        assert_eq!(before.end(&mut joined, &wrong_key()).unwrap_err(), E::PREAUTH_FAILED);
    }
    assert_eq!(before.end(&mut joined, &key).unwrap_err(), E::CLIENT_REVOKED);
    assert_eq!(failures(&joined, "alice"), 3);
}

#[test]
fn a_response_is_good_for_one_ticket() {
    let mut joined = Joined::new();
    let key = joined.key("alice", AES256);
    let talk = Talk::begin(&mut joined, &Asking::login("alice"), &[&GROUPS[0]]);
    let (response, _) = talk.respond(&mut joined, &key);
    let request = talk.request(&mut joined, &response);
    assert!(as_error(&joined.send(&request).reply.expect("an answer")).is_none());
    // The same with more padata, so that it is not the same request.
    let padata =
        vec![(PaType::FX_COOKIE, talk.cookie.clone()), (PaType::SPAKE, response), (PaType::REQ_ENC_PA_REP, vec![])];
    let again = joined.as_req(&Asking { padata, ..talk.asking.clone() }, None);
    assert_eq!(as_error(&joined.send(&again).reply.expect("an answer")), Some(E::REPEAT));
    assert_eq!(talk.end(&mut joined, &key).unwrap_err(), E::REPEAT, "nor is its challenge");
    // As long as the cookie lives the response is remembered.
    joined.wait(599);
    assert_eq!(talk.end(&mut joined, &key).unwrap_err(), E::REPEAT);
    assert_eq!(failures(&joined, "alice"), 0, "who has the key has not guessed");
}

#[test]
fn a_cookie_is_of_one_client_one_realm_and_some_minutes() {
    let mut joined = Joined::new();
    let key = joined.key("alice", AES256);
    let asking = Asking::login("alice");
    let mut talk = Talk::begin(&mut joined, &asking, &[&GROUPS[0]]);
    let good = talk.cookie.clone();
    let bobs = Talk::begin(&mut joined, &Asking::login("bob"), &[&GROUPS[0]]);
    talk.cookie = bobs.cookie;
    assert_eq!(talk.end(&mut joined, &key).unwrap_err(), E::PREAUTH_FAILED, "another client's");
    for place in [0, 5, 10, good.len() / 2, good.len() - 1] {
        talk.cookie = good.clone();
        talk.cookie[place] ^= 1;
        // Without the first word it is none of ours at all, and the client begins again.
        let code = if place == 0 { E::PREAUTH_EXPIRED } else { E::PREAUTH_FAILED };
        assert_eq!(talk.end(&mut joined, &key).unwrap_err(), code, "changed at {place}");
    }
    talk.cookie = vec![0; 100_000];
    assert_eq!(talk.end(&mut joined, &key).unwrap_err(), E::PREAUTH_FAILED, "huge");
    let mut other = Joined::new();
    other.change("krbtgt/EXAMPLE.ORG", |entry| {
        let key = Key::new(AES256, &[9; 32]).expect("a key");
        entry.keys[0].keys[0] = kdc::core::LongTermKey::new(key, None);
    });
    talk.cookie = Talk::begin(&mut other, &asking, &[&GROUPS[0]]).cookie;
    assert_eq!(talk.end(&mut joined, &key).unwrap_err(), E::PREAUTH_FAILED, "another realm's");
    talk.cookie = good;
    joined.wait(601);
    assert_eq!(talk.end(&mut joined, &key).unwrap_err(), E::PREAUTH_EXPIRED, "too old");
    joined.wait(-601 - 301);
    assert_eq!(talk.end(&mut joined, &key).unwrap_err(), E::PREAUTH_EXPIRED, "from the future");
    joined.wait(301);
    assert!(talk.end(&mut joined, &key).is_ok());
}

#[test]
fn a_response_without_a_cookie_begins_again() {
    let mut joined = Joined::new();
    let key = joined.key("alice", AES256);
    let talk = Talk::begin(&mut joined, &Asking::login("alice"), &[&GROUPS[0]]);
    let (response, _) = talk.respond(&mut joined, &key);
    let asking = Asking { padata: vec![(PaType::SPAKE, response)], ..talk.asking };
    let request = joined.as_req(&asking, None);
    assert_eq!(told(&mut joined, &request).code, E::PREAUTH_EXPIRED);
    assert_eq!(failures(&joined, "alice"), 0);
}

#[test]
fn within_fast_the_inner_request_is_bound_and_the_reply_key_made_stronger() {
    let mut joined = Joined::new();
    let host = joined.login(&Asking::login("host/b.example.org")).expect("a host's ticket");
    let armor = Armor::new(&mut joined, &host);
    let (asking, key) = (Asking::login("alice"), joined.key("alice", AES256));
    let support = client::support(&[&GROUPS[0]]);
    let request = armor.as_req(&mut joined, &asking, &Inside::of(vec![(PaType::SPAKE, support.clone())]));
    let reply = joined.send(&request).reply.expect("an answer");
    let told = armor.open(&reply, asking.nonce).expect("in the envelope");
    assert_eq!(told.code, Some(E::MORE_PREAUTH_DATA_REQUIRED));
    let value = |kind| told.value(kind).expect("an element").to_vec();
    let (challenge, cookie) = (value(PaType::SPAKE), value(PaType::FX_COOKIE));
    let talk = Talk { asking: asking.clone(), support: Some(support), challenge, cookie: cookie.clone() };
    let (response, reply_key) = talk.respond(&mut joined, &key);
    let padata = vec![(PaType::FX_COOKIE, cookie), (PaType::SPAKE, response)];
    let elsewhere = Asking { till: tests::joined::NOW + 60, ..asking.clone() };
    let request = armor.as_req(&mut joined, &elsewhere, &Inside::of(padata.clone()));
    let refused = joined.send(&request).reply.expect("an answer");
    assert_eq!(armor.open(&refused, asking.nonce).expect("in the envelope").code, Some(E::PREAUTH_FAILED));
    // Another body outside: it does not count.
    let outer = elsewhere.body(true, None, &[]);
    let inside = Inside { outer: Some(outer), ..Inside::of(padata) };
    let request = armor.as_req(&mut joined, &asking, &inside);
    let reply = joined.send(&request).reply.expect("an answer");
    let told = armor.open(&reply, asking.nonce).expect("in the envelope");
    let stronger = fast::strengthened(told.strengthen.as_ref().expect("a key"), &reply_key).expect("a key");
    Credential::open(&reply, &stronger, KeyUsage::AS_REP_ENC_PART).expect("a ticket");
}

#[test]
fn points_that_are_none_are_refused() {
    let mut joined = Joined::new();
    joined.policy.spake.groups = all();
    for group in &GROUPS {
        let talk = Talk::begin(&mut joined, &Asking::login("alice"), &[group]);
        for point in [&[][..], &[0], &[0; 32], &[1; 32], &[0xff; 33], &[4; 65], &[2; 67], &[3; 300]] {
            let factor = EncryptedData { etype: AES256, kvno: None, cipher: &[0; 60] };
            let response = wire::encode(&PaSpake::Response(SpakeResponse { public: point, factor }));
            let request = talk.request(&mut joined, &response);
            assert_eq!(told(&mut joined, &request).code, E::PREAUTH_FAILED, "{group:?} {point:?}");
        }
    }
}

#[test]
fn what_was_said_in_the_clear_and_the_body_cannot_be_changed() {
    let mut joined = Joined::new();
    joined.policy.spake.groups = all();
    let key = joined.key("alice", AES256);
    let asking = Asking::login("alice");
    let mut talk = Talk::begin(&mut joined, &asking, &[&GROUPS[0]]);
    // The client wanted P-384 first; somebody on the way took it out of the list.
    talk.support = Some(client::support(&[&GROUPS[2], &GROUPS[0]]));
    assert_eq!(talk.end(&mut joined, &key).unwrap_err(), E::PREAUTH_FAILED);
    let mut talk = Talk::begin(&mut joined, &asking, &[&GROUPS[0]]);
    let (response, _) = talk.respond(&mut joined, &key);
    talk.asking.till = tests::joined::NOW + 60;
    let request = talk.request(&mut joined, &response);
    assert_eq!(told(&mut joined, &request).code, E::PREAUTH_FAILED);
}

#[test]
fn no_other_message_of_a_client_proves_anything() {
    let mut joined = Joined::new();
    let talk = Talk::begin(&mut joined, &Asking::login("alice"), &[&GROUPS[0]]);
    let data = EncryptedData { etype: AES256, kvno: None, cipher: &[0; 60] };
    let data = wire::encode(&PaSpake::Data(data));
    for message in [&talk.challenge, &data, &vec![], &b"\x30\x80".to_vec(), &b"\xa4\x02\x05\x00".to_vec()] {
        let request = talk.request(&mut joined, message);
        assert_eq!(told(&mut joined, &request).code, E::PREAUTH_FAILED, "{message:x?}");
    }
}

#[test]
fn one_request_is_one_try() {
    let mut joined = Joined::new();
    let support = client::support(&[&GROUPS[0]]);
    let asking = Asking { padata: vec![(PaType::SPAKE, support); 16], ..Asking::login("alice") };
    let request = joined.as_req(&asking, None);
    let told = told(&mut joined, &request);
    assert_eq!(told.methods.iter().filter(|(kind, _)| *kind == PaType::SPAKE).count(), 1);
    let talk = Talk::begin(&mut joined, &Asking::login("alice"), &[&GROUPS[0]]);
    let (response, _) = talk.respond(&mut joined, &wrong_key());
    let mut padata = vec![(PaType::FX_COOKIE, talk.cookie.clone())];
    padata.extend(vec![(PaType::SPAKE, response); 10]);
    let request = joined.as_req(&Asking { padata, ..talk.asking }, None);
    joined.send(&request);
    assert_eq!(failures(&joined, "alice"), 1);
}

#[test]
fn a_new_password_makes_old_challenges_worthless() {
    let mut joined = Joined::new();
    let old = joined.key("alice", AES256);
    let talk = Talk::begin(&mut joined, &Asking::login("alice"), &[&GROUPS[0]]);
    joined.change("alice", |entry| {
        let key = kdc::core::LongTermKey::new(wrong_key(), Some("salt".into()));
        entry.keys = vec![kdc::core::KeySet::new(2, vec![key])];
    });
    assert_eq!(talk.end(&mut joined, &old).unwrap_err(), E::PREAUTH_FAILED);
    assert_eq!(talk.end(&mut joined, &wrong_key()).unwrap_err(), E::PREAUTH_FAILED, "nor is it one of the new");
    assert!(login(&mut joined, &wrong_key()).is_ok());
}

#[test]
fn a_former_password_that_is_kept_finishes_no_login_that_it_has_begun() {
    let mut joined = Joined::new();
    let old = joined.key("alice", AES256);
    let talk = Talk::begin(&mut joined, &Asking::login("alice"), &[&GROUPS[0]]);
    joined.change("alice", |entry| {
        let key = kdc::core::LongTermKey::new(wrong_key(), Some("salt".into()));
        entry.keys.insert(0, kdc::core::KeySet::new(2, vec![key]));
    });
    assert_eq!(joined.login(&Asking::login("alice")).err(), None, "by the new one");
    assert_eq!(talk.end(&mut joined, &old).unwrap_err(), E::PREAUTH_FAILED);
    assert_eq!(failures(&joined, "alice"), 1);
}

#[test]
fn whether_there_is_a_client_cannot_be_told_where_that_is_hidden() {
    let mut joined = Joined::new();
    joined.policy.hide_unknown_clients = true;
    joined.policy.key_etypes = vec![AES256, EncryptionType::AES128_SHA1];
    let mut seen = vec![];
    for who in ["alice", "alicf"] {
        let asking = Asking::login(who);
        let bare = joined.as_req(&asking, None);
        let first = joined.send(&bare).reply.expect("an answer");
        let talk = Talk::begin(&mut joined, &asking, &[&GROUPS[0]]);
        let (response, _) = talk.respond(&mut joined, &wrong_key());
        let request = talk.request(&mut joined, &response);
        let last = joined.send(&request).reply.expect("an answer");
        let shape = |reply: &[u8]| (reply.len(), as_error(reply));
        seen.push((shape(&first), talk.challenge.len(), talk.cookie.len(), shape(&last)));
        // Who knows what keys those have who do not exist gets no further.
        let zero = Key::new(AES256, &[0; 32]).expect("a key");
        assert_eq!(talk.end(&mut joined, &zero).unwrap_err(), E::PREAUTH_FAILED);
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn a_locked_client_looks_like_none_where_clients_are_hidden() {
    let mut joined = Joined::new();
    joined.policy.hide_unknown_clients = true;
    joined.add_policy(PasswordPolicy { max_failures: 1, ..PasswordPolicy::new("strict") });
    joined.change("alice", |entry| {
        entry.policy = Some("strict".into());
        entry.keys[0].kvno = 7;
    });
    let key = joined.key("alice", AES256);
    let before = Talk::begin(&mut joined, &Asking::login("alice"), &[&GROUPS[0]]);
    assert_eq!(login(&mut joined, &wrong_key()).unwrap_err(), E::PREAUTH_FAILED);
    assert_eq!(before.end(&mut joined, &key).unwrap_err(), E::PREAUTH_FAILED);
    assert_eq!(login(&mut joined, &key).unwrap_err(), E::PREAUTH_FAILED);
    assert_eq!(failures(&joined, "alice"), 1);
}
