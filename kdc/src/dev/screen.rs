//! How the show looks: columns that line up, colour only where there is a terminal for it. Not here:
//! what is shown.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::error::{Error, Result};

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CYAN: &str = "36";
/// Room for what a message says; with it a line has 79 columns.
const SAYS: usize = 40;

/// Where the show is written to.
pub struct Screen {
    out: Box<dyn Write>,
    colour: bool,
}

/// One message, as a line of the show.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// What it is: "AS-REQ".
    pub message: &'a str,
    /// Whose way it goes: "-> KDC".
    pub way: &'a str,
    /// What it says.
    pub says: &'a str,
    /// How many bytes it has.
    pub bytes: usize,
    /// How long it took to come, for an answer.
    pub took: Option<Duration>,
}

impl Screen {
    /// The standard output.
    pub fn stdout() -> Screen {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let able = set("NO_COLOR").is_none() && set("TERM").is_some_and(|terminal| terminal != "dumb");
        let colour = able && std::io::stdout().is_terminal();
        Screen { out: Box::new(std::io::stdout()), colour }
    }

    /// A headline.
    pub fn title(&mut self, text: &str) -> Result<()> {
        let text = self.painted(BOLD, text);
        self.write(format_args!("\n{text}\n"))
    }

    /// Something that is there.
    pub fn fact(&mut self, kind: &str, name: &str, more: &str) -> Result<()> {
        let text = format!("   {kind:<8} {name:<16} {more}");
        self.write(format_args!("{}\n", text.trim_end()))
    }

    /// The beginning of an act.
    pub fn act(&mut self, number: usize, name: &str, about: &str) -> Result<()> {
        let name = self.painted(BOLD, format_args!("{name:<12}"));
        self.write(format_args!("\n{number}  {name} {about}\n"))
    }

    /// A message on its way.
    pub fn message(&mut self, line: &Line<'_>) -> Result<()> {
        let colour = match line.message {
            "KRB-ERROR" => RED,
            _ if line.took.is_none() => CYAN,
            _ => GREEN,
        };
        let message = self.painted(colour, format_args!("{:<9}", line.message));
        let took = line.took.map(micros).unwrap_or_default();
        let Line { way, says, bytes, .. } = line;
        let text = format!("   {message} {way:<10} {says:<SAYS$} {bytes:>4} B {took:>8}");
        self.write(format_args!("{}\n", text.trim_end()))
    }

    /// What somebody does on its own.
    pub fn thought(&mut self, who: &str, what: &str, took: Option<Duration>) -> Result<()> {
        let took = took.map(micros).unwrap_or_default();
        let text = format!("   {:<9} {who:<10} {what:<SAYS$} {:>6} {took:>8}", "", "");
        let text = self.painted(DIM, text.trim_end());
        self.write(format_args!("{text}\n"))
    }

    /// A line to be typed.
    pub fn command(&mut self, line: &str) -> Result<()> {
        self.write(format_args!("   {line}\n"))
    }

    fn painted(&self, colour: &str, text: impl Display) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_string() }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) -> Result<()> {
        let written = self.out.write_fmt(text).and_then(|()| self.out.flush());
        written.map_err(|error| Error::Other(format!("standard output: {error}")))
    }
}

/// A span that a reader can compare at a glance.
fn micros(took: Duration) -> String {
    match took.as_micros() {
        micros @ 0..1000 => format!("{micros} us"),
        micros => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Pipe(Sender<String>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn shown(colour: bool) -> String {
        let (sender, shown) = channel();
        let mut screen = Screen { out: Box::new(Pipe(sender)), colour };
        let line = Line { message: "AS-REQ", way: "-> KDC", says: "hello", bytes: 164, took: None };
        screen.act(1, "AS exchange", "alice logs in").expect("written");
        screen.message(&line).expect("written");
        let error = Line { message: "KRB-ERROR", way: "<- KDC", took: Some(Duration::from_micros(1234)), ..line };
        screen.message(&error).expect("written");
        screen.thought("alice", "wonders", Some(Duration::from_micros(999))).expect("written");
        drop(screen);
        shown.iter().collect()
    }

    #[test]
    fn columns_line_up_in_plain_text() {
        let lines = shown(false).lines().map(str::len).collect::<Vec<_>>();
        assert!(lines.iter().all(|length| *length <= 80), "{lines:?}");
        assert_eq!(lines[3], lines[4]);
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let mut plain = String::new();
        let coloured = shown(true);
        for piece in coloured.split('\x1b') {
            plain += piece.split_once('m').filter(|_| piece.starts_with('[')).map_or(piece, |(_, rest)| rest);
        }
        assert_eq!(plain, shown(false));
        assert!(coloured.contains("\x1b[31mKRB-ERROR\x1b[0m"));
    }
}
