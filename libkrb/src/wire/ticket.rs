//! Ticket and EncTicketPart (RFC 4120 5.3).

use super::Encode;
use super::authdata::{AuthData, AuthorizationData};
use super::basic::{EncryptedData, EncryptionKey, Fixed, HostAddress, TransitedEncoding};
use super::der::{Reader, SEQUENCE, Writer, sequence};
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

/// What an EncTicketPart says before its authorization data, encoded once: a KDC vouches for the ticket
/// with other data there than the ticket has in the end (RFC 7751 4, MS-PAC 2.8.3).
#[derive(Debug)]
pub struct TicketFields {
    written: Writer,
    length: usize,
}

impl EncTicketPart<'_> {
    /// Its fields but the authorization data.
    pub fn fields(&self) -> TicketFields {
        let mut written = Writer::secret();
        EncTicketPart { authorization_data: None, ..*self }.encode(&mut written);
        let inside = |bytes| Reader::new(bytes).element().map_or(&[][..], |(_, contents)| contents);
        let length = inside(inside(written.bytes())).len();
        TicketFields { written, length }
    }
}

impl TicketFields {
    /// The whole EncTicketPart, with these elements for its authorization data.
    pub fn with<'a>(&'a self, elements: AuthorizationData<'a>) -> impl Encode {
        WithElements { fields: self, elements }
    }
}

struct WithElements<'a> {
    fields: &'a TicketFields,
    elements: List<'a, AuthData<'a>>,
}

impl Encode for WithElements<'_> {
    fn encode(&self, writer: &mut Writer) {
        let TicketFields { written, length } = self.fields;
        let fields = written.bytes();
        writer.application(3, |writer| {
            writer.element(SEQUENCE, |writer| {
                writer.optional(10, &(!self.elements.is_empty()).then_some(self.elements));
                writer.prepend(fields.get(fields.len() - length..).unwrap_or_default());
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::AuthDataType;
    use crate::wire;

    #[test]
    fn fields_with_elements_are_the_ticket_that_has_them() {
        let element = |data| AuthData { kind: AuthDataType::IF_RELEVANT, data };
        let long = [7; 300];
        for elements in [vec![], vec![element(&b"short"[..])], vec![element(&long[..]), element(b"")]] {
            let list = List::Items(&elements);
            let ticket = EncTicketPart {
                flags: TicketFlags::INITIAL,
                key: EncryptionKey { etype: crate::codes::EncryptionType::AES256_SHA1, value: &[1; 32] },
                client_realm: "R",
                client: PrincipalName { kind: Default::default(), components: wire::Components::Parts(&[]) },
                transited: TransitedEncoding::NONE,
                auth_time: Time(1_800_000_000),
                start_time: None,
                end_time: Time(1_800_000_000),
                renew_till: Some(Time(1_800_000_001)),
                addresses: None,
                authorization_data: (!list.is_empty()).then_some(list),
            };
            assert_eq!(wire::encode(&ticket.fields().with(list)), wire::encode(&ticket));
        }
    }
}
