use libkrb::Time;
use libkrb::crypto::Key;

use super::*;

#[test]
fn who_comes_too_late_hears_who_was_quicker() {
    let (store, registry) = registry();
    registry.perform(&root(), create("x", random())).expect("created");
    let revision = find(&store, "x").expect("there").revision;
    let modify = |life: i64| Operation::Modify {
        principal: name("x"),
        kvno: None,
        settings: Settings { max_life: Some(life), ..Settings::default() },
    };
    let guarded = |life| Operation::Guarded { revision, operation: Box::new(modify(life)) };
    let quick = Caller::login("quick", "R", Door::Process);
    registry.perform(&quick, guarded(1)).expect("first");
    let refusal = registry.perform(&root(), guarded(2)).expect_err("late");
    assert_eq!(refusal.reason, Reason::Changed);
    assert!(refusal.text.starts_with(&format!("it was changed by {} at ", quick.name)), "{refusal}");
}

#[test]
fn a_request_that_two_bring_is_of_each_and_a_change_that_was_refused_can_be_asked_for_again() {
    let (store, registry) = registry();
    let once = |operation: Operation| Operation::Once { request: "7".into(), operation: Box::new(operation) };
    let other = Caller::login("other", "R", Door::Process);
    registry.perform(&root(), once(create("x", random()))).expect("created");
    registry.perform(&other, once(create("y", random()))).expect("another's request");
    let locked = Operation::Delete { principal: name("nobody") };
    let again = |request: &str, operation: &Operation| {
        let operation = Box::new(operation.clone());
        registry.perform(&root(), Operation::Once { request: request.into(), operation })
    };
    assert_eq!(again("8", &locked).expect_err("nobody is there").reason, Reason::Missing);
    registry.perform(&root(), create("nobody", random())).expect("created");
    again("8", &locked).expect("now");
    assert!(find(&store, "nobody").is_none() && find(&store, "y").is_some());
    let batch = Operation::Batch { operations: vec![create("a", random()), create("b", random())] };
    assert_eq!(again("9", &batch), again("9", &batch));
    for no_change in [Operation::Privileges, Operation::Describe { principal: name("x") }, Operation::Status] {
        assert_eq!(again("10", &no_change).expect_err("no change").reason, Reason::Invalid);
    }
}
use crate::core::Change;

/// Performs what must go well.
fn done(registry: &Registry, operation: Operation) -> Answer {
    let shown = format!("{operation:?}");
    registry.perform(&root(), operation).unwrap_or_else(|refusal| panic!("{shown}: {refusal}"))
}

fn refused(registry: &Registry, operation: Operation) -> Refusal {
    registry.perform(&root(), operation).expect_err("refused")
}

fn set(store: &Memory, text: &str, change: impl FnOnce(&mut Entry)) {
    let mut entry = (*find(store, text).expect("there")).clone();
    change(&mut entry);
    store.commit(&[Change::Replace(entry)]).expect("replaced");
}

#[test]
fn a_password_principal_gets_its_keys_and_is_no_service() {
    let (store, registry) = registry();
    assert_eq!(done(&registry, create("alice", password("secret"))), Answer::Done);
    let alice = find(&store, "alice").expect("there");
    assert_eq!(alice.modified_by, "root/admin@R");
    assert!(alice.attributes.has(Attributes::REQUIRES_PRE_AUTH) && alice.attributes.has(Attributes::DISALLOW_SVR));
    let etype = EncryptionType::AES128_SHA1;
    let expected = Key::from_password(etype, b"secret", b"Ralice", None).expect("a key");
    let key = alice.key(etype, now()).expect("there");
    assert!(key.key.same_as(&expected));
    assert_eq!((key.salt.as_deref(), key.iterations), (Some("Ralice"), None));
    assert_eq!(alice.keys.iter().map(|set| (set.kvno, set.keys.len())).collect::<Vec<_>>(), [(1, 2)]);
}

#[test]
fn b13_a_password_principal_is_a_service_only_by_explicit_wish() {
    let (store, registry) = registry();
    let clear = Settings { clear: Attributes::DISALLOW_SVR.0, ..Settings::default() };
    let wish = Operation::Create { principal: name("web"), keys: password("x"), kvno: None, settings: clear };
    done(&registry, wish);
    assert!(!find(&store, "web").expect("there").attributes.has(Attributes::DISALLOW_SVR));
    done(&registry, create("host/a", random()));
    assert!(!find(&store, "host/a").expect("there").attributes.has(Attributes::DISALLOW_SVR));
}

