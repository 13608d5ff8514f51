//! How the terminal looks.

use std::io::{self, IsTerminal, Write};

use crate::chassis::Error;

/// The terminal, or what stands in its place.
pub struct Screen {
    bold: bool,
}

impl Screen {
    /// The standard output.
    pub fn stdout() -> Screen {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let able = set("NO_COLOR").is_none() && set("TERM").is_some_and(|terminal| terminal != "dumb");
        Screen { bold: able && io::stdout().is_terminal() }
    }

    /// A headline.
    pub fn title(&mut self, text: &str) -> Result<(), Error> {
        if self.bold { write(format_args!("\n\x1b[1m{text}\x1b[0m\n")) } else { write(format_args!("\n{text}\n")) }
    }

    /// Something that is there.
    pub fn fact(&mut self, kind: &str, name: &str, more: &str) -> Result<(), Error> {
        write(format_args!("   {kind:<8} {name:<16} {more}\n"))
    }

    /// A line to be typed.
    pub fn command(&mut self, line: &str) -> Result<(), Error> {
        write(format_args!("   {line}\n"))
    }

    /// Something that was tried, and how it went.
    pub fn tried(&mut self, what: &str, outcome: &str) -> Result<(), Error> {
        write(format_args!("   {what:<44} {outcome}\n"))
    }
}

fn write(text: std::fmt::Arguments<'_>) -> Result<(), Error> {
    let mut out = io::stdout();
    Ok(out.write_fmt(text).and_then(|()| out.flush())?)
}
