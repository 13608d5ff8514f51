//! HTTP clients of others call our server's layer: curl, Python's requests, Java and Chromium, with
//! tickets that our tools and MIT's have fetched from our KDC and MIT's.

use std::ffi::OsStr;
use std::path::Path;

use libkrb::Principal;
use libkrb::http::session::{Cookie, SessionKeys, Sessions};
use libkrb::time::{Instant, Seconds};
use tests::caller::{Answer, Caller, chromium, curl, curls_answer, requests};
use tests::library::now;
use tests::website::{SERVICE, Website};
use tests::{Pair, Realm, Seat, Secret, optional_peer, suite};

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    => {
        curl_is_known;
        requests_is_known_and_knows_the_server;
        javas_connection_is_known;
        javas_client_is_known_and_knows_the_server;
        chromium_is_known;
        who_has_no_ticket_is_refused;
        a_ticket_under_a_key_that_the_server_does_not_have_is_refused;
        a_ticket_for_another_service_is_refused;
        a_token_that_comes_again_is_refused;
        a_clock_that_is_wrong_is_refused;
        a_locked_account_is_refused;
        curl_hands_on_a_ticket_when_told_to;
        many_calls_over_one_connection_are_each_proven;
        who_wants_proof_refuses_a_server_that_gives_none;
        a_service_is_called_by_its_name_and_namespace;
        curl_keeps_a_session_in_its_cookie_jar;
        curl_carries_a_session_as_a_bearer_token;
    }
}

mod browser {
    //! One pair is enough for what the browser decides by itself.
    use super::*;

    suite! {
        our_tools_our_kdc: Ours, Ours;
        => {
            a_browser_sends_no_ticket_to_a_site_that_it_was_not_told_of;
            a_browser_finds_the_site_by_a_containers_name;
            a_browser_keeps_its_session;
        }
    }
}

const PAGE: &str = "caller alice@EXAMPLE.ORG how Negotiate mutual true delegated nothing";

/// A realm with a website at localhost, and alice logged in.
fn at_a_website(pair: Pair, test: impl FnOnce(&Realm, &Seat<'_>, &Website)) {
    let realm = pair.realm();
    let website = Website::of(&realm);
    let seat = logged_in(pair, &realm);
    test(&realm, &seat, &website);
}

fn logged_in<'a>(pair: Pair, realm: &'a Realm) -> Seat<'a> {
    let seat = pair.seat(realm);
    // Or else a name without a dot gets the domain of this machine's resolv.conf.
    seat.set("qualify_shortname = \"\"");
    seat.kinit(&["-f", "alice"], "secret").succeeds();
    seat
}

fn known(pair: Pair, caller: Caller, page: &str) {
    at_a_website(pair, |_, seat, website| {
        let Some(answer) = caller.get(seat, &website.url("localhost")) else { return };
        assert_eq!(answer.page, page);
        assert_ne!(answer.proven, Some(false), "{answer:?}");
        assert_ne!(answer.status, Some(401), "{answer:?}");
        assert!(website.counters().negotiated() > 0);
    });
}

fn curl_is_known(pair: Pair) {
    known(pair, Caller::Curl, PAGE);
}

fn requests_is_known_and_knows_the_server(pair: Pair) {
    known(pair, Caller::Requests, PAGE);
}

fn javas_connection_is_known(pair: Pair) {
    known(pair, Caller::Connection, PAGE);
}

fn javas_client_is_known_and_knows_the_server(pair: Pair) {
    known(pair, Caller::HttpClient, PAGE);
}

fn chromium_is_known(pair: Pair) {
    // It leaves it to TLS to prove the server.
    known(pair, Caller::Chromium, &PAGE.replace("mutual true", "mutual false"));
}

/// What curl gets from the website.
fn curls(seat: &Seat<'_>, website: &Website) -> Option<Answer> {
    Caller::Curl.get(seat, &website.url("localhost"))
}

#[track_caller]
fn assert_refused(answer: &Answer, words: &str) {
    assert_eq!(answer.status, Some(401), "{answer:?}");
    assert!(answer.page.contains(words), "it was to say '{words}': {answer:?}");
}

