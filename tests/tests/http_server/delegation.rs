//! Tickets that a caller hands over: the next service sees the user and not only the one in between.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use libkrb::config::Config;
use libkrb::credentials::{Credentials, Delegation, Initiation};
use libkrb::crypto::OsRandom;
use libkrb::gss::{InitiatorContext, InitiatorStep};
use libkrb::http::Caller;
use libkrb::http::session::{SessionKeys, Sessions};
use tests::library;

use crate::me;
use crate::site::{Site, authorization, block_on, get_with, serve};

const NEXT: &str = "HTTP/next.example.org";

/// The first token of a context.
fn first(mut context: InitiatorContext) -> String {
    match context.step(library::now(), &mut OsRandom::new(), None).expect("a token") {
        InitiatorStep::Continue(token) => authorization(&token),
        InitiatorStep::Done(..) => panic!("it waits for the service's proof"),
    }
}

/// What the service in the middle has: its own credentials, and those it has acted with.
#[derive(Clone)]
struct Middle {
    own: Credentials,
    acted: Arc<Mutex<Vec<Credentials>>>,
    next: std::net::SocketAddr,
}

/// Calls the next service as the caller, and says what that one has seen.
async fn pass_on(State(middle): State<Middle>, Extension(caller): Extension<Caller>) -> Result<String, String> {
    let wrong = |error: libkrb::Error| error.to_string();
    let user = caller.credentials(&middle.own).map_err(wrong)?.ok_or("no tickets")?;
    let spn = user.spn("http://next.example.org/").map_err(wrong)?;
    let context = user.initiator(&spn, Initiation::default()).await.map_err(wrong)?;
    let answer = get_with(middle.next, "/me", &[("authorization", &first(context))]).await;
    middle.acted.lock().expect("no panic").push(user);
    Ok(answer.body)
}

#[test]
fn a_service_acts_for_its_caller_at_the_next_one_in_every_request_of_a_session() {
    let site = Site::start();
    let next = site.layer_of(NEXT);
    let config = Arc::new(Config::parse("krb5.conf", site.configuration()).expect("a krb5.conf"));
    let sessions = Sessions::bearer(SessionKeys::random().expect("a key"), &site.service());
    let layer = site.layer().sessions(sessions);
    block_on(async {
        let keytab = format!("FILE:{}", site.keytab.display());
        let own = Credentials::from_keytab(&keytab).principal("HTTP/web.example.org").config(config.clone());
        let own = own.start().await.expect("credentials");
        let next = serve(Router::new().route("/me", get(me)).layer(next)).await;
        let middle = Middle { own, acted: Arc::default(), next };
        let acted = middle.acted.clone();
        let router = Router::new().route("/", get(pass_on)).layer(layer).with_state(middle);
        let address = serve(router).await;

        let alice = Credentials::from_password("alice", "secret").config(config).forwardable();
        let alice = alice.start().await.expect("credentials");
        let spn = alice.spn("http://web.example.org/").expect("a name");
        let plain = first(alice.initiator(&spn, Initiation::default()).await.expect("a context"));
        let answer = get_with(address, "/", &[("authorization", &plain)]).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "no tickets"));

        let handing = Initiation { delegation: Delegation::Always, ..Initiation::default() };
        let token = first(alice.initiator(&spn, handing).await.expect("a context"));
        let answer = get_with(address, "/", &[("authorization", &token)]).await;
        assert_eq!(answer.body, "alice@EXAMPLE.ORG nobody Negotiate");
        let bearer = format!("Bearer {}", answer.header("krb-session").split(';').next().expect("a session"));
        for _ in 0..2 {
            let again = get_with(address, "/", &[("authorization", &bearer)]).await;
            assert_eq!(again.body, "alice@EXAMPLE.ORG nobody Negotiate");
        }
        let acted = acted.lock().expect("no panic").clone();
        let next = libkrb::Principal::parse(NEXT, Some("EXAMPLE.ORG")).expect("a principal");
        let mut tickets = vec![];
        for credentials in acted.iter() {
            assert_eq!(credentials.principal().to_string(), "alice@EXAMPLE.ORG");
            tickets.push(credentials.ticket(&next).await.expect("a ticket"));
        }
        assert!(tickets.windows(2).all(|pair| Arc::ptr_eq(&pair[0], &pair[1])), "one ticket for all requests");
    });
}
