//! Calls of etcd: to whichever of its nodes answers, for as long as the caller has patience. Every call
//! that is made here can be made twice. Not here: what is asked.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http;
use axum::http::uri::PathAndQuery;
use prost::Message;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::util::{BoxCloneSyncService, ServiceExt};
use zeroize::Zeroizing;

use super::Options;
use super::wire::*;
use crate::core::StoreError;

/// How long one node is waited for before another is asked.
const TRY: Duration = Duration::from_millis(1500);
const CONNECT: Duration = Duration::from_secs(1);
/// Between two rounds through all nodes.
const PAUSE: Duration = Duration::from_millis(50);
/// How soon a connection that says nothing is found dead.
const ALIVE: Duration = Duration::from_secs(2);
/// The longest answer: of a watch that was away for long.
const LONGEST: usize = 256 << 20;
/// The metadata in which etcd wants the proof of who calls.
const TOKEN: &str = "token";
/// With this a node that has lost its cluster ends a watch instead of being silent.
const NEEDS_LEADER: &str = "hasleader";

/// Why a call came to nothing.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// No node answered, or those that did have no majority.
    Away(String),
    /// The answer is no.
    Refused(String),
    /// The revision asked for is history that etcd has thrown away.
    Compacted,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Away(why) => write!(f, "read-only: no quorum of etcd answers ({why}); tickets go on"),
            Trouble::Refused(why) => write!(f, "etcd refuses: {why}"),
            Trouble::Compacted => f.write_str("etcd: the revision asked for is compacted"),
        }
    }
}

/// What a store says of it.
pub fn refused(trouble: Trouble) -> StoreError {
    match trouble {
        Trouble::Away(_) => StoreError::ReadOnly(trouble.to_string()),
        _ => StoreError::Storage(trouble.to_string()),
    }
}

/// All nodes of a cluster of etcd.
pub struct Client {
    nodes: Vec<Node>,
    /// The one that is asked first.
    current: AtomicUsize,
    login: Option<(String, Zeroizing<String>)>,
    token: Mutex<Option<AsciiMetadataValue>>,
}

struct Node {
    name: String,
    line: Line,
}

/// A way to a node: gRPC goes in and comes out.
pub type Line = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

impl Client {
    /// Prepares connections; none is made yet. To be called in a runtime of tokio.
    ///
    /// # Errors
    /// When an endpoint is none, or a file of the options can't be read.
    pub fn new(options: &Options) -> Result<Self, StoreError> {
        let tls = tls(options)?;
        let node = |name: &String| match &options.world.lines {
            Some(lines) => Ok(Node { name: name.clone(), line: lines(name) }),
            None => node(name, tls.as_ref()),
        };
        let nodes = options.endpoints.iter().map(node).collect::<Result<_, _>>()?;
        let login = options.user.clone().zip(options.password.clone());
        Ok(Client { nodes, current: AtomicUsize::new(0), login, token: Mutex::default() })
    }

    /// The keys of a range.
    pub async fn range(&self, request: RangeRequest, patience: Duration) -> Result<RangeResponse, Trouble> {
        self.call("/etcdserverpb.KV/Range", request, patience).await
    }

    /// A transaction.
    pub async fn txn(&self, request: TxnRequest, patience: Duration) -> Result<TxnResponse, Trouble> {
        self.call("/etcdserverpb.KV/Txn", request, patience).await
    }

    /// Removes keys.
    pub async fn delete(&self, request: DeleteRequest, patience: Duration) -> Result<Done, Trouble> {
        self.call("/etcdserverpb.KV/DeleteRange", request, patience).await
    }

    /// A lease of so many seconds.
    pub async fn lease(&self, ttl: i64, patience: Duration) -> Result<i64, Trouble> {
        let lease: Lease = self.call("/etcdserverpb.Lease/LeaseGrant", LeaseGrant { ttl }, patience).await?;
        Ok(lease.id)
    }

