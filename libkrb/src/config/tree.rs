//! The tree that krb5.conf files make: sections, subsections and values, each with its place.
//! Not here: the grammar ([`super::parse`]) and what the names mean ([`super::defaults`]).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::Error;

/// How deep sections may be nested; MIT sets no bound, a stack needs one.
pub(super) const MAX_DEPTH: usize = 32;

/// A line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line, counted from 1; 0 is the file as a whole.
    pub line: usize,
}

impl Place {
    /// The error "this is wrong here".
    pub fn error(&self, problem: impl Into<String>) -> Error {
        Error::Config { file: self.file.to_path_buf(), line: self.line, problem: problem.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{line}", self.file.display()),
        }
    }
}

/// Something in a configuration file that is read past but that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where it stands.
    pub place: Place,
    /// What was found there and what comes of it.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// The value of a relation `name = value` and where it stands.
#[derive(Clone, Debug)]
pub struct Value {
    /// The value, without quotes.
    pub text: Box<str>,
    /// Where it stands.
    pub place: Place,
    pub(super) last: bool,
}

impl Value {
    /// The error "found this, expected that".
    pub(super) fn unexpected(&self, name: &str, expected: &str) -> Error {
        self.place.error(format!("{name}: found \"{}\", expected {expected}", self.text))
    }
}

/// What one name stands for in a section: values, in the order of the file, and a subsection.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) values: Vec<Value>,
    pub(super) section: Option<Section>,
}

impl Entry {
    fn is_last(&self) -> bool {
        self.values.iter().any(|value| value.last) || self.section.as_ref().is_some_and(|section| section.last)
    }
}

/// A section or subsection. `last` is the final mark: nothing read later adds to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    pub(super) entries: BTreeMap<Box<str>, Entry>,
    pub(super) place: Option<Place>,
    pub(super) last: bool,
}

impl Section {
    /// The section at `path`, if it is there.
    pub(super) fn at(&mut self, path: &[Box<str>]) -> Option<&mut Section> {
        path.iter().try_fold(self, |section, name| section.entries.get_mut(name)?.section.as_mut())
    }

    /// The subsection `name`, made if it is not there yet.
    pub(super) fn open(&mut self, name: &str, place: &Place) -> &mut Section {
        let section = &mut self.entries.entry(name.into()).or_default().section;
        section.get_or_insert_with(|| Section { place: Some(place.clone()), ..Section::default() })
    }

    /// Adds a value unless one with the final mark is there already.
    pub(super) fn add(&mut self, name: &str, value: Value) {
        let entry = self.entries.entry(name.into()).or_default();
        if !entry.is_last() {
            entry.values.push(value);
        }
    }

    /// Walks down `path` and says whether a final mark was passed on the way.
    fn descend(&self, path: &[&str]) -> (Option<&Section>, bool) {
        let mut last = self.last;
        let mut section = self;
        for name in path {
            match section.entries.get(*name).and_then(|entry| entry.section.as_ref()) {
                Some(inner) => section = inner,
                None => return (None, last),
            }
            last |= section.last;
        }
        (Some(section), last)
    }
}

/// Several files, of which an earlier one goes before a later one.
#[derive(Clone, Debug, Default)]
pub(super) struct Profile {
    pub(super) trees: Vec<Section>,
}

impl Profile {
    /// Every value at `path` (section, subsections, name), first the one that counts most.
    pub(super) fn values(&self, path: &[&str]) -> Vec<&Value> {
        let Some((name, sections)) = path.split_last() else { return vec![] };
        let mut found = vec![];
        for tree in &self.trees {
            let (section, mut last) = tree.descend(sections);
            if let Some(entry) = section.and_then(|section| section.entries.get(*name)) {
                found.extend(&entry.values);
                last |= entry.values.iter().any(|value| value.last);
            }
            if last {
                break;
            }
        }
        found
    }

    /// The value at `path` that counts.
    pub(super) fn value(&self, path: &[&str]) -> Option<&Value> {
        self.values(path).first().copied()
    }

    /// The names of the subsections at `path`, each once.
    pub(super) fn sections(&self, path: &[&str]) -> Vec<&str> {
        self.entries(path, |entry| entry.section.is_some())
    }

    /// The names of the values at `path`, each once.
    pub(super) fn names(&self, path: &[&str]) -> Vec<&str> {
        self.entries(path, |entry| !entry.values.is_empty())
    }

    fn entries(&self, path: &[&str], wanted: impl Fn(&Entry) -> bool) -> Vec<&str> {
        let mut names: Vec<&str> = vec![];
        for tree in &self.trees {
            let (section, last) = tree.descend(path);
            let inner = section.into_iter().flat_map(|section| &section.entries);
            for (name, _) in inner.filter(|(_, entry)| wanted(entry)) {
                if !names.contains(&&**name) {
                    names.push(name);
                }
            }
            if last {
                break;
            }
        }
        names
    }
}
