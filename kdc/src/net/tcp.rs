//! TCP (RFC 4120 7.2.2), and sockets in the file system alike: four bytes of length, then a message;
//! many requests on one connection.
//!
//! Nothing is believed of an announced length: a buffer grows as bytes arrive. Long requests share a
//! bounded memory, so that only they wait for each other.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Limits;
use super::answers::{Answers, Ends};
use super::connections::{Connections, Place};
use super::gauges::{Serves, Serving};
use super::streams::{At, Came, Coming, Socket};

/// What a request may take of the memory without asking; most requests are shorter.
const SHORT: usize = 4096;
/// The unit in which longer requests ask for memory.
const UNIT: usize = 1024;
/// How long requests that have been sent before the end may take to be seen.
pub(super) const GRACE: Duration = Duration::from_millis(100);
/// The same for the first of a connection: whoever connects is about to ask.
pub(super) const FIRST_GRACE: Duration = Duration::from_secs(1);
/// What a client may still be sending when it is told that it sends too much.
const EXCESS: u64 = 1 << 20;
const EXCESS_PATIENCE: Duration = Duration::from_secs(1);
/// Files that are open besides connections.
const OTHER_FILES: usize = 128;

/// The tasks that serve connections.
pub struct Tasks {
    open: Vec<Open>,
    host: Arc<dyn Host>,
    alive: mpsc::Sender<Infallible>,
    /// Ends when the last task is gone, for each holds a sender.
    ended: mpsc::Receiver<Infallible>,
    held: Held,
    serving: Arc<Serving>,
}

/// A listener that is served.
struct Open {
    at: At,
    closing: watch::Sender<End>,
    task: JoinHandle<()>,
}

/// What connections hold, for whoever watches.
#[derive(Clone)]
pub struct Held {
    connections: Arc<Connections>,
    memory: Arc<Semaphore>,
    units: usize,
}

/// Whether a listener is served still.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is.
    NotYet,
    /// No more; who had connected before is answered.
    Closed,
    /// No more by this process; who was not accepted yet is left to the one that has the socket next.
    HandedOver,
}

struct Shared<A> {
    responder: Arc<A>,
    bounds: Bounds,
}

/// What connections may use up, all together.
pub(super) struct Bounds {
    pub(super) connections: Arc<Connections>,
    pub(super) limits: ArcSwap<Limits>,
    memory: Arc<Semaphore>,
}

/// Whoever serves connections, whatever it answers and in which language.
pub(super) trait Host: Send + Sync {
    /// Serves a listener, on the current runtime.
    fn serve(self: Arc<Self>, coming: Coming, life: Life, serves: Serves) -> JoinHandle<()>;
    /// Holds connections to other limits from now on.
    fn limit(&self, limits: &Limits);
}

impl<A: Answers> Host for Shared<A> {
    fn serve(self: Arc<Self>, coming: Coming, life: Life, serves: Serves) -> JoinHandle<()> {
        tokio::spawn(async move {
            let _serves = serves;
            let welcome = |came, ends, place| {
                let (shared, life) = (Arc::clone(&self), life.clone());
                match came {
                    Came::Tcp(stream) => tokio::spawn(converse(stream, ends, place, shared, life)),
                    Came::Unix(stream) => tokio::spawn(converse(stream, ends, place, shared, life)),
                };
            };
            accept(coming, &self.bounds, life.clone(), welcome).await;
        })
    }

    fn limit(&self, limits: &Limits) {
        self.bounds.limit(limits);
    }
}

impl Bounds {
    pub(super) fn limit(&self, limits: &Limits) {
        self.connections.resize(allow_files(limits.connections), limits.connections_per_peer);
        self.limits.store(Arc::new(limits.clone()));
    }

    /// Memory for a request of this length, when there is some; none is asked for a short one.
    pub(super) async fn room(&self, length: usize) -> io::Result<Option<SemaphorePermit<'_>>> {
        match length {
            0..=SHORT => Ok(None),
            _ => self.memory.acquire_many(length.div_ceil(UNIT) as u32).await.map(Some).map_err(io::Error::other),
        }
    }
}

/// What a task carries to know of the end, and to make its own end known.
#[derive(Clone)]
pub(super) struct Life {
    closing: watch::Receiver<End>,
    _ended: mpsc::Sender<Infallible>,
}

impl Tasks {
    /// Starts with no listener.
    pub fn new(responder: Arc<impl Answers>, limits: &Limits, serving: &Arc<Serving>) -> Tasks {
        Tasks::of(limits, serving, |bounds| Arc::new(Shared { responder, bounds }))
    }

