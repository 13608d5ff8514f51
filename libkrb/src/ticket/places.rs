//! Where in an open ticket its parts stand: a ticket that is remembered is read again for every request.

use std::ops::Range;

use crate::wire::{Components, EncTicketPart, EncryptionKey, List, PrincipalName, TransitedEncoding};

/// The parts of an EncTicketPart in its octets.
pub(super) struct Places {
    /// What has no octets of its own.
    fixed: EncTicketPart<'static>,
    key: Range<usize>,
    client_realm: Range<usize>,
    client: Range<usize>,
    transited: Range<usize>,
    addresses: Option<Range<usize>>,
    authorization_data: Option<Range<usize>>,
}

impl Places {
    /// Of a part that was decoded from `whole`.
    pub(super) fn of(part: &EncTicketPart<'_>, whole: &[u8]) -> Option<Places> {
        let place = |octets: &[u8]| place(octets, whole);
        let fixed = EncTicketPart {
            flags: part.flags,
            key: EncryptionKey { etype: part.key.etype, value: &[] },
            client_realm: "",
            client: PrincipalName { kind: part.client.kind, components: Components::Der(&[]) },
            transited: TransitedEncoding { kind: part.transited.kind, contents: &[] },
            auth_time: part.auth_time,
            start_time: part.start_time,
            end_time: part.end_time,
            renew_till: part.renew_till,
            addresses: None,
            authorization_data: None,
        };
        let Components::Der(client) = part.client.components else { return None };
        let addresses = match part.addresses {
            Some(list) => Some(place(list.der()?)?),
            None => None,
        };
        let authorization_data = match part.authorization_data {
            Some(list) => Some(place(list.der()?)?),
            None => None,
        };
        Some(Places {
            fixed,
            key: place(part.key.value)?,
            client_realm: place(part.client_realm.as_bytes())?,
            client: place(client)?,
            transited: place(part.transited.contents)?,
            addresses,
            authorization_data,
        })
    }

    /// The part again. `whole` is what it was decoded from.
    pub(super) fn read<'a>(&self, whole: &'a [u8]) -> Option<EncTicketPart<'a>> {
        let at = |place: &Range<usize>| if place.is_empty() { Some(&[][..]) } else { whole.get(place.clone()) };
        let optional = |place: &Option<Range<usize>>| place.as_ref().and_then(at);
        let EncTicketPart { key, client, transited, .. } = self.fixed;
        Some(EncTicketPart {
            key: EncryptionKey { value: at(&self.key)?, ..key },
            client_realm: str::from_utf8(at(&self.client_realm)?).ok()?,
            client: PrincipalName { components: Components::Der(at(&self.client)?), ..client },
            transited: TransitedEncoding { contents: at(&self.transited)?, ..transited },
            addresses: optional(&self.addresses).map(List::Der),
            authorization_data: optional(&self.authorization_data).map(List::Der),
            ..self.fixed
        })
    }
}

/// Where octets stand that are a part of others.
pub(super) fn place(octets: &[u8], whole: &[u8]) -> Option<Range<usize>> {
    let start = octets.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    Some(start..start + octets.len()).filter(|place| octets.is_empty() || place.end <= whole.len())
}

#[cfg(test)]
mod tests {
    use super::super::tests::sparse;
    use super::*;
    use crate::Principal;
    use crate::codes::{AddressType, AuthDataType};
    use crate::time::Time;
    use crate::wire::{self, AuthData, HostAddress};

    #[test]
    fn a_ticket_that_is_read_again_says_the_same() {
        let addresses = [HostAddress { kind: AddressType::IPV4, address: &[192, 0, 2, 1] }];
        let elements = [AuthData { kind: AuthDataType::IF_RELEVANT, data: b"data" }];
        let client = Principal::parse("host/a.example.org@EXAMPLE.ORG", None).unwrap();
        let sparse = sparse(&client);
        let full = EncTicketPart {
            transited: TransitedEncoding { contents: b"A,B", ..sparse.transited },
            start_time: Some(Time(1_800_000_002)),
            renew_till: Some(Time(1_800_000_003)),
            addresses: Some(List::Items(&addresses)),
            authorization_data: Some(List::Items(&elements)),
            ..sparse
        };
        let empty = EncTicketPart { client_realm: "", authorization_data: Some(List::default()), ..full };
        for part in [sparse, full, empty] {
            let octets = wire::encode(&part);
            let read = wire::decode::<EncTicketPart<'_>>(&octets).unwrap();
            let places = Places::of(&read, &octets).unwrap();
            assert_eq!(wire::encode(&places.read(&octets).unwrap()), octets);
        }
    }
}
