//! The doors of administration as programs find them: the same answers at both, whoever asks rightly
//! served at the one over TLS, and nobody else.

mod described;
mod middle;
mod place;
mod renewed;

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use tests::Heard;
use tests::caller::{curl, curls_answer};

use middle::Middle;
use place::*;

/// Both doors, asked the same with names of their own: `NAME` stands for one that the other has not.
fn same(said: &Heard, name: &str) -> String {
    let both = format!("{}{}", said.stdout(), said.stderr());
    let dated = both.lines().filter(|line| {
        !line.contains("modified")
            && !line.contains(" is used from ")
            && !line.contains("Last ")
            && !line.contains("revision")
            && !line.contains("otpauth://")
    });
    // A token is listed with the second in which it was made.
    let dated = dated.map(|line| line.split(", since ").next().unwrap_or_default());
    dated.map(|line| line.replace(name, "NAME") + "\n").collect()
}

/// Queries that reach every operation which kadmin has, and refusals of several kinds.
fn queries(name: &str) -> String {
    [
        "addprinc -randkey NAME/a",
        "addprinc -randkey NAME/a",
        "addprinc -pw secret -policy NAMEpol NAME/b",
        "addpol -minlength 8 NAMEpol",
        "addprinc -pw secret -policy NAMEpol NAME/b",
        "addprinc -pw 'longer than eight' -policy NAMEpol NAME/b",
        "getprinc NAME/b",
        "otp add -noqr NAME/b",
        "otp add -noqr NAME/b",
        "otp list NAME/b",
        "otp del NAME/b phone",
        "otp del NAME/b phone",
        "otp list NAME/b",
        "getprinc -terse NAME/nobody",
        "modprinc -maxlife 1h -unlock NAME/a",
        "cpw -randkey -keepold NAME/a",
        "getprinc NAME/a",
        "purgekeys NAME/a",
        "rotate_keys -announce 1h NAME/a",
        "setstr NAME/a key 'a value'",
        "getstrs NAME/a",
        "delstr NAME/a key",
        "getstrs NAME/a",
        "add_alias NAME/c NAME/a",
        "delprinc -force NAME/c",
        "renprinc -force NAME/a NAME/d",
        "listprincs NAME/*",
        "ktadd -k NAME.keytab NAME/d",
        "ktadd -k NAME.keytab -norandkey NAME/d",
        "modprinc +lockdown_keys NAME/d",
        "ktadd -k NAME.keytab -norandkey NAME/d",
        "delprinc -force NAME/d",
        "modpol -history 3 NAMEpol",
        "getpol NAMEpol",
        "listpols NAME*",
        "delpol -force NAMEpol",
        "delprinc -force NAME/b",
        "delpol -force NAMEpol",
        "getpol NAMEpol",
        "getprivs",
    ]
    .join("\n")
    .replace("NAME", name)
        + "\n"
}

#[test]
fn every_query_has_the_same_answer_at_both_doors() {
    let place = Place::new("");
    let seat = place.seat();
    let here = place.here(&seat).stdin(queries("near")).run().fails_with(1);
    let there = format!("{PASSWORD}\n{}", queries("away"));
    let there = place.away(&seat).args(["-p", BOSS]).stdin(there).run().fails_with(1);
    let (here, there) = (same(&here, "near"), same(&there, "away"));
    assert!(here.contains("Principal \"NAME/b@EXAMPLE.ORG\" created.") && here.contains("locked down"), "{here}");
    assert_eq!(here, there);
    // What is locked down stays so from afar.
    let unlock = ["-p", BOSS, "modprinc", "-lockdown_keys", "away/d"];
    place.away(&seat).args(unlock).stdin(format!("{PASSWORD}\n")).run().fails_with(1).saying("locked down");
    place.here(&seat).args(["modprinc", "-lockdown_keys", "away/d"]).run().succeeds();
}

