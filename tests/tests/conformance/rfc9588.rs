//! The KDC against RFC 9588, section by section, joined in memory. Whole logins and those who attack them
//! are in `spake.rs`; the vectors in `libkrb`.

use kdc::core::LongTermKey;
use libkrb::ErrorCode as E;
use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, SUPPORTED};
use libkrb::preauth::spake::{GROUPS, Group};
use libkrb::wire::{self, EtypeInfo2Entry, List, PaSpake, SpakeChallenge, SpakeResponse};
use tests::joined::{Asking, Joined, PASSWORD};
use tests::spake::{Talk, told};

const AES256: EncryptionType = EncryptionType::AES256_SHA1;
const AES128: EncryptionType = EncryptionType::AES128_SHA1;

/// What each of two messages calls its public key.
fn public(message: &[u8]) -> Vec<u8> {
    match wire::decode::<PaSpake<'_>>(message).expect("PA-SPAKE") {
        PaSpake::Challenge(SpakeChallenge { public, .. }) | PaSpake::Response(SpakeResponse { public, .. }) => {
            public.to_vec()
        }
        other => panic!("{other:?}"),
    }
}

/// The enctypes that a KDC tells of its keys.
fn told_etypes(joined: &mut Joined, etypes: &[EncryptionType], padata: &[(PaType, Vec<u8>)]) -> Vec<EncryptionType> {
    let asking = Asking { etypes: etypes.to_vec(), padata: padata.to_vec(), ..Asking::login("alice") };
    let request = joined.as_req(&asking, None);
    let told = told(joined, &request);
    assert!(told.value(PaType::SPAKE).is_some(), "SPAKE is offered");
    let info = told.value(PaType::ETYPE_INFO2).expect("ETYPE-INFO2");
    let info = wire::decode::<List<'_, EtypeInfo2Entry<'_>>>(&info).expect("ETYPE-INFO2");
    info.iter().map(|entry| entry.etype).collect()
}

#[test]
fn s3_1_and_s4_6_whoever_is_offered_spake_is_told_of_one_key_whatever_it_knows() {
    let mut joined = Joined::new();
    let support = libkrb::preauth::spake::client::support(&[&GROUPS[0]]);
    for etypes in [&[AES256, AES128][..], &[AES128, AES256], &[AES128], SUPPORTED] {
        for padata in [vec![], vec![(PaType::SPAKE, support.clone())]] {
            let told = told_etypes(&mut joined, etypes, &padata);
            assert_eq!(told.len(), 1, "{etypes:?}");
            assert!(etypes.contains(&told[0]));
        }
    }
}

#[test]
fn s4_2_and_s8_a_challenge_names_its_one_factor_once_and_without_data() {
    let mut joined = Joined::new();
    joined.policy.spake.groups = GROUPS.iter().collect();
    for group in &GROUPS {
        let talk = Talk::begin(&mut joined, &Asking::login("alice"), &[group]);
        let Ok(PaSpake::Challenge(challenge)) = wire::decode(&talk.challenge) else { panic!("no challenge") };
        assert_eq!(challenge.group, group.number, "one of the client's");
        let factors: Vec<_> = challenge.factors.iter().map(|factor| (factor.kind, factor.data)).collect();
        assert_eq!(factors, [(1, None)]);
    }
}

#[test]
fn s4_2_the_kdc_takes_one_of_the_clients_groups_or_none() {
    let mut joined = Joined::new();
    joined.policy.spake.groups = vec![&GROUPS[1], &GROUPS[0]];
    let chosen = |joined: &mut Joined, groups: &[&'static Group]| {
        let talk = Talk::begin(joined, &Asking::login("alice"), groups);
        let Ok(PaSpake::Challenge(challenge)) = wire::decode(&talk.challenge) else { panic!("no challenge") };
        challenge.group
    };
    assert_eq!(chosen(&mut joined, &[&GROUPS[0]]), GROUPS[0].number);
    assert_eq!(chosen(&mut joined, &[&GROUPS[3], &GROUPS[1]]), GROUPS[1].number);
    let none = libkrb::preauth::spake::client::support(&[&GROUPS[2], &GROUPS[3]]);
    let request = joined.as_req(&Asking { padata: vec![(PaType::SPAKE, none)], ..Asking::login("alice") }, None);
    let told = told(&mut joined, &request);
    assert_eq!(told.code, E::PREAUTH_FAILED);
    assert!(told.value(PaType::ENC_TIMESTAMP).is_some(), "s4.6: with the other methods");
}

#[test]
fn s4_5_every_enctype_of_the_realm_can_be_the_base_of_the_keys() {
    for etype in SUPPORTED {
        let mut joined = Joined::new();
        let key = Key::from_password(*etype, PASSWORD, b"salt", None).expect("a key");
        joined.change("alice", |entry| entry.keys[0].keys = vec![LongTermKey::new(key.clone(), Some("salt".into()))]);
        let asking = Asking { etypes: vec![*etype], ..Asking::login("alice") };
        let talk = Talk::begin(&mut joined, &asking, &[&GROUPS[0]]);
        assert!(talk.end(&mut joined, &key).is_ok(), "{etype}");
    }
}

#[test]
fn s5_and_s10_1_no_secret_is_used_for_two_exchanges_by_either_side() {
    let mut joined = Joined::new();
    joined.policy.spake.groups = GROUPS.iter().collect();
    let key = joined.key("alice", AES256);
    for group in &GROUPS {
        let talks = [(); 2].map(|()| Talk::begin(&mut joined, &Asking::login("alice"), &[group]));
        assert_ne!(public(&talks[0].challenge), public(&talks[1].challenge));
        let responses = [(); 2].map(|()| talks[0].respond(&mut joined, &key).0);
        assert_ne!(public(&responses[0]), public(&responses[1]), "not even to the same challenge");
    }
}

#[test]
fn s7_the_keys_are_of_the_whole_body_that_goes_with_the_response() {
    let mut joined = Joined::new();
    let key = joined.key("alice", AES256);
    let talk = Talk::begin(&mut joined, &Asking::login("alice"), &[&GROUPS[0]]);
    let (response, _) = talk.respond(&mut joined, &key);
    let other = Talk { asking: Asking { nonce: 4712, ..talk.asking.clone() }, ..talk.clone() };
    let request = other.request(&mut joined, &response);
    assert_eq!(told(&mut joined, &request).code, E::PREAUTH_FAILED);
    assert!(talk.end(&mut joined, &key).is_ok(), "the same state and the body that it was made for");
}

#[test]
fn s10_4_a_cookie_that_is_not_of_a_challenge_holds_no_state() {
    let mut joined = Joined::new();
    let key = joined.key("alice", AES256);
    let first = joined.as_req(&Asking::login("alice"), None);
    let first = told(&mut joined, &first);
    let talk = Talk::begin(&mut joined, &Asking::login("alice"), &[&GROUPS[0]]);
    let (response, _) = talk.respond(&mut joined, &key);
    let other = Talk { cookie: first.value(PaType::FX_COOKIE).expect("a cookie"), ..talk.clone() };
    let request = other.request(&mut joined, &response);
    let outcome = joined.send(&request);
    assert!(outcome.event.issued.is_none(), "{:?}", outcome.event);
}
