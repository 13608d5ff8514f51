//! The network between KDCs and the nodes of etcd: gRPC over messages that take their time, are lost where a
//! way is cut, and come late where it is slow. Not here: what a node answers (`etcd`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use kdc::store::etcd::Line;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{StreamExt, once};
use tonic::Status;
use tonic::body::Body;
use tower::service_fn;
use tower::util::BoxCloneSyncService;

use crate::dice::Dice;
use crate::etcd::{Answer, Etcd, NODES};

/// After so long without a sign of life a connection is dead, as HTTP/2 finds out.
const DEAD: Duration = Duration::from_secs(4);
/// What is cut or slow between a KDC and the nodes.
#[derive(Clone, Copy, Default)]
pub struct Way {
    /// To which nodes.
    pub cut: [bool; NODES],
    /// Milliseconds that an answer may take longer.
    pub slow: u64,
    /// Milliseconds that a watch may lag.
    pub lag: u64,
    /// Of a hundred answers so many are lost, though what was asked is done.
    pub lost: usize,
}

/// A KDC's network.
pub struct Network {
    way: Mutex<Way>,
    /// For each kind of call its own: which of two is first at a moment is left to the runtime.
    dice: Mutex<BTreeMap<String, Arc<Dice>>>,
    seed: u64,
    kdc: usize,
    watches: AtomicU64,
    etcd: Arc<Etcd>,
}

impl Network {
    /// One in which all is well.
    pub fn new(seed: u64, kdc: usize, etcd: Arc<Etcd>) -> Arc<Network> {
        let (way, dice, watches) = (Mutex::default(), Mutex::default(), AtomicU64::new(0));
        Arc::new(Network { way, dice, seed, kdc, watches, etcd })
    }

    /// What is cut and slow.
    pub fn way(&self) -> Way {
        *self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes that.
    pub fn set(&self, change: impl FnOnce(&mut Way)) {
        change(&mut self.way.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn dice(&self, call: &str) -> Arc<Dice> {
        let who = call.bytes().fold(self.kdc as u64 + 1, |sum, octet| sum.wrapping_mul(257) + u64::from(octet));
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(dice.entry(call.to_owned()).or_insert_with(|| Arc::new(Dice::of(self.seed, who))))
    }

    fn takes(&self, dice: &Dice) -> Duration {
        let slow = self.way().slow;
        dice.millis(1, 4) + if slow > 0 { dice.millis(0, slow) } else { Duration::ZERO }
    }

    /// The way to the node of a URL that ends with its number.
    pub fn line(self: &Arc<Self>, url: &str) -> Line {
        let node = url.bytes().last().map_or(0, |digit| usize::from(digit - b'0'));
        let network = Arc::clone(self);
        BoxCloneSyncService::new(service_fn(move |request| Arc::clone(&network).call(node, request)))
    }

    async fn call(self: Arc<Self>, node: usize, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let (head, mut body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let message = first_message(&mut body).await?;
        if path.ends_with("/Watch") {
            let (tell, told) = mpsc::channel(16);
            tokio::spawn(Arc::clone(&self).watch(node, message, tell));
            return Ok(answer(Body::new(StreamBody::new(ReceiverStream::new(told).map(frame)))));
        }
        let (tell, told) = oneshot::channel();
        // It goes on where nobody waits for it any more.
        tokio::spawn(self.carry(node, path, message, tell));
        match told.await {
            Ok(Ok(message)) => {
                let mut ok = http::HeaderMap::new();
                ok.insert("grpc-status", http::HeaderValue::from_static("0"));
                let frames = once(frame(Ok(message))).chain(once(Ok(Frame::trailers(ok))));
                Ok(answer(Body::new(StreamBody::new(frames))))
            }
            Ok(Err(status)) => Err(status),
            // Lost.
            Err(_) => {
                sleep(DEAD).await;
                Err(Status::unavailable("the connection is dead"))
            }
        }
    }

    async fn carry(self: Arc<Self>, node: usize, path: String, message: Vec<u8>, tell: oneshot::Sender<Answer>) {
        if self.way().cut[node] {
            return;
        }
        let dice = self.dice(&path);
        sleep(self.takes(&dice)).await;
        let answer = Arc::clone(&self.etcd).serve(node, path, message, Arc::clone(&dice)).await;
        sleep(self.takes(&dice)).await;
        let way = self.way();
        if !way.cut[node] && (way.lost == 0 || !dice.chance(way.lost)) {
            let _ = tell.send(answer);
        }
    }

    async fn watch(self: Arc<Self>, node: usize, message: Vec<u8>, tell: mpsc::Sender<Answer>) {
        if self.way().cut[node] {
            return self.dies(&tell).await;
        }
        let number = self.watches.fetch_add(1, Ordering::Relaxed);
        let dice = |what: u64| Dice::of(self.seed, 1 << 32 | (self.kdc as u64) << 24 | number << 8 | what);
        let (here, there) = (dice(0), dice(1));
        sleep(self.takes(&here)).await;
        let (send, mut said) = mpsc::channel(1);
        let lag = {
            let network = Arc::clone(&self);
            move || match network.way().lag {
                0 => Duration::ZERO,
                lag => here.millis(0, lag),
            }
        };
        tokio::spawn(Arc::clone(&self.etcd).watch(node, message, send, lag, there));
        let mut heard = Instant::now();
        loop {
            // What is sent while the way is cut arrives when it is whole again, or the connection dies before.
            if self.way().cut[node] {
                if heard.elapsed() > DEAD {
                    return self.dies(&tell).await;
                }
                sleep(Duration::from_millis(20)).await;
                continue;
            }
            heard = Instant::now();
            match timeout(Duration::from_millis(100), said.recv()).await {
                Ok(Some(message)) => {
                    if tell.send(message).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(_) if tell.is_closed() => return,
                Err(_) => {}
            }
        }
    }

    async fn dies(&self, tell: &mpsc::Sender<Answer>) {
        sleep(DEAD).await;
        let _ = tell.send(Err(Status::unavailable("the connection is dead"))).await;
    }
}

/// The first message of a gRPC body; a stream may go on behind it.
async fn first_message(body: &mut Body) -> Result<Vec<u8>, Status> {
    let mut octets = vec![];
    loop {
        if let Some((prefix, rest)) = octets.split_first_chunk::<5>() {
            let [_, length @ ..] = *prefix;
            if let Some(message) = rest.get(..u32::from_be_bytes(length) as usize) {
                return Ok(message.to_vec());
            }
        }
        let frame = body.frame().await.ok_or_else(|| Status::internal("no message"))??;
        octets.extend(frame.into_data().map(Vec::from).unwrap_or_default());
    }
}

fn frame(answer: Answer) -> Result<Frame<Bytes>, Status> {
    let message = answer?;
    let length = u32::try_from(message.len()).map_err(|_| Status::internal("too long"))?;
    Ok(Frame::data([&[0], &length.to_be_bytes()[..], &message].concat().into()))
}

fn answer(body: Body) -> http::Response<Body> {
    let mut answer = http::Response::new(body);
    answer.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    answer
}
