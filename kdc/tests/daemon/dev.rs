//! `kdc dev`: what a newcomer sees.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn dev(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kdc"));
    command.arg("dev").arg("--dir").arg(folder).args(arguments).env("TERM", "xterm").stdin(Stdio::null());
    command
}

fn once(folder: &Path, arguments: &[&str]) -> Output {
    dev(folder, &[&["--once", "--listen", "127.0.0.1:0"], arguments].concat()).output().expect("a show")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn password(shown: &str) -> &str {
    shown.split("password ").nth(1).and_then(|rest| rest.lines().next()).expect("a password")
}

#[test]
fn the_life_of_a_ticket_is_shown_on_one_plain_screen() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = once(&folder.path().join("realm"), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let mut rest = shown;
    for expected in [
        "The realm EXAMPLE.ORG at 127.0.0.1:",
        "alice",
        "demo/localhost",
        "1  AS exchange",
        "KDC_ERR_PREAUTH_REQUIRED",
        "AS-REP    <- KDC",
        "2  TGS exchange",
        "TGS-REP   <- KDC",
        "3  AP exchange",
        "AP-REP    <- service",
        "knows that this is alice@EXAMPLE.ORG",
        "knows that this is the service",
        "4  A replay",
        "KRB_AP_ERR_REPEAT",
        "5  A guess",
        "KDC_ERR_PREAUTH_FAILED",
    ] {
        let place = rest.find(expected).unwrap_or_else(|| panic!("{expected} is missing or misplaced:\n{shown}"));
        rest = &rest[place..];
    }
    assert!(!shown.contains('\x1b'), "no colour where there is no terminal");
    assert!(shown.lines().all(|line| line.len() < 100) && shown.lines().count() <= 40, "one screen:\n{shown}");
}

#[test]
fn the_realm_is_kept_with_its_secrets_for_the_owner_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("realm");
    let first = once(&folder, &[]);
    for secret in ["alice.password", "demo.keytab", "master.key", "principals.redb"] {
        let mode = std::fs::metadata(folder.join(secret)).expect(secret).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{secret}");
    }
    let second = once(&folder, &["--realm", "EXAMPLE.ORG"]);
    assert!(second.status.success(), "{}", text(&second.stderr));
    assert_eq!(password(text(&first.stdout)), password(text(&second.stdout)));

    std::fs::remove_file(folder.join("alice.password")).expect("a file");
    let third = once(&folder, &[]);
    assert!(third.status.success(), "{}", text(&third.stderr));
    assert_ne!(password(text(&first.stdout)), password(text(&third.stdout)));
}

#[test]
fn another_realm_wants_another_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("realm");
    let first = once(&folder, &["--realm", "TRY.ME"]);
    assert!(text(&first.stdout).contains("The realm TRY.ME at"), "{}", text(&first.stderr));
    let other = once(&folder, &["--realm", "OTHER"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other.stderr).contains("holds the realm TRY.ME; name another folder with --dir"));
}

#[test]
fn a_password_file_that_lies_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("realm");
    once(&folder, &[]);
    std::fs::write(folder.join("alice.password"), "something else").expect("a file");
    let output = once(&folder, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("alice.password: not alice's password any more"), "{}", text(&output.stderr));
}

#[test]
fn after_the_show_it_serves_on_until_it_is_told_to_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("a realm");
    let mut command = dev(&folder, &["--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a realm");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut shown = String::new();
    while !shown.contains("Ctrl-C ends") {
        assert_ne!(stdout.read_line(&mut shown).expect("a line"), 0, "ended too early: {shown}");
    }
    let config = std::fs::canonicalize(folder.join("krb5.conf")).expect("a file");
    assert!(shown.contains(&format!("export KRB5_CONFIG='{}' KRB5CCNAME=", config.display())), "{shown}");
    let address = shown.split(" at ").nth(1).and_then(|rest| rest.split(',').next()).expect("an address");
    let settings = std::fs::read_to_string(&config).expect("a file");
    assert!(settings.contains(&format!("kdc = {address}\n")), "{settings}");
    std::net::TcpStream::connect(address).expect("somebody listens");
    let socket = config.with_file_name("kdc.sock");
    assert!(settings.contains(&format!("kdc = {}\n", socket.display())), "{settings}");
    std::os::unix::net::UnixStream::connect(&socket).expect("somebody listens there, too");
    kill_process(Pid::from_child(&child), Signal::INT).expect("a living daemon");
    assert!(child.wait().expect("an end").success());
    stdout.read_to_string(&mut shown).expect("text");
}

#[test]
fn a_realm_may_be_served_at_no_port_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("realm");
    let output = dev(&folder, &["--once", "--listen", "none"]).output().expect("a show");
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(shown.contains("KDC_ERR_PREAUTH_FAILED") && shown.contains("kdc.sock"), "{shown}");
    assert!(!shown.contains("127.0.0.1"), "{shown}");
    let settings = std::fs::read_to_string(folder.join("krb5.conf")).expect("a file");
    assert!(settings.contains("kpasswd_server = /") && !settings.contains("127.0.0.1"), "{settings}");
    assert!(!folder.join("kdc.sock").exists());
}
