//! `KEYRING:` - the same caches seen by MIT's programs and by ours.

use std::path::Path;

use libkrb::ccache::{CacheName, default_cache};
use libkrb::config::{Config, Environment};
use tests::{Family, User, is_root, tell};

use super::{At, a_collection_is_shared, realm};

/// Whether the kernel has keyrings for us; where not, says so.
fn usable() -> bool {
    let environment = Environment::default();
    let config = Config::parse("krb5.conf", "[libdefaults]\ndefault_ccache_name = KEYRING:session:probe\n");
    let mut reason = None;
    let name = default_cache(&config.expect("a configuration"), &environment, |why| reason = Some(why.to_owned()));
    match (name, reason) {
        (Ok(CacheName::File(_)), Some(why)) => {
            tell(&format!("SKIPPED: {why}"));
            false
        }
        _ => Family::Mit.present(),
    }
}

/// A collection that no other test has.
fn collection(anchor: &str) -> String {
    format!("KEYRING:{anchor}:krb_tests_{}", std::process::id())
}

#[test]
fn mits_programs_and_ours_share_collections_of_the_user_and_the_session() {
    if !usable() {
        return;
    }
    let realm = realm();
    let seat = realm.seat(Family::Ours);
    for anchor in ["user", "session"] {
        let name = collection(anchor);
        a_collection_is_shared(&At::new(&seat, &name), Family::Ours, Family::Mit);
        a_collection_is_shared(&At::new(&seat, &name), Family::Mit, Family::Ours);
    }
}

#[test]
fn mits_programs_and_ours_share_a_users_persistent_collection() {
    let Some(nobody) = User::named("nobody").filter(|_| usable() && is_root()) else { return };
    let realm = realm();
    let seat = realm.seat(Family::Ours);
    // Nobody's own programs and files.
    let folder = tempfile::tempdir().expect("a folder");
    let uid = nobody_id();
    nobody.owns(folder.path());
    let configuration = folder.path().join("krb5.conf");
    std::fs::copy(seat.configuration(), &configuration).expect("a copy");
    let cache = format!("KEYRING:persistent:{uid}");
    let run = |family: Family, name: &'static str| {
        let mut program = family.program(name);
        if family == Family::Ours {
            let copy = folder.path().join(name);
            if !copy.exists() {
                std::fs::copy(&program.path, &copy).expect("a copy");
            }
            program.path = copy;
        }
        let trace = folder.path().join(format!("trace-{}", family.name()));
        let tool = tests::Tool::new(program).env("KRB5_CONFIG", &configuration).env("KRB5CCNAME", &cache);
        tool.env("KRB5_TRACE", trace).folder(folder.path()).user(nobody)
    };
    run(Family::Ours, "kinit").args(["alice"]).stdin("secret\n").run().succeeds();
    let theirs = run(Family::Mit, "klist").args(["-e"]).run().succeeds().stdout().to_owned();
    assert!(theirs.contains("Default principal: alice@EXAMPLE.ORG"), "{theirs}");
    assert!(theirs.starts_with(&format!("Ticket cache: KEYRING:persistent:{uid}:")), "{theirs}");
    assert_eq!(run(Family::Ours, "klist").args(["-e"]).run().succeeds().stdout(), theirs);
    run(Family::Mit, "kinit").args(["bob"]).stdin("secret\n").run().succeeds();
    run(Family::Mit, "kvno").args(["host/www.example.org"]).run().succeeds();
    let ours = run(Family::Ours, "klist").args(["-A"]).run().succeeds().stdout().to_owned();
    assert!(ours.contains("alice@") && ours.contains("bob@") && ours.contains("host/www.example.org"), "{ours}");
    run(Family::Ours, "kdestroy").args(["-A"]).run().succeeds();
    run(Family::Mit, "klist").run().fails();
}

fn nobody_id() -> u32 {
    let users = std::fs::read_to_string("/etc/passwd").expect("users");
    let line = users.lines().find(|line| line.starts_with("nobody:")).expect("nobody");
    line.split(':').nth(2).and_then(|uid| uid.parse().ok()).expect("a number")
}

#[test]
fn a_default_that_can_not_be_used_gives_way_to_a_file_and_the_trace_says_why() {
    let realm = realm();
    let seat = realm.seat(Family::Ours);
    // Somebody else's persistent keyring is never ours to use: that much is the same on every machine.
    seat.set("default_ccache_name = KEYRING:persistent:%{uid}");
    let marked = Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists();
    let config = Config::load(&Environment {
        config: Some(seat.configuration().display().to_string()),
        ..Environment::default()
    });
    let config = config.expect("a configuration");
    let mut told = vec![];
    let name = default_cache(&config, &Environment::default(), |why| told.push(why.to_owned())).expect("a name");
    if usable() && !marked {
        assert!(matches!(name, CacheName::Keyring(_)) && told.is_empty(), "{told:?}");
    } else {
        assert!(matches!(name, CacheName::File(_)), "{name}");
        assert!(told.concat().contains("Not using KEYRING:persistent:0"), "{told:?}");
    }
    // Who names a keyring gets one.
    let asked = Environment { ccache: Some("KEYRING:session:x".into()), ..Environment::default() };
    assert!(matches!(default_cache(&config, &asked, |_| {}), Ok(CacheName::Keyring(_))));
}
