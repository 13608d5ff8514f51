//! Channel bindings (RFC 2743 1.1.6, RFC 5929): what ties a context to the TLS connection it is
//! spoken in. Not here: TLS.

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
}
