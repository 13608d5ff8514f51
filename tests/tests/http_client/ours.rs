//! Our clients and our servers.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use libkrb::http::client::{ClonedBody, NegotiateLayer, Negotiator, Standing};
use tests::Pair;
use tower::{Layer, ServiceExt};

use crate::apache::Apache;
use crate::site::{Site, layer, sessions};
use crate::{SERVICE, alice, plain, realm, run, told, welcome};

pub fn a_session_of_ours_takes_the_place_of_tokens(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    run(async {
        let site = Site::start(Some(layer(&realm).await.sessions(sessions()))).await;
        let negotiator = Negotiator::new(alice(&seat).await, plain(&site.host())).sessions_over_plain_http();
        let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
        for standing in [Standing::Proven, Standing::Session, Standing::Session] {
            let answer = told(client.get(site.url("/")).send().await.expect("an answer")).await;
            assert_eq!(answer, (200, Some(standing), "alice@EXAMPLE.ORG".to_owned(), "hello".to_owned()));
        }
        let schemes: Vec<_> = site.asked().iter().map(|asked| asked.scheme().to_owned()).collect();
        assert_eq!(schemes, ["Negotiate", "Bearer", "Bearer"]);
    });
}

pub fn a_thousand_requests_at_once_share_a_ticket(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    run(async {
        let site = Site::start(Some(layer(&realm).await)).await;
        let credentials = alice(&seat).await;
        let negotiator = Negotiator::new(credentials.clone(), plain(&site.host()));
        let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
        let calls: Vec<_> = (0..1000)
            .map(|_| {
                let request = client.get(site.url("/"));
                tokio::spawn(async move { told(request.send().await.expect("an answer")).await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.expect("a task"), welcome());
        }
        assert_eq!(site.asked().len(), 1000, "none was sent twice");
        let requests = credentials.state().kdc_requests;
        assert_eq!((requests.as_exchanges, requests.tgs_exchanges), (1, 1));
    });
}

pub fn hypers_client_calls_ours_and_apache_through_the_layer(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    let keytab = realm.keytab(SERVICE);
    let apache = Apache::start(&keytab, "", "");
    run(async {
        let site = Site::start(Some(layer(&realm).await)).await;
        let mut urls = vec![site.url("/")];
        let mut hosts = plain(&site.host());
        if let Some(apache) = &apache {
            urls.push(apache.url());
            hosts = hosts.plain_http([apache.host().as_str()]).expect("a host");
        }
        let negotiator = Negotiator::new(alice(&seat).await, hosts);
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        // Asked first, so that the body is wanted twice.
        for negotiator in [negotiator.clone(), negotiator.when_challenged()] {
            let client = NegotiateLayer::new(negotiator).replay(ClonedBody).layer(client.clone());
            for url in &urls {
                let request = http::Request::post(url).body(Full::from(", you")).expect("a request");
                let answer = client.clone().oneshot(request).await.expect("an answer");
                assert_eq!(answer.extensions().get(), Some(&Standing::Proven), "{url}");
                let body = answer.into_body().collect().await.expect("a body").to_bytes();
                assert!(body.starts_with(b"hello"), "{url}");
            }
        }
        assert_eq!(site.asked().iter().filter(|asked| asked.body == ", you").count(), 3);
    });
}
