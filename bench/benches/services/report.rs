//! The figures as a table on the terminal, and as the table and the picture of docs/guide.

use std::fmt::Write;
use std::path::Path;

use bench::rows::{Goal, Rows};
use bench::svg::{self, Bar};

/// Accepting a ticket that the service has seen before, and one that it has not.
pub const KNOWN: &str = "Kerberos, libkrb, ticket known";
pub const NEW: &str = "Kerberos, libkrb, ticket new";

/// CPU time of one request, in microseconds.
#[derive(Clone, Copy)]
pub struct Cost {
    pub client: f64,
    pub server: f64,
}

pub struct Replay {
    pub entries: usize,
    pub nanos: f64,
    pub bytes: f64,
}

#[derive(Default)]
pub struct Report {
    /// By name, of each turn.
    turns: Vec<(&'static str, Vec<Cost>)>,
    pub replay: Option<Replay>,
}

/// The median of either side.
pub fn median(costs: &[Cost]) -> Cost {
    let of = |side: fn(&Cost) -> f64| bench::median(costs.iter().map(side));
    Cost { client: of(|cost| cost.client), server: of(|cost| cost.server) }
}

impl Report {
    /// What one turn came to.
    pub fn add(&mut self, name: &'static str, cost: Cost) {
        match self.turns.iter_mut().find(|(of, _)| *of == name) {
            Some((_, costs)) => costs.push(cost),
            None => self.turns.push((name, vec![cost])),
        }
    }

    pub fn print(&self) {
        for (name, Cost { client, server }) in self.medians() {
            println!("{name:<32} client {client:>8.1} us   server {server:>8.1} us");
        }
    }

    fn medians(&self) -> impl Iterator<Item = (&'static str, Cost)> {
        self.turns.iter().map(|(name, costs)| (*name, median(costs)))
    }

    fn server(&self, prefix: &str) -> Option<f64> {
        self.medians().find(|(name, _)| name.starts_with(prefix)).map(|(_, cost)| cost.server)
    }

    /// How many times cheaper libkrb's accepting is, with a known ticket and a new one, and what was
    /// asked for.
    fn ratios(&self) -> Vec<(&'static str, [f64; 2], f64)> {
        let ours = [KNOWN, NEW].map(|name| self.server(name).unwrap_or(f64::NAN));
        let rivals = [("Kerberos, MIT libgssapi", 6.0), ("JWT, ES256", 8.0), ("mTLS", 50.0)];
        let ratio = |(name, goal)| self.server(name).map(|theirs: f64| (name, ours.map(|ours| theirs / ours), goal));
        rivals.into_iter().filter_map(ratio).collect()
    }

    /// What is to be reached beside what is, for the table of `just bench`.
    pub fn rows(&self) -> Rows {
        let (mut rows, detail) = (Rows::default(), "mutual, aes256-sha1, replay cache in memory".to_owned());
        let of = |name: &str| self.server(name).unwrap_or(f64::NAN);
        rows.add("acceptor, ticket never seen", Goal::AtMost(6.0), of(NEW), " us", detail.clone());
        rows.add("acceptor, ticket known", Goal::AtMost(6.0), of(KNOWN), " us", detail);
        for (name, [known, new], goal) in self.ratios() {
            let detail = format!("{:.1} us; {known:.1} times less with a known ticket", of(name));
            rows.add(&format!("acceptor, less than {name}"), Goal::AtLeast(goal), new, " times", detail);
        }
        if let Some(Replay { entries, nanos, bytes }) = &self.replay {
            let detail = format!("{entries} live ones, {bytes:.0} bytes each");
            rows.add("replay cache, one more authenticator", Goal::Stated, *nanos, " ns", detail);
        }
        rows
    }

    pub fn write(&self, folder: &Path) {
        std::fs::write(folder.join("services-speed.md"), self.markdown()).expect("a written table");
        std::fs::write(folder.join("services-speed.svg"), self.svg()).expect("a written picture");
    }

    fn markdown(&self) -> String {
        let mut text = "# What knowing the caller costs\n\n\
            CPU time of one authenticated request, in microseconds, in one run on one core: `just bench-services` makes\n\
            this page and its picture. All take turns, and what stands here are medians. Machines differ; the ratios are what counts.\n\n\
            ![CPU time of the server for one authenticated request](services-speed.svg)\n\n\
            | | caller | service |\n| --- | ---: | ---: |\n"
            .to_owned();
        for (name, cost) in self.medians() {
            let _ = writeln!(text, "| {name} | {:.1} | {:.1} |", cost.client, cost.server);
        }
        text += "\nKerberos: an AP-REQ made and accepted with mutual authentication and replay cache (ours in memory, \
            MIT's in its file),\nthe answer checked by the caller. Ticket known: the same one with each request, as \
            clients do it for hours; MIT gets the\nsame one too. The acceptor remembers it with its keys made ready, \
            and makes every check again (`Options::known_tickets`).\nTicket new: another one with each request, \
            never seen before. HTTP layer: a whole request through `NegotiateLayer`,\nheaders and base64 included, \
            with a known ticket; the caller's side here makes the token and does not check the answer.\nmTLS: a full \
            handshake with certificates on both sides; requests after it cost nothing more. The ticket itself is\n\
            got once in hours.\n\n\
            Accepting a ticket with libkrb is cheaper than\n\n\
            | than | times, ticket known | times, ticket new |\n| --- | ---: | ---: |\n";
        for (name, [known, new], _) in self.ratios() {
            let _ = writeln!(text, "| {name} | {known:.1} | {new:.1} |");
        }
        if let Some(Replay { entries, nanos, bytes }) = &self.replay {
            let millions = entries / 1_000_000;
            let _ = write!(
                text,
                "\nThe replay cache in memory takes {nanos:.0} ns for one more authenticator with {millions} million \
                 live ones, and {bytes:.0} bytes\nfor each.\n"
            );
        }
        text
    }

    /// Bars on a logarithmic scale: from a session to a handshake it is a factor of hundreds.
    fn svg(&self) -> String {
        let ours = |name: &str| name.contains("libkrb") || name.starts_with("HTTP layer");
        let bar = |(name, cost): (&'static str, Cost)| Bar { name, value: cost.server, ours: ours(name) };
        let bars: Vec<Bar<'_>> = self.medians().map(bar).collect();
        svg::bars(
            "CPU time of the service for one authenticated request",
            "microseconds, logarithmic scale",
            0.5,
            &bars,
        )
    }
}
