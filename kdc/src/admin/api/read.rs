//! A request as an operation: what path, query and body say of it, put together under the names that
//! it has in JSON and read as one. Not here: the rows ([`super::route`]).

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use libkrb::Principal;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::route::{Kind, LISTS, MAX_NAME, NAMES, ONCE, Route};
use crate::admin::once::is_request;
use crate::admin::operation::Operation;

/// The operation that a request asks for.
pub(super) async fn operation(
    route: &Route,
    parts: &mut Parts,
    body: Option<&[u8]>,
    realm: &str,
) -> Result<Operation, Problem> {
    let mut said = match body {
        Some(body) => object(body, realm)?,
        None => Map::new(),
    };
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, &()).await;
    let Path(path) = path.map_err(|_| malformed("the path is not UTF-8 in percent encoding"))?;
    for field in route.in_path() {
        let text = path.get(field.name).ok_or_else(|| malformed("the path lacks a part").at(field.name))?;
        add(&mut said, field.name, value(field.kind, text, field.name, realm)?)?;
    }
    for (name, text) in query(parts.uri.query().unwrap_or_default()) {
        let field = route.query.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| unknown_query(route))?;
        add(&mut said, field.name, value(field.kind, &text, field.name, realm)?)?;
    }
    for fixed in route.fixed {
        add(&mut said, fixed, Value::Null)?;
    }
    // An operation of which there is nothing to say is its name alone.
    let alone = Value::String(route.operation.to_owned());
    let said = match serde_json::from_value::<Operation>(alone.clone()) {
        Ok(_) if said.is_empty() => alone,
        _ => Value::Object(Map::from_iter([(route.operation.to_owned(), Value::Object(said))])),
    };
    let operation = parse(said, route)?;
    let operation = match revision(parts)? {
        Some(revision) if route.guarded => Operation::Guarded { revision, operation: Box::new(operation) },
        Some(_) => return Err(Problem::new(StatusCode::BAD_REQUEST, "this takes no If-Match").at("if-match")),
        None => operation,
    };
    Ok(match request(parts)? {
        Some(request) if route.made_once() => Operation::Once { request, operation: Box::new(operation) },
        Some(_) => return Err(malformed("this takes no Idempotency-Key").at("idempotency-key")),
        None => operation,
    })
}

/// What the header [`ONCE`] says: a string in quotes.
fn request(parts: &Parts) -> Result<Option<String>, Problem> {
    let Some(id) = parts.headers.get(ONCE) else { return Ok(None) };
    let id = id.to_str().ok().and_then(|id| id.trim().strip_prefix('"')?.strip_suffix('"'));
    let id = id.filter(|id| is_request(id) && !id.contains('"'));
    let rule = r#"expected 1 to 128 visible characters in quotes, such as "8e03978e-40d5-43dd""#;
    id.map(|id| Some(id.to_owned())).ok_or_else(|| invalid(rule.to_owned(), "idempotency-key"))
}

fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn invalid(detail: String, field: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).at(field)
}

/// The object that a body is, its principals in full.
fn object(body: &[u8], realm: &str) -> Result<Map<String, Value>, Problem> {
    // What serde says may repeat the body, and so a password: only where it is goes back.
    let mut body: Value = serde_json::from_slice(body).map_err(|error| {
        malformed(&format!("the body is no JSON: line {}, column {}", error.line(), error.column()))
    })?;
    whole_numbers(&mut body);
    if let Some(field) = stray_list(&body) {
        return Err(invalid("expected no list here".to_owned(), field));
    }
    let Value::Object(mut said) = body else { return Err(malformed("the body has to be a JSON object")) };
    complete(&mut said, realm);
    // Those of a batch's operations are one level further down, under the operation's name.
    let operations = said.get_mut("operations").and_then(Value::as_array_mut).into_iter().flatten();
    for operation in operations.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        operation.as_object_mut().into_iter().for_each(|operation| complete(operation, realm));
    }
    Ok(said)
}

/// The field whose value is a list where an operation has none: serde would take it for an object whose
/// fields are in order.
fn stray_list(said: &Value) -> Option<&str> {
    match said {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| match value {
            Value::Array(list) if LISTS.contains(&&**name) => {
                list.iter().find_map(|item| if item.is_array() { Some(&**name) } else { stray_list(item) })
            }
            Value::Array(_) => Some(&**name),
            other => stray_list(other),
        }),
        _ => None,
    }
}

