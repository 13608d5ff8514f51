use std::sync::Arc;

use libkrb::codes::EncryptionType;
use libkrb::keytab::KeytabName;

use super::*;
use crate::admin::query::words;
use crate::admin::{KeyRules, Local, Registry};
use crate::core::{Attributes, Change, Entry, Policy, Store};
use crate::store::Memory;

struct Utc;

impl Zone for Utc {
    fn wall(&self, time: Time) -> Time {
        time
    }
    fn time(&self, wall: Time) -> Option<Time> {
        Some(wall)
    }
    fn name(&self, _: Time) -> String {
        "UTC".into()
    }
}

/// Keeps what is said, and answers with what is given.
#[derive(Default)]
struct Script {
    out: String,
    err: String,
    answers: Vec<&'static str>,
}

impl Talk for Script {
    fn out(&mut self, text: &str) {
        self.out += text;
    }
    fn err(&mut self, text: &str) {
        self.err += text;
    }
    fn ask(&mut self, question: &str) -> Option<String> {
        self.out += question;
        (!self.answers.is_empty()).then(|| self.answers.remove(0).to_owned())
    }
    fn new_password(&mut self, prompt: &str, again: &str) -> Result<Secret, String> {
        let first = self.ask(prompt).ok_or("no password on the standard input")?;
        match self.ask(again) {
            Some(other) if other != first => Err("Password mismatch".into()),
            _ => Ok(Secret::new(first)),
        }
    }
}

struct Desk {
    store: Arc<Memory>,
    registry: Local,
    quiet: bool,
}

impl Desk {
    fn new() -> Desk {
        let store = Arc::new(Memory::new());
        let keys =
            KeyRules { etypes: vec![EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1], iterations: None };
        let registry = Registry::new(Arc::clone(&store) as Arc<dyn Store>, Policy::new("R"), keys);
        Desk { store, registry: Local::new(Arc::new(registry)), quiet: false }
    }

    fn ask(&self, line: &str, answers: &[&'static str]) -> (Outcome, Script) {
        let console = Console {
            registry: &self.registry,
            realm: "R",
            zone: &Utc,
            clock: || Time(1_795_307_148),
            quiet: self.quiet,
            kinds: vec![],
            keytab: "MEMORY:default".into(),
        };
        let mut script = Script { answers: answers.to_vec(), ..Script::default() };
        let outcome = console.run(&words(line).expect(line), &mut script);
        (outcome, script)
    }

    /// What a query that goes well prints.
    #[track_caller]
    fn done(&self, line: &str) -> String {
        let (outcome, script) = self.ask(line, &[]);
        assert_eq!((outcome, &*script.err), (Outcome::Done, ""), "{line}");
        script.out
    }

    /// What a query that fails says.
    #[track_caller]
    fn failed(&self, line: &str) -> String {
        let (outcome, script) = self.ask(line, &[]);
        assert_eq!((outcome, &*script.out), (Outcome::Failed, ""), "{line}");
        script.err
    }

    fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        self.store.lookup(&Principal::parse(name, Some("R")).expect(name)).expect("readable")
    }
}

#[test]
fn what_goes_well_is_told_in_mits_words() {
    let desk = Desk::new();
    for (line, expected) in [
        ("addprinc -pw secret alice", "Principal \"alice@R\" created.\n"),
        ("addprinc -randkey host/a.b", "Principal \"host/a.b@R\" created.\n"),
        ("modprinc -maxlife 10h alice", "Principal \"alice@R\" modified.\n"),
        ("cpw -pw other alice", "Password for \"alice@R\" changed.\n"),
        ("cpw -randkey -keepold host/a.b", "Key for \"host/a.b@R\" randomized.\n"),
        ("purgekeys host/a.b", "Old keys for principal \"host/a.b@R\" purged.\n"),
        ("purgekeys -all host/a.b", "All keys for principal \"host/a.b@R\" removed.\n"),
        ("getstrs alice", "(No string attributes.)\n"),
        ("setstr alice a \"b c\"", "Attribute set for principal \"alice@R\".\n"),
        ("getstrs alice", "a: b c\n"),
        ("delstr alice a", "Attribute removed from principal \"alice@R\".\n"),
        ("alias host/a host/a.b", "Principal \"host/a@R\" aliased to \"host/a.b@R\".\n"),
        ("getprivs", "current privileges: INQUIRE ADD MODIFY DELETE\n"),
        ("listprincs", "alice@R\nhost/a.b@R\n"),
        ("listprincs host/*", "host/a.b@R\n"),
        ("listprincs nobody", ""),
        (
            "renprinc -force alice bob",
            "Principal \"alice@R\" renamed to \"bob@R\".\n\
             Make sure that you have removed the old principal from all ACLs before reusing.\n",
        ),
        (
            "delprinc -force bob",
            "Principal \"bob@R\" deleted.\nMake sure that you have removed this principal from all ACLs before reusing.\n",
        ),
    ] {
        assert_eq!(desk.done(line), expected, "{line}");
    }
}

