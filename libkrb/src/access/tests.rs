use proptest::prelude::*;

use super::*;

fn principal(text: &str) -> Principal {
    Principal::parse(text, None).unwrap()
}

fn glob(text: &str) -> Glob {
    Glob::parse(text).unwrap()
}

fn decide(policy: &str, who: &str) -> bool {
    AccessPolicy::parse(policy).unwrap().decide(&principal(who), &[]).allowed
}

#[test]
fn nobody_is_allowed_what_no_rule_allows() {
    assert_eq!(
        AccessPolicy::new().decide(&principal("alice@R"), &["admins".to_owned()]),
        Decision { allowed: false, reason: "no rule allows it".to_owned() }
    );
    assert!(!decide("deny principal:bob@R", "alice@R"));
}

#[test]
fn a_deny_overrides_every_allow_wherever_it_stands() {
    for policy in ["allow realm:R\ndeny principal:mallory@R", "deny principal:mallory@R\nallow realm:R"] {
        assert!(decide(policy, "alice@R"), "{policy}");
        assert!(!decide(policy, "mallory@R"), "{policy}");
    }
    let policy = AccessPolicy::parse("allow principal:mallory@R\n  deny   realm:R  ").unwrap();
    assert_eq!(policy.decide(&principal("mallory@R"), &[]).to_string(), "denied: deny   realm:R");
}

#[test]
fn a_rule_of_several_conditions_wants_them_all() {
    let policy = "role admins *@R *@S\nallow role:admins realm:R";
    assert!(decide(policy, "alice@R"));
    assert!(!decide(policy, "alice@S"));
    assert!(!decide("allow role:admins realm:R", "alice@R"));
}

#[test]
fn roles_come_from_the_table_and_from_the_caller() {
    let policy = AccessPolicy::parse("role admins */admin@R\nrole all */*@R *@R\nallow role:admins\nallow role:extra");
    let policy = policy.unwrap();
    assert_eq!(policy.roles_of(&principal("bob/admin@R")), ["admins", "all"]);
    assert_eq!(policy.roles_of(&principal("bob@R")), ["all"]);
    assert!(policy.decide(&principal("bob/admin@R"), &[]).allowed);
    assert!(!policy.decide(&principal("bob@R"), &[]).allowed);
    assert_eq!(
        policy.decide(&principal("bob@R"), &["extra".to_owned()]),
        Decision { allowed: true, reason: "allow role:extra".to_owned() }
    );
}

#[test]
fn a_star_stays_within_its_component() {
    assert!(glob("*@R").matches(&principal("alice@R")));
    assert!(!glob("*@R").matches(&principal("alice/admin@R")));
    assert!(!glob("*/admin@R").matches(&principal("admin@R")));
    assert!(!glob("*/admin@R").matches(&principal("a/b/admin@R")));
    assert!(!glob("*/admin@R").matches(&principal("alice/admin@S")));
    assert!(!glob("*@R").matches(&principal("alice\\/admin\\@x/y@R")));
    assert!(glob("*@R").matches(&principal("alice\\/admin@R")), "one component with a slash in it");
    assert!(!glob("alice@R").matches(&principal("Alice@R")), "case counts");
    assert!(!glob("alice@R").matches(&principal("alice@r")), "case counts");
}

#[test]
fn a_star_stands_for_any_text_even_none() {
    for (pattern, text, expected) in [
        ("HTTP/*.example.org@R", "HTTP/a.example.org@R", true),
        ("HTTP/*.example.org@R", "HTTP/.example.org@R", true),
        ("HTTP/*.example.org@R", "HTTP/example.org@R", false),
        ("HTTP/*.example.org@R", "HTTP/a.example.org.evil@R", false),
        ("a*a@R", "a@R", false),
        ("a*a@R", "aa@R", true),
        ("a*b*c@R", "axbxc@R", true),
        ("a*b*c@R", "axc@R", false),
        ("a*bc*bc@R", "abcbc@R", true),
        ("a*bc*bc@R", "abc@R", false),
        ("**@R", "x@R", true),
        ("x@*", "x@ANY", true),
        ("x@*.ORG", "x@A.ORG", true),
        ("x@*.ORG", "x@A.ORG.EVIL", false),
        ("\\*@R", "x@R", false),
        ("\\*@R", "*@R", true),
        ("a\\/b@R", "a/b@R", false),
        ("a\\/b@R", "a\\/b@R", true),
    ] {
        assert_eq!(glob(pattern).matches(&principal(text)), expected, "{pattern} {text}");
    }
}

