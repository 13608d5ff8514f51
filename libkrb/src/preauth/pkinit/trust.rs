//! Whose certificates are believed: anchors, intermediates, revocation lists, and the validation of a
//! path (RFC 5280 6) by rustls-webpki. Not here: what a certificate must say to be good for something.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, ExtendedKeyUsageValidator,
    KeyPurposeIdIter, RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
    anchor_from_trusted_cert,
};

use super::certificate::Certificate;
use super::distrust::Distrust;
use crate::crypto::Hash;
use crate::crypto::public::accepted;
use crate::error::{Error, ErrorCode, Result};
use crate::time::{Seconds, Time};
use crate::wire::{self, ExternalPrincipalIdentifier, SignerId};

/// How long a path that was found good is remembered, in seconds. A revocation list that is replaced
/// makes new [`Trust`], which remembers nothing; so only the end of an intermediate certificate or of
/// a list is noticed so much later.
const REMEMBERED_FOR: Seconds = 300;
/// How many paths are remembered; then all are forgotten. None comes in that was not verified.
const MOST_REMEMBERED: usize = 4096;
/// How many authorities of one name may come with a certificate: an old and a new key, or two who signed.
/// Each more is another way to look for, on every stage anew: fifteen kept a processor for a second.
const NAMESAKES: usize = 2;

/// Whose certificates are believed.
pub struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    anchor_certificates: Vec<Vec<u8>>,
    intermediates: Vec<CertificateDer<'static>>,
    revoked: Vec<CertRevocationList<'static>>,
    require_revocation: bool,
    good: Mutex<Remembered>,
}

/// Paths that were found good, by the hash of their certificates, and until when.
type Remembered = HashMap<Vec<u8>, (Time, Arc<Path>)>;

/// A path that was found good.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    /// The names of the authorities on it, the nearest first: Names without their tags.
    pub authorities: Vec<Vec<u8>>,
}

impl Trust {
    /// Believes whom these certificates in PEM believe. Of the intermediates any may be used to find a
    /// path, and of the revocation lists those of the authorities on it.
    ///
    /// # Errors
    /// [`Error::Setting`] for what holds no anchor, or something that is none.
    pub fn from_pem(anchors: &[u8], intermediates: &[u8], revoked: &[u8]) -> Result<Trust> {
        let wrong = |what: &str| Error::Setting(format!("{what} in PEM expected"));
        let anchors = certificates(anchors)?;
        let made = anchors.iter().map(|der| anchor_from_trusted_cert(der).map(|anchor| anchor.to_owned()));
        let made = made.collect::<Result<Vec<_>, _>>().map_err(|_| wrong("certificates of authorities"))?;
        if made.is_empty() {
            return Err(wrong("at least one certificate of an authority"));
        }
        let lists = CertificateRevocationListDer::pem_slice_iter(revoked).collect::<Result<Vec<_>, _>>();
        let lists = lists.map_err(|_| wrong("certificate revocation lists"))?;
        let read = |der: &CertificateRevocationListDer<'_>| {
            let list = BorrowedCertRevocationList::from_der(der).and_then(|list| list.to_owned());
            list.map(CertRevocationList::from).map_err(|_| wrong("certificate revocation lists (version 2)"))
        };
        Ok(Trust {
            anchors: made,
            anchor_certificates: anchors.iter().map(|der| der.to_vec()).collect(),
            intermediates: certificates(intermediates)?,
            revoked: lists.iter().map(read).collect::<Result<_>>()?,
            require_revocation: false,
            good: Mutex::default(),
        })
    }

    /// The same, that takes no certificate whose authority has no current revocation list here.
    #[must_use]
    pub fn requiring_revocation(self, require_revocation: bool) -> Trust {
        Trust { require_revocation, ..self }
    }

    /// The anchors, for a peer that wants to know whom we believe (RFC 4556 3.2.1, 3.2.2).
    pub fn certifiers(&self) -> Vec<Vec<u8>> {
        let parsed = self.anchor_certificates.iter().filter_map(|der| Certificate::parse(der).ok());
        parsed.map(|certificate| identifier(&certificate)).collect()
    }

    /// Validates a certificate, with the others that came with it, for signing at this time.
    ///
    /// # Errors
    /// The codes of RFC 4556 3.2.2.
    pub fn check(&self, certificate: &Certificate<'_>, others: &[&[u8]], now: Time) -> Result<Arc<Path>, Distrust> {
        let name = fingerprint(certificate, others);
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((until, path)) = good.get(&name).filter(|_| now < certificate.not_after) {
            // A clock that was set back remembers nothing, either.
            if (now..=now + REMEMBERED_FOR).contains(until) {
                return Ok(Arc::clone(path));
            }
        }
        drop(good);
        let path = Arc::new(self.find(certificate, others, now)?);
        good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.len() >= MOST_REMEMBERED {
            good.clear();
        }
        good.insert(name, (now + REMEMBERED_FOR, Arc::clone(&path)));
        Ok(path)
    }

    fn find(&self, certificate: &Certificate<'_>, others: &[&[u8]], now: Time) -> Result<Path, Distrust> {
        let der = CertificateDer::from(certificate.der);
        let leaf = EndEntityCert::try_from(&der).map_err(|error| refusal(&error))?;
        let sent = without_crowds(others).map(CertificateDer::from);
        let between: Vec<_> = sent.chain(self.intermediates.iter().map(|der| der.as_ref().into())).collect();
        let revoked: Vec<_> = self.revoked.iter().collect();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now.seconds().try_into().unwrap_or_default()));
        let path = leaf.verify_for_usage(
            &accepted(),
            &self.anchors,
            &between,
            time,
            AnyPurpose,
            self.revocation(&revoked)?,
            None,
        );
        let path = path.map_err(|error| refusal(&error))?;
        let mut authorities: Vec<_> = path.intermediate_certificates().map(|cert| cert.subject().to_vec()).collect();
        authorities.push(path.anchor().subject.to_vec());
        Ok(Path { authorities })
    }

    fn revocation<'a>(
        &self,
        revoked: &'a [&'a CertRevocationList<'a>],
    ) -> Result<Option<RevocationOptions<'a>>, Distrust> {
        let Ok(options) = RevocationOptionsBuilder::new(revoked) else {
            let unknown = ErrorCode::REVOCATION_STATUS_UNKNOWN;
            let cause = "there is no revocation list of the certificate's authority";
            return if self.require_revocation { Err(Distrust::new(unknown, cause)) } else { Ok(None) };
        };
        let unknown = if self.require_revocation { UnknownStatusPolicy::Deny } else { UnknownStatusPolicy::Allow };
        let options = options.with_depth(RevocationCheckDepth::Chain).with_status_policy(unknown);
        Ok(Some(options.with_expiration_policy(ExpirationPolicy::Enforce).build()))
    }
}