#[test]
fn every_resource_has_the_same_answer_at_both_doors() {
    let place = Place::lenient();
    let seat = place.seat();
    seat.kinit(&[BOSS], PASSWORD).succeeds();
    let ask = |there: bool, method: &str, path: &str, body: Option<&Value>| {
        let body = body.map(|body| {
            vec!["--header".into(), "content-type: application/json".into(), "--data".into(), body.to_string()]
        });
        let tool = curl(&seat)?
            .args(["--request", method, "--cacert"])
            .args([place.file("ca.pem")])
            .args(body.unwrap_or_default());
        let tool = match there {
            true => tool.args([place.url(path)]),
            false => {
                tool.args(["--unix-socket"]).args([place.file("admin.sock")]).args([format!("http://localhost{path}")])
            }
        };
        let answer = curls_answer(&tool.run().succeeds());
        let body: Value = serde_json::from_str(&answer.page).unwrap_or_default();
        Some((answer.status.expect("a status"), body))
    };
    let at = |rest: &str| format!("/v1/principals/NAME%2Fx{rest}");
    let keys = json!({ "random": [] });
    let batch = |last: Value| {
        let create = |name: &str| json!({ "create": { "principal": name, "keys": keys } });
        json!({ "operations": [create("NAME/p"), create("NAME/q"), last] })
    };
    let token = json!({ "token": { "name": "phone", "secret": "00".repeat(20) } });
    let good = json!({ "delete": { "principal": "NAME/p" } });
    let bad = json!({ "delete": { "principal": "NAME/nobody" } });
    for (method, path, body, status) in [
        ("GET", "/v1/openapi.json".into(), None, 200),
        ("GET", "/v1/privileges".into(), None, 200),
        ("GET", "/v1/master-key".into(), None, 200),
        ("POST", "/v1/principals".into(), Some(json!({ "principal": "NAME/x", "keys": keys })), 201),
        ("POST", "/v1/principals".into(), Some(json!({ "principal": "NAME/x", "keys": keys })), 409),
        ("PUT", at(""), Some(json!({ "keys": keys })), 200),
        ("PUT", at(""), Some(json!({ "keys": "keyless" })), 409),
        ("GET", at(""), None, 200),
        ("PATCH", at(""), Some(json!({ "settings": { "max_life": 60 } })), 204),
        ("POST", at("/aliases"), Some(json!({ "alias": "NAME/y" })), 204),
        ("POST", at("/keys"), Some(json!({ "keys": keys, "keep_old": true })), 204),
        ("POST", at("/keys/purge"), Some(json!({ "keep": "newest" })), 204),
        ("POST", at("/keys/rotate"), Some(json!({ "announce": 60 })), 200),
        ("POST", at("/keys/extract"), Some(json!({})), 200),
        ("PUT", at("/strings/a"), Some(json!({ "value": "b" })), 204),
        ("GET", at("/strings"), None, 200),
        ("DELETE", at("/strings/a"), None, 204),
        ("POST", at("/tokens"), Some(token.clone()), 204),
        ("POST", at("/tokens"), Some(token), 409),
        ("POST", at("/tokens"), Some(json!({ "token": { "name": "short", "secret": "00" } })), 422),
        ("DELETE", at("/tokens/phone"), None, 204),
        ("DELETE", at("/tokens/phone"), None, 404),
        ("POST", at("/rename"), Some(json!({ "to": "NAME/z" })), 204),
        ("GET", at(""), None, 404),
        ("GET", "/v1/principals?pattern=NAME/*&limit=500".into(), None, 200),
        ("POST", "/v1/batch".into(), Some(batch(bad)), 404),
        ("GET", "/v1/principals?pattern=NAME/*&limit=500".into(), None, 200),
        ("POST", "/v1/batch".into(), Some(batch(good)), 200),
        ("DELETE", "/v1/principals/NAME%2Fz".into(), None, 204),
        ("POST", "/v1/policies".into(), Some(json!({ "name": "NAME" })), 201),
        ("GET", "/v1/policies?pattern=NAME*".into(), None, 200),
        ("PATCH", "/v1/policies/NAME".into(), Some(json!({ "rules": { "max_life": 60 } })), 204),
        ("GET", "/v1/policies/NAME".into(), None, 200),
        ("DELETE", "/v1/policies/NAME".into(), None, 204),
        ("GET", "/v1/nothing".into(), None, 404),
        ("POST", "/v1/status".into(), Some(json!({})), 405),
    ] {
        let mut answers = vec![];
        for (there, name) in [(false, "near0"), (true, "afar0")] {
            let body = body
                .as_ref()
                .map(|body| serde_json::from_str::<Value>(&body.to_string().replace("NAME", name)).expect("JSON"));
            let Some((found, said)) = ask(there, method, &path.replace("NAME", name), body.as_ref()) else { return };
            assert_eq!(found, status, "{method} {path} {name}: {said}");
            answers.push(said.to_string().replace(name, "NAME"));
        }
        let fleeting = path.ends_with("/status") || path.ends_with("/extract") || path.ends_with("/rotate");
        if !fleeting && !answers[0].contains("revision") {
            assert_eq!(answers[0], answers[1], "{method} {path}");
        }
    }
    // Steering the KDC, and copying the store, is for who has the realm's files.
    for (method, path, body) in
        [("POST", "/v1/reload", Some(json!({}))), ("POST", "/v1/restart", Some(json!({}))), ("GET", "/v1/dump", None)]
    {
        assert_eq!(ask(true, method, path, body.as_ref()).expect("curl").0, 403, "{path}");
    }
    assert_eq!(ask(false, "GET", "/v1/dump", None).expect("curl").0, 200);
    assert_eq!(ask(false, "POST", "/v1/reload", Some(&json!({}))).expect("curl").0, 204);
}

