//! What every store must do, whatever keeps it.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use libkrb::crypto::OtpHash;
use zeroize::Zeroizing;

use super::*;
use crate::core::entry::{Token, TokenKind};
use crate::core::store::Answered;
use crate::core::{Attributes, Change, PasswordPolicy, Store};

macro_rules! battery {
    ($($test:ident,)*) => {
        /// All of them, for a store that has to be brought about first.
        #[cfg(feature = "etcd")]
        pub(in crate::store) const EVERY: &[(&str, fn(&dyn Store))] = &[$((stringify!($test), $test),)*];
        mod memory {
            $(#[test] fn $test() { super::$test(&super::Memory::new()); })*
        }
        mod redb {
            $(#[test] fn $test() { let (_dir, store) = super::redb(); super::$test(&store); })*
        }
        mod cached_memory {
            $(#[test] fn $test() { super::$test(&super::Cached::new(super::Memory::new(), 100)); })*
        }
        mod cached_redb {
            $(#[test] fn $test() { let (_dir, store) = super::redb(); super::$test(&super::Cached::new(store, 100)); })*
        }
        mod hardly_cached_redb {
            $(#[test] fn $test() { let (_dir, store) = super::redb(); super::$test(&super::Cached::new(store, 1)); })*
        }
    };
}

battery! {
    what_is_created_is_found_whole,
    a_name_that_is_not_there_is_no_error,
    a_taken_name_is_refused,
    an_answer_is_kept_with_the_change_that_it_is_of,
    a_replacement_is_seen_and_has_a_new_revision,
    a_replacement_from_an_old_reading_is_a_conflict,
    what_is_not_there_can_be_neither_replaced_nor_deleted,
    a_deleted_principal_is_gone_with_its_aliases,
    a_recreated_principal_never_has_an_old_revision,
    an_alias_finds_its_principal,
    an_alias_can_be_moved_to_another_principal,
    b10_an_alias_equal_to_a_name_or_an_alias_is_refused,
    b10_a_name_equal_to_an_alias_is_refused,
    b10_an_enterprise_name_that_repeats_the_realm_is_that_name,
    b10_an_alias_that_differs_by_case_alone_is_refused,
    principals_that_differ_by_case_alone_are_two,
    a_mail_address_can_be_an_alias,
    an_alias_of_another_realm_is_kept_apart,
    only_a_canonical_name_can_be_replaced_or_deleted,
    all_changes_of_a_commit_are_made_or_none,
    a_commit_sees_its_own_earlier_changes,
    a_rename_frees_the_old_name,
    names_are_listed_in_order_and_in_pages,
    a_listing_goes_on_after_a_name_that_is_gone,
    odd_names_are_kept,
    names_that_have_no_text_are_refused,
    of_concurrent_changes_none_is_lost,
    of_concurrent_creations_one_wins,
    readers_never_see_an_older_state_than_before,
    a_policy_is_kept_whole_and_replaced_only_from_its_newest_reading,
    a_policy_that_is_deleted_is_gone_and_was_there_once,
    principals_policies_and_commits_are_counted,
    who_is_under_a_policy_is_found,
    a_policy_that_somebody_is_under_stays_also_when_they_come_with_the_same_commit,
}

fn create(store: &dyn Store, entry: Entry) {
    store.commit(&[Change::Create(entry)]).expect("created");
}

fn find(store: &dyn Store, text: &str) -> Option<Arc<Entry>> {
    let name = name(text);
    let found = store.lookup(&name).expect("readable");
    let as_in_a_message = store.find(&(&name).into(), name.realm()).expect("readable");
    assert_eq!(as_in_a_message.map(|entry| entry.id), found.as_ref().map(|entry| entry.id), "{text}");
    found
}

fn what_is_created_is_found_whole(store: &dyn Store) {
    let mut made = with_aliases("host/a.b", &["host/a"]);
    made.attributes = Attributes::REQUIRES_PRE_AUTH.with(Attributes::DISALLOW_SVR, true);
    made.expires = Some(Time(-5));
    made.password_expires = Some(Time(i64::MAX));
    made.max_life = Some(1);
    made.max_renewable_life = Some(2);
    made.password_changed = Some(Time(3));
    made.strings.insert("key".into(), "value".into());
    made.policy = Some("strict".into());
    made.history = entry("y").keys;
    made.tokens = [TokenKind::Counting, TokenKind::Timed { period: 60 }].map(token).into();
    made.principal = made.principal.with_kind(libkrb::codes::NameType::SRV_HST);
    let announced = KeySet::new(70_000, entry("x").keys.remove(0).keys).made(Time(17));
    made.keys.insert(0, KeySet { from: Time(18), until: Some(Time(19)), ..announced });
    made.keys[0].keys[0].iterations = Some(50_000);
    create(store, made.clone());
    let found = find(store, "host/a.b").expect("found");
    assert!(found.revision > 0);
    let same = Entry { revision: 0, ..(*found).clone() };
    assert_eq!(format!("{same:?}"), format!("{made:?}"));
    assert_eq!(found.principal.kind(), made.principal.kind());
    assert!(found.tokens == made.tokens, "tokens with their secrets");
    for (found, made) in found.keys.iter().zip(&made.keys) {
        for (found, made) in found.keys.iter().zip(&made.keys) {
            assert!(found.key.same_as(&made.key));
        }
    }
}

fn token(kind: TokenKind) -> Token {
    Token {
        name: format!("{kind:?}"),
        kind,
        hash: OtpHash::Sha512,
        digits: 8,
        secret: Zeroizing::new(vec![7; 64]),
        next: u64::MAX,
        with_password: kind == TokenKind::Counting,
        indicators: vec!["phone".into()],
        created: Time(20),
    }
}

fn a_policy_is_kept_whole_and_replaced_only_from_its_newest_reading(store: &dyn Store) {
    assert_eq!(store.policy("strict").expect("readable"), None);
    let made = PasswordPolicy {
        min_life: 1,
        max_life: 2,
        min_length: 3,
        min_classes: 4,
        history: 5,
        min_strength: 1,
        dictionary: true,
        max_failures: 6,
        failure_interval: 7,
        lockout_duration: 8,
        max_ticket_life: 9,
        max_renewable_life: 10,
        rotate_keys_after: 11,
        keep_old_keys: 12,
        allowed_key_salts: "aes256-cts:normal".into(),
        modified: Time(13),
        modified_by: "root/admin@R".into(),
        ..PasswordPolicy::new("strict")
    };
    store.commit(&[Change::PutPolicy(made.clone())]).expect("created");
    let first = store.policy("strict").expect("readable").expect("found");
    assert!(first.revision > 0);
    assert_eq!(PasswordPolicy { revision: 0, ..(*first).clone() }, made);
    let again = store.commit(&[Change::PutPolicy(made)]);
    assert_eq!(again, Err(StoreError::PolicyExists("strict".into())));

    let changed = PasswordPolicy { history: 0, ..(*first).clone() };
    store.commit(&[Change::PutPolicy(changed.clone())]).expect("replaced");
    assert_eq!(store.policy("strict").expect("readable").expect("found").history, 0);
    let late = store.commit(&[Change::PutPolicy(changed)]);
    assert_eq!(late, Err(StoreError::PolicyConflict("strict".into())));
}

fn a_policy_that_is_deleted_is_gone_and_was_there_once(store: &dyn Store) {
    let delete = |name: &str| store.commit(&[Change::DeletePolicy(name.into())]);
    assert_eq!(delete("b"), Err(StoreError::PolicyMissing("b".into())));
    for name in ["b", "a"] {
        store.commit(&[Change::PutPolicy(PasswordPolicy::new(name))]).expect("created");
    }
    assert_eq!(store.policies().expect("readable"), ["a", "b"]);
    let stale = store.policy("b").expect("readable").expect("found");
    delete("b").expect("deleted");
    assert_eq!(store.policy("b").expect("readable"), None);
    assert_eq!(store.policies().expect("readable"), ["a"]);
    let back = store.commit(&[Change::PutPolicy((*stale).clone())]);
    assert_eq!(back, Err(StoreError::PolicyMissing("b".into())));
}

fn who_is_under_a_policy_is_found(store: &dyn Store) {
    for user in ["alice", "bob", "carol"] {
        create(store, entry(user));
    }
    assert_eq!(store.policy_user("strict"), Ok(None));
    change(store, "bob", |entry| entry.policy = Some("strict".into()));
    change(store, "carol", |entry| entry.policy = Some("strict".into()));
    assert_eq!(store.policy_user("strict"), Ok(Some(name("bob"))));
    assert_eq!(store.policy_user("lax"), Ok(None));
    change(store, "bob", |entry| entry.policy = None);
    assert_eq!(store.policy_user("strict"), Ok(Some(name("carol"))));
}

fn a_policy_that_somebody_is_under_stays_also_when_they_come_with_the_same_commit(store: &dyn Store) {
    store.commit(&[Change::PutPolicy(PasswordPolicy::new("strict"))]).expect("created");
    create(store, entry("alice"));
    let under = |store: &dyn Store, policy: Option<&str>| {
        let alice = find(store, "alice").expect("there");
        Change::Replace(Entry { policy: policy.map(str::to_owned), ..(*alice).clone() })
    };
    let delete = || Change::DeletePolicy("strict".into());
    let used = Err(StoreError::PolicyInUse { policy: "strict".into(), user: name("alice").to_string() });
    assert_eq!(store.commit(&[under(store, Some("strict")), delete()]), used);
    assert_eq!(find(store, "alice").expect("there").policy, None, "nothing was changed");
    store.commit(&[under(store, Some("strict"))]).expect("put under it");
    assert_eq!(store.commit(&[delete()]), used);
    store.commit(&[delete(), under(store, None)]).expect("deleted by who takes the last one out of it");
    assert_eq!(store.policy("strict"), Ok(None));
}

fn a_name_that_is_not_there_is_no_error(store: &dyn Store) {
    assert!(find(store, "nobody").is_none());
    create(store, entry("somebody"));
    assert!(find(store, "somebod").is_none());
    assert!(find(store, "somebody/").is_none());
    assert!(find(store, "somebody@S").is_none());
}

fn a_taken_name_is_refused(store: &dyn Store) {
    create(store, entry("alice"));
    let first = find(store, "alice").expect("found").id;
    let again = Entry { id: [9; 16], ..entry("alice") };
    assert_eq!(store.commit(&[Change::Create(again)]), Err(StoreError::Exists(name("alice"))));
    assert_eq!(find(store, "alice").expect("found").id, first);
}

fn a_replacement_is_seen_and_has_a_new_revision(store: &dyn Store) {
    create(store, entry("alice"));
    let before = find(store, "alice").expect("found");
    store.commit(&[Change::Replace(Entry { max_life: Some(60), ..(*before).clone() })]).expect("replaced");
    let after = find(store, "alice").expect("found");
    assert_eq!(after.max_life, Some(60));
    assert!(after.revision > before.revision);
}

fn a_replacement_from_an_old_reading_is_a_conflict(store: &dyn Store) {
    create(store, entry("alice"));
    let read = find(store, "alice").expect("found");
    store.commit(&[Change::Replace(Entry { max_life: Some(1), ..(*read).clone() })]).expect("replaced");
    let late = store.commit(&[Change::Replace(Entry { max_life: Some(2), ..(*read).clone() })]);
    assert_eq!(late, Err(StoreError::Conflict(name("alice"))));
    assert_eq!(find(store, "alice").expect("found").max_life, Some(1));
}

fn what_is_not_there_can_be_neither_replaced_nor_deleted(store: &dyn Store) {
    assert_eq!(store.commit(&[Change::Replace(entry("alice"))]), Err(StoreError::Missing(name("alice"))));
    assert_eq!(store.commit(&[Change::Delete(name("alice"))]), Err(StoreError::Missing(name("alice"))));
}

fn a_deleted_principal_is_gone_with_its_aliases(store: &dyn Store) {
    create(store, with_aliases("alice", &["al", "ally"]));
    assert!(find(store, "ally").is_some());
    store.commit(&[Change::Delete(name("alice"))]).expect("deleted");
    for text in ["alice", "al", "ally"] {
        assert!(find(store, text).is_none(), "{text}");
    }
    create(store, entry("al"));
    create(store, entry("alice"));
}

fn principals_policies_and_commits_are_counted(store: &dyn Store) {
    let before = store.size().expect("readable");
    create(store, with_aliases("alice", &["al"]));
    create(store, entry("bob"));
    store.commit(&[Change::PutPolicy(PasswordPolicy::new("p"))]).expect("created");
    store.commit(&[Change::Delete(name("bob"))]).expect("deleted");
    let after = store.size().expect("readable");
    assert_eq!((after.principals, after.policies), (before.principals + 1, before.policies + 1));
    assert_eq!(after.changes, before.changes + 4);
}

fn a_recreated_principal_never_has_an_old_revision(store: &dyn Store) {
    create(store, entry("alice"));
    let old = find(store, "alice").expect("found");
    store.commit(&[Change::Delete(name("alice"))]).expect("deleted");
    create(store, entry("alice"));
    assert!(find(store, "alice").expect("found").revision > old.revision);
    assert_eq!(store.commit(&[Change::Replace((*old).clone())]), Err(StoreError::Conflict(name("alice"))));
}

fn an_alias_finds_its_principal(store: &dyn Store) {
    create(store, with_aliases("host/www.a.b", &["host/www", "HTTP/www.a.b"]));
    for text in ["host/www", "HTTP/www.a.b", "host/www.a.b"] {
        assert_eq!(find(store, text).expect("found").principal, name("host/www.a.b"));
    }
    let read = find(store, "host/www").expect("found");
    store.commit(&[Change::Replace(Entry { aliases: vec![], ..(*read).clone() })]).expect("replaced");
    assert!(find(store, "host/www").is_none());
    assert!(find(store, "host/www.a.b").is_some());
}

fn an_alias_can_be_moved_to_another_principal(store: &dyn Store) {
    create(store, with_aliases("host/a", &["host/www"]));
    create(store, entry("host/b"));
    assert_eq!(find(store, "host/www").expect("found").principal, name("host/a"));
    let a = (*find(store, "host/a").expect("found")).clone();
    let b = (*find(store, "host/b").expect("found")).clone();
    let moved = [
        Change::Replace(Entry { aliases: vec![], ..a }),
        Change::Replace(Entry { aliases: vec![name("host/www")], ..b }),
    ];
    store.commit(&moved).expect("moved");
    assert_eq!(find(store, "host/www").expect("found").principal, name("host/b"));
}

fn b10_an_alias_equal_to_a_name_or_an_alias_is_refused(store: &dyn Store) {
    create(store, entry("admin"));
    create(store, with_aliases("host/www.a.b", &["host/www"]));
    for taken in ["admin", "host/www.a.b", "host/www"] {
        let new = store.commit(&[Change::Create(with_aliases("mallory", &[taken]))]);
        assert_eq!(new, Err(StoreError::Exists(name(taken))));
    }
    create(store, entry("mallory"));
    let read = find(store, "mallory").expect("found");
    for taken in ["admin", "host/www", "mallory"] {
        let changed = Entry { aliases: vec![name("fine"), name(taken)], ..(*read).clone() };
        assert_eq!(store.commit(&[Change::Replace(changed)]), Err(StoreError::Exists(name(taken))));
    }
    let twice = Entry { aliases: vec![name("m"), name("m")], ..(*read).clone() };
    assert_eq!(store.commit(&[Change::Replace(twice)]), Err(StoreError::Exists(name("m"))));
    assert_eq!(find(store, "admin").expect("found").principal, name("admin"));
    assert!(find(store, "fine").is_none());
}

fn b10_a_name_equal_to_an_alias_is_refused(store: &dyn Store) {
    create(store, with_aliases("mallory", &["root"]));
    assert_eq!(store.commit(&[Change::Create(entry("root"))]), Err(StoreError::Exists(name("root"))));
    assert_eq!(store.commit(&[Change::Create(entry("ROOT"))]), Err(StoreError::Exists(name("ROOT"))));
}

fn b10_an_enterprise_name_that_repeats_the_realm_is_that_name(store: &dyn Store) {
    create(store, entry("admin"));
    for same in [r"admin\@R", r"admin\@r", r"admin\\\@R\@R"] {
        assert_eq!(find(store, same).expect(same).principal, name("admin"));
        let alias = store.commit(&[Change::Create(with_aliases("mallory", &[same]))]);
        assert_eq!(alias, Err(StoreError::Exists(name(same))));
        assert_eq!(store.commit(&[Change::Create(entry(same))]), Err(StoreError::Exists(name(same))));
    }
    create(store, entry(r"bob\@R"));
    assert_eq!(find(store, "bob").expect("found").principal, name("bob"));
    store.commit(&[Change::Delete(name(r"bob\@R"))]).expect("deleted");
    assert!(find(store, "bob").is_none());
}

fn b10_an_alias_that_differs_by_case_alone_is_refused(store: &dyn Store) {
    create(store, entry("admin"));
    create(store, with_aliases("host/a", &["HOST/A", "host/b"]));
    for taken in ["ADMIN", "Host/B", "hOST/a"] {
        let new = store.commit(&[Change::Create(with_aliases("mallory", &[taken]))]);
        assert_eq!(new, Err(StoreError::Exists(name(taken))), "{taken}");
    }
    assert_eq!(find(store, "HOST/A").expect("found").principal, name("host/a"));
    assert!(find(store, "hOST/a").is_none());
}

fn principals_that_differ_by_case_alone_are_two(store: &dyn Store) {
    create(store, entry("alice"));
    create(store, entry("Alice"));
    store.commit(&[Change::Delete(name("alice"))]).expect("deleted");
    assert!(find(store, "alice").is_none());
    assert!(find(store, "Alice").is_some());
}

fn a_mail_address_can_be_an_alias(store: &dyn Store) {
    create(store, with_aliases("alice", &[r"alice\@mail.example"]));
    let asked = Principal::parse_enterprise("alice@mail.example", Some("R")).expect("parses");
    for asked in [asked, Principal::parse(r"alice\@R", Some("R")).expect("parses")] {
        let found = [store.lookup(&asked), store.find(&(&asked).into(), "R"), store.find(&(&asked).into(), "R")];
        assert!(found.into_iter().all(|found| found.expect("readable").expect("found").principal == name("alice")));
    }
}

fn an_alias_of_another_realm_is_kept_apart(store: &dyn Store) {
    create(store, with_aliases("krbtgt/S@R", &["krbtgt/T@R"]));
    create(store, entry("krbtgt/S@T"));
    assert_eq!(find(store, "krbtgt/S@T").expect("found").principal.realm(), "T");
}

fn only_a_canonical_name_can_be_replaced_or_deleted(store: &dyn Store) {
    create(store, with_aliases("alice", &["al"]));
    assert_eq!(store.commit(&[Change::Delete(name("al"))]), Err(StoreError::Missing(name("al"))));
    let read = find(store, "al").expect("found");
    let other = Entry { principal: name("al"), aliases: vec![], ..(*read).clone() };
    assert_eq!(store.commit(&[Change::Replace(other)]), Err(StoreError::Missing(name("al"))));
}

fn all_changes_of_a_commit_are_made_or_none(store: &dyn Store) {
    create(store, with_aliases("alice", &["al"]));
    let read = find(store, "alice").expect("found");
    let changes = [
        Change::Create(entry("bob")),
        Change::Replace(Entry { aliases: vec![name("a")], ..(*read).clone() }),
        Change::Delete(name("nobody")),
    ];
    assert_eq!(store.commit(&changes), Err(StoreError::Missing(name("nobody"))));
    assert!(find(store, "bob").is_none());
    assert!(find(store, "a").is_none());
    assert_eq!(find(store, "al").expect("found").revision, read.revision);
    store.commit(&changes[..2]).expect("made");
    assert!(find(store, "bob").is_some() && find(store, "a").is_some() && find(store, "al").is_none());
}

fn a_commit_sees_its_own_earlier_changes(store: &dyn Store) {
    let twice = [Change::Create(entry("alice")), Change::Create(entry("alice"))];
    assert_eq!(store.commit(&twice), Err(StoreError::Exists(name("alice"))));
    let again = [
        Change::Create(with_aliases("alice", &["al"])),
        Change::Delete(name("alice")),
        Change::Create(with_aliases("bob", &["al"])),
    ];
    store.commit(&again).expect("made");
    assert!(find(store, "alice").is_none());
    assert_eq!(find(store, "al").expect("found").principal, name("bob"));
}

fn a_rename_frees_the_old_name(store: &dyn Store) {
    create(store, with_aliases("alice", &["al"]));
    let read = find(store, "alice").expect("found");
    let renamed = Entry { principal: name("alice2"), ..(*read).clone() };
    store.commit(&[Change::Delete(name("alice")), Change::Create(renamed)]).expect("renamed");
    assert!(find(store, "alice").is_none());
    assert_eq!(find(store, "al").expect("found").principal, name("alice2"));
    let key = &find(store, "alice2").expect("found").keys[0].keys[0];
    assert!(key.key.same_as(&read.keys[0].keys[0].key));
    create(store, entry("alice"));
}

fn names_are_listed_in_order_and_in_pages(store: &dyn Store) {
    let mut texts: Vec<_> = (0..25).map(|n| format!("user{n}@R")).chain(["a/b@R".into(), "a-b@R".into()]).collect();
    for text in &texts {
        create(store, with_aliases(text, &[&format!("alias-of-{}", text.replace(['/', '@'], "."))]));
    }
    texts.sort();
    let mut listed: Vec<Principal> = vec![];
    loop {
        let page = store.list(listed.last(), 10).expect("listed");
        assert!(page.len() <= 10);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed.iter().map(Principal::to_string).collect::<Vec<_>>(), texts);
    assert_eq!(store.list(None, 0).expect("listed"), []);
}

fn a_listing_goes_on_after_a_name_that_is_gone(store: &dyn Store) {
    create(store, entry("a"));
    create(store, entry("c"));
    assert_eq!(store.list(Some(&name("b")), 5).expect("listed"), [name("c")]);
}

fn odd_names_are_kept(store: &dyn Store) {
    for text in [r"a\/b", "a/b", r"a\\", "/", "a/", "é/ü", r"nul\0nul", r"line\nline", r"at\@", r"\@at", r"a\@b\@c"] {
        create(store, entry(text));
        assert_eq!(find(store, text).expect(text).principal, name(text));
    }
    let long = "x".repeat(20_000);
    create(store, entry(&long));
    assert!(find(store, &long).is_some());
}

fn names_that_have_no_text_are_refused(store: &dyn Store) {
    let kind = libkrb::codes::NameType::PRINCIPAL;
    for (realm, component) in [("", "alice"), ("R", "")] {
        let odd = Principal::new(kind, realm, [component]).expect("a value");
        let new = store.commit(&[Change::Create(Entry { principal: odd.clone(), ..entry("x") })]);
        assert!(matches!(new, Err(StoreError::Record { .. })), "{new:?}");
        assert!(store.lookup(&odd).expect("readable").is_none());
    }
}

/// Reads, changes and writes until nobody was in between.
fn change(store: &dyn Store, text: &str, change: impl Fn(&mut Entry)) -> u64 {
    loop {
        let mut entry = (*find(store, text).expect("found")).clone();
        change(&mut entry);
        match store.commit(&[Change::Replace(entry)]) {
            Ok(()) => return find(store, text).expect("found").revision,
            Err(StoreError::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn of_concurrent_changes_none_is_lost(store: &dyn Store) {
    create(store, Entry { max_life: Some(0), ..entry("counter") });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    change(store, "counter", |entry| *entry.max_life.as_mut().expect("set") += 1);
                }
            });
        }
    });
    assert_eq!(find(store, "counter").expect("found").max_life, Some(40));
}

fn of_concurrent_creations_one_wins(store: &dyn Store) {
    let won = Mutex::new(0);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let won = &won;
            scope.spawn(move || match store.commit(&[Change::Create(with_aliases(&format!("w{writer}"), &["it"]))]) {
                Ok(()) => *won.lock().expect("unpoisoned") += 1,
                Err(error) => assert_eq!(error, StoreError::Exists(name("it"))),
            });
        }
    });
    assert_eq!(*won.lock().expect("unpoisoned"), 1);
    assert_eq!(store.list(None, 10).expect("listed").len(), 1);
}

