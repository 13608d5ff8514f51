use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use tower_service::Service;

use super::testing::{Peer, Tickets, fetch, negotiator, send};
use super::*;
use crate::error::ErrorCode;
use crate::gss::ChannelBindings;
use crate::gss::testing::{NOW, principal};
use crate::http::server;
use crate::http::session::{self, SessionKeys};
use crate::time::Instant;

const URL: &str = "https://a/list";

fn ours(octet: u8) -> Peer {
    Peer::ours(octet, |layer| layer)
}

/// Ours with bearer tokens for sessions.
fn with_sessions(octet: u8, secret: u8) -> Peer {
    Peer::ours(octet, |layer| {
        let keys = SessionKeys::from_secrets([[secret; 32]]).unwrap();
        layer.sessions(session::Sessions::bearer(keys, &principal("host/a")))
    })
}

fn schemes(peer: &Peer) -> Vec<String> {
    peer.seen().iter().map(|seen| seen.scheme().to_owned()).collect()
}

fn code(error: &Error) -> ErrorCode {
    error.wire_code()
}

/// A man in the middle, who changes the answers of a service.
fn changed(peer: &Peer, change: impl Fn(&mut Response<String>) + Send + Sync + 'static) -> Peer {
    let (peer, change) = (peer.clone(), Arc::new(change));
    Peer::new(move |request| {
        let (mut peer, change) = (peer.clone(), change.clone());
        Box::pin(async move {
            let mut answer = peer.call(request).await?;
            change(&mut answer);
            Ok(answer)
        })
    })
}

#[tokio::test]
async fn the_first_request_bears_a_token_and_the_answer_proves_the_service() {
    let (tickets, peer) = (Tickets::of(&[1]), ours(1));
    let outcome = fetch(&negotiator(&tickets), &peer, URL).await.unwrap();
    assert_eq!(outcome, (200, Some(Standing::Proven)));
    let [seen] = &peer.seen()[..] else { panic!("one request") };
    assert_eq!((seen.scheme(), seen.body.as_str(), seen.url.as_str()), ("Negotiate", "question", URL));
}

#[tokio::test]
async fn many_requests_at_once_each_bear_a_token_of_their_own() {
    let (tickets, peer) = (Tickets::of(&[1]), ours(1));
    let negotiator = negotiator(&tickets);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (negotiator, peer) = (negotiator.clone(), peer.clone());
            tokio::spawn(async move { fetch(&negotiator, &peer, URL).await.unwrap().0 })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    let mut tokens: Vec<_> = peer.seen().into_iter().map(|seen| seen.authorization).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!((tokens.len(), tickets.forgotten()), (50, 0));
}

#[tokio::test]
async fn an_answer_without_a_proof_is_an_error() {
    let tickets = Tickets::of(&[1]);
    for status in [200, 204, 302, 304, 400, 403, 404, 429] {
        let dropped = changed(&ours(1), move |answer| {
            answer.headers_mut().remove(WWW_AUTHENTICATE);
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        });
        let error = fetch(&negotiator(&tickets), &dropped, URL).await.unwrap_err();
        assert_eq!(code(&error), ErrorCode::MUT_FAIL, "{status}");
        let words = format!("Mutual authentication failed: the answer with status {status} bears no proof");
        assert_eq!(error.to_string(), words);
    }
    // A gateway's, and nobody is said to have proven anything.
    let gateway = Peer::saying(502, &[]);
    assert_eq!(fetch(&negotiator(&tickets), &gateway, URL).await.unwrap(), (502, Some(Standing::Unknown)));
}

#[tokio::test]
async fn a_proof_for_another_request_is_none() {
    let (tickets, first) = (Tickets::of(&[1]), ours(1));
    let negotiator = negotiator(&tickets);
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let listening = changed(&first, move |answer| {
        *keep.lock().unwrap() = answer.headers().get(WWW_AUTHENTICATE).cloned();
    });
    fetch(&negotiator, &listening, URL).await.unwrap();
    let replayed = kept.lock().unwrap().take().unwrap();
    let replaying = Peer::saying(200, &[("www-authenticate", replayed.to_str().unwrap())]);
    let error = fetch(&negotiator, &replaying, URL).await.unwrap_err();
    assert_eq!(code(&error), ErrorCode::MUT_FAIL, "{error}");
}

#[tokio::test]
async fn the_proof_of_another_service_is_none() {
    // It has another key, so that it cannot even read the ticket: it makes up an answer of its own.
    let (tickets, others) = (Tickets::of(&[1]), Tickets::of(&[7]));
    let hers = Arc::new(Mutex::new(None));
    let keep = hers.clone();
    let listening = changed(&ours(7), move |answer| {
        *keep.lock().unwrap() = answer.headers().get(WWW_AUTHENTICATE).cloned();
    });
    fetch(&negotiator(&others), &listening, URL).await.unwrap();
    let token: HeaderValue = hers.lock().unwrap().take().unwrap();
    let pretending = Peer::saying(200, &[("www-authenticate", token.to_str().unwrap())]);
    assert_eq!(code(&fetch(&negotiator(&tickets), &pretending, URL).await.unwrap_err()), ErrorCode::MUT_FAIL);
}

