//! What the log and the audit tell in the same words: names as texts with everything odd escaped, times, and how a
//! request ended. Not here: their lines (`log`, `line`, `change`).

use std::fmt;

use libkrb::Principal;
use libkrb::codes::EncryptionType;
use serde::Serializer;

use super::Seen;
use crate::core::Exchange;

/// How many characters of a name are told.
pub const LONGEST_NAME: usize = 512;

/// A name, not longer than anybody needs: else a stranger could fill the disk.
pub fn name(principal: &Principal) -> String {
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

/// How long a decision took, in microseconds.
pub fn micros(seen: &Seen<'_>) -> u64 {
    u64::try_from(seen.took.as_micros()).unwrap_or(u64::MAX)
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
