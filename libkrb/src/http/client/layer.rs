//! A layer of tower for HTTP clients, hyper's among them. It follows no redirect; what follows them
//! outside of it sends each request through it anew. Not here: what a request bears
//! ([`super::exchange`]).

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use tower_layer::Layer;
use tower_service::Service;

use super::Negotiator;
use super::exchange::{Exchange, Verdict, note_foreign};
use super::replay::{EmptyBody, Replay, Resend};
use crate::error::Error;
use crate::gss::ChannelBindings;

/// Speaks Negotiate around a client. `R` says which requests can be sent twice.
///
/// ```no_run
/// # use libkrb::http::client::{Negotiate, NegotiateLayer, Negotiator};
/// # use tower_layer::Layer;
/// # fn around<Client>(negotiator: Negotiator, client: Client) -> Negotiate<Client> {
/// // for instance a hyper_util::client::legacy::Client
/// let client = NegotiateLayer::new(negotiator).layer(client);
/// # client }
/// ```
#[derive(Clone, Debug)]
pub struct NegotiateLayer<R = EmptyBody> {
    negotiator: Negotiator,
    base: Option<Uri>,
    replay: R,
}

impl NegotiateLayer {
    /// A layer that sends requests twice only if they have no body.
    pub fn new(negotiator: Negotiator) -> NegotiateLayer {
        NegotiateLayer { negotiator, base: None, replay: EmptyBody }
    }
}

impl<R> NegotiateLayer<R> {
    /// The same with another way to have bodies again.
    #[must_use]
    pub fn replay<Other>(self, replay: Other) -> NegotiateLayer<Other> {
        NegotiateLayer { negotiator: self.negotiator, base: self.base, replay }
    }

    /// The same for a client of one service, which is called by path alone: its scheme and authority.
    #[must_use]
    pub fn base(self, base: Uri) -> NegotiateLayer<R> {
        NegotiateLayer { base: Some(base), ..self }
    }
}

impl<S, R: Clone> Layer<S> for NegotiateLayer<R> {
    type Service = Negotiate<S, R>;

    fn layer(&self, inner: S) -> Negotiate<S, R> {
        Negotiate { inner, layer: self.clone() }
    }
}

/// A client within a [`NegotiateLayer`].
#[derive(Clone, Debug)]
pub struct Negotiate<S, R = EmptyBody> {
    inner: S,
    layer: NegotiateLayer<R>,
}

/// A request failed.
#[derive(Debug)]
pub enum CallError<E> {
    /// No token could be had, or the answer's proof is none.
    Kerberos(Error),
    /// The client underneath failed.
    Client(E),
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Kerberos(error) => error.fmt(f),
            CallError::Client(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for CallError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CallError::Kerberos(error) => Some(error),
            CallError::Client(error) => Some(error),
        }
    }
}

impl<E> From<Error> for CallError<E> {
    fn from(error: Error) -> Self {
        CallError::Kerberos(error)
    }
}

type Call<T, E> = Pin<Box<dyn Future<Output = Result<T, CallError<E>>> + Send>>;

impl<S, R, B, A> Service<Request<B>> for Negotiate<S, R>
where
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    R: Replay<B>,
    B: Send + 'static,
    A: Send,
{
    type Response = Response<A>;
    type Error = CallError<S::Error>;
    type Future = Call<Response<A>, S::Error>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(task).map_err(CallError::Client)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let (body, resend) = self.layer.replay.keep(body);
        let request = Request::from_parts(parts, body);
        // The one that said that it is ready is the one to call.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let (negotiator, base) = (self.layer.negotiator.clone(), self.layer.base.clone());
        Box::pin(async move { call(inner, (&negotiator, base.as_ref()), request, resend).await })
    }
}

async fn call<S, B, A>(
    mut inner: S,
    (negotiator, base): (&Negotiator, Option<&Uri>),
    request: Request<B>,
    resend: Resend<B>,
) -> Result<Response<A>, CallError<S::Error>>
where
    S: Service<Request<B>, Response = Response<A>>,
{
    let (parts, body) = request.into_parts();
    let bindings = parts.extensions.get::<ChannelBindings>();
    let url = absolute(parts.uri.clone(), base);
    let begun = Exchange::begin(negotiator, &url, &parts.headers, bindings).await?;
    let Some(mut exchange) = begun else {
        let answer = inner.call(Request::from_parts(parts, body)).await.map_err(CallError::Client)?;
        note_foreign(&url, answer.status(), answer.headers());
        return Ok(answer);
    };
    let mut body = body;
    loop {
        let mut dressed = parts.clone();
        exchange.dress(&mut dressed.headers);
        let mut answer = inner.call(Request::from_parts(dressed, body)).await.map_err(CallError::Client)?;
        let (standing, copy) = match exchange.answered(answer.status(), answer.headers())? {
            Verdict::Pass(standing) => (standing, None),
            Verdict::Again(standing) => (standing, resend()),
        };
        let Some(copy) = copy else {
            answer.extensions_mut().insert(standing);
            return Ok(answer);
        };
        body = copy;
        exchange.again().await?;
        poll_fn(|task| inner.poll_ready(task)).await.map_err(CallError::Client)?;
    }
}

/// The URL of a request that names its path alone.
fn absolute(url: Uri, base: Option<&Uri>) -> Uri {
    let Some(base) = base.filter(|_| url.scheme().is_none()) else { return url };
    let mut whole = url.clone().into_parts();
    whole.scheme = base.scheme().cloned();
    whole.authority = base.authority().cloned();
    whole.path_and_query.get_or_insert_with(|| PathAndQuery::from_static("/"));
    Uri::from_parts(whole).unwrap_or(url)
}
