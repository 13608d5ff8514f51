//! Carries what a source has into a place, all of it or nothing. Not here: what a source is.

use std::path::Path;

use super::item::{Carried, Item, Source};
use super::pipeline::{Lines, each, wrong};
use super::place::Place;
use super::progress::Progress;
use super::report::{Counts, Note, Report};
use crate::config::Config;
use crate::core::{PasswordPolicy, StoreError, attempts};
use crate::error::{Error, Result};
use crate::store::{Bulk, Existing, Put, Redb, Sealed};

/// What an administrator wants of an import.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    /// What becomes of those that are in the store.
    pub existing: Existing,
    /// Change nothing.
    pub dry_run: bool,
    /// Refuse if anything can't be carried.
    pub strict: bool,
    /// For a program.
    pub json: bool,
}

/// Takes over what a source has into the realm of `config`, and says on the standard output what
/// became of it.
///
/// # Errors
/// The first thing that is wrong, with its line; then nothing has changed.
pub fn bring(config: &Config, dump: &Path, lines: Lines, source: &dyn Source, wishes: Wishes) -> Result<Counts> {
    let place = Place::take(config, wishes.existing)?;
    let mut report = Report::new(wishes.json);
    let done = carry(dump, lines, source, place, wishes, &mut report);
    report.flush();
    done?;
    report.done("imported", &config.realm, wishes.dry_run)?;
    Ok(report.counts)
}

/// Carries the lines of `path` into `place`.
///
/// # Errors
/// The first thing that is wrong, with its line; then nothing has changed.
fn carry(
    path: &Path,
    lines: Lines,
    source: &dyn Source,
    place: Place,
    wishes: Wishes,
    report: &mut Report,
) -> Result<()> {
    let store = place.store()?;
    let mut progress = Progress::new("importing", lines.size(), wishes.json);
    let revision = store.next_revision()?;
    store.bulk(revision, |bulk| {
        let make = |line: &str| ready(store, revision, source.item(line)?);
        {
            let progress = std::cell::RefCell::new(&mut progress);
            let mut mover = Mover { path, place: &place, store, revision, bulk, report };
            each(lines, &make, &mut |line, ready| mover.put(line, ready, &progress.borrow()), &mut |bytes| {
                progress.borrow_mut().at(bytes)
            })?;
            mover.rest(source, &progress.borrow())?;
        }
        judge(&report.counts, wishes)
    })?;
    drop(progress);
    match wishes.dry_run {
        true => Ok(()),
        false => place.finish(),
    }
}

/// Whether what came is to stay.
fn judge(counts: &Counts, wishes: Wishes) -> Result<()> {
    if counts.conflicts > 0 {
        return Err(Error::Other(format!(
            "{} of the names are in the store already, so nothing was changed; --existing keep leaves those as they \
             are, --existing replace puts what comes in their place",
            counts.conflicts
        )));
    }
    if wishes.strict && counts.not_carried > 0 {
        let problem =
            format!("{} things can't be carried, so nothing was changed as --strict has it", counts.not_carried);
        return Err(Error::Other(problem));
    }
    Ok(())
}

/// An item with its keys sealed.
enum Ready {
    Principal(Box<Carried>, Sealed),
    Other(Item),
}

fn ready(store: &Redb, revision: u64, item: Item) -> Result<Ready, String> {
    match item {
        Item::Principal(carried) => {
            let sealed = store.seal(&carried.entry, revision).map_err(|error| error.to_string())?;
            Ok(Ready::Principal(carried, sealed))
        }
        other => Ok(Ready::Other(other)),
    }
}

struct Mover<'a, 'b, 't> {
    path: &'a Path,
    place: &'a Place,
    store: &'a Redb,
    revision: u64,
    bulk: &'b mut Bulk<'t>,
    report: &'b mut Report,
}

