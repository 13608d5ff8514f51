//! Message tokens of one direction, under keys that are made ready once (RFC 4121 4.2.4). Not here:
//! which numbers they bear, and whether the context offers them.

use std::ops::Range;

use super::header::{Header, LENGTH, Sender};
use super::modern;
use crate::crypto::{Key, KeyUsage, PreparedChecksum, PreparedKey, Random};
use crate::error::{Error, Result};
use crate::session::Role;

const SHORT: Error = Error::Malformed("GSS-API message: truncated");

/// What one end sends and the other receives.
pub(super) struct Direction {
    pub sender: Sender,
    sealing: Option<PreparedKey>,
    /// For Wrap tokens that are not sealed.
    signing: Option<PreparedChecksum>,
    /// For MIC tokens.
    mic: Option<PreparedChecksum>,
}

impl Direction {
    pub fn new(sender: Sender) -> Direction {
        Direction { sender, sealing: None, signing: None, mic: None }
    }

    /// RFC 4121 2: Wrap tokens use the same, sealed or not.
    fn wrap_usage(&self) -> KeyUsage {
        match self.sender.role {
            Role::Initiator => KeyUsage::GSS_INITIATOR_SEAL,
            Role::Acceptor => KeyUsage::GSS_ACCEPTOR_SEAL,
        }
    }

    fn sealing(&mut self, key: &Key) -> Result<&PreparedKey> {
        let (key, usage) = (modern(key)?, self.wrap_usage());
        Ok(self.sealing.get_or_insert_with(|| key.prepare(usage)))
    }

    fn signing(&mut self, key: &Key) -> Result<&PreparedChecksum> {
        let (key, usage) = (modern(key)?, self.wrap_usage());
        Ok(self.signing.get_or_insert_with(|| key.prepare_checksum(usage)))
    }

    fn mic_key(&mut self, key: &Key) -> Result<&PreparedChecksum> {
        let usage = match self.sender.role {
            Role::Initiator => KeyUsage::GSS_INITIATOR_SIGN,
            Role::Acceptor => KeyUsage::GSS_ACCEPTOR_SIGN,
        };
        let key = modern(key)?;
        Ok(self.mic.get_or_insert_with(|| key.prepare_checksum(usage)))
    }

    /// Octets before and after the message in a Wrap token.
    pub fn room(&self, key: &Key, sealed: bool) -> Result<(usize, usize)> {
        let key = modern(key)?;
        let (prefix, suffix) = key.cipher_room();
        Ok(if sealed { (LENGTH + prefix, LENGTH + suffix) } else { (LENGTH, key.mac_len()) })
    }

    /// Encrypts the message and a copy of the header after it.
    pub fn seal(&mut self, key: &Key, random: &mut dyn Random, header: Header, token: &mut [u8]) -> Result<()> {
        let key = self.sealing(key)?;
        let (head, body) = token.split_first_chunk_mut().ok_or(SHORT)?;
        let end = body.len().checked_sub(key.room().1).ok_or(SHORT)?;
        let plain = body.get_mut(..end).ok_or(SHORT)?;
        *plain.last_chunk_mut().ok_or(SHORT)? = *header.octets();
        key.encrypt_in_place(random, body)?;
        *head = *header.octets();
        Ok(())
    }

    /// Puts a checksum of the message and the header after it.
    pub fn sign(&mut self, key: &Key, header: Header, token: &mut [u8]) -> Result<()> {
        let key = self.signing(key)?;
        let (head, body) = token.split_first_chunk_mut().ok_or(SHORT)?;
        let end = body.len().checked_sub(key.mac_len()).ok_or(SHORT)?;
        let (message, mac) = body.split_at_mut_checked(end).ok_or(SHORT)?;
        key.checksum_parts(&[message, header.octets()], mac);
        let count = u16::try_from(mac.len()).map_err(|_| SHORT)?;
        *head = *header.with_extra_count(count).octets();
        Ok(())
    }

    /// Decrypts the rest of a token; where the message then stands.
    pub fn unseal(&mut self, key: &Key, header: Header, token: &mut [u8]) -> Result<Range<usize>> {
        let key = self.sealing(key)?;
        let plain = key.decrypt_in_place(unrotated(header, token)?)?;
        let (rest, sealed) = plain.split_last_chunk().ok_or(SHORT)?;
        // The header that came clear is as changeable as anything that is.
        if sealed != header.without_rotation().octets() {
            return Err(Error::Integrity);
        }
        let length = rest.len().checked_sub(header.extra_count()).ok_or(SHORT)?;
        let start = LENGTH + key.room().0;
        Ok(start..start + length)
    }

    /// Verifies the rest of a token that is not sealed; where the message then stands.
    pub fn verify(&mut self, key: &Key, header: Header, token: &mut [u8]) -> Result<Range<usize>> {
        let key = self.signing(key)?;
        let body = unrotated(header, token)?;
        let end = body.len().checked_sub(key.mac_len()).ok_or(SHORT)?;
        if header.extra_count() != key.mac_len() {
            return Err(Error::Malformed("GSS-API message: a checksum of another length"));
        }
        let (message, mac) = body.split_at_checked(end).ok_or(SHORT)?;
        key.verify_parts(&[message, header.with_extra_count(0).without_rotation().octets()], mac)?;
        Ok(LENGTH..LENGTH + end)
    }

    /// The MIC token of a message.
    pub fn mic(&mut self, key: &Key, header: Header, message: &[u8]) -> Result<Vec<u8>> {
        let key = self.mic_key(key)?;
        let mut token = header.octets().to_vec();
        token.resize(LENGTH + key.mac_len(), 0);
        key.checksum_parts(&[message, header.octets()], token.split_at_mut(LENGTH).1);
        Ok(token)
    }

    /// Refuses unless the rest of a MIC token is the message's signature.
    pub fn verify_mic(&mut self, key: &Key, header: Header, message: &[u8], token: &[u8]) -> Result<()> {
        let mac = token.get(LENGTH..).ok_or(SHORT)?;
        self.mic_key(key)?.verify_parts(&[message, header.octets()], mac)
    }
}

/// What follows the header, with its rotation undone; any count is good, also one that is longer
/// than the token (RFC 4121 4.2.5).
fn unrotated(header: Header, token: &mut [u8]) -> Result<&mut [u8]> {
    let body = token.get_mut(LENGTH..).ok_or(SHORT)?;
    if let Some(by) = header.rotation().checked_rem(body.len()) {
        body.rotate_left(by);
    }
    Ok(body)
}
