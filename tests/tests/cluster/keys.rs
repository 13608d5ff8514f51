//! Keys that turn over: a client never meets a KDC that lacks the key of its ticket, or is sent to another.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tests::Said;

use crate::place::{Cluster, Kdc, REALM, until};

const PASSWORD: &str = "a good secret";
const SERVICE: &str = "host/server.example.org";

fn tgs() -> String {
    format!("krbtgt/{REALM}")
}

/// A cluster whose KDCs all know alice and a service, and know of each other.
fn started(kdcs: usize, nodes: usize) -> Option<Cluster> {
    let cluster = Cluster::start(kdcs, nodes)?;
    cluster.kdcs[0].kadmin(&["addprinc", "-pw", PASSWORD, "alice"]).succeeds();
    cluster.kdcs[0].kadmin(&["addprinc", "-randkey", SERVICE]).succeeds();
    until("all know all", || cluster.kdcs.iter().all(|kdc| travels(kdc, kdc, 0).is_success()));
    let all = format!("{REALM}: {kdcs} KDCs live");
    until("all are known", || cluster.kdcs[0].kdc(&["status", "--realm"]).run().stdout.contains(&all));
    Some(cluster)
}

/// A ticket-granting ticket of one KDC, shown to another.
fn travels(from: &Kdc, to: &Kdc, traveller: usize) -> Said {
    let cache = format!("FILE:{}", from.path(&format!("traveller{traveller}")).display());
    let log_in = from.client("kinit").args(["-c", &cache, "alice"]).stdin(format!("{PASSWORD}\n"));
    let said = log_in.run();
    if !said.is_success() {
        return said;
    }
    to.client("kvno").args(["-c", &cache, SERVICE]).run()
}

#[test]
fn while_the_realms_own_key_is_changed_at_once_every_kdc_opens_what_any_other_issued() {
    let Some(cluster) = started(3, 1) else { return };
    let (over, travels_made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failed = std::thread::scope(|scope| {
        let running: Vec<_> = (0..2)
            .map(|traveller| {
                let (over, made, kdcs) = (&over, &travels_made, &cluster.kdcs);
                scope.spawn(move || {
                    let mut failed = vec![];
                    while !over.load(Ordering::Relaxed) {
                        let trip = made.fetch_add(1, Ordering::Relaxed);
                        let said = travels(&kdcs[trip % 3], &kdcs[(trip + 1 + traveller) % 3], traveller);
                        failed.extend((!said.is_success()).then(|| said.to_string()));
                    }
                    failed
                })
            })
            .collect();
        let mut kvno = 1;
        while kvno < 4 || travels_made.load(Ordering::Relaxed) < 12 {
            kvno += 1;
            cluster.kdcs[kvno % 3].kadmin(&["cpw", "-randkey", "-keepold", &tgs()]).succeeds();
            let shown = cluster.kdcs[0].kadmin(&["getprinc", &tgs()]).succeeds();
            assert!(shown.stdout().contains(&format!("vno {kvno}")), "{}", shown.stdout());
        }
        over.store(true, Ordering::Relaxed);
        running.into_iter().flat_map(|thread| thread.join().expect("ends")).collect::<Vec<_>>()
    });
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The versions in a KDC's master key file, without the keys.
fn versions(kdc: &Kdc) -> Vec<String> {
    let text = std::fs::read_to_string(kdc.path("master.key")).expect("a master key");
    let rows = text.lines().skip(1).filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| row.split(' ').next().map(str::to_owned)).collect()
}

#[test]
fn the_master_key_is_rolled_over_on_all_kdcs_while_they_serve_and_one_that_was_away_says_what_it_lacks() {
    let Some(mut cluster) = started(3, 1) else { return };
    cluster.kdcs[2].kill();
    let [one, two, _] = &cluster.kdcs[..] else { unreachable!() };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let rolling = scope.spawn(|| {
            // Until the third does not live any more, it is waited for.
            let said = one.kdc(&["master-key", "rotate", "--json"]).run();
            done.store(true, Ordering::SeqCst);
            said
        });
        while !done.load(Ordering::SeqCst) {
            travels(one, two, 0).succeeds();
            two.kadmin(&["setstr", "alice", "note", "changed"]).succeeds();
        }
        let said = rolling.join().expect("ends").succeeds();
        said.saying(r#""finished":true"#).saying(r#""removed":[1]"#).saying(r#""version":2"#);
    });
    for kdc in [one, two] {
        until("the old version is gone everywhere", || versions(kdc) == ["2"]);
        kdc.kdc(&["store", "verify"]).run().succeeds();
    }
    let text = |kdc: &Kdc| std::fs::read_to_string(kdc.path("master.key")).expect("a master key");
    assert_eq!(text(one).lines().last(), text(two).lines().last(), "it is the same key");
    two.kdc(&["master-key", "list", "--json"]).run().succeeds().saying(r#""versions":{"2":5}"#);
    cluster.kdcs[1].kill();
    cluster.kdcs[1].start();
    let [one, two, three] = &cluster.kdcs[..] else { unreachable!() };
    travels(two, one, 0).succeeds();
    three.kdc(&["run"]).run().fails().saying("wrong master key").saying("copy the file from a KDC that lives");
    std::fs::copy(one.path("master.key"), three.path("master.key")).expect("copied");
    std::fs::remove_file(three.path("principals.redb")).expect("removed");
    cluster.kdcs[2].start();
    let [one, _, three] = &cluster.kdcs[..] else { unreachable!() };
    travels(three, one, 0).succeeds();
}

#[test]
fn a_kdc_that_was_cut_off_from_etcd_sends_clients_on_whose_ticket_is_newer_than_its_copy() {
    let Some(mut cluster) = started(2, 3) else { return };
    // The second knows one node only, which dies.
    let settings = cluster.kdcs[1].path("kdc.toml");
    let text = std::fs::read_to_string(&settings).expect("settings");
    let all = format!("{:?}", cluster.etcd.endpoints());
    let last = format!("{:?}", &cluster.etcd.endpoints()[2..]);
    assert!(text.contains(&all), "{text}");
    cluster.kdcs[1].kill();
    std::fs::write(&settings, text.replace(&all, &last)).expect("written");
    cluster.kdcs[1].start();
    cluster.etcd.kill(2);
    let [one, two] = &cluster.kdcs[..] else { unreachable!() };
    // Waits until the second does not live any more.
    one.kadmin(&["cpw", "-randkey", "-keepold", &tgs()]).succeeds();
    travels(one, one, 0).succeeds();
    travels(two, two, 0).succeeds();
    travels(one, two, 0).fails().saying("service is not available");
    // A client that knows both is served.
    let text = std::fs::read_to_string(two.path("krb5.conf")).expect("settings");
    let both =
        text.replace("  kdc = ", &format!("  kdc = 127.0.0.1:{}\n  kdc = 127.0.0.1:{}\n# ", two.port(), one.port()));
    std::fs::write(two.path("krb5.conf"), both).expect("written");
    let cache = format!("FILE:{}", one.path("traveller0").display());
    two.client("kvno").args(["-c", &cache, SERVICE]).run().succeeds();
    cluster.etcd.restart(&[2]);
    let kdcs = &cluster.kdcs;
    until("it has caught up", || kdcs[1].kadmin(&["getprinc", &tgs()]).stdout.contains("vno 2"));
}
