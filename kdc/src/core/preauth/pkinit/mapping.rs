//! Whose certificate it is (RFC 4556 3.2.2): by what the realm itself has written beside the
//! principal, else by the names in the certificate.
//!
//! A principal's string attributes bind it first, and then nothing else counts: `pkinit_cert`
//! (fingerprints of certificates or keys) and `pkinit_cert_match` (MIT's rules). Without them the
//! Kerberos name in the certificate decides; then, where the settings allow it, a user principal
//! name or a SPIFFE identifier.

use libkrb::preauth::pkinit::{Certificate, Rule, sha256};
use libkrb::{Error, ErrorCode, Principal, Time};

use super::{Pkinit, Refusal};
use crate::core::refuse::because;
use crate::core::{Entry, Kdc};

/// The most fingerprints that a principal may have: each is compared.
const MOST_FINGERPRINTS: usize = 64;

/// The most names of a certificate that are looked up.
const MOST_NAMES: usize = 8;

/// What is said of a certificate that is not the client's.
pub const ANOTHER: &str = "the certificate is not bound to this client";

/// Refuses a certificate that is not the client's.
pub fn check(pkinit: &Pkinit, client: &Entry, certificate: &Certificate<'_>) -> Result<(), Refusal> {
    let strings = &client.strings;
    let bound = match (strings.get("pkinit_cert"), strings.get("pkinit_cert_match")) {
        (None, None) => named(pkinit, client, certificate),
        (exact, rule) => {
            let exact = exact.is_some_and(|list| listed(list, certificate));
            exact || rule.is_some_and(|rule| Rule::parse(rule).is_ok_and(|rule| rule.matches(certificate)))
        }
    };
    Refusal::unless(bound, ErrorCode::CLIENT_NAME_MISMATCH, ANOTHER)
}

/// Whose certificate it is that a service shows for a user whose name it does not know (MS-SFU 2.2.2): of
/// whom it names, if a login with it would be his. What it is meant for does not count, for it proves
/// nothing here: the service says that the user is there.
///
/// # Errors
/// C_PRINCIPAL_UNKNOWN where the realm takes no certificates, does not believe this one, or it is nobody's.
pub fn find(kdc: &Kdc<'_>, certificate: &[u8], now: Time) -> Result<Principal, Refusal> {
    const UNKNOWN: ErrorCode = ErrorCode::C_PRINCIPAL_UNKNOWN;
    let nobody = Refusal::new(UNKNOWN, "users are not found by their certificates here");
    let Some(pkinit) = &kdc.policy.pkinit else { return Err(nobody) };
    let malformed = because(UNKNOWN, "malformed certificate of the user");
    let certificate = Certificate::parse(certificate).map_err(malformed)?;
    let distrusted = |_| Refusal::new(UNKNOWN, "the certificate of the user is not believed");
    pkinit.trust.check(&certificate, &[], now).map_err(distrusted)?;
    for name in names(pkinit, &kdc.policy.realm, &certificate).into_iter().take(MOST_NAMES) {
        let entry = kdc.store.lookup(&name)?;
        if entry.is_some_and(|entry| check(pkinit, &entry, &certificate).is_ok()) {
            return Ok(name);
        }
    }
    Err(Refusal::new(UNKNOWN, "the certificate of the user names nobody of this realm"))
}

/// Whether a certificate or its key is in a list such as `sha256:AB:CD...,key-sha256:...`.
fn listed(list: &str, certificate: &Certificate<'_>) -> bool {
    list.split([',', ' ']).filter(|item| !item.is_empty()).take(MOST_FINGERPRINTS).any(|item| {
        let (kind, digits) = item.split_once(':').unwrap_or(("sha256", item));
        let digest = match kind {
            "sha256" => sha256(certificate.der),
            "key-sha256" => sha256(certificate.key_der),
            _ => return false,
        };
        let wanted: String = digits.chars().filter(|digit| *digit != ':').collect();
        let has: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
        wanted.eq_ignore_ascii_case(&has)
    })
}

fn named(pkinit: &Pkinit, client: &Entry, certificate: &Certificate<'_>) -> bool {
    let is = |name: &Principal| *name == client.principal || client.aliases.contains(name);
    names(pkinit, client.principal.realm(), certificate).iter().any(is)
}

