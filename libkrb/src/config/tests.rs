use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::codes::EncryptionType;
use crate::name::Principal;

/// Files in memory; a path that ends with a slash before its name makes a directory.
#[derive(Default)]
struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl Memory {
    fn of(files: &[(&str, &str)]) -> Memory {
        Memory(files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect())
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.0.get(path) {
            Some(bytes) if bytes == b"forbidden" => Err(io::ErrorKind::PermissionDenied.into()),
            Some(bytes) => Ok(bytes.clone()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let inside = self.0.keys().filter(|path| path.parent() == Some(directory));
        let names: Vec<_> = inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file.parent() == Some(path))
    }
}

fn config(text: &str) -> Config {
    Config::parse("krb5.conf", text).unwrap()
}

fn read(sources: &[&str], files: &[(&str, &str)]) -> Result<Config> {
    let sources: Vec<PathBuf> = sources.iter().map(PathBuf::from).collect();
    Config::read(&sources, &Memory::of(files))
}

fn texts<'a>(config: &'a Config, path: &[&str]) -> Vec<&'a str> {
    config.values(path).iter().map(|value| &*value.text).collect()
}

fn problem(text: &str) -> String {
    Config::parse("krb5.conf", text).map(|_| ()).unwrap_err().to_string()
}

fn principal(text: &str) -> Principal {
    Principal::parse(text, Some("EXAMPLE.ORG")).unwrap()
}

/// The shape of the file that RHEL and Fedora install.
const RHEL: &str = r#"# To opt out of the system crypto-policies configuration of krb5, remove the
# symlink at /etc/krb5.conf.d/crypto-policies which will not be recreated.
includedir /etc/krb5.conf.d/

[logging]
    default = FILE:/var/log/krb5libs.log

[libdefaults]
    dns_lookup_realm = false
    ticket_lifetime = 24h
    renew_lifetime = 7d
    forwardable = true
    rdns = false
    pkinit_anchors = FILE:/etc/pki/tls/certs/ca-bundle.crt
    spake_preauth_groups = edwards25519
    dns_canonicalize_hostname = fallback
    qualify_shortname = ""
    default_ccache_name = KEYRING:persistent:%{uid}

[realms]
# EXAMPLE.COM = {
#     kdc = kerberos.example.com
# }

[domain_realm]
# .example.com = EXAMPLE.COM
"#;

/// What FreeIPA's client installer drops beside it.
const IPA: &str = "[libdefaults]\n default_realm = IPA.EXAMPLE\n\n[realms]\n IPA.EXAMPLE = {\n\
    \x20 pkinit_anchors = FILE:/var/lib/ipa-client/pki/kdc-ca-bundle.pem\n  kdc = ipa.ipa.example:88\n\
    \x20 master_kdc = ipa.ipa.example:88\n  admin_server = ipa.ipa.example:749\n }\n\n\
    [domain_realm]\n .ipa.example = IPA.EXAMPLE\n ipa.example = IPA.EXAMPLE\n";

#[test]
fn a_file_of_rhel_with_the_snippets_of_ipa_is_read() {
    let files = [
        ("/etc/krb5.conf", RHEL),
        (
            "/etc/krb5.conf.d/crypto-policies",
            "[libdefaults]\npermitted_enctypes = aes256-cts-hmac-sha1-96 aes256-sha2\n",
        ),
        ("/etc/krb5.conf.d/freeipa.conf", IPA),
        ("/etc/krb5.conf.d/freeipa.conf.rpmsave", "nonsense that nobody reads\n[x"),
        ("/etc/krb5.conf.d/.hidden.conf", "[x"),
        ("/etc/krb5.conf.d/sub/dir.conf", "[x"),
    ];
    let config = read(&["/etc/krb5.conf"], &files).unwrap();
    assert_eq!(config.default_realm(), Some("IPA.EXAMPLE"));
    assert_eq!(config.permitted_enctypes(), [EncryptionType::AES256_SHA1, EncryptionType::AES256_SHA384]);
    assert_eq!(config.kdcs("IPA.EXAMPLE").unwrap()[0].to_string(), "ipa.ipa.example:88");
    assert_eq!(config.primary_kdcs("IPA.EXAMPLE").unwrap().len(), 1);
    assert_eq!(config.admin_servers("IPA.EXAMPLE").unwrap()[0].to_string(), "ipa.ipa.example:749");
    assert_eq!(config.realm_of_host("web.ipa.example"), Some("IPA.EXAMPLE"));
    assert_eq!(config.renew_lifetime("IPA.EXAMPLE"), 604_800);
    assert_eq!(config.dns_canonicalize_hostname(), Canonicalize::Fallback);
    assert_eq!(config.qualify_shortname(), Some(""));
    assert!(config.forwardable("IPA.EXAMPLE") && !config.rdns());
    let environment = Environment { uid: 1000, ..Environment::default() };
    assert_eq!(config.ccache_name(&environment).unwrap(), "KEYRING:persistent:1000");
    assert_eq!(config.unknown_keys(), []);
    assert_eq!(config.notices(), []);
}

