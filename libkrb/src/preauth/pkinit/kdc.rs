//! The KDC's side: what a client sent, and the answer (RFC 4556 3.2.2, 3.2.3, RFC 8636). Not here: whose
//! certificate it is, and what the realm makes of that.

use std::ops::RangeInclusive;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::distrust::Distrust;
use super::identity::Identity;
use super::kdf::Kdf;
use super::signed::{self, Claim};
use crate::crypto::public::Group;
use crate::crypto::{Random, sha1};
use crate::error::{ErrorCode, Result};
use crate::wire::{
    self, AlgorithmIdentifier, AuthPack, BitString, DhRepInfo, KdcDhKeyInfo, List, Oid, PaPkAsRep, PaPkAsReq,
    TdCertDigestAlgorithms, TypedData,
};

/// A client's request, not verified yet.
#[derive(Debug)]
pub struct Request<'a> {
    /// Who claims to have signed it; `None`: nobody did.
    pub claim: Option<Claim<'a>>,
    /// What it says.
    pub pack: AuthPack<'a>,
    /// The same as it came: what is signed.
    pub content: &'a [u8],
}

/// What the client wants of the key agreement.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Where the secret is agreed upon.
    pub group: Group,
    /// How the reply key is made of it; `None`: as RFC 4556 says.
    pub kdf: Option<Kdf>,
    public_key: &'a [u8],
    nonce: u32,
}

impl<'a> Request<'a> {
    /// Reads the value of PA-PK-AS-REQ.
    ///
    /// # Errors
    /// PREAUTH_FAILED for what is none, and those of [`signed::open`].
    pub fn read(value: &'a [u8]) -> Result<Self, Distrust> {
        let malformed = Distrust::because(ErrorCode::PREAUTH_FAILED, "malformed PKINIT request");
        let request: PaPkAsReq<'a> = wire::decode(value).map_err(&malformed)?;
        let opened = signed::open(request.signed_auth_pack, Oid::PKINIT_AUTH_DATA)?;
        let pack = wire::decode(opened.content).map_err(&malformed)?;
        Ok(Request { claim: opened.claim, pack, content: opened.content })
    }

    /// Refuses a request that was made for another KDC-REQ-BODY (RFC 4556 3.2.1, MS-PKCA 2.2.3).
    ///
    /// # Errors
    /// PA_CHECKSUM_MUST_BE_INCLUDED without a checksum; MODIFIED when one is of another body.
    pub fn check_body(&self, body: &[u8]) -> Result<(), Distrust> {
        const MISSING: ErrorCode = ErrorCode::PA_CHECKSUM_MUST_BE_INCLUDED;
        let modified = || Distrust::new(ErrorCode::MODIFIED, "the signature is over another request");
        let same = |told: &[u8], computed: &[u8]| bool::from(told.ct_eq(computed));
        let authenticator = &self.pack.authenticator;
        let better = authenticator.checksum2.map(|told| match signed::hash_of(&told.algorithm) {
            Some(hash) => same(told.checksum, &hash.of(body)),
            None => true,
        });
        let absent = Distrust::new(MISSING, "the request has no checksum of its body");
        let checksum = authenticator.checksum.ok_or(absent)?;
        if same(checksum, &sha1(&[body])) && better.unwrap_or(true) { Ok(()) } else { Err(modified()) }
    }

