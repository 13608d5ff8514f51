//! Sockets around the core: UDP and TCP on the same ports, HTTPS, sockets in the file system, the memory of
//! answers given, and the bounds on what strangers may use up. Not here: what a request means (the core), what is written
//! about it (`observe`), signals and start-up (`run`).

mod answers;
mod both;
mod connections;
mod desk;
mod gauges;
pub mod guard;
mod https;
mod inherited;
mod listen;
mod lookaside;
mod passwords;
mod pool;
mod responder;
mod server;
mod streams;
mod tcp;
mod udp;

use std::net::SocketAddr;
use std::time::Duration;

pub use answers::{Answers, Ends, Hands, Post};
pub use both::Both;
pub use gauges::Gauges;
pub use https::Https;
pub use inherited::Inherited;
pub use listen::{BindError, Listener};
pub use lookaside::Answer;
pub use passwords::Passwords;
pub use pool::{Fill, threads as heavy_threads, while_waiting};
pub use responder::{Memories, Responder};
pub use server::Server;
pub use streams::{At, Door, Streams};

/// What strangers may use up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// TCP connections at a time; one more and the longest idle is closed.
    pub connections: usize,
    /// TCP connections of one peer (IPv4 address or IPv6 /64 network) at a time.
    pub connections_per_peer: usize,
    /// How long a TCP connection may stay silent between requests.
    pub idle_timeout: Duration,
    /// How long a request may take from its first byte to its last, and an answer to be taken.
    pub request_timeout: Duration,
    /// The longest request over TCP.
    pub max_request: usize,
    /// Memory for requests over TCP that are longer than a page, all together.
    pub request_memory: usize,
    /// The longest reply over UDP; for a longer one the client is sent to TCP.
    pub max_udp_reply: usize,
    /// Memory for answers given, so that the same bytes get the same answer again.
    pub lookaside_memory: usize,
    /// Ticket-granting tickets that came more than once and are kept open.
    pub known_tickets: usize,
    /// Threads for requests that are much work.
    pub heavy_threads: usize,
    /// Requests that may wait for these threads.
    pub heavy_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 10_000,
            connections_per_peer: 2_500,
            idle_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(10),
            max_request: 128 << 10,
            request_memory: 64 << 20,
            max_udp_reply: 4096,
            lookaside_memory: 64 << 20,
            known_tickets: 8192,
            heavy_threads: heavy_threads(),
            heavy_queue: 256,
        }
    }
}

/// The peer's address without the disguise of an IPv4 address in IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
