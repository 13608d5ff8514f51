//! The same layer around tonic: unary and streaming methods of a service that is written by hand.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use libkrb::access::AccessPolicy;
use libkrb::http::grpc;
use libkrb::http::server::{NegotiateLayer, Require};
use libkrb::http::session::{SessionKeys, Sessions};
use tokio_stream::StreamExt;
use tonic::body::Body;
use tonic::metadata::MetadataValue;
use tonic::server::NamedService;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::site::{Site, block_on, listen};

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

impl Text {
    fn new(text: impl Into<String>) -> Text {
        Text { text: text.into() }
    }
}

/// `market.Ads`: Find answers once, Watch with a stream, Chat to each message of a stream.
#[derive(Clone)]
struct Ads;

impl NamedService for Ads {
    const NAME: &'static str = "market.Ads";
}

type Answers = Pin<Box<dyn tokio_stream::Stream<Item = Result<Text, Status>> + Send>>;

async fn find(request: Request<Text>) -> Result<Response<Text>, Status> {
    let caller = grpc::caller(&request)?;
    Ok(Response::new(Text::new(format!("{} for {caller} {:?}", request.get_ref().text, caller.how()))))
}

async fn watch(request: Request<Text>) -> Result<Response<Answers>, Status> {
    let caller = grpc::caller(&request)?.to_string();
    let answers = (0..3).map(move |number| Ok(Text::new(format!("{number} for {caller}"))));
    Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
}

async fn chat(request: Request<Streaming<Text>>) -> Result<Response<Answers>, Status> {
    let caller = grpc::caller(&request)?.to_string();
    let answers = request.into_inner().map(move |text| Ok(Text::new(format!("{} for {caller}", text?.text))));
    Ok(Response::new(Box::pin(answers)))
}

impl tower::Service<http::Request<Body>> for Ads {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Text, Text>::default());
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/market.Ads/Find" => grpc.unary(tower::service_fn(find), request).await,
                "/market.Ads/Watch" => grpc.server_streaming(tower::service_fn(watch), request).await,
                _ => grpc.streaming(tower::service_fn(chat), request).await,
            })
        })
    }
}

/// Serves both with and without an interceptor around the service.
async fn serve(layer: Option<NegotiateLayer>, require: Require) -> Channel {
    let (listener, address) = listen().await;
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let ads = InterceptedService::new(Ads, require);
    match layer {
        Some(layer) => {
            drop(tokio::spawn(Server::builder().layer(layer).add_service(ads).serve_with_incoming(incoming)))
        }
        None => drop(tokio::spawn(Server::builder().add_service(Ads).serve_with_incoming(incoming))),
    }
    Channel::from_shared(format!("http://{address}")).expect("an address").connect().await.expect("a connection")
}

fn call<T>(message: T, authorization: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(value) = authorization {
        request.metadata_mut().insert("authorization", MetadataValue::try_from(value).expect("a value"));
    }
    request
}

fn path(method: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(method)
}

async fn find_with(channel: &Channel, authorization: Option<&str>) -> Result<Response<Text>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.expect("a connection");
    client.unary(call(Text::new("bikes"), authorization), path("/market.Ads/Find"), ProstCodec::default()).await
}

fn everybody() -> Require {
    Require::caller()
}

#[test]
fn a_unary_method_learns_who_calls_and_proves_itself_in_the_metadata() {
    let site = Site::start();
    let layer = site.layer();
    block_on(async {
        let channel = serve(Some(layer), everybody()).await;
        let answer = find_with(&channel, Some(&site.token())).await.expect("an answer");
        assert_eq!(answer.get_ref().text, "bikes for alice@EXAMPLE.ORG Negotiate");
        let proof = answer.metadata().get("www-authenticate").expect("a proof").to_str().expect("text");
        assert!(proof.starts_with("Negotiate YIG"), "{proof}");
    });
}

