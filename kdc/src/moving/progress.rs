//! How far long work has come: a bar where somebody watches, a line now and then where nobody does,
//! nothing where a program reads. Always on the standard error.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal, a line after so many parts of a hundred.
const STEP: u64 = 10;
/// Work of fewer units than this is over before a line is of use.
const LONG: u64 = 64 << 20;

/// How far one piece of work has come.
pub struct Progress {
    what: String,
    total: u64,
    house: House,
}

enum House {
    Bar(ProgressBar),
    /// The next part of a hundred to tell of.
    Lines(u64),
    Silent,
}

impl Progress {
    /// Work of `total` units; `silent` if its output is for a program.
    pub fn new(what: &str, total: u64, silent: bool) -> Self {
        let house = match (silent, std::io::stderr().is_terminal()) {
            (true, _) => House::Silent,
            (false, true) => House::Bar(bar(what, total)),
            (false, false) if total < LONG => House::Silent,
            (false, false) => House::Lines(STEP),
        };
        Progress { what: what.to_owned(), total, house }
    }

    /// So many units are done.
    pub fn at(&mut self, done: u64) {
        match &mut self.house {
            House::Bar(bar) => bar.set_position(done),
            House::Lines(next) => {
                let part = done.saturating_mul(100) / self.total.max(1);
                if part >= *next {
                    *next = part - part % STEP + STEP;
                    let _ = writeln!(std::io::stderr(), "{}: {part} %", self.what);
                }
            }
            House::Silent => {}
        }
    }

    /// Whether somebody watches a bar.
    pub fn is_bar(&self) -> bool {
        matches!(self.house, House::Bar(_))
    }

    /// Lets something be printed without the bar in its midst.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.house {
            House::Bar(bar) => bar.suspend(print),
            House::Lines(_) | House::Silent => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let House::Bar(bar) = &self.house {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {percent:>3} % {eta} left");
    let bar = ProgressBar::new(total).with_message(what.to_owned());
    // The template is constant; without it there is still a bar.
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}
