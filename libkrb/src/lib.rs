//! Kerberos V5 as a library: everything a client, a service or a KDC is made of.
//!
//! The rooms, lowest first; each imports only what stands below it:
//!
//! 1. [`name`], [`time`], [`flags`], [`codes`] - the vocabulary of RFC 4120.
//! 2. [`wire`] - the messages and their DER; [`crypto`] - keys and what they do.
//! 3. [`ticket`], [`preauth`], [`authz`], [`replay`], [`session`], [`ccache`], [`keytab`],
//!    [`transited`], [`config`].
//! 4. [`client`], [`service`] - exchanges as state machines without sockets; [`spn`] - how a service
//!    is called; [`access`] - what an authenticated principal may do.
//! 5. [`gss`] - RFC 4121 and SPNEGO contexts over these, as state machines too.
//! 6. `net` (feature) - finding a KDC and talking to it; `stream` - any connection under a context.
//! 7. `http` (feature) - HTTP Negotiate and gRPC, for servers and clients.
//!
//! Everything but `net`, `http` and the `file` doors of the formats is pure: no clock, no socket, no
//! environment is read behind the caller's back.
#![forbid(unsafe_code)]
// What clippy.toml lists: clocks, sockets, files, the environment. The rooms with doors allow it.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod codes;
pub mod error;
pub mod flags;
pub mod name;
pub mod time;

pub mod crypto;
pub mod wire;

pub mod authz;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod ccache;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod config;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod keytab;
pub mod preauth;
pub mod replay;
pub mod session;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
mod storage;
pub mod ticket;
pub mod transited;

pub mod client;
pub mod service;
pub mod spn;

pub mod access;

pub mod gss;

#[cfg(feature = "net")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod net;
#[cfg(feature = "net")]
pub mod stream;

#[cfg(feature = "net")]
pub mod credentials;

#[cfg(feature = "http")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod http;

pub use error::{Error, ErrorCode, Result};
pub use name::Principal;
pub use time::Time;
