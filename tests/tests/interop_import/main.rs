//! Realms of others taken over: MIT's database dumped by MIT's tools, Heimdal's by Heimdal's, and
//! afterwards everybody logs in as before, with the old passwords and the old keytabs.

mod rehearsal;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kdc::core::{Entry, PasswordPolicy, Store};
use kdc::store::{MasterKey, Redb};
use libkrb::Principal;
use tests::{Family, Plan, Realm, Said, Tool};

const ALL: &str = "aes256-cts:normal,aes128-cts:normal,aes256-sha2:normal,aes128-sha2:normal,camellia256-cts:normal,\
                   camellia128-cts:normal";

/// Queries that make a realm with something of everything.
const QUERIES: [&str; 20] = [
    "addpol -maxlife 90d -minlife 1h -minlength 6 -minclasses 2 -history 4 -maxfailure 3 -failurecountinterval 10m \
     -lockoutduration 5m strict",
    "addpol -allowedkeysalts aes256-cts:normal,aes128-cts:normal narrow",
    "addprinc -pw first1! -policy strict alice",
    "cpw -pw second2! alice",
    "cpw -pw third3! alice",
    "cpw -keepold -pw fourth4! alice",
    "addprinc -pw bobs -e aes256-cts:special,aes128-cts:norealm,aes256-sha2:onlyrealm bob",
    "addprinc -pw camels -e camellia256-cts:normal carol",
    "addprinc -randkey host/a.example.org",
    "cpw -randkey -keepold host/a.example.org",
    "addprinc -nokey keyless",
    "addprinc -pw e -expire 2020-01-01 expired",
    "addprinc -pw p -pwexpire 2020-01-01 stale",
    "addprinc -pw l -allow_tix locked",
    "addprinc -pw a -maxlife 1h -maxrenewlife 2h +requires_preauth +ok_as_delegate -allow_svr +lockdown_keys dave/admin",
    "setstr bob session_enctypes aes128-cts",
    "setstr bob note \"[{}]\"",
    "addprinc -pw weak -e arcfour-hmac:normal,aes256-cts:normal weak",
    "addprinc -pw weakest -e arcfour-hmac:normal weakest",
    "addprinc -pw twice -e aes256-cts:normal,aes256-cts:special twice",
];

fn mit(realm: &Realm, program: &'static str) -> Tool {
    Tool::new(Family::Mit.program(program))
        .env("KRB5_CONFIG", realm.folder().join("kdc-krb5.conf"))
        .env("KRB5_KDC_PROFILE", realm.folder().join("kdc.conf"))
}

fn dump(realm: &Realm, options: &[&str]) -> PathBuf {
    let path = realm.folder().join(format!("dump{}", options.concat()));
    mit(realm, "kdb5_util").args(["dump"]).args(options).args([&path]).run().succeeds();
    path
}

/// A realm of MIT's with something of everything, and its dump.
fn everything() -> (Realm, PathBuf) {
    let realm = Plan::default().start(Family::Mit);
    let queries = QUERIES.map(|query| match query.split_once(' ') {
        Some((verb @ ("addprinc" | "cpw"), rest)) if !rest.contains("-e ") => format!("{verb} -e {ALL} {rest}\n"),
        _ => format!("{query}\n"),
    });
    mit(&realm, "kadmin.local").stdin(queries.concat()).run().succeeds();
    let path = dump(&realm, &[]);
    (realm, path)
}

/// `kdc import ...` into one of our realms, whose KDC does not run.
fn import(into: &Realm, kind: &str, dump: &Path, options: &[&str]) -> Said {
    Tool::new(Family::Ours.program("kdc"))
        .args(["import", kind, "--config"])
        .args([config(into).as_path(), Path::new("--dump"), dump])
        .args(options)
        .run()
}

fn import_mit(into: &Realm, from: &Realm, dump: &Path, options: &[&str]) -> Said {
    let stash = from.folder().join("stash");
    let stash = ["--stash", stash.to_str().expect("a path")];
    import(into, "mit", dump, &[&stash, options].concat())
}

