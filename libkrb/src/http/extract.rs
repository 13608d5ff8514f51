//! The caller as an argument of axum's handlers: [`Caller`] where one is required, `Option<Caller>`
//! where not.

use std::convert::Infallible;
use std::future::{Ready, ready};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use super::Caller;
use super::server::{Missing, Reason};

/// A handler wants a caller and there is none.
#[derive(Debug)]
pub struct NoCaller(Missing);

impl IntoResponse for NoCaller {
    fn into_response(self) -> Response {
        let NoCaller(missing) = self;
        missing.answer().map(axum_core::body::Body::new)
    }
}

impl NoCaller {
    /// Why there is none.
    pub fn reason(&self) -> &Reason {
        self.0.reason()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = NoCaller;

    fn from_request_parts(parts: &mut Parts, _state: &S) -> impl Future<Output = Result<Self, Self::Rejection>> + Send {
        let found: Ready<Result<Self, Self::Rejection>> =
            ready(parts.extensions.get().cloned().ok_or_else(|| NoCaller(Missing::of(parts))));
        found
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> impl Future<Output = Result<Option<Self>, Self::Rejection>> + Send {
        ready(Ok(parts.extensions.get().cloned()))
    }
}