#[test]
fn without_any_file_the_defaults_of_mit_hold() {
    let config = read(&["/etc/krb5.conf"], &[]).unwrap();
    let environment = Environment { uid: 1000, euid: 1001, ..Environment::default() };
    assert_eq!(config.default_realm(), None);
    let missing = config.needed_default_realm().unwrap_err();
    assert_eq!(missing.to_string(), "Configuration file does not specify default realm");
    assert!(config.dns_lookup_kdc() && config.dns_uri_lookup() && config.rdns() && config.kdc_timesync());
    assert!(!config.dns_lookup_realm() && !config.allow_rc4() && !config.ignore_acceptor_hostname());
    assert_eq!(config.dns_canonicalize_hostname(), Canonicalize::Always);
    assert_eq!((config.ticket_lifetime("R"), config.renew_lifetime("R"), config.clockskew()), (86_400, 0, 300));
    assert!(config.noaddresses("R") && !config.forwardable("R") && !config.proxiable("R") && !config.canonicalize("R"));
    assert_eq!((config.udp_preference_limit(), config.request_timeout()), (1465, None));
    assert_eq!(config.default_tgs_enctypes().len(), 6);
    assert_eq!(config.ccache_name(&environment).unwrap(), "FILE:/tmp/krb5cc_1000");
    assert_eq!(config.keytab_name(&environment).unwrap(), "FILE:/etc/krb5.keytab");
    assert_eq!(config.client_keytab_name(&environment).unwrap(), "FILE:/etc/krb5/user/1001/client.keytab");
    assert_eq!(config.kdcs("R").unwrap(), []);
}

#[test]
fn the_environment_goes_before_the_file() {
    let config = config("[libdefaults]\ndefault_ccache_name = DIR:/a\ndefault_keytab_name = FILE:/b/%{uid}\n");
    let environment = Environment::default();
    assert_eq!(config.ccache_name(&environment).unwrap(), "DIR:/a");
    assert_eq!(config.keytab_name(&environment).unwrap(), "FILE:/b/0");
    let environment = Environment {
        ccache: Some("MEMORY:%{x}".into()),
        keytab: Some("/k".into()),
        client_keytab: Some("/c".into()),
        ..environment
    };
    assert_eq!(config.ccache_name(&environment).unwrap(), "MEMORY:%{x}");
    assert_eq!(config.keytab_name(&environment).unwrap(), "/k");
    assert_eq!(config.client_keytab_name(&environment).unwrap(), "/c");
}

#[test]
fn sections_and_subsections_of_one_name_are_one() {
    let config = config(
        "this is a comment: everything before the first bracket is ignored\n\
         [a]\n s = \"one\"\n s = {\n  child = slick\n  child = \"john\\tb \"\n  }\n s = two\n\
         [b]\n x = y\n[a]\n s =\n {\n child = ron\n inner = {\n deep = 1\n }\n}\n",
    );
    assert_eq!(texts(&config, &["a", "s"]), ["one", "two"]);
    assert_eq!(texts(&config, &["a", "s", "child"]), ["slick", "john\tb ", "ron"]);
    assert_eq!(texts(&config, &["a", "s", "inner", "deep"]), ["1"]);
    assert_eq!(config.value(&["a", "s"]).unwrap().place.to_string(), "krb5.conf:3");
    assert_eq!(texts(&config, &["a", "none"]), [""; 0]);
    assert_eq!(texts(&config, &["a", "s", "child", "x"]), [""; 0]);
}

