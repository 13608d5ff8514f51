//! gRPC over tonic. Servers put [`crate::http::server::NegotiateLayer`] around themselves, which
//! answers in gRPC's statuses what it refuses; their methods ask [`caller`] who calls. Clients put
//! [`NegotiateLayer`] around their channels: each call, unary or streaming, bears a token or a
//! session, and the service's proof is checked in the answer's headers, before its first message.
//!
//! ```no_run
//! # use libkrb::credentials::Credentials;
//! # use libkrb::http::client::{Hosts, Negotiator};
//! # use libkrb::http::grpc::{Negotiate, NegotiateLayer};
//! # use tower_layer::Layer;
//! # fn around<Channel>(credentials: Credentials, channel: Channel) -> Result<Negotiate<Channel>, Box<dyn std::error::Error>> {
//! let url = "https://ads.example.org"; // as the channel was told
//! let negotiator = Negotiator::new(credentials, Hosts::https(["ads.example.org"])?);
//! let channel = NegotiateLayer::new(negotiator, url.parse()?).layer(channel);
//! // let ads = AdsClient::new(channel);
//! # Ok(channel)
//! # }
//! ```
//!
//! It is a layer and no `Interceptor` of tonic's: one can neither wait for a ticket nor see the
//! answer, so it could not check who gave it.

mod client;
mod record;
mod server;

pub use client::{Call, Negotiate, NegotiateLayer};
pub use server::caller;
