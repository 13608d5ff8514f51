//! The document of the API against the API: schemathesis asks what the document allows, and what it
//! does not, and looks whether the answers are those that it promises.

use std::time::Duration;

use tests::{Tool, optional_peer};

use crate::place::*;

/// What no schema says, and is no fault: a caller with a certificate has proven itself whatever its
/// headers say; a tag that is none matches nothing; and rules about passwords, realms and what there
/// is are the KDC's to know.
const SETTINGS: &str = r#"
generation.database = "none"
[checks]
ignored_auth.enabled = false
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "412", "422", "429"]
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "415", "422"]
"#;

#[test]
fn what_the_document_promises_is_so_whatever_is_asked() {
    let home = tests::peers_home().join("schemathesis");
    let program = home.join("bin/schemathesis");
    let Some(python) = optional_peer("python3", "/usr/bin/python3") else { return };
    if optional_peer("schemathesis", &program.to_string_lossy()).is_none() {
        return;
    }
    // It would take its own certificate's rights away.
    let place = Place::new("[[admin.acl]]\nwho = 'ci/admin'\non = 'ci/admin'\nmay = ['inquire']\n");
    place.cheap_keys();
    let seat = place.seat();
    let own = place.authority.sign("ci.example.org");
    let certificate = seat.write("client.pem", &own.certificate);
    let key = seat.write("client-key.pem", &own.key);
    let settings = seat.write("schemathesis.toml", SETTINGS);
    let folder = settings.parent().expect("a folder");
    let tool = Tool::new(python).folder(folder).env("HOME", folder).env("PYTHONPATH", &home).env("PYTHONUTF8", "1");
    let tool = tool.args([&program]).args(["--config-file"]).args([&settings]).args(["run"]);
    let tool = tool.args([place.url("/v1/openapi.json")]).args(["--tls-verify"]).args([place.file("ca.pem")]);
    let tool = tool.args(["--request-cert"]).args([certificate]).args(["--request-cert-key"]).args([key]);
    // It opens more connections than one address may have, now and then.
    let bounds = ["--seed", "1", "--max-examples", "3", "--request-retries", "3", "--no-color"];
    let said = tool.args(bounds).patience(Duration::from_secs(300)).run();
    said.succeeds().saying("Stateful").saying("Coverage").not_saying("Failures:");
}
