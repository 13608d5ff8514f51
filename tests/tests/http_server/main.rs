//! The HTTP layer around real servers: axum and tonic on sockets, with tickets from our KDC.

mod delegation;
mod grpc;
mod limits;
mod site;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use libkrb::access::AccessPolicy;
use libkrb::config::Config;
use libkrb::gss::{InitiatorStep, Mechanism};
use libkrb::http::server::{Counters, Mode, NegotiateLayer, Require};
use libkrb::http::session::{Cookie, SessionKeys, Sessions};
use libkrb::http::{Caller, How};
use libkrb::replay::{MemoryReplayCache, Pending, ReplayCache, ReplayKey, Verdict};
use libkrb::wire::{self, List, NegTokenInit, NegTokenResp, NegotiationToken, Oid, Raw};
use libkrb::{Principal, Time};
use site::{Site, Wire, authorization, block_on, get_with, serve, serve_with_connections};

async fn me(caller: Caller) -> String {
    let local = caller.local_name().unwrap_or("nobody");
    format!("{caller} {local} {:?}", caller.how())
}

async fn perhaps(caller: Option<Caller>) -> String {
    caller.map_or("anonymous".to_owned(), |caller| caller.to_string())
}

#[test]
fn a_handler_learns_who_calls_and_the_caller_who_serves() {
    let site = Site::start();
    let config = "[libdefaults]\ndefault_realm = EXAMPLE.ORG\n[realms]\nEXAMPLE.ORG = {\nauth_to_local = DEFAULT\n}";
    let names = Config::parse("krb5.conf", config).and_then(|config| config.local_names()).expect("names");
    let negotiate = site.layer().local_names(names);
    block_on(async {
        let address = serve(Router::new().route("/me", get(me)).layer(negotiate)).await;
        let challenged = get_with(address, "/me", &[]).await;
        assert_eq!((challenged.status, challenged.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Negotiate"));
        for mechanism in [Mechanism::Spnego, Mechanism::Kerberos] {
            let (mut alice, token) = site.begin(mechanism);
            let answer = get_with(address, "/me", &[("authorization", &token)]).await;
            assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "alice@EXAMPLE.ORG alice Negotiate"));
            let proof = answer.token().expect("the service's proof");
            let done = alice.step(tests::library::now(), &mut libkrb::crypto::OsRandom::new(), Some(&proof));
            assert!(matches!(done.expect("a genuine proof"), InitiatorStep::Done(_, None)));
        }
    });
}

#[test]
fn a_ticket_for_another_service_is_refused() {
    let site = Site::start();
    let other = site.layer_of("HTTP/other.example.org");
    block_on(async {
        let address = serve(Router::new().route("/me", get(me)).layer(other)).await;
        let answer = get_with(address, "/me", &[("authorization", &site.token())]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.body.starts_with("The token was not accepted"), "{}", answer.body);
    });
}