    /// The same for another host of connections.
    pub fn of(limits: &Limits, serving: &Arc<Serving>, host: impl FnOnce(Bounds) -> Arc<dyn Host>) -> Tasks {
        let (alive, ended) = mpsc::channel(1);
        let connections = Connections::new(allow_files(limits.connections), limits.connections_per_peer);
        let units = limits.request_memory.max(limits.max_request).div_ceil(UNIT);
        let memory = Arc::new(Semaphore::new(units));
        let held = Held { connections: Arc::clone(&connections), memory: Arc::clone(&memory), units };
        let limits = ArcSwap::from_pointee(limits.clone());
        let (host, serving) = (host(Bounds { connections, limits, memory }), Arc::clone(serving));
        Tasks { open: vec![], host, alive, ended, held, serving }
    }

    /// What connections hold.
    pub fn held(&self) -> Held {
        self.held.clone()
    }

    /// Serves one more listener, on the current runtime.
    pub fn add(&mut self, at: At, socket: Socket) -> io::Result<()> {
        let coming = Coming::from_std(socket)?;
        let (closing, closing_seen) = watch::channel(End::NotYet);
        let life = Life { closing: closing_seen, _ended: self.alive.clone() };
        let task = Arc::clone(&self.host).serve(coming, life, self.serving.begin());
        self.open.push(Open { at, closing, task });
        Ok(())
    }

    /// Serves a listener no more, and its connections until what has arrived is answered. Its port is
    /// free when this ends.
    pub async fn remove(&mut self, at: &At) {
        let gone = self.open.extract_if(.., |open| open.at == *at).collect::<Vec<_>>();
        for Open { closing, task, .. } in gone {
            closing.send_replace(End::Closed);
            let _ = task.await;
        }
    }

    /// Holds connections to other limits from now on.
    pub fn limit(&self, limits: &Limits) {
        self.host.limit(limits);
    }

    /// Accepts nobody any more and waits until what has arrived is answered.
    pub async fn drain(self, patience: Duration) {
        self.end(End::Closed, patience).await;
    }

    /// The same, but leaves those who wait to be accepted to the next process.
    pub async fn hand_over(self, patience: Duration) {
        self.end(End::HandedOver, patience).await;
    }

    async fn end(self, end: End, patience: Duration) {
        let Tasks { open, alive, mut ended, .. } = self;
        for Open { closing, .. } in &open {
            closing.send_replace(end);
        }
        drop(alive);
        let _ = timeout(patience, ended.recv()).await;
    }
}

impl Held {
    /// How many connections are open, and how many there may be.
    pub fn connections(&self) -> (usize, usize) {
        (self.connections.open(), self.connections.limit())
    }

    /// How many bytes long requests take, and how many they may.
    pub fn memory(&self) -> (usize, usize) {
        (self.units.saturating_sub(self.memory.available_permits()) * UNIT, self.units * UNIT)
    }
}

/// Lets this process have a file descriptor for each connection, or says how many it can have.
fn allow_files(connections: usize) -> usize {
    let wanted = (connections + OTHER_FILES) as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return connections;
    }
    let possible = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum });
    let possible = if raised.is_ok() { Some(possible) } else { current };
    let possible = (possible.unwrap_or(wanted) as usize).saturating_sub(OTHER_FILES).clamp(1, connections);
    if possible < connections {
        tracing::warn!(wanted = connections, possible, "the limit of open files (ulimit -n) bounds TCP connections");
    }
    possible
}

/// Lets everybody in for whom there is a place, until the end.
pub(super) async fn accept(coming: Coming, bounds: &Bounds, life: Life, welcome: impl Fn(Came, Ends, Place)) {
    let accept_all = async {
        loop {
            match coming.next().await {
                Ok((came, ends)) => match bounds.connections.admit(ends.from.ip()) {
                    Some(place) => welcome(came, ends, place),
                    None => tracing::warn!(from = %ends.from, "connection refused: all others are busy"),
                },
                Err(error) => refresh(&error, bounds).await,
            }
        }
    };
    tokio::pin!(accept_all);
    let mut closing = life.closing.clone();
    tokio::select! {
        () = &mut accept_all => {}
        () = closed(&mut closing) => {}
    }
    if *closing.borrow() != End::HandedOver {
        // Those who had connected before the end.
        let _ = timeout(GRACE, accept_all).await;
    }
}