fn config(realm: &Realm) -> PathBuf {
    realm.folder().join("kdc/kdc.toml")
}

fn store_file(realm: &Realm) -> PathBuf {
    realm.folder().join("kdc/principals.redb")
}

fn store(realm: &Realm) -> Redb {
    let master = MasterKey::load(&realm.folder().join("kdc/master.key")).expect("a master key");
    Redb::open(&store_file(realm), master).expect("a store")
}

fn entry(store: &Redb, name: &str) -> Option<Entry> {
    let name = Principal::parse(name, Some("EXAMPLE.ORG")).expect("a name");
    store.lookup(&name).expect("readable").map(|entry| (*entry).clone())
}

/// What is in the folder of a realm, and in its store: opening it may write to its file.
fn state(realm: &Realm) -> (Vec<String>, Vec<String>, Vec<String>) {
    let folder = std::fs::read_dir(realm.folder().join("kdc")).expect("a folder");
    let mut files: Vec<_> =
        folder.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    files.sort();
    let store = store(realm);
    let names = store.list(None, 100_000).expect("readable");
    let entry = |name: &Principal| store.lookup(name).expect("readable").expect("there");
    let entries = names.iter().map(|name| format!("{name} {:?} {}", entry(name).id, entry(name).revision)).collect();
    (files, entries, store.policies().expect("readable"))
}

/// One of our realms, made and stopped.
fn stopped() -> Realm {
    let mut realm = Realm::start(Family::Ours);
    realm.stop();
    realm
}

/// What getprinc says of a principal in words that mean the same for both.
fn facts(listing: &str) -> Vec<&str> {
    let told =
        ["Principal:", "Expiration date:", "Last password change:", "Password expiration date:", "Key:", "Attributes:"];
    listing.lines().filter(|line| told.iter().any(|start| line.starts_with(start))).collect()
}

#[test]
fn everybody_of_a_realm_of_mits_logs_in_as_before() {
    let (old, path) = everything();
    let keytab = old.keytab("host/a.example.org");
    let mut new = stopped();
    import_mit(&new, &old, &path, &[])
        .succeeds()
        .saying("15 principals")
        .saying("left out: K/M@EXAMPLE.ORG")
        .saying("not carried: weak@EXAMPLE.ORG")
        .saying("no key is left: it needs a new password")
        .saying("a second key of aes256-cts-hmac-sha1-96")
        .not_saying("alice");
    for name in ["alice", "bob", "host/a.example.org", "expired", "stale", "locked", "keyless", "dave/admin"] {
        let query = format!("getprinc {name}");
        let theirs = mit(&old, "kadmin.local").args(["-q", &query]).run().succeeds();
        let ours = Tool::new(Family::Ours.program("kadmin")).args(["--config"]).args([config(&new)]);
        let ours = ours.args(["-q", &query]).run().succeeds();
        assert_eq!(facts(ours.stdout()), facts(theirs.stdout()), "{name}");
    }
    new.restart();
    let seat = new.seat(Family::Mit);
    for (name, password) in [("bob", "bobs"), ("carol", "camels"), ("twice", "twice"), ("dave/admin", "a")] {
        seat.kinit(&[name], password).succeeds();
        seat.kinit(&[name], "wrong").fails();
    }
    for etype in ["aes256-cts", "aes128-cts", "aes256-sha2", "aes128-sha2", "camellia256-cts", "camellia128-cts"] {
        let seat = new.seat(Family::Mit);
        seat.set(&format!("default_tkt_enctypes = {etype}"));
        seat.kinit(&["alice"], "fourth4!").succeeds();
    }
    seat.kinit(&["alice"], "third3!").fails();
    seat.kinit(&["expired"], "e").fails().saying("expired");
    seat.kinit(&["stale"], "p").fails();
    seat.kinit(&["locked"], "l").fails().saying("revoked");
    seat.kinit(&["weakest"], "weakest").fails();
    seat.kinit(&["alice"], "fourth4!").succeeds();
    let keytab = keytab.to_str().expect("a path");
    seat.fetch(&["-k", keytab, "host/a.example.org"]).succeeds();
    seat.kinit_with(Path::new(keytab), &["host/a.example.org"]).succeeds();
}

