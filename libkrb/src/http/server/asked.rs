//! What an answer has to know of its request: which form it takes, and the trace that it is part of.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, Uri};

/// How a request wants to be answered, and how the log finds it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) form: Form,
    pub(super) method: String,
    pub(super) path: String,
    /// The trace id of `traceparent` (W3C Trace Context 3.2.2.3); empty without one.
    pub(super) trace_id: String,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `text/plain`.
    Text,
    /// `application/problem+json` (RFC 9457).
    Json,
    /// Headers alone, with a status of gRPC.
    Grpc,
}

/// Paths and methods are strangers' to make long; the log has to hold them.
const MAX_PATH: usize = 256;
const MAX_METHOD: usize = 16;

impl Asked {
    pub(super) fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Asked {
        Asked {
            form: form(headers),
            method: cut(method.as_str(), MAX_METHOD),
            path: cut(uri.path(), MAX_PATH),
            trace_id: trace_id(headers).unwrap_or_default().to_owned(),
        }
    }

    /// A request of which no more is at hand; the span that it is handled in may know more.
    pub(super) fn unknown() -> Asked {
        Asked { form: Form::Text, method: String::new(), path: String::new(), trace_id: String::new() }
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn form(headers: &HeaderMap) -> Form {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let accepts_json = || headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(is_json);
    match () {
        () if text(CONTENT_TYPE).starts_with("application/grpc") => Form::Grpc,
        () if accepts_json() => Form::Json,
        () => Form::Text,
    }
}

fn is_json(accept: &str) -> bool {
    let kinds = accept.split(',').filter_map(|kind| kind.split(';').next());
    kinds.map(str::trim).any(|kind| ["application/problem+json", "application/json"].contains(&kind))
}

/// The trace id, if the header is one: what goes into the log is 32 hexadecimal digits and nothing else.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let id = text.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().expect("a name"), value.parse().expect("a value"))])
    }

    #[test]
    fn the_form_of_an_answer_is_what_the_request_can_read() {
        assert_eq!(form(&HeaderMap::new()), Form::Text);
        assert_eq!(form(&headers("accept", "text/html, */*;q=0.1")), Form::Text);
        assert_eq!(form(&headers("accept", "text/html, application/json;q=0.5")), Form::Json);
        assert_eq!(form(&headers("accept", "application/problem+json")), Form::Json);
        assert_eq!(form(&headers("content-type", "application/grpc+proto")), Form::Grpc);
    }

    #[test]
    fn what_the_log_is_told_of_a_request_has_an_end() {
        let (long, path) = ("X".repeat(60_000), format!("/{}", "y".repeat(60_000)));
        let asked = Asked::of(&long.parse().expect("a method"), &path.parse().expect("a path"), &HeaderMap::new());
        assert_eq!((asked.method.len(), asked.path.len()), (16, 256));
        assert_eq!(Asked::of(&Method::OPTIONS, &Uri::default(), &HeaderMap::new()).method, "OPTIONS");
    }

    #[test]
    fn a_trace_id_is_hexadecimal_digits_or_none() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            trace_id(&headers("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")),
            Some(id)
        );
        for bent in
            ["", "00", "00-4bf9-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01"]
        {
            assert_eq!(trace_id(&headers("traceparent", bent)), None, "{bent}");
        }
    }
}