#[test]
fn who_comes_from_afar_has_the_rights_of_the_list_and_its_own() {
    let place = Place::new("");
    let seat = place.seat();
    let as_alice = |words: &[&str], input: &str| place.away(&seat).args(["-p", "alice"]).args(words).stdin(input).run();
    as_alice(&["getprivs"], "secret\n").succeeds().saying("current privileges:\n");
    as_alice(&["getprinc", "alice"], "secret\n").succeeds().saying("Principal: alice@EXAMPLE.ORG");
    let refused = as_alice(&["getprinc", BOSS], "secret\n").fails_with(1);
    refused.saying("get_principal: Operation requires ``get'' privilege while retrieving");
    as_alice(&["listprincs"], "secret\n").fails_with(1).saying("``list''");
    as_alice(&["getprinc", "alice"], "wrong\n").fails_with(1).saying("Password incorrect");
    // The ticket of a cache is no fresh proof.
    seat.kinit(&["alice"], "secret").succeeds();
    let cached = |words: &[&str], input: &str| {
        place
            .away(&seat)
            .args(["-c"])
            .args([format!("FILE:{}", seat.ccache().display())])
            .args(words)
            .stdin(input)
            .run()
    };
    cached(&["getprinc", "alice"], "").succeeds();
    cached(&["cpw", "alice"], "a new secret\n").fails_with(1).saying("requires initial ticket");
    as_alice(&["cpw", "alice"], "secret\na new secret\n").succeeds();
    as_alice(&["getprinc", "alice"], "a new secret\n").succeeds();
    let keytab = place.realm.keytab(BOSS);
    let by_key = place.away(&seat).args(["-k", "-t"]).args([&keytab]).args(["-p", BOSS, "getprinc", "alice"]);
    by_key.run().succeeds().saying(&format!("({BOSS}@EXAMPLE.ORG)").replace(BOSS, "alice"));
    // Who is locked out is, whatever tickets there are.
    seat.kinit_with(&keytab, &[BOSS]).succeeds();
    cached(&["listprincs"], "").succeeds();
    place.realm.modify(BOSS, &["-allow_tix"]);
    cached(&["listprincs"], "").fails_with(1);
}

