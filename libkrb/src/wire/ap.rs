//! The AP exchange: AP-REQ, Authenticator, AP-REP (RFC 4120 5.5).

use super::authdata::AuthorizationData;
use super::basic::{Checksum, EncryptedData, EncryptionKey, Fixed, Raw};
use super::der::sequence;
use super::name::PrincipalName;
use super::ticket::Ticket;
use crate::flags::ApOptions;
use crate::time::Time;

sequence! {
    /// AP-REQ (RFC 4120 5.5.1).
    ApReq<'a> application 14 {
        /// pvno
        0 required version: Fixed<5>,
        /// msg-type
        1 required kind: Fixed<14>,
        /// Mutual authentication, user-to-user.
        2 required options: ApOptions,
        /// The ticket, with its bytes.
        3 required ticket: Raw<'a, Ticket<'a>>,
        /// Authenticator under the session key, key usage 11 (7 in a TGS-REQ).
        4 required authenticator: EncryptedData<'a>,
    }
}

sequence! {
    /// Authenticator (RFC 4120 5.5.1).
    Authenticator<'a> application 2 {
        /// authenticator-vno
        0 required version: Fixed<5>,
        /// The client's realm.
        1 required client_realm: &'a str,
        /// The client; must be the ticket's.
        2 required client: PrincipalName<'a>,
        /// Over application data, key usage 10 (6 in a TGS-REQ).
        3 optional checksum: Checksum<'a>,
        /// Microseconds of the client's clock.
        4 required micros: u32,
        /// The client's clock.
        5 required time: Time,
        /// A key of the client's choice for this conversation.
        6 optional subkey: EncryptionKey<'a>,
        /// First sequence number of KRB-SAFE and KRB-PRIV from the client.
        7 optional sequence: u32,
        /// Restrictions from the client.
        8 optional authorization_data: AuthorizationData<'a>,
    }
}

sequence! {
    /// AP-REP (RFC 4120 5.5.2).
    ApRep<'a> application 15 {
        /// pvno
        0 required version: Fixed<5>,
        /// msg-type
        1 required kind: Fixed<15>,
        /// EncAPRepPart under the session key, key usage 12.
        2 required enc_part: EncryptedData<'a>,
    }
}

sequence! {
    /// EncAPRepPart (RFC 4120 5.5.2).
    EncApRepPart<'a> application 27 {
        /// The client's clock, as it sent it.
        0 required time: Time,
        /// Its microseconds.
        1 required micros: u32,
        /// A key of the server's choice for this conversation.
        2 optional subkey: EncryptionKey<'a>,
        /// First sequence number from the server.
        3 optional sequence: u32,
    }
}
