//! The client's side of HTTP Negotiate (RFC 4559): a token with each request to a host that may have
//! one, the service's proof checked in the answer, and its session used while that lasts.
//! [`Negotiator`] knows all of it; [`NegotiateLayer`] brings it to hyper's clients, and
//! `Negotiator::reqwest` (feature `reqwest`) to reqwest's. Not here: tickets
//! ([`crate::credentials`]), and what a service is called ([`crate::spn`]).
//!
//! # What becomes of a request
//!
//! - To a host that is not among the [`Hosts`], or with an Authorization header of its own, it goes
//!   as it is. Only `Negotiate` is ever spoken: a challenge for anything weaker is not followed.
//! - Otherwise the first request bears a token, unasked: no challenge is waited for, so that no body
//!   has to be sent twice. Each request has its own, of one ticket.
//! - An answer has to bear the service's proof. One without is an error, but for a 401, which claims
//!   nothing, and for statuses from 500 on, which gateways give before any service is asked;
//!   [`Standing`], an extension of the answer, tells what is proven.
//! - A session that the proven answer brings is used for the next requests to this service instead
//!   of tokens: over TLS, unless told otherwise, for whoever sees a session has it.
//! - After a 401 the request is sent once more where that can help, and if its body can be had
//!   again: without the stale session; with a new ticket where the old one may have lost its worth,
//!   as after a change of the service's key. Else the 401 is the answer.
//!
//! # Limits
//!
//! A token has some 2 KiB of base64, and up to 64 KiB where tickets bear a PAC of many groups; with
//! a forwarded ticket twice that. Servers take 8 to 16 KiB of headers unless told otherwise
//! (`max_buf_size` and `http2_max_header_list_size` of hyper, `LimitRequestFieldSize` of Apache).
//!
//! Channel bindings (RFC 5929) are taken from a request's extensions, as
//! [`ChannelBindings`](crate::gss::ChannelBindings): only who opens the connection knows its
//! certificate beforehand. reqwest shows it in the answer alone (`tls_info`), which is too late.

mod answer;
mod exchange;
mod hosts;
mod layer;
#[cfg(feature = "reqwest")]
mod middleware;
#[cfg(feature = "reqwest")]
mod redirect;
mod replay;
mod sessions;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session::COOKIE;
use crate::client::ClockOffset;
use crate::credentials::{Credentials, Delegation, Remedy};
use crate::error::Error;
use crate::time::{Seconds, Time};
pub use hosts::Hosts;
pub use layer::{CallError, Negotiate, NegotiateLayer};
#[cfg(feature = "reqwest")]
pub use middleware::NegotiateMiddleware;
pub use replay::{ClonedBody, EmptyBody, NoReplay, Replay, Resend};
use sessions::{Place, Sessions};
use source::Source;

/// What a service objects to is mended at most this often: one that refuses all the time must not
/// make the KDC work.
const PACE: Seconds = 5;

/// So many services may have clocks of their own before their offsets are learned anew.
const MAX_CLOCKS: usize = 1024;

/// What is known of a service after its answer; an extension of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has just proven itself.
    Proven,
    /// It had proven itself when the session began that the request bore.
    Session,
    /// Nothing: it was not asked, or answered with an error of a gateway.
    Unknown,
    /// It did not take our token, and this is why, as far as it said.
    Refused(Option<Error>),
}

/// Speaks Negotiate for one principal. Clones share its sessions.
///
/// ```no_run
/// # use libkrb::credentials::Credentials;
/// # use libkrb::http::client::{Hosts, Negotiator};
/// # async fn example(credentials: Credentials) -> Result<(), Box<dyn std::error::Error>> {
/// let hosts = Hosts::https(["*.example.org"])?.plain_http(["localhost:*"])?;
/// let negotiator = Negotiator::new(credentials, hosts);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Negotiator {
    settings: Arc<Settings>,
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
struct Settings {
    source: Arc<dyn Source>,
    hosts: Hosts,
    preemptive: bool,
    sessions: Use,
    cookies: Vec<String>,
    delegation: Delegation,
}

/// Where sessions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Nowhere,
    OverTls,
    Everywhere,
}

#[derive(Default)]
struct State {
    sessions: Sessions,
    /// When what a service objected to was mended last.
    mended: HashMap<Place, Time>,
    /// The clocks of services that differ from ours.
    clocks: HashMap<Place, ClockOffset>,
}

impl Negotiator {
    /// Tokens of these credentials for these hosts.
    pub fn new(credentials: Credentials, hosts: Hosts) -> Negotiator {
        Negotiator::of(Arc::new(credentials), hosts)
    }

    fn of(source: Arc<dyn Source>, hosts: Hosts) -> Negotiator {
        let settings = Settings {
            source,
            hosts,
            preemptive: true,
            sessions: Use::OverTls,
            cookies: vec![COOKIE.to_owned(), format!("__Host-{COOKIE}")],
            delegation: Delegation::default(),
        };
        Negotiator { settings: Arc::new(settings), state: Arc::default() }
    }

    /// What is changed has its own sessions: what one may do with them depends on the settings.
    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Negotiator {
        change(Arc::make_mut(&mut self.settings));
        Negotiator { state: Arc::default(), ..self }
    }

    /// Waits for a challenge before it sends a token, and has to send the request twice for it. For
    /// services of which only a part asks for Negotiate. Without TLS it protects nothing: an answer
    /// that asks for no token proves nothing either, and who is in the middle can give one.
    #[must_use]
    pub fn when_challenged(self) -> Negotiator {
        self.with(|settings| settings.preemptive = false)
    }

    /// Hands on the credentials, so that the service can act for their owner.
    #[must_use]
    pub fn delegate(self, delegation: Delegation) -> Negotiator {
        self.with(|settings| settings.delegation = delegation)
    }

    /// Uses no sessions: every request has a token, and every answer a proof.
    #[must_use]
    pub fn without_sessions(self) -> Negotiator {
        self.with(|settings| settings.sessions = Use::Nowhere)
    }

    /// Uses sessions without TLS too. Whoever reads the network there can use them as well.
    #[must_use]
    pub fn sessions_over_plain_http(self) -> Negotiator {
        self.with(|settings| settings.sessions = Use::Everywhere)
    }

    /// A cookie by which a service of others keeps its sessions, for example the `SessionCookieName`
    /// of Apache's mod_session. The own services' is known.
    #[must_use]
    pub fn session_cookie(self, name: &str) -> Negotiator {
        self.with(|settings| settings.cookies.push(name.to_owned()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there was a remedy for this service just now.
    fn is_mended(&self, place: &Place, now: Time) -> bool {
        self.mended.get(place).is_some_and(|when| now.distance(*when) < PACE)
    }

    fn mend(&mut self, place: &Place, remedy: Remedy, now: Time) {
        self.mended.retain(|_, when| now.distance(*when) < PACE);
        self.mended.insert(place.clone(), now);
        if let Remedy::Clock(offset) = remedy {
            if self.clocks.len() >= MAX_CLOCKS {
                self.clocks.clear();
            }
            self.clocks.insert(place.clone(), offset);
        }
    }
}

impl fmt::Debug for Negotiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Negotiator").field("hosts", &self.settings.hosts).finish_non_exhaustive()
    }
}
