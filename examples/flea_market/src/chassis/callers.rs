//! Who calls, and who may: the one place where routes get their guard. A handler behind it takes a
//! [`Caller`] as an argument, and needs to know no more of Kerberos.

use std::sync::Arc;

use axum::Router;
use clap::ValueEnum;
use libkrb::Principal;
use libkrb::access::AccessPolicy;
use libkrb::credentials::Credentials;
use libkrb::http::server::{NegotiateLayer, Outcome, Require};
use libkrb::http::session::{Cookie, SessionKeys, Sessions};
use libkrb::http::{Caller, How};
use libkrb::service::Options;
use libkrb::time::Seconds;
use metrics::counter;

use super::replays::Replays;
use super::settings::Settings;
use super::{Error, trace};
use crate::api::Seen;

/// How far a caller's clock may be off, in seconds; authenticators are remembered for as long.
pub const CLOCK_SKEW: Seconds = 300;

/// How a caller is known again after its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SessionKind {
    /// By a cookie, for browsers
    Cookie,
    /// By a bearer token, for services
    Bearer,
    /// Not at all: a ticket with each request
    Off,
}

/// Finds out who calls.
pub struct Callers {
    negotiate: NegotiateLayer,
}

impl Callers {
    /// With the keys, the memory and the sessions that the settings name; `kind` is what the service
    /// prefers.
    ///
    /// # Errors
    /// Keys or secrets that cannot be read.
    pub fn new(
        settings: &Settings,
        credentials: &Credentials,
        replays: &Replays,
        kind: SessionKind,
    ) -> Result<Callers, Error> {
        let options = Options { clock_skew: CLOCK_SKEW, ..Options::default() };
        let acceptor = credentials.acceptor(options, replays.cache())?;
        let mut negotiate = NegotiateLayer::new(acceptor).observer(Arc::new(observe));
        if let Some(sessions) = sessions(settings, settings.session.unwrap_or(kind))? {
            negotiate = negotiate.sessions(sessions.max_life(settings.session_life));
        }
        Ok(Callers { negotiate })
    }

    /// Lets only those through to these routes whom the policy allows, with the roles that it gives.
    ///
    /// # Errors
    /// A line of the policy that is none.
    pub fn guard(&self, routes: Router, policy: &str) -> Result<Router, Error> {
        let (text, policy) = (policy, Arc::new(AccessPolicy::parse(policy)?));
        let roles = Arc::clone(&policy);
        // Another policy gives other roles: a session that bears them is none there, nor after a change.
        let negotiate = self.negotiate.clone().roles(text, move |accepted| roles.roles_of(&accepted.client));
        // The last one is asked first.
        Ok(routes.layer(Require::policy(policy).observer(Arc::new(observe))).layer(negotiate))
    }
}

/// What a route requires beyond the policy: one of these roles.
pub fn only(roles: &[&str]) -> Require {
    roles.iter().fold(Require::caller(), |require, role| require.role(role)).observer(Arc::new(observe))
}

/// What this service has seen of a request.
pub fn seen(service: &str, caller: &Caller) -> Seen {
    let may_act_for_caller = caller.delegated().is_some();
    Seen { service: service.to_owned(), caller: caller.to_string(), may_act_for_caller }
}

fn sessions(settings: &Settings, kind: SessionKind) -> Result<Option<Sessions>, Error> {
    let service = Principal::parse(&settings.principal, None)?;
    let keys = || match &settings.session_keys {
        Some(file) => SessionKeys::from_file(file),
        None => SessionKeys::random(),
    };
    Ok(match kind {
        SessionKind::Cookie => {
            let cookie = Cookie { secure: !settings.plain_http, ..Cookie::default() };
            Some(Sessions::cookie(keys()?, &service, cookie)?)
        }
        SessionKind::Bearer => Some(Sessions::bearer(keys()?, &service)),
        SessionKind::Off => None,
    })
}

/// Every decision is counted, and stands in the log's line of its request.
fn observe(outcome: Outcome<'_>) {
    let (outcome, reason) = match outcome {
        Outcome::Accepted(caller) => {
            let by = if caller.how() == How::Session { "session" } else { "ticket" };
            trace::record_caller(caller, by);
            (by, "")
        }
        Outcome::Refused(reason) => {
            trace::record_refusal(reason);
            ("refused", reason.code().map_or(reason.name(), |code| code.name()))
        }
        _ => ("anonymous", ""),
    };
    counter!("callers_total", "outcome" => outcome, "reason" => reason).increment(1);
}
