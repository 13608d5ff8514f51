//! Queries answered in JSON, a line each: `{"done":true,"answers":[...]}` with what the registry
//! answered, `{"done":false,"error":"...","refusal":{...}}` with why not. Never a key. Not here: the
//! queries.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

use crate::admin::console::{Console, Outcome, Talk};
use crate::admin::{Answer, Operation, Perform, Refusal, Secret};

/// A registry that remembers what it answered to one query.
pub(super) struct Recorder<'a> {
    inner: &'a dyn Perform,
    heard: RefCell<Heard>,
}

#[derive(Default)]
struct Heard {
    answers: Vec<Value>,
    refusal: Option<Refusal>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(inner: &'a dyn Perform) -> Self {
        Recorder { inner, heard: RefCell::default() }
    }
}

impl Perform for Recorder<'_> {
    fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        let answered = self.inner.perform(operation);
        let mut heard = self.heard.borrow_mut();
        match &answered {
            Ok(answer) => heard.add(answer),
            Err(refusal) => heard.refusal = Some(refusal.clone()),
        }
        answered
    }
}

impl Heard {
    fn add(&mut self, answer: &Answer) {
        let mut value = serde_json::to_value(answer).unwrap_or_default();
        if let Some(keys) = value.pointer_mut("/keys/keys").and_then(Value::as_array_mut) {
            keys.iter_mut().filter_map(Value::as_object_mut).for_each(|key| drop(key.remove("key")));
        }
        // Pages of one listing are one list.
        if let Some(names) = value.pointer("/names/names").and_then(Value::as_array)
            && let Some(before) = self.answers.last_mut().and_then(|last| last.pointer_mut("/names/names"))
            && let Some(before) = before.as_array_mut()
        {
            before.extend(names.iter().cloned());
            return;
        }
        if let Some(page) = value.get_mut("names").and_then(Value::as_object_mut) {
            page.remove("next");
        }
        self.answers.push(value);
    }
}

/// Carries out a query of a console whose registry is `recorder`.
pub(super) fn run(console: &Console<'_>, recorder: &Recorder<'_>, words: &[String], talk: &mut dyn Talk) -> Outcome {
    recorder.heard.take();
    let mut quiet = Quiet { talk, out: String::new(), err: String::new() };
    let outcome = console.run(words, &mut quiet);
    let Quiet { out, err, .. } = quiet;
    let Heard { answers, refusal } = recorder.heard.take();
    let mut said = Map::from_iter([("done".to_owned(), Value::Bool(outcome != Outcome::Failed))]);
    if outcome == Outcome::Failed {
        said.insert("error".to_owned(), json!(err.trim_end()));
        said.extend(refusal.map(|refusal| ("refusal".to_owned(), json!(refusal))));
    } else if answers.is_empty() {
        said.insert("text".to_owned(), json!(out));
    }
    if !answers.is_empty() {
        said.insert("answers".to_owned(), Value::Array(answers));
    }
    talk.out(&format!("{}\n", Value::Object(said)));
    outcome
}

/// Keeps to itself what is said for people, and asks them only for passwords.
struct Quiet<'a> {
    talk: &'a mut dyn Talk,
    out: String,
    err: String,
}

impl Talk for Quiet<'_> {
    fn out(&mut self, text: &str) {
        self.out += text;
    }

    fn err(&mut self, text: &str) {
        self.err += text;
    }

    fn ask(&mut self, _: &str) -> Option<String> {
        None
    }

    fn new_password(&mut self, prompt: &str, again: &str) -> Result<Secret, String> {
        self.talk.new_password(prompt, again)
    }
}
