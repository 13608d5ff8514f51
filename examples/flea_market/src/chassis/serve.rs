//! The door: connections in, requests to the routes, and an end that cuts nobody off. What a slow or
//! greedy peer may take is bounded: the time for its headers, their size, the time to take its answers,
//! the number of connections.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::pin;
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

use super::patient::Patient;

/// For the headers of a request, and until the next request on the same connection.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// For a peer to take some more of what it is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Room for the headers: a ticket with a forwarded one in it, in base64, and a session beside it.
const HEADER_BYTES: usize = 64 * 1024;
/// For those who are being answered when the service ends.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// How long to wait when the system has no connection to give.
const BREATH: Duration = Duration::from_millis(100);

/// Waits for SIGTERM or SIGINT.
///
/// # Errors
/// When the system does not tell of signals.
pub fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Answers requests until `told` is ready; then answers what has begun, and returns.
pub async fn serve(listener: TcpListener, router: Router, connections: usize, told: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    let mut told = pin!(told);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut told => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let service = service_fn({
            let router = router.clone();
            move |request| answer(router.clone(), peer, request)
        });
        let mut door = http1::Builder::new();
        door.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_BYTES);
        let stream = TokioIo::new(Patient::new(stream, WRITE_TIMEOUT));
        let connection = graceful.watch(door.serve_connection(stream, service));
        tokio::spawn(async move {
            // A peer that goes away in the midst is no matter.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    info!("ending");
    tokio::time::timeout(LAST_ANSWERS, graceful.shutdown()).await.unwrap_or_else(|_| warn!("some answers are cut off"));
}

/// Says where a service is, to whoever started it.
pub fn announce(address: SocketAddr, operations: SocketAddr) {
    info!(%address, %operations, "listening");
    // Nobody has to listen.
    let _ = writeln!(std::io::stdout(), "operations on {operations}\nlistening on {address}");
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";

    /// A service that answers when it is let; its address, and what ends it.
    async fn start(
        connections: usize,
        router: Router,
    ) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (end, ended) = oneshot::channel();
        let told = async { ended.await.unwrap_or(()) };
        (address, end, tokio::spawn(serve(listener, router, connections, told)))
    }

    async fn call(address: SocketAddr, request: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request).await.expect("sent");
        stream
    }

    async fn first_byte(stream: &mut TcpStream) -> usize {
        stream.read(&mut [0; 1]).await.expect("an answer, or the end")
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_finish_the_headers_is_not_waited_for() {
        let (address, _end, _task) = start(1, Router::new()).await;
        for unfinished in [&REQUEST[..20], b""] {
            let mut stream = call(address, unfinished).await;
            let mut rest = vec![];
            stream.read_to_end(&mut rest).await.expect("the end");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_and_never_reads_gives_its_place_to_others() {
        let router = Router::new().route("/", get(async || vec![b'x'; 1 << 20]));
        let (address, _end, _task) = start(1, router).await;
        let greedy = call(address, &REQUEST.repeat(100)).await;
        let mut next = call(address, REQUEST).await;
        assert_eq!(first_byte(&mut next).await, 1);
        drop(greedy);
    }

    #[tokio::test]
    async fn headers_without_end_are_refused() {
        let (address, _end, _task) = start(1, Router::new()).await;
        let long = [&REQUEST[..REQUEST.len() - 2], b"x: ", &vec![b'x'; 4 * HEADER_BYTES], b"\r\n\r\n"].concat();
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        // It may be gone before all is sent.
        let _ = stream.write_all(&long).await;
        let mut answer = vec![];
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    }

    #[tokio::test]
    async fn one_connection_more_waits_for_a_place() {
        let (address, _end, _task) = start(1, Router::new().route("/", get(async || "here"))).await;
        let mut first = call(address, REQUEST).await;
        assert_eq!(first_byte(&mut first).await, 1);
        let mut second = call(address, REQUEST).await;
        tokio::select! {
            biased;
            _ = first_byte(&mut second) => panic!("answered without a place"),
            () = tokio::task::yield_now() => {}
        }
        drop(first);
        assert_eq!(first_byte(&mut second).await, 1);
    }

    #[tokio::test]
    async fn who_is_being_answered_is_not_cut_off() {
        let (begun, has_begun) = oneshot::channel();
        let (go, may_go) = oneshot::channel::<()>();
        let once = Arc::new(std::sync::Mutex::new(Some((begun, may_go))));
        let slow = move || {
            let (begun, may_go) = once.lock().expect("a lock").take().expect("one request");
            async move {
                begun.send(()).expect("a test");
                may_go.await.expect("a test");
                "done"
            }
        };
        let (address, end, task) = start(2, Router::new().route("/", get(slow))).await;
        let mut stream = call(address, REQUEST).await;
        has_begun.await.expect("a request");
        end.send(()).expect("a service");
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go.send(()).expect("a handler");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.ends_with("done"), "{answer}");
        task.await.expect("an end");
    }
}
