//! Making a PAC: the table, the buffers, and the signatures in their order.

use super::octets::pad;
use super::{HEAD, MOST_BUFFERS, ROW};
use crate::codes::PacType;
use crate::crypto::PreparedChecksum;
use crate::error::{Error, Result};

/// The keys that sign a PAC, prepared for [`KeyUsage::NON_KERB_CHECKSUM`](crate::crypto::KeyUsage::NON_KERB_CHECKSUM).
#[derive(Clone, Copy)]
pub struct Signatures<'a> {
    /// That of the service: what seals the ticket.
    pub server: &'a PreparedChecksum,
    /// That of the KDC.
    pub kdc: &'a PreparedChecksum,
    /// The DER of the ticket's contents ([`super::signed_part`]), for tickets whose service could
    /// change them and bring them back. Such tickets get the KDC's signatures over the ticket and over
    /// the whole PAC.
    pub ticket: Option<&'a [u8]>,
}

/// The octets of a signed PAC with these buffers.
///
/// # Errors
/// [`Error::Malformed`] for too many buffers, or more octets than a PAC can have.
pub fn sign(buffers: &[(PacType, &[u8])], by: Signatures<'_>) -> Result<Vec<u8>> {
    let room = |key: &PreparedChecksum| 4 + key.mac_len();
    let service_only = [(PacType::TICKET_CHECKSUM, by.kdc), (PacType::FULL_CHECKSUM, by.kdc)];
    let always = [(PacType::SERVER_CHECKSUM, by.server), (PacType::KDC_CHECKSUM, by.kdc)];
    let signed = always.into_iter().chain(service_only.into_iter().filter(|_| by.ticket.is_some()));
    let rows = buffers.iter().map(|(kind, bytes)| (*kind, bytes.len()));
    let mut pac = table(rows.chain(signed.map(|(kind, key)| (kind, room(key)))))?;
    for (_, bytes) in buffers {
        pac.extend_from_slice(bytes);
        pad(&mut pac, 8);
    }
    let mut place = |key: &PreparedChecksum| {
        pac.extend_from_slice(&key.checksum_type().0.to_le_bytes());
        let start = pac.len();
        pac.resize(start + key.mac_len(), 0);
        pad(&mut pac, 8);
        start
    };
    let (server, kdc) = (place(by.server), place(by.kdc));
    let further = by.ticket.map(|ticket| (ticket, place(by.kdc), place(by.kdc)));
    let (mut first, mut second) = ([0; MAC_MAX], [0; MAC_MAX]);
    // Each is over zeros where itself and those after it are to stand.
    if let Some((ticket, of_ticket, full)) = further {
        put(&mut pac, of_ticket, made(&mut first, by.kdc, ticket));
        let over_all = made(&mut first, by.kdc, &pac);
        put(&mut pac, full, over_all);
    }
    let of_server = made(&mut first, by.server, &pac);
    put(&mut pac, server, of_server);
    put(&mut pac, kdc, made(&mut second, by.kdc, of_server));
    Ok(pac)
}

/// As long as the longest signature.
const MAC_MAX: usize = 24;

/// A signature, where there is room for it.
fn made<'a>(room: &'a mut [u8; MAC_MAX], key: &PreparedChecksum, data: &[u8]) -> &'a [u8] {
    let (mac, _) = room.split_at_mut(key.mac_len().min(MAC_MAX));
    key.checksum_into(data, mac);
    mac
}

/// Head and table, padded; the buffers follow each at the next multiple of eight.
fn table(rows: impl Iterator<Item = (PacType, usize)> + Clone) -> Result<Vec<u8>> {
    let (count, size) =
        rows.clone().fold((0, 0), |(count, all), (_, size)| (count + 1, all + size.next_multiple_of(8)));
    if count > MOST_BUFFERS {
        return Err(Error::Malformed("too many buffers for a PAC"));
    }
    let mut offset = HEAD + ROW * count;
    if size > 1 << 24 {
        return Err(Error::Malformed("too many octets for a PAC"));
    }
    let mut pac = Vec::with_capacity(offset + size);
    pac.extend_from_slice(&(count as u32).to_le_bytes());
    pac.extend_from_slice(&0_u32.to_le_bytes());
    for (kind, size) in rows {
        pac.extend_from_slice(&kind.0.to_le_bytes());
        pac.extend_from_slice(&(size as u32).to_le_bytes());
        pac.extend_from_slice(&(offset as u64).to_le_bytes());
        offset += size.next_multiple_of(8);
    }
    Ok(pac)
}

fn put(pac: &mut [u8], start: usize, mac: &[u8]) {
    if let Some(room) = pac.get_mut(start..start + mac.len()) {
        room.copy_from_slice(mac);
    }
}
