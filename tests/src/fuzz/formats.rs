//! Every file that is read, and the names that people type.

use std::io;
use std::path::{Path, PathBuf};

use kdc::store::MasterKey;
use libkrb::ccache::Ccache;
use libkrb::config::{Config, Files, LocalNames, parse_duration, parse_enctypes, parse_when};
use libkrb::keytab::Keytab;
use libkrb::{Principal, Time, transited, wire};

use crate::joined::{NOW, REALM};

/// Any bytes as a credential cache: what was read is written, and read as the same.
pub fn ccache(data: &[u8]) {
    let Ok(cache) = Ccache::parse(data) else { return };
    let again = Ccache::parse(&cache.encode()).expect("what was written can be read");
    assert_eq!(again, cache);
    let _ = (cache.tgt(NOW), cache.config("fast_avail", Some(&cache.principal)), cache.tickets().count());
}

/// Any bytes as a keytab, likewise.
pub fn keytab(data: &[u8]) {
    let Ok(keytab) = Keytab::parse(data) else { return };
    let encoded = keytab.encode().expect("what was read can be written");
    assert_eq!(Keytab::parse(&encoded).expect("what was written can be read"), keytab);
}

/// Files in memory: the fuzzer's one under every name that is asked for.
struct Everywhere<'a>(&'a [u8]);

impl Files for Everywhere<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path.ends_with("missing") { Err(io::ErrorKind::NotFound.into()) } else { Ok(self.0.to_vec()) }
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(["a", "b.conf", ".hidden", "c~"].map(str::to_owned).to_vec())
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.ends_with("d")
    }
}

/// Any bytes as krb5.conf and as every file that it includes; then every setting is asked for.
pub fn krb5_conf(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines().take(20) {
        let _ = (parse_duration(line), parse_when(line, NOW), parse_enctypes(line, true));
    }
    let configs = [Config::parse("krb5.conf", &text), Config::read(&[PathBuf::from("krb5.conf")], &Everywhere(data))];
    for config in configs {
        match config {
            Ok(config) => settings(&config),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn settings(config: &Config) {
    let mut realms = config.realms();
    realms.truncate(4);
    realms.push(REALM);
    for realm in realms {
        for servers in [config.kdcs(realm), config.primary_kdcs(realm), config.admin_servers(realm)] {
            let _ = servers.map(|servers| servers.len());
        }
        let _ = (config.kpasswd_servers(realm).is_ok(), config.ticket_lifetime(realm), config.renew_lifetime(realm));
        let _ = (config.forwardable(realm), config.proxiable(realm), config.noaddresses(realm));
        let _ = (config.canonicalize(realm), config.verify_ap_req_nofail(realm), config.appdefault("x", realm, "y"));
        let _ = (config.realm_path(realm, "OTHER.ORG"), config.capath("OTHER.ORG", realm));
    }
    let _ = (config.default_realm(), config.dns_lookup_kdc(), config.dns_canonicalize_hostname(), config.rdns());
    let _ = (config.permitted_enctypes(), config.default_tkt_enctypes(), config.default_tgs_enctypes());
    let _ = (config.clockskew(), config.kdc_timesync(), config.udp_preference_limit(), config.request_timeout());
    let _ = (config.preferred_preauth_types(), config.realm_of_host("a.example.org"), config.unknown_keys());
    let alice = Principal::parse("alice", Some(REALM)).expect("a name");
    let _ = config.local_names().as_ref().map(|names: &LocalNames| names.map(&alice));
}

/// Any bytes as kdc.toml.
pub fn kdc_toml(data: &[u8]) {
    match kdc::config::parse(Path::new("/realm/kdc.toml"), &String::from_utf8_lossy(data)) {
        Ok(config) => {
            let policy = config.policy();
            assert!(!policy.realm.is_empty() && !policy.etypes.is_empty());
            assert!(policy.max_life > 0 && policy.clock_skew > 0);
        }
        Err(error) => assert!(error.to_string().starts_with("/realm/kdc.toml"), "{error}"),
    }
}

/// Any bytes as a master key.
pub fn master_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = MasterKey::parse(Path::new("master.key"), text) {
        let said = error.to_string();
        assert!(said.starts_with("master.key: "), "{said}");
        // Nothing of the file may get into a log.
        let secret = text.split_whitespace().find(|word| word.len() > 40);
        assert!(secret.is_none_or(|secret| !said.contains(secret)), "a key in an error");
    }
}

/// Any text as a principal: what was parsed is shown, and parsed as the same.
pub fn principal(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = (parse_duration(&text), parse_when(&text, Time::EPOCH));
    for default in [None, Some(REALM)] {
        for parsed in [Principal::parse(&text, default), Principal::parse_enterprise(&text, default)] {
            let Ok(principal) = parsed else { continue };
            let shown = principal.to_string();
            let again = Principal::parse(&shown, None).expect("what was shown can be parsed");
            assert_eq!(again.with_kind(principal.kind()), principal, "{shown:?}");
            let short = principal.without_realm().to_string();
            let again = Principal::parse(&short, Some(principal.realm())).expect("so without its realm");
            assert_eq!(again.with_kind(principal.kind()), principal, "{short:?}");
        }
    }
}

/// Any bytes as the realms of a client and a server and, each after a line, the transited field between
/// them.
pub fn transited(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let [client, server, contents] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let [client, server] = [client, server].map(String::from_utf8_lossy);
    let field = |contents| wire::TransitedEncoding { contents, ..wire::TransitedEncoding::NONE };
    let Ok(realms) = transited::expand(field(contents), &client, &server) else { return };
    assert!(realms.len() <= transited::MAX_REALMS && realms.iter().all(|realm| !realm.is_empty()));
    let again = transited::compress(&realms);
    let read = transited::expand(field(again.as_bytes()), "X", "Y").expect("what was written can be read");
    assert_eq!(read, realms, "{again:?}");
    let _ = transited::Paths::default().accept(&client, &server, &realms);
}
