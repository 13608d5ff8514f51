use libkrb::codes::EncryptionType;

use super::*;
use crate::admin::operation::{Etype, Salt};
use crate::core::Attributes;

/// One hour east of Greenwich, whatever the season.
struct Fixed;

impl Zone for Fixed {
    fn wall(&self, time: Time) -> Time {
        time + 3600
    }
    fn time(&self, wall: Time) -> Option<Time> {
        Some(wall - 3600)
    }
    fn name(&self, _: Time) -> String {
        "+01:00".into()
    }
}

/// Sunday, 2026-11-22, 01:25:48 on the wall.
const NOW: Time = Time(1_795_307_148);

fn query(line: &str) -> Result<Query, Misuse> {
    let context = Context { realm: "R", now: NOW, zone: &Fixed };
    read(&context, &words(line).expect(line))
}

fn sound(line: &str) -> String {
    format!("{:?}", query(line).unwrap_or_else(|misuse| panic!("{line}: {misuse:?}")))
}

fn settings(line: &str) -> Settings {
    match query(line) {
        Ok(Query::Add { settings, .. } | Query::Modify { settings, .. }) => settings,
        other => panic!("{line}: {other:?}"),
    }
}

/// The expiration date that a text means, as the wall shows it.
fn expires(text: &str) -> Result<String, Misuse> {
    match query(&format!("modprinc -expire \"{text}\" a"))? {
        Query::Modify { settings: Settings { expires: Some(0), .. }, .. } => Ok("never".into()),
        Query::Modify { settings: Settings { expires: Some(time), .. }, .. } => Ok(Fixed.wall(Time(time)).to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_command_is_known_by_all_its_names() {
    for (names, words) in [
        ("add_principal addprinc ank", "-randkey a"),
        ("delete_principal delprinc", "a"),
        ("modify_principal modprinc", "a"),
        ("rename_principal renprinc", "a b"),
        ("add_alias alias", "a b"),
        ("change_password cpw", "a"),
        ("get_principal getprinc", "a"),
        ("list_principals listprincs get_principals getprincs", "a*"),
        ("add_policy addpol", "-minlength 8 p"),
        ("modify_policy modpol", "-minlength 8 p"),
        ("delete_policy delpol", "p"),
        ("get_policy getpol", "-terse p"),
        ("list_policies listpols get_policies getpols", "p*"),
        ("get_privs getprivs", ""),
        ("kdcs", ""),
        ("ktadd xst", "a"),
        ("ktremove ktrem", "a"),
        ("purgekeys", "a"),
        ("rotate_keys rotate", "a"),
        ("get_strings getstrs", "a"),
        ("set_string setstr", "a b c"),
        ("del_string delstr", "a b"),
        ("otp", "list a"),
        ("list_requests lr ?", ""),
        ("quit exit q", ""),
    ] {
        let mut meanings: Vec<_> = names.split(' ').map(|name| sound(&format!("{name} {words}"))).collect();
        meanings.dedup();
        assert_eq!(meanings.len(), 1, "{names}");
    }
    assert_eq!(COMMANDS.len(), 25);
}

#[test]
fn queries_mean_what_they_mean_to_mit() {
    for (line, expected) in [
        ("addprinc -randkey host/a", "Add { name: Principal(host/a@R), keys: Random([]), kvno: None"),
        ("addprinc -nokey -kvno 3 a@S", "Add { name: Principal(a@S), keys: Keyless, kvno: Some(3)"),
        ("addprinc a", "keys: Password(None, [])"),
        ("addprinc -pw x a", "keys: Password(Some(Secret(redacted)), [])"),
        ("addprinc -clearpolicy a", "keys: Password(None, [])"),
        ("addprinc -pw -randkey a", "keys: Password(Some(Secret(redacted)), [])"),
        ("addprinc -randkey -pw", "Add { name: Principal(-pw@R)"),
        ("delprinc -force", "Delete { name: Principal(-force@R), force: false }"),
        ("delprinc -force -force", "Delete { name: Principal(-force@R), force: true }"),
        ("delprinc -force a", "Delete { name: Principal(a@R), force: true }"),
        ("renprinc a b", "Rename { name: Principal(a@R), to: Principal(b@R), force: false }"),
        ("renprinc -force a b", "force: true"),
        ("alias a b", "Alias { alias: Principal(a@R), name: Principal(b@R) }"),
        ("cpw -randkey -keepold a", "ChangeKeys { name: Principal(a@R), keys: Random([]), keep_old: true }"),
        ("cpw -randkey", "ChangeKeys { name: Principal(-randkey@R), keys: Password(None, []), keep_old: false }"),
        ("cpw -pw x a", "Password(Some(Secret(redacted)), [])"),
        ("getprinc -terse a", "Describe { name: Principal(a@R), terse: true }"),
        ("getprinc -terse", "Describe { name: Principal(-terse@R), terse: false }"),
        ("listprincs", "List { pattern: None }"),
        ("listprincs host/*", "List { pattern: Some(\"host/*\") }"),
        ("purgekeys a", "PurgeKeys { name: Principal(a@R), keep: Newest }"),
        ("purgekeys -all a", "keep: Nothing"),
        ("purgekeys -keepkvno 3 a", "keep: From(3)"),
        ("purgekeys -olderthan 2d a", "keep: ReplacedWithin(172800)"),
        ("rotate_keys a", "Rotate { name: Principal(a@R), announce: 0, overlap: None }"),
        ("rotate -overlap 2d -announce 1h a", "announce: 3600, overlap: Some(172800)"),
        ("setstr a b \"c d\"", "SetString { name: Principal(a@R), key: \"b\", value: Some(\"c d\") }"),
        ("delstr a b", "SetString { name: Principal(a@R), key: \"b\", value: None }"),
        ("otp list a", "Tokens { name: Principal(a@R) }"),
        ("otp del a b", "DeleteToken { name: Principal(a@R), token: \"b\" }"),
        (
            "otp add -name key -counting -digits 8 -with_password -indicator x -noqr a",
            "AddToken { name: Principal(a@R), token: TokenWish { name: \"key\", period: 0, algorithm: Sha1, digits: 8, \
             with_password: true, indicators: [\"x\"], plain: true } }",
        ),
        (
            "ktadd a",
            "KeytabAdd { keytab: None, quiet: false, fresh: Some([]), whose: [One(Typed { name: Principal(a@R), typed: \"a\" })] }",
        ),
        (
            "ktadd -k /tmp/k -q -norandkey a b",
            "KeytabAdd { keytab: Some(\"/tmp/k\"), quiet: true, fresh: None, whose: [One(",
        ),
        (
            "ktadd -keytab k -e aes256-cts a",
            "fresh: Some([KeyKind { etype: Etype(EncryptionType(aes256-cts-hmac-sha1-96)), salt: Normal }])",
        ),
        (
            "ktadd -glob host/* a -glob b*",
            "whose: [Matching(\"host/*\"), One(Typed { name: Principal(a@R), typed: \"a\" }), Matching(\"b*\")]",
        ),
        (
            "ktrem a",
            "KeytabRemove { keytab: None, quiet: false, name: Typed { name: Principal(a@R), typed: \"a\" }, which: All }",
        ),
        ("ktrem -k k a old", "which: Old"),
        ("ktrem a all", "which: All"),
        ("ktrem -q a 3", "which: Version(3)"),
        ("getprivs", "Privileges"),
        ("kdcs", "Kdcs"),
        ("?", "Help"),
        ("q", "Quit"),
    ] {
        let meaning = sound(line);
        assert!(meaning.contains(expected), "{line}: {meaning}");
    }
}

#[test]
fn c5_a_name_that_looks_like_an_option_is_a_name_where_a_name_belongs() {
    for line in
        ["delprinc -x", "getprinc -x", "addprinc -randkey -x", "modprinc -x", "cpw -randkey -x", "ktadd -x", "ktrem -x"]
    {
        assert!(sound(line).contains("Principal(-x@R)"), "{line}");
    }
}

#[test]
fn flags_set_and_clear_attributes() {
    let bits = |line: &str| {
        let settings = settings(line);
        (Attributes(settings.set), Attributes(settings.clear))
    };
    for (bit, shown, flag, positive) in Attributes::TABLE {
        for (sign, plus) in [('+', true), ('-', false)] {
            let expected = if plus == *positive { (*bit, Attributes(0)) } else { (Attributes(0), *bit) };
            assert_eq!(bits(&format!("modprinc {sign}{flag} a")), expected, "{sign}{flag}");
            assert_eq!(bits(&format!("addprinc {sign}{} a", flag.replace('_', "-").to_uppercase())), expected);
            let shown_means = if plus { (*bit, Attributes(0)) } else { (Attributes(0), *bit) };
            assert_eq!(bits(&format!("modprinc {sign}{shown} a")), shown_means, "{sign}{shown}");
        }
    }
    let both = bits("addprinc +needchange -allow_svr +allow_svr -pw x a");
    assert_eq!(both, (Attributes::REQUIRES_PWCHANGE, Attributes::DISALLOW_SVR));
}

#[test]
fn misuse_is_told_in_mits_words() {
    let addprinc = "usage: add_principal [options] principal\n\toptions are:\n\t\t[-randkey|-nokey]";
    for (line, expected) in [
        ("frob x", "kadmin: Command not found frob\n"),
        ("addprinc", addprinc),
        ("addprinc junk a", addprinc),
        ("addprinc -expire", "keys: none"),
        ("addprinc +bogus a", "add_principal: unrecognized option +bogus\nusage: add_principal"),
        ("addprinc -pw a", addprinc),
        ("addprinc -randkey -pw x a", "add_principal: only one of -randkey, -nokey and -pw can be given\nusage:"),
        ("addprinc a@b@c", "add_principal: Malformed representation of principal while parsing principal\n"),
        ("addprinc \"\"", "Malformed representation"),
        ("addprinc -x dn=a a", "add_principal: -x: the store of this KDC takes no such arguments\n"),
        ("addprinc -unlock a", "unrecognized option -unlock"),
        ("addprinc -kvno x a", "add_principal: a key version number was expected, not x\n"),
        (
            "addprinc -e rot13:normal a",
            "add_principal: rot13 is no encryption type while parsing keysalts rot13:normal\n",
        ),
        ("addprinc -e des-cbc-crc:normal a", "des-cbc-crc is broken and therefore not in this build"),
        ("addprinc -e aes256-cts:v4 a", "the salt of aes256-cts:v4 is none of normal, norealm, onlyrealm, special"),
        ("addprinc -e , a", "Invalid key/salt tuples while parsing keysalts ,"),
        ("modprinc", "usage: modify_principal [options] principal\n"),
        ("modprinc -randkey a", "modify_principal: unrecognized option -randkey\nusage: modify_principal"),
        (
            "modprinc -expire whenever a",
            "modify_principal: Invalid date specification \"whenever\".\nusage: modify_principal",
        ),
        ("modprinc -maxlife \"-1 day\" a", "Interval specification \"-1 day\" is in the past.\nusage:"),
        ("delprinc", "usage: delete_principal [-force] principal\n"),
        ("delprinc a b", "usage: delete_principal [-force] principal\n"),
        ("renprinc a", "usage: rename_principal [-force] old_principal new_principal\n"),
        ("alias a", "usage: add_alias alias_principal target_principal\n"),
        (
            "cpw",
            "change_password: missing principal name\nusage: change_password [-randkey] [-keepold] [-e keysaltlist] [-pw password] principal\n",
        ),
        ("cpw a b", "change_password: too many arguments\nusage:"),
        ("cpw -bogus a", "change_password: unrecognized option -bogus\nusage:"),
        ("cpw -randkey -pw x a", "only one of -randkey and -pw"),
        ("getprinc", "usage: get_principal [-terse] principal\n"),
        ("listprincs a b", "usage: get_principals [expression]\n"),
        ("getprivs x", "usage: get_privs\n"),
        ("purgekeys", "usage: purgekeys [-all|-keepkvno oldest_kvno_to_keep|-olderthan duration] principal\n"),
        ("purgekeys -keepkvno x a", "usage: purgekeys"),
        ("rotate_keys -announce 1h", "usage: rotate_keys"),
        ("rotate_keys -later 1h a", "usage: rotate_keys"),
        ("getstrs", "usage: get_strings principal\n"),
        ("setstr a b", "usage: set_string principal key value\n"),
        ("delstr a", "usage: del_string principal key\n"),
        (
            "ktadd",
            "Usage: ktadd [-k[eytab] keytab] [-q] [-e keysaltlist] [-norandkey] [principal | -glob princ-exp] [...]\n",
        ),
        ("ktadd -bogus a", "ktadd: unrecognized option -bogus\nUsage: ktadd"),
        ("ktadd -norandkey -e aes256-cts a", "ktadd: cannot specify keysaltlist when not changing key\n"),
        ("ktrem", "Usage: ktremove [-k[eytab] keytab] [-q] principal [kvno|\"all\"|\"old\"]\n"),
        ("ktrem a b c", "Usage: ktremove"),
        ("ktrem a x", "Usage: ktremove"),
        ("lock", "lock: the store needs no lock"),
    ] {
        match query(line) {
            Err(misuse) => {
                let text = misuse.text();
                assert!(text.contains(expected) && text.ends_with('\n'), "{line}: {text}");
            }
            // The last word is the principal: this one is named "-expire".
            Ok(query) => assert!(line == "addprinc -expire" && format!("{query:?}").contains("-expire@R"), "{line}"),
        }
    }
}

#[test]
fn dates_are_read_as_mit_reads_them_and_a_little_more() {
    for (text, expected) in [
        ("never", "never"),
        ("Never", "never"),
        ("now", "2026-11-22T01:25:48Z"),
        ("today", "2026-11-22T01:25:48Z"),
        ("tomorrow", "2026-11-23T01:25:48Z"),
        ("yesterday", "2026-11-21T01:25:48Z"),
        ("2026-12-31", "2026-12-31T00:00:00Z"),
        ("2026-12-31 23:59", "2026-12-31T23:59:00Z"),
        ("2026-12-31 23:59:58", "2026-12-31T23:59:58Z"),
        ("2026-12-31T23:59:58", "2026-12-31T23:59:58Z"),
        ("2026-12-31T23:59:58Z", "2027-01-01T00:59:58Z"),
        ("2026-12-31T23:59:58-02:00", "2027-01-01T02:59:58Z"),
        ("2026/12/31", "2026-12-31T00:00:00Z"),
        ("12/31/2026", "2026-12-31T00:00:00Z"),
        ("12/31", "2026-12-31T00:00:00Z"),
        ("31 Dec 2026", "2026-12-31T00:00:00Z"),
        ("31-Dec-2026", "2026-12-31T00:00:00Z"),
        ("Dec 31 2026", "2026-12-31T00:00:00Z"),
        ("December 31, 2026", "2026-12-31T00:00:00Z"),
        ("Thu, 31 Dec 2026 12:00:00 GMT", "2026-12-31T13:00:00Z"),
        ("Thu Dec 31 12:00:00 2026", "2026-12-31T12:00:00Z"),
        ("20261231235959", "2026-12-31T23:59:59Z"),
        ("31-Dec-2026:23:59:59", "2026-12-31T23:59:59Z"),
        ("12:30", "2026-11-22T12:30:00Z"),
        ("12:30:15", "2026-11-22T12:30:15Z"),
        ("12:30 pm", "2026-11-22T12:30:00Z"),
        ("12:30am", "2026-11-22T00:30:00Z"),
        ("11pm", "2026-11-22T23:00:00Z"),
        ("2026-12-31 12:30 +0100", "2026-12-31T12:30:00Z"),
        ("2026-12-31 12:30 UTC", "2026-12-31T13:30:00Z"),
        ("+1day", "2026-11-23T01:25:48Z"),
        ("1 day", "2026-11-23T01:25:48Z"),
        ("-1 day", "2026-11-21T01:25:48Z"),
        ("1 day ago", "2026-11-21T01:25:48Z"),
        ("10 hours", "2026-11-22T11:25:48Z"),
        ("10h", "2026-11-22T11:25:48Z"),
        ("1d2h", "2026-11-23T03:25:48Z"),
        ("1 hour 30 minutes", "2026-11-22T02:55:48Z"),
        ("2 weeks", "2026-12-06T01:25:48Z"),
        ("1 fortnight", "2026-12-06T01:25:48Z"),
        ("1 month", "2026-12-22T01:25:48Z"),
        ("3 months ago", "2026-08-22T01:25:48Z"),
        ("2026-01-31 1 month", "2026-02-28T00:00:00Z"),
        ("1 year", "2027-11-22T01:25:48Z"),
        ("2026-12-31 1 day", "2027-01-01T00:00:00Z"),
        ("tomorrow 12:00", "2026-11-23T12:00:00Z"),
    ] {
        assert_eq!(expires(text).as_deref(), Ok(expected), "{text}");
    }
    for text in [
        "",
        " ",
        "0",
        "5",
        "3600",
        "1830",
        "soon",
        "2026-02-30",
        "2026-13-01",
        "24:00",
        "12:60",
        "13pm",
        "0pm",
        "next week",
        "last month",
        "31.12.2026",
        "Dec",
        "Dec 32 2026",
        "1 lightyear",
        "ago",
        "+",
        "-",
        "99999999999 days",
        "2026-12-31 12:30 +01",
        "++1 day",
        "12/31/26",
        "1/1/1/1",
        "t",
        "-t",
        "é",
        "10 é",
    ] {
        assert!(expires(text).is_err(), "{text}: {:?}", expires(text));
    }
}

#[test]
fn intervals_are_durations_or_the_time_until_a_date() {
    for (text, expected) in [
        ("10h", 36_000),
        ("10 hours", 36_000),
        ("10:30", 37_800),
        ("10:30:15", 37_815),
        ("1d2h", 93_600),
        ("3600", 3600),
        ("0", 0),
        ("never", 0),
        ("+1day", 86_400),
        ("tomorrow", 86_400),
        ("now", 0),
        ("4 weeks", 28 * 86_400),
        ("1 month", 30 * 86_400),
        ("2026-11-23", 86_400 - 5148),
    ] {
        assert_eq!(settings(&format!("modprinc -maxlife \"{text}\" a")).max_life, Some(expected), "{text}");
        assert_eq!(settings(&format!("addprinc -maxrenewlife \"{text}\" a")).max_renewable_life, Some(expected));
    }
    for text in ["-5", "-1 day", "yesterday", "2020-01-01", "unlimited"] {
        assert!(query(&format!("modprinc -maxlife \"{text}\" a")).is_err(), "{text}");
    }
}

#[test]
fn key_kinds_are_lists_with_or_without_salts() {
    let kind = |etype, salt| KeyKind { etype: Etype(etype), salt };
    assert_eq!(
        key_kinds("aes256-cts:normal,aes128-sha2 camellia256-cts:SPECIAL,,aes128-cts:norealm\taes256-sha2:onlyrealm"),
        Ok(vec![
            kind(EncryptionType::AES256_SHA1, Salt::Normal),
            kind(EncryptionType::AES128_SHA256, Salt::Normal),
            kind(EncryptionType::CAMELLIA256, Salt::Special),
            kind(EncryptionType::AES128_SHA1, Salt::NoRealm),
            kind(EncryptionType::AES256_SHA384, Salt::OnlyRealm),
        ])
    );
}

proptest::proptest! {
    #[test]
    fn no_line_makes_the_reader_panic(line in ".{0,60}", date in "[0-9a-z:/+. -]{0,30}") {
        let context = Context { realm: "R", now: NOW, zone: &Fixed };
        if let Ok(words) = words(&line) {
            let _ = read(&context, &words);
        }
        for command in COMMANDS {
            let name = command.names[0].to_owned();
            let _ = read(&context, &[name, line.clone(), date.clone()]);
        }
        let _ = expires(&date.replace('"', ""));
    }
}

#[test]
fn every_option_of_a_policy_sets_its_rule_and_no_other() {
    use crate::admin::PolicyRules;
    let rules = |line: &str| match query(line) {
        Ok(Query::AddPolicy { name, rules } | Query::ModifyPolicy { name, rules }) => (name, rules),
        other => panic!("{line}: {other:?}"),
    };
    let none = PolicyRules::default;
    for (options, expected) in [
        ("", none()),
        ("-maxlife \"90 days\"", PolicyRules { max_life: Some(90 * 86_400), ..none() }),
        ("-minlife 1d", PolicyRules { min_life: Some(86_400), ..none() }),
        ("-minlength 8 -minclasses 3", PolicyRules { min_length: Some(8), min_classes: Some(3), ..none() }),
        ("-history 5", PolicyRules { history: Some(5), ..none() }),
        ("-maxfailure 6", PolicyRules { max_failures: Some(6), ..none() }),
        ("-failurecountinterval 10m", PolicyRules { failure_interval: Some(600), ..none() }),
        ("-lockoutduration never", PolicyRules { lockout_duration: Some(0), ..none() }),
        ("-allowedkeysalts aes256-cts", PolicyRules { allowed_key_salts: Some("aes256-cts".into()), ..none() }),
        ("-allowedkeysalts -", PolicyRules { allowed_key_salts: Some(String::new()), ..none() }),
        ("-dictionary off -minstrength 3", PolicyRules { dictionary: Some(false), min_strength: Some(3), ..none() }),
        ("-maxticketlife 8h", PolicyRules { max_ticket_life: Some(8 * 3600), ..none() }),
        ("-maxrenewlife 7d", PolicyRules { max_renewable_life: Some(7 * 86_400), ..none() }),
        ("-rotatekeysafter 30d", PolicyRules { rotate_keys_after: Some(30 * 86_400), ..none() }),
        ("-keepoldkeys 2d", PolicyRules { keep_old_keys: Some(2 * 86_400), ..none() }),
    ] {
        assert_eq!(rules(&format!("addpol {options} p")), ("p".into(), expected), "{options}");
    }
    assert_eq!(rules("modpol -minlength 8 -odd"), ("-odd".into(), PolicyRules { min_length: Some(8), ..none() }));
    for line in ["addpol -minlength p", "addpol -bogus 1 p", "addpol", "delpol a b", "getpol", "listpols a b"] {
        assert!(query(line).expect_err(line).text().starts_with("usag"), "{line}");
    }
    for line in ["addpol -minlength many p", "addpol -dictionary perhaps p", "addpol -allowedkeysalts rot13 p"] {
        assert!(query(line).expect_err(line).text().contains("add_policy: "), "{line}");
    }
}

#[test]
fn a_principal_is_put_under_a_policy_or_under_none_and_opened() {
    assert_eq!(settings("addprinc -policy p a").policy.as_deref(), Some("p"));
    assert_eq!(settings("modprinc -clearpolicy a").policy.as_deref(), Some(""));
    assert_eq!(settings("addprinc a").policy, None);
    assert!(settings("modprinc -unlock a").unlock && !settings("modprinc a").unlock);
}
