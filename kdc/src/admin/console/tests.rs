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
        // Said of every new principal; a test of its own looks at it.
        script.err =
            script.err.lines().filter(|line| !line.starts_with("No policy")).map(|l| format!("{l}\n")).collect();
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
fn a_token_is_enrolled_with_a_picture_and_its_secret_is_shown_once() {
    let desk = Desk::new();
    desk.ask("addprinc -randkey alice", &[]);
    let (outcome, script) = desk.ask("otp add -indicator yubikey alice", &[]);
    assert_eq!((outcome, &*script.err), (Outcome::Done, ""));
    let uri = script.out.lines().next().expect("the URI");
    assert!(uri.starts_with("otpauth://totp/R:alice?secret="), "{uri}");
    assert!(script.out.contains('\u{2588}'), "a picture: {}", script.out);
    let token = desk.entry("alice").expect("alice").tokens[0].clone();
    assert_eq!((token.secret.len(), token.next, &*token.name), (20, 0, "phone"));
    let (_, script) = desk.ask("otp list alice", &[]);
    assert!(script.out.starts_with("phone: 6 digits, every 30 s, says yubikey, since "), "{}", script.out);
    assert!(!script.out.contains("secret"));
    let again = desk.failed("otp add alice");
    assert!(again.contains("there is a token phone already; remove it first"), "{again}");
    let nobody = desk.failed("otp add -name other -with_password alice");
    assert!(nobody.contains("has no password to be asked for"), "{nobody}");
    desk.ask("otp del alice phone", &[]);
    assert!(desk.entry("alice").expect("alice").tokens.is_empty());
    assert!(desk.failed("otp del alice phone").contains("there is no token phone"));
    let (_, script) = desk.ask("otp list alice", &[]);
    assert_eq!(script.out, "(No tokens.)\n");
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

#[test]
fn policies_are_shown_as_mit_shows_them_and_after_that_what_is_ours() {
    let desk = Desk::new();
    assert_eq!(desk.done("addpol plain"), "");
    assert_eq!(
        desk.done("getpol plain"),
        "Policy: plain
Maximum password life: 0 days 00:00:00
Minimum password life: 0 days 00:00:00
Minimum password length: 1
Minimum number of password character classes: 1
Number of old keys kept: 1
Maximum password failures before lockout: 0
Password failure count reset interval: 0 days 00:00:00
Password lockout duration: 0 days 00:00:00
"
    );
    assert_eq!(desk.done("getpol -terse plain"), "\"plain\"\t0\t0\t1\t1\t1\t0\t0\t0\t0\t-\n");
    desk.done("addpol -maxlife 90d -minlength 8 -history 5 -maxfailure 6 -lockoutduration 10m strict");
    desk.done("modpol -allowedkeysalts aes256-cts -dictionary off -minstrength 3 -maxticketlife 8h strict");
    let shown = desk.done("getpol strict");
    let ours = "Password lockout duration: 0 days 00:10:00
Allowed key/salt types: aes256-cts
Words of the dictionary: allowed
Minimum password strength: 3
Maximum ticket life: 0 days 08:00:00
";
    assert!(shown.ends_with(ours), "{shown}");
    assert_eq!(desk.done("getpol -terse strict"), "\"strict\"\t7776000\t0\t8\t1\t5\t0\t6\t0\t600\taes256-cts\n");
    assert_eq!((desk.done("listpols"), desk.done("listpols s*")), ("plain\nstrict\n".into(), "strict\n".into()));
    desk.done("modpol -allowedkeysalts - strict");
    assert!(!desk.done("getpol strict").contains("Allowed"));
    desk.done("delpol -force strict");
    assert_eq!(desk.done("listpols"), "plain\n");
}

#[test]
fn what_no_policy_can_have_is_told_in_mits_words_with_the_way_out() {
    let desk = Desk::new();
    desk.done("addpol there");
    for (line, expected, advice) in [
        ("addpol there", "add_policy: Principal or policy already exists while creating policy \"there\".", ""),
        ("modpol nope", "modify_policy: Policy does not exist while modifying policy \"nope\".", ""),
        ("getpol nope", "get_policy: Policy does not exist while retrieving policy \"nope\".", ""),
        ("delpol -force nope", "delete_policy:: Policy does not exist while deleting policy \"nope\"", ""),
        ("addpol -minlength 0 p", "add_policy: Invalid password length while creating policy \"p\".", "1 to 1024"),
        (
            "addpol -minclasses 6 p",
            "add_policy: Invalid number of character classes while creating policy \"p\".",
            "min_classes is 1 to 5",
        ),
        ("addpol -history 0 p", "add_policy: Invalid password history count while creating policy \"p\".", "1 to 64"),
        ("addpol -minstrength 5 p", "add_policy: Invalid password strength while creating policy \"p\".", "0 to 4"),
        (
            "addpol -minlife 2d -maxlife 1d p",
            "add_policy: Password minimum life is greater than password maximum life while creating policy \"p\".",
            "a longer max_life",
        ),
        ("addpol \"a\tb\"", "add_policy: Illegal policy name while creating policy \"a\tb\".", "printable ASCII"),
        ("addpol \"\"", "add_policy: Illegal policy name while creating policy \"\".", "printable ASCII"),
    ] {
        let said = desk.failed(line);
        let (first, rest) = said.split_once('\n').expect("a line");
        assert_eq!(first, expected, "{line}");
        assert!(rest.contains(advice) && rest.starts_with("  ") != advice.is_empty(), "{line}: {rest}");
    }
    assert_eq!(desk.done("listpols"), "there\n");
}

#[test]
fn principals_come_under_the_policy_that_is_named_or_under_the_default_one() {
    let desk = Desk::new();
    let policy = |name: &str| desk.entry(name).expect("there").policy.clone();
    desk.done("addprinc -randkey before");
    desk.done("addpol -minlength 8 default");
    desk.done("addprinc -randkey new");
    desk.done("addprinc -randkey -clearpolicy free");
    assert_eq!((policy("before"), policy("new"), policy("free")), (None, Some("default".into()), None));
    let short = desk.failed("addprinc -pw short alice");
    let expected = "add_principal: Password is too short while creating \"alice@R\".\n  policy default asks for at least 8 \
                    characters; choose a longer password\n";
    assert_eq!(short, expected);
    let (_, script) = desk.ask("modprinc -policy none new", &[]);
    assert_eq!(script.err, "WARNING: policy \"none\" does not exist\n");
    assert!(desk.done("getprinc new").contains("\nPolicy: none [does not exist]\n"));
    assert!(desk.done("getprinc -terse new").contains("\t\"none\"\t"));
    desk.done("modprinc -clearpolicy new");
    assert!(desk.done("getprinc new").contains("\nPolicy: [none]\n"));
    let told = Desk::new();
    let console = |line: &str| {
        let mut script = Script::default();
        let console = Console {
            registry: &told.registry,
            realm: "R",
            zone: &Utc,
            clock: || Time(0),
            quiet: false,
            kinds: vec![],
            keytab: String::new(),
        };
        console.run(&words(line).expect(line), &mut script);
        script.err
    };
    assert_eq!(console("addprinc -nokey a"), "No policy specified for a@R; defaulting to no policy\n");
    console("addpol default");
    assert_eq!(console("addprinc -nokey b"), "No policy specified for b@R; assigning \"default\"\n");
    assert_eq!(console("addprinc -nokey -clearpolicy c"), "");
}

#[test]
fn a_policy_in_use_stays() {
    let desk = Desk::new();
    desk.done("addpol p");
    desk.done("addprinc -randkey -policy p alice");
    let said = desk.failed("delpol -force p");
    assert!(
        said.starts_with("delete_policy:: Policy is in use while deleting policy \"p\"\n  alice@R is under it"),
        "{said}"
    );
    desk.done("modprinc -clearpolicy alice");
    desk.done("delpol -force p");
    desk.done("addpol p");
    let (outcome, script) = desk.ask("delpol p", &["no"]);
    assert_eq!((outcome, &*script.err), (Outcome::Failed, "Policy \"p\" not deleted.\n"));
    assert_eq!(script.out, "Are you sure you want to delete the policy \"p\"? (yes/no): ");
}

#[test]
fn passwords_expire_with_the_policy_that_their_principal_is_put_under() {
    let desk = Desk::new();
    desk.done("addpol -maxlife 30d p");
    desk.done("addprinc -pw x -policy p alice");
    let expiry = || desk.entry("alice").expect("there").password_expires;
    let changed = desk.entry("alice").expect("there").password_changed.expect("set");
    assert_eq!(expiry(), Some(changed + 30 * 86_400));
    desk.done("modprinc -clearpolicy alice");
    assert_eq!(expiry(), None);
    desk.done("modprinc -policy p alice");
    assert_eq!(expiry(), Some(changed + 30 * 86_400));
    desk.done("modprinc -policy p -pwexpire 2026-12-31 alice");
    assert_eq!(expiry(), Some(Time(1_798_675_200)));
}
