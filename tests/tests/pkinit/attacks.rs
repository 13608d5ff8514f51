//! What broke other KDCs and clients at PKINIT, each case under its own name.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use kdc::core::attempts::{AccountId, Lockout, Proven, Record, Tried};
use kdc::core::{Arrival, Attempts, Kdc, PasswordPolicy, StoreError};
use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, Random};
use libkrb::flags::TicketFlags;
use libkrb::preauth::pkinit::{Group, PkinitMeans};
use libkrb::wire::{self, KdcRep, List, PaData};
use libkrb::{Error, ErrorCode as E, Principal, Time};
use tests::joined::{Asking, Joined, REALM, Sequence, as_error, name};

use crate::place::{exchange, login, means, padata, pkinit, realm, realm_with, run};

/// What is done to a token.
type Bend = dyn Fn(&mut Vec<u8>);

fn sent(realm: &mut Joined, request: &[u8]) -> E {
    as_error(&realm.send(request).reply.expect("a reply")).expect("KRB-ERROR")
}

/// A request of alice's that the KDC has not seen, with its body.
fn request(realm: &mut Joined, who: &str) -> Vec<u8> {
    let mut twin = realm_with(pkinit());
    twin.now = realm.now;
    let course = run(&mut twin, exchange(&name("alice"), means(Some(who))), &mut |_| {});
    realm.now = twin.now;
    course.requests.into_iter().next_back().expect("a request")
}

#[test]
fn a7_pkinit_that_is_empty_or_not_configured_is_no_proof() {
    let empty = |value: Vec<u8>| Asking { padata: vec![(PaType::PK_AS_REQ, value)], ..Asking::login("alice") };
    let mut realm = realm();
    let bytes = realm.as_req(&empty(vec![]), None);
    assert_eq!(sent(&mut realm, &bytes), E::PREAUTH_REQUIRED);
    let real = padata(&request(&mut realm, "alice"), PaType::PK_AS_REQ).expect("a proof");
    let mut unconfigured = Joined::new();
    for value in [vec![], vec![0x30, 0], real] {
        let bytes = unconfigured.as_req(&empty(value), None);
        assert_eq!(sent(&mut unconfigured, &bytes), E::PREAUTH_REQUIRED);
    }
    for value in [vec![0x30, 0], vec![0xff; 40], vec![0x30, 0x80], vec![0x6a, 0xff]] {
        let bytes = realm.as_req(&empty(value), None);
        assert!(matches!(sent(&mut realm, &bytes), E::PREAUTH_FAILED | E::INVALID_SIG));
    }
    login(&mut realm, "alice", "alice").expect("the KDC lives");
}

#[test]
fn a8_a_certificate_of_another_principal_or_with_a_name_beyond_measure() {
    let mut realm = realm();
    assert_eq!(login(&mut realm, "bob", "alice").expect_err("another"), E::CLIENT_NAME_MISMATCH);
    assert_eq!(login(&mut realm, "alice", "bob").expect_err("another"), E::CLIENT_NAME_MISMATCH);
    // A proof for one client in the request of another.
    let value = padata(&request(&mut realm, "alice"), PaType::PK_AS_REQ).expect("a proof");
    let bytes = realm.as_req(&Asking { padata: vec![(PaType::PK_AS_REQ, value)], ..Asking::login("bob") }, None);
    assert_eq!(sent(&mut realm, &bytes), E::MODIFIED);
    assert_eq!(login(&mut realm, "alice", "alice-long-issuer").expect_err("unknown"), E::CANT_VERIFY_CERTIFICATE);
    assert_eq!(login(&mut realm, "alice", "alice-tls").expect_err("purpose"), E::INCONSISTENT_KEY_PURPOSE);
    login(&mut realm, "alice", "alice").expect("the KDC lives");
}

