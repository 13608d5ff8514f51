//! The credentials of a long-lived service: its tickets, got before they are needed and anew before
//! they end; its keys, taken over when they change on disk; the users' tickets that were handed to
//! it. A background task sees to it. Not here: GSS-API contexts themselves ([`crate::gss`]), HTTP.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use libkrb::credentials::{Credentials, Initiation};
//! # use libkrb::{crypto::OsRandom, gss::InitiatorStep, replay::MemoryReplayCache, service::Options};
//! # async fn serve() -> libkrb::Result<()> {
//! let credentials = Credentials::from_keytab("FILE:/etc/ads/ads.keytab").start().await?;
//!
//! // What is called is answered with keys that follow the keytab on disk.
//! let acceptor = credentials.acceptor(Options::default(), Arc::new(MemoryReplayCache::new(300, 1_000_000)))?;
//!
//! // What calls another service takes a ticket for it.
//! let users = credentials.spn("https://user-service.shop/")?;
//! let mut initiator = credentials.initiator(&users, Initiation::default()).await?;
//! let first = initiator.step(credentials.clock(), &mut OsRandom::new(), None)?;
//!
//! // What asks for health and numbers gets them without waiting.
//! println!("healthy: {}, {:?}", credentials.is_healthy(), credentials.state().numbers());
//! # Ok(())
//! # }
//! ```
//!
//! # What holds while the KDC is away
//! Tickets that are held are used until they end, keys open tickets for ever, and the KDC is asked
//! again after one second, two, four, up to a minute ([`Pace`]). Who wants a ticket that is not held
//! gets the error. Nothing here waits for a KDC before [`Builder::start`] returns.
//!
//! # What holds while keys change
//! A keytab that changes on disk is taken over within [`Pace::poll`], or within a second when a ticket
//! comes that no key opens: the client that brought it is refused once, with KRB_AP_ERR_BADKEYVER, and
//! should try again ([`Credentials::remedy`]). Keys that vanish from the file open tickets for
//! [`Pace::keep_keys`] more. A keytab that cannot be read, or that has no key of the principal, is not
//! taken over; [`State::origin`] says so. With [`Builder::fetching_keys`] the keytab itself follows the
//! KDC: keys that it announces are fetched and written there before tickets come that need them.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod alarm;
mod board;
mod builder;
mod delegated;
mod explain;
mod fingerprint;
mod initiate;
mod keys;
mod origin;
mod pace;
mod state;
mod task;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

pub use alarm::Alarm;
pub use builder::Builder;
pub use initiate::{Channel, Delegation, Initiation, Remedy};
pub use pace::Pace;
pub use state::{Failure, KdcRequests, Origin, State};

use crate::ccache::Credential;
use crate::error::{Error, Result};
use crate::name::Principal;
use crate::net::Client;
use crate::replay::ReplayCache;
use crate::service::{Acceptor, Options};
use crate::spn::{Spn, SpnRules};
use crate::time::Instant;
use board::Board;
use builder::Basis;
use origin::Backing;

/// The credentials of a service. Clones share them; with the last one, acceptors counted, the
/// background task ends.
#[derive(Clone)]
pub struct Credentials(Arc<Shared>);

struct Shared {
    inner: Arc<Inner>,
    tasks: Vec<AbortHandle>,
}

