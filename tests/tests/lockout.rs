//! Failed proofs lock an account as its policy says, however they come (attack A12), and tell nobody
//! who can't know which clients there are (attack A10); a policy bounds the tickets of those who are
//! under it. Joined in memory; `lockout_served` has the KDC as it runs.

use kdc::core::{Attempts, PasswordPolicy};
use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, KeyUsage, OsRandom};
use libkrb::time::Instant;
use libkrb::wire::{self, EncryptedData};
use libkrb::{ErrorCode, Time};
use tests::joined::{Asking, Joined, NOW};

const STRICT: &str = "strict";

/// A realm whose alice is locked after three failures, for five minutes.
fn strict() -> Joined {
    let realm = Joined::new();
    let rules = PasswordPolicy { max_failures: 3, lockout_duration: 300, ..PasswordPolicy::new(STRICT) };
    realm.add_policy(rules);
    realm.change("alice", |entry| entry.policy = Some(STRICT.into()));
    realm
}

/// Proofs of several kinds in one request, none of which holds.
fn bad_proofs(realm: &mut Joined) -> Vec<Vec<(PaType, Vec<u8>)>> {
    let made_up = Key::new(EncryptionType::AES256_SHA1, &[0; 32]).expect("a key");
    let now = realm.now;
    let failing = (PaType::ENC_TIMESTAMP, realm.timestamp(&wrong(), now));
    let failing = |count: usize| vec![failing.clone(); count];
    let malformed = || vec![(PaType::ENC_TIMESTAMP, b"no encrypted data".to_vec())];
    let junk = made_up.encrypt(KeyUsage::AS_REQ_ENC_TIMESTAMP, &mut OsRandom::new(), b"no timestamp");
    let junk = EncryptedData { etype: made_up.etype(), kvno: None, cipher: &junk };
    vec![
        failing(1),
        failing(5),
        failing(20),
        malformed(),
        [failing(4), malformed()].concat(),
        [malformed(), failing(4)].concat(),
        vec![(PaType::ENC_TIMESTAMP, realm.timestamp(&made_up, now))],
        vec![(PaType::ENC_TIMESTAMP, wire::encode(&junk))],
    ]
}

#[test]
fn a10_however_many_guesses_are_left_a_hidden_client_answers_like_an_unknown_one() {
    for kind in 0..bad_proofs(&mut strict()).len() {
        let mut realm = strict();
        realm.policy.hide_unknown_clients = true;
        // From three guesses left to none.
        for round in 0..4 {
            let padata = bad_proofs(&mut realm).swap_remove(kind);
            let [known, unknown] = ["alice", "nobody"].map(|user| {
                let request = realm.as_req(&Asking { padata: padata.clone(), ..Asking::login(user) }, None);
                realm.send(&request).event.refusal
            });
            assert_eq!(known, unknown, "kind {kind}, round {round}");
            assert_eq!(known.map(|(code, _)| code), Some(ErrorCode::PREAUTH_FAILED));
        }
    }
}

#[test]
fn a10_the_right_key_after_the_last_guess_tells_nothing() {
    let mut realm = strict();
    realm.policy.hide_unknown_clients = true;
    let right = realm.key("alice", EncryptionType::AES256_SHA1);
    let now = realm.now;
    let mut padata = vec![(PaType::ENC_TIMESTAMP, realm.timestamp(&wrong(), now)); 3];
    let stale = realm.timestamp(&right, Instant { time: now.time - 10_000, ..now });
    for last in [realm.timestamp(&right, now), stale] {
        padata.push((PaType::ENC_TIMESTAMP, last));
        let asking = Asking { padata: padata.clone(), ..Asking::login("alice") };
        let request = realm.as_req(&asking, None);
        assert_eq!(outcome(&mut realm, &request), Some(ErrorCode::PREAUTH_FAILED));
        assert_eq!(realm.attempts.record(&realm.entry("alice").id).failures, 3);
    }
}

fn wrong() -> Key {
    Key::random(EncryptionType::AES256_SHA1, &mut OsRandom::new()).expect("a key")
}

fn outcome(realm: &mut Joined, request: &[u8]) -> Option<ErrorCode> {
    realm.send(request).event.refusal.map(|(code, _)| code)
}

fn guess(realm: &mut Joined) -> Option<ErrorCode> {
    let request = realm.as_req(&Asking::login("alice"), Some(&wrong()));
    outcome(realm, &request)
}

