//! What KDCs count together: failed logins (attack A12), and the uses of one-time passwords.

use libkrb::crypto::{OtpHash, hotp};
use tests::{Said, Tool};

use crate::load::figure;
use crate::place::{Cluster, Kdc, until};

const RIGHT: &str = "a good secret";
const WRONG: &str = "Password incorrect";
const LOCKED: &str = "credentials have been revoked";
const BUSY: &str = "A service is not available";

/// A realm whose alice is locked after three failures until somebody opens her account, known to all KDCs.
fn strict() -> Option<Cluster> {
    let cluster = Cluster::start(3, 1)?;
    cluster.kdcs[0].kadmin(&["addpol", "-maxfailure", "3", "strict"]).succeeds();
    cluster.kdcs[0].kadmin(&["addprinc", "-policy", "strict", "-pw", RIGHT, "alice"]).succeeds();
    until("all know alice", || cluster.kdcs.iter().all(|kdc| kdc.kinit("alice", RIGHT).is_success()));
    Some(cluster)
}

fn failures(kdc: &Kdc) -> u32 {
    let shown = kdc.kadmin(&["getprinc", "alice"]).succeeds();
    let line = shown.stdout().lines().find_map(|line| line.strip_prefix("Failed password attempts:"));
    line.and_then(|text| text.trim().parse().ok()).unwrap_or_else(|| panic!("{}", shown.stdout()))
}

fn all_at_once(tools: Vec<Tool>) -> Vec<Said> {
    std::thread::scope(|scope| {
        let running: Vec<_> = tools.into_iter().map(|tool| scope.spawn(|| tool.run())).collect();
        running.into_iter().map(|thread| thread.join().expect("ends")).collect()
    })
}

/// What became of it, asked again while the failure before it is being counted.
fn decided(tool: impl Fn() -> Tool) -> Said {
    let mut said = tool().run();
    until("it is decided", || {
        let decided = !said.stderr.contains(BUSY);
        if !decided {
            said = tool().run();
        }
        decided
    });
    said
}

#[test]
fn a12_who_guesses_through_all_kdcs_at_once_gets_one_guess_more_for_each_of_them_and_locked_is_locked_everywhere() {
    let Some(mut cluster) = strict() else { return };
    let guess = |kdc: &Kdc, number: usize| kdc.client("kinit").args(["alice"]).stdin(format!("guess {number}\n"));
    let kdcs = &cluster.kdcs;
    let said = all_at_once((0..8).flat_map(|number| kdcs.iter().map(move |kdc| guess(kdc, number))).collect());
    let guesses = said.iter().filter(|said| said.stderr.contains(WRONG)).count();
    figure("guesses through 3 KDCs at once", "at most 3 + 3", &guesses.to_string(), guesses <= 6);
    assert!(guesses <= 3 + kdcs.len(), "{guesses} guesses");
    // Those who came while one was being counted were told to come again: so they do, one after the other.
    for number in 8..12 {
        kdcs.iter().for_each(|kdc| drop(guess(kdc, number).run().fails()));
    }
    for kdc in kdcs {
        // A right password would end the count where it has not come yet.
        until("locked everywhere", || failures(kdc) >= 3);
        kdc.kinit("alice", RIGHT).fails().saying(LOCKED);
        assert!(failures(kdc) <= 6);
    }
    // Also where nobody has heard of a failure yet.
    cluster.kdcs[2].kill();
    cluster.kdcs[2].start();
    cluster.kdcs[2].kinit("alice", RIGHT).fails().saying(LOCKED);
    cluster.kdcs[1].kadmin(&["modprinc", "-unlock", "alice"]).succeeds();
    for kdc in &cluster.kdcs {
        until("open everywhere", || failures(kdc) == 0);
        kdc.kinit("alice", RIGHT).succeeds();
    }
}