/// What the background tasks share with the handles.
struct Inner {
    client: Client,
    board: Arc<Board>,
    rules: SpnRules,
    pace: Pace,
    alarm: Arc<dyn Alarm>,
    origin: Arc<Backing>,
    /// No ticket is needed to be well.
    accept_only: bool,
    /// How often new keys are fetched from the KDC, if at all.
    fetching: Option<Duration>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Credentials {
    /// Of a keytab, `FILE:/path` or a path.
    pub fn from_keytab(name: &str) -> Builder {
        Builder::new(Basis::Keytab(name.to_owned()))
    }

    /// Of a credential cache that a sidecar or `kinit` writes: `FILE:/path`, `DIR:/path`, or a path. It
    /// is read again when it changes, its ticket is renewed while it can be, and it is never written.
    pub fn from_ccache(name: &str) -> Builder {
        Builder::new(Basis::Cache(name.to_owned()))
    }

    /// Of a certificate, `FILE:/path/cert,/path/key`, with the principal that [`Builder::principal`] says;
    /// without that it is the Kerberos name in the certificate. Whose certificates make the KDC
    /// believed says `pkinit_anchors` in `krb5.conf`, or [`Builder::anchors`]. All these files are read
    /// again for every login, and no ticket outlives the certificate: so who issues certificates (SPIRE,
    /// cert-manager) need tell nobody when it replaces them.
    #[cfg(feature = "pkinit")]
    pub fn from_certificate(identity: &str) -> Builder {
        let wishes = crate::net::CertificateWishes { identity: Some(identity.to_owned()), ..Default::default() };
        Builder::new(Basis::Certificate(wishes))
    }

    /// Of a password; without a realm the principal is of the default one.
    pub fn from_password(principal: &str, password: &str) -> Builder {
        Builder::new(Basis::Password(principal.to_owned(), Zeroizing::new(password.to_owned())))
    }

    /// Starts the tasks.
    fn begin(inner: Inner) -> Credentials {
        let inner = Arc::new(inner);
        let renew = tokio::spawn(task::renew(inner.clone())).abort_handle();
        let watch = tokio::spawn(task::watch(inner.clone(), inner.client.transport().now())).abort_handle();
        let fetch = tokio::spawn(task::fetch(inner.clone())).abort_handle();
        Credentials(Arc::new(Shared { inner, tasks: vec![renew, watch, fetch] }))
    }

    /// Whose they are.
    pub fn principal(&self) -> &Principal {
        self.inner().client.principal()
    }

    /// Waits for the first ticket, or for why there is none.
    ///
    /// # Errors
    /// As [`Credentials::ticket`].
    pub async fn ready(&self) -> Result<()> {
        self.inner().client.tgt().await.map(drop)
    }

    /// A ticket for a service: the one that is held, or a new one, which is asked for once however many
    /// tasks want it. An empty realm leaves it to the KDC. A refusal of the KDC counts for
    /// [`Pace::refusals`].
    ///
    /// # Errors
    /// What ends the AS or TGS exchange; [`Error::Unreachable`] when no KDC answers.
    pub async fn ticket(&self, service: &Principal) -> Result<Arc<Credential>> {
        self.inner().client.ticket(service).await
    }

    /// Drops the tickets for a service, so that the next one is got anew.
    pub fn forget(&self, service: &Principal) {
        self.inner().client.forget(service);
    }

    /// The service behind a URL, by the rules of [`Builder::spn_rules`] and `[domain_realm]`.
    ///
    /// # Errors
    /// [`Error::Spn`] where no name can be made.
    pub fn spn(&self, url: &str) -> Result<Spn> {
        self.inner().rules.for_url(url)
    }

    /// A service on `host` or `host:port`, by the same rules.
    ///
    /// # Errors
    /// [`Error::Spn`] where no name can be made.
    pub fn spn_of_host(&self, service: &str, host: &str) -> Result<Spn> {
        self.inner().rules.for_host(service, host)
    }

    /// An acceptor whose keys follow the keytab on disk. It keeps the background task alive.
    ///
    /// # Errors
    /// [`Error::NoKey`] when the keytab has no key that these options allow, [`Error::Setting`] for
    /// credentials that are not of a keytab.
    pub fn acceptor(&self, options: Options, replay: Arc<dyn ReplayCache>) -> Result<Arc<Acceptor>> {
        let Backing::Keytab(keytab) = &*self.inner().origin else {
            return Err(Error::Setting("only credentials of a keytab have keys to accept tickets with".to_owned()));
        };
        let all = keytab.keys().all();
        let (alive, look) = (self.clone(), keytab.clone());
        let acceptor = Acceptor::new(&all, options, replay)?.on_unknown_key(move || {
            let _ = &alive;
            look.look.notify_one();
        });
        let acceptor = Arc::new(acceptor);
        keytab.follow(&acceptor);
        Ok(acceptor)
    }

    /// How they are.
    pub fn state(&self) -> State {
        self.inner().board.state()
    }

    /// How they are, and a wake-up whenever that changes.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.inner().board.subscribe()
    }

    /// Whether there is a ticket-granting ticket that is good, or none is needed. It stays true while
    /// the KDC is away and tickets live; [`State::attempts`] says that it is.
    pub fn is_healthy(&self) -> bool {
        let now = self.inner().client.kdc_time();
        self.inner().accept_only || self.state().tgt_end.is_some_and(|end| end > now)
    }

    /// What the KDC's clock shows, as far as it is known: the time for [`crate::gss`].
    pub fn clock(&self) -> Instant {
        self.inner().client.kdc_clock()
    }

    fn inner(&self) -> &Inner {
        &self.0.inner
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(self.principal()).finish()
    }
}
