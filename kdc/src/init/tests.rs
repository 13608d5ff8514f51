use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::check::{Sound, belongs, check};
use crate::core::StoreError;
use crate::store::Kept;

const KEPT: Kept = Kept { entries: 10, records: 1 << 20 };

fn addresses() -> Vec<SocketAddr> {
    ["127.0.0.1:8888", "[::1]:8888"].map(|text| text.parse().expect(text)).to_vec()
}

/// A realm in a folder of its own.
fn realm() -> (tempfile::TempDir, Files) {
    let dir = tempfile::tempdir().expect("a folder");
    let files = init("EXAMPLE.ORG", &dir.path().join("realm"), &addresses()).expect("made");
    (dir, files)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

fn problem(files: &Files) -> String {
    check(&files.config).expect_err("wrong").to_string()
}

#[test]
fn a_new_realm_passes_the_check() {
    let (_dir, files) = realm();
    assert_eq!(check(&files.config), Ok(Sound { realm: "EXAMPLE.ORG".into(), principals: Some(3) }));
    let config = config::load(&files.config).expect("sound");
    assert_eq!(config.listen, addresses());
    assert_eq!((config.store.file, config.master_key), (files.store, (&files.master_key).into()));
}

#[test]
fn a_new_realm_can_grant_tickets_and_change_passwords() {
    let (_dir, files) = realm();
    let store = crate::store::open(&files.store, &files.master_key, KEPT).expect("opens");
    let tgs = store.lookup(&Principal::tgs("EXAMPLE.ORG")).expect("readable").expect("there");
    assert_eq!(tgs.keys[0].keys.len(), libkrb::crypto::SUPPORTED.len());
    assert!(tgs.keys[0].keys.iter().all(|key| key.salt.is_none()));
    assert!(tgs.attributes.has(Attributes::LOCKDOWN_KEYS));
    let changepw = store.lookup(&Principal::changepw("EXAMPLE.ORG")).expect("readable").expect("there");
    assert!(
        changepw.attributes.has(Attributes::DISALLOW_TGT_BASED)
            && changepw.attributes.has(Attributes::PWCHANGE_SERVICE)
    );
    assert!(!changepw.keys[0].keys[0].key.same_as(&tgs.keys[0].keys[0].key));
    assert_ne!(changepw.id, tgs.id);
}

#[test]
fn a_realm_from_elsewhere_gets_the_service_that_changes_passwords_once() {
    let store = crate::store::Memory::default();
    for _ in 0..2 {
        complete(&store, "R").expect("completed");
    }
    let changepw = store.lookup(&Principal::changepw("R")).expect("readable").expect("there");
    let expected =
        Attributes::LOCKDOWN_KEYS.with(Attributes::DISALLOW_TGT_BASED, true).with(Attributes::PWCHANGE_SERVICE, true);
    assert_eq!((changepw.attributes, changepw.max_life, changepw.revision), (expected, Some(300), 1));
}

#[test]
fn only_the_owner_can_read_what_is_secret() {
    let (dir, files) = realm();
    assert_eq!(mode(&dir.path().join("realm")), 0o700);
    for file in [&files.master_key, &files.store, &files.config] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}

#[test]
fn nothing_is_overwritten_and_the_file_in_the_way_is_named() {
    for victim in ["kdc.toml", "krb5.conf", "master.key", "principals.redb"] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(victim);
        std::fs::write(&path, "precious").expect("written");
        let error = init("R", dir.path(), &addresses()).expect_err("in the way").to_string();
        assert!(error.starts_with(&format!("{}: exists", path.display())), "{error}");
        assert_eq!(std::fs::read(&path).expect("there"), b"precious");
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 1);
    }
}

#[test]
fn a_realm_that_cannot_be_made_whole_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("written");
    let error = init("R", &file, &addresses()).expect_err("a file").to_string();
    assert!(error.ends_with("file: a folder was expected, but here is a file"), "{error}");
    assert!(init("bad realm", &dir.path().join("x"), &addresses()).is_err());
    assert!(!dir.path().join("x").exists());
}

