//! TLS for the API: our certificate, and the authority whose clients' certificates we believe. Not
//! here: whose they are ([`super::clients`]).

use std::path::Path;
use std::sync::Arc;

use libkrb::gss::ChannelBindings;
use libkrb::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// How TLS is spoken, and what it is bound to.
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) bindings: ChannelBindings,
}

impl Tls {
    /// Of PEM files: a chain, its key, and the authority of clients if they may have certificates.
    pub(super) fn load(chain: &Path, key: &Path, clients: Option<&Path>) -> Result<Tls> {
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
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for root in self::certificates(file)? {
                    roots.add(root).map_err(|error| Error::file(file, error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.allow_unauthenticated().build().map_err(|error| Error::file(file, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(certificates, secret).map_err(|error| Error::file(key, error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { config: Arc::new(config), bindings })
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|error| Error::file(file, format!("no certificates in PEM: {error}")))
}
