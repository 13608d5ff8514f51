use proptest::prelude::*;

use super::*;
use crate::storage::vectors;

fn encoding(contents: &str) -> TransitedEncoding<'_> {
    TransitedEncoding { contents: contents.as_bytes(), ..TransitedEncoding::NONE }
}

fn expanded(contents: &str, client: &str, server: &str) -> Option<Vec<String>> {
    expand(encoding(contents), client, server).ok()
}

#[test]
fn the_examples_of_the_rfc_are_read_and_written() {
    let domains = ["EDU", "MIT.EDU", "ATHENA.MIT.EDU", "WASHINGTON.EDU", "CS.WASHINGTON.EDU"];
    let short = "EDU,MIT.,ATHENA.,WASHINGTON.EDU,CS.";
    assert_eq!(compress(domains), short);
    assert_eq!(expanded(short, "A", "B").unwrap(), domains);
    let directory = ["/COM", "/COM/HP", "/COM/HP/APOLLO", "/COM/DEC"];
    let short = "/COM,/HP,/APOLLO, /COM/DEC";
    assert_eq!(compress(directory), short);
    assert_eq!(expanded(short, "A", "B").unwrap(), directory);
}

#[test]
fn a_null_subfield_stands_for_all_realms_up_to_the_next_one() {
    let cases = [
        (",", "A.B.C.D", "C.D", "B.C.D"),
        (",EDU, /COM,", "ATHENA.MIT.EDU", "/COM/HP/APOLLO", "MIT.EDU EDU /COM /COM/HP"),
        (",", "A.X.Z", "B.Y.Z", "X.Z Z Y.Z"),
        ("A.B.C.D,,C.D", "X", "Y", "A.B.C.D B.C.D C.D"),
        ("Z,", "A", "B.Y.Z", "Z Y.Z"),
    ];
    for (contents, client, server, realms) in cases {
        assert_eq!(expanded(contents, client, server).map(|all| all.join(" ")).as_deref(), Some(realms), "{contents}");
    }
}

#[test]
fn what_is_no_list_of_realms_is_refused() {
    for contents in ["A\\", ",", "EDU,", ",EDU,/COM,"] {
        assert_eq!(expanded(contents, "A.ORG", "/COM/HP"), None, "{contents}");
    }
    assert!(expand(TransitedEncoding { contents: b"\xff", ..TransitedEncoding::NONE }, "A", "B").is_err());
    let other = TransitedEncoding { kind: TransitedType(7), contents: b"A" };
    assert_eq!(expand(other, "A", "B").unwrap_err().wire_code(), ErrorCode::TRTYPE_NOSUPP);
    assert_eq!(expand(TransitedEncoding { contents: b"", ..other }, "A", "B").unwrap(), Vec::<String>::new());
}

#[test]
fn a_few_octets_do_not_become_many_realms() {
    let many = (0..MAX_REALMS).map(|number| format!("R{number}")).collect::<Vec<_>>();
    assert_eq!(expanded(&compress(&many), "A", "B").unwrap(), many);
    assert_eq!(expanded(&format!("{},MORE", many.join(",")), "A", "B"), None);
    assert_eq!(expanded(&"/x,".repeat(60_000), "A", "B"), None);
    assert_eq!(expanded(&format!("{},/x", "x".repeat(MAX_NAME)), "A", "B"), None);
}

#[test]
fn what_is_special_in_a_name_is_quoted() {
    for (realm, quoted) in [("A,B", "A\\,B"), ("A\\B", "A\\\\B"), ("A.", "A\\."), (" A", "\\ A"), ("..", "\\.\\.")] {
        assert_eq!(compress([realm]), quoted);
        assert_eq!(expanded(quoted, "X", "Y").unwrap(), [realm]);
    }
}

#[test]
fn transited_fields_are_read_as_mit_reads_them() {
    let Some(file) = vectors::outside("names_and_misc.json") else { return };
    let cases = file["sets"]["transited_expand"]["vectors"].as_array().expect("vectors");
    assert!(!cases.is_empty());
    for case in cases {
        let text = |name: &str| vectors::text(&case[name]);
        let mut realms = expanded(&text("transited"), &text("client_realm"), &text("server_realm"));
        realms.iter_mut().for_each(|realms| realms.sort());
        let wanted = case["expanded"].as_array().map(|realms| realms.iter().map(vectors::text).collect::<Vec<_>>());
        assert_eq!(realms, wanted, "{case}");
    }
}

#[test]
fn only_the_realms_of_the_path_are_accepted_and_the_servers_own_is_none_of_them() {
    let mut paths = Paths::default();
    let realms = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert!(paths.accept("A.ORG", "B.NET", &[]), "they share a key");
    assert!(paths.accept("A.X.ORG", "B.ORG", &realms("X.ORG ORG")));
    assert!(paths.accept("A.X.ORG", "B.ORG", &realms("ORG")));
    assert!(!paths.accept("A.X.ORG", "B.ORG", &realms("ORG EVIL.ORG")));
    assert!(!paths.accept("A.X.ORG", "B.ORG", &realms("ORG B.ORG")));
    paths.set("A.X.ORG", "B.ORG", realms("MIDDLE.NET"));
    assert!(paths.accept("A.X.ORG", "B.ORG", &realms("MIDDLE.NET")));
    assert!(!paths.accept("A.X.ORG", "B.ORG", &realms("ORG")), "what is written down stands in place of the names");
    assert!(!paths.accept("B.ORG", "A.X.ORG", &realms("MIDDLE.NET")), "one way is not the other");
}

/// Names with everything in them that means something in the field.
fn realm() -> impl Strategy<Value = String> {
    let odd = prop::collection::vec(prop::sample::select(vec!["a", "B", ".", "/", ",", "\\", " ", "é"]), 1..8);
    prop_oneof![
        odd.prop_map(|parts| parts.concat()),
        prop::collection::vec(prop::sample::select(vec!["EDU", "MIT", "CS"]), 1..4).prop_map(|parts| parts.join(".")),
        prop::collection::vec(prop::sample::select(vec!["COM", "HP"]), 1..4)
            .prop_map(|parts| format!("/{}", parts.join("/"))),
    ]
}

proptest! {
    #[test]
    fn no_realm_is_lost_and_none_is_won(realms in prop::collection::vec(realm(), 0..12)) {
        let mut each_once: Vec<String> = vec![];
        for realm in realms {
            if !each_once.contains(&realm) {
                each_once.push(realm);
            }
        }
        let field = compress(&each_once);
        prop_assert_eq!(expand(encoding(&field), "CLIENT", "SERVER").unwrap(), each_once, "{}", field);
    }

    #[test]
    fn what_was_read_can_be_written_and_read_again(contents in "[A-C./, \\\\]{0,24}") {
        if let Ok(realms) = expand(encoding(&contents), "A.B.C", "C.B.C") {
            let again = compress(&realms);
            prop_assert_eq!(expand(encoding(&again), "X", "Y").unwrap(), realms, "{} {}", contents, again);
        }
    }
}
