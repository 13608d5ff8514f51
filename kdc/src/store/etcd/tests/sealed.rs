//! Names that are sealed in etcd: nobody finds one there, and everything goes on as without.

use super::*;
use crate::core::PasswordPolicy;

/// Names of the battery and of the tests below, as they would stand there.
const NAMES: [&str; 6] = ["alice", "bob@R", "carol", "host/a.b", "strict", "admin@"];

impl Node {
    /// All that etcd keeps, as text: its log and its database, with all of their history.
    fn kept(&self) -> String {
        fn read(folder: &Path, text: &mut String) {
            for file in std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()) {
                match file.is_dir() {
                    true => read(&file, text),
                    false => text.push_str(&String::from_utf8_lossy(&std::fs::read(&file).expect("readable"))),
                }
            }
        }
        let mut text = String::new();
        read(self.data.path(), &mut text);
        text
    }

    fn sealing(&self, prefix: &str) -> Shared {
        Shared::of(Options { seal_names: true, ..self.options(prefix) })
    }
}

impl Shared {
    /// What differs between a copy and etcd.
    fn differences(&self, kdc: &Etcd) -> Vec<String> {
        let export = kdc.export().expect("readable");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let master = self.master();
        let compared = compare(&self.options, &master, kdc.revision(), export.records);
        runtime.block_on(compared).expect("compared").differences
    }
}

#[test]
fn every_test_of_stores_holds_with_sealed_names_and_etcd_has_none_of_them() {
    let Some(node) = Node::start() else { return };
    for (number, (test, hold)) in battery::EVERY.iter().enumerate() {
        tell(test);
        let shared = node.sealing(&format!("/battery/{number}"));
        let kdc = shared.open("copy");
        hold(&kdc);
        assert_eq!(shared.differences(&kdc), [""; 0], "{test}");
    }
    let kept = node.kept();
    assert_eq!(NAMES.map(|name| kept.contains(name)), [false; NAMES.len()]);
    // Who looks in the same way finds those of a realm that seals none.
    Shared::made(&node, "/kdc/R").open("copy").create(entry("alice"));
    assert!(node.kept().contains("alice"));
}

#[test]
fn whoever_is_removed_is_gone_on_every_copy_also_where_only_a_hash_of_him_vanished() {
    let Some(node) = Node::start() else { return };
    let shared = node.sealing("/kdc/R");
    let (one, two) = (shared.open("one"), shared.open("two"));
    let same = |other: &Etcd| {
        other.await_all_of(&one);
        assert_eq!(shared.differences(other), [""; 0]);
        assert_eq!(other.list(None, 100).expect("readable"), one.list(None, 100).expect("readable"));
        assert_eq!(other.policies(), one.policies());
    };
    let policy = |name| Change::PutPolicy(PasswordPolicy::new(name));
    one.commit(&[policy("strict"), policy("lax"), Change::Create(with_aliases("alice", &["al"]))]).expect("made");
    for user in ["bob", "carol", "dave"] {
        one.create(entry(user));
    }
    same(&two);
    let changes = [
        Change::Delete(name("alice")),
        Change::DeletePolicy("lax".into()),
        Change::Create(with_aliases("erin", &["al"])),
    ];
    one.commit(&changes).expect("made");
    same(&two);
    assert_eq!(two.find("al").expect("found").principal, name("erin"));
    // One that was away hears of it later, or reads all there is.
    for (whom, thrown_away) in [("bob", false), ("carol", true)] {
        drop(shared.open("three"));
        one.commit(&[Change::Delete(name(whom))]).expect("made");
        if thrown_away {
            node.ctl(&["compact", &one.revision().to_string()]);
        }
        same(&shared.open("three"));
    }
    // What somebody removes past the KDCs is found gone too.
    let key = String::from_utf8(one.changer.layout.place(&Row::Principal("dave@R".into())).expect("known"));
    let mut applied = two.changer.progress.applied();
    let _ = applied.borrow_and_update();
    node.ctl(&["del", &key.expect("text")]);
    two.wait(async move { drop(applied.changed().await) });
    assert!(two.find("dave").is_none() && two.find("erin").is_some());
    one.create(entry("frank"));
    same(&two);
    // And what stands there under another's key does not count.
    let [frank, erin] = ["frank@R", "erin@R"].map(|name| one.changer.layout.place(&Row::Principal(name.into())));
    let (client, erin) = (Arc::clone(&one.changer.client), erin.expect("known"));
    one.wait(async move {
        let ask = wire::RangeRequest { key: frank.expect("known"), ..wire::RangeRequest::default() };
        let stolen = client.range(ask, PATIENCE).await.expect("there").kvs.remove(0).value;
        let success = vec![layout::put(erin, stolen)];
        client.txn(wire::TxnRequest { success, ..wire::TxnRequest::default() }, PATIENCE).await.expect("put");
    });
    one.create(entry("grace"));
    two.await_all_of(&one);
    assert!(two.find("erin").is_some() && two.find("frank").is_some());
    assert_eq!(shared.differences(&two), ["erin@R is not in etcd"]);
}

