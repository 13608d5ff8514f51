//! Which settings can become others while a realm is served. Not here: putting them in force.

use crate::config::Config;

/// Says whether two configurations differ in something.
type Differ = fn(&Config, &Config) -> bool;

/// What stays as it is for the life of the process, each with its name in kdc.toml.
const FIXED: &[(&str, Differ)] = &[
    ("realm", |a, b| a.realm != b.realm),
    ("store", |a, b| a.store != b.store),
    ("master_key", |a, b| a.master_key != b.master_key),
    ("admin_socket", |a, b| a.admin_socket != b.admin_socket),
    ("admin.listen", |a, b| a.admin.listen != b.admin.listen),
    ("admin.services", |a, b| a.admin.services != b.admin.services),
    ("admin.require_channel_bindings", |a, b| a.admin.require_channel_bindings != b.admin.require_channel_bindings),
    ("audit", |a, b| a.audit != b.audit),
    ("management", |a, b| a.management != b.management),
    ("telemetry", |a, b| a.telemetry != b.telemetry),
    ("log", |a, b| a.log != b.log),
    ("log_format", |a, b| a.log_format != b.log_format),
    ("landlock", |a, b| a.landlock != b.landlock),
    ("policy.clock_skew", |a, b| a.policy.clock_skew != b.policy.clock_skew),
    ("limits.replay_memory", |a, b| a.limits.replay_memory != b.limits.replay_memory),
    ("limits.lookaside_memory", |a, b| a.limits.lookaside_memory != b.limits.lookaside_memory),
    ("limits.heavy_threads", |a, b| a.limits.heavy_threads != b.limits.heavy_threads),
    ("limits.heavy_queue", |a, b| a.limits.heavy_queue != b.limits.heavy_queue),
    ("limits.records_memory", |a, b| a.limits.records_memory != b.limits.records_memory),
    ("limits.principals_in_memory", |a, b| a.limits.principals_in_memory != b.limits.principals_in_memory),
];

/// Whether a KDC that runs with `old` can go on with `new`.
///
/// # Errors
/// Which settings would have to stay, and the way out.
pub fn possible(old: &Config, new: &Config) -> Result<(), String> {
    let changed: Vec<_> =
        FIXED.iter().filter(|(_, differ)| differ(old, new)).map(|(name, _)| format!("`{name}`")).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let names = changed.join(", ");
    Err(format!("{names} can't be changed while the KDC runs; `kdc restart` does it, and loses no request either"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn read(text: &str) -> Config {
        parse(Path::new("/realm/kdc.toml"), text).expect("sound")
    }

    #[test]
    fn what_must_stay_is_refused_by_name_and_all_else_may_change() {
        let old = read("realm = 'R'");
        let new = read(
            "realm = 'R'\nlisten = ['127.0.0.1:1']\n[policy]\nmax_life = '1h'\netypes = ['aes256-sha2']\n\
             [keys]\niterations = 10000\n[limits]\ntcp_connections = 5\nidle_timeout = 7\nudp_reply = 1400\n\
             [limits.rate]\nsource_failures = 'off'",
        );
        assert_eq!(possible(&old, &new), Ok(()));
        let new = read("realm = 'S'\nstore = 'x'\n[limits]\nreplay_memory = '1 MiB'\n[policy]\nclock_skew = 9");
        let names = "`realm`, `store`, `policy.clock_skew`, `limits.replay_memory` can't be changed";
        let said = possible(&old, &new).expect_err("refused");
        assert!(said.starts_with(names) && said.contains("`kdc restart`"), "{said}");
    }
}
