//! The server's side of HTTP Negotiate: [`NegotiateLayer`] finds out who calls, and its handlers
//! take the [`Caller`](super::Caller). Not here: what a caller may do.
//!
//! It works with whatever takes tower's layers: axum, hyper, tonic. Requests with the content type
//! of gRPC are answered with its statuses.
//!
#![cfg_attr(feature = "axum", doc = "```no_run")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::get};
//! use libkrb::access::AccessPolicy;
//! use libkrb::http::{Caller, server::{NegotiateLayer, Require}};
//! use libkrb::{keytab::KeytabName, replay::MemoryReplayCache, service::{Acceptor, Options}};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keytab = KeytabName::parse("FILE:/etc/krb5.keytab")?.load()?;
//! let replay = Arc::new(MemoryReplayCache::new(300, 1_000_000));
//! let negotiate = NegotiateLayer::new(Arc::new(Acceptor::new(&keytab, Options::default(), replay)?));
//! let admins = Require::policy(AccessPolicy::new().with("allow principal:*/admin@EXAMPLE.ORG")?);
//!
//! let router = Router::new()
//!     .route("/admin", get(|caller: Caller| async move { format!("hello {caller}") }).route_layer(admins))
//!     .route("/", get(|caller: Caller| async move { format!("hello {}", caller.principal()) }))
//!     .route_layer(negotiate);
//! let listener = tokio::net::TcpListener::bind("[::]:8080").await?;
//! axum::serve(listener, router).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How large a token may be
//! A ticket of our KDC makes a header of about 1 KiB, one of Active Directory with many groups 16 to
//! 64 KiB. The layer takes tokens of [`MAX_TOKEN`] octets, a third less than their base64. What
//! stands before it has limits of its own:
//!
//! | server | all headers of a request | beyond |
//! | --- | --- | --- |
//! | hyper and axum, HTTP/1.1 | about 400 KiB (`http1().max_buf_size`) | 431 |
//! | hyper, axum and tonic, HTTP/2 | 16 KiB (`max_header_list_size`) | 431, or far beyond the end of the connection |
//! | nginx before us | 8 KiB a header (`large_client_header_buffers 4 128k`) | 400 |
//! | Apache httpd before us | 8190 octets a header (`LimitRequestFieldSize 131072`) | 400 |
//!
//! So tell an HTTP/2 server of a realm with large tickets to take more: hyper's
//! `http2().max_header_list_size(128 * 1024)`, tonic's `http2_max_header_list_size`. A session
//! ([`Sessions`]) spares all requests but the first the large header.
//!
//! A proxy that ends connections before us must not mix requests of several clients in a negotiation
//! of several legs: without a [`Connection`] these are refused, and all others served.
//!
//! # Pages of other sites
//! A browser asks with OPTIONS, and without credentials, whether a page of another site may call: the
//! layer refuses that as it refuses everybody without credentials, with 401, and the page may not. Where
//! pages of certain sites are to call, the layer that answers such questions (tower-http's `CorsLayer`
//! with these origins and `allow_credentials`) lies around this one, added after it. Then what changes
//! something has to look at `Origin` or `Sec-Fetch-Site` too: browsers bring tickets and cookies unasked.

mod answer;
mod asked;
mod body;
mod connection;
mod gate;
mod header;
mod log;
mod missing;
mod observer;
mod reason;
mod require;
mod service;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Extensions;
use tower_layer::Layer;

pub use body::Body;
pub use connection::{Connection, EachConnection, OfConnection};
pub use missing::Missing;
pub use observer::{Counters, Observer, Outcome};
pub use reason::Reason;
pub use require::{Require, Required};
pub use service::Negotiate;

use super::session::Sessions;
use crate::config::LocalNames;
use crate::service::{Accepted, Acceptor};
use crate::time::Instant;
use gate::Gate;

/// The most octets of a token, unless the layer was told otherwise: a ticket of Active Directory
/// with the groups of an important person has 12 000 to 48 000.
pub const MAX_TOKEN: usize = 64 * 1024;

/// How many negotiations of several legs may be half open, unless the layer was told otherwise.
const MAX_HALF_OPEN: usize = 1024;

/// What a layer does with a request that brings no credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is refused with a challenge.
    #[default]
    Required,
    /// It goes on without a caller. Credentials that are brought have to be good nevertheless.
    Optional,
    /// Nobody looks.
    Off,
}

/// Finds out who calls (RFC 4559). Clones, and the services of the routes it lies around, share what
/// it holds.
#[derive(Clone)]
pub struct NegotiateLayer {
    gate: Arc<Gate>,
}

