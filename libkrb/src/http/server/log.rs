//! What the log is told: whole causes, with the trace that a request is part of.

use super::asked::Asked;
use super::reason::Reason;
use crate::http::Caller;

pub(super) fn entered(asked: &Asked, caller: Option<&Caller>) {
    let Some(caller) = caller else { return };
    tracing::debug!(
        target: "libkrb::http", trace_id = asked.trace_id, method = asked.method, path = asked.path,
        principal = %caller.principal(), how = ?caller.how(), "caller known"
    );
}

pub(super) fn refused(asked: &Asked, reason: &Reason) {
    let Asked { trace_id, method, path, .. } = asked;
    match reason {
        Reason::NoLayer => tracing::error!(
            target: "libkrb::http", trace_id, method, path,
            "no NegotiateLayer has looked at this request: add one around the routes that want a caller"
        ),
        reason if reason.is_challenge() => {
            tracing::debug!(target: "libkrb::http", trace_id, method, path, reason = reason.name(), "challenged");
        }
        reason => {
            let code = reason.code().map_or("", |code| code.name());
            tracing::info!(
                target: "libkrb::http", trace_id, method, path, reason = reason.name(), code, cause = %reason,
                "refused"
            );
        }
    }
}

/// What a route's requirement says of a caller.
pub(super) fn decided(asked: impl FnOnce() -> Asked, caller: &Caller, decision: &Result<String, String>) {
    match decision {
        Ok(rule) => tracing::debug!(target: "libkrb::http", principal = %caller.principal(), rule, "allowed"),
        Err(reason) => {
            let Asked { trace_id, method, path, .. } = asked();
            let principal = caller.principal();
            tracing::info!(target: "libkrb::http", trace_id, method, path, %principal, reason, "denied");
        }
    }
}
