//! The log: one structured line for each event on standard error, `key=value` for people or JSON for
//! machines.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::util::SubscriberInitExt;

use super::record::Record;
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
pub fn write(level: Level, record: &Record<'_>) {
    let Record { exchange, from, transport: via, outcome, cause, micros, .. } = record;
    let (client, server) = (record.client.as_deref(), record.server.as_deref());
    let on_behalf_of = record.on_behalf_of.as_deref();
    let proof = Some(record.proof).filter(|proof| !proof.is_empty());
    let armor = Some(record.armor).filter(|armor| !armor.is_empty());
    let indicators = Some(record.indicators.join(",")).filter(|indicators| !indicators.is_empty());
    let offered = Some(record.offered.to_string()).filter(|offered| !offered.is_empty());
    let ticket = record.ticket.as_ref();
    let (flags, end) = (ticket.map(|ticket| &*ticket.flags), ticket.map(|ticket| ticket.end_time.to_string()));
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
