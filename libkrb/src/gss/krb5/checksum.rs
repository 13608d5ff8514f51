//! The authenticator's checksum of type 0x8003, which is no checksum: flags, channel bindings and
//! the tickets that are handed over (RFC 4121 4.1.1).

use crate::codes::ChecksumType;
use crate::error::{Error, ErrorCode, Result};
use crate::gss::ContextFlags;

/// What the initiator says beside the ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checksum<'a> {
    /// The hash of the channel bindings; zeros for none.
    pub bindings: [u8; 16],
    /// What it wants.
    pub flags: ContextFlags,
    /// A KRB-CRED; where there is one, DELEGATE is set.
    pub delegation: Option<&'a [u8]>,
}

/// The length of the bindings, in its own octets.
const LENGTH: [u8; 4] = 16u32.to_le_bytes();

/// The one way to delegate (DlgOpt).
const DELEGATION: [u8; 2] = 1u16.to_le_bytes();

impl<'a> Checksum<'a> {
    pub fn encode(&self) -> Result<Vec<u8>> {
        let flags = self.flags.with(ContextFlags::DELEGATE, self.delegation.is_some());
        let mut out = [&LENGTH, self.bindings.as_slice(), &flags.0.to_le_bytes()].concat();
        if let Some(cred) = self.delegation {
            let length = u16::try_from(cred.len());
            let length = length.map_err(|_| Error::Setting("the ticket to hand over is too large".to_owned()))?;
            out.extend([DELEGATION, length.to_le_bytes()].concat());
            out.extend_from_slice(cred);
        }
        Ok(out)
    }

    /// Extensions after the known fields and unknown flags are passed over.
    pub fn decode(checksum: Option<&'a (ChecksumType, Vec<u8>)>) -> Result<Checksum<'a>> {
        const SHORT: Error = Error::Malformed("GSS-API checksum: truncated");
        let Some((ChecksumType::GSSAPI, content)) = checksum else {
            return Err(Error::protocol(ErrorCode::INAPP_CKSUM, "the authenticator has no GSS-API checksum"));
        };
        let (length, rest) = content.split_first_chunk::<4>().ok_or(SHORT)?;
        if *length != LENGTH {
            return Err(Error::Malformed("GSS-API checksum: channel bindings of another length"));
        }
        let (bindings, rest) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
        let (flags, rest) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
        let flags = ContextFlags(u32::from_le_bytes(*flags)) & ContextFlags::KNOWN;
        let delegation = flags.has(ContextFlags::DELEGATE).then(|| delegated(rest)).transpose()?;
        Ok(Checksum { bindings: *bindings, flags, delegation })
    }
}

/// An extension, as it stands after all else (draft-ietf-kitten-iakerb 3.2, RFC 6542): type and length in network order.
pub(in crate::gss) fn with_extension(mut content: Vec<u8>, kind: u32, data: &[u8]) -> Vec<u8> {
    content.extend_from_slice(&kind.to_be_bytes());
    content.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    content.extend_from_slice(data);
    content
}

/// The extension of this kind in a checksum's content.
pub(in crate::gss) fn extension(content: &[u8], kind: u32) -> Option<&[u8]> {
    let (flags, mut rest) = content.get(4 + 16..)?.split_first_chunk::<4>()?;
    if ContextFlags(u32::from_le_bytes(*flags)).has(ContextFlags::DELEGATE) {
        rest = rest.get(DELEGATION.len() + 2 + delegated(rest).ok()?.len()..)?;
    }
    loop {
        let (own, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (data, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        if u32::from_be_bytes(*own) == kind {
            return Some(data);
        }
        rest = after;
    }
}

/// The KRB-CRED that follows the flags.
fn delegated(rest: &[u8]) -> Result<&[u8]> {
    const SHORT: Error = Error::Malformed("GSS-API checksum: delegation without its ticket");
    let (option, rest) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
    if *option != DELEGATION {
        return Err(Error::Malformed("GSS-API checksum: unknown way to delegate"));
    }
    rest.get(..usize::from(u16::from_le_bytes(*length))).ok_or(SHORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Checksum<'static> = Checksum { bindings: [7; 16], flags: ContextFlags::MUTUAL, delegation: None };

    fn read(content: &[u8]) -> Result<(ContextFlags, Option<Vec<u8>>)> {
        let checksum = Some((ChecksumType::GSSAPI, content.to_vec()));
        Checksum::decode(checksum.as_ref()).map(|read| (read.flags, read.delegation.map(<[u8]>::to_vec)))
    }

    #[test]
    fn what_is_written_is_read_and_extensions_are_passed_over() {
        let handed = Checksum { delegation: Some(b"cred"), ..PLAIN };
        for (checksum, delegation) in [(PLAIN, None), (handed, Some(b"cred".to_vec()))] {
            let mut content = checksum.encode().unwrap();
            let flags = ContextFlags::MUTUAL.with(ContextFlags::DELEGATE, delegation.is_some());
            assert_eq!(read(&content).unwrap(), (flags, delegation.clone()));
            content.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0]);
            assert_eq!(read(&content).unwrap(), (flags, delegation));
        }
    }

    #[test]
    fn an_extension_is_found_behind_whatever_stands_before_it() {
        for checksum in [PLAIN, Checksum { delegation: Some(b"cred"), ..PLAIN }] {
            let content = checksum.encode().unwrap();
            assert_eq!(extension(&content, 1), None);
            let content = with_extension(with_extension(content, 7, b""), 1, b"signed");
            assert_eq!(extension(&content, 1), Some(&b"signed"[..]));
            assert_eq!(extension(&content, 2), None);
            for length in 0..content.len() {
                assert_eq!(extension(&content[..length], 1), None, "{length}");
            }
        }
    }

    #[test]
    fn a_checksum_that_is_cut_is_refused_at_every_length() {
        let content = Checksum { delegation: Some(b"cred"), ..PLAIN }.encode().unwrap();
        for length in 0..content.len() {
            assert!(read(&content[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn flags_that_nobody_knows_are_passed_over() {
        let mut content = PLAIN.encode().unwrap();
        content[21..24].copy_from_slice(&[0x81, 0xff, 0xff]);
        assert_eq!(read(&content).unwrap().0, ContextFlags::MUTUAL);
    }

    #[test]
    fn another_kind_or_none_at_all_is_inappropriate() {
        for checksum in [None, Some((ChecksumType::HMAC_SHA1_96_AES256, vec![0; 24]))] {
            let refused = Checksum::decode(checksum.as_ref()).unwrap_err();
            assert_eq!(refused.wire_code(), ErrorCode::INAPP_CKSUM);
        }
    }

    #[test]
    fn lengths_and_options_that_are_not_those_of_the_rfc_are_refused() {
        let mut content = Checksum { delegation: Some(b"cred"), ..PLAIN }.encode().unwrap();
        content[24] = 2;
        assert!(read(&content).is_err(), "another option");
        content[24] = 1;
        content[0] = 17;
        assert!(read(&content).is_err(), "longer bindings");
    }

    #[test]
    fn a_ticket_too_large_for_its_length_is_not_sent() {
        assert!(Checksum { delegation: Some(&[0; 0x1_0000]), ..PLAIN }.encode().is_err());
    }
}
