//! Ticket and EncTicketPart (RFC 4120 5.3).

use super::authdata::AuthorizationData;
use super::basic::{EncryptedData, EncryptionKey, Fixed, HostAddress, TransitedEncoding};
use super::der::sequence;
use super::list::List;
use super::name::PrincipalName;
use crate::flags::TicketFlags;
use crate::time::Time;

sequence! {
    /// Ticket (RFC 4120 5.3). Only the server named in it can read more.
    Ticket<'a> application 1 {
        /// tkt-vno
        0 required version: Fixed<5>,
        /// The realm that issued it.
        1 required realm: &'a str,
        /// The server it is for.
        2 required server: PrincipalName<'a>,
        /// EncTicketPart under the server's key, key usage 2.
        3 required enc_part: EncryptedData<'a>,
    }
}

sequence! {
    /// EncTicketPart (RFC 4120 5.3).
    EncTicketPart<'a> application 3 {
        /// What the ticket may be used for.
        0 required flags: TicketFlags,
        /// The session key.
        1 required key: EncryptionKey<'a>,
        /// The client's realm.
        2 required client_realm: &'a str,
        /// The client.
        3 required client: PrincipalName<'a>,
        /// The realms that took part in authentication.
        4 required transited: TransitedEncoding<'a>,
        /// When the client was authenticated.
        5 required auth_time: Time,
        /// When the ticket becomes valid; absent: at `auth_time`.
        6 optional start_time: Time,
        /// When it ends.
        7 required end_time: Time,
        /// Until when it may be renewed.
        8 optional renew_till: Time,
        /// From where it may be used; absent: from anywhere.
        9 optional addresses: List<'a, HostAddress<'a>>,
        /// Restrictions and claims.
        10 optional authorization_data: AuthorizationData<'a>,
    }
}
