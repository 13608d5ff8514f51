//! The service's side of the AP exchange: an AP-REQ comes in, and with it who sent it (RFC 4120
//! 3.2.3). Not here: sockets, the clock, and whether that client may do what it asks: authentication
//! is not authorization.
//!
//! ```
//! # use std::sync::Arc;
//! # use libkrb::{crypto::OsRandom, keytab::Keytab, replay::MemoryReplayCache, time::Instant};
//! # use libkrb::service::{AcceptError, Acceptor, Options};
//! # fn serve(keytab: &Keytab, now: Instant, ap_req: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::default();
//! let replay = Arc::new(MemoryReplayCache::new(options.clock_skew, 1_000_000));
//! let acceptor = Acceptor::new(keytab, options, replay)?;
//! let answer = match acceptor.accept(now, &mut OsRandom::new(), ap_req, None) {
//!     Ok(accepted) => {
//!         println!("hello {}", accepted.client);
//!         accepted.reply
//!     }
//!     Err(refusal) => Some(refusal.krb_error()),
//! };
//! # Ok(())
//! # }
//! ```
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod accepted;
mod authz;
mod check;
mod keys;
mod opened;
mod refusal;
mod vouched;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

pub use accepted::{Accepted, TicketTimes};
pub use authz::{AuthzElement, Source};
pub use refusal::AcceptError;

use crate::codes::{AuthDataType, EncryptionType, MessageType};
use crate::crypto::{self, Key, Random};
use crate::error::{Error, ErrorCode, Result};
use crate::keytab::Keytab;
use crate::name::Principal;
use crate::replay::{ReplayCache, ReplayKey, Verdict};
use crate::session::DEFAULT_SKEW;
use crate::ticket;
use crate::time::{Instant, Seconds};
use crate::transited::Paths;
use crate::wire::{self, ApReq};
use check::Claim;
use keys::KeyRing;
use opened::Opened;
use refusal::Context;

/// What an acceptor accepts.
#[derive(Clone, Debug)]
pub struct Options {
    /// The only service whose keys open tickets; without it any key of the keytab does. The name
    /// that stands clear on the ticket decides nothing: it is anyone's to change.
    pub service: Option<Principal>,
    /// How far the client's clock may be from ours.
    pub clock_skew: Seconds,
    /// Encryption types of tickets, session keys and subkeys; the weak ones only when named here.
    pub etypes: Vec<EncryptionType>,
    /// Only tickets straight from an AS exchange: the client has just shown its password or key.
    pub require_initial: bool,
    /// Only tickets that are bound to addresses.
    pub require_addresses: bool,
    /// Elements of authorization data that the application enforces. An element that nobody
    /// understands and that is not marked as dispensable refuses the ticket (RFC 4120 5.2.6).
    pub understood: Vec<AuthDataType>,
    /// Which realms a client may have come through whose path no KDC has checked (RFC 4120 2.7): those of
    /// `[capaths]` ([`crate::config::Config::realm_paths`]), else those above the two realms by their
    /// names.
    pub paths: Paths,
    /// Accept such tickets through any realms. The application then has to look at
    /// [`Accepted::transited`] itself.
    pub accept_unchecked_path: bool,
    /// Choose a subkey where the client wants an answer (RFC 4120 3.2.4).
    pub acceptor_subkey: bool,
    /// How many tickets are remembered with their keys made ready, for about 3 KiB each and 20 at most:
    /// accepting one that comes again takes half the work. All checks are made each time. With 0 no
    /// client's key stays in memory.
    pub known_tickets: usize,
    /// Keep the ticket that a client has shown ([`Accepted::shown`]): for a service that goes on in its
    /// clients' names where the KDC lets it (S4U2Proxy).
    pub keep_tickets: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            service: None,
            clock_skew: DEFAULT_SKEW,
            etypes: crypto::SUPPORTED.to_vec(),
            require_initial: false,
            require_addresses: false,
            understood: vec![],
            paths: Paths::default(),
            accept_unchecked_path: false,
            acceptor_subkey: true,
            known_tickets: 1024,
            keep_tickets: false,
        }
    }
}

/// Accepts AP-REQs for a service. One for each service and process: it is shared between threads.
pub struct Acceptor {
    keys: RwLock<Arc<KeyRing>>,
    options: Options,
    replay: Arc<dyn ReplayCache>,
    /// Who hears of a ticket that no key opens.
    unknown_key: Option<Box<dyn Fn() + Send + Sync>>,
}

/// What it means of a ticket that the keys which are held do not open it.
const UNKNOWN_KEY: [ErrorCode; 3] = [ErrorCode::BADKEYVER, ErrorCode::NOKEY, ErrorCode::BAD_INTEGRITY];

/// A request that has passed every check but the replay cache.
struct Checked {
    accepted: Accepted,
    opened: Arc<Opened>,
    seen: ReplayKey,
    context: Context,
}

impl Acceptor {
    /// An acceptor with the keys of a keytab. Keys are made ready once, here.
    ///
    /// # Errors
    /// [`Error::NoKey`] when the keytab has no key that these options allow.
    pub fn new(keytab: &Keytab, options: Options, replay: Arc<dyn ReplayCache>) -> Result<Acceptor> {
        let keys = KeyRing::from_keytab(keytab, &options)?;
        Ok(Acceptor { keys: RwLock::new(Arc::new(keys)), options, replay, unknown_key: None })
    }

    /// An acceptor for a user who has a TGT and no keytab: tickets for `server` are encrypted in
    /// the session key of that TGT (RFC 4120 3.7).
    pub fn user_to_user(server: Principal, tgt: &Key, options: Options, replay: Arc<dyn ReplayCache>) -> Acceptor {
        let keys = KeyRing::user_to_user(server, tgt, &options);
        Acceptor { keys: RwLock::new(Arc::new(keys)), options, replay, unknown_key: None }
    }

