//! Where callers of the admin API come in, and how each proves who it is: [`socket`] in the realm's
//! folder, [`https`] for the rest of the world. Not here: what they may ask for ([`super::api`]).

mod clients;
mod https;
mod invitations;
mod keys;
mod socket;
mod tls;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

pub use clients::ClientRow;
pub use https::{Https, Identity};
pub use invitations::Invitations;
pub use socket::{bind, serve};

use super::api::Problem;
use crate::accept::Guest;

/// How long a request's head may take, and how long a connection may stay silent.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last, whatever it does: one that reads no answer has it no longer.
const LIFE: Duration = Duration::from_secs(300);
/// How long one who has just connected may take to ask when the door closes.
const FIRST_GRACE: Duration = Duration::from_secs(1);
/// Headers of a request.
const MAX_HEADERS: usize = 64;

/// Serves HTTP/1.1 until the peer goes, or its time is over; when its host closes, until what it has
/// asked is answered.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    max_head: usize,
    router: Router,
    mut guest: Guest,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(MAX_HEADERS).max_buf_size(max_head);
    // Who has said all may say so, and still hears the answer.
    http.half_close(true);
    let asked = Arc::new(AtomicBool::new(false));
    let service = TowerToHyperService::new(parting(router, guest.clone(), Arc::clone(&asked)));
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let talk = async {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = guest.asked_to_go() => {}
        }
        if !asked.load(Ordering::Relaxed) {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = sleep(FIRST_GRACE) => {}
            }
        }
        connection.as_mut().graceful_shutdown();
        // A peer that breaks off has done so for reasons of its own.
        let _ = connection.await;
    };
    let _ = timeout(LIFE, talk).await;
}

/// The same router, whose answers end the connection once its host has closed.
fn parting(router: Router, guest: Guest, asked: Arc<AtomicBool>) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        asked.store(true, Ordering::Relaxed);
        let guest = guest.clone();
        async move {
            let mut response = next.run(request).await;
            if guest.must_go() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    }))
}

/// A router that tells everybody the same.
fn closed(status: StatusCode, why: &'static str) -> Router {
    Router::new().fallback(move || async move { Problem::new(status, why).into_response() })
}
