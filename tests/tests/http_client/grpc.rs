//! tonic's channels within our layer, unary and streaming, and a service written by hand.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use libkrb::Time;
use libkrb::http::client::Negotiator;
use libkrb::http::grpc::{Negotiate, NegotiateLayer, caller};
use libkrb::http::server;
use tests::{Pair, library};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Layer;

use crate::site::{layer, sessions};
use crate::{alice, plain, realm, run};

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

fn text(text: impl Into<String>) -> Text {
    Text { text: text.into() }
}

/// Find answers once, Chat to each message of a stream: what it was told, by whom and how it knows.
#[derive(Clone)]
struct Ads;

impl NamedService for Ads {
    const NAME: &'static str = "market.Ads";
}

type Answers = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;

fn who<T>(request: &Request<T>) -> String {
    caller(request).map_or("nobody".to_owned(), |caller| format!("{caller} by {:?}", caller.how()))
}

async fn find(request: Request<Text>) -> Result<Response<Text>, Status> {
    let who = who(&request);
    match request.into_inner().text.as_str() {
        "fail" => Err(Status::not_found("no such thing")),
        said => Ok(Response::new(text(format!("{said} from {who}")))),
    }
}

async fn chat(request: Request<Streaming<Text>>) -> Result<Response<Answers>, Status> {
    let who = who(&request);
    let answers = request.into_inner().map(move |said| Ok(text(format!("{} from {who}", said?.text))));
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
                _ => grpc.streaming(tower::service_fn(chat), request).await,
            })
        })
    }
}

type Client = tonic::client::Grpc<Negotiate<Channel>>;

/// Serves Ads and calls them with alice's credentials.
async fn client(layer: Option<server::NegotiateLayer>, negotiator: impl AsyncFnOnce(&str) -> Negotiator) -> Client {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let host = format!("localhost:{}", listener.local_addr().expect("an address").port());
    let incoming = TcpListenerStream::new(listener);
    match layer {
        Some(layer) => {
            drop(tokio::spawn(Server::builder().layer(layer).add_service(Ads).serve_with_incoming(incoming)))
        }
        None => drop(tokio::spawn(Server::builder().add_service(Ads).serve_with_incoming(incoming))),
    }
    let url = format!("http://{host}");
    let channel = Channel::from_shared(url.clone()).expect("a URL").connect().await.expect("a connection");
    let negotiator = negotiator(&host).await;
    tonic::client::Grpc::new(NegotiateLayer::new(negotiator, url.parse().expect("a URL")).layer(channel))
}

async fn found(client: &mut Client, said: &str) -> Result<String, Status> {
    client.ready().await?;
    let path = PathAndQuery::from_static("/market.Ads/Find");
    let answer: Response<Text> = client.unary(Request::new(text(said)), path, ProstCodec::default()).await?;
    Ok(answer.into_inner().text)
}

/// What is answered to a stream, each message of which is sent when the one before was answered.
async fn chatted(client: &mut Client, said: &[&'static str]) -> Result<Vec<String>, Status> {
    client.ready().await?;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let messages = tokio_stream::wrappers::ReceiverStream::new(receiver);
    sender.send(text(said[0])).await.expect("a stream that is open");
    let path = PathAndQuery::from_static("/market.Ads/Chat");
    let answer: Response<Streaming<Text>> =
        client.streaming(Request::new(messages), path, ProstCodec::default()).await?;
    let mut answers = answer.into_inner();
    let mut heard = vec![];
    for next in said.iter().skip(1).map(Some).chain([None]) {
        heard.push(answers.message().await?.expect("an answer").text);
        if let Some(next) = next {
            sender.send(text(*next)).await.expect("a stream that is open");
        }
    }
    drop(sender);
    assert!(answers.message().await?.is_none());
    Ok(heard)
}

pub fn grpc_calls_bear_tokens_unary_and_streaming(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    run(async {
        let layer = layer(&realm).await;
        let mut client = client(Some(layer), async |host| Negotiator::new(alice(&seat).await, plain(host))).await;
        for _ in 0..2 {
            assert_eq!(
                found(&mut client, "bikes").await.expect("an answer"),
                "bikes from alice@EXAMPLE.ORG by Negotiate"
            );
            let heard = chatted(&mut client, &["one", "two"]).await.expect("answers");
            let by = "from alice@EXAMPLE.ORG by Negotiate";
            assert_eq!(heard, [format!("one {by}"), format!("two {by}")]);
        }
        let status = found(&mut client, "fail").await.expect_err("the service's own status");
        assert_eq!((status.code(), status.message()), (Code::NotFound, "no such thing"));
    });
}

pub fn grpc_calls_go_on_with_a_session_and_survive_its_end(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    run(async {
        let revoked = Arc::new(AtomicI64::new(0));
        let not_before = revoked.clone();
        let sessions = sessions().not_before(move |_| Some(Time(not_before.load(Ordering::Relaxed))));
        let layer = layer(&realm).await.sessions(sessions);
        let negotiator = async |host: &str| Negotiator::new(alice(&seat).await, plain(host)).sessions_over_plain_http();
        let mut client = client(Some(layer), negotiator).await;
        found(&mut client, "first").await.expect("an answer");
        assert_eq!(found(&mut client, "x").await.expect("an answer"), "x from alice@EXAMPLE.ORG by Session");
        assert_eq!(chatted(&mut client, &["x"]).await.expect("answers"), ["x from alice@EXAMPLE.ORG by Session"]);
        // All sessions that there are, and those of this second.
        revoked.store(library::now().time.0 + 3600, Ordering::Relaxed);
        assert_eq!(found(&mut client, "x").await.expect("an answer"), "x from alice@EXAMPLE.ORG by Negotiate");
        let heard = chatted(&mut client, &["one", "two"]).await.expect("answers");
        let by = "from alice@EXAMPLE.ORG by Negotiate";
        assert_eq!(heard, [format!("one {by}"), format!("two {by}")], "also a stream that has begun");
    });
}

pub fn a_grpc_service_without_a_proof_is_not_believed(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    run(async {
        let mut client = client(None, async |host| Negotiator::new(alice(&seat).await, plain(host))).await;
        let status = found(&mut client, "bikes").await.expect_err("no proof");
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.message().contains("bears no proof"), "{status}");
    });
}
