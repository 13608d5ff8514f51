use std::net::SocketAddr;

use super::*;
use crate::admin::tokens::{NewToken, OtpAlgorithm};
use crate::core::Change;

fn guarded(kadm5: &str) -> (Arc<Memory>, Registry) {
    let (store, _) = registry();
    let keys = KeyRules { etypes: vec![EncryptionType::AES128_SHA1], iterations: None };
    let registry = Registry::new(Arc::clone(&store) as Arc<dyn Store>, Policy::new("R"), keys);
    (store, registry.with_acl(Acl::parse_kadm5("R", kadm5).expect(kadm5)))
}

fn caller(text: &str) -> Caller {
    Caller::principal(name(text).0, Door::Https(SocketAddr::from(([192, 0, 2, 1], 4711))), true)
}

fn token() -> NewToken {
    NewToken {
        name: "phone".into(),
        secret: Secret::hex(&[7; 20]),
        period: 0,
        algorithm: OtpAlgorithm::Sha1,
        digits: 6,
        with_password: false,
        indicators: vec![],
    }
}

/// One of each operation, with the letters of kadm5.acl that allow it.
fn each() -> Vec<(&'static str, Operation)> {
    let (x, y) = (|| name("x"), || name("y"));
    vec![
        ("a", create("new", random())),
        ("m", Operation::Modify { principal: x(), kvno: None, settings: Settings::default() }),
        ("c", Operation::ChangeKeys { principal: x(), keys: random(), keep_old: true }),
        ("c", Operation::ChangeKeys { principal: x(), keys: password("secret"), keep_old: false }),
        ("c", Operation::Extract { principal: x(), fresh: Some(vec![]) }),
        ("e", Operation::Extract { principal: x(), fresh: None }),
        ("m", Operation::PurgeKeys { principal: x(), keep: Keep::Newest }),
        ("m", Operation::SetString { principal: x(), name: "a".into(), value: Some("b".into()) }),
        ("c", Operation::AddToken { principal: x(), token: token() }),
        ("c", Operation::DeleteToken { principal: x(), name: "phone".into() }),
        ("i", Operation::Strings { principal: x() }),
        ("i", Operation::Describe { principal: x() }),
        ("l", Operation::List { pattern: None, after: None, limit: None }),
        ("am", Operation::Alias { alias: name("z"), principal: x() }),
        ("ad", Operation::Rename { principal: x(), to: y() }),
        ("d", Operation::Delete { principal: y() }),
        ("a", Operation::CreatePolicy { name: "p".into(), rules: PolicyRules::default() }),
        ("m", Operation::ModifyPolicy { name: "p".into(), rules: PolicyRules::default() }),
        ("i", Operation::DescribePolicy { name: "p".into() }),
        ("l", Operation::ListPolicies { pattern: None }),
        ("d", Operation::DeletePolicy { name: "p".into() }),
        ("a", Operation::Ensure { principal: name("e"), keys: random(), kvno: None, settings: Settings::default() }),
        ("d", Operation::Batch { operations: vec![Operation::Delete { principal: name("e") }] }),
    ]
}

#[test]
fn each_operation_is_performed_for_who_has_its_rights_and_refused_without_any_one_of_them() {
    let (store, all) = guarded("a/admin *e\n");
    all.perform(&root(), create("x", random())).expect("made");
    let state = || format!("{:?} {:?} {:?}", find(&store, "x"), find(&store, "y"), store.policy("p"));
    for (letters, operation) in each() {
        for missing in letters.chars() {
            let acl = format!("a/admin *e{}\n", missing.to_ascii_uppercase());
            let policy = Registry::new(Arc::clone(&store) as Arc<dyn Store>, Policy::new("R"), KeyRules::default());
            let without = policy.with_acl(Acl::parse_kadm5("R", &acl).expect("read"));
            let before = state();
            let refusal = without.perform(&caller("a/admin"), operation.clone()).expect_err("refused");
            assert_eq!(refusal.reason, Reason::Denied, "{operation:?}");
            assert!(refusal.text.contains("Operation requires ``"), "{refusal}");
            let stranger = all.perform(&caller("stranger"), operation.clone()).expect_err("refused");
            assert_eq!((stranger.reason, before), (Reason::Denied, state()), "{operation:?}");
        }
        all.perform(&caller("a/admin"), operation.clone()).unwrap_or_else(|refusal| panic!("{operation:?}: {refusal}"));
    }
}

