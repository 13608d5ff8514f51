//! TLS for the API: our certificate, and the authority whose clients' certificates we believe, unless
//! it has revoked them. Not here: whose they are ([`super::clients`]).

use std::path::Path;
use std::sync::Arc;

use libkrb::gss::ChannelBindings;
use libkrb::{Error, Result};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

/// How TLS is spoken, and what it is bound to.
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) bindings: ChannelBindings,
}

impl Tls {
    /// Of PEM files: a chain, its key, the authority of clients if they may have certificates, and
    /// what it has revoked.
    pub(super) fn load(chain: &Path, key: &Path, clients: Option<&Path>, revoked: Option<&Path>) -> Result<Tls> {
        let certificates = certificates(chain)?;
        let own = certificates.first().ok_or_else(|| Error::file(chain, "there is no certificate in it"))?;
        let bindings = ChannelBindings::of_certificate(own).map_err(|error| Error::file(chain, error))?;
        let secret = PrivateKeyDer::from_pem_file(key);
        let secret = secret.map_err(|error| Error::file(key, format!("no private key in PEM: {error}")))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| Error::file(chain, error))?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(file) => builder.with_client_cert_verifier(verifier(file, revoked, provider)?),
        };
        let mut config = builder.with_single_cert(certificates, secret).map_err(|error| Error::file(key, error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { config: Arc::new(config), bindings })
    }
}

/// Believes clients' certificates of the authority in `file`. With lists of what is revoked, one for
/// every authority of a chain is needed, and none may be out of date: who holds back a list must not
/// keep a certificate alive.
fn verifier(file: &Path, revoked: Option<&Path>, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for root in certificates(file)? {
        roots.add(root).map_err(|error| Error::file(file, error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated();
    let Some(lists) = revoked else { return builder.build().map_err(|error| Error::file(file, error)) };
    let read = CertificateRevocationListDer::pem_file_iter(lists).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| Error::file(lists, format!("no revocation lists in PEM: {error}")))?;
    if read.is_empty() {
        return Err(Error::file(lists, "there is no revocation list in it"));
    }
    let builder = builder.with_crls(read).enforce_revocation_expiration();
    builder.build().map_err(|error| Error::file(lists, error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|error| Error::file(file, format!("no certificates in PEM: {error}")))
}
