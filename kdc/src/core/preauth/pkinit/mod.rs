//! PKINIT: a certificate in place of a key (RFC 4556 3.2.2, 3.2.3), or nothing at all for who wants to
//! be nobody (RFC 8062 4.1.1). Not here: the cryptography, which both sides share
//! (`libkrb::preauth::pkinit`).

mod freshness;
mod mapping;
mod settings;

use std::ops::RangeInclusive;

use libkrb::codes::PaType;
use libkrb::crypto::Key;
use libkrb::preauth::pkinit::kdc::{self, Request};
use libkrb::preauth::pkinit::{self as shared, Binding, Claim, Distrust, Group};
use libkrb::replay::{ReplayKey, Verdict};
use libkrb::wire::PaData;
use libkrb::{ErrorCode, Principal, Time};

use super::{Gathered, Hints, Proof, Refusal, Step, Try, required};

pub use mapping::{SpiffeRule, find};
pub use settings::Pkinit;

/// Offers PKINIT where the realm has it; tells whether nobody may ask too, and a token that shows that
/// the answer is recent to whom asks for one.
pub fn offer(work: &mut Try<'_>, gathered: &Gathered<'_>, hints: &mut Hints) {
    if work.kdc.policy.pkinit.is_none() {
        return;
    }
    hints.offer(PaType::PK_AS_REQ, vec![]);
    let nobody = Principal::anonymous().in_realm(&work.kdc.policy.realm);
    if matches!(work.kdc.store.lookup(&nobody), Ok(Some(_))) {
        hints.tell(PaType::PKINIT_KX, vec![]);
    }
    if gathered.request.padata(PaType::AS_FRESHNESS).is_some() {
        hints.tell_all(freshness::token(work.kdc, work.at.now.time).map(|token| (PaType::AS_FRESHNESS, token)));
    }
}

pub fn verify(work: &mut Try<'_>, who: &Gathered<'_>, padata: &PaData<'_>) -> Result<Step, Refusal> {
    let pkinit = work.kdc.policy.pkinit.clone();
    let Some(pkinit) = pkinit.filter(|_| !padata.value.is_empty()) else {
        // Something that is not there, or nothing, proves nothing (RFC 4556 3.4).
        return Err(required(work, who));
    };
    let request = Request::read(padata.value).map_err(|distrust| refusal(&pkinit, None, distrust))?;
    let claim = request.claim.as_ref();
    let groups = groups(&pkinit, claim);
    let refused = |distrust| refusal(&pkinit, claim, distrust);
    // What costs little comes first.
    request.check_body(who.request.body.der).map_err(refused)?;
    recent(work, &request)?;
    let terms = request.terms(&groups).map_err(refused)?;
    let etype = who.offered.first().copied();
    let etype = etype.ok_or(Refusal::new(ErrorCode::ETYPE_NOSUPP, "no offered encryption type is allowed"))?;
    let until = believe(&pkinit, who, claim, work.at.now.time)?;
    Refusal::unless(!who.decoy, ErrorCode::CLIENT_NAME_MISMATCH, mapping::ANOTHER)?;
    freshness::check(work, who, &pkinit, request.pack.authenticator.freshness_token)?;
    new(work, &request)?;

    let failed = |_| Refusal::new(ErrorCode::INVALID_SIG, "the client's half of the key agreement is none");
    let (reply, secret) = terms.answer(&pkinit.identity, work.random).map_err(failed)?;
    let (client, server) = names(who)?;
    let binding = Binding { etype, client: &client, server: &server, request: who.bytes, reply: &reply };
    let reply_key = binding.reply_key(&secret, terms.kdf);
    let reply_key = reply_key.map_err(|_| Refusal::new(ErrorCode::ETYPE_NOSUPP, "no reply key can be made"))?;
    Ok(Step::Proven(proof(claim.is_some(), reply_key, reply, until)))
}

/// The groups in which a secret is agreed upon. Who shows no certificate is anybody, and has the KDC do no more work than a
/// good group takes: 2048 bits or P-256, where the realm asks for no better one.
fn groups(pkinit: &Pkinit, claim: Option<&Claim<'_>>) -> RangeInclusive<Group> {
    let least = pkinit.least_group;
    least..=if claim.is_some() { Group::P521 } else { least.max(Group::P256) }
}

