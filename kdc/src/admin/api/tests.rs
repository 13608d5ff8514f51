use std::collections::BTreeSet;

use axum::Extension;
use http_body_util::BodyExt;
use libkrb::codes::EncryptionType;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::admin::policies::PolicyRules;
use crate::admin::tokens::{NewToken, OtpAlgorithm};
use crate::admin::{Caller, Door, Keep, KeyRules, Name, NewKeys, Secret, Settings};
use crate::core::{Policy, Store};
use crate::store::Memory;

/// An API, asked by root.
struct Asked {
    router: Router,
    store: Arc<Memory>,
    runtime: tokio::runtime::Runtime,
}

/// What came back.
struct Said {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Value,
}

fn api() -> Asked {
    let store = Arc::new(Memory::new());
    let keys = KeyRules { etypes: vec![EncryptionType::AES128_SHA1], iterations: None };
    let registry = Registry::new(Arc::clone(&store) as Arc<dyn Store>, Policy::new("R"), keys);
    let root = Caller::login("root", "R", Door::Socket);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    Asked { router: router(Arc::new(registry)).layer(Extension(root)), store, runtime }
}

impl Asked {
    fn send(&self, request: Request<Body>) -> Said {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("infallible");
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = response.into_body().collect().await.expect("whole").to_bytes();
            Said { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
        })
    }

    fn ask(&self, method: &str, target: &str, body: Option<Value>) -> Said {
        self.ask_with(method, target, body, &[])
    }

    fn ask_with(&self, method: &str, target: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Said {
        let mut request = axum::http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        self.send(request.body(body.map_or(Body::empty(), |body| Body::from(body.to_string()))).expect("a request"))
    }

    fn make(&self, name: &str) {
        let made = self.ask("POST", "/v1/principals", Some(json!({ "principal": name, "keys": { "random": [] } })));
        assert_eq!(made.status, 201, "{}", made.body);
    }

    fn names(&self) -> Vec<String> {
        let names = self.store.list(None, 1000).expect("listed");
        names.iter().map(ToString::to_string).collect()
    }
}

impl Said {
    #[track_caller]
    fn is(&self, status: u16, rule: &str, field: Option<&str>) -> &str {
        let found = (self.status, self.body["rule"].as_str(), self.body["field"].as_str());
        assert_eq!(found, (status, Some(rule), field), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["type"], format!("urn:kdc:problem:{rule}"));
        assert_eq!(self.body["status"], status);
        self.body["detail"].as_str().expect("words")
    }
}

fn token() -> NewToken {
    NewToken {
        name: "a phone".into(),
        secret: Secret::hex(&[7; 20]),
        period: 30,
        algorithm: OtpAlgorithm::Sha256,
        digits: 8,
        with_password: true,
        indicators: vec!["phone".into()],
    }
}

