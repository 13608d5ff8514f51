//! AuthorizationData and its envelopes (RFC 4120 5.2.6).

use super::basic::Checksum;
use super::der::sequence;
use super::list::List;
use super::name::PrincipalName;
use crate::codes::AuthDataType;

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