    /// How the client wants to agree on a secret, if that is good enough.
    ///
    /// # Errors
    /// PUBLIC_KEY_ENCRYPTION_NOT_SUPPORTED when it wants to be sent one;
    /// DH_KEY_PARAMETERS_NOT_ACCEPTED for an unknown group or none of `groups`;
    /// NO_ACCEPTABLE_KDF.
    pub fn terms(&self, groups: &RangeInclusive<Group>) -> Result<Terms<'a>, Distrust> {
        const ENCRYPTION: ErrorCode = ErrorCode::PUBLIC_KEY_ENCRYPTION_NOT_SUPPORTED;
        const PARAMETERS: ErrorCode = ErrorCode::DH_KEY_PARAMETERS_NOT_ACCEPTED;
        let unknown = "the key agreement is not in one of this realm's groups";
        let info = self.pack.public_value().map_err(Distrust::because(PARAMETERS, unknown))?;
        let info = info.ok_or(Distrust::new(ENCRYPTION, "only Diffie-Hellman is offered, no key transport"))?;
        let group = Group::of(&info.algorithm).filter(|group| groups.contains(group));
        let group = group.ok_or(Distrust::new(PARAMETERS, unknown))?;
        let kdf = match self.pack.supported_kdfs {
            None => None,
            Some(offered) => {
                let offered: Vec<_> = offered.iter().take(16).filter_map(|id| Kdf::of(&id)).collect();
                let chosen = Kdf::ALL.into_iter().find(|kdf| offered.contains(kdf));
                let none = "none of the key derivations that the client offers is known";
                Some(chosen.ok_or(Distrust::new(ErrorCode::NO_ACCEPTABLE_KDF, none))?)
            }
        };
        let nonce = self.pack.authenticator.nonce;
        Ok(Terms { group, kdf, public_key: info.key.0, nonce })
    }
}

impl Terms<'_> {
    /// The value of PA-PK-AS-REP, and the secret that it leads to.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] when the client's public key is none of its group; [`crate::Error::Random`] when a
    /// library fails.
    pub fn answer(&self, identity: &Identity, random: &mut dyn Random) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>)> {
        let ours = self.group.generate(random)?;
        let secret = ours.agree(self.public_key)?;
        let public = ours.public_key()?;
        let info = KdcDhKeyInfo { public_key: BitString(&public), nonce: self.nonce, expiration: None };
        let signed_data = &*signed::sign(Some(identity), Oid::PKINIT_DH_KEY_DATA, &wire::encode(&info))?;
        let reply = DhRepInfo { signed_data, server_dh_nonce: None, kdf: self.kdf.map(Kdf::id) };
        Ok((wire::encode(&PaPkAsRep::Dh(reply)), secret))
    }
}

/// TYPED-DATA with one element.
fn typed(kind: i32, value: &impl wire::Encode) -> Vec<u8> {
    let value = wire::encode(value);
    wire::encode(&List::Items(&[TypedData { kind, value: Some(&value) }]))
}

/// TYPED-DATA with the groups that are accepted, most wanted first (RFC 4556 3.2.2).
pub fn accepted_groups(groups: RangeInclusive<Group>) -> Vec<u8> {
    let accepted = PREFERRED.into_iter().filter(|group| groups.contains(group));
    let encoded: Vec<_> = accepted.map(Group::algorithm).collect();
    let algorithms: Vec<AlgorithmIdentifier<'_>> = encoded.iter().filter_map(|der| wire::decode(der).ok()).collect();
    typed(super::TD_DH_PARAMETERS, &List::Items(&algorithms))
}

/// The groups in the order in which they are told: curves are quicker for the same strength.
const PREFERRED: [Group; 5] = [Group::P256, Group::P384, Group::P521, Group::Modp2048, Group::Modp4096];

/// TYPED-DATA with who is believed or which certificates are not (RFC 4556 3.2.2): a list of what
/// [`super::identifier`] makes.
pub fn principals(kind: i32, identifiers: &[Vec<u8>]) -> Vec<u8> {
    let elements: Vec<_> = identifiers.iter().map(|der| wire::Any(der)).collect();
    typed(kind, &List::Items(&elements))
}

/// TYPED-DATA with the hashes that signed data may be made with (RFC 8636 4).
pub fn accepted_digests() -> Vec<u8> {
    typed(super::TD_CMS_DIGEST_ALGORITHMS, &List::Items(&signed::digest_algorithms()))
}

/// TYPED-DATA with the hashes that certificates may be signed with (RFC 8636 5).
pub fn accepted_certificate_digests() -> Vec<u8> {
    let algorithms = signed::digest_algorithms();
    let data = TdCertDigestAlgorithms { allowed: List::Items(&algorithms), rejected: None };
    typed(super::TD_CERT_DIGEST_ALGORITHMS, &data)
}
