use super::*;

fn rule() -> SpiffeRule {
    SpiffeRule::new("spiffe://example.org/ns/{ns}/sa/{sa}", "{sa}/{ns}.svc", "R").expect("sound")
}

#[test]
fn an_identifier_of_the_trust_domain_stands_for_its_principal() {
    let name = rule().principal("spiffe://example.org/ns/shop/sa/orders").expect("a principal");
    assert_eq!(name.to_string(), "orders/shop.svc@R");
}

#[test]
fn another_domain_another_path_or_a_name_that_could_be_read_otherwise_stands_for_nobody() {
    for uri in [
        "spiffe://example.com/ns/shop/sa/orders",
        "spiffe://example.org.evil/ns/shop/sa/orders",
        "spiffe://example.org/ns/shop/sa/",
        "spiffe://example.org/ns/shop/sa/orders/more",
        "spiffe://example.org/ns/a/b/sa/orders",
        "spiffe://example.org/ns/shop/sa/admin@OTHER",
        "spiffe://example.org/ns/shop/sa/a%2Fb",
        "spiffe://example.org/ns//sa/orders",
        "spiffe://example.org/ns/../sa/orders",
        "spiffe://example.org/ns/shop/sa/.",
        "https://example.org/ns/shop/sa/orders",
        "",
    ] {
        assert_eq!(rule().principal(uri), None, "{uri}");
    }
}

#[test]
fn a_rule_that_could_name_anybody_is_refused() {
    for (id, principal) in [
        ("spiffe://{domain}/ns/{ns}", "{ns}"),
        ("https://example.org/{sa}", "{sa}"),
        ("spiffe://example.org/{sa}", "{other}"),
        ("spiffe://example.org/fixed", "admin"),
        ("spiffe://example.org/{sa}/{sa}", "{sa}"),
        ("spiffe://example.org/{a}{b}", "{a}"),
        ("spiffe://example.org/{sa", "{sa}"),
        ("spiffe://example.org/{sa}", "{sa}@OTHER"),
        ("spiffe://example.org/{sa}", ""),
        // a-b of c and a of b-c would be one.
        ("spiffe://example.org/ns/{ns}/sa/{sa}", "{ns}-{sa}"),
        ("spiffe://example.org/ns/{ns}/sa/{sa}", "host/{ns}.{sa}"),
    ] {
        assert!(SpiffeRule::new(id, principal, "R").is_err(), "{id} {principal}");
    }
}
