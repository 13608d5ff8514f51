//! The layer around a channel. What it does is [`crate::http::client`]'s; here it learns to call by
//! path alone, to have bodies again, and to fail as gRPC does.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, Uri};
use tonic::Status;
use tonic::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::record::Recorded;
use crate::error::Error;
use crate::http::client::{self, CallError, Negotiator};

/// Speaks Negotiate around a channel. A call whose session turns out to be over is made again, if
/// it has not sent more than 64 KiB by then.
#[derive(Clone, Debug)]
pub struct NegotiateLayer(client::NegotiateLayer<Recorded>);

impl NegotiateLayer {
    /// A layer for a channel to this origin, for instance `https://ads.example.org`. A channel of
    /// tonic's does not say where it leads.
    pub fn new(negotiator: Negotiator, origin: Uri) -> NegotiateLayer {
        NegotiateLayer(client::NegotiateLayer::new(negotiator).base(origin).replay(Recorded))
    }
}

impl<S> Layer<S> for NegotiateLayer {
    type Service = Negotiate<S>;

    fn layer(&self, channel: S) -> Negotiate<S> {
        Negotiate(self.0.layer(channel))
    }
}

/// A channel within a [`NegotiateLayer`].
#[derive(Clone, Debug)]
pub struct Negotiate<S>(client::Negotiate<S, Recorded>);

/// A call on its way.
pub type Call<A> = Pin<Box<dyn Future<Output = Result<Response<A>, Status>> + Send>>;

impl<S, A> Service<Request<Body>> for Negotiate<S>
where
    S: Service<Request<Body>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    A: Send + 'static,
{
    type Response = Response<A>;
    type Error = Status;
    type Future = Call<A>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.0.poll_ready(task).map_err(status)
    }

    fn call(&mut self, request: Request<Body>) -> Call<A> {
        let call = self.0.call(request);
        Box::pin(async { call.await.map_err(status) })
    }
}

fn status<E: Into<Box<dyn std::error::Error + Send + Sync>>>(error: CallError<E>) -> Status {
    match error {
        CallError::Kerberos(error @ (Error::Unreachable(_) | Error::NoKdc(_))) => {
            Status::unavailable(error.to_string())
        }
        CallError::Kerberos(error) => Status::unauthenticated(error.to_string()),
        CallError::Client(error) => Status::from_error(error.into()),
    }
}
