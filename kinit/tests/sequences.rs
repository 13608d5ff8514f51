//! What one tool leaves for the next: caches and keytabs that change.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

struct Place(tempfile::TempDir);

impl Place {
    /// A copy of the collection in `cmd/data`.
    fn with_collection() -> Place {
        let place = Place(tempfile::tempdir().expect("a temporary directory"));
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd/data/collection");
        let copy = place.0.path().join("collection");
        std::fs::create_dir(&copy).expect("made");
        for name in ["primary", "tktgood", "tktold"] {
            std::fs::copy(data.join(name), copy.join(name)).expect("copied");
        }
        place
    }

    fn tool(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .envs([("TZ", "UTC"), ("KRB5_CONFIG", "/dev/null"), ("KRB5CCNAME", "DIR:collection")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
        child.wait_with_output().expect("ended")
    }

    fn klist(&self, arguments: &[&str]) -> String {
        text(self.tool(env!("CARGO_BIN_EXE_klist"), arguments, "").stdout)
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn kswitch_changes_which_cache_klist_shows() {
    let place = Place::with_collection();
    assert!(place.klist(&[]).contains("Default principal: user@HEIM.TEST\n"));
    assert!(place.tool(env!("CARGO_BIN_EXE_kswitch"), &["-p", "bobs@HEIM.TEST"], "").status.success());
    assert!(place.klist(&[]).contains("Default principal: bobs@HEIM.TEST\n"));
    assert!(place.tool(env!("CARGO_BIN_EXE_kswitch"), &["-c", "DIR::collection/tktgood"], "").status.success());
    assert!(place.klist(&[]).contains("Default principal: user@HEIM.TEST\n"));
}

#[test]
fn kdestroy_removes_the_cache_that_is_meant_and_no_other() {
    let place = Place::with_collection();
    let kdestroy = |arguments: &[&str]| place.tool(env!("CARGO_BIN_EXE_kdestroy"), arguments, "");
    assert_eq!(text(kdestroy(&[]).stderr), "Other credential caches present, use -A to destroy all\n");
    assert!(!place.0.path().join("collection/tktgood").exists());
    assert!(place.0.path().join("collection/tktold").exists());
    assert!(kdestroy(&["-A"]).stderr.is_empty());
    assert_eq!(place.klist(&["-l"]).lines().count(), 2, "the heading alone");
}

#[test]
fn a_keytab_that_ktutil_writes_is_what_klist_shows() {
    let place = Place::with_collection();
    let commands = "addent -password -p user@EXAMPLE.ORG -k 31 -e aes256-cts\nhello123\nwkt new.keytab\n";
    for _ in 0..2 {
        let output = place.tool(env!("CARGO_BIN_EXE_ktutil"), &[], commands);
        assert_eq!((text(output.stdout), text(output.stderr)), (String::new(), String::new()));
    }
    let entry = "  31 user@EXAMPLE.ORG (aes256-cts-hmac-sha1-96)  (0x6e88eb2b3931ef17c92e780a4ee421f1411ff5b104e3f75b50dd13f9ed04f9c6)\n";
    let listed = place.klist(&["-keK", "new.keytab"]);
    assert_eq!(listed.matches(entry).count(), 2, "writing again adds: {listed}");
    let now = place.klist(&["-k", "--json", "new.keytab"]);
    assert!(now.contains("\"timestamp\": \"20"), "the time of writing: {now}");
}

#[test]
fn who_reads_only_the_first_line_gets_no_complaint() {
    let place = Place::with_collection();
    let mut child = Command::new(env!("CARGO_BIN_EXE_klist"))
        .args(["-A", "-feadnC"])
        .current_dir(place.0.path())
        .env("KRB5CCNAME", "DIR:collection")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!(text(output.stderr), "");
}