#[test]
fn policies_former_passwords_strings_and_limits_of_mits_are_carried() {
    let (old, path) = everything();
    let new = stopped();
    import_mit(&new, &old, &path, &[]).succeeds();
    let mode = std::fs::metadata(store_file(&new)).expect("a store").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let store = store(&new);
    let strict = store.policy("strict").expect("readable").expect("a policy");
    let wanted = PasswordPolicy {
        min_life: 3600,
        max_life: 90 * 86400,
        min_length: 6,
        min_classes: 2,
        history: 4,
        max_failures: 3,
        failure_interval: 600,
        lockout_duration: 300,
        dictionary: true,
        revision: strict.revision,
        ..PasswordPolicy::new("strict")
    };
    assert_eq!(*strict, wanted);
    let narrow = store.policy("narrow").expect("readable").expect("a policy");
    assert!(narrow.allowed_key_salts.starts_with("aes256-cts"), "{}", narrow.allowed_key_salts);
    let alice = entry(&store, "alice").expect("alice");
    assert_eq!(alice.policy.as_deref(), Some("strict"));
    assert_eq!(alice.keys.iter().map(|set| set.kvno).collect::<Vec<_>>(), [4, 3]);
    let salt = alice.principal.salt();
    assert!(alice.keys.iter().flat_map(|set| &set.keys).all(|key| key.salt.as_ref() == Some(&salt)));
    // The former passwords are those, newest first.
    for (set, password) in alice.history.iter().zip(["third3!", "second2!", "first1!"]) {
        let former = set.keys.first().expect("a key");
        let key = libkrb::crypto::Key::from_password(former.etype(), password.as_bytes(), salt.as_bytes(), None);
        assert!(key.expect("a key").same_as(&former.key), "{password}");
    }
    assert_eq!(alice.history.len(), 3);
    let bob = entry(&store, "bob").expect("bob");
    assert_eq!(bob.strings.get("note").map(String::as_str), Some("[{}]"));
    assert_eq!(bob.strings.get("session_enctypes").map(String::as_str), Some("aes128-cts"));
    let dave = entry(&store, "dave/admin").expect("dave");
    assert_eq!((dave.max_life, dave.max_renewable_life), (Some(3600), Some(7200)));
    assert!(dave.modified_by.ends_with("/admin@EXAMPLE.ORG"), "{}", dave.modified_by);
    assert!(entry(&store, "keyless").expect("keyless").keys.is_empty());
    assert!(entry(&store, "K/M").is_none());
}

