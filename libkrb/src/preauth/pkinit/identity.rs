//! A private key with its certificate: what a client or a KDC proves itself with. Not here: the files
//! that it comes from ([`mod@file`]).

pub mod file;
mod sealed;

use std::fmt;

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::certificate::Certificate;
use super::trust::certificates;
use crate::crypto::public::SigningKey;
use crate::error::{Error, Result};
use crate::time::Time;

/// A private key with its certificate and those that lead from it towards an anchor.
pub struct Identity {
    key: SigningKey,
    chain: Vec<Vec<u8>>,
}

impl Identity {
    /// An identity of PEM: the certificate first and the others behind it; the key in the same text
    /// or another.
    ///
    /// # Errors
    /// [`Error::Setting`] when one of them is missing, is none, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Identity> {
        if sealed::is_sealed(key) {
            return Err(Error::Setting("the private key is sealed with a password, and none is known".to_owned()));
        }
        let expected = |_| Error::Setting("a private key in PEM expected".to_owned());
        let key = PrivateKeyDer::from_pem_slice(key).map_err(expected)?;
        let chain = certificates(chain)?.into_iter().map(|der| der.to_vec()).collect();
        Identity::new(key.secret_der(), chain)
    }

    /// An identity of PEM whose key is sealed with a password (`BEGIN ENCRYPTED PRIVATE KEY`).
    ///
    /// # Errors
    /// As [`Identity::from_pem`]; and when the password does not open it, or it is sealed otherwise than by
    /// PBES2 with AES, with the way out.
    pub fn from_sealed_pem(chain: &[u8], key: &[u8], password: &str) -> Result<Identity> {
        let key = sealed::open(key, password)?;
        let chain = certificates(chain)?.into_iter().map(|der| der.to_vec()).collect();
        Identity::new(&key, chain)
    }

    /// Whether the key in this PEM is sealed with a password.
    pub fn is_sealed(key: &[u8]) -> bool {
        sealed::is_sealed(key)
    }

    /// An identity of PKCS #12 (RFC 7292).
    ///
    /// # Errors
    /// As [`Identity::from_pem`]; and when the password does not open it.
    pub fn from_pkcs12(bytes: &[u8], password: &str) -> Result<Identity> {
        let problem = "not PKCS #12, or of another password";
        let store = KeyStore::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Relaxed);
        let store = store.map_err(|_| Error::Setting(problem.to_owned()))?;
        let (_, found) = store.private_key_chain().ok_or_else(|| Error::Setting("no private key in it".to_owned()))?;
        Identity::new(found.key().as_der(), found.certs().iter().map(|cert| cert.as_der().to_vec()).collect())
    }

    fn new(key: &[u8], chain: Vec<Vec<u8>>) -> Result<Identity> {
        let identity = Identity { key: SigningKey::from_der(key)?, chain };
        if identity.certificate()?.key.key.0 != identity.key.public_key() {
            let problem = "the certificate is that of another private key; the key's own stands first";
            return Err(Error::Setting(problem.to_owned()));
        }
        Ok(identity)
    }

    /// The certificate.
    ///
    /// # Errors
    /// [`Error::Setting`] when there is none.
    pub fn certificate(&self) -> Result<Certificate<'_>> {
        let der = self.chain.first().ok_or_else(|| Error::Setting("a certificate expected".to_owned()))?;
        Certificate::parse(der)
    }

    /// Until when the certificate is valid.
    pub fn not_after(&self) -> Time {
        self.certificate().map_or(Time::EPOCH, |certificate| certificate.not_after)
    }

    /// The certificates that are sent with a signature: never an anchor (RFC 4556 3.2.1).
    pub fn chain(&self) -> Vec<&[u8]> {
        let sent = |der: &&Vec<u8>| Certificate::parse(der).is_ok_and(|cert| cert.issuer != cert.subject);
        let (leaf, others) = (self.chain.first(), self.chain.iter().skip(1).filter(sent));
        leaf.into_iter().chain(others).map(Vec::as_slice).collect()
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}
