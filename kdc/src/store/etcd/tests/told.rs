//! What KDCs tell each other through etcd beside the realm itself: what they count, and how far they are.

use super::*;
use crate::core::KeySet;
use crate::store::redb::Position;

const WHO: AccountId = [3; 16];

/// Each look takes its time.
#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came");
        std::thread::yield_now();
    }
}

#[test]
fn a_kdc_of_before_a_restore_counts_nothing_in_the_new_epoch_until_its_copy_is_of_that() {
    let rule = Lockout { max_failures: 5, interval: 0, duration: 0 };
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    let epoch = || one.copy().position().expect("readable").expect("a copy").epoch;
    let counted = Counted::default().together(one.together());
    // A KDC whose copy is of whatever epoch it is told.
    let (progress, together) = (Arc::new(Progress::new(None)), Arc::new(Together::default()));
    let is_of = |epoch| progress.at(&Position { epoch, ..Position::default() });
    is_of(epoch());
    let Changer { client, layout, .. } = one.changer.clone();
    let tallies = Tallies::new(client, layout, Arc::clone(&progress), Arc::clone(&together));
    one.runtime.spawn(tallies.clone().tell());
    one.runtime.spawn(tallies.hear());
    let stale = Counted::default().together(Some(Arc::clone(&together)));
    let fail = || stale.attempt(&WHO, Some(&rule), Time(1_800_000_000), &mut |_| Proven::No(1)) == Tried::Made;
    until(|| together.is_reached());
    assert!(fail());
    until(|| counted.record(&WHO).failures == 1);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let next = runtime.block_on(fence(&shared.options, 0)).expect("fenced");
    until(|| epoch() == next);
    // Who still waits for the first guess to be known is not asked for another.
    until(fail);
    until(|| !together.is_reached());
    assert_eq!(counted.record(&WHO).failures, 1, "refused");
    assert_eq!(stale.record(&WHO).failures, 2, "it counts on for itself");
    is_of(next);
    until(|| counted.record(&WHO).failures == 2);
    until(|| together.is_reached());
}

#[test]
fn failures_go_on_being_counted_while_the_master_key_is_rolled_over() {
    let rule = Lockout { max_failures: 5, interval: 0, duration: 0 };
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    // The second has no file of its own for the master key, nor needs any.
    let other = Arc::new(Together::default());
    let Changer { client, layout, progress, .. } = one.changer.clone();
    let tallies = Tallies::new(client, layout, progress, Arc::clone(&other));
    one.runtime.spawn(tallies.clone().tell());
    one.runtime.spawn(tallies.hear());
    let counted = [one.together(), Some(other)].map(|together| Counted::default().together(together));
    for failures in 1..4 {
        until(|| counted[1].attempt(&WHO, Some(&rule), Time(1), &mut |_| Proven::No(1)) == Tried::Made);
        until(|| counted.iter().all(|counted| counted.record(&WHO).failures == failures));
        // The realm's record is another then, of the same epoch.
        assert_eq!(one.rolled_over(), (failures + 1, vec![failures]));
    }
}

#[test]
fn keys_that_are_announced_are_used_when_all_have_said_that_they_have_them_which_waits_for_no_heartbeat() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let kdcs = ["one", "two", "three"].map(|file| shared.open(file));
    kdcs[0].commit(&["krbtgt/R", "kadmin/admin"].map(|name| Change::Create(entry(name)))).expect("made");
    kdcs.iter().for_each(|kdc| kdc.serves(vec![], vec![]));
    until(|| kdcs[0].members().expect("known").expect("there may be several").kdcs.len() == 3);
    for (turn, kdc) in kdcs.iter().enumerate() {
        kdc.await_all_of(&kdcs[(turn + 2) % 3]);
        let mut next = (*kdc.find("krbtgt/R").expect("there")).clone();
        let newest = next.keys[0].clone();
        next.keys.insert(0, KeySet { kvno: newest.kvno + 1, ..newest });
        // Somebody else announces something in the same moment.
        let mut kadmin = (*kdc.find("kadmin/admin").expect("there")).clone();
        let newest = kadmin.keys[0].clone();
        kadmin.keys.insert(0, KeySet { kvno: newest.kvno + 1, ..newest });
        std::thread::scope(|scope| {
            scope.spawn(|| kdc.commit(&[Change::Replace(kadmin)]).expect("the same of others"));
            kdc.commit(&[Change::Replace(next)]).expect("all have them, and have said so");
        });
    }
    kdcs[0].await_all_of(&kdcs[2]);
    let krbtgt = kdcs[0].find("krbtgt/R").expect("there");
    assert_eq!(krbtgt.keys.iter().map(|set| set.kvno).collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert!(krbtgt.keys.iter().all(|set| set.from == Time::EPOCH), "in use");
}