#[tokio::test]
async fn garbage_in_place_of_a_proof_is_an_error() {
    let tickets = Tickets::of(&[1]);
    let long = format!("Negotiate {}", "QUFB".repeat(30_000));
    for value in ["Negotiate !!!", "Negotiate QUFB", "Negotiate oAcwBaADCgEA", &long, "Negotiate YIIB"] {
        let peer = Peer::saying(200, &[("www-authenticate", value)]);
        let error = fetch(&negotiator(&tickets), &peer, URL).await.unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
        // A refusal claims nothing, whatever else it says.
        let peer = Peer::saying(401, &[("www-authenticate", value)]);
        let (status, standing) = fetch(&negotiator(&tickets), &peer, URL).await.unwrap();
        assert_eq!(status, 401);
        assert!(matches!(standing, Some(Standing::Refused(Some(_)))), "{value:.20}: {standing:?}");
        assert_eq!(schemes(&peer), ["Negotiate"]);
    }
}

#[tokio::test]
async fn a_challenge_for_something_weaker_is_not_followed() {
    let tickets = Tickets::of(&[1]);
    for challenge in ["Basic realm=\"x\"", "NTLM", "Digest realm=\"x\"", "Bearer", "Kerberos"] {
        for negotiator in [negotiator(&tickets), negotiator(&tickets).when_challenged()] {
            let peer = Peer::saying(401, &[("www-authenticate", challenge)]);
            assert_eq!(fetch(&negotiator, &peer, URL).await.unwrap().0, 401);
            assert_eq!(peer.seen().len(), 1, "{challenge}");
            assert!(peer.seen().iter().all(|seen| ["", "Negotiate"].contains(&seen.scheme())));
        }
    }
    // NTLM within Negotiate.
    let peer = Peer::saying(401, &[("www-authenticate", "Negotiate TlRMTVNTUAACAAAAAAAAAA==")]);
    assert_eq!(fetch(&negotiator(&tickets), &peer, URL).await.unwrap().0, 401);
    assert_eq!(peer.seen().len(), 1);
}

#[tokio::test]
async fn no_token_goes_where_none_may_go() {
    let tickets = Tickets::of(&[1]);
    let negotiator = negotiator(&tickets);
    for url in ["https://c/", "http://b/", "https://a:8443/", "http://a:8080/", "https://a.c/", "https://a@c/", "/list"]
    {
        let peer = Peer::saying(401, &[("www-authenticate", "Negotiate")]);
        assert_eq!(fetch(&negotiator, &peer, url).await.unwrap(), (401, None), "{url}");
        assert_eq!(schemes(&peer), [""], "{url}");
    }
    assert_eq!(tickets.opened(), 0);
}

#[tokio::test]
async fn a_request_with_an_authorization_of_its_own_goes_as_it_is() {
    let (tickets, peer) = (Tickets::of(&[1]), ours(1));
    let request = Request::get(URL).header(AUTHORIZATION, "Basic eDp5").body(String::new()).unwrap();
    let answer = send(&negotiator(&tickets), &peer, request).await.unwrap();
    assert_eq!((answer.status().as_u16(), schemes(&peer)), (401, vec!["Basic".to_owned()]));
}

#[tokio::test]
async fn a_service_that_is_asked_first_gets_the_token_after_its_challenge() {
    let (tickets, peer) = (Tickets::of(&[1]), ours(1));
    let negotiator = negotiator(&tickets).when_challenged();
    assert_eq!(fetch(&negotiator, &peer, URL).await.unwrap(), (200, Some(Standing::Proven)));
    assert_eq!(schemes(&peer), ["", "Negotiate"]);
    assert!(peer.seen().iter().all(|seen| seen.body == "question"));
}

#[tokio::test]
async fn a_session_takes_the_place_of_tokens_until_it_ends() {
    let (tickets, peer) = (Tickets::of(&[1]), with_sessions(1, 9));
    let negotiator = negotiator(&tickets);
    let standings = [Standing::Proven, Standing::Session, Standing::Session];
    for standing in standings {
        assert_eq!(fetch(&negotiator, &peer, URL).await.unwrap(), (200, Some(standing)));
    }
    assert_eq!(schemes(&peer), ["Negotiate", "Bearer", "Bearer"]);
    *tickets.now.lock().unwrap() = Instant::from(NOW.time + 3595);
    fetch(&negotiator, &peer, URL).await.unwrap();
    assert_eq!(peer.seen()[3].scheme(), "Negotiate", "one that is about to end is not used");
}

