//! A full TLS 1.3 handshake with P-256 certificates on both sides, in memory, nothing resumed.

use std::sync::Arc;

use bench::thread_nanos;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use crate::Cost;

pub fn cost(rounds: usize) -> Cost {
    let (client, server) = configurations();
    let name = ServerName::try_from("ads.shop").expect("a name");
    let (mut of_client, mut of_server) = (0, 0);
    for _ in 0..rounds {
        let start = thread_nanos();
        let mut caller = ClientConnection::new(client.clone(), name.clone()).expect("a client");
        of_client += thread_nanos() - start;
        let start = thread_nanos();
        let mut service = ServerConnection::new(server.clone()).expect("a server");
        of_server += thread_nanos() - start;
        while caller.is_handshaking() || service.is_handshaking() {
            let start = thread_nanos();
            let mut wire = vec![];
            while caller.wants_write() {
                caller.write_tls(&mut wire).expect("memory");
            }
            let middle = thread_nanos();
            let mut rest = &wire[..];
            while !rest.is_empty() {
                service.read_tls(&mut rest).expect("memory");
                service.process_new_packets().expect("a handshake");
            }
            let mut wire = vec![];
            while service.wants_write() {
                service.write_tls(&mut wire).expect("memory");
            }
            let end = thread_nanos();
            let mut rest = &wire[..];
            while !rest.is_empty() {
                caller.read_tls(&mut rest).expect("memory");
                caller.process_new_packets().expect("a handshake");
            }
            of_client += middle - start + (thread_nanos() - end);
            of_server += end - middle;
        }
    }
    let each = |nanos: u64| nanos as f64 / 1000.0 / rounds as f64;
    Cost { client: each(of_client), server: each(of_server) }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn configurations() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let mut authority = CertificateParams::new(vec![]).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("a root");
    let roots = Arc::new(roots);
    let identity = |name: &str| -> Identity {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = parameters.signed_by(&key, &authority).expect("a certificate");
        (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
    };
    let (chain, key) = identity("gateway.shop");
    let client = ClientConfig::builder_with_protocol_versions(&[&TLS13]).with_root_certificates(roots.clone());
    let mut client = client.with_client_auth_cert(chain, key).expect("a client");
    client.resumption = Resumption::disabled();
    let (chain, key) = identity("ads.shop");
    let verifier = WebPkiClientVerifier::builder(roots).build().expect("a verifier");
    let server = ServerConfig::builder_with_protocol_versions(&[&TLS13]).with_client_cert_verifier(verifier);
    let mut server = server.with_single_cert(chain, key).expect("a server");
    server.send_tls13_tickets = 0;
    (Arc::new(client), Arc::new(server))
}
