//! Our kadmin beside MIT's: the same queries, the same words.

use std::path::Path;

use tests::{Family, Tool};

/// Queries that both understand, run in this order with `-q`.
const QUERIES: &[&str] = &[
    "addprinc -pw secret -allow_svr +requires_preauth alice",
    "addprinc -pw secret -allow_svr +requires_preauth alice",
    "addprinc -randkey host/a.b",
    "addprinc -nokey nokey",
    "addprinc -randkey -kvno 5 numbered",
    "addprinc -pw secret -e aes256-cts:special,aes128-cts:norealm -allow_svr +requires_preauth salted",
    "addprinc -pw \"\" empty",
    "addprinc a@b@c",
    "delprinc a@b@c",
    "renprinc a a@b@c",
    "cpw -randkey a@b@c",
    "getprinc a@b@c",
    "getprinc alice",
    "getprinc -terse alice",
    "getprinc nokey",
    "getprinc numbered",
    "getprinc salted",
    "getprinc -terse salted",
    "getprinc nobody",
    "modprinc -expire 2026-12-31 -pwexpire \"2027-01-01 12:30\" -maxlife 10h -maxrenewlife \"2 days\" +needchange alice",
    "getprinc alice",
    "modprinc -expire never -maxlife \"1 day\" -needchange +allow_svr +requires_hwauth alice",
    "getprinc alice",
    "modprinc +needchange nobody",
    "modprinc -kvno 7 alice",
    "cpw -pw other alice",
    "cpw -randkey host/a.b",
    "cpw -randkey -keepold host/a.b",
    "getprinc host/a.b",
    "cpw -pw x nobody",
    "cpw -randkey nobody",
    "cpw",
    "cpw a b",
    "cpw -bogus a",
    "ktadd -k KEYTAB host/a.b",
    "ktadd -k KEYTAB.2 -norandkey host/a.b",
    "ktadd -k KEYTAB nobody",
    "ktadd -k KEYTAB -q host/a.b",
    "ktadd",
    "ktrem -k KEYTAB host/a.b old",
    "ktrem -k KEYTAB host/a.b old",
    "ktrem -k KEYTAB nobody all",
    "ktrem -k MISSING host/a.b all",
    "ktrem",
    "purgekeys alice",
    "purgekeys -keepkvno 3 alice",
    "purgekeys nobody",
    "purgekeys",
    "setstr alice key \"a b\"",
    "setstr alice otp \"[{\"\"type\"\":\"\"hotp\"\"}]\"",
    "getstrs alice",
    "delstr alice key",
    "getstrs nokey",
    "getstrs nobody",
    "setstr nobody a b",
    "delstr nobody a",
    "setstr alice",
    "renprinc -force alice alicia",
    "renprinc -force nobody nothing",
    "renprinc alicia alice",
    "renprinc one",
    "getprinc alicia",
    "purgekeys -all alicia",
    "delprinc nokey",
    "delprinc -force nokey",
    "delprinc -force nokey",
    "delprinc",
    "listprincs host/*",
    "listprincs *al*@EXAMPLE.ORG",
    "listprincs nobody",
    "listprincs a b",
    "addpol",
    "addpol plain",
    "addpol plain",
    "getpol plain",
    "getpol -terse plain",
    "addpol -maxlife \"90 days\" -minlife 1d -minlength 8 -minclasses 2 -history 3 strict",
    "modpol -maxfailure 5 -failurecountinterval 10m -lockoutduration \"1 hour\" strict",
    "getpol strict",
    "getpol -terse strict",
    "add_policy -minlength 6 -allowedkeysalts aes256-cts:normal,aes128-cts:normal salts",
    "get_policy salts",
    "get_policy -terse salts",
    "modify_policy -allowedkeysalts - salts",
    "getpol -terse salts",
    "addpol -minlength 0 bad",
    "addpol -minclasses 6 bad",
    "addpol -minclasses 0 bad",
    "addpol -history 0 bad",
    "addpol -minlife 2d -maxlife 1d bad",
    "addpol -bogus bad",
    "addpol -minlength",
    "modpol -minlength 4 nothing",
    "modpol -bogus plain",
    "modpol -minlife 1000d strict",
    "getpol nothing",
    "getpol",
    "getpol a b",
    "listpols",
    "list_policies s*",
    "get_policies nothing",
    "getpols a b",
    "delpol plain",
    "delpol -force plain",
    "delete_policy -force plain",
    "delpol",
    "delpol a b",
    "addprinc -pw short -policy strict +allow_svr under",
    "addprinc -pw alllowercase -policy strict under",
    "addprinc -pw under -policy salts under",
    "addprinc -pw example.org -policy salts under",
    "addprinc -pw \"First word\" -policy strict -allow_svr +requires_preauth under",
    "getprinc under",
    "getprinc -terse under",
    "cpw -pw short under",
    "cpw -pw \"First word\" under",
    "cpw -pw \"Second word\" under",
    "cpw -pw \"First word\" under",
    "cpw -pw \"Third word\" under",
    "cpw -pw \"Fourth word\" under",
    "cpw -pw \"First word\" under",
    "cpw -pw \"Third word\" under",
    "cpw -randkey under",
    "getprinc under",
    "modprinc -policy nothing under",
    "getprinc under",
    "cpw -pw x under",
    "getprinc -terse under",
    "modprinc -policy strict -unlock under",
    "getprinc under",
    "modprinc -clearpolicy under",
    "getprinc under",
    "modprinc -unlock nobody",
    "addprinc -randkey -policy salts -e aes256-cts:normal restricted",
    "modpol -allowedkeysalts aes128-cts:normal,aes256-cts:normal salts",
    "cpw -randkey restricted",
    "getprinc restricted",
    "cpw -randkey -e aes256-cts:normal restricted",
    "cpw -randkey -e aes256-cts:special restricted",
    "cpw -pw whatever -e camellia256-cts:normal restricted",
    "addpol -maxlife 30d default",
    "addprinc -randkey defaulted",
    "addprinc -randkey -clearpolicy undefaulted",
    "getprinc defaulted",
    "getprinc undefaulted",
    "addprinc -policy nothing -randkey nowhere",
    "getprivs",
    "getprivs x",
    "getstrs",
];

