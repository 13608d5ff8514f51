//! KRB-CRED: tickets on their way to another host (RFC 4120 5.8).

use super::basic::{EncryptedData, EncryptionKey, Fixed, HostAddress, Raw};
use super::der::sequence;
use super::list::List;
use super::name::PrincipalName;
use super::ticket::Ticket;
use crate::flags::TicketFlags;
use crate::time::Time;

sequence! {
    /// KRB-CRED (RFC 4120 5.8.1).
    KrbCred<'a> application 22 {
        /// pvno
        0 required version: Fixed<5>,
        /// msg-type
        1 required kind: Fixed<22>,
        /// The tickets.
        2 required tickets: List<'a, Raw<'a, Ticket<'a>>>,
        /// EncKrbCredPart, key usage 14.
        3 required enc_part: EncryptedData<'a>,
    }
}

sequence! {
    /// EncKrbCredPart (RFC 4120 5.8.1).
    EncKrbCredPart<'a> application 29 {
        /// One for each ticket, in the same order.
        0 required info: List<'a, KrbCredInfo<'a>>,
        /// Copied from a request, where there was one.
        1 optional nonce: u32,
        /// The sender's clock.
        2 optional time: Time,
        /// Its microseconds.
        3 optional micros: u32,
        /// The sender's address.
        4 optional sender: HostAddress<'a>,
        /// The receiver's address.
        5 optional receiver: HostAddress<'a>,
    }
}

sequence! {
    /// KrbCredInfo (RFC 4120 5.8.1): what the holder of a ticket must know.
    KrbCredInfo<'a> {
        /// The session key.
        0 required key: EncryptionKey<'a>,
        /// The client's realm.
        1 optional client_realm: &'a str,
        /// The client.
        2 optional client: PrincipalName<'a>,
        /// The ticket's flags.
        3 optional flags: TicketFlags,
        /// When the client was authenticated.
        4 optional auth_time: Time,
        /// When the ticket becomes valid.
        5 optional start_time: Time,
        /// When it ends.
        6 optional end_time: Time,
        /// Until when it may be renewed.
        7 optional renew_till: Time,
        /// The server's realm.
        8 optional server_realm: &'a str,
        /// The server.
        9 optional server: PrincipalName<'a>,
        /// From where it may be used.
        10 optional addresses: List<'a, HostAddress<'a>>,
    }
}
