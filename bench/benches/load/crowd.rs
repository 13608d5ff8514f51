//! Many principals, and more than one core.

use std::time::Duration;

use bench::quiet::{Quiet, Wishes, numbered};
use bench::rows::Goal;
use bench::{Load, MANY_TURNS, TURNS, cpu_nanos, load, load_from, median, resident, rest};
use tests::joined::Credential;
use tests::{AES256_SHA1, Family};

use crate::cost::{EXCHANGES, cost, times};
use crate::{Extent, Report};

const FEW: u32 = 1000;

/// Any of so many numbers, in an order that is the same in every run.
fn any(state: &mut u64, of: u32) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*state >> 33) % u64::from(of)) as u32
}

/// Who asks, among so many: logins of random users, and their tickets for random services.
struct Crowd {
    quiet: Quiet,
    principals: u32,
    state: u64,
    tgts: Vec<Credential>,
}

impl Crowd {
    fn of(principals: u32) -> Crowd {
        const CLIENTS: usize = 500;
        let mut quiet = Quiet::start(Family::Ours, AES256_SHA1, Wishes { principals, ..Wishes::default() });
        rest(quiet.pid());
        let mut state = 4711;
        let tgts = (0..CLIENTS).map(|_| quiet.tgt(&numbered(any(&mut state, principals)))).collect();
        Crowd { quiet, principals, state, tgts }
    }

    fn turn(&mut self, requests: usize) -> [Load; 2] {
        let Crowd { quiet, principals, state, tgts } = self;
        let logins: Vec<_> = (0..requests).map(|_| quiet.login(&numbered(any(state, *principals)))).collect();
        let logins = load(quiet.address(), quiet.pid(), &logins, 0x6b);
        let ticket = |place| quiet.service(&tgts[place % tgts.len()], &numbered(any(state, *principals)));
        let services: Vec<_> = (0..requests).map(ticket).collect();
        [logins, load(quiet.address(), quiet.pid(), &services, 0x6d)]
    }

    /// What fits into a cache is in it, and what grows has grown.
    fn warm(&mut self, requests: usize) {
        for _ in 0..2 {
            self.turn(requests);
        }
    }
}

/// A realm of many against one of few.
pub fn principals(report: &mut Report, extent: Extent) {
    let mut note = |principals: u32, turns: &[[Load; 2]]| {
        let failed: usize = turns.iter().flatten().map(|load| load.failed).sum();
        let costs = [0, 1].map(|place| cost(turns, place));
        println!("  {principals} principals: AS {:.1} us, TGS {:.1} us, {failed} failed", costs[0], costs[1]);
        report.principals.push((f64::from(principals), costs));
    };
    let mut crowds = [FEW, extent.principals].map(Crowd::of);
    crowds.iter_mut().for_each(|crowd| crowd.warm(extent.requests / 2));
    let mut turns = [vec![], vec![]];
    for _ in 0..MANY_TURNS {
        crowds.iter_mut().zip(&mut turns).for_each(|(crowd, turns)| turns.push(crowd.turn(extent.requests / TURNS)));
    }
    note(FEW, &turns[0]);
    let mut middle = FEW * 10;
    while middle < extent.principals {
        let mut crowd = Crowd::of(middle);
        crowd.warm(extent.requests / 2);
        let turns: Vec<_> = (0..TURNS).map(|_| crowd.turn(extent.requests / TURNS)).collect();
        note(middle, &turns);
        middle *= 10;
    }
    note(extent.principals, &turns[1]);
    let rows = &mut report.rows;
    for (place, what) in EXCHANGES.iter().enumerate() {
        let what = format!("{what}: {} principals against {FEW}", extent.principals);
        let [few, many] = [0, 1].map(|crowd| cost(&turns[crowd], place));
        let detail = format!("{many:.1} us against {few:.1} us, medians of {MANY_TURNS} turns");
        rows.add(&what, Goal::AtMost(1.5), times(&turns[1], &turns[0], place), " times", detail);
    }
    let [_, Crowd { quiet: mut many, .. }] = crowds;
    let mib = resident(many.pid()) as f64 / f64::from(1 << 20);
    rows.add(
        &format!("memory with {} principals", extent.principals),
        Goal::AtMost(400.0),
        mib,
        " MiB",
        "after the load".to_owned(),
    );
    let ready: Duration = many.restart();
    rows.add(
        "ready after kill -9",
        Goal::AtMost(100.0),
        ready.as_secs_f64() * 1000.0,
        " ms",
        format!("{} principals", extent.principals),
    );
}

/// Two cores against one. What a KDC could do with its cores to itself follows from what a request costs it: twice
/// the cores do twice as much, less what they cost each other.
pub fn cores(report: &mut Report, extent: Extent) {
    let quiet = |one_core| Quiet::start(Family::Ours, AES256_SHA1, Wishes { one_core, ..Wishes::default() });
    let mut quiets = [true, false].map(quiet);
    let mut ask = |place: usize| {
        let quiet: &mut Quiet = &mut quiets[place];
        let (pid, requests) = (quiet.pid(), quiet.logins(2 * extent.requests / TURNS));
        load_from(8, quiet.address(), || cpu_nanos(pid), &requests, &[0x6b]).cpu_micros
    };
    // What is to grow has grown then.
    for place in [0, 1] {
        (0..TURNS).for_each(|_| _ = ask(place));
    }
    let turns: Vec<_> = (0..MANY_TURNS).map(|_| [ask(0), ask(1)]).collect();
    let [one, two] = [0, 1].map(|place| median(turns.iter().map(|turn| turn[place])));
    report.rows.add(
        "two cores against one",
        Goal::AtLeast(1.8),
        median(turns.iter().map(|[one, two]| 2.0 * one / two)),
        " times",
        format!("AS {two:.1} us against {one:.1} us, medians of {MANY_TURNS} turns"),
    );
}