#[test]
fn a_final_mark_ends_a_value_a_section_or_a_subsection_within_one_file() {
    let config = config(
        "[v]\na = 1\na* = 2\na = 3\n[s]*\nx = 1\n[s]\nx = 2\ny = 1\n[t]\nr = {\nx = 1\n}*\nr = {\nx = 2\n\
         q = {\nz = 1\n}\n}\nq = 1\n[u]\nr* = {\nx = 1\n}\nr = {\nx = 2\n}\nw = 1\n",
    );
    assert_eq!(texts(&config, &["v", "a"]), ["1", "2"]);
    assert_eq!(texts(&config, &["s", "x"]), ["1"]);
    assert_eq!(texts(&config, &["s", "y"]), [""; 0]);
    assert_eq!(texts(&config, &["t", "r", "x"]), ["1"]);
    assert_eq!(texts(&config, &["t", "r", "q", "z"]), [""; 0]);
    assert_eq!(texts(&config, &["t", "q"]), ["1"]);
    assert_eq!(texts(&config, &["u", "r", "x"]), ["1"]);
    assert_eq!(texts(&config, &["u", "w"]), ["1"]);
}

#[test]
fn an_earlier_file_goes_before_a_later_one_and_a_final_mark_hides_it() {
    let files = [
        ("/1", "[a]\nx = 1\nf* = 1\n[b]*\nx = 1\n[r]\nsub = {\ny = 1\n}*\n"),
        ("/2", "[a]\nx = 2\nf = 2\nz = 2\n[b]\nx = 2\nz = 2\n[r]\nsub = {\ny = 2\n}\nother = {\ny = 2\n}\n"),
    ];
    let config = read(&["/1", "/missing", "/2"], &files).unwrap();
    assert_eq!(texts(&config, &["a", "x"]), ["1", "2"]);
    assert_eq!(texts(&config, &["a", "f"]), ["1"]);
    assert_eq!(texts(&config, &["a", "z"]), ["2"]);
    assert_eq!(texts(&config, &["b", "x"]), ["1"]);
    assert_eq!(texts(&config, &["b", "z"]), [""; 0]);
    assert_eq!(texts(&config, &["r", "sub", "y"]), ["1"]);
    assert_eq!(texts(&config, &["r", "other", "y"]), ["2"]);
}

#[test]
fn a_directory_in_the_list_of_files_is_read_like_an_included_one() {
    let files = [("/d/b.conf", "[a]\nx = b\n"), ("/d/a", "[a]\nx = a\n"), ("/d/x.bak", "[x")];
    assert_eq!(texts(&read(&["/d"], &files).unwrap(), &["a", "x"]), ["a", "b"]);
}

#[test]
fn files_that_may_not_be_read_are_skipped_unless_there_is_no_other() {
    let files = [("/secret", "forbidden"), ("/open", "[a]\nx = 1\n")];
    let config = read(&["/secret", "/open"], &files).unwrap();
    assert_eq!(texts(&config, &["a", "x"]), ["1"]);
    assert_eq!(config.notices()[0].to_string(), "/secret: the file is skipped: permission denied");
    assert_eq!(read(&["/secret"], &files).unwrap_err().to_string(), "/secret: permission denied");
}

#[test]
fn included_files_stand_for_themselves_and_merge_where_they_stand() {
    let files =
        [("/main", "[a]\nx = 1\ns = {\ninclude /more\ny = 1\n}\nx = 3\n"), ("/more", "[a]\nx = 2\n[b]\nz = 1\n")];
    let config = read(&["/main"], &files).unwrap();
    assert_eq!(texts(&config, &["a", "x"]), ["1", "2", "3"]);
    assert_eq!(texts(&config, &["a", "s", "y"]), ["1"]);
    assert_eq!(config.value(&["b", "z"]).unwrap().place.to_string(), "/more:4");
}