#[tokio::test]
async fn sessions_are_used_where_they_were_given_and_nowhere_else() {
    let (tickets, peer) = (Tickets::of(&[1]), with_sessions(1, 9));
    let negotiator = negotiator(&tickets);
    fetch(&negotiator, &peer, URL).await.unwrap();
    for url in ["https://b/list", "http://a/list", "https://c/list", "https://a:8443/list"] {
        fetch(&negotiator, &peer, url).await.unwrap();
        assert_ne!(peer.seen().last().unwrap().scheme(), "Bearer", "{url}");
    }
    // Without TLS a session is not kept, unless told so.
    fetch(&negotiator, &peer, "http://a/list").await.unwrap();
    assert_eq!(peer.seen().last().unwrap().scheme(), "Negotiate");
    let told = negotiator.clone().sessions_over_plain_http();
    for scheme in ["Negotiate", "Bearer"] {
        fetch(&told, &peer, "http://a/list").await.unwrap();
        assert_eq!(peer.seen().last().unwrap().scheme(), scheme);
    }
    let never = negotiator.without_sessions();
    for _ in 0..2 {
        fetch(&never, &peer, URL).await.unwrap();
        assert_eq!(peer.seen().last().unwrap().scheme(), "Negotiate");
    }
}

#[tokio::test]
async fn a_session_from_an_answer_without_a_proof_is_not_kept() {
    let tickets = Tickets::of(&[1]);
    let negotiator = negotiator(&tickets);
    for status in [200, 401, 502] {
        let peer = Peer::saying(status, &[("krb-session", "krb1.planted"), ("set-cookie", "krb_session=planted")]);
        for _ in 0..2 {
            let _ = fetch(&negotiator, &peer, URL).await;
        }
        assert_eq!(schemes(&peer), ["Negotiate", "Negotiate"], "{status}");
        assert!(peer.seen().iter().all(|seen| seen.cookie.is_none()));
    }
}

#[tokio::test]
async fn a_stale_session_is_dropped_and_the_request_sent_once_more() {
    let (tickets, before, after) = (Tickets::of(&[1]), with_sessions(1, 9), with_sessions(1, 8));
    let negotiator = negotiator(&tickets);
    fetch(&negotiator, &before, URL).await.unwrap();
    assert_eq!(fetch(&negotiator, &after, URL).await.unwrap(), (200, Some(Standing::Proven)));
    fetch(&negotiator, &after, URL).await.unwrap();
    assert_eq!(schemes(&after), ["Bearer", "Negotiate", "Bearer"]);
    assert!(after.seen().iter().all(|seen| seen.body == "question"));
    assert_eq!(tickets.forgotten(), 0);
}

#[tokio::test]
async fn a_session_in_a_cookie_goes_beside_the_requests_own_cookies() {
    let peer = Peer::ours(1, |layer| {
        let keys = SessionKeys::from_secrets([[9; 32]]).unwrap();
        let cookie = session::Cookie::default();
        layer.sessions(session::Sessions::cookie(keys, &principal("host/a"), cookie).unwrap())
    });
    let tickets = Tickets::of(&[1]);
    let negotiator = negotiator(&tickets);
    fetch(&negotiator, &peer, URL).await.unwrap();
    let request = Request::get(URL).header(COOKIE, "colour=red").body(String::new()).unwrap();
    let answer = send(&negotiator, &peer, request).await.unwrap();
    assert_eq!(answer.extensions().get(), Some(&Standing::Session));
    let cookie = peer.seen()[1].cookie.clone().unwrap();
    assert!(cookie.starts_with("colour=red; __Host-krb_session=krb1."), "{cookie}");
    assert_eq!(peer.seen()[1].scheme(), "");
}

#[tokio::test]
async fn a_ticket_that_the_service_cannot_open_any_more_is_got_anew_once() {
    // The service has the key 7 by now; the KDC gives tickets for it.
    let (tickets, peer) = (Tickets::of(&[1, 7]), ours(7));
    let negotiator = negotiator(&tickets);
    assert_eq!(fetch(&negotiator, &peer, URL).await.unwrap(), (200, Some(Standing::Proven)));
    assert_eq!((peer.seen().len(), tickets.forgotten()), (2, 1));
    // A KDC that does not know the new key cannot help, and is not asked all the time.
    let (tickets, peer) = (Tickets::of(&[1]), ours(7));
    let negotiator = self::negotiator(&tickets);
    for _ in 0..5 {
        let (status, standing) = fetch(&negotiator, &peer, URL).await.unwrap();
        assert_eq!(status, 401);
        assert!(matches!(standing, Some(Standing::Refused(Some(Error::Protocol { .. })))), "{standing:?}");
    }
    assert_eq!((peer.seen().len(), tickets.forgotten()), (10, 1));
    *tickets.now.lock().unwrap() = Instant::from(NOW.time + 6);
    fetch(&negotiator, &peer, URL).await.unwrap();
    assert_eq!(tickets.forgotten(), 2);
}

