//! What these tests share: a realm with alice and a web service, servers on loopback, and requests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use libkrb::Principal;
use libkrb::ccache::Credential;
use libkrb::crypto::OsRandom;
use libkrb::gss::{InitiatorContext, InitiatorOptions, InitiatorStep, Mechanism};
use libkrb::http::server::{EachConnection, NegotiateLayer};
use libkrb::keytab::KeytabName;
use libkrb::replay::{MemoryReplayCache, ReplayCache};
use libkrb::service::{Acceptor, Options};
use tests::{Family, Realm, library};
use tokio::net::{TcpListener, TcpStream};

const SERVICE: &str = "HTTP/web.example.org";

/// A realm with alice and a web service, for which she has a ticket.
pub struct Site {
    realm: Realm,
    pub keytab: PathBuf,
    configuration: String,
    ticket: Credential,
}

impl Site {
    pub fn start() -> Site {
        let realm = Realm::start(Family::Ours);
        realm.add("alice", "secret", &[]);
        let keytab = realm.add_service(SERVICE);
        let seat = realm.seat(Family::Ours);
        let ticket = library::ticket(&seat, "alice", "secret", SERVICE);
        let configuration = std::fs::read_to_string(seat.configuration()).expect("the client's krb5.conf");
        drop(seat);
        Site { realm, keytab, configuration, ticket }
    }

    /// The text of a krb5.conf for the realm.
    pub fn configuration(&self) -> &str {
        &self.configuration
    }

    /// The service.
    pub fn service(&self) -> Principal {
        Principal::parse(SERVICE, Some(self.realm.name())).expect("a principal")
    }

    /// A layer with the service's key and a replay cache of its own.
    pub fn layer(&self) -> NegotiateLayer {
        self.layer_with(Arc::new(MemoryReplayCache::new(300, 1000)))
    }

    /// A layer with the service's key.
    pub fn layer_with(&self, replay: Arc<dyn ReplayCache>) -> NegotiateLayer {
        let keytab = KeytabName::File(self.keytab.clone()).load().expect("a keytab");
        NegotiateLayer::new(Arc::new(Acceptor::new(&keytab, Options::default(), replay).expect("an acceptor")))
    }

    /// A layer with another service's key.
    pub fn layer_of(&self, service: &str) -> NegotiateLayer {
        NegotiateLayer::new(Arc::new(library::acceptor(&self.realm.add_service(service))))
    }

    /// A context of alice's, and its first token.
    pub fn begin_raw(&self, mechanism: Mechanism) -> (InitiatorContext, Vec<u8>) {
        let options = InitiatorOptions { mechanism, ..InitiatorOptions::default() };
        let mut alice = InitiatorContext::new(&self.ticket, options).expect("a context");
        match alice.step(library::now(), &mut OsRandom::new(), None).expect("a token") {
            InitiatorStep::Continue(token) => (alice, token),
            InitiatorStep::Done(..) => panic!("it waits for the service's proof"),
        }
    }

    /// A context of alice's, and the value of the Authorization header that begins it.
    pub fn begin(&self, mechanism: Mechanism) -> (InitiatorContext, String) {
        let (alice, token) = self.begin_raw(mechanism);
        (alice, authorization(&token))
    }

    /// The value of the Authorization header with a new token of alice's.
    pub fn token(&self) -> String {
        self.begin(Mechanism::Kerberos).1
    }
}

/// The value of the Authorization header with a token.
pub fn authorization(token: &[u8]) -> String {
    format!("Negotiate {}", base64(token))
}

/// Base64, which this crate has no need of elsewhere.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let bits = piece.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - piece.len()));
        for at in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize] as char;
            text.push(if at > piece.len() { '=' } else { letter });
        }
    }
    text
}

/// What base64 stands for.
fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters: Vec<u32> = text
        .chars()
        .filter(|letter| *letter != '=')
        .map(|letter| ALPHABET.find(letter).expect("base64") as u32)
        .collect();
    let bits = letters.iter().flat_map(|letter| (0..6).rev().map(move |bit| letter >> bit & 1)).collect::<Vec<_>>();
    bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | *bit as u8)).collect()
}

/// Runs a test on one thread: whoever holds it holds up everybody.
pub fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(tests::PATIENCE, test).await.expect("an end in time") })
}

/// Serves a router on loopback.
pub async fn serve(router: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Serves a router that knows its connections.
pub async fn serve_with_connections(router: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, EachConnection::new(router.into_make_service())).await });
    address
}

pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The token of WWW-Authenticate.
    pub fn token(&self) -> Option<Vec<u8>> {
        self.header("www-authenticate").strip_prefix("Negotiate ").map(from_base64)
    }
}

/// One connection, over which requests go one after the other.
pub enum Wire {
    Http1(hyper::client::conn::http1::SendRequest<Empty<Bytes>>),
    Http2(hyper::client::conn::http2::SendRequest<Empty<Bytes>>),
}

impl Wire {
    pub async fn http1(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        Wire::Http1(sender)
    }

    pub async fn http2(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        Wire::Http2(sender)
    }

    /// Asks; the error is that of a connection that the server has cut.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> hyper::Result<Answer> {
        let uri = match self {
            Wire::Http1(_) => path.to_owned(),
            Wire::Http2(_) => format!("http://web.example.org{path}"),
        };
        let request = Request::get(uri).header("host", "web.example.org");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Empty::new()).expect("a request");
        let answer = match self {
            Wire::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Wire::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let body = String::from_utf8(body).expect("text");
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// Asks over a connection of its own.
pub async fn get_with(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    Wire::http1(address).await.get(path, headers).await.expect("an answer")
}
