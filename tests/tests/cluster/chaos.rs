//! Logins and changes while KDCs and nodes of etcd are killed, one after the other, while etcd has no majority, and
//! while all KDCs are started again: no login fails for a client that knows all KDCs, no acknowledged change is lost,
//! and none is made twice. Short here; `just chaos` for long.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kdc::admin::{Answer, NewKeys, Operation, Perform, Remote};

use crate::load::{Load, Scene, figure, wished};
use crate::place::{Kdc, name, perform, until};

/// What must have happened before the next is killed, and before it is started again.
const LOGINS: usize = 5;

/// The last number that was acknowledged, by writer.
type Written = [AtomicUsize; 3];

/// Gives its own principal new keys, again and again, through one KDC; what is not acknowledged is asked for
/// again, with the same id, over another.
fn write(load: &Load, written: &Written, sockets: &[PathBuf], writer: usize) {
    let mut place = writer;
    while !load.is_over() {
        let next = written[writer].load(Ordering::Relaxed) + 1;
        let principal = name(&format!("writer{writer}"));
        let change = Operation::ChangeKeys { principal, keys: NewKeys::Random(vec![]), keep_old: false };
        let once = Operation::Once { request: format!("{writer}-{next}"), operation: Box::new(change) };
        let done = Remote::find(&sockets[place % sockets.len()]).ok().flatten().map(|remote| remote.perform(once));
        match done {
            Some(Ok(_)) => {
                written[writer].store(next, Ordering::Relaxed);
                place = writer;
            }
            // It is being started again, or its answer was lost.
            _ => {
                place += 1;
                std::thread::yield_now();
            }
        }
    }
}

/// How often its keys were changed.
fn changes(kdc: &Kdc, writer: usize) -> usize {
    let described = perform(kdc, Operation::Describe { principal: name(&format!("writer{writer}")) });
    let Some(Answer::Principal(described)) = described else { return 0 };
    described.keys.first().map_or(0, |key| key.kvno as usize - 1)
}

#[test]
fn kdcs_and_nodes_of_etcd_are_killed_and_no_login_fails_and_no_acknowledged_change_is_lost() {
    let Some(mut scene) = Scene::start(&["writer0", "writer1", "writer2"]) else { return };
    let sockets: Vec<_> = scene.cluster.kdcs.iter().map(|kdc| kdc.path("admin.sock")).collect();
    let (written, kills) = (Written::default(), wished("KRB_CHAOS_KILLS", 4));
    let outcome = scene.under_load(|cluster, load| {
        std::thread::scope(|scope| {
            for writer in 0..sockets.len() {
                let (written, sockets) = (&written, &sockets);
                scope.spawn(move || write(load, written, sockets, writer));
            }
            let over = load.ending();
            for kill in 0..kills {
                let victim = kill / 2 % 3;
                match kill % 2 {
                    0 => cluster.kdcs[victim].kill(),
                    _ => cluster.etcd.kill(victim),
                }
                goes_on(load, &written, (victim + 1) % 3);
                match kill % 2 {
                    0 => cluster.kdcs[victim].start(),
                    _ => cluster.etcd.restart(&[victim]),
                }
                goes_on(load, &written, victim);
            }
            drop(over);
        });
    });
    let written = written.map(AtomicUsize::into_inner);
    for kdc in &scene.cluster.kdcs {
        for (writer, written) in written.iter().enumerate() {
            until("every acknowledged change is at every KDC", || changes(kdc, writer) >= *written);
            // The last one may have been made without an answer; every other was asked for until there was one.
            assert!(changes(kdc, writer) <= written + 1, "each was made once, however often it was asked for");
        }
        kdc.kdc(&["store", "verify"]).run().succeeds();
    }
    let all: usize = written.iter().sum();
    let goal = "0 failed logins at 2,000/s, 0 lost writes, 50 kills";
    let measured = format!("{}; 0 of {all} changes lost or made twice, {kills} kills", outcome.words());
    let rate = outcome.logins as f64 / outcome.took.as_secs_f64();
    figure("kill -9 of KDCs and nodes", goal, &measured, outcome.failed.is_empty() && kills >= 50 && rate >= 1900.0);
    assert_eq!(outcome.failed, [""; 0]);
}

#[test]
fn while_etcd_has_no_majority_and_while_all_kdcs_are_started_again_no_login_fails() {
    let Some(mut scene) = Scene::start(&[]) else { return };
    let outage = Duration::from_secs(wished("KRB_CHAOS_OUTAGE", 2));
    let outcome = scene.under_load(|cluster, load| {
        cluster.etcd.kill(0);
        cluster.etcd.kill(1);
        let begun = Instant::now();
        let logins = load.logins.load(Ordering::Relaxed) + LOGINS;
        // Logins are counted all the time; looking is no work.
        while begun.elapsed() < outage || load.logins.load(Ordering::Relaxed) < logins {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        cluster.etcd.restart(&[0, 1]);
        until("changes can be made again", || cluster.kdcs[0].page("/readyz").1.contains("ok   changes"));
    });
    let measured = format!("{}; without a majority for {outage:.0?}", outcome.words());
    let met = outcome.failed.is_empty() && outage >= Duration::from_secs(600);
    figure("no majority of etcd for 10 minutes", "0 failed logins", &measured, met);
    assert_eq!(outcome.failed, [""; 0]);
    let outcome = scene.under_load(|cluster, load| {
        for kdc in &mut cluster.kdcs {
            let logins = load.logins.load(Ordering::Relaxed) + LOGINS;
            kdc.stop();
            kdc.start();
            until("logins go on", || load.logins.load(Ordering::Relaxed) >= logins);
        }
    });
    figure("rolling restart of all KDCs", "0 failed logins", &outcome.words(), outcome.failed.is_empty());
    assert_eq!(outcome.failed, [""; 0]);
}

/// Awaits some logins, and a change through a KDC that lives.
fn goes_on(load: &Load, written: &Written, writer: usize) {
    let logins = load.logins.load(Ordering::Relaxed) + LOGINS;
    let before = written[writer].load(Ordering::Relaxed);
    let goes_on = || {
        std::thread::yield_now();
        load.logins.load(Ordering::Relaxed) >= logins && written[writer].load(Ordering::Relaxed) > before
    };
    until("logins and changes go on", goes_on);
}
