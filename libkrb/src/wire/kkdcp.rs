//! KDC-PROXY-MESSAGE (MS-KKDCP 2.2.2): what travels over HTTPS to a proxy and back. Not here: HTTP, and who may be
//! asked.

use super::der::sequence;
use super::{application_tag, decode, encode};
use crate::codes::MessageType;
use crate::error::{Error, Result};

/// The bytes of a length before a message on a stream (RFC 4120 7.2.2).
const LENGTH: usize = 4;

sequence! {
    /// KDC-PROXY-MESSAGE (MS-KKDCP 2.2.2).
    KdcProxyMessage<'a> {
        /// A message in the frame of streams: its length in four bytes, then the message.
        0 required framed: &'a [u8],
        /// The realm that is asked; in requests only.
        1 optional realm: &'a str,
        /// What Windows tells its locator of domain controllers.
        2 optional locator_hint: u32,
    }
}

impl<'a> KdcProxyMessage<'a> {
    /// The bytes that carry `message`, to a realm or back from it.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a message of 4 GiB.
    pub fn wrap(message: &[u8], realm: Option<&str>) -> Result<Vec<u8>> {
        let length = u32::try_from(message.len()).map_err(|_| Error::Malformed("a message of more than 4 GiB"))?;
        let framed = [&length.to_be_bytes(), message].concat();
        Ok(encode(&KdcProxyMessage { framed: &framed, realm, locator_hint: None }))
    }

    /// Reads one, and nothing after it.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is none.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        decode(bytes)
    }

    /// The message without its frame.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the frame is for another length than there is.
    pub fn message(&self) -> Result<&'a [u8]> {
        const WRONG: Error = Error::Malformed("KDC-PROXY-MESSAGE: its message has another length than it says");
        let (length, message) = self.framed.split_first_chunk::<LENGTH>().ok_or(WRONG)?;
        if usize::try_from(u32::from_be_bytes(*length)) == Ok(message.len()) { Ok(message) } else { Err(WRONG) }
    }
}

/// Whether a message that may be for either is for a KDC, and not for the service that changes passwords, whose
/// messages begin with a length (RFC 3244 2).
pub fn is_for_kdc(message: &[u8]) -> bool {
    let kinds = [MessageType::AS_REQ, MessageType::TGS_REQ, MessageType::AP_REQ];
    application_tag(message).is_some_and(|tag| kinds.contains(&MessageType(tag.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_is_what_is_read() {
        let bytes = KdcProxyMessage::wrap(b"\x6a\x03yes", Some("EXAMPLE.ORG")).expect("short");
        let read = KdcProxyMessage::read(&bytes).expect("one");
        assert_eq!(
            (read.message(), read.realm, read.locator_hint),
            (Ok(&b"\x6a\x03yes"[..]), Some("EXAMPLE.ORG"), None)
        );
        let reply = KdcProxyMessage::wrap(b"", None).expect("short");
        assert_eq!(KdcProxyMessage::read(&reply).expect("one").message(), Ok(&b""[..]));
    }

    #[test]
    fn a_length_that_is_not_that_of_the_message_is_refused() {
        for framed in [&b""[..], b"\0\0\0", b"\0\0\0\x01", b"\0\0\0\x01ab", b"\xff\xff\xff\xffab"] {
            let message = KdcProxyMessage { framed, realm: None, locator_hint: None };
            assert!(message.message().is_err(), "{framed:?}");
        }
    }

    #[test]
    fn kdcs_and_the_service_for_passwords_are_told_apart_by_the_first_byte() {
        for kdc in [b"\x6a", b"\x6c", b"\x6e"] {
            assert!(is_for_kdc(kdc));
        }
        assert!(!is_for_kdc(b"") && !is_for_kdc(b"\x02\x10\0\x01") && !is_for_kdc(b"\x7e"));
    }
}
