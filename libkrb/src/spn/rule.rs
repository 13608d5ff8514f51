//! One rule: what is called, and the name of the service there.

use std::fmt;

use super::called::{Called, Host, split};

/// A row: `pattern -> target`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pattern: Pattern,
    target: Target,
    /// As it was written.
    text: String,
}

/// What a rule is for.
#[derive(Clone, Debug)]
enum Pattern {
    /// A URL and what is below it.
    Url(Called),
    /// A host, at one port or at any.
    Host(Host, Option<u16>),
    /// Host names that begin and end so, at one port or at any.
    Glob { before: String, after: String, port: Option<u16> },
}

/// What it says: at least one of name and realm.
#[derive(Clone, Debug)]
struct Target {
    service: Option<String>,
    /// With `{*}`, `{host}`, `{1}` to `{9}` in it.
    name: Option<String>,
    realm: Option<String>,
}

impl Rule {
    pub(super) fn parse(pattern: &str, target: &str) -> Result<Rule, String> {
        let text = format!("{pattern} -> {target}");
        let (pattern, target) = (Pattern::parse(pattern)?, Target::parse(target)?);
        let stars = matches!(pattern, Pattern::Glob { .. });
        if !stars && target.name.as_ref().is_some_and(|name| name.contains("{*}")) {
            return Err(format!("{text}: {{*}} stands for what the * before it did, and there is none"));
        }
        Ok(Rule { pattern, target, text })
    }

    /// Whether the rule says more than a realm.
    pub(super) fn says_name(&self) -> bool {
        self.target.name.is_some()
    }

    pub(super) fn service(&self) -> Option<&str> {
        self.target.service.as_deref()
    }

    pub(super) fn realm(&self) -> Option<&str> {
        self.target.realm.as_deref()
    }

    /// Whether the rule is for this, and what its star stands for.
    pub(super) fn fits<'a>(&self, called: &'a Called) -> Option<&'a str> {
        let at = |port: Option<u16>| port.is_none() || port == called.effective_port();
        match (&self.pattern, &called.host) {
            (Pattern::Url(url), host) => {
                let same = url.scheme == called.scheme && url.host == *host;
                let port = url.effective_port() == called.effective_port();
                (same && port && below(&url.path, &called.path)).then_some("")
            }
            (Pattern::Host(host, port), called) => (host == called && at(*port)).then_some(""),
            (Pattern::Glob { before, after, port }, Host::Name(name)) => {
                let star = name.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                (!star.is_empty() && at(*port)).then_some(star)
            }
            (Pattern::Glob { .. }, Host::Address(_)) => None,
        }
    }

    /// The name that the rule makes of a host.
    pub(super) fn name(&self, host: &Host, star: &str) -> Result<String, String> {
        let mut name = String::new();
        let mut rest = self.target.name.as_deref().unwrap_or_default();
        let labels: Vec<&str> = match host {
            Host::Name(name) => name.split('.').collect(),
            Host::Address(_) => vec![],
        };
        while let Some((before, after)) = rest.split_once('{') {
            let (token, after) = after.split_once('}').unwrap_or((after, ""));
            name.push_str(before);
            match token {
                "*" => name.push_str(star),
                "host" => name.push_str(&host.to_string()),
                number => {
                    let label = number.parse().ok().and_then(|number: usize| labels.get(number.checked_sub(1)?));
                    let missing = || format!("the rule {self} wants label {number} of {host}, which has none");
                    name.push_str(label.ok_or_else(missing)?);
                }
            }
            rest = after;
        }
        name.push_str(rest);
        Ok(name)
    }
}

/// Whether a path is this one or one below it: `/a` holds `/a/b`, not `/ab`.
fn below(prefix: &str, path: &str) -> bool {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, String> {
        if text.contains("://") {
            return Called::url(text).map(Pattern::Url);
        }
        let (host, port) = split(text)?;
        let Some((before, after)) = host.split_once('*') else {
            return Ok(Pattern::Host(Host::parse(host)?, port));
        };
        if after.contains('*') {
            return Err("a pattern has one *".to_owned());
        }
        // The rest of the name has to be one.
        Host::parse(&format!("{before}x{after}"))?;
        if matches!(Host::parse(&format!("{before}1{after}")), Ok(Host::Address(_))) {
            return Err("addresses have no pattern: each has its own rule".to_owned());
        }
        let after = after.strip_suffix('.').unwrap_or(after);
        Ok(Pattern::Glob { before: before.to_ascii_lowercase(), after: after.to_ascii_lowercase(), port })
    }
}

impl Target {
    fn parse(text: &str) -> Result<Target, String> {
        let (name, realm) = match text.split_once('@') {
            Some((_, "")) => return Err("expected a realm after @".to_owned()),
            Some((name, realm)) => (name, Some(realm.to_owned())),
            None => (text, None),
        };
        let (service, name) = match name.split_once('/') {
            Some((service, name)) => (Some(service), name),
            None => (None, name),
        };
        let empty = |part: &str| part.split('/').any(str::is_empty);
        if service.is_some_and(str::is_empty) || (service.is_some() || realm.is_none()) && empty(name) {
            return Err("expected service/name, name, or @REALM".to_owned());
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || "@\\*".contains(c);
        for part in [service, Some(&name.replace("{*}", "")), realm.as_deref()].into_iter().flatten() {
            if part.contains(odd) {
                return Err("no spaces, @, * or \\ stand in a service's name, nor text after it".to_owned());
            }
        }
        check_template(name)?;
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        Ok(Target { service: service.map(str::to_owned), name, realm })
    }
}

/// Whether every brace is one of a token.
fn check_template(name: &str) -> Result<(), String> {
    let known = |token: &str| matches!(token, "*" | "host" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9");
    let mut pieces = name.split('{');
    let first = pieces.next().unwrap_or_default();
    let tokens = pieces.all(|piece| {
        let closed = piece.split_once('}');
        closed.is_some_and(|(token, rest)| known(token) && !rest.contains('}'))
    });
    if tokens && !first.contains('}') { Ok(()) } else { Err("{*}, {host} and {1} to {9} stand for parts".to_owned()) }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