/// Queries run as words, where MIT says nothing that was not asked for and the exit status tells.
const WORDS: &[&[&str]] = &[
    &["addprinc", "-pw", "two words", "-allow_svr", "word"],
    &["addprinc", "-randkey", "word"],
    &["setstr", "word", "key", "two words"],
    &["getstrs", "word"],
    &["modprinc", "-maxlife", "3 hours", "word"],
    &["modprinc", "+needchange", "nobody"],
    &["cpw", "-randkey", "word"],
    &["getprinc", "nobody"],
    &["renprinc", "word", "ward"],
    &["listprincs", "w*"],
    &["delprinc", "ward"],
    &["delprinc", "ward"],
];

fn ours(folder: &Path) -> impl Fn(Vec<&str>) -> Tool {
    let realm = folder.join("ours");
    Tool::new(Family::Ours.program("kdc"))
        .args(["init", "--realm", "EXAMPLE.ORG", "--listen", "127.0.0.1:88", "--dir"])
        .args([&realm])
        .run()
        .succeeds();
    move |arguments| {
        let kadmin = Tool::new(Family::Ours.program("kadmin")).args(["--config"]).args([realm.join("kdc.toml")]);
        kadmin.args(arguments).stdin("no\n")
    }
}

fn mit(folder: &Path) -> impl Fn(Vec<&str>) -> Tool {
    let realm = folder.join("mit");
    std::fs::create_dir(&realm).expect("a folder");
    let names: Vec<_> = libkrb::crypto::SUPPORTED.iter().map(|etype| format!("{etype}:normal")).collect();
    let shown = realm.display();
    let settings = [
        ("krb5.conf", "[libdefaults]\n default_realm = EXAMPLE.ORG\n".to_owned()),
        (
            "kdc.conf",
            format!(
                "[realms]\n EXAMPLE.ORG = {{\n  database_name = {shown}/principal\n  key_stash_file = {shown}/stash\n  \
                 max_life = 24h\n  max_renewable_life = 7d\n  default_principal_flags = +preauth\n  \
                 supported_enctypes = {}\n }}\n",
                names.join(" ")
            ),
        ),
    ];
    for (name, text) in settings {
        std::fs::write(realm.join(name), text).expect("written");
    }
    let program = move |name| {
        Tool::new(Family::Mit.program(name))
            .env("KRB5_CONFIG", realm.join("krb5.conf"))
            .env("KRB5_KDC_PROFILE", realm.join("kdc.conf"))
            // kadmin.local names who changes things after it.
            .env("USER", "root")
    };
    program("kdb5_util").args(["create", "-s", "-r", "EXAMPLE.ORG", "-P", "master"]).run().succeeds();
    move |arguments| program("kadmin.local").args(arguments).stdin("no\n")
}

