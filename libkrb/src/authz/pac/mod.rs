//! The privilege attribute certificate (MS-PAC): a table of buffers with signatures of the KDC and
//! for the service. Here it carries what binds a ticket to its client and to what was delegated.
//! Not here: who gets one, and whose key signs it.
//!
//! Everything in it comes from the network: counts, offsets and lengths are checked once, when it is
//! parsed, and no two buffers may share an octet, for what a signature does not cover could be part
//! of another buffer otherwise.

mod account;
mod build;
mod client_info;
mod delegation;
mod octets;
mod signature;
mod ticket;

pub use account::{Attributes, Requestor};
pub use build::{Signatures, sign};
pub use client_info::{ClientInfo, display_name};
pub use delegation::DelegationInfo;
pub use signature::Signature;
pub use ticket::{find, holds_pac, placeholder, signed_part, wrapped};

use octets::Octets;

use crate::codes::PacType;
use crate::error::{Error, Result};
use crate::name::Principal;
use crate::time::Time;

/// How many buffers a PAC may have. Known ones are about a dozen.
const MOST_BUFFERS: usize = 64;

/// The octets of the PAC's head and of each row of its table.
const HEAD: usize = 8;
const ROW: usize = 16;

/// A parsed PAC (MS-PAC 2.3). Nothing in it is verified yet.
#[derive(Clone)]
pub struct Pac<'a> {
    bytes: &'a [u8],
    rows: Vec<Row>,
}

/// Where a buffer stands.
#[derive(Clone, Copy)]
struct Row {
    kind: PacType,
    start: usize,
    end: usize,
}

impl<'a> Pac<'a> {
    /// Reads the table of buffers.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another version, too many buffers, two of one kind, and buffers that
    /// lie outside, astride or upon each other.
    pub fn parse(bytes: &'a [u8]) -> Result<Pac<'a>> {
        let mut octets = Octets::new(bytes);
        let count = usize::try_from(octets.u32()?).unwrap_or(usize::MAX);
        if octets.u32()? != 0 {
            return Err(Error::Malformed("a PAC of unknown version"));
        }
        if count > MOST_BUFFERS {
            return Err(Error::Malformed("a PAC of too many buffers"));
        }
        let table_end = HEAD + ROW * count;
        let mut rows: Vec<Row> = Vec::with_capacity(count);
        for _ in 0..count {
            let row = row(&mut octets, table_end..bytes.len())?;
            if rows.iter().any(|other| other.kind == row.kind) {
                return Err(Error::Malformed("a PAC with two buffers of one kind"));
            }
            if rows.iter().any(|other| other.start < row.end && row.start < other.end) {
                return Err(Error::Malformed("a PAC whose buffers overlap"));
            }
            rows.push(row);
        }
        Ok(Pac { bytes, rows })
    }

    /// The contents of a buffer.
    pub fn buffer(&self, kind: PacType) -> Option<&'a [u8]> {
        self.row(kind).and_then(|row| self.bytes.get(row.start..row.end))
    }

    /// Every buffer in the order of the table.
    pub fn buffers(&self) -> impl Iterator<Item = (PacType, &'a [u8])> {
        self.rows.iter().filter_map(|row| Some((row.kind, self.bytes.get(row.start..row.end)?)))
    }

    /// Whose ticket it was made for, and when that client was authenticated.
    ///
    /// # Errors
    /// [`Error::Malformed`] where that is missing or no name.
    pub fn client_info(&self) -> Result<ClientInfo> {
        self.buffer(PacType::CLIENT_INFO)
            .ok_or(Error::Malformed("a PAC without client info"))
            .and_then(ClientInfo::parse)
    }

    /// Refuses unless it was made for this client and login, as the ticket names them.
    ///
    /// # Errors
    /// [`Error::Integrity`] where it was not, [`Error::Malformed`] where it does not say.
    pub fn verify_client(&self, client: &Principal, auth_time: Time) -> Result<()> {
        let about = self.buffer(PacType::CLIENT_INFO).ok_or(Error::Malformed("a PAC without client info"))?;
        ClientInfo::verify(about, client, auth_time)
    }

    /// Refuses unless it was made for this user, who is not the client of the ticket, and this login
    /// (MS-SFU 3.2.5.1.1).
    ///
    /// # Errors
    /// [`Error::Integrity`] where it was not, [`Error::Malformed`] where it does not say.
    pub fn verify_user(&self, user: &Principal, auth_time: Time) -> Result<()> {
        let about = self.buffer(PacType::CLIENT_INFO).ok_or(Error::Malformed("a PAC without client info"))?;
        ClientInfo::verify_user(about, user, auth_time)
    }

    /// Through whom the client was delegated to the service.
    ///
    /// # Errors
    /// [`Error::Malformed`] where that is not what NDR writes.
    pub fn delegation_info(&self) -> Result<Option<DelegationInfo>> {
        self.buffer(PacType::DELEGATION_INFO).map(DelegationInfo::parse).transpose()
    }

    /// The account that asked for it.
    ///
    /// # Errors
    /// [`Error::Malformed`] where that is no security identifier.
    pub fn requestor(&self) -> Result<Option<Requestor<'a>>> {
        self.buffer(PacType::REQUESTOR).map(Requestor::parse).transpose()
    }

    /// Whether the client asked for it.
    ///
    /// # Errors
    /// [`Error::Malformed`] where that is no set of flags.
    pub fn attributes(&self) -> Result<Option<Attributes>> {
        self.buffer(PacType::ATTRIBUTES).map(Attributes::parse).transpose()
    }

    fn row(&self, kind: PacType) -> Option<&Row> {
        self.rows.iter().find(|row| row.kind == kind)
    }
}

fn row(octets: &mut Octets<'_>, room: std::ops::Range<usize>) -> Result<Row> {
    const OUTSIDE: Error = Error::Malformed("a PAC buffer outside of the PAC");
    // Numbers above i32 are nobody's; they survive as what they are.
    let kind = PacType(octets.u32()?.cast_signed());
    let size = usize::try_from(octets.u32()?).map_err(|_| OUTSIDE)?;
    let start = usize::try_from(octets.u64()?).map_err(|_| OUTSIDE)?;
    if start % 8 != 0 {
        return Err(Error::Malformed("a PAC buffer out of line"));
    }
    let end = start.checked_add(size).filter(|end| room.start <= start && *end <= room.end).ok_or(OUTSIDE)?;
    Ok(Row { kind, start, end })
}

impl std::fmt::Debug for Pac<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.rows.iter().map(|row| row.kind)).finish()
    }
}

#[cfg(test)]
mod tests;
