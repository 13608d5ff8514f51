use libkrb::{Principal, Time};

use super::super::{Audit, Observer};
use super::*;

fn entry(name: &str, strings: &[(String, String)]) -> Arc<Entry> {
    let principal = Principal::new(Default::default(), "R", [name]).expect("a name");
    let mut entry = Entry::new(principal, [0; 16], Time::EPOCH, "root/admin@R");
    entry.strings = strings.iter().cloned().collect();
    Arc::new(entry)
}

fn modified(before: &[(String, String)], after: &[(String, String)]) -> Changed {
    Changed::Principal { before: Some(entry("alice", before)), after: Some(entry("alice", after)) }
}

fn called<'a>(operation: &'static str, subject: &'a str, changes: &'a [Changed]) -> Called<'a> {
    let (at, took) = (Instant::from_micros(0), Duration::ZERO);
    Called { at, by: "root/admin@R", from: "socket", operation, subject: Some(subject), refusal: None, changes, took }
}

/// The line that the audit has of a call, and how long it is.
fn line(called: &Called<'_>) -> (Value, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit");
    Observer::new(Some(Audit::open(&path).expect("a file"))).changed(called);
    let text = std::fs::read_to_string(&path).expect("a file");
    let line = text.lines().last().expect("a line");
    (serde_json::from_str(line).expect("JSON"), line.len())
}

fn pair(name: impl Into<String>, value: impl Into<String>) -> (String, String) {
    (name.into(), value.into())
}

#[test]
fn of_string_attributes_only_those_that_differ_are_told() {
    let before = [pair("same", "1"), pair("gone", "2"), pair("other", "3")];
    let after = [pair("same", "1"), pair("other", "4"), pair("new", "5")];
    let (line, _) = line(&called("set_string", "alice@R", &[modified(&before, &after)]));
    let expected = json!([{
        "principal": "alice@R",
        "before": { "strings": { "gone": "2", "other": "3" } },
        "after": { "strings": { "other": "4", "new": "5" } },
    }]);
    assert_eq!((&line["changes"], line.get("cut")), (&expected, None));
}

#[test]
fn names_of_string_attributes_are_clipped_like_their_values_and_stay_apart() {
    let long = "n".repeat(5_000);
    let after = [pair(format!("{long}1"), long.clone()), pair(format!("{long}2"), "v")];
    let (line, length) = line(&called("set_string", "alice@R", &[modified(&[], &after)]));
    let strings = line["changes"][0]["after"]["strings"].as_object().expect("strings");
    assert_eq!(strings.len(), 2);
    assert!(
        strings.keys().all(|name| name.chars().count() <= 514 && name.ends_with('…')) && length < 4_096,
        "{length}"
    );
}

#[test]
fn a_change_of_what_is_clipped_is_told_all_the_same() {
    let long = "v".repeat(5_000);
    let change = modified(&[pair("a", format!("{long}1"))], &[pair("a", format!("{long}2"))]);
    let (line, _) = line(&called("set_string", "alice@R", &[change]));
    assert!(line["changes"][0]["after"]["strings"]["a"].as_str().is_some_and(|value| value.ends_with('…')), "{line}");
}

#[test]
fn no_change_makes_a_line_longer_than_64_kib_and_the_line_says_what_is_cut() {
    let odd = "\u{1}".repeat(600);
    let many = (0..64).map(|number| pair(format!("{number}{odd}"), odd.clone())).collect::<Vec<_>>();
    let (one, length) = line(&called("modify", "alice@R", &[modified(&[], &many)]));
    assert!(length <= 64 << 10, "{length}");
    assert_eq!(one["cut"], json!({ "subject": false, "shortened": 1, "left_out": 0 }));
    let expected = json!([{ "principal": "alice@R", "before": { "strings": {} }, "after": { "strings": "…" } }]);
    assert_eq!(one["changes"], expected);

    let created = |number| Changed::Principal { before: None, after: Some(entry(&format!("p{number}{odd}"), &[])) };
    let changes = (0..500).map(created).collect::<Vec<_>>();
    let (all, length) = line(&called("batch", "create p0, and so on", &changes));
    let told = all["changes"].as_array().expect("changes").len();
    assert!(length <= 64 << 10 && told > 5, "{length}, {told}");
    assert_eq!(all["cut"]["left_out"], 500 - told);
}

#[test]
fn a_batch_names_all_its_operations_as_far_as_a_line_has_room() {
    let each = |count| (0..count).map(|number| format!("create p{number}@R")).collect::<Vec<_>>().join(", ");
    let (whole, _) = line(&called("batch", &each(500), &[]));
    assert_eq!((whole["subject"].as_str(), whole.get("cut")), (Some(&*each(500)), None));
    let (part, length) = line(&called("batch", &format!("\"\\\u{1}{}", each(50_000)), &[]));
    assert!(length <= 64 << 10 && part["subject"].as_str().is_some_and(|it| it.ends_with('…')), "{length}");
    assert_eq!(part["cut"], json!({ "subject": true, "shortened": 0, "left_out": 0 }));
    let (other, length) = line(&called("list", &each(500), &[]));
    assert!(length < 2_048 && other["subject"].as_str().is_some_and(|it| it.ends_with('…')), "only a batch: {length}");
}
