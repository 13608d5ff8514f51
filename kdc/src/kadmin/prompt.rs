//! The prompt at which somebody types: a history that holds no password, and completion of queries,
//! principals and policies. Not here: what queries do.

use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Editor, Helper};

use crate::admin::query::COMMANDS;
use crate::admin::{Answer, Operation, Perform};

/// Lines of the history.
const LINES: usize = 1000;
/// Pages of names that are looked through for a completion, and names that are offered.
const PAGES: usize = 20;
const OFFERED: usize = 100;

/// A prompt.
pub(super) struct Prompt<'a> {
    editor: Editor<Names<'a>, FileHistory>,
    file: Option<PathBuf>,
}

impl<'a> Prompt<'a> {
    /// A prompt with the history of the last one; `None` where there is no terminal for it.
    pub(super) fn open(registry: &'a dyn Perform) -> Option<Self> {
        let config = Config::builder().max_history_size(LINES).ok()?.history_ignore_space(true).build();
        let mut editor = Editor::with_history(config.clone(), FileHistory::with_config(&config)).ok()?;
        editor.set_helper(Some(Names { registry }));
        #[allow(clippy::disallowed_methods, reason = "the door of the user's own files")]
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let file = home.map(|home| home.join(".kadmin_history"));
        if let Some(file) = &file {
            // None yet, or one that can't be read: the history begins now.
            let _ = editor.load_history(file);
        }
        Some(Prompt { editor, file })
    }

    /// The next line; `None` after the last.
    pub(super) fn line(&mut self) -> Option<String> {
        loop {
            match self.editor.readline("kadmin:  ") {
                Ok(line) => {
                    self.remember(&line);
                    return Some(line);
                }
                Err(ReadlineError::Interrupted) => {}
                Err(_) => return None,
            }
        }
    }

    fn remember(&mut self, line: &str) {
        if !may_be_kept(line) || !self.editor.add_history_entry(line).unwrap_or(false) {
            return;
        }
        if let Some(file) = &self.file {
            // Without a file the history ends with the prompt.
            let _ = self.editor.save_history(file);
        }
    }
}

/// Whether a line holds nothing that must not be written down.
fn may_be_kept(line: &str) -> bool {
    !line.contains("-pw")
}

/// Names for what stands before the cursor.
struct Names<'a> {
    registry: &'a dyn Perform,
}

impl Helper for Names<'_> {}

impl Hinter for Names<'_> {
    type Hint = String;
}

impl Highlighter for Names<'_> {}

impl Validator for Names<'_> {}

impl Completer for Names<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &rustyline::Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..at).unwrap_or_default();
        let start = typed.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        let word = typed.get(start..).unwrap_or_default();
        let mut before = typed.get(..start).unwrap_or_default().split_whitespace();
        let verb = before.next();
        Ok((start, self.candidates(verb, before.next_back(), word)))
    }
}

impl Names<'_> {
    fn candidates(&self, verb: Option<&str>, last: Option<&str>, word: &str) -> Vec<String> {
        let begins = |name: &String| name.starts_with(word);
        let Some(verb) = verb else {
            let all = COMMANDS.iter().flat_map(|command| command.names).map(ToString::to_string);
            return all.filter(begins).collect();
        };
        if last == Some("-policy") || verb.ends_with("pol") || verb.ends_with("_policy") {
            return self.policies().into_iter().filter(begins).collect();
        }
        match verb {
            "?" | "lr" | "list_requests" => self.candidates(None, None, word),
            _ if word.starts_with(['-', '+']) || word.contains(['*', '?', '[', '\\', '"']) => vec![],
            _ => self.principals(word),
        }
    }

    fn policies(&self) -> Vec<String> {
        match self.registry.perform(Operation::ListPolicies { pattern: None }) {
            Ok(Answer::Policies(names)) => names,
            _ => vec![],
        }
    }

    /// Names that begin with `word`, of the first that there are.
    fn principals(&self, word: &str) -> Vec<String> {
        let pattern = if word.contains('@') { format!("{word}*") } else { format!("{word}*@*") };
        let (mut found, mut after) = (vec![], None);
        for _ in 0..PAGES {
            let list = Operation::List { pattern: Some(pattern.clone()), after, limit: None };
            let Ok(Answer::Names { names, next }) = self.registry.perform(list) else { break };
            found.extend(names.iter().map(ToString::to_string));
            after = next;
            if after.is_none() || found.len() >= OFFERED {
                break;
            }
        }
        found.truncate(OFFERED);
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::admin::{KeyRules, Local, Name, NewKeys, Registry, Settings};
    use crate::core::{Policy, Store};
    use crate::store::Memory;

    #[test]
    fn queries_principals_and_policies_are_completed() {
        let store = Arc::new(Memory::new()) as Arc<dyn Store>;
        let registry = Local::new(Arc::new(Registry::new(store, Policy::new("R"), KeyRules::default())));
        for name in ["alice@R", "alan@R", "bob@R"] {
            let principal = Name(libkrb::Principal::parse(name, None).expect(name));
            let create =
                Operation::Create { principal, keys: NewKeys::Keyless, kvno: None, settings: Settings::default() };
            registry.perform(create).expect("made");
        }
        registry.perform(Operation::CreatePolicy { name: "staff".into(), rules: Default::default() }).expect("made");
        let names = Names { registry: &registry };
        for (verb, last, word, expected) in [
            (None, None, "addpr", vec!["addprinc"]),
            (Some("?"), None, "addpr", vec!["addprinc"]),
            (Some("getprinc"), None, "al", vec!["alan@R", "alice@R"]),
            (Some("getprinc"), None, "bob@", vec!["bob@R"]),
            (Some("getprinc"), None, "-", vec![]),
            (Some("modprinc"), Some("-policy"), "", vec!["staff"]),
            (Some("getpol"), None, "st", vec!["staff"]),
        ] {
            assert_eq!(names.candidates(verb, last, word), expected, "{verb:?} {word}");
        }
    }

    #[test]
    fn a_line_with_a_password_is_not_kept() {
        assert!(may_be_kept("getprinc alice") && !may_be_kept("addprinc -pw secret alice"));
    }
}
