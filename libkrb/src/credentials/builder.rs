//! How credentials begin.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::alarm::{Alarm, Timer};
use super::board::{Board, Schedule, is_outage};
use super::explain;
use super::keys::{Keys, usable};
use super::origin::{Backing, CacheOrigin, KeytabOrigin, Looker};
use super::pace::Pace;
use super::{Credentials, Inner};
use crate::ccache::CacheName;
use crate::config::{Config, Environment};
use crate::error::{Error, Result};
use crate::flags::KdcOptions;
use crate::keytab::KeytabName;
use crate::name::Principal;
use crate::net::{Care, Client, Report, Source, Trace, Transport, as_request, blocking};
use crate::spn::SpnRules;
use crate::time::Seconds;

/// What credentials are from.
pub(super) enum Basis {
    Keytab(String),
    Cache(String),
    Password(String, Zeroizing<String>),
    #[cfg(feature = "pkinit")]
    Certificate(crate::net::CertificateWishes),
}

/// Credentials that have not begun yet. What is not said is as `krb5.conf` says it.
#[must_use = "credentials begin with start()"]
pub struct Builder {
    from: Basis,
    principal: Option<String>,
    config: Option<Arc<Config>>,
    transport: Option<Transport>,
    rules: SpnRules,
    pace: Pace,
    alarm: Option<Arc<dyn Alarm>>,
    accept_only: bool,
    forwardable: bool,
    fetching: Option<Duration>,
}

impl Builder {
    pub(super) fn new(from: Basis) -> Builder {
        Builder {
            from,
            principal: None,
            config: None,
            transport: None,
            rules: SpnRules::new(),
            pace: Pace::default(),
            alarm: None,
            accept_only: false,
            forwardable: false,
            fetching: None,
        }
    }

    /// Whose they are, `HTTP/ads.shop` or with a realm. Of a keytab it is its first principal
    /// otherwise, of a credential cache the one that it names; with it said, a cache may be missing
    /// yet.
    pub fn principal(self, principal: &str) -> Builder {
        Builder { principal: Some(principal.to_owned()), ..self }
    }

    /// For a certificate: whose certificates make the KDC believed, `FILE:/path` or `DIR:/path`.
    #[cfg(feature = "pkinit")]
    pub fn anchors(mut self, place: &str) -> Builder {
        if let Basis::Certificate(wishes) = &mut self.from {
            wishes.anchors.push(place.to_owned());
        }
        self
    }

    /// This configuration in the place of `/etc/krb5.conf` or `KRB5_CONFIG`.
    pub fn config(self, config: Arc<Config>) -> Builder {
        Builder { config: Some(config), ..self }
    }

    /// This way to the KDCs, with its configuration, trace and clock.
    pub fn transport(self, transport: Transport) -> Builder {
        Builder { transport: Some(transport), ..self }
    }

    /// How services are called.
    pub fn spn_rules(self, rules: SpnRules) -> Builder {
        Builder { rules, ..self }
    }

    /// How often things are done.
    pub fn pace(self, pace: Pace) -> Builder {
        Builder { pace, ..self }
    }

    /// Another alarm for the background task; it goes with the transport's clock.
    pub fn alarm(self, alarm: Arc<dyn Alarm>) -> Builder {
        Builder { alarm: Some(alarm), ..self }
    }

    /// For a service that calls nobody: no ticket is asked for before one is wanted.
    pub fn accept_only(self) -> Builder {
        Builder { accept_only: true, ..self }
    }

    /// Asks for tickets that can be delegated, whatever `forwardable` of `krb5.conf` says.
    pub fn forwardable(self) -> Builder {
        Builder { forwardable: true, ..self }
    }

    /// Fetches new keys of the keytab's principals from the KDC now and so often, and puts them into the
    /// keytab, so that it turns over with nobody noticing. The KDC announces keys for a day or for what
    /// its administrator says: come several times in that. Only our own KDC has this door.
    pub fn fetching_keys(self, every: Duration) -> Builder {
        Builder { fetching: Some(every), ..self }
    }

