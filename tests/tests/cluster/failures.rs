//! What fails, as docs/guide/cluster.md has it: all KDCs but one, the way from a KDC to etcd, its clock, its disk.

use std::path::Path;
use std::process::Command;

use kdc::admin::{NewKeys, Operation, Settings};
use tests::optional_peer;

use crate::place::{Cluster, Kdc, REALM, name, perform, until};
use crate::wire::Wire;

const FIRST: &str = "a good secret";
const SECOND: &str = "a better secret";
const PRELOADED: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

fn knows(kdc: &Kdc, password: &str) -> bool {
    kdc.kinit("alice", password).is_success()
}

#[test]
fn all_kdcs_but_one_die_and_that_one_does_what_all_of_them_did() {
    let Some(mut cluster) = Cluster::start(3, 1) else { return };
    cluster.kdcs[0].kadmin(&["addprinc", "-pw", FIRST, "alice"]).succeeds();
    until("all know alice", || cluster.kdcs.iter().all(|kdc| knows(kdc, FIRST)));
    let ports: Vec<_> = cluster.kdcs.iter().map(Kdc::port).collect();
    cluster.kdcs[2].knows_kdcs(&ports);
    cluster.kdcs[..2].iter_mut().for_each(Kdc::kill);
    let last = &cluster.kdcs[2];
    // Of its clients each asks the dead ones first.
    last.kinit("alice", FIRST).succeeds();
    last.kadmin(&["cpw", "-pw", SECOND, "alice"]).succeeds();
    last.kinit("alice", SECOND).succeeds();
    // Who is gone counts as gone after ten seconds: then new keys of the KDCs' own wait for nobody.
    let tgs = format!("krbtgt/{REALM}");
    until("it is alone", || last.kadmin(&["kdcs"]).stdout.contains(&format!("{REALM}: 1 KDCs live")));
    last.kadmin(&["cpw", "-randkey", "-keepold", &tgs]).succeeds();
    cluster.kdcs[..2].iter_mut().for_each(Kdc::start);
    for kdc in &cluster.kdcs {
        kdc.kinit("alice", SECOND).succeeds();
        kdc.kdc(&["store", "verify"]).run().succeeds();
    }
}

#[test]
fn a_kdc_that_is_cut_off_from_etcd_goes_on_as_long_as_it_may_says_how_old_it_is_and_comes_back() {
    let mut wires = vec![];
    let cluster = Cluster::start_as(3, 1, |number, endpoints| match number {
        0 => (endpoints.to_vec(), String::new()),
        number => {
            wires.push(Wire::to(&endpoints[0]));
            let bound = if number == 1 { "max_staleness = \"4s\"\n" } else { "" };
            (wires.iter().last().map(Wire::url).into_iter().collect(), bound.to_owned())
        }
    });
    let Some(cluster) = cluster else { return };
    let [free, bounded, unbounded] = &cluster.kdcs[..] else { unreachable!() };
    free.kadmin(&["addprinc", "-pw", FIRST, "alice"]).succeeds();
    until("all know alice", || cluster.kdcs.iter().all(|kdc| knows(kdc, FIRST)));
    wires.iter().for_each(Wire::cut);
    free.kadmin(&["cpw", "-pw", SECOND, "alice"]).succeeds();
    free.kinit("alice", SECOND).succeeds();
    until("it knows that it is cut off", || unbounded.page("/readyz").1.contains("degraded  changes: read-only"));
    assert!(unbounded.page("/readyz").0 == 200 && unbounded.metric("kdc_store_lag_seconds") > 0.0);
    unbounded.kinit("alice", FIRST).succeeds();
    unbounded.kinit("alice", SECOND).fails();
    unbounded.kadmin(&["modprinc", "-maxlife", "1h", "alice"]).fails().saying("read-only: no quorum");
    // The other one is too old soon, and sends clients elsewhere, and load balancers too.
    until("it is too old", || bounded.page("/readyz").0 == 503);
    assert!(bounded.metric("kdc_store_lag_seconds") > 3.0);
    bounded.kinit("alice", FIRST).fails();
    bounded.knows_kdcs(&[bounded.port(), free.port()]);
    bounded.kinit("alice", SECOND).succeeds();
    bounded.knows_kdcs(&[bounded.port()]);
    assert_eq!(unbounded.page("/readyz").0, 200, "that one may be as old as it gets");
    wires.iter().for_each(Wire::mend);
    for kdc in [bounded, unbounded] {
        until("it is back", || knows(kdc, SECOND) && kdc.page("/readyz").1.contains("ok   changes"));
        kdc.kinit("alice", FIRST).fails();
    }
}