#[test]
fn what_goes_wrong_is_told_in_mits_words() {
    let desk = Desk::new();
    desk.done("addprinc -randkey alice");
    desk.done("addprinc -randkey +lockdown_keys krbtgt/R");
    for (line, expected) in [
        ("addprinc -pw x alice", "add_principal: Principal or policy already exists while creating \"alice@R\"."),
        ("addprinc -pw \"\" bob", "add_principal: Empty passwords are not allowed while creating \"bob@R\"."),
        ("getprinc bob", "get_principal: Principal does not exist while retrieving \"bob@R\"."),
        ("modprinc +needchange bob", "modify_principal: Principal does not exist while getting \"bob@R\"."),
        ("modprinc -kvno 0 alice", "modify_principal: key version numbers begin with 1 while modifying \"alice@R\"."),
        ("delprinc -force bob", "delete_principal: Principal does not exist while deleting principal \"bob@R\""),
        (
            "renprinc -force bob rob",
            "rename_principal: No such entry in the database while renaming principal \"bob@R\" to \"rob@R\"",
        ),
        ("cpw -pw x bob", "change_password: Principal does not exist while changing password for \"bob@R\"."),
        ("cpw -randkey bob", "change_password: Principal does not exist while randomizing key for \"bob@R\"."),
        (
            "cpw -pw x krbtgt/R",
            "change_password: Principal keys are locked down while changing password for \"krbtgt/R@R\".",
        ),
        ("getstrs bob", "get_strings: Principal does not exist while getting attributes for principal \"bob@R\""),
        ("setstr bob a b", "set_string: Principal does not exist while setting attribute on principal \"bob@R\""),
        ("delstr bob a", "del_string: Principal does not exist while deleting attribute from principal \"bob@R\""),
        ("purgekeys bob", "purgekeys: Principal does not exist while purging keys for principal \"bob@R\""),
        ("alias al bob", "add_alias: Principal does not exist while aliasing principal \"al@R\" to \"bob@R\""),
        (
            "alias krbtgt/R alice",
            "add_alias: Principal or policy already exists while aliasing principal \"krbtgt/R@R\" to \"alice@R\"",
        ),
        ("ktadd bob", "kadmin: Principal bob does not exist."),
        ("ktadd krbtgt/R", "kadmin: Principal keys are locked down while changing krbtgt/R's key"),
        ("ktadd -glob bob*", "kadmin: No principal matches \"bob*\"."),
        ("ktrem -k /nowhere/keytab bob", "kadmin: Keytab WRFILE:/nowhere/keytab does not exist."),
        ("ktrem bob", "kadmin: No entry for principal bob exists in keytab MEMORY:default"),
        ("ktadd -k SRVTAB:x alice", "kadmin: Unknown Key table type"),
        ("frob", "kadmin: Command not found frob"),
    ] {
        let text = desk.failed(line);
        assert!(text.starts_with(expected), "{line}: {text}");
    }
    assert_eq!(desk.entry("alice").expect("there").keys[0].kvno, 1);
}

