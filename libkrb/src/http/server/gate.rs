//! The decision on a request: gather what it brings, check it, and say who calls. Not here: how the
//! request came and how the answer goes ([`super::service`]).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Extensions, HeaderName, HeaderValue, Version};

use super::answer::Refused;
use super::connection::{Connection, HalfOpen, Places};
use super::header::{self, Authorization};
use super::{Mode, Observer, Outcome, Reason};
use crate::config::LocalNames;
use crate::crypto::KeptRandom;
use crate::error::Error;
use crate::gss::{self, AcceptStep, AcceptorContext, AcceptorOptions, Context, Refusal};
use crate::http::Caller;
use crate::http::session::{Resumed, Sessions};
use crate::service::{Accepted, Acceptor};
use crate::time::{Instant, Seconds};

/// How long a half-open negotiation waits for its next token.
const PATIENCE: Seconds = 60;

/// The first octet of a token that goes on with a negotiation: NegTokenResp (RFC 4178 4.2).
const NEG_TOKEN_RESP: u8 = 0xa1;

pub(super) type RolesHook = Arc<dyn Fn(&Accepted) -> Vec<String> + Send + Sync>;
pub(super) type ConnectionHook = Arc<dyn Fn(&Extensions) -> Option<Connection> + Send + Sync>;
pub(super) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What a layer was told to do.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) acceptor: Arc<Acceptor>,
    pub(super) mode: Mode,
    pub(super) local_names: Arc<LocalNames>,
    /// With the name that its sessions bear.
    pub(super) roles: Option<(Arc<str>, RolesHook)>,
    pub(super) connection: ConnectionHook,
    pub(super) require_bindings: bool,
    pub(super) allow_anonymous: bool,
    pub(super) max_token: usize,
    pub(super) sessions: Option<Sessions>,
    pub(super) max_half_open: usize,
    pub(super) half_open: Places,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) clock: Clock,
}

/// A request that is let in.
#[derive(Debug, Default)]
pub(super) struct Entered {
    pub(super) caller: Option<Caller>,
    /// Headers of the answer, whatever it will be.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Put into the extensions of a request that a layer has looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked;

impl Gate {
    /// Finds out who sent a request. What proved it is taken out: it is of no use to a handler, and
    /// a handler that passes headers on would hand it to somebody else.
    pub(super) async fn enter(&self, parts: &mut Parts) -> Result<Entered, Refused> {
        parts.extensions.insert(Looked);
        let now = (self.clock)();
        let entered = match header::authorization(&parts.headers, self.max_token)? {
            Authorization::Negotiate(token) => {
                parts.headers.remove(AUTHORIZATION);
                self.negotiate(parts, now, &token).await?
            }
            Authorization::Bearer(token) if self.sessions.as_ref().is_some_and(|all| all.is_bearer(&token)) => {
                parts.headers.remove(AUTHORIZATION);
                self.session(Some(&token), parts, now)?.ok_or(Reason::NoCredentials)?
            }
            other => match self.session(None, parts, now)? {
                Some(entered) => entered,
                None => self.without(&other)?,
            },
        };
        self.sessions.iter().for_each(|sessions| sessions.take_out(&mut parts.headers));
        if let Some(caller) = &entered.caller {
            parts.extensions.insert(caller.clone());
        }
        Ok(entered)
    }

    /// Refuses a caller whom somebody else has let in, and this layer would not have: a layer further
    /// out, or one that shares our sessions.
    pub(super) fn suits(&self, caller: &Caller) -> Result<(), Reason> {
        if caller.principal().is_anonymous() && !self.allow_anonymous {
            return Err(Reason::Anonymous);
        }
        if self.require_bindings && !caller.is_bound() {
            return Err(Reason::Token(Error::ChannelBindings("the caller was let in without being bound to one")));
        }
        Ok(())
    }

    /// A request that brought nothing for us.
    fn without(&self, brought: &Authorization) -> Result<Entered, Refused> {
        match (self.mode, brought) {
            (Mode::Optional | Mode::Off, _) => Ok(Entered::default()),
            (Mode::Required, Authorization::Absent) => Err(Reason::NoCredentials.into()),
            (Mode::Required, _) => Err(Reason::OtherScheme.into()),
        }
    }

