//! What a realm's PKINIT is made of. `config` builds it and builds it anew when settings are read again.

use libkrb::preauth::pkinit::{Group, Identity, Purpose, Trust};

use super::SpiffeRule;

/// The realm's own certificate, whose certificates it believes, and what it asks of them.
#[derive(Debug)]
pub struct Pkinit {
    /// The KDC's certificate and key.
    pub identity: Identity,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// What a client's certificate must be meant for: one of these. None: nothing is asked.
    pub purposes: Vec<Purpose>,
    /// The weakest group in which a secret is agreed upon.
    pub least_group: Group,
    /// Refuse requests that were not made for a token of this realm (RFC 8070).
    pub require_freshness: bool,
    /// Whether a user principal name in a certificate names its principal.
    pub allow_upn: bool,
    /// Whose URIs name which principals.
    pub spiffe: Vec<SpiffeRule>,
}
