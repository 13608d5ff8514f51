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
        for kvno in 2..4 {
            cluster.kdcs[kvno % 3].kadmin(&["cpw", "-randkey", "-keepold", &tgs()]).succeeds();
            let shown = cluster.kdcs[0].kadmin(&["getprinc", &tgs()]).succeeds();
            assert!(shown.stdout().contains(&format!("vno {kvno}")), "{}", shown.stdout());
        }
        over.store(true, Ordering::Relaxed);
        running.into_iter().flat_map(|thread| thread.join().expect("ends")).collect::<Vec<_>>()
    });
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(travels_made.into_inner() > 10);
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
