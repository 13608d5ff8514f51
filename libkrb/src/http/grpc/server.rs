//! The caller of a gRPC method, and requirements as an interceptor. Not here: how the caller is
//! found, which the layers of [`crate::http::server`] do for every kind of request.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Code, Request, Status};

use crate::http::Caller;
use crate::http::server::{Reason, Require};

/// Who calls a method. Of a stream it is who began it: end it when [`Caller::times`] say so.
///
/// # Errors
/// UNAUTHENTICATED where nobody is known to call, INTERNAL where no
/// [`NegotiateLayer`](crate::http::server::NegotiateLayer) has looked.
#[allow(clippy::result_large_err, reason = "tonic's methods return it as it is")]
pub fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    let extensions = request.extensions();
    extensions.get().ok_or_else(|| status(&Reason::of_missing(extensions)))
}

/// Requirements for the services of a server one by one: `AdsServer::with_interceptor(ads, require)`.
impl Interceptor for Require {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match self.check(request.extensions()) {
            Ok(()) => Ok(request),
            Err(reason) => Err(status(&reason)),
        }
    }
}

fn status(reason: &Reason) -> Status {
    let (code, words) = reason.grpc();
    let mut metadata = HeaderMap::new();
    if let Some(challenge) = reason.challenge() {
        metadata.insert(WWW_AUTHENTICATE, challenge);
    }
    Status::with_metadata(Code::from(i32::from(code)), words, MetadataMap::from_headers(metadata))
}
