//! Patterns over principals, component by component, with back-references from a rule's target to
//! its caller. Not here: what follows from a match.

use libkrb::Principal;
use serde::Deserialize;

use crate::admin::glob;

/// `*/admin`, `host/*.example.org`, `*1/root@OTHER.REALM`, or `*` for everybody of every realm.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Option<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    components: Vec<String>,
    /// `None`: our own.
    realm: Option<String>,
}

/// What the components with wildcards stood for, in their order.
pub(super) type Wild<'a> = Vec<&'a str>;

impl Pattern {
    /// Whether `caller` is meant; if so, what its wildcards stood for.
    pub(super) fn caller<'a>(&self, caller: &'a Principal, own: &str) -> Option<Wild<'a>> {
        let Some(parts) = &self.0 else { return Some(vec![]) };
        let mut wild = vec![];
        parts.each(caller, own, |pattern, text| {
            if pattern.contains(['*', '?', '[']) {
                wild.push(text);
            }
            glob::matches(pattern, text)
        })?;
        Some(wild)
    }

    /// Whether `target` is meant, when the caller's wildcards stood for `wild`.
    pub(super) fn target(&self, target: &Principal, own: &str, wild: &Wild<'_>) -> bool {
        let Some(parts) = &self.0 else { return true };
        let same = |pattern: &str, text: &str| match reference(pattern) {
            Some(index) => wild.get(index).is_some_and(|meant| *meant == text),
            None => glob::matches(pattern, text),
        };
        parts.each(target, own, same).is_some()
    }

    /// Whether it is `*`.
    pub(super) fn is_everybody(&self) -> bool {
        self.0.is_none()
    }

    /// Whether each component is a wildcard as a whole or not at all: all that MIT knows.
    pub(super) fn is_plain(&self) -> bool {
        let Some(parts) = &self.0 else { return true };
        let plain = |part: &String| part == "*" || reference(part).is_some() || !part.contains(['*', '?', '[']);
        parts.components.iter().chain(&parts.realm).all(plain)
    }
}

impl Parts {
    /// `Some` if every component, and the realm, are the `same` as the pattern's.
    fn each<'a>(&self, name: &'a Principal, own: &str, mut same: impl FnMut(&str, &'a str) -> bool) -> Option<()> {
        let realm = self.realm.as_deref().map_or(name.realm() == own, |realm| glob::matches(realm, name.realm()));
        let components = name.components();
        let mut pairs = self.components.iter().zip(components);
        (realm && self.components.len() == components.len() && pairs.all(|(pattern, text)| same(pattern, text)))
            .then_some(())
    }
}

/// `*1` is 0.
fn reference(pattern: &str) -> Option<usize> {
    match pattern.as_bytes() {
        [b'*', digit @ b'1'..=b'9'] => Some(usize::from(digit - b'1')),
        _ => None,
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "*" {
            return Ok(Pattern(None));
        }
        let wrong = |error| format!("{text:?} is no pattern of a principal such as \"*/admin@EXAMPLE.ORG\": {error}");
        let parsed = Principal::parse(&text, Some("")).map_err(wrong)?;
        let components = parsed.components().iter().map(ToString::to_string).collect();
        let realm = Some(parsed.realm().to_owned()).filter(|realm| !realm.is_empty());
        Ok(Pattern(Some(Parts { components, realm })))
    }
}
