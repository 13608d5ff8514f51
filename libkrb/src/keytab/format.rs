//! The bytes of a keytab file: versions 1 and 2 in, version 2 out. And where in a file an entry can
//! be added or removed, which the door then does.

use zeroize::Zeroizing;

use super::{Keytab, KeytabEntry};
use crate::codes::{EncryptionType, NameType};
use crate::error::{Error, Result};
use crate::name::{MAX_COMPONENTS, Principal};
use crate::storage::{Order, RawKey, Reader, Writer, seconds32};
use crate::time::Time;

const BAD_FORMAT: &str = "Bad format in keytab";
const BAD_VERSION: &str = "Unsupported key table format version number";
const TOO_LONG: &str = "too long for a keytab";

/// The first bytes of a file of version 2.
pub(super) const MAGIC: [u8; 2] = [5, 2];

/// A keytab file with the places of its records.
pub(super) struct Parsed {
    pub(super) version: u8,
    pub(super) records: Vec<Record>,
    /// Where the next record can begin.
    pub(super) end: usize,
    /// How long the file is. More than `end` where a zero length stands before what was never finished.
    size: usize,
}

/// An entry, or the hole that one left.
pub(super) struct Record {
    /// Where its length stands; its body follows.
    pub(super) at: usize,
    /// How long its body is.
    pub(super) length: usize,
    pub(super) entry: Option<KeytabEntry>,
}

