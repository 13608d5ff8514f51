//! One request as the log and the audit file tell it. Names are texts with everything odd escaped;
//! keys, passwords and bytes of messages are not in an event and so never here.

use std::fmt;
use std::net::SocketAddr;

use libkrb::codes::EncryptionType;
use libkrb::{Principal, Time};
use serde::{Serialize, Serializer};

use super::Seen;
use crate::core::{Exchange, Issued};

/// How many characters of a name are told.
const LONGEST_NAME: usize = 512;

/// What is told of a request, in this order.
#[derive(Serialize)]
pub struct Record<'a> {
    #[serde(serialize_with = "text")]
    pub time: Micros,
    pub exchange: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    pub from: SocketAddr,
    pub transport: &'static str,
    /// "issued", "changed" for a password, or the RFC's name of the error code.
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// In whose name it asked, if in another's (MS-SFU).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// How the client proved itself.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub proof: &'static str,
    /// What the ticket says of that (RFC 8129).
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub indicators: &'a [String],
    /// Whose ticket armored the request, if it came in FAST.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub armor: &'static str,
    #[serde(serialize_with = "text", skip_serializing_if = "Names::is_empty")]
    pub offered: Names<'a>,
    #[serde(flatten)]
    pub ticket: Option<Ticket>,
    /// How long the decision took, in microseconds.
    pub micros: u64,
}

/// What is told of an issued ticket.
#[derive(Serialize)]
pub struct Ticket {
    /// The letters of klist.
    pub flags: String,
    #[serde(serialize_with = "text")]
    pub auth_time: Time,
    #[serde(serialize_with = "text")]
    pub start_time: Time,
    #[serde(serialize_with = "text")]
    pub end_time: Time,
    #[serde(serialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub renew_till: Option<Time>,
    #[serde(serialize_with = "text")]
    pub ticket_etype: EncryptionType,
    #[serde(serialize_with = "text")]
    pub session_etype: EncryptionType,
    #[serde(serialize_with = "text")]
    pub reply_etype: EncryptionType,
}

impl<'a> Record<'a> {
    /// Tells of a request.
    pub fn new(seen: &Seen<'a>) -> Self {
        let event = seen.event;
        Record {
            time: Micros(seen.at),
            exchange: exchange(event.exchange),
            client: event.client.as_ref().map(name),
            server: event.server.as_ref().map(name),
            from: seen.from,
            transport: seen.transport.name(),
            outcome: event.refusal.map_or(done(event.exchange), |(code, _)| code.name()),
            cause: event.refusal.map(|(_, cause)| cause),
            on_behalf_of: event.on_behalf_of.as_ref().map(name),
            proof: event.proof,
            armor: event.armor,
            indicators: &event.indicators,
            offered: Names(&event.offered),
            ticket: event.issued.as_ref().map(Ticket::new),
            micros: u64::try_from(seen.took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

impl Ticket {
    fn new(issued: &Issued) -> Self {
        Ticket {
            flags: issued.flags.letters(),
            auth_time: issued.auth_time,
            start_time: issued.start_time,
            end_time: issued.end_time,
            renew_till: issued.renew_till,
            ticket_etype: issued.ticket_etype,
            session_etype: issued.session_etype,
            reply_etype: issued.reply_etype,
        }
    }
}

/// A name, not longer than anybody needs: else a stranger could fill the disk.
fn name(principal: &Principal) -> String {
    clipped(principal.to_string())
}

/// A text, cut where only a stranger's goes on.
pub fn clipped(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_NAME) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// As much of a text as fits in so many octets of JSON.
pub fn fitting(text: &str, octets: usize) -> &str {
    let mut room = octets;
    let over = text.char_indices().find(|(_, letter)| {
        let needed = match letter {
            '"' | '\\' => 2,
            letter if letter.is_ascii_control() => 6,
            letter => letter.len_utf8(),
        };
        let fits = room.checked_sub(needed);
        room = fits.unwrap_or(0);
        fits.is_none()
    });
    over.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

pub fn exchange(exchange: Exchange) -> &'static str {
    match exchange {
        Exchange::As => "AS",
        Exchange::Tgs => "TGS",
        Exchange::Kpasswd => "kpasswd",
        Exchange::Fetch => "fetch",
        Exchange::Other => "other",
    }
}

/// How a request ends well.
pub fn done(exchange: Exchange) -> &'static str {
    if exchange == Exchange::Kpasswd { "changed" } else { "issued" }
}

/// A time with microseconds: `2026-11-21T23:40:11.000042Z`.
pub struct Micros(pub libkrb::time::Instant);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.time.to_string();
        write!(f, "{}.{:06}Z", seconds.trim_end_matches('Z'), self.0.micros)
    }
}

/// Enctypes as the client offered them: `aes256-cts-hmac-sha1-96,1234`.
pub struct Names<'a>(pub &'a [EncryptionType]);

impl Names<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, etype) in self.0.iter().enumerate() {
            write!(f, "{}{etype}", if place == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

pub fn text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn optional_text<T: fmt::Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(|value| value.to_string()).serialize(serializer)
}
