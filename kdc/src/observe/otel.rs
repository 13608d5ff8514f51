//! Traces: a span for each request, sent to an OpenTelemetry collector (OTLP over HTTP). Spans wait in a
//! bounded queue for a thread of their own; when it is full they are dropped, and nobody waits.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::Seen;
use super::record::{clipped, exchange};

/// How long the collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to a collector; what waits is sent when it is dropped.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Spans of `realm` to the collector at this URL, such as `http://127.0.0.1:4318`.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn start(url: &str, realm: &str) -> Result<Traces, String> {
        let endpoint = format!("{}/v1/traces", url.trim_end_matches('/'));
        let build = move || {
            let http = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
            http.with_endpoint(endpoint).with_timeout(PATIENCE).build().map_err(|error| error.to_string())
        };
        // The exporter waits as threads do, which those of tokio must not.
        let exporter = thread::spawn(build).join().map_err(|_| "the exporter can't be made".to_owned())??;
        let resource =
            Resource::builder().with_service_name("kdc").with_attribute(KeyValue::new("kdc.realm", realm.to_owned()));
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        let tracer = provider.tracer("kdc");
        Ok(Traces { provider, tracer })
    }

    pub(super) fn note(&self, seen: &Seen<'_>) {
        let event = seen.event;
        let start = UNIX_EPOCH + Duration::from_micros(u64::try_from(seen.at.as_micros()).unwrap_or_default());
        let end: SystemTime = start + seen.took;
        let outcome = event.refusal.map_or("issued", |(code, _)| code.name());
        let micros = i64::try_from(seen.took.as_micros()).unwrap_or(i64::MAX);
        let mut attributes = vec![
            KeyValue::new("kdc.exchange", exchange(event.exchange)),
            KeyValue::new("kdc.outcome", outcome),
            KeyValue::new("kdc.micros", micros),
            KeyValue::new("network.transport", seen.transport.name()),
            KeyValue::new("client.address", seen.from.ip().to_string()),
        ];
        let names = [("kdc.client", &event.client), ("kdc.server", &event.server)];
        let names =
            names.into_iter().filter_map(|(key, name)| Some(KeyValue::new(key, clipped(name.as_ref()?.to_string()))));
        attributes.extend(names);
        attributes.extend(event.refusal.map(|(_, cause)| KeyValue::new("kdc.cause", cause)));
        let builder = SpanBuilder::from_name(exchange(event.exchange)).with_kind(SpanKind::Server);
        let mut span = builder.with_start_time(start).with_attributes(attributes).start(&self.tracer);
        // A refusal is an answer. What is wrong with the KDC is an error.
        if outcome == libkrb::ErrorCode::SVC_UNAVAILABLE.name() {
            span.set_status(Status::error(outcome));
        }
        span.end_with_timestamp(end);
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        let provider = self.provider.clone();
        // What can't be sent within its time is lost, which the log says.
        let sent = thread::spawn(move || provider.shutdown_with_timeout(PATIENCE)).join();
        if !matches!(sent, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use libkrb::time::Instant;
    use libkrb::{Principal, Time};

    use super::*;
    use crate::core::{Event, Exchange};
    use crate::observe::{Observer, Transport};

    #[test]
    fn a_collector_gets_a_span_for_a_request() {
        let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", collector.local_addr().expect("an address"));
        let heard = thread::spawn(move || {
            let (stream, _) = collector.accept().expect("a connection");
            let mut reader = BufReader::new(stream);
            let mut head = vec![];
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a line");
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.trim().to_ascii_lowercase());
            }
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.expect("a length")];
            reader.read_exact(&mut body).expect("a body");
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("an answer");
            (head.swap_remove(0), body)
        });
        let mut observer = Observer::default();
        observer.trace(Traces::start(&url, "EXAMPLE.ORG").expect("an exporter"));
        let event = Event {
            exchange: Exchange::Tgs,
            client: Principal::parse("alice", Some("EXAMPLE.ORG")).ok(),
            refusal: Some((libkrb::ErrorCode::POLICY, "not today")),
            ..Event::default()
        };
        let from = "192.0.2.7:1088".parse().expect("an address");
        let at = Instant { time: Time(1_800_000_000), micros: 0 };
        observer.observe(&Seen { event: &event, from, transport: Transport::Udp, at, took: Duration::from_micros(7) });
        drop(observer);
        let (request, body) = heard.join().expect("a collector");
        assert!(request.starts_with("post /v1/traces "), "{request}");
        let has = |text: &str| body.windows(text.len()).any(|part| part == text.as_bytes());
        for text in
            ["TGS", "kdc.outcome", "KDC_ERR_POLICY", "not today", "kdc.micros", "alice@EXAMPLE.ORG", "192.0.2.7"]
        {
            assert!(has(text), "{text}");
        }
        // 1.8e18 nanoseconds, and 7000 more: fixed64, little-endian.
        let end = (1_800_000_000_000_007_000_u64).to_le_bytes();
        assert!(body.windows(8).any(|part| part == end), "the time at which it was decided");
    }
}
