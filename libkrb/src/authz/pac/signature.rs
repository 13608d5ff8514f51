//! PAC_SIGNATURE_DATA (MS-PAC 2.8): who signed what of a PAC, and whether it is so.

use super::Pac;
use super::octets::Octets;
use crate::codes::{ChecksumType, PacType};
use crate::crypto::PreparedChecksum;
use crate::error::{Error, Result};

/// A signature as it stands in its buffer.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// How it was made.
    pub kind: ChecksumType,
    /// The signature, without what may follow it.
    pub mac: &'a [u8],
}

/// Where the checksum begins in its buffer.
const TYPE: usize = 4;

/// The keyed checksums and their lengths: none else is a signature.
const LENGTHS: [(ChecksumType, usize); 7] = [
    (ChecksumType::HMAC_SHA1_96_AES128, 12),
    (ChecksumType::HMAC_SHA1_96_AES256, 12),
    (ChecksumType::CMAC_CAMELLIA128, 16),
    (ChecksumType::CMAC_CAMELLIA256, 16),
    (ChecksumType::HMAC_SHA256_128_AES128, 16),
    (ChecksumType::HMAC_SHA384_192_AES256, 24),
    (ChecksumType::HMAC_MD5, 16),
];

/// As long as the longest.
const ZEROS: [u8; 24] = [0; 24];

impl<'a> Signature<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Signature<'a>> {
        let mut octets = Octets::new(bytes);
        let kind = ChecksumType(octets.u32()?.cast_signed());
        let length = LENGTHS.iter().find(|(known, _)| *known == kind).map(|(_, length)| *length);
        // What may follow is the number of a read-only domain controller.
        let mac = octets.take(length.ok_or(Error::ChecksumNotSupported(kind))?)?;
        Ok(Signature { kind, mac })
    }

    fn verify(&self, key: &PreparedChecksum, parts: &[&[u8]]) -> Result<()> {
        if self.kind != key.checksum_type() {
            return Err(Error::ChecksumNotSupported(self.kind));
        }
        key.verify_parts(parts, self.mac)
    }
}

impl<'a> Pac<'a> {
    /// The signature in a buffer.
    ///
    /// # Errors
    /// [`Error::Integrity`] where there is none, [`Error::ChecksumNotSupported`] for one that needs no
    /// key to be made.
    pub fn signature(&self, kind: PacType) -> Result<Signature<'a>> {
        self.buffer(kind).ok_or(Error::Integrity).and_then(Signature::parse)
    }

    /// Refuses unless the service's key signed the whole PAC.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it did not, [`Error::ChecksumNotSupported`] if the signature is not of
    /// the key's own type.
    pub fn verify_server(&self, key: &PreparedChecksum) -> Result<()> {
        self.over_all(PacType::SERVER_CHECKSUM, &[PacType::SERVER_CHECKSUM, PacType::KDC_CHECKSUM], key)
    }

    /// Refuses unless the KDC's key signed the service's signature.
    ///
    /// # Errors
    /// As [`Pac::verify_server`].
    pub fn verify_kdc(&self, key: &PreparedChecksum) -> Result<()> {
        let server = self.signature(PacType::SERVER_CHECKSUM)?;
        self.signature(PacType::KDC_CHECKSUM)?.verify(key, &[server.mac])
    }

    /// Refuses unless the KDC's key signed the whole PAC.
    ///
    /// # Errors
    /// As [`Pac::verify_server`].
    pub fn verify_full(&self, key: &PreparedChecksum) -> Result<()> {
        let empty = [PacType::SERVER_CHECKSUM, PacType::KDC_CHECKSUM, PacType::FULL_CHECKSUM];
        self.over_all(PacType::FULL_CHECKSUM, &empty, key)
    }

    /// Refuses unless the KDC's key signed the ticket around it: [`super::signed_part`].
    ///
    /// # Errors
    /// As [`Pac::verify_server`].
    pub fn verify_ticket(&self, key: &PreparedChecksum, ticket: &[u8]) -> Result<()> {
        self.signature(PacType::TICKET_CHECKSUM)?.verify(key, &[ticket])
    }

    /// A signature over all of it, where these signatures are counted as zeros.
    fn over_all(&self, kind: PacType, empty: &[PacType], key: &PreparedChecksum) -> Result<()> {
        let signature = self.signature(kind)?;
        let mut holes = Vec::with_capacity(empty.len());
        for kind in empty {
            let start = self.row(*kind).ok_or(Error::Integrity)?.start + TYPE;
            holes.push((start, self.signature(*kind)?.mac.len()));
        }
        signature.verify(key, &with_holes(self.bytes, &mut holes))
    }
}

/// The parts of `bytes` with zeros in place of the holes, which do not overlap.
pub(super) fn with_holes<'a>(bytes: &'a [u8], holes: &mut [(usize, usize)]) -> Vec<&'a [u8]> {
    holes.sort_unstable();
    let mut parts = Vec::with_capacity(2 * holes.len() + 1);
    let mut from = 0;
    for (start, length) in holes {
        parts.push(bytes.get(from..*start).unwrap_or_default());
        parts.push(ZEROS.get(..*length).unwrap_or_default());
        from = *start + *length;
    }
    parts.push(bytes.get(from..).unwrap_or_default());
    parts
}