#[test]
fn includes_that_cannot_end_well_are_refused_with_their_line() {
    let error = |files: &[(&str, &str)]| read(&["/main"], files).unwrap_err().to_string();
    assert_eq!(
        error(&[("/main", "[a]\ninclude /missing\n")]),
        "/main:2: cannot read included file /missing: entity not found"
    );
    assert_eq!(
        error(&[("/main", "includedir /none\n")]),
        "/main:1: cannot read included directory /none: entity not found"
    );
    assert_eq!(
        error(&[("/main", "include /b\n"), ("/b", "\n\ninclude /main\n")]),
        "/b:3: include loop: /main is being read already"
    );
    let chain: Vec<(String, String)> = (0..40).map(|n| (format!("/{n}"), format!("include /{}\n", n + 1))).collect();
    let chain: Vec<(&str, &str)> = chain.iter().map(|(path, text)| (&**path, &**text)).collect();
    let error = read(&["/0"], &chain).unwrap_err().to_string();
    assert_eq!(error, "/15:1: files include each other more than 16 deep");
}

#[test]
fn includes_that_multiply_are_bounded() {
    let twice: Vec<(String, String)> =
        (0..16).map(|n| (format!("/{n}"), format!("include /{0}\ninclude /{0}\n", n + 1))).collect();
    let twice: Vec<(&str, &str)> = twice.iter().map(|(path, text)| (&**path, &**text)).chain([("/15", "")]).collect();
    assert_eq!(
        read(&["/0"], &twice).unwrap_err().to_string().split_once(": ").unwrap().1,
        "the configuration has too many files or bytes"
    );
}

#[test]
fn every_syntax_error_has_its_line_and_says_what_was_expected() {
    let bad = "Improper format of Kerberos configuration file";
    for (text, expected) in [
        ("[a]\nR = { kdc = x\n}\n", "2: %: found \"kdc = x\" after \"{\", expected it on a line of its own"),
        ("[a]\n\nk =\nx = 1\n", "3: %: \"k =\" has no value, expected one, \"\" for an empty one, or \"{\""),
        ("[a]\n}\n", "2: %: found \"}\" without a \"{\" before it"),
        ("[a]\ns = {\n[b]\n", "3: %: found the section header [b], expected the \"}\" for the \"{\" of line 2"),
        ("[a\n", "1: %: found \"[a\", expected \"]\" after the section's name"),
        ("[a] x\n", "1: %: found \"x\" after [a], expected the end of the line"),
        ("[a]\nx y = z\n", "2: %: found \"x y\" before \"=\", expected one word"),
        ("[a]\n= z\n", "2: %: found \"=\", expected a name before it"),
        ("[a]\nword\n", "2: %: found \"word\", expected \"name = value\", a section header or \"}\""),
    ] {
        assert_eq!(problem(text), format!("krb5.conf:{}", expected.replace('%', bad)));
    }
    let deep = format!("[a]\n{}", "s = {\n".repeat(40));
    assert_eq!(problem(&deep), "krb5.conf:33: subsections more than 32 deep");
}

