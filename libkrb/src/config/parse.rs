//! The grammar of krb5.conf, as MIT krb5 reads it: line by line, from strings. Files come through
//! [`Files`]. Not here: what the names mean.
//!
//! A file that MIT refuses is refused, with the line and what was expected. What MIT reads past in
//! silence, like text before the first section, is read past too but becomes a [`Notice`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line::{Line, MALFORMED, Opening};
use super::tree::{MAX_DEPTH, Notice, Place, Section, Value};
use crate::error::{Error, Result};

/// How deep files may include each other.
const MAX_INCLUDE_DEPTH: usize = 16;
/// How many files one configuration may consist of.
const MAX_FILES: usize = 1000;
/// How many bytes one configuration may consist of.
const MAX_BYTES: usize = 16 << 20;

/// Where the text of configuration files comes from: the disk, or a test's memory.
pub trait Files {
    /// The whole content of a file.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Whether this is a directory.
    fn is_directory(&self, path: &Path) -> bool;
}

/// Reads files into one tree.
pub(super) struct Parser<'a> {
    files: &'a dyn Files,
    tree: Section,
    notices: Vec<Notice>,
    /// The files being read now, outermost first.
    open: Vec<PathBuf>,
    read: usize,
    bytes: usize,
}

/// Where in a file the parser stands.
struct State {
    file: Arc<Path>,
    /// The open section and its subsections; empty before the first section header. Sections that
    /// are discarded are on it too.
    path: Vec<Box<str>>,
    /// How much of `path` is live: the rest lies inside a section that was final already.
    discard: Option<usize>,
    /// The line and name of `name =` whose brace must come on the next line.
    awaits_brace: Option<(usize, Box<str>)>,
    /// The lines of the open braces.
    braces: Vec<usize>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(files: &'a dyn Files) -> Self {
        Parser { files, tree: Section::default(), notices: vec![], open: vec![], read: 0, bytes: 0 }
    }

    /// The tree and what there is to say about it.
    pub(super) fn finish(self) -> (Section, Vec<Notice>) {
        (self.tree, self.notices)
    }

    /// Reads a file. The system's refusal to read it is the outer error.
    pub(super) fn file(&mut self, path: &Path) -> io::Result<Result<()>> {
        let bytes = self.files.read(path)?;
        self.read += 1;
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.read > MAX_FILES || self.bytes > MAX_BYTES {
            return Ok(Err(Error::file(path, "the configuration has too many files or bytes")));
        }
        self.open.push(path.to_path_buf());
        let text = self.decode(path, &bytes);
        let outcome = self.text(path, &text);
        self.open.pop();
        Ok(outcome)
    }

    /// Reads the files of a directory whose names are fit for it, in the order of the names.
    pub(super) fn directory(&mut self, directory: &Path, place: &Place) -> Result<()> {
        let mut names = match self.files.list(directory) {
            Ok(names) => names,
            Err(error) => {
                return Err(place.error(format!("cannot read included directory {}: {error}", directory.display())));
            }
        };
        names.retain(|name| is_fit_for_inclusion(name));
        names.sort_unstable();
        for name in names {
            let path = directory.join(name);
            if !self.files.is_directory(&path) {
                self.include(&path, place)?;
            }
        }
        Ok(())
    }

    fn include(&mut self, path: &Path, place: &Place) -> Result<()> {
        if self.open.iter().any(|open| open == path) {
            return Err(place.error(format!("include loop: {} is being read already", path.display())));
        }
        if self.open.len() >= MAX_INCLUDE_DEPTH {
            return Err(place.error(format!("files include each other more than {MAX_INCLUDE_DEPTH} deep")));
        }
        match self.file(path) {
            Ok(outcome) => outcome,
            Err(error) => Err(place.error(format!("cannot read included file {}: {error}", path.display()))),
        }
    }