#[test]
fn a_kdc_whose_disk_is_full_goes_on_from_what_it_has_says_so_and_catches_up_when_there_is_room() {
    let Some(mut cluster) = Cluster::start(2, 1) else { return };
    let prlimit = Path::new("/usr/bin/prlimit");
    assert!(prlimit.exists(), "util-linux");
    let [one, two] = &mut cluster.kdcs[..] else { unreachable!() };
    two.kill();
    two.start_by(&["/bin/sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    one.kadmin(&["addprinc", "-pw", FIRST, "alice"]).succeeds();
    until("both know alice", || knows(two, FIRST));
    let limit = |octets: &str| {
        let set = Command::new(prlimit)
            .args(["--pid", &two.pid().to_string(), &format!("--fsize={octets}:unlimited")])
            .status();
        assert!(set.expect("prlimit").success());
    };
    limit(&std::fs::metadata(two.path("principals.redb")).expect("a copy").len().to_string());
    let (mut batch, is_full) = (0, || two.page("/readyz").1.contains("the disk is full"));
    while !is_full() {
        batch += 1;
        let user = |number: usize| name(&format!("user{batch}-{number}"));
        let made = |number| {
            let settings = Settings::default();
            Operation::Create { principal: user(number), keys: NewKeys::Keyless, kvno: None, settings }
        };
        let noted = |number| Operation::SetString {
            principal: user(number),
            name: "note".into(),
            value: Some("x".repeat(4000)),
        };
        let operations = (0..200).flat_map(|number| [made(number), noted(number)]).collect();
        perform(one, Operation::Batch { operations }).expect("made");
        until("it has that, or no room for it", || {
            is_full() || two.kadmin(&["getprinc", &format!("user{batch}-0")]).is_success()
        });
    }
    one.kadmin(&["cpw", "-pw", SECOND, "alice"]).succeeds();
    two.kinit("alice", FIRST).succeeds();
    assert!(two.page("/readyz").0 == 200, "tickets go on");
    until("the copy ages", || two.metric("kdc_store_lag_seconds") > 1.0);
    assert!(!two.kadmin(&["modprinc", "-maxlife", "1h", "alice"]).is_success());
    limit("unlimited");
    until("it has caught up", || knows(two, SECOND) && two.page("/readyz").1.contains("ok   changes"));
    two.kdc(&["store", "verify"]).run().succeeds();
}

#[test]
fn clocks_of_kdcs_may_differ_by_what_tickets_bear_and_whose_is_off_is_said() {
    if optional_peer("libfaketime", PRELOADED).is_none() {
        return;
    }
    let Some(mut cluster) = Cluster::start(2, 1) else { return };
    cluster.kdcs[0].kadmin(&["addprinc", "-pw", FIRST, "alice"]).succeeds();
    cluster.kdcs[0].kadmin(&["addprinc", "-randkey", "host/server.example.org"]).succeeds();
    until("both know alice", || cluster.kdcs.iter().all(|kdc| knows(kdc, FIRST)));
    for (seconds, bears) in [(200, true), (900, false)] {
        cluster.kdcs[1].kill();
        let ahead = format!("FAKETIME=+{seconds}s");
        let preloaded = format!("LD_PRELOAD={PRELOADED}");
        cluster.kdcs[1].start_by(&["/usr/bin/env", &preloaded, &ahead, "FAKETIME_DONT_FAKE_MONOTONIC=1"]);
        let [one, two] = &cluster.kdcs[..] else { unreachable!() };
        // Clients go by the clock of the KDC that they ask; but a ticket may be of the future.
        for (from, to, opens) in [(one, two, true), (two, one, bears)] {
            let cache = format!("FILE:{}", from.path("traveller").display());
            let log_in = from.client("kinit").args(["-c", &cache, "alice"]).stdin(format!("{FIRST}\n"));
            log_in.run().succeeds();
            let said = to.client("kvno").args(["-c", &cache, "host/server.example.org"]).run();
            assert_eq!(said.is_success(), opens, "{seconds} s: {said}");
        }
        let off = || one.kadmin(&["kdcs"]).stdout.contains("CLOCK OFF by ");
        until("whose clock is off", off);
        // Failures that one counted lock at the other too, by whichever clock.
        one.kadmin(&["addpol", "-maxfailure", "2", "-lockoutduration", "1h", &format!("strict{seconds}")]).succeeds();
        one.kadmin(&["modprinc", "-policy", &format!("strict{seconds}"), "alice"]).succeeds();
        until("the rule is known", || two.kadmin(&["getprinc", "alice"]).stdout.contains(&format!("strict{seconds}")));
        for kdc in [two, one, two, one, two] {
            kdc.kinit("alice", "wrong").fails();
        }
        for kdc in [one, two] {
            until("locked", || kdc.kinit("alice", FIRST).stderr.contains("revoked"));
        }
        one.kadmin(&["modprinc", "-unlock", "alice"]).succeeds();
        until("open", || [one, two].iter().all(|kdc| knows(kdc, FIRST)));
    }
}
