//! Many principals, and more than one core.

use std::time::Duration;

use bench::quiet::{Quiet, Wishes, numbered};
use bench::rows::Goal;
use bench::{Load, cpu_nanos, load, load_from, resident};
use tests::{AES256_SHA1, Family};

use crate::{Extent, Report};

const FEW: u32 = 1000;

/// Any of so many numbers, in an order that is the same in every run.
fn any(state: &mut u64, of: u32) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*state >> 33) % u64::from(of)) as u32
}

/// Logins of random users and tickets for random services, of so many.
fn among(quiet: &mut Quiet, principals: u32, requests: usize) -> [Load; 2] {
    const CLIENTS: usize = 500;
    let mut state = 4711;
    let logins: Vec<_> = (0..requests).map(|_| quiet.login(&numbered(any(&mut state, principals)))).collect();
    // What fits into a cache is in it before anything is measured, and what grows has grown.
    let (first, logins) = logins.split_at(requests / 2);
    load(quiet.address(), quiet.pid(), first, 0x6b);
    let logins = load(quiet.address(), quiet.pid(), logins, 0x6b);
    let tgts: Vec<_> = (0..CLIENTS).map(|_| quiet.tgt(&numbered(any(&mut state, principals)))).collect();
    let services: Vec<_> = (0..requests)
        .map(|place| quiet.service(&tgts[place % CLIENTS], &numbered(any(&mut state, principals))))
        .collect();
    let (first, services) = services.split_at(requests / 2);
    load(quiet.address(), quiet.pid(), first, 0x6d);
    [logins, load(quiet.address(), quiet.pid(), services, 0x6d)]
}

/// A realm of many against one of few.
pub fn principals(report: &mut Report, extent: Extent) {
    let mut measure = |principals: u32| {
        let mut quiet = Quiet::start(Family::Ours, AES256_SHA1, Wishes { principals, ..Wishes::default() });
        let loads = among(&mut quiet, principals, extent.requests);
        let failed: usize = loads.iter().map(|load| load.failed).sum();
        println!(
            "  {principals} principals: AS {:.1} us, TGS {:.1} us, {failed} failed",
            loads[0].cpu_micros, loads[1].cpu_micros
        );
        report.principals.push((f64::from(principals), loads.map(|load| load.cpu_micros)));
        (quiet, loads.map(|load| load.cpu_micros))
    };
    let (few, with_few) = measure(FEW);
    drop(few);
    let mut middle = FEW * 10;
    while middle < extent.principals {
        drop(measure(middle));
        middle *= 10;
    }
    let (mut many, with_many) = measure(extent.principals);
    let rows = &mut report.rows;
    for (place, what) in ["AS", "TGS"].iter().enumerate() {
        let what = format!("{what}: {} principals against {FEW}", extent.principals);
        let detail = format!("{:.1} us against {:.1} us", with_many[place], with_few[place]);
        rows.add(&what, Goal::AtMost(1.5), with_many[place] / with_few[place], " times", detail);
    }
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
    let mut costs = [0.0; 2];
    for (place, one_core) in [true, false].into_iter().enumerate() {
        let mut quiet = Quiet::start(Family::Ours, AES256_SHA1, Wishes { one_core, ..Wishes::default() });
        let (pid, requests) = (quiet.pid(), quiet.logins(2 * extent.requests));
        let (first, requests) = requests.split_at(requests.len() / 10);
        load(quiet.address(), pid, first, 0x6b);
        costs[place] = load_from(8, quiet.address(), || cpu_nanos(pid), requests, &[0x6b]).cpu_micros;
    }
    let [one, two] = costs;
    report.rows.add(
        "two cores against one",
        Goal::AtLeast(1.8),
        2.0 * one / two,
        " times",
        format!("AS {two:.1} us against {one:.1} us"),
    );
}
