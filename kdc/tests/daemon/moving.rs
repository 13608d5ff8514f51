//! `kdc dump` beside a KDC that runs, and `kdc load` of what it wrote.

use std::process::Command;

use rustix::process::Signal;

use super::run::Realm;

#[test]
fn a_running_kdc_is_dumped_and_what_was_dumped_serves_again() {
    let realm = Realm::new();
    let daemon = realm.start();
    realm.add_alice();
    let file = realm.path("dump");
    let kdc = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_kdc")).args(words).output().expect("runs");
        let said = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (output.status.code(), said(&output.stdout), said(&output.stderr))
    };
    let [config, file] = [&realm.files.config, &file].map(|path| path.to_str().expect("a path").to_owned());
    let dumped = kdc(&["dump", "--config", &config, "--to", &file, "--json"]);
    assert_eq!(dumped.0, Some(0), "{dumped:?}");
    assert!(dumped.1.contains("\"records\":") && dumped.2.is_empty(), "{dumped:?}");
    let straight = kdc(&["dump", "--config", &config, "--to", "-"]);
    assert!(straight.1.contains("\"alice@EXAMPLE.ORG\"") && straight.1.contains("\"end\""), "{straight:?}");
    let refused = kdc(&["load", "--config", &config, "--from", &file]);
    assert!(refused.0 == Some(1) && refused.2.contains("in use by another process"), "{refused:?}");
    daemon.end(Signal::TERM);
    std::fs::remove_file(realm.path("principals.redb")).expect("removed");
    let loaded = kdc(&["load", "--config", &config, "--from", &file]);
    assert_eq!(loaded.0, Some(0), "{loaded:?}");
    assert!(loaded.1.contains("loaded, EXAMPLE.ORG: "), "{loaded:?}");
    let daemon = realm.start();
    daemon.login("correct horse").expect("a login");
    daemon.end(Signal::TERM);
}
