//! The self-check: what a newcomer would try, tried in seconds, and each refusal found in the log.

use http::StatusCode;

use super::process::Process;
use super::realm::Realm;
use super::screen::Screen;
use crate::chassis::Error;
use crate::chassis::trace::{TRACEPARENT, TraceContext};

/// Tries everything; fails at the first thing that does not go as it must.
pub async fn check(screen: &mut Screen, _realm: &Realm, services: &[Process]) -> Result<(), Error> {
    screen.title("What is tried")?;
    let gateway = services.last().ok_or("no gateway")?;
    let answer = reqwest::get(format!("http://{}/ads", gateway.address())).await?;
    let trace = TraceContext::from_headers(answer.headers()).ok_or("no trace id")?.trace_id();
    if answer.status() != StatusCode::UNAUTHORIZED {
        return Err(format!("401 was expected, not {}", answer.status()).into());
    }
    let log = std::fs::read_to_string(gateway.log())?;
    if !log.lines().any(|line| line.contains(&trace) && line.contains("no-credentials")) {
        return Err(format!("{TRACEPARENT} {trace}: the log does not say why").into());
    }
    screen.tried("no ticket", "401, and the log says why")
}