#[test]
fn answers_for_programs_are_json_and_hold_no_key() {
    let place = Place::new("");
    let seat = place.seat();
    let input = format!(
        "{PASSWORD}\naddprinc -randkey x\ngetprinc x\nktadd -k x.keytab x\ngetprinc nobody\nlistprincs\nbadly said\n?\n"
    );
    let said = place.away(&seat).args(["-p", BOSS, "--json"]).stdin(input).run().fails_with(1);
    let lines: Vec<Value> = said.stdout().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let done: Vec<_> = lines.iter().map(|line| line["done"].as_bool().expect("done")).collect();
    assert_eq!(done, [true, true, true, false, true, false, true]);
    assert_eq!(lines[1]["answers"][0]["principal"]["principal"], "x@EXAMPLE.ORG");
    assert_eq!(lines[3]["refusal"]["reason"], "missing");
    assert!(lines[4]["answers"][0]["names"]["names"].as_array().is_some_and(|names| names.len() > 4));
    let entry =
        lines[2]["answers"].as_array().expect("answers").iter().find_map(|answer| answer.get("keys")).expect("keys");
    assert!(entry["keys"][0]["kvno"].is_number() && entry["keys"][0].get("key").is_none(), "{entry}");
}

#[test]
fn only_tickets_that_are_bound_to_the_connection_are_taken_unless_said_otherwise() {
    let place = Place::new("");
    let seat = place.seat();
    seat.kinit(&[BOSS], PASSWORD).succeeds();
    let Some(curl) = curl(&seat) else { return };
    let answer = curls_answer(
        &curl.args(["--cacert"]).args([place.file("ca.pem")]).args([place.url("/v1/principals")]).run().succeeds(),
    );
    assert_eq!(answer.status, Some(401), "{answer:?}");
    // Somebody in the middle, whom the client believes to be the host, can't pass its ticket on.
    let middle = Middle::start(&place);
    let listed = |port| place.at(port, &seat).args(["-p", BOSS, "listprincs"]).stdin(format!("{PASSWORD}\n")).run();
    listed(place.port.number()).succeeds();
    listed(middle.port.number()).fails_with(1).saying("does not take the ticket for HTTP/localhost@EXAMPLE.ORG");
}

#[test]
fn certificates_stand_for_the_principals_that_the_settings_give_them() {
    let place = Place::new("");
    let seat = place.seat();
    let ask = |identity: &Identity| {
        let certificate = seat.write("client.pem", &identity.certificate);
        let key = seat.write("client-key.pem", &identity.key);
        let tool = curl(&seat)?.args(["--cacert"]).args([place.file("ca.pem")]).args(["--cert"]).args([certificate]);
        Some(tool.args(["--key"]).args([key]).args([place.url("/v1/principals?limit=1")]).run())
    };
    let Some(known) = ask(&place.authority.sign("ci.example.org")) else { return };
    let answer = curls_answer(&known.succeeds());
    assert_eq!(answer.status, Some(200), "{answer:?}");
    for other in ["other.example.org", "ci.example.org.evil.org", "*.example.org"] {
        let answer = curls_answer(&ask(&place.authority.sign(other)).expect("curl").succeeds());
        assert_eq!(answer.status, Some(401), "{other}: {answer:?}");
    }
    // Of another authority.
    ask(&Authority::new().sign("ci.example.org")).expect("curl").fails();
    place.realm.modify("ci/admin", &["-allow_tix"]);
    let answer = curls_answer(&ask(&place.authority.sign("ci.example.org")).expect("curl").succeeds());
    assert_eq!(answer.status, Some(403), "{answer:?}");
}

