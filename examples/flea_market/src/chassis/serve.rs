//! The door: connections in, requests to the routes, and an end that cuts nobody off. What a slow or
//! greedy peer may take is bounded: the time for its headers, their size, the number of connections.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tracing::{info, warn};

/// For the headers of a request, and until the next request on the same connection.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Room for the headers: a ticket with a forwarded one in it, in base64, and a session beside it.
const HEADER_BYTES: usize = 64 * 1024;
/// For those who are being answered when the service ends.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// How long to wait when the system has no connection to give.
const BREATH: Duration = Duration::from_millis(100);

/// Answers requests until SIGTERM or SIGINT; then calls `ending`, answers what has begun, and
/// returns.
///
/// # Errors
/// Those of signals.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: usize,
    ending: impl FnOnce(),
) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let places = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let service = service_fn({
            let router = router.clone();
            move |request| answer(router.clone(), peer, request)
        });
        let mut door = http1::Builder::new();
        door.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_BYTES);
        let connection = graceful.watch(door.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A peer that goes away in the midst is no matter.
            let _ = connection.await;
            drop(place);
        });
    }
    ending();
    drop(listener);
    info!("ending");
    tokio::time::timeout(LAST_ANSWERS, graceful.shutdown()).await.unwrap_or_else(|_| warn!("some answers are cut off"));
    Ok(())
}

/// Says where a service is, to whoever started it.
pub fn announce(address: SocketAddr) {
    info!(%address, "listening");
    // Nobody has to listen.
    let _ = writeln!(std::io::stdout(), "listening on {address}");
}

/// The next connection and its place among those that there may be.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are small; they are not to wait for more.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            warn!(%error, "a connection could not be taken");
            tokio::time::sleep(BREATH).await;
            None
        }
    }
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request).await
}
