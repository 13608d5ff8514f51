use std::time::Duration;

use super::*;
use crate::core::SpakeRules;
use crate::net::guard::{Answer, Network, Rate};

const PATH: &str = "/realm/kdc.toml";

fn read(text: &str) -> Result<Config> {
    parse(Path::new(PATH), text)
}

/// The problem that a text has, which must be on this line.
fn problem(text: &str, line: usize) -> String {
    let error = read(text).expect_err(text).to_string();
    let prefix = format!("{PATH}:{line}: ");
    error.strip_prefix(&prefix).unwrap_or_else(|| panic!("{error}: not on line {line} of {text}")).to_owned()
}

#[test]
fn the_realm_is_all_that_must_be_said() {
    let config = read("realm = \"R\"").expect("enough");
    assert_eq!(config.realm, "R");
    assert_eq!(config.listen, ["127.0.0.1:88".parse().expect("v4"), "[::1]:88".parse().expect("v6")]);
    assert_eq!(config.policy().max_life, 86_400);
    assert_eq!(problem("listen = [\"127.0.0.1:88\"]", 1), "missing field `realm`");
}

#[test]
fn paths_are_taken_from_the_folder_of_the_file() {
    let config = read("realm = 'R'\nstore = '/var/x'\naudit.file = 'logs/audit'").expect("sound");
    assert_eq!(config.store.file, Path::new("/var/x"));
    assert_eq!(config.master_key.path(), Some(Path::new("/realm/master.key")));
    assert_eq!(config.admin_socket, Path::new("/realm/admin.sock"));
    assert_eq!(config.audit.file.as_deref(), Some(Path::new("/realm/logs/audit")));
}

#[test]
fn every_setting_is_read() {
    let text = r#"
        realm = "A.B"
        listen = ["0.0.0.0:88"]
        log = "debug"
        log_format = "json"
        landlock = false
        [policy]
        max_life = "10:30"
        max_renewable_life = 60
        clock_skew = "2m"
        etypes = ["aes256-sha2", "aes128-cts"]
        require_preauth = true
        hide_unknown_clients = true
        check_addresses = true
        allow_disable_transited_check = true
        [keys]
        etypes = ["aes256-cts", "aes256-cts-hmac-sha1-96"]
        iterations = 10000
        [limits]
        tcp_connections = 5
        tcp_connections_per_peer = 4
        idle_timeout = "1h"
        request_timeout = 7
        udp_reply = 1400
        replay_memory = "1 MiB"
        lookaside_memory = 65536
        known_tickets = 9
        records_memory = '2 MiB'
        principals_in_memory = 1
        heavy_threads = 3
        heavy_queue = 7
        [limits.rate]
        source_failures = "5/10s"
        source_work = "off"
        principal_failures = "1/1d"
        principal_work = "2 / 60"
        answer = "drop"
        exempt = ["10.0.0.0/8", "2001:db8::1"]
        memory = "1 MiB"
    "#;
    let config = read(text).expect("sound");
    let policy = config.policy();
    assert_eq!((policy.max_life, policy.max_renewable_life, policy.clock_skew), (37_800, 60, 120));
    assert_eq!(policy.etypes, [EncryptionType::AES256_SHA384, EncryptionType::AES128_SHA1]);
    assert!(policy.require_preauth && policy.hide_unknown_clients);
    assert!(policy.check_addresses && policy.allow_disable_transited_check);
    assert_eq!((config.log.as_str(), config.log_format), ("debug", LogFormat::Json));
    assert!(!config.landlock && read("realm = 'R'").expect("enough").landlock);
    assert_eq!(config.keys, KeySettings { etypes: vec![EncryptionType::AES256_SHA1], iterations: Some(10_000) });
    let rate = |count, seconds| Some(Rate { count, period: Duration::from_secs(seconds) });
    let exempt = [("10.0.0.0", 8), ("2001:db8::1", 128)];
    let rate = RateSettings {
        source_failures: rate(5, 10),
        source_work: None,
        principal_failures: rate(1, 86_400),
        principal_work: rate(2, 60),
        answer: Answer::Drop,
        exempt: exempt.map(|(ip, length)| Network { address: ip.parse().expect("an address"), length }).to_vec(),
        memory: 1 << 20,
    };
    let limits = Limits {
        tcp_connections: 5,
        tcp_connections_per_peer: 4,
        idle_timeout: 3600,
        request_timeout: 7,
        udp_reply: 1400,
        replay_memory: 1 << 20,
        lookaside_memory: 1 << 16,
        known_tickets: 9,
        records_memory: 2 << 20,
        principals_in_memory: 1,
        heavy_threads: Some(3),
        heavy_queue: 7,
        rate,
    };
    assert_eq!(config.limits, limits);
}

