//! Where redirects lead, and what does not go along.

use std::sync::Arc;

use libkrb::http::client::{Hosts, Negotiator, Standing};
use reqwest_middleware::ClientWithMiddleware;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tests::Pair;
use tokio_rustls::TlsAcceptor;

use crate::site::{Asked, Site, layer, sessions};
use crate::{alice, plain, realm, run, told, welcome};

async fn get(client: &ClientWithMiddleware, url: &str) -> reqwest::Response {
    client.get(url).header("x-mine", "1").send().await.expect("an answer")
}

fn nothing() -> Asked {
    Asked { authorization: String::new(), cookie: String::new(), body: String::new() }
}

pub fn a_redirect_to_another_origin_takes_nothing_along(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    run(async {
        let (here, there) =
            (Site::start(Some(layer(&realm).await.sessions(sessions()))).await, Site::start(None).await);
        let negotiator = Negotiator::new(alice(&seat).await, plain(&here.host())).sessions_over_plain_http();
        let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
        // With a token first, then with a session.
        for scheme in ["Negotiate", "Bearer"] {
            for host in [there.host(), format!("127.0.0.1:{}", there.port)] {
                let answer = get(&client, &here.url(&format!("/302?http://{host}/"))).await;
                assert_eq!(answer.headers()["x-user"], "nobody");
                assert_eq!(answer.extensions().get::<Standing>(), None);
                assert_eq!(there.asked(), [nothing()]);
            }
            let asked = here.asked();
            assert!(asked.iter().any(|asked| asked.scheme() == scheme), "{asked:?}");
        }
    });
}

pub fn a_redirect_to_where_tokens_may_go_gets_one_of_its_own(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    run(async {
        // Two processes of one service, each with a replay cache of its own.
        let (here, there) =
            (Site::start(Some(layer(&realm).await)).await, Site::start(Some(layer(&realm).await)).await);
        let hosts = plain(&here.host()).plain_http([there.host().as_str()]).expect("hosts");
        let negotiator = Negotiator::new(alice(&seat).await, hosts);
        let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
        assert_eq!(told(get(&client, &here.url(&format!("/307?{}", there.url("/")))).await).await, welcome());
        let (first, second) = (here.asked(), there.asked());
        assert_eq!((first[0].scheme(), second[0].scheme()), ("Negotiate", "Negotiate"));
        assert_ne!(first[0].authorization, second[0].authorization);
        // Within a site too each request has its own, and a body that is wanted again is there.
        let answer = client.post(here.url("/308?/there")).body(", you").send().await.expect("an answer");
        assert_eq!(told(answer).await.3, "hello, you");
        let asked = here.asked();
        assert_eq!(asked.iter().map(|asked| asked.body.as_str()).collect::<Vec<_>>(), [", you", ", you"]);
        assert_ne!(asked[0].authorization, asked[1].authorization);
    });
}

pub fn a_redirect_from_tls_to_none_takes_nothing_along(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    run(async {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).expect("a configuration of TLS");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let here = Site::start_tls(Some(layer(&realm).await.sessions(sessions())), acceptor).await;
        let there = Site::start(None).await;
        let hosts = Hosts::https([here.host().as_str(), there.host().as_str()]).expect("hosts");
        let negotiator = Negotiator::new(alice(&seat).await, hosts);
        let trusted = reqwest::Certificate::from_der(made.cert.der()).expect("a certificate");
        let builder = reqwest::Client::builder().tls_certs_only([trusted]);
        let client = negotiator.reqwest(builder).expect("a client");
        // Over TLS the session is used by itself.
        for scheme in ["Negotiate", "Bearer"] {
            let answer = get(&client, &here.url(&format!("/302?{}", there.url("/")))).await;
            assert_eq!(answer.headers()["x-user"], "nobody");
            assert_eq!(there.asked(), [nothing()]);
            assert_eq!(here.asked()[0].scheme(), scheme);
        }
    });
}

pub fn redirects_in_a_circle_end(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    run(async {
        let site = Site::start(Some(layer(&realm).await)).await;
        let negotiator = Negotiator::new(alice(&seat).await, plain(&site.host()));
        let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
        let error = client.get(site.url("/302?302?/")).send().await;
        assert!(error.is_ok(), "one redirect is none too many");
        site.asked();
        let around = site.url(&format!("/302?{}", "/302?".repeat(20)));
        let error = client.get(around).send().await.expect_err("too many redirects");
        assert!(format!("{error:?}").contains("more than 10 redirects"), "{error:?}");
        assert_eq!(site.asked().len(), 11);
    });
}

pub fn a_client_that_follows_redirects_by_itself_is_told(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    run(async {
        let site = Site::start(Some(layer(&realm).await)).await;
        let negotiator = Negotiator::new(alice(&seat).await, plain(&site.host()));
        let client =
            reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(negotiator.middleware()).build();
        assert_eq!(told(get(&client, &site.url("/")).await).await, welcome());
        let error = client.get(site.url("/302?/")).send().await.expect_err("a replayed token");
        assert!(format!("{error:?}").contains("redirect(Policy::none())"), "{error:?}");
    });
}
