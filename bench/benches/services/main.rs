//! What one authenticated request costs, by the way in which the caller is known: CPU time of each
//! side, in one run on one machine. `just bench-services` also writes the table and the picture of
//! docs/guide, and keeps rows for the table of `just bench`.
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

mod client;
mod http;
mod jwt;
mod kerberos;
mod mtls;
mod replay;
mod report;

use bench::TURNS;
use report::{Cost, Report};

fn main() {
    let mut report = Report::default();
    let site = kerberos::Site::new();
    for _ in 0..TURNS {
        report.add(report::KNOWN, site.known(3));
        report.add(report::NEW, site.new_tickets(3));
        if let Some(cost) = site.mit(kerberos::BATCH) {
            report.add("Kerberos, MIT libgssapi", cost);
        }
        for (name, cost) in http::costs(&site, 4_000).into_iter().chain(jwt::costs(1_000)) {
            report.add(name, cost);
        }
        report.add("mTLS 1.3 handshake, P-256", mtls::cost(200));
    }
    report.print();
    report.replay = Some(replay::measure(10_000_000));

    println!();
    report.rows().keep("services");
    client::rows(&site).keep("client");
    if let Some(folder) = std::env::var_os("KRB_BENCH_DOCS") {
        report.write(folder.as_ref());
    }
}

/// CPU microseconds of `work`, one of `rounds`.
fn micros(rounds: usize, work: impl FnOnce()) -> f64 {
    let start = bench::thread_nanos();
    work();
    (bench::thread_nanos() - start) as f64 / 1000.0 / rounds as f64
}
