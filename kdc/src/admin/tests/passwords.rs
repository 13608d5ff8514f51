//! Passwords on their way to keys: one way, whoever brings them.

use super::*;
use crate::admin::passwords::Dictionary;
use crate::core::{Change, PasswordPolicy};

const DAY: i64 = 86_400;

/// A registry whose alice is under a policy with every rule, her password "first word".
fn strict() -> (Arc<Memory>, Arc<Registry>) {
    let (store, registry) = registry();
    let rules = PasswordPolicy {
        min_length: 6,
        min_classes: 2,
        history: 2,
        min_life: DAY,
        max_life: 90 * DAY,
        allowed_key_salts: "aes128-cts:normal aes256-cts".into(),
        ..PasswordPolicy::new("strict")
    };
    store.commit(&[Change::PutPolicy(rules)]).expect("stored");
    registry.perform(&root(), create("alice", password("first word"))).expect("made");
    let mut alice = (*find(&store, "alice").expect("there")).clone();
    alice.policy = Some("strict".into());
    store.commit(&[Change::Replace(alice)]).expect("replaced");
    (store, registry)
}

fn change(registry: &Registry, caller: &Caller, keys: NewKeys) -> Result<Answer, Refusal> {
    registry.perform(caller, Operation::ChangeKeys { principal: name("alice"), keys, keep_old: false })
}

fn alice() -> Caller {
    Caller::principal(name("alice").0, Door::Process, true)
}

#[test]
fn a_password_that_breaks_a_rule_changes_nothing_and_names_the_rule() {
    let (store, registry) = strict();
    let before = find(&store, "alice").expect("there").revision;
    for (wish, text) in [
        ("short", "Password is too short"),
        ("lowercase", "Password does not contain enough character classes"),
        ("first word", "Cannot reuse password"),
    ] {
        let refusal = change(&registry, &root(), password(wish)).expect_err(wish);
        assert_eq!((refusal.reason, &*refusal.text), (Reason::Password, text));
        assert!(refusal.advice.expect("advice").contains("policy strict asks for"), "{wish}");
    }
    assert_eq!(find(&store, "alice").expect("there").revision, before);
}

#[test]
fn the_last_passwords_stay_sealed_in_the_entry_and_are_refused() {
    let (store, registry) = strict();
    change(&registry, &root(), password("second word")).expect("changed");
    assert_eq!(find(&store, "alice").expect("there").history.len(), 1);
    for former in ["first word", "second word"] {
        assert_eq!(change(&registry, &root(), password(former)).expect_err(former).text, "Cannot reuse password");
    }
    change(&registry, &root(), password("third word")).expect("changed");
    assert_eq!(find(&store, "alice").expect("there").history.len(), 1);
    change(&registry, &root(), password("first word")).expect("forgotten by now");
}

#[test]
fn the_owner_waits_for_the_minimum_life_and_an_administrator_does_not() {
    let (_, registry) = strict();
    let refusal = change(&registry, &alice(), password("second word")).expect_err("too soon");
    assert_eq!((refusal.reason, &*refusal.text), (Reason::Password, "Current password's minimum life has not expired"));
    change(&registry, &root(), password("second word")).expect("changed");
}

#[test]
fn new_keys_expire_when_the_policy_says() {
    let (store, registry) = strict();
    for keys in [password("second word"), random()] {
        change(&registry, &root(), keys).expect("changed");
        let alice = find(&store, "alice").expect("there");
        assert_eq!(alice.password_expires, alice.password_changed.map(|changed| changed + 90 * DAY));
    }
}

#[test]
fn keys_are_of_the_kinds_that_the_policy_allows_in_its_order() {
    let (store, registry) = strict();
    change(&registry, &root(), random()).expect("changed");
    let kinds = |store: &Memory| {
        let alice = find(store, "alice").expect("there");
        alice.keys[0].keys.iter().map(|key| key.etype()).collect::<Vec<_>>()
    };
    let (longer, shorter) = (EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1);
    assert_eq!(kinds(&store), [shorter, longer]);
    let kind = |etype, salt| KeyKind { etype: Etype(etype), salt };
    let two = vec![kind(longer, Salt::Normal), kind(shorter, Salt::Normal)];
    change(&registry, &root(), NewKeys::Random(two)).expect("changed");
    assert_eq!(kinds(&store), [shorter, longer]);
    for other in [kind(longer, Salt::Special), kind(EncryptionType::AES256_SHA384, Salt::Normal)] {
        let refusal = change(&registry, &root(), NewKeys::Random(vec![other])).expect_err("not allowed");
        assert_eq!((refusal.reason, &*refusal.text), (Reason::Invalid, "Invalid key/salt tuples"));
        assert!(refusal.advice.expect("advice").contains("aes128-cts:normal aes256-cts"));
    }
}

