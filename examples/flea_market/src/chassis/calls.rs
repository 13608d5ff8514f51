//! Calls to other services: with this service's own tickets, or with the caller's where the caller
//! has handed them on. Either way both sides prove themselves. Each call bears the trace id, is
//! counted, and fails in words for the caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use libkrb::credentials::{Credentials, Delegation};
use libkrb::http::Caller;
use libkrb::http::client::{Hosts, Negotiator};
use libkrb::{ErrorCode, Principal};
use metrics::{counter, histogram};
use reqwest::redirect::Policy;
use reqwest::{Response, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::acting::Acting;
use super::problem::Problem;
use super::{Error, trace};

/// For an answer; shorter than callers wait for ours.
const PATIENCE: Duration = Duration::from_secs(8);
/// Idle connections are given up before the other side does so, lest a request meets its end.
const IDLE: Duration = Duration::from_secs(10);

/// Of an answer; more than any of ours has. Who speaks is known, but not whether all is well with him.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// How long a service may take to notice that its keys have changed on disk: a ticket for the new ones
/// is refused until then.
const KEY_CHANGE: Duration = Duration::from_millis(1200);

/// Of so many users the tickets are kept.
const MOST_USERS: usize = 1000;

/// What a user has to do whose own tickets are needed further on.
pub const HOW_TO_DELEGATE: &str = "hand your tickets on: kinit -f, then curl --negotiate -u : --delegation always; \
     how browsers do it stands in the README";

/// A service that this one calls. Clones share connections and sessions.
#[derive(Clone)]
pub struct Upstream {
    name: &'static str,
    base: Url,
    connections: reqwest::Client,
    credentials: Credentials,
    plain_http: bool,
    own: ClientWithMiddleware,
    acting: Acting<ClientWithMiddleware>,
    /// Of users who let themselves be known by other means than tickets.
    users: Arc<Mutex<HashMap<Principal, ClientWithMiddleware>>>,
}

impl Upstream {
    /// A service, called `name` in logs and metrics, behind `base`. `plain_http` lets sessions go there
    /// without TLS.
    ///
    /// # Errors
    /// When the system has no certificates to trust.
    pub fn new(name: &'static str, base: Url, credentials: Credentials, plain_http: bool) -> Result<Upstream, Error> {
        let connections = reqwest::Client::builder().timeout(PATIENCE).pool_idle_timeout(IDLE);
        let connections = connections.redirect(Policy::none()).no_proxy().build()?;
        let own = client(&connections, negotiator(credentials.clone(), &base, plain_http)?);
        Ok(Upstream {
            name,
            base,
            connections,
            credentials,
            plain_http,
            own,
            acting: Acting::default(),
            users: Arc::default(),
        })
    }

    /// Calls it as this service: it tells what anyone in the house may know.
    pub fn as_service(&self) -> Call<'_> {
        Call { upstream: self, client: self.own.clone(), in_callers_name: false }
    }

    /// Calls it as the caller, and hands the caller's tickets on, so that it can do the same.
    ///
    /// # Errors
    /// What the caller has to do first.
    pub fn as_caller(&self, caller: &Caller) -> Result<Call<'_>, Problem> {
        let forbidden = |title| Problem::new(StatusCode::FORBIDDEN, title).next(HOW_TO_DELEGATE);
        let tickets = caller.delegated().ok_or_else(|| forbidden("this takes your own tickets"))?;
        let client = self.acting.find(tickets, || {
            let credentials = caller.credentials(&self.credentials)?.ok_or(libkrb::Error::NoCredential)?;
            let negotiator = negotiator(credentials, &self.base, self.plain_http)?;
            Ok(client(&self.connections, negotiator.delegate(Delegation::IfTrusted)))
        });
        let client = client.map_err(|error: libkrb::Error| {
            tracing::warn!(%error, "the caller's tickets cannot be used");
            forbidden("the tickets that you handed on cannot be used")
        })?;
        Ok(Call { upstream: self, client, in_callers_name: true })
    }

    /// Calls it as a user whom this service knows by other means, as far as the realm lets it act for
    /// users: the service there sees the user. Tickets and sessions are kept for the next call.
    ///
    /// # Errors
    /// A URL that no name can be made of.
    pub fn as_user(&self, user: &Principal) -> Result<Call<'_>, Problem> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= MOST_USERS {
            users.clear();
        }
        let client = match users.get(user) {
            Some(known) => known.clone(),
            None => {
                let credentials = self.credentials.impersonate(user);
                let negotiator = negotiator(credentials, &self.base, self.plain_http).map_err(Problem::ours)?;
                users.entry(user.clone()).or_insert(client(&self.connections, negotiator)).clone()
            }
        };
        Ok(Call { upstream: self, client, in_callers_name: true })
    }

    /// Calls it as the caller where that can be, else as this service.
    pub fn for_caller(&self, caller: &Caller) -> Call<'_> {
        self.as_caller(caller).unwrap_or_else(|_| self.as_service())
    }
}