#[test]
fn a_server_that_is_not_the_one_is_told_nothing() {
    let place = Place::new("");
    let seat = place.seat();
    let unknown =
        seat.tool("kadmin").args(["-s", &format!("localhost:{}", place.port.number()), "-p", BOSS, "listprincs"]);
    unknown.stdin(format!("{PASSWORD}\n")).run().fails_with(1).saying("--ca names the authority");
    let named = place.away(&seat).args(["-s", &format!("127.0.0.1:{}", place.port.number())]);
    named.args(["-p", BOSS, "listprincs"]).stdin(format!("{PASSWORD}\n")).run().fails();
}

#[test]
fn new_keys_of_the_service_are_used_at_once() {
    let place = Place::new("");
    let seat = place.seat();
    let listed = || place.away(&seat).args(["-p", BOSS, "listprincs"]).stdin(format!("{PASSWORD}\n")).run();
    listed().succeeds();
    place.realm.query(&["cpw", "-randkey", "HTTP/localhost"]);
    listed().succeeds();
    place.realm.query(&["delprinc", "HTTP/localhost"]);
    place.realm.query(&["addprinc", "-randkey", "HTTP/localhost"]);
    listed().succeeds();
}

#[test]
fn what_is_too_long_or_too_slow_is_turned_away_and_others_are_served() {
    let place = Place::lenient();
    let seat = place.seat();
    // As many as one address may have say nothing.
    let silent: Vec<_> = (0..32).map(|_| TcpStream::connect(place.port.address()).expect("connected")).collect();
    let hung_up = |mut stream: &TcpStream| {
        let mut said = vec![];
        stream.read_to_end(&mut said).map(|_| said.is_empty()).unwrap_or(true)
    };
    let mut more = TcpStream::connect(place.port.address()).expect("connected");
    let _ = more.write_all(b"\x16\x03\x01");
    assert!(hung_up(&more), "one more was served");
    // Their time ends by itself, and what they had is free again.
    assert!(silent.iter().all(hung_up));
    seat.kinit(&[BOSS], PASSWORD).succeeds();
    let Some(tool) = curl(&seat) else { return };
    let long = seat.write("long", &" ".repeat((1 << 20) + 1));
    let tool =
        tool.args(["--cacert"]).args([place.file("ca.pem")]).args(["--header", "content-type: application/json"]);
    let body =
        tool.clone().args(["--data-binary", &format!("@{}", long.display())]).args([place.url("/v1/principals")]);
    assert_eq!(curls_answer(&body.run().succeeds()).status, Some(413));
    let head = tool.clone().args(["--header", &format!("x: {}", "y".repeat(120_000))]);
    assert_eq!(
        curls_answer(&head.args([place.url(&format!("/v1/principals?{}", "z".repeat(20_000)))]).run().succeeds())
            .status,
        Some(431)
    );
    assert_eq!(curls_answer(&tool.args([place.url("/v1/principals")]).run().succeeds()).status, Some(200));
}

#[test]
fn c5_a_name_that_begins_with_a_dash_is_a_name_and_a_password_has_no_option() {
    let place = Place::new("");
    let seat = place.seat();
    for name in ["-x", "-randkey", "--config", "-q"] {
        place.here(&seat).args(["addprinc", "-randkey", name]).run().succeeds();
        place.here(&seat).args(["getprinc", name]).run().succeeds().saying(&format!("Principal: {name}@EXAMPLE.ORG"));
        let away = place.away(&seat).args(["-p", BOSS, "getprinc", name]).stdin(format!("{PASSWORD}\n")).run();
        away.succeeds().saying(&format!("Principal: {name}@EXAMPLE.ORG"));
        place.here(&seat).args(["delprinc", name]).run().succeeds();
    }
    let on_the_line =
        place.away(&seat).args(["-p", BOSS, "-w", "hunter2", "listprincs"]).stdin(format!("{PASSWORD}\n"));
    on_the_line.run().fails_with(1).saying("Command not found -w").not_saying("hunter2");
    // What another user reads in the list of processes, or in a log.
    assert!(!place.realm.log().contains(PASSWORD) && !seat.trace().contains(PASSWORD));
}
