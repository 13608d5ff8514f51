//! Logs for machines: one JSON object a line, on the standard error. What happens within a request
//! carries its trace id, see [`super::trace`].

use std::io;

use tracing_subscriber::EnvFilter;

/// Starts the log of this process, as talkative as `level` says; `RUST_LOG` overrules it.
pub fn start(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false);
    // A second start, as tests do it, changes nothing.
    let _ = log.with_env_filter(filter).with_writer(io::stderr).try_init();
}
