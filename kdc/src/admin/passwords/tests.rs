use libkrb::codes::EncryptionType;
use libkrb::crypto::Key;

use super::*;
use crate::core::{KeySet, LongTermKey};

const ETYPE: EncryptionType = EncryptionType::AES128_SHA1;

fn alice() -> Principal {
    Principal::parse("alice/admin@EXAMPLE.ORG", None).expect("a name")
}

fn strict() -> PasswordPolicy {
    PasswordPolicy { min_length: 6, min_classes: 2, dictionary: true, history: 3, ..PasswordPolicy::new("strict") }
}

fn words() -> Dictionary {
    Dictionary::of("zebra7\n\n  Pass-Word1 \r\nalpha1\nZEBRA7\nüber99\n")
}

fn flaw(password: &str) -> Option<Flaw> {
    check(password, &alice(), Some(&strict()), &words()).err()
}

#[test]
fn each_rule_is_told_in_mits_words_and_with_the_way_out() {
    for (password, text, rule) in [
        ("", "Password is too short", "at least 6 characters"),
        ("ab1", "Password is too short", "at least 6 characters"),
        ("abcdefgh", "Password does not contain enough character classes", "2 of: lower-case letters"),
        ("pass-word1", "Password is in the password dictionary", "no single word"),
        ("Zebra7", "Password is in the password dictionary", "no single word"),
        ("ÜBER99", "Password is in the password dictionary", "no single word"),
        ("example.ORG", "Password is in the password dictionary", "no single word"),
    ] {
        let flaw = flaw(password).expect(password);
        assert_eq!(flaw.text(), text, "{password}");
        assert!(flaw.advice().contains(rule), "{password}: {}", flaw.advice());
    }
    assert_eq!(flaw("zebra8 alpha1"), None);
    let one_class = PasswordPolicy { min_classes: 1, min_length: 1, ..strict() };
    let named = check("ALICE", &alice(), Some(&one_class), &words()).expect_err("a part of the name");
    assert_eq!((named.text(), named), ("Password may not match principal name", Flaw::OwnName));
}

#[test]
fn characters_are_counted_not_their_octets() {
    assert!(matches!(flaw("äöüß1"), Some(Flaw::TooShort { least: 6, .. })));
    assert_eq!(flaw("äöüßé1"), None);
}

#[test]
fn without_a_policy_a_password_must_only_be_there() {
    assert_eq!(check("", &alice(), None, &words()), Err(Flaw::Empty));
    assert_eq!(check("alice", &alice(), None, &words()), Ok(()));
}

#[test]
fn the_dictionary_is_looked_into_only_where_the_policy_says_so() {
    let lax = PasswordPolicy { dictionary: false, ..strict() };
    assert_eq!(check("zebra7", &alice(), Some(&lax), &words()), Ok(()));
}

#[test]
fn a_password_that_is_easy_to_guess_is_refused_where_a_strength_is_asked_for() {
    let policy = PasswordPolicy { min_strength: 3, ..PasswordPolicy::new("strong") };
    let weak = check("Password1", &alice(), Some(&policy), &Dictionary::default());
    assert!(matches!(weak, Err(Flaw::Weak { score: 0..=2, least: 3, .. })), "{weak:?}");
    let strong = check("furlong cabbage eleven quince", &alice(), Some(&policy), &Dictionary::default());
    assert_eq!(strong, Ok(()));
}

#[test]
fn no_flaw_repeats_the_password() {
    for password in ["Kq7", "kqzebra", "zebra7"] {
        let flaw = flaw(password).expect(password);
        assert!(!format!("{} {} {flaw:?}", flaw.text(), flaw.advice()).contains(password));
    }
}

fn entry() -> Entry {
    let mut entry = Entry::new(alice(), [1; 16], Time(0), "");
    entry.password_changed = Some(Time(1000));
    entry
}

