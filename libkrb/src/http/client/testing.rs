//! A client and a service joined in memory, without a KDC: the layer of one around the layer of the
//! other. For tests only.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::source::{Opened, Opening, Source};
use super::{CallError, ClonedBody, Hosts, NegotiateLayer, Negotiator, Standing};
use crate::ccache::Credential;
use crate::client::ClockOffset;
use crate::credentials::{Channel, Initiation, Remedy};
use crate::error::{Error, ErrorCode, Result};
use crate::gss::testing::{AES, Draft, NOW, key, principal, ticket};
use crate::gss::{InitiatorContext, InitiatorOptions};
use crate::http::server;
use crate::keytab::{Keytab, KeytabEntry, RawKey};
use crate::replay::MemoryReplayCache;
use crate::service::{Acceptor, Options};
use crate::spn::{Spn, SpnRules};
use crate::time::Instant;
use crate::wire::{self, ApReq};

/// The service's principal, whatever the URL says.
pub(super) const SERVICE: &str = "host/a";

/// A service with this key of [`key`]'s.
pub(super) fn acceptor(octet: u8) -> Arc<Acceptor> {
    let key = RawKey::from(&key(AES, octet));
    let entry = KeytabEntry { principal: principal(SERVICE), timestamp: NOW.time, kvno: 3, key };
    let options = Options::default();
    let replay = Arc::new(MemoryReplayCache::new(options.clock_skew, 10_000));
    Arc::new(Acceptor::new(&Keytab { entries: vec![entry] }, options, replay).unwrap())
}

/// alice's ticket for the service with this key.
pub(super) fn ticket_for(octet: u8) -> Credential {
    let session_key = key(AES, octet + 100);
    let draft = Draft { service_key: key(AES, octet), session_key, ..Draft::default() };
    let message = draft.ap_req();
    let request: ApReq<'_> = wire::decode(&message).unwrap();
    let (key, ticket_der) = (RawKey::from(&draft.session_key), request.ticket.der.to_vec());
    Credential { key, ticket: ticket_der, ..ticket(AES) }
}

/// Tickets in a row: the first is held, the next come as each is forgotten.
pub(super) struct Tickets {
    row: Mutex<VecDeque<Credential>>,
    pub(super) now: Mutex<Instant>,
    pub(super) opened: AtomicUsize,
    pub(super) forgotten: AtomicUsize,
}

impl Tickets {
    /// Tickets for services with these keys.
    pub(super) fn of(keys: &[u8]) -> Arc<Tickets> {
        Arc::new(Tickets {
            row: Mutex::new(keys.iter().map(|octet| ticket_for(*octet)).collect()),
            now: Mutex::new(NOW),
            opened: AtomicUsize::new(0),
            forgotten: AtomicUsize::new(0),
        })
    }

    pub(super) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    pub(super) fn forgotten(&self) -> usize {
        self.forgotten.load(Ordering::Relaxed)
    }
}

impl Source for Tickets {
    fn spn(&self, url: &str) -> Result<Spn> {
        SpnRules::new().for_url(url)
    }

    fn open<'a>(&'a self, _: &'a Spn, wanted: Initiation) -> Opened<'a> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let ticket = self.row.lock().unwrap().front().cloned();
        Box::pin(async move {
            let ticket = ticket.ok_or(Error::NoCredential)?;
            let Initiation { flags, bindings, mechanism, .. } = wanted;
            let options = InitiatorOptions { flags, bindings, mechanism, delegated: None };
            Ok(Opening { context: InitiatorContext::new(&ticket, options)?, until: ticket.end_time })
        })
    }

    fn forget(&self, _: &Spn) {
        self.forgotten.fetch_add(1, Ordering::Relaxed);
        let mut row = self.row.lock().unwrap();
        if row.len() > 1 {
            row.pop_front();
        }
    }

    fn remedy(&self, spn: &Spn, refusal: &Error, theirs: Option<Instant>, _: Channel) -> Option<Remedy> {
        match (refusal.wire_code(), theirs) {
            (ErrorCode::MODIFIED | ErrorCode::BAD_INTEGRITY | ErrorCode::TKT_EXPIRED, _) => {
                self.forget(spn);
                Some(Remedy::NewTicket)
            }
            (ErrorCode::SKEW, Some(theirs)) => Some(Remedy::Clock(ClockOffset::between(theirs, self.clock()))),
            _ => None,
        }
    }

    fn clock(&self) -> Instant {
        // No two tokens bear the same time.
        let mut now = self.now.lock().unwrap();
        *now = Instant::from_micros(now.as_micros() + 1);
        *now
    }
}

