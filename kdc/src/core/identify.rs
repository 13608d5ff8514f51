//! Which realm a user is of whom a service knows by a certificate only: an AS-REQ in nobody's name that brings the
//! certificate and no proof (MS-SFU 3.1.5.1.1.1). MIT's and Windows' clients ask so before they ask for a ticket
//! in the user's name. Nobody gets a ticket for that; not here: giving one (`tgs_req`'s part about users).

use libkrb::codes::{NameType, PaType};
use libkrb::wire::KdcReq;
use libkrb::{ErrorCode, Principal, Time};

use super::Kdc;
use super::preauth::pkinit;
use super::refuse::Refusal;

/// The certificate, in DER, that a request asks about.
pub fn certificate<'a>(request: &KdcReq<'a>) -> Option<&'a [u8]> {
    request.body.client.filter(|client| client.kind == NameType::X500_PRINCIPAL)?;
    request.padata(PaType::FOR_X509_USER).map(|padata| padata.value).filter(|value| !value.is_empty())
}

/// The principal whose certificate it is, and the answer: that it would have to prove itself here.
///
/// # Errors
/// C_PRINCIPAL_UNKNOWN where it is nobody's here.
pub fn find(kdc: &Kdc<'_>, certificate: &[u8], now: Time) -> Result<(Principal, Refusal), Refusal> {
    let user = pkinit::find(kdc, certificate, now)?;
    Ok((user, Refusal::new(ErrorCode::PREAUTH_REQUIRED, "a certificate alone proves nothing")))
}