#[test]
fn any_master_key_that_mit_knows_opens_a_dump_by_stash_and_by_password_in_both_versions() {
    let (old, first) = everything();
    let early = std::fs::read(old.folder().join("stash")).expect("a stash");
    mit(&old, "kdb5_util").args(["add_mkey", "-s", "-e", "aes128-cts"]).stdin("new\nnew\n").run().succeeds();
    let both = dump(&old, &[]);
    mit(&old, "kdb5_util").args(["use_mkey", "2"]).run().succeeds();
    mit(&old, "kadmin.local").args(["-q", "addprinc -pw later later"]).run().succeeds();
    // Some sealed under one, some under the other.
    let mixed = dump(&old, &["-r18"]);
    let stash = |name: &str, octets: &[u8]| {
        let path = old.folder().join(name);
        std::fs::write(&path, octets).expect("a stash");
        path
    };
    let earlier = stash("early", &early);
    // What was stashed before MIT krb5 1.7: enctype, length, key.
    let keytab = libkrb::keytab::Keytab::parse(&early).expect("a keytab");
    let key = keytab.entries[0].key.key().expect("a key");
    let oldest = stash("oldest", &[&18u16.to_le_bytes()[..], &32u32.to_le_bytes(), key.expose()].concat());
    let new = stopped();
    let try_stash = |dump: &Path, stash: &Path| {
        import(&new, "mit", dump, &["--dry-run", "--stash", stash.to_str().expect("a path")])
    };
    try_stash(&first, &oldest).succeeds().saying("15 principals");
    for path in [&both, &mixed] {
        for told in [&earlier, &oldest, &old.folder().join("stash")] {
            try_stash(path, told).succeeds();
        }
        for (password, right) in [("master", true), ("new", true), ("other", false)] {
            let options = ["--master-password-stdin", "--dry-run"];
            let kdc = Tool::new(Family::Ours.program("kdc")).args(["import", "mit", "--config"]);
            let said = kdc.args([config(&new).as_path(), Path::new("--dump"), path]).args(options);
            let said = said.stdin(format!("{password}\n")).run();
            // The password of a master key that is no longer the newest opens nothing by itself.
            assert_eq!(said.is_success(), right, "{said}");
        }
    }
    let foreign = stash("foreign", &[&18u16.to_le_bytes()[..], &32u32.to_le_bytes(), &[7; 32]].concat());
    try_stash(&first, &foreign).fails().saying("not the master key of the dump");
}

#[test]
fn a_dry_run_changes_no_file_and_a_second_import_lists_the_conflicts() {
    let (old, path) = everything();
    let new = stopped();
    let before = state(&new);
    let told = import_mit(&new, &old, &path, &["--dry-run", "--json"]).succeeds();
    let lines: Vec<serde_json::Value> =
        told.stdout().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = lines.last().expect("a line");
    assert_eq!((&last["event"], &last["dry_run"], &last["principals"]), (&"imported".into(), &true.into(), &15.into()));
    assert!(lines.iter().any(|line| line["event"] == "not_carried" && line["name"] == "weak@EXAMPLE.ORG"));
    assert_eq!(told.stderr(), "");
    import_mit(&new, &old, &path, &["--strict"]).fails().saying("nothing was changed");
    assert_eq!(state(&new), before);
    import_mit(&new, &old, &path, &[]).succeeds();
    let imported = state(&new);
    import_mit(&new, &old, &path, &[])
        .fails()
        .saying("conflict: alice@EXAMPLE.ORG")
        .saying("conflict: policy strict")
        .saying("--existing keep");
    assert_eq!(state(&new), imported);
    import_mit(&new, &old, &path, &["--existing", "keep"]).succeeds().saying("0 principals, 17 kept");
    import_mit(&new, &old, &path, &["--existing", "replace"]).succeeds().saying("15 principals").saying("17 replaced");
    assert!(entry(&store(&new), "alice").is_some());
}

#[test]
fn a_running_kdc_keeps_its_store_to_itself() {
    let (old, path) = everything();
    let new = Realm::start(Family::Ours);
    import_mit(&new, &old, &path, &[]).fails().saying("in use by another process");
}

