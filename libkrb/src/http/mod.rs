//! HTTP Negotiate (RFC 4559): [`server`] finds out who calls, [`client`] calls, [`session`] spares the
//! next exchange, and a handler takes the [`Caller`]. Not here: what the tokens say ([`crate::gss`]),
//! TLS, and what a caller may do ([`crate::access`]).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod caller;
pub mod client;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod server;
pub mod session;

pub use caller::{Caller, How};