#[test]
fn every_wrong_value_has_its_line_and_says_what_was_expected() {
    let wrong = |setting: &str| problem(&format!("[libdefaults]\n\n{setting}\n"));
    for (setting, expected) in [
        ("forwardable = maybe", "forwardable: found \"maybe\", expected true or false"),
        ("dns_lookup_kdc = true # yes", "dns_lookup_kdc: found \"true # yes\", expected true or false"),
        ("clockskew = soon", "clockskew: found \"soon\", expected a duration such as 300, 10h or 1d12h"),
        ("ticket_lifetime = -1h", "ticket_lifetime: found \"-1h\", expected a duration such as 300, 10h or 1d12h"),
        ("udp_preference_limit = 1k", "udp_preference_limit: found \"1k\", expected a number of bytes"),
        ("kdc_timesync = often", "kdc_timesync: found \"often\", expected 0 or 1"),
        ("preferred_preauth_types = a", "preferred_preauth_types: found \"a\", expected numbers separated by commas"),
        ("dns_canonicalize_hostname = x", "dns_canonicalize_hostname: found \"x\", expected true, false or fallback"),
        (
            "permitted_enctypes = des",
            "permitted_enctypes: No supported encryption types (config file error?): found \"des\"",
        ),
    ] {
        assert_eq!(wrong(setting), format!("krb5.conf:3: {expected}"));
    }
    let config = config("[libdefaults]\ndefault_ccache_name = %{nobody}\n[realms]\nR = {\nkdc = 88\nflag = x\n}\n");
    let name = config.ccache_name(&Environment::default()).unwrap_err().to_string();
    assert!(name.starts_with("krb5.conf:2: default_ccache_name: found %{nobody}, expected uid"), "{name}");
    assert_eq!(
        config.kdcs("R").unwrap_err().to_string(),
        "krb5.conf:5: kdc: found \"88\", expected host, host:port, [address]:port, an https:// URL or the path of a socket"
    );
    assert_eq!(
        config.realm_flag("R", "flag").unwrap_err().to_string(),
        "krb5.conf:6: flag: found \"x\", expected true or false"
    );
}

#[test]
fn what_is_read_past_is_noticed() {
    let config = Config::read(
        &["/c".into()],
        &Memory([(
            "/c".into(),
            b"\xEF\xBB\xBFmodule /x.so:y\nloose\n# fine\n\n[libdefaults]\n; caf\xE9\ndefault_tkt_enctypes = aes rot13\n\
              [r]\nq = \"x\" y\np = \"x\n*.example.org = R\nR = { kdc = x }\nu = v # w\nl =\n{ more\n\
              s = {\n"
                .to_vec(),
        )]
        .into()),
    )
    .unwrap();
    let notices: Vec<String> = config.notices().iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        [
            "/c:6: bytes that are not UTF-8 were replaced",
            "/c:1: \"module\" is not supported: the line is ignored",
            "/c:2: text before the first section header is ignored",
            "/c:9: text after the closing quote is ignored",
            "/c:10: the closing quote is missing",
            "/c:11: the \"*\" in a name is the final mark: the rest is cut off",
            "/c:12: \"{ ... }\" on one line is a mere text: subsections need lines of their own",
            "/c:13: \"#\" after a value is part of the value, not a comment",
            "/c:14: text after \"{\" is ignored",
            "/c:14: the \"{\" of this line is never closed",
            "/c:16: the \"{\" of this line is never closed",
            "/c:7: default_tkt_enctypes: \"rot13\" is no encryption type that is supported and allowed",
        ]
    );
}

#[test]
fn keys_that_nobody_reads_are_named_with_a_guess() {
    let config = config(
        "[libdefault]\n[libdefaults]\nfowardable = true\nR = {\npkinit_anchors = x\nnonsense_key = 1\n}\n\
         [realms]\nR = {\nkcd = x\nkdc = y\nmaster_kcd = z\n}\nkdc = y\n[domain_realm]\nanything = R\n\
         [plugins]\nhostrealm = {\ndisabled = dns\n}\n[own_section]\nx = 1\n",
    );
    let unknown: Vec<String> = config.unknown_keys().iter().map(ToString::to_string).collect();
    assert_eq!(
        unknown,
        [
            "krb5.conf:1: unknown section [libdefault], is it [libdefaults]?",
            "krb5.conf:3: unknown key \"fowardable\" in [libdefaults], is it \"forwardable\"?",
            "krb5.conf:6: unknown key \"nonsense_key\" in [libdefaults/R]",
            "krb5.conf:21: unknown section [own_section]",
            "krb5.conf:19: unknown key \"disabled\" in [plugins/hostrealm], is it \"disable\"?",
            "krb5.conf:14: unknown key \"kdc\" in [realms]",
            "krb5.conf:10: unknown key \"kcd\" in [realms/R]",
            "krb5.conf:12: unknown key \"master_kcd\" in [realms/R], is it \"master_kdc\"?",
        ]
    );
}

