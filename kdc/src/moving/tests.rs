//! Dumps and loads of our own, without a daemon; with one, see `tests/daemon`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libkrb::{Principal, Time};

use super::{dump, load};
use crate::admin::{Answer, Caller, Door, KeyRules, Operation, Reason, Registry};
use crate::config::{self, Config};
use crate::core::attempts::{Ledger, Record};
use crate::core::{Change, Entry, PasswordPolicy, Policy, Store};
use crate::init::init;
use crate::store::{MasterKey, Redb};

struct Realm {
    dir: tempfile::TempDir,
    config: Config,
}

impl Realm {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let files = init("R", &dir.path().join("r"), &["127.0.0.1:88".parse().expect("an address")]).expect("a realm");
        Realm { config: config::load(&files.config).expect("sound"), dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self) -> Redb {
        let master = MasterKey::load(&self.config.master_key).expect("a key");
        Redb::open(&self.config.store.file, master).expect("opens")
    }

    /// With principals, a policy, and a login that is remembered.
    fn filled(count: u32) -> Self {
        let realm = Realm::new();
        let store = realm.open();
        let mut changes: Vec<_> = (0..count).map(|number| Change::Create(entry(number))).collect();
        changes.push(Change::PutPolicy(PasswordPolicy { min_length: 7, ..PasswordPolicy::new("p") }));
        store.commit(&changes).expect("committed");
        store.write_down(&[([1; 16], Some(record()))]).expect("written");
        realm
    }

    /// A folder with the settings and the master key of this realm, and nothing else.
    fn bare(&self) -> Realm {
        let bare = Realm::new();
        std::fs::remove_file(&bare.config.store.file).expect("removed");
        std::fs::copy(self.path("r/master.key"), bare.path("r/master.key")).expect("copied");
        bare
    }
}

fn record() -> Record {
    Record { failures: 3, last_failure: Some(Time(77)), last_success: None }
}

fn entry(number: u32) -> Entry {
    let principal = Principal::parse(&format!("user{number:05}@R"), None).expect("a name");
    let mut entry = Entry::new(principal, [1; 16], Time(5), "test");
    entry.strings.insert("padding".into(), "x".repeat(300));
    entry
}

/// Everything that a store says of what is in it.
fn everything(store: &Redb) -> Vec<String> {
    let names = store.list(None, usize::MAX).expect("readable");
    let mut all: Vec<_> = names.iter().map(|name| format!("{:?}", store.lookup(name).expect("readable"))).collect();
    let policies = store.policies().expect("readable");
    all.extend(policies.iter().map(|name| format!("{:?}", store.policy(name).expect("readable"))));
    all.push(format!("{:?} {:?}", store.next_revision(), Ledger::record(store, &[1; 16])));
    all
}

#[test]
fn what_was_dumped_is_loaded_into_a_folder_with_settings_and_master_key_only() {
    let realm = Realm::filled(10);
    let file = realm.path("dump");
    // Those of `init`, a policy and a record of logins.
    let records = realm.open().list(None, 1000).expect("readable").len() as u64 + 2;
    assert_eq!(dump(&realm.config, &file, true).map(|head| head.records()), Ok(records));
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let bare = realm.bare();
    assert_eq!(load(&bare.config, &file, true, true).map(|head| head.records()), Ok(records));
    assert!(!bare.config.store.file.exists());
    assert_eq!(load(&bare.config, &file, false, true).map(|head| head.records()), Ok(records));
    assert_eq!(everything(&bare.open()), everything(&realm.open()));
    assert_eq!(bare.open().verify(), Ok(records as usize - 2));
    let again = bare.path("again");
    dump(&bare.config, &again, true).expect("dumped");
    let lines = |path: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(path).expect("a dump");
        // The time stands in the header, and so in the checksum.
        text.lines().skip(1).filter(|line| !line.contains("sha256")).map(str::to_owned).collect()
    };
    assert_eq!(lines(&again), lines(&file));
    let error = load(&bare.config, &file, false, true).expect_err("used");
    assert!(error.to_string().contains("it has principals already"), "{error}");
}

