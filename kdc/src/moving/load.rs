//! `kdc load`: a dump of our own into a realm without principals, every record checked and opened on
//! the way. Not here: the lines (`store::dump`).

use std::path::Path;

use sha2::{Digest, Sha256};

use super::pipeline::{Lines, each, wrong};
use super::place::Place;
use super::progress::Progress;
use crate::admin::Secret;
use crate::config::Config;
use crate::core::StoreError;
use crate::core::attempts::AccountId;
use crate::core::store::{ExportHead, Exported, Kind};
use crate::error::{Error, Result};
use crate::store::{DumpLine, Existing, Redb, Sealed, read_dump_line};

/// Puts the records of `from` into the realm's store; what the dump says of itself.
///
/// # Errors
/// When the file is torn, of another realm, or sealed under another master key, or when the store has
/// principals; then nothing has changed.
pub fn load(config: &Config, from: &Path, dry_run: bool, silent: bool) -> Result<ExportHead> {
    let head = whole(from)?;
    if head.realm != config.realm {
        let problem = format!("a dump of {}, but `realm` in kdc.toml is {}", head.realm, config.realm);
        return Err(Error::file(from, problem));
    }
    let place = Place::take(config, Existing::Refuse)?;
    if place.is_used() {
        return Err(Error::file(
            &config.store.file,
            "it has principals already; load into a folder with kdc.toml and master.key only, or move this file away",
        ));
    }
    let store = place.store()?;
    if !store.has_master_key_of(&head) {
        let master = &config.master_key;
        return Err(Error::file(from, format!("sealed under another master key than {master}; put that one there")));
    }
    let lines = Lines::open(from)?;
    let mut progress = Progress::new("loading", lines.size(), silent);
    store.bulk(head.revision, |bulk| {
        let put = &mut |line, ready| -> Result<()> {
            let done = match ready {
                Ready::Other => return Ok(()),
                Ready::Principal(sealed) => bulk.put(&sealed, Existing::Refuse).map(drop),
                Ready::Attempts(who, octets) => bulk.restore_attempts(&who, &octets),
                Ready::Policy(name, octets) => bulk.restore_policy(&name, &octets),
            };
            done.map_err(|error| wrong(from, line, &error.to_string()))
        };
        each(lines, &|line| ready(store, line), put, &mut |bytes| progress.at(bytes))
    })?;
    drop(progress);
    if !dry_run {
        place.finish()?;
    }
    Ok(head)
}

enum Ready {
    Principal(Sealed),
    Policy(String, Vec<u8>),
    Attempts(AccountId, Vec<u8>),
    /// The first line, or the last.
    Other,
}

fn ready(store: &Redb, line: &str) -> Result<Ready, String> {
    Ok(match read_dump_line(line)? {
        DumpLine::Record(Exported { kind: Kind::Principal, name, record }) => {
            Ready::Principal(store.adopt(&name, record).map_err(|error: StoreError| error.to_string())?)
        }
        DumpLine::Record(Exported { kind: Kind::Policy, name, record }) => Ready::Policy(name, record),
        DumpLine::Record(Exported { kind: Kind::Attempts, name, record }) => {
            let who = Secret::new(name).octets().and_then(|octets| octets.as_slice().try_into().ok());
            Ready::Attempts(who.ok_or("the id of its account is none")?, record)
        }
        DumpLine::Header(_) | DumpLine::Trailer(_) => Ready::Other,
    })
}

/// Reads a dump through: its header, if the file is whole.
fn whole(path: &Path) -> Result<ExportHead> {
    let mut lines = Lines::open(path)?;
    let mut text = vec![];
    lines.next_line(&mut text)?;
    let head = match line(&text) {
        Ok(DumpLine::Header(head)) => head,
        Ok(_) => return Err(wrong(path, 1, "not the header of a dump of kdc's; `kdc dump` writes one")),
        Err(problem) => return Err(wrong(path, 1, &format!("{problem}; `kdc dump` writes one"))),
    };
    let mut digest = Sha256::new();
    let mut last = vec![];
    // The digest is of all lines but the last.
    while !text.is_empty() {
        digest.update(&last);
        std::mem::swap(&mut last, &mut text);
        text.clear();
        lines.next_line(&mut text)?;
    }
    let torn = || wrong(path, lines.number(), "it ends without its trailer: the file is torn; take another copy");
    let Ok(DumpLine::Trailer(trailer)) = line(&last) else { return Err(torn()) };
    let sum: String = digest.finalize().iter().map(|octet| format!("{octet:02x}")).collect();
    let records = lines.number().saturating_sub(2);
    if sum != trailer.sha256 || records != trailer.records || records != head.records() {
        return Err(Error::file(path, "its checksum or its count is not that of its trailer; take another copy"));
    }
    Ok(head)
}

fn line(text: &[u8]) -> Result<DumpLine, String> {
    let text = text.strip_suffix(b"\n").ok_or("it breaks off")?;
    read_dump_line(std::str::from_utf8(text).map_err(|_| "not UTF-8")?)
}