#[test]
fn a_realm_may_have_defaults_of_its_own() {
    let config = config(
        "[libdefaults]\nforwardable = no\nticket_lifetime = 10h\nrequest_timeout = 5s\nudp_preference_limit = -1\n\
         EXAMPLE.ORG = {\nforwardable = yes\nrenew_lifetime = 7d\n}\n",
    );
    assert!(config.forwardable("EXAMPLE.ORG") && !config.forwardable("OTHER"));
    assert_eq!((config.renew_lifetime("EXAMPLE.ORG"), config.renew_lifetime("OTHER")), (604_800, 0));
    assert_eq!(config.ticket_lifetime("EXAMPLE.ORG"), 36_000);
    assert_eq!((config.request_timeout(), config.udp_preference_limit()), (Some(5), 1465));
}

#[test]
fn hosts_find_their_realm_by_name_then_by_domain() {
    let config = config(
        "[domain_realm]\ncrash.mit.edu = TEST.ATHENA.MIT.EDU\n.dev.mit.edu = DEV.MIT.EDU\nmit.edu = ATHENA.MIT.EDU\n\
         .org = ORG\n",
    );
    for (host, realm) in [
        ("crash.mit.edu", Some("TEST.ATHENA.MIT.EDU")),
        ("CRASH.mit.edu.", Some("TEST.ATHENA.MIT.EDU")),
        ("a.b.dev.mit.edu", Some("DEV.MIT.EDU")),
        ("dev.mit.edu", Some("ATHENA.MIT.EDU")),
        ("mit.edu", Some("ATHENA.MIT.EDU")),
        ("example.org", Some("ORG")),
        ("org", None),
        ("localhost", None),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("", None),
        (".", None),
    ] {
        assert_eq!(config.realm_of_host(host), realm, "{host}");
    }
    assert_eq!(config.guessed_realm_of_host("www.example.com").as_deref(), Some("EXAMPLE.COM"));
    assert_eq!(config.guessed_realm_of_host("localhost"), None);
}

#[test]
fn options_of_applications_come_from_the_nearest_section() {
    let config = config(
        "[appdefaults]\ntelnet = {\nATHENA.MIT.EDU = {\noption1 = false\n}\n}\ntelnet = {\noption1 = true\n\
         option2 = true\n}\nATHENA.MIT.EDU = {\noption2 = false\n}\noption2 = 4\n",
    );
    assert_eq!(config.appdefault("telnet", "ATHENA.MIT.EDU", "option1"), Some("false"));
    assert_eq!(config.appdefault("telnet", "ATHENA.MIT.EDU", "option2"), Some("true"));
    assert_eq!(config.appdefault("ftp", "ATHENA.MIT.EDU", "option2"), Some("false"));
    assert_eq!(config.appdefault("ftp", "EXAMPLE.COM", "option2"), Some("4"));
    assert_eq!(config.appdefault("ftp", "EXAMPLE.COM", "option1"), None);
}

#[test]
fn only_what_is_written_down_maps_to_a_local_name() {
    let none = config("[libdefaults]\ndefault_realm = EXAMPLE.ORG\n").local_names().unwrap();
    assert_eq!(none.map(&principal("alice")), None);
    let config = config(
        "[libdefaults]\ndefault_realm = EXAMPLE.ORG\n[realms]\nEXAMPLE.ORG = {\n\
         auth_to_local_names = {\nadmin = root\n}\n\
         auth_to_local = RULE:[1:$1-$0](fred.*)s/-/ /g\n\
         auth_to_local = RULE:[2:$1;$2](^.*;admin$)s/;admin$//\n\
         auth_to_local = RULE:[2:$2](^.*root)s/^.*$/root/\n\
         auth_to_local = DEFAULT\n\
         auth_to_local = RULE:[3:$1](z.*z)\n\
         auth_to_local = RULE:(birds.*)s/birds/bees/  s/x/$0/g\n}\n",
    );
    let names = config.local_names().unwrap();
    for (name, local) in [
        ("admin", Some("root")),
        ("admin@OTHER", None),
        ("fred@X", Some("fred X")),
        ("fred-too@X", Some("fred too X")),
        ("fred@EXAMPLE.ORG", Some("fred EXAMPLE.ORG")),
        ("alice/admin@X", Some("alice")),
        ("alice/root@X", Some("root")),
        ("alice", Some("alice")),
        ("alice/EXAMPLE.ORG", Some("alice")),
        ("alice/x", None),
        ("alice@X", None),
        ("zazz/b/c@X", Some("zazz")),
        ("azz/b/c@X", None),
        ("birdsbirdsxx@X", Some("beesbirds$0$0")),
    ] {
        assert_eq!(names.map(&principal(name)).as_deref(), local, "{name}");
    }
}