impl Mover<'_, '_, '_> {
    fn put(&mut self, line: u64, ready: Ready, progress: &Progress) -> Result<()> {
        match ready {
            Ready::Principal(carried, sealed) => self.principal(line, *carried, sealed, progress),
            Ready::Other(Item::Policy(policy, lost)) => self.policy(line, &policy, &lost, progress),
            Ready::Other(Item::LeftOut(name, why)) => self.report.note(Note::LeftOut { name: &name, why }, progress),
            Ready::Other(Item::Elsewhere | Item::Principal(_)) => Ok(()),
        }
    }

    fn principal(&mut self, line: u64, mut carried: Carried, mut sealed: Sealed, progress: &Progress) -> Result<()> {
        let put = loop {
            match self.bulk.put(&sealed, self.existing()) {
                Ok(put) => break put,
                Err(StoreError::Exists(name)) if name.to_string() == sealed.owner() => {
                    let problem = match self.bulk.has(sealed.owner())? {
                        true => format!("{name} stands in the dump twice"),
                        false => format!("{name} is an alias of another principal, or differs from one by case alone"),
                    };
                    return Err(wrong(self.path, line, &problem));
                }
                Err(StoreError::Exists(name)) if carried.entry.aliases.contains(&name) => {
                    let what = format!("the alias {name}: another has that name, or one that differs by case alone");
                    carried.lost.push(what);
                    carried.entry.aliases.retain(|alias| *alias != name);
                    sealed = self.store.seal(&carried.entry, self.revision)?;
                }
                Err(error) => return Err(wrong(self.path, line, &error.to_string())),
            }
        };
        self.settled(put, sealed.owner(), progress)?;
        if put == Put::Kept {
            return Ok(());
        }
        if carried.attempts != attempts::Record::default() {
            self.bulk.put_attempts(&carried.entry.id, &carried.attempts)?;
        }
        self.report.count(&carried.entry);
        self.lost(line, sealed.owner(), &carried.lost, progress)
    }

    fn policy(&mut self, line: u64, policy: &PasswordPolicy, lost: &[String], progress: &Progress) -> Result<()> {
        let put = self.bulk.put_policy(policy, self.existing());
        let name = format!("policy {}", policy.name);
        let put = put.map_err(|error| match error {
            StoreError::PolicyExists(_) => wrong(self.path, line, &format!("{name} stands in the dump twice")),
            error => wrong(self.path, line, &error.to_string()),
        })?;
        self.settled(put, &name, progress)?;
        if put == Put::Kept {
            return Ok(());
        }
        self.report.counts.policies += 1;
        self.lost(line, &name, lost, progress)
    }

    /// In a store that is in use, all conflicts are found before it is refused.
    fn existing(&self) -> Existing {
        match self.place.existing {
            Existing::Refuse => Existing::Keep,
            existing => existing,
        }
    }

    fn settled(&mut self, put: Put, name: &str, progress: &Progress) -> Result<()> {
        match put {
            Put::Added => Ok(()),
            Put::Kept if self.place.existing == Existing::Refuse => self.report.note(Note::Conflict { name }, progress),
            Put::Kept => self.report.note(Note::Kept { name }, progress),
            Put::Replaced => self.report.note(Note::Replaced { name }, progress),
        }
    }

    fn lost(&mut self, line: u64, name: &str, lost: &[String], progress: &Progress) -> Result<()> {
        lost.iter().try_for_each(|what| self.report.note(Note::NotCarried { line, name, what }, progress))
    }

    /// What the file lacks and a realm needs, and what belongs to nobody.
    fn rest(&mut self, source: &dyn Source, progress: &Progress) -> Result<()> {
        for (name, what) in source.unclaimed() {
            self.lost(0, &name, &[what], progress)?;
        }
        for entry in self.place.own() {
            if !self.bulk.has(&entry.principal.to_string())? {
                let sealed = self.store.seal(entry, self.revision)?;
                // Its name is taken by an alias: then it is not missed.
                let _ = self.bulk.put(&sealed, Existing::Refuse);
            }
        }
        Ok(())
    }
}