/// After a connection that could not be accepted.
async fn refresh(error: &io::Error, bounds: &Bounds) {
    let errno = Errno::from_io_error(error);
    if matches!(errno, Some(Errno::CONNABORTED | Errno::INTR)) {
        return;
    }
    tracing::warn!(%error, "accepting a connection");
    if matches!(errno, Some(Errno::MFILE | Errno::NFILE)) {
        bounds.connections.make_room();
    }
    sleep(Duration::from_millis(20)).await;
}

impl Life {
    /// Waits until nobody more is let in.
    pub(super) async fn closed(&mut self) {
        closed(&mut self.closing).await;
    }
}

async fn closed(closing: &mut watch::Receiver<End>) {
    let _ = closing.wait_for(|closing| *closing != End::NotYet).await;
}

/// What comes next on a connection.
enum Received<'a> {
    Request(Vec<u8>, Option<SemaphorePermit<'a>>),
    TooLong,
    /// Silence, half a request, or the end.
    Nothing,
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ends: Ends,
    mut place: Place,
    shared: Arc<Shared<impl Answers>>,
    mut life: Life,
) {
    let mut grace = FIRST_GRACE;
    loop {
        let received = tokio::select! {
            biased;
            () = place.dismissed() => return,
            received = receive(&mut stream, &shared.bounds, &mut life.closing, grace) => received,
        };
        grace = GRACE;
        let (answer, last) = match received {
            Received::Request(bytes, _memory) if place.busy() => (shared.responder.message(ends, &bytes).await, false),
            Received::TooLong => (Some(shared.responder.too_long(ends.from)), true),
            Received::Request(..) | Received::Nothing => return,
        };
        let Some(answer) = answer else { return };
        // Who does not take the answer may be dismissed for others.
        place.idle();
        let patience = shared.bounds.limits.load().request_timeout;
        let sent = tokio::select! {
            biased;
            () = place.dismissed() => return,
            sent = send(&mut stream, &answer, patience) => sent,
        };
        if sent.is_err() {
            return;
        }
        if last {
            tokio::select! {
                () = place.dismissed() => return,
                () = part(&mut stream) => return,
            }
        }
    }
}

async fn receive<'a>(
    stream: &mut (impl AsyncRead + Unpin),
    bounds: &'a Bounds,
    closing: &mut watch::Receiver<End>,
    grace: Duration,
) -> Received<'a> {
    let mut length = [0; 4];
    let (idle, request) = {
        let limits = bounds.limits.load();
        (limits.idle_timeout, limits.request_timeout)
    };
    let first = tokio::select! {
        biased;
        first = timeout(idle, stream.read(&mut length)) => Some(first),
        () = closed(closing) => None,
    };
    let first = match first {
        Some(first) => first,
        None => timeout(grace, stream.read(&mut length)).await,
    };
    let Ok(Ok(count @ 1..)) = first else { return Received::Nothing };
    let rest = timeout(request, receive_rest(stream, bounds, length, count)).await;
    rest.unwrap_or(Ok(Received::Nothing)).unwrap_or(Received::Nothing)
}

/// A request of whose length `count` bytes are there.
async fn receive_rest<'a>(
    stream: &mut (impl AsyncRead + Unpin),
    bounds: &'a Bounds,
    mut length: [u8; 4],
    count: usize,
) -> io::Result<Received<'a>> {
    stream.read_exact(length.get_mut(count..).unwrap_or_default()).await?;
    // The top bit is reserved for extensions (RFC 5021); we know none.
    let length = u32::from_be_bytes(length) as usize;
    if length > bounds.limits.load().max_request {
        return Ok(Received::TooLong);
    }
    let memory = bounds.room(length).await?;
    let mut bytes = Vec::with_capacity(length.min(UNIT));
    stream.take(length as u64).read_to_end(&mut bytes).await?;
    Ok(if bytes.len() == length { Received::Request(bytes, memory) } else { Received::Nothing })
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), answer: &[u8], patience: Duration) -> io::Result<()> {
    let length = u32::try_from(answer.len()).map_err(io::Error::other)?;
    let frame = [&length.to_be_bytes(), answer].concat();
    timeout(patience, stream.write_all(&frame)).await.map_err(|_| ErrorKind::TimedOut)?
}

/// Ends a connection in whose buffer more may be waiting: closing it at once would throw away the
/// answer that is on its way.
async fn part(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    if stream.shutdown().await.is_ok() {
        let _ = timeout(EXCESS_PATIENCE, copy(&mut stream.take(EXCESS), &mut sink())).await;
    }
}