#[test]
fn a_change_is_recorded_under_the_callers_own_name() {
    let (store, registry) = guarded("a/admin@S *\n");
    registry.perform(&caller("a/admin@S"), create("x", random())).expect("made");
    assert_eq!(find(&store, "x").expect("there").modified_by, "a/admin@S");
}

#[test]
fn an_alias_gives_no_right_over_whom_it_names() {
    let (store, registry) = guarded("helper/admin * joe\nhelper/admin * j*\n".replace("j*", "jim").as_str());
    registry.perform(&root(), create("boss/admin", password("secret"))).expect("made");
    registry.perform(&root(), Operation::Alias { alias: name("joe"), principal: name("boss/admin") }).expect("named");
    let before = find(&store, "boss/admin").expect("there").revision;
    for operation in [
        Operation::ChangeKeys { principal: name("joe"), keys: password("mine"), keep_old: false },
        Operation::Describe { principal: name("joe") },
        Operation::Delete { principal: name("joe") },
        Operation::Alias { alias: name("jim"), principal: name("boss/admin") },
        Operation::Alias { alias: name("jim"), principal: name("joe") },
    ] {
        let refusal = registry.perform(&caller("helper/admin"), operation.clone()).expect_err("refused");
        assert_eq!(refusal.reason, Reason::Denied, "{operation:?}");
    }
    assert_eq!(find(&store, "boss/admin").expect("there").revision, before);
}

#[test]
fn who_has_one_name_out_of_reach_is_out_of_reach() {
    let (store, registry) = guarded("helper/admin c alice\n");
    registry.perform(&root(), create("alice", password("secret"))).expect("made");
    let change = || Operation::ChangeKeys { principal: name("alice"), keys: password("mine"), keep_old: false };
    registry.perform(&caller("helper/admin"), change()).expect("in reach");
    let alias = Operation::Alias { alias: name("alice/admin"), principal: name("alice") };
    registry.perform(&root(), alias).expect("named");
    let before = find(&store, "alice").expect("there").revision;
    assert_eq!(registry.perform(&caller("helper/admin"), change()).expect_err("refused").reason, Reason::Denied);
    assert_eq!(find(&store, "alice").expect("there").revision, before);
}

#[test]
fn from_afar_nobody_sees_sets_or_removes_the_keys_of_the_realms_own_services() {
    let (store, registry) = guarded("a/admin *e\n");
    let acl = registry.acl().clone().guarding(vec![name("HTTP/kdc").0]);
    let registry = registry.with_acl(acl);
    for vital in ["kadmin/changepw", "HTTP/kdc"] {
        registry.perform(&root(), create(vital, random())).expect("made");
        let before = find(&store, vital).expect("there").revision;
        for operation in [
            Operation::Extract { principal: name(vital), fresh: None },
            Operation::Extract { principal: name(vital), fresh: Some(vec![]) },
            Operation::AddToken { principal: name(vital), token: token() },
            Operation::ChangeKeys { principal: name(vital), keys: password("mine"), keep_old: false },
            Operation::ChangeKeys { principal: name(vital), keys: NewKeys::Keyless, keep_old: false },
            Operation::Delete { principal: name(vital) },
            Operation::Rename { principal: name(vital), to: name("y") },
            Operation::PurgeKeys { principal: name(vital), keep: Keep::Nothing },
        ] {
            let refusal = registry.perform(&caller("a/admin"), operation.clone()).expect_err("refused");
            assert_eq!(refusal.reason, Reason::LockedDown, "{operation:?}");
        }
        assert_eq!(find(&store, vital).expect("there").revision, before);
        let turn = Operation::ChangeKeys { principal: name(vital), keys: random(), keep_old: true };
        registry.perform(&caller("a/admin"), turn).expect("turned over");
        registry.perform(&root(), Operation::Extract { principal: name(vital), fresh: None }).expect("root may");
    }
}

#[test]
fn whether_somebody_exists_is_not_told_to_who_may_not_ask() {
    let (_, registry) = guarded("");
    registry.perform(&root(), create("there", random())).expect("made");
    let ask = |text| registry.perform(&caller("stranger"), Operation::Describe { principal: name(text) });
    assert_eq!(ask("there"), ask("missing"));
}