#[test]
fn rules_that_are_none_are_refused_with_their_line() {
    for rule in [
        "RULE",
        "TYPEA:x",
        "default",
        "RULE:[x:$1]",
        "RULE:[1:$2]",
        "RULE:[1:$1",
        "RULE:[1:$]",
        "RULE:(a",
        "RULE:(a[)",
        "RULE:s/a/b",
        "RULE:x/a/b/",
        "RULE:s/a/b/L",
    ] {
        let text = format!("[libdefaults]\ndefault_realm = R\n[realms]\nR = {{\nauth_to_local = {rule}\n}}\n");
        let error = config(&text).local_names().unwrap_err().to_string();
        let found = format!("krb5.conf:5: auth_to_local: found \"{rule}\", expected DEFAULT or RULE:");
        assert!(error.starts_with(&found), "{error}");
    }
}

#[test]
fn paths_between_realms_follow_the_names_unless_capaths_says_otherwise() {
    let config = config("[capaths]\nA.ORG = {\nB.NET = .\nC.COM = VIA.NET\nC.COM = VIA.COM # why\nD.ORG = .\n}\n");
    assert_eq!(config.realm_path("A.ORG", "B.NET"), ["A.ORG", "B.NET"]);
    assert_eq!(config.realm_path("A.ORG", "C.COM"), ["A.ORG", "VIA.NET", "VIA.COM", "C.COM"]);
    assert_eq!(config.realm_path("B.NET", "A.ORG"), ["B.NET", "NET", "ORG", "A.ORG"]);
    assert_eq!(config.realm_path("A.B", "B.B"), ["A.B", "B", "B.B"]);
    assert_eq!(config.realm_path("A.ORG", "A.ORG"), ["A.ORG"]);
    assert_eq!(config.capath("A.ORG", "D.ORG"), Some(vec![]));
    assert_eq!(config.capath("A.ORG", "E.ORG"), None);
    assert_eq!(config.realm_path("", "."), ["", "."]);
}

