//! The chain over audit lines: each has a number, and a hash over the hash before it and its own text, so
//! that whoever alters, removes or moves a line has to make all hashes after it anew. With a key they can't.
//!
//! A line is `{"seq":7,…,"hash":"…"}`. Of lines that are written at once only the last has a hash, which is over all of
//! them: SHA-256 of the 32 octets of the hash before (zeros for the first) and of all that follows the line which has
//! that, up to the `,"hash":` of this one; with a key it is HMAC-SHA-256.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::super::text::{decimal, hexadecimal};

/// What ends the text of a line.
const BEFORE_HASH: &str = ",\"hash\":\"";
const BEGINNING: &str = "{\"seq\":";

/// No more lines than this share a hash: so many at most are in doubt where one was altered, or where a crash left some
/// that no hash covers.
pub const MOST_AT_ONCE: usize = 64;

/// The hash of a line.
pub type Hash = [u8; 32];

/// A key that keeps others from making lines.
#[derive(Clone)]
pub struct ChainKey(Zeroizing<Vec<u8>>);

impl ChainKey {
    /// The key in this text; `None` if that is shorter than 32 characters, which somebody might guess.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= 32).then(|| ChainKey(Zeroizing::new(text.as_bytes().to_vec())))
    }
}

/// Where a chain has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the last line; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// The head in the text `17:0f3a…`.
    pub fn parse(text: &str) -> Option<Head> {
        let (seq, hash) = text.split_once(':')?;
        Some(Head { seq: seq.parse().ok()?, hash: parse(hash)? })
    }
}

/// A line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number.
    pub seq: u64,
    /// What the hash is over: all of it, but for its own.
    pub text: &'a str,
    /// Its hash, as it says; none where a later line has it.
    pub hash: Option<Hash>,
}

impl<'a> Line<'a> {
    /// A line of a chain; `None` for anything else.
    pub fn parse(line: &'a str) -> Option<Line<'a>> {
        let digits = line.strip_prefix(BEGINNING)?;
        let seq = digits.split(',').next()?.parse().ok()?;
        match line.rsplit_once(BEFORE_HASH) {
            Some((text, hash)) => Some(Line { seq, text, hash: Some(parse(hash.strip_suffix("\"}")?)?) }),
            None => line.ends_with('}').then_some(Line { seq, text: line, hash: None }),
        }
    }

    /// Its place in the chain, if it has a hash.
    pub fn head(&self) -> Option<Head> {
        Some(Head { seq: self.seq, hash: self.hash? })
    }
}

/// A hash that is being made.
pub enum Hasher {
    /// Without a key.
    Plain(Sha256),
    /// With one.
    Keyed(Hmac<Sha256>),
}

impl Hasher {
    /// Of what comes after `before`.
    pub fn after(key: Option<&ChainKey>, before: &Hash) -> Hasher {
        let mut hasher = match key.and_then(|key| Hmac::new_from_slice(&key.0).ok()) {
            Some(mac) => Hasher::Keyed(mac),
            None => Hasher::Plain(Sha256::new()),
        };
        hasher.take(before);
        hasher
    }

    /// Goes on with these octets.
    pub fn take(&mut self, octets: &[u8]) {
        match self {
            Hasher::Plain(hash) => hash.update(octets),
            Hasher::Keyed(mac) => mac.update(octets),
        }
    }

    /// The hash.
    pub fn end(self) -> Hash {
        match self {
            Hasher::Plain(hash) => hash.finalize().into(),
            Hasher::Keyed(mac) => mac.finalize().into_bytes().into(),
        }
    }
}

/// Adds the lines after `head` that say these fields, each the inside of a JSON object; the head that they make.
pub fn add_lines(key: Option<&ChainKey>, head: &Head, fields: &[&str], lines: &mut String) -> Head {
    let (mut seq, start) = (head.seq, lines.len());
    for (place, fields) in fields.iter().enumerate() {
        if place > 0 {
            lines.push_str("}\n");
        }
        seq = seq.saturating_add(1);
        lines.push_str(BEGINNING);
        decimal(seq, lines);
        lines.push(',');
        lines.push_str(fields);
    }
    let mut hasher = Hasher::after(key, &head.hash);
    hasher.take(lines.get(start..).unwrap_or_default().as_bytes());
    let hash = hasher.end();
    lines.push_str(BEFORE_HASH);
    hexadecimal(&hash, lines);
    lines.push_str("\"}\n");
    Head { seq, hash }
}

/// The line after `head` that says `fields`, and the head that it makes.
pub fn line(key: Option<&ChainKey>, head: &Head, fields: &str) -> (String, Head) {
    let mut line = String::new();
    let head = add_lines(key, head, &[fields], &mut line);
    (line, head)
}

/// A hash in hexadecimal.
pub fn hex(hash: &Hash) -> String {
    let mut text = String::with_capacity(2 * hash.len());
    hexadecimal(hash, &mut text);
    text
}

fn parse(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (place, octet) in hash.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(hash)
}
