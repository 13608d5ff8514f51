//! From principals to local account names: `auth_to_local` and `auth_to_local_names`.
//! Only what the configuration says maps; there is no rule that holds without being written down.

use regex_lite::{NoExpand, Regex, RegexBuilder};

use super::{Config, Value};
use crate::error::Result;
use crate::name::Principal;

/// More than any honest rule needs.
const MAX_REGEX: usize = 1 << 20;

/// The mapping of one configuration, compiled.
#[derive(Clone, Debug, Default)]
pub struct LocalNames {
    default_realm: String,
    names: Vec<(String, String)>,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
enum Rule {
    /// `DEFAULT`: the name of a principal of the default realm with one component.
    Default,
    /// `RULE:[n:format](regex)s/from/to/`.
    Rule { selection: Option<Selection>, regex: Option<Regex>, changes: Vec<Change> },
}

/// `[n:format]`: for names of `n` components, this text.
#[derive(Clone, Debug)]
struct Selection {
    components: usize,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// `$0` is the realm, `$1` the first component.
    Component(usize),
}

/// `s/from/to/`, and `g` for every match.
#[derive(Clone, Debug)]
struct Change {
    from: Regex,
    to: String,
    all: bool,
}

impl Config {
    /// The mapping to local names that stands in the default realm's section, in its order.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a value that is neither `DEFAULT` nor a `RULE:`.
    pub fn local_names(&self) -> Result<LocalNames> {
        let Some(realm) = self.default_realm() else { return Ok(LocalNames::default()) };
        let rules = self.values(&["realms", realm, "auth_to_local"]).into_iter().map(rule).collect::<Result<_>>()?;
        let path = ["realms", realm, "auth_to_local_names"];
        let names = self.profile.names(&path).into_iter().filter_map(|name| {
            let value = self.value(&["realms", realm, "auth_to_local_names", name])?;
            Some((name.to_owned(), value.text.to_string()))
        });
        Ok(LocalNames { default_realm: realm.to_owned(), names: names.collect(), rules })
    }
}

impl LocalNames {
    /// The local account of a principal; `None` when no line of the configuration gives it one.
    ///
    /// MIT takes `auth_to_local_names` for principals of every realm; here it holds for those of
    /// the default realm, so that a neighbour's `root` is not ours.
    pub fn map(&self, principal: &Principal) -> Option<String> {
        let name = principal.without_realm().to_string();
        let ours = principal.realm() == self.default_realm;
        let mut names = self.names.iter().filter(|_| ours);
        let explicit = names.find(|(known, _)| *known == name).map(|(_, local)| local.clone());
        explicit
            .or_else(|| self.rules.iter().find_map(|rule| self.apply(rule, principal)))
            .filter(|name| !name.is_empty())
    }

    fn apply(&self, rule: &Rule, principal: &Principal) -> Option<String> {
        match rule {
            Rule::Default if principal.realm() != self.default_realm => None,
            Rule::Default => match principal.components() {
                [name] => Some(name.to_string()),
                [name, realm] if **realm == *self.default_realm => Some(name.to_string()),
                _ => None,
            },
            Rule::Rule { selection, regex, changes } => {
                let text = match selection {
                    Some(selection) => selection.of(principal)?,
                    None => principal.without_realm().to_string(),
                };
                if regex.as_ref().is_some_and(|regex| !regex.is_match(&text)) {
                    return None;
                }
                Some(changes.iter().fold(text, |text, change| change.of(&text)))
            }
        }
    }
}

impl Selection {
    fn of(&self, principal: &Principal) -> Option<String> {
        let components = principal.components();
        if components.len() != self.components {
            return None;
        }
        let part = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Component(0) => Some(principal.realm().to_owned()),
            Part::Component(index) => components.get(index - 1).map(ToString::to_string),
        };
        self.parts.iter().map(part).collect()
    }
}

impl Change {
    fn of(&self, text: &str) -> String {
        self.from.replacen(text, usize::from(!self.all), NoExpand(&self.to)).into_owned()
    }
}

fn rule(value: &Value) -> Result<Rule> {
    let expected = "DEFAULT or RULE:[n:format](regex)s/from/to/";
    let parsed = match value.text.split_once(':') {
        None if &*value.text == "DEFAULT" => Some(Rule::Default),
        Some(("RULE", text)) => parse_rule(text),
        _ => None,
    };
    parsed.ok_or_else(|| value.unexpected("auth_to_local", expected))
}

fn parse_rule(text: &str) -> Option<Rule> {
    let (selection, text) = match text.strip_prefix('[') {
        Some(rest) => selection(rest).map(|(selection, rest)| (Some(selection), rest))?,
        None => (None, text),
    };
    let (regex, mut text) = match text.strip_prefix('(') {
        Some(rest) => {
            let (regex, rest) = rest.split_once(')')?;
            // The whole text must match, not some part of it.
            (Some(compile(&format!("^(?:{regex})$"))?), rest)
        }
        None => (None, text),
    };
    let mut changes = vec![];
    while !text.trim_start().is_empty() {
        let (from, rest) = text.trim_start().strip_prefix("s/")?.split_once('/')?;
        let (to, rest) = rest.split_once('/')?;
        let (all, rest) = rest.strip_prefix('g').map_or((false, rest), |rest| (true, rest));
        changes.push(Change { from: compile(from)?, to: to.to_owned(), all });
        text = rest;
    }
    Some(Rule::Rule { selection, regex, changes })
}

/// What follows `[`: `n:format]`, and the rest after it.
fn selection(text: &str) -> Option<(Selection, &str)> {
    let (count, mut rest) = text.split_once(':')?;
    let components = count.parse().ok()?;
    let mut parts = vec![];
    loop {
        let (literal, after) = rest.split_at(rest.find(['$', ']'])?);
        parts.push(Part::Text(literal.to_owned()));
        if let Some(after) = after.strip_prefix(']') {
            return Some((Selection { components, parts }, after));
        }
        let after = after.strip_prefix('$')?;
        let (digits, after) = after.split_at(after.find(|c: char| !c.is_ascii_digit())?);
        let index = digits.parse().ok().filter(|index| *index <= components)?;
        parts.push(Part::Component(index));
        rest = after;
    }
}

fn compile(regex: &str) -> Option<Regex> {
    RegexBuilder::new(regex).size_limit(MAX_REGEX).dot_matches_new_line(true).build().ok()
}
