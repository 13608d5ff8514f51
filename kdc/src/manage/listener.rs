//! `/metrics`, `/livez` and `/readyz` over HTTP, apart from everything that serves tickets: whoever asks here
//! can slow nobody down there. One request a connection, a bound on connections and on their time.
//!
//! A request says in whose name it comes (`Host`): an address, `localhost`, or a name of the settings. A
//! page of another site that a browser was made to believe is here (DNS rebinding) says that site's name.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::gather::Gatherer;
use crate::accept::{self, Guest};
use crate::observe::facts::Part;
use crate::observe::metrics;

/// Connections at a time; more wait in the system.
const CONNECTIONS: usize = 32;
/// What a connection may take from its beginning to its end.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of a request.
const HEAD: usize = 16 << 10;

type Answer = Response<Full<Bytes>>;

/// Whom the pages are served to, and what they tell.
pub struct Pages {
    gatherer: Arc<Gatherer>,
    /// Names besides addresses and `localhost` as which they may be asked for.
    hosts: Vec<String>,
}

impl Pages {
    /// What `gatherer` knows, for who asks by an address, as `localhost`, or by one of these names.
    pub fn new(gatherer: Arc<Gatherer>, hosts: Vec<String>) -> Pages {
        Pages { gatherer, hosts }
    }

    /// Whether a request for this `Host` is meant for us.
    fn answers_to(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Serves until it is dropped; every connection holds a copy of `guest`.
pub async fn serve(listener: TcpListener, pages: Arc<Pages>, guest: Guest) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, _) = accept::next(|| listener.accept()).await;
        let (pages, guest) = (Arc::clone(&pages), guest.clone());
        tokio::spawn(async move {
            let _ = tokio::time::timeout(PATIENCE, converse(stream, pages)).await;
            drop((place, guest));
        });
    }
}

async fn converse(stream: TcpStream, pages: Arc<Pages>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(answer(&request, &pages).await) }
    });
    let mut builder = http1::Builder::new();
    builder.keep_alive(false).max_buf_size(HEAD).timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    // What goes wrong here is the asker's own affair.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: &Request<Incoming>, pages: &Pages) -> Answer {
    // Without one it is no browser's (HTTP/1.0).
    let host = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
    if !host.is_none_or(|host| pages.answers_to(host)) {
        let words = "ask by an address or as localhost, or name this host in [management] hosts of kdc.toml\n";
        return text(StatusCode::MISDIRECTED_REQUEST, words.to_owned());
    }
    let gatherer = Arc::clone(&pages.gatherer);
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n".to_owned());
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    // Away from the threads that serve sockets: it reads files of the system and the store.
    let answer = match request.uri().path() {
        "/livez" => return text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => tokio::task::spawn_blocking(move || readiness(&gatherer.parts())).await,
        "/metrics" => tokio::task::spawn_blocking(move || text(StatusCode::OK, metrics::page(&gatherer.facts()))).await,
        _ => return text(StatusCode::NOT_FOUND, "here are /metrics, /livez and /readyz\n".to_owned()),
    };
    answer.unwrap_or_else(|_| text(StatusCode::INTERNAL_SERVER_ERROR, "a bug in the KDC; see its log\n".to_owned()))
}

/// A line for each part; bad if one is without which no ticket leaves.
fn readiness(parts: &[Part]) -> Answer {
    let line = |part: &Part| match &part.problem {
        None => format!("ok   {}\n", part.name),
        Some(problem) if part.degraded => format!("degraded  {}: {problem}\n", part.name),
        Some(problem) => format!("BAD  {}: {problem}\n", part.name),
    };
    let ready = parts.iter().all(|part| part.problem.is_none() || part.degraded);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    text(status, parts.iter().map(line).collect())
}

fn text(status: StatusCode, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    for (name, value) in [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (CACHE_CONTROL, "no-store")] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
