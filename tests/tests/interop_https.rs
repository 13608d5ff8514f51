//! Channel bindings (RFC 5929) between our layer behind TLS and clients of others: who binds by
//! itself, and that a token which somebody in the middle passes on is refused.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use libkrb::gss::ChannelBindings;
use libkrb::http::server::{Connection, Counters, NegotiateLayer, OfConnection};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tests::caller::{Answer, chromium, curl, curls_answer, requests};
use tests::website::{SERVICE, pages};
use tests::{Pair, Port, Seat, suite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

suite! {
    our_tools_our_kdc: Ours, Ours;
    => {
        requests_binds_to_the_certificate;
        who_does_not_bind_is_refused_only_where_that_is_required;
        a_token_that_is_passed_on_is_refused;
    }
}

/// A certificate and its key.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn new(algorithm: &'static SignatureAlgorithm) -> Identity {
        let pair = KeyPair::generate_for(algorithm).expect("a key");
        let parameters = CertificateParams::new(["localhost".to_owned()]).expect("parameters of a certificate");
        let certificate = parameters.self_signed(&pair).expect("a certificate");
        Identity { certificate: certificate.into(), key: PrivateKeyDer::try_from(pair.serialize_der()).expect("a key") }
    }

    fn bindings(&self) -> ChannelBindings {
        ChannelBindings::of_certificate(&self.certificate).expect("a signature with a hash")
    }
}

/// The website behind TLS. Gone when dropped.
struct Site {
    port: Port,
    counters: Arc<Counters>,
    _runtime: Runtime,
}

impl Site {
    /// With a certificate that clients see, and the channel that the layer believes to be spoken in.
    fn start(
        keytab: &Path,
        shown: Identity,
        believed: ChannelBindings,
        layer: fn(NegotiateLayer) -> NegotiateLayer,
    ) -> Site {
        let (router, counters) = pages(keytab, layer);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
        let tls =
            tls.with_no_client_auth().with_single_cert(vec![shown.certificate], shown.key).expect("a certificate");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (runtime, port) = (runtime.expect("a runtime"), Port::claim());
        let listener = runtime.block_on(TcpListener::bind(port.address())).expect("the site's port");
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), router, believed));
        Site { port, counters, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/", self.port.number())
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, router: Router, bindings: ChannelBindings) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, connection) = (tls.clone(), Connection::new().with_bindings(bindings.clone()));
        let service = TowerToHyperService::new(OfConnection::new(router.clone(), connection));
        tokio::spawn(async move {
            // A client that does not like the certificate goes away.
            let Ok(stream) = tls.accept(stream).await else { return };
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// A site that requires bindings and has them right.
fn strict(keytab: &Path, algorithm: &'static SignatureAlgorithm) -> Site {
    let identity = Identity::new(algorithm);
    let bindings = identity.bindings();
    Site::start(keytab, identity, bindings, NegotiateLayer::require_bindings)
}

/// The site's keys, and alice with a ticket.
fn at_a_realm(pair: Pair, test: impl FnOnce(&Path, &Seat<'_>)) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    test(&keytab, &seat);
}

/// What Python's requests gets, bound to the certificate that it sees.
fn bound(seat: &Seat<'_>, site: &Site) -> Option<Answer> {
    let said = requests(seat)?.args([&site.url(), "required", "1", "bound"]).run().succeeds();
    Some(Answer::parse(said.stdout()))
}

/// What Chromium gets.
fn browsers(seat: &Seat<'_>, site: &Site) -> Option<String> {
    let options = ["--auth-server-allowlist=localhost", "--ignore-certificate-errors"];
    Some(chromium(seat, &options)?.args([site.url()]).run().succeeds().stdout().to_owned())
}

/// What curl of Debian 12 gets, which does not bind.
fn unbound(seat: &Seat<'_>, site: &Site) -> Option<Answer> {
    Some(curls_answer(&curl(seat)?.args(["--insecure", &site.url()]).run().succeeds()))
}

const CALLER: &str = "caller alice@EXAMPLE.ORG";

fn requests_binds_to_the_certificate(pair: Pair) {
    at_a_realm(pair, |keytab, seat| {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384] {
            let Some(answer) = bound(seat, &strict(keytab, algorithm)) else { return };
            assert!(answer.page.starts_with(CALLER) && answer.proven == Some(true), "{answer:?}");
        }
    });
}

fn who_does_not_bind_is_refused_only_where_that_is_required(pair: Pair) {
    at_a_realm(pair, |keytab, seat| {
        let strict = strict(keytab, &PKCS_ECDSA_P256_SHA256);
        let identity = Identity::new(&PKCS_ECDSA_P256_SHA256);
        let bindings = identity.bindings();
        let lenient = Site::start(keytab, identity, bindings, |layer| layer);
        if let Some(refused) = unbound(seat, &strict) {
            assert_eq!(refused.status, Some(401), "{refused:?}");
            assert!(unbound(seat, &lenient).expect("the same curl").page.starts_with(CALLER));
        }
        // Chromium does not bind either on Linux.
        if let Some(refused) = browsers(seat, &strict) {
            assert!(!refused.contains(CALLER), "{refused}");
            assert!(browsers(seat, &lenient).expect("the same browser").contains(CALLER));
        }
    });
}

/// Somebody in the middle shows a certificate of his own, and passes on what he gets: the token is
/// bound to a channel that the site does not speak in.
fn a_token_that_is_passed_on_is_refused(pair: Pair) {
    at_a_realm(pair, |keytab, seat| {
        let [his, ours] = [(); 2].map(|()| Identity::new(&PKCS_ECDSA_P256_SHA256));
        let site = Site::start(keytab, his, ours.bindings(), |layer| layer);
        let Some(answer) = bound(seat, &site) else { return };
        assert_eq!(answer.status, Some(401), "{answer:?}");
        assert_eq!(site.counters.negotiated(), 0, "{:?}", site.counters);
        assert!(site.counters.refused().contains_key("KRB_ERR_GENERIC"), "{:?}", site.counters);
    });
}
