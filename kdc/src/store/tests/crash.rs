//! A process killed in the midst of commits leaves every commit that it acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;
use crate::core::{Change, Store};

const FOLDER: &str = "KDC_TEST_CRASH_FOLDER";
const FIRST: &str = "KDC_TEST_CRASH_FIRST";

/// Not a test by itself: what the killed process does.
#[test]
fn the_process_that_is_killed() {
    let Some(dir) = std::env::var_os(FOLDER).map(std::path::PathBuf::from) else { return };
    let first: usize = std::env::var(FIRST).expect("set").parse().expect("a number");
    let store = open(&dir.join("store"), &dir.join("master.key"), KEPT).expect("opens");
    for number in first.. {
        store.commit(&[Change::Create(entry(&format!("user{number}")))]).expect("committed");
        let mut out = std::io::stdout().lock();
        writeln!(out, "committed {number}").expect("the parent reads");
        out.flush().expect("the parent reads");
    }
}

#[test]
fn every_acknowledged_commit_survives_kill_9() {
    let (dir, store) = redb();
    drop(store);
    let mut acknowledged = 0;
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "store::tests::crash::the_process_that_is_killed", "--nocapture"])
            .env(FOLDER, dir.path())
            .env(FIRST, (acknowledged + 1).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        for line in lines {
            // The harness may put its own words before ours.
            let Some(number) = line.expect("text").rsplit_once("committed ").map(|(_, n)| n.to_owned()) else {
                continue;
            };
            acknowledged = number.parse().expect("a number");
            if acknowledged % 20 == 20 - round {
                child.kill().expect("killed");
            }
        }
        child.wait().expect("gone");
        let store = reopen(&dir).expect("opens after the kill");
        for number in 1..=acknowledged {
            assert!(store.lookup(&name(&format!("user{number}"))).expect("readable").is_some(), "{number} is lost");
        }
        // The commit that was under way may be there or not; then the next process must not repeat it.
        let kept = store.list(None, usize::MAX).expect("listed").len();
        assert!(kept == acknowledged || kept == acknowledged + 1, "{kept} kept, {acknowledged} acknowledged");
        acknowledged = kept;
    }
}
