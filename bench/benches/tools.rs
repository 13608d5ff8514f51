//! What a person or a cron job waits for: `kinit` from a keytab, the whole process, against a KDC on
//! loopback, ours and MIT's in turns. Wall (the best of all, for others disturb) and CPU (of all).
//! `cargo bench -p bench --bench tools`
#![allow(missing_docs, reason = "a benchmark")]

use std::process::{Command, Stdio};
use std::time::Instant;

use bench::cpu_nanos;
use bench::rows::{Goal, Rows};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tests::{Family, Realm, Seat};

const TURNS: usize = 200;

fn main() {
    rows().keep("tools");
}

/// What there is to say of the tools.
fn rows() -> Rows {
    let realm = Realm::start(Family::Ours);
    let keytab = realm.add_service("host/bench.example.org");
    let keytab = keytab.to_str().expect("a path of text");
    let login = ["-k", "-t", keytab, "host/bench.example.org"];
    let ours = realm.seat(Family::Ours);
    let start = best(TURNS, [&mut || run(&ours, Family::Ours, &["--version"])])[0];
    let mut rows = Rows::default();
    let detail = format!("wall, the quickest of {TURNS}");
    rows.add("kinit starts", Goal::AtMost(5.0), start.wall, " ms", detail);
    if Family::Mit.has_clients() {
        let mit = realm.seat(Family::Mit);
        let [ours, theirs] =
            best(TURNS, [&mut || run(&ours, Family::Ours, &login), &mut || run(&mit, Family::Mit, &login)]);
        for (what, ours, theirs) in [("wall", ours.wall, theirs.wall), ("CPU", ours.cpu, theirs.cpu)] {
            let what = format!("kinit -k, {what} of MIT's");
            rows.add(
                &what,
                Goal::AtLeast(1.0),
                theirs / ours,
                " times",
                format!("{ours:.2} ms against {theirs:.2} ms"),
            );
        }
    } else {
        let [ours] = best(TURNS, [&mut || run(&ours, Family::Ours, &login)]);
        rows.add("kinit -k, wall", Goal::Stated, ours.wall, " ms", format!("{:.2} ms CPU; MIT's is missing", ours.cpu));
    }
    rows
}

/// Milliseconds: the quickest by the clock on the wall, and CPU of one.
#[derive(Clone, Copy)]
struct Spent {
    wall: f64,
    cpu: f64,
}

/// Runs programs in turns, so that what disturbs one disturbs all.
fn best<const N: usize>(turns: usize, mut programs: [&mut dyn FnMut() -> f64; N]) -> [Spent; N] {
    let mut spent = [Spent { wall: f64::INFINITY, cpu: 0.0 }; N];
    for _ in 0..turns {
        for (program, spent) in programs.iter_mut().zip(&mut spent) {
            let start = Instant::now();
            spent.cpu += program() / turns as f64;
            spent.wall = spent.wall.min(start.elapsed().as_secs_f64() * 1000.0);
        }
    }
    spent
}

/// Runs a `kinit`; its CPU time in milliseconds.
fn run(seat: &Seat<'_>, family: Family, arguments: &[&str]) -> f64 {
    let program = family.program("kinit");
    let mut child = Command::new(program.path)
        .args(program.arguments)
        .args(arguments)
        .env_clear()
        .env("KRB5_CONFIG", seat.configuration())
        .env("KRB5CCNAME", seat.ccache())
        .stdout(Stdio::null())
        .spawn()
        .expect("kinit");
    // Of a process that has ended and was not asked for yet the kernel still tells.
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(Pid::from_child(&child)), ended).expect("an end");
    let cpu = cpu_nanos(child.id()) as f64 / 1e6;
    assert!(child.wait().expect("kinit").success());
    cpu
}
