use super::*;

fn config(text: &str) -> Arc<Config> {
    Arc::new(Config::parse("krb5.conf", text).unwrap())
}

fn rules(rows: &[(&str, &str)]) -> SpnRules {
    rows.iter().fold(SpnRules::new(), |rules, (pattern, target)| rules.rule(pattern, target).unwrap())
}

fn name(rules: &SpnRules, url: &str) -> String {
    rules.for_url(url).unwrap_or_else(|error| panic!("{url}: {error}")).principal.without_realm().to_string()
}

#[test]
fn without_rules_a_url_is_http_and_the_host() {
    for (url, expected) in [
        ("http://ads", "HTTP/ads"),
        ("https://Ads.Example.ORG./list?q=1#x", "HTTP/ads.example.org"),
        ("HTTPS://ads.example.org:8443", "HTTP/ads.example.org"),
        ("https://ads.example.org:/", "HTTP/ads.example.org"),
        ("wss://my_service-1.shop", "HTTP/my_service-1.shop"),
        ("https://alice:secret@ads/", "HTTP/ads"),
        ("https://good@evil", "HTTP/evil"),
        ("https://evil?@good/", "HTTP/evil"),
        ("https://evil\\@good/", "HTTP/evil"),
        ("http://xn--bcher-kva.example", "HTTP/xn--bcher-kva.example"),
    ] {
        assert_eq!(name(&SpnRules::new(), url), expected, "{url}");
    }
}

#[test]
fn what_is_no_url_of_http_or_no_host_is_refused_without_repeating_it() {
    let long = format!("http://{}", "a".repeat(254));
    for url in [
        "",
        "ads",
        "://ads",
        "ht tp://ads",
        "https://",
        "https:///path",
        "https://a..b",
        "https://.a",
        "https://a b",
        "https://b\u{fc}cher.example",
        "https://a:70000",
        "https://a:http",
        "https://[::1",
        "https://[::1]8080",
        "https://a\n",
        "https://a%00b",
        "postgres://db",
        &long,
    ] {
        let outcome = SpnRules::new().for_url(url);
        let Err(Error::Spn(words)) = outcome else { panic!("{url}: {outcome:?}") };
        assert!(!words.contains("b\u{fc}cher") && !words.contains('\n'), "{words}");
    }
}

#[test]
fn addresses_need_a_rule_and_the_error_says_which() {
    for (url, address) in [
        ("http://10.0.0.7:8080/x", "10.0.0.7"),
        ("http://[2001:DB8::7]:8080", "2001:db8::7"),
        ("http://[fe80::1%25eth0]/", "fe80::1"),
        ("http://127.0.0.1", "127.0.0.1"),
    ] {
        let error = SpnRules::new().for_url(url).unwrap_err().to_string();
        let rule = format!("\"{address} -> HTTP/its-name\"");
        assert!(error.starts_with(&format!("no service name: {address} is an address")), "{error}");
        assert!(error.ends_with(&rule), "{error}");
    }
    for odd in ["http://127.1", "http://2130706433", "http://0x7f000001", "http://0x7f.1", "http://1.2.3.4.5"] {
        let error = SpnRules::new().for_url(odd).unwrap_err().to_string();
        assert!(error.contains("does not end in a number"), "{odd}: {error}");
    }
    let rules = rules(&[("10.0.0.7", "HTTP/ads"), ("[2001:db8::7]:8080", "HTTP/users"), ("*", "HTTP/anything")]);
    assert_eq!(name(&rules, "http://10.0.0.7:8080"), "HTTP/ads");
    assert_eq!(name(&rules, "http://[2001:0db8:0::7]:8080/"), "HTTP/users");
    assert!(rules.for_url("http://[2001:db8::7]:9090/").is_err(), "another port");
    assert!(rules.for_url("http://10.0.0.8").is_err(), "no pattern is for addresses");
    assert_eq!(rules.for_host("host", "::1").unwrap_err().to_string().find("::1 is an address"), Some(17));
}

#[test]
fn the_first_rule_that_fits_counts() {
    let rules = rules(&[
        ("https://edge/ads/", "HTTP/ad-service.shop"),
        ("https://edge", "HTTP/gateway.shop"),
        ("edge:8080", "HTTP/admin.shop"),
        ("Edge.", "HTTP/other.shop"),
        ("*.Svc.Cluster.Local.", "{*}"),
        ("web-*", "HTTP/web.shop"),
        ("*.mesh:8443", "HTTP/{2}.{1}"),
    ]);
    for (url, expected) in [
        ("https://edge/ads", "HTTP/ad-service.shop"),
        ("https://edge:443/ads/7?x=/y", "HTTP/ad-service.shop"),
        ("https://EDGE/ads", "HTTP/ad-service.shop"),
        ("https://edge/adsense", "HTTP/gateway.shop"),
        ("https://edge", "HTTP/gateway.shop"),
        ("https://edge?/ads", "HTTP/gateway.shop"),
        ("http://edge:8080/ads", "HTTP/admin.shop"),
        ("http://edge/ads", "HTTP/other.shop"),
        ("https://edge:8443/ads", "HTTP/other.shop"),
        ("http://ads.shop.svc.cluster.local:8080", "HTTP/ads.shop"),
        ("http://ads.shop.SVC.cluster.local.", "HTTP/ads.shop"),
        ("http://svc.cluster.local", "HTTP/svc.cluster.local"),
        ("http://web-7", "HTTP/web.shop"),
        ("http://web-", "HTTP/web-"),
        ("https://a.b.mesh:8443", "HTTP/b.a"),
        ("https://a.b.mesh", "HTTP/a.b.mesh"),
    ] {
        assert_eq!(name(&rules, url), expected, "{url}");
    }
}