#[test]
fn routes_have_requirements_of_their_own() {
    let site = Site::start();
    let policy = AccessPolicy::parse("role staff alice@EXAMPLE.ORG\nallow role:staff\n").expect("a policy");
    let roles = policy.clone();
    let required = site.layer().roles("a test's", move |accepted| roles.roles_of(&accepted.client));
    let optional = required.clone().mode(Mode::Optional);
    block_on(async {
        let staff = Router::new().route("/staff", get(me)).route_layer(Require::policy(policy));
        let admins = Router::new().route("/admins", get(me)).route_layer(Require::caller().role("admins"));
        let closed = staff.merge(admins).route_layer(required);
        let open = Router::new().route("/open", get(perhaps)).route("/mine", get(me)).route_layer(optional);
        let bare = Router::new().route("/bare", get(me)).route("/free", get(perhaps));
        let address = serve(closed.merge(open).merge(bare)).await;
        let as_alice = async |path: &str| get_with(address, path, &[("authorization", &site.token())]).await;
        let as_nobody = async |path: &str| get_with(address, path, &[]).await;

        assert_eq!(as_alice("/staff").await.status, StatusCode::OK);
        assert_eq!(as_alice("/admins").await.status, StatusCode::FORBIDDEN);
        assert_eq!(as_nobody("/staff").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(as_alice("/open").await.body, "alice@EXAMPLE.ORG");
        assert_eq!(as_nobody("/open").await.body, "anonymous");
        let mine = as_nobody("/mine").await;
        assert_eq!((mine.status, mine.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Negotiate"));
        assert_eq!(as_nobody("/bare").await.status, StatusCode::INTERNAL_SERVER_ERROR, "no layer has looked");
        assert_eq!(as_alice("/free").await.body, "anonymous");
        assert_eq!(as_nobody("/nowhere").await.status, StatusCode::NOT_FOUND);
    });
}

#[test]
fn a_cookie_spares_the_next_token_until_the_principal_is_revoked() {
    let site = Site::start();
    let revoked = Arc::new(std::sync::atomic::AtomicI64::new(i64::MIN));
    let since = revoked.clone();
    let cookie = Cookie { secure: false, ..Cookie::default() };
    let sessions = Sessions::cookie(SessionKeys::random().expect("a key"), &site.service(), cookie)
        .expect("a cookie")
        .not_before(move |_: &Principal| Some(Time(since.load(std::sync::atomic::Ordering::Relaxed))));
    let counters = Arc::new(Counters::default());
    let negotiate = site.layer().sessions(sessions).observer(counters.clone());
    block_on(async {
        let address = serve(Router::new().route("/me", get(me)).layer(negotiate)).await;
        let first = get_with(address, "/me", &[("authorization", &site.token())]).await;
        let cookie = first.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        for _ in 0..3 {
            let again = get_with(address, "/me", &[("cookie", &cookie)]).await;
            assert_eq!(again.body, format!("alice@EXAMPLE.ORG nobody {:?}", How::Session));
        }
        revoked.store(tests::library::now().time.0, std::sync::atomic::Ordering::Relaxed);
        let refused = get_with(address, "/me", &[("cookie", &cookie)]).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Negotiate"));
        assert_eq!((counters.negotiated(), counters.sessions()), (1, 3));
    });
}

/// D7: the same token at two replicas that share a replay cache, and twice at the same one.
#[test]
fn d7_a_token_is_good_once_at_all_replicas_together() {
    let site = Site::start();
    let replay: Arc<dyn ReplayCache> = Arc::new(MemoryReplayCache::new(300, 1000));
    let replicas = [site.layer_with(replay.clone()), site.layer_with(replay)];
    block_on(async {
        let mut addresses = vec![];
        for layer in replicas {
            addresses.push(serve(Router::new().route("/me", get(me)).layer(layer)).await);
        }
        let token = site.token();
        assert_eq!(get_with(addresses[0], "/me", &[("authorization", &token)]).await.status, StatusCode::OK);
        for address in addresses {
            let again = get_with(address, "/me", &[("authorization", &token)]).await;
            assert_eq!(again.status, StatusCode::UNAUTHORIZED);
            assert!(again.body.starts_with("This token was used before"), "{}", again.body);
        }
    });
}

/// A replay cache that answers when it is told to.
struct Slow(Arc<tokio::sync::Semaphore>);

impl ReplayCache for Slow {
    fn insert(&self, _: ReplayKey, _: Time, _: Time) -> Verdict {
        Verdict::Unavailable
    }

    fn insert_async(&self, _: ReplayKey, _: Time, _: Time) -> Pending<'_> {
        Box::pin(async { self.0.acquire().await.map_or(Verdict::Unavailable, |_| Verdict::Fresh) })
    }
}

#[test]
fn a_replay_cache_that_takes_long_holds_no_worker() {
    let site = Site::start();
    let answers = Arc::new(tokio::sync::Semaphore::new(0));
    let slow = site.layer_with(Arc::new(Slow(answers.clone())));
    // One worker for everything: client, server, and the hundred that wait.
    block_on(async {
        let router = Router::new().route("/me", get(me)).layer(slow);
        let address = serve(router.route("/free", get(perhaps))).await;
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let token = site.token();
                tokio::spawn(async move { get_with(address, "/me", &[("authorization", &token)]).await.status })
            })
            .collect();
        assert_eq!(get_with(address, "/free", &[]).await.body, "anonymous");
        answers.add_permits(1);
        for one in waiting {
            assert_eq!(one.await.expect("an answer"), StatusCode::OK);
        }
        answers.close();
        let away = get_with(address, "/me", &[("authorization", &site.token())]).await;
        assert_eq!((away.status, away.header("www-authenticate")), (StatusCode::SERVICE_UNAVAILABLE, ""));
    });
}

#[test]
fn a_layer_is_shared_by_the_routes_it_lies_around() {
    let site = Site::start();
    let negotiate: NegotiateLayer = site.layer();
    block_on(async {
        let router = Router::new().route("/a", get(me)).route("/b", get(me)).route_layer(negotiate);
        let address = serve(router).await;
        let token = site.token();
        assert_eq!(get_with(address, "/a", &[("authorization", &token)]).await.status, StatusCode::OK);
        assert_eq!(get_with(address, "/b", &[("authorization", &token)]).await.status, StatusCode::UNAUTHORIZED);
    });
}

#[test]
fn legs_of_one_negotiation_go_over_one_connection() {
    let site = Site::start();
    let layer = site.layer();
    block_on(async {
        let address = serve_with_connections(Router::new().route("/me", get(me)).layer(layer)).await;
        let mechanisms = wire::encode(&List::Items(&[Oid::KERBEROS]));
        let mechanisms = Raw::parse(&mechanisms).expect("a list");
        let offer = NegTokenInit { mechanisms, token: None, hints: None, mic: None };
        let offer = authorization(&wire::encode(&NegotiationToken::Init(offer)));
        let kerberos = site.begin_raw(Mechanism::Kerberos).1;
        let leg = NegTokenResp { state: None, mechanism: None, token: Some(&kerberos), mic: None };
        let leg = authorization(&wire::encode(&NegotiationToken::Resp(leg)));

        let mut connection = Wire::http1(address).await;
        let first = connection.get("/me", &[("authorization", &offer)]).await.expect("an answer");
        assert!(first.status == StatusCode::UNAUTHORIZED && first.token().is_some());
        let elsewhere = get_with(address, "/me", &[("authorization", &leg)]).await;
        assert_eq!((elsewhere.status, elsewhere.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Negotiate"));
        let done = connection.get("/me", &[("authorization", &leg)]).await.expect("an answer");
        assert_eq!((done.status, &*done.body), (StatusCode::OK, "alice@EXAMPLE.ORG nobody Negotiate"));
    });
}