#[test]
fn the_minimum_life_binds_the_owner_and_no_administrator() {
    let policy = PasswordPolicy { min_life: 100, ..strict() };
    let policy = Some(&policy);
    let soon = check_age(Changer::Oneself, &entry(), policy, Time(1099));
    assert_eq!(soon, Err(Flaw::TooSoon { policy: "strict".into(), until: Time(1100) }));
    assert_eq!(check_age(Changer::Oneself, &entry(), policy, Time(1100)), Ok(()));
    assert_eq!(check_age(Changer::Administrator, &entry(), policy, Time(1000)), Ok(()));
    let mut must = entry();
    must.attributes = Attributes::REQUIRES_PWCHANGE;
    assert_eq!(check_age(Changer::Oneself, &must, policy, Time(1000)), Ok(()), "whoever must change it may");
}

#[test]
fn only_a_caller_that_the_access_list_decides_about_is_oneself() {
    use crate::admin::{Caller, Door};
    let own = Caller::principal(alice(), Door::Process, true);
    assert_eq!(Changer::of(&own, &entry()), Changer::Oneself);
    let mighty = Caller { authority: crate::admin::Authority::All, ..own.clone() };
    assert_eq!(Changer::of(&mighty, &entry()), Changer::Administrator);
    let other = Caller { name: Principal::parse("bob@EXAMPLE.ORG", None).expect("a name"), ..own };
    assert_eq!(Changer::of(&other, &entry()), Changer::Administrator);
    let alias = Entry { aliases: vec![other.name.clone()], ..entry() };
    assert_eq!(Changer::of(&other, &alias), Changer::Oneself);
}

/// The keys of a password, as they were made under some salt.
fn keys(password: &str, kvno: u32, salt: &str) -> KeySet {
    let key = Key::from_password(ETYPE, password.as_bytes(), salt.as_bytes(), None).expect("a key");
    KeySet::new(kvno, vec![LongTermKey::new(key, Some(salt.into()))])
}

#[test]
fn the_passwords_that_the_policy_remembers_are_refused_and_older_ones_are_not() {
    let policy = strict();
    let mut entry = entry();
    for (index, password) in ["one", "two", "three", "four"].into_iter().enumerate() {
        assert!(!reused(password, &entry, &policy).expect("made"));
        remember(&mut entry, &policy, true);
        let salt = if index % 2 == 0 { "a salt" } else { "another" };
        entry.keys = vec![keys(password, index as u32 + 1, salt)];
    }
    let again = |password| reused(password, &entry, &policy).expect("made");
    assert_eq!(["one", "two", "three", "four"].map(again), [false, true, true, true]);
    assert_eq!(entry.history.iter().map(|set| set.kvno).collect::<Vec<_>>(), [3, 2]);
    let one = PasswordPolicy { history: 1, ..strict() };
    assert!(reused("four", &entry, &one).expect("made") && !reused("three", &entry, &one).expect("made"));
    let none = PasswordPolicy { history: 0, ..strict() };
    assert!(!reused("four", &entry, &none).expect("made"));
}

#[test]
fn a_policy_that_remembers_fewer_forgets_the_others_at_the_next_change() {
    let mut entry = entry();
    entry.keys = vec![keys("now", 9, "s")];
    entry.history = (1..9).rev().map(|kvno| keys("old", kvno, "s")).collect();
    remember(&mut entry, &strict(), true);
    assert_eq!(entry.history.iter().map(|set| set.kvno).collect::<Vec<_>>(), [9, 8]);
}

#[test]
fn random_keys_in_between_neither_make_a_password_forgotten_nor_count_as_one() {
    let policy = strict();
    let mut entry = entry();
    entry.keys = vec![keys("three", 3, "s")];
    entry.history = vec![keys("two", 2, "s"), keys("one", 1, "s")];
    for kvno in 4..9 {
        remember(&mut entry, &policy, false);
        let random = crate::admin::random_keys([ETYPE]).expect("random keys");
        entry.keys = vec![KeySet::new(kvno, random)];
        for password in ["one", "two", "three"] {
            assert!(reused(password, &entry, &policy).expect("made"), "{password} after {kvno}");
        }
    }
    remember(&mut entry, &policy, true);
    entry.keys = vec![keys("four", 9, "s")];
    let again = |password| reused(password, &entry, &policy).expect("made");
    assert_eq!(["one", "two", "three", "four"].map(again), [false, true, true, true]);
}