    /// Keeps a lease for its time again; whether it was there still.
    pub async fn keep(&self, id: i64) -> Result<bool, Trouble> {
        let stream = tokio_stream::once(LeaseId { id });
        let mut answers: Streaming<Lease> = self.stream("/etcdserverpb.Lease/LeaseKeepAlive", stream).await?;
        let answer = timeout(TRY, answers.next()).await.map_err(|_| Trouble::Away("no answer in time".into()))?;
        Ok(answer.transpose().map_err(|status| told(&status))?.is_some_and(|lease| lease.ttl > 0))
    }

    /// The changes of a range from a revision on.
    pub async fn watch(&self, create: WatchCreate) -> Result<Watch, Trouble> {
        let (asks, requests) = tokio::sync::mpsc::channel(1);
        // There is room for one.
        let _ = asks.try_send(WatchRequest { create: Some(create) });
        let answers = self.stream("/etcdserverpb.Watch/Watch", ReceiverStream::new(requests)).await?;
        Ok(Watch { answers, _asks: asks })
    }

    /// Asks another node from now on: the present one is of no use.
    pub fn turn(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    fn node(&self) -> Option<(usize, &Node)> {
        let current = self.current.load(Ordering::Relaxed);
        Some((current, self.nodes.get(current.checked_rem(self.nodes.len())?)?))
    }

    async fn call<Q, A>(&self, path: &'static str, request: Q, patience: Duration) -> Result<A, Trouble>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let deadline = Instant::now() + patience;
        let mut tries = 0usize;
        loop {
            let Some((current, node)) = self.node() else { return Err(Trouble::Away("no endpoint".into())) };
            let within = deadline.min(Instant::now() + TRY);
            let answer = timeout_at(within, self.once(node, path, request.clone())).await;
            let trouble = match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) if wants_a_new_token(&status) && tries == 0 => {
                    self.forget_token();
                    tries += 1;
                    continue;
                }
                Ok(Err(status)) => told(&status),
                Err(_) => Trouble::Away("no answer in time".into()),
            };
            let Trouble::Away(why) = trouble else { return Err(trouble) };
            let _ =
                self.current.compare_exchange(current, current.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
            tries += 1;
            if Instant::now() >= deadline {
                return Err(Trouble::Away(format!("{}: {why}", node.name)));
            }
            if tries.is_multiple_of(self.nodes.len()) {
                sleep(PAUSE).await;
            }
        }
    }

