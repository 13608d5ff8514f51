//! Failed proofs lock an account as its policy says, however they come (attacks A12 and C4), and a
//! policy bounds the tickets of those who are under it. Joined in memory.

use kdc::core::{Attempts, PasswordPolicy};
use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, OsRandom};
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
