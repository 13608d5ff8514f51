//! A service of ours over axum, which remembers how it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{AUTHORIZATION, COOKIE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use libkrb::Principal;
use libkrb::credentials::Credentials;
use libkrb::http::Caller;
use libkrb::http::server::NegotiateLayer;
use libkrb::http::session::{SessionKeys, Sessions};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::Options;
use tests::{Family, Realm};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{SERVICE, config};

/// What proved who sent a request, and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub authorization: String,
    pub cookie: String,
    pub body: String,
}

impl Asked {
    /// The scheme of the Authorization header.
    pub fn scheme(&self) -> &str {
        self.authorization.split(' ').next().unwrap_or_default()
    }
}

/// A running service.
pub struct Site {
    pub port: u16,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The layer of a service that the realm has, made as a service makes it.
pub async fn layer(realm: &Realm) -> NegotiateLayer {
    let keytab = format!("FILE:{}", realm.keytab(SERVICE).display());
    let config = config(&realm.seat(Family::Ours));
    let credentials = Credentials::from_keytab(&keytab).config(config).accept_only();
    let credentials = credentials.start().await.expect("the service's credentials");
    let replay = Arc::new(MemoryReplayCache::new(300, 10_000));
    NegotiateLayer::new(credentials.acceptor(Options::default(), replay).expect("an acceptor"))
}

/// Sessions in bearer tokens.
pub fn sessions() -> Sessions {
    let service = Principal::parse(SERVICE, Some("EXAMPLE.ORG")).expect("a principal");
    Sessions::bearer(SessionKeys::random().expect("keys"), &service)
}

impl Site {
    /// Serves without TLS; without a layer it asks nobody who calls.
    pub async fn start(layer: Option<NegotiateLayer>) -> Site {
        let (router, asked) = router(layer);
        let (listener, port) = listen().await;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Site { port, scheme: "http", asked }
    }

    /// Serves over TLS.
    pub async fn start_tls(layer: Option<NegotiateLayer>, acceptor: TlsAcceptor) -> Site {
        let (router, asked) = router(layer);
        let (listener, port) = listen().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, router) = (acceptor.clone(), router.clone());
                tokio::spawn(async move {
                    let stream = TokioIo::new(acceptor.accept(stream).await.ok()?);
                    let service = hyper_util::service::TowerToHyperService::new(router);
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    server.serve_connection(stream, service).await.ok()
                });
            }
        });
        Site { port, scheme: "https", asked }
    }

    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.host())
    }

    /// How it was asked since this was called last.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("what was asked"))
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// `/STATUS?URL` leads to the URL with that status; everything else says hello, to whom, and what it
/// was told.
fn router(layer: Option<NegotiateLayer>) -> (Router, Arc<Mutex<Vec<Asked>>>) {
    let asked = Arc::new(Mutex::new(vec![]));
    let router = Router::new().fallback(any(answer));
    let router = match layer {
        Some(layer) => router.layer(layer),
        None => router,
    };
    let seen = asked.clone();
    let router = router.layer(axum::middleware::map_request(move |request: Request| note(seen.clone(), request)));
    (router, asked)
}

async fn note(seen: Arc<Mutex<Vec<Asked>>>, request: Request) -> Request {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let text =
        |name| parts.headers.get(name).map_or("", |value: &HeaderValue| value.to_str().expect("text")).to_owned();
    let asked = Asked {
        authorization: text(AUTHORIZATION),
        cookie: text(COOKIE),
        body: String::from_utf8(body.to_vec()).expect("text"),
    };
    seen.lock().expect("what was asked").push(asked);
    Request::from_parts(parts, axum::body::Body::from(body))
}

async fn answer(uri: Uri, caller: Option<Caller>, body: String) -> Response {
    let path = uri.path().trim_matches('/');
    if let Ok(status) = path.parse::<StatusCode>() {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_str(uri.query().expect("a URL")).expect("a URL"));
        return (status, headers).into_response();
    }
    let caller = caller.map_or_else(|| "nobody".to_owned(), |caller| caller.to_string());
    ([("x-user", caller)], format!("hello{body}")).into_response()
}
