//! What a caller is told when something does not go (RFC 9457): constant words, and the next step.
//! What is of no use to him stands in the log.

use std::fmt::Display;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};

/// A problem, as a service answers it and as its caller reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The status of HTTP.
    pub status: u16,
    /// What is wrong.
    pub title: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Problem {
    /// A problem without a way out.
    pub fn new(status: StatusCode, title: &str) -> Problem {
        Problem { status: status.as_u16(), title: title.to_owned(), detail: String::new() }
    }

    /// A problem, with what to do about it.
    #[must_use]
    pub fn next(self, detail: impl Into<String>) -> Problem {
        Problem { detail: detail.into(), ..self }
    }

    /// Something that is not the caller's business; the log has it.
    pub fn ours(error: impl Display) -> Problem {
        tracing::error!(%error, "failed");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here; the log of this trace id says what")
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
