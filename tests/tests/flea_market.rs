//! The flea market as its users find it: all processes by the one command, called with curl and with
//! tickets of MIT's kinit and of ours, and what the services say of it in their logs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{Daemon, Family, PATIENCE, Program, Redis, Said, Tool, optional_peer};

const SERVICES: [&str; 3] = ["user-service", "ad-service", "gateway"];

/// A market that is open.
struct Market {
    daemon: Daemon,
    curl: Program,
    /// Whose kinit its users have.
    kinit: Family,
    folder: TempDir,
    url: String,
}

/// What curl got.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Market {
    /// Opens a market; `None` where a peer is missing.
    fn open(kinit: Family, arguments: &[&str]) -> Option<Market> {
        let folder = tempfile::Builder::new().prefix("krb-market-").tempdir().expect("a temporary folder");
        let curl = optional_peer("curl", "/usr/bin/curl").filter(|_| kinit.has_clients())?;
        Some(Market::open_in(folder, curl, kinit, arguments))
    }

    fn open_in(folder: TempDir, curl: Program, kinit: Family, arguments: &[&str]) -> Market {
        let program = Tool::new(Family::Ours.program("flea_market"));
        let program = program.args(["--gateway", "127.0.0.1:0", "--dir"]).args([folder.path()]).args(arguments);
        let daemon = Daemon::start(program.command(), "Ctrl-C ends it all");
        let log = daemon.log();
        let url = log.split("http://gateway.localhost:").nth(1).and_then(|rest| rest.split('/').next()).expect("a URL");
        let url = format!("http://gateway.localhost:{url}");
        Market { daemon, curl, kinit, folder, url }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program in a shell that has done as the market said.
    fn tool(&self, program: Program) -> Tool {
        let cache = format!("FILE:{}", self.path("ccache").display());
        let tool = Tool::new(program).folder(self.folder.path()).env("HOME", self.folder.path());
        tool.env("KRB5_CONFIG", self.path("realm/krb5.conf")).env("KRB5CCNAME", cache)
    }

    fn try_kinit(&self, user: &str) -> Said {
        let password = read(&self.path(&format!("realm/{user}.password")));
        self.tool(self.kinit.program("kinit")).args([user]).stdin(password).run()
    }

    fn kinit(&self, user: &str) {
        self.try_kinit(user).succeeds();
    }

    fn kadmin(&self, query: &[&str]) {
        let config = self.path("realm/kdc.toml");
        self.tool(Family::Ours.program("kadmin")).args(["--config"]).args([config]).args(query).run().succeeds();
    }

    fn curl(&self, arguments: &[&str], path: &str) -> Answer {
        self.curl_at(arguments, &format!("{}{path}", self.url))
    }

    fn curl_at(&self, arguments: &[&str], url: &str) -> Answer {
        let said = self.tool(self.curl.clone()).args(["-s", "-i"]).args(arguments).args([url]).run().succeeds();
        Answer::parse(said.stdout())
    }

    /// With the ticket of whoever has logged in.
    fn ask(&self, path: &str) -> Answer {
        self.curl(&["--negotiate", "-u", ":"], path)
    }

    /// The same, past the gateway.
    fn ask_at(&self, service: &str, arguments: &[&str], path: &str) -> Answer {
        let address = self.process(service).0;
        let (host, port) = address.split_once(':').expect("an address");
        let resolve = format!("{service}.shop:{port}:{host}");
        let arguments = [&["--negotiate", "-u", ":", "--resolve", &resolve], arguments].concat();
        self.curl_at(&arguments, &format!("http://{service}.shop:{port}{path}"))
    }

    /// The same, with the tickets handed on.
    fn ask_delegating(&self, arguments: &[&str], path: &str) -> Answer {
        self.curl(&[&["--negotiate", "-u", ":", "--delegation", "always"], arguments].concat(), path)
    }

    /// The header of a good request, as somebody sees it who listens on the way.
    fn overheard(&self) -> String {
        let said = self.tool(self.curl.clone()).args(["-s", "-v", "--negotiate", "-u", ":"]);
        let said = said.args([format!("{}/ads", self.url)]).run().succeeds();
        let header =
            said.stderr().lines().find_map(|line| line.strip_prefix("> ").filter(|line| line.starts_with("Auth")));
        header.expect("a header").to_owned()
    }

    fn sell(&self, title: &str) -> Answer {
        self.ask_delegating(&["--json", &json!({ "title": title, "price": 12 }).to_string()], "/ads")
    }

    /// Where a process listens, and its id.
    fn process(&self, name: &str) -> (String, i32) {
        let processes = read(&self.path("processes"));
        let line = processes.lines().find(|line| line.starts_with(&format!("{name} "))).expect("a process");
        let mut words = line.split(' ').skip(1);
        let id = words.next().and_then(|id| id.parse().ok()).expect("a process id");
        (words.next().expect("an address").to_owned(), id)
    }

    fn operations(&self, service: &str, path: &str) -> Answer {
        let processes = read(&self.path("processes"));
        let line = processes.lines().find(|line| line.starts_with(&format!("{service} "))).expect("a process");
        self.curl_at(&[], &format!("http://{}{path}", line.split(' ').nth(3).expect("an address for operators")))
    }

    /// The first line of a service's log with these words, which may still be on its way.
    fn says(&self, service: &str, words: &[&str]) -> Value {
        let file = self.path(&format!("logs/{service}.log"));
        let line = awaited(&format!("{service} to say {words:?}"), || {
            read(&file).lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
        });
        serde_json::from_str(&line).expect("a line of JSON")
    }

    fn kill(&self, process: &str) {
        let id = rustix::process::Pid::from_raw(self.process(process).1).expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::KILL).expect("a living process");
    }
}

