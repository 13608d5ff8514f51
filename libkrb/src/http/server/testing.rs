//! What the tests of the layers share: alice's tokens for host/a, requests, and a service that says
//! what it sees. Everything in memory, with the clock in hand.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use tower_service::Service;

use crate::gss::testing::{AES, Counter, NOW, acceptor, kerberos, ticket};
use crate::gss::{InitiatorContext, InitiatorOptions, InitiatorStep};
use crate::http::Caller;
use crate::http::server::NegotiateLayer;
use crate::time::Instant;

/// A layer around host/a.
pub(crate) fn layer() -> NegotiateLayer {
    NegotiateLayer::new(acceptor(AES)).clock(|| NOW)
}

/// Answers with its caller, and with the headers that it was sent.
#[derive(Clone, Copy)]
pub(crate) struct Echo;

impl Service<Request<()>> for Echo {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let caller = request.extensions().get::<Caller>();
        let caller = caller.map_or("nobody".to_owned(), |caller| format!("{caller} by {:?}", caller.how()));
        let mut answer = Response::new(caller);
        *answer.headers_mut() = request
            .headers()
            .iter()
            .map(|(name, value)| (format!("saw-{name}").parse().expect("a name"), value.clone()))
            .collect();
        if request.uri().path() == "/cached" {
            answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public"));
        }
        ready(Ok(answer))
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// The token of WWW-Authenticate.
    pub(crate) fn token(&self) -> Option<Vec<u8>> {
        let token = self.headers.get(WWW_AUTHENTICATE)?.to_str().expect("text").strip_prefix("Negotiate ")?;
        Some(STANDARD.decode(token).expect("base64"))
    }
}

/// Sends a request to a service.
pub(crate) fn send<S, R>(mut service: S, request: Request<()>) -> Answer
where
    S: Service<Request<()>, Response = Response<R>, Error = Infallible>,
    R: http_body::Body<Data = bytes::Bytes, Error = Infallible>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let Ok(answer) = service.call(request).await;
        let (parts, body) = answer.into_parts();
        let mut body = pin!(body);
        let mut bytes = vec![];
        while let Some(Ok(frame)) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            bytes.extend_from_slice(&frame.into_data().expect("data"));
        }
        assert!(body.is_end_stream());
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(bytes).expect("text") }
    })
}

/// A request with these headers.
pub(crate) fn request(headers: &[(&str, &str)]) -> Request<()> {
    let request = headers.iter().fold(Request::get("/ads"), |request, (name, value)| request.header(*name, *value));
    request.body(()).expect("a request")
}

/// A request with a token.
pub(crate) fn with_token(token: &[u8]) -> Request<()> {
    request(&[(AUTHORIZATION.as_str(), &format!("Negotiate {}", STANDARD.encode(token)))])
}

/// A context that alice has begun, and its first token; each is a microsecond younger than the last.
pub(crate) fn begin(options: InitiatorOptions) -> (InitiatorContext, Vec<u8>) {
    static MICROS: AtomicU32 = AtomicU32::new(0);
    let now = Instant { micros: MICROS.fetch_add(1, Ordering::Relaxed), ..NOW };
    let mut initiator = InitiatorContext::new(&ticket(AES), options).expect("a context");
    match initiator.step(now, &mut Counter(0), None).expect("a token") {
        InitiatorStep::Continue(token) | InitiatorStep::Done(_, Some(token)) => (initiator, token),
        InitiatorStep::Done(_, None) => panic!("no token"),
    }
}

/// One of alice's tokens.
pub(crate) fn token() -> Vec<u8> {
    begin(kerberos()).1
}
