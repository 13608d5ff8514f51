//! How long clients take to a ticket when the first KDC that they know is dead, silent, or busy. It prints what it
//! measured and asserts no time.

use std::time::{Duration, Instant};

use tests::{Family, Port, tell};

use crate::load::wished;
use crate::place::{Cluster, until};
use crate::wire::Other;

const PASSWORD: &str = "a good secret";

fn rounds() -> usize {
    if wished("KRB_CLUSTER_SECONDS", 1) > 1 { 5 } else { 1 }
}

#[test]
fn clients_find_another_kdc_when_the_first_is_dead_silent_or_busy() {
    let Some(cluster) = Cluster::start(1, 1) else { return };
    let kdc = &cluster.kdcs[0];
    kdc.kadmin(&["addprinc", "-pw", PASSWORD, "alice"]).succeeds();
    let (dead, silent, busy) = (Port::claim(), Other::silent(), Other::busy());
    let cases = [("alive", kdc.port()), ("dead", dead.number()), ("silent", silent.port()), ("busy", busy.port())];
    let families = [Family::Ours, Family::Mit];
    let mut lines = vec![format!("{:<26} {:>12} {:>12}", "the first KDC is", "kinit", "MIT's kinit")];
    for (what, first) in cases {
        kdc.knows_kdcs(&[first, kdc.port()]);
        let times = families.map(|family| {
            family.has_clients().then(|| {
                let mut times: Vec<_> = (0..rounds())
                    .map(|_| {
                        let begun = Instant::now();
                        kdc.client_of(family, "kinit").args(["alice"]).stdin(format!("{PASSWORD}\n")).run().succeeds();
                        begun.elapsed()
                    })
                    .collect();
                times.sort();
                times[times.len() / 2]
            })
        });
        let [ours, mit] = times.map(|time: Option<Duration>| time.map_or("-".to_owned(), |time| format!("{time:.0?}")));
        lines.push(format!("{what:<26} {ours:>12} {mit:>12}"));
    }
    tell(&lines.join("\n"));
    kdc.knows_kdcs(&[kdc.port()]);
    until("it is there still", || kdc.kinit("alice", PASSWORD).is_success());
}