impl NegotiateLayer {
    /// A layer that requires a caller. `acceptor` has the service's keys and the replay cache.
    pub fn new(acceptor: Arc<Acceptor>) -> NegotiateLayer {
        let gate = Gate {
            acceptor,
            mode: Mode::default(),
            local_names: Arc::default(),
            roles: None,
            connection: Arc::new(|extensions: &Extensions| extensions.get().cloned()),
            require_bindings: false,
            allow_anonymous: false,
            max_token: MAX_TOKEN,
            sessions: None,
            max_half_open: MAX_HALF_OPEN,
            half_open: Default::default(),
            observer: None,
            clock: Arc::new(system_clock),
        };
        NegotiateLayer { gate: Arc::new(gate) }
    }

    fn with(mut self, change: impl FnOnce(&mut Gate)) -> NegotiateLayer {
        change(Arc::make_mut(&mut self.gate));
        self
    }

    /// What becomes of requests without credentials.
    #[must_use]
    pub fn mode(self, mode: Mode) -> NegotiateLayer {
        self.with(|gate| gate.mode = mode)
    }

    /// The rules of krb5.conf that give principals their local names; without them nobody has one.
    #[must_use]
    pub fn local_names(self, names: LocalNames) -> NegotiateLayer {
        self.with(|gate| gate.local_names = Arc::new(names))
    }

    /// Where roles come from beside those that the KDC puts into tickets ([`crate::authz::roles`]): a table
    /// ([`AccessPolicy::roles_of`](crate::access::AccessPolicy)), or other authorization data of the ticket.
    /// Of these only what bears a KDC's signature can give a role.
    ///
    /// Roles stand in a session as they were when it began, so a session is good only behind layers
    /// with a table of the same name. A name that is made of the table, such as the text of the policy,
    /// ends sessions when the table changes.
    #[must_use]
    pub fn roles(
        self,
        table: &str,
        roles: impl Fn(&Accepted) -> Vec<String> + Send + Sync + 'static,
    ) -> NegotiateLayer {
        self.with(|gate| gate.roles = Some((table.into(), Arc::new(roles))))
    }

    /// What follows the first exchange: a session, so that not every request needs a ticket. Without
    /// this, every request does.
    #[must_use]
    pub fn sessions(self, sessions: Sessions) -> NegotiateLayer {
        self.with(|gate| gate.sessions = Some(sessions))
    }

    /// Where a request's [`Connection`] comes from; by default it is one of its extensions.
    #[must_use]
    pub fn connection(
        self,
        connection: impl Fn(&Extensions) -> Option<Connection> + Send + Sync + 'static,
    ) -> NegotiateLayer {
        self.with(|gate| gate.connection = Arc::new(connection))
    }

    /// Refuses a caller that is not bound to the TLS connection (RFC 5929), as one is whose token a
    /// stranger in the middle passes on. Many clients do not bind, Chromium on Linux among them. This
    /// holds for sessions, and for callers that a layer further out has let in, too.
    #[must_use]
    pub fn require_bindings(self) -> NegotiateLayer {
        self.with(|gate| gate.require_bindings = true)
    }

    /// Takes the anonymous principal (RFC 8062) for a caller: somebody whom a KDC vouches for without
    /// saying who it is. By default it is refused, for handlers take a caller for somebody.
    #[must_use]
    pub fn allow_anonymous(self) -> NegotiateLayer {
        self.with(|gate| gate.allow_anonymous = true)
    }

    /// The most octets of a token, before base64; [`MAX_TOKEN`] by default.
    #[must_use]
    pub fn max_token(self, octets: usize) -> NegotiateLayer {
        self.with(|gate| gate.max_token = octets)
    }

    /// How many negotiations of several legs may be half open at once, in all connections; beyond it the
    /// oldest gives way.
    #[must_use]
    pub fn max_half_open(self, count: usize) -> NegotiateLayer {
        self.with(|gate| gate.max_half_open = count)
    }

    /// Who hears what becomes of requests.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observer>) -> NegotiateLayer {
        self.with(|gate| gate.observer = Some(observer))
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> NegotiateLayer {
        self.with(|gate| gate.clock = Arc::new(clock))
    }
}

impl<S> Layer<S> for NegotiateLayer {
    type Service = Negotiate<S>;

    fn layer(&self, inner: S) -> Negotiate<S> {
        Negotiate::new(inner, self.gate.clone())
    }
}

impl fmt::Debug for NegotiateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.gate.fmt(f)
    }
}

fn system_clock() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
