//! The PAC in its ticket: AD-WIN2K-PAC inside AD-IF-RELEVANT (MS-PAC 2.1), and the form of the ticket
//! that the KDC signs (MS-PAC 2.8.3).

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::codes::AuthDataType;
use crate::error::{Error, Result};
use crate::wire::{self, AuthData, AuthorizationData, EncTicketPart, Encode, List, Writer};

/// The octets of the PAC among a ticket's authorization data, if there is one.
///
/// # Errors
/// [`Error::Malformed`] for a second one: which of them counts would be anybody's guess.
pub fn find<'a>(ticket: &EncTicketPart<'a>) -> Result<Option<&'a [u8]>> {
    let mut pacs = ticket.authorization_data.into_iter().flat_map(|data| data.iter()).flat_map(inside);
    let pac = pacs.next();
    if pacs.next().is_some() {
        return Err(Error::Malformed("a ticket with two PACs"));
    }
    Ok(pac)
}

/// Whether an element of a ticket's authorization data holds a PAC.
pub fn holds_pac(element: &AuthData<'_>) -> bool {
    inside(*element).next().is_some()
}

fn inside<'a>(element: AuthData<'a>) -> impl Iterator<Item = &'a [u8]> {
    let container = (element.kind == AuthDataType::IF_RELEVANT).then_some(element.data);
    let elements = container.and_then(|data| wire::decode::<AuthorizationData<'a>>(data).ok());
    let elements = elements.into_iter().flat_map(|elements| elements.iter());
    elements.filter(|element| element.kind == AuthDataType::WIN2K_PAC).map(|element| element.data)
}

/// The element of a ticket's authorization data for a PAC: the contents of AD-IF-RELEVANT.
pub fn wrapped(pac: &[u8]) -> Writer {
    let mut writer = Writer::new();
    List::Items(&[AuthData { kind: AuthDataType::WIN2K_PAC, data: pac }]).encode(&mut writer);
    writer
}

/// What stands for the PAC in the form that is signed: one zero, wrapped.
pub const fn placeholder() -> &'static [u8] {
    &[0x30, 0x0d, 0x30, 0x0b, 0xa0, 0x04, 0x02, 0x02, 0x00, 0x80, 0xa1, 0x03, 0x04, 0x01, 0x00]
}

/// The DER of a ticket's contents as the KDC signs it: with one zero in place of the PAC.
pub fn signed_part(ticket: &EncTicketPart<'_>) -> Zeroizing<Vec<u8>> {
    let elements = ticket.authorization_data.into_iter().flat_map(|data| data.iter());
    let emptied = elements.map(|element| (element.kind, emptied(element))).collect::<Vec<_>>();
    let elements = emptied.iter().map(|(kind, data)| AuthData { kind: *kind, data }).collect::<Vec<_>>();
    let authorization_data = (!elements.is_empty()).then_some(List::Items(&elements));
    wire::encode_secret(&EncTicketPart { authorization_data, ..*ticket })
}

fn emptied(element: AuthData<'_>) -> Cow<'_, [u8]> {
    if !holds_pac(&element) {
        return Cow::Borrowed(element.data);
    }
    let Ok(elements) = wire::decode::<AuthorizationData<'_>>(element.data) else { return Cow::Borrowed(element.data) };
    let empty = |element: AuthData<'_>| element.kind == AuthDataType::WIN2K_PAC;
    let elements = elements.iter().map(|it| if empty(it) { (it.kind, &[0][..]) } else { (it.kind, it.data) });
    let elements = elements.map(|(kind, data)| AuthData { kind, data }).collect::<Vec<_>>();
    Cow::Owned(wire::encode(&List::Items(&elements)))
}
