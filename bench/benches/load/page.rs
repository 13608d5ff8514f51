//! The page of docs/benchmarks, with its pictures.

use std::fs;
use std::path::Path;
use std::process::Command;

use bench::quiet::shipped;
use bench::rows::Rows;
use bench::svg::{self, Bar, Line};
use tests::Family;

use crate::Report;

/// Other benchmarks that keep rows for the table.
const OTHERS: [&str; 3] = ["services", "client", "tools"];

pub fn write(report: &Report, folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    let put = |name: &str, text: String| fs::write(folder.join(name), text).expect("a written page");
    let bars: Vec<Bar<'_>> = report
        .costs
        .iter()
        .map(|(name, value)| Bar { name, value: *value, ours: name.starts_with("libkrb") })
        .collect();
    put("cost.svg", svg::bars("Server CPU of one request over UDP", "microseconds, logarithmic scale", 0.5, &bars));
    put(
        "principals.svg",
        svg::lines(
            "Server CPU by the number of principals",
            "microseconds a request, clients and services at random",
            true,
            &pair(["AS", "TGS"], &report.principals),
        ),
    );
    put(
        "latency.svg",
        svg::lines(
            "Latency of an AS exchange by load",
            "milliseconds by percent of the capacity",
            false,
            &pair(["median", "p99"], &report.latency),
        ),
    );
    put("README.md", page(report));
}

fn pair<'a>(names: [&'a str; 2], points: &[(f64, [f64; 2])]) -> Vec<Line<'a>> {
    let line =
        |(place, name): (usize, &'a str)| Line { name, points: points.iter().map(|(x, y)| (*x, y[place])).collect() };
    names.into_iter().enumerate().map(line).collect()
}

fn page(report: &Report) -> String {
    let mut rows = report.rows.clone();
    OTHERS.iter().for_each(|name| rows.0.extend(Rows::kept(name).0));
    format!(
        "# What one KDC does\n\n\
         `just bench` makes this page and its pictures: one run on one machine, and the ratios are what counts. CPU time is the\n\
         servers' own, with the system's work for them; who makes the load is not in it. Every KDC is at its quickest: no log,\n\
         no lockout, no last success, and has answered many requests before. A login is an AS exchange with an encrypted\n\
         timestamp. {}\n\n{}\n{}\n\
         ![Server CPU of one request over UDP](cost.svg)\n\n\
         ![Server CPU by the number of principals](principals.svg)\n\n\
         ![Latency of an AS exchange by load](latency.svg)\n",
        build(),
        machine(),
        rows.markdown()
    )
}

/// Which of the builds this is.
fn build() -> &'static str {
    match shipped() {
        Some(_) => {
            "The\nKDC is the build of `bench/release`, laid out by logins, tickets, TCP, the audit and the floods of this same \
             benchmark;\nthe row \"cargo's own build\" says what it is without that."
        }
        None => "The\nKDC is cargo's own build.",
    }
}

/// On what, and with which versions.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown");
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let memory =
        read("/proc/meminfo").split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 20;
    let kernel = read("/proc/sys/kernel/osrelease");
    let mut text = format!(
        "| | |\n| --- | --- |\n| processor | {model}, {cores} of them |\n| memory | {memory} GiB |\n| Linux | {} |\n| this project | {} |\n",
        kernel.trim(),
        env!("CARGO_PKG_VERSION")
    );
    if Family::Mit.present() {
        text += &format!("| MIT krb5kdc | Debian {} |\n", debian("krb5-kdc"));
    }
    if Family::Heimdal.present() {
        text += "| Heimdal kdc | 7.8 of Debian |\n";
    }
    text
}

fn debian(package: &str) -> String {
    let said = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
    said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default()
}
