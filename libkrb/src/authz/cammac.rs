//! AD-CAMMAC (RFC 7751): authorization data that a KDC vouches for, to itself and to the service. Two
//! checksums: the KDC's is over the whole ticket, so that no service can move it into another one; the
//! service's is in the key that it shares with the KDC, and with nobody else.

use crate::codes::AuthDataType;
use crate::crypto::PreparedChecksum;
use crate::error::{Error, Result};
use crate::wire::{
    self, AdCammac, AuthData, AuthorizationData, Checksum, EncTicketPart, List, Raw, TicketFields, VerifierMac,
};

/// How many containers of one ticket are looked at; a KDC makes one.
const MOST: usize = 8;

/// A key that vouches, and its version where the verifier names it.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// The key, prepared for [`KeyUsage::CAMMAC`](crate::crypto::KeyUsage::CAMMAC).
    pub key: &'a PreparedChecksum,
    /// Its version.
    pub kvno: Option<u32>,
}

/// A container for a ticket: AD-IF-RELEVANT around the AD-CAMMAC, as its type and content. `service`
/// is the key that seals the ticket; a local ticket-granting ticket needs none, for its KDC has the
/// other one (RFC 7751 4).
pub fn seal(
    elements: &[AuthData<'_>],
    ticket: &TicketFields,
    tgs: Signer<'_>,
    service: Option<Signer<'_>>,
) -> (AuthDataType, Vec<u8>) {
    let value = List::Items(elements);
    let der = wire::encode(&value);
    let of_kdc = tgs.key.checksum(&wire::encode_secret(&ticket.with(value)));
    let of_service = service.map(|service| (service, service.key.checksum(&der)));
    let cammac = wire::encode(&AdCammac {
        elements: Raw { der: &der, value },
        kdc_verifier: Some(verifier(tgs, &of_kdc)),
        service_verifier: of_service.as_ref().map(|(service, mac)| verifier(*service, mac)),
        other_verifiers: None,
    });
    let element = AuthData { kind: AuthDataType::CAMMAC, data: &cammac };
    (AuthDataType::IF_RELEVANT, wire::encode(&List::Items(&[element])))
}

/// The containers in a ticket's authorization data, where they stand themselves and in AD-IF-RELEVANT.
/// What is malformed is passed over: nobody has to understand it.
pub fn find<'a>(data: Option<&AuthorizationData<'a>>) -> Vec<AdCammac<'a>> {
    let within = |element: AuthData<'a>| match element.kind {
        AuthDataType::IF_RELEVANT => wire::decode::<AuthorizationData<'a>>(element.data).unwrap_or_default(),
        _ => List::default(),
    };
    let elements = data.into_iter().flat_map(AuthorizationData::iter);
    let elements = elements.flat_map(|element| std::iter::once(element).chain(within(element).iter()));
    let found = elements.filter(|element| element.kind == AuthDataType::CAMMAC);
    found.filter_map(|element| wire::decode(element.data).ok()).take(MOST).collect()
}

/// What a KDC of this realm said in a container of `ticket`. `keys` are the TGS's of the version that
/// is asked for, or all of them.
///
/// # Errors
/// [`Error::Integrity`] when none of them made the verifier over just this ticket, or there is none.
pub fn vouched_by_kdc<'a, 'k>(
    cammac: &AdCammac<'a>,
    ticket: &EncTicketPart<'_>,
    keys: impl FnOnce(Option<u32>) -> Vec<&'k PreparedChecksum>,
) -> Result<AuthorizationData<'a>> {
    let verifier = cammac.kdc_verifier.ok_or(Error::Integrity)?;
    let bytes = bound(ticket, cammac.elements.value);
    let holds = keys(verifier.kvno).into_iter().any(|key| verify(&verifier, key, &bytes).is_ok());
    if holds { Ok(cammac.elements.value) } else { Err(Error::Integrity) }
}

/// What a KDC said in a container of a ticket that `key` opened, here prepared for
/// [`KeyUsage::CAMMAC`](crate::crypto::KeyUsage::CAMMAC).
///
/// # Errors
/// [`Error::Integrity`] when this key did not make the verifier, or there is none.
pub fn vouched_by_service<'a>(cammac: &AdCammac<'a>, key: &PreparedChecksum) -> Result<AuthorizationData<'a>> {
    let verifier = cammac.service_verifier.ok_or(Error::Integrity)?;
    verify(&verifier, key, cammac.elements.der)?;
    Ok(cammac.elements.value)
}

/// The ticket with the container's elements for its authorization data.
fn bound(ticket: &EncTicketPart<'_>, elements: AuthorizationData<'_>) -> zeroize::Zeroizing<Vec<u8>> {
    wire::encode_secret(&EncTicketPart { authorization_data: Some(elements), ..*ticket })
}

fn verifier<'a>(signer: Signer<'_>, mac: &'a [u8]) -> VerifierMac<'a> {
    VerifierMac {
        identifier: None,
        kvno: signer.kvno,
        etype: Some(signer.key.etype()),
        mac: Checksum { kind: signer.key.checksum_type(), checksum: mac },
    }
}

fn verify(verifier: &VerifierMac<'_>, key: &PreparedChecksum, bytes: &[u8]) -> Result<()> {
    if verifier.etype.is_some_and(|etype| etype != key.etype()) {
        return Err(Error::Integrity);
    }
    key.verify(verifier.mac.kind, bytes, verifier.mac.checksum).map_err(|_| Error::Integrity)
}

#[cfg(test)]
mod tests;