fn who_has_no_ticket_is_refused(pair: Pair) {
    at_a_website(pair, |realm, _, website| {
        let nobody = pair.seat(realm);
        for caller in [Caller::Curl, Caller::Requests] {
            let Some(answer) = caller.get(&nobody, &website.url("localhost")) else { continue };
            assert_refused(&answer, "This service wants a Kerberos ticket");
        }
        assert_eq!(website.counters().negotiated(), 0);
    });
}

fn a_ticket_under_a_key_that_the_server_does_not_have_is_refused(pair: Pair) {
    at_a_website(pair, |realm, seat, website| {
        realm.change(SERVICE, Secret::Random);
        for caller in [Caller::Curl, Caller::Requests, Caller::HttpClient] {
            let Some(answer) = caller.get(seat, &website.url("localhost")) else { continue };
            assert_refused(&answer, "The token was not accepted");
            assert_ne!(answer.proven, Some(true));
        }
        assert_eq!(website.counters().negotiated(), 0);
    });
}

fn a_ticket_for_another_service_is_refused(pair: Pair) {
    at_a_website(pair, |realm, seat, website| {
        realm.add_service("HTTP/other.example.org");
        let port = website.port();
        let Some(curl) = curl(seat) else { return };
        let there = format!("other.example.org:{port}:127.0.0.1");
        let said = curl.args(["--resolve", &there, &website.url("other.example.org")]).run().succeeds();
        assert_refused(&curls_answer(&said), "The token was not accepted");
        seat.ticket("HTTP/other.example.org");
    });
}

/// The Authorization header that curl sent, as it tells when it is verbose.
fn authorization(stderr: &str) -> &str {
    let sent = stderr.lines().filter_map(|line| line.strip_prefix("> ")).map(str::trim_end);
    let mut headers = sent.filter(|line| line.starts_with("Authorization: Negotiate "));
    headers.next_back().expect("a header with a token")
}

fn a_token_that_comes_again_is_refused(pair: Pair) {
    at_a_website(pair, |_, seat, website| {
        let Some(first) = curl(seat) else { return };
        let first = first.args(["--verbose", &website.url("localhost")]).run().succeeds();
        assert_eq!(curls_answer(&first).page, PAGE);
        let header = authorization(first.stderr());
        let again = plain_curl(seat, ["-H", header, &website.url("localhost")]);
        assert_refused(&again, "This token was used before");
        assert_eq!(website.counters().refused().get("KRB_AP_ERR_REPEAT"), Some(&1));
        // The next one of curl's is as good as the first.
        assert_eq!(curls(seat, website).expect("curl").page, PAGE);
    });
}

fn a_clock_that_is_wrong_is_refused(pair: Pair) {
    const TEN_MINUTES: Seconds = 600;
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = logged_in(pair, &realm);
    for wrong in [TEN_MINUTES, -TEN_MINUTES] {
        let website =
            Website::with(&keytab, |layer| layer.clock(move || Instant { time: now().time + wrong, ..now() }));
        let Some(answer) = curls(&seat, &website) else { return };
        assert_refused(&answer, "check the clock of your machine");
        assert_eq!(website.counters().negotiated(), 0);
    }
}

fn a_locked_account_is_refused(pair: Pair) {
    at_a_website(pair, |realm, seat, website| {
        realm.modify("alice", &["-allow_tix"]);
        // Its ticket-granting ticket is still good for nothing but to be refused by the KDC.
        let Some(answer) = curls(seat, website) else { return };
        if pair.kdc == tests::Family::Ours {
            assert_refused(&answer, "This service wants a Kerberos ticket");
        }
        seat.kinit(&["alice"], "secret").fails();
    });
}