fn proof(signed: bool, reply_key: Key, reply: Vec<u8>, until: Option<Time>) -> Proof {
    Proof {
        reply_key: Some(reply_key),
        padata: vec![(PaType::PK_AS_REP, reply)],
        until,
        joint_session_key: true,
        ..Proof::by(if signed { "pkinit" } else { "pkinit-anonymous" })
    }
}

/// The client and the server as the request names them: to these the reply key is bound (RFC 8636 6).
fn names(who: &Gathered<'_>) -> Result<(Principal, Principal), Refusal> {
    let body = &who.request.body;
    let name = |name: Option<libkrb::wire::PrincipalName<'_>>| name.and_then(|name| name.principal(body.realm).ok());
    let unknown = Refusal::new(ErrorCode::C_PRINCIPAL_UNKNOWN, "not a principal name");
    name(body.client).zip(name(body.server)).ok_or(unknown)
}

/// Refuses a request that was made at another time (RFC 4556 3.2.2).
fn recent(work: &Try<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let near = request.pack.authenticator.time.distance(work.at.now.time) <= work.kdc.policy.clock_skew;
    Refusal::unless(near, ErrorCode::SKEW, "the client's clock differs too much from the KDC's")
}

/// Refuses a request that was seen before, in whatever bytes: what is signed counts. Of nobody nothing is
/// remembered, who could fill the memory and gains nothing by coming again.
fn new(work: &Try<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    if request.claim.is_none() {
        return Ok(());
    }
    let seen = ReplayKey::new([b"pkinit".as_slice(), request.content]);
    match work.kdc.replays.insert(seen, request.pack.authenticator.time, work.at.now.time) {
        // Full: as for authenticators, refusing everybody would be worse than a reply that can't be read.
        Verdict::Fresh | Verdict::Full | Verdict::Unavailable => Ok(()),
        Verdict::Replay => Err(Refusal::new(ErrorCode::REPEAT, "this PKINIT request was used before")),
    }
}

/// Whether the certificate is one of ours and the client's, and the signature its own; and until when.
/// Nobody in particular needs neither.
fn believe(pkinit: &Pkinit, who: &Gathered<'_>, claim: Option<&Claim<'_>>, now: Time) -> Result<Option<Time>, Refusal> {
    let Some(claim) = claim else {
        let cause = "the request is not signed, and its client is somebody";
        Refusal::unless(who.client_name.is_anonymous(), ErrorCode::INVALID_SIG, cause)?;
        return Ok(None);
    };
    let refused = |distrust| refusal(pkinit, Some(claim), distrust);
    let certificate = &claim.certificate;
    pkinit.trust.check(certificate, &claim.others, now).map_err(refused)?;
    claim.verify().map_err(refused)?;
    match &*pkinit.purposes {
        [] => certificate.check_signs(),
        purposes => certificate.check_purpose(purposes),
    }
    .map_err(refused)?;
    mapping::check(pkinit, &who.client, certificate)?;
    Ok(Some(certificate.not_after))
}

/// A refusal, with the e-data that its code has (RFC 4556 3.2.2, RFC 8636 4, 5).
fn refusal(pkinit: &Pkinit, claim: Option<&Claim<'_>>, distrust: Distrust) -> Refusal {
    let certificate = || claim.map(|claim| shared::identifier(&claim.certificate)).into_iter().collect::<Vec<_>>();
    let data = match distrust.code {
        ErrorCode::CANT_VERIFY_CERTIFICATE => {
            Some(kdc::principals(shared::TD_TRUSTED_CERTIFIERS, &pkinit.trust.certifiers()))
        }
        ErrorCode::INVALID_CERTIFICATE | ErrorCode::REVOKED_CERTIFICATE | ErrorCode::REVOCATION_STATUS_UNKNOWN => {
            Some(kdc::principals(shared::TD_INVALID_CERTIFICATES, &certificate()))
        }
        ErrorCode::DH_KEY_PARAMETERS_NOT_ACCEPTED => Some(kdc::accepted_groups(groups(pkinit, claim))),
        ErrorCode::DIGEST_IN_SIGNED_DATA_NOT_ACCEPTED => Some(kdc::accepted_digests()),
        ErrorCode::DIGEST_IN_CERT_NOT_ACCEPTED => Some(kdc::accepted_certificate_digests()),
        _ => None,
    };
    Refusal { data, ..Refusal::new(distrust.code, distrust.cause) }
}
