//! Where callers of the admin API come in, and how each proves who it is: [`socket`] in the realm's
//! folder, [`https`] for the rest of the world. Not here: what they may ask for ([`super::api`]).

mod clients;
mod https;
mod keys;
mod socket;
mod tls;

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

pub use clients::ClientRow;
pub use https::Https;
pub use socket::{bind, serve};

use super::api::Problem;

/// How long a request's head may take, and how long a connection may stay silent.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last, whatever it does: one that reads no answer has it no longer.
const LIFE: Duration = Duration::from_secs(300);
/// Headers of a request.
const MAX_HEADERS: usize = 64;

/// Serves HTTP/1.1 until the peer goes, or its time is over.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, max_head: usize, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(MAX_HEADERS).max_buf_size(max_head);
    // Who has said all may say so, and still hears the answer.
    http.half_close(true);
    let service = TowerToHyperService::new(router);
    // A peer that breaks off has done so for reasons of its own.
    let _ = tokio::time::timeout(LIFE, http.serve_connection(TokioIo::new(stream), service)).await;
}

/// A router that tells everybody the same.
fn closed(status: StatusCode, why: &'static str) -> Router {
    Router::new().fallback(move || async move { Problem::new(status, why).into_response() })
}
