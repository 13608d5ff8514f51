//! Shell patterns over the texts of principals: `*`, `?`, `[a-z]`, `[!a-z]`. A backslash is itself,
//! since the texts have it before what a name quotes.

/// Whether `text` matches `pattern`. In time proportional to the product of their lengths.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<Part> = parts(pattern);
    let text: Vec<char> = text.chars().collect();
    // Where to go on when what follows the last star does not match: one character later.
    let (mut at, mut seen, mut retry) = (0, 0, None);
    while seen < text.len() {
        match (pattern.get(at), text.get(seen)) {
            (Some(Part::Star), _) => {
                retry = Some((at + 1, seen));
                at += 1;
                continue;
            }
            (Some(part), Some(c)) if part.takes(*c) => {
                at += 1;
                seen += 1;
                continue;
            }
            _ => {}
        }
        let Some((after, start)) = retry else { return false };
        retry = Some((after, start + 1));
        (at, seen) = (after, start + 1);
    }
    pattern.iter().skip(at).all(|part| matches!(part, Part::Star))
}

enum Part {
    Star,
    Any,
    One(char),
    /// Ranges, and whether it is a character outside them that matches.
    Class(Vec<(char, char)>, bool),
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Part::Star => false,
            Part::Any => true,
            Part::One(one) => *one == c,
            Part::Class(ranges, outside) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *outside,
        }
    }
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = vec![];
    let mut rest = pattern;
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        rest = chars.as_str();
        parts.push(match c {
            '*' => Part::Star,
            '?' => Part::Any,
            '[' => match class(rest) {
                Some((class, after)) => {
                    chars = after.chars();
                    class
                }
                None => Part::One('['),
            },
            c => Part::One(c),
        });
    }
    parts
}

/// What follows a `[`, up to its `]`.
fn class(text: &str) -> Option<(Part, &str)> {
    let (outside, text) = match text.strip_prefix(['!', '^']) {
        Some(text) => (true, text),
        None => (false, text),
    };
    // A bracket that comes first is meant literally.
    let end = text.char_indices().skip(1).find(|(_, c)| *c == ']')?.0;
    let (inside, after) = (text.get(..end)?, text.get(end + 1..)?);
    let mut ranges = vec![];
    let mut chars = inside.chars().peekable();
    while let Some(low) = chars.next() {
        let mut ahead = chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) => {
                ranges.push((low, high));
                chars = ahead;
            }
            _ => ranges.push((low, low)),
        }
    }
    Some((Part::Class(ranges, outside), after))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_a_shell_has_them() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "host/a@R", true),
            ("host/*", "host/a@R", true),
            ("host/*@R", "host/a@R", true),
            ("host/*@S", "host/a@R", false),
            ("h?st/a@R", "host/a@R", true),
            ("?", "", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("test[0-9]", "test5", true),
            ("test[0-9]", "testx", false),
            ("test[!0-9]", "testx", true),
            ("test[^0-9]", "test5", false),
            ("[]a]", "]", true),
            ("[a-", "[a-", true),
            ("a.b", "axb", false),
            (r"a\/b", r"a\/b", true),
            ("é?", "éü", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_cost_no_more_than_their_product() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(400)));
        assert!(!matches(&format!("{}b", "a*".repeat(500)), &"a".repeat(5000)));
    }
}
