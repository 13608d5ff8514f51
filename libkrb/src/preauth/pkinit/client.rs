//! The client's side: what it sends, and the reply key that the KDC's answer leads to (RFC 4556
//! 3.2.1, 3.2.4, RFC 8062 4.1.1, RFC 8070). Not here: when it asks, and with what configuration.

use super::certificate::{Certificate, Purpose};
use super::distrust::Distrust;
use super::identity::Identity;
use super::kdf::{Binding, Kdf};
use super::signed;
use super::trust::Trust;
use crate::crypto::public::{Group, Secret};
use crate::crypto::{Hash, Key, Random, sha1};
use crate::error::{Error, ErrorCode, Result};
use crate::name::Principal;
use crate::time::{Instant, Time};
use crate::wire::{
    self, Any, AuthPack, ExternalPrincipalIdentifier, KdcDhKeyInfo, List, Oid, PaChecksum2, PaPkAsRep, PaPkAsReq,
    PkAuthenticator,
};

/// More anchors than this are not told to the KDC: they are a hint, and make the request long.
const MOST_CERTIFIERS: usize = 8;

/// What a request is made of.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Who asks; `None`: nobody in particular (RFC 8062).
    pub identity: Option<&'a Identity>,
    /// Whom the client believes.
    pub trust: &'a Trust,
    /// Where the secret is agreed upon.
    pub group: Group,
    /// The KDC's clock, as far as it is known.
    pub now: Instant,
    /// The KDC-REQ-BODY as it will be sent.
    pub body: &'a [u8],
    /// The nonce in it: MIT's KDC sends this one back, whichever the proof has.
    pub nonce: u32,
    /// What the KDC sent to show that the request is recent.
    pub freshness: Option<&'a [u8]>,
    /// Whether to say nothing that RFC 4556 did not have within its own structures: Heimdal's KDC loses
    /// what follows.
    pub plain: bool,
}

/// A request that is out.
#[derive(Debug)]
pub struct Asked {
    secret: Secret,
    nonce: u32,
}

/// How a KDC has to show that it is one of its realm (RFC 4556 3.2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KdcRules {
    /// `pkinit_kdc_hostname`: hosts whose certificates are taken without the realm's name in them.
    pub hosts: Vec<String>,
    /// `pkinit_eku_checking`: what these certificates have to be meant for.
    pub purpose: KdcPurpose,
}

/// `pkinit_eku_checking`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KdcPurpose {
    /// `kpKDC`: id-pkinit-KPKdc.
    #[default]
    Kdc,
    /// `kpServerAuth`: that, or a server of TLS, as Windows has it.
    Server,
    /// `none`: whatever they say.
    Any,
}

impl KdcPurpose {
    /// The value of `pkinit_eku_checking`.
    pub fn parse(text: &str) -> Option<KdcPurpose> {
        [("kpKDC", KdcPurpose::Kdc), ("kpServerAuth", KdcPurpose::Server), ("none", KdcPurpose::Any)]
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, purpose)| purpose)
    }

    fn accepted(self) -> &'static [Purpose] {
        match self {
            KdcPurpose::Kdc | KdcPurpose::Any => &[Purpose::PkinitKdc],
            KdcPurpose::Server => &[Purpose::PkinitKdc, Purpose::ServerAuth],
        }
    }
}

impl Ask<'_> {
    /// The value of PA-PK-AS-REQ, and what is needed to read the answer.
    ///
    /// # Errors
    /// [`Error::Random`] when the library fails.
    pub fn request(&self, random: &mut dyn Random) -> Result<(Vec<u8>, Asked)> {
        let nonce = self.nonce;
        let secret = self.group.generate(random)?;
        let public = secret.public_key_info()?;
        let (checksum, better) = (sha1(&[self.body]), Hash::Sha256.of(self.body));
        let checksum2 = PaChecksum2 { checksum: &better, algorithm: signed::digest_algorithm(Hash::Sha256) };
        let (kdfs, algorithms) = (Kdf::ALL.map(Kdf::id), signed::algorithms());
        let pack = AuthPack {
            authenticator: PkAuthenticator {
                micros: self.now.micros,
                time: self.now.time,
                nonce,
                checksum: Some(&checksum),
                freshness_token: self.freshness,
                checksum2: (!self.plain).then_some(checksum2),
            },
            client_public_value: Some(Any(&public)),
            // Without this Heimdal's KDC signs with SHA-1.
            supported_cms_types: Some(List::Items(&algorithms)),
            client_dh_nonce: None,
            supported_kdfs: Some(List::Items(&kdfs)),
        };
        let signed_auth_pack = &*signed::sign(self.identity, Oid::PKINIT_AUTH_DATA, &wire::encode(&pack))?;
        let certifiers = self.trust.certifiers();
        let certifiers = certifiers.iter().map(|der| wire::decode(der)).collect::<Result<Vec<_>>>()?;
        let told = !certifiers.is_empty() && certifiers.len() <= MOST_CERTIFIERS;
        let trusted_certifiers: Option<List<'_, ExternalPrincipalIdentifier<'_>>> =
            told.then_some(List::Items(&certifiers));
        let value = wire::encode(&PaPkAsReq { signed_auth_pack, trusted_certifiers, kdc_pk_id: None });
        Ok((value, Asked { secret, nonce }))
    }
}

