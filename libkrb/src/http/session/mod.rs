//! Sessions: after one exchange of Negotiate the caller gets a sealed token that stands for it, as a
//! cookie or a bearer token, so that not every request needs a ticket. The token holds what the
//! ticket said, and the service keeps nothing: any replica with the same [`SessionKeys`] knows it.
//! Not here: Kerberos' own conversations ([`crate::session`]).
//!
//! - It is sealed with AES-256-GCM: nobody can read, change or make one without the secret. It is
//!   bound to the service's name and to the kind of session, so that another service that shares the
//!   secret, or a bearer token put into a cookie, is refused.
//! - It ends with the ticket, after [`Sessions::max_life`], or after [`Sessions::idle`] without use,
//!   whichever comes first. What is refused is answered with a challenge: the client negotiates anew.
//! - Who must be kept out before that is named by [`Sessions::not_before`].
//! - Roles and local name stay as they were when the session began.
//! - Tickets that were handed over stay in the memory of the process that got them, [a bounded
//!   number of them](Sessions::max_delegations). Where they are not known the session is refused, and
//!   the client hands them over again: a handler sees them in every request or in none.
//!
//! # Cross-site requests
//! A browser sends a cookie, and where the site is on its list answers Negotiate too, for requests
//! that other sites' pages begin. `SameSite=Lax` keeps the cookie out of all of these but followed
//! links, so handlers of GET must not change anything. Negotiate itself has no such guard: where
//! browsers call, let handlers that change something refuse requests whose `Sec-Fetch-Site` is
//! `cross-site`, or that lack a header of your own, and keep to bearer tokens or off for programs.

mod content;
mod cookie;
mod delegations;
mod keys;

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

pub use cookie::{Cookie, SameSite};
pub use keys::SessionKeys;

use super::Caller;
use crate::crypto::{KeptRandom, Random, SealingKey};
use crate::error::Result;
use crate::name::Principal;
use crate::time::{Seconds, Time};
use content::Content;
use delegations::Delegations;

/// The name of the cookie, after `__Host-`.
pub const COOKIE: &str = "krb_session";

/// The header of the answer that brings a bearer token: `krb-session: TOKEN; max-age=SECONDS`. It
/// goes back as `authorization: Bearer TOKEN`.
pub const HEADER: &str = "krb-session";

/// What every token begins with, so that it is told from other bearer tokens and found in a leak.
const PREFIX: &str = "krb1.";

/// The most octets of a token: browsers keep cookies of 4096 octets with all that belongs to them.
const MAX: usize = 3800;

/// How long a session lives at most, unless it was told otherwise.
const MAX_LIFE: Seconds = 8 * 3600;

/// Of how many principals handed over tickets are kept, unless it was told otherwise.
const MAX_DELEGATIONS: usize = 10_000;

type NotBefore = Arc<dyn Fn(&Principal) -> Option<Time> + Send + Sync>;

/// How sessions are kept. Clones share what they hold.
#[derive(Clone)]
pub struct Sessions {
    kind: Kind,
    keys: SessionKeys,
    service: String,
    max_life: Seconds,
    idle: Option<Seconds>,
    not_before: Option<NotBefore>,
    delegations: Arc<Delegations>,
}

#[derive(Clone, Debug)]
enum Kind {
    Cookie(Arc<Cookie>),
    Bearer,
}

