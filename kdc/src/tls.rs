//! Our certificate for TLS, read from files. Not here: certificates of others.

use std::path::Path;
use std::sync::Arc;

use libkrb::{Error, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// TLS with a chain of certificates and its key, both in PEM, for whoever comes, in HTTP/1.1.
///
/// # Errors
/// [`Error::File`] with what is wrong in which of them.
pub fn server(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let certificates =
        CertificateDer::pem_file_iter(chain).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| Error::file(chain, format!("no certificates in PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(Error::file(chain, "there is no certificate in it"));
    }
    let secret = PrivateKeyDer::from_pem_file(key);
    let secret = secret.map_err(|error| Error::file(key, format!("no private key in PEM: {error}")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| Error::file(chain, error))?;
    let config = builder.with_no_client_auth().with_single_cert(certificates, secret);
    let mut config = config.map_err(|error| Error::file(key, error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