#[test]
fn preauthentication_is_required_unless_exempted() {
    let (store, registry) = registry();
    done(&registry, create("host/a", random()));
    assert!(find(&store, "host/a").expect("there").attributes.has(Attributes::REQUIRES_PRE_AUTH));
    let settings = Settings { clear: Attributes::REQUIRES_PRE_AUTH.0, ..Settings::default() };
    done(&registry, Operation::Modify { principal: name("host/a"), kvno: None, settings });
    assert!(!find(&store, "host/a").expect("there").attributes.has(Attributes::REQUIRES_PRE_AUTH));
}

#[test]
fn unusual_rounds_and_salts_are_kept_with_the_key() {
    let store = Arc::new(Memory::new());
    let keys = KeyRules { etypes: vec![EncryptionType::AES256_SHA1], iterations: Some(5000) };
    let registry = Registry::new(Arc::clone(&store) as Arc<dyn Store>, Policy::new("R"), keys);
    let kinds = [(EncryptionType::AES256_SHA1, Salt::NoRealm), (EncryptionType::AES128_SHA1, Salt::Special)];
    let kinds = kinds.map(|(etype, salt)| KeyKind { etype: Etype(etype), salt }).to_vec();
    done(&registry, create("a/b", NewKeys::Password { password: Secret::new("x".into()), kinds }));
    let entry = find(&store, "a/b").expect("there");
    let key = entry.key(EncryptionType::AES256_SHA1, now()).expect("there");
    assert_eq!((key.salt.as_deref(), key.iterations), (Some("ab"), Some(5000)));
    let expected = Key::from_password(EncryptionType::AES256_SHA1, b"x", b"ab", Some(&5000_u32.to_be_bytes()));
    assert!(key.key.same_as(&expected.expect("a key")));
    let special = entry.key(EncryptionType::AES128_SHA1, now()).expect("there").salt.clone().expect("salted");
    assert_eq!(special.len(), 32);
}

#[test]
fn new_keys_have_the_next_version_and_old_ones_stay_when_kept() {
    let (store, registry) = registry();
    done(&registry, create("host/a", random()));
    let change = |keep_old| Operation::ChangeKeys { principal: name("host/a"), keys: random(), keep_old };
    let versions = || find(&store, "host/a").expect("there").keys.iter().map(|set| set.kvno).collect::<Vec<_>>();
    done(&registry, change(true));
    done(&registry, change(true));
    assert_eq!(versions(), [3, 2, 1]);
    let purge = |keep| Operation::PurgeKeys { principal: name("host/a"), keep };
    done(&registry, purge(Keep::ReplacedWithin(60)));
    assert_eq!(versions(), [3, 2, 1], "they were replaced a moment ago");
    let mut old = (*find(&store, "host/a").expect("there")).clone();
    old.keys[1].created = Time(now().seconds() - 61);
    store.commit(&[Change::Replace(old)]).expect("aged");
    done(&registry, purge(Keep::ReplacedWithin(60)));
    assert_eq!(versions(), [3, 2], "1 was replaced by 2 a minute ago, 2 by 3 just now");
    let mut unknown = (*find(&store, "host/a").expect("there")).clone();
    (unknown.keys[0].created, unknown.password_changed) = (Time::EPOCH, None);
    store.commit(&[Change::Replace(unknown)]).expect("as an older KDC left it");
    done(&registry, purge(Keep::ReplacedWithin(0)));
    assert_eq!(versions(), [3, 2], "nobody knows since when");
    done(&registry, purge(Keep::From(2)));
    assert_eq!(versions(), [3, 2]);
    done(&registry, purge(Keep::Newest));
    assert_eq!(versions(), [3]);
    done(&registry, change(false));
    assert_eq!(versions(), [4]);
    done(&registry, purge(Keep::Nothing));
    assert!(versions().is_empty());
    done(&registry, change(false));
    assert_eq!(versions(), [1]);
}

