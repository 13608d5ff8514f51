//! The bulk door: what comes through it is what a commit would have made, and all of it or nothing.

use super::*;
use crate::core::{Change, PasswordPolicy, Store};

fn put(store: &Redb, entries: &[Entry], existing: Existing) -> Result<Vec<Put>, StoreError> {
    let revision = store.next_revision()?;
    store.bulk(revision, |bulk| entries.iter().map(|entry| bulk.put(&store.seal(entry, revision)?, existing)).collect())
}

fn found(store: &Redb, text: &str) -> Option<String> {
    store.lookup(&name(text)).expect("readable").map(|entry| entry.principal.to_string())
}

#[test]
fn what_is_put_is_found_by_name_and_alias_and_changed_by_a_commit_afterwards() {
    let (dir, store) = redb();
    let put = put(&store, &[with_aliases("b", &["c"]), entry("a")], Existing::Refuse);
    assert_eq!(put, Ok(vec![Put::Added, Put::Added]));
    drop(store);
    let mut store = reopen(&dir).expect("opens");
    assert_eq!(store.verify(), Ok(2));
    assert_eq!(found(&store, "c").as_deref(), Some("b@R"));
    let b = (*store.lookup(&name("b")).expect("readable").expect("there")).clone();
    assert_eq!(b.revision, 1);
    assert_eq!(b.keys[0].keys.len(), 2);
    store.commit(&[Change::Replace(Entry { aliases: vec![], ..b })]).expect("committed");
    assert_eq!(found(&store, "c"), None);
    assert_eq!(store.next_revision(), Ok(3));
}

#[test]
fn of_a_filling_that_fails_nothing_stays() {
    let (_dir, store) = redb();
    assert_eq!(put(&store, &[entry("a"), entry("a")], Existing::Keep), Err(StoreError::Exists(name("a"))));
    assert_eq!(put(&store, &[entry("a"), entry("a")], Existing::Replace), Err(StoreError::Exists(name("a"))));
    assert_eq!(found(&store, "a"), None);
    assert_eq!(store.next_revision(), Ok(1));
}

#[test]
fn names_and_aliases_are_taken_here_as_in_a_commit() {
    let (_dir, store) = redb();
    let cases = [
        (entry("a"), with_aliases("b", &["a"]), Some("a")),
        (with_aliases("b", &["a"]), entry("a"), Some("a")),
        (entry("a"), with_aliases("b", &["A"]), Some("A")),
        (entry("a"), entry("A"), None),
        (with_aliases("a", &["x"]), with_aliases("b", &["y"]), None),
    ];
    for (first, second, taken) in cases {
        let committed = Memory::new().commit(&[first.clone(), second.clone()].map(Change::Create));
        let failed = store.bulk(store.next_revision().expect("readable"), |bulk| {
            let [first, second] = [&first, &second].map(|entry| store.seal(entry, 1).expect("sealed"));
            bulk.put(&first, Existing::Refuse)?;
            bulk.put(&second, Existing::Refuse)?;
            Err::<(), _>(StoreError::Storage("enough".into()))
        });
        let taken = taken.map(|text| StoreError::Exists(name(text)));
        assert_eq!(committed.err(), taken);
        assert_eq!(failed, Err(taken.unwrap_or(StoreError::Storage("enough".into()))));
    }
}

#[test]
fn one_that_is_there_stays_or_gives_way_with_all_its_names() {
    let (_dir, store) = redb();
    store.commit(&[Change::Create(with_aliases("a", &["old"]))]).expect("committed");
    assert_eq!(put(&store, &[entry("a")], Existing::Refuse), Err(StoreError::Exists(name("a"))));
    assert_eq!(put(&store, &[entry("a"), entry("b")], Existing::Keep), Ok(vec![Put::Kept, Put::Added]));
    assert_eq!(found(&store, "old").as_deref(), Some("a@R"));
    assert_eq!(put(&store, &[with_aliases("a", &["new"])], Existing::Replace), Ok(vec![Put::Replaced]));
    assert_eq!((found(&store, "old"), found(&store, "new").as_deref()), (None, Some("a@R")));
}

#[test]
fn policies_come_by_the_same_rules() {
    let (_dir, store) = redb();
    let policy = PasswordPolicy { min_length: 9, ..PasswordPolicy::new("p") };
    let put = |policy: &PasswordPolicy, existing| {
        store.bulk(store.next_revision()?, |bulk| bulk.put_policy(policy, existing))
    };
    assert_eq!(put(&policy, Existing::Refuse), Ok(Put::Added));
    assert_eq!(put(&policy, Existing::Refuse), Err(StoreError::PolicyExists("p".into())));
    let other = PasswordPolicy { min_length: 1, ..policy };
    let length = || store.policy("p").expect("readable").expect("there").min_length;
    assert_eq!((put(&other, Existing::Keep), length()), (Ok(Put::Kept), 9));
    assert_eq!((put(&other, Existing::Replace), length()), (Ok(Put::Replaced), 1));
}
