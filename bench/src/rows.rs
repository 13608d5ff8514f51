//! What was measured beside what is to be reached: rows that are printed as they come, kept for the table that other
//! benchmarks add to, and written as a page. Not here: measuring.

use std::fmt::{self, Write};
use std::fs;
use std::path::PathBuf;

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// To be said, whatever it is.
    Stated,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What is to be reached.
    pub goal: String,
    /// What was.
    pub figure: String,
    /// From what that comes.
    pub detail: String,
    /// "met", "NOT MET", or nothing where there is no goal.
    pub verdict: String,
}

/// Lines of the table, in order.
#[derive(Clone, Debug, Default)]
pub struct Rows(pub Vec<Row>);

impl Goal {
    /// Whether a value reaches it.
    pub fn met(self, value: f64) -> Option<bool> {
        match self {
            Goal::AtLeast(goal) => Some(value >= goal),
            Goal::AtMost(goal) => Some(value <= goal),
            Goal::Stated => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::AtLeast(goal) => write!(f, "at least {goal}"),
            Goal::AtMost(goal) => write!(f, "at most {goal}"),
            Goal::Stated => f.write_str("stated"),
        }
    }
}

impl Rows {
    /// Adds what was measured, in this unit, and prints it.
    #[allow(clippy::print_stdout, reason = "what a benchmark is for")]
    pub fn add(&mut self, what: &str, goal: Goal, value: f64, unit: &str, detail: String) {
        let verdict = goal.met(value).map_or("", |met| if met { "met" } else { "NOT MET" });
        let row = Row {
            what: what.to_owned(),
            goal: format!("{goal}{}", if matches!(goal, Goal::Stated) { "" } else { unit }),
            figure: format!("{value:.2}{unit}"),
            detail,
            verdict: verdict.to_owned(),
        };
        println!("{row}");
        self.0.push(row);
    }

    /// Keeps the rows of one benchmark for the table, in place of those that it kept before.
    ///
    /// # Panics
    /// When they can't be written.
    pub fn keep(&self, benchmark: &str) {
        let line = |row: &Row| {
            [&row.what, &row.goal, &row.figure, &row.detail, &row.verdict].map(|it| it.replace('\t', " ")).join("\t")
        };
        let lines: Vec<String> = self.0.iter().map(line).collect();
        fs::create_dir_all(folder()).expect("a folder for rows");
        fs::write(folder().join(benchmark), lines.join("\n")).expect("rows that are kept");
    }

    /// The rows that a benchmark kept.
    pub fn kept(benchmark: &str) -> Rows {
        let text = fs::read_to_string(folder().join(benchmark)).unwrap_or_default();
        let row = |line: &str| {
            let [what, goal, figure, detail, verdict]: [String; 5] =
                line.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().ok()?;
            Some(Row { what, goal, figure, detail, verdict })
        };
        Rows(text.lines().filter_map(row).collect())
    }

    /// The table of a page.
    pub fn markdown(&self) -> String {
        let mut text = "| what | goal | reached | | from |\n| --- | --- | ---: | --- | --- |\n".to_owned();
        for Row { what, goal, figure, detail, verdict } in &self.0 {
            let _ = writeln!(text, "| {what} | {goal} | {figure} | {verdict} | {detail} |");
        }
        text
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { what, goal, figure, detail, verdict } = self;
        write!(f, "{what:<58} {figure:>12}  {goal:<18} {verdict:<8} {detail}")
    }
}

/// Beside what is built.
fn folder() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.ancestors().nth(3).map_or_else(|| PathBuf::from("."), PathBuf::from).join("bench-rows")
}
