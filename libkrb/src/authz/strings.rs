//! A bounded list of short texts as an element of authorization data: `SEQUENCE OF UTF8String`.

use std::collections::BTreeSet;

use crate::codes::AuthDataType;
use crate::wire::{self, AuthorizationData, List, Utf8};

/// How much of a list is written and read; the rest is left out, for it could only give rights.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Texts, at most.
    pub(super) most: usize,
    /// Octets of one.
    pub(super) longest: usize,
}

impl Bounds {
    /// The element's content: each text once, in the order of the alphabet.
    pub(super) fn encode<'a>(self, texts: impl Iterator<Item = &'a str>) -> Vec<u8> {
        let texts: Vec<_> = self.kept(texts).into_iter().map(Utf8).collect();
        wire::encode(&List::Items(&texts))
    }

    /// What all elements of this kind say; one that is malformed says nothing.
    pub(super) fn read(self, kind: AuthDataType, elements: &AuthorizationData<'_>) -> Vec<String> {
        let lists = elements.iter().filter(|element| element.kind == kind);
        let lists = lists.filter_map(|element| wire::decode::<List<'_, Utf8<'_>>>(element.data).ok());
        let texts = lists.flat_map(|list| list.iter()).map(|text| text.0);
        self.kept(texts).into_iter().map(str::to_owned).collect()
    }

    fn kept<'a>(self, texts: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let fits = |text: &&str| !text.is_empty() && text.len() <= self.longest;
        // Bounded before it is sorted: a peer says how many there are.
        texts.filter(fits).take(self.most).collect()
    }

    /// Whether a text can stand in such a list: short, without blanks, commas and control characters,
    /// which separate such texts where people write them.
    pub(super) fn check(self, what: &str, text: &str) -> Result<(), String> {
        if text.is_empty() || text.len() > self.longest {
            return Err(format!("\"{text}\" is no {what}: write 1 to {} octets", self.longest));
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',') {
            return Err(format!("\"{text}\" is no {what}: write it without blanks and commas"));
        }
        Ok(())
    }
}

/// The texts that people wrote, with blanks or commas between them.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty())
}
