//! What can be done with a named keytab. The door of its files: the locks are MIT's, so that its
//! programs can share a keytab with us, and every state that a crash can leave is a keytab.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::format::{self, Parsed};
use super::{Keytab, KeytabEntry, KeytabName, memory};
use crate::codes::EncryptionType;
use crate::error::{Error, Result};
use crate::name::Principal;
use crate::storage::file::{self, Access, Locked};

impl KeytabName {
    /// Reads the keytab.
    ///
    /// # Errors
    /// [`Error::NoKeytab`] if there is none, [`Error::Storage`] if it cannot be read.
    pub fn load(&self) -> Result<Keytab> {
        match self {
            KeytabName::Memory(name) => Ok(memory::load(name)),
            KeytabName::File(path) | KeytabName::WritableFile(path) => {
                let bytes = file::read(path).map_err(|error| trouble(path, &error))?;
                Keytab::parse(&bytes).map_err(|error| error.in_file(path))
            }
        }
    }

    /// Adds entries, each into the first hole that is big enough or to the end. A keytab that is not
    /// there is made, of mode 0600; one of version 1 becomes one of version 2.
    ///
    /// # Errors
    /// [`Error::Storage`] if it cannot be read or written.
    pub fn add(&self, entries: &[KeytabEntry]) -> Result<()> {
        match self {
            KeytabName::Memory(name) => memory::change(name, |keytab| keytab.entries.extend_from_slice(entries)),
            KeytabName::File(path) | KeytabName::WritableFile(path) => add(path, entries)?,
        }
        Ok(())
    }

    /// Adds those of the entries that are not there yet, all at once: who looks sees none of them or all.
    /// The file keeps its owner and mode. How many were added.
    ///
    /// # Errors
    /// As [`KeytabName::add`].
    pub fn merge(&self, entries: &[KeytabEntry]) -> Result<usize> {
        let missing = |there: &[KeytabEntry]| -> Vec<KeytabEntry> {
            let same = |one: &KeytabEntry, other: &KeytabEntry| {
                one.kvno == other.kvno && one.principal == other.principal && one.key == other.key
            };
            entries.iter().filter(|entry| !there.iter().any(|known| same(known, entry))).cloned().collect()
        };
        match self {
            KeytabName::Memory(name) => Ok(memory::change(name, |keytab| {
                let new = missing(&keytab.entries);
                keytab.entries.extend_from_slice(&new);
                new.len()
            })),
            KeytabName::File(path) | KeytabName::WritableFile(path) => {
                let (locked, parsed) = open(path)?;
                let mut all = Keytab { entries: parsed.into_entries().collect() };
                let new = missing(&all.entries);
                if !new.is_empty() {
                    all.entries.extend_from_slice(&new);
                    locked.replace(&all.encode()?).map_err(|error| trouble(path, &error))?;
                }
                Ok(new.len())
            }
        }
    }

    /// Removes the entry of this principal, version number and encryption type, and its key from
    /// the disk.
    ///
    /// # Errors
    /// [`Error::NoKey`] if there is none; and as [`KeytabName::add`].
    pub fn remove(&self, principal: &Principal, kvno: u32, etype: EncryptionType) -> Result<()> {
        let is_meant = |entry: &KeytabEntry| Keytab::is(entry, principal, kvno, etype);
        let removed = match self {
            KeytabName::Memory(name) => memory::change(name, |keytab| {
                let index = keytab.entries.iter().position(is_meant);
                index.map(|index| keytab.entries.remove(index)).is_some()
            }),
            KeytabName::File(path) | KeytabName::WritableFile(path) => remove(path, is_meant)?,
        };
        if removed { Ok(()) } else { Err(Error::NoKey("Key table entry not found".to_owned())) }
    }

    /// Puts a whole new keytab in the place of what there was, of mode 0600.
    ///
    /// # Errors
    /// [`Error::Storage`] if it cannot be written.
    pub fn replace(&self, keytab: &Keytab) -> Result<()> {
        match self {
            KeytabName::Memory(name) => memory::change(name, |old| *old = keytab.clone()),
            KeytabName::File(path) | KeytabName::WritableFile(path) => {
                file::replace_synced(path, &keytab.encode()?).map_err(|error| trouble(path, &error))?;
            }
        }
        Ok(())
    }
}

/// Opens a keytab to change it, and makes it first if it is not there.
fn open(path: &Path) -> Result<(Locked, Parsed)> {
    let failed = |error: io::Error| trouble(path, &error);
    let mut locked = match file::open(path, Access::Change) {
        Err(error) if error.kind() == ErrorKind::NotFound => match file::create(path, &format::MAGIC) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => file::open(path, Access::Change).map_err(failed)?,
        },
        opened => opened.map_err(failed)?,
    };
    let bytes = locked.read().map_err(failed)?;
    let parsed = format::parse(&bytes).map_err(|error| error.in_file(path))?;
    Ok((locked, parsed))
}

fn add(path: &Path, entries: &[KeytabEntry]) -> Result<()> {
    let bodies = entries.iter().map(format::encode_entry).collect::<Result<Vec<_>>>()?;
    let (mut locked, mut parsed) = open(path)?;
    let failed = |error: io::Error| trouble(path, &error);
    if parsed.version == 1 {
        let all = Keytab { entries: parsed.into_entries().chain(entries.iter().cloned()).collect() };
        return locked.replace(&all.encode()?).map_err(failed);
    }
    for body in bodies {
        let addition = parsed.place(&body)?;
        let at = addition.at as u64;
        locked.write_at(at.saturating_add(4), &addition.body).map_err(failed)?;
        locked.sync().map_err(failed)?;
        locked.write_at(at, &addition.length.to_be_bytes()).map_err(failed)?;
    }
    locked.sync().map_err(failed)
}

fn remove(path: &Path, is_meant: impl Fn(&KeytabEntry) -> bool) -> Result<bool> {
    let failed = |error: io::Error| trouble(path, &error);
    let mut locked = file::open(path, Access::Change).map_err(failed)?;
    let bytes = locked.read().map_err(failed)?;
    let mut parsed = format::parse(&bytes).map_err(|error| error.in_file(path))?;
    let Some(index) = parsed.records.iter().position(|record| record.entry.as_ref().is_some_and(&is_meant)) else {
        return Ok(false);
    };
    let record = parsed.records.remove(index);
    if parsed.version == 1 {
        let rest = Keytab { entries: parsed.into_entries().collect() };
        locked.replace(&rest.encode()?).map_err(failed)?;
    } else {
        let hole = i32::try_from(record.length).unwrap_or(i32::MAX).wrapping_neg();
        let at = record.at as u64;
        locked.write_at(at, &hole.to_be_bytes()).map_err(failed)?;
        locked.write_at(at.saturating_add(4), &vec![0; record.length]).map_err(failed)?;
        locked.sync().map_err(failed)?;
    }
    Ok(true)
}

/// MIT's words for what the system says.
fn trouble(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::NoKeytab(path.display().to_string()),
        ErrorKind::PermissionDenied => Error::storage("Permission denied", path.display().to_string(), ""),
        _ => Error::storage(error.to_string(), path.display().to_string(), ""),
    }
}

#[cfg(test)]
mod tests;
