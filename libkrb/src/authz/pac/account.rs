//! PAC_ATTRIBUTES_INFO (MS-PAC 2.14) and PAC_REQUESTOR (MS-PAC 2.15): that a PAC was asked for, and
//! which account it was, whatever its name is by now.

use super::octets::Octets;
use crate::error::{Error, Result};

/// Why there is a PAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(u32);

impl Attributes {
    /// The client asked for one.
    pub const REQUESTED: Attributes = Attributes(1);
    /// The client did not say.
    pub const IMPLICIT: Attributes = Attributes(2);
    /// The client asked for none: services get none, and the KDC keeps it for itself.
    pub const UNWANTED: Attributes = Attributes(0);

    /// What a client's wish (PA-PAC-REQUEST) comes to.
    pub fn of_wish(wish: Option<bool>) -> Attributes {
        match wish {
            Some(true) => Attributes::REQUESTED,
            Some(false) => Attributes::UNWANTED,
            None => Attributes::IMPLICIT,
        }
    }

    /// Whether services get a PAC.
    pub fn wanted(self) -> bool {
        self.0 & (Self::REQUESTED.0 | Self::IMPLICIT.0) != 0
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Attributes> {
        let mut octets = Octets::new(bytes);
        let bits = octets.u32()?;
        let flags = if bits == 0 { 0 } else { octets.u32()? };
        Ok(Attributes(flags))
    }

    /// The contents of the buffer: two flags.
    pub fn encode(self) -> [u8; 8] {
        (2 | u64::from(self.0) << 32).to_le_bytes()
    }
}

/// A security identifier (MS-DTYP 2.4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requestor<'a>(&'a [u8]);

/// S-1-5-21, as every account's identifier begins, and four numbers: five sub-authorities.
const ACCOUNT: [u8; 12] = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0];

impl<'a> Requestor<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Requestor<'a>> {
        const WRONG: Error = Error::Malformed("a PAC requestor that is no security identifier");
        let [1, count, ..] = bytes else { return Err(WRONG) };
        if *count == 0 || *count > 15 || bytes.len() != 8 + 4 * usize::from(*count) {
            return Err(WRONG);
        }
        Ok(Requestor(bytes))
    }

    /// The identifier that an account of ours has: its random id as the four numbers after S-1-5-21.
    pub fn of_account(id: &[u8; 16]) -> [u8; 28] {
        let mut octets = [0; 28];
        let (head, own) = octets.split_at_mut(ACCOUNT.len());
        head.copy_from_slice(&ACCOUNT);
        own.copy_from_slice(id);
        octets
    }

    /// Whether it is that of an account of ours.
    pub fn is_account(&self, id: &[u8; 16]) -> bool {
        self.0.split_first_chunk::<12>().is_some_and(|(head, rest)| *head == ACCOUNT && rest == id)
    }
}