#[test]
fn everybody_sees_and_changes_their_own_and_only_with_a_fresh_proof() {
    let (store, registry) = guarded("");
    registry.perform(&root(), create("alice", password("old"))).expect("made");
    let change = || Operation::ChangeKeys { principal: name("alice"), keys: password("new"), keep_old: false };
    let late = Caller { authority: Authority::Acl { initial: false }, ..caller("alice") };
    let refusal = registry.perform(&late, change()).expect_err("refused");
    assert_eq!((refusal.reason, &*refusal.text), (Reason::Denied, "Operation requires initial ticket"));
    registry.perform(&caller("alice"), change()).expect("changed");
    assert_eq!(find(&store, "alice").expect("there").keys[0].kvno, 2);
    registry.perform(&late, Operation::Describe { principal: name("alice") }).expect("told");
    registry.perform(&late, Operation::Extract { principal: name("alice"), fresh: None }).expect_err("refused");
}

#[test]
fn a_rules_bounds_are_imposed_on_what_it_lets_make_and_nothing_gets_around_them() {
    let (store, registry) = guarded("a/admin * * -maxlife 1h -allow_svr\n");
    let ask = |operation| registry.perform(&caller("a/admin"), operation);
    ask(create("x", random())).expect("made");
    let x = find(&store, "x").expect("there");
    assert_eq!((x.max_life, x.attributes.has(Attributes::DISALLOW_SVR)), (Some(3600), true));
    let settings = Settings { max_life: Some(0), clear: Attributes::DISALLOW_SVR.0, ..Settings::default() };
    ask(Operation::Modify { principal: name("x"), kvno: None, settings }).expect("changed");
    let x = find(&store, "x").expect("there");
    assert_eq!((x.max_life, x.attributes.has(Attributes::DISALLOW_SVR)), (Some(3600), true));
    registry.perform(&root(), create("free", random())).expect("made");
    for around in [
        Operation::Rename { principal: name("free"), to: name("y") },
        Operation::Alias { alias: name("y"), principal: name("free") },
    ] {
        assert_eq!(ask(around).expect_err("refused").reason, Reason::Denied);
    }
    ask(Operation::ChangeKeys { principal: name("free"), keys: random(), keep_old: false })
        .expect("bounds say nothing");
}

#[test]
fn a_batch_gives_no_right_that_its_operations_do_not_have_one_by_one() {
    let (store, registry) = guarded("helper/admin am\n");
    registry.perform(&root(), create("boss/admin", password("secret"))).expect("made");
    let before = find(&store, "boss/admin").expect("there").revision;
    let ask = |operations| registry.perform(&caller("helper/admin"), Operation::Batch { operations });
    let alias = || Operation::Alias { alias: name("joe"), principal: name("boss/admin") };
    let through = Operation::ChangeKeys { principal: name("joe"), keys: password("mine"), keep_old: false };
    assert_eq!(ask(vec![alias(), through]).expect_err("refused").reason, Reason::Denied);
    assert_eq!(find(&store, "boss/admin").expect("there").revision, before);
    ask(vec![alias(), create("new", random())]).expect("both are allowed");
    let guarded = Operation::Guarded { revision: 0, operation: Box::new(Operation::Delete { principal: name("new") }) };
    assert_eq!(registry.perform(&caller("helper/admin"), guarded).expect_err("refused").reason, Reason::Denied);
}

#[test]
fn everybody_sees_the_rules_for_their_own_password_and_no_others() {
    let (_, registry) = guarded("");
    for policy in ["staff", "guests"] {
        registry
            .perform(&root(), Operation::CreatePolicy { name: policy.into(), rules: Default::default() })
            .expect("made");
    }
    let settings = Settings { policy: Some("staff".into()), ..Settings::default() };
    registry
        .perform(&root(), Operation::Create { principal: name("alice"), keys: NewKeys::Keyless, kvno: None, settings })
        .expect("made");
    let ask = |policy: &str| registry.perform(&caller("alice"), Operation::DescribePolicy { name: policy.into() });
    assert!(ask("staff").is_ok());
    assert_eq!(ask("guests").expect_err("refused").reason, Reason::Denied);
    assert_eq!(ask("guests"), ask("none"));
}

