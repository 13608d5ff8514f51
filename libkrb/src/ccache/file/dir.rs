//! A directory of caches: members are the files whose names begin with "tkt", and the file
//! `primary` holds the name of the one that is meant when none is named.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::super::CacheName;
use super::super::name::is_member;
use super::{RESERVED, trouble};
use crate::error::{Error, Result};
use crate::storage::file;

/// The primary member; if `primary` names none yet, it shall be `tkt`.
pub(in super::super) fn primary(directory: &Path) -> Result<PathBuf> {
    verify(directory)?;
    match read_primary(directory) {
        Ok(Some(path)) => Ok(path),
        Ok(None) => {
            write_primary(directory, OsStr::new("tkt"))?;
            Ok(directory.join("tkt"))
        }
        Err(error) => Err(error),
    }
}

/// All members, the primary one first, the others by name.
pub(in super::super) fn members(directory: &Path) -> Result<Vec<CacheName>> {
    let listing = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        listing => listing.map_err(|error| trouble(directory, &error))?,
    };
    let primary = read_primary(directory).unwrap_or_default();
    let mut paths: Vec<PathBuf> = listing
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| is_member(name))
        .map(|name| directory.join(name))
        .collect();
    paths.sort();
    paths.sort_by_key(|path| Some(path) != primary.as_ref());
    Ok(paths.into_iter().map(CacheName::Member).collect())
}

pub(in super::super) fn switch(member: &Path) -> Result<()> {
    match (member.parent(), member.file_name()) {
        (Some(directory), Some(name)) => write_primary(directory, name),
        _ => Err(Error::storage("Credential cache name malformed", member.display().to_string(), "")),
    }
}

pub(in super::super) fn new_unique(directory: &Path) -> Result<PathBuf> {
    verify(directory)?;
    file::create_unique(directory, "tkt", &RESERVED).map_err(|error| trouble(directory, &error))
}

/// Makes the directory if only its last part is missing.
fn verify(directory: &Path) -> Result<()> {
    let shown = directory.display();
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => {
            let problem = format!("Credential cache directory {shown} exists but is not a directory");
            Err(Error::storage(problem, "", ""))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && make(directory) => Ok(()),
        Err(_) => Err(Error::storage(format!("Credential cache directory {shown} does not exist"), "", "")),
    }
}

fn make(directory: &Path) -> bool {
    fs::DirBuilder::new().mode(0o700).create(directory).is_ok()
}

fn read_primary(directory: &Path) -> Result<Option<PathBuf>> {
    let path = directory.join("primary");
    let content = match file::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(trouble(&path, &error)),
    };
    let line = content.split_inclusive(|byte| *byte == b'\n').next().and_then(|line| line.strip_suffix(b"\n"));
    let name = line.and_then(|line| std::str::from_utf8(line).ok());
    match name.filter(|name| is_member(OsStr::new(name)) && !name.contains(['/', '\\', '\0'])) {
        Some(name) => Ok(Some(directory.join(name))),
        None => {
            let problem = format!("{} contains invalid filename", path.display());
            Err(Error::storage(problem, "", "expected one line with the name of a file that begins with \"tkt\""))
        }
    }
}

fn write_primary(directory: &Path, name: &OsStr) -> Result<()> {
    let mut line = name.as_encoded_bytes().to_vec();
    line.push(b'\n');
    let path = directory.join("primary");
    file::replace(&path, &line).map_err(|error| trouble(&path, &error))
}
