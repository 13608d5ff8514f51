//! The lines of a dump: JSON objects, the records in them as they are kept, keys sealed. A header,
//! a line for each record, and a trailer without which the file is torn. Not here: the file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libkrb::Time;
use serde::{Deserialize, Serialize};

use crate::core::StoreError;
use crate::core::store::{Export, ExportHead, Exported, Kind};

/// What this code writes and reads.
const VERSION: u32 = 1;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Header(Header),
    Principal { principal: String, record: String },
    Policy { policy: String, record: String },
    Attempts { attempts: String, record: String },
    Trailer { end: Trailer },
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    kdc_dump: u32,
    realm: String,
    written: i64,
    revision: u64,
    master_key: String,
    policies: u64,
    principals: u64,
    attempts: u64,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trailer {
    /// How many records there are.
    pub records: u64,
    /// The SHA-256 of everything before this line, in hexadecimal.
    pub sha256: String,
}

/// A line, read.
pub enum Line {
    /// The first.
    Header(ExportHead),
    /// One of those between.
    Record(Exported),
    /// The last.
    Trailer(Trailer),
}

/// The lines of a copy, without their ends and without the trailer.
pub fn lines(export: Export, now: Time) -> impl Iterator<Item = Result<String, StoreError>> + Send {
    let head = export.head;
    let header = Text::Header(Header {
        kdc_dump: VERSION,
        realm: head.realm,
        written: now.seconds(),
        revision: head.revision,
        master_key: STANDARD.encode(head.master_key),
        policies: head.policies,
        principals: head.principals,
        attempts: head.attempts,
    });
    let records = export.records.map(|exported| {
        let Exported { kind, name, record } = exported?;
        let record = STANDARD.encode(record);
        written(&match kind {
            Kind::Principal => Text::Principal { principal: name, record },
            Kind::Policy => Text::Policy { policy: name, record },
            Kind::Attempts => Text::Attempts { attempts: name, record },
        })
    });
    std::iter::once(written(&header)).chain(records)
}

/// The last line, without its end.
///
/// # Errors
/// Never.
pub fn trailer(trailer: Trailer) -> Result<String, StoreError> {
    written(&Text::Trailer { end: trailer })
}

fn written(text: &Text) -> Result<String, StoreError> {
    serde_json::to_string(text).map_err(|error| StoreError::Storage(error.to_string()))
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it.
pub fn read(line: &str) -> Result<Line, String> {
    let octets = |text: &str| STANDARD.decode(text).map_err(|_| "its octets are not base64".to_owned());
    let text: Text = serde_json::from_str(line).map_err(|_| "not a line of a dump of kdc's".to_owned())?;
    Ok(match text {
        Text::Header(header) if header.kdc_dump > VERSION => {
            let version = header.kdc_dump;
            return Err(format!("a dump of version {version} by a newer kdc, this one reads up to {VERSION}"));
        }
        Text::Header(header) => Line::Header(ExportHead {
            realm: header.realm,
            revision: header.revision,
            master_key: octets(&header.master_key)?,
            policies: header.policies,
            principals: header.principals,
            attempts: header.attempts,
        }),
        Text::Principal { principal: name, record } => {
            Line::Record(Exported { kind: Kind::Principal, name, record: octets(&record)? })
        }
        Text::Policy { policy: name, record } => {
            Line::Record(Exported { kind: Kind::Policy, name, record: octets(&record)? })
        }
        Text::Attempts { attempts: name, record } => {
            Line::Record(Exported { kind: Kind::Attempts, name, record: octets(&record)? })
        }
        Text::Trailer { end } => Line::Trailer(end),
    })
}