#[test]
fn names_stay_sealed_through_a_roll_over_of_the_master_key_a_fence_and_a_start_without_etcd() {
    let Some(mut node) = Node::start() else { return };
    let shared = node.sealing("/kdc/R");
    let one = shared.open("one");
    one.create(entry("alice"));
    assert_eq!(one.rolled_over(), (2, vec![1]));
    assert_eq!(shared.master().versions(), [2], "the old version is nowhere any more");
    let two = shared.open("two");
    assert!(two.find("alice").is_some());
    two.create(entry("bob"));
    drop(two);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let head = one.changer.progress.applied().borrow().head;
    runtime.block_on(fence(&shared.options, 0)).expect("fenced");
    let mut applied = one.changer.progress.applied();
    one.wait(async move { drop(applied.wait_for(|applied| applied.head != head).await) });
    one.create(entry("carol"));
    drop(one);
    node.kill();
    let one = shared.open("one");
    assert!(one.find("bob").is_some());
    node.restart();
    one.await_quorum();
    // The first that it can do is done as it is to be done here.
    let begun = std::time::Instant::now();
    while let Err(error) = one.commit(&[Change::Create(entry("dave"))]) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{error}");
    }
    assert_eq!(shared.differences(&one), [""; 0]);
    let kept = node.kept();
    assert!(["alice", "bob@R", "carol", "dave"].iter().all(|name| !kept.contains(name)));
}

#[test]
fn a_kdc_whose_settings_differ_from_the_realm_does_not_start_and_one_that_runs_follows_no_more() {
    let Some(node) = Node::start() else { return };
    let shared = node.sealing("/kdc/R");
    let other = Options { seal_names: false, ..shared.options.clone() };
    let open = |options, file| Etcd::open(options, &shared.path(file), "R", shared.master(), KEPT);
    let error = open(other.clone(), "x").err().expect("differs").to_string();
    assert!(error.contains("put `seal_names = true`"), "{error}");
    let one = shared.open("one");
    one.create(entry("alice"));
    drop(one);
    // From a copy the realm is put there anew, with its names in clear.
    let detached = Redb::open(&shared.path("one"), shared.master()).expect("opens");
    detached.become_copy(false).expect("detached");
    let two = shared.open("two");
    node.ctl(&["del", "--prefix", "/kdc/R/"]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(publish(&other, &detached)).expect("published");
    drop(detached);
    let progress = Arc::clone(&two.changer.progress);
    two.wait(async move { progress.cannot_change("`seal_names` in kdc.toml is on").await });
    assert!(matches!(two.commit(&[Change::Create(entry("bob"))]), Err(StoreError::ReadOnly(_))));
    assert!(two.find("alice").is_some(), "tickets go on");
    let error = open(shared.options.clone(), "y").err().expect("differs").to_string();
    assert!(error.contains("are in clear"), "{error}");
    assert!(open(other, "y").expect("opens").find("alice").is_some());
}