/// What a request bore when it came to the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) url: String,
    pub(super) authorization: Option<String>,
    pub(super) cookie: Option<String>,
    pub(super) body: String,
}

impl Seen {
    fn of(request: &Request<String>) -> Seen {
        let text = |name| request.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
        Seen {
            url: request.uri().to_string(),
            authorization: text(AUTHORIZATION),
            cookie: text(COOKIE),
            body: request.body().clone(),
        }
    }

    /// The scheme of what proves who sent it.
    pub(super) fn scheme(&self) -> &str {
        self.authorization.as_deref().map_or("", |value| value.split_once(' ').unwrap_or((value, "")).0)
    }
}

pub(super) type Answering = Pin<Box<dyn Future<Output = std::result::Result<Response<String>, Infallible>> + Send>>;

/// Something that answers requests, and remembers them.
#[derive(Clone)]
pub(super) struct Peer {
    answer: Arc<dyn Fn(Request<String>) -> Answering + Send + Sync>,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Peer {
    pub(super) fn new(answer: impl Fn(Request<String>) -> Answering + Send + Sync + 'static) -> Peer {
        Peer { answer: Arc::new(answer), seen: Arc::default() }
    }

    /// Answers all alike.
    pub(super) fn saying(status: u16, headers: &[(&str, &str)]) -> Peer {
        let mut answer = Response::new(String::new());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            answer.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        Peer::new(move |_| Box::pin(ready(Ok(answer.clone()))))
    }
}

impl Peer {
    /// A service of ours with this key, around `answer`.
    pub(super) fn ours(octet: u8, layer: impl Fn(server::NegotiateLayer) -> server::NegotiateLayer) -> Peer {
        let layer = layer(server::NegotiateLayer::new(acceptor(octet)).clock(|| NOW));
        let service = layer.layer(Peer::saying(200, &[]));
        Peer::new(move |request| {
            let mut service = service.clone();
            Box::pin(async move { Ok(service.call(request).await?.map(|_| String::new())) })
        })
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Service<Request<String>> for Peer {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Answering {
        self.seen.lock().unwrap().push(Seen::of(&request));
        (self.answer)(request)
    }
}

/// A negotiator for the hosts a and b.
pub(super) fn negotiator(tickets: &Arc<Tickets>) -> Negotiator {
    let hosts = Hosts::https(["a", "b"]).unwrap().plain_http(["a"]).unwrap();
    Negotiator::of(tickets.clone(), hosts)
}

/// What becomes of a request through the layer.
pub(super) async fn send(
    negotiator: &Negotiator,
    peer: &Peer,
    request: Request<String>,
) -> std::result::Result<Response<String>, CallError<Infallible>> {
    let mut service = NegotiateLayer::new(negotiator.clone()).replay(ClonedBody).layer(peer.clone());
    poll_fn(|task| service.poll_ready(task)).await?;
    service.call(request).await
}

/// What becomes of a request for a URL: the answer's status and standing.
pub(super) async fn fetch(negotiator: &Negotiator, peer: &Peer, url: &str) -> Result<(u16, Option<Standing>)> {
    let request = Request::post(url).body("question".to_owned()).unwrap();
    match send(negotiator, peer, request).await {
        Ok(answer) => Ok((answer.status().as_u16(), answer.extensions().get().cloned())),
        Err(CallError::Kerberos(error)) => Err(error),
        Err(CallError::Client(never)) => match never {},
    }
}
