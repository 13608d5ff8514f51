//! Heimdal's kdc. Its kadmin has words of its own: a table says them in MIT's.

use std::path::Path;

use super::{Kdc, Secret, Site};
use crate::family::Program;
use crate::{AES128_SHA1, AES256_SHA1, Family, Tool};

pub(super) struct Heimdal;

/// MIT's flag, Heimdal's attribute, and whether MIT's `+` sets it (else MIT's `-` does).
const ATTRIBUTES: [(&str, &str, bool); 12] = [
    ("allow_tix", "disallow-all-tix", false),
    ("allow_forwardable", "disallow-forwardable", false),
    ("allow_proxiable", "disallow-proxiable", false),
    ("allow_renewable", "disallow-renewable", false),
    ("allow_postdated", "disallow-postdated", false),
    ("allow_dup_skey", "disallow-dup-skey", false),
    ("allow_tgs_req", "disallow-tgt-based", false),
    ("allow_svr", "disallow-svr", false),
    ("requires_preauth", "requires-pre-auth", true),
    ("needchange", "requires-pw-change", true),
    ("ok_as_delegate", "ok-as-delegate", true),
    ("password_changing_service", "pwchange-service", true),
];

/// MIT's option with a value, and Heimdal's.
const OPTIONS: [(&str, &str); 4] = [
    ("-expire", "--expiration-time"),
    ("-pwexpire", "--pw-expiration-time"),
    ("-maxlife", "--max-ticket-life"),
    ("-maxrenewlife", "--max-renewable-life"),
];

/// Heimdal's words for options of MIT's `addprinc` and `modprinc`.
fn translate(options: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        if let Some((_, theirs)) = OPTIONS.iter().find(|(mit, _)| mit == option) {
            let value = options.next().unwrap_or_else(|| panic!("{option} needs a value"));
            words.push(format!("{theirs}={value}"));
            continue;
        }
        let (sign, flag) = option.split_at(1);
        let row = ATTRIBUTES.iter().find(|(mit, ..)| *mit == flag);
        let (_, theirs, on_plus) = row.unwrap_or_else(|| panic!("no word of Heimdal's for {option}"));
        // A minus before one of Heimdal's attributes clears it.
        let clear = if (sign == "+") == *on_plus { "" } else { "-" };
        words.push(format!("--attributes={clear}{theirs}"));
    }
    words
}

impl Heimdal {
    fn configuration(site: &Site) -> String {
        let realm = &site.plan.realm;
        // The default is MIT's, so that tests see the same of both.
        let etypes = if site.plan.etypes.is_empty() { &[AES256_SHA1, AES128_SHA1] } else { &*site.plan.etypes };
        let keys: Vec<_> = etypes.iter().map(|etype| format!("{}:pw-salt", etype.name)).collect();
        format!(
            "[libdefaults]\n default_realm = {realm}\n dns_lookup_kdc = false\n\
             [kdc]\n database = {{\n  dbname = {folder}/heimdal\n  mkey_file = {folder}/m-key\n  \
             acl_file = {folder}/kadmind.acl\n  log_file = {folder}/log\n }}\n \
             addresses = {ip}\n ports = {port}\n\
             [kadmin]\n default_keys = {keys}\n[logging]\n default = STDERR\n kdc = 0-/STDERR\n",
            keys = keys.join(" "),
            folder = site.folder.display(),
            ip = site.address.ip(),
            port = site.address.port(),
        )
    }

    fn admin(site: &Site) -> Tool {
        Tool::new(Family::Heimdal.program("kadmin")).args(["-l", "-c"]).args([site.path("kdc-krb5.conf")])
    }

    fn keys(secret: &Secret) -> String {
        match secret {
            Secret::Password(password) => format!("--password={password}"),
            Secret::Random => "--random-key".to_owned(),
        }
    }
}

impl Kdc for Heimdal {
    fn create(&self, site: &Site) {
        site.write("kdc-krb5.conf", &Heimdal::configuration(site));
        let key_file = format!("--key-file={}", site.path("m-key").display());
        Tool::new(Family::Heimdal.program("kstash")).args(["--random-key", &key_file]).run().succeeds();
        let limits = ["--realm-max-ticket-life=1 day", "--realm-max-renewable-life=7 days"];
        Heimdal::admin(site).args(["init"]).args(limits).args([&site.plan.realm]).run().succeeds();
    }

    fn daemon(&self, site: &Site) -> Tool {
        let configuration = format!("--config-file={}", site.path("kdc-krb5.conf").display());
        Tool::new(Family::Heimdal.program("kdc")).args([configuration])
    }

    /// It says nothing when it is ready, so a shell looks for its socket.
    fn password_daemon(&self, site: &Site) -> Option<(Tool, &'static str)> {
        const WAIT: &str = r#"(until grep -qi ":$0 " /proc/net/udp; do sleep 0.02; done; echo ready) & exec "$@""#;
        let kpasswdd = Family::Heimdal.program("kpasswdd");
        let shell = Program { path: "/bin/sh".into(), arguments: vec!["-c", WAIT], ..kpasswdd.clone() };
        let arguments = [
            format!("{:04X}", site.kpasswd.port()),
            kpasswdd.path.display().to_string(),
            format!("--config-file={}", site.path("kdc-krb5.conf").display()),
            format!("--keytab=HDB:{}:mkey={}", site.path("heimdal").display(), site.path("m-key").display()),
            format!("--addresses={}", site.kpasswd.ip()),
            format!("--port={}", site.kpasswd.port()),
        ];
        Some((Tool::new(shell).args(arguments), "ready"))
    }

    fn ready(&self) -> &'static str {
        "KDC started master process"
    }

    fn add(&self, site: &Site, principal: &str, secret: &Secret, options: &[&str]) {
        let words = ["add".to_owned(), Heimdal::keys(secret), "--use-defaults".to_owned()];
        Heimdal::admin(site).args(words).args([principal]).run().succeeds();
        self.modify(site, principal, options);
    }

    fn modify(&self, site: &Site, principal: &str, options: &[&str]) {
        for words in translate(options) {
            Heimdal::admin(site).args(["modify", &words, principal]).run().succeeds();
        }
    }

    fn change(&self, site: &Site, principal: &str, secret: &Secret) {
        Heimdal::admin(site).args(["passwd", &Heimdal::keys(secret), principal]).run().succeeds();
    }

    fn delete(&self, site: &Site, principal: &str) {
        Heimdal::admin(site).args(["delete", principal]).run().succeeds();
    }

    fn extract(&self, site: &Site, principal: &str, keytab: &Path) {
        let keytab = format!("--keytab={}", keytab.display());
        Heimdal::admin(site).args(["ext_keytab", &keytab, principal]).run().succeeds();
    }
}