/// The principals of a realm that a certificate names, as far as the settings heed it.
fn names(pkinit: &Pkinit, realm: &str, certificate: &Certificate<'_>) -> Vec<Principal> {
    let names = certificate.names();
    if !names.principals.is_empty() {
        return names.principals;
    }
    let mut found = if pkinit.allow_upn { names.upn_principals(realm) } else { vec![] };
    found.extend(names.uris.iter().filter_map(|uri| pkinit.spiffe.iter().find_map(|rule| rule.principal(uri))));
    found
}

/// Which principals the identifiers of a SPIFFE trust domain stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiffeRule {
    /// The identifier in pieces: text, then a placeholder, then text, and so on.
    id: Vec<Piece>,
    principal: Vec<Piece>,
    realm: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(String),
}

impl SpiffeRule {
    /// The rule that `id` such as `spiffe://example.org/ns/{ns}/sa/{sa}` stands for `principal` such as
    /// `{sa}/{ns}` of this realm.
    ///
    /// # Errors
    /// [`Error::Setting`] that says what was expected.
    pub fn new(id: &str, principal: &str, realm: &str) -> Result<SpiffeRule, Error> {
        let wrong = |problem: &str| Error::Setting(format!("a rule for SPIFFE identifiers: {problem}"));
        let host = id.strip_prefix("spiffe://").and_then(|rest| rest.split('/').next());
        if !host.is_some_and(|host| !host.is_empty() && !host.contains('{')) {
            return Err(wrong("`id` begins with a trust domain, such as spiffe://example.org/"));
        }
        let pieces = |text| pieces(text).ok_or_else(|| wrong("a `{` without its `}`, or an empty name in it"));
        let (id, made) = (pieces(id)?, pieces(principal)?);
        let placeholders = |pieces: &[Piece]| pieces.iter().filter_map(Piece::placeholder).count();
        let twice = |piece: &Piece| id.iter().filter(|other| *other == piece).count() > 1;
        let unique = !id.iter().any(|piece| piece.placeholder().is_some() && twice(piece));
        let known = made.iter().all(|piece| piece.placeholder().is_none() || id.contains(piece));
        if !unique || !known || placeholders(&id) == 0 {
            return Err(wrong("each placeholder of `principal` stands once in `id`, which has at least one"));
        }
        let apart = principal.split('/').all(|part| part.matches('{').count() < 2);
        if !apart {
            return Err(wrong("two placeholders in one component of `principal` could be read in several ways"));
        }
        if Principal::parse(principal, Some(realm)).map(|name| name.realm() != realm).unwrap_or(true) {
            return Err(wrong("`principal` is a name of this realm, such as `{sa}/{ns}`"));
        }
        Ok(SpiffeRule { id, principal: made, realm: realm.to_owned() })
    }

    /// The principal that an identifier stands for. A placeholder holds the place of one segment, or of
    /// a part of it, in the characters that SPIFFE allows there.
    pub fn principal(&self, uri: &str) -> Option<Principal> {
        let mut rest = uri;
        let mut found = vec![];
        let mut pieces = self.id.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Piece::Placeholder(_) => {
                    let length = match pieces.peek() {
                        Some(Piece::Text(text)) => rest.find(text.as_str())?,
                        _ => rest.len(),
                    };
                    let (value, after) = rest.split_at(length);
                    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                    if matches!(value, "" | "." | "..") || !value.chars().all(allowed) {
                        return None;
                    }
                    found.push((piece, value));
                    rest = after;
                }
            }
        }
        if !rest.is_empty() {
            return None;
        }
        let part = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Placeholder(_) => found.iter().find(|(of, _)| *of == piece).map(|(_, value)| (*value).to_owned()),
        };
        let name = self.principal.iter().map(part).collect::<Option<String>>()?;
        Principal::parse(&name, Some(&self.realm)).ok()
    }
}

impl Piece {
    fn placeholder(&self) -> Option<&str> {
        match self {
            Piece::Text(_) => None,
            Piece::Placeholder(name) => Some(name),
        }
    }
}

fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = vec![];
    let mut rest = text;
    while !rest.is_empty() {
        match rest.split_once('{') {
            Some((before, after)) => {
                if !before.is_empty() {
                    pieces.push(Piece::Text(before.to_owned()));
                }
                let (name, after) = after.split_once('}')?;
                if name.is_empty() || matches!(pieces.last(), Some(Piece::Placeholder(_))) {
                    return None;
                }
                pieces.push(Piece::Placeholder(name.to_owned()));
                rest = after;
            }
            None => {
                pieces.push(Piece::Text(rest.to_owned()));
                rest = "";
            }
        }
    }
    Some(pieces)
}

#[cfg(test)]
mod tests;