#[test]
fn a_rule_without_a_service_keeps_the_callers() {
    let rules = rules(&[("db", "database.shop"), ("ads", "HTTP/ads.shop")]);
    let spn = |service, host| rules.for_host(service, host).unwrap().principal.without_realm().to_string();
    assert_eq!(spn("postgres", "db:5432"), "postgres/database.shop");
    assert_eq!(spn("host", "ads"), "HTTP/ads.shop");
    assert_eq!(spn("host", "elsewhere.shop"), "host/elsewhere.shop");
}

#[test]
fn a_label_that_is_not_there_is_said() {
    let rules = rules(&[("ads", "HTTP/{1}.{2}"), ("10.0.0.7", "HTTP/{1}"), ("10.0.0.8", "HTTP/{host}")]);
    let error = |url| rules.for_url(url).unwrap_err().to_string();
    assert_eq!(
        error("http://ads"),
        "no service name: the rule ads -> HTTP/{1}.{2} wants label 2 of ads, which has none"
    );
    assert!(error("http://10.0.0.7").ends_with("wants label 1 of 10.0.0.7, which has none"));
    assert_eq!(name(&rules, "http://10.0.0.8"), "HTTP/10.0.0.8");
}

#[test]
fn the_realm_is_that_of_the_rule_or_of_a_rule_for_realms_or_of_domain_realm_or_the_kdcs() {
    let domains = config("[domain_realm]\n.bank = BANK.ORG\n.cluster.local = CLUSTER.ORG\n");
    let rules = rules(&[
        ("pay", "HTTP/payments.bank@PAY.ORG"),
        ("cash", "HTTP/cash.bank"),
        ("*.svc.cluster.local", "{*}"),
        ("ads", "HTTP/ads.shop"),
        ("*.shop", "@SHOP.ORG"),
    ])
    .with_domain_realms(domains);
    for (url, expected, how) in [
        ("http://pay", "HTTP/payments.bank@PAY.ORG", "from the rule pay -> HTTP/payments.bank@PAY.ORG"),
        ("http://cash", "HTTP/cash.bank@BANK.ORG", "from the rule cash -> HTTP/cash.bank; realm from [domain_realm]"),
        (
            "http://a.b.svc.cluster.local",
            "HTTP/a.b@CLUSTER.ORG",
            "from the rule *.svc.cluster.local -> {*}; realm from [domain_realm]",
        ),
        (
            "http://ads",
            "HTTP/ads.shop@SHOP.ORG",
            "from the rule ads -> HTTP/ads.shop; realm from the rule *.shop -> @SHOP.ORG",
        ),
        (
            "http://x.shop",
            "HTTP/x.shop@SHOP.ORG",
            "by default, from service and host; realm from the rule *.shop -> @SHOP.ORG",
        ),
        ("http://x.org", "HTTP/x.org@", "by default, from service and host; realm left to the KDC"),
    ] {
        let spn = rules.for_url(url).unwrap();
        assert_eq!((spn.principal.to_string().as_str(), spn.how.as_str()), (expected, how));
    }
}

#[test]
fn rules_that_are_none_are_named_by_file_and_line() {
    for (text, problem) in [
        ("\n# a comment\nads HTTP/ads", "spn.rules:3: expected what is called"),
        ("ads ->", "expected service/name, name, or @REALM"),
        ("-> HTTP/ads", "there is no host"),
        ("ads -> HTTP/", "expected service/name"),
        ("ads -> /ads", "expected service/name"),
        ("ads -> HTTP/ads@", "expected a realm"),
        ("ads -> HTTP/ads@R@S", "no spaces, @"),
        ("ads -> HTTP/ads users", "no spaces, @"),
        ("ads -> HTTP/*", "no spaces, @"),
        ("ads -> HTTP/{*}", "there is none"),
        ("*.x -> HTTP/{0}", "stand for parts"),
        ("*.x -> HTTP/{1", "stand for parts"),
        ("*.x -> HTTP/1}", "stand for parts"),
        ("*.x.* -> HTTP/x", "a pattern has one *"),
        ("10.0.0.* -> HTTP/x", "addresses have no pattern"),
        ("ads:http -> HTTP/x", "the port is no number"),
        ("https:// -> HTTP/x", "there is no host"),
    ] {
        let error = SpnRules::parse("spn.rules", text).unwrap_err().to_string();
        assert!(error.starts_with("spn.rules:") && error.contains(problem), "{text}: {error}");
    }
    assert!(SpnRules::parse("spn.rules", "").is_ok());
}

#[test]
fn an_unknown_service_is_told_with_its_name_how_it_was_made_and_what_to_do() {
    let rules = rules(&[("ads", "HTTP/ad-service.shop")]);
    assert_eq!(
        rules.for_url("http://alice:secret@ads/?token=secret").unwrap().not_found().to_string(),
        "Server not found in Kerberos database: HTTP/ad-service.shop (from the rule ads -> HTTP/ad-service.shop; \
         realm left to the KDC); add it to the realm (kadmin [--config FILE] addprinc -randkey HTTP/ad-service.shop), or say in the \
         rules for service names what it is called"
    );
    let given = Spn::from(Principal::parse("host/a@R", None).unwrap());
    assert!(given.not_found().to_string().contains(": host/a@R (as it was given); add it"));
    assert_eq!(given.not_found().wire_code(), ErrorCode::S_PRINCIPAL_UNKNOWN);
    let other = Error::code(ErrorCode::POLICY);
    assert_eq!(given.explain(other.clone()), other);
}
