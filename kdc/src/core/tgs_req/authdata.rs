//! Authorization data on its way through the TGS (RFC 4120 3.3.3, 5.2.6): what the presented ticket
//! has stays, what the client adds may only restrict.

use libkrb::ErrorCode;
use libkrb::codes::AuthDataType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::wire::{self, AuthData, AuthorizationData, EncTicketPart, KdcReqBody};
use zeroize::Zeroizing;

use super::super::refuse::{Refusal, because};

/// The authorization data that the client sent, decrypted.
pub struct RequestData(Zeroizing<Vec<u8>>);

/// Only a KDC may say these; from a client they are dropped.
const ONLY_FROM_KDC: [AuthDataType; 6] = [
    AuthDataType::KDC_ISSUED,
    AuthDataType::INITIAL_VERIFIED_CAS,
    AuthDataType::CAMMAC,
    AuthDataType::AUTH_INDICATOR,
    AuthDataType::WIN2K_PAC,
    // AD-SIGNTICKET of Heimdal and MIT
    AuthDataType(512),
];

/// How deep AD-IF-RELEVANT is looked into.
const DEPTH: usize = 4;

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

/// What the new ticket carries: the presented ticket's data, then what the client may add.
///
/// # Errors
/// POLICY for elements that only a KDC who understands them may pass on.
pub fn carried<'a>(ticket: &EncTicketPart<'a>, added: Option<&'a RequestData>) -> Result<Vec<AuthData<'a>>, Refusal> {
    let mut carried = ticket.authorization_data.map(|data| data.iter().collect::<Vec<_>>()).unwrap_or_default();
    let armor = carried.iter().any(|element| element.kind == AuthDataType::FX_ARMOR);
    Refusal::unless(!armor, ErrorCode::POLICY, "an armor ticket is no ticket-granting ticket")?;
    if let Some(RequestData(plain)) = added {
        let malformed = because(ErrorCode::GENERIC, "malformed authorization data");
        let elements = wire::decode::<AuthorizationData<'a>>(plain).map_err(malformed)?;
        for element in elements.iter().take(64) {
            if allowed(&element, DEPTH)? {
                carried.push(element);
            }
        }
    }
    Ok(carried)
}

/// Whether a client may add this element; nothing that claims to be a KDC's, however wrapped.
fn allowed(element: &AuthData<'_>, depth: usize) -> Result<bool, Refusal> {
    if element.kind == AuthDataType::MANDATORY_FOR_KDC {
        return Err(Refusal::new(ErrorCode::POLICY, "authorization data that this KDC must understand and does not"));
    }
    if ONLY_FROM_KDC.contains(&element.kind) {
        return Ok(false);
    }
    if element.kind != AuthDataType::IF_RELEVANT {
        return Ok(true);
    }
    let Ok(inner) = wire::decode::<AuthorizationData<'_>>(element.data) else { return Ok(false) };
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
