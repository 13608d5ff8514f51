//! Several KDCs of one realm over a real etcd: what one takes all have, and what goes on when one of
//! them, a node of etcd, or its majority is gone.

mod chaos;
mod clients;
mod cost;
mod failures;
mod figures;
mod joining;
mod keys;
mod load;
mod place;
mod sealed;
mod together;
mod wire;

use place::{Cluster, REALM, until};

#[test]
fn what_one_kdc_takes_all_have_also_one_that_was_away() {
    let Some(mut cluster) = Cluster::start(2, 1) else { return };
    let [one, two] = &mut cluster.kdcs[..] else { unreachable!() };
    one.kadmin(&["addprinc", "-pw", "first secret", "alice"]).succeeds();
    one.kinit("alice", "first secret").succeeds();
    until("alice at the other KDC", || two.kinit("alice", "first secret").is_success());
    // Changed there, it is known there at once, and here soon.
    two.kadmin(&["cpw", "-pw", "second secret", "alice"]).succeeds();
    two.kinit("alice", "second secret").succeeds();
    until("the new password at the first KDC", || one.kinit("alice", "second secret").is_success());
    one.kinit("alice", "first secret").fails();

    let living = || one.kdc(&["status", "--realm"]).run().succeeds().stdout().to_owned();
    until("both say that they live", || living().contains(&format!("{REALM}: 2 KDCs live")));
    until("and that they are up to date", || living().matches("up to date").count() == 2);
    assert!(living().contains(&format!("127.0.0.1:{}", two.port())));
    let asked = two.kadmin(&["kdcs"]).succeeds().stdout().to_owned();
    assert!(asked.contains(&format!("{REALM}: 2 KDCs live")) && asked.matches("up to date").count() == 2, "{asked}");
    let dns = one.kdc(&["dns"]).run().succeeds();
    for port in [one.port(), two.port()] {
        assert!(
            dns.stdout().contains(&format!("_kerberos._udp.example.org. 300 IN SRV 0 0 {port} ")),
            "{}",
            dns.stdout()
        );
    }

    two.kill();
    one.kadmin(&["addprinc", "-pw", "third secret", "bob"]).succeeds();
    one.kadmin(&["delprinc", "-force", "alice"]).succeeds();
    two.start();
    two.kinit("bob", "third secret").succeeds();
    two.kinit("alice", "second secret").fails().saying("not found");
    let digest = |kdc: &place::Kdc| {
        let said = kdc.kdc(&["store", "verify"]).run().succeeds().saying("4 records");
        said.stdout().rsplit(' ').next().expect("a checksum").to_owned()
    };
    assert_eq!(digest(one), digest(two), "running, both are as etcd is");
    one.kill();
    assert_eq!(digest(one), digest(two), "and so is a KDC that does not run");
    // kadmin beside a KDC that does not run goes through etcd all the same.
    one.kadmin(&["addprinc", "-pw", "fourth secret", "carol"]).succeeds();
    until("carol", || two.kinit("carol", "fourth secret").is_success());
}

#[test]
fn without_a_majority_of_etcd_tickets_go_on_and_changes_wait() {
    let Some(mut cluster) = Cluster::start(2, 3) else { return };
    let add = |cluster: &Cluster, kdc: usize, user: &str| {
        cluster.kdcs[kdc].kadmin(&["addprinc", "-pw", "a good secret", user])
    };
    add(&cluster, 0, "alice").succeeds();
    // One node of three is nobody's loss, whichever it is: those that asked it ask another.
    for node in [0, 1, 2] {
        cluster.etcd.kill(node);
        let user = format!("user{node}");
        add(&cluster, node % 2, &user).succeeds();
        cluster.kdcs[node % 2].kinit(&user, "a good secret").succeeds();
        cluster.etcd.restart(&[node]);
    }
    let kdcs = &cluster.kdcs;
    until("both have all", || kdcs.iter().all(|kdc| kdc.kinit("user2", "a good secret").is_success()));
    let (status, text) = kdcs[0].page("/readyz");
    assert!(status == 200 && text.contains("ok   changes"), "{text}");
    cluster.etcd.kill(0);
    cluster.etcd.kill(1);
    add(&cluster, 0, "bob").fails().saying("read-only: no quorum");
    for kdc in &cluster.kdcs {
        kdc.kinit("alice", "a good secret").succeeds();
        until("the KDC knows", || kdc.page("/readyz").1.contains("degraded  changes: read-only: no quorum"));
        assert_eq!(kdc.page("/readyz").0, 200, "tickets go on");
        until("the copy ages", || kdc.metric("kdc_store_lag_seconds") > 1.0);
    }
    // A KDC that starts now, after a crash, serves from its copy: that was on the disk before etcd went.
    cluster.kdcs[1].kill();
    cluster.kdcs[1].start();
    cluster.kdcs[1].kinit("alice", "a good secret").succeeds();
    cluster.etcd.restart(&[0, 1]);
    until("changes can be made again", || add(&cluster, 1, "carol").is_success());
    until("and are seen", || cluster.kdcs[0].kinit("carol", "a good secret").is_success());
    cluster.kdcs[0].kinit("bob", "a good secret").fails().saying("not found");
}