#[test]
fn spake_is_said_by_the_names_of_groups() {
    let rules = |text: &str| read(&format!("realm = 'R'\n{text}")).expect("sound").policy().spake;
    assert_eq!(rules(""), SpakeRules::default());
    let said = rules("[spake]\ngroups = ['p-384', 'edwards25519']\nchallenge = 'P-384'");
    let names = said.groups.iter().map(|group| group.name).collect::<Vec<_>>();
    assert_eq!(names, ["P-384", "edwards25519"]);
    assert_eq!(said.challenge.map(|group| group.name), Some("P-384"));
    assert!(rules("[spake]\nchallenge = 'P-256'").challenge.is_none(), "a group that is not allowed");
    assert!(rules("[spake]\ngroups = []\nchallenge = 'edwards25519'").challenge.is_none());
}

#[test]
fn a_wrong_setting_is_named_with_its_line_and_what_was_expected() {
    for (setting, expected) in [
        ("relam = 1", "unknown field `relam`, expected one of `realm`, `listen`, `kpasswd_listen`, `unix_listen`"),
        ("log = 'loud'", "unknown variant `loud`, expected one of `error`, `warn`, `info`, `debug`, `trace`"),
        ("store = 5", "a file or a table with `kind`"),
        ("listen = ['localhost:88']", "such as \"127.0.0.1:88\" or \"[::1]:88\" was expected, not \"localhost:88\""),
        ("listen = []", "at least one address"),
        ("listen = '127.0.0.1:88'", "expected a sequence"),
        ("[policy]\nmax_live = '1h'", "unknown field `max_live`, expected one of `max_life`"),
        (
            "[policy]\nmax_life = 'long'",
            "a duration such as \"24h\", \"7d\" or \"90s\", or a number of seconds, was expected",
        ),
        ("[policy]\nmax_life = 0", "a duration such as"),
        ("[spake]\ngroups = ['P-224']", "a SPAKE group was expected (edwards25519, P-256, P-384 or P-521)"),
        ("[spake]\nchallenge = 'on'", "a SPAKE group was expected"),
        ("[limits]\nheavy_threads = 0", "a number from 1 to 256 was expected"),
        ("[policy]\nclock_skew = -1", "a duration such as"),
        ("[policy]\nclock_skew = 1.5", "expected a number or a text"),
        ("[policy]\netypes = ['aes']", "\"aes\" is no encryption type; expected some of aes256-cts-hmac-sha1-96, "),
        ("[policy]\netypes = ['des-cbc-crc']", "des-cbc-crc is broken and therefore not in this build"),
        ("[policy]\netypes = []", "at least one encryption type was expected"),
        ("[policy]\nrequire_preauth = 'yes'", "expected a boolean"),
        ("[keys]\niterations = 100", "a number of rounds from 4096 to 1048576 was expected"),
        (
            "kpasswd_listen = ['464']",
            "an address and port such as \"127.0.0.1:88\" or \"[::1]:88\" was expected, not \"464\"",
        ),
        ("[limits]\ntcp_connections = 0", "a number above 0 was expected"),
        ("[limits]\nrecords_memory = 1", "a size of at least 64 KiB"),
        ("[limits]\nreplay_memory = '1 GB'", "a size of at least 64 KiB such as \"64 MiB\""),
        ("[limits]\nreplay_memory = '99999999999 GiB'", "a size of at least 64 KiB"),
        ("[limits.rate]\nsource_failures = 5", "expected a string"),
        ("[limits.rate]\nsource_failures = '5'", "a rate such as \"1200/1m\""),
        ("[limits.rate]\nprincipal_work = '0/1m'", "a rate such as \"1200/1m\""),
        ("[limits.rate]\nanswer = 'maybe'", "\"error\" or \"drop\" was expected"),
        (
            "[limits.rate]\nexempt = ['10.0.0.0/33']",
            "a network such as \"10.0.0.0/8\" was expected, not \"10.0.0.0/33\"",
        ),
        ("realm = 'S'", "duplicate key"),
        ("[otp]\n  [otp]", "duplicate key: [otp] is in line 2 already; write what belongs to it below that"),
        ("x =", "string values must be quoted"),
    ] {
        let line = 2 + setting.matches('\n').count();
        let problem = problem(&format!("realm = 'R'\n{setting}\n"), line);
        assert!(problem.contains(expected), "{setting}: {problem}");
    }
    for realm in ["", "a b", "A/B", "A@B", "R\\n"] {
        assert!(problem(&format!("realm = \"{realm}\""), 1).contains("a realm such as EXAMPLE.ORG"), "{realm}");
    }
}

