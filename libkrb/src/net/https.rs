//! One message to a proxy and its answer back, over HTTPS (MS-KKDCP 3.1): a POST on a connection of its own. The proxy
//! has to show a certificate for the host that krb5.conf or DNS name, from an authority of `http_anchors` or else of
//! the system. Not here: which proxy is asked when ([`super::search`]).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, http};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::{Config, HttpAnchor};
use crate::wire::KdcProxyMessage;

/// The longest answer: MIT's bound, and what HTTP and DER put around it.
const MAX_ANSWER: usize = (1 << 20) + 64;
/// The longest head of an answer.
const MAX_HEAD: usize = 64 << 10;
/// More files of a directory of anchors are not read.
const MAX_FILES: usize = 4096;

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// Without the first slash.
    pub(super) path: String,
}

/// How TLS is spoken for each realm; read once, for connections can then take up where others ended.
#[derive(Clone, Default)]
pub(super) struct Trust(Arc<Mutex<BTreeMap<String, Arc<ClientConfig>>>>);

impl Trust {
    /// Reads the anchors of a realm, when this is the first time.
    pub(super) fn of(&self, config: &Config, realm: &str) -> io::Result<Arc<ClientConfig>> {
        let known = |trust: &Trust| trust.0.lock().unwrap_or_else(PoisonError::into_inner).get(realm).cloned();
        if let Some(tls) = known(self) {
            return Ok(tls);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let tls = Arc::new(builder.with_root_certificates(roots(config, realm)?).with_no_client_auth());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(realm.to_owned(), Arc::clone(&tls));
        Ok(tls)
    }
}

/// The authorities that are believed.
fn roots(config: &Config, realm: &str) -> io::Result<RootCertStore> {
    let anchors = config.http_anchors(realm).map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    let mut roots = RootCertStore::empty();
    if anchors.is_empty() {
        // What can't be read of the system's is not believed; that is all.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    for anchor in &anchors {
        match anchor {
            HttpAnchor::File(file) => {
                let wrong = |error: &dyn Display| named(file, error);
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| wrong(&error))?;
                }
            }
            HttpAnchor::Directory(directory) => {
                let entries = std::fs::read_dir(directory).map_err(|error| named(directory, &error))?;
                for file in entries.flatten().take(MAX_FILES).map(|entry| entry.path()) {
                    // Directories of certificates hold other things too.
                    roots.add_parsable_certificates(certificates(&file).unwrap_or_default());
                }
            }
        }
    }
    match roots.is_empty() {
        true => Err(io::Error::new(ErrorKind::NotFound, "no authority is known to believe; set http_anchors")),
        false => Ok(roots),
    }
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|error| named(file, &error))
}

fn named(file: &Path, error: &dyn Display) -> io::Error {
    io::Error::other(format!("http_anchors: {}: {error}", file.display()))
}

impl Proxy {
    /// Asks the proxy at one of its addresses for an answer of the realm.
    pub(super) async fn ask(
        &self,
        address: SocketAddr,
        tls: Arc<ClientConfig>,
        realm: &str,
        message: &[u8],
    ) -> io::Result<Vec<u8>> {
        let body = KdcProxyMessage::wrap(message, Some(realm)).map_err(io::Error::other)?;
        let body = self.post(address, tls, body).await?;
        let answer = KdcProxyMessage::read(&body).and_then(|answer| answer.message());
        answer.map(<[u8]>::to_vec).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }

    async fn post(&self, address: SocketAddr, tls: Arc<ClientConfig>, body: Vec<u8>) -> io::Result<Bytes> {
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(tls).connect(name, stream).await?;
        let request = self.request(body).map_err(io::Error::other)?;
        let mut builder = http1::Builder::new();
        let (mut sender, connection) =
            builder.max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let exchange = async move {
            let answer = sender.send_request(request).await.map_err(io::Error::other)?;
            match answer.status() {
                // Another place than krb5.conf names is never asked.
                StatusCode::OK => {}
                status => return Err(io::Error::other(format!("the proxy answers {status}"))),
            }
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(io::Error::other)?;
            Ok(body.to_bytes())
        };
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            // All has come; what is left of it is in the exchange.
            _ = connection => exchange.await,
        }
    }

    fn request(&self, body: Vec<u8>) -> http::Result<Request<Full<Bytes>>> {
        let Proxy { host, port, path } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let host = if *port == 443 { host } else { format!("{host}:{port}") };
        let headers = [
            (HOST, &*host),
            (CONTENT_TYPE, "application/kerberos"),
            (CACHE_CONTROL, "no-cache"),
            (USER_AGENT, "kerberos/1.0"),
            (CONNECTION, "close"),
        ];
        let request = Request::post(format!("/{path}"));
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        request.body(Full::new(body.into()))
    }
}