    /// Goes on with the session of a bearer token, or else of a cookie, if there is one. A browser
    /// sends its cookie unasked, so an old one is no reason to refuse where nothing is required.
    fn session(&self, bearer: Option<&str>, parts: &Parts, now: Instant) -> Result<Option<Entered>, Refused> {
        let Some(sessions) = &self.sessions else { return Ok(None) };
        let outcome = match bearer {
            Some(token) => Some(sessions.resume(self.table(), token, now.time)),
            None => sessions.resume_cookie(self.table(), &parts.headers, now.time),
        };
        let outcome = outcome.map(|outcome| match outcome {
            Ok(resumed) if self.suits(&resumed.caller).is_err() => Err("it was begun where less is required"),
            outcome => outcome,
        });
        match outcome {
            None => Ok(None),
            Some(Ok(Resumed { caller, headers })) => Ok(Some(Entered { caller: Some(caller), headers })),
            Some(Err(_)) if bearer.is_none() && self.mode == Mode::Optional => {
                Ok(Some(Entered { caller: None, headers: sessions.erase().into_iter().collect() }))
            }
            Some(Err(fault)) => {
                let headers = sessions.erase().into_iter().collect();
                Err(Refused { reason: Reason::Session(fault), token: None, headers })
            }
        }
    }

    async fn negotiate(&self, parts: &Parts, now: Instant, token: &[u8]) -> Result<Entered, Refused> {
        let connection = (self.connection)(&parts.extensions);
        let mut context = self.context(connection.as_ref(), now, token)?;
        let peer = connection.as_ref().and_then(Connection::peer);
        match context.step_async(now, &mut KeptRandom::take(), token, peer).await {
            Ok(AcceptStep::Done(_, caller, _)) if caller.accepted.client.is_anonymous() && !self.allow_anonymous => {
                Err(Reason::Anonymous.into())
            }
            Ok(AcceptStep::Done(context, caller, token)) => Ok(self.done(&context, *caller, token, now)),
            Ok(AcceptStep::Continue(answer)) => Err(self.go_on(parts, connection.as_ref(), now, (context, answer))),
            Err(Refusal { cause, token }) => Err(Refused { reason: Reason::Token(cause), token, headers: vec![] }),
        }
    }

    /// The half-open context that a token goes on with, or a new one.
    fn context(&self, connection: Option<&Connection>, now: Instant, token: &[u8]) -> Result<AcceptorContext, Reason> {
        let half_open = connection.and_then(Connection::take);
        if token.first() != Some(&NEG_TOKEN_RESP) {
            let bindings = connection.and_then(Connection::bindings).cloned();
            let options = AcceptorOptions { bindings, require_bindings: self.require_bindings };
            return Ok(AcceptorContext::new(self.acceptor.clone(), options));
        }
        let fresh = half_open.filter(|half_open| half_open.since.distance(now.time) <= PATIENCE);
        fresh.map(|half_open| half_open.context).ok_or(Reason::Legs("no negotiation is open on this connection"))
    }

    fn done(&self, context: &Context, caller: gss::Caller, token: Option<Vec<u8>>, now: Instant) -> Entered {
        let local_name = self.local_names.map(&caller.accepted.client);
        let given = self.roles.as_ref().map(|(_, roles)| roles(&caller.accepted)).unwrap_or_default();
        let roles = caller.accepted.roles().iter().cloned().chain(given).collect::<BTreeSet<_>>().into_iter().collect();
        let caller = Caller::negotiated(caller, context.flags(), local_name, roles);
        let token = token.map(|token| (WWW_AUTHENTICATE, header::challenge(Some(&token))));
        let session = self.sessions.as_ref().map(|sessions| sessions.begin(self.table(), &caller, now.time));
        let session = session.unwrap_or_default();
        let headers = token.into_iter().chain(session).collect();
        Entered { caller: Some(caller), headers }
    }

    /// Which roles stand in a session that begins here: it is good where the same are given.
    fn table(&self) -> &str {
        self.roles.as_ref().map_or("", |(table, _)| table)
    }

    /// A negotiation of several legs is bound to its connection, so there has to be one that carries
    /// one request at a time.
    fn go_on(
        &self,
        parts: &Parts,
        connection: Option<&Connection>,
        now: Instant,
        (context, answer): (AcceptorContext, Vec<u8>),
    ) -> Refused {
        if parts.version > Version::HTTP_11 {
            return Reason::Legs("a negotiation of several legs needs HTTP/1.1").into();
        }
        let Some(connection) = connection else {
            return Reason::Legs("the server does not tell its connections apart").into();
        };
        let Some(place) = self.half_open.take(self.max_half_open, connection) else {
            return Reason::Legs("negotiations of several legs are switched off").into();
        };
        connection.keep(HalfOpen { context, since: now.time, _place: place });
        Refused { reason: Reason::Continue, token: Some(answer), headers: vec![] }
    }

    pub(super) fn observe(&self, outcome: Outcome<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(outcome);
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("mode", &self.mode).field("acceptor", &self.acceptor).finish_non_exhaustive()
    }
}
