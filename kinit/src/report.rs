//! How a tool ends: what it prints on which stream, and its exit code.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::{ArgAction, Parser};
use libkrb::ccache::CacheName;
use libkrb::{Error, ErrorCode};

/// What a tool could not do: the line that MIT's tool prints, then the next step to take.
#[derive(Debug)]
pub(crate) struct Failure {
    line: String,
    next: Vec<String>,
    code: u8,
    bare: bool,
}

/// The outcome of a step of a tool.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure of these words.
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Failure { line: line.into(), next: vec![], code: 1, bare: false }
    }

    /// The same, printed without the name of the tool before it.
    pub(crate) fn bare(self) -> Self {
        Failure { bare: true, ..self }
    }

    /// The same, with the next step to take.
    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next.push(step.into());
        self
    }

    /// The same, with these words before its line.
    pub(crate) fn after(self, words: &str) -> Self {
        Failure { line: format!("{words}{}", self.line), ..self }
    }

    /// Prints it as the tool's.
    pub(crate) fn print(&self, tool: &str) {
        let mut text = if self.bare { String::new() } else { format!("{tool}: ") };
        text.push_str(&format!("{}\n", self.line));
        for step in &self.next {
            text.push_str(&format!("  {step}\n"));
        }
        complain(&text);
    }
}

impl From<io::Error> for Failure {
    /// What is written to nobody (`klist | head -1`) is no failure worth a word.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure { code: 0, ..Failure::new("") },
            ErrorKind::Interrupted => Failure::new("Password read interrupted"),
            ErrorKind::InvalidData => Failure::new(format!("Cannot read the input: {error}")),
            _ => Failure::new(format!("{error} while writing the output")),
        }
    }
}

/// Adds to an error of the library what the tool was doing.
pub(crate) trait During<T> {
    /// In MIT's words, with the name of the file ("while resolving ccache").
    fn during(self, doing: &str) -> Result<T>;
    /// In MIT's words, without the name of the file: some of its tools leave it out.
    fn briefly_during(self, doing: &str) -> Result<T>;
}

impl<T> During<T> for libkrb::Result<T> {
    fn during(self, doing: &str) -> Result<T> {
        self.map_err(|error| while_doing(&error, doing))
    }

    fn briefly_during(self, doing: &str) -> Result<T> {
        self.map_err(|error| failure(&error, &brief(&error), true, doing))
    }
}

const BAD_CONFIG: &str = "Improper format of Kerberos configuration file";
const BAD_CONFIG_AGAIN: &str = "Improper format of Kerberos configuration file: ";
const NOT_IN_CACHE: &str = "klist shows which tickets there are; kinit gets new ones.";
const NO_KEYTAB: &str = "Name the keytab as an argument or in KRB5_KTNAME, or make one with ktutil.";

/// The failure that an error of the library is, with what the tool was doing.
pub(crate) fn while_doing(error: &Error, doing: &str) -> Failure {
    match error {
        Error::NoKeytab(_) => failure(error, &full(error), false, doing).next(NO_KEYTAB),
        error => failure(error, &full(error), false, doing),
    }
}

fn failure(error: &Error, text: &str, name_it: bool, doing: &str) -> Failure {
    let gap = if doing.is_empty() { "" } else { " " };
    let mut failure = Failure::new(format!("{text}{gap}{doing}"));
    failure.next.extend(where_and_what(error, name_it));
    failure.next.extend(next_step(error).map(str::to_owned));
    failure
}

fn full(error: &Error) -> String {
    match error {
        Error::Storage { problem, name, .. } if !name.is_empty() => format!("{problem} (filename: {name})"),
        error => brief_or(error, error.to_string()),
    }
}

fn brief(error: &Error) -> String {
    match error {
        Error::NoCache(_) => "No credentials cache found".to_owned(),
        Error::NoKeytab(_) => "No such file or directory".to_owned(),
        error => brief_or(error, error.to_string()),
    }
}

fn brief_or(error: &Error, otherwise: String) -> String {
    match error {
        Error::Storage { problem, .. } => problem.to_string(),
        Error::Config { .. } => BAD_CONFIG.to_owned(),
        Error::File { .. } => "Can't open/find Kerberos configuration file".to_owned(),
        Error::Name(_) => "Malformed representation of principal".to_owned(),
        _ => otherwise,
    }
}