#[test]
fn a9_freshness_tokens_that_are_missing_huge_stale_or_forged() {
    let strict = || realm_with(kdc::core::Pkinit { require_freshness: true, ..pkinit() });
    let mut realm = strict();
    login(&mut realm, "alice", "alice").expect("the token of a moment ago");
    let without = PkinitMeans { without_freshness: true, ..means(Some("alice")) };
    let course = run(&mut realm, exchange(&name("alice"), without), &mut |_| {});
    assert_eq!(course.refusals[..2], [E::PREAUTH_REQUIRED, E::PREAUTH_FAILED]);
    assert!(course.outcome.is_err());

    let bent = |realm: &mut Joined, bend: &dyn Fn(&mut Vec<u8>)| {
        run(realm, exchange(&name("alice"), means(Some("alice"))), &mut |reply| bend_token(reply, bend))
    };
    let forgeries: [&Bend; 5] = [
        &|token| token[0] ^= 0x80,
        &|token| *token.last_mut().expect("octets") ^= 1,
        &|token| token[7] ^= 1,
        &|token| token.clear(),
        &|token| token.resize(100_000, 7),
    ];
    for forgery in forgeries {
        let course = bent(&mut realm, forgery);
        let expired = course.refusals.iter().filter(|code| **code == E::PREAUTH_EXPIRED).count();
        assert_eq!((expired, course.outcome.is_err()), (2, true), "one more try: {:?}", course.refusals);
    }
    // A token of an hour ago, which was good then.
    let old = std::cell::RefCell::new(vec![]);
    bent(&mut realm, &|token| old.borrow_mut().clone_from(token));
    realm.wait(3600);
    let course = bent(&mut realm, &|token| token.clone_from(&old.borrow()));
    assert!(course.refusals.contains(&E::PREAUTH_EXPIRED), "{:?}", course.refusals);
    login(&mut realm, "alice", "alice").expect("the KDC lives");
}

/// Changes the freshness token of a KRB-ERROR.
fn bend_token(reply: &mut Vec<u8>, bend: &dyn Fn(&mut Vec<u8>)) {
    let Ok(error) = wire::decode::<wire::KrbError<'_>>(reply) else { return };
    let Some(Ok(methods)) = error.data.map(wire::decode::<List<'_, PaData<'_>>>) else { return };
    let mut elements: Vec<_> = methods.iter().map(|element| (element.kind, element.value.to_vec())).collect();
    elements.iter_mut().filter(|(kind, _)| *kind == PaType::AS_FRESHNESS).for_each(|(_, token)| bend(token));
    let elements: Vec<_> = elements.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect();
    let data = wire::encode(&List::Items(&elements));
    let bent = wire::encode(&wire::KrbError { data: Some(&data), ..error });
    *reply = bent;
}

#[test]
fn a_request_that_comes_again_or_late_is_refused() {
    let mut realm = realm();
    let bytes = request(&mut realm, "alice");
    let outcome = realm.send(&bytes);
    assert!(outcome.event.issued.is_some(), "{:?}", outcome.event.refusal);
    assert_eq!(sent(&mut realm, &bytes), E::REPEAT);
    realm.wait(3600);
    assert_eq!(sent(&mut realm, &bytes), E::SKEW);
}

/// The same proof in other bytes: what nobody signs is left out.
fn without_certifiers(realm: &mut Joined, request: &[u8]) -> Vec<u8> {
    let value = padata(request, PaType::PK_AS_REQ).expect("a proof");
    let proof: wire::PaPkAsReq<'_> = wire::decode(&value).expect("PA-PK-AS-REQ");
    assert!(proof.trusted_certifiers.is_some());
    let bent = wire::encode(&wire::PaPkAsReq { trusted_certifiers: None, ..proof });
    let message: wire::KdcReq<'_> = wire::decode(request).expect("AS-REQ");
    let padata = message.padata.iter().map(|it| (it.kind, it.value.to_vec()));
    let padata: Vec<_> =
        padata.map(|(kind, value)| (kind, if kind == PaType::PK_AS_REQ { bent.clone() } else { value })).collect();
    realm.tick();
    tests::joined::request(message.kind, &padata, message.body.der)
}