/// Tokens go to this service and nowhere else.
fn negotiator(credentials: Credentials, base: &Url, plain_http: bool) -> libkrb::Result<Negotiator> {
    let host = format!("{}:{}", base.host_str().unwrap_or_default(), base.port_or_known_default().unwrap_or_default());
    match base.scheme() {
        "http" if plain_http => {
            let hosts = Hosts::default().plain_http([host.as_str()])?;
            Ok(Negotiator::new(credentials, hosts).sessions_over_plain_http())
        }
        _ => Ok(Negotiator::new(credentials, Hosts::https([host.as_str()])?)),
    }
}

fn client(connections: &reqwest::Client, negotiator: Negotiator) -> ClientWithMiddleware {
    ClientBuilder::new(connections.clone()).with(negotiator.middleware().redirects(0)).build()
}

/// A call in somebody's name.
pub struct Call<'a> {
    upstream: &'a Upstream,
    client: ClientWithMiddleware,
    in_callers_name: bool,
}

impl Call<'_> {
    /// Asks for something.
    ///
    /// # Errors
    /// What the other service answered, or that it did not.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.send(Method::GET, path, None::<&()>).await
    }

    /// Sends something.
    ///
    /// # Errors
    /// As [`Call::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Problem> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Removes something.
    ///
    /// # Errors
    /// As [`Call::get`].
    pub async fn delete(&self, path: &str) -> Result<(), Problem> {
        self.send(Method::DELETE, path, None::<&()>).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Problem> {
        let url = self.upstream.base.join(path).map_err(Problem::ours)?;
        let mut request = self.client.request(method, url).headers(trace::told());
        if let Some(body) = body {
            request = request.json(body);
        }
        let again = request.try_clone();
        let mut answer = self.try_once(request).await?;
        if let Some(again) = again.filter(|_| answer.status() == StatusCode::UNAUTHORIZED) {
            tokio::time::sleep(KEY_CHANGE).await;
            answer = self.try_once(again).await?;
        }
        match answer.status() {
            status if status.is_success() => read(answer).await,
            StatusCode::UNAUTHORIZED => Err(refused(self.upstream.name)),
            status => {
                let said = read(answer).await;
                Err(said.unwrap_or_else(|_| Problem::new(status, "another service said so, without a word")))
            }
        }
    }

    async fn try_once(&self, request: RequestBuilder) -> Result<Response, Problem> {
        let name = self.upstream.name;
        let started = Instant::now();
        let answer = request.send().await;
        let status = answer.as_ref().map_or("none".to_owned(), |answer| answer.status().as_u16().to_string());
        counter!("http_calls_total", "to" => name, "status" => status).increment(1);
        histogram!("http_call_duration_seconds", "to" => name).record(started.elapsed());
        answer.map_err(|error| self.failed(&error))
    }

    /// No answer: there was no ticket, or the service is away, or it has not proven itself.
    fn failed(&self, error: &reqwest_middleware::Error) -> Problem {
        let name = self.upstream.name;
        if self.in_callers_name && is_refusal(error) {
            tracing::warn!(to = name, %error, "no ticket in the caller's name");
            let problem = Problem::new(StatusCode::FORBIDDEN, "you get no further tickets");
            return problem.next("log in again; if that does not go, ask those who run the realm");
        }
        // The last of the causes is the one that says something.
        let error: &dyn std::error::Error = error;
        let cause = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
        tracing::warn!(to = name, %error, %cause, "no answer");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "a service behind this one does not answer")
            .next("try again soon")
    }
}

/// Whether the KDC gives no ticket, as to somebody who was locked out.
fn is_refusal(error: &reqwest_middleware::Error) -> bool {
    let reqwest_middleware::Error::Middleware(error) = error else { return false };
    match error.downcast_ref() {
        Some(libkrb::Error::Protocol { code, .. }) => *code != ErrorCode::SVC_UNAVAILABLE,
        _ => false,
    }
}

async fn read<T: DeserializeOwned>(mut answer: Response) -> Result<T, Problem> {
    let mut body = vec![];
    while let Some(more) = answer.chunk().await.map_err(Problem::ours)? {
        if body.len() + more.len() > LONGEST_ANSWER {
            return Err(Problem::ours("the answer of another service has no end"));
        }
        body.extend_from_slice(&more);
    }
    // Nothing reads as `null` does.
    serde_json::from_slice(if body.is_empty() { b"null" } else { &body }).map_err(Problem::ours)
}

/// It did not take the ticket, which is no fault of who calls us.
fn refused(name: &str) -> Problem {
    tracing::error!(to = name, "our ticket was refused");
    Problem::new(StatusCode::BAD_GATEWAY, "a service behind this one does not know us")
}

#[cfg(test)]
mod tests {
    use reqwest::Body;

    use super::*;

    fn answer(body: impl Into<Body>) -> Response {
        http::Response::new(body.into()).into()
    }

    #[tokio::test]
    async fn an_answer_without_end_is_not_read_to_its_end() {
        assert_eq!(read::<Vec<u8>>(answer("[1,2]")).await.ok(), Some(vec![1, 2]));
        assert!(read::<Option<u8>>(answer("")).await.is_ok());
        let long = format!("\"{}\"", "x".repeat(LONGEST_ANSWER));
        assert!(read::<String>(answer(long)).await.is_err());
    }
}
