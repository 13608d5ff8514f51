//! An answer as a response. Not here: what is answered.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::route::Route;
use crate::admin::operation::Answer;

/// What a route answers.
pub(super) fn response(route: &Route, answer: Answer, asked: &HeaderMap) -> Response {
    match answer {
        Answer::Done if route.creates() => json(StatusCode::CREATED, &json!({})),
        Answer::Unchanged => json(StatusCode::OK, &json!({})),
        Answer::Done => no_store(StatusCode::NO_CONTENT.into_response()),
        other => {
            let tag = tag(&other);
            let known = asked.get(header::IF_NONE_MATCH);
            let mut response = match &tag {
                Some(tag) if known == Some(tag) => no_store(StatusCode::NOT_MODIFIED.into_response()),
                _ => json(StatusCode::OK, &content(other)),
            };
            if let Some(tag) = tag {
                response.headers_mut().insert(header::ETAG, tag);
            }
            response
        }
    }
}

/// What tells an answer's subject from what it is after a change.
fn tag(answer: &Answer) -> Option<HeaderValue> {
    let revision = match answer {
        Answer::Principal(found) => found.revision,
        Answer::Policy(found) => found.revision,
        _ => return None,
    };
    HeaderValue::from_str(&format!("\"{revision}\"")).ok()
}

/// An answer without its name, which the route says; a list under its name.
fn content(answer: Answer) -> Value {
    match serde_json::to_value(answer) {
        Ok(Value::Object(named)) => match named.into_iter().next() {
            Some((name, Value::Array(list))) => json!({ name: list }),
            Some((_, content)) => content,
            None => json!({}),
        },
        _ => json!({}),
    }
}

/// A response that is JSON.
pub(super) fn json(status: StatusCode, content: &impl Serialize) -> Response {
    // To memory, of types without odd keys: this can't fail.
    let body = serde_json::to_vec(content).unwrap_or_default();
    let kind = HeaderValue::from_static("application/json");
    no_store((status, [(header::CONTENT_TYPE, kind)], body).into_response())
}

/// What nobody may keep, and nobody takes for something else.
pub(super) fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
