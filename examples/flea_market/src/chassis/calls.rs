//! Calls to other services: with this service's own tickets, or with the caller's where the caller
//! has handed them on. Each call bears the trace id, is counted, and fails in words for the caller.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use libkrb::http::Caller;
use metrics::{counter, histogram};
use reqwest::Url;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::{Error, trace};

/// For an answer; shorter than callers wait for ours.
const PATIENCE: Duration = Duration::from_secs(8);
/// Idle connections are given up before the other side does so, lest a request meets its end.
const IDLE: Duration = Duration::from_secs(10);

/// What a user has to do whose own tickets are needed further on.
pub const HOW_TO_DELEGATE: &str = "hand your tickets on: get them with kinit -f, then curl --negotiate -u : --delegation always; \
     for browsers see the README";

/// A service that this one calls.
#[derive(Clone)]
pub struct Upstream {
    name: &'static str,
    base: Url,
    client: reqwest::Client,
}

impl Upstream {
    /// A service, called `name` in logs and metrics, behind `base`.
    ///
    /// # Errors
    /// When the system has no randomness, or no certificates to trust.
    pub fn new(name: &'static str, base: Url) -> Result<Upstream, Error> {
        let client = reqwest::Client::builder().timeout(PATIENCE).pool_idle_timeout(IDLE);
        let client = client.redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        Ok(Upstream { name, base, client })
    }

    /// Calls it as this service: it tells what anyone in the house may know.
    pub fn as_service(&self) -> Call<'_> {
        Call { upstream: self }
    }

    /// Calls it as the caller.
    ///
    /// # Errors
    /// What the caller has to do first.
    pub fn as_caller(&self, caller: &Caller) -> Result<Call<'_>, Problem> {
        match caller.delegated() {
            Some(_) => Ok(Call { upstream: self }),
            None => Err(Problem::new(StatusCode::FORBIDDEN, "this takes your own tickets").next(HOW_TO_DELEGATE)),
        }
    }

    /// Calls it as the caller where that can be, else as this service.
    pub fn for_caller(&self, caller: &Caller) -> Call<'_> {
        self.as_caller(caller).unwrap_or_else(|_| self.as_service())
    }
}

/// A call in somebody's name.
pub struct Call<'a> {
    upstream: &'a Upstream,
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
        let Upstream { name, base, client } = self.upstream;
        let url = base.join(path).map_err(Problem::ours)?;
        let mut headers = HeaderMap::new();
        trace::tell(&mut headers);
        let mut request = client.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.json(body);
        }
        let started = Instant::now();
        let answer = request.send().await;
        let status = answer.as_ref().map_or("none".to_owned(), |answer| answer.status().as_u16().to_string());
        counter!("http_calls_total", "to" => *name, "status" => status).increment(1);
        histogram!("http_call_duration_seconds", "to" => *name).record(started.elapsed());
        let answer = answer.map_err(|error| away(name, &error))?;
        match answer.status() {
            status if status.is_success() => read(answer).await,
            // Our own ticket was not good enough: no fault of who calls us.
            StatusCode::UNAUTHORIZED => Err(refused(name, &answer)),
            status => {
                let said = answer.json::<Problem>().await;
                Err(said.unwrap_or_else(|_| Problem::new(status, "another service said so, without a word")))
            }
        }
    }
}

async fn read<T: DeserializeOwned>(answer: reqwest::Response) -> Result<T, Problem> {
    let body = answer.bytes().await.map_err(Problem::ours)?;
    // Nothing reads as `null` does.
    serde_json::from_slice(if body.is_empty() { b"null" } else { &body }).map_err(Problem::ours)
}

fn away(name: &str, error: &dyn std::error::Error) -> Problem {
    // The last of the causes is the one that says something.
    let cause = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
    tracing::warn!(to = name, %error, %cause, "no answer");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "a service behind this one does not answer").next("try again soon")
}

fn refused(name: &str, answer: &reqwest::Response) -> Problem {
    tracing::error!(to = name, status = answer.status().as_u16(), "our ticket was refused");
    Problem::new(StatusCode::BAD_GATEWAY, "a service behind this one does not know us")
}
