//! Authorization data on its way through the TGS (RFC 4120 3.3.3, 5.2.6): what the presented ticket
//! has stays, what the client adds may only restrict.

use libkrb::ErrorCode;
use libkrb::codes::AuthDataType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::wire::{self, AdAndOr, AuthData, Authenticator, AuthorizationData, EncTicketPart, KdcReqBody};
use zeroize::Zeroizing;

use super::super::refuse::{Refusal, because};
use super::foreign::Foreign;

/// The authorization data that the client sent, decrypted.
pub struct RequestData(Zeroizing<Vec<u8>>);

/// Only a KDC may say these; from a client they are dropped.
const ONLY_FROM_KDC: [AuthDataType; 7] = [
    AuthDataType::KDC_ISSUED,
    AuthDataType::INITIAL_VERIFIED_CAS,
    AuthDataType::CAMMAC,
    AuthDataType::AUTH_INDICATOR,
    AuthDataType::ROLES,
    AuthDataType::WIN2K_PAC,
    // AD-SIGNTICKET of Heimdal and MIT
    AuthDataType(512),
];

/// The KDC says these anew in every ticket; what a presented one has of them is not passed on.
const SAID_ANEW: [AuthDataType; 4] =
    [AuthDataType::CAMMAC, AuthDataType::AUTH_INDICATOR, AuthDataType::ROLES, AuthDataType::WIN2K_PAC];

/// How deep AD-IF-RELEVANT and AD-AND-OR are looked into.
const DEPTH: usize = 4;

/// How many elements a client may add.
const MOST_ADDED: usize = 64;

/// What was made to armor a request shows no ticket-granting ticket (RFC 6113 5.4.1.1).
///
/// # Errors
/// POLICY.
pub fn no_armor(ticket: &EncTicketPart<'_>, authenticator: &Authenticator<'_>) -> Result<(), Refusal> {
    let mut data = ticket.authorization_data.into_iter().chain(authenticator.authorization_data);
    let armor = data.any(|data| data.iter().any(|element| element.kind == AuthDataType::FX_ARMOR));
    Refusal::unless(!armor, ErrorCode::POLICY, "an armor ticket is no ticket-granting ticket")
}

/// Who says that the request is in FAST, and it is not, sent it otherwise (RFC 6113 5.4.2).
///
/// # Errors
/// MODIFIED.
pub fn no_fast(ticket: &EncTicketPart<'_>, authenticator: &Authenticator<'_>) -> Result<(), Refusal> {
    let mut data = ticket.authorization_data.into_iter().chain(authenticator.authorization_data);
    let used = data.any(|data| data.iter().any(|element| element.kind == AuthDataType::FX_FAST_USED));
    Refusal::unless(!used, ErrorCode::MODIFIED, "the envelope that the client speaks of is missing")
}

/// Decrypts enc-authorization-data: under the subkey if there is one, else under the session key.
pub fn open(body: &KdcReqBody<'_>, session: &Key, reply: &(Key, KeyUsage)) -> Result<Option<RequestData>, Refusal> {
    let Some(sealed) = body.authorization_data else { return Ok(None) };
    let usage = if reply.1 == KeyUsage::TGS_REP_SUBKEY {
        KeyUsage::TGS_REQ_AUTHZ_SUBKEY
    } else {
        KeyUsage::TGS_REQ_AUTHZ_SESSION
    };
    let refused = because(ErrorCode::BAD_INTEGRITY, "the authorization data does not open");
    let plain = reply.0.decrypt(usage, sealed.cipher).or_else(|error| {
        // Clients exist that use the session key although they send a subkey.
        if usage == KeyUsage::TGS_REQ_AUTHZ_SUBKEY {
            session.decrypt(KeyUsage::TGS_REQ_AUTHZ_SESSION, sealed.cipher)
        } else {
            Err(error)
        }
    });
    Ok(Some(RequestData(plain.map_err(refused)?)))
}

/// What the new ticket carries: the presented ticket's data, of a foreign one what is kept, then what the
/// client may add.
///
/// # Errors
/// POLICY for elements that only a KDC who understands them may pass on.
pub fn carried<'a>(
    ticket: &EncTicketPart<'a>,
    foreign: Option<&Foreign<'_>>,
    added: Option<&'a RequestData>,
) -> Result<Vec<AuthData<'a>>, Refusal> {
    let presented = match foreign {
        Some(foreign) => foreign.kept(ticket)?,
        None => ticket.authorization_data.into_iter().flat_map(|data| data.iter()).collect(),
    };
    let mut carried = presented.into_iter().filter(|element| !said_anew(element)).collect::<Vec<_>>();
    if let Some(RequestData(plain)) = added {
        let malformed = because(ErrorCode::GENERIC, "malformed authorization data");
        let elements = wire::decode::<AuthorizationData<'a>>(plain).map_err(malformed)?;
        // They are restrictions: to leave some out would widen what the ticket is good for.
        let few = elements.iter().nth(MOST_ADDED).is_none();
        Refusal::unless(few, ErrorCode::POLICY, "too many elements of authorization data")?;
        for element in elements.iter() {
            if from_anybody(&element)? {
                carried.push(element);
            }
        }
    }
    Ok(carried)
}

/// Whether this is an element that the KDC says anew, or AD-IF-RELEVANT around one: no KDC puts
/// anything else beside it.
fn said_anew(element: &AuthData<'_>) -> bool {
    let within = |element: &AuthData<'_>| {
        let inner = wire::decode::<AuthorizationData<'_>>(element.data).unwrap_or_default();
        inner.iter().any(|element| SAID_ANEW.contains(&element.kind))
    };
    SAID_ANEW.contains(&element.kind) || element.kind == AuthDataType::IF_RELEVANT && within(element)
}

/// Whether this element may come from anybody, as it is.
///
/// # Errors
/// POLICY for what only a KDC who understands it may pass on.
pub fn from_anybody(element: &AuthData<'_>) -> Result<bool, Refusal> {
    allowed(element, DEPTH)
}

/// Whether a client may add this element; nothing that claims to be a KDC's, however wrapped.
fn allowed(element: &AuthData<'_>, depth: usize) -> Result<bool, Refusal> {
    if element.kind == AuthDataType::MANDATORY_FOR_KDC {
        return Err(Refusal::new(ErrorCode::POLICY, "authorization data that this KDC must understand and does not"));
    }
    if ONLY_FROM_KDC.contains(&element.kind) {
        return Ok(false);
    }
    let inner = match element.kind {
        AuthDataType::IF_RELEVANT => wire::decode::<AuthorizationData<'_>>(element.data),
        AuthDataType::AND_OR => wire::decode::<AdAndOr<'_>>(element.data).map(|and_or| and_or.elements),
        _ => return Ok(true),
    };
    let Ok(inner) = inner else { return Ok(false) };
    if depth == 0 {
        return Ok(false);
    }
    for element in inner.iter() {
        if !allowed(&element, depth - 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}