/// What names a certificate to a peer (RFC 4556 3.2.1): an [`ExternalPrincipalIdentifier`], encoded.
pub fn identifier(certificate: &Certificate<'_>) -> Vec<u8> {
    let issuer_and_serial = SignerId::issuer_and_serial(certificate.issuer, certificate.serial);
    let key = certificate.key_identifier().map(|identifier| wire::encode(&identifier));
    wire::encode(&ExternalPrincipalIdentifier {
        subject_name: Some(certificate.subject),
        issuer_and_serial: Some(&issuer_and_serial),
        key_identifier: key.as_deref(),
    })
}

/// The certificates of a text in PEM; texts around them are passed over.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |_| Error::Setting("certificates in PEM expected".to_owned());
    CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(wrong)
}

/// The certificates but for those of which there are too many of one name.
fn without_crowds<'a>(others: &'a [&'a [u8]]) -> impl Iterator<Item = &'a [u8]> {
    let mut seen: Vec<&[u8]> = vec![];
    others.iter().copied().filter(move |der| {
        let Ok(Certificate { subject, .. }) = Certificate::parse(der) else { return false };
        seen.push(subject);
        seen.iter().filter(|known| **known == subject).count() <= NAMESAKES
    })
}

fn fingerprint(certificate: &Certificate<'_>, others: &[&[u8]]) -> Vec<u8> {
    let parts = [certificate.der].into_iter().chain(others.iter().copied());
    let hashes: Vec<_> = parts.flat_map(|der| Hash::Sha256.of(der)).collect();
    Hash::Sha256.of(&hashes)
}

/// Extended key usage is looked at where the code is known that its absence has.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// The code and words for what webpki found (RFC 4556 3.2.2).
fn refusal(error: &webpki::Error) -> Distrust {
    use webpki::Error as E;
    let (code, cause) = match error {
        E::CertExpired { .. } => (ErrorCode::INVALID_CERTIFICATE, "a certificate has expired"),
        E::CertNotValidYet { .. } => (ErrorCode::INVALID_CERTIFICATE, "a certificate is not valid yet"),
        E::CertRevoked => (ErrorCode::REVOKED_CERTIFICATE, "a certificate was revoked"),
        E::UnknownRevocationStatus | E::CrlExpired { .. } | E::IssuerNotCrlSigner => {
            (ErrorCode::REVOCATION_STATUS_UNKNOWN, "no current revocation list says whether a certificate was revoked")
        }
        E::InvalidSignatureForPublicKey
        | E::SignatureAlgorithmMismatch
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            (ErrorCode::INVALID_CERTIFICATE, "the signature of a certificate does not verify")
        }
        E::UnsupportedSignatureAlgorithmContext(_) => {
            (ErrorCode::DIGEST_IN_CERT_NOT_ACCEPTED, "a certificate is signed with an algorithm that is not accepted")
        }
        E::UnknownIssuer => (ErrorCode::CANT_VERIFY_CERTIFICATE, "no path leads from the certificate to one of ours"),
        E::CaUsedAsEndEntity => (ErrorCode::INVALID_CERTIFICATE, "the certificate is that of an authority"),
        E::BadDer | E::BadDerTime | E::UnsupportedCertVersion => {
            (ErrorCode::INVALID_CERTIFICATE, "malformed certificate")
        }
        E::UnsupportedCriticalExtension => {
            (ErrorCode::INVALID_CERTIFICATE, "a certificate has a critical extension that is not known here")
        }
        _ => (ErrorCode::CANT_VERIFY_CERTIFICATE, "no valid path leads from the certificate to one of ours"),
    };
    Distrust::new(code, cause)
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = (self.anchors.len(), self.intermediates.len(), self.revoked.len());
        write!(f, "Trust({} anchors, {} intermediates, {} revocation lists)", counts.0, counts.1, counts.2)
    }
}