#[test]
fn a_damaged_dump_is_refused_with_its_line_and_changes_nothing() {
    let (old, path) = everything();
    let new = stopped();
    let before = state(&new);
    let whole = std::fs::read_to_string(&path).expect("a dump");
    let line = 1 + whole.lines().position(|line| line.contains("\talice@")).expect("alice");
    let bend = |change: &dyn Fn(&str) -> String| -> String {
        whole
            .split_inclusive('\n')
            .enumerate()
            .map(|(n, l)| if n + 1 == line { change(l) } else { l.to_owned() })
            .collect()
    };
    let last = whole.lines().count();
    let cases = [
        (bend(&|text| text.replace("\talice@", "\talicia@")), line, "the name was to be"),
        (bend(&|text| text.replacen("princ\t", "prince\t", 1)), line, "neither a principal nor a policy"),
        (bend(&|text| text.replacen("\t0100", "\t01x0", 1)), line, ""),
        (bend(&|text| format!("{text}{text}")), line + 1, "stands in the dump twice"),
        (bend(&|text| text.chars().take(text.len() / 2).chain(['\n']).collect()), line, ""),
        (whole.trim_end_matches('\n').to_owned(), last, "breaks off"),
        (whole.replacen("version 7", "version 5", 1), 1, "kdb5_util dump FILE"),
        (whole.replacen("kdb5_util load_dump version 7", "ipropx 1 2 3 4", 1), 1, "kdb5_util dump FILE"),
        ("something else\n".to_owned(), 1, "kdb5_util dump FILE"),
    ];
    let bent = old.folder().join("bent");
    for (text, line, why) in cases {
        std::fs::write(&bent, text).expect("a file");
        import_mit(&new, &old, &bent, &[]).fails().saying(&format!("line {line}: ")).saying(why);
        assert!(!new.folder().join("kdc/principals.redb.making").exists());
    }
    let headless: String = whole.split_inclusive('\n').filter(|line| !line.contains("\tK/M@")).collect();
    std::fs::write(&bent, headless).expect("a file");
    import_mit(&new, &old, &bent, &[]).fails().saying("dump the whole database");
    let foreign = Plan::default().named("OTHER.ORG").start(Family::Ours);
    import_mit(&foreign, &old, &path, &[])
        .fails()
        .saying("a dump of EXAMPLE.ORG, but `realm` in kdc.toml is OTHER.ORG");
    assert_eq!(state(&new), before);
}

/// A dump with many more principals, all of them alice's children.
fn many(dump: &Path, count: usize) -> PathBuf {
    let mut text = std::fs::read_to_string(dump).expect("a dump");
    let parent = text.lines().find(|line| line.contains("\tbob@")).expect("bob").to_owned();
    for number in 0..count {
        let name = format!("child{number}@EXAMPLE.ORG");
        let mut fields: Vec<_> = parent.split('\t').map(str::to_owned).collect();
        fields[2] = name.len().to_string();
        fields[6] = name;
        text += &(fields.join("\t") + "\n");
    }
    let path = dump.with_extension("many");
    std::fs::write(&path, text).expect("a dump");
    path
}

