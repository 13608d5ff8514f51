//! What a login costs a KDC over etcd, beside one over its own file alone: CPU time of the whole process, kernel
//! included, without what it does while nobody asks. It prints a line and asserts no time. Longer with
//! KRB_CLUSTER_SECONDS.

use std::sync::Arc;
use std::time::Duration;

use libkrb::Principal;
use libkrb::config::Config;
use libkrb::net::{Client, Transport};

use crate::load::figure;
use crate::place::{Cluster, Kdc, REALM};

const PASSWORD: &str = "correct horse battery";
/// Rounds, one KDC after the other in each.
const ROUNDS: usize = 3;

/// Logins in a round.
fn logins() -> usize {
    let seconds = std::env::var("KRB_CLUSTER_SECONDS").ok().and_then(|text| text.parse::<usize>().ok());
    30 * seconds.unwrap_or(1).max(1)
}

/// CPU time of a process so far, with that of threads which have ended: `utime` and `stime` of proc(5), in
/// hundredths of a second.
fn spent(kdc: &Kdc) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", kdc.pid())).expect("a process");
    // The name before them may have spaces in it.
    let (_, fields) = text.rsplit_once(')').expect("the name in parentheses");
    let hundredths = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
    Duration::from_millis(10 * hundredths.sum::<u64>())
}

fn log_in(kdc: &Kdc, runtime: &tokio::runtime::Runtime) {
    let text = std::fs::read_to_string(kdc.path("krb5.conf")).expect("settings");
    let config = Arc::new(Config::parse("krb5.conf", &text).expect("sound"));
    for _ in 0..logins() {
        let alice = Principal::parse("alice", Some(REALM)).expect("a name");
        let client = Client::with_password(Transport::new(Arc::clone(&config)), alice, PASSWORD);
        runtime.block_on(client.tgt()).expect("a ticket");
    }
}

#[test]
fn a_login_costs_a_kdc_over_etcd_about_what_it_costs_one_over_a_file() {
    let Some(cluster) = Cluster::start(1, 1) else { return };
    let alone = Kdc::alone(cluster.folder());
    let kdcs = [&alone, &cluster.kdcs[0]];
    for kdc in kdcs {
        // Under a policy that locks, each login looks at what was counted.
        kdc.kadmin(&["addpol", "-maxfailure", "5", "strict"]).succeeds();
        kdc.kadmin(&["addprinc", "-policy", "strict", "-pw", PASSWORD, "alice"]).succeeds();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut busy, mut idle) = ([Duration::ZERO; 2], [Duration::ZERO; 2]);
    for _ in 0..ROUNDS {
        for asked in [0, 1] {
            let before = kdcs.map(spent);
            log_in(kdcs[asked], &runtime);
            let after = kdcs.map(spent);
            busy[asked] += after[asked] - before[asked];
            idle[1 - asked] += after[1 - asked] - before[1 - asked];
        }
    }
    let count = (ROUNDS * logins()) as u32;
    let [file, etcd] = [0, 1].map(|kdc| busy[kdc].saturating_sub(idle[kdc]) / count);
    let ratio = etcd.as_secs_f64() / file.as_secs_f64();
    let words = format!("{ratio:.3} times: {file:.1?} over a file, {etcd:.1?} over etcd, of {count}");
    figure("CPU of a login over etcd, beside a file", "at most 1.05 times", &words, ratio <= 1.05);
    assert!(!file.is_zero(), "it was measured");
}