#[test]
fn a_principal_is_shown_as_mit_shows_it() {
    let desk = Desk::new();
    desk.done(
        "addprinc -pw x -e aes256-cts:special,aes128-cts:norealm,aes256-sha2 -expire 2026-12-31 -maxlife 10h alice",
    );
    desk.done("alias al alice");
    let mut entry = (*desk.entry("alice").expect("there")).clone();
    (entry.modified, entry.modified_by, entry.password_changed) = (Time(1_795_305_430), "x/admin@R".into(), None);
    desk.store.commit(&[Change::Replace(entry)]).expect("replaced");
    assert_eq!(
        desk.done("getprinc alice"),
        "Principal: alice@R
Expiration date: Thu Dec 31 00:00:00 UTC 2026
Last password change: [never]
Password expiration date: [never]
Maximum ticket life: 0 days 10:00:00
Maximum renewable life: 7 days 00:00:00
Last modified: Sat Nov 21 23:57:10 UTC 2026 (x/admin@R)
Last successful authentication: [never]
Last failed authentication: [never]
Failed password attempts: 0
Number of keys: 3
Key: vno 1, aes256-cts-hmac-sha1-96:special
Key: vno 1, aes128-cts-hmac-sha1-96:norealm
Key: vno 1, aes256-cts-hmac-sha384-192
MKey: vno 1
Attributes: REQUIRES_PRE_AUTH DISALLOW_SVR
Policy: [none]
Alias: al@R
"
    );
    assert_eq!(desk.done("getprinc al"), desk.done("getprinc alice"));
    assert_eq!(
        desk.done("getprinc -terse alice"),
        "\"alice@R\"\t1798675200\t0\t0\t36000\t\"x/admin@R\"\t1795305430\t4224\t1\t1\t\"[none]\"\t604800\t0\t0\t0\t3\
         \t2\t1\t18\t4\t2\t1\t17\t2\t1\t1\t20\t0\n"
    );
    desk.done("addprinc -nokey +allow_svr -requires_preauth none");
    let shown = desk.done("getprinc none");
    assert!(shown.contains("Number of keys: 0\nMKey: vno 1\nAttributes:\nPolicy: [none]\n"), "{shown}");
    assert!(shown.contains("Maximum ticket life: 1 day 00:00:00\n"), "{shown}");
}

#[test]
fn what_cannot_be_undone_is_asked_about() {
    let desk = Desk::new();
    desk.done("addprinc -randkey alice");
    let question = "Are you sure you want to delete the principal \"alice@R\"? (yes/no): ";
    for answers in [&[][..], &["no"], &["y"], &[""]] {
        let (outcome, script) = desk.ask("delprinc alice", answers);
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!((&*script.out, &*script.err), (question, "Principal \"alice@R\" not deleted\n"));
    }
    let (outcome, script) = desk.ask("renprinc alice bob", &["no"]);
    assert_eq!((outcome, &*script.err), (Outcome::Failed, "Principal \"alice@R\" not renamed\n"));
    assert_eq!(desk.ask("renprinc alice bob", &["yes"]).0, Outcome::Done);
    let (outcome, script) = desk.ask("delprinc bob", &["yes"]);
    assert_eq!(outcome, Outcome::Done);
    assert!(script.out.ends_with("before reusing.\n"));
    assert!(desk.entry("bob").is_none());
}

#[test]
fn a_script_hears_what_it_asked_for_and_nothing_else() {
    let desk = Desk { quiet: true, ..Desk::new() };
    for line in ["addprinc -pw x alice", "modprinc +needchange alice", "cpw -randkey alice", "setstr alice a b"] {
        assert_eq!(desk.done(line), "", "{line}");
    }
    assert_eq!(desk.done("getstrs alice"), "a: b\n");
    assert_eq!(desk.done("listprincs"), "alice@R\n");
    assert!(desk.failed("addprinc -pw x alice").contains("already exists"));
    assert_eq!(desk.done("delprinc alice"), "");
    assert!(desk.entry("alice").is_none());
}

#[test]
fn a_password_is_asked_for_twice() {
    let desk = Desk::new();
    let prompts = "Enter password for principal \"alice@R\": Re-enter password for principal \"alice@R\": ";
    let (outcome, script) = desk.ask("addprinc alice", &["secret", "secert"]);
    let mismatch = "add_principal: Password mismatch while reading password for \"alice@R\".\n";
    assert_eq!((outcome, &*script.out, &*script.err), (Outcome::Failed, prompts, mismatch));
    assert!(desk.entry("alice").is_none());
    let (outcome, script) = desk.ask("addprinc alice", &["secret", "secret"]);
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(script.out, format!("{prompts}Principal \"alice@R\" created.\n"));
    let old = desk.entry("alice").expect("there");
    assert_eq!(desk.ask("cpw alice", &[]).0, Outcome::Failed);
    assert_eq!(desk.ask("cpw alice", &["new", "new"]).0, Outcome::Done);
    let new = desk.entry("alice").expect("there");
    assert!(!new.keys[0].keys[0].key.same_as(&old.keys[0].keys[0].key));
}

