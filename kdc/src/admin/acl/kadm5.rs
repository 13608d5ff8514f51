//! A kadm5.acl of MIT krb5: `principal letters [target [restrictions]]`, a line each, `#` before
//! remarks, a backslash before a line's end to go on. Where MIT skips what it can't read and
//! serves on with the rest, this refuses the file.

use libkrb::config::parse_duration;

use super::{Acl, Pattern, Restrictions, Rights, Rule};

impl Acl {
    /// Reads the text of a kadm5.acl.
    ///
    /// # Errors
    /// The line's number, and what is wrong with it.
    pub fn parse_kadm5(realm: &str, text: &str) -> Result<Self, (usize, String)> {
        let mut rules = vec![];
        for (number, line) in lines(text) {
            rules.extend(rule(&line).map_err(|problem| (number, problem))?);
        }
        Ok(Acl::new(realm, rules))
    }
}

/// The lines with those that continue them, and the number of the first.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = vec![];
    let mut goes_on = false;
    for (index, line) in text.lines().enumerate() {
        let (part, more) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, whole)) => whole.push_str(part),
            None => lines.push((index + 1, part.to_owned())),
        }
        goes_on = more;
    }
    lines
}

fn rule(line: &str) -> Result<Option<Rule>, String> {
    let mut words = line.split_whitespace();
    let Some(who) = words.next().filter(|_| !line.starts_with('#')) else { return Ok(None) };
    let letters = words.next().ok_or("letters such as \"ci\" were expected after the principal")?;
    let rights = rights(letters)?;
    let on = words.next().map(pattern).transpose()?;
    let restrict = restrictions(words)?;
    // Without a target MIT takes everybody for it, and with `*` too.
    Ok(Some(Rule { who: pattern(who)?, may: rights, may_not: Rights::default(), on, restrict }))
}

/// Small letters give, capitals take away, in their order.
fn rights(letters: &str) -> Result<Rights, String> {
    letters.chars().try_fold(Rights::default(), |rights, letter| {
        let row = Rights::of_letter(letter.to_ascii_lowercase());
        let row = row.ok_or_else(|| format!("{letter:?} is no operation; expected some of a c d e i l m p s x *"))?;
        Ok(if letter.is_ascii_uppercase() { rights.without(row) } else { rights.with(row) })
    })
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let pattern = Pattern::try_from(text.to_owned())?;
    match pattern.is_plain() {
        true => Ok(pattern),
        false => Err(format!("{text:?}: a kadm5.acl has `*` for whole components only; write the rule into kdc.toml")),
    }
}

fn restrictions<'a>(words: impl Iterator<Item = &'a str>) -> Result<Restrictions, String> {
    let mut bounds = Restrictions::default();
    let mut words = words.flat_map(|word| word.split(',')).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let span = |value: &str| {
            let seconds = parse_duration(value).ok().filter(|seconds| *seconds > 0);
            seconds.map(Some).ok_or_else(|| format!("{word} needs a duration such as \"8h\", not {value:?}"))
        };
        match word {
            "-clearpolicy" => bounds.clear_policy = true,
            "-policy" => bounds.policy = Some(value()?.to_owned()),
            "-expire" => bounds.expire = span(value()?)?,
            "-pwexpire" => bounds.password_expire = span(value()?)?,
            "-maxlife" => bounds.max_life = span(value()?)?,
            "-maxrenewlife" => bounds.max_renewable_life = span(value()?)?,
            flag if bounds.flags.add(flag) => {}
            other => return Err(format!("{other:?} is no restriction")),
        }
    }
    Ok(bounds)
}