#[test]
fn a12_what_is_counted_while_etcd_is_away_is_added_up_when_it_is_back() {
    let Some(mut cluster) = strict() else { return };
    cluster.etcd.kill(0);
    for kdc in &cluster.kdcs {
        until("a guess is looked at", || kdc.kinit("alice", "wrong").stderr.contains(WRONG));
    }
    // No login waits for etcd, with or without failures before it.
    until("each counts for itself", || cluster.kdcs[0].page("/readyz").1.contains("degraded"));
    cluster.kdcs[0].kinit("alice", "wrong").fails().saying(WRONG);
    assert_eq!(failures(&cluster.kdcs[0]), 2);
    cluster.etcd.restart(&[0]);
    for kdc in &cluster.kdcs {
        until("locked", || failures(kdc) >= 3);
        kdc.kinit("alice", RIGHT).fails().saying(LOCKED);
    }
    // A success at one ends the count at all.
    cluster.kdcs[0].kadmin(&["modprinc", "-unlock", "alice"]).succeeds();
    until("open", || cluster.kdcs[1].kinit("alice", "wrong").stderr.contains(WRONG));
    until("told", || failures(&cluster.kdcs[2]) == 1);
    cluster.kdcs[2].kinit("alice", RIGHT).succeeds();
    until("cleared", || cluster.kdcs.iter().all(|kdc| failures(kdc) == 0));
}

#[test]
fn a_one_time_password_that_one_kdc_took_no_other_takes() {
    let Some(cluster) = Cluster::start(2, 1) else { return };
    let [one, two] = &cluster.kdcs[..] else { unreachable!() };
    let keytab = one.path("host.keytab").display().to_string();
    one.kadmin(&["addprinc", "-randkey", "host/armor"]).succeeds();
    one.kadmin(&["ktadd", "-k", &keytab, "host/armor"]).succeeds();
    one.kadmin(&["addprinc", "-pw", RIGHT, "alice"]).succeeds();
    one.kadmin(&["addprinc", "-pw", RIGHT, "bob"]).succeeds();
    let token = |kind: &[&str], user| {
        let words = [&["otp", "add", "-noqr"], kind, &["-name", "key", user]].concat();
        tests::otp_secret(one.kadmin(&words).succeeds().stdout())
    };
    let (secret, timed) = (token(&["-counting"], "alice"), token(&[], "bob"));
    let armor = one.path("armor").display().to_string();
    one.client("kinit").args(["-k", "-t", &keytab, "-c", &armor, "host/armor"]).run().succeeds();
    let log_in_as = |kdc: &Kdc, user, secret: &[u8], count| {
        let value = hotp(OtpHash::Sha1, secret, count, 6);
        kdc.client("kinit").args(["-T", &armor, user]).stdin(format!("{value}\n"))
    };
    let log_in = |kdc: &Kdc, count| log_in_as(kdc, "alice", &secret, count);
    until("the other knows both", || {
        let said = two.kadmin(&["otp", "list", "bob"]);
        said.is_success() && said.stdout.contains("key")
    });
    log_in(one, 0).run().succeeds();
    log_in(two, 0).run().fails();
    decided(|| log_in(two, 1)).succeeds();
    decided(|| log_in(one, 1)).fails();
    let said = all_at_once([one, two, one, two].map(|kdc| log_in(kdc, 2)).into());
    assert_eq!(said.iter().filter(|said| said.is_success()).count(), 1, "of all who bring it at once one gets in");
    // By the clock: the one of this half minute, and the next one, which may be early.
    let step = u64::try_from(tests::library::now().time.seconds()).expect("after 1970") / 30;
    let log_in = |kdc: &Kdc, step| log_in_as(kdc, "bob", &timed, step);
    log_in(one, step).run().succeeds();
    log_in(two, step).run().fails();
    let said = all_at_once([two, one, two, one].map(|kdc| log_in(kdc, step + 1)).into());
    assert_eq!(said.iter().filter(|said| said.is_success()).count(), 1, "and of these");
}
