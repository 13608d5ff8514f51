//! Recorded AS exchanges of MIT and Heimdal, with this client in the place of theirs.

use serde_json::Value;

use super::*;
use crate::ccache::{Ccache, Credential};

/// The AS exchanges of each scenario that go without FAST, SPAKE and PKINIT.
fn scenarios(file: &Value) -> Vec<Vec<&Value>> {
    let plain = |exchange: &&Value| {
        let kinds = exchange["request_padata_types"].as_array().cloned().unwrap_or_default();
        exchange["request_type"] == "AS-REQ"
            && !kinds.iter().any(|kind| [16, 136, 151].contains(&kind.as_i64().unwrap()))
    };
    let same = |a: &Value, b: &Value| {
        let (a_bytes, b_bytes) = (hex(&a["request"]), hex(&b["request"]));
        a["scenario"] == b["scenario"] && asked_server(&read(&a_bytes)) == asked_server(&read(&b_bytes))
    };
    let mut scenarios: Vec<Vec<&Value>> = vec![];
    for exchange in exchanges(file).iter().filter(plain) {
        match scenarios.last_mut() {
            Some(last) if same(last[0], exchange) => last.push(exchange),
            _ => scenarios.push(vec![exchange]),
        }
    }
    scenarios
}

/// The KDC's clock during a scenario: what the last reply says.
fn clock(scenario: &[&Value]) -> Time {
    let last = scenario[scenario.len() - 1];
    let Some(part) = step(last, "AS-REP enc-part") else {
        return Refusal::read(&hex(&last["reply"])).unwrap().clock.time;
    };
    wire::decode::<EncKdcRepPart<'_>>(&hex(&part["plaintext"])).unwrap().auth_time
}

/// Our request that at `now` says the same as a recorded one.
fn same_request(recorded: &[u8], now: Time) -> AsRequest {
    let body = *read(recorded).body;
    let client = body.client.unwrap().principal(body.realm).unwrap();
    let begin = body.from.unwrap_or(now);
    let mut request = AsRequest::new(client);
    request.server = body.server.map(|server| server.principal(body.realm).unwrap());
    let derived = KdcOptions::RENEWABLE | KdcOptions::POSTDATED | KdcOptions::ALLOW_POSTDATE;
    request.options = body.options & !derived;
    request.lifetime = Some(body.till - begin);
    request.renewable_for = body.renew_till.map(|till| till - begin);
    request.start_in = body.from.map(|from| from - now);
    request.etypes = body.etypes.iter().collect();
    request.follow_clock = false;
    request
}

/// Gives the recorded replies to our exchange, which draws the recorded nonces.
fn replay(scenario: &[&Value], secret: Secret, same_bodies: bool) -> Result<Outcome> {
    let now = clock(scenario);
    let request = same_request(&hex(&scenario[0]["request"]), now);
    // The recorded clients were told to use no SPAKE here.
    let means = Means { preferred: vec![PaType::ENC_TIMESTAMP], ..Means::default() };
    let mut exchange = AsExchange::with_means(request, secret, means);
    let now = Instant { time: now, micros: 999_999 };
    let mut reply: Option<Vec<u8>> = None;
    for recorded in scenario {
        let theirs = hex(&recorded["request"]);
        let nonce = read(&theirs).body.nonce.to_be_bytes().to_vec();
        match exchange.step(now, &mut Script(nonce), reply.as_deref()) {
            Ok(Step::Send { message, .. }) if same_bodies => {
                assert_eq!(read(&message).body.der, read(&theirs).body.der)
            }
            Ok(Step::Send { .. }) => (),
            Ok(Step::Done(outcome)) => return Ok(*outcome),
            Err(error) => return Err(error),
        }
        // The KDC vouches for what MIT's client sent, not for what we would have.
        exchange.sent.as_mut().unwrap().message = theirs;
        reply = Some(hex(&recorded["reply"]));
    }
    match exchange.step(now, &mut OsRandom::new(), reply.as_deref()) {
        Ok(Step::Done(outcome)) => Ok(*outcome),
        Ok(Step::Send { .. }) => panic!("another message after the last one recorded"),
        Err(error) => Err(error),
    }
}