#[test]
fn a_request_that_comes_again_in_other_bytes_is_refused_and_clears_no_failures() {
    let mut realm = realm();
    let bytes = request(&mut realm, "alice");
    assert!(realm.send(&bytes).event.issued.is_some());
    let wrong = Key::new(EncryptionType::AES256_SHA1, &[7; 32]).expect("a key");
    let guess = realm.as_req(&Asking::login("alice"), Some(&wrong));
    assert_eq!(sent(&mut realm, &guess), E::PREAUTH_FAILED);
    let again = without_certifiers(&mut realm, &bytes);
    assert_eq!(sent(&mut realm, &again), E::REPEAT);
    assert_eq!(realm.attempts_of("alice").failures, 1, "who guesses can't begin anew");
}

#[test]
fn who_proves_nothing_takes_no_room_among_what_was_seen() {
    let mut realm = realm();
    let unsigned = run(&mut realm, exchange(&Principal::anonymous().in_realm(REALM), means(None)), &mut |_| {});
    assert!(unsigned.outcome.is_ok());
    let before = realm.replays.len();
    let _ = run(&mut realm, exchange(&Principal::anonymous().in_realm(REALM), means(None)), &mut |_| {});
    assert_eq!(login(&mut realm, "bob", "alice").expect_err("another's"), E::CLIENT_NAME_MISMATCH);
    assert_eq!(login(&mut realm, "alice", "alice-long-issuer").expect_err("unknown"), E::CANT_VERIFY_CERTIFICATE);
    assert_eq!(realm.replays.len(), before);
}

/// Counts as another does, and knows whether an account is held for a guess.
struct Holding<'a>(&'a dyn Attempts, &'a AtomicBool);

impl Attempts for Holding<'_> {
    fn attempt(&self, who: &AccountId, rule: Option<&Lockout>, now: Time, it: &mut dyn FnMut(u32) -> Proven) -> Tried {
        self.0.attempt(who, rule, now, &mut |left| {
            self.1.store(rule.is_some(), Relaxed);
            let proven = it(left);
            self.1.store(false, Relaxed);
            proven
        })
    }

    fn record(&self, who: &AccountId) -> Record {
        self.0.record(who)
    }

    fn unlock(&self, who: &AccountId) -> Result<(), StoreError> {
        self.0.unlock(who)
    }

    fn forget(&self, who: &AccountId) {
        self.0.forget(who);
    }
}

/// What is drawn from, while an account is held and while none is.
struct Drawn<'a>(Sequence, &'a AtomicBool, [usize; 2]);

impl Random for Drawn<'_> {
    fn fill(&mut self, out: &mut [u8]) {
        self.2[usize::from(self.1.load(Relaxed))] += out.len();
        self.0.fill(out);
    }
}

#[test]
fn the_work_for_a_certificate_is_done_while_nothing_is_held() {
    let mut realm = realm();
    realm.add_policy(PasswordPolicy { max_failures: 3, ..PasswordPolicy::new("strict") });
    realm.change("alice", |entry| entry.policy = Some("strict".into()));
    // Its exponents are drawn from what the KDC takes for random.
    let means = PkinitMeans { least_group: Group::Modp4096, ..means(Some("alice")) };
    let mut twin = realm_with(pkinit());
    let course = run(&mut twin, exchange(&name("alice"), means), &mut |_| {});
    let bytes = course.requests.into_iter().next_back().expect("a request");
    let held = AtomicBool::new(false);
    let mut random = Drawn(Sequence(1), &held, [0; 2]);
    let attempts = Holding(&realm.attempts, &held);
    let Joined { policy, store, replays, tickets, .. } = &realm;
    let kdc = Kdc { policy, store, replays, attempts: &attempts, tickets };
    let outcome = kdc::core::handle(&kdc, Arrival { now: twin.now, from: None }, &mut random, &bytes);
    assert!(outcome.event.issued.is_some(), "{:?}", outcome.event.refusal);
    assert_eq!((random.2[0] > 64, random.2[1]), (true, 0));
    // Who is locked is so for certificates too.
    let locked = attempts.attempt(&realm.entry("alice").id, None, twin.now.time, &mut |_| Proven::No(3));
    assert_eq!(locked, Tried::Made);
    assert_eq!(login(&mut realm, "alice", "alice").expect_err("locked"), E::CLIENT_REVOKED);
}

