//! Somebody between a client and the KDC.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tests::Port;
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::place::*;

/// Somebody between client and server, whose certificate the client believes.
pub struct Middle {
    pub port: Port,
    _runtime: tokio::runtime::Runtime,
}

impl Middle {
    pub fn start(place: &Place) -> Middle {
        use rustls::pki_types::pem::PemObject;
        let provider = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let own = place.authority.sign("localhost");
        let certificate = CertificateDer::from_pem_slice(own.certificate.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from_pem_slice(own.key.as_bytes()).expect("PEM"));
        let server =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().expect("TLS");
        let server = server.with_no_client_auth().with_single_cert(vec![certificate], key).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(place.authority.pem.as_bytes()).expect("PEM")).expect("a root");
        let client =
            ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().expect("TLS");
        let client = client.with_root_certificates(roots).with_no_client_auth();
        let (acceptor, connector) = (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (port, real) = (Port::claim(), place.port.address());
        let listener = runtime.block_on(TcpListener::bind(port.address())).expect("bound");
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                tokio::spawn(async move {
                    let mut from = acceptor.accept(stream).await.ok()?;
                    let host = ServerName::try_from("localhost").expect("a name");
                    let stream = tokio::net::TcpStream::connect(real).await.ok()?;
                    let mut to = connector.connect(host, stream).await.ok()?;
                    tokio::io::copy_bidirectional(&mut from, &mut to).await.ok()
                });
            }
        });
        Middle { port, _runtime: runtime }
    }
}
