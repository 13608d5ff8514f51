//! Pre-authentication: what a client and a KDC both compute, and the table of the methods that a
//! client knows (RFC 4120 5.2.7, RFC 6113 2). Not here: who asks whom and when
//! ([`crate::client`], and the KDC).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod enc_challenge;
pub mod enc_timestamp;
pub mod etype_info;
pub mod fast;
mod means;
mod method;
pub mod otp;
#[cfg(feature = "pkinit")]
pub mod pkinit;
pub mod req_enc_pa_rep;
pub mod s4u;
#[cfg(feature = "spake")]
pub mod spake;

pub use etype_info::KeyHint;
pub use means::{Ask, Means};
pub use method::{Armored, CLIENT_METHODS, ClientMethod, ClientProof, Elements, MethodContext, MethodReply};
