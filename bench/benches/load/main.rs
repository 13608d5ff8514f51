//! The table of what one KDC is to reach: each row with its goal and the figure of this run. Peers are measured in
//! the same run with the same requests; CPU time is the servers' own, so the load costs nobody anything.
//!
//! `cargo bench -p bench --bench load [-- [--short] [SECTION...]]`. With `KRB_BENCH_DOCS` set to a folder the page and
//! its pictures are written there.
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

mod connections;
mod cost;
mod crowd;
mod floods;
mod pace;
mod page;

use bench::rows::Rows;

/// How much is done.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Requests of a kind.
    pub requests: usize,
    /// Principals of a big realm.
    pub principals: u32,
    /// Idle connections.
    pub connections: usize,
}

const WHOLE: Extent = Extent { requests: 40_000, principals: 1_000_000, connections: 50_000 };
const SHORT: Extent = Extent { requests: 8_000, principals: 20_000, connections: 2_000 };

/// What the figures are collected in.
#[derive(Default)]
pub struct Report {
    pub rows: Rows,
    /// CPU of one request in microseconds, by KDC and exchange.
    pub costs: Vec<(String, f64)>,
    /// The same of AS and TGS by the number of principals.
    pub principals: Vec<(f64, [f64; 2])>,
    /// Latency in milliseconds, median and 99th percentile, by the share of the capacity.
    pub latency: Vec<(f64, [f64; 2])>,
}

type Section = (&'static str, fn(&mut Report, Extent));

const SECTIONS: [Section; 11] = [
    ("peers", cost::peers),
    ("layout", cost::layout),
    ("floor", cost::floor),
    ("observed", cost::observed),
    ("principals", crowd::principals),
    ("cores", crowd::cores),
    ("tcp", connections::tcp),
    ("idle", connections::idle),
    ("pace", pace::pace),
    ("floods", floods::floods),
    ("builds", cost::builds),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let extent = if arguments.iter().any(|it| it == "--short") { SHORT } else { WHOLE };
    let named: Vec<&String> = arguments.iter().filter(|it| !it.starts_with("--")).collect();
    let mut report = Report::default();
    for (name, section) in SECTIONS.iter().filter(|(name, _)| named.is_empty() || named.iter().any(|it| it == name)) {
        println!("\n{name}");
        section(&mut report, extent);
    }
    report.rows.keep("load");
    if let Some(folder) = std::env::var_os("KRB_BENCH_DOCS") {
        page::write(&report, folder.as_ref());
    }
}