fn log_in(realm: &mut Joined) -> Option<ErrorCode> {
    realm.login(&Asking::login("alice")).err()
}

#[test]
fn after_too_many_failures_the_right_password_is_refused_too_until_the_time_is_over() {
    let mut realm = strict();
    for _ in 0..3 {
        assert_eq!(guess(&mut realm), Some(ErrorCode::PREAUTH_FAILED));
    }
    assert_eq!(log_in(&mut realm), Some(ErrorCode::CLIENT_REVOKED));
    realm.wait(299);
    assert_eq!(log_in(&mut realm), Some(ErrorCode::CLIENT_REVOKED));
    realm.wait(1);
    assert_eq!(log_in(&mut realm), None);
}

#[test]
fn a_locked_client_is_told_before_it_types_a_password() {
    let mut realm = strict();
    (0..3).for_each(|_| assert_eq!(guess(&mut realm), Some(ErrorCode::PREAUTH_FAILED)));
    let request = realm.as_req(&Asking::login("alice"), None);
    assert_eq!(outcome(&mut realm, &request), Some(ErrorCode::CLIENT_REVOKED));
}

#[test]
fn where_unknown_clients_are_hidden_a_lock_looks_like_a_wrong_password() {
    let mut realm = strict();
    realm.policy.hide_unknown_clients = true;
    let mut answers = vec![];
    for _ in 0..4 {
        let request = realm.as_req(&Asking::login("alice"), Some(&wrong()));
        let event = realm.send(&request).event;
        answers.push(event.refusal);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(log_in(&mut realm), Some(ErrorCode::PREAUTH_FAILED));
}

#[test]
fn a_success_clears_the_failures_and_both_are_remembered() {
    let mut realm = strict();
    (0..2).for_each(|_| assert_eq!(guess(&mut realm), Some(ErrorCode::PREAUTH_FAILED)));
    assert_eq!(log_in(&mut realm), None);
    (0..2).for_each(|_| assert_eq!(guess(&mut realm), Some(ErrorCode::PREAUTH_FAILED)));
    assert_eq!(log_in(&mut realm), None);
    let record = realm.attempts.record(&realm.entry("alice").id);
    assert_eq!((record.failures, record.last_success), (0, Some(NOW)));
    assert_eq!(record.last_failure, Some(NOW));
}

#[test]
fn many_guesses_in_one_request_are_no_more_than_the_rule_allows() {
    let mut realm = strict();
    let right = realm.key("alice", EncryptionType::AES256_SHA1);
    let mut padata: Vec<_> = (0..5).map(|_| (PaType::ENC_TIMESTAMP, realm.timestamp(&wrong(), realm.now))).collect();
    padata.push((PaType::ENC_TIMESTAMP, realm.timestamp(&right, realm.now)));
    let asking = Asking { padata, ..Asking::login("alice") };
    let request = realm.as_req(&asking, None);
    assert_eq!(outcome(&mut realm, &request), Some(ErrorCode::PREAUTH_FAILED));
    assert_eq!(log_in(&mut realm), Some(ErrorCode::CLIENT_REVOKED));
}

#[test]
fn a_clock_that_is_off_is_no_guess() {
    let mut realm = strict();
    let right = realm.key("alice", EncryptionType::AES256_SHA1);
    for _ in 0..5 {
        realm.wait(-1000);
        let stale = realm.as_req(&Asking::login("alice"), Some(&right));
        realm.wait(1000);
        assert_eq!(outcome(&mut realm, &stale), Some(ErrorCode::SKEW));
    }
    assert_eq!(log_in(&mut realm), None);
}

#[test]
fn without_a_policy_of_that_name_nothing_is_locked() {
    let mut realm = Joined::new();
    realm.change("alice", |entry| entry.policy = Some("gone".into()));
    (0..100).for_each(|_| assert_eq!(guess(&mut realm), Some(ErrorCode::PREAUTH_FAILED)));
    assert_eq!(log_in(&mut realm), None);
}

#[test]
fn a_policy_bounds_the_life_of_tickets() {
    let mut realm = Joined::new();
    realm.add_policy(PasswordPolicy { max_ticket_life: 600, ..PasswordPolicy::new(STRICT) });
    realm.change("alice", |entry| entry.policy = Some(STRICT.into()));
    let end = |realm: &mut Joined| -> Time { realm.login(&Asking::login("alice")).expect("a TGT").end_time };
    assert_eq!(end(&mut realm), NOW + 600);
}
