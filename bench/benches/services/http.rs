//! A whole request through the HTTP layer, without sockets: with a ticket, and with the session that
//! follows.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libkrb::Principal;
use libkrb::gss::Mechanism;
use libkrb::http::server::NegotiateLayer;
use libkrb::http::session::{Cookie, HEADER, SessionKeys, Sessions};
use libkrb::time::Instant;
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::kerberos::Site;
use crate::{Cost, micros};

pub fn costs(site: &Site, rounds: usize) -> Vec<(&'static str, Cost)> {
    let service = Principal::parse("HTTP/bench.example.org@EXAMPLE.ORG", None).expect("a name");
    let keys = SessionKeys::random().expect("random octets");
    let bearer = Sessions::bearer(keys.clone(), &service);
    let cookie = Sessions::cookie(keys, &service, Cookie::default()).expect("a cookie");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    vec![
        ("HTTP layer, ticket (SPNEGO)", by_ticket(site, &runtime, rounds)),
        ("HTTP layer, session bearer", by_session(site, &runtime, bearer, rounds)),
        ("HTTP layer, session cookie", by_session(site, &runtime, cookie, rounds)),
    ]
}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::empty()))
}

fn request(name: &str, value: &str) -> Request<Body> {
    Request::get("/").header(name, value).body(Body::empty()).expect("a request")
}

fn negotiate(token: &[u8]) -> Request<Body> {
    request(AUTHORIZATION.as_str(), &format!("Negotiate {}", STANDARD.encode(token)))
}

fn by_ticket(site: &Site, runtime: &Runtime, rounds: usize) -> Cost {
    let layer = NegotiateLayer::new(site.acceptor()).layer(service_fn(hello));
    let now = tests::library::now();
    let at = |round: usize| Instant::from_micros(now.as_micros() + round as i64);
    let mut requests = Vec::with_capacity(rounds);
    let client = micros(rounds, || {
        requests.extend((0..rounds).map(|round| negotiate(&site.initiate(Mechanism::Spnego, at(round)).1)));
    });
    Cost { client, server: serve(runtime, layer, requests) }
}

fn by_session(site: &Site, runtime: &Runtime, sessions: Sessions, rounds: usize) -> Cost {
    let layer = NegotiateLayer::new(site.acceptor()).sessions(sessions).layer(service_fn(hello));
    let first = negotiate(&site.initiate(Mechanism::Spnego, tests::library::now()).1);
    let answer = runtime.block_on(layer.clone().oneshot(first)).expect("an answer");
    let (name, value) = credential(answer.headers());
    let mut requests = Vec::with_capacity(rounds);
    let client = micros(rounds, || requests.extend((0..rounds).map(|_| request(name, &value))));
    Cost { client, server: serve(runtime, layer, requests) }
}

/// The header that goes on with a session.
fn credential(answer: &HeaderMap) -> (&'static str, String) {
    let text = |name: &str| answer.get(name).and_then(|value| value.to_str().ok()?.split(';').next());
    match (text(HEADER), text("set-cookie")) {
        (Some(token), _) => ("authorization", format!("Bearer {token}")),
        (None, Some(cookie)) => ("cookie", cookie.to_owned()),
        (None, None) => panic!("no session in {answer:?}"),
    }
}

fn serve<S, B>(runtime: &Runtime, mut layer: S, requests: Vec<Request<Body>>) -> f64
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    micros(requests.len(), || {
        for request in requests {
            let answer = runtime.block_on(layer.call(request)).expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
        }
    })
}
