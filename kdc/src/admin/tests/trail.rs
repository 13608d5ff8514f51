use serde_json::{Value, json};

use super::*;
use crate::observe::{Audit, Observer};

/// What the audit says of an operation, but for when.
fn lines(operations: Vec<Operation>) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("audit");
    let observer = Arc::new(Observer::new(Some(Audit::open(&file).expect("a file"))));
    let (_, registry) = registry();
    let registry = (*registry).clone().told_to(observer);
    let caller = Caller::login("root", "R", Door::Socket);
    for operation in operations {
        let _ = registry.perform(&caller, operation);
    }
    let text = std::fs::read_to_string(&file).expect("a file");
    assert!(!text.contains("correct horse"), "{text}");
    let line = |line| serde_json::from_str::<Value>(line).expect("JSON");
    text.lines().map(line).filter(|line| line["operation"] != Value::Null).collect()
}

#[test]
fn every_call_is_told_with_who_from_where_what_before_and_after() {
    let modify = Settings { expires: Some(1_800_000_000), ..Settings::default() };
    let lines = lines(vec![
        create("alice", password("correct horse")),
        Operation::Modify { principal: name("alice"), kvno: None, settings: modify },
        Operation::Delete { principal: name("alice") },
    ]);
    let [created, modified, deleted] = &lines[..] else { panic!("{lines:?}") };
    for (line, operation) in [(created, "create"), (modified, "modify"), (deleted, "delete")] {
        assert_eq!(line["operation"], operation);
        assert_eq!((&line["by"], &line["from"]), (&json!("root/admin@R"), &json!("socket")));
        assert_eq!((&line["subject"], &line["outcome"]), (&json!("alice@R"), &json!("done")));
    }
    assert_eq!(created["changes"][0]["before"], Value::Null);
    assert_eq!(created["changes"][0]["after"]["keys"], json!(["1: aes256-cts-hmac-sha1-96,aes128-cts-hmac-sha1-96"]));
    let expected = json!([{ "principal": "alice@R", "before": { "expires": null }, "after": { "expires": "2027-01-15T08:00:00Z" } }]);
    assert_eq!(modified["changes"], expected);
    assert_eq!(deleted["changes"][0]["after"], Value::Null);
    assert_eq!(deleted["changes"][0]["before"]["expires"], "2027-01-15T08:00:00Z");
}

#[test]
fn what_is_refused_is_told_with_the_reason_and_no_change() {
    let lines = lines(vec![Operation::PurgeKeys { principal: name("nobody"), keep: Keep::Newest }]);
    assert_eq!((&lines[0]["outcome"], &lines[0]["cause"]), (&json!("missing"), &json!("Principal does not exist")));
    assert_eq!(lines[0].get("changes"), None);
}

#[test]
fn names_are_those_of_the_json() {
    for operation in [
        create("alice", password("x")),
        Operation::PurgeKeys { principal: name("alice"), keep: Keep::Newest },
        Operation::List { pattern: None, after: None, limit: None },
    ] {
        let json = serde_json::to_value(&operation).expect("JSON");
        assert_eq!(json.as_object().and_then(|it| it.keys().next()).map(String::as_str), Some(operation.name()));
    }
    assert_eq!(serde_json::to_value(Reason::LockedDown).expect("JSON"), Reason::LockedDown.name());
}
