//! Patterns of principals: `*` stands for any text within one component, so that a pattern says how
//! many components there are.

use std::fmt;

use crate::name::{self, Principal};

/// A pattern of principals, such as `*/admin@EXAMPLE.ORG`.
#[derive(Clone, PartialEq, Eq)]
pub struct Glob {
    components: Vec<Pattern>,
    realm: Pattern,
    text: String,
}

/// The texts between the stars of one component: without a star it is one text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(Vec<String>);

impl Glob {
    /// Reads a pattern. It must have a realm.
    ///
    /// # Errors
    /// What is wrong, and the way out.
    pub fn parse(text: &str) -> Result<Glob, String> {
        let mut parts = vec![Pattern(vec![String::new()])];
        let mut ats = 0;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '@' | '/' if ats == 0 => {
                    ats += usize::from(c == '@');
                    parts.push(Pattern(vec![String::new()]));
                }
                '@' => return Err(format!("\"{text}\" has a second @; write \\@ for one within a name")),
                '*' => parts.last_mut().into_iter().for_each(|part| part.0.push(String::new())),
                '\\' => match name::quoted(&mut chars) {
                    Some(c) => push(&mut parts, c),
                    None => return Err(format!("\"{text}\" ends with a backslash")),
                },
                c => push(&mut parts, c),
            }
        }
        let realm = parts.pop().filter(|realm| ats == 1 && !realm.is_nothing());
        match realm {
            Some(realm) if !parts.iter().all(Pattern::is_nothing) => {
                Ok(Glob { components: parts, realm, text: text.to_owned() })
            }
            Some(_) => Err(format!("\"{text}\" names nobody before its realm")),
            None => Err(format!("\"{text}\" has no realm: write {text}@REALM, or {text}@* for any realm")),
        }
    }

    /// Whether a principal is of this pattern.
    pub fn matches(&self, principal: &Principal) -> bool {
        let components = principal.components();
        components.len() == self.components.len()
            && self.components.iter().zip(components).all(|(pattern, component)| pattern.matches(component))
            && self.realm.matches(principal.realm())
    }

    /// The same, but that the anonymous principal has to be spelled out: nobody thinks of it when
    /// writing a star.
    pub fn names(&self, principal: &Principal) -> bool {
        let spelled = || self.components.iter().all(|pattern| pattern.0.len() == 1);
        self.matches(principal) && (!principal.is_anonymous() || spelled())
    }
}

fn push(parts: &mut [Pattern], c: char) {
    if let Some(text) = parts.last_mut().and_then(|part| part.0.last_mut()) {
        text.push(c);
    }
}

impl Pattern {
    fn is_nothing(&self) -> bool {
        self.0.iter().all(String::is_empty) && self.0.len() == 1
    }

    fn matches(&self, text: &str) -> bool {
        let (Some((first, rest)), Some(last)) = (self.0.split_first(), self.0.last()) else { return false };
        let Some((_, middle)) = rest.split_last() else { return text == first };
        let Some(mut text) = text.strip_prefix(first.as_str()).and_then(|text| text.strip_suffix(last.as_str())) else {
            return false;
        };
        // The earliest place for each leaves the most for those that follow.
        middle.iter().all(|part| match text.find(part.as_str()) {
            Some(at) => {
                text = text.get(at + part.len()..).unwrap_or_default();
                true
            }
            None => false,
        })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({self})")
    }
}
