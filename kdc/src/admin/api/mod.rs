//! The admin API: JSON over HTTP, every resource a row of [`ROUTES`] over an [`Operation`]. The same
//! for all doors, which say who calls. Not here: sockets and proofs ([`super::doors`]).
//!
//! A change with `If-Match` is made only if its subject is still what the answer's `ETag` said. POST
//! of a principal that exists is a mistake; PUT is not, if it is there just so. A batch is done whole
//! or not at all.

mod answer;
mod call;
mod document;
mod exact;
mod problem;
#[allow(clippy::result_large_err, reason = "a problem is made once a request, and sent")]
mod read;
mod route;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on};
use tokio::sync::Semaphore;

pub use call::Call;
pub use document::document;
pub use problem::Problem;
pub use route::{Field, Kind, ROUTES, Route};

use super::caller::Caller;
use super::operation::{Answer, Operation, Reason, Refusal};
use super::registry::Registry;

/// Octets of the longest body.
pub const MAX_BODY: usize = 1 << 20;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Operations at a time: passwords and commits take their time. More wait.
const AT_A_TIME: usize = 8;

/// What handlers share.
#[derive(Clone)]
struct Api {
    registry: Arc<Registry>,
    places: Arc<Semaphore>,
}

/// The API over a registry. Each request has its [`Caller`] among its extensions; one without is
/// refused.
pub fn router(registry: Arc<Registry>) -> Router {
    let api = Api { registry, places: Arc::new(Semaphore::new(AT_A_TIME)) };
    let mut router = Router::new().route("/v1/openapi.json", get(described));
    for route in ROUTES {
        let serve = move |State(api): State<Api>, request: Request| async move { api.serve(route, request).await };
        // Each method of the table has a filter.
        let filter = MethodFilter::try_from(route.method()).unwrap_or(MethodFilter::TRACE);
        router = router.route(route.path, on(filter, serve));
    }
    let nowhere = || async { Problem::new(StatusCode::NOT_FOUND, "no such resource; /v1/openapi.json names them") };
    let not_so = || async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the resource has no such method") };
    router.fallback(nowhere).method_not_allowed_fallback(not_so).with_state(api)
}

async fn described() -> Response {
    answer::json(StatusCode::OK, &document())
}

impl Api {
    async fn serve(&self, route: &'static Route, request: Request) -> Response {
        match self.answer(route, request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    }

    async fn answer(&self, route: &'static Route, request: Request) -> Result<Response, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "nobody knows who calls"))?;
        let body = if route.has_body() { Some(receive(&parts.headers, body).await?) } else { None };
        let operation =
            read::operation(route, &mut parts, body.as_deref().map(Vec::as_slice), self.registry.realm()).await?;
        let answer = self.perform(caller, operation).await?;
        Ok(answer::response(route, answer, &parts.headers))
    }

    /// Performs away from the threads that serve sockets.
    async fn perform(&self, caller: Caller, operation: Operation) -> Result<Answer, Refusal> {
        let failed = || Refusal::new(Reason::Failed, "the KDC failed to perform this; see its log");
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| failed())?;
        let registry = Arc::clone(&self.registry);
        let performed = tokio::task::spawn_blocking(move || {
            let _place = place;
            registry.perform(&caller, operation)
        });
        performed.await.unwrap_or_else(|_| Err(failed()))
    }
}

/// A whole body, which may hold a password.
async fn receive(headers: &axum::http::HeaderMap, body: Body) -> Result<zeroize::Zeroizing<Vec<u8>>, Problem> {
    use http_body_util::BodyExt;
    // Also a form of another site's page, sent by a browser that knows the caller, ends here.
    let json = headers.get("content-type").and_then(|value| value.to_str().ok());
    let json = json.map(|value| value.split(';').next().unwrap_or_default().trim());
    if !json.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        let words = "the body has to be JSON, and the header content-type has to say so: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
    }
    let mut body = body;
    let mut octets = zeroize::Zeroizing::new(vec![]);
    let read = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            if octets.len() + data.len() > MAX_BODY {
                let words = format!("the body is longer than {MAX_BODY} octets; make several requests of it");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, words));
            }
            octets.extend_from_slice(&data);
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(done) => done.map(|()| octets),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")),
    }
}

#[cfg(test)]
mod tests;
