//! Service for user: asking for a ticket to oneself on behalf of somebody (MS-SFU 2.2), and what a
//! client says of delegation (MS-KILE 2.2.10).

use super::basic::{Checksum, Raw};
use super::der::sequence;
use super::name::PrincipalName;
use crate::flags::{PacOptions, S4uOptions};

sequence! {
    /// PA-FOR-USER (MS-SFU 2.2.1).
    PaForUser<'a> {
        /// The user.
        0 required user: PrincipalName<'a>,
        /// The user's realm.
        1 required realm: &'a str,
        /// HMAC-MD5 in the session key over the rest.
        2 required checksum: Checksum<'a>,
        /// "Kerberos".
        3 required package: &'a str,
    }
}

sequence! {
    /// S4UUserID (MS-SFU 2.2.2).
    S4uUserId<'a> {
        /// The nonce of the request.
        0 required nonce: u32,
        /// The user; absent where the certificate says who it is.
        1 optional user: PrincipalName<'a>,
        /// The user's realm.
        2 required realm: &'a str,
        /// The user's certificate, in DER.
        3 optional certificate: &'a [u8],
        /// How.
        4 optional options: S4uOptions,
    }
}

sequence! {
    /// PA-S4U-X509-USER (MS-SFU 2.2.2), in requests and replies.
    PaS4uX509User<'a> {
        /// Who, with the bytes that the checksum is over.
        0 required user: Raw<'a, S4uUserId<'a>>,
        /// In the subkey, else in the session key.
        1 required checksum: Checksum<'a>,
    }
}

sequence! {
    /// PA-PAC-OPTIONS (MS-KILE 2.2.10).
    PaPacOptions {
        /// What the client can do.
        0 required flags: PacOptions,
    }
}