    /// UTF-8 as it is; other bytes are replaced, because they stand in comments most of the time.
    fn decode(&mut self, path: &Path, bytes: &[u8]) -> String {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes);
        if let Some(line) = bytes.split(|byte| *byte == b'\n').position(|line| str::from_utf8(line).is_err()) {
            self.notice(&Place { file: path.into(), line: line + 1 }, "bytes that are not UTF-8 were replaced");
        }
        text.into_owned()
    }

    fn notice(&mut self, place: &Place, text: impl Into<String>) {
        self.notices.push(Notice { place: place.clone(), text: text.into() });
    }

    /// Reads the text of one file.
    pub(super) fn text(&mut self, path: &Path, text: &str) -> Result<()> {
        let mut state = State { file: path.into(), path: vec![], discard: None, awaits_brace: None, braces: vec![] };
        for (index, line) in text.lines().enumerate() {
            let place = Place { file: state.file.clone(), line: index + 1 };
            self.line(&mut state, line, &place)?;
        }
        if let Some((line, name)) = state.awaits_brace {
            let place = Place { file: state.file.clone(), line };
            self.notice(&place, format!("\"{name} =\" has no value; write \"\" for an empty one"));
        }
        for line in state.braces {
            let place = Place { file: state.file.clone(), line };
            self.notice(&place, "the \"{\" of this line is never closed");
        }
        Ok(())
    }

    fn line(&mut self, state: &mut State, text: &str, place: &Place) -> Result<()> {
        // Directives stand at the very beginning of a line, wherever in the file.
        if let Some(file) = directive(text, "include") {
            return self.include(Path::new(file), place);
        }
        if let Some(directory) = directive(text, "includedir") {
            return self.directory(Path::new(directory), place);
        }
        if let Some((line, name)) = state.awaits_brace.take() {
            return self.brace(text, &name, &Place { file: place.file.clone(), line });
        }
        if state.path.is_empty() && !text.starts_with('[') {
            self.before_sections(text, place);
            return Ok(());
        }
        let line = Line::parse(text).map_err(|problem| place.error(format!("{MALFORMED}: {problem}")))?;
        match line {
            Line::Blank => Ok(()),
            Line::Header { name, last } => self.header(state, name, last, place),
            Line::Close { last } => self.close(state, last, place),
            Line::Open { name, last, opening } => {
                if opening == Opening::NextLine {
                    state.awaits_brace = Some((place.line, name.into()));
                }
                self.subsection(state, name, last, place)
            }
            Line::Relation { name, value, last, remark } => {
                if let Some(remark) = remark {
                    self.notice(place, remark);
                }
                self.relation(state, name, value, last, place);
                Ok(())
            }
        }
    }

    /// MIT takes whatever stands before the first section for a comment.
    fn before_sections(&mut self, text: &str, place: &Place) {
        let trimmed = text.trim_start();
        if directive(text, "module").is_some() {
            self.notice(place, "\"module\" is not supported: the line is ignored");
        } else if !trimmed.is_empty() && !trimmed.starts_with(['#', ';']) {
            self.notice(place, "text before the first section header is ignored");
        }
    }

    fn brace(&mut self, text: &str, name: &str, place: &Place) -> Result<()> {
        match text.trim_start().strip_prefix('{') {
            Some(rest) => {
                if !rest.trim().is_empty() {
                    self.notice(place, "text after \"{\" is ignored");
                }
                Ok(())
            }
            None => Err(place.error(format!(
                "{MALFORMED}: \"{name} =\" has no value, expected one, \"\" for an empty one, or \"{{\""
            ))),
        }
    }

    fn header(&mut self, state: &mut State, name: &str, last: bool, place: &Place) -> Result<()> {
        if state.path.len() > 1 {
            let open = state.braces.last().copied().unwrap_or_default();
            return Err(place.error(format!(
                "{MALFORMED}: found the section header [{name}], expected the \"}}\" for the \"{{\" of line {open}"
            )));
        }
        let section = self.tree.open(name, place);
        state.path = vec![name.into()];
        state.discard = section.last.then_some(0);
        section.last |= last;
        Ok(())
    }

    fn subsection(&mut self, state: &mut State, name: &str, last: bool, place: &Place) -> Result<()> {
        if state.path.len() >= MAX_DEPTH {
            return Err(place.error(format!("subsections more than {MAX_DEPTH} deep")));
        }
        if state.discard.is_none()
            && let Some(section) = self.tree.at(&state.path)
        {
            let section = section.open(name, place);
            state.discard = section.last.then_some(state.path.len());
            section.last |= last;
        }
        state.path.push(name.into());
        state.braces.push(place.line);
        Ok(())
    }

    fn close(&mut self, state: &mut State, last: bool, place: &Place) -> Result<()> {
        if state.braces.pop().is_none() {
            return Err(place.error(format!("{MALFORMED}: found \"}}\" without a \"{{\" before it")));
        }
        if last
            && state.discard.is_none()
            && let Some(section) = self.tree.at(&state.path)
        {
            section.last = true;
        }
        state.path.pop();
        state.discard = state.discard.filter(|live| *live < state.path.len());
        Ok(())
    }

    fn relation(&mut self, state: &mut State, name: &str, text: String, last: bool, place: &Place) {
        if state.discard.is_none()
            && let Some(section) = self.tree.at(&state.path)
        {
            section.add(name, Value { text: text.into(), place: place.clone(), last });
        }
    }
}

/// The operand of `word operand` when the line begins so.
fn directive<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?;
    rest.starts_with(|c: char| c.is_ascii_whitespace()).then(|| rest.trim())
}

/// Editors' and packagers' leftovers in an included directory are not read.
fn is_fit_for_inclusion(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && !name.starts_with('.') && (name.ends_with(".conf") || name.chars().all(plain))
}
