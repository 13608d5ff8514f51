//! One request as the audit tells it: the inside of a JSON object, written by hand because every request waits for it,
//! and with what the line before had too taken from there.
//! Keys, passwords and bytes of messages are not in an event and so never here. Not here: the chain (`audit`).

use std::net::SocketAddr;

use libkrb::codes::EncryptionType;
use libkrb::{Principal, Time};

use super::Seen;
use super::record::{self, done, exchange};
use super::text::{address, decimal, micros, name, quoted, signed, time};
use crate::core::Issued;

/// No line of a request is longer, but for the longest names.
const USUAL: usize = 1024;

/// What stands before a value that is no string, or a string of its own making.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// What stands before the inside of a string.
macro_rules! open {
    ($name:literal) => {
        concat!(",\"", $name, "\":\"")
    };
}

/// What the line before had: of those that come in the same second many have the same.
#[derive(Debug, Default)]
pub struct Before {
    second: Last<Time>,
    server: Last<Principal>,
    from: Last<SocketAddr>,
    /// With the second of the line.
    ticket: Last<(Issued, Time)>,
}

/// What something was told as.
#[derive(Debug)]
struct Last<T> {
    told: Option<T>,
    text: String,
}

impl<T> Default for Last<T> {
    fn default() -> Self {
        Last { told: None, text: String::new() }
    }
}

impl<T: Clone + PartialEq> Last<T> {
    /// As it is told by `tell`.
    fn add(&mut self, it: &T, tell: impl FnOnce(&T, &mut String), text: &mut String) {
        if self.told.as_ref() != Some(it) {
            self.text.clear();
            tell(it, &mut self.text);
            self.told = Some(it.clone());
        }
        text.push_str(&self.text);
    }
}

/// Adds what is told of a request.
pub fn add(seen: &Seen<'_>, before: &mut Before, text: &mut String) {
    let event = seen.event;
    text.reserve(USUAL);
    text.push_str("\"time\":\"");
    before.second.add(&seen.at.time, second, text);
    text.push('.');
    micros(seen.at.micros, text);
    // Exchanges, transports and codes have names without anything odd.
    constant("Z\",\"exchange\":\"", exchange(event.exchange), text);
    text.push('"');
    if let Some(client) = &event.client {
        text.push_str(key!("client"));
        name(client, text);
    }
    if let Some(server) = &event.server {
        text.push_str(key!("server"));
        before.server.add(server, name, text);
    }
    text.push_str(open!("from"));
    before.from.add(&seen.from, |from, text| address(*from, text), text);
    constant("\",\"transport\":\"", seen.transport.name(), text);
    // "issued", "changed" for a password, or the RFC's name of the error code.
    constant("\",\"outcome\":\"", event.refusal.map_or(done(event.exchange), |(code, _)| code.name()), text);
    text.push('"');
    if let Some((_, cause)) = event.refusal {
        text.push_str(key!("cause"));
        quoted(cause, text);
    }
    // In whose name it asked, if in another's (MS-SFU).
    if let Some(user) = &event.on_behalf_of {
        text.push_str(key!("on_behalf_of"));
        name(user, text);
    }
    told(key!("proof"), event.proof, text);
    indicators(&event.indicators, text);
    told(key!("armor"), event.armor, text);
    offered(&event.offered, text);
    if let Some(issued) = &event.issued {
        before.ticket.add(&(*issued, seen.at.time), ticket, text);
    }
    // How long the decision took.
    text.push_str(key!("micros"));
    decimal(record::micros(seen), text);
}

/// A time without its end, behind which something of it comes.
fn second(at: &Time, text: &mut String) {
    time(*at, text);
    text.pop();
}

fn constant(before: &str, value: &str, text: &mut String) {
    text.push_str(before);
    text.push_str(value);
}

/// A string, unless it is empty.
fn told(key: &str, value: &str, text: &mut String) {
    if !value.is_empty() {
        text.push_str(key);
        quoted(value, text);
    }
}

/// What the ticket says of how the client proved itself (RFC 8129).
fn indicators(indicators: &[String], text: &mut String) {
    for (place, indicator) in indicators.iter().enumerate() {
        text.push_str(if place == 0 { concat!(key!("indicators"), "[") } else { "," });
        quoted(indicator, text);
    }
    if !indicators.is_empty() {
        text.push(']');
    }
}

/// Enctypes as the client offered them.
fn offered(etypes: &[EncryptionType], text: &mut String) {
    for (place, etype) in etypes.iter().enumerate() {
        text.push_str(if place == 0 { concat!(key!("offered"), "[") } else { "," });
        signed(etype.0, text);
    }
    if !etypes.is_empty() {
        text.push(']');
    }
}

/// What is told of a ticket that was issued in this second. What is left out is what nearly always is: times are now, and
/// all etypes the ticket's.
fn ticket((issued, now): &(Issued, Time), text: &mut String) {
    // The letters of klist.
    text.push_str(open!("flags"));
    text.push_str(&issued.flags.letters());
    text.push('"');
    let times = [
        (open!("auth_time"), Some(issued.auth_time).filter(|at| at != now)),
        (open!("start_time"), Some(issued.start_time).filter(|at| at != now)),
        (open!("end_time"), Some(issued.end_time)),
        (open!("renew_till"), issued.renew_till),
    ];
    for (before, at) in times {
        let Some(at) = at else { continue };
        text.push_str(before);
        time(at, text);
        text.push('"');
    }
    let etypes = [
        (key!("ticket_etype"), issued.ticket_etype),
        (key!("session_etype"), issued.session_etype),
        (key!("reply_etype"), issued.reply_etype),
    ];
    for (place, (before, used)) in etypes.into_iter().enumerate() {
        if place == 0 || used != issued.ticket_etype {
            text.push_str(before);
            signed(used.0, text);
        }
    }
}

#[cfg(test)]
mod tests;