#[tokio::test]
async fn a_service_that_refuses_without_a_reason_is_tried_with_a_new_ticket_once() {
    let tickets = Tickets::of(&[1, 7]);
    let peer = Peer::saying(401, &[("www-authenticate", "Negotiate")]);
    let outcome = fetch(&negotiator(&tickets), &peer, URL).await.unwrap();
    assert_eq!(outcome, (401, Some(Standing::Refused(None))));
    assert_eq!((peer.seen().len(), tickets.forgotten()), (2, 1));
    // No Negotiate, no reason to try.
    let peer = Peer::saying(401, &[]);
    fetch(&negotiator(&tickets), &peer, URL).await.unwrap();
    assert_eq!(peer.seen().len(), 1);
}

#[tokio::test]
async fn a_replayed_token_is_no_reason_for_a_new_ticket() {
    let (tickets, peer) = (Tickets::of(&[1]), ours(1));
    let negotiator = negotiator(&tickets);
    // Somebody was faster with our token.
    let raced = Peer::new(move |request| {
        let mut racing = peer.clone();
        let copy = Request::get(URL).header(AUTHORIZATION, request.headers()[AUTHORIZATION].clone());
        let (first, second) = (racing.call(copy.body(String::new()).unwrap()), racing.call(request));
        Box::pin(async move {
            first.await?;
            second.await
        })
    });
    let (status, standing) = fetch(&negotiator, &raced, URL).await.unwrap();
    let Some(Standing::Refused(Some(error))) = standing else { panic!("{standing:?}") };
    assert_eq!((status, code(&error), tickets.forgotten()), (401, ErrorCode::REPEAT, 0));
}

#[tokio::test]
async fn a_service_whose_clock_differs_is_called_by_its_clock() {
    let (tickets, peer) = (Tickets::of(&[1]), ours(1));
    let negotiator = negotiator(&tickets);
    *tickets.now.lock().unwrap() = Instant::from(NOW.time - 1000);
    for count in [2, 3] {
        assert_eq!(fetch(&negotiator, &peer, URL).await.unwrap(), (200, Some(Standing::Proven)));
        assert_eq!(peer.seen().len(), count, "it is learned once");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_had_again_is_sent_once() {
    use tower_layer::Layer;
    let tickets = Tickets::of(&[1]);
    for (body, requests) in [("question", 1), ("", 2)] {
        let peer = ours(1);
        let mut service = NegotiateLayer::new(negotiator(&tickets).when_challenged()).layer(peer.clone());
        service.call(Request::post(URL).body(body.to_owned()).unwrap()).await.unwrap();
        assert_eq!(peer.seen().len(), requests, "{body}");
    }
}

#[tokio::test]
async fn a_base_completes_the_url_of_a_request_that_names_its_path_alone() {
    use tower_layer::Layer;
    let (tickets, peer) = (Tickets::of(&[1]), ours(1));
    let layer = NegotiateLayer::new(negotiator(&tickets)).base("https://a".parse().unwrap());
    let answer = layer.layer(peer.clone()).call(Request::get("/list").body(String::new()).unwrap()).await.unwrap();
    assert_eq!(answer.extensions().get(), Some(&Standing::Proven));
    assert_eq!(peer.seen()[0].url, "/list");
    // It does not make another host of a request that has one.
    let away = layer.layer(peer.clone()).call(Request::get("https://c/").body(String::new()).unwrap()).await.unwrap();
    assert_eq!(away.extensions().get::<Standing>(), None);
}

#[tokio::test]
async fn channel_bindings_come_from_the_requests_extensions() {
    let bindings = ChannelBindings::tls_server_end_point(b"hash");
    let peer = Peer::ours(1, |layer| {
        let bindings = bindings.clone();
        layer.require_bindings().connection(move |_| Some(server::Connection::new().with_bindings(bindings.clone())))
    });
    let tickets = Tickets::of(&[1]);
    let other = ChannelBindings::tls_server_end_point(b"another");
    for (bindings, status) in [(Some(bindings.clone()), 200), (Some(other), 401), (None, 401)] {
        let mut request = Request::get(URL).body(String::new()).unwrap();
        request.extensions_mut().extend(
            bindings
                .map(|bindings| {
                    let mut extensions = http::Extensions::new();
                    extensions.insert(bindings);
                    extensions
                })
                .unwrap_or_default(),
        );
        assert_eq!(send(&negotiator(&tickets), &peer, request).await.unwrap().status().as_u16(), status);
    }
}
