//! PA-REQ-ENC-PA-REP: a KDC repeats, under the reply key, a checksum of the request that it saw, so
//! that the client learns of any change on the way (RFC 6806 11).

use crate::crypto::{Key, KeyUsage};
use crate::error::Result;
use crate::wire::{self, Checksum};

/// The value of the element in encrypted-pa-data: over the whole request, as it arrived.
pub fn make(reply_key: &Key, request: &[u8]) -> Vec<u8> {
    let checksum = reply_key.checksum(KeyUsage::AS_REQ_CHECKSUM, request);
    wire::encode(&Checksum { kind: reply_key.checksum_type(), checksum: &checksum })
}

/// Refuses unless `value` is the checksum of the request that was sent.
///
/// # Errors
/// [`crate::Error::Integrity`] if the KDC saw another request, [`crate::Error::ChecksumNotSupported`]
/// for a checksum of another type than the key's, [`crate::Error::Malformed`] for no checksum.
pub fn verify(reply_key: &Key, request: &[u8], value: &[u8]) -> Result<()> {
    let told: Checksum<'_> = wire::decode(value)?;
    reply_key.verify_checksum(KeyUsage::AS_REQ_CHECKSUM, told.kind, request, told.checksum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::{ChecksumType, EncryptionType};
    use crate::error::Error;

    #[test]
    fn a_request_changed_on_the_way_is_noticed() {
        let key = Key::new(EncryptionType::AES256_SHA1, &[7; 32]).unwrap();
        let value = make(&key, b"request");
        assert_eq!(verify(&key, b"request", &value), Ok(()));
        assert_eq!(verify(&key, b"Request", &value), Err(Error::Integrity));
    }

    #[test]
    fn an_unkeyed_checksum_proves_nothing() {
        let key = Key::new(EncryptionType::AES256_SHA1, &[7; 32]).unwrap();
        let value = wire::encode(&Checksum { kind: ChecksumType::CRC32, checksum: &[0; 4] });
        assert_eq!(verify(&key, b"request", &value), Err(Error::ChecksumNotSupported(ChecksumType::CRC32)));
    }
}