#[test]
fn who_has_made_the_realm_anew_before_a_restore_is_told_step_by_step_how_to_go_on() {
    let realm = Realm::filled(3);
    let file = realm.path("dump");
    dump(&realm.config, &file, true).expect("dumped");
    // `kdc init` has made a master key and a store of its own.
    let fresh = Realm::new();
    let refused = || load(&fresh.config, &file, false, true).expect_err("refused").to_string();
    assert!(refused().contains("under another master key than") && refused().contains("put that one there"));
    std::fs::copy(realm.path("r/master.key"), fresh.path("r/master.key")).expect("copied");
    let error = refused();
    let store = fresh.config.store.file.display().to_string();
    assert!(error.contains("to load a backup") && error.contains(&format!("move {store} away")), "{error}");
    std::fs::remove_file(&fresh.config.store.file).expect("moved away");
    load(&fresh.config, &file, false, true).expect("loaded");
    assert_eq!(everything(&fresh.open()), everything(&realm.open()));
}

#[test]
fn a_file_that_is_torn_or_altered_or_of_another_realm_or_key_loads_nothing() {
    let realm = Realm::filled(10);
    let file = realm.path("dump");
    dump(&realm.config, &file, true).expect("dumped");
    let whole = std::fs::read_to_string(&file).expect("a dump");
    let bare = realm.bare();
    let refused = |text: &str, why: &str| {
        std::fs::write(&file, text).expect("written");
        let error = load(&bare.config, &file, false, true).expect_err(why).to_string();
        assert!(error.contains(why), "{why}: {error}");
        assert!(!bare.config.store.file.exists());
    };
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..length], "line ");
    }
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    refused(&lines[..lines.len() - 1].concat(), "it ends without its trailer");
    refused(&[&lines[..3], &lines[4..]].concat().concat(), "its checksum or its count");
    refused(&whole.replacen("\"R\"", "\"S\"", 1), "its checksum or its count");
    refused(&whole.replacen("user00003", "user00004", 1), "its checksum or its count");
    refused(&whole.replacen("\"kdc_dump\":1", "\"kdc_dump\":2", 1), "newer kdc");
    refused("princ\t38\n", "line 1: not a line of a dump");
    std::fs::write(&file, &whole).expect("written");
    let other = Realm::new();
    std::fs::remove_file(&other.config.store.file).expect("removed");
    let error = load(&other.config, &file, false, true).expect_err("another key");
    assert!(error.to_string().contains("another master key"), "{error}");
    let named = Config { realm: "S".into(), ..bare.config.clone() };
    let error = load(&named, &file, false, true).expect_err("another realm");
    assert!(error.to_string().contains("a dump of R, but"), "{error}");
}

#[test]
fn pages_are_of_one_moment_whatever_is_changed_between_them() {
    let realm = Realm::filled(4000);
    let store = Arc::new(realm.open());
    let rules = KeyRules { etypes: vec![], iterations: None };
    let registry = Registry::new(Arc::clone(&store) as Arc<dyn Store>, Policy::new("R"), rules);
    let root = Caller::login("root", "R", Door::Process);
    let page = |next| match registry.perform(&root, Operation::Dump { next }) {
        Ok(Answer::Dump { lines, next }) => (lines, next),
        other => panic!("{other:?}"),
    };
    let records = store.list(None, usize::MAX).expect("readable").len() + 2;
    let (mut lines, mut next) = page(None);
    assert!(next.is_some() && lines.len() < 4000, "one page is no test: {}", lines.len());
    store.commit(&[Change::Delete(entry(3999).principal), Change::Create(entry(9999))]).expect("committed");
    while next.is_some() {
        let (more, then) = page(next);
        lines.extend(more);
        next = then;
    }
    let has = |number: u32| lines.iter().any(|line| line.contains(&format!("\"user{number:05}@R\"")));
    assert!(has(3999) && !has(9999));
    assert_eq!(lines.len(), 1 + records);
    // A second copy displaces one that is under way.
    let (_, first) = page(None);
    let (_, second) = page(None);
    let refused = registry.perform(&root, Operation::Dump { next: first }).expect_err("displaced");
    assert_eq!(refused.reason, Reason::Failed);
    assert!(page(second).0.len() > 1);
}