fn curl_hands_on_a_ticket_when_told_to(pair: Pair) {
    at_a_website(pair, |realm, seat, website| {
        let delegated = |level: &str| -> Option<String> {
            let said = curl(seat)?.args(["--delegation", level, &website.url("localhost")]).run().succeeds();
            let page = curls_answer(&said).page;
            Some(page.split_once("delegated ").expect("a page that says it").1.to_owned())
        };
        let alices = "krbtgt/EXAMPLE.ORG@EXAMPLE.ORG of alice@EXAMPLE.ORG";
        assert_eq!(delegated("none").as_deref().unwrap_or("nothing"), "nothing");
        assert_eq!(delegated("policy").as_deref().unwrap_or("nothing"), "nothing");
        assert_eq!(delegated("always").as_deref().unwrap_or(alices), alices);
        // The KDC's word is what `policy` obeys; it stands in the ticket.
        realm.modify(SERVICE, &["+ok_as_delegate"]);
        seat.kinit(&["-f", "alice"], "secret").succeeds();
        assert_eq!(delegated("policy").as_deref().unwrap_or(alices), alices);
    });
}

fn many_calls_over_one_connection_are_each_proven(pair: Pair) {
    at_a_website(pair, |_, seat, website| {
        let Some(requests) = requests(seat) else { return };
        let said = requests.args([&website.url("localhost"), "required", "20"]).run().succeeds();
        let answers: Vec<_> = said.stdout().lines().map(Answer::parse).collect();
        assert_eq!(answers.len(), 20);
        assert!(answers.iter().all(|answer| answer.page == PAGE && answer.proven == Some(true)), "{answers:?}");
        // Each brought its token at once.
        assert_eq!(website.counters().negotiated(), 20);
        assert!(website.counters().refused().is_empty(), "{:?}", website.counters());
    });
}

fn who_wants_proof_refuses_a_server_that_gives_none(pair: Pair) {
    at_a_website(pair, |_, seat, website| {
        let url = website.silent_url("localhost");
        let Some(wary) = requests(seat) else { return };
        wary.args([&url, "required"]).run().succeeds().saying("the server has not proven itself");
        let trusting = requests(seat).expect("the same requests").args([&url, "optional"]).run().succeeds();
        assert_eq!(Answer::parse(trusting.stdout()).page, PAGE);
    });
}

/// Names that containers have: of a service, of a service in a namespace, and in full.
const CONTAINER_NAMES: [&str; 3] = ["ads", "ads.market", "ads.market.svc.cluster.local"];

fn a_service_is_called_by_its_name_and_namespace(pair: Pair) {
    let realm = pair.realm();
    let seat = logged_in(pair, &realm);
    for name in CONTAINER_NAMES {
        let website = Website::with(&realm.add_service(&format!("HTTP/{name}")), |layer| layer);
        let url = website.url(name);
        // A name that the machine does not know, and one behind which another port stands.
        let resolve = format!("{name}:{}:127.0.0.1", website.port());
        let connect = format!("{name}:80:127.0.0.1:{}", website.port());
        let plain = format!("http://{name}/");
        for words in [["--resolve", &resolve, &url], ["--connect-to", &connect, &plain]] {
            let Some(curl) = curl(&seat) else { return };
            assert_eq!(curls_answer(&curl.args(words).run().succeeds()).page, PAGE, "{name}");
        }
        // In no realm that it knows: it left that to the KDC.
        let service = format!("HTTP/{name}@");
        assert!(seat.tickets().iter().any(|ticket| ticket.service.starts_with(&service)), "{:?}", seat.tickets());
    }
}

fn a_browser_sends_no_ticket_to_a_site_that_it_was_not_told_of(pair: Pair) {
    at_a_website(pair, |_, seat, website| {
        let Some(chromium) = chromium(seat, &["--auth-server-allowlist=*.example.org"]) else { return };
        chromium.args([website.url("localhost")]).run().succeeds().saying("This service wants a Kerberos ticket");
        assert_eq!(website.counters().negotiated(), 0);
    });
}

fn a_browser_finds_the_site_by_a_containers_name(pair: Pair) {
    let realm = pair.realm();
    let seat = logged_in(pair, &realm);
    let website = Website::with(&realm.add_service("HTTP/ads.market"), |layer| layer);
    let options = ["--auth-server-allowlist=ads.market", "--host-resolver-rules=MAP ads.market 127.0.0.1"];
    let Some(chromium) = chromium(&seat, &options) else { return };
    chromium.args([website.url("ads.market")]).run().succeeds().saying("caller alice@EXAMPLE.ORG");
}