#[test]
fn who_has_nothing_that_could_be_guessed_is_not_locked_out_by_guesses() {
    let mut realm = realm();
    realm.add_policy(PasswordPolicy { max_failures: 3, ..PasswordPolicy::new("strict") });
    realm.change("alice", |entry| entry.policy = Some("strict".into()));
    let wrong = Key::random(EncryptionType::AES256_SHA1, &mut Sequence(9)).expect("a key");
    for _ in 0..3 {
        let bytes = realm.as_req(&Asking::login("alice"), Some(&wrong));
        assert_eq!(sent(&mut realm, &bytes), E::PREAUTH_FAILED);
    }
    assert_eq!(login(&mut realm, "alice", "alice").expect_err("locked"), E::CLIENT_REVOKED);
    realm.change("alice", |entry| entry.keys.clear());
    login(&mut realm, "alice", "alice").expect("a certificate is all that she has");
}

#[test]
fn an_unsigned_request_is_good_for_nobody_but_nobody() {
    let mut realm = realm();
    let client = Principal::anonymous().in_realm(REALM);
    let course = run(&mut realm, exchange(&client, means(None)), &mut |_| {});
    assert!(course.outcome.is_ok());
    let value = padata(course.requests.last().expect("a request"), PaType::PK_AS_REQ).expect("a proof");
    let bytes = realm.as_req(&Asking { padata: vec![(PaType::PK_AS_REQ, value)], ..Asking::login("alice") }, None);
    assert!(matches!(sent(&mut realm, &bytes), E::MODIFIED | E::INVALID_SIG));
}

/// Changes the padata of an AS-REP.
fn bend_reply(reply: &mut Vec<u8>, keep: impl Fn(PaType) -> bool) {
    let Ok(rep) = wire::decode::<KdcRep<'_>>(reply) else { return };
    let elements: Vec<_> = rep.padata.iter().filter(|element| keep(element.kind)).collect();
    let bent = wire::encode(&KdcRep { padata: List::Items(&elements), ..rep });
    *reply = bent;
}

#[test]
fn d2_an_anonymous_reply_without_the_kdcs_part_of_the_session_key() {
    let mut realm = realm();
    let client = Principal::anonymous().in_realm(REALM);
    let course = run(&mut realm, exchange(&client, means(None)), &mut |reply| {
        bend_reply(reply, |kind| kind != PaType::PKINIT_KX)
    });
    assert!(matches!(course.outcome, Err(Error::ReplyMismatch(_))), "{:?}", course.outcome);
    // Nor one without any certificate, as whoever stands in the middle would have to send it.
    let course = run(&mut realm, exchange(&client, means(None)), &mut |reply| {
        bend_reply(reply, |kind| kind != PaType::PK_AS_REP)
    });
    assert!(course.outcome.is_err());
    let course = run(&mut realm, exchange(&client, means(None)), &mut |_| {});
    assert!(course.outcome.expect("a ticket").credential.flags.has(TicketFlags::ANONYMOUS));
}

#[test]
fn d2_another_part_of_the_session_key_than_the_one_that_was_used() {
    let mut realm = realm();
    let client = Principal::anonymous().in_realm(REALM);
    let course = run(&mut realm, exchange(&client, means(None)), &mut |reply| {
        let Ok(rep) = wire::decode::<KdcRep<'_>>(reply) else { return };
        let mut elements: Vec<_> = rep.padata.iter().map(|element| (element.kind, element.value.to_vec())).collect();
        for (_, value) in elements.iter_mut().filter(|(kind, _)| *kind == PaType::PKINIT_KX) {
            *value.last_mut().expect("octets") ^= 1;
        }
        let elements: Vec<_> = elements.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect();
        let bent = wire::encode(&KdcRep { padata: List::Items(&elements), ..rep });
        *reply = bent;
    });
    assert!(matches!(course.outcome, Err(Error::ReplyMismatch(_))), "{:?}", course.outcome);
}