/// What becomes of a session that a request brought.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) caller: Caller,
    /// Headers of the answer.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Sessions {
    fn new(kind: Kind, keys: SessionKeys, service: &Principal) -> Sessions {
        Sessions {
            kind,
            keys,
            service: service.to_string(),
            max_life: MAX_LIFE,
            idle: None,
            not_before: None,
            delegations: Arc::new(Delegations::new(MAX_DELEGATIONS)),
        }
    }

    /// Sessions in a cookie, for browsers. `service` is whom they are for; replicas say the same.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a name or path that a cookie cannot have.
    pub fn cookie(keys: SessionKeys, service: &Principal, cookie: Cookie) -> Result<Sessions> {
        Ok(Sessions::new(Kind::Cookie(Arc::new(cookie.checked()?)), keys, service))
    }

    /// Sessions in a bearer token, for programs.
    pub fn bearer(keys: SessionKeys, service: &Principal) -> Sessions {
        Sessions::new(Kind::Bearer, keys, service)
    }

    /// How long a session lives at most; eight hours by default, and never longer than its ticket.
    #[must_use]
    pub fn max_life(self, seconds: Seconds) -> Sessions {
        Sessions { max_life: seconds, ..self }
    }

    /// Ends a session that is not used for so long. A new token is then given now and then.
    #[must_use]
    pub fn idle(self, seconds: Seconds) -> Sessions {
        Sessions { idle: Some(seconds), ..self }
    }

    /// Refuses a principal's sessions that were begun at the time given here or before it. To be
    /// quick: it is asked at every request.
    #[must_use]
    pub fn not_before(self, hook: impl Fn(&Principal) -> Option<Time> + Send + Sync + 'static) -> Sessions {
        Sessions { not_before: Some(Arc::new(hook)), ..self }
    }

    /// Of how many principals handed over tickets are kept in memory, for eight sessions each; 10,000
    /// by default. There is room for 16 KiB for each of them, whoever takes it. Beyond it callers with
    /// such tickets get no session.
    #[must_use]
    pub fn max_delegations(self, count: usize) -> Sessions {
        Sessions { delegations: Arc::new(Delegations::new(count)), ..self }
    }

    /// The header that ends a session at the client, for the answer of a logout; there is none for
    /// bearer tokens, which the client just forgets.
    pub fn erase(&self) -> Option<(HeaderName, HeaderValue)> {
        match &self.kind {
            Kind::Cookie(cookie) => cookie.set("", 0).map(|value| (SET_COOKIE, value)),
            Kind::Bearer => None,
        }
    }

    /// Whether a bearer token is a session, or something of the application's.
    pub(super) fn is_bearer(&self, token: &str) -> bool {
        matches!(self.kind, Kind::Bearer) && token.starts_with(PREFIX)
    }

    /// Begins a session: the headers that bring it. There are none when it would not live or would
    /// be too large. `table` names what gave the caller its roles; with another one it is no session.
    pub(super) fn begin(&self, table: &str, caller: &Caller, now: Time) -> Vec<(HeaderName, HeaderValue)> {
        let mut random = KeptRandom::take();
        let mut id = [0; 16];
        random.fill(&mut id);
        let end = caller.times().end.min(now + self.max_life);
        let delegated = caller.kept();
        let content =
            Content { id, issued: now, seen: now, end, delegated: delegated.is_some(), caller: caller.clone() };
        let headers = self.bring(table, &content, now, &mut random);
        let owner = caller.principal();
        let known = |tickets| self.delegations.keep(owner, id, tickets, end, now);
        if headers.is_empty() || delegated.is_none_or(known) { headers } else { vec![] }
    }

    /// Goes on with the session in a request's cookies, if there is one; else says what is wrong.
    pub(super) fn resume_cookie(
        &self,
        table: &str,
        headers: &HeaderMap,
        now: Time,
    ) -> Option<Result<Resumed, &'static str>> {
        let Kind::Cookie(cookie) = &self.kind else { return None };
        let mut outcome = None;
        for token in cookie.find(headers) {
            outcome = Some(self.resume(table, token, now));
            if matches!(outcome, Some(Ok(_))) {
                break;
            }
        }
        outcome
    }

    /// Takes the session's cookie out of a request, so that no handler passes it on.
    pub(super) fn take_out(&self, headers: &mut HeaderMap) {
        if let Kind::Cookie(cookie) = &self.kind {
            cookie.take_out(headers);
        }
    }

    /// Goes on with a session.
    pub(super) fn resume(&self, table: &str, token: &str, now: Time) -> Result<Resumed, &'static str> {
        let content = self.open(table, token, now)?;
        if content.end <= now || content.caller.times().end <= now {
            return Err("it has ended");
        }
        if self.idle.is_some_and(|idle| content.seen + idle <= now) {
            return Err("it was not used for too long");
        }
        let not_before = self.not_before.as_ref().and_then(|hook| hook(content.caller.principal()));
        if not_before.is_some_and(|not_before| content.issued <= not_before) {
            return Err("it was revoked");
        }
        let caller = match content.delegated {
            false => content.caller.clone(),
            true => {
                let tickets = self.delegations.find(content.caller.principal(), &content.id, now);
                content.caller.clone().with_delegated(tickets.ok_or("the tickets handed over are not known here")?)
            }
        };
        // Half of the time may pass before the token tells of its use, so that not every answer
        // brings a new one.
        let headers = match self.idle {
            Some(idle) if content.seen + idle / 2 <= now => {
                self.bring(table, &Content { seen: now, ..content }, now, &mut KeptRandom::take())
            }
            _ => vec![],
        };
        Ok(Resumed { caller, headers })
    }

    fn open(&self, table: &str, token: &str, now: Time) -> Result<Content, &'static str> {
        const NONE: &str = "it is none of ours";
        if token.len() > MAX {
            return Err("it is too long");
        }
        let sealed = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX).ok_or(NONE)?).map_err(|_| NONE)?;
        let (id, sealed) = sealed.split_first_chunk::<4>().ok_or(NONE)?;
        let ring = self.keys.ring(now);
        let mut known = ring.iter().filter(|key| key.id() == *id).peekable();
        known.peek().ok_or("its key is not known here")?;
        let beside = self.beside(table);
        let plain = known.find_map(|key| key.open(&beside, sealed).ok()).ok_or("it was changed")?;
        Content::decode(&plain).ok_or(NONE)
    }

    fn bring(
        &self,
        table: &str,
        content: &Content,
        now: Time,
        random: &mut dyn Random,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let left = content.end - now;
        let ring = self.keys.ring(now);
        let token = ring.first().filter(|_| left > 0).and_then(|key| self.seal(key, table, content, random));
        let Some(token) = token.filter(|token| token.len() <= MAX) else { return vec![] };
        let header = match &self.kind {
            Kind::Cookie(cookie) => cookie.set(&token, left).map(|value| (SET_COOKIE, value)),
            Kind::Bearer => HeaderValue::try_from(format!("{token}; max-age={left}")).ok().map(|mut value| {
                value.set_sensitive(true);
                (HeaderName::from_static(HEADER), value)
            }),
        };
        // No cache between here and the client may hand it to somebody else.
        header.into_iter().flat_map(|header| [header, (CACHE_CONTROL, HeaderValue::from_static("no-store"))]).collect()
    }

    fn seal(&self, key: &SealingKey, table: &str, content: &Content, random: &mut dyn Random) -> Option<String> {
        let sealed = key.seal(random, &self.beside(table), &content.encode()).ok()?;
        let mut token = PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string([&key.id()[..], &sealed].concat(), &mut token);
        Some(token)
    }

    /// What a token is bound to.
    fn beside(&self, table: &str) -> Vec<u8> {
        let kind = match self.kind {
            Kind::Cookie(_) => "cookie ",
            Kind::Bearer => "bearer ",
        };
        // No service's name has a NUL in it: names are escaped.
        [kind.as_bytes(), self.service.as_bytes(), b"\0", table.as_bytes()].concat()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sessions { kind, service, max_life, idle, delegations, .. } = self;
        f.debug_struct("Sessions")
            .field("kind", kind)
            .field("service", service)
            .field("max_life", max_life)
            .field("idle", idle)
            .field("delegations", delegations)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
