use libkrb::codes::EncryptionType;
use libkrb::crypto::OsRandom;
use libkrb::replay::MemoryReplayCache;
use libkrb::time::Instant;

use super::super::{Change, Entry, KeySet, KnownTgts, Policy, Store};
use super::*;
use crate::attempts::Counted;
use crate::store::Memory;

const NOW: Time = Time(1_800_000_000);

/// Calls `test` with a realm.
fn with_realm(test: impl FnOnce(&Kdc<'_>)) {
    let (policy, store) = (Policy::new("EXAMPLE.ORG"), Memory::new());
    let mut tgs = Entry::new(Principal::tgs("EXAMPLE.ORG"), [0; 16], NOW, "test");
    let key = Key::random(EncryptionType::AES256_SHA1, &mut OsRandom::new()).unwrap();
    tgs.keys = vec![KeySet::new(3, vec![LongTermKey::new(key, None)])];
    store.commit(&[Change::Create(tgs)]).unwrap();
    let (replays, attempts) = (MemoryReplayCache::new(300, 100), Counted::default());
    let tickets = KnownTgts::new(0, 300);
    test(&Kdc { policy: &policy, store: &store, replays: &replays, attempts: &attempts, tickets: &tickets });
}

fn client(name: &str) -> Principal {
    Principal::parse(name, Some("EXAMPLE.ORG")).unwrap()
}

fn state() -> Vec<(PaType, Vec<u8>)> {
    vec![(PaType::SPAKE, b"state".to_vec()), (PaType::AS_FRESHNESS, vec![])]
}

fn sealed(kdc: &Kdc<'_>) -> Vec<u8> {
    let at = Arrival { now: Instant::from(NOW), from: None };
    seal(kdc, at, &mut OsRandom::new(), &client("alice"), &state()).unwrap()
}

fn code(outcome: Result<Vec<(PaType, Vec<u8>)>, Refusal>) -> ErrorCode {
    outcome.unwrap_err().code
}

#[test]
fn what_was_sealed_for_a_client_comes_back_from_that_client() {
    with_realm(|kdc| {
        let cookie = sealed(kdc);
        assert_eq!(open(kdc, NOW + 60, &client("alice"), &cookie).unwrap(), state());
        assert!(!cookie.windows(5).any(|part| part == b"state"), "in the clear");
    });
}

#[test]
fn a9_a_cookie_of_another_client_fails() {
    with_realm(|kdc| {
        assert_eq!(code(open(kdc, NOW, &client("bob"), &sealed(kdc))), ErrorCode::PREAUTH_FAILED);
    });
}

#[test]
fn a9_a_cookie_that_is_old_or_from_the_future_has_expired() {
    with_realm(|kdc| {
        let cookie = sealed(kdc);
        assert!(open(kdc, NOW + LIFE, &client("alice"), &cookie).is_ok());
        assert_eq!(code(open(kdc, NOW + LIFE + 1, &client("alice"), &cookie)), ErrorCode::PREAUTH_EXPIRED);
        assert!(open(kdc, NOW - 300, &client("alice"), &cookie).is_ok(), "another KDC's clock");
        assert_eq!(code(open(kdc, NOW - 301, &client("alice"), &cookie)), ErrorCode::PREAUTH_EXPIRED);
    });
}

#[test]
fn a9_a_cookie_that_was_changed_cut_or_made_up_fails() {
    with_realm(|kdc| {
        let cookie = sealed(kdc);
        for at in 0..cookie.len() {
            let mut changed = cookie.clone();
            changed[at] ^= 1;
            for false_one in [&changed[..], &cookie[..at]] {
                match open(kdc, NOW, &client("alice"), false_one) {
                    Ok(state) => assert!(at <= MAGIC.len() && state.is_empty(), "{at}"),
                    Err(refusal) => assert_eq!(refusal.code, ErrorCode::PREAUTH_FAILED, "{at}"),
                }
            }
        }
        assert_eq!(code(open(kdc, NOW, &client("alice"), &[0; LONGEST + 1])), ErrorCode::PREAUTH_FAILED);
    });
}

#[test]
fn nothing_to_remember_costs_nothing_and_comes_back_as_nothing() {
    with_realm(|kdc| {
        let at = Arrival { now: Instant::from(NOW), from: None };
        let cookie = seal(kdc, at, &mut OsRandom::new(), &client("alice"), &[]).unwrap();
        assert_eq!(cookie, NOTHING);
        assert_eq!(open(kdc, NOW, &client("bob"), &cookie).unwrap(), []);
    });
}
