//! MIT's krb5kdc, with its database and files in the realm's folder.

use std::path::Path;

use super::{Kdc, Queries, Secret, Site, by_queries};
use crate::{Family, Tool};

pub(super) struct Mit;

impl Mit {
    fn tool(site: &Site, name: &'static str) -> Tool {
        Tool::new(Family::Mit.program(name))
            .env("KRB5_CONFIG", site.path("kdc-krb5.conf"))
            .env("KRB5_KDC_PROFILE", site.path("kdc.conf"))
            .args(["-r", &site.plan.realm])
    }
}

impl Kdc for Mit {
    fn create(&self, site: &Site) {
        let realm = &site.plan.realm;
        site.write(
            "kdc-krb5.conf",
            &format!(
                "[libdefaults]\n default_realm = {realm}\n dns_lookup_kdc = false\n rdns = false\n\
                 [logging]\n kdc = STDERR\n default = STDERR\n"
            ),
        );
        let names: Vec<_> = site.plan.etypes.iter().map(|etype| format!("{}:normal", etype.name)).collect();
        let supported =
            if names.is_empty() { String::new() } else { format!("  supported_enctypes = {}\n", names.join(" ")) };
        site.write(
            "kdc.conf",
            &format!(
                "[kdcdefaults]\n kdc_max_dgram_reply_size = 4096\n kdc_listen = {address}\n kdc_tcp_listen = {address}\n\
                 [realms]\n {realm} = {{\n  database_name = {folder}/principal\n  key_stash_file = {folder}/stash\n  \
                 acl_file = {folder}/kadm5.acl\n  kadmind_listen = 127.0.0.2:{kadmind}\n  kpasswd_listen = {kpasswd}\n  max_life = 24h\n  max_renewable_life = 7d\n  \
                 default_principal_flags = +preauth\n{supported} }}\n",
                address = site.address,
                // Nobody asks there, but it listens.
                kadmind = site.kpasswd.port(),
                kpasswd = site.kpasswd,
                folder = site.folder.display(),
            ),
        );
        Mit::tool(site, "kdb5_util").args(["create", "-s", "-P", "master"]).run().succeeds();
    }

    fn daemon(&self, site: &Site) -> Tool {
        Mit::tool(site, "krb5kdc").args(["-n"])
    }

    fn password_daemon(&self, site: &Site) -> Option<(Tool, &'static str)> {
        site.write("kadm5.acl", "");
        Some((Mit::tool(site, "kadmind").args(["-nofork"]), "kadmind: starting..."))
    }

    fn ready(&self) -> &'static str {
        "commencing operation"
    }

    by_queries!();
}

impl Queries for Mit {
    fn admin(&self, site: &Site) -> Tool {
        Mit::tool(site, "kadmin.local")
    }
}