    async fn once<Q, A>(&self, node: &Node, path: &'static str, message: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut request = Request::new(message);
        self.prove(node, request.metadata_mut()).await?;
        let mut grpc = Grpc::new(node.line.clone()).max_decoding_message_size(LONGEST);
        grpc.ready().await?;
        let answer = grpc.unary(request, PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await?;
        Ok(answer.into_inner())
    }

    async fn stream<Q, A>(
        &self,
        path: &'static str,
        messages: impl tokio_stream::Stream<Item = Q> + Send + 'static,
    ) -> Result<Streaming<A>, Trouble>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let Some((_, node)) = self.node() else { return Err(Trouble::Away("no endpoint".into())) };
        let begin = async {
            let mut request = Request::new(messages);
            request.metadata_mut().insert(NEEDS_LEADER, AsciiMetadataValue::from_static("true"));
            self.prove(node, request.metadata_mut()).await?;
            let mut grpc = Grpc::new(node.line.clone()).max_decoding_message_size(LONGEST);
            grpc.ready().await?;
            grpc.streaming(request, PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await
        };
        let begun = timeout(TRY, begin).await.unwrap_or_else(|_| Err(Status::unavailable("no answer in time")));
        let begun = begun.inspect_err(|status| {
            if wants_a_new_token(status) {
                self.forget_token();
            }
        });
        Ok(begun.map_err(|status| told(&status))?.into_inner())
    }

    /// Says who calls, where etcd wants to know.
    async fn prove(&self, node: &Node, metadata: &mut MetadataMap) -> Result<(), Status> {
        let Some((name, password)) = &self.login else { return Ok(()) };
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let token = match known {
            Some(token) => token,
            None => {
                let message = Authenticate { name: name.clone(), password: password.to_string() };
                let mut grpc = Grpc::new(node.line.clone());
                grpc.ready().await?;
                let path = PathAndQuery::from_static("/etcdserverpb.Auth/Authenticate");
                let answer = grpc.unary(Request::new(message), path, ProstCodec::default()).await?;
                let Authenticated { token } = answer.into_inner();
                let token = AsciiMetadataValue::try_from(token);
                token.map_err(|_| Status::internal("a token that is none"))?
            }
        };
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        metadata.insert(TOKEN, token);
        Ok(())
    }

    fn forget_token(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A watch, for as long as it is held.
pub struct Watch {
    answers: Streaming<WatchResponse>,
    _asks: tokio::sync::mpsc::Sender<WatchRequest>,
}

impl Watch {
    /// The next changes.
    pub async fn next(&mut self) -> Result<WatchResponse, Trouble> {
        let answer = self.answers.message().await.map_err(|status| told(&status))?;
        let answer = answer.ok_or_else(|| Trouble::Away("the watch was ended".into()))?;
        match answer {
            WatchResponse { canceled: true, compacted, .. } if compacted > 0 => Err(Trouble::Compacted),
            WatchResponse { canceled: true, reason, .. } => Err(Trouble::Away(reason)),
            answer => Ok(answer),
        }
    }
}

/// Whether a token is over: also one that was made before anybody's rights were changed, where tokens say when they
/// were made (`--auth-token jwt`).
fn wants_a_new_token(status: &Status) -> bool {
    status.code() == Code::Unauthenticated || status.message().contains("revision of auth store is old")
}

/// What a node's answer comes to.
fn told(status: &Status) -> Trouble {
    // etcd's words, or the transport's: neither has a secret.
    let why = status.message().to_owned();
    match status.code() {
        Code::OutOfRange => Trouble::Compacted,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal
        // A leader that was just chosen.
        | Code::FailedPrecondition | Code::Aborted | Code::Unauthenticated => Trouble::Away(why),
        _ => Trouble::Refused(why),
    }
}

fn node(name: &str, tls: Option<&ClientTlsConfig>) -> Result<Node, StoreError> {
    let wrong = |error: tonic::transport::Error| {
        StoreError::Storage(format!("etcd endpoint {name}: {error}; such as https://etcd1.example.org:2379"))
    };
    let endpoint = Endpoint::from_shared(name.to_owned()).map_err(wrong)?;
    let endpoint = endpoint.connect_timeout(CONNECT).tcp_nodelay(true);
    let endpoint = endpoint.http2_keep_alive_interval(ALIVE).keep_alive_timeout(ALIVE).keep_alive_while_idle(true);
    let endpoint = match tls {
        Some(tls) if name.starts_with("https:") => endpoint.tls_config(tls.clone()).map_err(wrong)?,
        _ => endpoint,
    };
    let line = BoxCloneSyncService::new(endpoint.connect_lazy().map_err(|error| Status::from_error(error.into())));
    Ok(Node { name: name.to_owned(), line })
}

fn tls(options: &Options) -> Result<Option<ClientTlsConfig>, StoreError> {
    if !options.endpoints.iter().any(|name| name.starts_with("https:")) {
        return Ok(None);
    }
    let read = |file: &Path| {
        let read = std::fs::read(file).map(Zeroizing::new);
        read.map_err(|error| StoreError::Storage(libkrb::Error::file(file, error).to_string()))
    };
    let mut tls = ClientTlsConfig::new();
    if let Some(file) = &options.ca {
        tls = tls.ca_certificate(Certificate::from_pem(&*read(file)?));
    }
    if let Some((chain, key)) = &options.identity {
        tls = tls.identity(Identity::from_pem(&*read(chain)?, &*read(key)?));
    }
    Ok(Some(tls))
}