#[test]
fn keys_go_to_a_keytab_and_leave_it() {
    let desk = Desk::new();
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("keytab");
    let shown = format!("WRFILE:{}", file.display());
    let load = || KeytabName::File(file.clone()).load().expect("readable").entries;
    desk.done("addprinc -randkey host/a.b");
    let line = |kvno, etype: &str, what: &str| {
        format!("Entry for principal host/a.b with kvno {kvno}{etype} {what} keytab {shown}.\n")
    };
    let (aes256, aes128) = (", encryption type aes256-cts-hmac-sha1-96", ", encryption type aes128-cts-hmac-sha1-96");
    let ktadd = desk.done(&format!("ktadd -k {} host/a.b", file.display()));
    assert_eq!(ktadd, line(2, aes256, "added to") + &line(2, aes128, "added to"));
    let entry = desk.entry("host/a.b").expect("there");
    assert_eq!((entry.keys.len(), load().len()), (1, 2));
    assert!(load()[0].key.key().expect("a key").same_as(&entry.keys[0].keys[0].key));
    assert_eq!(load()[0].timestamp, Time(1_795_307_148));
    // The same keys again are there already.
    desk.done(&format!("ktadd -q -norandkey -k {} host/a.b", file.display()));
    assert_eq!(load().len(), 2);
    assert_eq!(desk.done(&format!("ktadd -q -k {} host/a.b", file.display())), "");
    assert_eq!(load().iter().map(|entry| entry.kvno).collect::<Vec<_>>(), [2, 2, 3, 3]);
    let remove = |which: &str| format!("ktrem -k {} host/a.b {which}", file.display());
    assert_eq!(desk.done(&remove("old")), line(2, "", "removed from").repeat(2));
    let (outcome, script) = desk.ask(&remove("old"), &[]);
    let only = format!("kadmin: There is only one entry for principal host/a.b in keytab {shown}\n");
    assert_eq!((outcome, script.err), (Outcome::Done, only));
    let none = format!("kadmin: No entry for principal host/a.b with kvno 7 exists in keytab {shown}\n");
    assert_eq!(desk.failed(&remove("7")), none);
    assert_eq!(desk.done(&remove("3")), line(3, "", "removed from").repeat(2));
    assert!(load().is_empty());
}

#[test]
fn keys_of_all_that_match_go_to_a_keytab() {
    let desk = Desk::new();
    for name in ["host/a", "host/b", "other"] {
        desk.done(&format!("addprinc -randkey {name}"));
    }
    let text = desk.done("ktadd -k MEMORY:glob -e aes256-sha2 -glob host/*");
    let line = |name: &str| {
        format!(
            "Entry for principal {name}@R with kvno 2, encryption type aes256-cts-hmac-sha384-192 added to keytab MEMORY:glob.\n"
        )
    };
    assert_eq!(text, line("host/a") + &line("host/b"));
    assert_eq!(desk.entry("other").expect("there").keys[0].kvno, 1);
}

#[test]
fn keys_stay_as_they_are_when_the_keytab_cannot_be_written() {
    let desk = Desk::new();
    desk.done("addprinc -randkey host/a");
    let text = desk.failed("ktadd -k /nowhere/keytab host/a");
    assert!(text.ends_with("while adding key to keytab\n"), "{text}");
    assert_eq!(desk.entry("host/a").expect("there").keys[0].kvno, 1);
    // A folder where a file should be.
    assert!(desk.failed("ktadd -k /tmp host/a").ends_with("while adding key to keytab\n"));
    assert_eq!(desk.entry("host/a").expect("there").keys[0].kvno, 1);
}

#[test]
fn one_failure_does_not_keep_others_from_a_keytab() {
    let desk = Desk::new();
    desk.done("addprinc -randkey host/a");
    let (outcome, script) = desk.ask("ktadd -k MEMORY:mixed nobody host/a nothing", &[]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(script.err, "kadmin: Principal nobody does not exist.\nkadmin: Principal nothing does not exist.\n");
    assert_eq!(script.out.lines().count(), 2);
}

#[test]
fn attributes_are_shown_in_mits_order() {
    let desk = Desk::new();
    let flags: String = Attributes::TABLE.iter().map(|(_, name, ..)| format!("+{name} ")).collect();
    desk.done(&format!("addprinc -randkey {flags} a"));
    let shown = desk.done("getprinc a");
    let names: Vec<_> = Attributes::TABLE.iter().map(|(_, name, ..)| *name).collect();
    assert!(shown.contains(&format!("Attributes: {}\n", names.join(" "))), "{shown}");
}

#[test]
fn the_list_of_commands_has_them_all() {
    let desk = Desk::new();
    let help = desk.done("?");
    assert!(help.starts_with(
        "Available kadmin requests:\n\nadd_principal, addprinc, ank\n                         Add principal\n"
    ));
    assert!(help.contains("change_password, cpw     Change password\n"), "{help}");
    assert!(COMMANDS.iter().flat_map(|command| command.names).all(|name| help.contains(name)));
    assert_eq!(desk.ask("quit", &[]).0, Outcome::Quit);
}
