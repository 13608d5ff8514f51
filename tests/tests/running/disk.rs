//! A disk that is full: a bound on the size of files (RLIMIT_FSIZE), which any user can set, is to the
//! KDC what a full disk is.

use std::process::Command;

use kdc::admin::{Operation, Reason, Refusal};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tests::Daemon;

use crate::place::*;

/// A KDC whose store can't grow any more.
fn cramped(place: &Place) -> Daemon {
    let size = std::fs::metadata(&place.files.store).expect("a store").len();
    let mut shell = Command::new("sh");
    // Ignored, the signal becomes an error of the write. Units of 512 bytes, as POSIX has it.
    shell.args(["-c", "trap '' XFSZ; ulimit -S -f \"$1\"; shift; exec \"$@\"", "sh", &size.div_ceil(512).to_string()]);
    let run = place.kdc("run").command();
    shell.arg(run.get_program()).args(run.get_args());
    place.start_as(shell)
}

/// Changes until one is refused.
fn fill(place: &Place, prefix: &str) -> (usize, Refusal) {
    for number in 0..10_000 {
        let (principal, name) = (name(&format!("{prefix}{}", number / 60)), format!("note{}", number % 60));
        if number % 60 == 0 {
            let keys = kdc::admin::NewKeys::Random(vec![]);
            let create =
                Operation::Create { principal: principal.clone(), keys, kvno: None, settings: Default::default() };
            if let Err(refusal) = place.perform(create) {
                return (number, refusal);
            }
        }
        let set = Operation::SetString { principal, name, value: Some("x".repeat(4000)) };
        if let Err(refusal) = place.perform(set) {
            return (number, refusal);
        }
    }
    panic!("the disk never became full");
}

#[test]
fn on_a_full_disk_tickets_are_issued_and_changes_refused_until_there_is_room() {
    let place = Place::new();
    let daemon = place.start();
    ["alice", "bob"].iter().for_each(|user| place.add(user));
    drop(daemon);
    let daemon = cramped(&place);
    log_in("alice", &mut place.udp()).expect("a ticket");
    let (number, refusal) = fill(&place, "first");
    assert!(number > 0);
    for refusal in [refusal, fill(&place, "second").1] {
        assert_eq!(refusal.reason, Reason::Failed, "{refusal}");
        assert!(refusal.text.contains("the disk is full") && refusal.text.contains("make room"), "{refusal}");
    }
    // alice is in memory and bob is not.
    for user in ["alice", "bob"] {
        log_in(user, &mut place.udp()).expect("a ticket over UDP");
        log_in(user, &mut place.tcp()).expect("a ticket over TCP");
    }
    let pid = i32::try_from(daemon.pid()).ok().and_then(Pid::from_raw);
    prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).expect("a raised limit");
    place.add("carol");
    log_in("carol", &mut place.udp()).expect("a ticket");
    drop(daemon);
    let checked = place.kdc("check").run();
    checked.succeeds();
}
