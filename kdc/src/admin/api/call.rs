//! The caller's side of the rows: an operation as a request, and a response as its answer. Not here:
//! how they travel ([`crate::admin::remote`]).

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::problem::Problem;
use super::route::{ONCE, ROUTES, Route};
use crate::admin::operation::{Answer, Operation, Reason, Refusal};

/// An operation as a request.
#[derive(Debug)]
pub struct Call {
    /// The row that it goes by.
    pub route: &'static Route,
    /// Path and query.
    pub target: String,
    /// Headers of its own: `If-Match`, and what makes it be made once.
    pub headers: Vec<(&'static str, String)>,
    /// The body, which may hold a password.
    pub body: Option<Zeroizing<Vec<u8>>>,
}

impl Call {
    /// The request for an operation; `None` for one without a row of its own.
    pub fn of(operation: &Operation) -> Option<Call> {
        if let Operation::Guarded { revision, operation } = operation {
            let call = Call::of(operation).filter(|call| call.route.guarded)?;
            return Some(call.with("If-Match", &revision.to_string()));
        }
        if let Operation::Once { request, operation } = operation {
            let call = Call::of(operation).filter(|call| call.route.made_once())?;
            return Some(call.with(ONCE, request));
        }
        let (name, mut said) = match serde_json::to_value(operation).ok()? {
            Value::String(name) => (name, Map::new()),
            Value::Object(named) => match named.into_iter().next()? {
                (name, Value::Object(said)) => (name, said),
                _ => return None,
            },
            _ => return None,
        };
        let is_null = |name: &&str| said.get(*name).is_none_or(Value::is_null);
        // Of rows with the same operation the one that leaves out what is not said.
        let rows = || ROUTES.iter().filter(|route| route.operation == name);
        let leaving_out = rows().find(|route| !route.fixed.is_empty() && route.fixed.iter().all(is_null));
        let route = leaving_out.or_else(|| rows().find(|route| route.fixed.is_empty()))?;
        let mut target = route.path.to_owned();
        for field in route.in_path() {
            let text = said.remove(field.name)?;
            target = target.replace(&format!("{{{}}}", field.name), &encoded(text.as_str()?));
        }
        route.fixed.iter().for_each(|fixed| drop(said.remove(*fixed)));
        if route.has_body() {
            let body = Zeroizing::new(serde_json::to_vec(&said).ok()?);
            return Some(Call { route, target, headers: vec![], body: Some(body) });
        }
        let mut mark = '?';
        for (name, value) in said {
            let value = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            target = format!("{target}{mark}{name}={}", encoded(&value));
            mark = '&';
        }
        Some(Call { route, target, headers: vec![], body: None })
    }

    fn with(mut self, header: &'static str, text: &str) -> Self {
        self.headers.push((header, format!("\"{text}\"")));
        self
    }

    /// The answer that a response is.
    ///
    /// # Errors
    /// The refusal that it is, or [`Reason::Failed`] for what is no answer to this.
    pub fn answer(&self, status: u16, body: &[u8]) -> Result<Answer, Refusal> {
        let unexpected = || {
            let text = "the answer is not one to this question; is the KDC of another version?";
            Refusal::new(Reason::Failed, text)
        };
        if !(200..300).contains(&status) {
            let problem: Problem = serde_json::from_slice(body).map_err(|_| {
                Refusal::new(Reason::Failed, format!("the server answered with status {status} and no reason"))
            })?;
            return Err(problem.refusal());
        }
        let Some(answer) = self.route.answer else {
            let found = self.route.operation == "ensure" && status == 200;
            return Ok(if found { Answer::Unchanged } else { Answer::Done });
        };
        let content: Value = serde_json::from_slice(body).map_err(|_| unexpected())?;
        // A list stands under the name of the answer.
        let list = content.get(answer).cloned().unwrap_or_default();
        let whole = serde_json::from_value(json!({ answer: content }));
        whole.or_else(|_| serde_json::from_value(json!({ answer: list }))).map_err(|_| unexpected())
    }
}

/// As a segment of a path, or a value of a query (RFC 3986 2).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'@' => encoded.push(octet.into()),
            // Two dots alone would be a step up.
            b'.' if text != "." && text != ".." => encoded.push('.'),
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
    }
    encoded
}