impl Asked {
    /// The reply key, if the KDC shows that it is one of its realm, and how it was derived (`None`: as
    /// RFC 4556 says). `binding.reply` is the value of PA-PK-AS-REP.
    ///
    /// # Errors
    /// KDC_NOT_TRUSTED with the reason; [`Error::Malformed`], [`Error::ReplyMismatch`].
    pub fn reply_key(
        &self,
        binding: &Binding<'_>,
        trust: &Trust,
        rules: &KdcRules,
        now: Time,
    ) -> Result<(Key, Option<Kdf>)> {
        let PaPkAsRep::Dh(info) = wire::decode(binding.reply)? else {
            return Err(Error::ReplyMismatch("a key that was sent where one was to be agreed upon"));
        };
        let opened = signed::open(info.signed_data, Oid::PKINIT_DH_KEY_DATA)?;
        let Some(claim) = opened.claim else {
            return Err(Distrust::new(ErrorCode::KDC_NOT_TRUSTED, "the KDC did not sign its answer").into());
        };
        trust.check(&claim.certificate, &claim.others, now)?;
        claim.verify()?;
        check_kdc(&claim.certificate, binding.server.realm(), rules)?;
        let theirs: KdcDhKeyInfo<'_> = wire::decode(opened.content)?;
        if theirs.nonce != self.nonce || theirs.expiration.is_some() || info.server_dh_nonce.is_some() {
            return Err(Error::ReplyMismatch("the KDC's signature is over another exchange"));
        }
        let unknown = Error::ReplyMismatch("a key derivation that was not offered");
        let kdf = info.kdf.map(|id| Kdf::of(&id).ok_or(unknown)).transpose()?;
        let secret = self.secret.agree(theirs.public_key.0)?;
        Ok((binding.reply_key(&secret, kdf)?, kdf))
    }
}

/// Whether a certificate is that of a KDC of the realm: it has the realm's ticket-granting service for
/// a name, or that of a configured host and the purpose of a KDC.
fn check_kdc(certificate: &Certificate<'_>, realm: &str, rules: &KdcRules) -> Result<(), Distrust> {
    certificate.check_signs()?;
    let names = certificate.names();
    if names.principals.contains(&Principal::tgs(realm)) {
        return Ok(());
    }
    let known = |dns: &String| rules.hosts.iter().any(|host| host.eq_ignore_ascii_case(dns));
    if !names.dns.iter().any(known) {
        let cause = "its certificate names neither the realm nor a host of pkinit_kdc_hostname";
        return Err(Distrust::new(ErrorCode::KDC_NAME_MISMATCH, cause));
    }
    if rules.purpose == KdcPurpose::Any {
        return Ok(());
    }
    certificate.check_purpose(rules.purpose.accepted())
}

/// The group to try again in, after KDC_ERR_DH_KEY_PARAMETERS_NOT_ACCEPTED with this
/// TD-DH-PARAMETERS: the KDC's first that is no weaker than `least` and was not tried.
pub fn other_group(parameters: &[u8], least: Group, tried: &[Group]) -> Option<Group> {
    let algorithms: List<'_, wire::AlgorithmIdentifier<'_>> = wire::decode(parameters).ok()?;
    let groups = algorithms.iter().take(16).filter_map(|algorithm| Group::of(&algorithm));
    groups.into_iter().find(|group| *group >= least && !tried.contains(group))
}
