//! A line into words. Words end at white space; `"` encloses some that contain it, and is doubled
//! inside.

/// The words of a line.
///
/// # Errors
/// For a quote that is not closed.
pub fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                word.get_or_insert_default().push('"');
            }
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    if quoted {
        return Err("Unbalanced quotes in command line".into());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn lines_fall_apart_into_words() {
        for (line, expected) in [
            ("", &[][..]),
            ("  \t ", &[]),
            ("getprinc alice", &["getprinc", "alice"]),
            ("  addprinc\t-pw  x alice ", &["addprinc", "-pw", "x", "alice"]),
            (r#"setstr a b "c d""#, &["setstr", "a", "b", "c d"]),
            (r#"setstr a b "[{""type"":""hotp""}]""#, &["setstr", "a", "b", r#"[{"type":"hotp"}]"#]),
            (r#"cpw -pw "" a"#, &["cpw", "-pw", "", "a"]),
            (r#"a"b c"d"#, &["ab cd"]),
            (r"a\b 'c d'", &[r"a\b", "'c", "d'"]),
        ] {
            assert_eq!(words(line).expect(line), expected, "{line}");
        }
        assert_eq!(words("a \"b").expect_err("unbalanced"), "Unbalanced quotes in command line");
    }
}