#[test]
fn lockdown_beats_every_right() {
    let (store, registry) = guarded("a/admin *e\n");
    let lock = Settings { set: Attributes::LOCKDOWN_KEYS.0, ..Settings::default() };
    registry.perform(&root(), create("x", random())).expect("made");
    let ask = |operation| registry.perform(&caller("a/admin"), operation);
    ask(Operation::Modify { principal: name("x"), kvno: None, settings: lock }).expect("everybody may lock");
    let locked = find(&store, "x").expect("there");
    let unlock = Settings { clear: Attributes::LOCKDOWN_KEYS.0, ..Settings::default() };
    for operation in [
        Operation::Extract { principal: name("x"), fresh: None },
        Operation::Extract { principal: name("x"), fresh: Some(vec![]) },
        Operation::ChangeKeys { principal: name("x"), keys: password("mine"), keep_old: false },
        Operation::ChangeKeys { principal: name("x"), keys: NewKeys::Keyless, keep_old: false },
        Operation::Delete { principal: name("x") },
        Operation::Rename { principal: name("x"), to: name("y") },
        Operation::Modify { principal: name("x"), kvno: None, settings: unlock.clone() },
    ] {
        assert_eq!(ask(operation.clone()).expect_err("refused").reason, Reason::LockedDown, "{operation:?}");
    }
    assert_eq!(find(&store, "x").expect("there").revision, locked.revision);
    registry
        .perform(&root(), Operation::Modify { principal: name("x"), kvno: None, settings: unlock })
        .expect("root may");
    assert!(!find(&store, "x").expect("there").attributes.has(Attributes::LOCKDOWN_KEYS));
    store.commit(&[Change::Delete(name("x").0)]).expect("gone");
}

#[test]
fn a_policy_that_a_row_imposes_is_that_of_whom_its_caller_makes() {
    let (store, registry) = guarded("a/admin a * -policy staff\nb/admin a * -clearpolicy\n");
    let rules = PolicyRules { min_length: Some(8), ..PolicyRules::default() };
    for name in ["staff", "default"] {
        registry.perform(&root(), Operation::CreatePolicy { name: name.into(), rules: rules.clone() }).expect("made");
    }
    let make = |who, text: &str, policy: Option<&str>| {
        let settings = Settings { policy: policy.map(str::to_owned), ..Settings::default() };
        let wish = Operation::Create { principal: name(text), keys: password("long enough"), kvno: None, settings };
        registry.perform(&caller(who), wish).expect("made");
        find(&store, text).expect("there").policy.clone()
    };
    assert_eq!(make("a/admin", "one", None).as_deref(), Some("staff"));
    assert_eq!(make("a/admin", "two", Some("")).as_deref(), Some("staff"));
    assert_eq!(make("b/admin", "three", None), None);
    let short = registry.perform(&caller("a/admin"), create("four", password("short"))).expect_err("refused");
    assert_eq!(short.reason, Reason::Password);
}

#[test]
fn who_may_not_any_more_hears_nothing_of_what_was_answered() {
    let (store, registry) = guarded("a/admin *\n");
    registry.perform(&root(), create("x", random())).expect("made");
    let operation = Operation::Extract { principal: name("x"), fresh: Some(vec![]) };
    let once = Operation::Once { request: "1".into(), operation: Box::new(operation) };
    let keys = registry.perform(&caller("a/admin"), once.clone()).expect("made");
    assert_eq!(registry.perform(&caller("a/admin"), once.clone()), Ok(keys));
    let list = Acl::parse_kadm5("R", "a/admin l\n").expect("read");
    let without = Registry::new(store as Arc<dyn Store>, Policy::new("R"), KeyRules::default()).with_acl(list);
    assert_eq!(without.perform(&caller("a/admin"), once).expect_err("may not").reason, Reason::Denied);
}

#[test]
fn nobody_has_what_he_reads_kept_with_the_answer_to_a_change() {
    let (store, registry) = guarded("");
    registry.perform(&root(), create("mallory", random())).expect("made");
    let change = Operation::PurgeKeys { principal: name("mallory"), keep: Keep::Newest };
    let read = Operation::Describe { principal: name("mallory") };
    let once = |request: &str, rest: &Operation| {
        let operations = std::iter::once(&change).chain([rest; 499]).cloned().collect();
        let operation = Box::new(Operation::Batch { operations });
        registry.perform(&caller("mallory"), Operation::Once { request: request.into(), operation })
    };
    let before = find(&store, "mallory").expect("there").revision;
    assert_eq!(once("1", &read).expect_err("half a megabyte to be kept").reason, Reason::Invalid);
    assert_eq!(find(&store, "mallory").expect("there").revision, before);
    once("2", &change).expect("nothing but changes");
}
