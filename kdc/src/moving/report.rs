//! What a move carried and what it did not: said as it happens, for there may be much of it, and
//! counted at the end. In words, or as JSON, one object a line. Not here: how far it has come.

use std::io::{BufWriter, Stdout, Write};

use serde::Serialize;

use super::progress::Progress;
use crate::core::Entry;
use crate::error::{Error, Result};

/// What was moved, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "said in `sentence`")]
pub struct Counts {
    pub principals: u64,
    pub keys: u64,
    pub former_passwords: u64,
    pub aliases: u64,
    pub strings: u64,
    pub policies: u64,
    /// Those of the store that stayed in spite of one that came.
    pub kept: u64,
    /// Those of the store that gave way to one that came.
    pub replaced: u64,
    /// Names that are in both, when nothing was said about such.
    pub conflicts: u64,
    /// Things of the old KDC's own.
    pub left_out: u64,
    /// Things that are lost.
    pub not_carried: u64,
}

/// One thing worth a line.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Note<'a> {
    /// A principal or policy has something that we can't carry.
    NotCarried {
        /// Where in the file.
        line: u64,
        /// Whose.
        name: &'a str,
        /// What, and why.
        what: &'a str,
    },
    /// A principal that only the old KDC needs.
    LeftOut {
        /// Its name.
        name: &'a str,
        /// Why.
        why: &'a str,
    },
    /// One that is in the store and stayed.
    Kept {
        /// Its name.
        name: &'a str,
    },
    /// One that was in the store and gave way.
    Replaced {
        /// Its name.
        name: &'a str,
    },
    /// One that is in the store, and nobody said which is to be.
    Conflict {
        /// Its name.
        name: &'a str,
    },
}

#[derive(Serialize)]
struct Done<'a> {
    event: &'a str,
    realm: &'a str,
    dry_run: bool,
    #[serde(flatten)]
    counts: &'a Counts,
}

/// Where a move says what it does.
pub struct Report {
    json: bool,
    out: BufWriter<Stdout>,
    /// What was counted so far.
    pub counts: Counts,
}

impl Report {
    /// On the standard output, in words or as JSON.
    pub fn new(json: bool) -> Self {
        Report { json, out: BufWriter::new(std::io::stdout()), counts: Counts::default() }
    }

    /// Says one thing.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn note(&mut self, note: Note<'_>, progress: &Progress) -> Result<()> {
        let counts = &mut self.counts;
        let counter = match note {
            Note::NotCarried { .. } => &mut counts.not_carried,
            Note::LeftOut { .. } => &mut counts.left_out,
            Note::Kept { .. } => &mut counts.kept,
            Note::Replaced { .. } => &mut counts.replaced,
            Note::Conflict { .. } => &mut counts.conflicts,
        };
        *counter += 1;
        let line = match self.json {
            true => serde_json::to_string(&note).map_err(|error| Error::Other(error.to_string()))?,
            false => words(note),
        };
        self.line(&line, progress)
    }

    fn line(&mut self, line: &str, progress: &Progress) -> Result<()> {
        let out = &mut self.out;
        progress
            .aside(|| writeln!(out, "{line}").and_then(|()| if progress.is_bar() { out.flush() } else { Ok(()) }))
            .map_err(|error| Error::Other(format!("the standard output: {error}")))
    }

    /// Counts a principal that was put into the store.
    pub fn count(&mut self, entry: &Entry) {
        let counts = &mut self.counts;
        counts.principals += 1;
        counts.keys += entry.keys.iter().map(|set| set.keys.len() as u64).sum::<u64>();
        counts.former_passwords += entry.history.len() as u64;
        counts.aliases += entry.aliases.len() as u64;
        counts.strings += entry.strings.len() as u64;
    }

    /// Says how it all went.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn done(&mut self, verb: &str, realm: &str, dry_run: bool) -> Result<()> {
        let line = match self.json {
            true => serde_json::to_string(&Done { event: verb, realm, dry_run, counts: &self.counts })
                .map_err(|error| Error::Other(error.to_string()))?,
            false => {
                let tense = if dry_run { "would be " } else { "" };
                format!("{tense}{verb}, {realm}: {}", sentence(&self.counts))
            }
        };
        writeln!(self.out, "{line}").and_then(|()| self.out.flush()).map_err(|error| Error::Other(error.to_string()))
    }

    /// What was said goes out before an error does.
    pub fn flush(&mut self) {
        let _ = self.out.flush();
    }
}

fn words(note: Note<'_>) -> String {
    match note {
        Note::NotCarried { line: 0, name, what } => format!("not carried: {name}: {what}"),
        Note::NotCarried { line, name, what } => format!("not carried: {name} (line {line}): {what}"),
        Note::LeftOut { name, why } => format!("left out: {name}: {why}"),
        Note::Kept { name } => format!("kept: {name} is in the store and stays as it is"),
        Note::Replaced { name } => format!("replaced: {name} was in the store"),
        Note::Conflict { name } => format!("conflict: {name} is in the store already"),
    }
}

/// The counts that are not 0, and always that of the principals and of what is lost.
fn sentence(counts: &Counts) -> String {
    let plural = |count: u64, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let rows = [
        (counts.keys, plural(counts.keys, "key", "keys")),
        (counts.former_passwords, plural(counts.former_passwords, "former password", "former passwords")),
        (counts.aliases, plural(counts.aliases, "alias", "aliases")),
        (counts.strings, plural(counts.strings, "string", "strings")),
        (counts.policies, plural(counts.policies, "policy", "policies")),
        (counts.replaced, format!("{} replaced", counts.replaced)),
        (counts.kept, format!("{} kept", counts.kept)),
        (counts.left_out, format!("{} left out", counts.left_out)),
    ];
    let mut words = vec![plural(counts.principals, "principal", "principals")];
    words.extend(rows.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| words));
    words.push(match counts.not_carried {
        0 => "nothing lost".into(),
        lost => format!("{} not carried (listed above)", plural(lost, "thing", "things")),
    });
    words.join(", ")
}
