//! The keys that MIT krb5 and this project read, so that the others can be named.
//! Not here: what the keys mean.

use super::tree::{Entry, Notice, Profile, Section};

/// Keys of `[libdefaults]`.
const LIBDEFAULTS: &[&str] = &[
    "allow_des3",
    "allow_rc4",
    "allow_weak_crypto",
    "canonicalize",
    "ccache_type",
    "client_aware_channel_bindings",
    "clockskew",
    "default_ccache_name",
    "default_client_keytab_name",
    "default_keytab_name",
    "default_rcache_name",
    "default_realm",
    "default_tgs_enctypes",
    "default_tkt_enctypes",
    "dns_canonicalize_hostname",
    "dns_fallback",
    "dns_lookup_kdc",
    "dns_lookup_realm",
    "dns_uri_lookup",
    "enforce_ok_as_delegate",
    "err_fmt",
    "extra_addresses",
    "forwardable",
    "ignore_acceptor_hostname",
    "k5login_authoritative",
    "k5login_directory",
    "kcm_mach_service",
    "kcm_socket",
    "kdc_default_options",
    "kdc_timesync",
    "noaddresses",
    "permitted_enctypes",
    "plugin_base_dir",
    "preferred_preauth_types",
    "proxiable",
    "qualify_shortname",
    "rdns",
    "realm_try_domains",
    "renew_lifetime",
    "request_timeout",
    "spake_preauth_groups",
    "ticket_lifetime",
    "udp_preference_limit",
    "verify_ap_req_nofail",
];

/// Keys of a realm in `[realms]`: those of krb5.conf, then those of kdc.conf.
const REALM: &[&str] = &[
    "admin_server",
    "auth_to_local",
    "auth_to_local_names",
    "auto_fast_armor",
    "default_domain",
    "disable_encrypted_timestamp",
    "http_anchors",
    "kdc",
    "kpasswd_server",
    "krb524_server",
    "master_kdc",
    "primary_kdc",
    "sitename",
    "v4_instance_convert",
    "v4_realm", //
    "acl_file",
    "database_module",
    "database_name",
    "default_principal_expiration",
    "default_principal_flags",
    "dict_file",
    "disable_pac",
    "encrypted_challenge_indicator",
    "host_based_services",
    "iprop_enable",
    "iprop_listen",
    "iprop_logfile",
    "iprop_master_ulogsize",
    "iprop_port",
    "iprop_replica_poll",
    "iprop_resync_timeout",
    "iprop_slave_poll",
    "iprop_ulogsize",
    "kadmind_listen",
    "kadmind_port",
    "kdc_listen",
    "kdc_ports",
    "kdc_tcp_listen",
    "kdc_tcp_ports",
    "kdc_unixsock_listen",
    "key_stash_file",
    "kpasswd_listen",
    "kpasswd_port",
    "master_key_name",
    "master_key_type",
    "max_life",
    "max_renewable_life",
    "no_host_referral",
    "reject_bad_transit",
    "restrict_anonymous_to_tgt",
    "spake_preauth_indicator",
    "supported_enctypes",
];

/// Keys of every interface in `[plugins]`.
const PLUGIN: &[&str] = &["disable", "enable_only", "module"];

/// Sections whose keys are names of the user's own, or that another program reads.
const OPEN: &[&str] =
    &["appdefaults", "capaths", "dbdefaults", "dbmodules", "domain_realm", "kdcdefaults", "logging", "login", "otp"];

/// Sections whose keys are known.
const CLOSED: &[&str] = &["libdefaults", "plugins", "realms"];

/// Every key that nobody reads.
pub(super) fn unknown(profile: &Profile) -> Vec<Notice> {
    let mut found = vec![];
    for (name, entry) in profile.trees.iter().flat_map(|tree| &tree.entries) {
        let Some(section) = &entry.section else { continue };
        match &**name {
            "libdefaults" => {
                keys(section, "libdefaults", LIBDEFAULTS, &mut found);
                inner(section, "libdefaults", LIBDEFAULTS, &mut found);
            }
            "realms" => {
                // Realms are sections: a plain value is as good as a key that nobody reads.
                keys(section, "realms", &[], &mut found);
                inner(section, "realms", REALM, &mut found);
            }
            "plugins" => inner(section, "plugins", PLUGIN, &mut found),
            name if OPEN.contains(&name) => {}
            name => {
                let near = nearest(name, OPEN.iter().chain(CLOSED));
                let text = format!(
                    "unknown section [{name}]{}",
                    near.map(|near| format!(", is it [{near}]?")).unwrap_or_default()
                );
                found.extend(section.place.iter().map(|place| Notice { place: place.clone(), text: text.clone() }));
            }
        }
    }
    found
}

/// The keys of every subsection.
fn inner(section: &Section, path: &str, known: &'static [&str], found: &mut Vec<Notice>) {
    for (name, entry) in &section.entries {
        if let Some(section) = &entry.section {
            keys(section, &format!("{path}/{name}"), known, found);
        }
    }
}

/// The values of one section whose names are not known; PKINIT has names of its own.
fn keys(section: &Section, path: &str, known: &'static [&str], found: &mut Vec<Notice>) {
    let strange = |name: &str| !known.contains(&name) && !name.starts_with("pkinit_");
    for (name, Entry { values, .. }) in section.entries.iter().filter(|(name, _)| strange(name)) {
        let near = nearest(name, known.iter()).map(|near| format!(", is it \"{near}\"?")).unwrap_or_default();
        let text = format!("unknown key \"{name}\" in [{path}]{near}");
        found.extend(values.iter().map(|value| Notice { place: value.place.clone(), text: text.clone() }));
    }
}

/// The known name that differs by one or two letters.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a &'static str>) -> Option<&'static str> {
    let near = known.map(|known| (distance(name, known), *known)).min()?;
    (near.0 <= 2 && name.len() > 3).then_some(near.1)
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.bytes().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let changed = at(&row, j) + usize::from(x != y);
            next.push(changed.min(at(&row, j + 1) + 1).min(at(&next, j) + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