/// What the recorded client kept instead of this credential.
fn stored(file: &Value, scenario: &Value, ours: &Credential) -> Option<Credential> {
    let run = file["runs"].as_array()?.iter().find(|run| run["name"] == *scenario)?;
    run["ccache_after"].as_str()?;
    let cache = Ccache::parse(&hex(&run["ccache_after"])).unwrap();
    cache.tickets().find(|ticket| ticket.server == ours.server && ticket.client == ours.client).cloned()
}

#[test]
fn what_a_recorded_kdc_answers_is_what_the_recorded_client_kept() {
    let (mut done, mut compared) = (0, 0);
    for (file, mit) in [(transcripts("mit"), true), (transcripts("heimdal"), false)] {
        for scenario in scenarios(&file) {
            let Some(part) = step(scenario[scenario.len() - 1], "AS-REP enc-part") else { continue };
            // A key for every enctype, so that each is offered, of which one is right.
            let right = step_key(part);
            let others = SUPPORTED.iter().filter(|etype| **etype != right.etype());
            let keys = others.map(|etype| (1, key(*etype, 1))).chain([(1, right.clone())]);
            let (secret, name) = (Secret::Keys(keys.collect()), &scenario[0]["scenario"]);
            let outcome = replay(&scenario, secret, mit).unwrap_or_else(|error| panic!("{name}: {error}"));
            let plain = hex(&part["plaintext"]);
            let told: EncKdcRepPart<'_> = wire::decode(&plain).unwrap();
            assert_eq!(*outcome.credential.key.bytes, told.key.value, "{name}");
            assert_eq!(outcome.credential.end_time, told.end_time, "{name}");
            assert!(outcome.fast_available, "{name}");
            if let Some(stored) = stored(&file, name, &outcome.credential) {
                assert_eq!(outcome.credential, stored, "{name}");
                compared += 1;
            }
            done += 1;
        }
    }
    assert!(done >= 19 && compared >= 10, "{done} {compared}");
}

#[test]
fn the_recorded_passwords_open_the_recorded_replies() {
    let mut done = 0;
    for file in [transcripts("mit"), transcripts("heimdal")] {
        for scenario in scenarios(&file).into_iter().filter(|s| step(s[s.len() - 1], "AS-REP enc-part").is_some()) {
            let request = same_request(&hex(&scenario[0]["request"]), clock(&scenario));
            let password = &file["passwords"][request.client.without_realm().to_string()];
            let Some(password) = password.as_str() else { continue };
            let outcome = replay(&scenario, Secret::password(password), false);
            assert!(outcome.is_ok(), "{}: {outcome:?}", scenario[0]["scenario"]);
            done += 1;
        }
    }
    assert!(done >= 10, "{done}");
}

#[test]
fn recorded_refusals_mean_what_the_recorded_client_said() {
    let expected = [
        ("err-unknown-client", "Client not found in Kerberos database"),
        ("err-bad-password", "Password incorrect"),
        ("err-locked", "Client's credentials have been revoked"),
        ("err-expired", "Password has expired"),
        ("err-etype-nosupp", "Additional pre-authentication required: by no method that is known here"),
        ("heimdal-err-unknown", "Client not found in Kerberos database"),
        ("heimdal-err-badpw", "Password incorrect"),
    ];
    let mut seen = vec![];
    for file in [transcripts("mit"), transcripts("heimdal")] {
        for scenario in scenarios(&file).into_iter().filter(|s| s[s.len() - 1]["reply_type"] == "KRB-ERROR") {
            let name = scenario[0]["scenario"].as_str().unwrap().to_owned();
            if let Some((_, text)) = expected.iter().find(|(expected, _)| *expected == name) {
                let outcome = replay(&scenario, Secret::password("wrong"), false);
                assert_eq!(outcome.unwrap_err().to_string(), *text, "{name}");
                seen.push(name);
            }
        }
    }
    assert_eq!(seen.len(), expected.len(), "{seen:?}");
}