#[test]
fn clients_are_told_every_address() {
    let (_dir, files) = realm();
    let text = std::fs::read_to_string(&files.client).expect("there");
    let config = libkrb::config::Config::parse("krb5.conf", &text).expect("sound");
    assert_eq!(config.default_realm(), Some("EXAMPLE.ORG"));
    assert!(!config.dns_lookup_kdc() && config.unknown_keys().is_empty());
    assert_eq!(config.kdcs("EXAMPLE.ORG").expect("sound").len(), 2);
    assert_eq!(config.kpasswd_servers("EXAMPLE.ORG").expect("sound").len(), 2);
    let kdc = ["0.0.0.0:88", "[::]:88"].map(|text| text.parse().expect(text)).to_vec();
    let everywhere = client_settings("R", &Addresses { kdc, kpasswd: vec![], sockets: vec![] });
    assert_eq!(everywhere.matches("\n        kdc = ").count(), 1, "{everywhere}");
    assert!(!everywhere.contains("0.0.0.0"));
    let sockets = vec!["/run/kdc.sock".into()];
    let alone = client_settings("R", &Addresses { kdc: vec![], kpasswd: vec![], sockets });
    let config = libkrb::config::Config::parse("krb5.conf", &alone).expect("sound");
    let only = |servers: Vec<_>| assert_eq!(servers, [libkrb::config::Server::Unix("/run/kdc.sock".into())]);
    only(config.kdcs("R").expect("sound"));
    only(config.kpasswd_servers("R").expect("sound"));
}

#[test]
fn a_check_says_what_is_wrong_and_where() {
    let (_dir, files) = realm();
    let config = std::fs::read_to_string(&files.config).expect("there");
    std::fs::write(&files.config, config.replace("[policy]", "[policy]\nmax_live = 1")).expect("written");
    assert!(problem(&files).contains("unknown field `max_live`"));
    std::fs::write(&files.config, config.replace("\"EXAMPLE.ORG\"", "\"OTHER\"")).expect("written");
    assert!(problem(&files).contains("the store of EXAMPLE.ORG, but `realm` in kdc.toml is OTHER"));
    std::fs::write(&files.config, &config).expect("written");
    std::fs::set_permissions(&files.master_key, std::fs::Permissions::from_mode(0o644)).expect("set");
    assert!(problem(&files).contains("chmod 600"));
    std::fs::remove_file(&files.master_key).expect("removed");
    assert!(problem(&files).contains("master.key: No such file"));
    MasterKey::create(&files.master_key).expect("another");
    assert!(problem(&files).starts_with("wrong master key: "));
}

#[test]
fn a_check_beside_a_running_kdc_leaves_the_store_alone() {
    let (_dir, files) = realm();
    let _running = crate::store::open(&files.store, &files.master_key, KEPT).expect("opens");
    assert_eq!(check(&files.config), Ok(Sound { realm: "EXAMPLE.ORG".into(), principals: None }));
}

#[test]
fn a_realm_without_ticket_granting_keys_is_not_sound() {
    let (_dir, files) = realm();
    let store = crate::store::open(&files.store, &files.master_key, KEPT).expect("opens");
    let tgs = Principal::tgs("EXAMPLE.ORG");
    let entry = (*store.lookup(&tgs).expect("readable").expect("there")).clone();
    store.commit(&[Change::Replace(Entry { keys: vec![], ..entry })]).expect("replaced");
    let config = config::load(&files.config).expect("sound");
    assert!(belongs(store.inner(), &config).expect_err("keyless").to_string().contains("cpw -randkey"));
    store.commit(&[Change::Delete(tgs)]).expect("deleted");
    assert!(belongs(store.inner(), &config).expect_err("missing").to_string().contains("there is no krbtgt"));
    assert!(matches!(
        Redb::open(&files.store, MasterKey::load(&files.master_key).expect("there")),
        Err(StoreError::InUse(_))
    ));
}