/// To JSON, 4.0 is the number 4. Not deeper than JSON is read.
fn whole_numbers(said: &mut Value) {
    match said {
        Value::Array(list) => list.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Number(number) => {
            // What a double holds exactly.
            let whole = number.as_f64().filter(|it| number.is_f64() && it.fract() == 0.0 && it.abs() < 2_f64.powi(53));
            if let Some(whole) = whole {
                *said = Value::from(whole as i64);
            }
        }
        _ => {}
    }
}

/// Gives names without a realm ours. What is no name stays as it is, and is refused when it is read.
fn complete(said: &mut Map<String, Value>, realm: &str) {
    for name in NAMES {
        if let Some(Value::String(text)) = said.get_mut(*name)
            && let Ok(principal) = Principal::parse(text, Some(realm))
        {
            *text = principal.to_string();
        }
    }
}

/// The fields of a query. What is no pair has an empty value.
fn query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode(&text.replace('+', " "));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// `%2F` is `/`; what is not UTF-8 in the end becomes U+FFFD, which is in no name.
fn percent_decode(text: &str) -> String {
    let mut octets = vec![];
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        let digit = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        let mut ahead = rest.clone();
        match (octet, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                octets.push((high << 4 | low) as u8);
                rest = ahead;
            }
            _ => octets.push(octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn unknown_query(route: &Route) -> Problem {
    let known: Vec<_> = route.query.iter().map(|field| field.name).collect();
    let known =
        if known.is_empty() { "no query".to_owned() } else { format!("in its query only {}", known.join(", ")) };
    malformed(&format!("this takes {known}")).at("query")
}

fn value(kind: Kind, text: &str, field: &str, realm: &str) -> Result<Value, Problem> {
    Ok(match kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::Name => {
            if text.chars().count() > MAX_NAME {
                return Err(invalid(format!("a name has {MAX_NAME} characters at most"), field));
            }
            let name = Principal::parse(text, Some(realm));
            Value::String(name.map_err(|error| invalid(error.to_string(), field))?.to_string())
        }
        Kind::Number => {
            let number: Result<u32, _> = text.parse();
            Value::from(number.map_err(|_| invalid("a number was expected".to_owned(), field))?)
        }
    })
}

/// What the path says, the body does not say again.
fn add(said: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), Problem> {
    match said.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "this is said twice").at(name)),
    }
}

fn parse(said: Value, route: &Route) -> Result<Operation, Problem> {
    serde_path_to_error::deserialize(said).map_err(|error| {
        let path = error.path().to_string();
        let field = path.strip_prefix(route.operation).map_or(&*path, |path| path.trim_start_matches('.'));
        let words = error.inner().to_string();
        // The last part is the caller's own then.
        let own = words.starts_with("unknown field");
        let field = if own { field.rsplit_once('.').map_or("", |(known, _)| known) } else { field };
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, sanitized(&words));
        if field.is_empty() || field == "." { problem } else { problem.at(field) }
    })
}

/// Of serde's words what does not come from the caller.
fn sanitized(error: &str) -> String {
    if error.starts_with("missing field") || error.starts_with("duplicate field") {
        return error.to_owned();
    }
    match error.rsplit_once("expected ") {
        Some((before, expected)) if before.starts_with("unknown field") => {
            format!("there is no such field here; expected {expected}")
        }
        Some((_, expected)) => format!("expected {expected}"),
        None => "this is not what was expected here; see /v1/openapi.json".to_owned(),
    }
}

/// What `If-Match` says (RFC 9110 13.1.1): one tag, as an answer's ETag had it.
fn revision(parts: &Parts) -> Result<Option<u64>, Problem> {
    let Some(tag) = parts.headers.get(header::IF_MATCH) else { return Ok(None) };
    let tag = tag.to_str().ok().and_then(|tag| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    let wrong = || Problem::new(StatusCode::PRECONDITION_FAILED, "expected the ETag of an answer, such as \"42\"");
    tag.map(Some).ok_or_else(|| wrong().at("if-match"))
}
