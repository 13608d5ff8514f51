//! `ktutil`: edits keytabs by commands, from a person or from a script's heredoc. Commands, output
//! and errors are MIT's; the prompt is shown only to a person.

mod command;
mod entry;
mod fetch;

use std::io::BufRead;
use std::process::ExitCode;

use clap::Parser;
use libkrb::keytab::Keytab;

use crate::report::{self, Failure, Result};
use crate::secret;
use crate::settings::Settings;

/// Edit keytabs: read keys into a list, change the list, write it.
#[derive(Parser)]
#[command(name = "ktutil", version, after_help = EXAMPLES, disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Subcommand>,
    /// Print the version
    #[arg(long = "version", action = clap::ArgAction::Version)]
    _version: Option<bool>,
}

#[derive(clap::Subcommand)]
enum Subcommand {
    Fetch(fetch::Arguments),
}

const EXAMPLES: &str = "\
Without a COMMAND, commands come from the standard input, one a line; list_requests lists them.

Examples:
  A keytab for a service that has a password:
    ktutil <<END
    add_entry -password -p HTTP/www.example.org@EXAMPLE.ORG -k 1 -e aes256-cts
    PASSWORD
    write_kt http.keytab
    END
  One keytab out of two:
    ktutil <<END
    read_kt one.keytab
    read_kt two.keytab
    write_kt both.keytab
    END
  New keys from the KDC, for cron or a timer:
    ktutil fetch -k /etc/krb5.keytab

The salt of a password key is that of the principal, unless -s gives another.
Writing adds to a keytab that is there already.

Exit code: 0, also after errors, as scripts expect of ktutil, but 1 for a fetch that failed; 2 for a wrong command line.";

/// Its command line.
pub(crate) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs it.
pub fn main() -> ExitCode {
    report::run("ktutil", 2, |arguments: Arguments| {
        if let Some(Subcommand::Fetch(arguments)) = arguments.command {
            return fetch::fetch(&arguments);
        }
        let mut session = Session { settings: Settings::load()?, list: Keytab::default() };
        session.run(&mut std::io::stdin().lock())
    })
}

/// The list of keys that commands work on.
struct Session {
    settings: Settings,
    list: Keytab,
}

/// Whether there shall be another command.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    Quit,
}

impl Session {
    fn run(&mut self, input: &mut impl BufRead) -> Result<u8> {
        loop {
            secret::prompt("ktutil:  ");
            let Some(line) = secret::line(input)? else { return Ok(0) };
            let Some(words) = split(&line) else {
                Failure::new("Unbalanced quotes in command line").print("ktutil");
                continue;
            };
            let Some((name, arguments)) = words.split_first() else { continue };
            let Some(command) = command::find(name) else {
                let words = format!("Unknown request \"{name}\".  Type \"?\" for a request list.");
                Failure::new(words).print("ktutil");
                continue;
            };
            match (command.run)(self, name, arguments, input) {
                Ok(Then::GoOn) => {}
                Ok(Then::Quit) => return Ok(0),
                Err(failure) => failure.print(name),
            }
        }
    }
}

/// The words of a command: separated by blanks, where quotes hold some together and two quotes in
/// quotes are one. `None` if a quote is not closed.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                word.get_or_insert_default().push('"');
            }
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_blanks_and_held_together_by_quotes() {
        assert_eq!(split(" addent\t-s \"a b\"\"c\" d\"\"").expect("balanced"), ["addent", "-s", "a b\"c", "d"]);
        assert_eq!(split("\"\"").expect("balanced"), [""]);
        assert_eq!(split("  ").expect("balanced"), [""; 0]);
        assert_eq!(split("a \"b"), None);
    }
}
