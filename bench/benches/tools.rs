//! What a person or a cron job waits for: `kinit` from a keytab, the whole process, against a KDC on
//! loopback, ours and MIT's in turns. Wall (the best of all, for others disturb) and CPU (of all).
//! `cargo bench -p bench --bench tools`
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use std::process::{Command, Stdio};
use std::time::Instant;

use bench::cpu_nanos;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tests::{Family, Realm, Seat};

const TURNS: usize = 200;

fn main() {
    println!("{TURNS} times each; wall of the quickest, CPU of all");
    for row in rows() {
        let Row { what, goal, figure, ratio, met } = row;
        let ratio = ratio.map(|ratio| format!(", {ratio:.2} times less than MIT")).unwrap_or_default();
        println!("{what:<32} {figure:>8.2} ms{ratio} (goal: {goal}; {})", if met { "met" } else { "not met" });
    }
}

/// A figure with its goal.
pub struct Row {
    pub what: &'static str,
    pub goal: &'static str,
    /// Milliseconds.
    pub figure: f64,
    /// How many times that MIT takes.
    pub ratio: Option<f64>,
    pub met: bool,
}

/// What there is to say of the tools.
pub fn rows() -> Vec<Row> {
    let realm = Realm::start(Family::Ours);
    let keytab = realm.add_service("host/bench.example.org");
    let keytab = keytab.to_str().expect("a path of text");
    let login = ["-k", "-t", keytab, "host/bench.example.org"];
    let ours = realm.seat(Family::Ours);
    let start = best(TURNS, [&mut || run(&ours, Family::Ours, &["--version"])])[0];
    let mut rows =
        vec![Row { what: "kinit starts", goal: "under 5 ms", figure: start.wall, ratio: None, met: start.wall < 5.0 }];
    let mut of_login = |ours: Spent, theirs: Option<Spent>| {
        let ratio = |of: fn(&Spent) -> f64| theirs.as_ref().map(|theirs| of(theirs) / of(&ours));
        for (what, figure, ratio) in [
            ("kinit -k, wall", ours.wall, ratio(|spent| spent.wall)),
            ("kinit -k, CPU", ours.cpu, ratio(|spent| spent.cpu)),
        ] {
            let met = ratio.is_some_and(|ratio| ratio > 1.0);
            rows.push(Row { what, goal: "less than MIT", figure, ratio, met });
        }
    };
    if Family::Mit.has_clients() {
        let mit = realm.seat(Family::Mit);
        let [ours, theirs] =
            best(TURNS, [&mut || run(&ours, Family::Ours, &login), &mut || run(&mit, Family::Mit, &login)]);
        of_login(ours, Some(theirs));
    } else {
        let [ours] = best(TURNS, [&mut || run(&ours, Family::Ours, &login)]);
        of_login(ours, None);
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
