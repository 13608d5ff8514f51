//! What RFC 4121 puts around an AP exchange, written out by hand: the frame of the first tokens, the
//! authenticator's checksum, and MIC tokens. With it peers that speak GSS-API alone can be tested
//! against libkrb's raw exchange. Not here: contexts, negotiation, Wrap tokens.

use libkrb::codes::ChecksumType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::session::Role;

/// What a first token carries (RFC 4121 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenId {
    /// The initiator's.
    ApReq = 0x0100,
    /// The acceptor's.
    ApRep = 0x0200,
    /// Either's refusal.
    Error = 0x0300,
}

/// The context flags of RFC 4121 4.1.1.1 that the tests use.
pub mod flags {
    /// The initiator hands on its ticket-granting ticket.
    pub const DELEGATE: u32 = 1;
    /// The acceptor proves itself too.
    pub const MUTUAL: u32 = 2;
    /// Messages may be signed.
    pub const INTEGRITY: u32 = 32;
}

/// The object identifier 1.2.840.113554.1.2.2 in DER.
const KERBEROS: [u8; 11] = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];

/// A message in the frame of a first token.
pub fn frame(id: TokenId, message: &[u8]) -> Vec<u8> {
    let content = [&KERBEROS, (id as u16).to_be_bytes().as_slice(), message].concat();
    let length = u16::try_from(content.len()).expect("a token of less than 64 KiB").to_be_bytes();
    let length = match length {
        [0, short @ ..=0x7f] => vec![short],
        [0, short] => vec![0x81, short],
        [high, low] => vec![0x82, high, low],
    };
    [&[0x60], length.as_slice(), &content].concat()
}

/// The message in a first token that has to be of this kind.
#[track_caller]
pub fn unframe(id: TokenId, token: &[u8]) -> &[u8] {
    assert_eq!(token.first(), Some(&0x60), "a first token begins with the tag of APPLICATION 0");
    let octets = match token[1] {
        long @ 0x81.. => usize::from(long - 0x80),
        _ => 0,
    };
    let content = token[2 + octets..].strip_prefix(&KERBEROS).expect("the mechanism is Kerberos");
    let (found, message) = content.split_at(2);
    assert_eq!(found, (id as u16).to_be_bytes(), "another token than {id:?}");
    message
}

/// The authenticator's checksum of an initiator without channel bindings (RFC 4121 4.1.1).
pub fn checksum(flags: u32) -> (ChecksumType, Vec<u8>) {
    let content = [16u32.to_le_bytes().as_slice(), &[0; 16], &flags.to_le_bytes()].concat();
    (ChecksumType::GSSAPI, content)
}

/// The flags, and the KRB-CRED where there is one, of an initiator's checksum.
#[track_caller]
pub fn read_checksum(checksum: &Option<(ChecksumType, Vec<u8>)>) -> (u32, Option<&[u8]>) {
    let Some((ChecksumType::GSSAPI, content)) = checksum else { panic!("no checksum of RFC 4121: {checksum:?}") };
    let number = |range: std::ops::Range<usize>| u32::from_le_bytes(content[range].try_into().expect("four octets"));
    assert_eq!(number(0..4), 16, "the length of the channel bindings");
    let cred = (content.len() > 24).then(|| {
        let [one, zero, low, high] = content[24..28] else { panic!("four octets") };
        assert_eq!([one, zero], [1, 0], "the option that delegates");
        &content[28..28 + usize::from(u16::from_le_bytes([low, high]))]
    });
    (number(20..24), cred)
}

/// A context that was opened by a raw AP exchange, as far as MIC tokens need it.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The key of the conversation.
    pub key: &'a Key,
    /// Whether it is the acceptor's subkey.
    pub acceptor_subkey: bool,
}

impl Context<'_> {
    /// Signs a message (RFC 4121 4.2.6.1).
    pub fn mic(&self, sender: Role, sequence: u32, message: &[u8]) -> Vec<u8> {
        let header = self.header(sender, sequence);
        let signed = [message, &header].concat();
        [header.as_slice(), &self.key.checksum(usage(sender), &signed)].concat()
    }

    /// Asserts that the sender signed this message with this number.
    #[track_caller]
    pub fn assert_mic(&self, sender: Role, sequence: u32, message: &[u8], token: &[u8]) {
        let (header, mac) = token.split_at(16);
        assert_eq!(header, self.header(sender, sequence), "the header of the MIC token");
        let signed = [message, header].concat();
        let verified = self.key.verify_checksum(usage(sender), self.key.checksum_type(), &signed, mac);
        verified.expect("a signature under the key of the conversation");
    }

    fn header(&self, sender: Role, sequence: u32) -> [u8; 16] {
        let mut header = [0xff; 16];
        let flags = u8::from(sender == Role::Acceptor) | u8::from(self.acceptor_subkey) << 2;
        header[..3].copy_from_slice(&[4, 4, flags]);
        header[8..].copy_from_slice(&u64::from(sequence).to_be_bytes());
        header
    }
}

fn usage(sender: Role) -> KeyUsage {
    match sender {
        Role::Initiator => KeyUsage::GSS_INITIATOR_SIGN,
        Role::Acceptor => KeyUsage::GSS_ACCEPTOR_SIGN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_any_length_is_read_back() {
        for length in [0, 114, 115, 242, 243, 244, 4000] {
            let message = vec![7; length];
            assert_eq!(unframe(TokenId::ApRep, &frame(TokenId::ApRep, &message)), message);
        }
        assert_eq!(frame(TokenId::ApReq, &[0; 200])[..3], [0x60, 0x81, 213]);
        assert_eq!(frame(TokenId::ApReq, &[0; 300])[..4], [0x60, 0x82, 1, 57]);
    }
}