fn readers_never_see_an_older_state_than_before(store: &dyn Store) {
    create(store, with_aliases("alice", &["al"]));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for text in ["alice", "al"] {
            let done = &done;
            scope.spawn(move || {
                let mut newest = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let seen = find(store, text).expect("found").revision;
                    assert!(seen >= newest, "{text}: {seen} after {newest}");
                    newest = seen;
                }
            });
        }
        let mut newest = 0;
        for _ in 0..30 {
            let seen = change(store, "alice", |_| {});
            assert!(seen > newest);
            newest = seen;
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

fn an_answer_is_kept_with_the_change_that_it_is_of(store: &dyn Store) {
    let answered = |request: u8, text: &str| {
        let octets = Zeroizing::new(text.as_bytes().to_vec());
        Change::Answered(Answered { request: [request; 32], at: crate::admin::now(), octets })
    };
    let found = |request: u8| store.answered(&[request; 32]).expect("known").map(|octets| octets.to_vec());
    assert_eq!(found(1), None);
    store.commit(&[Change::Create(entry("alice")), answered(1, "made")]).expect("made");
    assert_eq!((found(1), found(2)), (Some(b"made".to_vec()), None));
    // Not without it.
    assert!(store.commit(&[Change::Create(entry("alice")), answered(2, "made")]).is_err());
    assert_eq!(found(2), None);
    store.commit(&[Change::Delete(name("alice")), answered(2, "gone"), answered(3, "and more")]).expect("made");
    assert_eq!(
        (found(1), found(2), found(3)),
        (Some(b"made".to_vec()), Some(b"gone".to_vec()), Some(b"and more".to_vec()))
    );
}

/// A store whose next reading is held back after it has read.
struct Held {
    inner: Memory,
    next: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>,
    committed: mpsc::Sender<()>,
}

impl Store for Held {
    fn lookup(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        let found = self.inner.lookup(name);
        let next = self.next.lock().expect("unpoisoned").take();
        if let Some((reached, release)) = next {
            reached.send(()).expect("somebody waits");
            release.recv().expect("released");
        }
        found
    }

    fn list(&self, after: Option<&Principal>, limit: usize) -> Result<Vec<Principal>, StoreError> {
        self.inner.list(after, limit)
    }

    fn policy(&self, name: &str) -> Result<Option<Arc<PasswordPolicy>>, StoreError> {
        self.inner.policy(name)
    }

    fn policies(&self) -> Result<Vec<String>, StoreError> {
        self.inner.policies()
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let done = self.inner.commit(changes);
        self.committed.send(()).expect("somebody waits");
        done
    }
}

#[test]
fn a_reading_that_a_commit_overtook_does_not_stay_in_the_cache() {
    let (reached, loaded) = mpsc::channel();
    let (release, held) = mpsc::channel();
    let (committed, written) = mpsc::channel();
    let inner = Memory::new();
    create(&inner, entry("alice"));
    let read = inner.lookup(&name("alice")).expect("readable").expect("found");
    let store = Cached::new(Held { inner, next: Mutex::new(Some((reached, held))), committed }, 10);
    std::thread::scope(|scope| {
        scope.spawn(|| find(&store, "alice"));
        loaded.recv().expect("loaded");
        let changed = Entry { max_life: Some(60), ..(*read).clone() };
        scope.spawn(|| store.commit(&[Change::Replace(changed)]).expect("replaced"));
        written.recv().expect("written");
        release.send(()).expect("released");
    });
    assert_eq!(find(&store, "alice").expect("found").max_life, Some(60));
}