#[test]
fn the_access_list_has_the_rows_and_after_them_the_lines_of_a_kadm5_acl() {
    use crate::admin::acl::Right;
    use crate::admin::{Caller, Door};
    let dir = tempfile::tempdir().expect("a folder");
    let config = |acl: &str| {
        std::fs::write(dir.path().join("kadm5.acl"), acl).expect("written");
        let text = "realm = 'R'\n[admin]\nacl_file = 'kadm5.acl'\n[[admin.acl]]\nwho = 'a/admin'\nmay = ['list']";
        parse(&dir.path().join("kdc.toml"), text).expect("sound")
    };
    let may = |acl: &crate::admin::Acl, who: &str, right| {
        let who = Caller::principal(Principal::parse(who, Some("R")).expect("a name"), Door::Process, true);
        acl.allows(&who, right, None).is_allowed()
    };
    let acl = config("*/admin *\n").acl().expect("read");
    assert!(may(&acl, "a/admin", Right::List) && !may(&acl, "a/admin", Right::Add) && may(&acl, "b/admin", Right::Add));
    let error = config("# none\n*/admin what\n").acl().expect_err("wrong").to_string();
    assert!(error.ends_with("/kadm5.acl:2: 'w' is no operation; expected some of a c d e i l m p s x *"), "{error}");
    let error = problem("realm = 'R'\n[[admin.acl]]\nwho = '*'\nmay = ['ad']", 4);
    assert!(error.starts_with("\"ad\" is no right; expected some of all, policies, add, "), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Path::new("/nowhere/kdc.toml")).expect_err("missing").to_string();
    assert!(error.starts_with("/nowhere/kdc.toml: No such file or directory; `kdc init`"), "{error}");
    let error = load(Path::new("/")).expect_err("a folder").to_string();
    assert_eq!(error, "/: Is a directory; name the kdc.toml in it");
}

#[test]
fn the_sample_says_the_defaults() {
    let text = sample("EXAMPLE.ORG", &listen(), &kpasswd_addresses(&listen()));
    let config = read(&text).expect("sound");
    let bare = read("realm = 'EXAMPLE.ORG'").expect("sound");
    assert_eq!(config, Config { kpasswd_listen: Some(bare.kpasswd_addresses()), ..bare });
    // Each default that stands in a comment, made a setting, changes nothing; those without one do.
    let said = text.lines().map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line));
    let said = read(&said.collect::<Vec<_>>().join("\n")).expect("sound");
    let keys = KeySettings { iterations: Some(32768), ..KeySettings::default() };
    let file = |name: &str| Some(Path::new("/realm").join(name));
    let admin = AdminSettings {
        acl_file: file("kadm5.acl"),
        listen: vec!["0.0.0.0:749".parse().expect("an address")],
        certificate: file("admin.pem"),
        key: file("admin-key.pem"),
        services: vec!["HTTP/kdc.example.org".into()],
        client_ca: file("clients.pem"),
        client_crl: file("revoked.pem"),
        ..AdminSettings::default()
    };
    let audit = AuditSettings {
        file: Some("/realm/audit.jsonl".into()),
        journald: Some("/run/systemd/journal/socket".into()),
        syslog: Some("/dev/log".into()),
        keep_for: Some(365 * 86_400),
        key: Some("/realm/audit.key".into()),
        ..AuditSettings::default()
    };
    let passwords = PasswordSettings { dictionary: Some("/realm/words".into()) };
    let management = ManagementSettings {
        listen: vec!["127.0.0.1:9088".parse().expect("an address")],
        hosts: vec!["kdc.example.org".into()],
    };
    let source = libkrb::preauth::pkinit::identity::file::Source::Pem {
        chain: "/realm/pki/kdc.crt".into(),
        key: "/realm/pki/kdc.key".into(),
    };
    let pkinit = PkinitSettings { identity: Some(source), ..PkinitSettings::default() };
    let limits = Limits { heavy_threads: Some(2), ..Limits::default() };
    let radius = RadiusRow {
        name: "DEFAULT".into(),
        server: "192.0.2.1:1812".parse().expect("an address"),
        secret: Path::new("/realm/radius.secret").into(),
        timeout: 5,
        tries: 3,
        at_once: 16,
        strip_realm: true,
        indicators: vec![],
        collect_pin: Some(true),
    };
    let otp = OtpSettings { radius: vec![radius], next_value: false };
    let kkdcp = KkdcpSettings {
        listen: vec!["0.0.0.0:443".parse().expect("an address")],
        certificate: file("kkdcp.pem"),
        key: file("kkdcp-key.pem"),
    };
    let unix_listen = vec!["/run/kdc/kdc.sock".into()];
    let said_all =
        Config { audit, management, keys, passwords, admin, limits, otp, pkinit, kkdcp, unix_listen, ..config };
    assert_eq!(said, said_all);
}

#[test]
fn the_sample_in_the_docs_is_the_one_that_init_writes() {
    let docs = include_str!("../../../docs/kdc.toml");
    assert_eq!(docs, sample("EXAMPLE.ORG", &listen(), &kpasswd_addresses(&listen())));
}
