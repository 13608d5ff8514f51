//! What operators ask a service: does it live, is it ready for requests, what has it counted. No
//! ticket is wanted for these; they have a door of their own, where users do not come.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use libkrb::credentials::Credentials;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Map, Value, json};

/// From a quarter of a millisecond on: most answers are quick.
const BUCKETS: [f64; 12] = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

type Check = Box<dyn Fn() -> Result<String, String> + Send + Sync>;

/// What has to be well before requests can be answered.
#[derive(Default)]
pub struct Readiness {
    checks: Vec<(&'static str, Check)>,
    ending: AtomicBool,
}

impl Readiness {
    /// One more thing that has to be well, and how it says so.
    pub fn needs<E: Display>(
        &mut self,
        name: &'static str,
        check: impl Fn() -> Result<String, E> + Send + Sync + 'static,
    ) {
        self.checks.push((name, Box::new(move || check().map_err(|error| error.to_string()))));
    }

    /// Sends nobody here any more: the service ends.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    fn report(&self) -> (StatusCode, Value) {
        let mut ready = !self.ending.load(Ordering::Relaxed);
        let mut told = Map::new();
        for (name, check) in &self.checks {
            let (well, words) = match check() {
                Ok(words) => (true, words),
                Err(problem) => (false, problem),
            };
            ready &= well;
            told.insert((*name).to_owned(), json!({ "ok": well, "is": words }));
        }
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, json!({ "ready": ready, "checks": told }))
    }
}

/// Starts to count.
///
/// # Errors
/// When this process counts already.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(seconds, &BUCKETS)?.install_recorder()
}

/// How a service's tickets are. While they live, a KDC that is away is worth a word and no more.
///
/// # Errors
/// Why there are none.
pub fn tickets(credentials: &Credentials) -> Result<String, String> {
    let state = credentials.state();
    let trouble = state.last_error.filter(|_| state.attempts > 0).map(|failure| failure.error.to_string());
    match (credentials.is_healthy(), trouble) {
        (true, None) => Ok("tickets are here".to_owned()),
        (true, Some(error)) => Ok(format!("tickets are here, but no new ones: {error}")),
        (false, trouble) => Err(trouble.unwrap_or_else(|| "no ticket yet".to_owned())),
    }
}

/// `/livez`, `/readyz` and `/metrics`.
pub fn routes(readiness: Arc<Readiness>, metrics: PrometheusHandle, credentials: Credentials) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(render).with_state((metrics, credentials)))
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> Response {
    let (status, report) = readiness.report();
    (status, Json(report)).into_response()
}

async fn render(State((metrics, credentials)): State<(PrometheusHandle, Credentials)>) -> Response {
    for (name, number) in credentials.state().numbers() {
        match name.ends_with("_total") {
            true => counter!(name).absolute(number),
            // Times and counts of keys are far below what a float holds exactly.
            false => gauge!(name).set(number as f64),
        }
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_that_is_not_well_is_enough_and_is_named() {
        let mut readiness = Readiness::default();
        readiness.needs("database", || Ok::<_, String>("open".to_owned()));
        assert_eq!(readiness.report().0, StatusCode::OK);
        readiness.needs("credentials", || Err("no KDC"));
        let (status, report) = readiness.report();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(report["checks"]["credentials"], json!({ "ok": false, "is": "no KDC" }));
        assert_eq!(report["checks"]["database"]["ok"], true);
    }

    #[test]
    fn who_ends_is_not_ready() {
        let readiness = Readiness::default();
        assert_eq!(readiness.report().0, StatusCode::OK);
        readiness.end();
        assert_eq!(readiness.report().0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