#[test]
fn the_anonymous_principal_is_meant_only_where_it_is_spelled_out() {
    let anonymous = Principal::anonymous().to_string();
    let of_realm = "WELLKNOWN/ANONYMOUS@R";
    for policy in
        ["allow principal:*/*@*", "allow realm:R", "allow realm:WELLKNOWN:ANONYMOUS", "role a */*@*\nallow role:a"]
    {
        assert!(!decide(policy, &anonymous), "{policy}");
        assert!(!decide(policy, of_realm), "{policy}");
    }
    assert!(decide("allow principal:WELLKNOWN/ANONYMOUS@R", of_realm));
    for policy in ["deny principal:*/*@*", "deny realm:R"] {
        assert!(!decide(&format!("allow principal:WELLKNOWN/ANONYMOUS@R\n{policy}"), of_realm), "{policy}");
    }
}

#[test]
fn an_error_names_the_line_the_rule_and_the_way_out() {
    for (policy, expected) in [
        ("\nalow realm:R", "access policy, line 2: \"alow\" begins no rule: write allow, deny or role"),
        (
            "allow",
            "access policy, line 1: \"allow\" needs a condition: principal:NAME@REALM, realm:REALM, role:ROLE or indicator:INDICATOR (principal:*@REALM is every user of a realm)",
        ),
        (
            "allow alice@R",
            "access policy, line 1: \"alice@R\" is no condition: write principal:NAME@REALM, realm:REALM, role:ROLE or indicator:INDICATOR",
        ),
        (
            "allow principal:alice",
            "access policy, line 1: \"alice\" has no realm: write alice@REALM, or alice@* for any realm",
        ),
        ("deny role:", "access policy, line 1: \"role:\" is followed by nothing"),
        (
            "allow realm:*",
            "access policy, line 1: \"realm:*\": a realm is named in full; principal:*@* is every user of every realm",
        ),
        ("allow principal:a@b@c", "access policy, line 1: \"a@b@c\" has a second @; write \\@ for one within a name"),
        ("allow principal:@R", "access policy, line 1: \"@R\" names nobody before its realm"),
        ("allow principal:a@R\\", "access policy, line 1: \"a@R\\\" ends with a backslash"),
        (
            "role admins",
            "access policy, line 1: the role \"admins\" has no principal: write role NAME PRINCIPAL@REALM, with as many principals as there are",
        ),
        ("role", "access policy, line 1: write role NAME PRINCIPAL@REALM, with as many principals as there are"),
    ] {
        assert_eq!(AccessPolicy::parse(policy).unwrap_err().to_string(), expected, "{policy}");
    }
    assert!(AccessPolicy::new().with("allow x").is_err());
}

#[test]
fn blanks_can_be_quoted() {
    assert!(decide("allow principal:John\\ Doe@R", "John Doe@R"));
    assert!(decide("allow principal:a\\\\@R\trealm:R", "a\\\\@R"));
}

proptest! {
    /// The greedy matcher agrees with one that tries everything.
    #[test]
    fn stars_match_what_they_should(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
        fn tries(pattern: &[u8], text: &[u8]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some((b'*', rest)) => (0..=text.len()).any(|at| tries(rest, &text[at..])),
                Some((c, rest)) => text.first() == Some(c) && tries(rest, &text[1..]),
            }
        }
        let of = glob(&format!("x/{pattern}@R"));
        let name = principal(&format!("x/{text}@R"));
        prop_assert_eq!(of.matches(&name), tries(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn no_text_panics(text in ".{0,64}") {
        let _ = AccessPolicy::parse(&text);
        let _ = AccessPolicy::new().with(&format!("allow principal:{text}"));
    }
}
