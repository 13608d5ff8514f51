use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Principal {
    Principal::parse(text, Some("ATHENA.MIT.EDU")).expect(text)
}

#[test]
fn names_without_realm_get_the_default() {
    assert_eq!(parse("tytso").to_string(), "tytso@ATHENA.MIT.EDU");
    assert_eq!(parse("tytso@SHAZAAM").realm(), "SHAZAAM");
}

#[test]
fn escapes_are_read_and_written_back() {
    for text in
        [r"tytso\\0/\0@B\n\t\\GAG", r"tytso/\n/\b\t@B\0hacky-test", r"\/slash/\@atsign/octa\/thorpe@\/slash\@at\/sign"]
    {
        assert_eq!(parse(text).to_string(), text);
    }
    assert_eq!(&*parse(r"\/slash/\@atsign").components()[1], "@atsign");
}

#[test]
fn control_characters_reach_no_terminal_and_no_log() {
    let name =
        Principal::new(NameType::PRINCIPAL, "R\r\u{85}", ["a\u{1b}[2J\r", "\u{7f}", r"\u{1b}", "u{41}"]).unwrap();
    assert_eq!(name.to_string(), r"a\u{1b}[2J\u{d}/\u{7f}/\\u{1b}/u{41}@R\u{d}\u{85}");
    assert_eq!(Principal::parse(&name.to_string(), None).unwrap(), name);
    for (text, read) in [(r"a\u{41}", "au{41}"), (r"a\u{1b", "au{1b"), (r"a\u1b", "au1b"), (r"a\u{}", "au{}")] {
        assert_eq!(&*parse(text).components()[0], read, "only control characters are written so");
    }
}

#[test]
fn a_name_in_brief_is_as_long_as_a_line_however_long_it_is() {
    assert_eq!(parse("host/a").in_brief(), "host/a@ATHENA.MIT.EDU");
    for part in ["x".repeat(60_000), "\u{1b}".repeat(60_000), "ü".repeat(60_000)] {
        let brief = Principal::new(NameType::PRINCIPAL, &part, [part.as_str(); 64]).unwrap().in_brief();
        assert_eq!(brief.chars().count(), 203);
        assert!(brief.ends_with("...") && !brief.contains('\u{1b}'));
    }
}

#[test]
fn impossible_names_are_refused() {
    for text in ["", "@REALM", "a@b@c", "a\\", "a@", "a\0b"] {
        assert!(Principal::parse(text, Some("R")).is_err(), "{text:?}");
    }
    assert!(Principal::parse("alice", None).is_err());
    assert!(Principal::parse(&"a/".repeat(70), Some("R")).is_err());
}

#[test]
fn empty_components_are_kept_apart() {
    assert_eq!(parse("/test").components().len(), 2);
    assert_eq!(parse("test/").components().len(), 2);
    assert_ne!(parse("test/"), parse("test"));
}

#[test]
fn name_types_are_guessed_as_mit_does() {
    assert_eq!(parse("host/www.krb5.test").kind(), NameType::PRINCIPAL);
    assert_eq!(parse("krbtg/KRB5.TEST").kind(), NameType::PRINCIPAL);
    assert_eq!(parse("krbtgt/KRB5.TEST").kind(), NameType::SRV_INST);
    assert_eq!(parse("WELLKNOWN/ANONYMOUS").kind(), NameType::WELLKNOWN);
}

#[test]
fn an_enterprise_name_keeps_its_at_sign() {
    let name = Principal::parse_enterprise("alice@mail.example", Some("R")).expect("parses");
    assert_eq!((&*name.components()[0], name.realm()), ("alice@mail.example", "R"));
    assert_eq!(name.to_string(), r"alice\@mail.example@R");
    let name = Principal::parse_enterprise("alice@mail.example@S", Some("R")).expect("parses");
    assert_eq!(name.realm(), "S");
}

#[test]
fn the_name_type_is_no_part_of_the_identity() {
    assert_eq!(parse("a/b").with_kind(NameType::SRV_HST), parse("a/b"));
}

proptest! {
    #[test]
    fn whatever_is_printed_parses_back(parts in prop::collection::vec("\\PC{1,8}|[/@\\\\\n\t]{1,3}", 1..4), realm in "[^\0]{1,9}") {
        let name = Principal::new(NameType::PRINCIPAL, &realm, &parts).expect("valid");
        prop_assert_eq!(Principal::parse(&name.to_string(), None).expect("parses"), name);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        let _ = Principal::parse(&text, Some("R"));
        let _ = Principal::parse_enterprise(&text, Some("R"));
    }
}
