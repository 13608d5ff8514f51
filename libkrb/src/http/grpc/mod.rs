//! gRPC over tonic. Servers put [`crate::http::server::NegotiateLayer`] around themselves, which
//! answers in gRPC's statuses what it refuses; their methods ask [`caller`] who calls.

mod server;

pub use server::caller;