#[test]
fn a_new_password_ends_its_expiry_and_the_need_to_change_it() {
    let (store, registry) = registry();
    done(&registry, create("alice", password("one")));
    let settings = Settings { password_expires: Some(5), set: Attributes::REQUIRES_PWCHANGE.0, ..Settings::default() };
    done(&registry, Operation::Modify { principal: name("alice"), kvno: None, settings });
    assert_eq!(find(&store, "alice").expect("there").password_expires, Some(Time(5)));
    done(&registry, Operation::ChangeKeys { principal: name("alice"), keys: password("two"), keep_old: false });
    let alice = find(&store, "alice").expect("there");
    assert_eq!(alice.password_expires, None);
    assert!(!alice.attributes.has(Attributes::REQUIRES_PWCHANGE));
}

#[test]
fn keys_get_the_version_number_that_is_asked_for_if_it_stays_the_highest() {
    let (store, registry) = registry();
    let five = Operation::Create { principal: name("h"), keys: random(), kvno: Some(5), settings: Settings::default() };
    done(&registry, five);
    done(&registry, Operation::ChangeKeys { principal: name("h"), keys: random(), keep_old: true });
    let number = |kvno| Operation::Modify { principal: name("h"), kvno: Some(kvno), settings: Settings::default() };
    done(&registry, number(9));
    assert_eq!(find(&store, "h").expect("there").keys[0].kvno, 9);
    assert_eq!(refused(&registry, number(5)).reason, Reason::Invalid);
    assert_eq!(refused(&registry, number(0)).reason, Reason::Invalid);
    done(&registry, number(u32::MAX));
    let change = Operation::ChangeKeys { principal: name("h"), keys: random(), keep_old: true };
    assert_eq!(refused(&registry, change).reason, Reason::Invalid);
}

