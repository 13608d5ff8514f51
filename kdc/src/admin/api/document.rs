//! The API described for programs (OpenAPI 3.1), made of the rows that serve it and of the types that
//! they read and write. Not here: what the rows are.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use utoipa::PartialSchema;
use utoipa::openapi::{Components, ComponentsBuilder};

use super::exact::exact;
use super::problem::{MEDIA_TYPE, Problem};
use super::route::{Field, Kind, MAX_NAME, ONCE, ROUTES, Route};
use crate::admin::kdcs::{KdcLine, Kdcs};
use crate::admin::operation::{
    Answer, Description, Etype, ExtractedKey, Keep, KeyKind, KeyLine, Name, NewKeys, NewToken, Operation, OtpAlgorithm,
    Salt, Secret, Settings, TokenLine,
};
use crate::admin::policies::{PolicyDescription, PolicyRules};
use crate::admin::text::{NAME_PATTERN, Supported};
use crate::admin::transaction::{ALONE, MAX_BATCH};
use crate::observe::facts::Facts;

const ABOUT: &str = "Principals and password policies of a Kerberos realm. Callers are known by Negotiate with \
    channel bindings, or by a client certificate; at the socket in the realm's folder by their user id. Times are \
    seconds since 1970, durations seconds. A principal without a realm is one of this realm.";

/// The document.
pub fn document() -> Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(describe).clone()
}

fn describe() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(route.method().as_str().to_ascii_lowercase(), operation(route));
        }
    }
    let itself = json!({ "description": "This document", "content": { "application/json": { "schema": {} } } });
    paths.insert(
        "/v1/openapi.json".to_owned(),
        json!({ "get": { "operationId": "openapi", "summary": "This document", "responses": { "200": itself, "default": problem() } } }),
    );
    let mut components = value(&schemas());
    components["securitySchemes"] = json!({
        "negotiate": { "type": "http", "scheme": "negotiate", "description": "RFC 4559, bound to the TLS connection" },
        "certificate": { "type": "mutualTLS", "description": "A certificate that kdc.toml gives a principal" },
    });
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "kdc admin API", "version": "1", "description": ABOUT, "license": { "name": "MIT OR Apache-2.0" } },
        "paths": paths,
        "components": components,
        "security": [{ "negotiate": [] }, { "certificate": [] }],
    });
    exact(&mut document);
    document
}

/// The types that others refer to by name.
fn schemas() -> Components {
    macro_rules! all {
        ($($type:ty),*) => { ComponentsBuilder::new()$(.schema_from::<$type>())*.build() };
    }
    all!(
        Answer,
        Description,
        Etype,
        ExtractedKey,
        Facts,
        KdcLine,
        Kdcs,
        Keep,
        KeyKind,
        KeyLine,
        Name,
        NewKeys,
        NewToken,
        Operation,
        OtpAlgorithm,
        PolicyDescription,
        PolicyRules,
        Problem,
        Salt,
        Secret,
        Settings,
        Supported,
        TokenLine
    )
}

fn value(described: &impl serde::Serialize) -> Value {
    // To memory, of types without odd keys: this can't fail.
    serde_json::to_value(described).unwrap_or_default()
}

