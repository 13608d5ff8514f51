//! The master key of a running KDC: rolled over while clients log in, killed in the midst, taken from
//! elsewhere than a file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tests::{Family, Realm, Said, Secret, Tool};

fn file(realm: &Realm, name: &str) -> PathBuf {
    realm.folder().join("kdc").join(name)
}

fn kdc(realm: &Realm, words: &[&str]) -> Said {
    of(&file(realm, "kdc.toml"), words)
}

fn of(config: &Path, words: &[&str]) -> Said {
    Tool::new(Family::Ours.program("kdc")).args(words).args(["--config"]).args([config]).run()
}

/// The versions in the file, without the keys.
fn versions(realm: &Realm) -> Vec<String> {
    let text = std::fs::read_to_string(file(realm, "master.key")).expect("a master key");
    let rows = text.lines().skip(1).filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| row.split(' ').next().map(str::to_owned)).collect()
}

fn set(realm: &Realm, master_key: &str) {
    let path = file(realm, "kdc.toml");
    let text = std::fs::read_to_string(&path).expect("settings");
    let (old, new) = ("#master_key = \"master.key\"", format!("master_key = {master_key}"));
    assert!(text.contains(old));
    std::fs::write(path, text.replacen(old, &new, 1)).expect("written");
}

#[test]
fn clients_log_in_throughout_a_roll_over() {
    let realm = Realm::start(Family::Ours);
    realm.add("alice", "secret", &[]);
    kdc(&realm, &["master-key", "list"]).succeeds().saying("version 1: 4 principals, seals what is new");
    let seat = realm.seat(Family::Ours);
    let (done, config) = (AtomicBool::new(false), file(&realm, "kdc.toml"));
    std::thread::scope(|scope| {
        let rolling = scope.spawn(|| {
            let heard = of(&config, &["master-key", "rotate", "--json"]).succeeds();
            done.store(true, Ordering::SeqCst);
            heard
        });
        while !done.load(Ordering::SeqCst) {
            seat.kinit(&["alice"], "secret").succeeds();
        }
        let heard = rolling.join().expect("no panic");
        heard.saying(r#""finished":true"#).saying(r#""removed":[1]"#).saying(r#""version":2"#);
    });
    assert_eq!(versions(&realm), ["2"]);
    seat.kinit(&["alice"], "secret").succeeds();
    kdc(&realm, &["master-key", "list", "--json"]).succeeds().saying(r#""versions":{"2":4}"#);
}

#[test]
fn a_roll_over_is_carried_on_after_the_kdc_was_killed_and_with_none_running() {
    let mut realm = Realm::start(Family::Ours);
    for number in 0..20 {
        realm.add(&format!("HTTP/{number}"), Secret::Random, &[]);
    }
    // As a crash leaves it: the new version is in the file, and little is sealed under it.
    realm.kill();
    let path = file(&realm, "master.key");
    let text = std::fs::read_to_string(&path).expect("a master key");
    std::fs::write(&path, format!("{text}2 {}\n", "ab".repeat(32))).expect("written");
    realm.restart();
    realm.add("bob", "secret", &[]);
    kdc(&realm, &["master-key", "list"])
        .succeeds()
        .saying("version 1: 23 principals")
        .saying("version 2: 1 principals");
    realm.kill();
    kdc(&realm, &["master-key", "rotate"]).succeeds().saying("24 principals").saying("Gone from its file: version 1");
    assert_eq!(versions(&realm), ["2"]);
    realm.restart();
    realm.seat(Family::Ours).kinit(&["bob"], "secret").succeeds();
}

#[test]
fn the_master_key_may_come_from_a_command_or_a_credential_and_never_shows() {
    let mut realm = Realm::start(Family::Ours);
    realm.add("alice", "secret", &[]);
    realm.stop();
    let path = file(&realm, "master.key");
    let key = std::fs::read_to_string(&path).expect("a master key");
    let hex = key.lines().last().and_then(|row| row.split(' ').nth(1)).expect("a row").to_owned();
    set(&realm, &format!("{{ command = [\"/bin/cat\", {path:?}] }}"));
    realm.restart();
    realm.seat(Family::Ours).kinit(&["alice"], "secret").succeeds();
    kdc(&realm, &["master-key", "list"]).succeeds().saying("Master key from command /bin/cat").not_saying(&hex);
    kdc(&realm, &["master-key", "rotate"]).fails().saying("the KDC can't write this").not_saying(&hex);
    assert!(!realm.log().contains(&hex));
}

#[test]
fn a_command_that_fails_keeps_the_kdc_from_starting_and_says_why() {
    let mut realm = Realm::start(Family::Ours);
    realm.stop();
    set(&realm, r#"{ command = ["/bin/sh", "-c", "echo leaked; echo the vault is sealed >&2; exit 1"] }"#);
    kdc(&realm, &["check"]).fails().saying("the vault is sealed").not_saying("leaked");
    kdc(&realm, &["run"]).fails().saying("the vault is sealed").not_saying("leaked");
}
