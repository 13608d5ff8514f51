//! One id for all that one request causes, wherever it goes (W3C Trace Context): taken from the
//! header `traceparent` or made here at the edge, written into every line of the log, sent on with
//! every call and told in the answer. Beside it what is counted of a request.

use std::fmt::{self, Display, Write as _};
use std::future::Future;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libkrb::crypto::{OsRandom, Random};
use metrics::{counter, gauge, histogram};
use tracing::{Instrument, Span, field, info, info_span};

/// The header of W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// Which request this is part of, and which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// The beginning of something.
    pub fn start() -> TraceContext {
        TraceContext { trace: random(), span: random(), flags: 1 }
    }

    /// The context that a peer told, if it makes sense.
    pub fn from_headers(headers: &HeaderMap) -> Option<TraceContext> {
        TraceContext::parse(headers.get(TRACEPARENT)?.to_str().ok()?)
    }

    /// Reads `00-<trace>-<span>-<flags>`, with more at the end only from a newer version.
    pub fn parse(text: &str) -> Option<TraceContext> {
        let mut fields = text.split('-');
        let [version] = octets(fields.next()?)?;
        let context = TraceContext {
            trace: octets(fields.next()?)?,
            span: octets(fields.next()?)?,
            flags: octets::<1>(fields.next()?)?[0],
        };
        let known = version == 0 && fields.next().is_none() || (1..0xff).contains(&version);
        (known && context.trace != [0; 16] && context.span != [0; 8]).then_some(context)
    }

    /// Another part of the same request.
    #[must_use]
    pub fn next_span(self) -> TraceContext {
        TraceContext { span: random(), ..self }
    }

    /// What all parts have in common.
    pub fn trace_id(&self) -> String {
        hex(&self.trace)
    }

    /// This part.
    pub fn span_id(&self) -> String {
        hex(&self.span)
    }

    fn header(self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.to_string()).ok()
    }
}

impl Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id(), self.span_id(), self.flags)
    }
}

/// The request that this task works for; a new one if there is none.
pub fn current() -> TraceContext {
    CURRENT.try_with(|context| *context).unwrap_or_else(|_| TraceContext::start())
}

/// What tells the service that is called which request it is called for.
pub fn told() -> HeaderMap {
    let value = current().next_span().header();
    value.map(|value| (HeaderName::from_static(TRACEPARENT), value)).into_iter().collect()
}

/// Who calls, and how that is known, for the log's lines of this request.
pub fn record_caller(caller: impl Display, by: &str) {
    Span::current().record("caller", field::display(caller)).record("by", by);
}

/// Why a request is refused, for the same lines.
pub fn record_refusal(reason: impl Display) {
    Span::current().record("refused", field::display(reason));
}

/// Gives a request its trace id, and logs and counts it when it is answered.
pub async fn layer(service: &'static str, request: Request, next: Next) -> Response {
    let context =
        TraceContext::from_headers(request.headers()).map_or_else(TraceContext::start, TraceContext::next_span);
    // The pattern, not the path: strangers would fill the metrics with names of their own.
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let method = known(request.method());
    let span = info_span!(
        "request",
        service,
        trace_id = context.trace_id(),
        span_id = context.span_id(),
        method,
        path = brief(request.uri().path()),
        caller = field::Empty,
        by = field::Empty,
        refused = field::Empty,
    );
    let answer = async {
        let (started, _under_way) = (Instant::now(), UnderWay::begin());
        let mut response = next.run(request).await;
        let took = started.elapsed();
        let status = response.status().as_u16();
        info!(status, micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX), "answered");
        let labels = [("route", route), ("method", method.to_owned()), ("status", status.to_string())];
        counter!("http_requests_total", &labels).increment(1);
        histogram!("http_request_duration_seconds", &labels[..2]).record(took);
        if let Some(value) = context.header() {
            response.headers_mut().insert(TRACEPARENT, value);
        }
        response
    };
    within(context, answer.instrument(span)).await
}

/// The methods of HTTP. Strangers make up others, and each would be counted apart, and be as long as they like.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

fn known(method: &Method) -> &'static str {
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// As much of a path as a line of the log has room for; all of it is ASCII.
fn brief(path: &str) -> &str {
    path.get(..256).unwrap_or(path)
}

/// Runs a task as part of a request.
pub async fn within<F: Future>(context: TraceContext, task: F) -> F::Output {
    CURRENT.scope(context, task).await
}

/// Counts a request while it is being answered, also when the client goes away.
struct UnderWay;

impl UnderWay {
    fn begin() -> UnderWay {
        gauge!("http_requests_in_flight").increment(1);
        UnderWay
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        gauge!("http_requests_in_flight").decrement(1);
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRandom::new().fill(&mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Lower case only, as the standard has it.
fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut octets = [0; N];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_read_and_told_as_the_standard_has_it() {
        let context = TraceContext::parse(EXAMPLE).expect("a context");
        assert_eq!(context.to_string(), EXAMPLE);
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let newer = EXAMPLE.replacen("00", "01", 1) + "-more";
        assert_eq!(TraceContext::parse(&newer).map(|context| context.to_string()).as_deref(), Some(EXAMPLE));
    }

    #[test]
    fn nonsense_is_no_context() {
        let zeros = |range: std::ops::Range<usize>| {
            let mut text = EXAMPLE.to_owned();
            text.replace_range(range.clone(), &"0".repeat(range.len()));
            text
        };
        let newer = EXAMPLE.replacen("00", "ff", 1);
        let longer = format!("{EXAMPLE}-00");
        for text in ["", "00", &zeros(3..35), &zeros(36..52), &EXAMPLE.to_uppercase(), &newer, &longer, &EXAMPLE[..54]]
        {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn methods_that_strangers_make_up_are_counted_as_one() {
        assert_eq!(known(&Method::POST), "POST");
        for text in ["AAAA", "BBBB", "get", &"X".repeat(10_000)] {
            assert_eq!(known(&Method::from_bytes(text.as_bytes()).expect("a method")), "other");
        }
    }

    #[test]
    fn a_path_in_the_log_has_an_end() {
        assert_eq!(brief("/ads"), "/ads");
        assert_eq!(brief(&"/x".repeat(30_000)).len(), 256);
    }

    #[tokio::test]
    async fn a_call_within_a_request_is_part_of_it() {
        let context = TraceContext::start();
        let headers = within(context, async { told() }).await;
        let told = TraceContext::from_headers(&headers).expect("a context");
        assert_eq!(told.trace_id(), context.trace_id());
        assert_ne!(told.span_id(), context.span_id());
    }
}