/// What was said, without what may differ: who says it, when, MIT's arguments for its database, our
/// rules, and the second line of a refusal, which MIT has not.
fn comparable(text: &str) -> Vec<String> {
    let kept = |line: &&str| {
        let options = ["[-expire expdate]", "db_princ_args", "database specific", "Look at each"];
        let rules = ["[-dictionary on|off]", "[-maxticketlife time]", "[-rotatekeysafter time]", "parser lost count"];
        let arguments = options.iter().chain(&rules).any(|option| line.contains(option));
        let advice = line.starts_with("  ");
        !line.starts_with("Authenticating as principal") && !advice && !arguments && !matches!(*line, "" | "where,")
    };
    let same = |line: &str| {
        let line = line.replace("kadmin.local:", "kadmin:").replace("|-olderthan duration]", "]");
        match line.split_once(": ") {
            Some((what @ ("Last modified" | "Last password change"), _)) => format!("{what}: ..."),
            // Said by a query; those that a policy sets count from now.
            Some((what @ "Password expiration date", date)) if date != "[never]" && !date.contains("12:30:00") => {
                format!("{what}: ...")
            }
            _ if line.starts_with('"') && line.contains('\t') => {
                let principal = line.contains('@');
                let fields = line.split('\t').enumerate().filter(|(at, _)| !principal || !matches!(at, 2 | 5 | 6));
                let field = |(at, field)| if principal && at == 3 && field != "0" { "..." } else { field };
                fields.map(field).collect::<Vec<_>>().join("\t")
            }
            _ => line,
        }
    };
    text.lines().filter(kept).map(same).collect()
}

#[test]
fn kadmin_says_what_mits_says() {
    if !Family::Mit.present() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, mit) = (ours(folder.path()), mit(folder.path()));
    let mut differences = String::new();
    for query in QUERIES {
        let speak = |tool: &dyn Fn(Vec<&str>) -> Tool, keytab: &str| {
            let path = folder.path().join(keytab);
            let said = tool(vec!["-q", &query.replace("KEYTAB", path.to_str().expect("text"))]).run();
            [said.stdout, said.stderr].map(|text| comparable(&text.replace(keytab, "keytab")))
        };
        let (we, they) = (speak(&ours, "keytab-1"), speak(&mit, "keytab-2"));
        if we != they {
            differences += &format!("> {query}\nours: {we:#?}\nMIT's: {they:#?}\n");
        }
    }
    for words in WORDS {
        let speak = |tool: &dyn Fn(Vec<&str>) -> Tool| {
            let said = tool(words.to_vec()).run();
            (said.is_success(), comparable(&said.stdout), comparable(&said.stderr))
        };
        let (we, they) = (speak(&ours), speak(&mit));
        if we != they {
            differences += &format!("> {words:?}\nours: {we:#?}\nMIT's: {they:#?}\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}