    /// Reads what is on disk and begins to log in, in the background: a service comes up while its KDC
    /// is away. [`Credentials::ready`] waits for the first ticket.
    ///
    /// # Errors
    /// [`Error::Storage`] for a keytab or cache that cannot be read, [`Error::NoKey`] for a keytab
    /// without a key of the principal, [`Error::Name`] and [`Error::Config`] for a name or a
    /// configuration that is none.
    pub async fn start(self) -> Result<Credentials> {
        let transport = match (self.transport, self.config) {
            (Some(transport), _) => transport,
            (None, Some(config)) => Transport::new(config),
            (None, None) => blocking(system).await?,
        };
        let principal = match (&self.from, &self.principal) {
            (Basis::Password(principal, _), None) | (_, Some(principal)) => {
                Some(Principal::parse(principal, transport.config().default_realm())?)
            }
            _ => None,
        };
        let (rules, pace) = (self.rules.with_domain_realms(transport.config().clone()), self.pace);
        let request = |principal| {
            let mut request = as_request(transport.config(), principal);
            if self.forwardable {
                request.options |= KdcOptions::FORWARDABLE;
            }
            request
        };
        let schedule = match &self.from {
            Basis::Cache(_) => Schedule::Renewals,
            _ if self.accept_only => Schedule::Demand,
            _ => Schedule::Logins,
        };
        let alarm = self.alarm.unwrap_or_else(|| Arc::new(Timer(transport.clone())));
        let begin = |principal: Principal, source, origin| {
            let board = Arc::new(Board::new(principal.clone(), schedule, pace, transport.clone()));
            let care = care(&board, pace, &origin);
            let client = Client::cared_for(transport.clone(), request(principal), source, care);
            Inner { client, board, rules, pace, alarm, origin, accept_only: self.accept_only, fetching: self.fetching }
        };
        let inner = match self.from {
            Basis::Password(_, password) => {
                let principal = principal.ok_or(Error::Name("no principal"))?;
                begin(principal, Source::Password(password), Arc::new(Backing::Given))
            }
            Basis::Keytab(name) => {
                let (principal, keytab) = open_keytab(&name, principal, pace).await?;
                let keys = keytab.clone();
                let source = Source::Keys(Arc::new(move || keys.keys().current().clone()));
                begin(principal, source, Arc::new(Backing::Keytab(keytab)))
            }
            #[cfg(feature = "pkinit")]
            Basis::Certificate(wishes) => {
                let principal = match principal {
                    Some(principal) => principal,
                    None => named_by(wishes.clone()).await?,
                };
                begin(principal, Source::Certificate(Arc::new(wishes)), Arc::new(Backing::Given))
            }
            Basis::Cache(name) => {
                let cache = CacheName::parse(&name).map_err(|error| explain::cache_type(&name, error))?;
                let name = cache.as_configured(transport.config());
                let principal = match principal {
                    Some(principal) => principal,
                    None => CacheOrigin::read(name.clone()).await?.1.principal,
                };
                begin(principal, Source::Cache, Arc::new(Backing::Cache(CacheOrigin::new(name))))
            }
        };
        first_look(&inner).await;
        Ok(Credentials::begin(inner))
    }
}

/// What is on disk, taken over before anybody asks for a ticket.
async fn first_look(inner: &Inner) {
    match &*inner.origin {
        Backing::Keytab(keytab) => {
            let kvnos = keytab.keys().kvnos(inner.client.principal());
            let now = inner.client.transport().now().time;
            inner.board.origin(|origin| (origin.read, origin.kvnos) = (Some(now), kvnos));
        }
        origin => origin.look(&Looker { client: &inner.client, board: &inner.board }, true).await,
    }
    inner.board.hurry();
}

/// The keytab, and the principal that it is for.
async fn open_keytab(name: &str, principal: Option<Principal>, pace: Pace) -> Result<(Principal, Arc<KeytabOrigin>)> {
    let name = KeytabName::parse(name)?;
    let (seen, keytab) = KeytabOrigin::read(name.clone()).await?;
    let first = || keytab.entries.first().map(|entry| entry.principal.clone());
    let principal = principal.or_else(first).ok_or_else(|| Error::NoKey(format!("{name}: the keytab is empty")))?;
    if !usable(&keytab, &principal) {
        return Err(Error::NoKey(format!("{name}: no key of {principal} that can be used")));
    }
    Ok((principal, Arc::new(KeytabOrigin::new(name, seen, Keys::new(keytab, pace.keep_keys)))))
}

/// The Kerberos name in a certificate.
#[cfg(feature = "pkinit")]
async fn named_by(wishes: crate::net::CertificateWishes) -> Result<Principal> {
    use crate::preauth::pkinit::identity::file::Source;
    let place = wishes.identity.unwrap_or_default();
    let nothing = || Error::Setting(format!("{place}: no certificate with its key is there"));
    let place = Source::candidates(&place)?.into_iter().next().ok_or_else(nothing)?;
    let read = move || place.read(&mut |_| Err(Error::Setting("nobody is there to type a password".to_owned())));
    let identity = blocking(read).await?;
    let named = identity.certificate()?.names().principals.into_iter().next();
    named.ok_or(Error::Name("the certificate has no Kerberos name in it: say the principal"))
}

/// What the client remembers, and whom it tells what it does.
fn care(board: &Arc<Board>, pace: Pace, origin: &Arc<Backing>) -> Care {
    let (board, origin) = (board.clone(), origin.clone());
    let listener = move |report: Report<'_>| {
        board.heard(&report);
        let refused = matches!(report, Report::First { outcome: Err(error), .. } if !is_outage(error));
        // The file may hold what would have been taken.
        if let Some(wish) = origin.wish().filter(|_| refused) {
            wish.notify_one();
        }
    };
    Care {
        refusals: Seconds::try_from(pace.refusals.as_secs()).unwrap_or(Seconds::MAX),
        listener: Some(Arc::new(listener)),
    }
}

/// The configuration and the trace of this machine and process.
fn system() -> Result<Transport> {
    let environment = Environment::from_process();
    let config = Config::load(&environment)?;
    Ok(Transport::new(Arc::new(config)).with_trace(Trace::from_environment(&environment)))
}