#[test]
fn what_is_there_or_not_is_said_in_mits_words() {
    let (_, registry) = registry();
    done(&registry, create("alice", random()));
    assert_eq!(refused(&registry, create("alice", random())).to_string(), "Principal or policy already exists");
    for operation in [
        Operation::Describe { principal: name("bob") },
        Operation::Delete { principal: name("bob") },
        Operation::Strings { principal: name("bob") },
        Operation::Extract { principal: name("bob"), fresh: None },
        Operation::Rename { principal: name("bob"), to: name("rob") },
        Operation::Alias { alias: name("b"), principal: name("bob") },
        Operation::ChangeKeys { principal: name("bob"), keys: random(), keep_old: false },
        Operation::PurgeKeys { principal: name("bob"), keep: Keep::Newest },
        Operation::SetString { principal: name("bob"), name: "a".into(), value: None },
        Operation::Modify { principal: name("bob"), kvno: None, settings: Settings::default() },
    ] {
        let refusal = refused(&registry, operation);
        assert_eq!((refusal.reason, &*refusal.text), (Reason::Missing, "Principal does not exist"));
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (store, registry) = registry();
    let long = "x".repeat(1025);
    for operation in [
        create(&long, random()),
        create("a", NewKeys::Random(vec![KeyKind { etype: Etype(EncryptionType(4711)), salt: Salt::Normal }])),
        Operation::Create {
            principal: name("a"),
            keys: random(),
            kvno: None,
            settings: Settings { max_life: Some(-1), ..Settings::default() },
        },
    ] {
        assert_eq!(refused(&registry, operation).reason, Reason::Invalid);
    }
    assert_eq!(refused(&registry, create("a", password(""))).reason, Reason::Password);
    assert_eq!(store.list(None, 10).expect("listed"), []);
}

#[test]
fn lockdown_keeps_keys_from_leaving_and_from_being_chosen() {
    let (store, registry) = registry();
    done(&registry, create("krbtgt/R", random()));
    set(&store, "krbtgt/R", |entry| entry.attributes = Attributes::LOCKDOWN_KEYS);
    let tgs = || name("krbtgt/R");
    for operation in [
        Operation::Extract { principal: tgs(), fresh: None },
        Operation::Extract { principal: tgs(), fresh: Some(vec![]) },
        Operation::ChangeKeys { principal: tgs(), keys: password("known"), keep_old: true },
        Operation::Delete { principal: tgs() },
        Operation::Rename { principal: tgs(), to: name("mine") },
    ] {
        let refusal = refused(&registry, operation);
        assert_eq!((refusal.reason, &*refusal.text), (Reason::LockedDown, "Principal keys are locked down"));
    }
    assert_eq!(find(&store, "krbtgt/R").expect("there").keys[0].kvno, 1);
    done(&registry, Operation::ChangeKeys { principal: tgs(), keys: random(), keep_old: true });
    assert_eq!(find(&store, "krbtgt/R").expect("there").keys[0].kvno, 2);
}

#[test]
fn extracted_keys_are_those_of_the_store() {
    let (store, registry) = registry();
    done(&registry, create("host/a", random()));
    done(&registry, Operation::ChangeKeys { principal: name("host/a"), keys: random(), keep_old: true });
    let Answer::Keys { principal, keys } =
        done(&registry, Operation::Extract { principal: name("host/a"), fresh: None })
    else {
        panic!("keys")
    };
    let entry = find(&store, "host/a").expect("there");
    assert_eq!((principal, keys.len()), (name("host/a"), 4));
    for key in keys {
        let set = entry.version(key.kvno).expect("there");
        let stored = set.keys.iter().find(|stored| stored.etype() == key.etype.0).expect("there");
        assert_eq!(*key.key.octets().expect("hexadecimal"), stored.key.expose());
    }
    let fresh = Operation::Extract { principal: name("host/a"), fresh: Some(vec![]) };
    let Answer::Keys { keys, .. } = done(&registry, fresh) else { panic!("keys") };
    assert!(keys.len() == 2 && keys.iter().all(|key| key.kvno == 3));
}

#[test]
fn a_renamed_principal_keeps_keys_salts_id_and_aliases() {
    let (store, registry) = registry();
    done(&registry, create("alice", password("secret")));
    done(&registry, Operation::Alias { alias: name("al"), principal: name("alice") });
    let before = find(&store, "alice").expect("there");
    done(&registry, Operation::Rename { principal: name("alice"), to: name("alice/x") });
    assert!(find(&store, "alice").is_none());
    let after = find(&store, "al").expect("there");
    assert_eq!((after.principal.to_string(), after.id), ("alice/x@R".into(), before.id));
    assert_eq!(after.keys[0].keys[0].salt.as_deref(), Some("Ralice"));
    let Answer::Principal(shown) = done(&registry, Operation::Describe { principal: name("alice/x") }) else {
        panic!("described")
    };
    assert!(shown.keys.iter().all(|key| key.salt == Salt::Special));
    assert_eq!(refused(&registry, Operation::Rename { principal: name("al"), to: name("b") }).reason, Reason::Invalid);
    done(&registry, create("bob", random()));
    assert_eq!(refused(&registry, Operation::Rename { principal: name("bob"), to: name("al") }).reason, Reason::Exists);
    assert!(find(&store, "bob").is_some());
}

#[test]
fn an_alias_comes_and_goes_without_its_principal() {
    let (store, registry) = registry();
    done(&registry, create("host/a.b", random()));
    let alias = |alias: &str| Operation::Alias { alias: name(alias), principal: name("host/a.b") };
    done(&registry, alias("host/a"));
    assert_eq!(refused(&registry, alias("host/a")).reason, Reason::Exists);
    assert_eq!(refused(&registry, alias("host/a@S")).text, "Alias target must be within the same realm");
    done(&registry, Operation::Delete { principal: name("host/a") });
    assert!(find(&store, "host/a").is_none() && find(&store, "host/a.b").is_some());
    for number in 0..64 {
        done(&registry, alias(&format!("host/{number}")));
    }
    assert_eq!(refused(&registry, alias("host/64")).reason, Reason::Invalid);
}

#[test]
fn b10_a_name_that_repeats_the_realm_means_the_same_principal_or_alias() {
    let (store, registry) = registry();
    done(&registry, create(r"alice\@R", password("secret")));
    let alice = find(&store, "alice").expect("there");
    assert_eq!(alice.principal.to_string(), "alice@R");
    assert_eq!(alice.keys[0].keys[0].salt.as_deref(), Some("Ralice"));
    done(&registry, Operation::Alias { alias: name("al"), principal: name(r"alice\@R") });
    done(&registry, Operation::Delete { principal: name(r"al\@R") });
    assert!(find(&store, "al").is_none() && find(&store, "alice").is_some());
    done(&registry, Operation::Delete { principal: name(r"alice\@r") });
    assert!(find(&store, "alice").is_none());
}

#[test]
fn the_number_of_key_versions_is_bounded() {
    let (store, registry) = registry();
    done(&registry, create("a", random()));
    let change = || Operation::ChangeKeys { principal: name("a"), keys: random(), keep_old: true };
    for _ in 1..200 {
        done(&registry, change());
    }
    assert!(refused(&registry, change()).text.contains("purgekeys first"));
    assert_eq!(find(&store, "a").expect("there").keys.len(), 200);
    done(&registry, Operation::PurgeKeys { principal: name("a"), keep: Keep::Newest });
    done(&registry, change());
}

#[test]
fn string_attributes_are_set_shown_removed_and_bounded() {
    let (_, registry) = registry();
    done(&registry, create("a", random()));
    let text = |key: &str, value: Option<&str>| Operation::SetString {
        principal: name("a"),
        name: key.into(),
        value: value.map(str::to_owned),
    };
    let strings = || match done(&registry, Operation::Strings { principal: name("a") }) {
        Answer::Strings(strings) => strings,
        other => panic!("{other:?}"),
    };
    done(&registry, text("note", Some("x")));
    done(&registry, text("note", Some("y")));
    assert_eq!(strings(), BTreeMap::from([("note".into(), "y".into())]));
    done(&registry, text("note", None));
    done(&registry, text("note", None));
    assert!(strings().is_empty());
    assert_eq!(refused(&registry, text("", Some("x"))).reason, Reason::Invalid);
    assert_eq!(refused(&registry, text("long", Some(&"x".repeat(4096)))).reason, Reason::Invalid);
    for number in 0..64 {
        done(&registry, text(&number.to_string(), Some("x")));
    }
    assert_eq!(refused(&registry, text("65", Some("x"))).reason, Reason::Invalid);
    done(&registry, text("63", Some("other")));
}

#[test]
fn listings_are_complete_over_many_pages() {
    let (store, registry) = registry();
    let new = |n| Change::Create(Entry::new(name(&format!("user{n:04}")).0, [0; 16], now(), "x"));
    store.commit(&(0..1200).map(new).collect::<Vec<_>>()).expect("created");
    let all = |pattern: Option<&str>| {
        let (mut names, mut after) = (vec![], None);
        loop {
            let page = Operation::List { pattern: pattern.map(str::to_owned), after, limit: None };
            let Answer::Names { names: page, next } = done(&registry, page) else { panic!("names") };
            names.extend(page);
            after = match next {
                Some(next) => Some(next),
                None => return names,
            };
        }
    };
    assert_eq!(all(None).len(), 1200);
    assert_eq!(all(Some("*")).len(), 1200);
    assert_eq!(all(Some("user??99")).len(), 12);
    assert_eq!(all(Some("user1199@R")), [name("user1199")]);
    assert!(all(Some("user*@S")).is_empty());
}

#[test]
fn a_description_shows_the_bounds_that_hold() {
    let (_, registry) = registry();
    let settings = Settings { max_life: Some(3600), max_renewable_life: Some(i64::MAX), ..Settings::default() };
    done(&registry, Operation::Create { principal: name("a"), keys: NewKeys::Keyless, kvno: None, settings });
    let Answer::Principal(shown) = done(&registry, Operation::Describe { principal: name("a") }) else {
        panic!("described")
    };
    assert_eq!((shown.max_life, shown.max_renewable_life), (3600, 7 * 86_400));
    assert!(shown.keys.is_empty());
}

#[test]
fn of_concurrent_changes_none_is_lost() {
    let (store, registry) = registry();
    done(&registry, create("host/a", random()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let change = Operation::ChangeKeys { principal: name("host/a"), keys: random(), keep_old: true };
                    done(&registry, change);
                }
            });
        }
    });
    assert_eq!(find(&store, "host/a").expect("there").keys[0].kvno, 21);
}

#[test]
fn no_debug_output_shows_a_secret() {
    let (_, registry) = registry();
    let shown = format!("{:?}", create("alice", password("hunter2")));
    assert!(shown.contains("redacted") && !shown.contains("hunter2"));
    done(&registry, create("host/a", random()));
    let keys = done(&registry, Operation::Extract { principal: name("host/a"), fresh: None });
    let Answer::Keys { keys: extracted, .. } = &keys else { panic!("keys") };
    assert!(!format!("{keys:?}").contains(extracted[0].key.expose()));
}
