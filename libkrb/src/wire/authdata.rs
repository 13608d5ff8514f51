//! AuthorizationData and its envelopes (RFC 4120 5.2.6, RFC 7751).

use super::basic::{Checksum, Raw};
use super::der::sequence;
use super::list::List;
use super::name::PrincipalName;
use crate::codes::{AuthDataType, EncryptionType};

/// AuthorizationData (RFC 4120 5.2.6); also the contents of AD-IF-RELEVANT and
/// AD-MANDATORY-FOR-KDC.
pub type AuthorizationData<'a> = List<'a, AuthData<'a>>;

sequence! {
    /// One element of AuthorizationData.
    AuthData<'a> {
        /// What `data` is; negative numbers are private.
        0 required kind: AuthDataType,
        /// The element, often DER again.
        1 required data: &'a [u8],
    }
}

sequence! {
    /// AD-KDCIssued (RFC 4120 5.2.6.2).
    AdKdcIssued<'a> {
        /// Over the DER of `elements`, in the session key, key usage 19.
        0 required checksum: Checksum<'a>,
        /// The issuer's realm, if not the KDC's.
        1 optional realm: &'a str,
        /// The issuer, if not the KDC.
        2 optional server: PrincipalName<'a>,
        /// What is issued.
        3 required elements: AuthorizationData<'a>,
    }
}

sequence! {
    /// AD-AND-OR (RFC 4120 5.2.6.3).
    AdAndOr<'a> {
        /// How many of the elements must be satisfied.
        0 required count: i32,
        /// The elements.
        1 required elements: AuthorizationData<'a>,
    }
}

sequence! {
    /// AD-CAMMAC (RFC 7751 4).
    AdCammac<'a> {
        /// What the KDC says, with its bytes: the service's verifier is over these.
        0 required elements: Raw<'a, AuthorizationData<'a>>,
        /// Over the ticket with `elements` for its authorization data, in the TGS's key.
        1 optional kdc_verifier: VerifierMac<'a>,
        /// Over `elements`, in the key that the ticket is sealed with.
        2 optional service_verifier: VerifierMac<'a>,
        /// The same in keys of others.
        3 optional other_verifiers: List<'a, VerifierMac<'a>>,
    }
}

sequence! {
    /// Verifier-MAC (RFC 7751 4); the only kind of Verifier that there is.
    VerifierMac<'a> {
        /// Whose key it is, if that is not obvious.
        0 optional identifier: PrincipalName<'a>,
        /// The key's version.
        1 optional kvno: u32,
        /// The key's encryption type.
        2 optional etype: EncryptionType,
        /// The checksum, key usage 64.
        3 required mac: Checksum<'a>,
    }
}
