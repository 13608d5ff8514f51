//! What every service of the market has and no service wants to write: settings, logs, traces,
//! metrics, health, limits, an end that cuts nobody off, a database, and who calls whom. A service
//! brings its routes; `user_service.rs` is the shortest one.

pub mod acting;
pub mod callers;
pub mod calls;
pub mod database;
pub mod logs;
pub mod operations;
mod patient;
pub mod problem;
pub mod replays;
pub mod serve;
pub mod settings;
pub mod trace;

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use libkrb::credentials::Credentials;
use libkrb::spn::SpnRules;
use metrics_exporter_prometheus::PrometheusHandle;
use reqwest::Url;
use rustix::process::{Signal, getpid, kill_process};
use tokio::net::TcpListener;

use callers::{CLOCK_SKEW, Callers, SessionKind};
use calls::Upstream;
use operations::Readiness;
use problem::Problem;
use replays::Replays;
use settings::Settings;

/// What keeps a service from starting, in words for who starts it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A service that is being put together.
pub struct Chassis {
    /// What has to be well before requests are answered.
    pub readiness: Readiness,
    name: &'static str,
    settings: Settings,
    credentials: Credentials,
    callers: Callers,
    listener: TcpListener,
    /// The operators' door.
    operations: TcpListener,
    metrics: PrometheusHandle,
}

impl Chassis {
    /// Begins with all but the routes. `sessions` is how callers are known again unless the settings
    /// say otherwise.
    ///
    /// # Errors
    /// A setting that does not hold.
    pub async fn start(name: &'static str, settings: Settings, sessions: SessionKind) -> Result<Chassis, Error> {
        logs::start(&settings.log);
        if settings.end_with_stdin {
            end_with_stdin();
        }
        let (listener, operations) = (listen(settings.listen).await?, listen(settings.operations).await?);
        let metrics = operations::start_metrics()?;
        let credentials = Credentials::from_keytab(&settings.keytab.to_string_lossy())
            .principal(&settings.principal)
            .spn_rules(SpnRules::parse("--spn-rule", &settings.spn_rules.join("\n"))?)
            .start()
            .await?;
        let replays = Replays::open(&settings, CLOCK_SKEW, credentials.clock().time).await?;
        let callers = Callers::new(&settings, &credentials, &replays, sessions)?;
        let mut readiness = Readiness::default();
        let tickets = credentials.clone();
        readiness.needs("credentials", move || operations::tickets(&tickets));
        readiness.needs("replay cache", move || replays.check());
        Ok(Chassis { readiness, name, settings, credentials, callers, listener, operations, metrics })
    }

    /// A file of the service's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.settings.data.join(name)
    }

    /// Lets only those through to these routes whom the policy allows; `{realm}` in it is that of
    /// this service.
    ///
    /// # Errors
    /// A line of the policy that is none.
    pub fn guard(&self, routes: Router, policy: &str) -> Result<Router, Error> {
        self.callers.guard(routes, &policy.replace("{realm}", self.realm()))
    }

    /// The realm of this service.
    pub fn realm(&self) -> &str {
        self.settings.principal.rsplit_once('@').map_or("", |(_, realm)| realm)
    }

    /// A service that this one calls, `name` in logs and metrics.
    ///
    /// # Errors
    /// As [`Upstream::new`].
    pub fn upstream(&self, name: &'static str, base: Url) -> Result<Upstream, Error> {
        Upstream::new(name, base, self.credentials.clone(), self.settings.plain_http)
    }

    /// Answers requests until told to end.
    ///
    /// # Errors
    /// Those of sockets and signals.
    pub async fn serve(self, routes: Router) -> Result<(), Error> {
        let Chassis { readiness, name, settings, credentials, listener, operations, metrics, .. } = self;
        let readiness = Arc::new(readiness);
        let (limit, patience) = (settings.body_limit, settings.request_timeout);
        let routes = routes
            .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing here"))
            .layer(DefaultBodyLimit::max(limit))
            .layer(from_fn(move |request: Request, next: Next| within(patience, request, next)))
            .layer(from_fn(move |request: Request, next: Next| trace::layer(name, request, next)));
        let told = serve::told_to_end()?;
        // Not in the log: somebody asks for these every few seconds. They are answered to the last.
        let asked = operations::routes(Arc::clone(&readiness), metrics, credentials);
        let ending = async move {
            told.await;
            readiness.end();
        };
        serve::announce(listener.local_addr()?, operations.local_addr()?);
        let operations = serve::serve(operations, asked, OPERATORS, std::future::pending());
        tokio::select! {
            () = serve::serve(listener, routes, settings.connections, ending) => Ok(()),
            () = operations => Err("nobody can ask any more how it is".into()),
        }
    }
}

/// Connections of those who ask how it is.
const OPERATORS: usize = 32;

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen at {address}: {error}").into())
}

/// Nobody waits for ever, for a slow body as for a slow answer.
async fn within(patience: std::time::Duration, request: Request, next: Next) -> Response {
    tokio::time::timeout(patience, next.run(request)).await.unwrap_or_else(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "that took too long").next("try again").into_response()
    })
}

/// Ends this process, as SIGTERM does, when its standard input ends.
pub fn end_with_stdin() {
    std::thread::spawn(|| {
        // Whatever comes is not for us; an error is an end too.
        let _ = std::io::copy(&mut std::io::stdin().lock().by_ref(), &mut std::io::sink());
        let _ = kill_process(getpid(), Signal::TERM);
    });
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let patience = std::time::Duration::from_secs(10);
        let slow = Router::new().route("/", get(async || std::future::pending::<()>().await));
        let slow = slow.layer(from_fn(move |request: Request, next: Next| within(patience, request, next)));
        let answer = slow.oneshot(Request::new(Body::empty())).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
