//! What a certificate's owner, or anybody, may send in place of a password: any bytes as the proof, as its
//! answer, as a certificate, a file or a rule.

use std::cell::RefCell;

use libkrb::codes::PaType;
use libkrb::preauth::pkinit::kdc::Request;
use libkrb::preauth::pkinit::{Certificate, Group, Identity, Rule, Trust, client};
use libkrb::wire::{self, PaPkAsRep, SignedData};

use crate::certificates::{identity, realm};
use crate::joined::{Asking, Joined};

thread_local! {
    static PLACE: RefCell<(Joined, Identity)> = RefCell::new((realm(), identity("alice-p256")));
}

/// Nothing that is made by nobody's key gets a ticket.
pub fn pkinit(data: &[u8]) {
    if let Ok(request) = Request::read(data) {
        let _ = (request.check_body(data), request.terms(&(Group::Modp2048..=Group::P521)));
        if let Some(claim) = &request.claim {
            look(&claim.certificate);
            let _ = claim.verify();
        }
    }
    if let Ok(PaPkAsRep::Dh(info)) = wire::decode(data) {
        let _ = wire::decode::<SignedData<'_>>(info.signed_data);
    }
    if let Ok(certificate) = Certificate::parse(data) {
        look(&certificate);
    }
    let _ = client::other_group(data, Group::Modp2048, &[]);
    let _ = (Identity::from_pem(data, data), Trust::from_pem(data, data, data));
    PLACE.with_borrow_mut(|(realm, alice)| {
        if let Ok(rule) = Rule::parse(std::str::from_utf8(data).unwrap_or_default()) {
            rule.matches(&alice.certificate().expect("a certificate"));
        }
        let padata = vec![(PaType::PK_AS_REQ, data.to_vec())];
        let request = realm.as_req(&Asking { padata, ..Asking::login("alice") }, None);
        let outcome = realm.send(&request);
        assert!(outcome.event.issued.is_none(), "{:?}", outcome.event);
    });
}

fn look(certificate: &Certificate<'_>) {
    let names = certificate.names();
    let _ = (names.texts(), names.upn_principals("EXAMPLE.ORG"), certificate.subject_text(), certificate.issuer_text());
    let _ = (certificate.purposes(), certificate.key_uses(), certificate.key_identifier());
}
