//! Channel bindings (RFC 2743 1.1.6, RFC 5929): what ties a context to the TLS connection it is
//! spoken in. Not here: TLS.

use crate::crypto;

/// The channel that both sides see, if they see the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// Kind and bytes of the initiator's address; kind 0 for none.
    pub initiator: (u32, Vec<u8>),
    /// Kind and bytes of the acceptor's address; kind 0 for none.
    pub acceptor: (u32, Vec<u8>),
    /// What the application binds to.
    pub application: Vec<u8>,
}

impl ChannelBindings {
    /// `tls-server-end-point` (RFC 5929 4): the hash of the server's certificate, made with the hash
    /// of its signature, or SHA-256 where that is MD5 or SHA-1.
    pub fn tls_server_end_point(hash: &[u8]) -> ChannelBindings {
        ChannelBindings { application: [b"tls-server-end-point:", hash].concat(), ..ChannelBindings::default() }
    }

    /// What stands in place of the hash where there is no channel (RFC 4121 4.1.1.2).
    pub(super) const NO_HASH: [u8; 16] = [0; 16];

    /// What is sent of it: MD5 over all parts, each behind its length (RFC 4121 4.1.1.2).
    pub(super) fn hash(&self) -> [u8; 16] {
        let mut parts = vec![];
        for (kind, address) in [&self.initiator, &self.acceptor] {
            parts.extend(kind.to_le_bytes());
            parts.extend((address.len() as u32).to_le_bytes());
            parts.extend_from_slice(address);
        }
        parts.extend((self.application.len() as u32).to_le_bytes());
        parts.extend_from_slice(&self.application);
        crypto::md5(&parts)
    }
}