/// The vectors that are read in place; absent ones leave nothing to test.
fn outside() -> Option<serde_json::Value> {
    let folder = std::env::var("KRB_VECTORS_OUTSIDE")
        .map(PathBuf::from)
        .unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/vectors/outside"));
    let text = std::fs::read_to_string(folder.join("names_and_misc.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn durations_come_out_as_in_mit() {
    let Some(vectors) = outside() else { return };
    let vectors = vectors["sets"]["duration_parse"]["vectors"].as_array().unwrap();
    assert!(vectors.len() > 70);
    for vector in vectors {
        let text = vector["text"].as_str().unwrap();
        assert_eq!(parse_duration(text).ok(), vector["seconds"].as_i64(), "{text:?}");
    }
}

#[test]
fn realm_paths_come_out_as_in_mit() {
    let Some(vectors) = outside() else { return };
    let config = config(
        "[capaths]\nATHENA.MIT.EDU = {\nKERBEROS.COM = .\n}\nLCS.MIT.EDU = {\nKERBEROS.COM = ATHENA.MIT.EDU\n\
         ATHENA.MIT.EDU = .\nKABLOOEY.KERBEROS.COM = ATHENA.MIT.EDU\nKABLOOEY.KERBEROS.COM = KERBEROS.COM\n}\n",
    );
    let script = vectors["sets"]["walk_realm_tree"]["text"].as_str().unwrap();
    let mut seen = 0;
    for line in script.lines().filter_map(|line| line.strip_prefix("set ")) {
        let (ends, wanted) = line.split_once(" \"").unwrap();
        let (client, server) = ends.split_once(' ').unwrap();
        let path = config.realm_path(client, server);
        let first = (client != server).then(|| format!("{client}@{client}"));
        let hops = path.windows(2).map(|pair| format!("{}@{}", pair[1], pair[0]));
        let tickets: Vec<String> = first.into_iter().chain(hops).collect();
        assert_eq!(tickets.join(" "), wanted.trim_end_matches('"'), "{client} to {server}");
        seen += 1;
    }
    assert!(seen > 15);
}

/// Lines that are near enough to a configuration to reach deep into the parser.
fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("[libdefaults]".to_owned()),
        Just("[realms]*".to_owned()),
        Just("[capaths]".to_owned()),
        Just("R = {".to_owned()),
        Just("R* =".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("}*".to_owned()),
        Just("include /a".to_owned()),
        Just("includedir /".to_owned()),
        "(kdc|auth_to_local|clockskew|permitted_enctypes|default_realm|R)\\*? = \\PC{0,20}",
        "auth_to_local = RULE:\\[[0-9]:[$0-9a-z]{0,5}\\]\\([a-z.*]{0,5}\\)s/[a-z.^$]{0,4}/[$a-z]{0,3}/g?",
        "(kdc|x) = \"?(\\[|\\]|:|/|[0-9a-f]|\\\\|\"|https://|tcp/){0,12}",
        "\\PC{0,30}",
    ];
    prop::collection::vec(line, 0..20).prop_map(|lines| lines.join("\n"))
}

fn use_everything(config: &Config) {
    for realm in ["R", ""] {
        let _ = (config.kdcs(realm), config.primary_kdcs(realm), config.realm_path(realm, "S"));
        let _ = config.realm_flag(realm, "x");
    }
    let _ = (config.ccache_name(&Environment::default()), config.unknown_keys());
    if let Ok(names) = config.local_names() {
        names.map(&principal("a/b"));
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        if let Ok(config) = Config::parse("x", &text) {
            use_everything(&config);
        }
    }

    #[test]
    fn no_near_configuration_makes_the_parser_panic(a in lines(), b in lines()) {
        let files = Memory::of(&[("/a", &a), ("/b", &b)]);
        if let Ok(config) = Config::read(&["/a".into(), "/b".into()], &files) {
            use_everything(&config);
        }
    }

    #[test]
    fn no_bytes_make_the_loader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Config::read(&["/a".into()], &Memory([("/a".into(), bytes)].into()));
    }

    #[test]
    fn no_text_makes_a_duration_or_time_panic(text in "[-0-9dhms: a-z/.]{0,24}", wall in any::<i32>()) {
        let _ = parse_duration(&text);
        let _ = parse_when(&text, crate::time::Time(wall.into()));
    }

    #[test]
    fn no_host_makes_the_search_for_its_realm_panic(host in "[.a-z0-9:ä-]{0,20}") {
        let config = config("[domain_realm]\n.a = A\nb = B\n");
        let _ = (config.realm_of_host(&host), config.guessed_realm_of_host(&host), Server::parse(&host, 88));
    }

    #[test]
    fn a_value_in_quotes_comes_back_as_it_was(value in "\\PC{0,40}") {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let config = config(&format!("[a]\nx = \"{quoted}\"\n"));
        prop_assert_eq!(&*config.value(&["a", "x"]).unwrap().text, &*value);
    }
}

#[test]
fn the_disk_is_read_through_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("krb5.conf");
    let snippets = folder.path().join("conf.d");
    std::fs::create_dir(&snippets).unwrap();
    std::fs::write(snippets.join("realm.conf"), "[libdefaults]\ndefault_realm = DISK.EXAMPLE\n").unwrap();
    std::fs::write(&path, format!("includedir {}\n", snippets.display())).unwrap();
    let environment = Environment { config: Some(path.display().to_string()), ..Environment::default() };
    assert_eq!(Config::load(&environment).unwrap().default_realm(), Some("DISK.EXAMPLE"));
    std::fs::write(&path, vec![b'\n'; 2 << 20]).unwrap();
    let error = Config::load(&environment).unwrap_err().to_string();
    assert!(error.ends_with("krb5.conf: larger than 1 MiB"), "{error}");
}