#[test]
fn words_of_the_realms_dictionary_are_refused_where_the_policy_says_so() {
    let store = Arc::new(Memory::new());
    let keys = KeyRules { etypes: vec![EncryptionType::AES128_SHA1], iterations: None };
    let words = Arc::new(Dictionary::of("correct horse\n"));
    let registry = Registry::new(Arc::clone(&store) as Arc<dyn Store>, Policy::new("R"), keys).with_dictionary(words);
    registry.perform(&root(), create("alice", password("Correct Horse"))).expect("under no policy");
    let mut alice = (*find(&store, "alice").expect("there")).clone();
    alice.policy = Some("words".into());
    let policy = PasswordPolicy { dictionary: true, ..PasswordPolicy::new("words") };
    store.commit(&[Change::PutPolicy(policy), Change::Replace(alice)]).expect("stored");
    let refusal = change(&registry, &root(), password("CORRECT HORSE")).expect_err("a word");
    assert_eq!(refusal.text, "Password is in the password dictionary");
}

#[test]
fn failures_are_shown_and_forgiven_by_an_administrator_and_by_a_new_password() {
    use crate::attempts::Counted;
    use crate::core::Attempts;
    use crate::core::attempts::{Lockout, Proven};
    let store = Arc::new(Memory::new());
    let attempts = Arc::new(Counted::default());
    let keys = KeyRules { etypes: vec![EncryptionType::AES128_SHA1], iterations: None };
    let registry = Registry::new(Arc::clone(&store) as Arc<dyn Store>, Policy::new("R"), keys)
        .with_attempts(Arc::clone(&attempts) as Arc<dyn Attempts>)
        // As in the running KDC, which tells the audit.
        .told_to(Arc::new(crate::observe::Observer::new(None)));
    registry.perform(&root(), create("alice", password("first word"))).expect("made");
    let id = find(&store, "alice").expect("there").id;
    let rule = Lockout { max_failures: 3, interval: 0, duration: 0 };
    let fail = || attempts.attempt(&id, Some(&rule), libkrb::Time(1000), &mut |_| Proven::No(3));
    let failures = || match registry.perform(&root(), Operation::Describe { principal: name("alice") }) {
        Ok(Answer::Principal(alice)) => (alice.failures, alice.last_failure),
        other => panic!("{other:?}"),
    };
    fail();
    assert_eq!(failures(), (3, Some(1000)));
    let settings = Settings { unlock: true, ..Settings::default() };
    registry.perform(&root(), Operation::Modify { principal: name("alice"), kvno: None, settings }).expect("opened");
    assert_eq!(failures(), (0, Some(1000)));
    fail();
    let new = Operation::ChangeKeys { principal: name("alice"), keys: password("other word"), keep_old: false };
    let batch = |last| Operation::Batch { operations: vec![new.clone(), last] };
    registry.perform(&root(), batch(Operation::Delete { principal: name("nobody") })).expect_err("half of it fails");
    assert_eq!(failures().0, 3, "what was not changed forgives nothing");
    registry.perform(&root(), batch(Operation::Describe { principal: name("alice") })).expect("changed");
    assert_eq!(failures().0, 0);
    fail();
    change(&registry, &root(), random()).expect("changed");
    assert_eq!(failures().0, 3, "a random key is nobody's who fails to type");
    change(&registry, &root(), password("second word")).expect("changed");
    assert_eq!(failures().0, 0);
    registry.perform(&root(), Operation::Delete { principal: name("alice") }).expect("deleted");
    assert_eq!(attempts.record(&id).last_failure, None);
}

#[test]
fn a_request_that_comes_again_forgives_no_failures_since() {
    use crate::attempts::Counted;
    use crate::core::Attempts;
    use crate::core::attempts::Proven;
    let attempts = Arc::new(Counted::default());
    let (store, registry) = registry();
    let registry = (*registry).clone().with_attempts(Arc::clone(&attempts) as Arc<dyn Attempts>);
    let done = |operation| registry.perform(&root(), operation).expect("done");
    done(create("alice", password("first word")));
    let id = find(&store, "alice").expect("there").id;
    let change = || Operation::ChangeKeys { principal: name("alice"), keys: password("other word"), keep_old: false };
    let revision = find(&store, "alice").expect("there").revision;
    let changes = [
        Operation::Guarded { revision, operation: Box::new(change()) },
        Operation::Batch { operations: vec![change()] },
        change(),
    ];
    for (request, operation) in changes.into_iter().enumerate() {
        let once = || Operation::Once { request: request.to_string(), operation: Box::new(operation.clone()) };
        attempts.attempt(&id, None, libkrb::Time(1000), &mut |_| Proven::No(3));
        done(once());
        assert_eq!(attempts.record(&id).failures, 0, "{operation:?}");
        attempts.attempt(&id, None, libkrb::Time(1000), &mut |_| Proven::No(3));
        done(once());
        assert_eq!(attempts.record(&id).failures, 3, "nothing was changed now: {operation:?}");
    }
}
