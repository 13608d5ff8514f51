//! A refusal as an answer: a status, a challenge, and words that a person understands. What an
//! attacker would like to know stays in the log.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::asked::{Asked, Form};
use super::body::Body;
use super::header;
use super::reason::Reason;

/// A request that is not let in.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    /// The token that tells the peer.
    pub(super) token: Option<Vec<u8>>,
    /// Further headers of the answer.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Refused {
        Refused { reason, token: None, headers: vec![] }
    }
}

impl Refused {
    pub(super) fn answer<B>(&self, asked: &Asked) -> Response<Body<B>> {
        let row = self.reason.row();
        let mut answer = Response::new(Body::ours(self.words(asked.form)));
        *answer.status_mut() = if asked.form == Form::Grpc { StatusCode::OK } else { row.status };
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(asked.form.content_type()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if asked.form == Form::Grpc {
            headers.remove(CONTENT_LENGTH);
            headers.insert("grpc-status", HeaderValue::from(u16::from(row.grpc)));
            // Our words have no character that would have to be quoted.
            headers.insert("grpc-message", HeaderValue::from_static(row.words));
        }
        if row.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, header::challenge(self.token.as_deref()));
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        answer
    }

    fn words(&self, form: Form) -> String {
        let row = self.reason.row();
        match form {
            Form::Grpc => String::new(),
            Form::Text => format!("{}\n", row.words),
            // Nothing in it would have to be quoted either.
            Form::Json => format!(
                r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{}"}}"#,
                row.status.canonical_reason().unwrap_or_default(),
                row.status.as_u16(),
                row.words
            ),
        }
    }
}

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Form::Text => "text/plain; charset=utf-8",
            Form::Json => "application/problem+json",
            Form::Grpc => "application/grpc",
        }
    }
}
