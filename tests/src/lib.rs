//! Proof against real peers: the harness that starts KDCs, runs clients and compares what they say.
//! It holds no test itself; those are in `tests/`.
//!
//! A test of two sides that have to understand each other reads like this:
//!
//! ```no_run
//! # use tests::{Family, Realm};
//! if !Family::Mit.present() {
//!     return; // left out, and said loudly; a failure where peers are required
//! }
//! let realm = Realm::start(Family::Mit);
//! realm.add("alice", "secret", &[]);
//! let seat = realm.seat(Family::Mit);
//! seat.kinit(&["alice"], "secret").succeeds();
//! assert!(seat.tgt().has("I"));
//! ```

pub mod armored;
pub mod call;
pub mod caller;
pub mod certificates;
pub mod changing;
mod cpu;
mod daemon;
mod etcd;
mod family;
pub mod fuzz;
pub mod gss;
pub mod joined;
mod kdc;
pub mod library;
pub mod papers;
mod port;
pub mod radius;
mod realm;
mod redis;
pub mod remote;
mod seat;
pub mod served;
pub mod spake;
mod suite;
mod tokens;
mod tool;
pub mod website;

pub use cpu::{cpu_nanos, median};
pub use daemon::Daemon;
pub use etcd::Etcd;
pub use family::{Family, Program, is_root, java, optional_peer, peers_home};
pub use kdc::Secret;
pub use port::Port;
pub use realm::{Plan, Realm};
pub use redis::Redis;
pub use seat::{Seat, Ticket};
pub use suite::Pair;
pub use tokens::otp_secret;
pub use tool::{Heard, Said, Tool, User, tell};

use std::time::Duration;

/// How long a peer may take for anything before the test calls it stuck.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An encryption type as a number on the wire and as a name in configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Etype {
    /// The number of the registry of RFC 3961.
    pub number: i32,
    /// The name that MIT, Heimdal and we all understand.
    pub name: &'static str,
}

/// AES with SHA-1 (RFC 3962), 128 bits.
pub const AES128_SHA1: Etype = Etype { number: 17, name: "aes128-cts-hmac-sha1-96" };
/// AES with SHA-1 (RFC 3962), 256 bits.
pub const AES256_SHA1: Etype = Etype { number: 18, name: "aes256-cts-hmac-sha1-96" };
/// AES with SHA-2 (RFC 8009), 128 bits.
pub const AES128_SHA2: Etype = Etype { number: 19, name: "aes128-cts-hmac-sha256-128" };
/// AES with SHA-2 (RFC 8009), 256 bits.
pub const AES256_SHA2: Etype = Etype { number: 20, name: "aes256-cts-hmac-sha384-192" };
/// Camellia (RFC 6803), 128 bits.
pub const CAMELLIA128: Etype = Etype { number: 25, name: "camellia128-cts-cmac" };
/// Camellia (RFC 6803), 256 bits.
pub const CAMELLIA256: Etype = Etype { number: 26, name: "camellia256-cts-cmac" };

/// The blocks of the guide, compiled: what people copy has to work.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/services.md")]
pub struct ServicesGuide;