impl Parsed {
    pub(super) fn into_entries(self) -> impl Iterator<Item = KeytabEntry> {
        self.records.into_iter().filter_map(|record| record.entry)
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed> {
    let mut reader = Reader::new(bytes, BAD_FORMAT);
    let version = match bytes {
        [5, version @ 1..=2, ..] => *version,
        [5, version, ..] => {
            return Err(Error::storage(BAD_VERSION, "", format!("version {version}, 1 and 2 can be read")));
        }
        [] | [5] => return Err(Error::storage(BAD_VERSION, "", "the file is empty")),
        _ => return Err(Error::storage(BAD_VERSION, "", "byte 0: expected 5, this is no keytab")),
    };
    reader.take(2, "format version")?;
    if version == 1 {
        reader.set_order(writers_order(bytes));
    }
    let mut records = vec![];
    let mut end = reader.position();
    while reader.left() > 0 {
        let length = reader.i32("record length")?;
        // A zero ends the keytab; what follows it was never finished.
        if length == 0 {
            break;
        }
        let size = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
        let mut body = reader.part(size, if length > 0 { "entry" } else { "hole" })?;
        let entry = if length > 0 { Some(entry(&mut body, version)?) } else { None };
        records.push(Record { at: end, length: size, entry });
        end = reader.position();
    }
    Ok(Parsed { version, records, end, size: bytes.len() })
}

/// Version 1 has the byte order of the machine that wrote it and does not say which. The length of
/// the first record tells: in the wrong order it is far longer than the file.
fn writers_order(bytes: &[u8]) -> Order {
    let length = bytes.get(2..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
    let (big, little) = (i32::from_be_bytes(length).unsigned_abs(), i32::from_le_bytes(length).unsigned_abs());
    if little < big { Order::Little } else { Order::Big }
}

fn entry(reader: &mut Reader<'_>, version: u8) -> Result<KeytabEntry> {
    let start = reader.position();
    let count = reader.u16("component count")?;
    let count = if version == 1 { count.checked_sub(1) } else { Some(count) };
    let Some(count) = count.map(usize::from).filter(|count| (1..=MAX_COMPONENTS).contains(count)) else {
        return Err(reader.fault_at(start, format_args!("expected 1 to {MAX_COMPONENTS} name components")));
    };
    let realm = text(reader, "realm")?;
    let components = (0..count).map(|_| text(reader, "name component")).collect::<Result<Vec<_>>>()?;
    let kind = if version == 1 { NameType::UNKNOWN } else { NameType(reader.i32("name type")?) };
    let principal = Principal::new(kind, realm, components).map_err(|error| reader.fault_at(start, error))?;
    let timestamp = Time(reader.u32("timestamp")?.into());
    let kvno8 = reader.u8("key version number")?;
    let etype = EncryptionType(reader.i16("encryption type")?.into());
    let key = RawKey::new(etype, reader.counted16("key")?);
    // Whatever else is left of the record is the rest of a hole that was bigger than the entry.
    let kvno32 = if reader.left() >= 4 { reader.u32("key version number")? } else { 0 };
    let kvno = if kvno32 == 0 { u32::from(kvno8) } else { kvno32 };
    Ok(KeytabEntry { principal, timestamp, kvno, key })
}

fn text<'a>(reader: &mut Reader<'a>, what: &str) -> Result<&'a str> {
    let bytes = reader.counted16(what)?;
    reader.text(bytes, what)
}

pub(super) fn encode(entries: &[KeytabEntry]) -> Result<Zeroizing<Vec<u8>>> {
    let mut writer = Writer::new();
    writer.put(&MAGIC);
    for entry in entries {
        let body = encode_entry(entry)?;
        writer.counted32(&body);
    }
    Ok(writer.finish())
}

/// The body of an entry's record.
pub(super) fn encode_entry(entry: &KeytabEntry) -> Result<Zeroizing<Vec<u8>>> {
    let mut writer = Writer::new();
    writer.u16(size(entry.principal.components().len())?);
    counted16(&mut writer, entry.principal.realm().as_bytes())?;
    for part in entry.principal.components() {
        counted16(&mut writer, part.as_bytes())?;
    }
    writer.put(&entry.principal.kind().0.to_be_bytes());
    writer.u32(seconds32(entry.timestamp));
    writer.u8(entry.kvno as u8);
    writer.u16(entry.key.etype.0 as u16);
    counted16(&mut writer, &entry.key.bytes)?;
    writer.u32(entry.kvno);
    Ok(writer.finish())
}

fn counted16(writer: &mut Writer, bytes: &[u8]) -> Result<()> {
    writer.u16(size(bytes.len())?);
    writer.put(bytes);
    Ok(())
}

fn size(length: usize) -> Result<u16> {
    u16::try_from(length).map_err(|_| Error::storage(BAD_FORMAT, "", TOO_LONG))
}

/// An addition: first `body` is written at `at + 4`, then `length` at `at`, so that a keytab whose
/// writer died between the two is as it was.
pub(super) struct Addition {
    pub(super) at: usize,
    pub(super) length: u32,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Parsed {
    /// Where an entry with this body goes: into the first hole that is big enough, else to the end.
    pub(super) fn place(&mut self, body: &[u8]) -> Result<Addition> {
        let hole = self.records.iter().position(|record| record.entry.is_none() && record.length >= body.len());
        let mut writer = Writer::new();
        writer.put(body);
        let (at, length) = match hole.map(|index| self.records.remove(index)) {
            Some(hole) => {
                // Nothing of the key that was there may stay.
                writer.put(&vec![0; hole.length.saturating_sub(body.len())]);
                (hole.at, hole.length)
            }
            None => {
                let at = self.end;
                self.end = at.saturating_add(4).saturating_add(body.len());
                if at < self.size {
                    writer.u32(0);
                }
                (at, body.len())
            }
        };
        let length = i32::try_from(length).map_err(|_| Error::storage(BAD_FORMAT, "", TOO_LONG))?;
        Ok(Addition { at, length: length.unsigned_abs(), body: writer.finish() })
    }
}

impl Keytab {
    /// Whether an entry is the one of this principal, version number and encryption type.
    pub(super) fn is(entry: &KeytabEntry, principal: &Principal, kvno: u32, etype: EncryptionType) -> bool {
        entry.principal == *principal && entry.kvno == kvno && entry.key.etype == etype
    }
}