/// What MIT's line leaves out.
fn where_and_what(error: &Error, name_it: bool) -> Option<String> {
    match error {
        Error::Storage { detail, .. } if detail.is_empty() => None,
        Error::Storage { name, detail, .. } if name_it && !name.is_empty() => Some(format!("{name}: {detail}.")),
        Error::Storage { detail, .. } => Some(sentence(detail)),
        Error::Config { .. } | Error::File { .. } => {
            Some(format!("{}.", error.to_string().replace(BAD_CONFIG_AGAIN, "")))
        }
        Error::Name(why) => Some(sentence(why)),
        _ => None,
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

fn next_step(error: &Error) -> Option<&'static str> {
    match error {
        Error::NoCache(_) => Some("Get a ticket with kinit, or name another cache with -c or KRB5CCNAME."),
        Error::Storage { problem, .. } => match problem.as_ref() {
            "Credentials cache permissions incorrect" => Some("Look with ls -l whose it is; KRB5CCNAME names another."),
            "Bad format in credentials cache" | "Unsupported credentials cache format version number" => {
                Some("It cannot be repaired: kinit makes it anew.")
            }
            "Bad format in keytab" | "Unsupported key table format version number" => {
                Some("It cannot be repaired: export the keys again, with kadmin ktadd.")
            }
            "Is a directory" => Some("A keytab is a file: name the file in it."),
            problem if problem.starts_with("Credential cache directory") && problem.ends_with("does not exist") => {
                Some("Its parent does not exist either, else it would be made: mkdir -p makes both.")
            }
            "Permission denied" => Some("Look with ls -l who may read it; the default keytab is root's."),
            _ => None,
        },
        Error::NoCredential => Some(NOT_IN_CACHE),
        Error::Setting(text) if text == "Cannot read password" => {
            Some("Where nobody types, the first line of the standard input is it: echo \"$PASSWORD\" | kinit")
        }
        Error::Setting(text) if text.contains("default realm") => {
            Some("Give the realm with the name, as in alice@EXAMPLE.ORG, or set default_realm in krb5.conf.")
        }
        _ => None,
    }
}

/// Text with what a terminal would take for a command made a question mark: names come from files
/// and KDCs that may be hostile.
fn harmless(text: &str) -> String {
    let command = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\u{7}');
    text.chars().map(|c| if command(c) { '?' } else { c }).collect()
}

/// What to do about a refusal, whichever exchange it ended.
pub(crate) fn refused(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::SKEW => "Set this machine's clock: it differs by more than the KDC allows.",
        ErrorCode::CLIENT_REVOKED => "The account is locked or disabled: ask an administrator.",
        ErrorCode::NAME_EXP => "The account has expired: ask an administrator.",
        ErrorCode::SERVICE_EXP | ErrorCode::SERVICE_REVOKED => {
            "The service is disabled or has expired: ask an administrator."
        }
        ErrorCode::KEY_EXPIRED => "Change it with kpasswd, or ask an administrator.",
        ErrorCode::POLICY => "A rule of the realm is against it; which one, the KDC's log says (cause).",
        _ => "KRB5_TRACE=/dev/stderr shows what the KDC was asked.",
    }
}

/// The standard output of a tool, which may be a pipe that nobody reads to its end.
pub(crate) struct Output(io::BufWriter<io::StdoutLock<'static>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(harmless(text).as_bytes()).map(|()| bytes.len()),
            Err(_) => self.0.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = self.0.flush();
    }
}

/// The standard output.
pub(crate) fn output() -> Output {
    Output(io::BufWriter::new(io::stdout().lock()))
}

/// Writes to the standard error.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().write_all(harmless(text).as_bytes());
}

/// Reads the command line and runs the tool. `wrong` is its exit code for a wrong command line.
pub(crate) fn run<A: Parser>(tool: &str, wrong: u8, body: impl FnOnce(A) -> Result<u8>) -> ExitCode {
    // To say a thing twice is no mistake: `-V -V` is `-V`.
    let command = A::command().mut_args(|argument| match argument.get_action() {
        ArgAction::SetTrue => {
            let id = argument.get_id().clone();
            argument.overrides_with(id)
        }
        _ => argument,
    });
    let arguments = match command.try_get_matches().and_then(|matches| A::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { wrong.into() } else { ExitCode::SUCCESS };
        }
    };
    match body(arguments) {
        Ok(code) => code.into(),
        Err(failure) => {
            if failure.code != 0 {
                failure.print(tool);
            }
            failure.code.into()
        }
    }
}

/// The same where a cache is written: that there is none is then no reason for another login.
pub(crate) fn while_writing(error: &Error, doing: &str) -> Failure {
    match error {
        Error::NoCache(path) => Failure::new(format!("No credentials cache found (filename: {path}) {doing}"))
            .next("Its directory does not exist or takes no files: name another cache."),
        error => while_doing(error, doing),
    }
}

/// MIT's words for a ticket that a cache does not hold.
pub(crate) fn not_in_cache(cache: &CacheName, doing: &str) -> Failure {
    let name = residual(cache);
    let path = name.trim_start_matches(':');
    Failure::new(format!("Matching credential not found (filename: {path}) {doing}")).next(NOT_IN_CACHE)
}

/// The name of a cache without its type, as MIT's tools print it.
pub(crate) fn residual(cache: &CacheName) -> String {
    let name = cache.to_string();
    name.split_once(':').map_or(name.clone(), |(_, residual)| residual.to_owned())
}

/// A command line that contradicts itself: the words, and where to read more.
pub(crate) fn usage(tool: &str, words: &str, code: u8) -> u8 {
    complain(&format!("{words}\nTry '{tool} --help'.\n"));
    code
}

/// MIT's answer to `-4`.
pub(crate) fn kerberos_4() -> u8 {
    complain("Kerberos 4 is no longer supported\n");
    3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_command_the_terminal() {
        assert_eq!(harmless("a\u{1b}]0;title\u{7}\r\u{9b}2J\u{7f}é\n"), "a?]0;title\u{7}??2J?é\n");
    }
}
