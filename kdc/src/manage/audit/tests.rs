use super::*;

#[test]
fn files_are_verified_in_the_order_of_their_lines_however_they_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("audit.jsonl");
    let settings = AuditSettings { file: Some(file.clone()), ..AuditSettings::default() };
    drop(audit(&settings).expect("an audit"));
    let old = folder.path().join("z");
    fs::rename(&file, &old).expect("moved");
    fs::copy(&old, folder.path().join("audit.jsonl.000000000001")).expect("copied");
    drop(audit(&settings).expect("an audit"));
    let said = audit_verify(&[file.clone(), old.clone()], None, None, false).expect("unbroken");
    assert!(said.starts_with("2 lines, 1 to 2, unbroken; the last is 2:"), "{said}");
    let head = format!("3:{}", "0".repeat(64));
    let error = audit_verify(&[old, file.clone()], None, Some(&head), false).expect_err("cut off").to_string();
    assert_eq!(error, format!("{}:1: the lines end here, but line 3 of the chain was written", file.display()));
}

#[test]
fn a_key_that_others_can_read_or_guess_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    for (text, mode, problem) in [("x".repeat(64), 0o644, "chmod 600"), ("short".into(), 0o600, "at least 32")] {
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        let settings =
            AuditSettings { syslog: Some("/dev/log".into()), key: Some(path.clone()), ..AuditSettings::default() };
        let error = audit(&settings).expect_err("refused").to_string();
        assert!(error.contains(problem), "{error}");
    }
}
