use super::*;

#[test]
fn strings_that_would_not_do_what_they_seem_to_are_refused() {
    for (name, value) in [
        ("require_auth", "otp pkinit"),
        ("require_auth", "https://example.org/loa/2"),
        ("memberof", "sellers,admins"),
        ("role:HTTP/*", "seller"),
        ("role:HTTP/*.example.org@EXAMPLE.ORG", "seller, admin"),
        ("role", "whatever"),
        ("session_enctypes", ""),
    ] {
        assert_eq!(check_string(name, value), Ok(()), "{name} {value}");
    }
    let many: Vec<_> = (0..33).map(|number| number.to_string()).collect();
    for (name, value) in [
        ("require_auth", ""),
        ("require_armor", "yes"),
        ("otp_optional", "1"),
        ("memberof", " , "),
        ("memberof", &*many.join(" ")),
        ("role:", "seller"),
        ("role:HTTP/*\\", "seller"),
        ("role:HTTP/*", ""),
        ("role:HTTP/*", &*"x".repeat(65)),
        ("role:HTTP/*", &*many.join(" ")),
    ] {
        assert!(check_string(name, value).is_err(), "{name} {value}");
    }
}

#[test]
fn what_a_method_adds_stands_beside_what_the_realm_calls_it() {
    let rules = IndicatorRules::default();
    let proof = Proof { indicators: vec!["yubikey".into(), "otp".into()], ..Proof::by("otp") };
    assert_eq!(rules.of(Some(&proof)), ["otp", "yubikey"]);
    assert_eq!(rules.of(Some(&Proof::by("spake"))), ["hardened", "spake"]);
    assert_eq!(rules.of(Some(&Proof::by("encrypted-timestamp"))), [""; 0]);
    assert_eq!(rules.of(None), [""; 0]);
}
