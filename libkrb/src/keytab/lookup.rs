//! Which entry is meant: by principal, and by version number and encryption type where they are
//! known. The rules for version numbers are MIT's, whose older releases stored only 8 bits of them.

use super::{Keytab, KeytabEntry};
use crate::codes::EncryptionType;
use crate::error::{Error, Result};
use crate::name::Principal;

impl Keytab {
    /// The entry of `principal` with this version number, or the newest, and this encryption type,
    /// or any. Where no number fits, one that is equal in its last 8 bits does; entries of number 0
    /// fit always.
    ///
    /// # Errors
    /// [`Error::NoKey`] saying whether it is the principal or the version number that is missing.
    pub fn lookup(
        &self,
        principal: &Principal,
        kvno: Option<u32>,
        etype: Option<EncryptionType>,
    ) -> Result<&KeytabEntry> {
        let mut best: Option<&KeytabEntry> = None;
        let mut wrong_kvno = false;
        for entry in &self.entries {
            if entry.principal != *principal || etype.is_some_and(|etype| etype != entry.key.etype) {
                continue;
            }
            match kvno.filter(|kvno| *kvno != 0 && entry.kvno != 0) {
                None if best.is_none_or(|best| newer(entry, best)) => best = Some(entry),
                None => {}
                Some(kvno) if entry.kvno == kvno => return Ok(entry),
                Some(kvno) if entry.kvno == kvno & 0xff && best.is_none() => best = Some(entry),
                Some(_) => wrong_kvno = true,
            }
        }
        best.ok_or_else(|| match wrong_kvno {
            true => Error::NoKey("Key version number for principal in key table is incorrect".to_owned()),
            false => Error::NoKey(format!("No key table entry found for {principal}")),
        })
    }
}

/// Whether `one` is newer than `other`: a small number written no earlier than a big one has
/// probably come round past 255.
fn newer(one: &KeytabEntry, other: &KeytabEntry) -> bool {
    let wrapped =
        |small: &KeytabEntry, big: &KeytabEntry| small.kvno < 128 && big.kvno > 240 && small.timestamp >= big.timestamp;
    wrapped(one, other) || (!wrapped(other, one) && one.kvno > other.kvno)
}
