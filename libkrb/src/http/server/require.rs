//! What a route requires of its caller, beyond that there is one: put around routes that lie within
//! a [`super::NegotiateLayer`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::answer::Refused;
use super::asked::Asked;
use super::body::Body;
use super::gate::Clock;
use super::{Observer, Outcome, Reason, log, system_clock};
use crate::access::AccessPolicy;
use crate::flags::TicketFlags;
use crate::http::Caller;
use crate::time::{Instant, Seconds, Time};

/// Lets only those callers through who meet every requirement; the others are answered 403 without
/// a reason, which the log has. Without a requirement every caller is let through.
///
/// ```
/// # use std::sync::Arc;
/// # use libkrb::{access::AccessPolicy, http::server::{NegotiateLayer, Require}};
/// # fn layers(negotiate: NegotiateLayer) -> Result<(), libkrb::Error> {
/// let admins = Require::policy(AccessPolicy::new().with("allow principal:*/admin@EXAMPLE.ORG")?);
/// let freshly = Require::caller().initial().fresh_within(300);
/// // router.route("/admin", ...).route_layer(admins).route_layer(negotiate)
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Require {
    rules: Arc<Rules>,
}

#[derive(Clone)]
struct Rules {
    policy: Option<Arc<AccessPolicy>>,
    roles: Vec<String>,
    indicators: Vec<String>,
    initial: bool,
    fresh_within: Option<Seconds>,
    observer: Option<Arc<dyn Observer>>,
    clock: Clock,
}

impl Require {
    /// Any caller.
    pub fn caller() -> Require {
        let rules = Rules {
            policy: None,
            roles: vec![],
            indicators: vec![],
            initial: false,
            fresh_within: None,
            observer: None,
            clock: Arc::new(system_clock),
        };
        Require { rules: Arc::new(rules) }
    }

    /// A caller whom a policy allows, by its principal, its [`Caller::roles`] and its [`Caller::indicators`].
    pub fn policy(policy: impl Into<Arc<AccessPolicy>>) -> Require {
        let policy = Some(policy.into());
        Require::caller().with(|rules| rules.policy = policy)
    }

    fn with(mut self, change: impl FnOnce(&mut Rules)) -> Require {
        change(Arc::make_mut(&mut self.rules));
        self
    }

    /// The caller has this role; with several of these, one of them.
    #[must_use]
    pub fn role(self, role: &str) -> Require {
        self.with(|rules| rules.roles.push(role.to_owned()))
    }

    /// The caller proved itself in this way when it logged in ([`Caller::indicators`]); with several of
    /// these, in one of them.
    #[must_use]
    pub fn indicator(self, indicator: &str) -> Require {
        self.with(|rules| rules.indicators.push(indicator.to_owned()))
    }

    /// Its ticket came straight from a login, and not from a ticket-granting ticket.
    #[must_use]
    pub fn initial(self) -> Require {
        self.with(|rules| rules.initial = true)
    }

    /// It logged in no longer than so many seconds ago.
    #[must_use]
    pub fn fresh_within(self, seconds: Seconds) -> Require {
        self.with(|rules| rules.fresh_within = Some(seconds))
    }

    /// Whether a request with these extensions goes through; for those who have no whole request.
    ///
    /// # Errors
    /// Why not, which is for the log and was written there.
    pub fn check(&self, extensions: &Extensions) -> Result<(), Reason> {
        self.rules.check(extensions, Asked::unknown)
    }

    /// Who hears of those that are not let through.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observer>) -> Require {
        self.with(|rules| rules.observer = Some(observer))
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Require {
        self.with(|rules| rules.clock = Arc::new(clock))
    }
}

impl Rules {
    /// The rule that allows it, or the one that does not.
    fn decide(&self, caller: &Caller, now: Time) -> Result<String, String> {
        let fresh = |seconds| caller.times().auth + seconds >= now;
        if !self.roles.is_empty() && !self.roles.iter().any(|role| caller.has_role(role)) {
            return Err(format!("none of the roles {}", self.roles.join(", ")));
        }
        if !self.indicators.is_empty() && !self.indicators.iter().any(|indicator| caller.has_indicator(indicator)) {
            return Err(format!("none of the indicators {}", self.indicators.join(", ")));
        }
        if self.initial && !caller.flags().has(TicketFlags::INITIAL) {
            return Err("the ticket is not straight from a login".to_owned());
        }
        if self.fresh_within.is_some_and(|seconds| !fresh(seconds)) {
            return Err("the login was too long ago".to_owned());
        }
        let Some(policy) = &self.policy else { return Ok("every requirement is met".to_owned()) };
        let decision = policy.decide_proven(caller.principal(), caller.roles(), caller.indicators());
        if decision.allowed { Ok(decision.reason) } else { Err(decision.reason) }
    }

    /// Whether a request with these extensions goes through. `asked` finds the request in the log.
    fn check(&self, extensions: &Extensions, asked: impl FnOnce() -> Asked) -> Result<(), Reason> {
        let Some(caller) = extensions.get::<Caller>() else {
            let reason = Reason::of_missing(extensions);
            log::refused(&asked(), &reason);
            return Err(self.told(reason));
        };
        let decision = self.decide(caller, (self.clock)().time);
        log::decided(asked, caller, &decision);
        decision.map(drop).map_err(|reason| self.told(Reason::Denied(reason)))
    }

    /// The reason, now that the observer knows it.
    fn told(&self, reason: Reason) -> Reason {
        self.observer.iter().for_each(|observer| observer.observe(Outcome::Refused(&reason)));
        reason
    }
}

impl<S> Layer<S> for Require {
    type Service = Required<S>;

    fn layer(&self, inner: S) -> Required<S> {
        Required { inner, rules: self.rules.clone() }
    }
}

impl fmt::Debug for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rules { policy, roles, indicators, initial, fresh_within, .. } = &*self.rules;
        f.debug_struct("Require")
            .field("policy", policy)
            .field("roles", roles)
            .field("indicators", indicators)
            .field("initial", initial)
            .field("fresh_within", fresh_within)
            .finish_non_exhaustive()
    }
}

/// A service that only some callers reach. Made by [`Require`].
#[derive(Clone)]
pub struct Required<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, B, R> Service<Request<B>> for Required<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: http_body::Body<Data = Bytes> + 'static,
{
    type Response = Response<Body<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let asked = || Asked::of(request.method(), request.uri(), request.headers());
        match self.rules.check(request.extensions(), asked) {
            Ok(()) => {
                let answer = self.inner.call(request);
                Box::pin(async move { Ok(answer.await?.map(Body::theirs)) })
            }
            Err(reason) => {
                let asked = asked();
                Box::pin(async move { Ok(Refused::from(reason).answer(&asked)) })
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Required<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Required").field("inner", &self.inner).finish_non_exhaustive()
    }
}