fn operation(route: &Route) -> Value {
    let path = route.in_path().map(|field| parameter(field, "path"));
    let query = route.query.iter().map(|field| parameter(*field, "query"));
    let mut parameters: Vec<_> = path.chain(query).collect();
    if route.guarded {
        parameters.push(json!({
            "name": "If-Match",
            "in": "header",
            "description": "The ETag that the change is to be made of; what was changed since is not changed again (412)",
            "schema": { "type": "string", "pattern": "^\"[0-9]{1,18}\"$" },
        }));
    }
    if route.made_once() {
        parameters.push(json!({
            "name": ONCE,
            "in": "header",
            "description": "What tells this request from all others of the caller: asked for again within ten minutes, over \
                            whichever KDC, the change is not made again, and the answer is the same",
            "schema": { "type": "string", "pattern": "^\"[!#-~]{1,128}\"$" },
        }));
    }
    let mut described = json!({
        "operationId": route.id,
        "summary": route.about,
        "parameters": parameters,
        "responses": responses(route),
    });
    if route.has_body() {
        let content = json!({ "application/json": { "schema": body(route) } });
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described
}

fn parameter(field: Field, place: &str) -> Value {
    let schema = match field.kind {
        Kind::Name => json!({ "type": "string", "minLength": 1, "maxLength": MAX_NAME, "pattern": NAME_PATTERN }),
        Kind::Text if place == "path" => json!({ "type": "string", "minLength": 1 }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Number => json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }),
    };
    json!({ "name": field.name, "in": place, "required": place == "path", "description": field.about, "schema": schema })
}

/// What path and query don't say of the operation.
fn body(route: &Route) -> Value {
    let mut schema = variant(&value(&Operation::schema()), route.operation).unwrap_or_else(|| json!({}));
    let said: Vec<_> = route.in_path().map(|field| field.name).chain(route.fixed.iter().copied()).collect();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !said.contains(&name.as_str()));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !said.iter().any(|said| name == said));
    }
    if route.operation == "batch" {
        let variants = value(&Operation::schema())["oneOf"].as_array().cloned().unwrap_or_default();
        let alone = |variant: &Value| ALONE.iter().any(|(name, _)| names(variant, name));
        schema["properties"]["operations"]["items"] =
            json!({ "oneOf": variants.into_iter().filter(|variant| !alone(variant)).collect::<Vec<_>>() });
        schema["properties"]["operations"]["maxItems"] = json!(MAX_BATCH);
    }
    schema["type"] = json!("object");
    schema["additionalProperties"] = json!(false);
    schema
}

/// Whether a variant is the one of this name.
fn names(variant: &Value, name: &str) -> bool {
    let alone = variant.get("enum").and_then(Value::as_array).is_some_and(|names| names.iter().any(|it| it == name));
    alone || variant.get("properties").is_some_and(|properties| properties.get(name).is_some())
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    let mut add = |status: &str, about: &str, schema: Option<Value>| {
        let mut response = json!({ "description": about });
        if let Some(schema) = schema {
            response["content"] = json!({ "application/json": { "schema": schema } });
        }
        responses.insert(status.to_owned(), response);
    };
    let nothing = || Some(json!({ "type": "object", "additionalProperties": false }));
    match route.answer {
        Some(answer) => add("200", "The answer", answered(answer)),
        None if route.creates() => {
            add("201", "It is made", nothing());
            if route.operation == "ensure" {
                add("200", "It is there just so", nothing());
            }
        }
        None => add("204", "It is done", None),
    }
    if let (Some("principal" | "policy"), Some(response)) = (route.answer, responses.get_mut("200")) {
        let tag = json!({ "description": "For If-Match", "schema": { "type": "string" } });
        response["headers"] = json!({ "ETag": tag });
    }
    responses.insert("default".to_owned(), problem());
    Value::Object(responses)
}

/// The content of an answer of this name, as [`super::answer`] writes it.
fn answered(name: &str) -> Option<Value> {
    let content = variant(&value(&Answer::schema()), name)?;
    Some(match content.get("type") {
        Some(kind) if kind == "array" => {
            json!({ "type": "object", "required": [name], "properties": { name: content } })
        }
        _ => content,
    })
}

/// What an enum's schema says of one variant.
fn variant(schema: &Value, name: &str) -> Option<Value> {
    let mut variants = schema.get("oneOf")?.as_array()?.iter();
    variants.find_map(|variant| variant.get("properties")?.get(name)).cloned()
}

fn problem() -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "description": "Why not (RFC 9457)", "content": { MEDIA_TYPE: { "schema": schema } } })
}