impl Answer {
    /// Of the last of the answers that curl got.
    fn parse(text: &str) -> Answer {
        let mut rest = text;
        loop {
            let (headers, body) = rest.split_once("\r\n\r\n").expect("headers and a body");
            if !body.starts_with("HTTP/") {
                let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
                return Answer { status, headers: headers.to_ascii_lowercase(), body: body.to_owned() };
            }
            rest = body;
        }
    }

    #[track_caller]
    fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn trace(&self) -> &str {
        self.header("traceparent").and_then(|header| header.split('-').nth(1)).expect("a trace id")
    }

    /// Service and caller, without the realm, the last service first.
    fn seen(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().expect("text").trim_end_matches("@SHOP.EXAMPLE").to_owned();
        let json = self.json();
        let seen = json["seen"].as_array().expect("a list");
        seen.iter().map(|seen| format!("{} {}", text(&seen["service"]), text(&seen["caller"]))).collect()
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Looks until there is something.
#[track_caller]
fn awaited<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Some(found) => return found,
            None => assert!(started.elapsed() < PATIENCE, "waited in vain for {what}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One test for each kinit.
macro_rules! with_each_kinit {
    ($($name:ident;)*) => {
        mod mit_kinit {
            $(#[test] fn $name() { super::$name(tests::Family::Mit) })*
        }
        mod our_kinit {
            $(#[test] fn $name() { super::$name(tests::Family::Ours) })*
        }
    };
}

with_each_kinit! {
    each_hop_is_somebody_and_the_user_arrives_where_tickets_are_handed_on;
    who_is_locked_out_gets_no_ticket_and_a_session_ends_by_its_own_limit;
}

fn each_hop_is_somebody_and_the_user_arrives_where_tickets_are_handed_on(kinit: Family) {
    let Some(market) = Market::open(kinit, &[]) else { return };
    market.kinit("alice");
    let offers = market.ask("/ads").is(200);
    let services = ["user_service HTTP/ad-service.shop", "ad_service HTTP/gateway.localhost", "gateway alice"];
    assert_eq!(offers.seen(), services);

    let told = market.ask("/ads/mine").is(403).json();
    assert!(told["detail"].as_str().expect("a hint").contains("--delegation always"), "{told}");

    let teapot = market.sell("Teapot").is(201).json();
    assert_eq!(teapot["owner"], "alice@SHOP.EXAMPLE");
    let mine = market.ask_delegating(&[], "/ads/mine").is(200);
    assert_eq!(mine.seen(), ["user_service alice", "ad_service alice", "gateway alice"]);
    assert_eq!((&mine.json()["profile"]["name"], &mine.json()["ads"]), (&json!("alice"), &json!([teapot])));
    // The KDC says of the first two that they may have tickets, and not of the last one.
    let trusted: Vec<_> =
        mine.json()["seen"].as_array().expect("a list").iter().map(|seen| seen["may_act_for_caller"].clone()).collect();
    assert_eq!(trusted, [false, true, true]);

    market.kinit("bob");
    market.sell("Bicycle").is(201);
    let mine = market.ask_delegating(&[], "/ads/mine").is(200).json();
    assert_eq!((&mine["profile"]["name"], mine["ads"].as_array().map(Vec::len)), (&json!("bob"), Some(1)));
    let id = teapot["id"].as_str().expect("an id");
    market.ask_delegating(&["-X", "DELETE"], &format!("/ads/{id}")).is(404);
    market.ask_delegating(&["-X", "DELETE"], "/ads/..%2fme").is(400);
    assert_eq!(market.ask("/ads").is(200).json()["ads"].as_array().map(Vec::len), Some(2));
}

fn who_is_locked_out_gets_no_ticket_and_a_session_ends_by_its_own_limit(kinit: Family) {
    let Some(market) = Market::open(kinit, &["--session-life", "5"]) else { return };
    market.kinit("bob");
    let jar = market.path("jar").display().to_string();
    market.curl(&["--negotiate", "-u", ":", "-c", &jar], "/ads").is(200);
    let delegated = market.path("delegated").display().to_string();
    market.ask_delegating(&["-c", &delegated], "/").is(200);
    market.kadmin(&["modprinc", "-allow_tix", "bob"]);

    let by_cookie = || market.curl(&["-b", &jar], "/ads");
    let still = by_cookie().is(200);
    assert_eq!(market.says("gateway", &[still.trace(), "answered"])["span"]["by"], "session");
    // With what was handed on nothing more is got, though the session lives.
    let nothing_more = market.curl(&["-b", &delegated], "/ads/mine").is(403);
    assert_eq!(nothing_more.json()["title"], "you get no further tickets");
    market.says("ad-service", &[nothing_more.trace(), "revoked"]);

    let over = awaited("the end of the session", || Some(by_cookie()).filter(|answer| answer.status == 401));
    assert_eq!(market.says("gateway", &[over.trace(), "answered"])["span"]["refused"], "session: it has ended");

    let _ = market.try_kinit("bob").fails_with(1).saying("Client's credentials have been revoked");
    market.says("kdc", &["\"exchange\":\"AS\"", "bob@SHOP.EXAMPLE", "KDC_ERR_CLIENT_REVOKED"]);
    let _ = market.tool(kinit.program("kvno")).args(["HTTP/ad-service.shop"]).run().fails_with(1);
    // The ticket that bob had before is good at the gateway until it ends, and opens nothing further.
    market.ask_delegating(&[], "/ads/mine").is(403);
}

#[test]
fn who_shows_a_badge_arrives_as_that_user_as_far_as_the_realm_lets_the_gateway_act() {
    let Some(market) = Market::open(Family::Ours, &[]) else { return };
    let me = |badge: &str| market.curl(&["-H", &format!("Authorization: Badge {badge}")], "/badge/me");
    let badges = ["alice", "bob"].map(|user| read(&market.path(&format!("realm/{user}.badge"))));
    for (user, badge) in ["alice", "bob"].into_iter().zip(&badges) {
        let answer = me(badge).is(200);
        assert_eq!(answer.seen(), [format!("user_service {user}"), format!("gateway badge of {user}")]);
        assert_eq!(answer.json()["profile"]["principal"], format!("{user}@SHOP.EXAMPLE"));
        // It is the ticket that says so to the last service.
        let line = market.says("user-service", &[answer.trace(), "answered"]);
        assert_eq!(line["span"]["caller"], format!("{user}@SHOP.EXAMPLE"));
    }
    let line = market.says("kdc", &["on_behalf_of", "alice@SHOP.EXAMPLE", "HTTP/user-service.shop"]);
    assert_eq!(line["client"], "HTTP/gateway.localhost@SHOP.EXAMPLE");
    me("nobody").is(401);
    market.curl(&[], "/badge/me").is(401);
    // What is held is good until it ends; what the KDC is asked for anew it refuses.
    market.kadmin(&["modprinc", "-allow_tix", "bob"]);
    market.kadmin(&["delstr", "HTTP/gateway.localhost", "allowed_to_delegate_to"]);
    market
        .tool(Family::Ours.program("kinit"))
        .args(["-k", "-t"])
        .args([market.path("gateway/krb5.keytab")])
        .args(["HTTP/gateway.localhost"])
        .run()
        .succeeds();
    let kvno =
        |user: &str| market.tool(Family::Ours.program("kvno")).args(["-I", user, "-P", "HTTP/user-service.shop"]).run();
    let _ = kvno("bob").fails_with(1).saying("revoked");
    let _ = kvno("alice").fails_with(1).saying("KDC can't fulfill requested option");
}

#[test]
fn what_must_not_go_is_refused_and_the_log_says_why() {
    let Some(market) = Market::open(Family::Mit, &[]) else { return };
    market.kinit("alice");
    let refused = |answer: &Answer| {
        let line = market.says("gateway", &[answer.trace(), "answered"]);
        assert_eq!(line["status"], answer.status);
        line["span"]["refused"].as_str().expect("a reason").to_owned()
    };

    let nothing = market.curl(&[], "/ads").is(401);
    assert_eq!((nothing.header("www-authenticate"), refused(&nothing).as_str()), (Some("negotiate"), "no-credentials"));

    // The name in the URL is the one that curl gets a ticket for, wherever it leads.
    let (port, address) = (market.url.rsplit(':').next().expect("a port"), market.process("gateway").0);
    let resolve = format!("ad-service.shop:{port}:{}", address.split(':').next().expect("a host"));
    let url = format!("http://ad-service.shop:{port}/ads");
    let other = market.curl_at(&["--negotiate", "-u", ":", "--resolve", &resolve], &url).is(401);
    assert!(refused(&other).contains("HTTP/ad-service.shop"), "{}", refused(&other));

    let replayed = market.curl(&["-H", &market.overheard()], "/ads").is(401);
    assert!(refused(&replayed).contains("replay"), "{}", refused(&replayed));

    let nonsense = market.curl(&["-H", "Authorization: Negotiate AAAA"], "/ads").is(401);
    assert!(!nonsense.body.contains("AAAA") && !refused(&nonsense).is_empty());

    let page = ["-H", "Origin: http://evil.example", "-d", "title=x&price=1"];
    market.ask_delegating(&page, "/sell").is(403);
    market.says("gateway", &["another site's page"]);
    let long = market.path("long");
    std::fs::write(&long, vec![b'x'; 100_000]).expect("a file");
    let long = format!("@{}", long.display());
    market.ask_delegating(&["--json", &long], "/ads").is(413);
    market.ask_delegating(&["--json", r#"{"title":"a\u0007b","price":1}"#], "/ads").is(422);
}

#[test]
fn one_trace_id_runs_through_all_logs() {
    let Some(market) = Market::open(Family::Mit, &[]) else { return };
    market.kinit("alice");
    for service in SERVICES {
        let line = market.says(service, &[market.ask_delegating(&[], "/ads/mine").is(200).trace(), "answered"]);
        assert_eq!(line["span"]["caller"], "alice@SHOP.EXAMPLE");
    }

    let given = "4bf92f3577b34da6a3ce929d0e0e4736";
    let header = format!("traceparent: 00-{given}-00f067aa0ba902b7-01");
    let answer = market.ask_delegating(&["-H", &header], "/ads/mine").is(200);
    assert_eq!(answer.trace(), given);
    let spans = SERVICES.map(|service| market.says(service, &[given, "answered"])["span"]["span_id"].clone());
    assert!(spans[0] != spans[1] && spans[1] != spans[2] && !spans.contains(&json!("00f067aa0ba902b7")), "{spans:?}");
}

#[test]
fn operators_see_how_it_goes_and_services_outlive_their_kdc() {
    let Some(market) = Market::open(Family::Mit, &[]) else { return };
    market.kinit("alice");
    let ready = |service: &str| market.operations(service, "/readyz");
    let credentials = |answer: &Answer| answer.json()["checks"]["credentials"].clone();
    for service in SERVICES {
        market.operations(service, "/livez").is(200);
        let ready = awaited("tickets", || Some(ready(service)).filter(|answer| answer.status == 200));
        assert_eq!(credentials(&ready)["ok"], true);
    }
    market.ask("/ads").is(200);
    market.curl(&[], "/ads").is(401);
    for path in ["/livez", "/readyz", "/metrics"] {
        market.curl(&[], path).is(404);
    }
    let metrics = market.operations("gateway", "/metrics").is(200).body;
    for line in [
        "http_requests_total{route=\"/ads\",method=\"GET\",status=\"200\"} 1",
        "http_request_duration_seconds_bucket{route=\"/ads\",method=\"GET\",le=\"+Inf\"} 2",
        "http_requests_in_flight 0",
        "http_calls_total{to=\"ad_service\",status=\"200\"} 1",
        "callers_total{outcome=\"ticket\",reason=\"\"} 1",
        "callers_total{outcome=\"refused\",reason=\"no-credentials\"} 1",
        "krb_credentials_as_exchanges_total 1",
        "krb_credentials_failed_attempts 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in {metrics}");
    }

    // Between services it is not a ticket each time.
    market.ask("/ads").is(200);
    let line = "callers_total{outcome=\"session\",reason=\"\"} 1";
    let metrics = market.operations("ad-service", "/metrics").body;
    assert!(metrics.lines().any(|found| found == line), "no {line} in {metrics}");

    let address = market.process("kdc").0;
    market.kill("kdc");
    awaited("the news", || market.daemon.log().contains("kdc has ended").then_some(()));
    market.ask("/ads").is(200);
    assert_eq!(credentials(&ready("gateway").is(200))["ok"], true);

    // One that starts now lives, and is ready when there is a KDC again.
    let late = Replica::start(&market, "user-service", &[]);
    market.curl_at(&[], &late.operations("/livez")).is(200);
    let unready = market.curl_at(&[], &late.operations("/readyz")).is(503);
    assert_eq!(credentials(&unready)["ok"], false);
    let kdc = market.tool(Family::Ours.program("flea_market")).args(["kdc", "--listen", &address, "--dir"]);
    let _kdc = Daemon::start(kdc.args([market.folder.path()]).command(), "listening on ");
    awaited("tickets", || Some(market.curl_at(&[], &late.operations("/readyz"))).filter(|answer| answer.status == 200));
}

/// A further process of a service.
struct Replica {
    daemon: Daemon,
    _data: TempDir,
}

impl Replica {
    fn start(market: &Market, service: &str, arguments: &[&str]) -> Replica {
        let data = tempfile::tempdir().expect("a temporary folder");
        let keytab = market.path(&format!("{service}/krb5.keytab"));
        let domain = if service == "gateway" { "localhost" } else { "shop" };
        let program = market.tool(Family::Ours.program("flea_market")).args([service, "--keytab"]).args([keytab]);
        let program = program.args(["--principal", &format!("HTTP/{service}.{domain}@SHOP.EXAMPLE"), "--data"]);
        let daemon = Daemon::start(program.args([data.path()]).args(arguments).command(), "listening on ");
        Replica { daemon, _data: data }
    }

    fn url(&self, path: &str) -> String {
        self.url_of("listening on ", path)
    }

    fn operations(&self, path: &str) -> String {
        self.url_of("operations on ", path)
    }

    fn url_of(&self, said: &str, path: &str) -> String {
        let log = self.daemon.log();
        let address = log.lines().find_map(|line| line.strip_prefix(said)).expect("an address");
        format!("http://{address}{path}")
    }
}

#[test]
fn a_service_that_is_told_to_end_answers_nothing_new_and_leaves_nobody_behind() {
    let Some(mut market) = Market::open(Family::Mit, &[]) else { return };
    market.kinit("alice");
    market.sell("Teapot").is(201);
    let ids = SERVICES.map(|service| market.process(service).1);
    let interrupt = rustix::process::Pid::from_raw(market.daemon.pid() as i32).expect("a process id");
    rustix::process::kill_process(interrupt, rustix::process::Signal::INT).expect("a living market");
    awaited("the end of all", || ids.iter().all(|id| !Path::new(&format!("/proc/{id}")).exists()).then_some(()));
    assert!(market.daemon.stop().success());

    // Who comes back to a folder that was kept finds it as it was.
    let Market { folder, curl, kinit, .. } = market;
    let market = Market::open_in(folder, curl, kinit, &[]);
    let ads = market.ask("/ads").is(200).json();
    assert_eq!(ads["ads"][0]["title"], "Teapot");

    // Also who is killed leaves nobody behind.
    let ids = SERVICES.map(|service| market.process(service).1);
    let mut daemon = market.daemon;
    daemon.kill();
    awaited("the end of all", || ids.iter().all(|id| !Path::new(&format!("/proc/{id}")).exists()).then_some(()));
}

#[test]
fn keys_change_on_disk_while_services_run() {
    let Some(market) = Market::open(Family::Mit, &[]) else { return };
    market.kinit("alice");
    market.ask_delegating(&[], "/ads/mine").is(200);
    for (service, principal) in [
        ("gateway", "HTTP/gateway.localhost"),
        ("ad-service", "HTTP/ad-service.shop"),
        ("user-service", "HTTP/user-service.shop"),
    ] {
        let keytab = market.path(&format!("{service}/krb5.keytab")).display().to_string();
        market.kadmin(&["ktadd", "-k", &keytab, principal]);
    }
    // With the old ticket, and with a new one, which the gateway may refuse once.
    market.ask_delegating(&[], "/ads/mine").is(200);
    for user in ["alice", "bob"] {
        market.kinit(user);
        awaited("the new keys", || Some(market.ask_delegating(&[], "/ads/mine")).filter(|answer| answer.status != 401))
            .is(200);
    }
    let metrics = market.operations("gateway", "/metrics").body;
    assert!(metrics.lines().any(|line| line == "krb_credentials_reloads_total 1"), "{metrics}");
}

#[test]
fn a_service_in_its_own_name_gets_what_its_role_allows_and_no_more() {
    let Some(market) = Market::open(Family::Mit, &[]) else { return };
    market.kinit("alice");
    market.sell("Teapot").is(201);
    let me = market.ask_at("user-service", &[], "/me").is(200).json();
    assert_eq!(me["profile"]["name"], "alice");

    let log_in = |service: &str, principal: &str| {
        let keytab = market.path(&format!("{service}/krb5.keytab"));
        market.tool(Family::Mit.program("kinit")).args(["-k", "-t"]).args([keytab]).args([principal]).run().succeeds();
    };
    let denied = |service: &str, answer: Answer| {
        let line = market.says(service, &[answer.is(403).trace(), "answered"]);
        line["span"]["refused"].as_str().expect("a reason").to_owned()
    };
    log_in("gateway", "HTTP/gateway.localhost");
    market.ask_at("ad-service", &[], "/ads").is(200);
    for (service, arguments, path, reason) in [
        ("ad-service", &[][..], "/ads/mine", "none of the roles user"),
        ("ad-service", &["--json", r#"{"title":"Vase","price":1}"#], "/ads", "none of the roles seller"),
        ("user-service", &["--json", "[]"], "/sellers", "no rule allows it"),
        ("gateway", &[], "/ads", "no rule allows it"),
    ] {
        let answer = match service {
            "gateway" => market.ask(path),
            service => market.ask_at(service, arguments, path),
        };
        assert!(denied(service, answer).contains(reason), "{service} {path}");
    }
    log_in("ad-service", "HTTP/ad-service.shop");
    let sellers =
        market.ask_at("user-service", &["--json", r#"["alice@SHOP.EXAMPLE","bob@SHOP.EXAMPLE"]"#], "/sellers");
    assert_eq!(sellers.is(200).json()["sellers"].as_array().map(Vec::len), Some(1), "bob has never been here");
    assert!(denied("user-service", market.ask_at("user-service", &[], "/me")).contains("none of the roles user"));
}

#[test]
fn a_replay_is_known_to_a_service_that_was_started_again() {
    let Some(market) = Market::open(Family::Mit, &["--replay-files"]) else { return };
    market.kinit("alice");
    let token = market.overheard();
    market.curl(&["-H", &token], "/ads").is(401);
    let Market { folder, curl, kinit, mut daemon, .. } = market;
    assert!(daemon.stop().success());
    let market = Market::open_in(folder, curl, kinit, &["--replay-files"]);
    let replayed = market.curl(&["-H", &token], "/ads").is(401);
    let line = market.says("gateway", &[replayed.trace(), "answered"]);
    assert!(line["span"]["refused"].as_str().expect("a reason").contains("replay"), "{line}");
}

#[test]
fn replicas_share_in_redis_what_they_have_seen_and_refuse_while_it_is_away() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let Some(market) = Market::open(Family::Mit, &["--redis", &redis.url()]) else { return };
    market.kinit("alice");
    let jar = market.path("jar").display().to_string();
    market.curl(&["--negotiate", "-u", ":", "-c", &jar], "/ads").is(200);
    let token = market.overheard();
    let replica = Replica::start(&market, "gateway", &["--redis", &redis.url(), "--ad-service", "http://127.0.0.1:1"]);
    let replayed = market.curl_at(&["-H", &token], &replica.url("/ads")).is(401);
    assert!(replica.daemon.log().contains("Request is a replay"), "{replayed:?}");

    redis.kill();
    let ready = |status| {
        awaited("the news", || Some(market.operations("gateway", "/readyz")).filter(|answer| answer.status == status))
    };
    assert_eq!(ready(503).json()["checks"]["replay cache"]["is"], "Redis does not answer");
    market.ask("/ads").is(503);
    market.curl(&["-b", &jar], "/ads").is(200);
    redis.restart();
    ready(200);
    awaited("tickets to be taken", || Some(market.ask("/ads")).filter(|answer| answer.status == 200));
    market.curl(&["-H", &token], "/ads").is(401);
    market.says("gateway", &["the replay cache cannot be asked"]);
}

#[test]
fn browsers_get_a_page_in_which_nothing_is_run() {
    let Some(market) = Market::open(Family::Mit, &[]) else { return };
    market.kinit("alice");
    let form = ["-d", "title=<b>Vase</b>&price=7"];
    let sold = market.ask_delegating(&form, "/sell").is(303);
    assert_eq!(sold.header("location"), Some("/"));
    let page = market.ask_delegating(&[], "/").is(200);
    for part in
        ["You are <b>alice@SHOP.EXAMPLE</b>", "&lt;b&gt;Vase&lt;/b&gt;", "7 €", "gateway saw alice", "Take back"]
    {
        assert!(page.body.contains(part), "no {part} in {}", page.body);
    }
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
    assert!(market.ask("/").is(200).body.contains("--delegation always"));
    market.curl(&[], "/market.css").is(200);
}

#[test]
fn a_browser_shows_the_page_with_what_is_its_users() {
    let Some(market) = Market::open(Family::Mit, &[]) else { return };
    let Some(chromium) = optional_peer("Chromium", "/usr/bin/chromium") else { return };
    market.kinit("alice");
    market.sell("Teapot").is(201);
    let profile = format!("--user-data-dir={}", market.path("chromium").display());
    let chromium =
        market.tool(chromium).args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    let chromium = chromium.args([profile.as_str(), "--no-first-run", "--auth-server-allowlist=*.localhost"]);
    let page = chromium.args(["--dump-dom", &format!("{}/", market.url)]).run().succeeds();
    for part in ["alice@SHOP.EXAMPLE", "Teapot", "Take back", "ad_service saw alice@SHOP.EXAMPLE"] {
        assert!(page.stdout().contains(part), "no {part} in {}", page.stdout());
    }
}

#[test]
fn the_self_check_goes_well() {
    let program = Tool::new(Family::Ours.program("flea_market")).args(["--once", "--gateway", "127.0.0.1:0"]);
    let said = program.run().succeeds();
    for part in ["a ticket for another service", "one trace id", "the same token twice", "bob, locked out"] {
        assert!(said.stdout().contains(part), "{}", said.stdout());
    }
}
