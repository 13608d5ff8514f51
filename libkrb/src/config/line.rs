//! One line of krb5.conf. Not here: what lines mean together ([`super::parse`]).

/// What MIT says of every syntax error; scripts match it.
pub(super) const MALFORMED: &str = "Improper format of Kerberos configuration file";

/// A line by its shape.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// Nothing, or a comment.
    Blank,
    /// `[name]`, or with the final mark `[name]*`.
    Header { name: &'a str, last: bool },
    /// `}` or `}*`.
    Close { last: bool },
    /// `name = {`, or `name =` whose brace must follow on the next line.
    Open { name: &'a str, last: bool, opening: Opening },
    /// `name = value` or `name* = value`; perhaps with a remark for the file's owner.
    Relation { name: &'a str, value: String, last: bool, remark: Option<&'static str> },
}

/// Where the brace of a subsection stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// On the same line.
    Here,
    /// On the next line.
    NextLine,
}

impl<'a> Line<'a> {
    /// Parses a line; the error says what was found and what was expected.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let text = text.trim_ascii();
        if text.is_empty() || text.starts_with(['#', ';']) {
            Ok(Line::Blank)
        } else if let Some(rest) = text.strip_prefix('[') {
            header(rest)
        } else if let Some(rest) = text.strip_prefix('}') {
            Ok(Line::Close { last: rest.starts_with('*') })
        } else {
            relation(text)
        }
    }
}

fn header(rest: &str) -> Result<Line<'_>, String> {
    let Some((name, rest)) = rest.split_once(']') else {
        return Err(format!("found \"[{rest}\", expected \"]\" after the section's name"));
    };
    let (last, rest) = rest.strip_prefix('*').map_or((false, rest), |rest| (true, rest));
    if !rest.trim_ascii().is_empty() {
        return Err(format!("found \"{}\" after [{name}], expected the end of the line", rest.trim_ascii()));
    }
    Ok(Line::Header { name, last })
}

fn relation(text: &str) -> Result<Line<'_>, String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("found \"{text}\", expected \"name = value\", a section header or \"}}\""));
    };
    let name = name.trim_ascii();
    if name.is_empty() {
        return Err("found \"=\", expected a name before it".to_owned());
    }
    if name.contains(|c: char| c.is_ascii_whitespace()) {
        return Err(format!("found \"{name}\" before \"=\", expected one word"));
    }
    // Whatever follows the mark is cut off, as in MIT: so "*.example.org" is no name.
    let (name, cut) = name.split_once('*').map_or((name, None), |(name, cut)| (name, Some(cut)));
    let last = cut.is_some();
    let remark =
        cut.filter(|cut| !cut.is_empty()).map(|_| "the \"*\" in a name is the final mark: the rest is cut off");
    let value = value.trim_ascii();
    if value.is_empty() {
        return Ok(Line::Open { name, last, opening: Opening::NextLine });
    }
    if let Some(rest) = value.strip_prefix('"') {
        let (value, quoted) = unquote(rest);
        return Ok(Line::Relation { name, value, last, remark: remark.or(quoted) });
    }
    match value.strip_prefix('{') {
        Some("") => Ok(Line::Open { name, last, opening: Opening::Here }),
        Some(rest) if !rest.ends_with('}') => {
            Err(format!("found \"{}\" after \"{{\", expected it on a line of its own", rest.trim_ascii()))
        }
        brace => {
            let remark = remark
                .or(brace.map(|_| "\"{ ... }\" on one line is a mere text: subsections need lines of their own"))
                .or(value.contains(" #").then_some("\"#\" after a value is part of the value, not a comment"));
            Ok(Line::Relation { name, value: value.to_owned(), last, remark })
        }
    }
}

/// The value up to the closing quote, and what is odd about the quotes.
fn unquote(text: &str) -> (String, Option<&'static str>) {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                let odd = !chars.as_str().trim_ascii().is_empty();
                return (value, odd.then_some("text after the closing quote is ignored"));
            }
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('b') => value.push('\u{8}'),
                Some(c) => value.push(c),
                None => value.push('\\'),
            },
            c => value.push(c),
        }
    }
    (value, Some("the closing quote is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        match Line::parse(text).unwrap() {
            Line::Relation { value, .. } => value,
            line => panic!("{line:?}"),
        }
    }

    #[test]
    fn quotes_keep_blanks_and_turn_escapes_into_characters() {
        assert_eq!(value(r#"a = "  b\tc\n\"\\ " # x"#), "  b\tc\n\"\\ ");
        assert_eq!(value(r#"a = """#), "");
        assert_eq!(value(r#"a = "open\"#), "open\\");
    }

    #[test]
    fn plain_values_run_to_the_last_character_that_is_no_blank() {
        assert_eq!(value("\ta=b c = d \t"), "b c = d");
        assert_eq!(value("a = b # c"), "b # c");
        assert_eq!(value("a = \\n"), "\\n");
    }

    #[test]
    fn the_final_mark_stands_after_names_and_brackets() {
        assert_eq!(Line::parse("[a]* ").unwrap(), Line::Header { name: "a", last: true });
        assert_eq!(Line::parse(" [a b]\t").unwrap(), Line::Header { name: "a b", last: false });
        assert_eq!(Line::parse("}*").unwrap(), Line::Close { last: true });
        assert_eq!(Line::parse("a* = {").unwrap(), Line::Open { name: "a", last: true, opening: Opening::Here });
        assert_eq!(Line::parse("a =").unwrap(), Line::Open { name: "a", last: false, opening: Opening::NextLine });
    }

    #[test]
    fn every_malformed_line_says_what_was_expected() {
        for (text, problem) in [
            ("[a", "found \"[a\", expected \"]\" after the section's name"),
            ("[a] b", "found \"b\" after [a], expected the end of the line"),
            ("a b = c", "found \"a b\" before \"=\", expected one word"),
            ("= c", "found \"=\", expected a name before it"),
            ("word", "found \"word\", expected \"name = value\", a section header or \"}\""),
            ("R = { kdc = x", "found \"kdc = x\" after \"{\", expected it on a line of its own"),
        ] {
            assert_eq!(Line::parse(text).unwrap_err(), problem);
        }
    }
}