#[test]
fn an_import_that_is_killed_leaves_the_store_as_it_was_and_can_be_done_again() {
    let (old, path) = everything();
    let path = many(&path, 20_000);
    let new = stopped();
    let before = state(&new);
    let making = new.folder().join("kdc/principals.redb.making");
    let tool = Tool::new(Family::Ours.program("kdc")).args(["import", "mit", "--config"]).args([
        config(&new).as_path(),
        Path::new("--dump"),
        &path,
        Path::new("--stash"),
        &old.folder().join("stash"),
    ]);
    for size in [1, 1 << 20, 3 << 20] {
        let mut child = tool.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        while std::fs::metadata(&making).map_or(0, |file| file.len()) < size {
            assert!(child.try_wait().expect("a child").is_none(), "it was over before it was killed");
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        assert_eq!(child.wait().expect("a status").code(), None, "it was over before it was killed");
        assert!(making.exists());
        let (files, entries, policies) = state(&new);
        let files = files.into_iter().filter(|file| file != "principals.redb.making").collect();
        assert_eq!((files, entries, policies), before);
    }
    import_mit(&new, &old, &path, &[]).succeeds().saying("20015 principals");
    assert!(!making.exists());
    assert!(entry(&store(&new), "child19999").is_some());
}

fn heimdal(realm: &Realm, words: &[&str]) -> Said {
    let kadmin = Tool::new(Family::Heimdal.program("kadmin")).args(["-l", "-c"]);
    kadmin.args([realm.folder().join("kdc-krb5.conf")]).args(words).run()
}

#[test]
fn everybody_of_a_realm_of_heimdals_logs_in_as_before() {
    let old = Plan::default().start(Family::Heimdal);
    old.add("alice", "first", &["+requires_preauth", "-maxlife", "1h"]);
    old.change("alice", "second");
    old.add("bob", "bobs", &["-allow_tix"]);
    old.add("expired", "e", &["-expire", "2020-01-01"]);
    let keytab = old.add_service("host/a.example.org");
    heimdal(&old, &["modify", "--alias=alicia@EXAMPLE.ORG", "alice"]).succeeds();
    let (clear, sealed) = (old.folder().join("clear"), old.folder().join("sealed"));
    heimdal(&old, &["dump", "--decrypt", clear.to_str().expect("a path")]).succeeds();
    heimdal(&old, &["dump", sealed.to_str().expect("a path")]).succeeds();
    let mut new = stopped();
    import(&new, "heimdal", &sealed, &[]).fails().saying("kadmin -l dump --decrypt").saying("line 1: ");
    import(&new, "heimdal", &clear, &[])
        .succeeds()
        .saying("left out: WELLKNOWN/org.h5l.fast-cookie@WELLKNOWN:ORG.H5L")
        .saying("1 alias")
        .not_saying("alice@");
    let opened = store(&new);
    let alice = entry(&opened, "alice").expect("alice");
    assert_eq!((alice.max_life, alice.keys[0].kvno), (Some(3600), 2));
    assert!(alice.password_changed.is_some() && alice.modified_by == "kadmin/admin@EXAMPLE.ORG");
    assert_eq!(entry(&opened, "alicia").map(|found| found.principal), Some(alice.principal));
    drop(opened);
    new.restart();
    for client in [Family::Mit, Family::Heimdal] {
        let seat = new.seat(client);
        seat.kinit(&["alice"], "first").fails();
        seat.kinit(&["bob"], "bobs").fails();
        seat.kinit(&["expired"], "e").fails();
        seat.kinit(&["alice"], "second").succeeds();
        seat.fetch(&["host/a.example.org"]).succeeds();
    }
    let seat = new.seat(Family::Mit);
    seat.kinit(&["alice"], "second").succeeds();
    seat.fetch(&["-k", keytab.to_str().expect("a path"), "host/a.example.org"]).succeeds();
    seat.kinit_with(&keytab, &["host/a.example.org"]).succeeds();
    let text = std::fs::read_to_string(&clear).expect("a dump");
    let bent = text.replacen("host/a.example.org@EXAMPLE.ORG 1:", "host/a.example.org@EXAMPLE.ORG x:", 1);
    let line = 1 + text.lines().position(|line| line.starts_with("host/a.")).expect("a line");
    std::fs::write(&clear, bent).expect("a dump");
    drop(seat);
    new.stop();
    import(&new, "heimdal", &clear, &[]).fails().saying(&format!("line {line}: the key version is no number"));
}

#[test]
fn a_principal_that_failures_have_locked_stays_locked_and_logins_are_remembered() {
    let (old, _) = everything();
    let seat = old.seat(Family::Mit);
    mit(&old, "kadmin.local").args(["-q", "modprinc +requires_preauth alice"]).run().succeeds();
    seat.kinit(&["alice"], "fourth4!").succeeds();
    for _ in 0..3 {
        seat.kinit(&["alice"], "wrong").fails();
    }
    seat.kinit(&["alice"], "fourth4!").fails().saying("revoked");
    let path = dump(&old, &[]);
    let mut new = stopped();
    import_mit(&new, &old, &path, &[]).succeeds();
    new.restart();
    let seat = new.seat(Family::Mit);
    seat.kinit(&["alice"], "fourth4!").fails().saying("revoked");
    let kadmin = Tool::new(Family::Ours.program("kadmin")).args(["--config"]).args([config(&new)]);
    kadmin.args(["-q", "modprinc -unlock alice"]).run().succeeds();
    seat.kinit(&["alice"], "fourth4!").succeeds();
}
