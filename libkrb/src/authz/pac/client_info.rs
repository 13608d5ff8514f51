//! PAC_CLIENT_INFO (MS-PAC 2.7): the client's name and when it was authenticated. It is what ties a
//! PAC to one ticket, so both must be those of the ticket that it comes in.

use std::fmt::Write;

use super::octets::Octets;
use crate::error::{Error, Result};
use crate::name::Principal;
use crate::time::Time;

/// Whom a PAC speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// The authtime of the ticket.
    pub auth_time: Time,
    /// The client's name as it is shown to people, in most PACs without its realm.
    pub name: String,
}

/// Seconds from 1601, where a FILETIME begins, to 1970.
const EPOCH_GAP: i64 = 11_644_473_600;

/// FILETIME counts tenths of a microsecond.
const TICKS: i64 = 10_000_000;

impl ClientInfo {
    pub(super) fn parse(bytes: &[u8]) -> Result<ClientInfo> {
        let mut octets = Octets::new(bytes);
        let auth_time = time(octets.u64()?);
        let length = octets.u16()?;
        let name = octets.utf16(usize::from(length))?;
        Ok(ClientInfo { auth_time, name })
    }

    /// The contents of the buffer for a client of a ticket.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a name that is too long for it.
    pub fn encode(client: &Principal, auth_time: Time) -> Result<Vec<u8>> {
        encoded(units(client), auth_time)
    }

    /// The same for a user who is not the client of the ticket: the name with its realm (MS-SFU 3.2.5.1.1).
    ///
    /// # Errors
    /// [`Error::Malformed`] for a name that is too long for it.
    pub fn encode_user(user: &Principal, auth_time: Time) -> Result<Vec<u8>> {
        encoded(units_with_realm(user), auth_time)
    }

    /// Refuses unless a buffer speaks of this client and login.
    ///
    /// # Errors
    /// [`Error::Integrity`], and [`Error::Malformed`] for what is none.
    pub(super) fn verify(bytes: &[u8], client: &Principal, auth_time: Time) -> Result<()> {
        verified(bytes, units(client), auth_time)
    }

    /// The same for a name with its realm.
    pub(super) fn verify_user(bytes: &[u8], user: &Principal, auth_time: Time) -> Result<()> {
        verified(bytes, units_with_realm(user), auth_time)
    }
}

fn encoded(name: impl Iterator<Item = u16>, auth_time: Time) -> Result<Vec<u8>> {
    let ticks = auth_time.seconds().saturating_add(EPOCH_GAP).saturating_mul(TICKS);
    let mut octets = Vec::with_capacity(HEAD + 64);
    octets.extend_from_slice(&ticks.to_le_bytes());
    octets.extend_from_slice(&[0; 2]);
    name.for_each(|unit| octets.extend_from_slice(&unit.to_le_bytes()));
    let length = u16::try_from(octets.len() - HEAD).map_err(|_| Error::Malformed("a name too long for a PAC"))?;
    if let Some(room) = octets.get_mut(HEAD - 2..HEAD) {
        room.copy_from_slice(&length.to_le_bytes());
    }
    Ok(octets)
}

fn verified(bytes: &[u8], expected: impl Iterator<Item = u16>, auth_time: Time) -> Result<()> {
    let mut octets = Octets::new(bytes);
    let at = time(octets.u64()?);
    let length = octets.u16()?;
    let name = octets.take(usize::from(length))?;
    let (name, odd) = name.as_chunks::<2>();
    let same = name.iter().map(|unit| u16::from_le_bytes(*unit)).eq(expected);
    if same && odd.is_empty() && at == auth_time { Ok(()) } else { Err(Error::Integrity) }
}

/// Octets before the name.
const HEAD: usize = 10;

fn time(ticks: u64) -> Time {
    Time(ticks.cast_signed().div_euclid(TICKS) - EPOCH_GAP)
}

/// The name as it is shown, in UTF-16.
fn units(principal: &Principal) -> impl Iterator<Item = u16> {
    let parts = principal.components().iter().enumerate();
    parts.flat_map(|(place, part)| (place > 0).then_some(u16::from(b'/')).into_iter().chain(part.encode_utf16()))
}

/// The name and its realm.
fn units_with_realm(principal: &Principal) -> impl Iterator<Item = u16> {
    units(principal).chain([u16::from(b'@')]).chain(principal.realm().encode_utf16())
}

/// A principal's components with `/` between them and nothing quoted, as PACs have them.
pub fn display_name(principal: &Principal) -> String {
    let mut name = String::new();
    for (place, part) in principal.components().iter().enumerate() {
        // Writing to a text can't fail.
        let _ = write!(name, "{}{part}", if place > 0 { "/" } else { "" });
    }
    name
}