/// One of each operation.
fn each() -> Vec<Operation> {
    let x = || Name(libkrb::Principal::parse(r"HTTP/ü %2F?#&=\/\@x@R", None).expect("a name"));
    let secret = || NewKeys::Password { password: Secret::new("hunter2 ü \u{1}".into()), kinds: vec![] };
    let settings = Settings { expires: Some(-1), max_life: Some(0), set: 1, ..Settings::default() };
    vec![
        Operation::Create { principal: x(), keys: secret(), kvno: Some(3), settings: settings.clone() },
        Operation::Ensure { principal: x(), keys: NewKeys::Keyless, kvno: None, settings: settings.clone() },
        Operation::Modify { principal: x(), kvno: None, settings },
        Operation::ChangeKeys { principal: x(), keys: secret(), keep_old: true },
        Operation::Delete { principal: x() },
        Operation::Rename { principal: x(), to: x() },
        Operation::Alias { alias: x(), principal: x() },
        Operation::Describe { principal: x() },
        Operation::List { pattern: Some("a*&b=é%".into()), after: Some(x()), limit: Some(7) },
        Operation::List { pattern: None, after: None, limit: None },
        Operation::Extract { principal: x(), fresh: None },
        Operation::Extract { principal: x(), fresh: Some(vec![]) },
        Operation::PurgeKeys { principal: x(), keep: Keep::From(3) },
        Operation::SetString { principal: x(), name: "a/..".into(), value: Some("b".into()) },
        Operation::SetString { principal: x(), name: "..".into(), value: None },
        Operation::Strings { principal: x() },
        Operation::AddToken { principal: x(), token: token() },
        Operation::DeleteToken { principal: x(), name: "a phone".into() },
        Operation::CreatePolicy {
            name: "p / ü".into(),
            rules: PolicyRules { max_life: Some(1), ..PolicyRules::default() },
        },
        Operation::ModifyPolicy { name: "p".into(), rules: PolicyRules::default() },
        Operation::DeletePolicy { name: "p".into() },
        Operation::DescribePolicy { name: "p".into() },
        Operation::ListPolicies { pattern: Some("p*".into()) },
        Operation::Rotate { principal: x(), announce: 1, overlap: None, newest: Some(2) },
        Operation::Status,
        Operation::Reload,
        Operation::Restart,
        Operation::Dump { next: None },
        Operation::Dump { next: Some("a b".into()) },
        Operation::MasterKey,
        Operation::RotateMasterKey { after: None },
        Operation::RotateMasterKey { after: Some(x()) },
        Operation::Privileges,
        Operation::Kdcs,
        Operation::Once { request: "8e03978e".into(), operation: Box::new(Operation::Delete { principal: x() }) },
        Operation::Once {
            request: "!#~".into(),
            operation: Box::new(Operation::Guarded {
                revision: 42,
                operation: Box::new(Operation::Delete { principal: x() }),
            }),
        },
        Operation::Batch { operations: vec![Operation::Delete { principal: x() }, Operation::Privileges] },
        Operation::Guarded { revision: 42, operation: Box::new(Operation::Delete { principal: x() }) },
    ]
}

#[test]
fn every_operation_has_a_route_and_arrives_by_it_as_it_was_sent() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for operation in each() {
        let call = Call::of(&operation).unwrap_or_else(|| panic!("{operation:?}"));
        let mut request = axum::http::Request::builder().method(call.route.method()).uri(&call.target);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let (route, body) = (call.route, call.body.clone());
        // The router finds the parts of the path.
        let (sender, receiver) = std::sync::mpsc::channel();
        let take = move |request: Request| {
            let (sender, body) = (sender.clone(), body.clone());
            async move {
                let mut parts = request.into_parts().0;
                let read = read::operation(route, &mut parts, body.as_deref().map(Vec::as_slice), "R").await;
                sender.send(read).expect("taken");
            }
        };
        let router = Router::new().route(route.path, axum::routing::any(take));
        runtime.block_on(router.oneshot(request)).expect("infallible");
        let read = receiver.recv().expect("routed").unwrap_or_else(|problem| panic!("{operation:?}: {problem:?}"));
        let json = |operation: &Operation| serde_json::to_value(operation).expect("JSON");
        assert_eq!(json(&read), json(&operation));
    }
}