#[test]
fn a_refusal_is_a_status_with_a_challenge() {
    let site = Site::start();
    let layer = site.layer();
    block_on(async {
        let channel = serve(Some(layer), everybody()).await;
        let token = site.token();
        find_with(&channel, Some(&token)).await.expect("an answer");
        for bad in [None, Some(&*token), Some("Negotiate !"), Some("Bearer x")] {
            let status = find_with(&channel, bad).await.expect_err("a refusal");
            assert_eq!(status.code(), Code::Unauthenticated, "{bad:?}: {status:?}");
            assert!(status.message().ends_with('.'), "{}", status.message());
            let challenged = status.metadata().get("www-authenticate").is_some();
            assert_eq!(challenged, bad != Some("Negotiate !"), "{bad:?}");
        }
    });
}

#[test]
fn streams_both_ways_know_their_caller() {
    let site = Site::start();
    let layer = site.layer();
    block_on(async {
        let channel = serve(Some(layer), everybody()).await;
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.expect("a connection");
        let request = call(Text::new(""), Some(&site.token()));
        let answer = client.server_streaming(request, path("/market.Ads/Watch"), ProstCodec::<Text, Text>::default());
        let answer = answer.await.expect("a stream");
        assert!(answer.metadata().get("www-authenticate").is_some());
        let texts: Vec<_> = answer.into_inner().map(|text| text.expect("a message").text).collect().await;
        assert_eq!(texts, ["0 for alice@EXAMPLE.ORG", "1 for alice@EXAMPLE.ORG", "2 for alice@EXAMPLE.ORG"]);

        client.ready().await.expect("a connection");
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let messages = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let request = call(messages, Some(&site.token()));
        let answer = client.streaming(request, path("/market.Ads/Chat"), ProstCodec::<Text, Text>::default());
        let mut answers = answer.await.expect("a stream").into_inner();
        for word in ["one", "two"] {
            sender.send(Text::new(word)).await.expect("a stream");
            let answer = answers.message().await.expect("a message").expect("a message");
            assert_eq!(answer.text, format!("{word} for alice@EXAMPLE.ORG"));
        }
        drop(sender);
        assert_eq!(answers.message().await.expect("an end"), None);

        client.ready().await.expect("a connection");
        let nobody = call(tokio_stream::iter([Text::new("x")]), None);
        let refused = client.streaming(nobody, path("/market.Ads/Chat"), ProstCodec::<Text, Text>::default()).await;
        assert_eq!(refused.expect_err("a refusal").code(), Code::Unauthenticated);
    });
}

#[test]
fn an_interceptor_denies_whom_the_policy_does_not_allow() {
    let site = Site::start();
    let layers = [site.layer(), site.layer()];
    let policy = |line| Require::policy(AccessPolicy::new().with(line).expect("a rule"));
    block_on(async {
        let [for_alice, for_bob] = layers;
        let allowed = serve(Some(for_alice), policy("allow principal:alice@EXAMPLE.ORG")).await;
        find_with(&allowed, Some(&site.token())).await.expect("an answer");
        let denied = serve(Some(for_bob), policy("allow principal:bob@EXAMPLE.ORG")).await;
        let status = find_with(&denied, Some(&site.token())).await.expect_err("a refusal");
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(status.message(), "It is known who you are, but you may not do this.");
        let bare = serve(None, everybody()).await;
        let status = find_with(&bare, Some(&site.token())).await.expect_err("a refusal");
        assert_eq!(status.code(), Code::Internal, "no layer has looked");
    });
}

#[test]
fn a_bearer_session_spares_the_next_call_its_token() {
    let site = Site::start();
    let sessions = Sessions::bearer(SessionKeys::random().expect("a key"), &site.service());
    let layer = site.layer().sessions(sessions);
    block_on(async {
        let channel = serve(Some(layer), everybody()).await;
        let answer = find_with(&channel, Some(&site.token())).await.expect("an answer");
        let session = answer.metadata().get("krb-session").expect("a session").to_str().expect("text");
        let bearer = format!("Bearer {}", session.split(';').next().expect("a token"));
        let again = find_with(&channel, Some(&bearer)).await.expect("an answer");
        assert_eq!(again.get_ref().text, "bikes for alice@EXAMPLE.ORG Session");
        let stale = find_with(&channel, Some("Bearer krb1.AAAA")).await.expect_err("a refusal");
        assert_eq!(stale.code(), Code::Unauthenticated);
    });
}
