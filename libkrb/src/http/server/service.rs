//! The layer at work: a request goes through the gate, then to the service; the answer gets what
//! the gate has to add.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{Request, Response};
use tower_service::Service;

use super::answer::Refused;
use super::asked::Asked;
use super::body::Body;
use super::gate::{Entered, Gate};
use super::{Mode, Outcome, log};
use crate::http::Caller;

/// A service whose callers are known. Made by [`super::NegotiateLayer`].
#[derive(Clone, Debug)]
pub struct Negotiate<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> Negotiate<S> {
    pub(super) fn new(inner: S, gate: Arc<Gate>) -> Negotiate<S> {
        Negotiate { inner, gate }
    }
}

impl<S, B, R> Service<Request<B>> for Negotiate<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: 'static,
    B: Send + 'static,
    R: http_body::Body<Data = Bytes> + 'static,
{
    type Response = Response<Body<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready goes with the request.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let gate = self.gate.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let asked = Asked::of(&parts.method, &parts.uri, &parts.headers);
            // A layer further out has found the caller: its token would be a replay by now.
            let found = parts.extensions.get::<Caller>();
            if let Some(Err(reason)) = found.filter(|_| gate.mode != Mode::Off).map(|caller| gate.suits(caller)) {
                log::refused(&asked, &reason);
                gate.observe(Outcome::Refused(&reason));
                return Ok(Refused::from(reason).answer(&asked));
            }
            if gate.mode == Mode::Off || found.is_some() {
                let answer = inner.call(Request::from_parts(parts, body)).await?;
                return Ok(answer.map(Body::theirs));
            }
            match gate.enter(&mut parts).await {
                Ok(entered) => {
                    log::entered(&asked, entered.caller.as_ref());
                    gate.observe(entered.caller.as_ref().map_or(Outcome::Anonymous, Outcome::Accepted));
                    let answer = inner.call(Request::from_parts(parts, body)).await?;
                    Ok(added(answer.map(Body::theirs), entered))
                }
                Err(refused) => {
                    log::refused(&asked, &refused.reason);
                    gate.observe(Outcome::Refused(&refused.reason));
                    Ok(refused.answer(&asked))
                }
            }
        })
    }
}

fn added<R>(mut answer: Response<Body<R>>, entered: Entered) -> Response<Body<R>> {
    let headers = answer.headers_mut();
    for (name, value) in entered.headers {
        // There is one cache control, and what brings a session must not be kept.
        if name == CACHE_CONTROL {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    answer
}