/// A website at localhost whose callers get sessions of this kind after their first exchange.
fn with_sessions(realm: &Realm, sessions: fn(SessionKeys, &Principal) -> Sessions) -> Website {
    let service = Principal::parse(SERVICE, Some(realm.name())).expect("a service");
    let keys = SessionKeys::random().expect("keys");
    Website::with(&realm.add_service(SERVICE), |layer| layer.sessions(sessions(keys.clone(), &service)))
}

/// Without TLS, as on a developer's machine.
fn cookies(keys: SessionKeys, service: &Principal) -> Sessions {
    Sessions::cookie(keys, service, Cookie { secure: false, ..Cookie::default() }).expect("a good cookie")
}

/// curl that has no ticket to show.
fn plain_curl<A: AsRef<OsStr>>(seat: &Seat<'_>, words: impl IntoIterator<Item = A>) -> Answer {
    let curl = seat.program(optional_peer("curl", "/usr/bin/curl").expect("the same curl"));
    curls_answer(&curl.args(["-s", "-w", "\n%{http_code}"]).args(words).run().succeeds())
}

fn in_session() -> String {
    PAGE.replace("Negotiate", "Session")
}

fn curl_keeps_a_session_in_its_cookie_jar(pair: Pair) {
    let realm = pair.realm();
    let website = with_sessions(&realm, cookies);
    let (seat, nobody, url) = (logged_in(pair, &realm), pair.seat(&realm), website.url("localhost"));
    let jar = seat.path("jar");
    let Some(curl) = curl(&seat) else { return };
    let first = curl.args(["--cookie-jar"]).args([&jar]).args([&url]).run().succeeds();
    assert_eq!(curls_answer(&first).page, PAGE);

    let with_jar = |jar: &Path| plain_curl(&nobody, [OsStr::new("--cookie"), jar.as_os_str(), OsStr::new(&url)]);
    assert_eq!(with_jar(&jar).page, in_session());
    let text = std::fs::read_to_string(&jar).expect("curl's jar");
    let changed = text.trim_end().strip_suffix(|_: char| true).expect("a cookie at the end of the jar");
    std::fs::write(&jar, format!("{changed}\n")).expect("another cookie");
    assert_refused(&with_jar(&jar), "The session is over");
    assert_eq!((website.counters().negotiated(), website.counters().sessions()), (1, 1));
}

fn curl_carries_a_session_as_a_bearer_token(pair: Pair) {
    let realm = pair.realm();
    let website = with_sessions(&realm, Sessions::bearer);
    let (seat, nobody, url) = (logged_in(pair, &realm), pair.seat(&realm), website.url("localhost"));
    let Some(curl) = curl(&seat) else { return };
    let first = curl.args(["--verbose", &url]).run().succeeds();
    assert_eq!(curls_answer(&first).page, PAGE);
    let session = first.stderr().lines().find_map(|line| line.strip_prefix("< krb-session: ")?.split(';').next());
    let header = format!("Authorization: Bearer {}", session.expect("a session"));
    assert_eq!(plain_curl(&nobody, ["-H", &header, &url]).page, in_session());
    assert_refused(&plain_curl(&nobody, ["-H", &format!("{header}x"), &url]), "The session is over");
    assert_eq!((website.counters().negotiated(), website.counters().sessions()), (1, 1));
}

fn a_browser_keeps_its_session(pair: Pair) {
    let realm = pair.realm();
    let website = with_sessions(&realm, cookies);
    let seat = logged_in(pair, &realm);
    let Some(chromium) = chromium(&seat, &["--auth-server-allowlist=localhost"]) else { return };
    let said = chromium.args([website.twice_url("localhost")]).run().succeeds();
    said.saying("first caller alice@EXAMPLE.ORG how Negotiate").saying("then caller alice@EXAMPLE.ORG how Session");
}
