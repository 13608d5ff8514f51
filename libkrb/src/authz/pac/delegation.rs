//! S4U_DELEGATION_INFO (MS-PAC 2.9): the service that a client was delegated to, and the services
//! that did it. In NDR (MS-RPCE 2.2.6), which is written with the pointers that Windows writes.

use super::octets::{Octets, pad, utf16};
use crate::error::{Error, Result};

/// The way of a delegated client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationInfo {
    /// The last service, without its realm.
    pub target: String,
    /// The services on the way, with their realms, in order.
    pub transited: Vec<String>,
}

const NDR: Error = Error::Malformed("delegation info that is not NDR");

/// How many services may stand in it.
const MOST_TRANSITED: usize = 64;

/// Version 1, little-endian, eight octets of head; then what NDR fills up with.
const HEAD: [u8; 8] = [1, 0x10, 8, 0, 0xcc, 0xcc, 0xcc, 0xcc];

/// The first pointer that Windows writes; each further one is four more.
const POINTER: u32 = 0x0002_0000;

/// RPC_UNICODE_STRING: its octets; those of the text follow later.
fn string(octets: &mut Octets<'_>) -> Result<usize> {
    let (length, room, pointer) = (octets.u16()?, octets.u16()?, octets.u32()?);
    if length > room || length % 2 != 0 || pointer == 0 { Err(NDR) } else { Ok(usize::from(length)) }
}

/// The text of an RPC_UNICODE_STRING of so many octets.
fn text(octets: &mut Octets<'_>, length: usize) -> Result<String> {
    octets.align(4)?;
    let (most, offset, count) = (octets.u32()?, octets.u32()?, octets.u32()?);
    if offset != 0 || count > most || usize::try_from(count).map_err(|_| NDR)? != length / 2 {
        return Err(NDR);
    }
    octets.utf16(length)
}

impl DelegationInfo {
    pub(super) fn parse(bytes: &[u8]) -> Result<DelegationInfo> {
        let mut head = Octets::new(bytes);
        let common = head.take(8)?;
        let length = usize::try_from(head.u32()?).map_err(|_| NDR)?;
        head.take(4)?;
        if common.first_chunk::<4>() != HEAD.first_chunk::<4>() || length > head.left() || length % 8 != 0 {
            return Err(NDR);
        }
        let mut octets = Octets::new(head.take(length)?);
        if octets.u32()? == 0 {
            return Err(NDR);
        }
        let target_length = string(&mut octets)?;
        let (count, list) = (usize::try_from(octets.u32()?).map_err(|_| NDR)?, octets.u32()?);
        let target = text(&mut octets, target_length)?;
        if count > MOST_TRANSITED || (list == 0) != (count == 0) {
            return Err(NDR);
        }
        let mut lengths = Vec::with_capacity(count);
        if list != 0 {
            octets.align(4)?;
            if usize::try_from(octets.u32()?) != Ok(count) {
                return Err(NDR);
            }
            for _ in 0..count {
                lengths.push(string(&mut octets)?);
            }
        }
        let transited = lengths.into_iter().map(|length| text(&mut octets, length)).collect::<Result<_>>()?;
        Ok(DelegationInfo { target, transited })
    }

    /// The contents of the buffer.
    ///
    /// # Errors
    /// [`Error::Malformed`] for more services, or longer names, than it can hold.
    pub fn encode(&self) -> Result<Vec<u8>> {
        if self.transited.len() > MOST_TRANSITED {
            return Err(Error::Malformed("a delegation through too many services"));
        }
        let mut pointers = (0..).map(|number| POINTER + 4 * number);
        let mut next = || pointers.next().unwrap_or(POINTER);
        let mut body = next().to_le_bytes().to_vec();
        let target = utf16(&self.target);
        put_string(&mut body, &target, next())?;
        body.extend((self.transited.len() as u32).to_le_bytes());
        let list = if self.transited.is_empty() { 0 } else { next() };
        body.extend(list.to_le_bytes());
        put_text(&mut body, &target);
        if list != 0 {
            pad(&mut body, 4);
            body.extend((self.transited.len() as u32).to_le_bytes());
            let names = self.transited.iter().map(|name| utf16(name)).collect::<Vec<_>>();
            for name in &names {
                put_string(&mut body, name, next())?;
            }
            names.iter().for_each(|name| put_text(&mut body, name));
        }
        pad(&mut body, 8);
        let length = (body.len() as u32).to_le_bytes();
        Ok([&HEAD[..], &length, &[0; 4], &body].concat())
    }
}

/// The terminator that Windows counts as room and does not send.
const TERMINATOR: usize = 2;

fn put_string(body: &mut Vec<u8>, text: &[u8], pointer: u32) -> Result<()> {
    let number = |length: usize| u16::try_from(length).map_err(|_| Error::Malformed("a name too long for a PAC"));
    body.extend(number(text.len())?.to_le_bytes());
    body.extend(number(text.len() + TERMINATOR)?.to_le_bytes());
    body.extend(pointer.to_le_bytes());
    Ok(())
}

fn put_text(body: &mut Vec<u8>, text: &[u8]) {
    pad(body, 4);
    let count = (text.len() / 2) as u32;
    body.extend((count + 1).to_le_bytes());
    body.extend(0_u32.to_le_bytes());
    body.extend(count.to_le_bytes());
    body.extend_from_slice(text);
}
