//! MS-KKDCP: tickets and passwords for clients that get through nothing but HTTPS. A POST to `/KdcProxy` with a
//! KDC-PROXY-MESSAGE is answered as a message over TCP would be: by the same rules, with the same memory, for the
//! address that the connection comes from, whatever its headers say.
//!
//! This is no proxy: the realm in the message is compared with ours and chooses nothing (CVE-2025-59088). One request a
//! connection; its length, its time and the number of connections are bounded. Not here: what a request means.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use libkrb::wire::KdcProxyMessage;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::SemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::answers::{Answers, Ends};
use super::connections::Place;
use super::gauges::Serves;
use super::streams::{Came, Coming, Door, Streams};
use super::tcp::{Bounds, FIRST_GRACE, Host, Life, accept};
use super::{Both, Limits};
use crate::observe::{Observer, Transport};

/// Where requests are posted to.
const PATH: &str = "/KdcProxy";
/// The longest head of a request.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// What a KDC-PROXY-MESSAGE puts around a message and its realm.
const AROUND: usize = 1024;
const KERBEROS: &str = "application/kerberos";

type Reply = Response<Full<Bytes>>;

/// Why a request is not answered: a status, and words for whoever reads a log or a screen.
struct Refused(StatusCode, &'static str);

/// The door.
pub struct Https {
    answers: Arc<Both>,
    realm: String,
    tls: Arc<ArcSwapOption<ServerConfig>>,
    observer: Arc<Observer>,
    bounds: Bounds,
}

impl Https {
    /// Serves `realm` at these places, with the TLS that is in force when somebody connects.
    ///
    /// # Errors
    /// What the system says when it has no file descriptors left.
    pub fn start(
        doors: Vec<Door>,
        (realm, answers): (String, Arc<Both>),
        tls: Arc<ArcSwapOption<ServerConfig>>,
        observer: Arc<Observer>,
        limits: &Limits,
    ) -> io::Result<Streams> {
        Streams::hosted(doors, &Https::limits(limits), |bounds| {
            Arc::new(Https { answers, realm, tls, observer, bounds })
        })
    }

    /// What of the KDC's limits is enough here.
    fn limits(of_kdc: &Limits) -> Limits {
        Limits {
            connections: of_kdc.connections.min(1024),
            connections_per_peer: of_kdc.connections_per_peer.min(256),
            request_memory: 16 << 20,
            ..of_kdc.clone()
        }
    }
}

impl Host for Https {
    fn serve(self: Arc<Self>, coming: Coming, life: Life, serves: Serves) -> JoinHandle<()> {
        tokio::spawn(async move {
            let _serves = serves;
            let welcome = |came, ends, place| {
                let (door, life) = (Arc::clone(&self), life.clone());
                let ends = Ends { via: Transport::Https, ..ends };
                match came {
                    Came::Tcp(stream) => tokio::spawn(door.admitted(stream, ends, place, life)),
                    Came::Unix(stream) => tokio::spawn(door.admitted(stream, ends, place, life)),
                };
            };
            accept(coming, &self.bounds, life.clone(), welcome).await;
        })
    }

    fn limit(&self, limits: &Limits) {
        self.bounds.limit(&Https::limits(limits));
    }
}

impl Https {
    /// A connection, from its handshake to its end.
    async fn admitted(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        ends: Ends,
        mut place: Place,
        mut life: Life,
    ) {
        let asked = Arc::new(AtomicBool::new(false));
        let ending = async {
            life.closed().await;
            sleep(FIRST_GRACE).await;
            // Whoever has asked is answered.
            if asked.load(Ordering::Relaxed) {
                pending().await
            }
        };
        tokio::select! {
            biased;
            () = place.dismissed() => {}
            () = self.converse(stream, ends, Arc::clone(&asked)) => {}
            () = ending => {}
        }
    }

    async fn converse(
        self: &Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        ends: Ends,
        asked: Arc<AtomicBool>,
    ) {
        let Some(tls) = self.tls.load_full() else { return };
        let Ok(Ok(stream)) = timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await else {
            return self.observer.dropped("https_handshake");
        };
        let patience = self.bounds.limits.load().request_timeout;
        let service = service_fn(|request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            let door = Arc::clone(self);
            async move { Ok::<_, Infallible>(door.reply(ends, request).await) }
        });
        let mut http = http1::Builder::new();
        http.keep_alive(false).half_close(true).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
        http.timer(TokioTimer::new()).header_read_timeout(patience);
        // A head, a body and an answer. What goes wrong is the asker's own affair.
        let _ = timeout(patience * 3, http.serve_connection(TokioIo::new(stream), service)).await;
    }

    async fn reply(&self, ends: Ends, request: Request<Incoming>) -> Reply {
        match self.answer(ends, request).await {
            Ok(message) => reply(StatusCode::OK, KERBEROS, message.into()),
            Err(Refused(status, why)) => {
                self.observer.dropped(if status == StatusCode::FORBIDDEN {
                    "https_other_realm"
                } else {
                    "https_malformed"
                });
                tracing::debug!(target: "kdc", from = %ends.from, status = status.as_u16(), why, "not asked over HTTPS");
                let mut reply = reply(status, "text/plain; charset=utf-8", format!("{why}\n").into());
                if status == StatusCode::METHOD_NOT_ALLOWED {
                    reply.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                }
                reply
            }
        }
    }

    /// The KDC-PROXY-MESSAGE with the answer.
    async fn answer(&self, ends: Ends, request: Request<Incoming>) -> Result<Vec<u8>, Refused> {
        const UNREADABLE: Refused = Refused(StatusCode::BAD_REQUEST, "not a KDC-PROXY-MESSAGE with a realm");
        if !request.uri().path().trim_end_matches('/').eq_ignore_ascii_case(PATH) {
            return Err(Refused(StatusCode::NOT_FOUND, "KDC-PROXY-MESSAGEs are posted to /KdcProxy"));
        }
        if request.method() != Method::POST {
            return Err(Refused(StatusCode::METHOD_NOT_ALLOWED, "KDC-PROXY-MESSAGEs are posted"));
        }
        let (body, _memory) = self.body(request.into_body()).await?;
        let asked = KdcProxyMessage::read(&body).map_err(|_| UNREADABLE)?;
        let (Some(realm), Ok(message)) = (asked.realm, asked.message()) else { return Err(UNREADABLE) };
        if !realm.eq_ignore_ascii_case(&self.realm) {
            return Err(Refused(StatusCode::FORBIDDEN, "this KDC answers for its own realm only"));
        }
        let answer = self.answers.message(ends, message).await;
        let answer = answer.ok_or(Refused(StatusCode::SERVICE_UNAVAILABLE, "there is no answer to this message"))?;
        KdcProxyMessage::wrap(&answer, None).map_err(|_| UNREADABLE)
    }

    /// A body, and the memory that it may take.
    async fn body(&self, body: Incoming) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Refused> {
        const TOO_LONG: Refused = Refused(StatusCode::PAYLOAD_TOO_LARGE, "longer than any request");
        let (max, patience) = {
            let limits = self.bounds.limits.load();
            (limits.max_request + AROUND, limits.request_timeout)
        };
        let hint = body.size_hint();
        let length = hint.exact().ok_or(Refused(StatusCode::LENGTH_REQUIRED, "the length is not said"))?;
        let length = usize::try_from(length).ok().filter(|length| *length <= max).ok_or(TOO_LONG)?;
        let collected = timeout(patience, async {
            let room = self.bounds.room(length).await.ok()?;
            Some((Limited::new(body, length).collect().await.ok()?.to_bytes(), room))
        });
        let late = Refused(StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time");
        collected.await.ok().flatten().ok_or(late)
    }
}

fn reply(status: StatusCode, kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    for (name, value) in [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")] {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}
