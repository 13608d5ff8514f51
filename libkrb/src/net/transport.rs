//! Gets a message to a KDC of a realm and an answer back (RFC 4120 7.2): UDP first for small
//! requests, TCP when the answer is too big for it, the next KDC when one is silent for a second
//! while the first is still listened to, all within one deadline. Not here: what the messages say.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::dns::{Resolve, SystemResolver};
use super::locate::{Locator, Service};
use super::search::{Found, Search, Strategy};
use super::trace::Trace;
use crate::config::{Config, Server};
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;

/// How patient a transport is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long a KDC may be silent before the next one is asked too.
    pub(super) next: Duration,
    /// When a datagram is sent again for the first time.
    pub(super) repeat: Duration,
    /// How long all of it may take.
    pub(super) whole: Duration,
}

/// The way to the KDCs. Cheap to clone.
#[derive(Clone)]
pub struct Transport {
    config: Arc<Config>,
    resolver: Arc<dyn Resolve>,
    trace: Trace,
    #[cfg(feature = "kkdcp")]
    trust: super::https::Trust,
    pub(super) clock: Arc<dyn Fn() -> Instant + Send + Sync>,
    pub(super) pace: Pace,
}

impl Transport {
    /// A transport for this configuration, with the system's resolver and without a trace.
    pub fn new(config: Arc<Config>) -> Transport {
        let whole = config.request_timeout().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(30);
        let pace =
            Pace { next: Duration::from_secs(1), repeat: Duration::from_secs(2), whole: Duration::from_secs(whole) };
        let resolver = Arc::new(SystemResolver::new());
        Transport {
            config,
            resolver,
            trace: Trace::off(),
            #[cfg(feature = "kkdcp")]
            trust: super::https::Trust::default(),
            clock: Arc::new(system_clock),
            pace,
        }
    }

    /// The same with another resolver.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolve>) -> Transport {
        Transport { resolver, ..self }
    }

    /// The same with a trace.
    #[must_use]
    pub fn with_trace(self, trace: Trace) -> Transport {
        Transport { trace, ..self }
    }

    /// The same with another clock: what the exchanges take for the time of this machine.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Transport {
        Transport { clock: Arc::new(clock), ..self }
    }

    #[cfg(test)]
    pub(super) fn with_pace(self, pace: Pace) -> Transport {
        Transport { pace, ..self }
    }

    /// The configuration.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The trace.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The servers of a realm, best first.
    ///
    /// # Errors
    /// [`Error::NoKdc`] when none is known, [`Error::Config`] for an entry that names no server.
    pub async fn servers(&self, service: Service, realm: &str) -> Result<Vec<Server>> {
        let locator = self.locator();
        let servers = locator.servers(service, realm).await?;
        if servers.is_empty() { Err(Error::NoKdc(realm.to_owned())) } else { Ok(servers) }
    }

    /// The realm of a host: `[domain_realm]`, then DNS if `dns_lookup_realm` believes it.
    pub async fn realm_of_host(&self, host: &str) -> Option<String> {
        match self.config.realm_of_host(host) {
            Some(realm) => Some(realm.to_owned()),
            None => self.locator().realm_of_host(host).await,
        }
    }

    fn locator(&self) -> Locator<'_> {
        Locator { config: &self.config, resolver: &*self.resolver, trace: &self.trace }
    }

    /// Sends a message to a KDC of the realm and waits for an answer. A KRB-ERROR is an answer,
    /// but for "too big for UDP" and "service unavailable", after which the search goes on.
    ///
    /// # Errors
    /// [`Error::NoKdc`] when no KDC is known, [`Error::Unreachable`] when none answered in time,
    /// [`Error::Protocol`] when all that answered are unavailable.
    pub async fn send(&self, realm: &str, message: &[u8]) -> Result<Vec<u8>> {
        self.send_to(Service::Kdc, realm, message).await
    }

    /// Sends a message to a server of another kind; else as [`Transport::send`].
    ///
    /// # Errors
    /// As [`Transport::send`].
    pub async fn send_to(&self, service: Service, realm: &str, message: &[u8]) -> Result<Vec<u8>> {
        let deadline = tokio::time::Instant::now() + self.pace.whole;
        let kind = if service == Service::PrimaryKdc { " (primary)" } else { "" };
        self.trace.line(format_args!("Sending request ({} bytes) to {realm}{kind}", message.len()));
        let search = async {
            let servers = self.servers(service, realm).await?;
            let strategy = match service {
                Service::Kdc | Service::PrimaryKdc if message.len() <= self.config.udp_preference_limit() => {
                    Strategy::UdpFirst
                }
                // A datagram with a new password that is sent again comes to some servers as a replay, and
                // the change that they made with the first looks refused.
                _ => Strategy::TcpFirst,
            };
            let mut search = Search::new(self, (service, realm), servers, message);
            match search.run(strategy, None).await {
                Found::Answer(answer) => Ok(answer),
                Found::TooBig(address) => {
                    self.trace.line(format_args!("Request or response is too big for UDP; retrying with TCP"));
                    match search.run(Strategy::OnlyTcp, Some(address)).await {
                        Found::Answer(answer) => Ok(answer),
                        Found::TooBig(_) | Found::Nothing => Err(Error::Unreachable(realm.to_owned())),
                    }
                }
                Found::Nothing if search.unavailable => Err(Error::code(ErrorCode::SVC_UNAVAILABLE)),
                Found::Nothing => Err(Error::Unreachable(realm.to_owned())),
            }
        };
        match tokio::time::timeout_at(deadline, search).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.trace.line(format_args!("No answer in {} seconds: giving up", self.pace.whole.as_secs()));
                Err(Error::Unreachable(realm.to_owned()))
            }
        }
    }

    /// Whom the proxies of a realm have to be known by.
    #[cfg(feature = "kkdcp")]
    pub(super) async fn trust(&self, realm: &str) -> io::Result<Arc<rustls::ClientConfig>> {
        let (trust, config, realm) = (self.trust.clone(), Arc::clone(&self.config), realm.to_owned());
        // Files are read.
        tokio::task::spawn_blocking(move || trust.of(&config, &realm)).await.map_err(io::Error::other)?
    }

    /// The addresses of a server; none for a socket of this machine.
    pub(super) async fn addresses(&self, server: &Server) -> io::Result<Vec<SocketAddr>> {
        match server {
            Server::Host { host, port, .. } => {
                if host.parse::<std::net::IpAddr>().is_err() {
                    self.trace.line(format_args!("Resolving hostname {host}"));
                }
                self.resolver.addresses(host, *port).await
            }
            #[cfg(feature = "kkdcp")]
            Server::Https { host, port, .. } => self.resolver.addresses(host, *port).await,
            #[cfg(not(feature = "kkdcp"))]
            Server::Https { .. } => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "HTTPS proxies take the feature kkdcp of libkrb"))
            }
            Server::Unix(_) => Ok(vec![]),
        }
    }
}

/// The system's clock, which never shows this process the same microsecond twice: authenticators
/// are told apart by their time (RFC 4120 5.5.1).
pub(crate) fn system_clock() -> Instant {
    static LAST: AtomicI64 = AtomicI64::new(0);
    const STEP_BACK: i64 = 1_000_000;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    // A clock that was set back is followed.
    let next = |last: i64| if last.saturating_sub(now) > STEP_BACK { now } else { now.max(last.saturating_add(1)) };
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    Instant::from_micros(last.map_or(now, next))
}

#[cfg(test)]
mod tests;