#[test]
fn the_list_of_operations_here_is_complete_and_every_route_has_one() {
    let described: Value = serde_json::to_value(<Operation as utoipa::PartialSchema>::schema()).expect("JSON");
    let name = |variant: &Value| match variant["properties"].as_object() {
        Some(named) => named.keys().next().expect("a name").clone(),
        None => variant["enum"][0].as_str().expect("a name").to_owned(),
    };
    let all: BTreeSet<_> = described["oneOf"].as_array().expect("variants").iter().map(name).collect();
    let here = each().into_iter().map(|operation| match serde_json::to_value(operation).expect("JSON") {
        Value::String(name) => name,
        Value::Object(named) => named.keys().next().expect("a name").clone(),
        other => panic!("{other}"),
    });
    assert_eq!(here.collect::<BTreeSet<_>>(), all);
    let routed: BTreeSet<_> = ROUTES.iter().map(|route| route.operation.to_owned()).collect();
    // They are no resources but headers: If-Match, Idempotency-Key.
    let unrouted: Vec<_> = all.difference(&routed).collect();
    assert_eq!(unrouted, ["guarded", "once"]);
    assert_eq!(routed.difference(&all).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn a_list_is_no_object_and_a_whole_number_is_one_however_it_is_written() {
    let api = api();
    let keys = json!({ "random": [] });
    for (wrong, field) in [
        (json!({ "principal": "x", "keys": keys, "settings": [null, null] }), "settings"),
        (json!({ "principal": "x", "keys": { "random": [["aes128-cts", "normal"]] } }), "random"),
        (json!({ "principal": "x", "keys": ["random"] }), "keys"),
    ] {
        api.ask("POST", "/v1/principals", Some(wrong)).is(422, "invalid", Some(field));
    }
    let body = json!({ "principal": "x", "keys": keys, "kvno": 4.0 });
    assert_eq!(api.ask("POST", "/v1/principals", Some(body)).status, 201);
    assert_eq!(api.ask("GET", "/v1/principals/x", None).body["keys"][0]["kvno"], 4);
    api.ask("POST", "/v1/principals", Some(json!({ "principal": "y", "keys": keys, "kvno": 4.5 }))).is(
        422,
        "invalid",
        Some("kvno"),
    );
    api.ask("GET", &format!("/v1/principals/{}", "x".repeat(1025)), None).is(422, "invalid", Some("principal"));
}

#[test]
fn every_route_is_in_the_document_and_the_document_refers_to_nothing_that_it_lacks() {
    let said = api().ask("GET", "/v1/openapi.json", None);
    assert_eq!((said.status, &said.body["openapi"]), (200, &json!("3.1.0")));
    for route in ROUTES {
        let described = &said.body["paths"][route.path][route.method().as_str().to_ascii_lowercase()];
        assert_eq!(described["operationId"], route.id, "{}", route.path);
        let parameters: Vec<_> = described["parameters"].as_array().expect("parameters").iter().collect();
        assert_eq!(parameters.iter().filter(|it| it["in"] == "path").count(), route.path.matches('{').count());
        if route.has_body() {
            let body = &described["requestBody"]["content"]["application/json"]["schema"];
            let fields = body["properties"].as_object().is_some_and(|fields| !fields.is_empty());
            let nothing_to_say = ["reload", "restart"].contains(&route.id);
            assert!(body["type"] == "object" && fields != nothing_to_say, "{}: {body}", route.id);
        }
        if let Some(answer) = route.answer {
            let schema = &described["responses"]["200"]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{answer}: {described}");
        }
    }
    let ids: Vec<_> = ROUTES.iter().map(|route| route.id).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
    let text = said.body.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(said.body.pointer(reference).is_some(), "{reference}");
    }
}

#[test]
fn a_principal_lives_from_post_to_delete() {
    let api = api();
    let body = json!({ "principal": "HTTP/www.example.org", "keys": { "password": { "password": "x", "kinds": [] } } });
    assert_eq!(api.ask("POST", "/v1/principals", Some(body)).status, 201);
    let at = "/v1/principals/HTTP%2Fwww.example.org";
    let found = api.ask("GET", at, None);
    assert_eq!((found.status, &found.body["principal"]), (200, &json!("HTTP/www.example.org@R")));
    assert_eq!(found.headers["cache-control"], "no-store");
    assert_eq!(api.ask("PATCH", at, Some(json!({ "settings": { "max_life": 60 } }))).status, 204);
    assert_eq!(api.ask("GET", &format!("{at}@R"), None).body["max_life"], 60);
    assert_eq!(api.ask("POST", &format!("{at}/aliases"), Some(json!({ "alias": "HTTP/www" }))).status, 204);
    assert_eq!(
        api.ask("POST", &format!("{at}/keys"), Some(json!({ "keys": { "random": [] }, "keep_old": true }))).status,
        204
    );
    assert_eq!(api.ask("POST", &format!("{at}/keys/purge"), Some(json!({ "keep": "newest" }))).status, 204);
    let keys = api.ask("POST", "/v1/principals/HTTP%2Fwww/keys/extract", Some(json!({})));
    assert_eq!((keys.status, &keys.body["keys"][0]["kvno"]), (200, &json!(2)), "{}", keys.body);
    assert_eq!(api.ask("PUT", &format!("{at}/strings/a%2Fb"), Some(json!({ "value": "c" }))).status, 204);
    assert_eq!(api.ask("GET", &format!("{at}/strings"), None).body, json!({ "a/b": "c" }));
    assert_eq!(api.ask("DELETE", &format!("{at}/strings/a%2Fb"), None).status, 204);
    assert_eq!(api.ask("GET", &format!("{at}/strings"), None).body, json!({}));
    assert_eq!(api.ask("POST", &format!("{at}/rename"), Some(json!({ "to": "HTTP/new" }))).status, 204);
    assert_eq!(api.ask("DELETE", "/v1/principals/HTTP%2Fnew", None).status, 204);
    api.ask("GET", at, None).is(404, "missing", None);
}

#[test]
fn pages_follow_each_other_until_the_last() {
    let api = api();
    (0..5).for_each(|number| api.make(&format!("p{number}")));
    let (mut seen, mut target) = (vec![], "/v1/principals?limit=2&pattern=p*".to_owned());
    loop {
        let page = api.ask("GET", &target, None);
        assert_eq!(page.status, 200, "{}", page.body);
        seen.extend(
            page.body["names"].as_array().expect("names").iter().map(|name| name.as_str().expect("a name").to_owned()),
        );
        let Some(next) = page.body["next"].as_str() else { break };
        target = format!("/v1/principals?limit=2&pattern=p*&after={next}");
    }
    assert_eq!(seen, api.names());
    assert_eq!(api.ask("GET", "/v1/principals?limit=4294967295", None).body["names"].as_array().map(Vec::len), Some(5));
    api.ask("GET", "/v1/principals?limit=0", None).is(422, "invalid", Some("limit"));
    api.ask("GET", "/v1/principals?limit=-1", None).is(422, "invalid", Some("limit"));
    api.ask("GET", "/v1/principals?limit=1&limit=2", None).is(422, "invalid", Some("limit"));
    api.ask("GET", "/v1/principals?offset=1", None).is(400, "malformed", Some("query"));
}

#[test]
fn a_policy_lives_from_post_to_delete() {
    let api = api();
    assert_eq!(api.ask("POST", "/v1/policies", Some(json!({ "name": "staff" }))).status, 201);
    api.ask("POST", "/v1/policies", Some(json!({ "name": "staff" }))).is(409, "exists", None);
    let found = api.ask("GET", "/v1/policies/staff", None);
    let tag = found.headers["etag"].to_str().expect("text").to_owned();
    let change = |life: i64| {
        let body = Some(json!({ "rules": { "max_life": life } }));
        api.ask_with("PATCH", "/v1/policies/staff", body, &[("if-match", &tag)])
    };
    assert_eq!(change(60).status, 204);
    change(61).is(412, "changed", None);
    assert_eq!(api.ask("GET", "/v1/policies/staff", None).body["rules"]["max_life"], 60);
    assert_eq!(api.ask("GET", "/v1/policies?pattern=s*", None).body, json!({ "policies": ["staff"] }));
    let batch = json!({ "operations": [
        { "create_policy": { "name": "new" } },
        { "modify_policy": { "name": "new", "rules": { "max_life": 5 } } },
        { "create": { "principal": "x", "keys": "keyless", "settings": { "policy": "new", "set": 0, "clear": 0 } } },
        { "delete_policy": { "name": "staff" } },
    ] });
    let done = api.ask("POST", "/v1/batch", Some(batch));
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(api.ask("GET", "/v1/policies/new", None).body["rules"]["max_life"], 5);
    assert_eq!(api.ask("GET", "/v1/principals/x", None).body["policy"], "new");
    api.ask("GET", "/v1/policies/staff", None).is(404, "missing", None);
}

#[test]
fn put_makes_once_and_finds_it_again_only_if_it_is_just_so() {
    let api = api();
    let put = |body: Value| api.ask("PUT", "/v1/principals/x", Some(body)).status;
    let settings = json!({ "max_life": 60, "set": 64, "clear": 0 });
    for (keys, other) in [
        (json!("keyless"), json!({ "random": [] })),
        (json!({ "random": [] }), json!({ "random": [{ "etype": "aes256-cts", "salt": "normal" }] })),
        (
            json!({ "password": { "password": "one", "kinds": [] } }),
            json!({ "password": { "password": "two", "kinds": [] } }),
        ),
    ] {
        assert_eq!(put(json!({ "keys": keys, "settings": settings })), 201);
        let revision = api.ask("GET", "/v1/principals/x", None).body["revision"].clone();
        assert_eq!(put(json!({ "keys": keys, "settings": settings })), 200);
        assert_eq!(put(json!({ "keys": other, "settings": settings })), 409);
        assert_eq!(put(json!({ "keys": keys, "settings": { "max_life": 61, "set": 0, "clear": 0 } })), 409);
        assert_eq!(put(json!({ "keys": keys, "settings": { "set": 0, "clear": 64 } })), 409);
        assert_eq!(api.ask("GET", "/v1/principals/x", None).body["revision"], revision, "nothing was changed");
        assert_eq!(api.ask("DELETE", "/v1/principals/x", None).status, 204);
    }
}

#[test]
fn a_change_of_what_was_changed_meanwhile_is_refused() {
    let api = api();
    api.make("x");
    let tag = |said: &Said| said.headers["etag"].to_str().expect("text").to_owned();
    let first = tag(&api.ask("GET", "/v1/principals/x", None));
    let life = |life: i64, tag: &str| {
        let settings = json!({ "settings": { "max_life": life, "set": 0, "clear": 0 } });
        api.ask_with("PATCH", "/v1/principals/x", Some(settings), &[("if-match", tag)])
    };
    assert_eq!(life(60, &first).status, 204);
    life(61, &first).is(412, "changed", None);
    let now = api.ask("GET", "/v1/principals/x", None);
    assert_eq!(now.body["max_life"], 60);
    for tag in ["x", "W/\"1\"", "\"\"", "\"-1\"", "*", "\"1\", \"2\""] {
        life(62, tag).is(412, "malformed", Some("if-match"));
    }
    let known = api.ask_with("GET", "/v1/principals/x", None, &[("if-none-match", &tag(&now))]);
    assert_eq!(known.status, 304);
    api.ask_with("DELETE", "/v1/principals/x", None, &[("if-match", &first)]).is(412, "changed", None);
    assert_eq!(api.ask_with("DELETE", "/v1/principals/x", None, &[("if-match", &tag(&now))]).status, 204);
}

#[test]
fn a_change_with_an_id_of_its_own_is_made_once_and_answered_again_as_it_was() {
    let api = api();
    let ask = |path: &str, body: Value, id: &str| api.ask_with("POST", path, Some(body), &[("idempotency-key", id)]);
    let make = |name: &str, id: &str| ask("/v1/principals", json!({ "principal": name, "keys": "keyless" }), id);
    assert_eq!((make("x", "\"1\"").status, make("x", "\"1\"").status), (201, 201));
    make("x", "\"2\"").is(409, "exists", None);
    make("y", "\"1\"").is(422, "invalid", Some("request"));
    api.ask("GET", "/v1/principals/y", None).is(404, "missing", None);
    let keys = |id: &str| ask("/v1/principals/x/keys/extract", json!({ "fresh": [] }), id).body["keys"].clone();
    let first = keys("\"k\"");
    assert!(first == keys("\"k\"") && first != keys("\"l\""), "the same keys, not newer ones");
    for id in ["", "1", "\"\"", "\"a b\"", "\"a\"b\"", &format!("\"{}\"", "x".repeat(129))] {
        make("z", id).is(422, "invalid", Some("idempotency-key"));
    }
    api.ask_with("GET", "/v1/principals/x", None, &[("idempotency-key", "\"1\"")]).is(
        400,
        "malformed",
        Some("idempotency-key"),
    );
    // The ETag that it was made of counts the first time only.
    let tag = api.ask("GET", "/v1/principals/x", None).headers["etag"].to_str().expect("text").to_owned();
    let gone = || api.ask_with("DELETE", "/v1/principals/x", None, &[("if-match", &tag), ("idempotency-key", "\"d\"")]);
    assert_eq!((gone().status, gone().status), (204, 204));
    api.ask_with("DELETE", "/v1/principals/x", None, &[("if-match", &tag)]).is(404, "missing", None);
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    let api = api();
    let create = |name: &str| json!({ "create": { "principal": name, "keys": { "random": [] } } });
    let batch = |operations: Vec<Value>| api.ask("POST", "/v1/batch", Some(json!({ "operations": operations })));
    api.make("there");
    let before = api.names();
    let refused = batch(vec![create("a"), create("b"), create("there"), create("c")]);
    assert!(refused.is(409, "exists", Some("operations[2]")).starts_with("operation 2: "));
    batch(vec![create("a"), create("a")]).is(409, "exists", Some("operations[1]"));
    batch(vec![create("a"), json!({ "create": {} })]).is(422, "invalid", Some("operations[1].create"));
    batch(vec![create("a"), json!({ "extract": { "principal": "there", "fresh": null } })]).is(
        422,
        "invalid",
        Some("operations[1]"),
    );
    batch(vec![create("a"), json!({ "batch": { "operations": [] } })]).is(422, "invalid", Some("operations[1]"));
    batch((0..501).map(|number| create(&format!("p{number}"))).collect()).is(422, "invalid", Some("operations"));
    assert_eq!(api.names(), before);
    let all = batch(vec![
        create("a"),
        json!({ "modify": { "principal": "a", "kvno": null, "settings": { "max_life": 60, "set": 0, "clear": 0 } } }),
        json!({ "alias": { "alias": "b", "principal": "a" } }),
        json!({ "set_string": { "principal": "b", "name": "n", "value": "v" } }),
        json!({ "list": { "pattern": null, "after": null } }),
        json!({ "delete": { "principal": "there" } }),
        json!({ "rename": { "principal": "a", "to": "there" } }),
        json!({ "describe": { "principal": "b" } }),
    ]);
    assert_eq!(all.status, 200, "{}", all.body);
    assert_eq!(all.body["answers"][4]["names"]["names"], json!(["a@R", "there@R"]));
    assert_eq!(all.body["answers"][7]["principal"]["principal"], "there@R");
    assert_eq!(api.names(), ["there@R"]);
    assert_eq!(api.ask("GET", "/v1/principals/b/strings", None).body, json!({ "n": "v" }));
}

#[test]
fn what_is_wrong_is_named_and_what_was_sent_is_not_repeated() {
    let api = api();
    let post = |body: Value| api.ask("POST", "/v1/principals", Some(body));
    let keys = json!({ "random": [] });
    for (body, field, words) in [
        (json!({ "principal": "a" }), None, "missing field `keys`"),
        (
            json!({ "principal": "a", "keys": "hunter2" }),
            Some("keys"),
            "expected one of `keyless`, `random`, `password`",
        ),
        (json!({ "principal": "a", "keys": { "password": "hunter2" } }), Some("keys.password"), "expected "),
        (json!({ "principal": "a@b@hunter2", "keys": keys }), Some("principal"), "this is not what was expected here"),
        (
            json!({ "principal": "a", "keys": keys, "hunter2": 1 }),
            Some("hunter2"),
            "there is no such field here; expected",
        ),
        (json!({ "principal": "a", "keys": keys, "kvno": "hunter2" }), Some("kvno"), "expected u32"),
        (json!({ "principal": "a", "keys": keys, "kvno": -1 }), Some("kvno"), "expected u32"),
        (
            json!({ "principal": "a", "keys": keys, "settings": { "max_life": "hunter2" } }),
            Some("settings.max_life"),
            "expected i64",
        ),
    ] {
        let said = post(body.clone());
        if field != Some("hunter2") {
            assert!(!said.body.to_string().contains("hunter2"), "{}", said.body);
            let found = said.is(422, "invalid", field);
            assert!(found.starts_with(words), "{body}: {found}");
        } else {
            assert!(said.is(422, "invalid", None).starts_with(words), "{}", said.body);
        }
    }
    api.ask("POST", "/v1/principals/a/rename", Some(json!({ "principal": "b", "to": "c" }))).is(
        422,
        "invalid",
        Some("principal"),
    );
    api.ask("GET", "/v1/principals/%ff", None).is(400, "malformed", None);
    api.ask("GET", "/v1/nothing", None).is(404, "no_such_resource", None);
    let not_so = api.ask("TRACE", "/v1/principals/a", None);
    not_so.is(405, "no_such_method", None);
    assert_eq!(not_so.headers["allow"], "GET,HEAD,PUT,PATCH,DELETE");
    let form = axum::http::Request::post("/v1/principals").header("content-type", "text/plain");
    api.send(form.body(Body::from("{}")).expect("a request")).is(415, "not_json", None);
    let long = axum::http::Request::post("/v1/principals").header("content-type", "application/json");
    api.send(long.body(Body::from(vec![b' '; MAX_BODY + 1])).expect("a request")).is(413, "too_long", None);
    assert_eq!(api.names(), Vec::<String>::new());
}

#[test]
fn nobody_is_served_whom_no_door_has_named() {
    let store = Arc::new(Memory::new());
    let registry = Registry::new(store as Arc<dyn Store>, Policy::new("R"), KeyRules::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for route in ROUTES {
        let request = axum::http::Request::builder().method(route.method()).uri(route.path.replace(['{', '}'], ""));
        let response = router(Arc::new(registry.clone())).oneshot(request.body(Body::empty()).expect("a request"));
        assert_eq!(runtime.block_on(response).expect("infallible").status(), 401, "{}", route.id);
    }
}

#[test]
fn c1_key_kinds_that_repeat_or_contradict_themselves_make_one_key_each() {
    let api = api();
    let kind = |salt: &str| json!({ "etype": "aes128-cts", "salt": salt });
    let kinds: Vec<_> = ["normal", "special", "norealm"].iter().cycle().take(1000).map(|salt| kind(salt)).collect();
    for keys in [json!({ "random": kinds }), json!({ "password": { "password": "x", "kinds": kinds } })] {
        let body = json!({ "principal": "x", "keys": keys, "kvno": 4_294_967_295_u32 });
        assert_eq!(api.ask("POST", "/v1/principals", Some(body)).status, 201);
        let shown = api.ask("GET", "/v1/principals/x", None).body["keys"].clone();
        assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
        // There is no version after the last.
        let more = json!({ "keys": { "random": [] } });
        api.ask("POST", "/v1/principals/x/keys", Some(more)).is(422, "invalid", None);
        assert_eq!(api.ask("DELETE", "/v1/principals/x", None).status, 204);
    }
    for etype in ["des-cbc-crc", "99", "0", "-1", "", "aes256-cts\u{0}"] {
        let keys = json!({ "random": [{ "etype": etype, "salt": "normal" }] });
        let said = api.ask("POST", "/v1/principals", Some(json!({ "principal": "x", "keys": keys })));
        assert_eq!(said.status, 422, "{etype}: {}", said.body);
    }
    assert_eq!(api.names(), Vec::<String>::new());
}

#[test]
fn c1_texts_with_nul_without_end_or_without_length_are_whole_or_refused() {
    let api = api();
    let odd = ["a\u{0}b", "\u{0}", "a\u{0}", "\\", "a\\", "", "@", "/", "a@", "\u{202e}", "\u{feff}a"];
    for name in odd {
        let body = json!({ "principal": name, "keys": "keyless" });
        let made = api.ask("POST", "/v1/principals", Some(body));
        let Ok(principal) = libkrb::Principal::parse(name, Some("R")) else {
            assert!((400..500).contains(&made.status), "{name:?}: {}", made.body);
            continue;
        };
        // What is taken is found under the whole name and no shorter one.
        if made.status == 201 {
            let found = api.store.lookup(&principal).expect("readable").expect("there");
            assert_eq!(found.principal.components(), principal.components());
            assert_eq!(api.names(), [principal.to_string()]);
            let call = Call::of(&Operation::Delete { principal: Name(principal) }).expect("a route");
            assert_eq!(api.ask("DELETE", &call.target, None).status, 204, "{name:?}");
        }
    }
    api.make("x");
    for text in odd {
        let at = format!("/v1/principals/x/strings/{}", text.bytes().map(|b| format!("%{b:02x}")).collect::<String>());
        let said = api.ask("PUT", &at, Some(json!({ "value": text })));
        if said.status == 204 {
            assert_eq!(api.ask("GET", "/v1/principals/x/strings", None).body, json!({ text: text }));
            assert_eq!(api.ask("DELETE", &at, None).status, 204);
        } else {
            assert!((400..500).contains(&said.status), "{text:?}: {}", said.body);
        }
    }
    let long = "x".repeat(300_000);
    for body in [
        json!({ "principal": long, "keys": "keyless" }),
        json!({ "principal": vec!["x"; 5000].join("/"), "keys": "keyless" }),
    ] {
        assert_eq!(api.ask("POST", "/v1/principals", Some(body)).status, 422);
    }
    api.ask("PUT", "/v1/principals/x/strings/a", Some(json!({ "value": long }))).is(422, "invalid", None);
}

#[test]
fn c1_a_policy_that_is_null_or_is_not_there_harms_nobody() {
    let api = api();
    api.make("x");
    let set = |policy: Value| {
        api.ask("PATCH", "/v1/principals/x", Some(json!({ "settings": { "policy": policy, "set": 0, "clear": 0 } })))
            .status
    };
    assert_eq!(set(Value::Null), 204);
    assert_eq!(set(json!("")), 204);
    for policy in [json!("none"), json!("\u{0}")] {
        assert!([204, 404, 422].contains(&set(policy)));
        assert_eq!(api.ask("GET", "/v1/principals/x", None).status, 200);
        assert_eq!(api.ask("POST", "/v1/principals/x/keys", Some(json!({ "keys": { "random": [] } }))).status, 204);
    }
    for body in
        [json!({ "name": null }), json!({ "name": "" }), json!({ "name": "p", "rules": null }), json!({ "rules": {} })]
    {
        assert_eq!(api.ask("POST", "/v1/policies", Some(body)).status, 422);
    }
}

#[test]
fn c1_who_keeps_old_keys_is_not_given_them() {
    let api = api();
    api.make("x");
    let old =
        api.store.lookup(&libkrb::Principal::parse("x@R", None).expect("a name")).expect("readable").expect("there");
    let old = Secret::hex(old.keys[0].keys[0].key.expose());
    let changed = api.ask("POST", "/v1/principals/x/keys", Some(json!({ "keys": { "random": [] }, "keep_old": true })));
    assert_eq!((changed.status, &changed.body), (204, &Value::Null));
    // Fresh ones that are asked for come alone.
    let fresh = api.ask("POST", "/v1/principals/x/keys/extract", Some(json!({ "fresh": [] })));
    assert_eq!(fresh.body["keys"].as_array().map(Vec::len), Some(1), "{}", fresh.status);
    assert!(!fresh.body.to_string().contains(old.expose()));
    let shown = api.ask("GET", "/v1/principals/x", None).body.to_string();
    assert!(!shown.contains(old.expose()) && !shown.contains(fresh.body["keys"][0]["key"].as_str().expect("a key")));
}
