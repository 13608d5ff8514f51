//! Locks of the KDC as it runs: they hold against many who guess at once and outlive the process (attack
//! A12), and an administrator sees and opens them.

use tests::{Family, Realm, Tool};

const WRONG: &str = "Password incorrect";
const LOCKED: &str = "credentials have been revoked";
const WRITTEN: &str = "accounts locked after too many failures are written down";

/// What kadmin says to a query, with the KDC running.
fn kadmin(realm: &Realm, words: &[&str]) -> String {
    let config = realm.folder().join("kdc").join("kdc.toml");
    let said = Tool::new(Family::Ours.program("kadmin")).args(["--config"]).args([config]).args(words).run();
    said.succeeds().stdout().to_owned()
}

fn line(realm: &Realm, principal: &str, what: &str) -> String {
    let shown = kadmin(realm, &["getprinc", principal]);
    let line = shown.lines().find_map(|line| line.strip_prefix(what)).unwrap_or_else(|| panic!("{what} in {shown}"));
    line.trim().to_owned()
}

fn failures(realm: &Realm, principal: &str) -> u32 {
    line(realm, principal, "Failed password attempts:").parse().expect("a number")
}

/// A realm whose alice and bob are locked after three failures until somebody opens them.
fn strict() -> Realm {
    let realm = Realm::start(Family::Ours);
    kadmin(&realm, &["addpol", "-maxfailure", "3", "strict"]);
    for user in ["alice", "bob"] {
        kadmin(&realm, &["addprinc", "-policy", "strict", "-pw", "secret", user]);
    }
    realm
}

/// How many of so many who guess at once were told that it was wrong; all others that it is locked.
fn guesses(realm: &Realm, guessers: usize) -> usize {
    let seat = realm.seat(Family::Ours);
    let tools: Vec<_> =
        (0..guessers).map(|number| seat.tool("kinit").args(["alice"]).stdin(format!("guess {number}\n"))).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = tools.into_iter().map(|tool| scope.spawn(|| tool.run().fails())).collect();
        let said = running.into_iter().map(|guesser| guesser.join().expect("ends"));
        said.filter(|said| match said.stderr() {
            text if text.contains(WRONG) => true,
            text => {
                assert!(text.contains(LOCKED), "{text}");
                false
            }
        })
        .count()
    })
}

#[test]
fn a12_many_who_guess_at_once_get_no_more_guesses_than_the_rule_allows_also_over_a_crash() {
    let mut realm = strict();
    assert_eq!(guesses(&realm, 64), 3);
    realm.says(WRITTEN);
    realm.kill();
    realm.restart();
    assert_eq!(guesses(&realm, 4), 0);
    assert_eq!(failures(&realm, "alice"), 3);
    realm.seat(Family::Ours).kinit(&["alice"], "secret").fails().saying(LOCKED);
    realm.seat(Family::Mit).kinit(&["alice"], "secret").fails().saying(LOCKED);
    kadmin(&realm, &["modprinc", "-unlock", "alice"]);
    realm.seat(Family::Ours).kinit(&["alice"], "secret").succeeds();
    assert_eq!(failures(&realm, "alice"), 0);
    assert_ne!(line(&realm, "alice", "Last successful authentication:"), "[never]");
    assert_ne!(line(&realm, "alice", "Last failed authentication:"), "[never]");
    // An unlock is as durable as any change.
    realm.kill();
    realm.restart();
    assert_eq!(failures(&realm, "alice"), 0);
}

#[test]
fn a_kdc_that_ends_in_good_order_forgets_no_failure_and_one_that_is_killed_no_more_than_the_last() {
    let mut realm = strict();
    let fail = |realm: &Realm| drop(realm.seat(Family::Ours).kinit(&["bob"], "wrong").fails().saying(WRONG));
    fail(&realm);
    realm.restart();
    assert_eq!(failures(&realm, "bob"), 1);
    fail(&realm);
    realm.kill();
    realm.restart();
    let kept = failures(&realm, "bob");
    assert!((1..=2).contains(&kept), "{kept}");
    // What was forgotten is as many guesses more, and then it is locked.
    (kept..3).for_each(|_| fail(&realm));
    realm.seat(Family::Ours).kinit(&["bob"], "secret").fails().saying(LOCKED);
    // While the KDC is stopped, the store is asked and opened.
    realm.stop();
    assert_eq!(failures(&realm, "bob"), 3);
    kadmin(&realm, &["modprinc", "-unlock", "bob"]);
    assert_eq!(failures(&realm, "bob"), 0);
    realm.restart();
    realm.seat(Family::Ours).kinit(&["bob"], "secret").succeeds();
}