    /// The same; `notice` is called for each ticket that no key opens. There may be a newer keytab, or
    /// a stranger sends what is no ticket: `notice` must not wait, and has to know when it is enough.
    #[must_use]
    pub fn on_unknown_key(self, notice: impl Fn() + Send + Sync + 'static) -> Acceptor {
        Acceptor { unknown_key: Some(Box::new(notice)), ..self }
    }

    /// From now on uses the keys of this keytab, for instance after new ones were written to it.
    ///
    /// # Errors
    /// As [`Acceptor::new`]; the keys then stay as they were.
    pub fn reload(&self, keytab: &Keytab) -> Result<()> {
        let keys = Arc::new(KeyRing::from_keytab(keytab, &self.options)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Accepts or refuses an AP-REQ. With the address of the peer given, a ticket that is bound to
    /// addresses is good only from there.
    ///
    /// # Errors
    /// [`AcceptError`], which knows what to answer.
    pub fn accept(
        &self,
        now: Instant,
        random: &mut dyn Random,
        ap_req: &[u8],
        peer: Option<IpAddr>,
    ) -> Result<Accepted, AcceptError> {
        let request = self.check(now, ap_req, peer)?;
        let verdict = self.replay.insert(request.seen, request.accepted.client_time.time, now.time);
        self.answer(request, verdict, random)
    }

    /// As [`Acceptor::accept`], for a task: it awaits a replay cache that is asked over a network.
    ///
    /// # Errors
    /// As [`Acceptor::accept`].
    pub async fn accept_async(
        &self,
        now: Instant,
        random: &mut (dyn Random + Send),
        ap_req: &[u8],
        peer: Option<IpAddr>,
    ) -> Result<Accepted, AcceptError> {
        let request = self.check(now, ap_req, peer)?;
        let verdict = self.replay.insert_async(request.seen, request.accepted.client_time.time, now.time).await;
        self.answer(request, verdict, random)
    }

    /// All checks but the replay cache, which comes last, so that nothing is remembered of what was
    /// refused.
    fn check(&self, now: Instant, ap_req: &[u8], peer: Option<IpAddr>) -> Result<Checked, AcceptError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut context = Context { now, server: keys.first_principal(), client: None };
        match self.gather(&keys, &mut context, ap_req, peer) {
            Ok((accepted, opened, seen)) => Ok(Checked { accepted, opened, seen, context }),
            Err(cause) => Err(AcceptError::new(cause, context)),
        }
    }

    /// The refusal of a client for a cause that is found around its AP-REQ.
    pub(crate) fn refuse(&self, now: Instant, cause: Error) -> AcceptError {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        AcceptError::new(cause, Context { now, server: keys.first_principal(), client: None })
    }

    fn gather(
        &self,
        keys: &KeyRing,
        context: &mut Context,
        ap_req: &[u8],
        peer: Option<IpAddr>,
    ) -> Result<(Accepted, Arc<Opened>, ReplayKey)> {
        if wire::application_tag(ap_req).map(i32::from) != Some(MessageType::AP_REQ.0) {
            return Err(Error::code(ErrorCode::MSG_TYPE));
        }
        let request: ApReq<'_> = wire::decode(ap_req)?;
        let now = context.now.time;
        keys.wants(&self.options, &request)?;
        let mark = keys.known.mark(&request.ticket);
        let known = keys.known.find(mark, &request.ticket, now);
        let opened = match &known {
            Some(opened) => opened.clone(),
            None => self.open(keys, context, &request)?,
        };
        context.server = opened.server.clone();
        let sealed = ticket::open_authenticator(&request.authenticator, opened.authenticator_key())?;
        let authenticator = sealed.read()?;
        context.client = Some(Instant { time: authenticator.time, micros: authenticator.micros });

        let claim = Claim { opened: &opened, authenticator: &authenticator };
        check::check(&self.options, now, peer, &claim)?;
        let authz = match authenticator.authorization_data {
            None => opened.authz.clone(),
            data => {
                let mut all = opened.authz.to_vec();
                authz::collect(&self.options.understood, Source::Authenticator, data, &mut all)?;
                all.into()
            }
        };
        let subkey = |subkey| keys::permitted_key(&self.options, subkey);
        let client_subkey = authenticator.subkey.map(subkey).transpose()?;
        if known.is_none() {
            keys.known.remember(mark, &request.ticket, &opened, now);
        }
        let mut accepted = Accepted::new(&claim, request.options, client_subkey, authz);
        accepted.ticket = self.options.keep_tickets.then(|| request.ticket.der.to_vec());
        let seen = ReplayKey::of_authenticator((&opened.session_key).into(), sealed.plain());
        Ok((accepted, opened, seen))
    }

    /// Opens a ticket that was not seen lately.
    fn open(&self, keys: &KeyRing, context: &mut Context, request: &ApReq<'_>) -> Result<Arc<Opened>> {
        let opened = keys.open(&self.options, &request.ticket.value);
        if let (Err(error), Some(notice)) = (&opened, &self.unknown_key)
            && UNKNOWN_KEY.contains(&error.wire_code())
        {
            notice();
        }
        let unsealed = opened?;
        context.server = unsealed.server.clone();
        Opened::read(&self.options, &unsealed).map(Arc::new)
    }

    /// The last of the checks, and the AP-REP.
    fn answer(&self, request: Checked, verdict: Verdict, random: &mut dyn Random) -> Result<Accepted, AcceptError> {
        match verdict.admit() {
            Ok(()) => Ok(request.accepted.answered(&request.opened, random, self.options.acceptor_subkey)),
            Err(cause) => Err(AcceptError::new(cause, request.context)),
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
