//! What a layer has to know of the connection that a request came over: put into each request's
//! extensions by the code that accepts connections. Not here: sockets, TLS.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use http::Request;
use tower_service::Service;

use crate::gss::{AcceptorContext, ChannelBindings};
use crate::time::Time;

/// A connection. A negotiation of more than one leg needs it, for it is bound to the connection (RFC
/// 4559 4); so does a layer that is to check addresses or channel bindings. Without it requests
/// with one token are served all the same.
///
/// [`EachConnection`] makes one for each connection of `axum::serve`; code that accepts TLS itself
/// makes it with the bindings of its certificate, and puts a clone into every request.
#[derive(Clone, Debug, Default)]
pub struct Connection(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    peer: Option<IpAddr>,
    bindings: Option<ChannelBindings>,
    half_open: Arc<Slot>,
}

/// Where the half-open negotiation of a connection is.
type Slot = Mutex<Option<HalfOpen>>;

/// A negotiation whose next token is awaited. Who closes the connection has ended it.
pub(super) struct HalfOpen {
    pub(super) context: AcceptorContext,
    pub(super) since: Time,
    pub(super) _place: Place,
}

impl std::fmt::Debug for HalfOpen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HalfOpen")
    }
}

impl Connection {
    /// A connection of which nothing is known but that it is one.
    pub fn new() -> Connection {
        Connection::default()
    }

    /// With the address at its other end: a ticket that is bound to addresses is then good from
    /// there only. Not to be set behind a proxy, whose address it would be.
    #[must_use]
    pub fn with_peer(self, peer: IpAddr) -> Connection {
        Connection(Arc::new(Inner { peer: Some(peer), bindings: self.0.bindings.clone(), ..Inner::default() }))
    }

    /// With the bindings of its TLS, as of [`ChannelBindings::of_certificate`].
    #[must_use]
    pub fn with_bindings(self, bindings: ChannelBindings) -> Connection {
        Connection(Arc::new(Inner { peer: self.0.peer, bindings: Some(bindings), ..Inner::default() }))
    }

    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.0.peer
    }

    pub(super) fn bindings(&self) -> Option<&ChannelBindings> {
        self.0.bindings.as_ref()
    }

    /// Keeps a half-open negotiation in the place of any other: there is one for each connection.
    pub(super) fn keep(&self, half_open: HalfOpen) {
        let old = lock(&self.0.half_open).replace(half_open);
        drop(old);
    }

    /// Takes the half-open negotiation out: each can be gone on with once.
    pub(super) fn take(&self) -> Option<HalfOpen> {
        lock(&self.0.half_open).take()
    }
}

/// The half-open negotiations of all connections. Where there is no room the oldest gives way: an
/// honest client goes on at once, and who only holds a place has held it for longer.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    /// By the order in which they were taken.
    slots: BTreeMap<u64, Weak<Slot>>,
    next: u64,
}

/// The place of one, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    places: Places,
}

impl Places {
    /// A place for a connection among at most `max`; none if there are to be none at all.
    pub(super) fn take(&self, max: usize, connection: &Connection) -> Option<Place> {
        let mut taken = lock(&self.0);
        let mut displaced = vec![];
        while taken.slots.len() >= max {
            displaced.push(taken.slots.pop_first()?.1);
        }
        let number = taken.next;
        taken.next += 1;
        taken.slots.insert(number, Arc::downgrade(&connection.0.half_open));
        drop(taken);
        // Each gives its place back when it is dropped, and locks for that what was locked here.
        for slot in displaced.iter().filter_map(Weak::upgrade) {
            let half_open = lock(&slot).take();
            drop(half_open);
        }
        Some(Place { number, places: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.places.0).slots.remove(&self.number);
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives every connection of a server its [`Connection`]: wraps what makes a service for each one.
///
#[cfg_attr(feature = "axum", doc = "```no_run")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// # use libkrb::http::server::EachConnection;
/// # async fn serve(listener: tokio::net::TcpListener, router: axum::Router) -> std::io::Result<()> {
/// axum::serve(listener, EachConnection::new(router.into_make_service())).await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct EachConnection<M> {
    inner: M,
}

impl<M> EachConnection<M> {
    /// Around a service that makes services.
    pub fn new(inner: M) -> EachConnection<M> {
        EachConnection { inner }
    }
}

impl<M, T> Service<T> for EachConnection<M>
where
    M: Service<T>,
    M::Future: Send + 'static,
    M::Response: 'static,
    M::Error: 'static,
{
    type Response = OfConnection<M::Response>;
    type Error = M::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: T) -> Self::Future {
        let made = self.inner.call(target);
        Box::pin(async move { Ok(OfConnection { inner: made.await?, connection: Connection::new() }) })
    }
}

/// The service of one connection.
#[derive(Clone, Debug)]
pub struct OfConnection<S> {
    inner: S,
    connection: Connection,
}

impl<S> OfConnection<S> {
    /// Puts the connection into every request of a service.
    pub fn new(inner: S, connection: Connection) -> OfConnection<S> {
        OfConnection { inner, connection }
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for OfConnection<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.connection.clone());
        self.inner.call(request)
    }
}
