//! The chain over audit lines: each has a number and a hash over the hash before it and its own text, so
//! that whoever alters, removes or moves a line has to make all hashes after it anew. With a key they can't.
//!
//! A line is `{"seq":7,…,"hash":"…"}`; its text is what stands before `,"hash":`. The hash is SHA-256 of
//! the 32 octets of the hash before (zeros for the first line) and the text; with a key it is HMAC-SHA-256.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::super::text::{decimal, hexadecimal};

/// What ends the text of a line.
const BEFORE_HASH: &str = ",\"hash\":\"";
const BEGINNING: &str = "{\"seq\":";

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
    /// What its hash is over.
    pub text: &'a str,
    /// Its hash, as it says.
    pub hash: Hash,
}

impl<'a> Line<'a> {
    /// A line of a chain; `None` for anything else.
    pub fn parse(line: &'a str) -> Option<Line<'a>> {
        let (text, hash) = line.rsplit_once(BEFORE_HASH)?;
        let digits = text.strip_prefix(BEGINNING)?;
        let seq = digits.split(',').next()?.parse().ok()?;
        Some(Line { seq, text, hash: parse(hash.strip_suffix("\"}")?)? })
    }

    /// Its place in the chain.
    pub fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }
}

/// The hash of a text after `before`.
pub fn hash(key: Option<&ChainKey>, before: &Hash, text: &str) -> Hash {
    if let Some(mac) = key.and_then(|key| Hmac::<Sha256>::new_from_slice(&key.0).ok()) {
        return mac.chain_update(before).chain_update(text).finalize().into_bytes().into();
    }
    Sha256::new().chain_update(before).chain_update(text).finalize().into()
}

/// Adds the line after `head` that says `fields`, the inside of a JSON object; the head that it makes.
pub fn add_line(key: Option<&ChainKey>, head: &Head, fields: &str, lines: &mut String) -> Head {
    let seq = head.seq.saturating_add(1);
    let start = lines.len();
    lines.push_str(BEGINNING);
    decimal(seq, lines);
    lines.push(',');
    lines.push_str(fields);
    let hash = hash(key, &head.hash, lines.get(start..).unwrap_or_default());
    lines.push_str(BEFORE_HASH);
    hexadecimal(&hash, lines);
    lines.push_str("\"}\n");
    Head { seq, hash }
}

/// The line after `head` that says `fields`, and the head that it makes.
pub fn line(key: Option<&ChainKey>, head: &Head, fields: &str) -> (String, Head) {
    let mut line = String::new();
    let head = add_line(key, head, fields, &mut line);
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
