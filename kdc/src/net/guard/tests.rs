use std::time::Duration;

use libkrb::wire::Components;

use super::*;
use crate::core::Exchange;

const MINUTE: Duration = Duration::from_secs(60);

fn guard(rates: [u32; 4], exempt: &[&str]) -> Guard {
    let rate = |count| (count > 0).then_some(Rate { count, period: MINUTE });
    let exempt = exempt.iter().map(|text| network(text)).collect();
    let rates = Rates { rates: rates.map(rate), exempt, memory: 1 << 18, ..Rates::default() };
    Guard::new(rates, Arc::default())
}

fn network(text: &str) -> Network {
    let (address, length) = text.split_once('/').expect("a length");
    Network { address: address.parse().expect("an address"), length: length.parse().expect("a number") }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn failure() -> Event {
    Event { refusal: Some((ErrorCode::PREAUTH_FAILED, "wrong")), ..Event::default() }
}

/// A request for `client` that fails; the rule that turned it away, if one did.
fn fail(guard: &Guard, from: &str, client: &str, cost: Cost) -> Option<Rule> {
    let mut watch = guard.watch(ip(from), Transport::Udp, Instant::now())?;
    if let Some(rule) = watch.turns_away() {
        return Some(rule);
    }
    let parts: Vec<Box<str>> = client.split('/').map(Box::from).collect();
    let name = PrincipalName { kind: Default::default(), components: Components::Parts(&parts) };
    let asked = Asked { exchange: Exchange::As, client: Some(name), cost };
    let refused = watch.refuses(&asked);
    if refused.is_none() {
        let _ = watch.ended(&failure());
    }
    refused
}

#[test]
fn a_source_is_an_ipv4_address_or_an_ipv6_customer_and_apart_for_datagrams_and_connections() {
    let guard = guard([2, 0, 0, 0], &[]);
    for (first, second, other) in [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("::ffff:192.0.2.9", "192.0.2.9", "192.0.2.8"),
        ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"),
    ] {
        assert_eq!([first, second].map(|from| fail(&guard, from, "alice", Cost::Light)), [None, None]);
        assert_eq!(fail(&guard, first, "bob", Cost::Light), Some(Rule::SourceFailures));
        assert_eq!(fail(&guard, other, "alice", Cost::Light), None);
        let over_tcp = guard.watch(ip(first), Transport::Tcp, Instant::now()).expect("not exempt");
        assert_eq!(over_tcp.turns_away(), None);
    }
    assert_eq!(guard.turned().away(Rule::SourceFailures), 3);
}

#[test]
fn a_principal_is_one_however_its_name_is_spelled_and_wherever_it_is_asked_for() {
    let guard = guard([0, 0, 1, 0], &[]);
    for (place, spelling) in
        ["alice", "ALICE", "alice@EXAMPLE.ORG", "al\\ice", "\\a\\l\\i\\c\\e@example.org"].iter().enumerate()
    {
        let limited = fail(&guard, &format!("192.0.2.{place}"), spelling, Cost::Light);
        assert_eq!(limited, (place > 0).then_some(Rule::PrincipalFailures), "{spelling}");
    }
    assert_eq!(fail(&guard, "192.0.2.1", "alice/admin", Cost::Light), None);
    assert_eq!(fail(&guard, "192.0.2.1", "Alice\\/Admin", Cost::Light), Some(Rule::PrincipalFailures));
}

#[test]
fn who_succeeds_or_is_asked_for_a_proof_uses_nothing_up() {
    let guard = guard([1, 1, 1, 1], &[]);
    for code in [None, Some(ErrorCode::PREAUTH_REQUIRED), Some(ErrorCode::MORE_PREAUTH_DATA_REQUIRED)] {
        for _ in 0..10 {
            let watch = guard.watch(ip("192.0.2.1"), Transport::Udp, Instant::now()).expect("not exempt");
            assert_eq!(watch.turns_away(), None);
            let _ = watch.ended(&Event { refusal: code.map(|code| (code, "")), ..Event::default() });
        }
    }
    assert!(Rule::ALL.iter().all(|rule| guard.tracked(*rule).0 == 0));
}

#[test]
fn much_work_is_limited_whether_it_fails_or_not_and_little_is_not() {
    let guard = guard([0, 2, 0, 3], &[]);
    let work = |from, cost| fail(&guard, from, "alice", cost);
    assert_eq!([(); 3].map(|()| work("192.0.2.1", Cost::Heavy)), [None, None, Some(Rule::SourceWork)]);
    assert_eq!(work("192.0.2.1", Cost::Light), None);
    assert_eq!([(); 2].map(|()| work("192.0.2.2", Cost::Heavy)), [None, Some(Rule::PrincipalWork)]);
}

#[test]
fn the_exempt_are_never_limited() {
    let guard = guard([1, 1, 1, 1], &["127.0.0.0/8", "::1/128", "2001:db8::/32"]);
    for exempt in ["127.0.0.1", "127.9.9.9", "::ffff:127.0.0.1", "::1", "2001:db8:1:2::3"] {
        assert_eq!([(); 3].map(|()| fail(&guard, exempt, "alice", Cost::Heavy)), [None; 3], "{exempt}");
    }
    for other in ["128.0.0.1", "::2", "2001:db9::1"] {
        assert!(fail(&guard, other, other, Cost::Light).is_none());
        assert!(fail(&guard, other, other, Cost::Light).is_some(), "{other}");
    }
}

#[test]
fn the_last_failure_that_is_allowed_is_told_once() {
    let guard = guard([3, 0, 0, 0], &[]);
    let mut told = vec![];
    for _ in 0..5 {
        let watch = guard.watch(ip("192.0.2.1"), Transport::Tcp, Instant::now()).expect("not exempt");
        told.push(watch.ended(&failure()));
    }
    assert_eq!(told, [None, None, Some(Rule::SourceFailures), None, None]);
}
