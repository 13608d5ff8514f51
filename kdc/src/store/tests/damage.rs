//! Files that are not what they should be: an error that says what to do, never a panic.

use std::fs;

use super::*;
use crate::core::{Change, Store};

/// A closed store with `count` principals; in memory where there is such a folder, since it is
/// opened and synced hundreds of times.
fn filled(count: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let (dir, store) = redb_in(dir);
    let changes: Vec<_> =
        (0..count).map(|n| Change::Create(with_aliases(&format!("u{n}"), &[&format!("a{n}")]))).collect();
    store.commit(&changes).expect("committed");
    dir
}

/// Everything one can do with a store; errors are fine.
fn use_it(mut store: Redb, count: usize) {
    let _ = store.list(None, usize::MAX);
    for number in 0..count {
        let _ = store.lookup(&name(&format!("u{number}")));
        let _ = store.lookup(&name(&format!("a{number}")));
    }
    let _ = store.commit(&[Change::Create(entry("new")), Change::Delete(name("u1"))]);
    let _ = store.verify();
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let (dir, store) = redb();
    let second = reopen(&dir).map(|_| ()).expect_err("in use");
    assert_eq!(second, StoreError::InUse(dir.path().join("store")));
    assert!(second.to_string().ends_with("in use by another process; end the KDC that runs there first"));
    drop(store);
    reopen(&dir).expect("free again");
}

#[test]
fn an_existing_store_is_never_overwritten() {
    let dir = filled(1);
    let again = Redb::create(&dir.path().join("store"), "R", MasterKey::ephemeral().expect("random"));
    assert!(again.map(|_| ()).expect_err("refused").to_string().contains("exists"));
    assert!(reopen(&dir).expect("opens").lookup(&name("u0")).expect("readable").is_some());
}

#[test]
fn a_new_store_belongs_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = filled(1);
    for file in ["store", "master.key"] {
        assert_eq!(fs::metadata(dir.path().join(file)).expect("there").permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_missing_store_names_the_next_step() {
    let dir = filled(1);
    fs::remove_file(dir.path().join("store")).expect("removed");
    let error = reopen(&dir).map(|_| ()).expect_err("missing").to_string();
    assert!(error.contains("kdc init"), "{error}");
}

#[test]
fn a_foreign_file_is_refused_and_left_as_it_is() {
    let dir = filled(1);
    let path = dir.path().join("store");
    for foreign in [&b""[..], b"re", b"SQLite format 3\0", &[0; 100_000], b"redb, but only by its name"] {
        fs::write(&path, foreign).expect("written");
        let error = reopen(&dir).map(|_| ()).expect_err("foreign").to_string();
        assert!(error.contains("not a store of kdc; look at `store` in kdc.toml"), "{error}");
        assert_eq!(fs::read(&path).expect("there"), foreign);
    }
}

#[test]
fn a_redb_file_of_another_program_is_foreign() {
    let dir = filled(1);
    let path = dir.path().join("store");
    fs::remove_file(&path).expect("removed");
    drop(::redb::Database::create(&path).expect("made"));
    let error = reopen(&dir).map(|_| ()).expect_err("foreign").to_string();
    assert!(error.contains("not a store of kdc"), "{error}");
}

#[test]
fn a_store_torn_at_any_length_says_so_or_opens() {
    let dir = filled(60);
    let path = dir.path().join("store");
    let whole = fs::read(&path).expect("there");
    let mut refused = 0;
    for length in (6..whole.len()).step_by(whole.len() / 40) {
        fs::write(&path, &whole[..length]).expect("written");
        match reopen(&dir) {
            Ok(store) => use_it(store, 60),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("restore it from a backup"), "at {length}: {error}");
            }
        }
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn no_flipped_byte_makes_a_store_panic_or_lie() {
    let dir = filled(60);
    let path = dir.path().join("store");
    let whole = fs::read(&path).expect("there");
    let expected: Vec<_> = (0..60).map(|n| name(&format!("u{n}"))).collect();
    let mut random = 1_u64;
    for _ in 0..150 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (random >> 33) as usize % whole.len();
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (random & 7);
        fs::write(&path, &flipped).expect("written");
        let Ok(store) = reopen(&dir) else { continue };
        for principal in &expected {
            if let Ok(found) = store.lookup(principal) {
                assert_eq!(found.expect("still there").principal, *principal, "byte {at}");
            }
        }
        use_it(store, 60);
    }
}

#[test]
fn a_page_overwritten_is_noticed_when_opening() {
    let dir = filled(60);
    let path = dir.path().join("store");
    let mut bytes = fs::read(&path).expect("there");
    let found = bytes.windows(5).position(|window| window == b"u17@R").expect("in the file");
    let page = found / 4096 * 4096;
    bytes[page..page + 4096].fill(0x41);
    fs::write(&path, bytes).expect("written");
    let error = reopen(&dir).map(|_| ()).expect_err("noticed").to_string();
    assert!(error.contains("damaged") && error.contains("restore it from a backup"), "{error}");
}

#[test]
fn verify_counts_the_principals() {
    let dir = filled(60);
    assert_eq!(reopen(&dir).expect("opens").verify(), Ok(60));
}
