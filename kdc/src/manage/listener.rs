//! `/metrics`, `/livez` and `/readyz` over HTTP, apart from everything that serves tickets: whoever asks here
//! can slow nobody down there. One request a connection, a bound on connections and on their time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::gather::Gatherer;
use crate::observe::facts::Part;
use crate::observe::metrics;

/// Connections at a time; more wait in the system.
const CONNECTIONS: usize = 32;
/// What a connection may take from its beginning to its end.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of a request.
const HEAD: usize = 16 << 10;

type Answer = Response<Full<Bytes>>;

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, gatherer: Arc<Gatherer>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let gatherer = Arc::clone(&gatherer);
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(PATIENCE, converse(stream, gatherer)).await;
                    drop(place);
                });
            }
            // Out of file descriptors, or a connection gone before it was taken.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn converse(stream: TcpStream, gatherer: Arc<Gatherer>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let gatherer = Arc::clone(&gatherer);
        async move { Ok::<_, Infallible>(answer(&request, gatherer).await) }
    });
    let mut builder = http1::Builder::new();
    builder.keep_alive(false).max_buf_size(HEAD).timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    // What goes wrong here is the asker's own affair.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: &Request<Incoming>, gatherer: Arc<Gatherer>) -> Answer {
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

/// A line for each part; bad if one is.
fn readiness(parts: &[Part]) -> Answer {
    let line = |part: &Part| match &part.problem {
        None => format!("ok   {}\n", part.name),
        Some(problem) => format!("BAD  {}: {problem}\n", part.name),
    };
    let ready = parts.iter().all(|part| part.problem.is_none());
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
