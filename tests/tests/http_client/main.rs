//! Our HTTP clients, reqwest's middleware and the layer around hyper's, against servers of others
//! and of ours.

mod apache;
mod grpc;
mod hostile;
mod ours;
mod python;
mod redirects;
mod site;

use std::sync::Arc;

use libkrb::config::Config;
use libkrb::credentials::{Credentials, Delegation};
use libkrb::http::client::{Hosts, Negotiator, Standing};
use libkrb::net::Transport;
use tests::{PATIENCE, Pair, Realm, Seat, suite};

use apache::Apache;
use grpc::*;
use hostile::*;
use ours::*;
use python::*;
use redirects::*;

const SERVICE: &str = "HTTP/localhost";

suite! {
    our_kdc: Ours, Ours;
    => {
        apache_takes_our_token_and_proves_itself;
        apaches_session_takes_the_place_of_tokens;
        apache_gets_the_ticket_that_we_hand_over;
        apache_with_new_keys_is_called_with_a_new_ticket;
        a_session_of_ours_takes_the_place_of_tokens;
        a_thousand_requests_at_once_share_a_ticket;
        hypers_client_calls_ours_and_apache_through_the_layer;
        a_redirect_to_another_origin_takes_nothing_along;
        a_redirect_to_where_tokens_may_go_gets_one_of_its_own;
        a_redirect_from_tls_to_none_takes_nothing_along;
        redirects_in_a_circle_end;
        a_client_that_follows_redirects_by_itself_is_told;
        grpc_calls_bear_tokens_unary_and_streaming;
        grpc_calls_go_on_with_a_session_and_survive_its_end;
        a_grpc_service_without_a_proof_is_not_believed;
        no_answer_makes_the_client_believe_or_wait_or_fall;
        python_takes_our_token_and_proves_itself;
        python_that_does_not_prove_itself_is_not_believed;
    }
}

/// Runs a test's future, within its patience.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await }).expect("an end in time")
}

/// A realm with alice and the service.
fn realm(pair: Pair) -> Realm {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    realm
}

/// The configuration of a place.
fn config(seat: &Seat<'_>) -> Arc<Config> {
    let text = std::fs::read_to_string(seat.configuration()).expect("the client's krb5.conf");
    Arc::new(Config::parse("krb5.conf", &text).expect("a krb5.conf"))
}

/// alice's credentials.
async fn alice(seat: &Seat<'_>) -> Credentials {
    let transport = Transport::new(config(seat));
    let credentials = Credentials::from_password("alice", "secret").transport(transport).forwardable();
    credentials.start().await.expect("credentials")
}

fn plain(host: &str) -> Hosts {
    Hosts::default().plain_http([host]).expect("a host")
}

/// Status, standing, header x-user and text of an answer.
async fn told(answer: reqwest::Response) -> (u16, Option<Standing>, String, String) {
    let status = answer.status().as_u16();
    let standing = answer.extensions().get().cloned();
    let user = answer.headers().get("x-user").map(|user| user.to_str().expect("a name").to_owned());
    (status, standing, user.unwrap_or_default(), answer.text().await.expect("a text"))
}

fn welcome() -> (u16, Option<Standing>, String, String) {
    (200, Some(Standing::Proven), "alice@EXAMPLE.ORG".to_owned(), "hello".to_owned())
}

fn apache_takes_our_token_and_proves_itself(pair: Pair) {
    let realm = realm(pair);
    let Some(apache) = Apache::start(&realm.keytab(SERVICE), "", "") else { return };
    let seat = pair.seat(&realm);
    run(async {
        let negotiator = Negotiator::new(alice(&seat).await, plain(&apache.host()));
        let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
        for _ in 0..3 {
            let answer = client.get(apache.url()).send().await.expect("an answer");
            assert_eq!(told(answer).await, welcome());
        }
    });
    assert!(!apache.log().contains("NO AUTH DATA"), "no request was wasted on a challenge");
}

fn apaches_session_takes_the_place_of_tokens(pair: Pair) {
    let realm = realm(pair);
    let sessions = " GssapiUseSessions On\n Session On\n SessionCookieName apaches path=/;httponly";
    let Some(apache) = Apache::start(&realm.keytab(SERVICE), "", sessions) else { return };
    let seat = pair.seat(&realm);
    run(async {
        let negotiator = Negotiator::new(alice(&seat).await, plain(&apache.host()));
        let negotiator = negotiator.sessions_over_plain_http().session_cookie("apaches");
        let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
        let first = client.get(apache.url()).send().await.expect("an answer");
        assert_eq!(told(first).await, welcome());
        for _ in 0..3 {
            let (status, standing, user, _) = told(client.get(apache.url()).send().await.expect("an answer")).await;
            assert_eq!((status, standing, user.as_str()), (200, Some(Standing::Session), "alice@EXAMPLE.ORG"));
        }
    });
}

fn apache_gets_the_ticket_that_we_hand_over(pair: Pair) {
    let realm = realm(pair);
    let keytab = realm.keytab(SERVICE);
    let folder = " GssapiDelegCcacheDir ROOT/delegated";
    let Some(apache) = Apache::start(&keytab, "", folder) else { return };
    let seat = pair.seat(&realm);
    let call = |credentials: Credentials, delegation| {
        let url = apache.url();
        let negotiator = Negotiator::new(credentials, plain(&apache.host())).delegate(delegation);
        async move {
            let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
            assert_eq!(told(client.get(url).send().await.expect("an answer")).await, welcome());
        }
    };
    run(async {
        let credentials = alice(&seat).await;
        call(credentials.clone(), Delegation::Never).await;
        // The KDC does not trust the service yet.
        call(credentials.clone(), Delegation::IfTrusted).await;
        assert_eq!(apache.delegated(), Vec::<std::path::PathBuf>::new());
        realm.modify(SERVICE, &["+ok_as_delegate"]);
        call(alice(&seat).await, Delegation::IfTrusted).await;
    });
    let [cache] = &apache.delegated()[..] else { panic!("one cache: {:?}", apache.delegated()) };
    let tickets = libkrb::ccache::CacheName::File(cache.clone()).load().expect("a cache");
    assert_eq!(tickets.principal.to_string(), "alice@EXAMPLE.ORG");
    let tgt = tickets.tickets().find(|ticket| ticket.server.to_string() == "krbtgt/EXAMPLE.ORG@EXAMPLE.ORG");
    let flags = tgt.expect("a ticket-granting ticket").flags;
    assert!(flags.has(libkrb::flags::TicketFlags::FORWARDED), "{flags:?}");
}

fn apache_with_new_keys_is_called_with_a_new_ticket(pair: Pair) {
    let realm = realm(pair);
    let Some(mut apache) = Apache::start(&realm.keytab(SERVICE), "", "") else { return };
    let seat = pair.seat(&realm);
    run(async {
        let negotiator = Negotiator::new(alice(&seat).await, plain(&apache.host()));
        let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
        assert_eq!(told(client.get(apache.url()).send().await.expect("an answer")).await, welcome());
        realm.change(SERVICE, tests::Secret::Random);
        apache.restart(&realm.keytab(SERVICE));
        assert_eq!(told(client.get(apache.url()).send().await.expect("an answer")).await, welcome());
    });
}
