//! IAKERB (draft-ietf-kitten-iakerb, as MIT krb5 speaks it): a client that reaches a service but no KDC logs in and gets
//! its ticket through the service, then opens a context with it as everybody does. What was said on the way is signed in
//! the AP-REQ. Not here: asking the KDC, which the service's transport does.

mod acceptor;
mod initiator;
mod layer;

pub use acceptor::{IakerbAcceptor, IakerbAnswer, IakerbStep};
pub(super) use initiator::Initiator;
pub use initiator::Login;

use crate::crypto::{Key, KeyUsage};
use crate::error::{Error, ErrorCode, Result};
use crate::wire::{self, Checksum, IakerbFinished, IakerbHeader, IakerbRealm, InitialToken, Oid};

/// The mark of a token with a message for a KDC, or from one.
const PROXY: [u8; 2] = [5, 1];
/// How often a KDC is asked in one conversation; MIT's bound.
const MAX_HOPS: usize = 26;
/// Octets of all tokens of a conversation.
const MAX_CONVERSATION: usize = 1 << 20;
/// The extension of the GSS-API checksum in which the conversation is signed.
pub(super) const FINISHED: u32 = 1;

/// All tokens that went to and fro before the AP-REQ.
#[derive(Default)]
struct Conversation {
    bytes: Vec<u8>,
    hops: usize,
}

impl Conversation {
    fn add(&mut self, token: &[u8]) -> Result<()> {
        if self.bytes.len().saturating_add(token.len()) > MAX_CONVERSATION {
            return Err(Error::Malformed("IAKERB: more tokens than any login needs"));
        }
        self.bytes.extend_from_slice(token);
        Ok(())
    }

    fn count(&mut self) -> Result<()> {
        self.hops += 1;
        if self.hops > MAX_HOPS {
            return Err(Error::Malformed("IAKERB: a login that does not come to an end"));
        }
        Ok(())
    }

    /// Whether this is that checksum.
    fn verify(&self, subkey: &Key, finished: &[u8]) -> Result<()> {
        let IakerbFinished { checksum: Checksum { kind, checksum } } = wire::decode(finished)?;
        subkey.verify_checksum(KeyUsage::IAKERB_FINISHED, kind, &self.bytes, checksum)
    }
}

/// The checksum over a conversation, under the client's subkey.
pub(super) fn sign(conversation: &[u8], subkey: &Key) -> Vec<u8> {
    let checksum = subkey.checksum(KeyUsage::IAKERB_FINISHED, conversation);
    let checksum = Checksum { kind: subkey.checksum_type(), checksum: &checksum };
    wire::encode(&IakerbFinished { checksum })
}

/// A token for the other end; the first one stands in the mechanism's frame.
fn proxy_token(first: bool, realm: IakerbRealm<'_>, message: &[u8]) -> Vec<u8> {
    let header = IakerbHeader { realm, cookie: None };
    let inner = [&PROXY[..], &header.before(message)].concat();
    if first { wire::encode(&InitialToken { mechanism: Oid::IAKERB, inner: &inner }) } else { inner }
}

/// What a token is.
enum Read<'a> {
    /// A message for a realm's KDC, or from it.
    Proxy { realm: IakerbRealm<'a>, message: &'a [u8] },
    /// One of the Kerberos mechanism, as that frames it.
    Kerberos(Vec<u8>),
}

fn read(token: &[u8]) -> Result<Read<'_>> {
    let inner = match wire::decode::<InitialToken<'_>>(token) {
        Ok(InitialToken { mechanism: Oid::IAKERB, inner }) => inner,
        Ok(_) => return Ok(Read::Kerberos(token.to_vec())),
        Err(_) => token,
    };
    match inner {
        [5, 1, rest @ ..] => {
            let (header, message) = IakerbHeader::split(rest)?;
            Ok(Read::Proxy { realm: header.realm, message })
        }
        [1..=3, 0, ..] => Ok(Read::Kerberos(wire::encode(&InitialToken { mechanism: Oid::KERBEROS, inner }))),
        _ => Err(Error::protocol(ErrorCode::MSG_TYPE, "IAKERB: unknown token identifier")),
    }
}

/// A token of the Kerberos mechanism in IAKERB's frame; one without a frame stays so.
fn reframed(token: Vec<u8>) -> Vec<u8> {
    match wire::decode::<InitialToken<'_>>(&token) {
        Ok(InitialToken { inner, .. }) => wire::encode(&InitialToken { mechanism: Oid::IAKERB, inner }),
        Err(_) => token,
    }
}

#[cfg(test)]
mod tests;
