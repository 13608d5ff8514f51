//! The log: one structured line for each event on standard error, `key=value` for people or JSON for
//! machines.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::util::SubscriberInitExt;

use super::Seen;
use super::record::{self, Names, done, micros, name};
use crate::core::{Event, Exchange};

/// The name under which requests are logged.
pub const TARGET: &str = "kdc";

/// Starts logging to standard error, for the life of the process: events of this level ("info") and
/// graver ones, as text or as JSON. Only the first call has an effect.
pub fn start_log(level: &str, json: bool) {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    // Whoever started a log before keeps it.
    let _ = match json {
        false => text_lines(level, io::stderr().is_terminal(), io::stderr).try_init(),
        true => json_lines(level, io::stderr).try_init(),
    };
}

pub(super) fn text_lines<W>(level: LevelFilter, colour: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt::fmt().with_max_level(level).with_target(false).with_ansi(colour).with_writer(writer).finish()
}

pub(super) fn json_lines<W>(level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt::fmt().with_max_level(level).with_target(false).json().flatten_event(true).with_writer(writer).finish()
}

/// How grave an event is: junk is nothing that anybody should look after.
pub fn level(event: &Event) -> Level {
    if event.exchange == Exchange::Other { Level::DEBUG } else { Level::INFO }
}

/// Whether events of a level are logged.
pub fn wants(level: Level) -> bool {
    match level {
        Level::DEBUG => tracing::enabled!(target: TARGET, Level::DEBUG),
        _ => tracing::enabled!(target: TARGET, Level::INFO),
    }
}

/// Writes the line of a request. Texts are quoted, with everything odd in them escaped.
pub fn write(level: Level, seen: &Seen<'_>) {
    let Seen { event, from, transport, .. } = seen;
    let (exchange, via, micros) = (record::exchange(event.exchange), transport.name(), micros(seen));
    let outcome = event.refusal.map_or(done(event.exchange), |(code, _)| code.name());
    let cause = event.refusal.map(|(_, cause)| cause);
    let [client, server, on_behalf_of] =
        [&event.client, &event.server, &event.on_behalf_of].map(|it| it.as_ref().map(name));
    let [client, server, on_behalf_of] = [&client, &server, &on_behalf_of].map(Option::as_deref);
    let [proof, armor] = [event.proof, event.armor].map(|it| Some(it).filter(|it| !it.is_empty()));
    let indicators = Some(event.indicators.join(",")).filter(|indicators| !indicators.is_empty());
    let offered = Some(Names(&event.offered).to_string()).filter(|offered| !offered.is_empty());
    let ticket = event.issued.as_ref();
    let (flags, end) = (ticket.map(|ticket| ticket.flags.letters()), ticket.map(|ticket| ticket.end_time.to_string()));
    let etypes = ticket.map(|t| format!("{},{},{}", t.reply_etype.0, t.session_etype.0, t.ticket_etype.0));
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: TARGET, exchange, client, server, on_behalf_of, %from, via, outcome, cause, proof,
                indicators, armor, offered, flags, end, etypes, micros
            )
        };
    }
    if level == Level::DEBUG { line!(debug) } else { line!(info) }
}
