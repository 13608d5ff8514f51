//! A realm of MIT krb5, as `kdb5_util dump` writes it. The file is read twice: first for what must be
//! known before the first principal (the master keys, the key of former passwords, aliases),
//! wherever it stands; then line by line. Not here: where the principals go.

mod entry;
mod fields;
mod master;
mod tags;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use libkrb::Principal;

pub use entry::Mit;
pub(super) use fields::hex;
pub use master::Told;

use self::fields::{Record, record};
use self::master::{Masters, sealers};
use super::item::{Item, Source};
use super::pipeline::{Lines, wrong};
use crate::error::{Error, Result};

/// What a dump of each version begins with.
const HEADER: &str = "kdb5_util load_dump version ";
/// Since MIT krb5 1.8, and since 1.11.
const VERSIONS: [&str; 2] = ["6", "7"];
/// As many aliases of aliases as MIT follows.
const DEPTH: usize = 10;

/// Checks the first line of a dump.
///
/// # Errors
/// When it is another file, or of a version that says less than a realm has.
pub fn header(line: &str) -> Result<(), String> {
    let how = "make one with: kdb5_util dump FILE (MIT krb5 1.11 or later; before that: kdb5_util dump -r18 FILE)";
    match line.strip_prefix(HEADER) {
        Some(version) if VERSIONS.contains(&version) => Ok(()),
        Some(_) => Err(format!("a dump of another version than 6 and 7, which lacks policies or their rules; {how}")),
        None if line.starts_with("ipropx") || line.starts_with("iprop") => {
            Err(format!("a dump for a replica (kdb5_util dump -i), which lacks what is not replicated; {how}"))
        }
        None => Err(format!("not a dump of MIT's; {how}")),
    }
}

/// Reads what must be known of a dump first; then its lines can be read, from the second on.
///
/// # Errors
/// When it is no dump of this realm, or the master key is not its own.
pub fn survey(path: &Path, realm: &str, told: &Told) -> Result<(Mit, Lines)> {
    let mut lines = Lines::open(path)?;
    let mut text = vec![];
    lines.next_line(&mut text)?;
    let first = std::str::from_utf8(&text).unwrap_or_default();
    header(first.trim_end_matches('\n')).map_err(|problem| wrong(path, 1, &problem))?;
    let mut found = Found::default();
    loop {
        text.clear();
        if !lines.next_line(&mut text)? {
            break;
        }
        if wanted(&text, realm) {
            let line = std::str::from_utf8(&text).map_err(|_| wrong(path, lines.number(), "not UTF-8"))?;
            let noted = found.note(line.trim_end_matches('\n'), realm);
            noted.map_err(|problem| wrong(path, lines.number(), &problem))?;
        }
    }
    let mit = found.mit(path, realm, told)?;
    let mut lines = Lines::open(path)?;
    text.clear();
    lines.next_line(&mut text)?;
    Ok((mit, lines))
}

/// Whether a line is one of the few that must be known first. A cheap look: there may be millions.
fn wanted(line: &[u8], realm: &str) -> bool {
    let mut fields = line.split(|byte| *byte == b'\t');
    if fields.next() != Some(b"princ") {
        return false;
    }
    let keyless = fields.nth(3).is_some_and(|keys| keys.iter().all(|digit| *digit == b'0'));
    let name = fields.nth(1).unwrap_or_default();
    let own = |prefix: &[u8]| name.strip_prefix(prefix).is_some_and(|rest| rest == realm.as_bytes());
    // An alias has no key.
    keyless || own(b"K/M@") || own(b"kadmin/history@") || name.starts_with(b"K/M@")
}

#[derive(Default)]
struct Found {
    master: Option<String>,
    history: Option<String>,
    /// Whose master key the dump has, if it is another realm's.
    other: Option<String>,
    aliases: HashMap<String, String>,
}

impl Found {
    fn note(&mut self, line: &str, realm: &str) -> Result<(), String> {
        match record(line)? {
            Record::Policy(_) => {}
            Record::Principal(princ) => match princ.name.split_once('@') {
                Some(("K/M", own)) if own == realm => self.master = Some(line.to_owned()),
                Some(("K/M", other)) => self.other = Some(other.to_owned()),
                Some(("kadmin/history", own)) if own == realm => self.history = Some(line.to_owned()),
                _ => {
                    if let Some(octets) = princ.tag(tags::ALIAS) {
                        let target = tags::text(octets).ok_or("the name that the alias stands for is damaged")?;
                        self.aliases.insert(princ.name.to_owned(), target);
                    }
                }
            },
        }
        Ok(())
    }

    fn mit(self, path: &Path, realm: &str, told: &Told) -> Result<Mit> {
        let Some(master) = &self.master else {
            let problem = match self.other {
                Some(other) => format!("a dump of {other}, but `realm` in kdc.toml is {realm}"),
                None => format!("there is no K/M@{realm} in it; dump the whole database: kdb5_util dump FILE"),
            };
            return Err(Error::file(path, problem));
        };
        let princ = |line| match record(line) {
            Ok(Record::Principal(princ)) => Ok(princ),
            // It was read once.
            _ => Err(Error::file(path, "it changes while it is read")),
        };
        let masters = Masters::open(&princ(master)?, told)?;
        let history = self.history.as_deref().map(|line| {
            let history = princ(line)?;
            sealers(&history, &masters).map_err(|problem| Error::file(path, format!("{}: {problem}", history.name)))
        });
        let history = history.transpose()?.unwrap_or_default();
        let mut aliases: HashMap<String, (Vec<Principal>, AtomicBool)> = HashMap::new();
        for alias in self.aliases.keys() {
            let mut target = alias;
            for _ in 0..DEPTH {
                match self.aliases.get(target) {
                    Some(next) => target = next,
                    None => break,
                }
            }
            aliases.entry(target.clone()).or_default().0.push(Principal::parse(alias, None)?);
        }
        for (names, _) in aliases.values_mut() {
            names.sort_by_key(ToString::to_string);
        }
        Ok(Mit { realm: realm.to_owned(), masters, history, aliases })
    }
}

/// Any text as a dump of `realm` with this master key: how many principals came. For tests that bend
/// dumps.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn try_lines(text: &str, realm: &str, told: &Told) -> Result<usize, String> {
    let mut lines = text.lines();
    header(lines.next().unwrap_or_default())?;
    let mut found = Found::default();
    for line in lines.clone().filter(|line| wanted(line.as_bytes(), realm)) {
        found.note(line, realm)?;
    }
    let mit = found.mit(Path::new("dump"), realm, told).map_err(|error| error.to_string())?;
    let mut principals = 0;
    for line in lines {
        principals += usize::from(matches!(mit.item(line)?, Item::Principal(_)));
    }
    let _ = mit.unclaimed();
    Ok(principals)
}

#[cfg(test)]
mod tests;
