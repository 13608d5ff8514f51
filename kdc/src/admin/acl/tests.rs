use std::net::SocketAddr;

use libkrb::{Principal, Time};

use super::*;
use crate::admin::Door;
use crate::admin::operation::Settings;
use crate::core::Attributes;

#[derive(serde::Deserialize)]
struct Table {
    acl: Vec<Rule>,
}

fn acl(rows: &str) -> Acl {
    Acl::new("R", toml::from_str::<Table>(rows).expect(rows).acl)
}

fn kadm5(text: &str) -> Acl {
    Acl::parse_kadm5("R", text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
}

fn name(text: &str) -> Principal {
    Principal::parse(text, Some("R")).expect(text)
}

fn caller(text: &str) -> Caller {
    Caller::principal(name(text), Door::Https(SocketAddr::from(([192, 0, 2, 1], 4711))), true)
}

fn may(acl: &Acl, who: &str, right: Right, on: &str) -> bool {
    acl.allows(&caller(who), right, (!on.is_empty()).then(|| name(on)).as_ref()).is_allowed()
}

#[test]
fn each_right_is_given_by_its_name_and_by_no_other() {
    for (given, name, ..) in Right::TABLE {
        let acl = acl(&format!("[[acl]]\nwho = 'a/admin'\nmay = ['{name}']"));
        for (right, other, ..) in Right::TABLE {
            for on in ["x", ""] {
                assert_eq!(may(&acl, "a/admin", *right, on), right == given, "{name} {other}");
                assert!(!may(&acl, "b/admin", *right, on));
            }
        }
    }
}

#[test]
fn no_wildcard_gives_the_right_to_extract_keys() {
    for rows in ["[[acl]]\nwho = '*'\nmay = ['*']", "[[acl]]\nwho = '*'\nmay = ['all']"] {
        let acl = acl(rows);
        for (right, name, ..) in Right::TABLE {
            assert_eq!(may(&acl, "a", *right, "x"), *right != Right::Extract, "{name}");
        }
    }
    for letters in ["*", "x", "admcilspx"] {
        assert!(!may(&kadm5(&format!("* {letters}")), "a", Right::Extract, "x"));
        assert!(may(&kadm5(&format!("* {letters}e")), "a", Right::Extract, "x"));
    }
}

#[test]
fn the_letters_of_kadm5_acl_give_what_they_give_in_mit_krb5() {
    for (letters, right, expected) in [
        ("a", Right::Add, true),
        ("a", Right::Modify, false),
        ("m", Right::Modify, true),
        ("m", Right::Strings, true),
        ("d", Right::Delete, true),
        ("c", Right::ChangePassword, true),
        ("i", Right::Inquire, true),
        ("l", Right::List, true),
        ("s", Right::SetKeys, true),
        ("p", Right::List, false),
        ("*D", Right::Delete, false),
        ("*D", Right::Add, true),
        // The last word counts.
        ("Dd", Right::Delete, true),
        ("xCI", Right::Inquire, false),
    ] {
        assert_eq!(may(&kadm5(&format!("a/admin {letters}\n")), "a/admin", right, "x"), expected, "{letters}");
    }
}

#[test]
fn the_first_row_about_caller_and_target_decides() {
    let acl = acl("
        [[acl]]
        who = 'helper/admin'
        may = ['all']
        may_not = ['delete']
        on = '*'
        [[acl]]
        who = '*/admin'
        on = '*/admin'
        [[acl]]
        who = '*/admin'
        may = ['all']");
    assert!(may(&acl, "helper/admin", Right::Add, "x"));
    assert!(!may(&acl, "helper/admin", Right::Delete, "x"), "a later row gives it");
    assert!(!may(&acl, "a/admin", Right::Modify, "b/admin"), "the row before denies it");
    assert!(may(&acl, "a/admin", Right::Modify, "b"));
    assert!(!may(&acl, "a", Right::Inquire, "b"));
}

#[test]
fn realms_and_components_are_matched_one_by_one() {
    for (who, caller, expected) in [
        ("*", "a@S", true),
        ("*", "a/b/c", true),
        ("*@R", "a", true),
        ("*", "a", true),
        ("*@*", "a@S", true),
        ("*@S", "a", false),
        ("*/admin", "a/admin@S", false),
        ("*/admin@S", "a/admin@S", true),
        ("*/admin", "a/b/admin", false),
        ("*/admin", "admin", false),
        ("*/*", "a/b", true),
        ("*/*", "a", false),
        ("web-*/admin", "web-1/admin", true),
        ("web-*/admin", "mail/admin", false),
        (r"a\*", "ab", true),
        (r"a\/admin", "a/admin", false),
        ("*/admin", r"a\/admin", false),
    ] {
        let acl = acl(&format!("[[acl]]\nwho = '{who}'\nmay = ['list']"));
        assert_eq!(may(&acl, caller, Right::List, ""), expected, "{who} {caller}");
    }
}

#[test]
fn a_target_may_refer_to_what_the_callers_wildcards_stood_for() {
    let rows = |who: &str, on: &str| acl(&format!("[[acl]]\nwho = '{who}'\nmay = ['changepw']\non = '{on}'"));
    for (who, on, caller, target, expected) in [
        ("*/root", "*1", "joe/root", "joe", true),
        ("*/root", "*1", "joe/root", "ann", false),
        ("*/root", "*1/admin", "joe/root", "joe/admin", true),
        ("*/*", "*2/*1", "a/b", "b/a", true),
        ("*/*", "*2/*1", "a/b", "c/a", false),
        ("*/admin", "*2", "a/admin", "admin", false),
        ("*/root@S", "*1", "joe/root@S", "joe", true),
        ("*/root@S", "*1", "joe/root@S", "joe@S", false),
        ("web-*/admin", "*1/host", "web-1/admin", "web-1/host", true),
        // What a wildcard stood for is a text, not a pattern.
        ("*/root", "*1", r"\*/root", "joe", false),
        ("host/*", "HTTP/*1", "host/a", "HTTP/a", true),
        ("host/*", "HTTP/*1", "host/a", "HTTP/b", false),
    ] {
        assert_eq!(
            may(&rows(who, on), caller, Right::ChangePassword, target),
            expected,
            "{who} {on} {caller} {target}"
        );
    }
    assert!(!may(&rows("*/root", "*1"), "joe/root", Right::ChangePassword, ""), "a listing is not joe");
}

#[test]
fn everybody_may_change_and_see_only_their_own_without_any_row() {
    let nothing = acl("acl = []");
    for (right, name, ..) in Right::TABLE {
        assert_eq!(may(&nothing, "alice", *right, "alice"), OWN.has(*right), "{name}");
        assert!(!may(&nothing, "alice", *right, "bob") && !may(&nothing, "alice", *right, ""), "{name}");
        assert!(!may(&nothing, "alice@S", *right, "alice"), "{name}");
    }
}

#[test]
fn who_changes_the_own_keys_has_proven_to_know_them() {
    let acl = acl("[[acl]]\nwho = '*'\nmay = ['all']");
    let late = Caller { authority: Authority::Acl { initial: false }, ..caller("alice") };
    let decide = |right, on| acl.allows(&late, right, Some(&name(on)));
    assert_eq!(decide(Right::ChangePassword, "alice"), Decision::NotInitial);
    assert!(decide(Right::ChangePassword, "bob").is_allowed() && decide(Right::Inquire, "alice").is_allowed());
}

#[test]
fn root_and_the_owner_of_the_realm_need_no_row() {
    let acl = acl("[[acl]]\nwho = '*'\nmay_not = ['all']");
    let root = Caller::login("root", "R", Door::Socket);
    assert_eq!(root.name, name("root/admin"));
    for (right, name, ..) in Right::TABLE {
        assert!(acl.allows(&root, *right, None).is_allowed() && acl.rights(&root).has(*right), "{name}");
    }
}

#[test]
fn bounds_hold_whatever_was_asked_for() {
    let acl =
        kadm5("a/admin a * -maxlife 8h,-maxrenewlife 1d  -expire 90d -pwexpire 1d +requires_preauth -allow_svr\n");
    let Decision::Allowed(bounds) = acl.allows(&caller("a/admin"), Right::Add, Some(&name("x"))) else {
        panic!("refused")
    };
    let svr = Attributes::DISALLOW_SVR.0;
    let preauth = Attributes::REQUIRES_PRE_AUTH.0;
    let (day, now) = (86_400, Time(1_000_000));
    let most = Settings {
        expires: Some(90 * day + now.seconds()),
        password_expires: Some(day + now.seconds()),
        max_life: Some(8 * 3600),
        max_renewable_life: Some(day),
        set: svr | preauth,
        clear: 0,
        ..Settings::default()
    };
    let beyond = |value: i64, flags: (u32, u32)| {
        let some = Some(value);
        let (set, clear) = flags;
        Settings {
            expires: some,
            password_expires: some,
            max_life: some,
            max_renewable_life: some,
            set,
            clear,
            ..Settings::default()
        }
    };
    for asked in [Settings::default(), beyond(0, (0, 0)), beyond(i64::MAX, (0, svr | preauth))] {
        let mut settings = asked.clone();
        bounds.impose(&mut settings, now);
        assert_eq!(settings, most, "{asked:?}");
    }
    let mut less = beyond(60, (0, 0));
    bounds.impose(&mut less, now);
    assert_eq!(less, beyond(60, (svr | preauth, 0)));
}

#[test]
fn a_row_that_says_nothing_sensible_is_refused_with_what_would() {
    for (row, hint) in [
        ("who = '*'\nmay = ['everything']", "\"everything\" is no right; expected some of all, policies, add,"),
        ("who = 'a@b@c'\nmay = []", "no pattern of a principal such as"),
        ("who = ''", "no pattern"),
        ("may = ['add']", "missing field `who`"),
        ("who = '*'\nwhom = 'x'", "unknown field `whom`"),
        ("who = '*'\nrestrict = { max_life = 'long' }", "a duration such as"),
        ("who = '*'\nrestrict = { flags = ['allow'] }", "\"allow\" is no flag such as"),
    ] {
        let error = toml::from_str::<Table>(&format!("[[acl]]\n{row}")).err().expect(row).to_string();
        assert!(error.contains(hint), "{row}: {error}");
    }
}

#[test]
fn a_kadm5_acl_is_read_whole_or_not_at_all() {
    let acl = kadm5("# remark\n\n  a/admin\t* \\\n  */host\n*/root ci *1\nx@S l\n");
    assert!(may(&acl, "a/admin", Right::Delete, "b/host") && !may(&acl, "a/admin", Right::Delete, "b"));
    assert!(may(&acl, "joe/root", Right::Inquire, "joe") && may(&acl, "x@S", Right::List, ""));
    for (text, line, hint) in [
        ("a/admin\n", 1, "letters such as"),
        ("#\na/admin q\n", 2, "'q' is no operation"),
        ("a/admin -\n", 1, "'-' is no operation"),
        ("a@b@c *\n", 1, "no pattern"),
        ("a/adm* *\n", 1, "whole components only"),
        ("a * \\\n b \\\n -maxlife\nc *", 1, "-maxlife needs a value"),
        ("a *\nb * * -maxlife long\n", 2, "needs a duration"),
        ("a * * -nonsense 3\n", 1, "\"-nonsense\" is no restriction"),
    ] {
        let (number, problem) = Acl::parse_kadm5("R", text).expect_err(text);
        assert!(number == line && problem.contains(hint), "{text}: {number} {problem}");
    }
}
