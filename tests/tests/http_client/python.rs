//! A service of Python's gssapi, which speaks through MIT's libgssapi.

use std::path::Path;

use libkrb::credentials::Delegation;
use libkrb::error::ErrorCode;
use libkrb::http::client::{Negotiator, Standing};
use tests::{Daemon, Pair, Port, Realm, Seat, optional_peer};

use crate::{SERVICE, alice, plain, realm, run, told};

/// Starts it; `None` where Python or its module is missing.
fn start(realm: &Realm, seat: &Seat<'_>, arguments: &[&str]) -> Option<(Daemon, Port)> {
    optional_peer("python3-gssapi", "/usr/lib/python3/dist-packages/gssapi/__init__.py")?;
    let python = optional_peer("python3", "/usr/bin/python3")?;
    let port = Port::claim();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/service.py");
    let service = seat.program(python).env("KRB5_KTNAME", realm.keytab(SERVICE)).args([script]);
    let service = service.args([port.number().to_string()]).args(arguments);
    Some((Daemon::start(service.command(), "listening"), port))
}

pub fn python_takes_our_token_and_proves_itself(pair: Pair) {
    let realm = realm(pair);
    realm.modify(SERVICE, &["+ok_as_delegate"]);
    let seat = pair.seat(&realm);
    let Some((_service, port)) = start(&realm, &seat, &[]) else { return };
    run(async {
        let host = format!("localhost:{}", port.number());
        let negotiator = Negotiator::new(alice(&seat).await, plain(&host));
        for (delegation, handed) in [(Delegation::Never, "nothing"), (Delegation::IfTrusted, "alice@EXAMPLE.ORG")] {
            let client = negotiator.clone().delegate(delegation).reqwest(reqwest::Client::builder()).expect("a client");
            let answer = client.post(format!("http://{host}/")).body("hello").send().await.expect("an answer");
            let (status, standing, _, text) = told(answer).await;
            assert_eq!((status, standing), (200, Some(Standing::Proven)), "{text}");
            assert_eq!(text, format!("alice@EXAMPLE.ORG says 'hello' and hands over {handed}"));
        }
    });
}

pub fn python_that_does_not_prove_itself_is_not_believed(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    let Some((_service, port)) = start(&realm, &seat, &["loose"]) else { return };
    run(async {
        let host = format!("localhost:{}", port.number());
        let negotiator = Negotiator::new(alice(&seat).await, plain(&host));
        let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
        let error = client.get(format!("http://{host}/")).send().await.expect_err("no proof");
        let reqwest_middleware::Error::Middleware(error) = error else { panic!("{error}") };
        let error = error.downcast_ref::<libkrb::Error>().expect("an error of libkrb");
        assert_eq!(error.wire_code(), ErrorCode::MUT_FAIL, "{error}");
    });
}
